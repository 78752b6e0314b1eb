"""Who trains in `benchmarks/training.py`: ours, the loops of the seeds, and peers.

A contestant is made from a seed and the images, and trains one epoch at a time. Peers are imported
by the one who needs them: each contestant runs in a process of its own.
"""

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from vae_course.bernoulli_vae import BernoulliVAE, bernoulli_terms
from vae_course.celeba_vae import FaceVAE, face_terms, scale_images
from vae_course.face_data import load_faces
from vae_course.fused import fused
from vae_course.keras_fit import KerasAdam
from vae_course.keras_vae import KerasVAE, keras_terms
from vae_course.trainer import Batches, Trainer, fastest


class Contestant(Protocol):
    """A model in training."""

    def epoch(self) -> None:
        """Go through the images once."""

    def loss(self, images: Tensor) -> float:
        """The loss on other images, as they are stored: nats per image, in float32."""


class Task(NamedTuple):
    """What all contestants of a task train.

    Attributes:
        make: the untrained model.
        terms: its loss terms.
        optimizer: over the model's parameters.
        prepare: what the model is trained on, from bytes.
        batch_size: the seed's.
    """

    make: Callable[[], nn.Module]
    terms: Callable[[nn.Module, Tensor], dict[str, Tensor]]
    optimizer: Callable[..., torch.optim.Optimizer]
    prepare: Callable[[Tensor], Tensor]
    batch_size: int


def as_floats(images: Tensor) -> Tensor:
    return images / 255


TASKS = {
    "ps3": Task(
        BernoulliVAE,
        bernoulli_terms,
        partial(torch.optim.RMSprop, lr=1e-3),
        lambda images: (images > 127).float().flatten(1),
        64,
    ),
    "ps4": Task(KerasVAE, keras_terms, KerasAdam, as_floats, 32),
    "ps5": Task(
        partial(FaceVAE, 100), face_terms, partial(torch.optim.Adam, lr=1e-3), scale_images, 32
    ),
    "mlp": Task(
        partial(BernoulliVAE, hidden_sizes=(512,)),
        bernoulli_terms,
        partial(torch.optim.Adam, lr=1e-3),
        lambda images: (images > 127).float().flatten(1),
        64,
    ),
}


@torch.no_grad()
def mean_loss(task: Task, model: nn.Module, images: Tensor) -> float:
    """The mean loss over images, in evaluation mode, with the same noise for everybody."""
    model.eval()
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(0)
    total = 0.0
    for batch in images.split(500):
        x = task.prepare(batch.to(device))
        total += task.terms(model, x, generator)["loss"].sum().item()
    return total / len(images)


class Ours:
    """The course's trainer, as fast as it goes."""

    def __init__(self, task: Task, images: Tensor, seed: int, device: str = "cpu") -> None:
        torch.manual_seed(seed)
        speed = fastest(device)
        model = task.make().to(device)
        order = torch.Generator().manual_seed(seed)
        batches = Batches(images, task.batch_size, order, task.prepare, device, speed.channels_last)
        optimizer = fused(task.optimizer(model.parameters()))
        self.task, self.trainer = task, Trainer(model, batches, task.terms, optimizer, speed)

    def epoch(self) -> None:
        self.trainer.epoch()

    def loss(self, images: Tensor) -> float:
        return mean_loss(self.task, self.trainer.model, images)


class Plain:
    """A plain loop: floats in memory, eager float32, each term asked for at every step."""

    def __init__(self, task: Task, images: Tensor, seed: int, device: str = "cpu") -> None:
        torch.manual_seed(seed)
        self.task, self.device = task, device
        self.model = task.make().to(device)
        self.optimizer = task.optimizer(self.model.parameters())
        self.x = task.prepare(images)

    def epoch(self) -> None:
        for rows in torch.randperm(len(self.x)).split(self.task.batch_size):
            self.step(self.x[rows])

    def step(self, x: Tensor) -> dict[str, float]:
        terms = self.task.terms(self.model, x.to(self.device))
        self.optimizer.zero_grad()
        terms["loss"].mean().backward()
        self.optimizer.step()
        return {name: values.sum().item() for name, values in terms.items()}

    def loss(self, images: Tensor) -> float:
        return mean_loss(self.task, self.model, images)


