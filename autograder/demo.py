"""The whole loop on a class of ten that nobody had to find: build, hand in, grade, give feedback.

Each wrong submission is the solved notebook with one mistake in it, so what it must lose is known
beforehand. The demo compares, and fails if grading found anything else.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from autograder.record import SEED_VARIABLE
from vae_course.errors import CourseError, UsageError
from vae_course.files import write_atomically

CELL_SECONDS = 8
SEED = "1"
"""The inputs of the checks are drawn from it, so that the demo shows the same at each run."""

CONFIG = '''"""nbgrader's settings for this course, which its commands and the formgrader read."""

from autograder import nbgrader_plugin
from vae_course.authoring import release

c = get_config()
nbgrader_plugin.configure(c)
release.configure(c)

# What a late submission costs, once nbgrader knows when an assignment is due (docs/instructor.md).
c.AssignLatePenalties.plugin_class = "autograder.late_days.LateDays"
c.LateDays.free_days = 4
c.LateDays.penalty_per_day = 0.1
'''


Json = dict[str, Any]


@dataclass(frozen=True)
class Mistake:
    """One change to the solved notebook.

    Attributes:
        exercise: whose answer is changed.
        right: the text that is replaced; it stands in the answer once. "" stands for all of it.
        wrong: what takes its place.
    """

    exercise: str
    right: str
    wrong: str


@dataclass(frozen=True)
class Submission:
    """What a student of the demo hands in, and what grading must find.

    Attributes:
        student: the name.
        story: what happened, in a few words.
        mistake: the one change to the solved notebook, if it is that.
        content: "solved", "released" or "broken".
        status: the status that grading must report.
        loses_after: whether the exercises after the mistake's are lost too.
    """

    student: str
    story: str
    mistake: Mistake | None = None
    content: str = "solved"
    status: str = "graded"
    loses_after: bool = False

    def notebook(self, solved: Json, released: str) -> str:
        """The file's content.

        Raises:
            CourseError: the mistake does not fit the solution any more.
        """
        if self.content == "broken":
            return "I worked on this all weekend but the upload did something strange.\n"
        if self.content == "released":
            return released
        return json.dumps(with_mistake(solved, self.mistake) if self.mistake else solved)

    def lost(self, exercises: Sequence[str]) -> set[str]:
        """Which of the exercises, given in their order, must lose points."""
        if self.content != "solved":
            return set(exercises)
        if self.mistake is None:
            return set()
        place = list(exercises).index(self.mistake.exercise)
        return set(exercises[place:] if self.loses_after else exercises[place : place + 1])


PS2 = (
    Submission("Ada Lindqvist", "the reference itself"),
    Submission("Ben Okafor", "the notebook as it was handed out", content="released"),
    Submission(
        "Chiara Moretti",
        "a Monte Carlo KL with the wrong sign",
        Mistake("ps2_kl_monte_carlo", "(log_q - log_p)", "(log_p - log_q)"),
    ),
    Submission(
        "Dmitri Volkov",
        "reconstructions from a sample, not from the posterior mean",
        Mistake("ps2_model", "self.decode(mu)", "self.decode(mu + torch.randn_like(mu))"),
    ),
    Submission(
        "Emeka Nwosu",
        "an interpolation that never arrives",
        Mistake(
            "ps2_interpolate",
            "weights = torch.linspace(0, 1, num_frames, ",
            "weights = torch.linspace(0, 1 - 1 / num_frames, num_frames, ",
        ),
    ),
    Submission(
        "Farah Rahimi",
        "an effective beta without its factor of one half",
        Mistake("ps2_effective_beta", "kl_weight * num_pixels / 2", "kl_weight * num_pixels"),
    ),
    Submission(
        "Goran Babic",
        "a warm-up that is always a step ahead",
        Mistake("ps2_training", "epoch / warmup_epochs", "(epoch + 1) / warmup_epochs"),
    ),
    Submission(
        "Hana Sato",
        "a cell that kills the kernel",
        Mistake("ps2_active_units", "", "import os\n\nos._exit(1)"),
        status="crashed",
        loses_after=True,
    ),
    Submission(
        "Ines Duarte",
        "a loop that never ends",
        Mistake(
            "ps2_interpolate",
            "",
            "def interpolate(z_start, z_end, num_frames):\n    while True:\n        pass",
        ),
        status="timed_out",
    ),
    Submission("Jonas Weber", "a file that is no notebook", content="broken", status="unreadable"),
)

PS1 = (
    Submission("Ada Lindqvist", "the reference itself"),
    Submission("Ben Okafor", "the notebook as it was handed out", content="released"),
    Submission(
        "Chiara Moretti",
        "a PCA that forgets the mean",
        Mistake("ps1_pca", "return mean + codes @ directions", "return codes @ directions"),
    ),
    Submission(
        "Dmitri Volkov",
        "errors that are measured in training mode",
        Mistake("ps1_fault", "    model.eval()\n", ""),
    ),
)

CLASS: Mapping[str, Sequence[Submission]] = {"ps1": PS1, "ps2": PS2}


def with_mistake(solved: Json, mistake: Mistake) -> Json:
    """The solved notebook with one change.

    Raises:
        CourseError: the text to be changed does not stand in the answer exactly once.
    """
    id = f"{mistake.exercise}_answer"
    changed = json.loads(json.dumps(solved))
    answers = [
        cell
        for cell in changed["cells"]
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == id
    ]
    source = "".join(answers[0]["source"]) if answers else ""
    if not answers or (mistake.right and source.count(mistake.right) != 1):
        raise CourseError(
            f"{id}: the demo's mistake does not fit this answer any more (it replaces "
            f"{mistake.right!r}); bring autograder/demo.py up to date with the reference"
        )
    right = mistake.right or source
    answers[0]["source"] = source.replace(right, mistake.wrong)
    return changed


def surprises(submission: Submission, entry: Json) -> Iterator[str]:
    """Where the record of a submission is not what it must be, a line each."""
    machine = [part for part in entry["exercises"] if part.get("kind") == "machine"]
    lost = submission.lost([part["id"] for part in machine])
    if entry["status"] != submission.status:
        yield f"the status is {entry['status']}, not {submission.status}"
    for part in machine:
        scored = f"{part['id']} scored {part['score']:g} of {part['max_score']:g}"
        if part["id"] in lost and part["score"] >= part["max_score"]:
            yield f"{scored}, and had to lose points"
        if part["id"] not in lost and part["score"] < part["max_score"]:
            yield f"{scored}, and had to score in full ({part['message']})"
        if submission.content != "solved" and part["score"]:
            yield f"{scored}, and had to score nothing"


def folder_name(student: str) -> str:
    """A student's id in nbgrader: "Ada Lindqvist" becomes ada_lindqvist."""
    return student.lower().replace(" ", "_")


def run(console: Console, root: Path | None = None) -> bool:
    """Build, hand in, grade and give feedback in a scratch course, and print it all.

    Args:
        console: where to.
        root: a folder that is new or empty; by default a temporary one, which is kept.

    Returns:
        Whether each submission got what it must.

    Raises:
        UsageError: the folder holds something.
        CourseError: a notebook cannot be built, or a file not be written.
    """
    root = _empty_folder(root)
    os.environ.setdefault(SEED_VARIABLE, SEED)
    console.print(Text(f"A scratch course in {root}\n"))
    _hand_in(console, root)
    found = [line for assignment in CLASS for line in _grade(console, root, assignment)]
    if found:
        console.print(Text("\nNot as it had to be:", style="bold red"))
        for line in found:
            console.print(Text(f"  {line}"))
        return False
    console.print(Text("\nEvery submission got what it had to get.", style="bold green"))
    console.print(
        Text(f"Look around: cd {root} && jupyter lab, then Nbgrader > Formgrader"), soft_wrap=True
    )
    return True


def _empty_folder(root: Path | None) -> Path:
    if root is None:
        return Path(tempfile.mkdtemp(prefix="vae-course-demo-"))
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UsageError(f"{root}: the demo needs a folder that is new or empty; name another")
    return root.resolve()


def _hand_in(console: Console, root: Path) -> None:
    from vae_course.authoring.build import build_assignment, write

    write_atomically(root / "nbgrader_config.py", CONFIG)
    for assignment, submissions in CLASS.items():
        built = build_assignment(assignment)
        write(root, built)
        console.print(Text(f"Built {assignment}: {built.assignment.title}"))
        for submission in submissions:
            folder = root / "submitted" / folder_name(submission.student) / assignment
            content = submission.notebook(built.solved, built.release)
            write_atomically(folder / f"{assignment}.ipynb", content)


def _grade(console: Console, root: Path, assignment: str) -> Iterator[str]:
    """Grade one assignment and show what came out; give what is not as it had to be."""
    from autograder import report
    from autograder.course import Course, logged_to
    from autograder.grading import Grading

    course = Course(root)
    console.print(Text(f"\n{assignment}\n", style="bold"))
    grading = Grading(course, assignment, timeout=CELL_SECONDS)
    with logged_to(course.log_file(assignment)):
        shown = report.with_progress(console, grading.run(), len(grading.students), assignment)
        records = {entry["student"]: entry for entry in shown}
        pages = list(report.write_feedback(course, assignment, None))
    report.show(console, list(records.values()))
    for submission in CLASS[assignment]:
        entry = records[folder_name(submission.student)]
        console.print(Text(f"\n{submission.student}: {submission.story}", style="bold"))
        for message in report.messages(entry):
            console.print(Text(f"  {message}"))
        yield from (f"{submission.student}: {line}" for line in surprises(submission, entry))
    console.print(Text(f"\nFeedback, {len(pages)} pages: {pages[0]} and so on"), soft_wrap=True)
