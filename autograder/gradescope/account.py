"""Students' code in another account, for containers that allow no sandbox.

There the notebook runs in a Jupyter kernel, as with nbgrader itself. Gradescope starts everything
as root, so the kernel is made to give root up before it runs a cell: it can then neither write
results nor read the notebook with the hidden tests, the gradebook or another's files.

It is less than a sandbox. The kernel judges itself, so it must be able to read the checks and the
reference: who goes looking for the answers finds them, who forges a verdict has it, and what the
container lets out, such as the network, is open.
"""

import json
import os
import pwd
import shutil
import sys
from pathlib import Path

from vae_course.errors import CourseError

ACCOUNT = "student"

KERNEL = """
work=$(mktemp -d) && cp -R . "$work" && rm -f "$work"/*.ipynb &&
cp "$1" "$work/.kernel.json" && chown -R "$2:$3" "$work" && cd "$work" || exit 1
export HOME="$work" USER="$4" LOGNAME="$4"
exec setpriv --reuid "$2" --regid "$3" --clear-groups --no-new-privs --inh-caps=-all \\
    --bounding-set=-all -- "$0" -m ipykernel_launcher -f "$work/.kernel.json"
"""
"""Starts a kernel: "$0" is Python, "$1" the connection file, and then the account."""

HIDDEN = ("results", "submission", "source/course")
"""Folders below /autograder that are root's alone."""


def give_up_root(root: Path, scratch: Path) -> None:
    """Have the kernels that this process starts run in the account, and hide what is not for it.

    Args:
        root: the folder that Gradescope calls /autograder.
        scratch: an empty folder, for Jupyter to find the kernel in.

    Raises:
        CourseError: this is not root, or the account or setpriv is missing.
    """
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        raise CourseError(
            "students' code can not be put into another account: that takes root and the program "
            "setpriv (Ubuntu: apt-get install util-linux)"
        )
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise CourseError(
            f"there is no account {ACCOUNT} for students' code; setup.sh makes it: was it run?"
        ) from None
    for name in HIDDEN:
        os.chmod(root / name, 0o700)
    if (about := root / "submission_metadata.json").exists():
        os.chmod(about, 0o600)
    numbers = [str(account.pw_uid), str(account.pw_gid), ACCOUNT]
    spec = {
        "argv": ["/bin/sh", "-c", KERNEL, sys.executable, "{connection_file}", *numbers],
        "display_name": "Python 3",
        "language": "python",
    }
    place = scratch / "kernels" / "python3"
    place.mkdir(parents=True)
    (place / "kernel.json").write_text(json.dumps(spec))
    os.environ["JUPYTER_PATH"] = str(scratch)
