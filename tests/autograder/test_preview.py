"""One file graded as in a class: the same scores, and a course that stays as it is."""

import json
from pathlib import Path

import pytest
from plain import OURS, answer, checks, hidden, notebook, question, solution, write_course
from typer.testing import CliRunner

from autograder.cli import app
from autograder.course import Course
from autograder.grading import SPENT, Grading
from autograder.preview import preview
from autograder.sandbox.outside import problem
from vae_course.errors import UsageError

WRONG = "def half(x):\n    return x // 3"


def run(*arguments: object) -> tuple[int, str]:
    """The command's exit code, and what it printed in one line."""
    done = CliRunner().invoke(app, [*map(str, arguments)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, " ".join(done.output.split())


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_it_gives_what_grading_gave_and_leaves_the_course_as_it_is(tiny_course, tmp_path):
    file = tiny_course.hand_in("ada", tiny_course.solved(tiny_half=WRONG))
    tiny_course.hand_in("ben", tiny_course.solved())
    run("grade", "tiny", "--course", tiny_course.root, "--jobs", 1)
    graded = json.loads((tiny_course.root / "verdicts.json").read_text())[0]
    before = contents(tiny_course.root)
    out, page = tmp_path / "appeal.json", tmp_path / "appeal.html"
    code, said = run(
        *("preview", "tiny", file, "--course", tiny_course.root),
        *("--json", out, "--feedback", page),
    )
    assert code == 0
    assert contents(tiny_course.root) == before
    (entry,) = json.loads(out.read_text())
    assert entry.pop("student") == "tiny.ipynb" and graded.pop("student") == "ada"
    assert entry == {name: value for name, value in graded.items() if name not in SPENT}
    assert entry["score"] == 7 and "7/9" in said and "`half(2)` gave 0" in said
    html = page.read_text()
    assert "<code>half(2)</code> gave 0" in html and "tiny_half" in html
    assert "forty-two" not in html and "it is secret" not in html


def test_a_file_may_have_any_name_and_comes_without_its_neighbours(tiny_course, tmp_path):
    read = "def half(x):\n    from pathlib import Path\n    return x / int(Path('two').read_text())"
    handed_in = tiny_course.solved(tiny_half=read)
    folder = tiny_course.hand_in("ada", handed_in).parent
    (folder / "two").write_text("2")
    file = folder.rename(tmp_path / "ada") / "tiny.ipynb"
    course = Course(tiny_course.root)
    assert preview(course, "tiny", file.parent).record["score"] == 9
    other = file.rename(file.with_name("tiny (1) late.ipynb"))
    made = preview(course, "tiny", other).record
    assert (made["student"], made["score"]) == ("tiny (1) late.ipynb", 7)


def test_what_is_no_notebook_is_named_as_it_was_handed_in(tiny_course, tmp_path):
    file = tmp_path / "weekend.ipynb"
    file.write_text("I worked on this all weekend.")
    page = tmp_path / "page.html"
    code, said = run("preview", "tiny", file, "--course", tiny_course.root, "--feedback", page)
    assert code == 1
    assert "weekend.ipynb: is not a notebook (it is not JSON)" in said
    assert "submitted" not in said and "scratch" not in said
    assert "Your file could not be read" in page.read_text()
    (tmp_path / "empty").mkdir()
    code, said = run("preview", "tiny", tmp_path / "empty", "--course", tiny_course.root)
    assert code == 1 and "empty: there is no tiny.ipynb, but nothing" in said


def test_a_wrong_command_is_told_before_anything_runs(tiny_course, tmp_path):
    def refused(*arguments: object) -> str:
        with pytest.raises(UsageError) as caught:
            run("preview", *arguments, "--course", tiny_course.root)
        return str(caught.value)

    file = tiny_course.hand_in("ada", tiny_course.solved())
    assert "no such assignment" in refused("../tiny", file)
    assert "no such file" in refused("tiny", tmp_path / "nothing.ipynb")
    class_file = tiny_course.root / "verdicts.json"
    assert "that is the class's" in refused("tiny", file, "--json", class_file)
    assert not class_file.exists()


def test_places_that_the_settings_name_are_not_touched(tiny_course, tmp_path):
    config = tiny_course.root / "nbgrader_config.py"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    config.write_text(
        config.read_text()
        + f"\nc.CourseDirectory.db_url = 'sqlite:///{elsewhere}/marks.db'"
        + f"\nc.CourseDirectory.autograded_directory = '{elsewhere}/autograded'\n"
    )
    file = tiny_course.hand_in("ada", tiny_course.solved())
    assert preview(Course(tiny_course.root), "tiny", file).record["score"] == 9
    assert contents(elsewhere) == {}


@pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}")
def test_a_sandboxed_preview_has_the_scores_of_the_class(tmp_path):
    source = notebook(
        answer("double_answer", solution("def double(x):\n    return 2 * x")),
        checks("double", 2, "assert double(2) == 4\n" + hidden("assert double(5) == 10")),
        question("why", 3, "Why?"),
    )
    handed_in = notebook(*source.cells)
    handed_in.cells[0].source = "def double(x):\n    return x + 2"
    folder = write_course(tmp_path, source, {"ada": handed_in}, OURS)
    (entry,) = Grading(Course(folder), "plain").run()
    made = preview(Course(folder), "plain", folder / "submitted" / "ada" / "plain").record
    assert made["exercises"] == entry["exercises"] and made["score"] == 0
    assert made["isolation"] == "sandbox" and made["student"] == "plain"
