"""What this machine has, what it lacks, and what to do about each gap."""

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "scikit-learn",
    "matplotlib",
    "ipywidgets",
    "tqdm",
    "safetensors",
    "nbgrader",
    "nbformat",
    "nbclient",
    "ipykernel",
    "jupytext",
    "typer",
    "rich",
)

DOWNLOADED = "it is downloaded when first read; without network small digits stand in"
BY_HAND = "put a folder of faces there, as ps5 says; without one drawn faces stand in"

DATA_SETS = {
    "MNIST": ("MNIST/raw/train-images-idx3-ubyte*", DOWNLOADED),
    "Fashion-MNIST": ("FashionMNIST/raw/train-images-idx3-ubyte*", DOWNLOADED),
    "binarised MNIST": ("binarized_mnist/binarized_mnist_train.*", DOWNLOADED),
    "CelebA": ("celeba/**/*.jpg", BY_HAND),
}
"""A file by which each is known, in the folder of data, and what to do if it is not there."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Symptom:
    """One line of the doctor's table.

    Attributes:
        needed: whether the course does not work without it.
    """

    what: str
    found: str
    advice: str = ""
    needed: bool = False

    @property
    def well(self) -> bool:
        return not self.advice


def examine() -> list[Symptom]:
    """Look at everything."""
    return [
        python(),
        *(package(name) for name in PACKAGES),
        programs_on_path(),
        gpu(),
        *(data_set(name) for name in DATA_SETS),
        sandbox(),
        browser(),
    ]


def python() -> Symptom:
    advice = "" if sys.version_info >= (3, 11) else "install Python 3.11 or newer"
    return Symptom("python", f"{platform.python_version()} ({sys.executable})", advice, True)


def package(name: str) -> Symptom:
    from vae_course.authoring.bundle import declared_bounds

    bound = declared_bounds().get(name, "")
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Symptom(name, "missing", f"pip install '{name}{bound}'", True)
    if not satisfies(version, bound):
        return Symptom(name, f"{version}, outside {bound}", f"pip install '{name}{bound}'", True)
    return Symptom(name, version)


def satisfies(version: str, bound: str) -> bool:
    """Whether a version lies within bounds such as `>=2.6,<3`."""
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(bound).contains(version, prereleases=True)


def programs_on_path() -> Symptom:
    """nbgrader starts `alembic` by its name when it makes a gradebook."""
    found = shutil.which("alembic")
    advice = "" if found else f"export PATH={Path(sys.executable).parent}:$PATH"
    return Symptom("alembic on the PATH", found or "no", advice)


def gpu() -> Symptom:
    try:
        import torch
    except ImportError:
        return Symptom("GPU", "unknown, torch is missing", "install torch first")
    if torch.cuda.is_available():
        return Symptom("GPU", torch.cuda.get_device_name(0))
    if torch.backends.mps.is_available():
        return Symptom("GPU", "Apple, through MPS")
    if shutil.which("nvidia-smi"):
        return Symptom(
            "GPU", "there, but not to torch", "install a torch built for CUDA (pytorch.org)"
        )
    return Symptom("GPU", "none; all works on the CPU, training takes longer")


def data_folder() -> Path:
    """Where the course looks for data."""
    return Path(os.environ.get("VAE_COURSE_DATA") or "data").expanduser()


def data_set(name: str) -> Symptom:
    root = data_folder()
    known_by, advice = DATA_SETS[name]
    if file := next(root.glob(known_by), None):
        return Symptom(name, str(file.parent.resolve()))
    where = "VAE_COURSE_DATA" if os.environ.get("VAE_COURSE_DATA") else "./data"
    return Symptom(name, f"not in {where} ({root.resolve()})", advice)


def sandbox() -> Symptom:
    """bubblewrap: there, and allowed to make namespaces."""
    program = shutil.which("bwrap")
    if program is None:
        if sys.platform != "linux":
            return Symptom("bubblewrap", "not for this system", "grade untrusted work on Linux")
        return Symptom(
            "bubblewrap", "missing", "apt install bubblewrap (or conda install -c conda-forge)"
        )
    command = [program, "--ro-bind", "/", "/", "--unshare-all", "--die-with-parent", "true"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Symptom("bubblewrap", f"{program}, does not run ({error})", "reinstall it")
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return Symptom(
            "bubblewrap",
            f"{program}, not allowed: {reason}",
            "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, or run the "
            "container with them)",
        )
    return Symptom("bubblewrap", f"{program}, works")


def browser() -> Symptom:
    """Only the tests of the formgrader need one."""
    for name in BROWSERS:
        if shutil.which(name):
            return Symptom("chromium", shutil.which(name))
    return Symptom(
        "chromium", "missing", "apt install chromium chromium-driver; only browser tests need it"
    )
