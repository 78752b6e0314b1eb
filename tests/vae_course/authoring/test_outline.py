"""What stands where: every object once, before it is needed, and nothing that would not run."""

import pytest

from vae_course.authoring.assignment import load_assignment
from vae_course.authoring.outline import (
    AnswerBlock,
    CheckBlock,
    GivenBlock,
    GradeBlock,
    SetupBlock,
    outline,
    reference_namespace,
)
from vae_course.errors import CourseError


def kinds(found):
    return [type(block).__name__.removesuffix("Block") for block in found.blocks]


def given(found):
    return [[o.name for o in b.objects] for b in found.blocks if isinstance(b, GivenBlock)]


def test_answer_check_and_grade_stand_in_this_order(tiny):
    assert kinds(outline(load_assignment("ps1"))) == (
        "Prose Setup Prose Given Answer Check Grade Plain Prose Question Question".split()
        + ["Prose", "HandIn"]
    )


def test_a_second_check_comes_before_the_grade_cell_and_prose_between_stays(tiny):
    tiny.change(
        "ps1.md",
        "```{code-cell}\nvalue",
        "One more.\n\n```{code-cell}\n---\ncheck: ps1_area\nname: zero\n---\n"
        "assert area(0.0) == 0\n```\n\n```{code-cell}\nvalue",
    )
    assert kinds(outline(load_assignment("ps1")))[4:9] == ("Answer Check Prose Check Grade".split())


def test_the_closure_is_given_once_and_constants_come_along(tiny):
    found = outline(load_assignment("ps1"))
    assert given(found) == [["LEFT", "twice"]]
    assert [one.name for one in found.blank] == ["area"]


def test_helpers_of_a_solution_are_given_just_before_its_blank(tiny):
    found = outline(load_assignment("ps2"))
    assert given(found) == [["LEFT", "twice", "area"], ["_scale"]]
    before = {type(b): found.blocks[i - 1] for i, b in enumerate(found.blocks)}
    assert isinstance(before[AnswerBlock], GivenBlock)


def test_imports_of_code_and_of_the_texts_own_cells_are_gathered_in_the_setup(tiny):
    found = outline(load_assignment("ps1"))
    setup = next(block for block in found.blocks if isinstance(block, SetupBlock))
    # math from the reference, os from the set-up cell, json from a plain cell that forgot it.
    assert setup.imports == "import json\nimport math\nimport os"
    assert "import" not in setup.body


def test_common_names_need_no_import_of_their_own(tiny):
    tiny.change("ps1.md", "value = area(2.0)", "value = np.sqrt(area(2.0)); plt.figure(); F, nn")
    setup = next(b for b in outline(load_assignment("ps1")).blocks if isinstance(b, SetupBlock))
    for line in (
        "import numpy as np",
        "import matplotlib.pyplot as plt",
        "import torch.nn.functional as F",
        "from torch import nn",
    ):
        assert line in setup.imports.splitlines()


def test_a_given_object_may_stand_on_an_exercise_before_it(tiny):
    tiny.change(
        "ps1.md",
        "```{code-cell}\nvalue",
        "```{code-cell}\n---\ngiven: tinyref.shapes.Shape\n---\n```\n\n```{code-cell}\nvalue",
    )
    assert given(outline(load_assignment("ps1"))) == [["LEFT", "twice"], ["Shape"]]


