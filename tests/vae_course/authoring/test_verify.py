"""Every check of `verify` passes on good notebooks and finds what is planted in bad ones."""

import ast
import copy
import subprocess

import pytest

from vae_course.authoring import leaks, standing, teaching, verify
from vae_course.authoring.assignment import list_assignments
from vae_course.authoring.build import build_assignment, write
from vae_course.authoring.course import load_course
from vae_course.authoring.kernel import Failure, RunResult, Surroundings, run
from vae_course.authoring.proof import show, verify_notebook
from vae_course.authoring.reference import find_object
from vae_course.authoring.subject import Subject, load_subject, subject_of
from vae_course.authoring.verify import STATIC_CHECKS, TEACHING_CHECKS
from vae_course.errors import CourseError

REAL = list_assignments()


def subject(name: str) -> Subject:
    return subject_of(build_assignment(name))


def cell(found: Subject, id_: str):
    return next(cell for cell in found.release["cells"] if cell["id"] == id_)


def with_cell(found: Subject, source: str, kind: str = "code") -> Subject:
    """The subject with one more cell in its release."""
    release = copy.deepcopy(found.release)
    new = copy.deepcopy(next(c for c in release["cells"] if c["cell_type"] == kind))
    new.update(id="planted", source=source, metadata={})
    release["cells"].append(new)
    return Subject(found.built, found.source, release, found.others)


@pytest.mark.parametrize("name", ["ps1", "ps2"])
@pytest.mark.parametrize("check", STATIC_CHECKS | TEACHING_CHECKS)
def test_good_notebooks_have_no_findings(tiny, name, check):
    assert (STATIC_CHECKS | TEACHING_CHECKS)[check](subject(name)) == []
    assert verify.figure(check, subject(name))


@pytest.mark.parametrize("name", REAL)
def test_the_real_notebooks_have_no_findings(name):
    found = subject(name)
    for check in (STATIC_CHECKS | TEACHING_CHECKS).values():
        assert check(found) == []
    assert standing.check_badge(found) == []


AREA = "square = radius**2\nreturn math.pi * square * (RIGHT - LEFT) + 0.0 * twice(radius)"


def function(body: str, head: str = "def anything(radius, unused=None):") -> str:
    return head + "\n" + "\n".join(f"    {line}" for line in body.splitlines())


PLANTED_BODY = function(AREA.replace("square", "r2"))


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (PLANTED_BODY.replace("radius, unused=None", "radius"), "code"),
        ("class A:\n    def f(radius):\n" + function(AREA, "").replace("\n", "\n    ")[1:], "code"),
        (f"A hint:\n\n```python\n{function(AREA, 'def area(radius):')}\n```\n", "markdown"),
        (f'"""```\n{function(AREA, "def area(r):").replace("radius", "r")}\n```"""', "code"),
    ],
)
def test_a_solutions_body_is_found_wherever_it_hides(tiny, source, kind):
    found = leaks.check_bodies(with_cell(subject("ps1"), source, kind))
    assert [one.cell for one in found] == ["planted"]
    assert "ps1_area (ps1) asks for" in str(found[0])


def test_a_later_assignments_solution_is_a_leak_and_an_earlier_ones_is_a_reveal(tiny):
    shape = find_object("tinyref.shapes.Shape").source
    found = leaks.check_bodies(with_cell(subject("ps1"), shape))
    assert {one.cell for one in found} == {"planted"} and "ps2_shape (ps2)" in str(found[0])
    # ps2 gives `area`, which ps1 asks for.
    assert leaks.check_bodies(subject("ps2")) == []
    assert leaks.reveals(subject("ps2")) == ["ps1_area (area)"]
    assert leaks.reveals(subject("ps1")) == []


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("expected = [s * self.size + s**2 - 1.0 for s in (1, 2, 3)]", "code"),
        ("assert f(3) == g(self.size) / 3 + len(x) * (1 - (k * self.size + k**2 - 1.0))", "code"),
        ("Try `s * self.size + s**2 - 1.0` here.", "markdown"),
    ],
)
def test_a_telling_expression_is_found_in_any_cell(tiny, source, kind):
    found = leaks.check_statements(with_cell(subject("ps2"), source, kind))
    assert [one.cell for one in found] == ["planted"]
    assert "ps2_shape" in str(found[0])


