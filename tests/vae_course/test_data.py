"""Image sets: the real format in miniature, the real files where they are, and the stand-in."""

import gzip
import hashlib
import http.server
import os
import socket
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from torchvision.datasets import MNIST

from vae_course.data import ImageData, load_fashion_mnist, load_mnist, make_loader

REAL = Path(os.environ.get("VAE_COURSE_DATA") or Path(__file__).parents[3] / "shared" / "data")


def idx(array):
    """An array of bytes in the format of the MNIST files (yann.lecun.com, "IDX")."""
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    return header + array.astype(np.uint8).tobytes()


def write_set(root, name="MNIST", num_train=7, num_test=3):
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", num_train), ("t10k", num_test)):
        arrays[f"{part}-images-idx3-ubyte"] = rng.integers(0, 256, (count, 28, 28))
        arrays[f"{part}-labels-idx1-ubyte"] = rng.integers(0, 10, count)
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    for file, array in arrays.items():
        (folder / file).write_bytes(idx(array))
    return arrays


@pytest.fixture
def no_network(monkeypatch):
    """Every look-up fails as it does on a machine that is not connected."""
    tried = []

    def unreachable(host, *args, **kwargs):
        tried.append(host)
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.delenv("VAE_COURSE_DATA", raising=False)
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    return tried


@pytest.mark.parametrize(
    "load, name", [(load_mnist, "MNIST"), (load_fashion_mnist, "FashionMNIST")]
)
def test_reads_the_real_format(tmp_path, no_network, capfd, load, name):
    arrays = write_set(tmp_path, name)
    data = load(tmp_path)
    assert isinstance(data, ImageData) and data.name == name
    for part, images, labels in (
        ("train", data.train_images, data.train_labels),
        ("t10k", data.test_images, data.test_labels),
    ):
        pixels = arrays[f"{part}-images-idx3-ubyte"]
        assert images.shape == (len(pixels), 1, 28, 28) and images.dtype == torch.float32
        np.testing.assert_allclose(images[:, 0].numpy(), pixels / 255, rtol=1e-6)
        assert labels.dtype == torch.int64
        assert labels.tolist() == arrays[f"{part}-labels-idx1-ubyte"].tolist()
    assert capfd.readouterr() == ("", "") and no_network == []


def test_the_root_is_the_argument_then_the_environment_then_data(tmp_path, monkeypatch, no_network):
    for folder, count in (("argument", 4), ("environment", 5), ("data", 6)):
        write_set(tmp_path / folder, num_train=count)
    monkeypatch.chdir(tmp_path)
    assert len(load_mnist().train_images) == 6
    monkeypatch.setenv("VAE_COURSE_DATA", "")
    assert len(load_mnist().train_images) == 6
    monkeypatch.setenv("VAE_COURSE_DATA", str(tmp_path / "environment"))
    assert len(load_mnist().train_images) == 5
    assert len(load_mnist(str(tmp_path / "argument")).train_images) == 4


def test_a_read_only_root_is_enough(tmp_path, no_network):
    write_set(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for path in sorted(before, reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert len(load_mnist(tmp_path).train_images) == 7
    finally:
        for path in sorted(before):
            path.chmod(0o755)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_without_network_digits_stand_in_and_one_line_says_so(tmp_path, no_network, capfd):
    data = load_mnist(tmp_path)
    out, err = capfd.readouterr()
    assert err == "" and out.count("\n") == 1
    for word in ("MNIST", str(tmp_path), "name resolution", "scikit-learn", "VAE_COURSE_DATA"):
        assert word in out
    assert no_network  # it did try
    assert "MNIST" in data.name and "scikit-learn" in data.name
    assert data.train_images.shape == (1437, 1, 28, 28) and data.test_images.shape[0] == 360
    images = torch.cat([data.train_images, data.test_images])
    assert images.dtype == torch.float32 and images.min() >= 0 and images.max() <= 1
    assert images.max() > 0.99
    digits = load_digits()
    assert torch.cat([data.train_labels, data.test_labels]).tolist() == digits.target.tolist()
    # Blocks of an enlarged image average back to the small one.
    small = torch.nn.functional.interpolate(images, (8, 8), mode="area")[:, 0].numpy()
    flat = np.corrcoef(small.ravel(), digits.images.ravel())[0, 1]
    assert flat > 0.97
    again = load_mnist(tmp_path, download=False)
    assert all(torch.equal(a, b) for a, b in zip(data[1:], again[1:], strict=True))


def test_no_download_is_attempted_when_told_not_to(tmp_path, no_network, capfd):
    load_fashion_mnist(tmp_path, download=False)
    assert "download=False" in capfd.readouterr().out
    assert no_network == [] and list(tmp_path.iterdir()) == []


def test_a_root_that_can_not_be_written_falls_back_too(tmp_path, no_network, capfd):
    file = tmp_path / "a_file"
    file.write_text("not a folder")
    assert "scikit-learn" in load_mnist(file / "below").name
    assert "Not a directory" in capfd.readouterr().out


def test_the_timeout_of_other_sockets_is_left_alone(tmp_path, no_network):
    before = socket.getdefaulttimeout()
    load_mnist(tmp_path)
    assert socket.getdefaulttimeout() == before


def test_a_download_is_silent_and_complete(tmp_path, monkeypatch, capfd):
    """torchvision's own download, from a server that serves a tiny set of the real format."""
    arrays = write_set(tmp_path / "origin")
    served = tmp_path / "served"
    served.mkdir()
    resources = []
    for file in arrays:
        packed = gzip.compress((tmp_path / "origin" / "MNIST" / "raw" / file).read_bytes())
        (served / f"{file}.gz").write_bytes(packed)
        resources.append((f"{file}.gz", hashlib.md5(packed).hexdigest()))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(served))

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    monkeypatch.setattr(MNIST, "resources", resources)
    try:
        data = load_mnist(tmp_path / "new")
    finally:
        server.shutdown()
        server.server_close()
    np.testing.assert_allclose(
        data.test_images[:, 0].numpy(), arrays["t10k-images-idx3-ubyte"] / 255, rtol=1e-6
    )
    assert capfd.readouterr() == ("", "")


def cut_short(folder):
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-100])


