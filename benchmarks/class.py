"""A whole class: how long grading takes, and how much memory.

    python benchmarks/class.py [--students N]

N distinct, right submissions of ps2 are graded by `autograder grade ps2 --jobs 2`, and all of them
must get full marks. Ends in lines `name: value`:

- class_s: seconds, from start to end.
- recording_share: processor time of the process that records, by the class's seconds.
- peak_mb: the most memory that all its processes had together; pages that several of them share
  count once.
- peak_first_third_mb: the same for the first third of the class.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from grading import OURS, ROOT, course, solved

from autograder.record import machine_total

sys.path.insert(0, str(ROOT / "tests" / "autograder"))

from processes import below  # noqa: E402

LOOK_EVERY = 0.5  # seconds
MEGABYTE = 2**20
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", type=int, default=300)
    count = parser.parse_args().students
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    source = nbformat.read(ROOT / "source" / "ps2" / "ps2.ipynb", as_version=4)
    with tempfile.TemporaryDirectory() as scratch:
        place = course(Path(scratch, "c"), OURS, "ps2", source, [])
        for number in range(count):  # one at a time, so that the class is not in memory here
            folder = place / "submitted" / f"student{number:04}" / "ps2"
            folder.mkdir(parents=True)
            nbformat.write(solved(source, number), folder / "ps2.ipynb")
        figures = watched(place, count)
        records = json.loads((place / "verdicts.json").read_text())
    full = sum(score == most for score, most in map(machine_total, records))
    if (len(records), full) != (count, count):
        raise SystemExit(f"{full} of {len(records)} records have full marks, not {count}")
    for name, value in figures.items():
        print(f"{name}: {value:.4g}")


def watched(place: Path, count: int) -> dict[str, float]:
    """Grade the class, and look at its processes from time to time."""
    start = time.perf_counter()
    code = "from autograder.cli import main; main()"
    command = [sys.executable, "-c", code, "grade", "ps2", "--jobs", "2"]
    running = subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL)
    spent = peak = first = 0.0
    while running.poll() is None:
        spent = processor_time(running.pid) or spent
        peak = max(peak, sum(map(memory, [running.pid, *below(running.pid)])) / MEGABYTE)
        autograded = place / "autograded"
        if not autograded.is_dir() or len(os.listdir(autograded)) <= count / 3:
            first = peak
        time.sleep(LOOK_EVERY)
    if running.returncode:
        raise SystemExit(f"autograder grade ended with {running.returncode}")
    seconds = time.perf_counter() - start
    return {
        "class_s": seconds,
        "recording_share": spent / seconds,
        "peak_mb": peak,
        "peak_first_third_mb": first,
    }


def memory(process: int) -> int:
    """Bytes in use: its share of what it shares, or all, where the kernel does not tell."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("Pss:")))
    except (OSError, StopIteration):
        pass
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def processor_time(process: int) -> float:
    """Seconds, of a process without those that it started; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


if __name__ == "__main__":
    main()