def test_idioms_of_a_solution_are_no_finding(tiny):
    found = subject("ps2")
    assert leaks.check_statements(with_cell(found, "x = float(size)\ny = len(x.scaled)")) == []


@pytest.mark.parametrize(
    ("source", "kind", "words"),
    [
        ('grade("ps1_area")', "code", "hidden test"),
        ("from autograder import grade", "code", "hidden test"),
        ("### BEGIN HIDDEN TESTS", "code", "marker 'BEGIN HIDDEN TESTS'"),
        ("text\n=== END MARK SCHEME ===", "markdown", "marker 'END MARK SCHEME'"),
        ("- 1 point: names *the square* of the radius", "markdown", "marking scheme"),
        ("Just the square, *without* its radius.", "markdown", "marking scheme"),
        ("Something squared, I think!", "markdown", "marking scheme"),
        ("It is 3.14: that is the area of one disc only", "markdown", "marking scheme"),
    ],
)
def test_what_should_be_hidden_is_found(tiny, source, kind, words):
    found = leaks.check_hidden(with_cell(subject("ps1"), source, kind))
    assert found and all(one.cell == "planted" for one in found)
    assert any(words in str(one) for one in found)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("radius: float", "radius: int"),
        ("The area of a disc.", "The area."),
        ("    # YOUR CODE HERE\n    raise", "    x = 1\n    raise"),
        ("raise NotImplementedError()", "return math.pi"),
        ("def area", "def region"),
    ],
)
def test_a_stub_that_is_not_the_references_own_is_found(tiny, old, new):
    found = subject("ps1")
    answer = cell(found, "ps1_area_answer")
    assert old in answer["source"]
    answer["source"] = answer["source"].replace(old, new)
    assert [one.cell for one in leaks.check_stubs(found)] == ["ps1_area_answer"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("super().__init__()\n", "self.size = size\n"),
        ("super().__init__()\n", ""),
        ("corners: int = 0", "corners: int = 4"),
        ("@property", "@staticmethod"),
        ("def name", "def title"),
        ("abc.ABC", "object"),
    ],
)
def test_a_class_stub_is_held_to_its_skeleton(tiny, old, new):
    found = subject("ps2")
    answer = cell(found, "ps2_shape_answer")
    assert answer["source"].count(old) == 1
    answer["source"] = answer["source"].replace(old, new)
    assert "ps2_shape_answer" in {one.cell for one in leaks.check_stubs(found)}


def test_a_starter_keeps_the_signature(tiny):
    found = subject("ps2")
    answer = cell(found, "ps2_halve_answer")
    answer["source"] = answer["source"].replace("x: float", "x: float, y: float")
    assert "takes other arguments" in str(leaks.check_stubs(found)[0])


def test_a_starter_that_is_the_solution_is_a_leak(tiny):
    one = find_object("tinyref.shapes.Shape")
    tiny.change("ps2.md", "points: 1.5\n", "points: 1.5\nstart: true\n")
    tiny.change("ps2.md", "sizes and areas\n---\n", f"sizes and areas\n---\n{one.source}\n")
    assert "ps2_shape_answer" in {f.cell for f in leaks.check_bodies(subject("ps2"))}


@pytest.mark.parametrize(
    "line", ["import pandas", "from safetensors import x", "import vae_course"]
)
def test_an_import_that_colab_has_not_is_found(tiny, line):
    found = standing.check_imports(with_cell(subject("ps1"), f"if True:\n    {line}"))
    assert [one.cell for one in found] == ["planted"]


def test_colabs_packages_and_the_standard_library_are_fine(tiny):
    line = "import torch, sklearn.decomposition, os, PIL.Image\nfrom google.colab import files"
    assert standing.check_imports(with_cell(subject("ps1"), line)) == []


