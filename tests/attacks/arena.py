"""A course to be attacked: secrets in every corner, honest students, and an eye for damage.

An attack is a submission. `Arena` holds one course, hands submissions in, and looks at what became
of them; `damage` says what an attack gained. Who grades is not its business, so that the same eye
serves our grader and stock nbgrader.
"""

import copy
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache, cached_property
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from processes import below, is_running

ROOT = Path(__file__).parents[2]
EXERCISES = ("ps2_kl", "ps2_reparameterize", "ps2_elbo")
ASSIGNMENTS = {"ps2": EXERCISES, "ps1": ("ps1_autoencoder",)}
"""What is handed in: three exercises that are quick to judge, and one that is not, on its own."""

CELL_SECONDS = 6
"""What a cell may take here. A right answer takes a tenth of it to be judged."""

MEMORY_MB = 768
"""What a submission may use here."""

LATEST_SECONDS = 90
"""What grading one attack may take: nine cells of an assignment, each stopped at its limit."""

WON = "I-WON:"
"""What an attack prints before it says what it did that nobody should be able to do."""

CANARIES = {
    "the hidden tests": "canary-in-the-hidden-tests-3b1f",
    "the gradebook": "canary-in-the-gradebook-91ce",
    "verdicts.json": "canary-in-the-verdicts-c07d",
    "another student's notebook": "canary-in-adas-notebook-5e2a",
    "the grader's environment": "canary-in-the-environment-77f0",
    "the checks": "is for the next criterion. Copies that share their noise",
    "the reference": "a hidden mean is how scales get lost",
}
"""A text out of each secret. Where one of them is seen, the secret is out."""

ENVIRONMENT = {"GRADER_TOKEN": CANARIES["the grader's environment"], "AUTOGRADER_SEED": "1"}
"""What the grading process has in its environment. The seed makes scores comparable."""

SETUP = """
import math
import os
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal
"""

WRONG = {
    "ps2_kl": "def gaussian_kl(mu, log_var):\n    return (mu * log_var).sum(-1)",
    "ps2_reparameterize": """
def reparameterize(mu, log_var, generator=None):
    return mu + torch.exp(log_var) * torch.randn(mu.shape, generator=generator)
""",
    "ps2_elbo": """
def elbo_terms(x, x_hat, mu, log_var, beta=1.0):
    nll = (x - x_hat).abs().flatten(1).sum(1)
    kl = gaussian_kl(mu, log_var)
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl}
""",
    "ps1_autoencoder": """
class AutoEncoder(nn.Module):
    def __init__(self, latent_dim=64):
        super().__init__()
        self.encoder = Encoder(latent_dim)
        self.decoder = Decoder(latent_dim)

    def encode(self, x):
        return self.encoder(x)

    def decode(self, z):
        return self.decoder(0 * z)

    def forward(self, x):
        return self.decode(self.encode(x))

    def reconstruct(self, x):
        return self(x)
""",
}
"""Wrong answers that look right: they earn what asks for a form only, and for no value."""

OURS = {id: f'from autograder import grade\ngrade("{id}")' for id in WRONG}
"""The hidden region of each exercise, as in the course."""

CONFIG = f"""
from autograder import nbgrader_plugin

c = get_config()
nbgrader_plugin.configure(c)
c.Execute.timeout = {CELL_SECONDS}
c.ExecuteInSandbox.memory_mb = {MEMORY_MB}
c.ExecuteInSandbox.cpu_seconds = 60
c.ExecuteInSandbox.disk_mb = 64
"""


@dataclass(frozen=True)
class World:
    """What an attacker is taken to know of the machine: more than a student ever would.

    Attributes:
        root: the course's folder.
        grader: the number of the process that grades.
        port: somebody on the grader's machine listens there.
        door: and at this abstract Unix socket.
    """

    root: Path
    grader: int
    port: int
    door: str


