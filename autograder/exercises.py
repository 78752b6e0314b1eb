"""What the assignments' texts say of an exercise."""

import functools

from autograder.judge import Exercise
from vae_course.authoring.assignment import load_assignment
from vae_course.errors import CourseError


@functools.cache
def exercise_of(id: str) -> Exercise:
    """What the judge needs to know of an exercise.

    Raises:
        CourseError: no assignment has it.
    """
    assignment = id.partition("_")[0]
    for exercise in load_assignment(assignment).exercises:
        if exercise.id == id:
            return exercise
    raise CourseError(f"{id}: {assignment} has no such exercise; compare with the text")
