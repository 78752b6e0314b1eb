"""Is a notebook complete? Asked in its last cell, before it is handed in."""

import json
import os
import re
import zlib
from pathlib import Path


def fingerprint(text: str) -> int:
    """A number for a text that says whether it was changed; white space does not count."""
    return zlib.crc32("".join(text.replace("YOUR ANSWER HERE", "").split()).encode())


def unfinished(notebook: dict, exercises: list[tuple[str, str, str, int]]) -> list[str]:
    """Say what is missing in a notebook, in a line each; an empty list if it is complete.

    Args:
        notebook: an ipynb file, read.
        exercises: for each its id, its kind ("code", "words" or "task"), its title, and the
            fingerprint of what you were given: in the place of an answer, or below a task.
    """
    found = []
    cells = [{**cell, "source": "".join(cell["source"])} for cell in notebook["cells"]]
    ids = [cell["metadata"].get("nbgrader", {}).get("grade_id", "") for cell in cells]
    for name, kind, title, given in exercises:
        own = [name, f"{name}_answer"] if kind == "code" else [name]
        deleted = [id_ for id_ in own if id_ not in ids]
        doubled = [id_ for id_ in own if ids.count(id_) > 1]
        place = 0 if deleted else ids.index(own[-1])
        below = [i for i in range(place + 1, len(cells)) if cells[i]["source"].strip()][:1]
        if deleted:
            found.append(f"{title}: the cell {deleted[0]} was deleted; start from a fresh copy")
        elif doubled:
            found.append(f"{title}: the cell {doubled[0]} stands twice; delete the copy")
        elif kind == "task":
            if not any(not ids[i] and fingerprint(cells[i]["source"]) != given for i in below):
                found.append(f"{title}: no cell of yours stands below it")
        elif kind == "code" and re.search(
            r"^\s*raise NotImplementedError", cells[place]["source"], re.MULTILINE
        ):
            found.append(f"{title}: not all of it is written")
        elif fingerprint(cells[place]["source"]) in (given, fingerprint("")):
            found.append(f"{title}: still as it was given to you")
    code = [cell for cell, id_ in zip(cells, ids, strict=True) if id_ != "hand-in"]
    return found + not_run([cell for cell in code if cell["cell_type"] == "code"])


def not_run(cells: list[dict]) -> list[str]:
    """Say which code cells were not run from top to bottom, each once and without an error."""

    def begins(cell: dict) -> str:
        return f"`{cell['source'].strip().splitlines()[0][:60]}`"

    cells = [cell for cell in cells if re.search(r"^\s*[^#\s]", cell["source"], re.MULTILINE)]
    failed = [
        f"{output['ename']} in the cell that begins {begins(cell)}"
        for cell in cells
        for output in cell["outputs"]
        if output["output_type"] == "error"
    ]
    idle = [cell for cell in cells if not cell["execution_count"]]
    counts = [cell["execution_count"] for cell in cells if cell["execution_count"]]
    if idle:
        failed.append(
            f"{len(idle)} not run, the first of them the cell that begins {begins(idle[0])}"
        )
    elif counts != sorted(counts):
        failed.append("the cells were not run from top to bottom: restart the kernel and run all")
    return failed


def open_notebook(name: str) -> tuple[dict | None, str]:
    """The notebook that is running, or None; and a remark on it, if there is one to be made.

    Args:
        name: of the assignment, such as "ps1".
    """
    try:  # Colab hands over the page itself, saved or not.
        from google.colab import _message

        return _message.blocking_request("get_ipynb", timeout_sec=20)["ipynb"], ""
    except Exception:  # whatever is wrong there, a file may be here
        pass
    from IPython import get_ipython

    shell = get_ipython()
    names = shell.user_ns if shell else {}
    places = [os.environ.get("JPY_SESSION_NAME"), names.get("__vsc_ipynb_file__"), f"{name}.ipynb"]
    path = next((Path(place) for place in places if place and Path(place).is_file()), None)
    if path is None:
        return None, f"I cannot find the file {name}.ipynb from here, so look it over yourself."
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return None, f"{path.name} cannot be read ({error}); save it and run this cell again."
    # In[k] is what ran as number k; the last is this very cell.
    ran = [(k, code) for k, code in enumerate(names.get("In", [""])) if code.strip()]
    ran = [(k, code) for k, code in ran if code.strip() != ran[-1][1].strip()]
    saved = {cell.get("execution_count") for cell in notebook["cells"]}
    if ran and ran[-1][0] not in saved:
        remark = "What you ran last is not in the saved file: save it, and run this cell again."
        return notebook, f"{remark}\nWhat follows is about {path.name} as it was saved."
    if path.name != f"{name}.ipynb":
        return notebook, f"This file is called {path.name}; hand it in as {name}.ipynb."
    return notebook, ""


def look_over(name: str, exercises: list[tuple[str, str, str, int]]) -> None:
    """Print whether the notebook can be handed in, or what is missing; nothing while it is graded.

    Args:
        name: of the assignment, such as "ps1".
        exercises: see `unfinished`.
    """
    if "NBGRADER_EXECUTION" in os.environ:
        return
    try:
        notebook, remark = open_notebook(name)
        found = unfinished(notebook, exercises) if notebook else []
    except Exception as error:  # a remark must never cost anyone a run
        notebook, found, remark = None, [], f"This file is not in the usual form ({error!r})."
    if remark:
        print(remark)
    if found:
        print("Before you hand in:", *found, sep="\n- ")
    elif notebook:
        print(f"Complete: all {len(exercises)} exercises are answered, all cells ran in order.")
