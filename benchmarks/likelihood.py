"""Numbers of the literature on Larochelle's fixed binarised MNIST, by the course's own pieces.

    export VAE_COURSE_DATA=/folder/that/holds/binarized_mnist
    python benchmarks/likelihood.py [vae400] [iwae50] [--recipe cpu|gpu] [--minutes M]

- vae400: 784-400-40-400-784 with ReLU, trained on the ELBO. Published NLL: 89.9 (Salimans et al.
  2015, as Pythae's table quotes it); Pythae's recipe is the GPU's.
- iwae50: 784-200-200-50-200-200-784 with tanh, trained on the importance-weighted bound of 50
  samples (Burda et al. 2016). Published NLL: 87.1 for fixed binarisation; the GPU's recipe is
  theirs.

The GPU's recipes take some 25 minutes of one together. The CPU's are shorter: they have fewer
epochs, so their figures are worse, and say how far a laptop comes.

Every epoch is kept in build/likelihood, and the next call goes on from there: --minutes ends a call
early. A run that is complete is measured with importance samples (5,000 unless --samples says
otherwise), the test set's 10,000 images one after another. Ends in lines `name: value`, in nats per
image; a run that is not complete yet has its epochs only.
"""

import argparse
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from vae_course.bernoulli_vae import (  # noqa: E402
    BernoulliVAE,
    bernoulli_terms,
    importance_weighted_bound,
    log_importance_weights,
    log_marginal,
)
from vae_course.binarized import load_binarized_mnist  # noqa: E402
from vae_course.fused import fused  # noqa: E402
from vae_course.trainer import Batches, Terms, Trainer, as_bytes, fastest  # noqa: E402
from vae_course.training import Run  # noqa: E402


class ReluVAE(BernoulliVAE):
    """The model of Pythae's table; its weights start as PyTorch's own linear layers do, smaller.

    After 40 epochs of its recipe that is 2.9 nats better than the course's start, which keeps 4
    nats more in the KL term; after all 500 it is 0.65 nats of NLL.
    """

    def __init__(self) -> None:
        super().__init__(784, (400,), 40)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()


class TanhVAE(BernoulliVAE):
    """The one-layer model of Burda et al. 2016: tanh, and logits that start at the mean image."""

    def __init__(self, mean_image: Tensor) -> None:
        super().__init__(784, (200, 200), 50)
        self.encoder, self.decoder = _with_tanh(self.encoder), _with_tanh(self.decoder)
        with torch.no_grad():
            self.decoder[-1].bias.copy_(mean_image.clamp(0.001, 0.999).logit())


def _with_tanh(layers: nn.Sequential) -> nn.Sequential:
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    for layer in linear:
        nn.init.xavier_uniform_(layer.weight)
    return nn.Sequential(*[part for layer in linear for part in (layer, nn.Tanh())][:-1])


def weighted_terms(model: BernoulliVAE, x: Tensor) -> dict[str, Tensor]:
    return {"loss": -importance_weighted_bound(log_importance_weights(model, x, 50))}


@dataclass(frozen=True)
class Recipe:
    """How long and in what steps.

    Attributes:
        milestones: the epochs before which the rate falls.
        falls: what it is multiplied by then.
    """

    epochs: int
    batch_size: int
    rate: float
    eps: float
    milestones: tuple[int, ...]
    falls: float

    def rate_at(self, epoch: int) -> float:
        return self.rate * self.falls ** sum(epoch >= milestone for milestone in self.milestones)


SEVENTH = 10 ** (-1 / 7)
RECIPES = {
    ("vae400", "gpu"): Recipe(500, 100, 1e-4, 1e-8, (200, 350), 10 ** (-1 / 5)),
    ("vae400", "cpu"): Recipe(60, 100, 1e-3, 1e-8, (20, 30, 40, 50), 0.5),
    ("iwae50", "gpu"): Recipe(3280, 20, 1e-3, 1e-4, (2, 5, 14, 28, 41, 122, 365, 1094), SEVENTH),
    ("iwae50", "cpu"): Recipe(15, 100, 1e-3, 1e-4, (5, 8, 10, 12, 14), 0.5),
}
PUBLISHED = {"vae400": 89.9, "iwae50": 87.1}
TERMS: dict[str, Terms] = {"vae400": bernoulli_terms, "iwae50": weighted_terms}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="MODEL")
    parser.add_argument("--recipe", choices=("cpu", "gpu"))
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "likelihood")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    recipe = arguments.recipe or ("gpu" if device == "cuda" else "cpu")
    deadline = time.monotonic() + 60 * arguments.minutes
    data = load_binarized_mnist()
    print(f"{data.name}; recipe {recipe}; on {device}, {torch.get_num_threads()} threads")
    figures: dict[str, float] = {}
    for name in arguments.names or PUBLISHED:
        model, run = trained(
            name, recipe, data.train_images[:50_000], device, arguments.folder, deadline
        )
        figures[f"{name}_epochs"] = run.epoch
        if run.epoch == RECIPES[name, recipe].epochs:
            figures |= measured(name, model, data.test_images, arguments.samples, device)
    for name, value in figures.items():
        print(f"{name}: {value:.5g}")


def trained(
    name: str, recipe_name: str, images: Tensor, device: str, folder: Path, deadline: float
) -> tuple[BernoulliVAE, Run]:
    """The model after all its epochs, or after those that the time was enough for."""
    recipe = RECIPES[name, recipe_name]
    torch.manual_seed(0)
    if name == "vae400":
        model: BernoulliVAE = ReluVAE()
    else:
        model = TanhVAE(images.flatten(1).mean(dim=0))
    model.to(device)
    speed = fastest(device)
    order = torch.Generator().manual_seed(0)
    batches = Batches(as_bytes(images), recipe.batch_size, order, device=device)
    adam = torch.optim.Adam(model.parameters(), lr=recipe.rate, eps=recipe.eps)
    optimizer = fused(adam)
    trainer = Trainer(model, batches, TERMS[name], optimizer, speed)
    run = Run(model, optimizer, folder / f"{name}-{recipe_name}.safetensors", [order])
    for epoch in run.epochs(recipe.epochs):
        if time.monotonic() > deadline:
            break
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate_at(epoch)
        run.record(train=trainer.epoch())
    return model, run


@torch.no_grad()
def measured(
    name: str, model: BernoulliVAE, images: Tensor, num_samples: int, device: str
) -> dict[str, float]:
    """-ELBO and NLL of the test images, and the bounds between them, on a thousand of them.

    Every tenth image, for in the file the digits lie one kind after another.
    """
    generator = torch.Generator(device).manual_seed(0)
    x = images.flatten(1).to(device)
    negative_elbo = bernoulli_terms(model, x, generator)["loss"].mean().item()
    chunk = 200_000 if device == "cuda" else 2_000
    parts = tqdm(x.split(500), desc=f"log p(x), {name}", unit=" x 500 images")
    log_p = torch.cat([log_marginal(model, one, num_samples, chunk, generator) for one in parts])
    figures = {f"{name}_negative_elbo": negative_elbo}
    for count in (5, 50):
        weights = log_importance_weights(model, x[::10], count, generator)
        figures[f"{name}_iwae_{count}"] = -importance_weighted_bound(weights).mean().item()
    figures[f"{name}_every_tenth_nll"] = -log_p[::10].mean().item()
    figures[f"{name}_nll"] = -log_p.mean().item()
    figures[f"{name}_published"] = PUBLISHED[name]
    return figures


if __name__ == "__main__":
    main()
