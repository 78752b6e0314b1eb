"""Pictures of what is right: small files that say what they show, folded below their cells."""

import base64
import io
import re

import pytest
from PIL import Image, PngImagePlugin

from vae_course import cli
from vae_course.authoring import pictures
from vae_course.authoring.assignment import load_assignment
from vae_course.authoring.build import write
from vae_course.authoring.drawing import check_settings, draw_pictures
from vae_course.authoring.notebook import KEY, loads
from vae_course.authoring.pictures import (
    MAX_BYTES,
    MAX_WIDTH,
    load_picture,
    picture_path,
    read_picture,
    shrink,
    write_picture,
)
from vae_course.errors import CourseError, UsageError

ALT = "Three [grey] images: 1 < 2_3 & `so on`"


def png(size=(900, 300), noisy=False) -> bytes:
    """A picture: smooth, or as hard to compress as one can be."""
    image = Image.linear_gradient("L").resize(size).convert("RGBA")
    if noisy:
        image = Image.merge("RGBA", [Image.effect_noise(size, 90) for _ in range(3)] + [
            Image.new("L", size, 255)
        ])  # fmt: skip
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("size", [(900, 300), (200, 500), (200, 40)])
def test_a_picture_becomes_small_and_keeps_its_shape(size, noisy):
    small = shrink(png(size, noisy), ALT, "caption")
    image = opened(small)
    assert len(small) <= MAX_BYTES and image.mode == "P" and image.width <= MAX_WIDTH
    assert image.width / image.height == pytest.approx(size[0] / size[1], rel=0.02)
    if not noisy and size[0] <= MAX_WIDTH:
        assert image.size == size


def test_colours_of_few_pixels_stay_what_they_are(monkeypatch):
    noise = [Image.effect_noise((300, 200), 30) for _ in range(3)]
    image = Image.merge("RGB", [one.point(lambda value: min(255, value + 60)) for one in noise])
    colours = [(213, 94, 0), (0, 114, 178), (0, 158, 115)]
    for number, colour in enumerate(colours):
        image.paste(colour, (20 + 40 * number, 20, 23 + 40 * number, 23))
    file = io.BytesIO()
    image.save(file, "PNG")
    monkeypatch.setattr(pictures, "MAX_BYTES", 10**6)
    small = opened(shrink(file.getvalue(), "a", "b")).convert("RGB")
    for number, colour in enumerate(colours):
        seen = small.getpixel((21 + 40 * number, 21))
        assert max(abs(one - other) for one, other in zip(seen, colour, strict=True)) < 16


def test_what_is_transparent_becomes_white():
    file = io.BytesIO()
    Image.new("RGBA", (10, 10), (255, 0, 0, 0)).save(file, "PNG")
    assert opened(shrink(file.getvalue(), "a", "b")).convert("RGB").getpixel((5, 5)) == (255,) * 3


def test_a_picture_carries_its_words(tmp_path):
    written = write_picture(tmp_path / "a.png", png(), ALT, "Größe: 1 × 2")
    read = read_picture((tmp_path / "a.png").read_bytes(), tmp_path / "a.png")
    assert read == written and (read.alt, read.caption) == (ALT, "Größe: 1 × 2")


def test_a_file_that_is_none_or_that_says_nothing_is_one_line(tmp_path):
    path = tmp_path / "a.png"
    with pytest.raises(CourseError, match=r"a\.png: cannot be read as a PNG"):
        read_picture(b"<svg>", path)
    with pytest.raises(CourseError, match=r"a\.png: cannot be read as a PNG"):
        read_picture(png()[:300], path)
    with pytest.raises(CourseError, match=r"a\.png: does not say what it shows"):
        read_picture(png(), path)
    words = PngImagePlugin.PngInfo()
    words.add_itxt("Description", " ")
    file = io.BytesIO()
    opened(png()).save(file, "PNG", pnginfo=words)
    with pytest.raises(CourseError, match="does not say"):
        read_picture(file.getvalue(), path)


# ---- in a notebook ----------------------------------------------------------------------------

DRAW = "Image(data=base64.b64decode({data!r}), format='png', alt={alt!r})"
HEAD = "import base64\nfrom IPython.display import Image\n"


@pytest.fixture
def drawn(tiny):
    """The tiny course, with a cell in ps1 that shows a picture."""

    def change(body: str) -> None:
        tiny.change("ps1.md", "value = area(2.0)\n", "value = area(2.0)\n```\n\n```{code-cell}\n"
                    f"---\npicture: ps1_disc\n---\n{body}\n```\n\n```{{code-cell}}\n")  # fmt: skip

    data = base64.b64encode(png((600, 60))).decode()
    tiny.draw = lambda alt=ALT: change(HEAD + DRAW.format(data=data, alt=alt))
    tiny.put = change
    return tiny


def cells_of(built) -> list:
    return loads(built.release)["cells"]


def test_the_picture_stands_folded_below_its_cell_with_an_id_of_its_own(drawn):
    drawn.draw()
    assignment = load_assignment("ps1")
    assert assignment.pictures == ("ps1_disc",)
    without = [cell["id"] for cell in cells_of(drawn.build())]
    picture = write_picture(picture_path(assignment, "ps1_disc"), png(), ALT, "Our *own* run")
    cells = cells_of(drawn.build())
    ids = [cell["id"] for cell in cells]
    place = ids.index("ps1_disc_picture")
    assert ids[:place] + ids[place + 1 :] == without
    assert cells[place - 1]["metadata"][KEY]["kind"] == "drawing"
    shown = cells[place]["source"]
    assert shown.startswith("<details>\n<summary>What you should see</summary>\n\n![")
    (data,) = re.findall(r"\(data:image/png;base64,([^)]+)\)", shown)
    assert base64.b64decode(data) == picture.png
    assert r"Our \*own\* run" in shown


