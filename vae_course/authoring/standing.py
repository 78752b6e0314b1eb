"""What a release notebook stands on: what it imports, and which repositories it names."""

import re
import subprocess
import sys
from pathlib import Path

from vae_course.authoring import forms
from vae_course.authoring.course import Course, load_course
from vae_course.authoring.outline import OURS
from vae_course.authoring.reference import imports_of
from vae_course.authoring.subject import Finding, Subject


def check_imports(subject: Subject, course: Course | None = None) -> list[Finding]:
    """The release imports only the standard library and what Colab ships; never the course."""
    allowed = (course or load_course()).imports | sys.stdlib_module_names
    found = []
    for cell, tree in subject.code():
        for one in imports_of(tree):
            if one.root not in allowed or one.root in OURS or one.module.startswith("."):
                found.append(subject.finding(cell, f"`{one}`: Colab does not ship it"))
    for cell in subject.release["cells"]:
        if cell["cell_type"] == "code" and forms.parse_or_none(cell["source"]) is None:
            found.append(subject.finding(cell, "is not plain Python"))
    return found


def check_badge(
    subject: Subject, course: Course | None = None, remotes: tuple[str, ...] = ()
) -> list[Finding]:
    """The badge opens the public notebook, and no cell names a repository that holds solutions.

    Args:
        subject: what is verified.
        course: the course's facts.
        remotes: owner/name of every git remote of the checkout.
    """
    course = course or load_course()
    found = []
    ours = {course.source_repository.lower(), *(remote.lower() for remote in remotes)}
    if course.public_repository.lower() in ours:
        found.append(
            subject.finding(
                "colab-badge",
                f"the badge names {course.public_repository}, which holds the solutions; set "
                "another public_repository in course.toml",
            )
        )
    first = subject.release["cells"][0]
    if course.colab_url(subject.name) not in first["source"]:
        found.append(subject.finding(first, f"no badge for {course.colab_url(subject.name)}"))
    for cell in subject.release["cells"]:
        for owner, name in _REPOSITORY.findall(cell["source"]):
            repository = f"{owner}/{name}".lower().removesuffix(".git")
            if repository in ours and repository != course.public_repository.lower():
                found.append(
                    subject.finding(cell, f"names {owner}/{name}, which holds the solutions")
                )
    return found


_REPOSITORY = re.compile(
    r"(?:github\.com[/:]|colab\.research\.google\.com/github/|raw\.githubusercontent\.com/)"
    r"([\w.-]+)/([\w.-]*\w)"
)


def git_remotes(course: Path) -> tuple[str, ...]:
    """owner/name of each git remote of a checkout; nothing where there is no git or no remote."""
    try:
        said = subprocess.run(
            ["git", "-C", str(course), "remote", "-v"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return remotes_in(said)


def remotes_in(said: str) -> tuple[str, ...]:
    """owner/name of each remote in what `git remote -v` prints, whatever its kind of URL."""
    found = set()
    for line in said.splitlines():
        url = line.split()[1] if len(line.split()) > 1 else ""
        match = re.search(r"([\w.-]+)/([\w.-]+?)(?:\.git)?/?$", url)
        if match:
            found.add(f"{match[1]}/{match[2]}")
    return tuple(sorted(found))
