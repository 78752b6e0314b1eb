"""The bank of right answers: at least five ideas to each exercise that a machine grades."""

from collections import Counter

import pytest

from autograder import bank, variants
from vae_course.authoring.assignment import list_assignments


@pytest.mark.parametrize("assignment", list_assignments())
def test_each_exercise_has_five_other_right_answers(assignment):
    right = variants.of_assignment(assignment)
    seen = Counter(one.exercise for one in right)
    assert seen.keys() == set(bank.exercises(assignment))
    assert min(seen.values()) >= 5
    assert len({(one.exercise, one.name) for one in right}) == len(right)
    assert len({one.source for one in right}) == len(right)
