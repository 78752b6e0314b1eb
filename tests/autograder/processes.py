"""Looking at processes by their numbers, as /proc has them."""

from pathlib import Path


def below(process: int) -> list[int]:
    """The processes that one started, and those that they did."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    found, rest = [], [process]
    while rest:
        next_ones = children.get(rest.pop(), [])
        found += next_ones
        rest += next_ones
    return found


def is_running(process: int) -> bool:
    """Whether it is there and no zombie."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
