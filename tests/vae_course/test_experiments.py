"""The course's own runs: the figures they report, on a set small enough to check them."""

import pytest
import torch

from vae_course.data import ImageData, load_mnist
from vae_course.errors import UsageError
from vae_course.experiments import StepLog, results_table, train_reference


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr("vae_course.experiments.COMPARED_AT", {"ps1": 4, "ps2": 3})
    monkeypatch.setattr("vae_course.experiments.COMPARED_OVER", 4)
    x = torch.rand(60, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    return ImageData("tiny", x[:48], torch.zeros(48), x[48:], torch.zeros(12))


@pytest.mark.parametrize("name, columns", [("ps1", "mse"), ("ps2", "mse | nll | kl | loss")])
def test_a_run_reports_what_its_history_holds(tiny, capsys, name, columns):
    history = train_reference(name, tiny, 2, batch_size=8, latent_dim=3, progress=False)
    assert len(history["train"]) == 2 and len(history["held_out"]) == 3
    table = capsys.readouterr().out
    assert table.startswith(f"| {name}, tiny | {columns} |\n| ---")
    assert f"| test, 2 epochs | {history['held_out'][-1]['mse']:.4f} |" in table
    assert history["at_step"]["step"] == {"ps1": 4, "ps2": 3}[name]
    assert f"around {history['at_step']['step']} | {history['at_step']['mse']:.4f}" in table
    assert len({line.count("|") for line in table.strip().splitlines()}) == 1


def test_the_step_figures_are_those_of_training_batches():
    log = StepLog(lambda model, x: {"loss": x.flatten(1).sum(1)})
    model = torch.nn.Linear(1, 1)
    for step in range(10):
        log(model.train(), torch.full((3, 1), float(step)))
        log(model.eval(), torch.full((3, 1), 1e6))  # evaluation is not training
    assert log.around(5, 4) == {"loss": (3 + 4 + 5 + 6) / 4}
    assert log.around(8, 4) == {"loss": (6 + 7 + 8 + 9) / 4}
    assert log.around(9, 4) == {}
    assert log.around(1, 4) == {}


def test_an_interrupted_run_gives_the_same_figures(tiny, tmp_path):
    options = {"batch_size": 8, "latent_dim": 3, "beta": 0.4, "progress": False}
    whole = train_reference("ps2", tiny, 3, **options)
    path = tmp_path / "ps2.safetensors"
    train_reference("ps2", tiny, 1, checkpoint=path, **options)
    assert train_reference("ps2", tiny, 3, checkpoint=path, **options) == whole
    assert train_reference("ps2", tiny, 3, **options) == whole  # the seed says it all
    assert train_reference("ps2", tiny, 3, seed=1, **options) != whole


def test_beta_reaches_the_loss(tiny):
    history = train_reference("ps2", tiny, 1, beta=5.0, latent_dim=3, progress=False)
    last = history["held_out"][-1]
    assert (last["loss"] - last["nll"]) / last["kl"] == pytest.approx(5, rel=0.05)


def test_an_unknown_name_is_a_usage_error(tiny):
    with pytest.raises(UsageError, match="ps9.*ps1 and ps2"):
        train_reference("ps9", tiny, 1)


def test_the_table_of_a_run_that_did_not_train():
    history = {"train": [], "held_out": [{"mse": 0.25, "loss": 98.0}]}
    assert results_table("ps1", "MNIST", history).splitlines() == [
        "| ps1, MNIST | mse |",
        "| --- | --- |",
        "| test, before training | 0.2500 |",
        "| test, 0 epochs | 0.2500 |",
    ]


def test_digits_are_learnt_in_two_epochs(tmp_path, capsys):
    """The stand-in set, so that this needs no network: the autoencoder beats the mean image."""
    torch.set_num_threads(1)
    data = load_mnist(tmp_path, download=False)
    history = train_reference("ps1", data, 2, progress=False)
    assert "scikit-learn digits" in capsys.readouterr().out
    mean_image = data.train_images.mean(0, keepdim=True)
    constant = ((data.test_images - mean_image) ** 2).mean().item()
    assert history["held_out"][-1]["mse"] < 0.6 * constant
