"""Grades the notebooks of the course: judges what a student's code does, and says what was seen.

A hidden test in a notebook is two lines: `from autograder import grade`, and `grade("ps2_kl")`.
"""

import sys


def grade(exercise_id: str) -> float:
    """Judge one exercise of the notebook that this is called in.

    Prints a message for the student. Leaves the notebook's names, random state, thread count and
    module modes as they were.

    Args:
        exercise_id: the id of an exercise, such as "ps2_kl".

    Returns:
        The points earned, from 0 to the exercise's points.

    Raises:
        autograder.kernel.GraderError: the grader itself failed, or knows no such exercise. A wrong
            answer raises nothing.
    """
    from autograder.kernel import grade_here  # torch comes with it; `import autograder` stays light

    return grade_here(exercise_id, sys._getframe(1).f_globals)
