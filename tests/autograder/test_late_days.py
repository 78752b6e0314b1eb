"""What lateness costs, by nbgrader's own step and gradebook."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_notebook
from nbgrader.api import Gradebook
from nbgrader.preprocessors import AssignLatePenalties
from traitlets.config import Config

from autograder import late_days
from autograder.course import Course
from autograder.late_days import charged, days_late
from autograder.nbgrader_plugin import configure

HOUR = 3600


@pytest.mark.parametrize(
    ("seconds", "days"),
    [(0, 0), (600, 0), (601, 1), (23 * HOUR, 1), (24 * HOUR + 600, 1), (24 * HOUR + 601, 2)],
)
def test_begun_days_count_after_the_grace(seconds, days):
    assert days_late(seconds, grace_minutes=10) == days


@given(st.lists(st.integers(0, 9), max_size=6), st.integers(0, 9))
def test_free_days_are_used_once_over_the_term(late, free):
    costs = [charged(days, late[:n], free) for n, days in enumerate(late)]
    assert sum(costs) == max(0, sum(late) - free)
    assert all(0 <= cost <= days for cost, days in zip(costs, late, strict=True))


def class_of_one(folder: Path, handed_in: dict[str, str]) -> str:
    """A gradebook: each assignment earned 10 points and was due on the first of a month, at noon.

    Args:
        folder: where it goes.
        handed_in: for each assignment its month, and the day and hour when it came.
    """
    configure(Config())  # where nbgrader finds what makes its tables
    url = f"sqlite:///{folder}/gradebook.db"
    with Gradebook(url) as gradebook:
        gradebook.add_student("ada")
        for month, (name, when) in enumerate(handed_in.items(), 1):
            gradebook.add_assignment(name, duedate=f"2026-{month:02}-01 12:00:00 UTC")
            gradebook.add_notebook(name, name)
            gradebook.add_grade_cell("one", name, name, max_score=10, cell_type="code")
            stamp = f"2026-{month:02}-{when} UTC"
            gradebook.add_submission(name, "ada", timestamp=stamp)
            gradebook.find_grade("one", name, name, "ada").auto_score = 10
        gradebook.db.commit()
    return url


def costs(url: str, **settings: float) -> dict[str, float | None]:
    """What nbgrader's step writes for each assignment, in the order of their deadlines."""
    config = Config()
    config.AssignLatePenalties.plugin_class = "autograder.late_days.LateDays"
    config.LateDays.update(settings)
    with Gradebook(url) as gradebook:
        names = [assignment.name for assignment in gradebook.assignments]
    for name in names:
        where = {"notebook": name, "assignment": name, "student": "ada", "db_url": url}
        AssignLatePenalties(config=config).preprocess(new_notebook(), {"nbgrader": where})
    with Gradebook(url) as gradebook:
        found = {name: gradebook.find_submission_notebook(name, name, "ada") for name in names}
        return {name: one.late_submission_penalty for name, one in found.items()}


def test_free_days_go_to_what_was_due_first(tmp_path):
    came = {"zeta": "02 10:00:00", "alpha": "03 12:00:00", "mid": "01 11:00:00"}
    url = class_of_one(tmp_path, came)
    assert costs(url, free_days=2, penalty_per_day=0.1) == {
        "zeta": 0,  # a day late, the first free one
        "alpha": pytest.approx(1),  # two days late, and one is left
        "mid": None,  # in time
    }


def test_it_never_costs_more_than_there_is(tmp_path):
    url = class_of_one(tmp_path, {"ps1": "20 12:00:00"})
    assert costs(url, penalty_per_day=0.25) == {"ps1": 10}


def test_an_extension_is_not_late(tmp_path):
    url = class_of_one(tmp_path, {"ps1": "02 10:00:00", "ps2": "02 10:00:00"})
    with Gradebook(url) as gradebook:
        gradebook.grant_extension("ps1", "ada", days=3)
    assert costs(url, free_days=1) == {"ps1": None, "ps2": 0}


def test_points_by_hand_cost_as_much(tmp_path):
    url = class_of_one(tmp_path, {"ps1": "03 10:00:00"})
    course = Course(tmp_path)
    course.config.AssignLatePenalties.plugin_class = "autograder.late_days.LateDays"
    late_days.charge(course, url, "ps1")
    with Gradebook(url) as gradebook:
        assert gradebook.find_submission("ps1", "ada").late_submission_penalty == pytest.approx(2)
        gradebook.find_grade("one", "ps1", "ps1", "ada").manual_score = 5
        gradebook.db.commit()
    late_days.charge(course, url, "ps1", {"ben"})
    late_days.charge(course, url, "ps1", {"ada"})
    with Gradebook(url) as gradebook:
        assert gradebook.find_submission("ps1", "ada").late_submission_penalty == pytest.approx(1)
