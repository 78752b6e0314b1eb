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
    from vae_course.authoring.pictures import missing_pictures
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
    for line in orphans + [line for one in made for line in missing_pictures(one.assignment)]:
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
    whole: Annotated[
        bool, typer.Option("--whole", help="Run the solved notebooks in full, too: minutes each.")
    ] = False,
) -> None:
    """Prove what students may and may not see, and that the notebooks run without a network."""
    from vae_course.authoring import proof
    from vae_course.authoring.build import find_course

    if not proof.show(names or (), find_course(course), cell_seconds, whole=whole):
        raise typer.Exit(1)


@app.command()
def pictures(
    names: Names = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="[default: VAE_COURSE_DATA, else ./data]"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="CODE", help="Run below the set-up: 'NUM_TRAIN = 20_000'."),
    ] = None,
) -> None:
    """Run the solved notebooks whole and keep the pictures that students compare theirs with."""
    from vae_course.authoring.assignment import choose_assignments
    from vae_course.authoring.doctor import data_folder
    from vae_course.authoring.drawing import check_settings, draw_pictures

    check_settings(settings or ())
    if data is not None and not data.is_dir():
        raise UsageError(f"{data}: there is no such folder; make it or name another")
    folder = data or data_folder()
    for name in choose_assignments(names or ()):
        found = folder if folder.is_dir() else None
        draw_pictures(name, found, settings or (), lambda line: print(line, flush=True))


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


class SystemName(StrEnum):
    """The five systems of the course."""

    AUTOENCODER = "autoencoder"
    VAE = "vae"
    BERNOULLI = "bernoulli"
    KERAS = "keras"
    CELEBA = "celeba"


@app.command()
def train(
    name: Annotated[SystemName, typer.Argument(help="Which model of the course.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to keep the run. [default: runs/NAME]"),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="How many in all. [default: the published run's]"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run that --out holds.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="[default: VAE_COURSE_DATA, else ./data]"),
    ] = None,
    beta: Annotated[
        float | None, typer.Option(help="Weight of the divergence, in nats (vae, keras).")
    ] = None,
    latent_dim: Annotated[int | None, typer.Option(min=1, help="Length of the code.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images a step.")] = None,
    seed: Annotated[int, typer.Option(help="Of weights, order and noise.")] = 0,
    threshold: Annotated[
        bool,
        typer.Option(
            "--threshold",
            help="bernoulli: MNIST with a threshold at one half, in place of Larochelle's "
            "fixed binarisation.",
        ),
    ] = False,
    importance_samples: Annotated[
        int | None,
        typer.Option(min=1, metavar="K", help="bernoulli: estimate log p(x) from K codes each."),
    ] = None,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="The loop that notebooks show: float32, step by step."),
    ] = False,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.CPU,
) -> None:
    """Train a model of the course; keep figures, curves, samples and a checkpoint.

    Ctrl-C stops it. With --resume it goes on from the last complete epoch, and on a CPU it ends as
    if it had never been stopped.
    """
    _check_data_and_device(data, device)
    if name is not SystemName.BERNOULLI and (threshold or importance_samples):
        raise UsageError(f"{name}: --threshold and --importance-samples are for bernoulli")
    from vae_course.authoring.reference import show_path
    from vae_course.experiments import Experiment, results_table
    from vae_course.systems import Settings, find_system

    system = find_system(name.value)
    if beta is not None and not system.takes_beta:
        raise UsageError(f"{name}: has no beta to choose; leave --beta out")
    settings = Settings(
        name.value,
        latent_dim or system.latent_dim,
        batch_size or system.batch_size,
        system.beta if beta is None else beta,
        seed,
        threshold,
        plain,
    )
    out = out or Path("runs") / name.value
    experiment = Experiment(settings, out, data, device.value, resume)
    try:
        experiment.train(epochs or system.epochs)
    except KeyboardInterrupt:
        typer.echo(
            f"\nstopped; {experiment.run.epoch} epochs are kept in {out}: go on with --resume",
            err=True,
        )
        raise typer.Exit(130) from None
    typer.echo(results_table(system, experiment.data.name, experiment.run.history))
    if importance_samples:
        log_p = experiment.log_marginal(importance_samples)
        typer.echo(f"log p(x), test images, {importance_samples} samples each: {log_p:.2f} nats")
    for path in experiment.draw():
        typer.echo(f"wrote {show_path(path)}")


@app.command()
def evaluate(
    checkpoint: Annotated[
        Path, typer.Argument(help="A run's run.safetensors, or its folder.", metavar="CHECKPOINT")
    ],
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="[default: VAE_COURSE_DATA, else ./data]"),
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to evaluate.")] = Device.CPU,
) -> None:
    """Say what a trained model is worth, on images it has not seen; draw what it has learnt.

    The pictures are written beside the checkpoint.
    """
    _check_data_and_device(data, device)
    from vae_course.authoring.reference import show_path
    from vae_course.experiments import restored

    experiment = restored(checkpoint, data, device.value)
    figures, paths = experiment.evaluate()
    typer.echo(f"{experiment.system.title}; {experiment.data.name}, held out")
    for name, value in figures.items():
        typer.echo(f"{name}: {value:.5g}")
    for path in [*paths, *experiment.draw()]:
        typer.echo(f"wrote {show_path(path)}")


def _check_data_and_device(data: Path | None, device: Device) -> None:
    import torch

    if data is not None and not data.is_dir():
        raise UsageError(f"{data}: there is no such folder; make it or name another")
    if device is Device.CUDA and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no GPU here; see `vae-course doctor`")


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
