"""The handle: what crosses, what does not, and that a student's code leaves no trace."""

import math
import random
import sys
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from autograder.student import (
    InProcessStudent,
    Loader,
    Module,
    Ref,
    Seed,
    Student,
    StudentError,
    isolated,
    printable,
)


@pytest.fixture
def student(notebook, student_of):
    """student(source): the handle of a notebook with that cell."""

    def make(source: str = "", **settings) -> Student:
        return InProcessStudent(notebook(source), **settings) if settings else student_of(source)

    return make


def test_the_in_process_student_fulfils_the_contract():
    verbs = [name for name in vars(Student) if not name.startswith("_")]
    assert len(verbs) >= 12
    assert all(callable(getattr(InProcessStudent, verb)) for verb in verbs)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        2.5,
        "text",
        [1, [2.0, "x"]],
        (1, None),
        {"a": [1], 2: {"b": False}},
        float("inf"),
    ],
)
def test_plain_values_cross_both_ways(student, value):
    assert student("def echo(value):\n    return value").call("echo", value) == value


def test_tensors_are_copied_both_ways(student):
    s = student(
        """
        kept = torch.zeros(2)
        def add_one(x):
            x += 1
            return x
        def give():
            return kept
        """
    )
    mine = torch.zeros(3)
    assert torch.equal(s.call("add_one", mine), torch.ones(3))
    assert torch.equal(mine, torch.zeros(3))
    s.call("give").fill_(7)
    assert torch.equal(s.call("give"), torch.zeros(2))


def test_results_carry_no_graph(student):
    result = student("w = nn.Parameter(torch.ones(2))\ndef f():\n    return {'a': [w * 2]}").call(
        "f"
    )
    assert not result["a"][0].requires_grad
    assert type(result["a"][0]) is torch.Tensor


def test_numbers_and_arrays_of_numpy_become_plain(student):
    s = student(
        "def f():\n    return np.float32(1.5), np.int64(3), np.ones((2, 1)), np.bool_(True)"
    )
    number, whole, array, truth = s.call("f")
    assert (type(number), type(whole), type(truth)) == (float, int, bool)
    assert torch.equal(array, torch.ones(2, 1, dtype=torch.float64))


def test_nan_is_data(student):
    assert math.isnan(student("def f():\n    return float('nan')").call("f"))


LIARS = """
class Number(float):
    def __eq__(self, other): return True
    def __sub__(self, other): return 0.0
    def __truediv__(self, other): return 1.0
    def __float__(self): return 42.0
    __hash__ = None

class Whole(int):
    def __eq__(self, other): return True
    def __int__(self): return 42
    __hash__ = None

class Word(str):
    def __eq__(self, other): return True
    __hash__ = None

class Data(torch.Tensor):
    def __eq__(self, other): return torch.ones(3, dtype=torch.bool)
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return torch.full((3,), 42.0)

class Sequence(list):
    def __iter__(self): return iter([42])
    def __len__(self): return 1

class Mapping(dict):
    def items(self): return [("a", 42)]
    def __getitem__(self, key): return 42

class Pretender:
    __class__ = float
    def __float__(self): return 42.0

def number(): return Number(1.0)
def whole(): return Whole(1)
def word(): return Word("a")
def data(): return torch.ones(3).as_subclass(Data)
def sequence(): return Sequence([1, 2])
def mapping(): return Mapping(a=1)
def pretender(): return Pretender()
"""


def test_subclasses_with_lying_operators_are_rebuilt_from_their_data(student):
    s = student(LIARS)
    for name, want in (("number", 1.0), ("whole", 1), ("word", "a"), ("sequence", [1, 2])):
        got = s.call(name)
        assert type(got) is type(want) and got == want, name
    assert s.call("mapping") == {"a": 1} and type(s.call("mapping")) is dict
    data = s.call("data")
    assert type(data) is torch.Tensor and data.tolist() == [1, 1, 1]
    assert isinstance(s.call("pretender"), Ref)