@dataclass
class Submission:
    """What a student hands in.

    Attributes:
        notebook: the notebook.
        world: what may be known of the machine.
        files: what stands beside the notebook.
        links: symbolic links beside it: where they lead to.
    """

    notebook: NotebookNode
    world: World
    files: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    raw: str | None = None
    """The notebook's text, where it is none that nbformat would write."""

    def find(self, id: str) -> NotebookNode:
        """The cell with an nbgrader id."""
        return find(self.notebook, id)

    def answer(self, exercise: str, source: str) -> None:
        """Write an answer."""
        self.find(f"{exercise}_answer").source = source.strip()

    def run(self, source: str) -> None:
        """Put a code cell before the first answer."""
        self._put(new_code_cell(source.strip()))

    def run_last(self, source: str) -> None:
        """Put a code cell at the end."""
        self.notebook.cells.append(new_code_cell(source.strip()))

    def write(self, source: str) -> NotebookNode:
        """Put a Markdown cell before the first answer."""
        return self._put(new_markdown_cell(source))

    def _put(self, cell: NotebookNode) -> NotebookNode:
        ids = map(_grade_id, self.notebook.cells)
        place = next(index for index, id in enumerate(ids) if id.endswith("_answer"))
        self.notebook.cells.insert(place, cell)
        return cell


def find(notebook: NotebookNode, id: str) -> NotebookNode:
    """The last cell with an nbgrader id, which is the one that counts."""
    return [cell for cell in notebook.cells if _grade_id(cell) == id][-1]


def _grade_id(cell: NotebookNode) -> str:
    found = cell.metadata.get("nbgrader")
    return found.get("grade_id", "") if isinstance(found, dict) else ""


@cache
def _cell(id: str) -> NotebookNode:
    """A cell of the course's own source notebooks."""
    name = id.partition("_")[0]
    return find(nbformat.read(ROOT / "source" / name / f"{name}.ipynb", as_version=4), id)


def solution(exercise: str) -> str:
    """The right answer, without its markers."""
    lines = _cell(f"{exercise}_answer").source.split("\n")
    return "\n".join(line for line in lines if "### " not in line)


