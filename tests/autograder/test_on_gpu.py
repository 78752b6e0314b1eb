"""`on_gpu`: what stays on the CPU is named, right code is let be, and nothing is left behind.

The handle is in process, or with TEST_ISOLATION=sandbox in the sandbox.
"""

import ast
import functools
import importlib
import inspect
import os

import pytest
import torch
from torch import nn

from autograder.checks.common import LATENTS, TINY, ends_on_gpu, works_on_gpu
from autograder.pretend import default_device, pretend_gpu
from autograder.student import InProcessStudent, Loader, Module, Seed, StudentError

IN_PROCESS = os.environ.get("TEST_ISOLATION") != "sandbox"

DEVICE = 'device = torch.device("cuda" if torch.cuda.is_available() else "cpu")'

CODE = f"""
{DEVICE}
kind = "cuda" if torch.cuda.is_available() else "cpu"
moved = torch.ones(3).to(device)
layer = nn.Linear(3, 3).to(device)

def double(x):
    return 2 * x

def noisy(mu):
    eps = torch.randn(mu.shape)
    return mu + eps

def noisy_there(mu, generator=None):
    return mu + torch.randn(mu.shape, generator=generator, device=mu.device)

def by_name(mu):
    return mu + torch.randn(mu.shape, device=device) + torch.zeros(3, device=kind)

def by_default(mu, device=device, *, where=kind):
    return mu + torch.randn(mu.shape, device=device) + torch.zeros(3, device=where)

def on_the_cpu_by_default(mu, device=torch.device("cpu")):
    return mu + torch.randn(mu.shape, device=device)

def with_names(x):
    return layer(x) + moved

def back(x):
    return x, [x.sum().cpu()], {{"x": x * 2}}

def only_back(x):
    return x.detach().cpu()

def as_array(x):
    return x.numpy()

def with_other_generator(x):
    return torch.randn(3, generator=torch.Generator(), device=x.device)

def crash(x):
    return x.nothing

def total(x):
    return x.sum().item(), len(x)

class Good(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        self.layer = nn.Linear(n, n)
        self.norm = nn.BatchNorm1d(n)
        self.register_buffer("scale", torch.ones(n))
    def forward(self, x):
        return self.norm(self.layer(x)) * self.scale
    def sample(self, n, generator=None):
        where = next(self.parameters()).device
        return self(torch.randn(n, 3, generator=generator, device=where))

class Shifted(Good):
    def __init__(self):
        super().__init__()
        self.shift = torch.zeros(3)
    def forward(self, x):
        return super().forward(x) + self.shift

class Placed(Good):
    def __init__(self):
        super().__init__()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.shift = torch.zeros(3, device=device)
        self.kind = kind
    def forward(self, x):
        noise = torch.randn(3, device=self.device) + torch.randn(3, device=self.kind)
        return super().forward(x) + self.shift + noise

class Stale(Good):
    def __init__(self):
        super().__init__()
        self.device = self.layer.weight.device
    def forward(self, x):
        return super().forward(x) + torch.randn(3, device=self.device)

class Kept(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(3, 3)]
    def forward(self, x):
        return self.layers[0](x)

def train(model, loader, optimizer):
    where = next(model.parameters()).device
    for x, _ in loader:
        optimizer.zero_grad()
        model(x.to(where)).square().mean().backward()
        optimizer.step()
    return next(model.parameters()), [v for s in optimizer.state.values() for v in s.values()]

def train_carelessly(model, loader, optimizer):
    for x, _ in loader:
        model(x).sum().backward()
"""

X = torch.randn(4, 3)


@pytest.fixture(scope="module")
def student(student_of):
    return student_of(CODE)


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("double", ["gpu"]),
        ("noisy_there", ["gpu"]),
        ("by_name", ["gpu"]),
        ("by_default", ["gpu"]),
        ("with_names", ["gpu"]),
        ("back", ["gpu", "cpu", "gpu"]),
        ("only_back", ["cpu"]),
        ("total", []),
    ],
)
@pytest.mark.parametrize("backward", [False, True])
def test_each_tensor_of_the_result_is_somewhere(student, name, places, backward):
    assert student.on_gpu(name, X, backward=backward) == places
    assert student.on_gpu(name, X, seed=3) == places


