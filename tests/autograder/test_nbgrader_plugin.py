"""nbgrader's own steps, with our preprocessors in them, on real kernels."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from nbgrader.converters import Autograde, GenerateFeedback

from autograder.course import Course

SECONDS = 3
NBGRADER = [str(Path(sys.executable).with_name("nbgrader"))]
EVIL = "<script>alert(1)</script>"
DIE_IN_TEST = "def half(x):\n    import os\n    os._exit(1)"
ENDLESS = "def half(x):\n    while True:\n        pass"
UNSTOPPABLE = """def half(x):
    import signal
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        pass"""


def submissions(course) -> dict:
    """One submission for each thing that can happen."""
    solved, find = course.solved, course.find
    skipped, deleted, doubled, retyped = (solved(tiny_double="double = abs") for _ in range(4))
    for id in ("tiny_double", "tiny_half", "tiny_plain"):
        find(skipped, id).metadata.tags = ["skip-execution"]
        deleted.cells.remove(find(deleted, id))
    deleted.cells.remove(find(deleted, "tiny_check"))
    deleted.cells.remove(find(deleted, "tiny_given"))
    doubled.cells.append(copy.deepcopy(find(doubled, "tiny_double")))
    find(retyped, "tiny_double").metadata.nbgrader["solution"] = True
    answered = solved()
    find(answered, "tiny_q").source = f"My answer {EVIL} [x](javascript:alert(1))"
    threads = "import os, sys\nprint(os.environ['OMP_NUM_THREADS'], file=sys.stderr)\n"
    return {
        "answered": answered,
        "blank": course.blank,
        "deleted": deleted,
        "dies": solved(tiny_half="import os\nos._exit(0)"),
        "dies_in_test": solved(tiny_half=DIE_IN_TEST),
        "doubled": doubled,
        "endless": solved(tiny_half=ENDLESS),
        "evil": solved(tiny_double=f"def double(x):\n    return {EVIL!r}"),
        "killed": solved(tiny_plain="import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"),
        "nan": solved(tiny_double="def double(x):\n    return 0\nimport math\nPOINTS = math.nan"),
        "one_thread": solved(tiny_half=threads),
        "retyped": retyped,
        "right": solved(),
        "skipped": skipped,
        "unstoppable": solved(tiny_half=UNSTOPPABLE),
    }


EARNED = {
    "answered": (3, 2, 4),
    "blank": (0, 0, 0),
    "deleted": (0, 2, 4),
    "dies": (3, 0, 0),
    "dies_in_test": (3, 0, 0),
    "doubled": (0, 2, 4),
    "endless": (3, 0, 4),
    "evil": (0, 2, 4),
    "killed": (3, 2, 0),
    "nan": (0, 2, 4),
    "one_thread": (3, 0, 4),
    "retyped": (0, 2, 4),
    "right": (3, 2, 4),
    "skipped": (0, 2, 4),
    "unstoppable": (3, 0, 0),
}
LOSE_THEIR_KERNEL = {"dies", "dies_in_test", "killed", "unstoppable"}
STOCK_CAN_NOT = LOSE_THEIR_KERNEL | {"deleted", "doubled", "retyped", "skipped"}


@pytest.fixture(scope="module")
def graded(make_tiny_course) -> Course:
    """A class of which each submission went through nbgrader's autograde."""
    tiny = make_tiny_course()
    for student, notebook in submissions(tiny).items():
        tiny.hand_in(student, notebook)
    course = Course(tiny.root)
    course.config.Execute.timeout = SECONDS
    for student in EARNED:
        course.convert(Autograde, "tiny", student)
    return course


def scores(course: Course, student: str) -> dict[str, float]:
    with course.gradebook() as gradebook:
        entry = gradebook.find_submission_notebook("tiny", "tiny", student)
        return {grade.name: grade.auto_score for grade in entry.grades}


def executed(course: Course, student: str):
    path = course.folder("autograded", "tiny", student) / "tiny.ipynb"
    return nbformat.read(path, as_version=4)


def comment(course: Course, student: str, id: str) -> str | None:
    with course.gradebook() as gradebook:
        return gradebook.find_comment(id, "tiny", "tiny", student).comment


@pytest.mark.parametrize("student", EARNED)
def test_each_submission_gets_what_it_earned(graded, student):
    found = scores(graded, student)
    assert tuple(found[f"tiny_{id}"] for id in ("double", "half", "plain")) == EARNED[student]


@pytest.mark.parametrize("student", sorted(LOSE_THEIR_KERNEL))
def test_what_was_not_run_says_why(graded, tiny_course, student):
    notebook = executed(graded, student)
    found = tiny_course.find(notebook, "tiny_plain").outputs
    assert [output.get("ename") for output in found] == ["CellNotRunError"]
    assert "in the cell that begins `" in found[0].evalue
    names = [
        output.ename
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.output_type == "error"
    ]
    assert names[0] == ("CellTimeoutError" if student == "unstoppable" else "DeadKernelError")


