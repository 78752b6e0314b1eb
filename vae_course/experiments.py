"""The course's own training runs: the five systems on their data, measured and drawn.

Much published code reports a mean over pixels beside a sum over latents. Here training is in
nats; figures on the published scale are reported beside it so that the two can be compared.
"""

import csv
import io
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from IPython.display import Image
from torch import Tensor
from tqdm.auto import tqdm

from vae_course.bernoulli_vae import BernoulliVAE, log_marginal
from vae_course.data import ImageData
from vae_course.errors import CourseError, UsageError
from vae_course.evaluation import (
    aggregate_moments,
    frechet_distance,
    kl_per_dimension,
    principal_components,
)
from vae_course.files import write_atomically
from vae_course.fused import fused
from vae_course.plots import (
    plot_aggregate,
    plot_curves,
    plot_dimensions,
    plot_reconstructions,
    plot_samples,
)
from vae_course.probability import active_units
from vae_course.systems import Settings, System, find_system
from vae_course.trainer import PLAIN, Batches, Terms, Trainer, as_bytes, fastest, from_bytes
from vae_course.training import Run, evaluate

COMPARED_OVER = 50  # single batches are noisy: average over this many around the step
PICTURES = 24  # images in a grid of samples
FEATURES, FEATURES_FROM = 64, 10_000  # principal components, and images that they are found in
CHECKPOINT, SETTINGS, HISTORY = "run.safetensors", "settings.json", "history.csv"