def test_what_is_no_value_comes_back_as_a_ticket(student):
    s = student("def f():\n    return {'net': nn.Linear(2, 3), 'n': 1}")
    result = s.call("f")
    assert result["n"] == 1 and result["net"].type_name == "Linear"
    assert s.call(result["net"], torch.zeros(4, 2)).shape == (4, 3)
    assert s.call((result["net"], "extra_repr")).startswith("in_features=2")


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    a = []\n    a.append(a)\n    return a",
        "def f():\n    return torch.zeros(1, dtype=torch.complex64)",
        "def f():\n    return torch.zeros(1).expand(2**28)",
    ],
)
def test_what_can_not_cross_is_refused_in_words(student, source):
    with pytest.raises(StudentError) as caught:
        student(source).call("f")
    assert caught.value.kind == "result"
    assert caught.value.message.endswith(".")


def test_a_judge_that_sends_nonsense_is_no_fault_of_the_student(student):
    with pytest.raises(TypeError, match="cannot be sent"):
        student("def f(x):\n    pass", guarded=False).call("f", object())


def test_a_seed_becomes_a_generator(student):
    s = student("def f(generator=None):\n    return torch.randn(3, generator=generator)")
    want = torch.randn(3, generator=torch.Generator().manual_seed(5))
    assert torch.equal(s.call("f", generator=Seed(5)), want)
    assert torch.equal(s.call("f", generator=Seed(5), seed=99), want)


def test_a_loader_becomes_a_data_loader_with_its_own_order(student):
    s = student(
        """
        def f(loader):
            assert isinstance(loader, torch.utils.data.DataLoader)
            return [(x, y) for x, y in loader], torch.rand(1)
        """
    )
    images, labels = torch.arange(10.0).view(5, 2), torch.arange(5)
    batches, noise = s.call("f", Loader(images, labels, batch_size=2))
    assert [len(x) for x, _ in batches] == [2, 2, 1]
    assert torch.equal(torch.cat([x for x, _ in batches]), images)
    shuffled, again = s.call("f", Loader(images, labels, 2, shuffle=True, seed=3))
    assert sorted(torch.cat([y for _, y in shuffled]).tolist()) == [0, 1, 2, 3, 4]
    assert torch.equal(noise, again), "a loader must not move the global generator"


def test_each_call_starts_from_its_seed(student):
    s = student(
        "import random\ndef f():\n"
        "    return torch.rand(2), random.random(), float(np.random.rand())"
    )
    first, again, other = s.call("f", seed=1), s.call("f", seed=1), s.call("f", seed=2)
    assert first[1:] == again[1:] and torch.equal(first[0], again[0])
    assert first[1] != other[1] and first[2] != other[2] and not torch.equal(first[0], other[0])


def test_a_call_leaves_the_process_as_it_was(student, capfd, recwarn):
    s = student(
        """
        import random, sys, warnings
        def f():
            print("out"); print("err", file=sys.stderr); sys.stdout.write("more")
            warnings.warn("careful"); warnings.simplefilter("error")
            torch.manual_seed(1); random.seed(1); np.random.seed(1)
            torch.set_grad_enabled(False); torch.set_default_dtype(torch.float64)
            return torch.is_grad_enabled()
        """
    )
    torch.manual_seed(7), random.seed(7), np.random.seed(7)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    filters = list(warnings.filters)
    s.call("f")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32
    assert list(warnings.filters) == filters
    assert capfd.readouterr() == ("", "") and len(recwarn) == 0
    assert sys.stdout.writable()


def test_a_notebooks_own_settings_do_not_reach_the_call():
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        with torch.no_grad(), isolated():
            assert torch.is_grad_enabled() and torch.zeros(1).dtype == torch.float32
            assert torch.zeros(1).device.type == "cpu"
        assert torch.get_default_dtype() == torch.float64
        assert torch.zeros(1).device.type == "meta"
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)


def test_a_progress_bar_goes_nowhere(student, capfd):
    s = student("from tqdm import tqdm\ndef f():\n    return sum(tqdm(range(3)))")
    assert s.call("f") == 3
    assert capfd.readouterr() == ("", "")


ERRORS = """
def crash(x):
    y = x + 1
    return y / 0

def blank():
    raise NotImplementedError()

def uses_blank():
    return blank()

class Half(nn.Module):
    def __init__(self):
        super().__init__()

def leave():
    raise SystemExit(3)

def stop():
    raise KeyboardInterrupt

class Mute(Exception):
    def __str__(self):
        raise ValueError

def mute():
    raise Mute

def long():
    raise ValueError("line\\x1b[31m one" + "!" * 1000 + "\\nline two")
"""