@pytest.mark.parametrize(
    ("name", "where", "line"),
    [
        ("noisy", "noisy", "eps = torch.randn(mu.shape)"),
        (
            "on_the_cpu_by_default",
            "on_the_cpu_by_default",
            "return mu + torch.randn(mu.shape, device=device)",
        ),
    ],
)
def test_a_line_that_makes_a_tensor_on_the_cpu_is_named(student, name, where, line):
    with pytest.raises(StudentError) as caught:
        student.on_gpu(name, X)
    error = caught.value
    assert (error.kind, error.type) == ("error", "DeviceMismatch")
    assert (error.where, error.line) == (where, line)
    assert "cuda:0 and cpu" in error.message
    said = works_on_gpu(student, name, X)
    assert said == (
        f"On a GPU this stops: the line `{line}` makes a tensor on the CPU, while the others are "
        "on the GPU."
    )


def test_other_words_for_other_mistakes(student):
    assert "`return x.numpy()` hands a tensor" in works_on_gpu(student, "as_array", X)
    assert "with a generator that belongs" in works_on_gpu(student, "with_other_generator", X)
    assert works_on_gpu(student, "only_back", X).startswith("The result is on the CPU")
    assert works_on_gpu(student, "back", X).startswith("A part of the result is on the CPU")
    assert works_on_gpu(student, "double", X) is None
    assert "not a tensor" in works_on_gpu(student, "total", X)
    assert ends_on_gpu(student, "total", X) is None
    with pytest.raises(StudentError, match="nothing"):
        works_on_gpu(student, "crash", X)
    with pytest.raises(StudentError) as caught:
        student.on_gpu("absent", X)
    assert caught.value.kind == "missing"


def test_arguments_of_every_kind(student):
    probe = student.define(
        "def look(values, generator, loader, k=1):\n"
        "    (x, _), = list(loader)\n"
        "    return values['a'][0], values['b'][1], x, x.to(values['a'][0].device)\n"
    )
    values = {"a": [X], "b": (1, torch.arange(3))}
    found = student.on_gpu(probe["look"], values, Seed(1), Loader(X, torch.zeros(4), 4), k=2)
    assert found == ["gpu", "gpu", "cpu", "gpu"]
    assert student.on_gpu("noisy_there", X, generator=Seed(1)) == ["gpu"]


@pytest.mark.parametrize("name", ["Good", "Placed"])
def test_a_module_is_moved_and_moved_back(student, name):
    model = Module.build(student, name, seed=1)
    before = model.state()
    model.eval()
    out = model(X, seed=4)
    assert student.on_gpu(model.ref, X, backward=True) == ["gpu"]
    assert student.on_gpu((model.ref, "sample"), 5, generator=Seed(2)) == ["gpu"]
    assert all(map(torch.equal, model.state(), before))
    assert torch.equal(model(X, seed=4), out)
    assert model.call("sample", 5, generator=Seed(2)).shape == (5, 3)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Shifted", "return super().forward(x) + self.shift"),
        ("Stale", "return super().forward(x) + torch.randn(3, device=self.device)"),
        ("Kept", "return self.layers[0](x)"),
    ],
)
def test_what_a_module_leaves_on_the_cpu_is_named(student, name, line):
    model = Module.build(student, name)
    with pytest.raises(StudentError) as caught:
        student.on_gpu(model.ref, X)
    assert (caught.value.type, caught.value.line) == ("DeviceMismatch", line)
    assert f"`{line}`" in works_on_gpu(student, model.ref, X)
    assert torch.isfinite(model(X)).all()


def test_a_training_loop_moves_its_model_and_its_optimiser(student):
    model = Module.build(student, "Good", seed=1)
    optimizer = model.optimizer("Adam", lr=0.1)
    loader = Loader(torch.randn(8, 3), torch.zeros(8), 4)
    student.call("train", model.ref, loader, optimizer)
    found = student.on_gpu("train", model.ref, loader, optimizer)
    steps = found[1::3]
    assert found[0] == "gpu" and set(steps) == {"cpu"} and found[1:].count("gpu") == 2 * len(steps)
    parameters = model.parameters()
    student.call("train", model.ref, loader, optimizer)
    assert not torch.equal(parameters[0], model.parameters()[0])
    said = works_on_gpu(student, "train_carelessly", model.ref, loader, optimizer)
    assert "brings a tensor that is on the CPU together with one" in said