def test_stale_notebooks_are_found_with_the_cell(tiny):
    found = subject("ps1")
    cell(found, "setup")["source"] += "\n"
    assert [(f.notebook, f.cell) for f in verify.check_fresh(found)] == [
        ("release/ps1/ps1.ipynb", "setup")
    ]


def test_leftovers_of_a_run_and_broken_metadata_are_found(tiny):
    found = subject("ps1")
    cell(found, "setup")["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    cell(found, "ps1_area")["metadata"]["nbgrader"]["grade_id"] = "setup"
    messages = " ".join(map(str, verify.check_schema(found)))
    assert "holds outputs" in messages and "Duplicate grade id" in messages


def test_points_that_changed_or_went_missing_are_found(tiny):
    found = subject("ps1")
    cell(found, "ps1_area")["metadata"]["nbgrader"]["points"] = 3
    found.release["cells"] = [c for c in found.release["cells"] if c["id"] != "ps1_why"]
    assert [one.cell for one in verify.check_points(found)] == ["ps1_area", "ps1_why"]


# ---- what helps to learn ----------------------------------------------------------------------


def test_an_exercise_without_a_hint_is_found_and_a_hint_serves_one_exercise(tiny):
    tiny.change("ps2.md", "<summary>Hint 1: of what?</summary>", "<summary>A remark</summary>")
    (found,) = teaching.check_hints(subject("ps2"))
    assert found.cell == "ps2_halve" and "no folded hint" in str(found)


def test_a_hint_may_stand_below_the_blank(tiny):
    found = subject("ps1")
    hint = next(c for c in found.release["cells"] if "Hint 1" in c["source"])
    found.release["cells"].remove(hint)
    assert [one.cell for one in teaching.check_hints(found)] == ["ps1_area"]
    ids = [c["id"] for c in found.release["cells"]]
    found.release["cells"].insert(ids.index("ps1_area"), hint)
    assert teaching.check_hints(found) == []


@pytest.mark.parametrize(
    ("markdown", "words"),
    [
        ("<details>\n<summary>A</summary>\n\ntext", "1 <details> without </details>"),
        ("</details>", "</details> after nothing"),
        ("<details>\n\ntext\n</details>", "</details> after <details>"),
        ("<summary>A</summary>", "<summary> after nothing"),
        ("<details>\n<summary>A\n\ntext\n</details>", "</details> after <summary>"),
        ("<details>\n<summary>A</summary>\n*text*\n</details>", "an empty line is missing"),
    ],
)
def test_folds_that_would_not_unfold_are_found(tiny, markdown, words):
    found = teaching.check_hints(with_cell(subject("ps1"), markdown, "markdown"))
    assert [one.cell for one in found] == ["planted"] and words in str(found[0])


@pytest.mark.parametrize(
    "markdown",
    [
        "<details>\n<summary>A</summary>\n\n<details>\n<summary>B</summary>\n\nx\n</details>\n</details>",
        "Write `<details>` in\n\n```\n<summary>\n```\n",
    ],
)  # fmt: skip
def test_folds_inside_folds_and_in_code_are_fine(tiny, markdown):
    assert teaching.check_hints(with_cell(subject("ps1"), markdown, "markdown")) == []


def test_pictures_without_a_file_or_without_words_are_found(tiny):
    named = "```{code-cell}\n---\npicture: ps1_disc\n---\nvalue"
    tiny.change("ps1.md", "```{code-cell}\nvalue", named)
    (found,) = teaching.check_pictures(subject("ps1"))
    assert "ps1_disc.png: missing" in str(found)
    (_, found) = teaching.check_pictures(with_cell(subject("ps1"), "![](data:x)", "markdown"))
    assert found.cell == "planted" and "without words" in str(found)


# ---- badges -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/vae-course/vae-course",
        "git@github.com:Vae-Course/vae-course.git",
        "https://colab.research.google.com/github/vae-course/vae-course/blob/main/x.ipynb",
    ],
)
def test_the_source_repository_may_not_be_named(tiny, url):
    found = standing.check_badge(with_cell(subject("ps1"), f"See [this]({url}).", "markdown"))
    assert [one.cell for one in found] == ["planted"]


