"""The loop, step by step against one written out by hand, and runs that are interrupted."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from vae_course.data import make_loader
from vae_course.errors import CourseError
from vae_course.training import Run, evaluate, saved, train_epoch


class Noisy(nn.Module):
    """Small, with BatchNorm and with noise of its own: all that a checkpoint must not forget."""

    def __init__(self, width=4):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 3))

    def forward(self, x):
        return self.layers(x + 0.1 * torch.randn_like(x))


def terms(model, x):
    error = ((model(x) - x) ** 2).sum(1)
    return {"loss": error, "double": 2 * error, "size": torch.full((len(x),), float(len(x)))}


def images(count=7):
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(1))


def loader_of(x, batch_size=3):
    labels = torch.full((len(x),), 99)
    # Without a generator of its own, a loader draws from PyTorch's each time it starts.
    return DataLoader(TensorDataset(x, labels), batch_size, generator=torch.Generator())


def test_train_epoch_is_plain_gradient_descent_on_the_batch_mean():
    model = nn.Linear(3, 3).double()
    twin = nn.Linear(3, 3).double()
    twin.load_state_dict(model.state_dict())
    x = images().double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    result = train_epoch(model, loader_of(x), optimizer, terms)

    seen = []
    for batch in x.split(3):  # 3, 3 and 1
        error = ((twin(batch) - batch) ** 2).sum(1)
        seen += error.tolist()
        gradients = torch.autograd.grad(error.sum() / len(batch), list(twin.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(twin.parameters(), gradients, strict=True):
                parameter -= 0.1 * gradient
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert result["loss"] == pytest.approx(sum(seen) / 7)
    assert result["double"] == pytest.approx(2 * sum(seen) / 7)
    assert result["size"] == pytest.approx((3 * 3 + 3 * 3 + 1) / 7)  # by images, not by batches
    assert all(type(value) is float for value in result.values())


def test_train_epoch_trains_in_training_mode_and_starts_from_clean_gradients():
    model, seen = Noisy().eval(), []
    model.register_forward_pre_hook(lambda module, _: seen.append(module.training))
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e6)  # left over from something else
    before = [p.detach().clone() for p in model.parameters()]
    train_epoch(model, loader_of(images(6)), torch.optim.SGD(model.parameters(), lr=1e-3), terms)
    assert seen == [True, True]
    moved = [(p - b).abs().max() for p, b in zip(model.parameters(), before, strict=True)]
    assert 0 < max(moved) < 1


def test_batches_are_moved_to_the_device_of_the_model():
    model = nn.Linear(3, 3).to("meta")
    devices = []

    def looked_at(model, x):
        devices.append(x.device.type)
        raise StopIteration  # a meta tensor has no numbers to go on with

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(StopIteration):
        train_epoch(model, loader_of(images()), optimizer, looked_at)
    with pytest.raises(StopIteration):
        evaluate(model, loader_of(images()), looked_at)
    assert devices == ["meta", "meta"]


@pytest.mark.parametrize("training", [True, False])
def test_evaluate_measures_and_leaves_no_trace(training):
    model, seen = Noisy().train(training), []
    model.register_forward_pre_hook(
        lambda module, _: seen.append((module.training, torch.is_grad_enabled()))
    )
    before = {name: t.clone() for name, t in model.state_dict().items()}
    x = images()
    torch.manual_seed(5)
    result = evaluate(model, loader_of(x), terms)
    assert seen == [(False, False)] * 3
    assert model.training is training and torch.is_grad_enabled()
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())

    model.eval()
    torch.manual_seed(5)
    errors = torch.cat([terms(model, batch)["loss"] for batch in x.split(3)])
    assert result["loss"] == pytest.approx(errors.mean().item(), rel=1e-5)
    assert result["size"] == pytest.approx(19 / 7)
    assert all(type(value) is float for value in result.values())


# --- runs -----------------------------------------------------------------------------------


def new_run(checkpoint=None, seed=0, width=4, optimizer=torch.optim.Adam, progress=False):
    torch.manual_seed(seed)
    model = Noisy(width)
    loader = make_loader(images(20), torch.zeros(20), batch_size=8, seed=3)
    optimizer = optimizer(model.parameters(), lr=0.01)
    return Run(model, optimizer, checkpoint, [loader.generator], progress), loader


def go(run, loader, epochs, stop_at=None):
    for epoch in run.epochs(epochs):
        run.record(
            train=train_epoch(run.model, loader, run.optimizer, terms),
            held_out=evaluate(run.model, loader_of(images()), terms),
        )
        if epoch == stop_at:
            break
    return run


def bits(run):
    """Everything there is to know about a run's state."""
    state = {f"model.{k}": v.clone() for k, v in run.model.state_dict().items()}
    for index, slots in run.optimizer.state_dict()["state"].items():
        state |= {f"{index}.{k}": v.clone() for k, v in slots.items() if v is not None}
    state["random"] = torch.get_rng_state()
    state["order"] = run.generators[0].get_state()
    return state


