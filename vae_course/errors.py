"""Errors that a person can act on: each names the file, the cause and the cure."""

import sys
from collections.abc import Callable


class CourseError(Exception):
    """Something failed that the reader can mend. The message is one clear line."""

    exit_code = 1


class UsageError(CourseError):
    """The command itself was wrong: an unknown assignment, a folder that does not exist."""

    exit_code = 2


def run_command(command: Callable[[], object]) -> None:
    """Run a command line, and turn what went wrong into one line on stderr and an exit code."""
    try:
        command()
    except CourseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