def test_the_numbers_of_a_training_loop_are_those_of_the_cpu(student):
    loader = Loader(torch.randn(8, 3), torch.zeros(8), 4)
    trained = []
    for ask in (student.call, student.on_gpu):
        model = Module.build(student, "Good", seed=1)
        ask("train", model.ref, loader, model.optimizer("RMSprop", lr=0.1, foreach=True))
        trained.append(model.state())
    assert all(map(torch.equal, *trained))


def test_one_more_module_can_be_moved(student):
    model = Module.build(student, "Good")
    probe = student.define("def ask(x):\n    return model(x)\n", model=model.ref)
    with pytest.raises(StudentError, match="two devices"):
        student.on_gpu(probe["ask"], X)
    assert student.on_gpu(probe["ask"], X, of=model.ref) == ["gpu"]


@pytest.mark.skipif(not IN_PROCESS, reason="it looks at the notebook's objects")
@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_behind(notebook, fails):
    names = notebook(CODE)
    student = InProcessStudent(names)
    model = names["Shifted"]() if fails else names["Good"]()
    names["model"] = model
    optimizer = torch.optim.Adam(model.parameters())
    before, defaults = dict(names), names["by_default"].__defaults__
    parameters = list(model.parameters())
    ref = student.ref("model")
    if fails:
        with pytest.raises(StudentError):
            student.on_gpu(ref, X)
    else:
        student.on_gpu(ref, X)
    assert not torch.cuda.is_available() and default_device().type == "cpu"
    assert names == before and names["by_default"].__defaults__ is defaults
    assert names["device"] == torch.device("cpu") and names["kind"] == "cpu"
    held = optimizer.param_groups[0]["params"]
    for one, other, parameter in zip(parameters, held, model.parameters(), strict=True):
        assert one is other is parameter and parameter.device.type == "cpu"
        assert type(parameter) is nn.Parameter and parameter.grad is None
    model(X).sum().backward()
    optimizer.step()


@pytest.mark.skipif(not IN_PROCESS, reason="it pretends in this process")
def test_a_gpu_that_is_there_is_used(notebook):
    with pretend_gpu():  # which the handle takes for a real one
        student = InProcessStudent(notebook(CODE))
        model = Module.build(student, "Placed")
        assert student.on_gpu("by_name", X) == ["gpu"]
        assert student.on_gpu(model.ref, X, backward=True) == ["gpu"]
        assert {p.device.type for p in student._objects[model.ref.key].parameters()} == {"cpu"}
        with pytest.raises(StudentError) as caught:
            student.on_gpu("noisy", X)
        assert caught.value.type == "DeviceMismatch"


# The reference's own answers.

MODULES = ("autoencoder", "probability", "training", "vae", "bernoulli_vae", "keras_layers")
MODULES += ("keras_fit", "keras_model", "keras_vae", "celeba_vae")


@functools.cache
def reference_cells():
    """The reference's modules, as cells: names and sources, without imports of one another."""
    cells = []
    for name in ("errors", "files", "storage", *MODULES):
        tree = ast.parse(inspect.getsource(importlib.import_module(f"vae_course.{name}")))
        tree.body = [
            node
            for node in tree.body
            if not (isinstance(node, ast.ImportFrom) and str(node.module).startswith("vae_course"))
        ]
        cells.append(ast.unparse(tree))
    return cells


@pytest.fixture(scope="module")
def reference(student_of):
    return student_of(*reference_cells(), DEVICE)


MU, LOG_VAR, BATCH = torch.randn(5, 2), torch.randn(5, 2), torch.rand(5, 1, 28, 28)
BITS = (torch.rand(6, 16) > 0.5).float()