class Experiment:
    """A system in training: its data, its model, and a folder that keeps all of it.

        experiment = Experiment(default_settings("vae"), "runs/vae")
        experiment.train(epochs=5)
        experiment.draw()

    The folder holds `settings.json`, `history.csv`, the checkpoint `run.safetensors`, and pictures.

    Attributes:
        run: the `Run`, with the history.
        data: the images.
    """

    def __init__(
        self,
        settings: Settings,
        out: str | Path,
        data: ImageData | str | Path | None = None,
        device: str | torch.device = "cpu",
        resume: bool = False,
        progress: bool = True,
    ) -> None:
        """Start a run in `out`, or pick up the one that is there.

        Args:
            settings: what decides the run.
            out: the folder to keep it in; made if it is missing.
            data: the images, or the folder to load them from.
            device: where to train.
            resume: go on with the run in `out`, if there is one.
            progress: whether to show a bar on stderr.

        Raises:
            UsageError: `out` holds a run already and `resume` is not set, or holds another one.
            CourseError: the data are damaged, or the checkpoint cannot be used.
        """
        self.system = find_system(settings.system)
        self.settings = settings
        self.out = Path(out)
        _claim(self.out, settings, resume)
        if isinstance(data, ImageData):
            self.data = data
        else:
            try:
                self.data = self.system.load(Path(data) if data else None, settings)
            except RuntimeError as error:
                raise CourseError(str(error)) from error
        torch.manual_seed(settings.seed)
        self.model = self.system.make(settings).to(device)
        self.terms: Terms = partial(self.system.terms, beta=settings.beta)
        speed = PLAIN if settings.plain else fastest(device)
        batches = Batches(
            as_bytes(self.data.train_images),
            settings.batch_size,
            torch.Generator().manual_seed(settings.seed),
            self.system.prepare,
            device,
            speed.channels_last,
        )
        self.held_out = Batches(
            as_bytes(self.data.test_images), 500, prepare=self.system.prepare, device=device
        )
        optimizer = self.system.optimizer(self.model.parameters())
        if not settings.plain:
            optimizer = fused(optimizer)
        self.trainer = Trainer(self.model, batches, self.terms, optimizer, speed)
        self.run = Run(self.model, optimizer, self.out / CHECKPOINT, [batches.order], progress)
        self._steps: dict[str, list[float]] = defaultdict(list)
        self._from_the_start = self.run.epoch == 0  # only then are all steps known

    def train(self, epochs: int) -> dict:
        """Train until `epochs` epochs are done in all; return the history.

        After each epoch the checkpoint and `history.csv` are written, so that stopping at any
        moment loses at most the epoch under way.
        """
        if self.run.epoch == 0 and not self.run.history["held_out"]:
            self.run.record(held_out=self._measured())
        for _ in self._epochs(epochs):
            train = self.trainer.epoch()
            self.run.record(train=train, held_out=self._measured())
            if self.system.compared_at and self._from_the_start:
                self._compare(self.system.compared_at)
        return self.run.history

    def _measured(self) -> dict[str, float]:
        return evaluate(self.model, self.held_out, self.terms)

    def _compare(self, step: int) -> None:
        """Keep the means around the step at which the published run logs its terms."""
        for name, values in self.trainer.steps.items():
            self._steps[name] += values
        around = around_step(self._steps, step, COMPARED_OVER)
        if around and "at_step" not in self.run.history:
            self.run.history["at_step"] = {"step": step, **around}

    def _epochs(self, epochs: int) -> Iterator[int]:
        for epoch in self.run.epochs(epochs):
            yield epoch
            write_atomically(self.out / HISTORY, history_csv(self.run.history))

    def draw(self) -> list[Path]:
        """Write curves, samples and reconstructions as PNG files; return their paths."""
        device = next(self.model.parameters()).device
        generator = torch.Generator(device).manual_seed(self.settings.seed)
        shown = min(12, self.held_out.num_images)
        x = self.held_out.gather(torch.arange(shown, device=device))
        samples = self.system.sample(self.model, PICTURES, generator).cpu()
        x_hat = self.system.reconstruct(self.model, x).cpu()
        return self._write(
            curves=plot_curves(self.run.history, self.system.columns, self._what),
            samples=plot_samples(samples, f"Samples: {self._what}"),
            reconstructions=plot_reconstructions(
                self.system.show(x).cpu(),
                x_hat,
                f"Held-out images and reconstructions: {self._what}",
            ),
        )

    @property
    def _what(self) -> str:
        return f"{self.system.title}, {len(self.run.history['train'])} epochs"

    def _write(self, **pictures: Image) -> list[Path]:
        paths = []
        for name, picture in pictures.items():
            paths.append(self.out / f"{name}.png")
            write_atomically(paths[-1], picture.data)
        return paths

    def evaluate(self) -> tuple[dict[str, float], list[Path]]:
        """What a practitioner asks of a trained model, on the held-out images.

        Returns:
            Figures by what they are, with their units; and the pictures that were written.
        """
        terms = self._measured()
        figures = {f"{name} (nats per image)": terms[name] for name in terms if name != "mse"}
        if "kl" in terms:
            figures["-ELBO, beta 1 (nats per image)"] = terms["nll"] + terms["kl"]
            if self.system.bits is not None:
                bits = self.system.bits(terms["nll"] + terms["kl"])
                figures["-ELBO, beta 1 (bits per number of the image)"] = float(bits)
        figures["squared error of reconstructions (mean per pixel, in [0, 1])"] = self._error()
        mu, var = self._posteriors()
        figures[f"active units (of {mu.shape[1]})"] = active_units(mu)
        paths = []
        if var is not None:
            spent = kl_per_dimension(mu, var)
            figures["largest KL of a dimension (nats)"] = float(spent.max())
            mean, covariance = aggregate_moments(mu, var)
            figures["aggregate posterior: largest mean of a dimension"] = float(mean.abs().max())
            spread = covariance.diag()
            figures["aggregate posterior: smallest variance"] = float(spread.min())
            figures["aggregate posterior: largest variance"] = float(spread.max())
            two = spent.argsort(descending=True)[:2]
            pictures = {"dimensions": plot_dimensions(spent, f"KL by dimension: {self._what}")}
            if len(two) == 2:
                title = "The aggregate posterior where it spends most"
                pictures["aggregate"] = plot_aggregate(mu[:, two], var[:, two], title)
            paths = self._write(**pictures)
        return figures | self._distances(), paths

    @torch.no_grad()
    def _posteriors(self) -> tuple[Tensor, Tensor | None]:
        self.model.eval()
        found = [self.system.posterior(self.model, x) for x, _ in self.held_out]
        mu, var = zip(*found, strict=True)
        return torch.cat(mu).cpu(), None if var[0] is None else torch.cat(var).cpu()

    def _error(self) -> float:
        total = 0.0
        for x, _ in self.held_out:
            x_hat = self.system.reconstruct(self.model, x)
            total += (self.system.show(x) - x_hat).square().flatten(1).mean(dim=1).sum().item()
        return total / self.held_out.num_images

    def _distances(self) -> dict[str, float]:
        """Frechet distances on the pixels' principal components, which need no download."""
        trained_on = from_bytes(as_bytes(self.data.train_images))
        held_out = from_bytes(as_bytes(self.data.test_images))
        components = principal_components(trained_on[:FEATURES_FROM], FEATURES).float()
        device = next(self.model.parameters()).device
        generator = torch.Generator(device).manual_seed(self.settings.seed)
        sizes = [len(part) for part in held_out.split(500)]
        made = [self.system.sample(self.model, n, generator).cpu() for n in sizes]
        clouds = {"samples": torch.cat(made), "training images": trained_on[: len(held_out)]}
        features = held_out.flatten(1) @ components
        return {
            f"Frechet distance on {components.shape[1]} principal components of pixels, "
            f"{name} to held-out images": frechet_distance(cloud.flatten(1) @ components, features)
            for name, cloud in clouds.items()
        }

    def log_marginal(self, num_samples: int) -> float:
        """The mean of log p(x) over the test images, in nats, by importance sampling (ps3)."""
        if not isinstance(self.model, BernoulliVAE):
            raise UsageError(f"{self.settings.system}: log p(x) is estimated for bernoulli only")
        device = next(self.model.parameters()).device
        generator = torch.Generator(device).manual_seed(self.settings.seed)
        total = 0.0
        for x, _ in tqdm(self.held_out, desc="log p(x)", unit="batch"):
            log_p = log_marginal(self.model, x, num_samples, generator=generator)
            total += log_p.sum().item()
        return total / self.held_out.num_images


