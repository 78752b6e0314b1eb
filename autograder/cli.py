"""The command `autograder`, in the order of a term: collect, grade, answer, look again, report."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from autograder.collection import System
from vae_course.errors import CourseError, UsageError, run_command

# nbgrader takes two seconds to import, so each command imports it when it has to.

app = typer.Typer(
    help="Grades notebooks of the course.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # which would read [default: ...] as markup, and leave it out
)


STOPPED = "stopped; what was graded until now is kept, and the next run goes on from there"


MANY_NAMES = 100_000
"""Characters of a line that may list a whole class."""


class Stopped(CourseError):
    """Somebody pressed Ctrl-C."""

    exit_code = 130


class Isolation(StrEnum):
    """Where students' code runs: behind walls, or in the grader's own account."""

    sandbox = "sandbox"
    process = "process"


class MarksFormat(StrEnum):
    """Who reads marks that are exported."""

    csv = "csv"
    canvas = "canvas"
    moodle = "moodle"


class Missing(StrEnum):
    """What those get who did not hand in: nothing, or no points."""

    blank = "blank"
    zero = "zero"


CourseOption = Annotated[Path, typer.Option(help="The course's folder.", metavar="DIR")]
StudentOption = Annotated[str | None, typer.Option(help="Only this student.")]
AssignmentArgument = Annotated[str, typer.Argument(help="Such as ps2.", metavar="ASSIGNMENT")]
AssignmentsArgument = Annotated[
    list[str] | None, typer.Argument(help="Such as ps2. [default: all]", metavar="ASSIGNMENT")
]
RosterOption = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV",
        help="The class: who is who in other systems. Also a gradebook that Canvas exported, or a "
        "list or worksheet of Moodle. [default: DIR/students.csv, or gradebook.db]",
    ),
]
JobsOption = Annotated[
    int | None, typer.Option(help="Worker processes. [default: one a core]", min=1)
]
IsolationOption = Annotated[
    Isolation | None, typer.Option(help="Where students' code runs. [default: as configured]")
]
TimeoutOption = Annotated[
    int | None, typer.Option(help="Seconds a cell may take. [default: as configured]", min=1)
]
SeedOption = Annotated[
    int | None, typer.Option(help="Draw the inputs that this seed of a verdict drew.", min=0)
]


@app.command("collect")
def collect_submissions(
    assignment: AssignmentArgument,
    archives: Annotated[list[Path], typer.Argument(help="As they were downloaded.", metavar="ZIP")],
    origin: Annotated[System, typer.Option("--from", help="Who handed the zips out.")],
    roster: RosterOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace submissions, newer ones too.")
    ] = False,
    course: CourseOption = Path("."),
) -> None:
    """Put a zip of Canvas's or Moodle's into submitted/.

    The roster says whose a file is, the notebook of which assignment. Nothing is lost: earlier
    attempts, replaced submissions and what was not understood are kept in collected/, and named.
    Ends with 1 if something was not understood.
    """
    from autograder.collection.submissions import collect
    from autograder.course import Course, logged_to
    from autograder.notebooks import plain

    folder = Course(course)
    with logged_to(folder.log_file(assignment)):
        outcome = collect(folder, assignment, archives, origin, roster, force)
    for line in (*outcome.taken, *outcome.attempts, *outcome.remarks):
        print(plain(line))
    if outcome.absent:
        print(plain(f"Nothing from: {', '.join(outcome.absent)}", MANY_NAMES))
    if outcome.not_understood:
        print("\nNot understood:")
        for line in outcome.not_understood:
            print(plain(f"  {line}"))
        raise typer.Exit(1)


@app.command()
def grade(
    assignment: AssignmentArgument,
    student: StudentOption = None,
    json: Annotated[
        Path | None, typer.Option(help="Where records go. [default: DIR/verdicts.json]")
    ] = None,
    force: Annotated[bool, typer.Option(help="Grade again what did not change.")] = False,
    timeout: TimeoutOption = None,
    seed: SeedOption = None,
    jobs: JobsOption = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Of a Dask cluster that runs the submissions."),
    ] = None,
    isolation: IsolationOption = None,
    gpu: Annotated[
        bool, typer.Option("--gpu", help="Let students' code see this machine's GPUs.")
    ] = False,
    course: CourseOption = Path("."),
) -> None:
    """Grade what is in submitted/.

    Points go into gradebook.db, messages into verdicts.json. Ends with 0 if every file got a
    verdict, 1 if one could not be graded, 2 if the command was wrong.
    """
    from autograder import record, report
    from autograder.course import Course, logged_to
    from autograder.grading import Grading
    from autograder.record import SEED_VARIABLE
    from autograder.workers import Workers, cluster, cores

    console = Console()
    folder = Course(course)
    if seed is not None:
        os.environ[SEED_VARIABLE] = str(seed)
        force = True
    if gpu:
        folder.config.ExecuteInSandbox.gpu = True
    where = isolation and isolation.value
    count = jobs or cores()
    workers = Workers(count) if count > 1 and student is None else None
    if scheduler is not None:
        workers = cluster(scheduler)
    grading = Grading(folder, assignment, student, json, force, timeout, where, workers)
    total, reasons = len(grading.students), grading.reasons
    shown = report.with_progress(console, grading.run(), total, assignment, reasons)
    with logged_to(folder.log_file(assignment)):
        try:
            records = list(shown)
        except KeyboardInterrupt:  # caught here: Typer would end without a word
            raise Stopped(STOPPED) from None
    report.show(console, records)
    console.print(Text(f"Graded: {report.reasons_line(reasons.values())}"), soft_wrap=True)
    console.print(Text(f"Records: {grading.file.path}"), soft_wrap=True)
    if any(entry["status"] in record.NOT_GRADED for entry in records):
        raise typer.Exit(1)


@app.command()
def feedback(
    assignment: AssignmentArgument,
    student: StudentOption = None,
    course: CourseOption = Path("."),
) -> None:
    """Write each student's page: points, messages, no hidden test."""
    from autograder import report
    from autograder.course import Course, logged_to
    from autograder.notebooks import plain

    folder = Course(course)
    with logged_to(folder.log_file(assignment)):
        pages = list(report.write_feedback(folder, assignment, student))
    for page in pages:
        print(plain(page))


