"""Errors that a person can act on: each names the file, the cause and the cure."""


class CourseError(Exception):
    """Something failed that the reader can mend. The message is one clear line."""

    exit_code = 1


class UsageError(CourseError):
    """The command itself was wrong: an unknown assignment, a folder that does not exist."""

    exit_code = 2
