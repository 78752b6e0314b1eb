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
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from torchvision.datasets import MNIST

from vae_course import binarized, face_data
from vae_course import data as data_module
from vae_course.binarized import load_binarized_mnist
from vae_course.data import ImageData, load_fashion_mnist, load_mnist, make_loader
from vae_course.face_data import FaceData, load_faces

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


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Serve a folder on this machine: `serve(folder)` is an address like those of the mirrors."""
    servers = []
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def start(folder, shorten=0):
        class Quiet(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args):
                super().__init__(*args, directory=str(folder))

            def log_message(self, *args):
                pass

            def copyfile(self, source, out):  # a connection that breaks off
                content = source.read()
                out.write(content[: len(content) - shorten])

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def served_mnist(tmp_path, monkeypatch):
    """A tiny set of the real format in the archives that torchvision fetches: a folder of them."""
    arrays = write_set(tmp_path / "origin")
    served = tmp_path / "served"
    served.mkdir()
    resources = []
    for file in arrays:
        packed = gzip.compress((tmp_path / "origin" / "MNIST" / "raw" / file).read_bytes())
        (served / f"{file}.gz").write_bytes(packed)
        resources.append((f"{file}.gz", hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr(MNIST, "resources", resources)
    return served, arrays


def test_a_download_is_silent_and_complete(tmp_path, monkeypatch, capfd, served_mnist, serve):
    """torchvision's own download, from the second place that is tried."""
    served, arrays = served_mnist
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setattr(MNIST, "mirrors", [serve(empty)])
    monkeypatch.setitem(data_module.MORE_MIRRORS, "MNIST", (serve(served),))
    loaded = load_mnist(tmp_path / "new")
    np.testing.assert_allclose(
        loaded.test_images[:, 0].numpy(), arrays["t10k-images-idx3-ubyte"] / 255, rtol=1e-6
    )
    assert capfd.readouterr() == ("", "")
    assert {path.name for path in (tmp_path / "new").rglob("*") if path.is_dir()} == {
        *("MNIST", "raw")
    }


def test_a_broken_download_leaves_nothing_behind(tmp_path, monkeypatch, capfd, served_mnist, serve):
    monkeypatch.setattr(MNIST, "mirrors", [serve(served_mnist[0], shorten=20)])
    monkeypatch.setitem(data_module.MORE_MIRRORS, "MNIST", ())
    assert "scikit-learn" in load_mnist(tmp_path / "new").name
    assert "was not downloaded" in capfd.readouterr().out
    assert not [path for path in (tmp_path / "new").rglob("*") if path.is_file()]


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


def write_binarized(root, counts=(7, 2, 3), form="amat"):
    """Files in the form of Larochelle's, or packed, of random pixels; returns the pixels."""
    rng = np.random.default_rng(1)
    folder = root / "binarized_mnist"
    folder.mkdir(parents=True)
    pixels = {}
    for part, count in zip(("train", "valid", "test"), counts, strict=True):
        pixels[part] = rng.integers(0, 2, (count, 784))
        if form == "amat":
            write_amat(folder / f"binarized_mnist_{part}.amat", pixels[part])
        else:
            packed = np.packbits(pixels[part].astype(bool), axis=1)
            np.savez(folder / f"binarized_mnist_{part}.npz", packed=packed, shape=(count, 784))
    return pixels


def write_amat(path, pixels):
    path.write_text("".join(" ".join(map(str, row)) + "\n" for row in pixels))


@pytest.mark.parametrize("form", ["amat", "npz"])
def test_binarised_mnist_is_read_in_both_forms(tmp_path, no_network, capfd, form):
    pixels = write_binarized(tmp_path, form=form)
    loaded = load_binarized_mnist(tmp_path)
    assert isinstance(loaded, ImageData) and loaded.name == "binarised MNIST"
    train = np.concatenate([pixels["train"], pixels["valid"]])  # the validation images come last
    for images, labels, wanted in (
        (loaded.train_images, loaded.train_labels, train),
        (loaded.test_images, loaded.test_labels, pixels["test"]),
    ):
        assert images.shape == (len(wanted), 1, 28, 28) and images.dtype == torch.float32
        np.testing.assert_array_equal(images.flatten(1).numpy(), wanted)
        assert labels.tolist() == [0] * len(wanted) and labels.dtype == torch.int64
    assert capfd.readouterr() == ("", "") and no_network == []