@app.command("return")
def return_pages(
    assignment: AssignmentArgument,
    archive: Annotated[Path, typer.Argument(help="In which the submissions came.", metavar="ZIP")],
    origin: Annotated[System, typer.Option("--from", help="Who handed the zip out.")],
    roster: RosterOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The zip to write. [default: DIR/marks/ASSIGNMENT-feedback.zip]"),
    ] = None,
    course: CourseOption = Path("."),
) -> None:
    """Put feedback pages into a zip for Canvas or Moodle.

    Write the pages first, with `autograder feedback`. Ends with 1 if somebody who handed in gets
    none.
    """
    from autograder.collection.handback import handback, write_zip
    from autograder.course import Course
    from autograder.marks.export import MARKS_FOLDER
    from autograder.notebooks import plain

    folder = Course(course)
    found = handback(folder, assignment, archive, origin, roster)
    if not found.pages:
        raise UsageError(
            f"{assignment}: there is no page for anybody of {archive.name}; run "
            f"`autograder feedback {assignment}` first"
        )
    path = out or folder.root / MARKS_FOLDER / f"{assignment}-feedback.zip"
    write_zip(found, path)
    print(plain(f"{path}: pages of {len(found.pages)} students"))
    if found.without:
        print(plain(f"No page for: {', '.join(found.without)}", MANY_NAMES))
    if found.not_understood:
        print("\nNot understood:")
        for line in found.not_understood:
            print(f"  {line}")
    if found.without or found.not_understood:
        raise typer.Exit(1)


@app.command()
def queue(
    assignment: AssignmentArgument,
    anonymous: Annotated[
        bool,
        typer.Option("--anonymous", help="Name submissions as the formgrader numbers them."),
    ] = False,
    formgrader: Annotated[
        str, typer.Option(help="The Jupyter server that has the formgrader.", metavar="URL")
    ] = "http://localhost:8888",
    out: Annotated[
        Path | None,
        typer.Option(help="The page to write. [default: DIR/reports/ASSIGNMENT-queue.html]"),
    ] = None,
    course: CourseOption = Path("."),
) -> None:
    """List what waits for a person.

    The page has marking schemes, and links into the formgrader. Answers to read come question by
    question, then what ran out of time, was tampered with, or could not be graded.
    """
    from autograder.course import Course
    from autograder.notebooks import plain
    from autograder.pages import waiting

    folder = Course(course)
    found = waiting.queue_of(folder, assignment, anonymous, formgrader)
    for text in waiting.lines(found):
        print(plain(text))
    print(plain(f"Page: {waiting.write(folder, found, out)}"))