@pytest.mark.parametrize(
    ("name", "args", "kind", "type_name", "where", "line"),
    [
        ("crash", (1,), "error", "ZeroDivisionError", "crash", "return y / 0"),
        ("crash", (), "error", "TypeError", "", ""),
        ("blank", (), "blank", "NotImplementedError", "blank", "raise NotImplementedError()"),
        ("uses_blank", (), "blank", "NotImplementedError", "blank", "raise NotImplementedError()"),
        ("nothing", (), "missing", "NameError", "nothing", ""),
        ("leave", (), "error", "SystemExit", "leave", "raise SystemExit(3)"),
        ("mute", (), "error", "Mute", "mute", "raise Mute"),
    ],
)
def test_exceptions_of_the_students_code_are_told_apart(
    student, name, args, kind, type_name, where, line
):
    with pytest.raises(StudentError) as caught:
        student(ERRORS).call(name, *args)
    error = caught.value
    assert (error.kind, error.type, error.where, error.line) == (kind, type_name, where, line)


def test_a_module_without_forward_is_no_blank(student):
    s = student(ERRORS)
    with pytest.raises(StudentError) as caught:
        s.call(s.call("Half"), torch.zeros(1))
    assert (caught.value.kind, caught.value.type) == ("error", "NotImplementedError")


def test_a_missing_method_is_missing(student):
    s = student(ERRORS)
    with pytest.raises(StudentError) as caught:
        s.call((s.call("Half"), "encode"))
    assert caught.value.kind == "missing" and "encode" in caught.value.message


def test_messages_are_one_printable_line(student):
    with pytest.raises(StudentError) as caught:
        student(ERRORS).call("long")
    assert caught.value.message.isprintable() and len(caught.value.message) <= 300
    assert printable("a\x1b[2Jb\nc") == "a [2Jb c"


def test_an_interrupt_passes_through(notebook):
    with pytest.raises(KeyboardInterrupt):
        InProcessStudent(notebook(ERRORS)).call("stop")


def test_an_unguarded_reference_fails_as_itself(student):
    s = student(ERRORS, guarded=False)
    with pytest.raises(ZeroDivisionError):
        s.call("crash", 1)
    with pytest.raises(LookupError, match="the reference has no nothing"):
        s.call("nothing")
    with pytest.raises(RuntimeError):
        s.gradients("crash", torch.ones(1), cotangent={"loss": torch.ones(1)})


GRADIENTS = """
def f(x, y):
    return {"a": (x * y).sum(1), "b": x.sum()}

def cut(x):
    return x.detach() * 2

def in_place(x):
    x *= 3
    return x

def pair(x):
    return x, 2 * x
"""


def test_gradients_of_named_outputs(student):
    s = student(GRADIENTS)
    x, y, weights = torch.randn(3, 2), torch.randn(3, 2), torch.tensor([1.0, 2.0, 3.0])
    found = s.gradients("f", x, y, wrt=(0, 1), cotangent={"a": weights})
    assert torch.allclose(found.inputs[0], weights[:, None] * y)
    assert torch.allclose(found.inputs[1], weights[:, None] * x)
    assert torch.allclose(found.output["a"], (x * y).sum(1))
    everything = s.gradients("f", x, y, wrt=(0, 1))
    assert torch.allclose(everything.inputs[0], y + 1)
    assert s.gradients("f", x, y, wrt=(0, 1), cotangent={"b": torch.tensor(1.0)}).inputs[1] is None


def test_gradients_of_a_tuple_and_through_a_change_in_place(student):
    s = student(GRADIENTS)
    x = torch.ones(2)
    assert s.gradients("pair", x, wrt=(0,), cotangent=[None, x]).inputs[0].tolist() == [2, 2]
    assert s.gradients("in_place", x, wrt=(0,)).inputs[0].tolist() == [3, 3]


def test_a_gradient_that_no_path_leads_to_is_none(student):
    assert student(GRADIENTS).gradients("cut", torch.ones(2), wrt=(0,)).inputs == [None]