def restored(
    checkpoint: str | Path, data: str | Path | None = None, device: str | torch.device = "cpu"
) -> Experiment:
    """The run that a checkpoint belongs to, as it was when that was written.

    Args:
        checkpoint: `run.safetensors` of a run, or the folder that holds it.
        data: the folder to load its images from.
        device: where to have the model.

    Raises:
        CourseError: there is no run, or it cannot be read.
    """
    folder = Path(checkpoint)
    folder = folder if folder.is_dir() else folder.parent
    for path in (Path(checkpoint), folder / CHECKPOINT, folder / SETTINGS):
        if not path.exists():
            raise CourseError(f"{path}: not found; name the folder of a run of `vae-course train`")
    try:
        settings = Settings(**json.loads((folder / SETTINGS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise CourseError(
            f"{folder / SETTINGS}: cannot be read as a run's settings ({error}); train again"
        ) from error
    return Experiment(settings, folder, data, device, resume=True, progress=False)


def _claim(out: Path, settings: Settings, resume: bool) -> None:
    """Make sure that `out` is free for this run, or holds this very run."""
    path = out / SETTINGS
    if path.exists() or (out / CHECKPOINT).exists():
        if not resume:
            raise UsageError(
                f"{out}: holds a run already; go on with --resume, or name another folder"
            )
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CourseError(
                f"{path}: cannot be read ({error}); delete the folder to start again"
            ) from error
        here = asdict(settings)
        for key in sorted(there.keys() | here.keys()):
            if there.get(key) != here.get(key):
                raise UsageError(
                    f"{out}: holds another run: its {key} is {there.get(key)}, "
                    f"this one's is {here.get(key)}; name another folder"
                )
        return
    try:
        os.makedirs(out, exist_ok=True)
        write_atomically(path, json.dumps(asdict(settings), indent=2) + "\n")
    except OSError as error:
        raise CourseError(f"{out}: cannot be made ({error}); name another folder") from error


def around_step(steps: dict[str, list[float]], step: int, width: int) -> dict[str, float]:
    """The mean of each term over `width` steps around `step`; nothing if it was not reached."""
    windows = {name: values[step - width // 2 :][:width] for name, values in steps.items()}
    return {name: sum(w) / len(w) for name, w in windows.items() if len(w) == width}


def history_csv(history: dict) -> str:
    """A history as CSV: a line an epoch, a column a part and term; epoch 0 is before training."""
    train, held_out = history["train"], history["held_out"]
    terms = list((held_out or train or [{}])[0])
    columns = [f"{part}_{term}" for part in ("train", "held_out") for term in terms]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *columns])
    for epoch, entry in enumerate(held_out):
        trained = train[epoch - 1] if epoch else {}
        cells = [trained.get(term, "") for term in terms] + [entry[term] for term in terms]
        writer.writerow([epoch, *cells])
    return text.getvalue()


def results_table(system: System, data_name: str, history: dict) -> str:
    """A history's figures as a few lines of Markdown: mse per pixel, all else nats per image."""
    columns = list(system.columns)
    entries = {
        "held out, before training": history["held_out"][:1],
        f"held out, {len(history['train'])} epochs": history["held_out"][-1:],
        f"training, epoch {len(history['train'])}": history["train"][-1:],
    }
    if "at_step" in history:
        step = history["at_step"]["step"]
        entries[f"training, {COMPARED_OVER} steps around {step}"] = [history["at_step"]]
    titles = [*columns, f"loss {system.scale[1]}"] if system.scale else columns
    rows = [(f"{system.title}; {data_name}", titles), ("---", ["---"] * len(titles))]
    for label, found in entries.items():
        for entry in found:
            cells = [format(entry[c], ".4f" if c == "mse" else ".2f") for c in columns]
            if system.scale:
                cells.append(f"{entry['loss'] / system.scale[0]:.4f}")
            rows.append((label, cells))
    return "\n".join(f"| {label} | {' | '.join(cells)} |" for label, cells in rows)