def test_without_binarised_mnist_black_and_white_digits_stand_in(tmp_path, no_network, capfd):
    loaded = load_binarized_mnist(tmp_path)
    out, err = capfd.readouterr()
    assert err == "" and out.count("\n") == 1 and no_network
    for word in (str(tmp_path), "name resolution", "scikit-learn", ".amat"):
        assert word in out
    assert "binarised MNIST" in loaded.name and "scikit-learn" in loaded.name
    digits = load_mnist(tmp_path, download=False)
    assert torch.equal(loaded.train_images, (digits.train_images > 0.5).float())
    assert torch.equal(loaded.test_images, (digits.test_images > 0.5).float())
    assert torch.equal(loaded.test_labels, digits.test_labels)
    no_network.clear()
    load_binarized_mnist(tmp_path, download=False)
    assert "download=False" in capfd.readouterr().out and no_network == []


@pytest.fixture
def served_amat(tmp_path, monkeypatch):
    """What the mirrors serve, in small, with its checksums: the folder and the pixels."""
    pixels = write_binarized(tmp_path / "origin")
    folder = tmp_path / "origin" / "binarized_mnist"
    digests = {p.stem: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}
    monkeypatch.setattr(
        binarized, "AMAT_SHA256", {name: digests[name] for name in binarized.AMAT_SHA256}
    )
    return folder, pixels


def test_binarised_mnist_comes_from_the_first_mirror_that_serves_it(
    tmp_path, monkeypatch, served_amat, serve
):
    folder, pixels = served_amat
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    for file in folder.iterdir():
        (wrong / file.name).write_text("<html>moved</html>")
    mirrors = (serve(folder, shorten=5), serve(wrong), serve(folder))
    monkeypatch.setattr(binarized, "AMAT_MIRRORS", mirrors)
    new = tmp_path / "new"
    loaded = load_binarized_mnist(new)
    np.testing.assert_array_equal(loaded.test_images.flatten(1).numpy(), pixels["test"])
    kept = sorted(path.name for path in (new / "binarized_mnist").iterdir())
    assert kept == sorted(f"{name}.npz" for name in binarized.AMAT_SHA256)
    monkeypatch.setattr(binarized, "AMAT_MIRRORS", ())
    again = load_binarized_mnist(new)  # what was kept is enough
    assert torch.equal(again.train_images, loaded.train_images)


@pytest.mark.parametrize("fault", ["broken off", "another file", "not found"])
def test_a_bad_download_of_binarised_mnist_is_not_kept(
    tmp_path, monkeypatch, capfd, served_amat, serve, fault
):
    folder, _ = served_amat
    if fault == "another file":
        write_amat(folder / "binarized_mnist_test.amat", np.zeros((3, 784), dtype=int))
    elif fault == "not found":
        (folder / "binarized_mnist_train.amat").unlink()
    monkeypatch.setattr(
        binarized, "AMAT_MIRRORS", (serve(folder, shorten=7 * (fault == "broken off")),)
    )
    new = tmp_path / "new"
    assert "scikit-learn" in load_binarized_mnist(new).name
    assert "was not downloaded" in capfd.readouterr().out
    kept = [path.name for path in new.rglob("*") if path.is_file()]
    assert all(name.endswith(".npz") for name in kept)  # whole files, and never the bad one
    assert "binarized_mnist_test.npz" not in kept


@pytest.mark.parametrize("form", ["amat", "npz"])
@pytest.mark.parametrize("damage", ["cut short", "empty", "web page", "a letter"])
def test_damaged_binarised_files_are_named_with_a_cure(tmp_path, no_network, form, damage):
    write_binarized(tmp_path, form=form)
    path = tmp_path / "binarized_mnist" / f"binarized_mnist_valid.{form}"
    content = path.read_bytes()
    path.write_bytes(
        {
            "cut short": content[:-100],
            "empty": b"",
            "web page": b"<html>not found</html>",
            "a letter": content.replace(b"1", b"l", 1) if form == "amat" else content[50:],
        }[damage]
    )
    with pytest.raises(RuntimeError) as caught:
        load_binarized_mnist(tmp_path)
    assert str(path) in str(caught.value) and "delete" in str(caught.value)


def test_the_real_binarised_mnist_has_the_published_checksums():
    """The pixels, written as the text that Larochelle serves, hash to what TFDS publishes."""
    if not (REAL / "binarized_mnist").is_dir():
        pytest.skip(f"no binarized_mnist in {REAL}: set VAE_COURSE_DATA to a folder that holds it")
    loaded = load_binarized_mnist(REAL, download=False)
    assert loaded.train_images.shape == (60_000, 1, 28, 28)
    images = loaded.test_images.flatten(1).to(torch.uint8).numpy()
    text = np.full((10_000, 2 * 784), ord(" "), dtype=np.uint8)
    text[:, ::2] = images + ord("0")
    text[:, -1] = ord("\n")
    published = "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c"
    assert hashlib.sha256(text.tobytes()).hexdigest() == published
    assert published == binarized.AMAT_SHA256["binarized_mnist_test"]


