"""What came of a collection: lists for whoever collects, and a folder in which nothing is lost."""

import itertools
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from autograder.notebooks import plain
from vae_course.files import write_atomically

COLLECTED_FOLDER = "collected"
NOT_UNDERSTOOD, OTHER_ATTEMPTS, REPLACED = "not_understood", "other_attempts", "replaced"
"""Folders in collected/ASSIGNMENT."""


@dataclass
class Outcome:
    """What came of a collection.

    Attributes:
        taken: what happened to each student's submission, a line each.
        not_understood: what was not, and why, a line each.
        attempts: files of which a later one was taken, a line each.
        absent: students of the roster of whom nothing came.
        remarks: on the roster.
        kept: the folder in which all the others are kept.
    """

    kept: Path
    taken: list[str] = field(default_factory=list)
    not_understood: list[str] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def keep(self, content: bytes, *place: str) -> str:
        """Keep a file in the folder of the collection, and say where."""
        *folders, name = place
        folder = self.kept.joinpath(*folders)
        stem, suffix = os.path.splitext(name)
        for number in itertools.count(1):
            path = folder / (name if number == 1 else f"{stem}~{number}{suffix}")
            if not path.exists():
                write_atomically(path, content)
            if path.read_bytes() == content:
                return "/".join([COLLECTED_FOLDER, *path.relative_to(self.kept.parent).parts])
        raise AssertionError("there is a number for every file")

    def tell(self, archive: Path, name: str, reason: str) -> None:
        """Name a file of an archive, or the archive itself, that was not understood."""
        place = " ".join(filter(None, (f"{archive.name}:", name)))
        self.not_understood.append(f"{plain(place, 300)}: {plain(reason, 500)}")


def flat(name: str) -> str:
    """A name in which no part is a folder or hidden, that any file system takes."""
    flat = re.sub(r"[/\\:]+", "_", plain(name)).replace("\n", " ").replace("\t", " ").lstrip(". ")
    while len(flat.encode(errors="replace")) > 200:
        flat = flat[1:]  # the end has the file's kind
    return flat.encode(errors="replace").decode() or "unnamed"