def emptied(folder):
    (folder / "t10k-labels-idx1-ubyte").write_bytes(b"")


def a_web_page(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(b"<html>not found</html>")


def one_label_too_few(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(6)))


def other_size(folder):
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((3, 20, 20))))


@pytest.mark.parametrize("damage", [cut_short, emptied, a_web_page, one_label_too_few, other_size])
def test_damaged_files_are_named_with_a_cure(tmp_path, no_network, damage):
    write_set(tmp_path)
    damage(tmp_path / "MNIST" / "raw")
    with pytest.raises(RuntimeError) as caught:
        load_mnist(tmp_path)
    message = str(caught.value)
    assert type(caught.value) is RuntimeError  # what a notebook knows
    assert str(tmp_path / "MNIST" / "raw") in message and "delete" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "load, name, mean",  # the mean pixel is the published normalisation constant of each set
    [(load_mnist, "MNIST", 0.1307), (load_fashion_mnist, "FashionMNIST", 0.2860)],
)
def test_the_real_sets(load, name, mean, capfd):
    if not (REAL / name / "raw" / "train-images-idx3-ubyte").is_file():
        pytest.skip(f"no {name} in {REAL}: set VAE_COURSE_DATA to a folder that holds it")
    data = load(REAL, download=False)
    assert data.name == name
    assert data.train_images.shape == (60_000, 1, 28, 28)
    assert data.test_images.shape == (10_000, 1, 28, 28)
    assert data.train_images.mean().item() == pytest.approx(mean, abs=1e-4)
    assert data.train_labels.unique().tolist() == list(range(10))
    assert capfd.readouterr() == ("", "")


@given(st.integers(1, 60), st.integers(1, 12), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_example_comes_once_with_its_label(count, batch_size, shuffle):
    images = torch.arange(count).float().view(count, 1, 1, 1).expand(count, 1, 2, 2)
    batches = list(make_loader(images, torch.arange(count), batch_size, shuffle))
    labels = torch.cat([labels for _, labels in batches])
    assert sorted(labels.tolist()) == list(range(count))
    assert torch.equal(torch.cat([images for images, _ in batches])[:, 0, 0, 0], labels.float())
    if not shuffle:
        assert labels.tolist() == list(range(count))
        assert all(len(labels) == batch_size for _, labels in batches[:-1])
    elif batch_size > 1 and count > 1:
        assert min(len(labels) for _, labels in batches) > 1  # BatchNorm could not train on it


def test_batches_are_of_the_asked_size_where_that_leaves_no_single_image():
    images, labels = torch.zeros(150, 1, 2, 2), torch.arange(150)
    assert [len(y) for _, y in make_loader(images, labels)] == [64, 64, 22]
    assert [len(y) for _, y in make_loader(images[:129], labels[:129])] == [65, 64]
    assert [len(y) for _, y in make_loader(images[:1], labels[:1])] == [1]


def test_the_order_follows_the_seed_and_nothing_else():
    images, labels = torch.zeros(50, 1, 2, 2), torch.arange(50)

    def orders(seed):
        loader = make_loader(images, labels, 8, seed=seed)
        epochs = []
        for _ in range(2):
            torch.rand(3)  # someone else's randomness
            epochs.append(torch.cat([y for _, y in loader]).tolist())
        return epochs

    first = orders(1)
    assert first == orders(1) != orders(2)
    assert first[0] != first[1] != list(range(50))
    state = torch.get_rng_state()
    list(make_loader(images, labels))
    assert torch.equal(state, torch.get_rng_state())
