"""The images of the course: real sets through torchvision, and a stand-in that needs no network."""

import io
import os
import socket
from contextlib import redirect_stderr
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset
from torchvision import datasets


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
        The images. Where MNIST can not be had, small digits from scikit-learn stand in for it:
        a line says so, and `name` says so too.

    Raises:
        RuntimeError: the files are there, and damaged.
    """
    return _load_images(datasets.MNIST, root, download)


def load_fashion_mnist(root: str | Path | None = None, download: bool = True) -> ImageData:
    """Fashion-MNIST: as many images of clothes, in the same form (Xiao, Rasul, Vollgraf 2017).

    Args:
        root, download: as for `load_mnist`, with torchvision's folder `FashionMNIST`.

    Returns:
        The images, or the same stand-in as `load_mnist`.

    Raises:
        RuntimeError: the files are there, and damaged.
    """
    return _load_images(datasets.FashionMNIST, root, download)


def _load_images(
    dataset: type[datasets.MNIST], root: str | Path | None, download: bool
) -> ImageData:
    root = Path(root or os.environ.get("VAE_COURSE_DATA") or "data").expanduser()
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


def _download(dataset: type[datasets.MNIST], root: Path) -> str:
    """Fetch the files into root; return what went wrong, or nothing at all."""
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(15)  # a network that swallows packets would hang for minutes
    try:
        with redirect_stderr(io.StringIO()):  # eight progress bars
            dataset(root, download=True)
    except (OSError, RuntimeError, EOFError) as error:
        return str(error).strip().split("\n")[-1] or type(error).__name__
    finally:
        socket.setdefaulttimeout(timeout)
    return ""


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