def test_a_badge_that_names_a_remote_of_this_checkout_is_found(tiny):
    public = load_course().public_repository
    found = standing.check_badge(subject("ps1"), remotes=(public,))
    assert "holds the solutions" in str(found[0])
    assert standing.check_badge(subject("ps1"), remotes=("someone/else",)) == []


def test_a_missing_badge_is_found(tiny):
    found = subject("ps1")
    found.release["cells"][0]["source"] = "# no badge"
    assert "no badge for" in str(standing.check_badge(found)[0])


def test_remotes_are_read_from_git(tmp_path):
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    assert standing.git_remotes(tmp_path) == ()
    for name, url in (
        ("a", "https://github.com/one/two.git"),
        ("b", "git@example.org:three/four.git"),
        ("c", "ssh://git@example.org:22/group/five/six"),
    ):
        subprocess.run([*git, "remote", "add", name, url], check=True)
    assert standing.git_remotes(tmp_path) == ("five/six", "one/two", "three/four")
    assert standing.git_remotes(tmp_path / "nowhere") == ()


# ---- runs -------------------------------------------------------------------------------------


def index(found: Subject, id_: str) -> int:
    return next(i for i, c in enumerate(found.release["cells"]) if c["id"] == id_)


@pytest.mark.parametrize(
    ("id_", "name", "fine"),
    [
        ("ps1_area_check", "NotImplementedError", True),
        ("ps1_area_answer", "NotImplementedError", True),
        ("ps1_area_answer", "NameError", False),
        ("ps1_area_check", "AssertionError", False),
        ("given-twice", "NotImplementedError", False),
        (None, "", False),
    ],
)
def test_the_first_error_must_be_a_blanks(tiny, id_, name, fine):
    found = subject("ps1")
    failure = Failure(index(found, id_), id_, name, "words") if id_ else None
    findings = verify.judge_first_blank(found, RunResult(3, 1.0, failure, ("", 0.0)))
    assert (findings == []) == fine


def test_a_starter_may_fail_its_check(tiny):
    found = subject("ps2")
    failure = Failure(index(found, "ps2_halve_check"), "ps2_halve_check", "AssertionError", "no")
    assert verify.judge_first_blank(found, RunResult(3, 1.0, failure, ("", 0.0))) == []


def code_notebook(*sources: str):
    cells = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "outputs": [], "source": source,
         "execution_count": None}
        for i, source in enumerate(sources)
    ]  # fmt: skip
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def test_the_kernel_blocks_the_course_shrinks_heavy_cells_and_stops_at_the_first_error(tiny):
    result = run(
        code_notebook(
            "import os\nassert os.environ['NBGRADER_EXECUTION']",
            "try:\n    import vae_course\nexcept ImportError:\n    pass\nelse:\n    1 / 0",
            "import tinyref.maths",
            "raise SystemError('too far')",
        ),
        blocked={"vae_course", "autograder", "tinyref"},
        cell_seconds=60,
    )
    assert (result.ran, result.failure.cell, result.failure.name) == (3, "c2", "ImportError")


def test_a_cell_without_end_is_a_failure_and_not_a_hang(tiny):
    result = run(code_notebook("while True: pass", "1"), blocked=(), cell_seconds=1)
    assert (result.ran, result.failure.name) == (1, "CellTimeoutError")


def test_a_kernel_that_can_import_the_course_proves_nothing(tiny, tmp_path, monkeypatch):
    hook = tmp_path / "hook"
    hook.mkdir()
    # Loaded before the first cell, as a .pth file or usercustomize of an instructor might do.
    (hook / "usercustomize.py").write_text("import sys, types\nsys.modules['blockme'] = types")
    monkeypatch.setenv("PYTHONPATH", str(hook))
    monkeypatch.delenv("PYTHONNOUSERSITE", raising=False)
    (hook / "sitecustomize.py").write_text((hook / "usercustomize.py").read_text())
    with pytest.raises(CourseError, match="can import blockme, so it proves nothing"):
        run(code_notebook("1"), blocked={"blockme"}, cell_seconds=30)


