"""Training: a plain loop, plain numbers, and runs that survive being interrupted."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm.auto import tqdm

from vae_course.errors import CourseError
from vae_course.files import write_atomically

FORMAT = 1  # of a checkpoint; a change that old programs cannot read makes it 2
HEADER = "vae_course.run"  # where in the safetensors metadata our JSON stands
DIGEST = "vae_course.sha256"  # and where its checksum, and that of all the tensors


def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    """Go through the training images once, and take one optimiser step for each batch.

    The model is put in training mode. A step minimises the mean over the batch of the term
    "loss". The labels are not used: the images are their own targets.

    Args:
        model: the model; trained in place, on whatever device it is on.
        loader: batches of (images, labels), perhaps on another device, perhaps of unequal size.
        optimizer: over the model's parameters.
        loss_terms: what to compute for a batch. `loss_terms(model, images)` returns a dict of
            tensors of shape (B,), one number for each image; one of them is called "loss".

    Returns:
        For each term its mean over the images of the epoch, as plain Python numbers that hold on
        to no graph. Every image counts the same, also those in a short last batch.
    """
    model.train()
    device = next(model.parameters()).device
    totals: dict[str, float] = {}
    num_images = 0
    for images, _ in loader:
        terms = loss_terms(model, images.to(device))
        optimizer.zero_grad()
        terms["loss"].mean().backward()
        optimizer.step()
        for name, values in terms.items():
            totals[name] = totals.get(name, 0.0) + values.sum().item()
        num_images += len(images)
    return {name: total / num_images for name, total in totals.items()}


def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_terms: Callable[[nn.Module, Tensor], dict[str, Tensor]],
) -> dict[str, float]:
    """Measure the same terms as `train_epoch` without learning from them.

    The model runs in evaluation mode and without gradients. The mode of the model as a whole,
    training or evaluation, is left as it was found, and nothing else about it changes.

    Args:
        model: the model, on whatever device it is on.
        loader: batches of (images, labels), as for `train_epoch`.
        loss_terms: what to compute for a batch, as for `train_epoch`.

    Returns:
        For each term its mean over all the images, as plain Python numbers.
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    totals: dict[str, float] = {}
    num_images = 0
    with torch.no_grad():
        for images, _ in loader:
            for name, values in loss_terms(model, images.to(device)).items():
                totals[name] = totals.get(name, 0.0) + values.sum().item()
            num_images += len(images)
    model.train(was_training)
    return {name: total / num_images for name, total in totals.items()}


def saved(
    path: str | Path,
    model: nn.Module,
    train: Callable[[], dict],
    resume: bool = False,
) -> dict:
    """Train a model and keep the result in a file, so that a disconnect loses nothing.

        history = saved(SAVES / "vae.pt", model, lambda: fit(model, ...), resume=RESUME)

    Args:
        path: the file; its folder is made if it is missing. It is replaced whole, so whoever
            reads it finds the old one or the new one and never half of one.
        model: what is trained.
        train: trains the model and returns its history, a dict of numbers, lists and dicts.
        resume: whether to load the file instead of training, if there is one that fits: the
            notebooks' switch is RESUME, and the lines that are printed name it. The random
            numbers then go on where they stood after the training.

    Returns:
        The history, just trained or as it was saved.
    """
    path = Path(path)
    if resume and path.is_file():
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            weights, history = state["model"], state["history"]
            shapes = {name: tensor.shape for name, tensor in weights.items()}
            if shapes != {name: tensor.shape for name, tensor in model.state_dict().items()}:
                raise ValueError("it belongs to another model")
            torch.set_rng_state(state["random"])
        except Exception as error:  # torch reports damage in a dozen ways
            reason = error if isinstance(error, ValueError) else "it cannot be read"
            print(f"{path}: not used, for {reason}; training anew, which replaces it")
        else:
            model.load_state_dict(weights)
            print(f"{path}: loaded instead of training; RESUME = False would train again")
            return history

    history = _plain(train())
    state = {
        "model": {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()},
        "history": history,
        "random": torch.get_rng_state(),
    }
    beside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, beside)
        os.replace(beside, path)
    except (OSError, RuntimeError) as error:  # a full or vanished disk must not cost the training
        reason = str(error).split("\n")[0]
        print(f"{path}: not saved ({reason}); the trained model is in memory all the same")
    else:
        print(f"{path}: saved; after a disconnect, RESUME = True loads it")
    return history