@pytest.fixture
def no_faces(tmp_path, monkeypatch, no_network):
    """Nowhere to find faces: an empty folder to work in, and no Drive."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr(face_data, "DRIVE_FACES", tmp_path / "drive" / "celeba")
    return tmp_path


def picture(colour, size=(89, 109), mode="RGB"):
    return PIL.Image.new(mode, size, colour)


def put_faces(folder, count=5):
    """A folder of JPEG faces of one grey each, 0, 10, 20, ..., and nothing of note besides."""
    (folder / "img").mkdir(parents=True)
    for index in range(count):
        picture((10 * index,) * 3).save(folder / "img" / f"{index + 1:06}.jpg", quality=95)
    return folder


def greys(faces):
    return [round(image.float().mean().item()) for image in faces.images]


def test_faces_are_read_in_order_and_squeezed(no_faces, capfd):
    folder = put_faces(no_faces / "mine")
    faces = load_faces(folder)
    assert isinstance(faces, FaceData) and str(folder) in faces.name
    assert faces.images.shape == (5, 3, 64, 64) and faces.images.dtype == torch.uint8
    assert greys(faces) == pytest.approx([0, 10, 20, 30, 40], abs=1)
    assert faces.attributes.shape == (5, 0) and faces.attribute_names == ()
    assert load_faces(str(folder), size=16).images.shape == (5, 3, 16, 16)
    assert greys(load_faces(folder, limit=2)) == pytest.approx([0, 10], abs=1)
    assert capfd.readouterr().out == ""


def test_faces_are_squeezed_and_not_cropped(no_faces):
    """All four quarters of a tall picture are there, each in its corner and in its colour."""
    tall = picture("black", (40, 200))
    colours = {"red": (0, 0), "lime": (20, 0), "blue": (0, 100), "white": (20, 100)}
    for colour, corner in colours.items():
        tall.paste(picture(colour, (20, 100)), corner)
    (no_faces / "mine").mkdir()
    tall.save(no_faces / "mine" / "tall.png")
    image = load_faces(no_faces / "mine", size=32).images[0]
    assert image[:, 4, 4].tolist() == [255, 0, 0] and image[:, 4, 28].tolist() == [0, 255, 0]
    assert image[:, 28, 4].tolist() == [0, 0, 255] and image[:, 28, 28].tolist() == [255, 255, 255]


def test_files_of_any_kind_become_colour_images(no_faces):
    folder = no_faces / "mine"
    folder.mkdir()
    picture(90, (30, 30), "L").save(folder / "a_grey.PNG")
    picture((200, 0, 0, 0), (9, 99), "RGBA").save(folder / "b_clear.png")
    picture((200, 10, 0, 255), (9, 99), "RGBA").save(folder / "c_solid.png")
    picture((10, 20, 30)).convert("P", palette=PIL.Image.Palette.ADAPTIVE).save(folder / "d.png")
    picture((0, 0, 0, 51), (64, 64), "CMYK").save(folder / "e.jpeg", quality=95)
    turned = picture("black", (64, 32))
    turned.paste(picture("white", (32, 32)), (0, 0))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: to be turned clockwise, left goes on top
    turned.save(folder / "f_turned.jpg", exif=exif, quality=95)
    (folder / "notes.txt").write_text("no image")
    (folder / "._a_grey.png").write_bytes(b"what a Mac leaves behind")
    images = load_faces(folder, size=8).images
    assert images.shape == (6, 3, 8, 8)
    middle = images[:, :, 4, 4].tolist()
    assert middle[0] == [90, 90, 90]
    assert middle[1] == [255, 255, 255]  # what is clear shows the paper
    assert middle[2] == [200, 10, 0] and middle[3] == [10, 20, 30]
    assert middle[4] == pytest.approx([204] * 3, abs=3)
    assert images[5, :, 0].min() > 230 and images[5, :, -1].max() < 25


def test_where_faces_are_looked_for(no_faces, monkeypatch):
    monkeypatch.setenv("VAE_COURSE_DATA", str(no_faces / "environment"))
    assert "drawn" in load_faces().name
    put_faces(no_faces / "cwd" / "data" / "celeba", 1)
    assert len(load_faces().images) == 1
    put_faces(no_faces / "drive" / "celeba", 2)
    assert len(load_faces().images) == 2
    put_faces(no_faces / "environment" / "celeba", 3)
    assert len(load_faces().images) == 3
    assert len(load_faces(put_faces(no_faces / "argument", 4)).images) == 4


def test_without_a_folder_drawn_faces_stand_in_and_one_line_says_so(no_faces, capfd):
    faces = load_faces()
    out, err = capfd.readouterr()
    assert err == "" and out.count("\n") == 1
    for word in ("1,000 drawn faces", "data/celeba", "CelebA", "Drive"):
        assert word in out
    assert "drawn" in faces.name and "CelebA" in faces.name
    assert faces.images.shape == (1000, 3, 64, 64) and faces.attributes.dtype == torch.bool
    assert faces.attributes.shape == (1000, len(faces.attribute_names))
    assert {"Smiling", "Eyeglasses", "Wearing_Hat"} <= set(faces.attribute_names)
    few = load_faces(size=32, limit=30)
    assert few.images.shape == (30, 3, 32, 32)
    assert torch.equal(few.attributes, faces.attributes[:30])
    assert not list((no_faces / "cwd").iterdir())


def kept_files(folder):
    return sorted(folder.rglob("*.npz"))


def test_the_second_time_nothing_is_decoded(no_faces, monkeypatch, capfd):
    folder = put_faces(no_faces / "mine")
    first = load_faces(folder)
    (kept,) = kept_files(folder)
    assert "5/5" in capfd.readouterr().err  # how far it was
    monkeypatch.setattr(PIL.Image, "open", lambda *args: pytest.fail("decoded again"))
    assert torch.equal(load_faces(folder).images, first.images)
    assert kept_files(no_faces) == [kept] and capfd.readouterr() == ("", "")


@pytest.mark.parametrize("change", ["more", "fewer", "another", "touched", "renamed"])
def test_a_folder_that_changed_is_read_anew(no_faces, change):
    folder = put_faces(no_faces / "mine")
    load_faces(folder)
    path = folder / "img" / "000002.jpg"
    wanted = [0, 10, 20, 30, 40]
    if change == "more":
        picture((200,) * 3).save(folder / "img" / "000009.jpg")
        wanted.append(200)
    elif change == "fewer":
        path.unlink()
        del wanted[1]
    elif change == "renamed":
        path.rename(folder / "img" / "000009.jpg")
        wanted = [0, 20, 30, 40, 10]
    else:
        state = path.stat()
        size = (89, 109) if change == "touched" else (300, 300)
        picture((200,) * 3, size).save(path)
        wanted[1] = 200
        if change == "touched":  # of the very size it had, but later
            path.write_bytes(path.read_bytes().ljust(state.st_size, b"\0"))
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1_000_000))
            assert path.stat().st_size == state.st_size
    assert greys(load_faces(folder)) == pytest.approx(wanted, abs=1)
    assert len(kept_files(folder)) == 1


@pytest.mark.parametrize("damage", ["cut short", "flipped", "empty", "text", "another array"])
def test_a_damaged_store_of_squeezed_faces_is_made_anew(no_faces, damage):
    folder = put_faces(no_faces / "mine")
    first = load_faces(folder)
    (kept,) = kept_files(folder)
    content = bytearray(kept.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 255
    elif damage == "another array":
        np.savez(kept, something=np.zeros(3))
        content = kept.read_bytes()
    else:
        content = {"cut short": content[:-50], "empty": b"", "text": b"nonsense"}[damage]
    kept.write_bytes(content)
    assert torch.equal(load_faces(folder).images, first.images)
    assert kept_files(folder) == [kept]
    with np.load(kept) as mended:
        np.testing.assert_array_equal(mended["images"], first.images.numpy())


def test_sizes_and_limits_do_not_push_each_other_out(no_faces, monkeypatch):
    folder = put_faces(no_faces / "mine")
    for size, limit in ((64, None), (32, None), (64, 3)):
        load_faces(folder, size, limit)
    monkeypatch.setattr(PIL.Image, "open", lambda *args: pytest.fail("decoded again"))
    assert load_faces(folder).images.shape == (5, 3, 64, 64)
    assert load_faces(folder, 32).images.shape == (5, 3, 32, 32)
    assert load_faces(folder, limit=3).images.shape == (3, 3, 64, 64)


def test_a_read_only_folder_is_left_alone(no_faces, monkeypatch, capfd):
    folder = put_faces(no_faces / "mine")
    folder.chmod(0o555)
    try:
        first = load_faces(folder)
        (kept,) = kept_files(no_faces)
        assert kept.is_relative_to(no_faces / "cwd" / "data")
        out = capfd.readouterr().out
        assert str(folder) in out and "read-only" in out and out.count("\n") == 1
        with monkeypatch.context() as patch:
            patch.setattr(PIL.Image, "open", lambda *args: pytest.fail("decoded again"))
            assert torch.equal(load_faces(folder).images, first.images)
        assert capfd.readouterr() == ("", "")

        kept.unlink()
        kept.parent.rmdir()
        (no_faces / "cwd" / "data").rmdir()
        (no_faces / "cwd" / "data").write_text("in the way")
        assert torch.equal(load_faces(folder).images, first.images)
        out = capfd.readouterr().out
        assert "are not kept" in out and out.count("\n") == 1
        assert kept_files(no_faces) == []
    finally:
        folder.chmod(0o755)


def test_broken_images_are_named_with_a_cure(no_faces):
    folder = put_faces(no_faces / "mine")
    (folder / "img" / "000003.jpg").write_bytes(b"<html>not found</html>")
    with pytest.raises(RuntimeError, match="000003.jpg: cannot be read .* copy it here again"):
        load_faces(folder)
    whole = folder / "img" / "000005.jpg"
    whole.write_bytes(whole.read_bytes()[:400])
    with pytest.raises(RuntimeError, match=r"000003.jpg \(and 1 more files\)"):
        load_faces(folder)
    assert kept_files(no_faces) == []
    assert len(load_faces(folder, limit=2).images) == 2


def test_folders_without_images_are_named_with_a_cure(no_faces):
    with pytest.raises(RuntimeError, match="nowhere: there is no such folder"):
        load_faces(no_faces / "nowhere")
    (no_faces / "empty" / "below").mkdir(parents=True)
    (no_faces / "empty" / "notes.txt").write_text("nothing")
    with pytest.raises(RuntimeError, match="empty: holds no JPEG or PNG images"):
        load_faces(no_faces / "empty")


CELEBA_LIST = """5
Smiling Eyeglasses Young
000001.jpg -1  1  1
000002.jpg  1 -1 -1
000003.jpg  1  1 -1
000004.jpg -1 -1 -1
000005.jpg  1  1  1
"""


@pytest.mark.parametrize("place", ["in", "beside"])
@pytest.mark.parametrize("name", ["list_attr_celeba.txt", "list_attr_celeba.first10000.txt"])
def test_attributes_are_read_from_the_list_of_celeba(no_faces, place, name):
    folder = put_faces(no_faces / "set" / "celeba")
    (folder if place == "in" else folder.parent).joinpath(name).write_text(CELEBA_LIST)
    faces = load_faces(folder, limit=4)
    assert faces.attribute_names == ("Smiling", "Eyeglasses", "Young")
    assert faces.attributes.dtype == torch.bool
    assert faces.attributes.int().tolist() == [[0, 1, 1], [1, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_faces_that_are_not_on_the_list_get_no_attributes(no_faces, capfd):
    folder = put_faces(no_faces / "mine", 6)
    (folder / "list_attr_celeba.txt").write_text(CELEBA_LIST)
    faces = load_faces(folder)
    assert faces.attributes.shape == (6, 0) and faces.attribute_names == ()
    out = capfd.readouterr().out
    assert "says nothing of 1 of the 6 images (000006.jpg" in out and out.count("\n") == 1


@pytest.mark.parametrize("text", ["", "5\n", CELEBA_LIST[:-4], CELEBA_LIST.replace("-1", "0")])
def test_a_damaged_list_of_attributes_is_named_with_a_cure(no_faces, text):
    folder = put_faces(no_faces / "mine")
    (folder / "list_attr_celeba.txt").write_text(text)
    with pytest.raises(RuntimeError, match="list_attr_celeba.txt: cannot be read .* again"):
        load_faces(folder)


def test_the_real_faces(no_faces, capfd):
    if not (REAL / "celeba").is_dir():
        pytest.skip(f"no celeba in {REAL}: set VAE_COURSE_DATA to a folder that holds it")
    before = sorted(path.name for path in (REAL / "celeba").iterdir())
    faces = load_faces(REAL / "celeba", limit=200)
    assert faces.images.shape == (200, 3, 64, 64) and len(faces.attribute_names) == 40
    assert 80 < faces.images.float().mean() < 150
    # By CelebA's own list, the first two smile.
    assert faces.attributes[:2, faces.attribute_names.index("Smiling")].tolist() == [True, True]
    if not (REAL / "celeba").stat().st_mode & 0o222:
        assert sorted(path.name for path in (REAL / "celeba").iterdir()) == before


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
