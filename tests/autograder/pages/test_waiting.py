"""The queue: what waits for a person, whose names it can leave out, and where its links lead."""

import re
import shutil

import pytest
from nbgrader.api import Gradebook
from typer.testing import CliRunner

from autograder.cli import app
from autograder.course import Course
from autograder.grading import Grading
from autograder.pages import waiting
from vae_course.authoring.assignment import load_assignment
from vae_course.errors import UsageError

CLASS = ("ada", "ben", "cleo", "dan", "eve")


@pytest.fixture(scope="module")
def graded(make_tiny_course):
    """ada to cleo answer in words, dan changed a locked cell, and eve handed in no notebook."""
    tiny = make_tiny_course()
    for student in CLASS[:3]:
        answered = tiny.solved()
        tiny.find(answered, "tiny_q").source = f"An answer by {student}."
        tiny.hand_in(student, answered)
    altered = tiny.solved()
    tiny.find(altered, "tiny_check").source = "pass"
    tiny.hand_in("dan", altered)
    tiny.hand_in("eve", "no notebook")
    course = Course(tiny.root)
    list(Grading(course, "tiny").run())
    with course.gradebook() as gradebook:
        grade = gradebook.find_grade("tiny_q", "tiny", "tiny", "ben")
        grade.manual_score, grade.needs_manual_grade = 1.5, False
        gradebook.db.commit()
    return tiny.root


def names(handed) -> set[str]:
    return {one.name for one in handed}


def test_answers_wait_question_by_question(graded):
    queue = waiting.queue_of(Course(graded), "tiny")
    found = {question.id: names(question.waiting) for question in queue.questions}
    assert found["tiny_q"] == {"ada", "cleo"}  # ben is marked, dan wrote nothing
    assert found["tiny_task"] == {"ada", "ben", "cleo", "dan"}
    assert queue.to_read == 6
    assert {(whose.name, one.what) for whose, one in queue.concerns} == {
        ("dan", "changed"),
        ("eve", "unreadable"),
    }


@pytest.mark.parametrize("dan_first", [False, True])
def test_questions_are_in_the_notebook_s_order(graded, monkeypatch, dan_first):
    given = Gradebook.notebook_submissions  # in an order of its own, by random ids
    monkeypatch.setattr(
        Gradebook,
        "notebook_submissions",
        lambda *asked: sorted(given(*asked), key=lambda one: one.student.id, reverse=dan_first),
    )
    queue = waiting.queue_of(Course(graded), "tiny")
    assert [question.id for question in queue.questions] == ["tiny_q", "tiny_task"]


def test_points_by_a_person_that_wait_to_be_confirmed_are_there(graded, tmp_path):
    root = shutil.copytree(graded, tmp_path / "course")
    with Course(root).gradebook() as gradebook:
        grade = gradebook.find_grade("tiny_half", "tiny", "tiny", "cleo")
        grade.manual_score = 1.0
        gradebook.db.commit()
    list(Grading(Course(root), "tiny", student="cleo", force=True).run())
    (found, *_) = waiting.queue_of(Course(root), "tiny").questions
    assert (found.id, found.answered, names(found.waiting)) == ("tiny_half", 1, {"cleo"})


def test_each_question_has_an_order_of_its_own():
    students = [f"student{number}" for number in range(20)]
    orders = {tuple(waiting.shuffled(students, f"q{number}")) for number in range(5)}
    assert len(orders) == 5 and all(sorted(order) == sorted(students) for order in orders)
    assert waiting.shuffled(students[::-1], "q1") == waiting.shuffled(students, "q1")


def test_anonymous_is_without_any_name(graded):
    queue = waiting.queue_of(Course(graded), "tiny", anonymous=True)
    shown = waiting.page(queue) + "\n".join(waiting.lines(queue))
    assert not [student for student in CLASS if re.search(rf"\b{student}\b", shown)]
    assert "Submission #1" in shown and "Unnumbered" in shown
    named = waiting.page(waiting.queue_of(Course(graded), "tiny"))
    assert all(re.search(rf"\b{student}\b", named) for student in CLASS)


def test_the_course_s_own_questions_bring_their_marking_scheme(monkeypatch):
    question = next(one for one in load_assignment("ps2").exercises if one.rubric)
    made = waiting.Question(question.id, question.points, 1, (), question.rubric)
    page = waiting.page(waiting.Queue("ps2", (made,), (), False))
    assert "How to mark it" in page and "Model answer" in page
    for level in question.rubric.levels:
        assert level.name in page


def test_the_command_writes_a_page_that_runs_nothing(graded):
    done = CliRunner().invoke(app, ["queue", "tiny", "--course", str(graded)])
    assert done.exit_code == 0, done.output
    assert "tiny_q: 2 of 3 to read" in done.output
    page = (graded / "reports" / "tiny-queue.html").read_text()
    assert "<script" not in page and "default-src 'none'" in page
    assert re.search(r'href="http://localhost:8888/formgrader/submissions/\w+/"', page)


def test_nothing_waits(make_tiny_course):
    tiny = make_tiny_course()
    with pytest.raises(UsageError, match="nobody handed in"):
        waiting.queue_of(Course(tiny.root), "tiny")
    tiny.hand_in("ada", tiny.blank)
    assert list(waiting.lines(waiting.queue_of(Course(tiny.root), "tiny"))) == [
        "tiny: nothing waits for a person"
    ]


def test_links_and_numbers_are_the_formgraders(graded, browser, tmp_path):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait
    from test_formgrader import formgrader

    with formgrader(graded, tmp_path) as address:
        server = address.removesuffix("/formgrader")
        queue = waiting.queue_of(Course(graded), "tiny", True, server)
        (question,) = (one for one in queue.questions if one.id == "tiny_task")
        assert len(question.waiting) == 4
        for one in question.waiting:
            browser.get(one.link)
            wait = WebDriverWait(browser, 60)
            assert wait.until(
                lambda page: page.find_element(By.CSS_SELECTOR, "input#tiny_task")
            ).is_enabled()
            assert one.name in browser.find_element(By.TAG_NAME, "body").text