def _plain(value: object) -> object:
    """A history as plain numbers, lists and dicts: what is safe to load from a file."""
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if hasattr(value, "tolist"):  # a tensor or an array, also of one number
        return value.tolist()
    return value


class Run:
    """A training run: its epochs, its history, and a checkpoint from which it goes on.

        run = Run(model, optimizer, "runs/ps1.safetensors", generators=[loader.generator])
        for epoch in run.epochs(10):
            run.record(train=train_epoch(...), held_out=evaluate(...))

    After every epoch, all that the rest of the run depends on goes to one file: the model, the
    optimiser, the history, and the states of the random generators. Started again, the run goes
    on where it stood, and on a CPU it ends with the very bits of a run that was never stopped.
    The file is safetensors with JSON in its header. Nothing in it is ever executed, and it is
    replaced whole, so a run that is killed while it saves leaves the file of the epoch before.

    Attributes:
        history: {"train": [dict per epoch], "held_out": [dict per epoch]}, plain numbers.
        epoch: how many epochs are complete.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        checkpoint: str | Path | None = None,
        generators: Sequence[torch.Generator] = (),
        progress: bool = True,
    ) -> None:
        """Start a run, or pick it up where its checkpoint left it.

        Args:
            model: what is trained.
            optimizer: over the model's parameters.
            checkpoint: the file to go on from, if it exists, and to write; None for no file.
            generators: every source of randomness that the run uses besides PyTorch's own: a
                shuffling loader's, for one.
            progress: whether to show a bar, on stderr.

        Raises:
            CourseError: the checkpoint is damaged, or belongs to something else. The model and
                the optimiser are then as they were.
        """
        self.model = model
        self.optimizer = optimizer
        self.checkpoint = Path(checkpoint) if checkpoint is not None else None
        self.generators = list(generators)
        self.progress = progress
        self.history: dict = {"train": [], "held_out": []}
        self.epoch = 0
        self._bar: tqdm | None = None
        self._shown: dict[str, str] = {}
        self._random_states: dict[str, Tensor] = {}
        if self.checkpoint is not None and self.checkpoint.exists():
            self._load(self.checkpoint)

    def epochs(self, total: int) -> Iterator[int]:
        """The numbers of the epochs still to do, so that `total` are done in the end.

        The checkpoint is written whenever the loop comes back for the next one. If the run has
        that many epochs behind it already, there is nothing to do, and the loop does not run.
        """
        # Only now: what was drawn since the run was picked up must not count.
        for name, generator in self._named_generators().items():
            if name in self._random_states:
                generator.set_state(self._random_states[name])
        self._random_states = {}
        with tqdm(
            total=total, initial=min(self.epoch, total), unit="epoch", disable=not self.progress
        ) as bar:
            self._bar = bar
            while self.epoch < total:
                yield self.epoch
                self.epoch += 1
                bar.update()
                if self.checkpoint is not None:
                    self.save(self.checkpoint)
        self._bar = None

    def record(
        self, train: dict[str, float] | None = None, held_out: dict[str, float] | None = None
    ) -> None:
        """Append an epoch's means to the history, as plain numbers, and show them in the bar."""
        for part, terms in (("train", train), ("held_out", held_out)):
            if terms is None:
                continue
            entry = {
                name: float(value.item() if isinstance(value, Tensor) else value)
                for name, value in terms.items()
            }
            self.history[part].append(entry)
            if self._bar is not None and "loss" in entry:
                self._shown[f"{part.replace('_', '-')} loss"] = f"{entry['loss']:.4g}"
                self._bar.set_postfix(self._shown)

    def save(self, path: str | Path) -> None:
        """Write the whole state of the run to one file, at once or not at all.

        Raises:
            CourseError: the file cannot be written, or the optimiser's settings are not plain
                numbers and words.
        """
        optimizer = self.optimizer.state_dict()
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        plain_state: dict[str, dict] = {}
        for index, state in optimizer["state"].items():
            for name, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{index}.{name}"] = value
                else:
                    plain_state.setdefault(str(index), {})[name] = value
        for name, generator in self._named_generators().items():
            tensors[f"random.{name}"] = generator.get_state()
        header = {
            "format": FORMAT,
            "epoch": self.epoch,
            "history": self.history,
            "optimizer": type(self.optimizer).__name__,
            "param_groups": optimizer["param_groups"],
            "optimizer_state": plain_state,
        }
        try:
            text = json.dumps(header)
        except TypeError as error:
            raise CourseError(
                f"{path}: not written, for the optimiser or the history holds what JSON cannot "
                f"({error}); use plain numbers, for the learning rate too"
            ) from error
        # Copies: safetensors refuses tensors that share memory or are not contiguous.
        copies = {name: t.detach().cpu().clone().contiguous() for name, t in tensors.items()}
        metadata = {HEADER: text, DIGEST: _digest(text, copies)}
        write_atomically(path, save_safetensors(copies, metadata))

    def _named_generators(self) -> dict[str, torch.Generator]:
        device = next(self.model.parameters()).device
        named = {"cpu": torch.default_generator}
        if device.type == "cuda":
            index = device.index if device.index is not None else torch.cuda.current_device()
            named["cuda"] = torch.cuda.default_generators[index]
        return named | {str(i): generator for i, generator in enumerate(self.generators)}

    def _load(self, path: Path) -> None:
        """Read a checkpoint, and take it over only when all of it has been found to fit."""
        header, tensors = _read_checkpoint(path)

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}

        def refuse(what: str) -> CourseError:
            return CourseError(
                f"{path}: this checkpoint belongs to another run: {what}; "
                "name another checkpoint file, or delete this one to start again"
            )

        model_state, random_states = part("model."), part("random.")
        own_state = self.model.state_dict()
        for name in sorted(own_state.keys() | model_state.keys()):
            here, there = own_state.get(name), model_state.get(name)
            if _describe(here) != _describe(there):
                raise refuse(f"its {name} is {_describe(there)}, the model's is {_describe(here)}")

        if header["optimizer"] != type(self.optimizer).__name__:
            own_name = type(self.optimizer).__name__
            raise refuse(f"its optimiser is {header['optimizer']}, this one is {own_name}")
        own_groups = self.optimizer.state_dict()["param_groups"]
        if [g["params"] for g in header["param_groups"]] != [g["params"] for g in own_groups]:
            raise refuse("its optimiser has other parameters")
        optimizer_state = {int(i): dict(plain) for i, plain in header["optimizer_state"].items()}
        for key, tensor in part("optimizer.").items():
            index, _, name = key.partition(".")
            optimizer_state.setdefault(int(index), {})[name] = tensor

        own_random = {name for name in self._named_generators() if name != "cuda"}
        if own_random != random_states.keys() - {"cuda"}:
            written, given = len(random_states.keys() - {"cpu", "cuda"}), len(self.generators)
            raise refuse(f"it was written with {written} generators, this run has {given}")

        self.model.load_state_dict(model_state)
        self.optimizer.load_state_dict(
            {"state": optimizer_state, "param_groups": header["param_groups"]}
        )
        _lay_out_as_parameters(self.optimizer)
        self.history = header["history"]
        self.epoch = header["epoch"]
        self._random_states = random_states


def _lay_out_as_parameters(optimizer: Optimizer) -> None:
    """Give what an optimiser remembers of a parameter the parameter's own order in memory.

    A file keeps numbers and not their order, and fused optimisers take the two for alike.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _describe(tensor: Tensor | None) -> str:
    if tensor is None:
        return "missing"
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _digest(text: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(f"{name} {_describe(tensors[name])}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _read_checkpoint(path: Path) -> tuple[dict, dict[str, Tensor]]:
    """The JSON header and the tensors of a checkpoint, just as a run wrote them."""
    cure = "delete it to start again, or name another checkpoint file"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # Copies: what safetensors gives is a view of the file, which may change under it.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise CourseError(f"{path}: cannot be read as a checkpoint ({error}); {cure}") from error
    if HEADER not in metadata:
        raise CourseError(f"{path}: safetensors, but not a checkpoint of this course; {cure}")
    if metadata.get(DIGEST) != _digest(metadata[HEADER], tensors):
        raise CourseError(f"{path}: damaged, for its content and its checksum differ; {cure}")
    header = json.loads(metadata[HEADER])
    if header["format"] != FORMAT:
        raise CourseError(
            f"{path}: has format {header['format']}, and this program reads {FORMAT}; {cure}"
        )
    return header, tensors
