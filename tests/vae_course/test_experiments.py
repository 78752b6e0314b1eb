"""The course's own runs: what they report, on sets small enough to check, and what they keep."""

import csv
import dataclasses
import json
import math

import pytest
import torch

from vae_course.data import ImageData, load_mnist
from vae_course.errors import CourseError, UsageError
from vae_course.experiments import (
    Experiment,
    around_step,
    history_csv,
    restored,
    results_table,
)
from vae_course.systems import SYSTEMS, default_settings, find_system


def tiny_data(name: str, num_train: int = 10) -> ImageData:
    """Random images of the form that a system takes: a last batch that is not full, too."""
    torch.set_num_threads(1)
    shape = (3, 64, 64) if name == "celeba" else (1, 28, 28)
    x = torch.rand(num_train + 4, *shape, generator=torch.Generator().manual_seed(0))
    if name == "bernoulli":
        x = x.round()
    labels = torch.zeros(len(x), dtype=torch.int64)
    return ImageData("tiny", x[:num_train], labels[:num_train], x[num_train:], labels[num_train:])


def start(name: str, folder, resume: bool = False, **settings) -> Experiment:
    chosen = dataclasses.replace(default_settings(name), latent_dim=2, batch_size=4, **settings)
    return Experiment(chosen, folder, tiny_data(name), resume=resume, progress=False)


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_trains_reports_and_draws(name, tmp_path):
    experiment = start(name, tmp_path)
    before = [parameter.clone() for parameter in experiment.model.parameters()]
    history = experiment.train(2)
    assert len(history["train"]) == 2 and len(history["held_out"]) == 3
    after = experiment.model.parameters()
    assert not any(torch.equal(old, new) for old, new in zip(before, after, strict=True))

    rows = list(csv.DictReader((tmp_path / "history.csv").open()))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert float(rows[2]["held_out_loss"]) == history["held_out"][2]["loss"]
    assert float(rows[2]["train_loss"]) == history["train"][1]["loss"]
    assert rows[0]["train_loss"] == ""

    table = results_table(find_system(name), "tiny", history)
    assert f"| {history['held_out'][-1]['loss']:.2f} |" in table
    assert len({line.count("|") for line in table.splitlines()}) == 1

    paths = experiment.draw()
    assert {path.name for path in paths} == {"curves.png", "samples.png", "reconstructions.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_is_evaluated_from_its_checkpoint(name, tmp_path, monkeypatch):
    trained = start(name, tmp_path)
    trained.train(1)
    small = dataclasses.replace(SYSTEMS[name], load=lambda root, settings: tiny_data(name))
    monkeypatch.setitem(SYSTEMS, name, small)
    experiment = restored(tmp_path / "run.safetensors")
    figures, paths = experiment.evaluate()
    assert all(math.isfinite(value) for value in figures.values())
    if name == "autoencoder":
        assert not paths and not any("KL" in what for what in figures)
        return
    kl = trained.run.history["held_out"][-1]["kl"]
    assert figures["kl (nats per image)"] == pytest.approx(kl, rel=1e-4)
    assert figures["largest KL of a dimension (nats)"] <= kl * 1.001
    assert {path.name for path in paths} == {"dimensions.png", "aggregate.png"}


def test_bits_are_those_of_the_bound(tmp_path):
    experiment = start("bernoulli", tmp_path)
    figures, _ = experiment.evaluate()
    nats = figures["-ELBO, beta 1 (nats per image)"]
    bits = figures["-ELBO, beta 1 (bits per number of the image)"]
    assert bits == pytest.approx(nats / 784 / math.log(2))
    assert not any("bits" in what for what in start("keras", tmp_path / "k").evaluate()[0])


def test_an_image_that_is_known_exactly_costs_no_bits():
    """Where the density puts all mass on the width of one level, that level has probability 1."""
    assert SYSTEMS["vae"].bits(-784 * math.log(255)) == pytest.approx(0)
    assert SYSTEMS["celeba"].bits(-3 * 64**2 * math.log(255 / 2)) == pytest.approx(0)


def test_what_is_no_run_can_not_be_evaluated(tmp_path):
    with pytest.raises(CourseError, match="not found; name the folder of a run"):
        restored(tmp_path / "run.safetensors")
    start("bernoulli", tmp_path).train(1)
    (tmp_path / "settings.json").write_text('{"system": "bernoulli"}')
    with pytest.raises(CourseError, match="settings.json: cannot be read as a run's settings"):
        restored(tmp_path)


class Stop:
    """Loss terms, until someone presses Ctrl-C."""

    def __init__(self, terms, calls: int):
        self.terms, self.calls = terms, calls

    def __call__(self, model, x):
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        return self.terms(model, x)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_run_that_was_stopped_and_resumed_is_the_run_that_never_was(name, tmp_path):
    whole = start(name, tmp_path / "whole")
    whole.train(3)

    stopped = start(name, tmp_path / "stopped")
    # One evaluation, three batches, another evaluation: the sixth call is in the second epoch.
    stopped.terms = stopped.trainer.loss_terms = Stop(stopped.terms, calls=6)
    with pytest.raises(KeyboardInterrupt):
        stopped.train(3)
    torch.manual_seed(12345)  # what happened in between does not count
    resumed = start(name, tmp_path / "stopped", resume=True)
    assert resumed.run.epoch == 1
    resumed.train(3)

    assert resumed.run.history == whole.run.history
    for mine, other in zip(
        resumed.model.state_dict().values(), whole.model.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, other)
    for name in ("history.csv", "settings.json"):
        assert (tmp_path / "stopped" / name).read_text() == (tmp_path / "whole" / name).read_text()


def test_a_run_is_never_overwritten(tmp_path):
    start("bernoulli", tmp_path).train(1)
    before = (tmp_path / "run.safetensors").read_bytes()
    with pytest.raises(UsageError, match="holds a run already; go on with --resume"):
        start("bernoulli", tmp_path)
    with pytest.raises(UsageError, match="its seed is 0, this one's is 3"):
        start("bernoulli", tmp_path, resume=True, seed=3)
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(CourseError, match="settings.json: cannot be read"):
        start("bernoulli", tmp_path, resume=True)
    assert (tmp_path / "run.safetensors").read_bytes() == before


def test_resuming_where_nothing_stands_begins(tmp_path):
    assert start("bernoulli", tmp_path / "new", resume=True).run.epoch == 0
    assert json.loads((tmp_path / "new" / "settings.json").read_text())["system"] == "bernoulli"


def test_a_folder_that_can_not_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CourseError, match="name another folder|cannot be"):
        start("bernoulli", tmp_path / "file")


