"""Rubrics: read from an assignment's text, refused where a grader would be lost, then shown."""

import re
from itertools import pairwise

import pytest

from vae_course.authoring.assignment import (
    MACHINE,
    MANUAL,
    TASK,
    assignments_folder,
    list_assignments,
    load_assignment,
)
from vae_course.authoring.build import build_assignment
from vae_course.authoring.notebook import loads
from vae_course.authoring.rubric import Level, read_rubric

# The course's own, whichever folder a test later puts in its place.
COURSE = assignments_folder()
QUESTIONS = [
    exercise
    for name in list_assignments(COURSE)
    for exercise in load_assignment(name, COURSE).exercises
    if exercise.kind in (MANUAL, TASK)
]


def level(points, **changes):
    return {"points": points, "name": "n", "description": "d", "sample": "s"} | changes


def test_a_rubric_has_levels_a_model_answer_and_what_to_watch_for():
    text = {"name": "strong", "description": "All\n  of it.", "sample": " Because. "}
    rubric = read_rubric(
        {
            "levels": [{"points": 2} | text, level(0.5), level(0)],
            "marks": [{"1 point": "the cause"}, "1 point: the effect"],
            "watch": "'Why not': no cause.",
        },
        2.0,
    )
    assert rubric.levels[0] == Level(2.0, "strong", "All of it.", "Because.")
    assert [one.points for one in rubric.levels] == [2, 0.5, 0]
    assert rubric.model_answer == "Because."
    assert rubric.marks == ("1 point: the cause", "1 point: the effect")
    assert rubric.watch == ("'Why not': no cause.",)
    assert set(rubric.texts()) == {*rubric.marks, *rubric.watch, "All of it.", "Because.", "d", "s"}


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        (None, "needs `levels:`"),
        ([], "needs `levels:`"),
        ("strong", "needs `levels:`"),
        ([level(1), level(0)], "the first level earns 1, the question 2; make them agree"),
        ([level(2), level(1)], "the last level earns 1; add one that earns 0"),
        ([level(2), level(1), level(1), level(0)], "order the levels from full points down"),
        ([level(2), level(0), level(-1)], "the last level earns -1"),
        ([level(2), {"points": 0, "name": "weak"}], "level 2 must have points, name, desc"),
        ([level(2, grade="A"), level(0)], "level 1 must have .* and nothing else"),
        ([level(2), "weak"], "level 2 must have"),
        ([level(2), level(True)], "level 2: points must be a number, not True"),
        ([level(2), level("0")], "level 2: points must be a number, not '0'"),
        ([level(2), level(0, sample=" ")], "level 2: sample must be words"),
        ([level(2), level(0, sample={"No": "idea"})], "level 2: sample must be words"),
    ],
)
def test_a_rubric_that_leaves_a_grader_alone_is_refused(levels, words):
    with pytest.raises(ValueError, match=words) as caught:
        read_rubric({"levels": levels}, 2.0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["marks", "watch"])
@pytest.mark.parametrize("lines", [[""], [3], [["a"]], 3])
def test_lines_are_words(key, lines):
    with pytest.raises(ValueError, match=f"{key} must be a list of lines"):
        read_rubric({"levels": [level(2), level(0)], key: lines}, 2.0)


def test_graders_see_the_scheme_in_the_source_and_students_do_not_in_the_release(tiny):
    built = build_assignment("ps1")
    source, release = (
        {cell["id"]: cell["source"] for cell in loads(text)["cells"]}
        for text in (built.source, built.release)
    )
    assert source["ps1_why"] == (
        "*Your answer (at most 50 words):*\n\n"
        "### BEGIN SOLUTION\n"
        "Marking scheme (2 points):\n\n"
        "**What earns what**\n\n"
        "- 1 point: names the square of the radius\n"
        "- 1 point: says why it is not the circumference\n\n"
        "**2 points, strong:** both of these\n\n"
        "> *Model answer:* Pi times the square of the radius; the circumference is a length.\n\n"
        "**0.5 points, thin:** the square without its radius\n\n"
        "> *Sample:* Something squared, I think.\n\n"
        "**0 points, weak:** a length\n\n"
        "> *Sample:* Twice pi times the radius, as always.\n\n"
        "**Wrong answers to watch for**\n\n"
        "- 'It is 3.14': that is the area of one disc only.\n\n"
        "### END SOLUTION"
    )
    assert "=== BEGIN MARK SCHEME ===\nMarking scheme (3 points):" in source["ps1_explore"]
    assert "> *Sample:* No cells." in source["ps1_explore"]
    for exercise in built.assignment.exercises:
        for text in exercise.rubric.texts() if exercise.rubric else ():
            assert text in source[exercise.id]
            assert text not in release[exercise.id]


def test_every_question_of_the_course_has_a_rubric_and_only_those():
    assert len(QUESTIONS) == 19
    for name in list_assignments(COURSE):
        for exercise in load_assignment(name, COURSE).exercises:
            assert (exercise.rubric is None) == (exercise.kind == MACHINE)


@pytest.mark.parametrize("exercise", QUESTIONS, ids=lambda exercise: exercise.id)
def test_samples_of_the_course_sound_like_their_level(exercise):
    """What can be counted: the word limit, a model answer that is the fullest, one answer each."""
    levels = exercise.rubric.levels
    assert [one.name for one in (levels[0], levels[-1])] == ["strong", "weak"]
    assert exercise.rubric.model_answer == levels[0].sample
    words = [len(one.sample.split()) for one in levels]
    assert words[0] == max(words) and min(words) >= 20
    assert len({one.sample for one in levels}) == len({one.name for one in levels}) == len(levels)
    for higher, lower in pairwise(levels):
        assert higher.points - lower.points >= 0.5
    limit = re.search(r"at most (\d+) words", exercise.body)
    assert (limit is None) == (exercise.kind == TASK)
    if limit:
        assert words[0] <= int(limit[1])