@app.command()
def regrade(
    assignment: AssignmentArgument,
    exercise: Annotated[
        list[str] | None,
        typer.Option(help="Only this exercise may change; may be given again. [default: all]"),
    ] = None,
    student: StudentOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
    jobs: JobsOption = None,
    isolation: IsolationOption = None,
    course: CourseOption = Path("."),
) -> None:
    """Grade again after a check was mended.

    Shows whose marks move and why, then writes them. Each submission is judged on the inputs that
    it was judged on before. Marks and comments that a person gave stay. Without a terminal to ask
    at, and without --yes, nothing is written.
    """
    from autograder import report
    from autograder.course import Course, logged_to
    from autograder.regrade import Regrade
    from autograder.workers import Workers, cores

    console = Console()
    folder = Course(course)
    count = jobs or cores()
    workers = Workers(count) if count > 1 and student is None else None
    where = isolation and isolation.value
    again = Regrade(folder, assignment, exercise or (), student, where, workers)
    with again, logged_to(folder.log_file(assignment)):
        total = len(again.students)
        for _ in report.with_progress(console, again.run(), total, f"{assignment} again"):
            pass
        report.show_moves(console, again)
        if not again.moves:
            return
        if not yes and not (sys.stdin.isatty() and typer.confirm("Write these marks?")):
            console.print("Nothing was written; --yes writes these marks without asking.")
            return
        again.write()
        console.print(Text(f"Written: the marks of {len(again.marks)}."))


@app.command()
def preview(
    assignment: AssignmentArgument,
    file: Annotated[
        Path, typer.Argument(help="A notebook, or the folder of a submission.", metavar="FILE")
    ],
    json: Annotated[
        Path | None, typer.Option(help="A file that gets its record. [default: none]")
    ] = None,
    feedback: Annotated[
        Path | None, typer.Option(help="The student's page to write. [default: none]")
    ] = None,
    timeout: TimeoutOption = None,
    seed: SeedOption = None,
    isolation: IsolationOption = None,
    course: CourseOption = Path("."),
) -> None:
    """Grade one file as in a class; nothing is recorded.

    Ends with 0 if it got a verdict, 1 if it could not be graded, 2 if the command was wrong.
    """
    from autograder import record, report
    from autograder.course import Course
    from autograder.grading import VERDICTS_FILE, VerdictsFile
    from autograder.notebooks import plain
    from autograder.preview import preview, write_pages
    from autograder.record import SEED_VARIABLE

    folder = Course(course)
    if json is not None and json.resolve() == folder.root / VERDICTS_FILE:
        raise UsageError(f"{json}: that is the class's; name another file with --json")
    target = VerdictsFile(json) if json is not None else None
    if seed is not None:
        os.environ[SEED_VARIABLE] = str(seed)
    where = isolation and isolation.value
    made = preview(folder, assignment, file, timeout, where, feedback is not None)
    console = Console()
    report.show(console, [made.record])
    for message in report.messages(made.record):
        console.print(Text(message), soft_wrap=True)
    if target is not None:
        target.put([made.record])
        console.print(Text(f"Record: {plain(target.path)}"), soft_wrap=True)
    for page in write_pages(made, feedback) if feedback is not None else ():
        console.print(Text(f"Page: {plain(page)}"), soft_wrap=True)
    if made.record["status"] == "grader_error":
        print(made.log, file=sys.stderr)
    if made.record["status"] in record.NOT_GRADED:
        raise typer.Exit(1)


@app.command("report")
def class_report(
    assignment: AssignmentArgument,
    json: Annotated[
        Path | None, typer.Option(help="Where the records are. [default: DIR/verdicts.json]")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The page to write. [default: DIR/reports/ASSIGNMENT.html]"),
    ] = None,
    course: CourseOption = Path("."),
) -> None:
    """Write a page on the class: scores, exercises, common mistakes."""
    from autograder.course import Course
    from autograder.notebooks import plain
    from autograder.pages.class_report import write

    print(plain(write(Course(course), assignment, json, out)))


