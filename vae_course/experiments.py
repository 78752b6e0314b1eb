"""The course's own training runs, measured on the scale of published ones.

Much published code reports a mean over pixels beside a sum over latents. Here training is in
nats; the mean squared error per pixel is reported beside it so that figures can be compared.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from vae_course.autoencoder import AutoEncoder, autoencoder_terms
from vae_course.data import ImageData, make_loader
from vae_course.errors import UsageError
from vae_course.training import Run, evaluate, train_epoch
from vae_course.vae import VAE, vae_terms

LEARNING_RATE = 1e-3
# A filled notebook of the assignment that this course grew from logs its losses at these steps.
COMPARED_AT = {"ps1": 900, "ps2": 500}
COMPARED_OVER = 50  # single batches are noisy: average over this many around the step
COLUMNS = {"ps1": ("mse",), "ps2": ("mse", "nll", "kl", "loss")}


class StepLog:
    """Loss terms that also remember, step by step, their batch means while the model trains."""

    def __init__(self, loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]]) -> None:
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


def train_reference(
    name: str,
    data: ImageData,
    epochs: int,
    batch_size: int = 64,
    beta: float = 1.0,
    seed: int = 0,
    device: str | torch.device = "cpu",
    checkpoint: str | Path | None = None,
    latent_dim: int = 64,
    progress: bool = True,
) -> dict:
    """Train the reference model of an assignment, and print how it did on held-out images.

    Args:
        name: "ps1", the autoencoder, or "ps2", the variational autoencoder.
        data: the images.
        epochs: how many epochs to have done in the end.
        batch_size: images a step.
        beta: the weight of the divergence, in nats (ps2 only).
        seed: of the weights, the order of the images and the noise.
        device: where to train.
        checkpoint: a file to go on from and to write after every epoch.
        latent_dim: the length of the code.
        progress: whether to show a bar on stderr.

    Returns:
        The history. Under "at_step" it also holds the training terms around the step at which
        the published run logs its own, once that step was reached.

    Raises:
        UsageError: no such assignment.
        CourseError: the checkpoint can not be used or written.
    """
    if name not in COMPARED_AT:
        raise UsageError(f"{name}: no reference run has this name; there are ps1 and ps2")
    torch.manual_seed(seed)
    model = AutoEncoder(latent_dim) if name == "ps1" else VAE(latent_dim)
    model.to(device)
    terms = autoencoder_terms if name == "ps1" else partial(vae_terms, beta=beta)
    log = StepLog(terms)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    loader = make_loader(data.train_images, data.train_labels, batch_size, seed=seed)
    held_out = make_loader(data.test_images, data.test_labels, 500, shuffle=False, seed=seed)

    generators = [loader.generator, held_out.generator]
    run = Run(model, optimizer, checkpoint, generators, progress)
    if run.epoch == 0:
        run.record(held_out=evaluate(model, held_out, terms))
    for _ in run.epochs(epochs):
        train = train_epoch(model, loader, optimizer, log)
        run.record(train=train, held_out=evaluate(model, held_out, terms))
        around = log.around(COMPARED_AT[name], COMPARED_OVER)
        if around and "at_step" not in run.history:
            run.history["at_step"] = {"step": COMPARED_AT[name], **around}
    print(results_table(name, data.name, run.history))
    return run.history


def results_table(name: str, data_name: str, history: dict) -> str:
    """A history's figures as a few lines of Markdown: mse per pixel, all else nats per image."""
    columns = COLUMNS[name]
    rows = [
        (f"{name}, {data_name}", columns),
        ("---", ["---"] * len(columns)),
        *_row("test, before training", history["held_out"][:1], columns),
        *_row(f"test, {len(history['train'])} epochs", history["held_out"][-1:], columns),
        *_row(f"training, epoch {len(history['train'])}", history["train"][-1:], columns),
    ]
    if "at_step" in history:
        step = history["at_step"]["step"]
        label = f"training, {COMPARED_OVER} steps around {step}"
        rows += _row(label, [history["at_step"]], columns)
    return "\n".join(f"| {label} | {' | '.join(cells)} |" for label, cells in rows)


def _row(
    label: str, entries: Sequence[dict[str, float]], columns: Sequence[str]
) -> list[tuple[str, list[str]]]:
    formats = {"mse": ".4f"}
    return [
        (label, [format(entry[column], formats.get(column, ".2f")) for column in columns])
        for entry in entries
    ]