def test_a_cell_that_never_ends_costs_only_itself(graded, tiny_course):
    outputs = tiny_course.find(executed(graded, "endless"), "tiny_half").outputs
    assert "CellTimeoutError" in {output.get("ename") for output in outputs}


def test_kernels_are_asked_to_use_one_thread(graded, tiny_course):
    (output,) = tiny_course.find(executed(graded, "one_thread"), "tiny_half_answer").outputs
    assert output.text == "1\n"


def test_kernels_keep_quiet(tiny_course, capfd):
    tiny_course.hand_in("ada", tiny_course.blank)
    Course(tiny_course.root).convert(Autograde, "tiny", "ada")
    said = capfd.readouterr()
    assert "kernel" not in (said.out + said.err).lower()


@pytest.mark.parametrize("number", ["nan", "-1", "3.5", "1e9", "inf"])
def test_a_score_that_no_test_can_give_is_none(number):
    from nbgrader.utils import determine_grade

    from autograder.nbgrader_plugin import RefuseImpossibleScores

    def grade_with(preprocess: bool) -> float:
        metadata = {"nbgrader": {"grade_id": "x", "grade": True, "solution": False, "points": 3}}
        output = nbformat.v4.new_output("execute_result", data={"text/plain": number})
        cell = new_code_cell("1", metadata=metadata, outputs=[output])
        if preprocess:
            cell, _ = RefuseImpossibleScores().preprocess_cell(cell, {}, 0)
        return determine_grade(cell)[0]

    assert grade_with(preprocess=True) == 0
    try:  # nbgrader gives full marks for these, or stops
        assert grade_with(preprocess=False) == 3
    except ValueError:
        assert float(number) > 3


def test_possible_scores_are_left_alone():
    from autograder.nbgrader_plugin import first_number

    output = nbformat.v4.new_output("execute_result", data={"text/plain": "[1, 2]"})
    assert first_number(new_code_cell("1", outputs=[output])) is None
    assert first_number(new_code_cell("1")) is None


def test_messages_become_comments_on_the_answers(graded):
    assert comment(graded, "right", "tiny_half_answer") == "Right."
    assert "gave 0" in comment(graded, "nan", "tiny_double_answer")
    assert "died" in comment(graded, "dies", "tiny_half_answer")
    assert "<script" not in comment(graded, "evil", "tiny_double_answer")


def test_an_answer_as_released_is_known_as_blank_though_it_has_a_marking_scheme(graded):
    assert scores(graded, "blank")["tiny_q"] == 0
    assert scores(graded, "answered")["tiny_q"] is None


def test_what_a_person_wrote_outlives_another_grading(tiny_course):
    tiny_course.hand_in("ada", tiny_course.solved())
    course = Course(tiny_course.root)
    course.convert(Autograde, "tiny", "ada")
    with course.gradebook() as gradebook:
        place = ("tiny", "tiny", "ada")
        gradebook.find_grade("tiny_half", *place).manual_score = 0.5
        gradebook.find_grade("tiny_task", *place).manual_score = 1.0
        gradebook.find_comment("tiny_half_answer", *place).manual_comment = "by hand"
        gradebook.db.commit()
    tiny_course.hand_in("ada", tiny_course.solved(tiny_half="half = abs"))
    course.convert(Autograde, "tiny", "ada")
    with course.gradebook() as gradebook:
        grade = gradebook.find_grade("tiny_half", *place)
        assert (grade.auto_score, grade.score) == (0, 0.5)
        assert gradebook.find_grade("tiny_task", *place).score == 1.0
    assert comment(course, "ada", "tiny_half_answer") == "by hand"
    course.convert(GenerateFeedback, "tiny", "ada")
    page = (course.folder("feedback", "tiny", "ada") / "tiny.html").read_text()
    assert "set by your instructor" in page and "by hand" in page


def test_a_failure_of_the_grader_waits_for_a_person(tiny_course):
    judge = tiny_course.root / "source" / "tiny" / "tiny_judge.py"
    published = """
    display({"application/vnd.vae-course.verdict+json": {
        "id": id, "score": 0.0, "max_score": 3.0, "verdict": "grader_error", "message": "Sorry.",
        "criteria": [], "seed": 1, "detail": "a bug"}}, raw=True)
    raise RuntimeError("a bug")
"""
    judge.write_text(judge.read_text().split("    name, most")[0] + published)
    tiny_course.hand_in("ada", tiny_course.solved())
    course = Course(tiny_course.root)
    course.convert(Autograde, "tiny", "ada")
    with course.gradebook() as gradebook:
        grade = gradebook.find_grade("tiny_double", "tiny", "tiny", "ada")
        assert grade.auto_score is None and grade.needs_manual_grade