@app.command()
def similar(
    assignment: AssignmentArgument,
    out: Annotated[
        Path | None,
        typer.Option(help="The page to write. [default: DIR/reports/ASSIGNMENT-similar.html]"),
    ] = None,
    course: CourseOption = Path("."),
) -> None:
    """Write a page on submissions that are alike, pair by pair.

    It compares each student's own code with everybody's, and proves nothing. Graded before, it
    tells which known mistakes two have in common.
    """
    from rich.progress import track

    from autograder.course import Course
    from autograder.pages import similar as similarity_page

    console = Console()
    quiet = not console.is_terminal
    found = similarity_page.write(
        Course(course),
        assignment,
        out,
        lambda students: track(
            students, assignment, console=console, transient=True, disable=quiet
        ),
    )
    for line in similarity_page.lines(*found):
        console.print(Text(line), soft_wrap=True)


@app.command("export")
def export_marks(
    assignments: AssignmentsArgument = None,
    form: Annotated[
        MarksFormat, typer.Option("--format", help="Who is to read them.")
    ] = MarksFormat.csv,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file; of several for an LMS, each name gets its assignment's. "
            "[default: in DIR/marks]"
        ),
    ] = None,
    roster: RosterOption = None,
    column: Annotated[
        str | None,
        typer.Option(help="The assignment's name in the LMS. [default: as the roster has it]"),
    ] = None,
    missing: Annotated[
        Missing, typer.Option(help="What those get who did not hand in.")
    ] = Missing.blank,
    include_ungraded: Annotated[
        bool,
        typer.Option("--include-ungraded", help="Marks too that wait for a person, as they stand."),
    ] = False,
    course: CourseOption = Path("."),
) -> None:
    """Write marks for people (csv), Canvas or Moodle.

    They are gradebook.db's, less what lateness costs. Who did not hand in gets nothing, not 0.
    Ends with 1 if a mark of who did is not in the file, and names each: because a person has to
    grade something yet, or because the roster does not say who that is in the LMS.
    """
    from autograder.course import Course
    from autograder.marks.export import Choice, write_marks
    from autograder.marks.roster import roster_of
    from autograder.notebooks import plain

    folder = Course(course)
    choice = Choice(form.value, missing is Missing.zero, include_ungraded, column)
    with folder.gradebook() as gradebook:
        known = roster_of(folder, gradebook, roster)
        written = write_marks(folder, gradebook, assignments or (), known, choice, out)
    for path, lines in written.files.items():
        print(plain(f"{path}: {lines} students" if form != "csv" else f"{path}: {lines} lines"))
    for line in written.remarks:
        print(plain(line, MANY_NAMES))
    if written.left_out:
        print("\nMarks left out:")
        for line in written.left_out:
            print(plain(f"  {line}", MANY_NAMES))
        raise typer.Exit(1)


@app.command()
def gradescope(
    assignment: AssignmentArgument,
    out: Annotated[Path, typer.Argument(help="The archive to write.", metavar="OUT.zip")],
    timeout: TimeoutOption = None,
    isolation: Annotated[
        Isolation | None,
        typer.Option(
            help="Where students' code runs there: behind walls, or in an account of its own. "
            "[default: as configured]"
        ),
    ] = None,
    course: CourseOption = Path("."),
) -> None:
    """Make the archive by which Gradescope grades an assignment."""
    from autograder.course import Course
    from autograder.gradescope.archive import archive, steps
    from autograder.gradescope.harness import settings_of
    from autograder.notebooks import plain
    from vae_course.files import write_atomically

    folder = Course(course)
    settings = settings_of(folder, assignment, isolation and isolation.value, timeout)
    write_atomically(out, archive(folder, settings))
    print(f"Archive: {plain(out)}")
    for step in steps(folder, settings):
        print(step)


@app.command()
def demo(
    course: Annotated[
        Path | None, typer.Option(help="A new folder for it. [default: a temporary one]")
    ] = None,
) -> None:
    """Grade a class of ten in a scratch course; check its scores."""
    from autograder.demo import run

    if not run(Console(), course):
        raise typer.Exit(1)