def assert_same(left, right):
    assert left.keys() == right.keys()
    for name in left:
        assert torch.equal(left[name], right[name]), name


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD, torch.optim.RMSprop])
@pytest.mark.parametrize("stop_at", [1, 2, 4])
def test_a_resumed_run_ends_with_the_bits_of_one_never_stopped(tmp_path, optimizer, stop_at):
    whole = go(*new_run(optimizer=optimizer), 5)
    expected, history = bits(whole), whole.history

    path = tmp_path / "run.safetensors"
    go(*new_run(path, optimizer=optimizer), 5, stop_at)  # epoch stop_at is lost, as in a crash
    resumed, loader = new_run(path, seed=77, optimizer=optimizer)  # other weights, other noise
    assert resumed.epoch == stop_at and len(resumed.history["train"]) == stop_at
    torch.rand(11)  # what is drawn before the loop does not matter
    list(loader)
    go(resumed, loader, 5)
    assert_same(bits(resumed), expected)
    assert resumed.history == history
    assert resumed.epoch == 5


def test_the_settings_of_the_optimiser_come_back(tmp_path):
    path = tmp_path / "run.safetensors"
    run, loader = new_run(path)
    run.optimizer.param_groups[0]["lr"] = 0.1 + 0.2  # as a schedule would
    go(run, loader, 1)
    resumed, _ = new_run(path)
    assert resumed.optimizer.param_groups[0]["lr"] == 0.1 + 0.2
    assert run.optimizer.state_dict()["param_groups"][0]["params"] == [0, 1, 2, 3, 4, 5]


def test_a_checkpoint_is_one_file_of_tensors_and_json(tmp_path):
    path = tmp_path / "below" / "run.safetensors"
    run = go(*new_run(path), 2)
    assert os.listdir(path.parent) == ["run.safetensors"]
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["vae_course.run"])
        names = set(file.keys())
        assert file.get_tensor("random.cpu").dtype == torch.uint8
        assert file.get_tensor("random.0").dtype == torch.uint8
    assert header["epoch"] == 2 and header["history"] == run.history
    assert header["param_groups"][0]["lr"] == 0.01
    assert {"model.layers.0.weight", "optimizer.0.exp_avg", "optimizer.0.step"} <= names


def test_a_run_that_is_done_yields_nothing_and_writes_nothing(tmp_path):
    path = tmp_path / "run.safetensors"
    go(*new_run(path), 2)
    written = path.stat().st_mtime_ns
    for total in (2, 1, 0):
        again, _ = new_run(path)
        assert list(again.epochs(total)) == []
        assert again.epoch == 2 and len(again.history["train"]) == 2
    assert path.stat().st_mtime_ns == written
    assert list(new_run(path)[0].epochs(4)) == [2, 3]


def test_the_history_holds_plain_numbers_whatever_is_recorded():
    run, _ = new_run()
    value = (torch.ones(1, requires_grad=True) * 3).sum()
    run.record(train={"loss": value, "kl": 0.1}, held_out={"loss": 2})
    run.record(held_out={"loss": value.detach()})
    assert run.history == {
        "train": [{"loss": 3.0, "kl": 0.1}],
        "held_out": [{"loss": 2.0}, {"loss": 3.0}],
    }
    for entry in run.history["train"] + run.history["held_out"]:
        assert type(entry["loss"]) is float


def test_the_bar_goes_to_stderr_and_can_be_off(capfd):
    go(*new_run(progress=True), 2)
    out, err = capfd.readouterr()
    assert out == "" and "2/2" in err and "train loss" in err and "held-out loss" in err
    go(*new_run(progress=False), 2)
    assert capfd.readouterr() == ("", "")


# --- what can happen to a checkpoint --------------------------------------------------------

