"""The pictures that a right solution makes, as files and as folded cells of a notebook.

A picture is a small PNG in the folder `pictures/` beside the assignments' texts. What it shows, in
words, and the line below it stand inside the file, so that neither is ever parted from it.
"""

import base64
import io
import re
from dataclasses import dataclass, field
from pathlib import Path

from vae_course.authoring.assignment import Assignment
from vae_course.authoring.reference import show_path
from vae_course.errors import CourseError
from vae_course.files import write_atomically

SUMMARY = "What you should see"

MAX_WIDTH = 480
"""In pixels: what a phone shows without scrolling, at its own density."""

MAX_BYTES = 40_000
"""Of the file: a notebook carries several pictures, and students download it over and over."""

# PNG's own keywords for these two, https://www.w3.org/TR/png-3/#11keywords
_ALT, _CAPTION = "Description", "Title"


@dataclass(frozen=True)
class Picture:
    """A PNG with its words.

    Attributes:
        png: the file's bytes.
        alt: what is to be seen, for those who cannot see it.
        caption: the line below it.
    """

    png: bytes = field(repr=False)
    alt: str
    caption: str

    @property
    def markdown(self) -> str:
        """The picture in a folded piece of Markdown that loads nothing from anywhere."""
        data = base64.b64encode(self.png).decode("ascii")
        return (
            f"<details>\n<summary>{SUMMARY}</summary>\n\n"
            f"![{_literal(self.alt)}](data:image/png;base64,{data})\n\n"
            f"{_literal(self.caption)}\n</details>"
        )


def _literal(words: str) -> str:
    """One line of Markdown that shows the words as they are."""
    return re.sub(r"([\\`*_\[\]<>&~])", r"\\\1", " ".join(words.split()))


def picture_path(assignment: Assignment, name: str) -> Path:
    """Where the file of a picture stands, or should stand."""
    return assignment.path.parent / "pictures" / f"{name}.png"


def load_picture(assignment: Assignment, name: str) -> Picture | None:
    """Read a picture; None if there is no such file.

    Raises:
        CourseError: the file is no PNG, or does not say what it shows.
    """
    path = picture_path(assignment, name)
    try:
        png = path.read_bytes()
    except FileNotFoundError:
        return None
    return read_picture(png, path)


def missing_pictures(assignment: Assignment) -> list[str]:
    """One line for each picture that the text names and that has no file."""
    paths = (picture_path(assignment, name) for name in assignment.pictures)
    return [
        f"{show_path(path)}: missing, so its cell is left out; run vae-course pictures "
        f"{assignment.name}"
        for path in paths
        if not path.is_file()
    ]


def read_picture(png: bytes, path: Path) -> Picture:
    """Take the words out of a PNG that `write_picture` wrote."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
            image.load()
            words = dict(image.text)
    except OSError as error:
        raise CourseError(
            f"{show_path(path)}: cannot be read as a PNG; make it again with vae-course pictures"
        ) from error
    if not (words.get(_ALT, "").strip() and words.get(_CAPTION, "").strip()):
        raise CourseError(
            f"{show_path(path)}: does not say what it shows; make it again with vae-course pictures"
        )
    return Picture(png, words[_ALT], words[_CAPTION])


def write_picture(path: Path, png: bytes, alt: str, caption: str) -> Picture:
    """Make a picture small, put its words in, and write the file, whole or not at all."""
    picture = Picture(shrink(png, alt, caption), alt, caption)
    write_atomically(path, picture.png)
    return picture


def shrink(png: bytes, alt: str, caption: str) -> bytes:
    """A PNG as a small one: at most `MAX_WIDTH` wide, in a palette, at most `MAX_BYTES` long.

    Fewer colours are tried before fewer pixels; the first that is small enough is taken.

    Raises:
        CourseError: it cannot be made small enough.
    """
    from PIL import Image, PngImagePlugin

    words = PngImagePlugin.PngInfo()
    words.add_itxt(_ALT, alt)
    words.add_itxt(_CAPTION, caption)
    with Image.open(io.BytesIO(png)) as image:
        seen = image.convert("RGBA")
    whole = Image.new("RGB", seen.size, "white")
    whole.paste(seen, mask=seen)
    for smallness in range(10):
        width = max(1, round(min(MAX_WIDTH, whole.width) * 0.85**smallness))
        size = width, max(1, round(whole.height * width / whole.width))
        smaller = whole if size == whole.size else whole.resize(size, Image.Resampling.LANCZOS)
        for colours in (256, 128):
            made = io.BytesIO()
            # The other methods wash out colours that few pixels have, such as those of a class.
            drawn = smaller.quantize(
                colours, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
            )
            drawn.save(made, "PNG", optimize=True, pnginfo=words)
            if len(made.getvalue()) <= MAX_BYTES:
                return made.getvalue()
    raise CourseError("a picture cannot be made small enough; draw less in it")
