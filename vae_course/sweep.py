"""Many small models trained at once: the same network from other seeds, or with other betas.

A small model leaves nearly all of a GPU idle: what takes the time is to start each operation.
Models of one shape can share every start (PyTorch's notes on model ensembling with `torch.func`).
On a CPU there is nothing to win: one after another took 0.6 to 1.1 times as long, for 4 and 16
models.
"""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.optim import Optimizer

from vae_course.trainer import Batches, unvalidated

SettingTerms = Callable[[nn.Module, Tensor, Tensor], dict[str, Tensor]]


class Sweep:
    """Trains models of one shape side by side, each as if it were alone.

        sweep = Sweep([VAE() for _ in betas], betas, vae_terms, batches, torch.optim.Adam)
        for _ in range(5):
            print(sweep.epoch())

    All of them see the same batches; each has noise of its own.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        settings: Tensor,
        loss_terms: SettingTerms,
        batches: Batches,
        optimizer: Callable[[list[Tensor]], Optimizer],
    ) -> None:
        """Stack the models' weights.

        Args:
            models: of one shape, on the batches' device. They are not changed until `unstack`.
            settings: a number for each model, such as its beta, of shape (number of models,).
            loss_terms: what to compute for a batch, from a model, the batch, and its number.
            batches: what they are trained on.
            optimizer: makes one over tensors in which the models lie side by side. It must treat
                every number of a parameter by itself, as SGD, Adam and RMSprop do.

        Raises:
            ValueError: there are not as many settings as models.
        """
        if len(settings) != len(models):
            raise ValueError(f"{len(models)} models and {len(settings)} settings")
        self._models = list(models)
        self._settings = settings.to(next(models[0].parameters()).device)
        self._parameters, self._buffers = stack_module_state(self._models)
        self._terms = _Terms(copy.deepcopy(models[0]).to("meta"), loss_terms)
        self._optimizer = optimizer(list(self._parameters.values()))
        self._batches = batches

    @unvalidated()
    def epoch(self) -> list[dict[str, float]]:
        """Go through the images once; give each model's means, as `Trainer.epoch` does."""
        for model in self._models:
            model.train()
        self._terms.train()
        found: dict[str, list[Tensor]] = {}
        sizes = []
        for x, rows in self._batches:
            self._optimizer.zero_grad()
            means = vmap(self._means, in_dims=(0, 0, None, 0), randomness="different")(
                self._parameters, self._buffers, x, self._settings
            )
            # No model's loss depends on another's weights: the sum has each one's own gradients.
            means["loss"].sum().backward()
            self._optimizer.step()
            sizes.append(len(rows))
            for name, values in means.items():
                found.setdefault(name, []).append(values.detach())
        weights = torch.tensor(sizes, dtype=torch.float64)
        table = {
            name: (weights @ torch.stack(values).double().cpu() / weights.sum()).tolist()
            for name, values in found.items()
        }
        return [{name: table[name][i] for name in table} for i in range(len(self._models))]

    def _means(self, parameters, buffers, x, setting) -> dict[str, Tensor]:
        state = {f"model.{name}": value for name, value in (parameters | buffers).items()}
        terms = functional_call(self._terms, state, (x, setting))
        return {name: values.mean() for name, values in terms.items()}

    @torch.no_grad()
    def unstack(self) -> list[nn.Module]:
        """The models, with what they have learnt."""
        for i, model in enumerate(self._models):
            state = {name: value[i] for name, value in (self._parameters | self._buffers).items()}
            model.load_state_dict(state)
        return self._models


class _Terms(nn.Module):
    """Loss terms as a module, which is what `functional_call` can give other weights."""

    def __init__(self, model: nn.Module, loss_terms: SettingTerms) -> None:
        super().__init__()
        self.model = model
        self._loss_terms = loss_terms

    def forward(self, x: Tensor, setting: Tensor) -> dict[str, Tensor]:
        return self._loss_terms(self.model, x, setting)
