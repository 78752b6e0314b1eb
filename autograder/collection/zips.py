"""Zips of other people's files, unpacked as if somebody meant harm."""

import itertools
import os
import re
import stat
import unicodedata
import zipfile
import zlib
from datetime import datetime
from pathlib import Path, PurePosixPath

from autograder.collection.outcome import NOT_UNDERSTOOD, Outcome, flat
from autograder.intake import plain_files
from autograder.notebooks import plain
from vae_course.errors import CourseError, UsageError

MAX_MEMBERS = 20_000
MAX_FILE_MB = 128
MAX_ZIP_MB = 4096
"""Of what a zip unpacks to. Five hundred notebooks with all their pictures have half of it."""

CHUNK = 2**20

RUBBISH = re.compile(r"(^|/)(__MACOSX/|\._|\.DS_Store$|Thumbs\.db$)")
"""What systems leave in folders, and nobody handed in."""


class UnreadableError(Exception):
    """A file in a zip can not be unpacked; the message says why."""


def check_there(*archives: Path) -> None:
    """Raises a UsageError if there is no such file."""
    for archive in archives:
        if not archive.exists():
            raise UsageError(f"{archive}: no such file; name the zip that the system handed out")


def names_in(archive: Path) -> list[str]:
    """The names of an archive's files, or of a folder into which it was unpacked.

    Raises:
        CourseError: it cannot be read.
    """
    if archive.is_dir():
        names = [written for written, _ in plain_files(archive)]
    else:
        try:
            with zipfile.ZipFile(archive) as opened:
                names = [_name_of(one)[0] for one in opened.infolist() if not one.is_dir()]
        except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise CourseError(
                f"{archive}: cannot be read as a zip ({error}); download it again"
            ) from error
    return [name for name in names if not RUBBISH.search(name) and not _leads_out(name)]


def unpack(archive: Path, folder: Path, outcome: Outcome) -> None:
    """Unpack into a folder what can be, and name what cannot."""
    if archive.is_dir():
        for written, path in plain_files(archive):
            if RUBBISH.search(written):
                continue
            if path.stat().st_size > MAX_FILE_MB * 2**20:
                outcome.tell(archive, written, f"is larger than {MAX_FILE_MB} MB")
                continue
            _put(folder, f"{archive.name}/{written}", path.read_bytes(), path.stat().st_mtime)
        return
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            if len(members) > MAX_MEMBERS:
                raise zipfile.BadZipFile(f"it holds more than {MAX_MEMBERS} files")
            room = MAX_ZIP_MB * 2**20
            for member in members:
                name, remark = _name_of(member)
                if member.is_dir() or RUBBISH.search(name):
                    continue
                try:
                    if room <= 0:
                        raise UnreadableError(f"the zip unpacks to more than {MAX_ZIP_MB} MB")
                    content = _content(opened, member)
                except UnreadableError as error:
                    outcome.tell(archive, name, f"{error}; it is still in the zip")
                    continue
                room -= len(content)
                if remark:
                    outcome.remarks.append(
                        f"{plain(archive.name, 100)}: {plain(name, 200)}{remark}"
                    )
                if _leads_out(name):
                    kept = outcome.keep(content, NOT_UNDERSTOOD, archive.stem, flat(name))
                    outcome.tell(archive, name, f"leads out of the zip; it is kept as {kept}")
                    continue
                _put(folder, name, content, _date(member))
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        outcome.tell(archive, "", f"cannot be read as a zip ({error}); download it again")


def _name_of(member: zipfile.ZipInfo) -> tuple[str, str]:
    """A file's name in a zip, and a remark if it is a guess.

    Canvas writes UTF-8 without saying so, and is then taken for the code page of old DOS.
    """
    name = member.filename
    if not member.flag_bits & 0x800:
        try:
            name = name.encode("cp437").decode()
        except UnicodeEncodeError:
            pass
        except UnicodeDecodeError:
            return unicodedata.normalize("NFC", name), ": the name is not UTF-8, and may be wrong"
    return unicodedata.normalize("NFC", name), ""


def _content(opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """A file's content, unless there is too much of it, whatever the zip says how much there is.

    Raises:
        UnreadableError: it is a link, encrypted, broken or larger.
    """
    mode = member.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise UnreadableError("is a link or a device, not a file")
    if member.flag_bits & 1:
        raise UnreadableError("is encrypted")
    parts, size = [], 0
    try:
        with opened.open(member) as file:
            while part := file.read(CHUNK):
                parts.append(part)
                size += len(part)
                if size > MAX_FILE_MB * 2**20:
                    raise UnreadableError(f"unpacks to more than {MAX_FILE_MB} MB")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UnreadableError(f"is broken ({error})") from error
    return b"".join(parts)


def _leads_out(name: str) -> bool:
    parts = re.split(r"[/\\]", name)
    return ".." in parts or name.startswith(("/", "\\")) or bool(re.match(r"[A-Za-z]:", name))


def _date(member: zipfile.ZipInfo) -> float:
    """When a file was made, or put into the zip; 1980 if the zip does not say."""
    try:
        return datetime(*member.date_time).timestamp()
    except (ValueError, OverflowError):
        return datetime(1980, 1, 1).timestamp()


def _put(folder: Path, name: str, content: bytes, made: float) -> None:
    """Write an unpacked file, into folders of which a second file of its name gets another."""
    parts = [flat(part) for part in PurePosixPath(name.replace("\\", "/")).parts]
    parts = parts or ["unnamed"]
    # Safari adds an end to names that it does not know.
    parts[-1] = re.sub(r"\.ipynb\.(txt|json)$", ".ipynb", parts[-1], flags=re.IGNORECASE)
    places = (folder.joinpath(f"{number}", *parts) for number in itertools.count())
    place = next(place for place in places if not place.exists())
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    os.utime(place, (made, made))