class SeedLoader(Plain):
    """The loop of seed 000: a DataLoader, three numbers a step, weights saved at every tenth."""

    def __init__(self, task: Task, images: Tensor, seed: int, device: str = "cpu") -> None:
        super().__init__(task, images, seed, device)
        self.loader = self._loader(torch.utils.data.TensorDataset(self.x, torch.zeros(len(images))))
        self.folder = tempfile.mkdtemp()

    def _loader(self, data) -> torch.utils.data.DataLoader:
        sampler = torch.utils.data.SubsetRandomSampler(range(len(data)))
        return torch.utils.data.DataLoader(data, self.task.batch_size, sampler=sampler)

    def epoch(self) -> None:
        for number, (x, _) in enumerate(self.loader):
            self.step(x)
            if number % 10 == 0:
                torch.save(self.model.state_dict(), Path(self.folder, "checkpoint.pth"))

    def __del__(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class SeedFolder(SeedLoader):
    """The same on a folder of photographs, each of them decoded anew in every epoch."""

    def __init__(self, task: Task, folder: Path, seed: int, device: str = "cpu") -> None:
        from torchvision import datasets, transforms

        steps = [transforms.Resize((64, 64)), transforms.ToTensor()]
        steps.append(transforms.Normalize((0.5,) * 3, (0.5,) * 3))
        super().__init__(task, torch.zeros(1, 3, 64, 64, dtype=torch.uint8), seed, device)
        self.loader = self._loader(datasets.ImageFolder(folder, transforms.Compose(steps)))


class OurFolder(Ours):
    """Ours on a folder: decoded once, and kept beside the photographs."""

    def __init__(self, task: Task, folder: Path, seed: int, device: str = "cpu") -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            images = load_faces(folder).images
        super().__init__(task, images, seed, device)


class Keras:
    """The network of ps4 by Keras 3's own `fit`, on the backend that KERAS_BACKEND names."""

    def __init__(self, task: Task, images: Tensor, seed: int) -> None:
        import keras
        from keras import layers, ops

        keras.utils.set_random_seed(seed)

        class Sampling(layers.Layer):
            def __init__(self) -> None:
                super().__init__()
                self.seed_generator = keras.random.SeedGenerator(seed)

            def call(self, inputs):
                mu, log_var = inputs
                noise = keras.random.normal(ops.shape(mu), seed=self.seed_generator)
                return mu + ops.exp(0.5 * log_var) * noise

        class VAE(keras.Model):
            def __init__(self) -> None:
                super().__init__()
                same = {"padding": "same", "activation": "relu"}
                self.encoder = keras.Sequential(
                    [
                        layers.Conv2D(32, 3, **same),
                        layers.Conv2D(64, 3, strides=2, **same),
                        layers.Conv2D(64, 3, **same),
                        layers.Conv2D(64, 3, **same),
                        layers.Flatten(),
                        layers.Dense(32, activation="relu"),
                    ]
                )
                self.mu, self.log_var = layers.Dense(2), layers.Dense(2)
                self.sampling = Sampling()
                self.decoder = keras.Sequential(
                    [
                        layers.Dense(12544, activation="relu"),
                        layers.Reshape((14, 14, 64)),
                        layers.Conv2DTranspose(32, 3, strides=2, **same),
                        layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid"),
                    ]
                )

            def call(self, x):
                features = self.encoder(x)
                mu, log_var = self.mu(features), self.log_var(features)
                return self.decoder(self.sampling([mu, log_var])), mu, log_var

            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **others):
                x_hat, mu, log_var = y_pred
                pixels = keras.losses.binary_crossentropy(y, x_hat)  # a mean over the channel
                nll = ops.sum(pixels, axis=(1, 2))
                kl = 0.5 * ops.sum(mu**2 + ops.exp(log_var) - 1 - log_var, axis=1)
                return ops.mean(nll + 0.392 * kl)

        self.x = task.prepare(images).permute(0, 2, 3, 1).numpy()
        self.batch_size = task.batch_size
        self.model = VAE()
        self.model.compile("adam")

    def epoch(self) -> None:
        self.model.fit(self.x, self.x, epochs=1, batch_size=self.batch_size, verbose=0)

    def loss(self, images: Tensor) -> float:
        x = as_floats(images).permute(0, 2, 3, 1).numpy()
        return float(self.model.evaluate(x, x, batch_size=500, verbose=0))


class Pythae:
    """An MLP VAE by Pythae's own training pipeline."""

    def __init__(self, task: Task, images: Tensor, seed: int) -> None:
        import logging

        logging.disable(logging.INFO)
        from pythae.models import VAE, VAEConfig
        from pythae.pipelines import TrainingPipeline
        from pythae.trainers import BaseTrainerConfig

        settings = VAEConfig(input_dim=(1, 28, 28), latent_dim=100, reconstruction_loss="bce")
        self.task = task
        self.folder = tempfile.mkdtemp()
        torch.manual_seed(seed)
        self.model = VAE(settings)  # its default is an MLP with one hidden layer of 512
        training = BaseTrainerConfig(
            output_dir=self.folder,
            num_epochs=1,
            per_device_train_batch_size=task.batch_size,
            learning_rate=1e-3,
            seed=seed,
            keep_best_on_train=True,
            no_cuda=True,
        )
        self.pipeline = TrainingPipeline(model=self.model, training_config=training)
        self.x = task.prepare(images).view(-1, 1, 28, 28)

    def epoch(self) -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            self.pipeline(train_data=self.x)

    @torch.no_grad()
    def loss(self, images: Tensor) -> float:
        x = self.task.prepare(images).view(-1, 1, 28, 28)
        torch.manual_seed(0)
        self.model.eval()
        return float(self.model({"data": x}).loss)

    def __del__(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def contestant(name: str, images: Tensor | Path, seed: int, device: str = "cpu") -> Contestant:
    """A contestant by its name: a task, and who."""
    task_name, who = name.split("_", 1)
    task = TASKS[task_name]
    match who:
        case "ours":
            return Ours(task, images, seed, device)
        case "plain":
            return (SeedLoader if task_name == "ps5" else Plain)(task, images, seed, device)
        case "folder_ours":
            return OurFolder(task, images, seed, device)
        case "folder_plain":
            return SeedFolder(task, images, seed, device)
        case "keras_tf" | "keras_torch":
            os.environ["KERAS_BACKEND"] = {"keras_tf": "tensorflow"}.get(who, "torch")
            os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
            return Keras(task, images, seed)
        case "pythae":
            return Pythae(task, images, seed)
    raise ValueError(f"there is no contestant {name}")
