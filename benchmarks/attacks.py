"""How many attacks succeed against stock nbgrader, and how many against this grader.

The attacks are those of tests/attacks, and one function judges both graders: an attack succeeds if
something is found that is not found for the same wrong answers without it. Stock nbgrader runs
its own preprocessors on the same assignment, with plain asserts and one cell of partial credit as
hidden tests. So that the attacks do not reach this machine, it runs in a container that has a
machine's things: a grader, a home, a network of its own.

    python benchmarks/attacks.py [NAME ...]
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / name) for name in ("attacks", "autograder")]

import arena as arenas  # noqa: E402
from arena import (  # noqa: E402
    Arena,
    Listener,
    Round,
    Template,
    damage,
    grade_with_ours,
    make_source,
    make_template,
)
from attacks import ATTACKS, Attack  # noqa: E402

NOT_ON_STOCK = {"forks"}
"""What would take this machine with it: for root, no limit on processes holds."""

NO_ATTACK = Attack("no_attack", "", "", lambda mine: None)
GRADERS = ("stock", "ours")
ROUND_SECONDS = 300
LARGEST_FILE = 2**31

STOCK_TESTS = {
    "ps2_kl": """
mu_ = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]])
log_var_ = torch.tensor([[0.0, 1.0, -1.0], [2.0, 0.5, 0.0]])
kl_ = gaussian_kl(mu_, log_var_)
assert kl_.shape == (2,)
assert abs(kl_[0] - 3.668081) < 1e-4
assert abs(kl_[1] - 7.268889) < 1e-4
""",
    "ps2_reparameterize": """
mu_, log_var_ = torch.full((4000, 3), 2.0), torch.full((4000, 3), -1.0)
z_ = reparameterize(mu_, log_var_)
assert z_.shape == (4000, 3)
assert abs(z_.mean() - 2.0) < 0.05
assert abs(z_.std() - 0.606531) < 0.05
""",
    "ps2_elbo": """
x_, x_hat_ = torch.zeros(3, 1, 28, 28), torch.full((3, 1, 28, 28), 0.5)
terms_ = elbo_terms(x_, x_hat_, torch.ones(3, 5), torch.zeros(3, 5), beta=2.0)
error_ = abs(terms_["nll"][0] - 818.447815) + abs(terms_["kl"][0] - 2.5)
error_ = error_ + abs(terms_["loss"][0] - 823.447815)
float(3.0 / (1.0 + error_))
""",
    "ps1_autoencoder": """
torch.manual_seed(0)
images_ = torch.rand(6, 1, 28, 28).round()
model_ = AutoEncoder(9)
optimizer_ = torch.optim.Adam(model_.parameters(), lr=5e-3)
for _ in range(40):
    loss_ = (model_(images_) - images_).square().mean()
    optimizer_.zero_grad()
    loss_.backward()
    optimizer_.step()
codes_ = model_.encode(images_)
assert codes_.shape == (6, 9)
left_ = (model_.decode(codes_) - images_).square().mean()
assert left_ / (images_ - images_.mean(0)).square().mean() < 0.4
""",
}
"""Hidden tests as a careful instructor writes them, with the expected values in them."""


def grade_with_stock(arena: Arena, student: str, feedback: bool) -> None:
    """Grade one submission with nbgrader and nothing else.

    Raises:
        RuntimeError: nbgrader could not.
    """
    api = _stock(arena.root)
    result = api.autograde(arena.assignment, student, force=True, create=True)
    if result["success"] and feedback:
        result = api.generate_feedback(arena.assignment, student, force=True)
    if not result["success"]:
        last = (result["log"] or result["error"]).strip().splitlines()[-1]
        raise RuntimeError(last)


def _stock(root: Path) -> Any:
    from nbgrader.apps import NbGraderAPI
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import Config

    config = Config()
    config.CourseDirectory.root = str(root)
    config.Execute.timeout = 60  # the first cell imports torch
    return NbGraderAPI(CourseDirectory(config=config), config=config)


def stock_template(root: Path) -> Template:
    """The course, released and graded by nbgrader."""
    make_source(root, STOCK_TESTS, config="c = get_config()\n")
    for assignment in arenas.ASSIGNMENTS:
        result = _stock(root).generate_assignment(assignment, force=True)
        assert result["success"], result
    return make_template(root, grade_with_stock)


def our_template(root: Path) -> Template:
    """The course, graded by this grader."""
    make_source(root)
    return make_template(root, grade_with_ours)


def found_of(grader: str, attack: Attack, template: Template) -> set[str]:
    """What is found after an attack on a grader, in a course of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "course")
        shutil.copytree(template.root, root)
        listener = Listener()
        arena = Arena(root, attack.assignment, listener.port, listener.door)
        if grader == "stock":
            seen = stock_round(attack, arena)
        else:
            seen = arenas.play(arena, arena.of(attack), grade_with_ours, listener)
        listener.close()
        return set(damage(arena, seen, template))