@pytest.fixture(scope="module")
def pages(graded) -> dict[str, str]:
    for student in EARNED:
        graded.convert(GenerateFeedback, "tiny", student)
    folders = {student: graded.folder("feedback", "tiny", student) for student in EARNED}
    return {student: (folder / "tiny.html").read_text() for student, folder in folders.items()}


@pytest.mark.parametrize("student", EARNED)
def test_feedback_shows_score_and_message_of_each_exercise_and_nothing_hidden(pages, student):
    page = pages[student]
    assert page.count('class="fb fb-block') == 3
    for id, earned, most in zip(
        ("tiny_double", "tiny_half", "tiny_plain"), EARNED[student], (3, 2, 4), strict=True
    ):
        block = page.split(f'name="{id}"')[1].split('class="fb fb-block')[1]
        assert f"{earned} / {most} points" in block
        assert block.split('class="fb-message">')[1].split("</p>")[0].strip()
    # What only hidden tests and marking schemes hold.
    assert "HIDDEN" not in page and "forty-two" not in page and "secret" not in page
    assert "tiny_judge" not in page and "Traceback (most" not in page


def test_feedback_runs_nothing_that_a_student_wrote(pages):
    assert "alert(1)" in pages["evil"]  # it is there to be read
    for student in ("evil", "answered"):
        assert EVIL not in pages[student]
        assert 'href="javascript' not in pages[student]


def test_outputs_that_could_run_are_not_shown(tiny_course):
    shows = """from IPython.display import HTML, Javascript, display
display(HTML("<b id=mine>bold</b>"), Javascript("mi" + "ne()"))
display({"image/png": "iVBORw0KGgo=", "text/plain": "picture"}, raw=True)"""
    tiny_course.hand_in("ada", tiny_course.solved(tiny_double=shows))
    course = Course(tiny_course.root)
    course.convert(Autograde, "tiny", "ada")
    course.convert(GenerateFeedback, "tiny", "ada")
    page = (course.folder("feedback", "tiny", "ada") / "tiny.html").read_text()
    assert "<b id=mine>" not in page
    assert "mine()" not in page
    assert "data:image/png;base64,iVBORw0KGgo=" in page


def run(root: Path, *arguments: str) -> None:
    done = subprocess.run(
        [*NBGRADER, *arguments], cwd=root, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_nbgrader_s_own_commands_do_the_same(graded, make_tiny_course):
    """From source to feedback with nothing but nbgrader and the course's nbgrader_config.py."""
    tiny = make_tiny_course()
    (tiny.root / "gradebook.db").unlink()
    students = ("dies", "answered", "doubled")
    for student in students:
        tiny.hand_in(student, submissions(tiny)[student])
    run(tiny.root, "generate_assignment", "tiny")
    run(tiny.root, "autograde", "tiny")
    run(tiny.root, "generate_feedback", "tiny")
    course = Course(tiny.root)
    for student in students:
        assert scores(course, student) == scores(graded, student)
        assert comment(course, student, "tiny_half_answer") == comment(
            graded, student, "tiny_half_answer"
        )
        page = course.folder("feedback", "tiny", student) / "tiny.html"
        assert 'class="fb fb-block' in page.read_text()


@pytest.mark.long
def test_stock_nbgrader_gives_the_same_scores(graded, make_tiny_course):
    """All of nbgrader's own preprocessors, on all that they can grade."""
    tiny = make_tiny_course()
    (tiny.root / "nbgrader_config.py").write_text(
        f"c = get_config()\nc.Execute.timeout = {SECONDS}\n"
    )
    students = [student for student in EARNED if student not in STOCK_CAN_NOT]
    assert len(students) >= 7
    for student in students:
        tiny.hand_in(student, submissions(tiny)[student])
    run(tiny.root, "autograde", "tiny")
    course = Course(tiny.root)
    machine = ("tiny_double", "tiny_half", "tiny_plain")
    for student in students:
        stock, ours = scores(course, student), scores(graded, student)
        assert [stock[id] for id in machine] == [ours[id] for id in machine]


def test_alembic_is_found_where_no_environment_is_activated(tmp_path):
    """nbgrader starts it by name when it makes a gradebook."""
    code = """
import shutil
from traitlets.config import Config
from autograder.nbgrader_plugin import configure
configure(Config())
assert shutil.which("alembic")
"""
    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    subprocess.run(
        [sys.executable, "-c", code], check=True, env=environment | {"PATH": "/usr/bin:/bin"}
    )
