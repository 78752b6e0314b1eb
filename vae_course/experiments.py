"""The course's own training runs: the five systems on their data, measured and drawn.

Much published code reports a mean over pixels beside a sum over latents. Here training is in
nats; figures on the published scale are reported beside it so that the two can be compared.
"""

import csv
import io
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import torch
from IPython.display import Image
from torch import Tensor, nn
from torch.optim import Optimizer

from vae_course.autoencoder import AutoEncoder, autoencoder_terms, sample_prior
from vae_course.bernoulli_vae import (
    BernoulliVAE,
    bernoulli_terms,
    binarize,
    log_marginal,
    prior_predictive,
    transform,
)
from vae_course.binarized import load_binarized_mnist
from vae_course.celeba_vae import FaceVAE, face_terms, scale_images, unscale_images
from vae_course.data import ImageData, load_fashion_mnist, load_mnist, make_loader
from vae_course.errors import CourseError, UsageError
from vae_course.face_data import load_faces
from vae_course.files import write_atomically
from vae_course.keras_fit import KerasAdam
from vae_course.keras_vae import KerasVAE, keras_terms
from vae_course.plots import plot_curves, plot_reconstructions, plot_samples
from vae_course.training import Run, evaluate, train_epoch
from vae_course.vae import VAE, vae_terms

Terms = Callable[[nn.Module, Tensor], dict[str, Tensor]]

COMPARED_OVER = 50  # single batches are noisy: average over this many around the step
PICTURES = 24  # images in a grid of samples
CHECKPOINT, SETTINGS, HISTORY = "run.safetensors", "settings.json", "history.csv"


@dataclass(frozen=True)
class Settings:
    """What decides a run, besides its data and its number of epochs."""

    system: str
    latent_dim: int
    batch_size: int
    beta: float
    seed: int = 0
    threshold: bool = False


@dataclass(frozen=True)
class System:
    """One model of the course: how to make it, train it and look at it.

    Attributes:
        title: what it is.
        load: the images to train and test on, by the folder that holds the data.
        make: the untrained model.
        terms: its loss terms, by the model, the images and beta.
        optimizer: over the model's parameters.
        epochs, batch_size, latent_dim, beta: as the published run has them.
        takes_beta: whether its loss has a beta to choose.
        sample: n new images with values in [0, 1].
        reconstruct: images in [0, 1] for images as the model is trained on them.
        show: images in [0, 1] from those that the model is trained on.
        columns: the terms to report.
        scale: what to divide the loss by to have it on the published scale, and its name.
        compared_at: the step at which the published run logs its terms.
    """

    title: str
    load: Callable[[Path | None, Settings], ImageData]
    make: Callable[[Settings], nn.Module]
    terms: Callable[..., dict[str, Tensor]]
    optimizer: Callable[..., Optimizer]
    epochs: int
    batch_size: int
    latent_dim: int
    sample: Callable[[nn.Module, int, torch.Generator], Tensor]
    reconstruct: Callable[[nn.Module, Tensor], Tensor]
    beta: float = 1.0
    takes_beta: bool = True
    show: Callable[[Tensor], Tensor] = field(default=lambda images: images)
    columns: tuple[str, ...] = ("loss", "nll", "kl")
    scale: tuple[float, str] | None = None
    compared_at: int | None = None


def _mnist(root: Path | None, settings: Settings) -> ImageData:
    return load_mnist(root)


def _binary_mnist(root: Path | None, settings: Settings) -> ImageData:
    """Larochelle's fixed binarisation, or MNIST with a threshold at one half."""
    if not settings.threshold:
        return load_binarized_mnist(root)
    data = load_mnist(root)
    return data._replace(
        name=f"{data.name}, thresholded",
        train_images=binarize(data.train_images),
        test_images=binarize(data.test_images),
    )


def _fashion(root: Path | None, settings: Settings) -> ImageData:
    """Fashion-MNIST's training set, its last fifth held out: Keras's validation_split of 0.2."""
    data = load_fashion_mnist(root)
    num_train = int(0.8 * len(data.train_images))
    return data._replace(
        name=f"{data.name}, the training set's last fifth held out",
        train_images=data.train_images[:num_train],
        train_labels=data.train_labels[:num_train],
        test_images=data.train_images[num_train:],
        test_labels=data.train_labels[num_train:],
    )