@pytest.mark.parametrize(
    ("name", "cotangent"),
    [
        ("cut", torch.ones(3)),
        ("pair", torch.ones(2)),
        ("cut", {"loss": torch.ones(2)}),
        ("cut", [torch.ones(2), None, None]),
    ],
)
def test_a_result_of_another_form_is_refused_in_words(student, name, cotangent):
    with pytest.raises(StudentError) as caught:
        student(GRADIENTS).gradients(name, torch.ones(2), wrt=(0,), cotangent=cotangent)
    assert caught.value.kind == "result" and "expected" in caught.value.message


NET = """
class Net(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.a, self.norm, self.b = nn.Linear(n, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)
        self.b.bias.requires_grad_(False)
    def forward(self, x):
        return self.b(self.norm(self.a(x)))
    def peek(self, x):
        return self.a(x)

def make_number(n):
    return n
"""


def test_modules_are_reached_by_tensors_and_flags_alone(student):
    s = student(NET)
    net, same, other = (Module.build(s, "Net", 4, seed=seed) for seed in (1, 1, 2))
    assert all(map(torch.equal, net.state(), same.state()))
    assert not all(map(torch.equal, net.state(), other.state()))
    assert net.size() == 4 * 3 + 3 + 6 + 3 + 1 == sum(p.numel() for p in net.parameters())
    other.load_state(net.state())
    net.eval(), other.eval()
    assert net.modes() == [False] * 4
    x = torch.randn(5, 4)
    assert torch.equal(net(x), other(x))
    net.train()
    assert net.modes() == [True] * 4
    net(x)
    assert not all(map(torch.equal, net.state(), other.state())), "averages of BatchNorm moved"


def test_gradients_reach_parameters_and_skip_the_frozen(student):
    net = Module.build(student(NET), "Net", 4)
    gradients = net.gradients(torch.randn(5, 4)).parameters
    assert [gradient is None for gradient in gradients] == [False] * 5 + [True]


def test_an_optimiser_steps_on_the_students_side(student):
    s = student(NET + "\ndef step(net, o, x):\n    net(x).sum().backward()\n    o.step()")
    net = Module.build(s, "Net", 4)
    before = net.parameters()
    s.call("step", net.ref, net.optimizer("SGD", lr=0.1), torch.randn(5, 4))
    assert not torch.equal(before[-2], net.parameters()[-2])


def test_graphs_that_are_held_on_to_are_seen(student):
    net = Module.build(student(NET), "Net", 4)
    assert net.carries_graph("peek", torch.randn(2, 4))
    kept = net.student.call("make_number", [torch.zeros(1), 3], keep=True)
    assert isinstance(kept, Ref) and not net.student.carries_graph(kept)
    assert net.student.fetch(kept)[1] == 3


def test_what_is_no_module_is_refused_as_one(student):
    with pytest.raises(StudentError, match="torch.nn.Module"):
        Module.build(student(NET), "make_number", 4)


def test_a_probe_sees_nothing_of_the_notebook_but_what_it_is_given(student):
    s = student("secret = 1\ndef double(x):\n    return 2 * x\ndef apply(f, x):\n    return f(x)")
    probe = s.define(
        "import math\nlimit = 3\n\ndef quadruple(x):\n    return twice(twice(x))\n\n"
        "def peek():\n    return secret\n\nclass Thing:\n    pass\n",
        twice=s.ref("double"),
    )
    assert probe.keys() == {"quadruple", "peek", "Thing"}
    assert s.call("apply", probe["quadruple"], 3) == 12
    with pytest.raises(StudentError, match="secret"):
        s.call(probe["peek"])
    assert not s.has("quadruple") and s.has("secret")


def test_the_notebook_is_never_written(notebook):
    namespace = notebook(NET)
    names = dict(namespace)
    s = InProcessStudent(namespace)
    s.define("x = 1\ndef f():\n    pass")
    Module.build(s, "Net", 4)
    assert namespace == names


def test_a_module_of_the_judges_own_can_serve_as_the_namespace():
    s = InProcessStudent({"Linear": nn.Linear})
    assert Module.build(s, "Linear", 2, 3)(torch.zeros(1, 2)).shape == (1, 3)