@app.command()
def doctor() -> None:
    """Say where students' code would run here, and try it."""
    from autograder.sandbox import outside

    if reason := outside.problem():
        raise UsageError(
            f"no sandbox: {reason}. Students' code would run in your own account, and only with "
            "--isolation process"
        )
    with outside.WarmParent() as warm, warm.session() as session:
        shown, _ = session.run_cell("import os; (os.getpid(), os.listdir('/home'))")
        session.close()
    print(f"sandbox: works; a first cell ran as {shown[0]['data']['text/plain']}")


@app.command()
def selftest(
    assignments: AssignmentsArgument = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Only one of each kind an exercise.")
    ] = False,
    jobs: JobsOption = None,
    cache: Annotated[
        Path | None, typer.Option(help="A file of results, used again where nothing changed.")
    ] = None,
    second: Annotated[
        Path | None, typer.Option(help="A folder of answers by others, told beside the first.")
    ] = None,
) -> None:
    """Prove the grader by known mistakes, right answers and mutants.

    Ends with 1 if anything was missed, misnamed or refused; the second bank only shows rates.
    """
    from rich.progress import track

    from autograder import selftest
    from autograder.workers import cores
    from vae_course.authoring.assignment import choose_assignments

    console = Console()
    names = choose_assignments(assignments or ())
    jobs = jobs or cores()
    banks = {"": [task for name in names for task in selftest.tasks(name, sample)]}
    if second is not None:
        banks["second "] = [task for name in names for task in selftest.second_tasks(name, second)]
    columns: list[tuple[str, selftest.Tally]] = []
    totals: dict[str, selftest.Tally] = {}
    for title, todo in banks.items():
        tallies = {name: selftest.Tally() for name in names}
        done = selftest.run(todo, jobs, cache)
        for task, tally in track(done, f"{title}self-test", len(todo), console=console):
            tallies[task.assignment].add(tally)
            for problem in tally.problems:
                console.print(Text(title + problem), soft_wrap=True)
        columns += [(title + name, tally) for name, tally in tallies.items()]
        totals[title] = selftest.total(tallies.values())
    console.print(selftest.table(columns))
    if second is not None:
        for line in selftest.SECOND_LINES:
            print(f"second_{line}: {getattr(totals['second '], line)}")
    for line in selftest.LINES:
        print(f"{line}: {getattr(totals[''], line)}")
    if not totals[""].is_sound:
        raise typer.Exit(1)


@app.command()
def calibrate(
    assignments: AssignmentsArgument = None,
    runs: Annotated[
        int, typer.Option(help="Trainings of right answers for each threshold.", min=1)
    ] = 300,
    jobs: JobsOption = None,
    keep: Annotated[
        Path, typer.Option(help="A file of what each run found, from which the next goes on.")
    ] = Path("build/calibration.jsonl"),
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("docs/calibration.md"),
    check: Annotated[
        bool, typer.Option("--check", help="Only compare the page's thresholds with the checks'.")
    ] = False,
) -> None:
    """Measure how clear of their thresholds checks of training keep.

    Trains right answers and known mistakes with many seeds. Ends with 1 if a right answer failed.
    That mistakes lose points is for the self-test to show.
    """
    from rich.progress import track

    from autograder import calibration
    from autograder.workers import cores
    from vae_course.authoring.assignment import choose_assignments
    from vae_course.files import write_atomically

    console = Console()
    names = choose_assignments(assignments or ())
    if check:
        problems = calibration.differences(out.read_text() if out.exists() else "")
    else:
        wanted = calibration.planned(choose_assignments(), runs)
        todo = [run for run in wanted if run.assignment in names]
        done = calibration.run(todo, jobs or cores(), keep)
        try:
            for _ in track(done, "calibration", len(todo), console=console):
                pass
        except KeyboardInterrupt:  # caught here: Typer would end without a word
            raise Stopped(f"stopped; {keep} holds what was found; the next run goes on") from None
        found = calibration.found_before(wanted, keep)
        write_atomically(out, calibration.document(found, runs))
        console.print(Text(f"Table: {out}"), soft_wrap=True)
        problems = [line for row in calibration.rows(found) for line in row.problems]
    for problem in problems:
        console.print(Text(problem), soft_wrap=True)
    if problems:
        raise typer.Exit(1)


def main() -> None:
    """Run the command."""
    run_command(app)


if __name__ == "__main__":
    main()