def test_the_figures_around_a_step_are_means_of_as_many_steps():
    steps = {"loss": [float(step) for step in range(10)]}
    assert around_step(steps, 5, 4) == {"loss": (3 + 4 + 5 + 6) / 4}
    assert around_step(steps, 8, 4) == {"loss": (6 + 7 + 8 + 9) / 4}
    assert around_step(steps, 9, 4) == {}
    assert around_step(steps, 1, 4) == {}


def test_the_published_step_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("vae_course.experiments.COMPARED_OVER", 2)
    early = dataclasses.replace(SYSTEMS["vae"], compared_at=4)
    monkeypatch.setitem(SYSTEMS, "vae", early)
    history = start("vae", tmp_path).train(2)
    assert history["at_step"]["step"] == 4 and history["at_step"]["kl"] > 0
    table = results_table(early, "tiny", history)
    assert f"steps around 4 | {history['at_step']['loss']:.2f}" in table


@pytest.mark.parametrize("name", ["vae", "keras"])
def test_beta_reaches_the_loss(name, tmp_path):
    last = start(name, tmp_path, beta=5.0).train(1)["held_out"][-1]
    assert (last["loss"] - last["nll"]) / last["kl"] == pytest.approx(5, rel=0.05)


def test_the_seed_decides_and_nothing_else(tmp_path):
    one = start("bernoulli", tmp_path / "1").train(1)
    torch.manual_seed(99)
    assert start("bernoulli", tmp_path / "2").train(1) == one
    assert start("bernoulli", tmp_path / "3", seed=1).train(1) != one


def test_fashion_is_split_as_keras_splits_it(tmp_path, monkeypatch):
    digits = load_mnist(tmp_path, download=False)
    monkeypatch.setattr("vae_course.systems.load_fashion_mnist", lambda root: digits)
    split = SYSTEMS["keras"].load(None, default_settings("keras"))
    assert len(split.train_images) == 1149 and len(split.test_images) == 288
    assert torch.equal(split.test_images, digits.train_images[1149:])


def test_the_published_scale_stands_beside_the_nats():
    history = {"train": [], "held_out": [{"loss": 784.0, "nll": 700.0, "kl": 84.0}]}
    assert "| 784.00 | 700.00 | 84.00 | 1.0000 |" in results_table(
        SYSTEMS["keras"], "tiny", history
    )


def test_log_p_is_above_the_elbo(tmp_path):
    experiment = start("bernoulli", tmp_path)
    experiment.train(2)
    elbo = -experiment.run.history["held_out"][-1]["loss"]
    assert experiment.log_marginal(200) > elbo
    with pytest.raises(UsageError, match="bernoulli only"):
        start("vae", tmp_path / "vae").log_marginal(10)


def test_an_unknown_system_is_a_usage_error():
    with pytest.raises(UsageError, match="ps9.*autoencoder, vae, bernoulli, keras, celeba"):
        find_system("ps9")


def test_a_history_without_training_is_a_line():
    history = {"train": [], "held_out": [{"loss": 1.5}]}
    assert history_csv(history) == "epoch,train_loss,held_out_loss\n0,,1.5\n"


def test_digits_are_learnt_in_two_epochs(tmp_path, capsys):
    """The stand-in set, so that this needs no network: the autoencoder beats the mean image."""
    torch.set_num_threads(1)
    data = load_mnist(tmp_path, download=False)
    settings = default_settings("autoencoder")
    history = Experiment(settings, tmp_path / "run", data, progress=False).train(2)
    assert "small handwritten digits" in capsys.readouterr().out
    mean_image = data.train_images.mean(0, keepdim=True)
    constant = ((data.test_images - mean_image) ** 2).mean().item()
    assert history["held_out"][-1]["mse"] < 0.6 * constant
