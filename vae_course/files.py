"""Writing files so that a reader never finds half of one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from vae_course.errors import CourseError


def write_atomically(path: Path | str, content: bytes | str) -> None:
    """Write `content` beside `path`, then rename: whoever reads sees the old file or the new one.

    Args:
        path: the file to write; its folder is made if it is missing.
        content: bytes, or text that is written as UTF-8 with the line ends it has.

    Raises:
        CourseError: the folder cannot be written to. The old file, if any, is untouched.
    """
    with replacing(Path(path)) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` once all of it is written, as `write_atomically` does.

    Raises:
        CourseError: the folder cannot be written to. The old file, if any, is untouched.
    """
    beside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o666 & ~_umask())
        os.replace(beside, path)
        beside = None
    except OSError as error:
        raise CourseError(
            f"{path}: cannot be written ({error.strerror or error}); "
            "check that the folder exists, is yours to write, and has room"
        ) from error
    finally:
        if beside is not None and os.path.exists(beside):
            os.unlink(beside)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
