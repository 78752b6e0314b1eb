"""Sets of grey images, with a stand-in that needs no network, and batches of them."""

import errno
import io
import os
import socket
import tempfile
from contextlib import redirect_stderr
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset
from torchvision import datasets

DOWNLOAD_TIMEOUT = 15  # seconds: a network that swallows packets would hang for minutes
# More places that serve the very files of torchvision's own list, which checks what comes.
MORE_MIRRORS = {
    "MNIST": ("https://storage.googleapis.com/cvdf-datasets/mnist/",),
    "FashionMNIST": (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
}


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


def load_mnist(root: str | Path | None = None, download: bool = True) -> ImageData:
    """MNIST: 60,000 handwritten digits to train on and 10,000 to test on (LeCun et al. 1998).

    Args:
        root: the folder that holds (or shall hold) torchvision's folder `MNIST`. Without it, the
            environment variable VAE_COURSE_DATA says where, and without that it is `./data`.
        download: whether to fetch the files if they are missing.

    Returns:
        The images. Where MNIST cannot be had, small digits from scikit-learn stand in for it:
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
    root = data_folder(root)
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
            return digits_stand_in(name)
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


def data_folder(root: str | Path | None) -> Path:
    """Where the images are: `root`, else what VAE_COURSE_DATA names, else `./data`."""
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


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write an .npz file at once or not at all: nobody ever finds half of one.

    Raises:
        OSError: it cannot be written.
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


def digits_stand_in(name: str) -> ImageData:
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


def make_loader(
    images: Tensor, labels: Tensor, batch_size: int = 64, shuffle: bool = True, seed: int = 0
) -> DataLoader:
    """Batches of (images, labels), every example once in an epoch, the last partial batch kept.

    Args:
        images: of shape (N, ...).
        labels: of shape (N,).
        batch_size: how many examples a batch holds. A shuffled loader, which is one to train
            with, takes a slightly larger size where this one would leave a last batch of a
            single image: BatchNorm cannot train on that.
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
