"""Runs every check of `verify` on every notebook and shows what was checked, with figures."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from vae_course.authoring.assignment import choose_assignments
from vae_course.authoring.leaks import reveals
from vae_course.authoring.subject import Subject, load_subject
from vae_course.authoring.verify import Report, steps


def verify_notebook(
    subject: Subject,
    course: Path,
    cell_seconds: int,
    progress: Progress | None = None,
    whole: bool = False,
) -> Report:
    """All checks of one assignment's notebooks; with `whole`, a run in which nothing is shrunk."""
    report = Report(subject)
    todo = list(steps(subject, course, cell_seconds, report, whole))
    task = progress.add_task(subject.name, total=len(todo)) if progress else None
    for what, step in todo:
        if progress:
            progress.update(task, description=f"{subject.name}: {what}")
        step()
        if progress:
            progress.advance(task)
    if progress:
        outcome = "well" if report.ok else "findings"
        progress.update(task, description=f"{subject.name}: {outcome}")
    return report


def show(
    names: Iterable[str],
    course: Path,
    cell_seconds: int,
    console: Console | None = None,
    whole: bool = False,
) -> bool:
    """Verify the named assignments (all without names) and print; True if all is well."""
    subjects = [load_subject(name, course) for name in choose_assignments(names)]
    console = console or Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    errors = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=errors, transient=True) as progress:
        reports = [verify_notebook(one, course, cell_seconds, progress, whole) for one in subjects]
    for report in reports:
        console.print(_table(report))
        revealed = reveals(report.subject)
        console.print(Text(f"reveals of earlier assignments: {', '.join(revealed) or 'none'}\n"))
    findings = [one for report in reports for found in report.findings.values() for one in found]
    for finding in findings:
        console.print(Text(str(finding)), soft_wrap=True)
    console.print(Text(f"{len(findings)} findings" if findings else "nothing found: all is well"))
    return not findings


def _table(report: Report) -> Table:
    table = Table("check", "figures", "outcome", title=report.subject.path, title_justify="left")
    for check, found in report.findings.items():
        outcome = f"{len(found)} findings" if found else "ok"
        table.add_row(check, Text(report.figures.get(check, "")), outcome)
    return table
