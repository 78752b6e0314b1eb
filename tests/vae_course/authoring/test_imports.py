"""The block of imports on top of a notebook."""

import ast

from vae_course.authoring.imports import render, split
from vae_course.authoring.reference import Import, imports_of


def test_groups_sorted_merged_and_each_once():
    imports = [
        Import("torch"),
        Import("os"),
        Import("torch", "Tensor"),
        Import("torch", "nn"),
        Import("torch.nn.functional", None, "F"),
        Import("collections.abc", "Callable"),
        Import("torch", "nn"),
        Import("math", "pi", "PI"),
        Import("collections.abc", "Sequence"),
    ]
    assert render(imports) == (
        "import os\n"
        "from collections.abc import Callable, Sequence\n"
        "from math import pi as PI\n"
        "\n"
        "import torch\n"
        "import torch.nn.functional as F\n"
        "from torch import Tensor, nn"
    )


def test_long_lines_are_wrapped_and_say_the_same():
    imports = {Import("matplotlib.backends.backend_agg", f"name_{i}") for i in range(9)}
    text = render(imports)
    assert max(map(len, text.splitlines())) <= 88
    assert set(imports_of(ast.parse(text))) == imports


def test_split_takes_the_imports_and_leaves_the_rest():
    code = "import os  # why\n\n# what\nx = os.sep\nfrom math import (\n    pi,\n)\ny = pi"
    found, left = split(code)
    assert found == [Import("os"), Import("math", "pi")]
    assert left == "# what\nx = os.sep\ny = pi"
