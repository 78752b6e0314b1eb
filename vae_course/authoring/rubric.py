"""How a person marks an answer in words: levels, and what an answer of each level sounds like."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any


@dataclass(frozen=True)
class Level:
    """One step of a rubric.

    Attributes:
        points: what an answer of this level earns.
        name: the level in a word, such as "adequate".
        description: what such an answer holds, and what it lacks.
        sample: an answer that earns just this much, in a student's voice.
    """

    points: float
    name: str
    description: str = field(repr=False)
    sample: str = field(repr=False)


@dataclass(frozen=True)
class Rubric:
    """The marking scheme of one question: for graders, never for students.

    Attributes:
        levels: from full points down to 0.
        marks: what earns what, for a question whose points add up from parts.
        watch: wrong answers that graders will meet, and why they are wrong.
    """

    levels: tuple[Level, ...]
    marks: tuple[str, ...] = ()
    watch: tuple[str, ...] = ()

    @property
    def model_answer(self) -> str:
        """An answer that earns all points: the sample of the first level."""
        return self.levels[0].sample

    def texts(self) -> Iterator[str]:
        """Every piece of text that only graders may see."""
        yield from self.marks
        for level in self.levels:
            yield level.description
            yield level.sample
        yield from self.watch


def read_rubric(directive: dict[str, Any], points: float) -> Rubric:
    """The rubric in an exercise's directive: its `levels`, and its `marks` and `watch` if any.

    Args:
        directive: the directive, as YAML gives it.
        points: the most that the exercise can earn.

    Raises:
        ValueError: the rubric is wrong; the message says what and how to mend it.
    """
    found = directive.get("levels")
    if not isinstance(found, list) or not found:
        raise ValueError(
            "a question needs `levels:`, a list from full points down to 0, each with points, "
            "name, description and sample"
        )
    levels = tuple(_level(number, one) for number, one in enumerate(found, 1))
    if levels[0].points != points:
        raise ValueError(
            f"the first level earns {levels[0].points:g}, the question {points:g}; make them agree"
        )
    for higher, lower in pairwise(levels):
        if lower.points >= higher.points:
            raise ValueError(
                f"level {lower.name!r} ({lower.points:g}) stands below {higher.name!r} "
                f"({higher.points:g}); order the levels from full points down"
            )
    if levels[-1].points != 0:
        raise ValueError(f"the last level earns {levels[-1].points:g}; add one that earns 0")
    return Rubric(levels, _lines(directive, "marks"), _lines(directive, "watch"))


_TEXTS = ("name", "description", "sample")


def _level(number: int, found: Any) -> Level:
    """One level from its YAML; `number` counts from 1."""
    if not isinstance(found, dict) or set(found) != {"points", *_TEXTS}:
        raise ValueError(f"level {number} must have points, {', '.join(_TEXTS)}, and nothing else")
    points = found["points"]
    if isinstance(points, bool) or not isinstance(points, int | float):
        raise ValueError(f"level {number}: points must be a number, not {points!r}")
    for key in _TEXTS:
        if not isinstance(found[key], str) or not found[key].strip():
            raise ValueError(f"level {number}: {key} must be words; put them in double quotes")
    return Level(float(points), *(" ".join(found[key].split()) for key in _TEXTS))


def _lines(directive: dict[str, Any], key: str) -> tuple[str, ...]:
    """A list of lines, which may be missing.

    YAML reads an unquoted `- 1 point: why` as a mapping; it is what the author meant.
    """
    found = directive.get(key, [])
    found = [
        ", ".join(f"{part}: {value}" for part, value in line.items())
        if isinstance(line, dict)
        else line
        for line in (found if isinstance(found, list) else [found])
    ]
    if not all(isinstance(line, str) and line.strip() for line in found):
        raise ValueError(f"{key} must be a list of lines")
    return tuple(" ".join(line.split()) for line in found)