def source_notebook(exercises: Iterable[str], hidden: Mapping[str, str]) -> NotebookNode:
    """An assignment as its instructor has it.

    Args:
        exercises: their ids.
        hidden: the hidden tests of each exercise.
    """

    def flags(id: str, **given) -> dict:
        found = {"schema_version": 3, "grade_id": id, "locked": False}
        return {"nbgrader": found | dict.fromkeys(("grade", "solution", "task"), False) | given}

    parts = "\n\n\n".join(map(solution, ("ps1_encoder", "ps1_decoder")))
    cells = [
        new_markdown_cell("# An assignment worth attacking"),
        new_code_cell(SETUP.strip(), metadata=flags("setup", locked=True)),
        new_code_cell(parts, metadata=flags("given-parts", locked=True)),
    ]
    for id in exercises:
        cells += [
            new_markdown_cell(f"## Exercise {id}"),
            copy.deepcopy(_cell(f"{id}_answer")),
            grade := copy.deepcopy(_cell(id)),
        ]
        canary = f"# {CANARIES['the hidden tests']}"
        region = ("### BEGIN HIDDEN TESTS", canary, hidden[id], "### END HIDDEN TESTS")
        grade.source = "\n".join([f"# Graded: {id}", *region])
    asked = flags("arena_q", grade=True, solution=True, points=2)
    cells += [
        new_markdown_cell("## In words"),
        new_markdown_cell("*Your answer:*", metadata=asked),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"arena-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def make_source(root: Path, hidden: Mapping[str, str] = OURS, config: str = CONFIG) -> None:
    """Write a course's own files into a folder."""
    for assignment, exercises in ASSIGNMENTS.items():
        folder = root / "source" / assignment
        folder.mkdir(parents=True)
        nbformat.write(source_notebook(exercises, hidden), folder / f"{assignment}.ipynb")
    (root / "nbgrader_config.py").write_text(config)


class Arena:
    """A course in a folder, and one of its assignments.

    Args:
        root: the folder.
        assignment: its name.
        port, door: see `World`.
    """

    def __init__(self, root: Path, assignment: str, port: int = 0, door: str = "") -> None:
        self.root, self.assignment = root, assignment
        self.world = World(root, os.getpid(), port, door)

    def of(self, attack: Any) -> list[Submission]:
        """What an attacker hands in, one after the other."""
        steps = [step for step in (attack.before, attack.apply) if step is not None]
        submissions = [self.wrong() for _ in steps]
        for step, submission in zip(steps, submissions, strict=True):
            step(submission)
        return submissions

    @cached_property
    def released(self) -> NotebookNode:
        source = self.root / "source" / self.assignment / f"{self.assignment}.ipynb"
        notebook = nbformat.read(source, as_version=4)
        for cell in notebook.cells:
            cell.source = re.sub(
                r"### BEGIN HIDDEN TESTS.*### END HIDDEN TESTS", "", cell.source, flags=re.DOTALL
            ).rstrip()
        return notebook

    def _filled(self, answers: Mapping[str, str]) -> Submission:
        made = Submission(copy.deepcopy(self.released), self.world)
        for id, source in answers.items():
            made.answer(id, source)
        made.find("arena_q").source = "It is written in words."
        return made

    def right(self) -> Submission:
        """Right answers to all that a machine grades."""
        return self._filled({id: solution(id) for id in ASSIGNMENTS[self.assignment]})

    def wrong(self) -> Submission:
        """Wrong answers, and no attack."""
        return self._filled({id: WRONG[id] for id in ASSIGNMENTS[self.assignment]})

    def hand_in(self, student: str, submission: Submission) -> None:
        """Put a submission where a student's is expected, in place of an earlier one."""
        folder = self.folder("submitted", student)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        text = submission.raw
        text = nbformat.writes(submission.notebook) if text is None else text
        path = folder / f"{self.assignment}.ipynb"
        if path.name not in submission.links:
            path.write_text(text)
        for name, content in submission.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        for name, target in submission.links.items():
            (folder / name).symlink_to(target)

    def folder(self, step: str, student: str) -> Path:
        return self.root / step / student / self.assignment

    def plant(self) -> None:
        """Put the canaries in their places. Ada must have been graded, for they stand with hers."""
        with closing(sqlite3.connect(self.root / "gradebook.db")) as book, book:
            changed = book.execute(
                "update comment set manual_comment = ?", (CANARIES["the gradebook"],)
            )
            assert changed.rowcount
        path = self.root / "verdicts.json"
        records = json.loads(path.read_text()) if path.exists() else []
        secret = {"assignment": "ps0", "student": "ada", "exercises": []}
        records.append(secret | {"message": CANARIES["verdicts.json"]})
        path.write_text(json.dumps(records))

    # What became of it.

    def scores(self, student: str) -> dict[str, float] | None:
        """The points in the gradebook by exercise; None if they were never graded.

        It is read with SQL, for an attack may have left something that nbgrader cannot read.
        """
        query = """
            select base.name, grade.auto_score, grade.manual_score, grade.extra_credit,
                   grade.needs_manual_grade
            from grade
            join base_cell base on base.id = grade.cell_id
            join submitted_notebook notebook on notebook.id = grade.notebook_id
            join submitted_assignment submitted on submitted.id = notebook.assignment_id
            join assignment on assignment.id = submitted.assignment_id
            where assignment.name = ? and submitted.student_id = ?
        """
        with closing(sqlite3.connect(self.root / "gradebook.db")) as book:
            rows = book.execute(query, (self.assignment, student)).fetchall()
        if not rows:
            return None
        return {
            name: (by_hand if by_hand is not None else auto or 0.0) + (extra or 0.0)
            for name, auto, by_hand, extra, _ in rows
        }

    def executed(self, student: str) -> NotebookNode | None:
        """The executed notebook, if there is one."""
        path = self.folder("autograded", student) / f"{self.assignment}.ipynb"
        return nbformat.read(path, as_version=4) if path.is_file() else None

    def feedback(self, student: str) -> str:
        """The feedback page, or ""."""
        path = self.folder("feedback", student) / f"{self.assignment}.html"
        return path.read_text() if path.is_file() else ""

    def formgrader_page(self, student: str) -> str:
        """The page on which the instructor grades, or ""."""
        path = self.folder("autograded", student) / f"{self.assignment}.ipynb"
        if not path.is_file():
            return ""
        return _formgrader(self.root).from_filename(str(path), resources=_page())[0]

    def seen_by(self, student: str) -> Iterator[tuple[str, str]]:
        """All that the student may get to see of their grading, by where it stands."""
        executed = self.executed(student)
        for cell in executed.cells if executed else ():
            yield "the executed notebook", json.dumps(cell.get("outputs", ()), ensure_ascii=False)
            if not cell.metadata.get("nbgrader", {}).get("grade"):
                yield "the executed notebook", cell.source
        yield "the feedback", self.feedback(student)
        path = self.root / "verdicts.json"
        try:
            records = json.loads(path.read_text())
        except (OSError, ValueError):
            records = []
        yield (
            "verdicts.json",
            json.dumps(_of(records, self.assignment, student), ensure_ascii=False),
        )
        query = """
            select auto_comment from comment
            join submitted_notebook notebook on notebook.id = comment.notebook_id
            join submitted_assignment submitted on submitted.id = notebook.assignment_id
            join assignment on assignment.id = submitted.assignment_id
            where assignment.name = ? and submitted.student_id = ? and auto_comment is not null
        """
        with closing(sqlite3.connect(self.root / "gradebook.db")) as book:
            for (comment,) in book.execute(query, (self.assignment, student)):
                yield "a comment", comment

    def record(self, student: str) -> dict | None:
        """The student's record in verdicts.json."""
        path = self.root / "verdicts.json"
        try:
            found = _of(json.loads(path.read_text()), self.assignment, student)
        except (OSError, ValueError):
            return None
        return found[0] if found else None

    def state(self) -> dict[str, bytes]:
        """The files that are nobody's to change while the attacker is graded, and Ada's scores."""
        found = {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for place in ("source", "submitted/ada", "autograded/ada", "nbgrader_config.py")
            for path in [self.root / place, *(self.root / place).rglob("*")]
            if path.is_file()
        }
        return found | {"Ada's scores": json.dumps(self.scores("ada"), sort_keys=True).encode()}


def _of(records: list[dict], assignment: str, student: str) -> list[dict]:
    place = (assignment, student)
    return [entry for entry in records if (entry["assignment"], entry["student"]) == place]


def _formgrader(root: Path) -> Any:
    """The formgrader's exporter, set up as its server extension does it."""
    from nbconvert.exporters import HTMLExporter
    from nbgrader.server_extensions.formgrader import handlers
    from traitlets.config import PyFileConfigLoader

    config = PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
    config.HTMLExporter.template_name = "formgrade"
    config.HTMLExporter.extra_template_basedirs = [handlers.template_path]
    return HTMLExporter(config=config)


def _page() -> dict:
    named = ("assignment_id", "notebook_id", "submission_id", "base_url", "student", "last_name")
    return dict.fromkeys((*named, "first_name", "notebook_path"), "x") | {"index": 0, "total": 1}


# What a page would do in a browser.

_ACTIVE = {"script", "iframe", "object", "embed", "base", "form", "meta", "link", "svg", "style"}
_LOADS = ("src", "href", "xlink:href", "action", "formaction", "data", "poster", "srcset")
_SCHEME = re.compile(r"javascript:|vbscript:|data:(?!image/)", re.IGNORECASE)
_COMMAND = re.compile(r"\\(href|unicode|require|style|class|cssId|bbox|mmlToken)\s*[{[]")


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: Counter[str] = Counter()
        self._open: list[str] = []
        self._quiet = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag in _ACTIVE and not (tag == "meta" and "http-equiv" not in given):
            self.found[f"<{tag} {sorted(given.items())}>"] += 1
        for name, value in given.items():
            if name.startswith("on"):
                self.found[f"{tag} {name}={value}"] += 1
            if name in _LOADS:
                plain = re.sub(r"[\x00-\x20]", "", value)
                if _SCHEME.match(plain) or (name != "href" and "//" in plain[:8]):
                    self.found[f"{tag} {name}={plain[:80]}"] += 1
        self._open.append(tag)
        self._quiet += tag in ("code", "pre", "script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._quiet -= tag in ("code", "pre", "script", "style")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.found[f"script: {data.strip()[:200]}"] += 1
        elif self._quiet <= 0 and _COMMAND.search(data):
            self.found[f"a command of MathJax: {data.strip()[:80]}"] += 1


def active_parts(page: str) -> Counter[str]:
    """What in a page runs, loads, or leads to something that runs."""
    parser = _Page()
    parser.feed(page)
    parser.close()
    return parser.found


# Who is still there.


def descendants(process: int) -> set[int]:
    """The processes that stem from this one, and have not ended."""
    return set(filter(is_running, below(process)))


def outlived(known: set[int], seconds: float = 5.0) -> list[str]:
    """The processes that are still there, and were not before; to end, they get some time."""
    deadline = time.monotonic() + seconds
    while (left := descendants(os.getpid()) - known) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [_command(process) for process in sorted(left)]


def _command(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")[-80:]
    except OSError:
        return ""


class Listener:
    """Somebody on the grader's machine whom no submission may reach."""

    def __init__(self) -> None:
        self._port = socket.create_server(("127.0.0.1", 0))
        self._door = socket.socket(socket.AF_UNIX)
        self.door = f"arena-{os.getpid()}-{id(self)}"
        self._door.bind(f"\0{self.door}")
        self._door.listen()
        self.port = self._port.getsockname()[1]
        for end in (self._port, self._door):
            end.setblocking(False)

    def callers(self) -> int:
        """How many came since this was asked last."""
        count = 0
        for end in (self._port, self._door):
            while True:
                try:
                    end.accept()[0].close()
                except BlockingIOError:
                    break
                count += 1
        return count

    def close(self) -> None:
        self._port.close()
        self._door.close()


Scores = dict[str, float]
Grade = Callable[[Arena, str, bool], None]
"""Grades a student's submission; if that is true, it also writes the feedback."""


def grade_with_ours(arena: Arena, student: str, feedback: bool) -> None:
    """Grade one submission with our grader, as an instructor would."""
    from autograder.course import Course
    from autograder.grading import Grading
    from autograder.report import write_feedback

    list(Grading(Course(arena.root), arena.assignment, student, force=True).run())
    if feedback:
        list(write_feedback(Course(arena.root), arena.assignment, student))


@dataclass(frozen=True)
class Template:
    """A course in which Ada was graded, and what wrong and right answers earn, by assignment."""

    root: Path
    floor: dict[str, Scores]
    most: dict[str, Scores]


def make_template(root: Path, grade: Grade) -> Template:
    """Grade Ada and, to know what wrong answers earn, Yan; and put the canaries in their places.

    Args:
        root: of a course with nothing but its own files.
        grade: the grader.
    """
    made = Template(root, {}, {})
    for assignment in ASSIGNMENTS:
        arena = Arena(root, assignment)
        for student, submission in (("ada", arena.right()), ("yan", arena.wrong())):
            arena.hand_in(student, submission)
            grade(arena, student, True)
        made.floor[assignment], made.most[assignment] = map(arena.scores, ("yan", "ada"))
    arena.plant()
    return made


@dataclass(frozen=True)
class Round:
    """One attack, graded: what was seen meanwhile.

    Attributes:
        seconds: what grading the attacker took.
        stopped: why the run stopped, or "".
        changed: what changed of the course, and is nobody's to change.
        left: processes that are there and were not before.
        callers: how many called at the listener.
    """

    seconds: float
    stopped: str
    changed: Sequence[str] = ()
    left: Sequence[str] = ()
    callers: int = 0


def play(
    arena: Arena, submissions: Iterable[Submission], grade: Grade, listener: Listener
) -> Round:
    """Grade submissions of Mallory's, and after them a wrong and a right one of honest people."""
    known, before = descendants(os.getpid()), arena.state()
    seconds, stopped = 0.0, ""
    for submission in submissions:
        arena.hand_in("mallory", submission)
        took, why = _timed(grade, arena, "mallory", True)
        seconds, stopped = seconds + took, stopped or why
    left = outlived(known)
    for student, submission in (("yan", arena.wrong()), ("zoe", arena.right())):
        arena.hand_in(student, submission)
        stopped = stopped or _timed(grade, arena, student, False)[1]
    return Round(seconds, stopped, changes(before, arena.state()), left, listener.callers())


def changes(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[str]:
    """The names of what is not as it was."""
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def _timed(grade: Grade, arena: Arena, student: str, feedback: bool) -> tuple[float, str]:
    """How long grading took, and what stopped it."""
    start, stopped = time.monotonic(), ""
    usual = signal.signal(signal.SIGALRM, _too_late)
    signal.alarm(LATEST_SECONDS)
    try:
        grade(arena, student, feedback)
    except Exception as error:
        stopped = f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, usual)
    return time.monotonic() - start, stopped


def _too_late(signum: int, frame: Any) -> None:
    raise TimeoutError(f"not done after {LATEST_SECONDS} s")


def damage(arena: Arena, round: Round, template: Template) -> list[str]:
    """What an attack gained, one line each. None is what it should be."""
    floor, most = template.floor[arena.assignment], template.most[arena.assignment]
    found = []
    if round.stopped:
        found.append(f"stopped the run: {round.stopped}")
    if round.seconds >= LATEST_SECONDS:
        found.append(f"took {round.seconds:.0f} s")
    for id, score in (arena.scores("mallory") or {}).items():
        if not score <= floor[id] + 1e-9:  # a NaN is a gain, too
            found.append(f"gained points: {score} for {id}, where {floor[id]} was earned")
    for where, text in arena.seen_by("mallory"):
        found += [f"{where} shows {what}" for what, canary in CANARIES.items() if canary in text]
        found += [f"{where}: {line[:200]}" for line in re.findall(rf"{WON} \w[^\n\"\\<]*", text)]
    for name, page in (("feedback", arena.feedback), ("formgrader's page", arena.formgrader_page)):
        active = active_parts(page("mallory")) - active_parts(page("ada"))
        found += [f"the {name} runs or loads {part}" for part in active]
    found += [f"changed {name}" for name in round.changed]
    for student, want in (("zoe", most), ("yan", floor)):
        if not round.stopped and arena.scores(student) != want:
            found.append(f"{student} got {arena.scores(student)}, not {want}")
    if round.left:
        found.append(f"left processes behind: {round.left}")
    if round.callers:
        found.append("reached the grader's machine by a socket")
    record = arena.record("mallory")
    if record and any(part["verdict"] == "grader_error" for part in record["exercises"]):
        found.append(f"made the grader fail: {_detail(record)}")
    return sorted(set(found))


def _detail(record: dict) -> str:
    details = [part.get("detail") or part["message"] for part in record["exercises"]]
    return next(
        (
            detail
            for detail, part in zip(details, record["exercises"], strict=True)
            if part["verdict"] == "grader_error"
        ),
        "",
    )
