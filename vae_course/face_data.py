"""A folder of faces, decoded once."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image as PILImage
from PIL import ImageOps
from torch import Tensor
from tqdm.auto import tqdm

from vae_course.data import data_folder, write_arrays
from vae_course.faces import DRAWN_ATTRIBUTES, draw_faces

DRIVE_FACES = Path("/content/drive/MyDrive/celeba")
ATTRIBUTE_FILES = ("list_attr_celeba.txt", "list_attr_celeba.first10000.txt")


class FaceData(NamedTuple):
    """A set of faces in colour, and what each of them shows.

    Images are uint8, of shape (N, 3, size, size), with values from 0 to 255, for they are many and
    bytes are small; attributes are bool, of shape (N, A), with a column for each attribute name.
    """

    name: str
    images: Tensor
    attributes: Tensor
    attribute_names: tuple[str, ...]


def load_faces(
    folder: str | Path | None = None, size: int = 64, limit: int | None = None
) -> FaceData:
    """Photographs of faces from a folder, all squeezed to one size.

    The course uses CelebA (Liu et al. 2015), 202,599 pictures of celebrities. Its people were never
    asked, and its licence allows non-commercial research only: do not publish its pictures, nor
    train anything on them that is meant for use. It has to be fetched by hand, from
    https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html.

    Args:
        folder: where the images are, in it or below it: JPEG or PNG, of any size, grey or in
            colour. Without it, the first that exists of `celeba` in the folder that the environment
            variable VAE_COURSE_DATA names, `celeba` on Google Drive if it is mounted, and
            `./data/celeba`.
        size: the height and width to squeeze to: the whole picture is kept, and its proportions
            are not.
        limit: how many images to take, the first by name; None for all. At size 64, ten thousand
            need 123 MB of memory.

    Returns:
        The images. Reading them takes a while, so they are kept in one file beside them, and the
        next time that file is read; it is made anew when the folder has changed. Attributes are
        read from CelebA's `list_attr_celeba.txt` if it lies in the folder or beside it; else there
        are none. Where there is no folder, 1,000 drawn faces stand in: a line says so, and `name`
        says so too.

    Raises:
        RuntimeError: the folder that was asked for is missing, or one holds no images or broken
            ones, or its list of attributes is damaged.
    """
    places = [DRIVE_FACES, Path("data") / "celeba"]
    if os.environ.get("VAE_COURSE_DATA"):
        places.insert(0, data_folder(None) / "celeba")
    if folder is not None:
        places = [Path(folder).expanduser()]
        if not places[0].is_dir():
            raise RuntimeError(f"{folder}: there is no such folder; check how it is spelt")
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        images, attributes = draw_faces(min(limit or 1000, 1000), size)
        looked = " or ".join(str(place) for place in places if place != DRIVE_FACES)
        print(
            f"There is no folder of faces ({looked}): {len(images):,} drawn faces of nobody stand "
            "in for CelebA. For photographs, put them into that folder, or in Colab into the "
            "folder celeba of your mounted Google Drive."
        )
        return FaceData("drawn faces (in place of CelebA)", images, attributes, DRAWN_ATTRIBUTES)

    files = sorted(
        Path(parent, name)
        for parent, _, names in os.walk(found)
        for name in names
        if name.lower().endswith((".jpg", ".jpeg", ".png")) and not name.startswith(".")
    )[:limit]
    if not files:
        raise RuntimeError(
            f"{found}: holds no JPEG or PNG images; put some there, or remove the folder"
        )
    attributes, names = _read_attributes(found, files)
    images = _squeeze_all(found, files, size, limit)
    return FaceData(f"faces in {found}", torch.from_numpy(images), attributes, names)


def _squeeze_all(folder: Path, files: Sequence[Path], size: int, limit: int | None) -> np.ndarray:
    """The images as uint8 (N, 3, size, size), from the file that keeps them if it still fits."""
    stamp = hashlib.sha256(f"squeezed to {size}".encode())
    for file in files:
        state = file.stat()
        entry = (str(file.relative_to(folder)), state.st_size, state.st_mtime_ns)
        stamp.update(repr(entry).encode())
    key = stamp.hexdigest()
    name = f"squeezed-{size}{'' if limit is None else f'-first-{limit}'}.npz"
    # Where the folder may not be written to, below ./data, under a name of the folder's own.
    own = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
    places = [folder / name, Path("data") / f"{folder.name}-{own}" / name]
    for place in places:
        try:
            with np.load(place) as kept:
                if str(kept["key"]) == key:
                    return kept["images"]
        except Exception:  # missing or damaged: it is made anew
            continue

    images = _decode_all(files, size)
    for place in places:
        try:
            write_arrays(place, key=np.array(key), images=images)
        except OSError as error:
            problem = f"{place.parent} cannot be written to ({error.strerror or error})"
            continue
        if place != places[0]:
            print(f"{problem}: the squeezed faces are kept in {place}")
        return images
    print(f"{problem}: the squeezed faces are not kept, and the next time they are read again")
    return images


def _decode_all(files: Sequence[Path], size: int) -> np.ndarray:
    images = np.empty((len(files), 3, size, size), dtype=np.uint8)
    broken = []

    def decode(index: int) -> None:
        try:
            with PILImage.open(files[index]) as image:
                upright = ImageOps.exif_transpose(image)  # as a camera was held
                if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
                    upright = upright.convert("RGBA")
                    paper = PILImage.new("RGBA", upright.size, "white")
                    upright = PILImage.alpha_composite(paper, upright)
                small = upright.convert("RGB").resize((size, size), PILImage.Resampling.BILINEAR)
            images[index] = np.asarray(small).transpose(2, 0, 1)
        except Exception as error:  # whatever a damaged file makes of its decoder
            broken.append((index, error))

    # Threads, because decoding happens outside of Python, and a Drive is slow to answer.
    with ThreadPoolExecutor(4) as pool, tqdm(total=len(files), unit="image") as bar:
        for start in range(0, len(files), 256):
            block = range(start, min(start + 256, len(files)))
            for _ in pool.map(decode, block):
                bar.update()
    if broken:
        index, error = min(broken, key=lambda entry: entry[0])
        more = f" (and {len(broken) - 1} more files)" if len(broken) > 1 else ""
        raise RuntimeError(
            f"{files[index]}{more}: cannot be read as an image "
            f"({str(error) or type(error).__name__}); delete it, or copy it here again"
        ) from error
    return images


def _read_attributes(folder: Path, files: Sequence[Path]) -> tuple[Tensor, tuple[str, ...]]:
    """What CelebA's list says of the images: bool (N, A) and A names, or nothing of none."""
    nothing = torch.zeros(len(files), 0, dtype=torch.bool), ()
    lists = [place / name for place in (folder, folder.parent) for name in ATTRIBUTE_FILES]
    path = next((path for path in lists if path.is_file()), None)
    if path is None:
        return nothing
    try:
        _, header, *lines = path.read_text().splitlines()  # the first line is how many there are
        names, rows = tuple(header.split()), {}
        for line in lines:
            file, *values = line.split()
            if len(values) != len(names) or not set(values) <= {"1", "-1"}:
                raise ValueError(f"of {file} it says {len(values)} things, not {len(names)}")
            rows[file] = values
    except (OSError, ValueError) as error:
        raise RuntimeError(
            f"{path}: cannot be read as CelebA's list of attributes ({error}); "
            "copy it here again, or delete it"
        ) from error
    unknown = [file for file in files if file.name not in rows]
    if unknown:
        print(
            f"{path} says nothing of {len(unknown)} of the {len(files)} images "
            f"({unknown[0].name} for one): no attributes are used"
        )
        return nothing
    return torch.from_numpy(np.array([rows[file.name] for file in files]) == "1"), names