@pytest.mark.parametrize(
    ("old", "new", "at", "words"),
    [
        ("twice\n", "twise\n", "given:", ["there is no twise", "did you mean twice"]),
        ("maths.area\n", "math.area\n", "exercise: ps1_area", ["no module", "mean maths?"]),
        (
            "given: tinyref.maths.twice",
            "given: tinyref.shapes.Shape",
            "given:",
            ["needs tinyref.maths.area", "only later, in ps1_area"],
        ),
        (
            "given: tinyref.maths.twice",
            "given: tinyref.maths.area",
            "given:",
            ["is what exercise ps1_area asks for"],
        ),
        (
            "```{code-cell}\nvalue",
            "```{code-cell}\n---\ngiven: tinyref.maths.twice\n---\n```\n\n```{code-cell}\nvalue",
            None,
            ["tinyref.maths.twice stands already"],
        ),
        (
            "solution: tinyref.maths.area\n",
            "solution: [tinyref.maths.area, tinyref.maths.twice]\n",
            "given:",
            ["is what exercise ps1_area asks for"],
        ),
        ("print(twice(value)", "print(twic(value)", "print(", ["twic", "did you mean twice?"]),
        ("print(twice(value)", "print(halve(value)", "print(", ["uses halve", "nothing before"]),
        ("\nimport os\n", "\nimport os\nx = area(1)\n", "x = area", ["before the cell in which"]),
        ("value = area(2.0)", "value = twice = area(2.0)", "value = twice", ["one flat namespace"]),
        ("value = area(2.0)", "value = os = 1", "value = os", ["set-up cell imports"]),
        ("value = area(2.0)", "value = = 1", "value = = 1", ["is not plain Python"]),
        ("value = area(2.0)", "%matplotlib inline", "%matplotlib", ["is not plain Python"]),
        ("value = area(2.0)", "import tinyref", "import tinyref", ["stands on its own"]),
        ("value = area(2.0)", "from autograder import x", "from autograder", ["on its own"]),
        ("value = area(2.0)", "# END SOLUTION\nvalue = 1", "# END SOL", ["nbgrader's own text"]),
    ],
)
def test_what_would_not_run_is_one_line_with_file_and_line(tiny, old, new, at, words):
    tiny.change("ps1.md", old, new)
    with pytest.raises(CourseError) as caught:
        outline(load_assignment("ps1"))
    message = str(caught.value)
    assert "\n" not in message
    if at is not None:
        line = tiny.line("ps1.md", at)
        # A directive's own line is its fence.
        lines = {line, line - 1, line - 2, line - 3, line - 4, line - 5} if ":" in at else {line}
        assert any(f"ps1.md:{number}: " in message for number in lines), message
    for word in words:
        assert word in message


def test_two_objects_of_one_name_are_refused(tiny):
    tiny.write("tinyref/other.py", "def twice(x):\n    return 2 * x\n")
    tiny.change("ps1.md", "given: tinyref.maths.twice", "given: [tinyref.other.twice]")
    with pytest.raises(CourseError, match=r"both define twice.*flat namespace"):
        outline(load_assignment("ps1"))


def test_imports_that_bind_one_name_to_two_things_are_refused(tiny):
    tiny.change("ps1.md", "\nimport os\n", "\nimport os\nimport cmath as math\n")
    with pytest.raises(CourseError, match=r"`import cmath as math` and `import math`"):
        outline(load_assignment("ps1"))


def test_a_starter_must_define_what_the_exercise_asks_for(tiny):
    tiny.change("ps2.md", "def halve(x: float)", "def half(x: float)")
    with pytest.raises(CourseError, match="the starter does not define halve"):
        outline(load_assignment("ps2"))


def test_reference_namespace_holds_given_and_solved_objects(tiny):
    names = reference_namespace("ps2")
    assert set(names) == {"LEFT", "RIGHT", "twice", "area", "Shape", "_scale", "halve"}
    assert names["halve"](4.0) == 2.0
    assert names["Shape"](1.0).name() == "shape"


def test_reference_namespace_of_the_real_course_is_the_reference():
    from vae_course import probability, vae

    names = reference_namespace("ps2")
    assert names["gaussian_kl"] is probability.gaussian_kl
    assert names["VAE"] is vae.VAE


def test_real_outlines_place_checks_between_answer_and_grade():
    for name in ("ps1", "ps2"):
        blocks = outline(load_assignment(name)).blocks
        for index, block in enumerate(blocks):
            if isinstance(block, GradeBlock):
                before = blocks[index - 1]
                assert isinstance(before, AnswerBlock | CheckBlock)
                own = before.cell.id if isinstance(before, AnswerBlock) else before.cell.exercise
                assert own == block.cell.id