def test_words_of_a_picture_reach_a_reader_as_they_are(drawn):
    from nbconvert.filters import markdown2html

    drawn.draw()
    write_picture(picture_path(load_assignment("ps1"), "ps1_disc"), png(), ALT, "*As* written")
    cell = next(c for c in cells_of(drawn.build()) if c["id"] == "ps1_disc_picture")
    html = markdown2html(cell["source"])
    assert 'alt="Three [grey] images: 1 &lt; 2_3 &amp; `so on`"' in html
    assert 'src="data:image/png;base64,' in html and "<p>*As* written</p>" in html
    assert html.count("<details>") == html.count("</details>") == 1


def test_a_missing_picture_is_a_warning_and_its_cell_is_left_out(drawn, monkeypatch, capsys):
    drawn.draw()
    assert load_picture(load_assignment("ps1"), "ps1_disc") is None
    monkeypatch.setattr("sys.argv", ["vae-course", "build", "ps1", "--course", str(drawn.course)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    said = capsys.readouterr()
    assert not caught.value.code and said.out.count("wrote") == 2
    (line,) = said.err.splitlines()
    assert line.startswith("warning: ") and "ps1_disc.png: missing" in line
    assert "vae-course pictures ps1" in line


# ---- making them ------------------------------------------------------------------------------


def test_a_run_of_the_solved_notebook_makes_the_picture(drawn):
    drawn.draw()
    said = []
    (path,) = draw_pictures("ps1", None, ["FULL_RUN = 'much'"], said.append)
    assert path == drawn.assignments / "pictures" / "ps1_disc.png"
    picture = load_picture(load_assignment("ps1"), "ps1_disc")
    assert opened(picture.png).size == (480, 48)
    assert picture.alt == ALT
    assert picture.caption == "Our own run, with FULL_RUN = 'much'; yours will differ in detail."
    assert any(re.fullmatch(r"ps1: setup, \d+\.\d s", line) for line in said)
    assert any("ps1_disc.png" in line and "kB" in line for line in said)
    write(drawn.course, drawn.build())


def test_the_run_is_whole_has_the_settings_and_names_the_data(drawn):
    data = base64.b64encode(png((60, 60))).decode()
    drawn.put(
        f"{HEAD}assert FULL_RUN and SIZE == 20_000\nImageData = type('ImageData', (), {{}})\n"
        "some, more = ImageData(), ImageData()\nsome.name, more.name = 'drawn discs', 'squares'\n"
        + DRAW.format(data=data, alt="a")
    )
    drawn.change("ps1.md", "\nimport os\n", "\nimport os\nSIZE = 1\n")
    draw_pictures("ps1", None, ["SIZE = 20_000"], lambda line: None)
    picture = load_picture(load_assignment("ps1"), "ps1_disc")
    assert picture.caption.startswith("Our own run, on drawn discs and squares, with SIZE = 20_000")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("value", "shows none"),
        (HEAD + DRAW.format(data=base64.b64encode(png((9, 9))).decode(), alt=""), "without a text"),
    ],
)
def test_a_run_that_gives_no_good_picture_is_one_line_and_writes_nothing(drawn, body, words):
    drawn.put(body)
    with pytest.raises(CourseError, match=words) as caught:
        draw_pictures("ps1", None, (), lambda line: None)
    assert "\n" not in str(caught.value)
    assert not (drawn.assignments / "pictures").exists()


@pytest.mark.parametrize("setting", ["NUM_TRAIN", "x = ", "import os", ""])
def test_a_setting_is_an_assignment(setting):
    with pytest.raises(UsageError, match="write an assignment such as"):
        check_settings([setting])


def test_an_assignment_without_pictures_is_not_run(tiny):
    said = []
    assert draw_pictures("ps1", None, (), said.append) == []
    assert said == ["ps1: its text names no picture"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ps1", "--set", "NUM_TRAIN"], "write an assignment such as"),
        (["ps1", "--data", "/nowhere/at/all"], "/nowhere/at/all: there is no such folder"),
        (["ps9"], "there is no assignment ps9"),
    ],
)
def test_a_wrong_call_is_one_line_before_anything_runs(tiny, monkeypatch, capsys, arguments, words):
    monkeypatch.setattr("sys.argv", ["vae-course", "pictures", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    said = capsys.readouterr()
    assert caught.value.code == 2 and said.out == ""
    assert said.err.startswith("error: ") and words in said.err and said.err.count("\n") == 1


def test_the_command_says_each_cell_and_file(drawn, monkeypatch, capsys):
    drawn.draw()
    monkeypatch.setenv("VAE_COURSE_DATA", str(drawn.course / "no data here"))
    monkeypatch.setattr("sys.argv", ["vae-course", "pictures"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    said = capsys.readouterr()
    assert not caught.value.code and said.err == ""
    lines = said.out.splitlines()
    assert any(line.startswith("ps1: ps1_area_check, ") for line in lines)
    assert lines[-1] == "ps2: its text names no picture"
    assert any(line.startswith("wrote ") for line in lines)