KILLED = """
import resource, signal, sys, torch
from torch import nn
from vae_course.training import Run
torch.manual_seed(0)
model = nn.Linear(200, 200)
run = Run(model, torch.optim.SGD(model.parameters(), lr=0.1), sys.argv[1], progress=False)
for epoch in run.epochs(3):
    with torch.no_grad():
        model.weight += 1
    run.record(train={"loss": epoch})
    if epoch == 1:
        # The kernel kills whoever writes byte 80,000 of a file: half way through this one.
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (80_000, 80_000))
"""


def test_a_run_killed_while_it_saves_leaves_the_epoch_before(tmp_path):
    path = tmp_path / "run.safetensors"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, path],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == -25, done.stderr  # SIGXFSZ: it died in the middle of a write
    assert path.stat().st_size > 150_000
    model = nn.Linear(200, 200)
    run = Run(model, torch.optim.SGD(model.parameters(), lr=0.1), path, progress=False)
    assert run.epoch == 1 and run.history["train"] == [{"loss": 0.0}]


def test_a_full_disk_is_an_error_and_the_old_file_stays(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    run, loader = new_run(path)
    go(run, loader, 1)
    before = path.read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CourseError, match="No space left"):
        go(run, loader, 2)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["run.safetensors"]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("written") / "run.safetensors"
    go(*new_run(path), 1)
    return path.read_bytes()


def refused(path, **options):
    """The message with which a run refuses this checkpoint, after proof that it touched nothing."""
    run, _ = new_run(None, **options)
    before = bits(run)
    with pytest.raises(CourseError) as caught:
        Run(run.model, run.optimizer, path, run.generators, progress=False)
    assert_same(bits(run), before)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and "delete" in message
    return message


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    for content in (b"", b"hello", b"\x80\x04N.", b"PK\x03\x04" + bytes(100)):
        path.write_bytes(content)
        assert "cannot be read as a checkpoint" in refused(path)
    save_file({"weight": torch.zeros(2)}, path)
    assert "not a checkpoint of this course" in refused(path)
    save_file({"weight": torch.zeros(2)}, path, {"vae_course.run": "{}"})
    assert "checksum" in refused(path)
    path.unlink()
    path.mkdir()
    assert "cannot be read as a checkpoint" in refused(path)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_a_pickle_is_never_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("bare.safetensors").write_bytes(pickle.dumps(Bomb()))
    torch.save({"model": Bomb()}, "zipped.safetensors")
    for name in ("bare.safetensors", "zipped.safetensors"):
        assert "cannot be read as a checkpoint" in refused(Path(name))
    assert not Path("exploded").exists()
    pickle.loads(Path("bare.safetensors").read_bytes())
    assert Path("exploded").exists()  # it was live


