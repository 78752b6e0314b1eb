"""Fresh inputs for a check, from a seed that the verdict records."""

import hashlib
import os
import secrets

import torch

from autograder.record import SEED_VARIABLE
from vae_course.errors import CourseError


class Draw:
    """Draws inputs. The same seed gives the same inputs, on any machine.

    Args:
        seed: the verdict's seed.
        topic: what the inputs are for, so that two exercises do not share theirs.
    """

    def __init__(self, seed: int, topic: str = ""):
        digest = hashlib.sha256(f"{topic}:{seed}".encode()).digest()
        self._generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))

    def normal(self, *shape: int, mean: float = 0.0, std: float = 1.0) -> torch.Tensor:
        return mean + std * torch.randn(shape, generator=self._generator)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        return low + (high - low) * torch.rand(shape, generator=self._generator)

    def integer(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return int(torch.randint(low, high + 1, (), generator=self._generator))

    def seed(self) -> int:
        return self.integer(0, 2**31 - 1)

    def images(self, count: int) -> torch.Tensor:
        """Smooth grey shapes, no two alike: (count, 1, 28, 28) in [0, 1]."""
        grid = torch.linspace(0, 1, 28)
        rows, columns = grid[:, None], grid[None, :]
        images = torch.zeros(count, 1, 28, 28)
        for image in images[:, 0]:
            for _ in range(3):
                x, y = self.uniform(2, low=0.2, high=0.8)
                width, height = self.uniform(2, low=0.05, high=0.2)
                bump = torch.exp(-(((columns - x) / width) ** 2) - ((rows - y) / height) ** 2)
                torch.maximum(image, bump, out=image)
        return images


def submission_seed() -> int:
    """What a submission's inputs are drawn from: AUTOGRADER_SEED if it is set, else fresh.

    Raises:
        CourseError: it is set to something else than a whole number.
    """
    text = os.environ.get(SEED_VARIABLE, "").strip()
    if not text:
        return secrets.randbelow(2**31)
    if not text.isdecimal():
        raise CourseError(f"{SEED_VARIABLE}={text}: a whole number from 0 on was expected")
    return int(text)
