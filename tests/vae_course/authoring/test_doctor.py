"""The doctor: what is there, what is not, and what to do."""

import sys
from importlib import metadata
from pathlib import Path

import pytest

from vae_course.authoring import doctor


def test_versions_are_those_installed():
    assert doctor.package("numpy").found == metadata.version("numpy")
    assert doctor.package("numpy").well
    assert doctor.python().well and sys.executable in doctor.python().found


def test_a_missing_package_says_how_to_get_it():
    symptom = doctor.package("no-such-package-at-all")
    assert (symptom.found, symptom.needed, symptom.well) == ("missing", True, False)
    assert "pip install 'no-such-package-at-all'" in symptom.advice


@pytest.mark.parametrize(
    ("version", "bound", "expected"),
    [("2.6.0", ">=2.6", True), ("2.5.1+cu118", ">=2.6", False), ("0.10", ">=0.9.5,<0.10", False)],
)
def test_bounds_are_understood(version, bound, expected):
    assert doctor.satisfies(version, bound) == expected


def test_data_is_found_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("VAE_COURSE_DATA", str(tmp_path))
    assert not doctor.data_set("MNIST").well
    assert "VAE_COURSE_DATA" in doctor.data_set("MNIST").found
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte").write_bytes(b"")
    assert doctor.data_set("MNIST") == doctor.Symptom("MNIST", str(raw))
    assert not doctor.data_set("Fashion-MNIST").well


def test_the_sandbox_is_tried_and_not_only_looked_for(tmp_path, monkeypatch):
    program = tmp_path / "bwrap"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.sandbox().found in ("missing", "not for this system")
    for script, well, words in (
        ("#!/bin/sh\nexit 0\n", True, "works"),
        ("#!/bin/sh\necho 'no permissions for a new namespace' >&2\nexit 1\n", False, "namespace"),
    ):
        program.write_text(script)
        program.chmod(0o755)
        assert doctor.sandbox().well == well
        assert words in doctor.sandbox().found


def test_nothing_on_the_path_is_a_gap_with_a_cure(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt install chromium" in doctor.browser().advice
    assert str(Path(sys.executable).parent) in doctor.programs_on_path().advice


def test_the_examination_covers_all():
    found = {symptom.what for symptom in doctor.examine()}
    wanted = "python torch nbgrader jupytext GPU MNIST bubblewrap chromium"
    assert set(wanted.split()) <= found
