"""The command `vae-course`: build, verify and bundle notebooks, train the reference, look about."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vae_course.errors import CourseError, UsageError, run_command

# torch and nbgrader take seconds to import, so each command imports what it needs.

app = typer.Typer(
    help="Makes the notebooks of the course from their text and the reference.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Names = Annotated[
    list[str] | None,
    typer.Argument(help="Such as ps1 ps2; all of them without it.", metavar="[ASSIGNMENT]..."),
]
CourseOption = Annotated[
    Path | None,
    typer.Option(
        "--course",
        metavar="DIR",
        help="The course's folder. [default: the nearest one here or above with an "
        "nbgrader_config.py]",
    ),
]


class Device(StrEnum):
    """Where to train."""

    CPU = "cpu"
    CUDA = "cuda"


@app.command()
def build(
    names: Names = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; name what is stale and end with 1.")
    ] = False,
    course: CourseOption = None,
) -> None:
    """Make source/ and release/ from the assignments' text and the reference."""
    from vae_course.authoring import build as building
    from vae_course.authoring.assignment import choose_assignments
    from vae_course.authoring.reference import show_path

    folder = building.find_course(course)
    chosen = choose_assignments(names or ())
    # All are made before any is written: a mistake in one leaves the others as they were too.
    made = [building.build_assignment(name) for name in chosen]
    orphans = building.orphans(folder, names or ())
    if check:
        found = [line for one in made for line in building.check(folder, one)] + orphans
        for line in found:
            typer.echo(line, err=True)
        if found:
            raise typer.Exit(1)
        typer.echo(f"{', '.join(chosen)}: source and release are what text and reference make")
        return
    refused = False
    for one in made:
        try:
            changed = building.write(folder, one)
        except CourseError as error:
            typer.echo(f"error: {error}", err=True)
            refused = True
            continue
        for path in changed:
            typer.echo(f"wrote {show_path(path)}")
        if not changed:
            typer.echo(f"{one.name}: up to date")
    for line in orphans:
        typer.echo(f"warning: {line}", err=True)
    if refused:
        raise typer.Exit(1)


@app.command()
def verify(
    names: Names = None,
    course: CourseOption = None,
    cell_seconds: Annotated[
        int, typer.Option(help="How long one cell may take.", min=1, metavar="S")
    ] = 300,
) -> None:
    """Prove what students may and may not see, and that the notebooks run."""
    from vae_course.authoring import proof
    from vae_course.authoring.build import find_course

    if not proof.show(names or (), find_course(course), cell_seconds):
        raise typer.Exit(1)


@app.command()
def bundle(
    out: Annotated[Path, typer.Argument(help="An empty or new folder, or an earlier bundle.")],
    upto: Annotated[
        str | None, typer.Option(metavar="ASSIGNMENT", help="The last assignment that is out.")
    ] = None,
) -> None:
    """Write what may go public: release notebooks, data notes, the students' README."""
    from vae_course.authoring.bundle import write_bundle

    paths = write_bundle(out, upto)
    for path in paths:
        typer.echo(path)
    typer.echo(f"{len(paths)} files in {out}, ready to be pushed")


@app.command()
def train(
    name: Annotated[str, typer.Argument(metavar="ASSIGNMENT", help="ps1 or ps2.")],
    epochs: Annotated[
        int | None, typer.Option(min=1, help="[default: 10 for ps1, 5 for ps2]")
    ] = None,
    beta: Annotated[float, typer.Option(help="Weight of the divergence, in nats (ps2).")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of weights, order and noise.")] = 0,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="[default: VAE_COURSE_DATA, else ./data]"),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Go on from it; write it every epoch.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.CPU,
) -> None:
    """Train the reference model of an assignment on MNIST and print how it did."""
    if data is not None and not data.is_dir():
        raise UsageError(f"{data}: there is no such folder; make it or name another")
    if name != "ps2" and beta != 1.0:
        raise UsageError(f"{name}: only ps2 has a beta; leave --beta out")
    import torch

    from vae_course.data import load_mnist
    from vae_course.experiments import COMPARED_AT, train_reference

    if name not in COMPARED_AT:
        raise UsageError(f"there is no reference run {name} (known: {', '.join(COMPARED_AT)})")
    if device is Device.CUDA and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no GPU here; see `vae-course doctor`")
    try:
        images = load_mnist(data)
    except RuntimeError as error:
        raise CourseError(str(error)) from error
    train_reference(
        name,
        images,
        epochs=epochs or DEFAULT_EPOCHS[name],
        beta=beta,
        seed=seed,
        device=device.value,
        checkpoint=checkpoint,
    )


DEFAULT_EPOCHS = {"ps1": 10, "ps2": 5}


@app.command()
def doctor() -> None:
    """Say versions, GPU, data found, and what to do about each gap."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from vae_course.authoring.doctor import examine

    table = Table("", "what")
    for title in ("found", "what to do"):
        table.add_column(title, overflow="fold")
    ill = False
    for symptom in examine():
        mark = "ok" if symptom.well else "MISSING" if symptom.needed else "gap"
        ill = ill or (symptom.needed and not symptom.well)
        table.add_row(mark, symptom.what, Text(symptom.found), Text(symptom.advice))
    Console().print(table)
    if ill:
        raise typer.Exit(1)


def main() -> None:
    """Run the command."""
    run_command(app)


if __name__ == "__main__":
    main()