def test_verify_of_a_notebook_as_it_lies_on_disk(tiny, capsys):
    write(tiny.course, build_assignment("ps1"))
    assert show(["ps1"], tiny.course, 60)
    said = capsys.readouterr().out
    assert "reveals of earlier assignments: none" in said
    for check in [*STATIC_CHECKS, *TEACHING_CHECKS, "badge", "to first blank", "solved runs"]:
        assert check in said
    assert "whole run" not in said


def test_a_whole_run_shrinks_nothing_and_takes_no_longer_than_it_may(tiny, monkeypatch):
    tiny.change("ps1.md", "value = area(2.0)", "value = area(2.0)\nassert not FULL_RUN, 'in full'")
    write(tiny.course, build_assignment("ps1"))
    report = verify_notebook(load_subject("ps1", tiny.course), tiny.course, 60, whole=True)
    assert report.findings["solved runs"] == []
    (finding,) = report.findings["whole run"]
    assert "AssertionError: in full" in str(finding)
    monkeypatch.setattr(verify, "LONGEST_WHOLE_RUN", 0)
    report = verify_notebook(load_subject("ps1", tiny.course), tiny.course, 60)
    assert "over 0 s" in str(report.findings["solved runs"])


def test_notebooks_run_with_neither_data_nor_network(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("VAE_COURSE_DATA", str(tmp_path))
    asked = (
        "import os, urllib.request\nassert not os.environ['VAE_COURSE_DATA']\n"
        "urllib.request.urlopen('http://example.org', timeout=20)"
    )
    result = run(code_notebook(asked), (), 60)
    assert result.failure.name == "URLError" and "refused" in result.failure.message
    around = Surroundings(data=tmp_path, offline=False)
    seen = f"import os\nassert os.environ['VAE_COURSE_DATA'] == {str(tmp_path)!r}\nassert not any("
    seen += "value.endswith(':9') for name, value in os.environ.items() if 'proxy' in name.lower())"
    assert run(code_notebook(seen), (), 60, around).failure is None


def test_a_solved_notebook_that_fails_is_named(tiny):
    tiny.change("ps1.md", "value = area(2.0)", "value = area(2.0) / 0")
    write(tiny.course, build_assignment("ps1"))
    report = verify_notebook(load_subject("ps1", tiny.course), tiny.course, 60)
    assert not report.ok
    (finding,) = report.findings["solved runs"]
    assert "ZeroDivisionError" in str(finding) and "discs-" in finding.cell


def test_missing_and_damaged_notebooks_are_one_line(tiny):
    with pytest.raises(CourseError, match=r"source/ps1/ps1.ipynb: missing; run vae-course build"):
        load_subject("ps1", tiny.course)
    write(tiny.course, build_assignment("ps1"))
    (tiny.course / "release/ps1/ps1.ipynb").write_text("{")
    with pytest.raises(CourseError, match=r"release/ps1/ps1.ipynb: cannot be read") as caught:
        load_subject("ps1", tiny.course)
    assert "\n" not in str(caught.value)


@pytest.mark.long
@pytest.mark.parametrize("name", REAL)
def test_the_real_notebooks_run(name, tmp_path):
    write(tmp_path, build_assignment(name))
    report = verify_notebook(load_subject(name, tmp_path), tmp_path, 300, whole=True)
    assert [str(f) for found in report.findings.values() for f in found] == []


def test_compare_stub_accepts_an_init_that_only_calls_super():
    code = "class A:\n    def __init__(self):\n        '''Make.'''\n        super().__init__()"
    node = ast.parse(code).body[0]
    assert leaks.compare_stub(node, node) == []
