"""What holds for the handle and for checks in process holds in the sandbox, by the same tests."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.sandbox.outside import problem

HERE = Path(__file__).parent


@pytest.mark.long
@pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}")
@pytest.mark.parametrize(
    ("name", "least"), [("test_student", 40), ("test_on_gpu", 80), ("test_checks_ps3", 150)]
)
def test_the_same_tests_pass_in_the_sandbox(name, least):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", HERE / f"{name}.py"],
        env=kept | {"TEST_ISOLATION": "sandbox", "OMP_NUM_THREADS": "1"},
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= least
