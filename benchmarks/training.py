"""How fast models train: ours, the seeds' own loops, Keras 3 and Pythae, side by side in one run.

    pip install -e .[bench]
    python benchmarks/training.py [TASK ...] [--rounds 5] [--cores 0,1]

Every contestant has a process of its own, on the same cores; they take turns. In each round each of
them trains a fresh model from the round's seed, over the same images, at the seed's batch size: two
epochs, of which the second is timed, so that what is compiled or decoded once does not count. Ends
in lines `name: value`:

- TASK_vs_WHOM: the median over the rounds of our images a second over theirs in the same round.
- TASK_WHO_images_s: the median itself.
- TASK_WHO_loss, _spread: the loss on held-out images after a round, in nats per image: its mean
  over the rounds' seeds, and its standard deviation.
- TASK_mflops: a forward and a backward pass, per image; TASK_ours_of_peak, TASK_plain_of_peak: the
  share of the peak that large products of float32 matrices reach on the same cores.

On a machine with a GPU the same names follow with `gpu_` before them, for ps5 at batch 32: against
the seed's loop that decodes its photographs, and against the same loop on decoded images; then
gpu_ps5_40_epochs_s, how far an epoch is from the floor of latency (about 0.1 s), and
gpu_sweep_vs_one_by_one: sixteen of the task mlp trained at once, and one after another.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean, median, stdev

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from contestants import TASKS, contestant  # noqa: E402

from vae_course.data import load_fashion_mnist, load_mnist  # noqa: E402
from vae_course.face_data import load_faces  # noqa: E402
from vae_course.sweep import Sweep  # noqa: E402
from vae_course.trainer import Batches  # noqa: E402

PEERS = {
    "ps3": ("plain",),
    "ps4": ("plain", "keras_tf", "keras_torch"),
    "ps5": ("plain",),
    "ps5_folder": ("plain",),
    "mlp": ("pythae", "plain"),
}
IMAGES = {"ps3": 19_200, "ps4": 3_200, "ps5": 3_200, "ps5_folder": 1_600, "mlp": 19_200}
HELD_OUT = 500
GPU_IMAGES = 11_000
GPU_FLOOR_S = 0.1
"""An epoch of 344 steps of about 100 kernels, 2 to 3 microseconds each even when played back."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", default=",".join(map(str, sorted(os.sched_getaffinity(0)))))
    parser.add_argument("--contestant", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contestant:
        serve(*arguments.contestant)
        return
    cores = [int(core) for core in arguments.cores.split(",")]
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(len(cores))
    in_bf16 = matmul_peak(torch.bfloat16) / matmul_peak()
    print(f"cores: {arguments.cores}; threads: {len(cores)}; torch {torch.__version__}")
    print(f"products of bfloat16 matrices: {in_bf16:.2f} times as fast as of float32")
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for task in arguments.tasks or PEERS:
            figures |= compare(task, Path(scratch), arguments.rounds, len(cores))
        if torch.cuda.is_available():
            figures |= on_gpu(Path(scratch))
    for name, value in figures.items():
        print(f"{name}: {value:.4g}")


def compare(task: str, scratch: Path, rounds: int, threads: int) -> dict[str, float]:
    """One task: its contestants in turns."""
    kind = task.partition("_")[0]
    images = stored_images(kind, IMAGES[task] + HELD_OUT)
    torch.save(images[-HELD_OUT:], scratch / "held_out.pt")
    torch.save(images[:-HELD_OUT], scratch / "images.pt")
    if task == "ps5_folder":
        write_photographs(images[:-HELD_OUT], scratch / "faces" / "all")
    names = {who: f"{task}_{who}" for who in ("ours", *PEERS[task])}
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    running = {
        who: subprocess.Popen(
            [sys.executable, __file__, "--contestant", name, str(scratch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        for who, name in names.items()
    }
    found: dict[str, list[tuple[float, float]]] = {who: [] for who in names}
    for seed in range(rounds):
        for who, process in running.items():
            print(seed, file=process.stdin, flush=True)
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"{names[who]}: ended without an answer; run it by itself")
            found[who].append(json.loads(line))
            seconds, loss = found[who][-1]
            speed = IMAGES[task] / seconds
            print(
                f"  {names[who]}, seed {seed}: {speed:,.0f} images/s, loss {loss:.2f}", flush=True
            )
    for process in running.values():
        process.stdin.close()
        process.wait()
    figures: dict[str, float] = {}
    speeds = {who: [IMAGES[task] / s for s, _ in rows] for who, rows in found.items()}
    losses = {who: [loss for _, loss in rows] for who, rows in found.items()}
    for who in PEERS[task]:
        ratios = [a / b for a, b in zip(speeds["ours"], speeds[who], strict=True)]
        figures[f"{task}_vs_{who}"] = median(ratios)
    for who in names:
        figures[f"{task}_{who}_images_s"] = median(speeds[who])
        figures[f"{task}_{who}_loss"] = mean(losses[who])
        figures[f"{task}_{who}_spread"] = stdev(losses[who]) if rounds > 1 else 0.0
    figures[f"{task}_mflops"] = flops(kind) / 1e6
    for who in ("ours", "plain"):
        per_second = figures[f"{task}_{who}_images_s"] * flops(kind)
        figures[f"{task}_{who}_of_peak"] = per_second / matmul_peak()
    return figures


def serve(name: str, scratch: str) -> None:
    """A contestant's process: for each seed that comes, an epoch's seconds and the loss then."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever a peer prints
    held_out = torch.load(Path(scratch, "held_out.pt"))
    in_folder = "_folder_" in name
    images = Path(scratch, "faces") if in_folder else torch.load(Path(scratch, "images.pt"))
    for line in sys.stdin:
        one = contestant(name, images, int(line))
        one.epoch()
        begin = time.perf_counter()
        one.epoch()
        seconds = time.perf_counter() - begin
        os.write(answers, (json.dumps([seconds, one.loss(held_out)]) + "\n").encode())


def stored_images(kind: str, count: int) -> Tensor:
    """Real images as bytes where there are any, stand-ins else; repeated to make up the number."""
    if kind == "ps5":
        images = load_faces(limit=count).images
    else:
        data = load_fashion_mnist() if kind == "ps4" else load_mnist()
        images = (data.train_images[:count] * 255).round().to(torch.uint8)
    return images.repeat(-(-count // len(images)), 1, 1, 1)[:count]


def write_photographs(images: Tensor, folder: Path) -> None:
    """The images as JPEGs of CelebA's size, 178x218."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    large = F.interpolate(images.float(), (218, 178), mode="bilinear").to(torch.uint8)
    for number, image in enumerate(large.permute(0, 2, 3, 1).numpy()):
        Image.fromarray(image).save(folder / f"{number:06}.jpg", quality=90)


def flops(kind: str) -> float:
    """Of a forward and a backward pass, per image."""
    task = TASKS[kind]
    size = {"ps5": (3, 64, 64)}.get(kind, (1, 28, 28))
    x = task.prepare(torch.zeros(task.batch_size, *size, dtype=torch.uint8))
    with FlopCounterMode(display=False) as counter:
        task.terms(task.make(), x)["loss"].mean().backward()
    return counter.get_total_flops() / task.batch_size


def matmul_peak(dtype: torch.dtype = torch.float32, size: int = 2048, repeats: int = 5) -> float:
    """Operations a second of a product of matrices: the best of a few."""
    a, b = torch.randn(2, size, size).to(dtype)
    return 2 * size**3 / min(timed(lambda: a @ b) for _ in range(repeats))


def timed(act: Callable[[], object]) -> float:
    begin = time.perf_counter()
    act()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def on_gpu(scratch: Path) -> dict[str, float]:
    """ps5 on a GPU: 11,000 images, batch 32."""
    images = stored_images("ps5", GPU_IMAGES)
    write_photographs(images, scratch / "gpu" / "all")
    plain = contestant("ps5_plain", images, 0, "cuda")
    folder = contestant("ps5_folder_plain", scratch / "gpu", 0, "cuda")
    ours = contestant("ps5_ours", images, 0, "cuda")
    ours.epoch()  # the recording is made here
    seconds = {"ours": median(timed(ours.epoch) for _ in range(5))}
    seconds["plain"] = median(timed(plain.epoch) for _ in range(3))
    seconds["folder_plain"] = timed(folder.epoch)
    fresh = contestant("ps5_ours", images, 1, "cuda")
    forty = timed(lambda: [fresh.epoch() for _ in range(40)])
    digits = stored_images("mlp", 12_800)
    alone = [contestant("mlp_ours", digits, seed, "cuda") for seed in range(16)]
    together = sweep_of(digits, len(alone))
    for one in (*alone, together):
        one.epoch()
    one_by_one = timed(lambda: [one.epoch() for one in alone])
    return {
        "gpu_sweep_vs_one_by_one": one_by_one / timed(together.epoch),
        "gpu_ps5_vs_plain": seconds["plain"] / seconds["ours"],
        "gpu_ps5_folder_vs_plain": seconds["folder_plain"] / seconds["ours"],
        "gpu_ps5_ours_images_s": GPU_IMAGES / seconds["ours"],
        "gpu_ps5_plain_images_s": GPU_IMAGES / seconds["plain"],
        "gpu_ps5_ours_loss": ours.loss(images[:HELD_OUT]),
        "gpu_ps5_40_epochs_s": forty,
        "gpu_ps5_times_the_floor": seconds["ours"] / GPU_FLOOR_S,
    }


def sweep_of(images: Tensor, count: int) -> Sweep:
    """Models of the task mlp, trained at once."""
    task = TASKS["mlp"]
    models = [task.make().cuda() for _ in range(count)]
    batches = Batches(images, task.batch_size, torch.Generator(), task.prepare, "cuda")
    settings = torch.zeros(count)
    adam = partial(torch.optim.Adam, lr=1e-3, fused=True)
    return Sweep(models, settings, lambda model, x, _: task.terms(model, x), batches, adam)


if __name__ == "__main__":
    main()
