"""Submissions in, and pages back: from and for the zips of universities' systems."""

from enum import StrEnum


class System(StrEnum):
    """In which students hand in."""

    canvas = "canvas"
    moodle = "moodle"