@given(data=st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_damage_goes_unseen(tmp_path, written, data):
    path = tmp_path / "damaged.safetensors"
    where = data.draw(st.integers(0, len(written) - 1))
    if data.draw(st.booleans()):
        path.write_bytes(written[:where])
    else:
        flipped = bytearray(written)
        flipped[where] ^= data.draw(st.integers(1, 255))
        path.write_bytes(flipped)
    refused(path)


def test_checkpoints_of_other_runs_are_refused(tmp_path, written):
    path = tmp_path / "run.safetensors"
    path.write_bytes(written)
    assert "layers.0.bias is float32 (4,), the model's is float32 (5,)" in refused(path, width=5)
    assert "optimiser is Adam, this one is SGD" in refused(path, optimizer=torch.optim.SGD)
    run, _ = new_run()
    with pytest.raises(CourseError, match="written with 1 generators, this run has 0"):
        Run(run.model, run.optimizer, path, progress=False)
    half = torch.optim.Adam(list(run.model.parameters())[:2])
    with pytest.raises(CourseError, match="optimiser has other parameters"):
        Run(run.model, half, path, run.generators, progress=False)
    with pytest.raises(CourseError, match="float64"):
        Run(run.model.double(), run.optimizer, path, run.generators, progress=False)


def test_a_format_from_the_future_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    monkeypatch.setattr("vae_course.training.FORMAT", 2)
    go(*new_run(path), 1)
    monkeypatch.undo()
    assert "has format 2, and this program reads 1" in refused(path)


def test_what_json_can_not_hold_is_an_error_with_a_cure(tmp_path):
    path = tmp_path / "run.safetensors"
    run, loader = new_run(path)
    run.optimizer.param_groups[0]["lr"] = torch.tensor(0.01)
    with pytest.raises(CourseError, match="plain numbers"):
        go(run, loader, 1)
    assert not path.exists()


def test_tied_weights_and_momentum_survive(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(x))

    def run_of(path):
        torch.manual_seed(0)
        model = Tied()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        return Run(model, optimizer, path, [torch.Generator()], progress=False)

    path = tmp_path / "run.safetensors"
    whole = go(run_of(None), loader_of(images()), 4)
    expected = bits(whole)
    go(run_of(path), loader_of(images()), 2)
    resumed = run_of(path)
    assert resumed.model.b.weight is resumed.model.a.weight
    assert_same(bits(go(resumed, loader_of(images()), 4)), expected)


def fitted(model, steps=3):
    """A training to save: it moves the model, and its history has numbers of several kinds."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn_like(parameter)
    loss = torch.tensor([3.0, 2.0, 1.0])[:steps]
    return {"train": [{"loss": value} for value in loss], "best": np.float64(0.5), "n": (1, 2)}


PLAIN = {"train": [{"loss": 3.0}, {"loss": 2.0}, {"loss": 1.0}], "best": 0.5, "n": [1, 2]}


def test_what_is_saved_comes_back_instead_of_training(tmp_path, capfd):
    path = tmp_path / "runs" / "deep" / "model.pt"
    model = Noisy()
    model.layers[1].running_mean += 7  # a buffer, which is no parameter
    assert saved(path, model, lambda: fitted(model), resume=True) == PLAIN  # nothing there yet
    drawn = torch.rand(3)
    assert capfd.readouterr().out.count("\n") == 1 and [p.name for p in path.parent.iterdir()] == [
        "model.pt"
    ]

    twin = Noisy()

    def refuses():
        raise AssertionError("trained again")

    torch.manual_seed(123)
    assert saved(str(path), twin, refuses, resume=True) == PLAIN
    out, err = capfd.readouterr()
    assert str(path) in out and "loaded" in out and err == ""
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, twin.state_dict()[name])
    assert torch.equal(torch.rand(3), drawn)  # the cells below draw what they drew before
    torch.load(path, weights_only=True)  # nothing in it is code


def test_without_resume_it_trains_and_replaces(tmp_path, capfd):
    path, model = tmp_path / "model.pt", Noisy()
    saved(path, model, lambda: fitted(model))
    before = path.read_bytes()
    assert saved(path, model, lambda: fitted(model, 2))["train"] == PLAIN["train"][:2]
    assert path.read_bytes() != before
    assert "loaded" not in capfd.readouterr().out


@pytest.mark.parametrize("damage", ["another model", "cut short", "text", "empty", "other keys"])
def test_a_file_that_does_not_fit_is_replaced_and_a_line_says_why(tmp_path, capfd, damage):
    path, model = tmp_path / "model.pt", Noisy()
    saved(path, Noisy(width=5) if damage == "another model" else model, lambda: PLAIN)
    if damage == "cut short":
        path.write_bytes(path.read_bytes()[:-200])
    elif damage == "text":
        path.write_text("not a model")
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other keys":
        torch.save({"weights": model.state_dict()}, path)
    capfd.readouterr()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    seen = []

    def train():
        seen.append(all(torch.equal(before[n], t) for n, t in model.state_dict().items()))
        return fitted(model)

    assert saved(path, model, train, resume=True) == PLAIN
    assert seen == [True]  # and what was there had not touched the model
    out = capfd.readouterr().out
    assert "not used" in out and str(path) in out
    assert ("another model" in out) is (damage == "another model")
    assert saved(path, Noisy(), lambda: None, resume=True) == PLAIN


def test_a_pickle_is_never_run(tmp_path):
    path, marker = tmp_path / "model.pt", tmp_path / "ran"

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(marker),)

    torch.save({"model": {}, "history": Bomb(), "random": torch.get_rng_state()}, path)
    model = Noisy()
    assert saved(path, model, lambda: fitted(model), resume=True) == PLAIN
    assert not marker.exists()


def test_a_training_that_can_not_be_saved_is_not_lost(tmp_path, capfd):
    (tmp_path / "file").write_text("no folder")
    model = Noisy()
    before = model.layers[0].weight.clone()
    assert saved(tmp_path / "file" / "model.pt", model, lambda: fitted(model)) == PLAIN
    assert not torch.equal(model.layers[0].weight, before)
    out = capfd.readouterr().out
    assert "not saved" in out and out.count("\n") == 1


def test_an_interrupted_training_leaves_the_file_of_the_last_one(tmp_path):
    path, model = tmp_path / "model.pt", Noisy()
    saved(path, model, lambda: fitted(model))
    before = path.read_bytes()

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        saved(path, model, interrupted)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1
