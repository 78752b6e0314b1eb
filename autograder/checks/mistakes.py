"""Wrong answers that are known by their values, so that a message can say what was done.

A value that fits no known mistake, or several of them, gets no such sentence: what was observed is
then all that is said.
"""

from collections.abc import Mapping
from typing import Any

from autograder import expect


def recognised(
    got: Any, known: Mapping[str, Any], *, rtol: float = 1e-3, atol: float = 1e-4
) -> str:
    """The sentence, with a blank before it, of the one known mistake that gives `got`; else "".

    Args:
        got: the student's answer, as it crossed over.
        known: what was done, in a sentence, and the value that this gives for the same inputs.
        rtol, atol: as in `torch.allclose`.
    """
    found = [
        said for said, value in known.items() if expect.alike(got, value, rtol=rtol, atol=atol)
    ]
    return f" {found[0]}" if len(found) == 1 else ""
