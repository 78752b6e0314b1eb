"""MNIST in black and white: one fixed draw of every pixel, the same for everybody."""

import hashlib
import io
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import torch
from tqdm.auto import tqdm

from vae_course.data import (
    DOWNLOAD_TIMEOUT,
    ImageData,
    data_folder,
    digits_stand_in,
    write_arrays,
)

AMAT_MIRRORS = (
    "https://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
    "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
)
AMAT_SHA256 = {
    "binarized_mnist_train": "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
    "binarized_mnist_valid": "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
    "binarized_mnist_test": "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
}


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
        labels for them, so all labels are 0. Where the set cannot be had, scikit-learn's digits
        stand in for it, white where they are brighter than 0.5: a line says so, and `name` too.

    Raises:
        RuntimeError: the files are there, and damaged.
    """
    folder = data_folder(root) / "binarized_mnist"
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
            name, train, train_labels, test, test_labels = digits_stand_in("binarised MNIST")
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
                write_arrays(folder / f"{name}.npz", packed=np.packbits(_parse_amat(text), axis=1))
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