FUNCTIONS = [
    ("gaussian_kl", MU, LOG_VAR),
    ("gaussian_kl_from_std", MU, LOG_VAR.exp()),
    ("gaussian_kl_from_var", MU, LOG_VAR.exp()),
    ("gaussian_kl_between", MU, LOG_VAR, MU + 1, LOG_VAR - 1),
    ("gaussian_kl_monte_carlo", MU, LOG_VAR, 7, Seed(1)),
    ("gaussian_log_likelihood", BATCH, BATCH / 2, 0.3),
    ("gaussian_log_likelihood", BATCH, BATCH / 2, torch.rand(1) + 0.1),
    ("bernoulli_log_likelihood", BITS, torch.randn(6, 16)),
    ("log_mean_exp", MU, 0),
    ("reparameterize", MU, LOG_VAR),
    ("reparameterize", MU, LOG_VAR, Seed(3)),
    ("elbo_terms", BATCH, BATCH / 2, MU, LOG_VAR),
    ("bits_per_dim", MU, 784),
    ("active_units", MU),
    ("squared_error", BATCH, BATCH / 2),
    ("pca_reconstruct", torch.randn(9, 6), torch.randn(4, 6), 3),
    ("interpolate", MU[0], MU[1], 4),
    ("evidence_bound", BATCH, BATCH / 2, MU, LOG_VAR),
    ("binarize", BATCH),
    ("binarize_randomly", BATCH, Seed(1)),
    ("importance_weighted_bound", MU),
    ("cross_entropy_terms", BATCH, BATCH / 2, MU, LOG_VAR),
    ("seed_loss", BATCH, BATCH / 2, MU, LOG_VAR),
    ("manifold_codes", torch.linspace(-1, 1, 3)),
    ("scale_images", BATCH),
    ("scale_images", (BATCH * 255).to(torch.uint8)),
    ("unscale_images", BATCH),
    ("draw_gaussian", MU, 0.1, Seed(1)),
    ("draw_gaussian", MU, torch.rand(2)),
    ("face_bits_per_dim", MU),
    ("attribute_direction", MU, torch.tensor([True, False, True, True, False])),
]


@pytest.mark.parametrize("row", FUNCTIONS, ids=lambda row: row[0])
def test_the_references_functions_work_there(reference, row):
    name, *args = row
    places = reference.on_gpu(name, *args, backward=True)
    assert set(places) <= {"gpu"} and (places or name == "active_units")
    assert ends_on_gpu(reference, name, *args) is None


def test_the_references_tsne_comes_back(reference):
    assert reference.on_gpu("embed_tsne", torch.randn(8, 3)) == ["cpu"]