def stock_round(attack: Attack, arena: Arena) -> Round:
    """Play one attack in a container, and see what became of the course."""
    before = arena.state()
    home = Path("/tmp/home")
    command = [
        "bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        "--ro-bind",
        "/",
        "/",
    ]
    command += ["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--dir", str(home)]
    command += ["--ro-bind", "/proc/sys", "/proc/sys", "--bind", str(arena.root), str(arena.root)]
    command += ["--setenv", "HOME", str(home), "--chdir", str(ROOT), "--"]
    command += [sys.executable, __file__, "--play", attack.name, arena.assignment, str(arena.root)]
    start = time.monotonic()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=ROUND_SECONDS, preexec_fn=_limit
        )
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
    except subprocess.TimeoutExpired:
        last = "it did not end"
    told = arena.root / "round.json"
    if told.is_file():
        return Round(**json.loads(told.read_text()))
    seconds, changed = time.monotonic() - start, arenas.changes(before, arena.state())
    return Round(seconds, f"the grader died: {last[-200:]}", changed)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def play_inside(name: str, assignment: str, root: Path) -> None:
    """In the container: play the round, and write down what was seen."""
    os.environ.update(arenas.ENVIRONMENT)
    listener = Listener()
    (attack,) = (attack for attack in (*ATTACKS, NO_ATTACK) if attack.name == name)
    arena = Arena(root, assignment, listener.port, listener.door)
    seen = arenas.play(arena, arena.of(attack), grade_with_stock, listener)
    (root / "round.json").write_text(json.dumps(vars(seen)))


def main(names: list[str]) -> None:
    """Play all the attacks, or some, on both graders, and count."""
    warnings.simplefilter("ignore")
    os.environ.update(arenas.ENVIRONMENT)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    attacks = [attack for attack in ATTACKS if not names or attack.name in names]
    succeed = dict.fromkeys(GRADERS, 0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        templates = {
            "stock": stock_template(folder / "stock"),
            "ours": our_template(folder / "ours"),
        }
        usual = {
            (name, assignment): found_of(name, replace(NO_ATTACK, assignment=assignment), template)
            for name, template in templates.items()
            for assignment in arenas.ASSIGNMENTS
        }
        for attack in attacks:
            for name, template in templates.items():
                if name == "stock" and attack.name in NOT_ON_STOCK:
                    print(f"{name:6} not run    {attack.name}", flush=True)
                    continue
                found = found_of(name, attack, template) - usual[name, attack.assignment]
                succeed[name] += bool(found)
                word = "succeeds" if found else "fails"
                print(
                    f"{name:6} {word:10} {attack.name}: {'; '.join(sorted(found))[:200]}",
                    flush=True,
                )
    print(f"attacks: {len(attacks)}")
    print(f"not_run_on_stock: {sum(attack.name in NOT_ON_STOCK for attack in attacks)}")
    for name, count in succeed.items():
        print(f"{name}_succeed: {count}")


if __name__ == "__main__":
    # nbgrader starts `alembic` by name.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if sys.argv[1:2] == ["--play"]:
        play_inside(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    else:
        main(sys.argv[1:])
