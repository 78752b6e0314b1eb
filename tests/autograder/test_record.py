"""A verdict is what the judge published where that can be trusted, else what the outputs tell."""

import math

import pytest
from nbformat.v4 import new_code_cell, new_output

from autograder import record
from autograder.notebooks import error_output
from autograder.record import VERDICT_MIME, human_verdict, machine_verdict, status_of, verdict

GOOD = verdict(
    "x",
    1.5,
    3.0,
    "partial",
    "half",
    [{"name": "n", "score": 1.5, "max_score": 3.0, "passed": False, "message": "m"}],
    seed=7,
)


def cell_with(*outputs, source: str = "assert f()"):
    metadata = {"nbgrader": {"grade_id": "x", "grade": True, "solution": False, "points": 3}}
    return new_code_cell(source, metadata=metadata, outputs=list(outputs))


def publish(found: object):
    return new_output("display_data", data={VERDICT_MIME: found})


def test_a_published_verdict_is_taken_with_the_points_of_the_gradebook():
    found = machine_verdict(cell_with(publish(GOOD | {"max_score": 99})), 1.5, 3.0)
    assert found == GOOD


def test_the_last_published_verdict_on_this_exercise_counts():
    other = publish(GOOD | {"id": "y", "message": "other"})
    last = publish(GOOD | {"message": "last"})
    assert machine_verdict(cell_with(publish(GOOD), last, other), 1.5, 3.0)["message"] == "last"


def test_a_verdict_that_contradicts_the_score_is_named():
    found = machine_verdict(cell_with(publish(GOOD | {"score": 3.0})), 1.5, 3.0)
    assert (found["verdict"], found["score"]) == ("tampered", 1.5)


@pytest.mark.parametrize(
    "broken",
    [
        "text",
        {"id": "x"},
        GOOD | {"score": "many"},
        GOOD | {"score": math.nan},
        GOOD | {"score": -1},
        GOOD | {"score": 4},
        GOOD | {"verdict": "wonderful"},
        GOOD | {"criteria": [{"name": "no score"}]},
        GOOD | {"criteria": 3},
        GOOD | {"seed": "x"},
    ],
)
def test_what_has_not_the_form_of_a_verdict_is_none(broken):
    found = machine_verdict(cell_with(publish(broken)), 3.0, 3.0)
    assert (found["verdict"], found["score"], found["seed"]) == ("pass", 3.0, None)


def test_messages_are_kept_short_and_plain():
    found = machine_verdict(cell_with(publish(GOOD | {"message": "\x1b[2J" + "x" * 9999})), 1.5, 3)
    assert found["message"].startswith("xxx") and len(found["message"]) == 2000


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("CellTimeoutError", "timeout"),
        ("DeadKernelError", "error"),
        ("CellNotRunError", "error"),
        ("AssertionError", "fail"),
        ("ValueError", "error"),
    ],
)
def test_without_a_verdict_the_error_tells(name, word):
    found = machine_verdict(cell_with(error_output(name, "why")), 0.0, 3.0)
    assert found["verdict"] == word
    assert "why" in found["message"]


def test_the_text_of_an_error_in_a_hidden_test_stays_hidden():
    source = "### BEGIN HIDDEN TESTS\nassert f() == 41\n### END HIDDEN TESTS"
    found = machine_verdict(cell_with(error_output("AssertionError", "41"), source=source), 0, 3.0)
    assert found["verdict"] == "fail" and "41" not in found["message"]


JUDGED = "from autograder import grade\ngrade('x')"


def test_a_judge_that_can_not_even_start_is_the_grader_s_failure():
    broken = cell_with(error_output("ImportError", "no module named torch"), source=JUDGED)
    found = machine_verdict(broken, 0.0, 3.0)
    assert found["verdict"] == "grader_error"
    assert "no fault of yours" in found["message"] and "torch" not in found["message"]
    assert found["detail"] == "ImportError: no module named torch"


@pytest.mark.parametrize("name", ["KeyboardInterrupt", *record.RUNNER_ERRORS])
def test_a_cell_that_had_to_be_stopped_is_not_the_grader_s_failure(name):
    stopped = cell_with(error_output(name, "stopped"), source=JUDGED)
    word = {"CellTimeoutError": "timeout", "MemoryError": "memory"}.get(name, "error")
    assert machine_verdict(stopped, 0.0, 3.0)["verdict"] == word


def test_a_grader_error_stays_one_though_its_cell_scores_zero():
    published = GOOD | {"score": 0.0, "verdict": "grader_error", "detail": "a bug"}
    found = machine_verdict(cell_with(publish(published), error_output("GraderError", "")), 0, 3.0)
    assert found["verdict"] == "grader_error" and found["detail"] == "a bug"


def test_a_plain_cell_passes_fails_or_earns_a_part():
    printed = new_output("stream", name="stdout", text="well done\n")
    words = [machine_verdict(cell_with(printed), score, 3.0)["verdict"] for score in (0.0, 1, 3)]
    assert words == ["fail", "partial", "pass"]
    assert machine_verdict(cell_with(printed), 3.0, 3.0)["message"] == "well done"
    assert machine_verdict(cell_with(), 3.0, 3.0)["message"] == "All tests passed."


def test_a_person_s_score_and_words_are_theirs():
    given = human_verdict("q", 1.5, 2.0, False, "nice")
    assert (given["score"], given["verdict"], given["message"]) == (1.5, "manual", "nice")
    assert human_verdict("q", None, 2.0, False, None)["verdict"] == "manual"
    assert human_verdict("q", None, 2.0, True, None)["verdict"] == "blank"
    assert human_verdict("q", 0.0, 2.0, True, None)["verdict"] == "manual"


def test_a_status_is_the_gravest_thing_that_happened():
    late, dead = error_output("CellTimeoutError", ""), error_output("DeadKernelError", "")
    failed = verdict("x", 0, 1, "grader_error", "")
    assert status_of([cell_with()], []) == "graded"
    assert status_of([cell_with(error_output("ValueError", ""))], []) == "graded"
    assert status_of([cell_with(late)], []) == "timed_out"
    assert status_of([cell_with(late), cell_with(dead)], []) == "crashed"
    assert status_of([cell_with(dead)], [failed]) == "grader_error"


def test_a_submission_has_the_fields_that_others_rely_on():
    other = verdict("y", 2.0, 2.0, "pass", "", seed=7)
    found = record.submission("ps1", "ada", "graded", [GOOD, other], "engine", ["z"])
    assert found["schema"] == 1
    assert (found["score"], found["max_score"], found["seed"]) == (3.5, 5.0, 7)
    assert found["tampered"] == ["z"]
    wanted = {"schema", "assignment", "student", "status", "score", "max_score", "seed", "engine"}
    assert wanted | {"tampered", "exercises"} <= found.keys()
    parts = {"id", "score", "max_score", "verdict", "message", "misconception"}
    assert parts | {"followed_through", "criteria"} <= found["exercises"][0].keys()


def test_points_are_written_as_people_write_them():
    assert [record.points(value) for value in (3.0, 1.5, 2 / 3, 0, 10)] == [
        "3",
        "1.5",
        "0.67",
        "0",
        "10",
    ]