def _faces(root: Path | None, settings: Settings) -> ImageData:
    """Faces between -1 and 1, the last twentieth held out. A face has no label: all are zero."""
    if root is not None and (root / "celeba").is_dir():
        root = root / "celeba"
    faces = load_faces(root)
    images = scale_images(faces.images)
    labels = torch.zeros(len(images), dtype=torch.int64)
    num_train = int(0.95 * len(images))
    return ImageData(
        faces.name,
        *(images[:num_train], labels[:num_train]),
        *(images[num_train:], labels[num_train:]),
    )


def _bernoulli_reconstruct(model: BernoulliVAE, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.decode(transform(model, x)).sigmoid().view(-1, 1, 28, 28)


def _bernoulli_sample(model: BernoulliVAE, n: int, generator: torch.Generator) -> Tensor:
    return prior_predictive(model, n, generator)[1].view(-1, 1, 28, 28)


def _keras_sample(model: KerasVAE, n: int, generator: torch.Generator) -> Tensor:
    z = torch.randn(n, model.latent_dim, generator=generator, device=generator.device)
    with torch.no_grad():
        return model.decoder(z)


SYSTEMS = {
    "autoencoder": System(
        title="ps1, a convolutional autoencoder",
        load=_mnist,
        make=lambda settings: AutoEncoder(settings.latent_dim),
        terms=lambda model, x, beta: autoencoder_terms(model, x),
        optimizer=partial(torch.optim.Adam, lr=1e-3),
        epochs=10,
        batch_size=64,
        latent_dim=64,
        sample=lambda model, n, generator: sample_prior(
            model.decoder, n, model.decoder.layers[0].in_features, generator
        ),
        reconstruct=lambda model, x: model.reconstruct(x),
        takes_beta=False,
        columns=("loss", "mse"),
        compared_at=900,
    ),
    "vae": System(
        title="ps2, the same backbone made variational",
        load=_mnist,
        make=lambda settings: VAE(settings.latent_dim),
        terms=vae_terms,
        optimizer=partial(torch.optim.Adam, lr=1e-3),
        epochs=5,
        batch_size=64,
        latent_dim=64,
        sample=lambda model, n, generator: model.sample(n, generator),
        reconstruct=lambda model, x: model.reconstruct(x),
        columns=("loss", "nll", "kl", "mse"),
        compared_at=500,
    ),
    "bernoulli": System(
        title="ps3, a Bernoulli MLP VAE",
        load=_binary_mnist,
        make=lambda settings: BernoulliVAE(latent_dim=settings.latent_dim),
        terms=lambda model, x, beta: bernoulli_terms(model, x),
        optimizer=partial(torch.optim.RMSprop, lr=1e-3),
        epochs=30,
        batch_size=64,
        latent_dim=100,
        sample=_bernoulli_sample,
        reconstruct=_bernoulli_reconstruct,
        takes_beta=False,
    ),
    "keras": System(
        title="ps4, a Keras-style convolutional VAE",
        load=_fashion,
        make=lambda settings: KerasVAE(settings.latent_dim, settings.beta),
        terms=lambda model, x, beta: keras_terms(model, x),
        optimizer=KerasAdam,
        epochs=10,
        batch_size=32,
        latent_dim=2,
        beta=0.392,
        sample=_keras_sample,
        reconstruct=lambda model, x: model.predict(x),
        scale=(784, "per pixel, the seed's scale"),
    ),
    "celeba": System(
        title="ps5, a convolutional VAE of 64x64 faces",
        load=_faces,
        make=lambda settings: FaceVAE(settings.latent_dim),
        terms=lambda model, x, beta: face_terms(model, x),
        optimizer=partial(torch.optim.Adam, lr=1e-3),
        epochs=40,
        batch_size=32,
        latent_dim=100,
        sample=lambda model, n, generator: unscale_images(model.sample(n, generator)),
        reconstruct=lambda model, x: unscale_images(model.reconstruct(x)),
        takes_beta=False,
        show=unscale_images,
    ),
}


def default_settings(name: str) -> Settings:
    """The settings of the published run of a system.

    Raises:
        UsageError: there is no such system.
    """
    system = find_system(name)
    return Settings(name, system.latent_dim, system.batch_size, system.beta)


def find_system(name: str) -> System:
    """The system of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in SYSTEMS:
        raise UsageError(f"there is no system {name} (known: {', '.join(SYSTEMS)})")
    return SYSTEMS[name]


class StepLog:
    """Loss terms that also remember, step by step, their batch means while the model trains."""

    def __init__(self, loss_terms: Terms) -> None:
        self.loss_terms = loss_terms
        self.steps: dict[str, list[float]] = defaultdict(list)

    def __call__(self, model: nn.Module, x: Tensor) -> dict[str, Tensor]:
        terms = self.loss_terms(model, x)
        if model.training:
            for name, values in terms.items():
                self.steps[name].append(values.mean().item())
        return terms

    def around(self, step: int, width: int) -> dict[str, float]:
        """The mean of each term over `width` steps around `step`; nothing if it was not reached."""
        windows = {name: v[step - width // 2 :][:width] for name, v in self.steps.items()}
        return {name: sum(w) / len(w) for name, w in windows.items() if len(w) == width}


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
        self.log = StepLog(self.terms)
        self.loader = make_loader(
            self.data.train_images, self.data.train_labels, settings.batch_size, seed=settings.seed
        )
        self.held_out = make_loader(
            self.data.test_images, self.data.test_labels, 500, shuffle=False, seed=settings.seed
        )
        optimizer = self.system.optimizer(self.model.parameters())
        generators = [self.loader.generator, self.held_out.generator]
        self.run = Run(self.model, optimizer, self.out / CHECKPOINT, generators, progress)
        self._from_the_start = self.run.epoch == 0  # only then does the log count all steps

    def train(self, epochs: int) -> dict:
        """Train until `epochs` epochs are done in all; return the history.

        After each epoch the checkpoint and `history.csv` are written, so that stopping at any
        moment loses at most the epoch under way.
        """
        if self.run.epoch == 0 and not self.run.history["held_out"]:
            self.run.record(held_out=evaluate(self.model, self.held_out, self.terms))
        for _ in self._epochs(epochs):
            terms = self.log if self.system.compared_at else self.terms
            train = train_epoch(self.model, self.loader, self.run.optimizer, terms)
            self.run.record(train=train, held_out=evaluate(self.model, self.held_out, self.terms))
            step = self.system.compared_at if self._from_the_start else None
            if step and "at_step" not in self.run.history:
                around = self.log.around(step, COMPARED_OVER)
                if around:
                    self.run.history["at_step"] = {"step": step, **around}
        return self.run.history

    def _epochs(self, epochs: int) -> Iterator[int]:
        for epoch in self.run.epochs(epochs):
            yield epoch
            write_atomically(self.out / HISTORY, history_csv(self.run.history))

    def draw(self) -> list[Path]:
        """Write curves, samples and reconstructions as PNG files; return their paths."""
        device = next(self.model.parameters()).device
        generator = torch.Generator(device).manual_seed(self.settings.seed)
        x = self.data.test_images[:12].to(device)
        what = f"{self.system.title}, {len(self.run.history['train'])} epochs"
        samples = self.system.sample(self.model, PICTURES, generator).cpu()
        x_hat = self.system.reconstruct(self.model, x).cpu()
        pictures: dict[str, Image] = {
            "curves": plot_curves(self.run.history, self.system.columns, what),
            "samples": plot_samples(samples, f"Samples: {what}"),
            "reconstructions": plot_reconstructions(
                self.system.show(x).cpu(), x_hat, f"Held-out images and reconstructions: {what}"
            ),
        }
        paths = []
        for name, picture in pictures.items():
            paths.append(self.out / f"{name}.png")
            write_atomically(paths[-1], picture.data)
        return paths

    def log_marginal(self, num_samples: int) -> float:
        """The mean of log p(x) over the test images, in nats, by importance sampling (ps3)."""
        if not isinstance(self.model, BernoulliVAE):
            raise UsageError(f"{self.settings.system}: log p(x) is estimated for bernoulli only")
        device = next(self.model.parameters()).device
        generator = torch.Generator(device).manual_seed(self.settings.seed)
        total = 0.0
        for x in self.data.test_images.split(500):
            log_p = log_marginal(self.model, x.to(device), num_samples, generator=generator)
            total += log_p.sum().item()
        return total / len(self.data.test_images)


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