FACES = torch.rand(3, 3, 64, 64)
MODELS = {
    "Encoder": ((8,), BATCH, {}, ()),
    "Decoder": ((8,), torch.randn(2, 8), {}, ()),
    "AutoEncoder": ((4,), BATCH, {"reconstruct": (BATCH,)}, ("autoencoder_terms",)),
    "VAE": ((4,), BATCH, {"reconstruct": (BATCH,), "sample": (3, Seed(1))}, ("vae_terms",)),
    "BernoulliVAE": ((16, (8,), 3), BITS, {"encode": (BITS,)}, ("bernoulli_terms",)),
    "KerasVAE": ((), BATCH, {"predict_step": (BATCH,)}, ("keras_terms",)),
    "FaceVAE": ((5,), FACES, {"reconstruct": (FACES,), "sample": (2, Seed(1))},
                ("face_terms",)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_the_references_models_work_there(reference, name):
    args, x, methods, losses = MODELS[name]
    model = Module.build(reference, name, *args)
    assert set(reference.on_gpu(model.ref, x, backward=True)) == {"gpu"}
    for method, given in methods.items():
        assert set(reference.on_gpu((model.ref, method), *given)) == {"gpu"}
    for loss in losses:
        assert set(reference.on_gpu(loss, model.ref, x, backward=True)) == {"gpu"}


STEP = """
def step(model, optimizer, loss_terms, x):
    optimizer.zero_grad()
    terms = loss_terms(model, x)
    terms["loss"].mean().backward()
    optimizer.step()
    return list(model.parameters()), terms
"""


@pytest.mark.parametrize("name", [name for name, row in MODELS.items() if row[3]])
@pytest.mark.parametrize("optimizer", ["Adam", "RMSprop"])
def test_the_references_models_take_a_step_there_as_on_the_cpu(reference, name, optimizer):
    args, x, _, (loss,) = MODELS[name]
    states = []
    for ask in (reference.call, reference.on_gpu):
        probe = reference.define(STEP)
        model = Module.build(reference, name, *args, seed=2)
        chosen = model.optimizer(optimizer, lr=1e-3, foreach=True)
        result = ask(probe["step"], model.ref, chosen, reference.ref(loss), x, seed=5)
        states.append(model.state())
    assert set(result) == {"gpu"} and all(map(torch.equal, *states))


def test_the_references_loops_work_there(reference):
    images, labels = torch.rand(12, 1, 28, 28), torch.arange(12) % 3
    loader = Loader(images, labels, 5)
    vae = Module.build(reference, "VAE", 2)
    adam = vae.optimizer("Adam", lr=1e-3)
    terms = reference.ref("vae_terms")
    assert ends_on_gpu(reference, "train_epoch", vae.ref, loader, adam, terms) is None
    assert ends_on_gpu(reference, "evaluate", vae.ref, loader, terms) is None
    assert ends_on_gpu(reference, "train_vae", vae.ref, loader, loader, adam, 2) is None
    ae = Module.build(reference, "AutoEncoder", 2)
    assert ends_on_gpu(reference, "error_by_label", ae.ref, loader) is None
    decoder = Module.build(reference, "Decoder", 2)
    assert reference.on_gpu("sample_prior", decoder.ref, 3, 2, Seed(1)) == ["gpu"]
    probe = reference.define(LATENTS)
    shown = Module.build(reference, probe["ShowLatents"])
    assert reference.on_gpu("sample_prior", shown.ref, 3, 2, Seed(1)) == ["gpu"]
    tiny = Module.build(reference, reference.define(TINY)["Tiny"], 4)
    assert reference.on_gpu(tiny.ref, torch.randn(3, 4), backward=True) == ["gpu"]


def test_the_references_bernoulli_vae_works_there(reference):
    model = Module.build(reference, "BernoulliVAE", 16, (8,), 3).ref
    redraw = reference.ref("binarize_randomly")
    assert ends_on_gpu(reference, "fit", model, BITS, 2, x_held_out=BITS, redraw=redraw) is None
    assert ends_on_gpu(reference, "mean_terms", model, BITS) is None
    for name, args in {
        "transform": (BITS,),
        "prior_predictive_given": (torch.randn(2, 3), Seed(1)),
        "prior_predictive": (4, Seed(1)),
        "posterior_predictive": (BITS, Seed(1)),
        "log_importance_weights": (BITS, 4, Seed(1)),
        "log_marginal": (BITS, 9, 20, Seed(1)),
    }.items():
        assert set(reference.on_gpu(name, model, *args)) == {"gpu"}, name


def test_the_references_keras_model_works_there(reference):
    model = Module.build(reference, "KerasVAE")
    model.call("compile")
    x = torch.rand(9, 1, 28, 28)
    assert ends_on_gpu(reference, (model.ref, "train_step"), x) is None
    assert ends_on_gpu(reference, (model.ref, "fit"), x, 1, 4, 0.3, verbose=False) is None
    assert ends_on_gpu(reference, (model.ref, "evaluate"), x) is None
    assert reference.on_gpu((model.ref, "predict"), x) == ["cpu"]  # as it says it does
    probe = reference.define(
        "def save_and_load(model, checkpoint, path):\n"
        "    model.compile()\n"
        "    saver = checkpoint(path, monitor='loss', save_best_only=False)\n"
        "    saver.set_model(model)\n    saver.on_train_begin()\n"
        "    saver.on_epoch_end(0, {'loss': 1.0})\n"
        "    model.load_weights(path)\n"
        "    return list(model.parameters())\n"
    )
    checkpoint = reference.ref("ModelCheckpoint")
    places = reference.on_gpu(probe["save_and_load"], model.ref, checkpoint, "/tmp/on_gpu_weights")
    assert set(places) == {"gpu"}


def test_the_references_faces_work_there(reference):
    model = Module.build(reference, "FaceVAE", 4)
    faces = (torch.rand(6, 3, 64, 64) * 255).to(torch.uint8)
    for training_data in (faces, faces / 255):
        probe = reference.define(  # the images stay on the CPU, as they do in the notebook
            "def run(train, model, images):\n"
            "    return train(model, images.cpu(), 1, batch_size=4, progress=False)\n"
        )
        run, train = probe["run"], reference.ref("train_faces")
        assert ends_on_gpu(reference, run, train, model.ref, training_data) is None
        given = (model.ref, training_data, 1, None, faces, 4)
        assert ends_on_gpu(reference, "train_faces", *given, progress=False) is None
    assert ends_on_gpu(reference, "evaluate_faces", model.ref, faces) is None
    assert reference.on_gpu("encode_faces", model.ref, faces) == ["cpu"]
    assert reference.on_gpu("interpolate_faces", model.ref, FACES[0], FACES[1], 3) == ["gpu"]
    assert reference.on_gpu("edit_faces", model.ref, FACES, torch.randn(4)) == ["gpu"]
