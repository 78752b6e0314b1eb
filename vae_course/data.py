"""The images of the course: real sets, and stand-ins that need no network."""

import errno
import hashlib
import io
import os
import socket
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image as PILImage
from PIL import ImageOps
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset
from torchvision import datasets
from tqdm.auto import tqdm

from vae_course.faces import DRAWN_ATTRIBUTES, draw_faces

DOWNLOAD_TIMEOUT = 15  # seconds: a network that swallows packets would hang for minutes
# More places that serve the very files of torchvision's own list, which checks what comes.
MORE_MIRRORS = {
    "MNIST": ("https://storage.googleapis.com/cvdf-datasets/mnist/",),
    "FashionMNIST": (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
}
AMAT_MIRRORS = (
    "https://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
    "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
)
AMAT_SHA256 = {
    "binarized_mnist_train": "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
    "binarized_mnist_valid": "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
    "binarized_mnist_test": "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
}
DRIVE_FACES = Path("/content/drive/MyDrive/celeba")
ATTRIBUTE_FILES = ("list_attr_celeba.txt", "list_attr_celeba.first10000.txt")


class ImageData(NamedTuple):
    """A set of grey images, split into what a model trains on and what it is tested on.

    Images are float32, of shape (N, 1, 28, 28), with values in [0, 1]; labels are whole numbers
    from 0 to 9, of shape (N,).
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


class FaceData(NamedTuple):
    """A set of faces in colour, and what each of them shows.

    Images are uint8, of shape (N, 3, size, size), with values from 0 to 255, for they are many and
    bytes are small; attributes are bool, of shape (N, A), with a column for each attribute name.
    """

    name: str
    images: Tensor
    attributes: Tensor
    attribute_names: tuple[str, ...]


def load_mnist(root: str | Path | None = None, download: bool = True) -> ImageData:
    """MNIST: 60,000 handwritten digits to train on and 10,000 to test on (LeCun et al. 1998).

    Args:
        root: the folder that holds (or shall hold) torchvision's folder `MNIST`. Without it, the
            environment variable VAE_COURSE_DATA says where, and without that it is `./data`.
        download: whether to fetch the files if they are missing.

    Returns:
        The images. Where MNIST can not be had, small digits from scikit-learn stand in for it:
        a line says so, and `name` says so too.

    Raises:
        RuntimeError: the files are there, and damaged.
    """
    return _load_images(datasets.MNIST, root, download)


def load_fashion_mnist(root: str | Path | None = None, download: bool = True) -> ImageData:
    """Fashion-MNIST: 60,000 images of clothes to train on, 10,000 to test on (Xiao et al. 2017).

    Args:
        root: the folder that holds (or shall hold) torchvision's folder `FashionMNIST`. Without it,
            the environment variable VAE_COURSE_DATA says where, and without that it is `./data`.
        download: whether to fetch the files if they are missing.

    Returns:
        The images. Where Fashion-MNIST cannot be had, small digits from scikit-learn stand in for
        it: a line says so, and `name` says so too.

    Raises:
        RuntimeError: the files are there, and damaged.
    """
    return _load_images(datasets.FashionMNIST, root, download)


def _load_images(
    dataset: type[datasets.MNIST], root: str | Path | None, download: bool
) -> ImageData:
    root = _data_folder(root)
    name = dataset.__name__
    folder = root / name / "raw"
    files = [folder / Path(archive).stem for archive, _ in dataset.resources]
    if not all(file.is_file() for file in files):
        problem = _download(dataset, root) if download else "download=False"
        if problem:
            print(
                f"{name} is not in {root} and was not downloaded ({problem}): scikit-learn's 1,797 "
                f"small handwritten digits, enlarged to 28x28, stand in for it. For the real set, "
                f"set VAE_COURSE_DATA to a folder that holds torchvision's {name}/raw."
            )
            return _digits_stand_in(name)
    try:
        train, test = (dataset(root, train=is_train) for is_train in (True, False))
        for part in (train, test):
            if part.data.shape != (len(part.targets), 28, 28):
                raise ValueError(f"{len(part.targets)} labels, images {tuple(part.data.shape)}")
    except Exception as error:  # torchvision reports damage in a dozen ways
        raise RuntimeError(
            f"{folder}: these files are damaged or cut short ({error or type(error).__name__}); "
            "delete the folder and load again"
        ) from error
    images = [part.data.unsqueeze(1).float() / 255 for part in (train, test)]
    return ImageData(name, images[0], train.targets, images[1], test.targets)


def _data_folder(root: str | Path | None) -> Path:
    return Path(root or os.environ.get("VAE_COURSE_DATA") or "data").expanduser()


def _download(dataset: type[datasets.MNIST], root: Path) -> str:
    """Fetch the files into root; return what went wrong, or nothing at all."""
    name = dataset.__name__
    mirrors = [*dataset.mirrors, *MORE_MIRRORS.get(name, ())]
    # torchvision names the folder after the class, so this one needs the same name.
    patient = type(name, (dataset,), {"mirrors": mirrors})
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        root.mkdir(parents=True, exist_ok=True)
        # Aside first: whoever interrupts a download must not leave half a file for a whole one.
        with tempfile.TemporaryDirectory(dir=root) as aside:
            with redirect_stderr(io.StringIO()):  # eight progress bars
                patient(aside, download=True)
            folder = root / name / "raw"
            folder.mkdir(parents=True, exist_ok=True)
            for file in (Path(aside) / name / "raw").iterdir():
                os.replace(file, folder / file.name)
    except (OSError, RuntimeError, EOFError, HTTPException) as error:
        return str(error).strip().split("\n")[-1] or type(error).__name__
    finally:
        socket.setdefaulttimeout(timeout)
    return ""


def load_binarized_mnist(root: str | Path | None = None, download: bool = True) -> ImageData:
    """MNIST in black and white for good: Larochelle's fixed binarisation (Larochelle, Murray 2011).

    Each pixel was drawn once, white with the probability that its grey value is, by Salakhutdinov
    and Murray (2008). Results on this set can be compared, for everybody has the same pixels.

    Args:
        root: the folder that holds (or shall hold) the folder `binarized_mnist`, as for
            `load_mnist`.
        download: whether to fetch the files (about 110 MB, kept as 7 MB) if they are missing.

    Returns:
        Images of zeros and ones, 60,000 to train on and 10,000 to test on. The last 10,000 of the
        60,000 are the validation set. They are not in the order of MNIST, and nobody published
        labels for them, so all labels are 0. Where the set can not be had, scikit-learn's digits
        stand in for it, white where they are brighter than 0.5: a line says so, and `name` too.

    Raises:
        RuntimeError: the files are there, and damaged.
    """
    folder = _data_folder(root) / "binarized_mnist"
    missing = [name for name in AMAT_SHA256 if _find_binarized(folder, name) is None]
    if missing:
        problem = _download_binarized(folder, missing) if download else "download=False"
        if problem:
            print(
                f"Binarised MNIST is not in {folder} and was not downloaded ({problem}): "
                "scikit-learn's 1,797 small handwritten digits, enlarged to 28x28 and made black "
                "and white, stand in for it. For the real set, put its three files "
                f"{AMAT_MIRRORS[0]}binarized_mnist_*.amat into that folder."
            )
            name, train, train_labels, test, test_labels = _digits_stand_in("binarised MNIST")
            train, test = (train > 0.5).float(), (test > 0.5).float()
            return ImageData(name, train, train_labels, test, test_labels)
    parts = []
    for name in AMAT_SHA256:
        pixels = _read_binarized(_find_binarized(folder, name))
        parts.append(torch.from_numpy(pixels).float().view(-1, 1, 28, 28))
    train, test = torch.cat(parts[:2]), parts[2]
    labels = [torch.zeros(len(images), dtype=torch.int64) for images in (train, test)]
    return ImageData("binarised MNIST", train, labels[0], test, labels[1])


def _find_binarized(folder: Path, name: str) -> Path | None:
    for path in (folder / f"{name}.npz", folder / f"{name}.amat"):
        if path.is_file():
            return path
    return None


def _read_binarized(path: Path) -> np.ndarray:
    """The pixels of a file, uint8 of shape (N, 784): packed bits, or Larochelle's own text."""
    try:
        if path.suffix == ".npz":
            with np.load(path) as file:
                pixels = np.unpackbits(file["packed"], axis=1)[:, :784]
        else:
            pixels = _parse_amat(path.read_bytes())
        if pixels.shape != (len(pixels), 784) or not len(pixels):
            raise ValueError(f"{len(pixels)} images of {pixels.shape[1]} pixels")
    except Exception as error:  # zip files too report damage in a dozen ways
        raise RuntimeError(
            f"{path}: this file is damaged or cut short ({error or type(error).__name__}); "
            "delete it and load again"
        ) from error
    return pixels


def _parse_amat(text: bytes) -> np.ndarray:
    """One line for each image, 784 times 0 or 1 in each, with blanks between them."""
    symbols = np.frombuffer(text, dtype=np.uint8)
    is_pixel = (symbols == ord("0")) | (symbols == ord("1"))
    if not (is_pixel | np.isin(symbols, list(b" \r\n"))).all():
        raise ValueError("something stands in it that is neither 0 nor 1")
    pixels = symbols[is_pixel] - ord("0")
    if len(pixels) % 784:
        raise ValueError(f"{len(pixels)} pixels, which is no multiple of 784")
    return pixels.reshape(-1, 784)


def _download_binarized(folder: Path, names: Sequence[str]) -> str:
    """Fetch files, and keep their bits; return what went wrong, or nothing at all."""
    for name in names:
        problem = "no mirror"
        for mirror in AMAT_MIRRORS:
            try:
                text = _fetch(f"{mirror}{name}.amat", AMAT_SHA256[name])
                _write_arrays(folder / f"{name}.npz", packed=np.packbits(_parse_amat(text), axis=1))
                break
            except (OSError, HTTPException, ValueError) as error:
                problem = str(error).strip().split("\n")[-1] or type(error).__name__
        else:
            return problem
    return ""


def _fetch(address: str, sha256: str) -> bytes:
    """What is at an address, if it is what it should be."""
    content = io.BytesIO()
    with urlopen(address, timeout=DOWNLOAD_TIMEOUT) as answer:
        total = int(answer.headers.get("Content-Length") or 0) or None
        with tqdm(total=total, unit="B", unit_scale=True, desc=address.split("/")[-1]) as bar:
            while part := answer.read(1 << 18):
                bar.update(content.write(part))
    if hashlib.sha256(content.getvalue()).hexdigest() != sha256:
        raise ValueError(f"{address} served something else, or only a part")
    return content.getvalue()


def _write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write an .npz file at once or not at all: nobody ever finds half of one.

    Raises:
        OSError: it can not be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.parent.stat().st_mode & 0o222:  # root could write there, and should not
        raise PermissionError(errno.EACCES, "the folder is read-only")
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)
        os.chmod(beside, 0o644)  # temporary files are for their owner's eyes only
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def _digits_stand_in(name: str) -> ImageData:
    """scikit-learn's 8x8 digits at 28x28: the first 1,437 to train on, the last 360 to test on."""
    digits = load_digits()
    small = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    images = F.interpolate(small, size=(28, 28), mode="bicubic", align_corners=False).clamp(0, 1)
    labels = torch.tensor(digits.target, dtype=torch.int64)
    num_train = int(0.8 * len(images))
    return ImageData(
        f"scikit-learn digits (in place of {name})",
        *(images[:num_train], labels[:num_train]),
        *(images[num_train:], labels[num_train:]),
    )


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
        places.insert(0, _data_folder(None) / "celeba")
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
            _write_arrays(place, key=np.array(key), images=images)
        except OSError as error:
            problem = f"{place.parent} can not be written to ({error.strerror or error})"
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
            f"{files[index]}{more}: can not be read as an image "
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
            f"{path}: can not be read as CelebA's list of attributes ({error}); "
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


def make_loader(
    images: Tensor, labels: Tensor, batch_size: int = 64, shuffle: bool = True, seed: int = 0
) -> DataLoader:
    """Batches of (images, labels), every example once in an epoch, the last partial batch kept.

    Args:
        images: of shape (N, ...).
        labels: of shape (N,).
        batch_size: how many examples a batch holds. A shuffled loader, which is one to train
            with, takes a slightly larger size where this one would leave a last batch of a
            single image: BatchNorm can not train on that.
        shuffle: whether to draw a new order for each epoch.
        seed: of that order. The same seed gives the same sequence of orders.

    Returns:
        The loader. Its own generator draws the order, so nothing else that is random disturbs it.
    """
    while shuffle and len(images) > 1 and len(images) % batch_size == 1:
        batch_size += 1
    return DataLoader(
        TensorDataset(images, labels),
        batch_size=batch_size,
        shuffle=shuffle,
        generator=torch.Generator().manual_seed(seed),
    )
