"""A course in miniature: a reference package and assignments of its own, in a scratch folder."""

import importlib
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from vae_course.authoring import assignment
from vae_course.authoring.build import Built, build_assignment

MATHS = '''
"""Arithmetic."""

import math
from functools import partial

LEFT, RIGHT = 2.0, 3.0


def twice(x: float) -> float:
    """Two times x."""
    return LEFT * x


# How round things are.
def area(radius: float) -> float:
    """The area of a disc.

    Args:
        radius: in metres.
    """
    # a remark before the first statement
    square = radius**2
    return math.pi * square * (RIGHT - LEFT) + 0.0 * twice(radius)
    # a closing remark


def halve(x: float) -> float:
    """Half of x, by way of `twice`'s opposite."""
    return partial(_scale, 0.5)(x)


def _scale(factor: float, x: float) -> float:
    return factor * x
'''

SHAPES = '''
"""Shapes."""

import abc

from tinyref.maths import area


class Shape(abc.ABC):
    """Something flat."""

    corners: int = 0

    def __init__(self, size: float) -> None:
        """Remember the size.

        Args:
            size: in metres.
        """
        super().__init__()
        self.size = float(size)
        self.scaled = [side * self.size + side**2 - 1.0 for side in (1, 2, 3)]

    @property
    def area(self) -> float:
        """In square metres."""
        return area(self.size) * len(self.scaled) / 3 + self.corners

    def name(self) -> str:
        """What it is called."""
        return "shape"
'''

PS1 = """
# Tiny one

Goals.

<details>
<summary>Hint 1: a number</summary>

It has to do with *pi*.
</details>

```{code-cell}
---
setup: true
---
import os
FULL_RUN = "NBGRADER_EXECUTION" not in os.environ
```

## Discs

```{code-cell}
---
given: tinyref.maths.twice
---
```

```{code-cell}
---
exercise: ps1_area
points: 2
solution: tinyref.maths.area
graded: areas of several discs
---
```

```{code-cell}
---
check: ps1_area
---
assert abs(area(1.0) - math.pi) < 1e-6, "a disc of radius one has the area pi"
```

```{code-cell}
value = area(2.0)
print(twice(value), json.dumps(FULL_RUN))
```

## Words

```{code-cell}
---
exercise: ps1_why
question: manual
points: 2
marks:
  - "1 point: names the square of the radius"
  - 1 point: says why it is not the circumference
levels:
  - points: 2
    name: strong
    description: both of these
    sample: "Pi times the square of the radius; the circumference is a length."
  - points: 0.5
    name: thin
    description: "the square without its radius"
    sample: "Something squared, I think."
  - points: 0
    name: weak
    description: a length
    sample: "Twice pi times the radius, as always."
watch:
  - "'It is 3.14': that is the area of one disc only."
---
*Your answer (at most 50 words):*
```

```{code-cell}
---
exercise: ps1_explore
question: task
points: 3
levels:
  - points: 3
    name: strong
    description: draws more than one disc of another radius
    sample: "Cells: discs of radius 1, 2 and 5."
  - {points: 0, name: weak, description: draws nothing of their own, sample: "No cells."}
---
Draw some discs in cells of your own below.
```
"""

PS2 = """
# Tiny two

```{code-cell}
---
setup: true
---
```

<details>
<summary>A hint</summary>

What is `side`?
</details>

```{code-cell}
---
given: tinyref.maths.area
---
```

```{code-cell}
---
exercise: ps2_shape
points: 1.5
solution: tinyref.shapes.Shape
graded: sizes and areas
---
```

<details>
<summary>Hint 1: of what?</summary>

Of four, it is two.
</details>

```{code-cell}
---
exercise: ps2_halve
points: 1
start: true
solution: tinyref.maths.halve
graded: halves
---
def halve(x: float) -> float:
    \"\"\"Half of x, by way of `twice`'s opposite.\"\"\"
    return x - 1  # something is wrong here
```

```{code-cell}
---
check: ps2_halve
---
assert halve(4.0) == 2.0, "half of four is two"
```
"""


class Tiny:
    """The folders of the miniature course, and a way to change its files."""

    def __init__(self, root: Path) -> None:
        self.reference = root / "lib" / "tinyref"
        self.assignments = root / "assignments"
        self.course = root / "course"
        for folder in (self.reference, self.assignments, self.course):
            folder.mkdir(parents=True)
        self.write("tinyref/__init__.py", "")
        self.write("tinyref/maths.py", MATHS)
        self.write("tinyref/shapes.py", SHAPES)
        self.write("ps1.md", PS1)
        self.write("ps2.md", PS2)

    def path(self, name: str) -> Path:
        folder = self.assignments if name.endswith(".md") else self.reference.parent
        return folder / name

    def write(self, name: str, text: str) -> None:
        self.path(name).write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")

    def change(self, name: str, old: str, new: str) -> None:
        """Replace a piece of text in a file; it must stand there once."""
        text = self.path(name).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        self.path(name).write_text(text.replace(old, new), encoding="utf-8")

    def line(self, name: str, text: str) -> int:
        """The line (from 1) on which a piece of text stands in a file."""
        lines = self.path(name).read_text(encoding="utf-8").splitlines()
        return next(number for number, line in enumerate(lines, 1) if text in line)

    def build(self, name: str = "ps1") -> Built:
        return build_assignment(name)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tiny]:
    course = Tiny(tmp_path)

    def forget() -> None:
        for name in [name for name in sys.modules if name.split(".")[0] == "tinyref"]:
            del sys.modules[name]
        importlib.invalidate_caches()

    forget()
    monkeypatch.syspath_prepend(str(course.reference.parent))
    monkeypatch.setattr(assignment, "assignments_folder", lambda: course.assignments)
    yield course
    forget()
