"""What a student hears before handing in: each thing that is missing, and nothing else."""

import copy
import json
import os
import sys
import types

import nbformat
import pytest
from nbclient import NotebookClient

from vae_course import handin

WRITTEN = "*Your answer (at most 50 words):*"
STARTER = "def halve(x):\n    return x - 1"
BELOW = "## What comes next"
EXERCISES = [
    ("ps1_area", "code", "Exercise: discs", 0),
    ("ps1_halve", "code", "Exercise: mend it", handin.fingerprint(STARTER)),
    ("ps1_why", "words", "Question: why", handin.fingerprint(WRITTEN)),
    ("ps1_explore", "task", "Task: explore", handin.fingerprint(BELOW)),
]


def cell(source: str, id_: str = "", kind: str = "code") -> dict:
    metadata = {"nbgrader": {"grade_id": id_}} if id_ else {}
    found = {"cell_type": kind, "id": id_ or f"x{abs(hash(source))}", "metadata": metadata}
    found["source"] = source.splitlines(keepends=True)  # as it stands in a file
    return found | ({"outputs": [], "execution_count": None} if kind == "code" else {})


def finished() -> dict:
    """A notebook in which all is done."""
    cells = [
        cell("import math", "setup"),
        cell("def area(r):\n    return math.pi * r**2", "ps1_area_answer"),
        cell("# Graded: areas", "ps1_area"),
        cell("def halve(x):\n    return x / 2", "ps1_halve_answer"),
        cell("# Graded: halves", "ps1_halve"),
        cell(f"{WRITTEN}\n\nBecause it is flat.", "ps1_why", "markdown"),
        cell("Draw in cells of your own.", "ps1_explore", "markdown"),
        cell("area(3.0)"),
        cell(BELOW, kind="markdown"),
        cell("look_over()", "hand-in"),
    ]
    code = [one for one in cells if one["cell_type"] == "code"]
    for count, one in enumerate(code[:-1], 4):
        one["execution_count"] = count
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def spoilt(change) -> list[str]:
    notebook = finished()
    change({one["metadata"].get("nbgrader", {}).get("grade_id"): one for one in notebook["cells"]})
    return handin.unfinished(notebook, EXERCISES)


def put(id_: str, source: str):
    return lambda cells: cells[id_].update(source=source)


def test_a_finished_notebook_lacks_nothing():
    assert handin.unfinished(finished(), EXERCISES) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            put("ps1_area_answer", "def area(r):\n    # HERE\n    raise NotImplementedError()"),
            "Exercise: discs: not all of it is written",
        ),
        (put("ps1_area_answer", ""), "Exercise: discs: still as it was given to you"),
        (put("ps1_halve_answer", f"{STARTER}\n"), "Exercise: mend it: still as it was given"),
        (put("ps1_why", f"{WRITTEN}\n\nYOUR ANSWER HERE"), "Question: why: still as it was given"),
        (put("ps1_why", f"{WRITTEN} \n\n"), "Question: why: still as it was given"),
        (put("ps1_why", "\n"), "Question: why: still as it was given"),
    ],
)  # fmt: skip
def test_what_was_not_answered_is_named_by_its_title(change, words):
    (said,) = spoilt(change)
    assert said.startswith(words)


@pytest.mark.parametrize(
    "source",
    [
        "def area(r):\n    # raise NotImplementedError()\n    return 3",
        "def area(r):\n    assert r > 0, 'raise NotImplementedError'\n    return 3",
    ],
)
def test_an_answer_that_only_mentions_the_blank_is_one(source):
    assert spoilt(put("ps1_area_answer", source)) == []


def test_words_beside_the_stub_are_an_answer():
    assert spoilt(put("ps1_why", f"{WRITTEN}\n\nYOUR ANSWER HERE\n\nFlat.")) == []


def without(*ids: str):
    def change(notebook: dict) -> None:
        notebook["cells"] = [
            one
            for one in notebook["cells"]
            if one["metadata"].get("nbgrader", {}).get("grade_id") not in ids
        ]

    return change


@pytest.mark.parametrize("id_", ["ps1_area", "ps1_area_answer", "ps1_why", "ps1_explore"])
def test_a_deleted_cell_is_named(id_):
    notebook = finished()
    without(id_)(notebook)
    (said,) = handin.unfinished(notebook, EXERCISES)
    assert f"the cell {id_} was deleted" in said


@pytest.mark.parametrize("id_", ["ps1_area_answer", "ps1_area", "ps1_why"])
def test_a_copied_cell_is_named(id_):
    notebook = finished()
    place = next(i for i, c in enumerate(notebook["cells"]) if c["id"] == id_)
    notebook["cells"].insert(place + 1, copy.deepcopy(notebook["cells"][place]))
    (said,) = handin.unfinished(notebook, EXERCISES)
    assert f"the cell {id_} stands twice" in said


def test_a_task_at_the_very_end_or_before_a_graded_cell_needs_a_cell_of_ones_own():
    notebook = finished()
    task = next(i for i, c in enumerate(notebook["cells"]) if c["id"] == "ps1_explore")
    del notebook["cells"][task + 1 : task + 3]  # the hand-in cell follows at once
    assert handin.unfinished(notebook, EXERCISES) == [
        "Task: explore: no cell of yours stands below it"
    ]
    notebook["cells"].insert(task + 1, cell("  \n"))  # an empty cell is none
    assert len(handin.unfinished(notebook, EXERCISES)) == 1
    notebook["cells"].insert(task + 2, cell("My words.", kind="markdown"))
    assert handin.unfinished(notebook, EXERCISES) == []


def test_cells_that_were_not_run_in_order_or_failed_are_named():
    notebook = finished()
    notebook["cells"][3]["execution_count"] = None
    (said,) = handin.unfinished(notebook, EXERCISES)
    assert said == "1 not run, the first of them the cell that begins `def halve(x):`"

    notebook = finished()
    notebook["cells"][0]["execution_count"] = 40
    (said,) = handin.unfinished(notebook, EXERCISES)
    assert "not run from top to bottom" in said

    notebook = finished()
    error = {"output_type": "error", "ename": "ZeroDivisionError", "evalue": "", "traceback": []}
    notebook["cells"][7]["outputs"] = [error]
    (said,) = handin.unfinished(notebook, EXERCISES)
    assert said == "ZeroDivisionError in the cell that begins `area(3.0)`"


def test_cells_without_code_need_not_be_run():
    notebook = finished()
    for one in notebook["cells"]:
        if one["id"] in ("ps1_area", "ps1_halve", "hand-in"):
            one["execution_count"] = None
    notebook["cells"].append(cell(""))
    assert handin.unfinished(notebook, EXERCISES) == []


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory outside of any notebook server, and of grading."""
    for name in ("NBGRADER_EXECUTION", "JPY_SESSION_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_colab_is_asked_for_the_page_itself(folder, monkeypatch, capsys):
    asked = []

    def blocking_request(request, timeout_sec):
        asked.append(request)
        return {"ipynb": finished()}

    message = types.SimpleNamespace(blocking_request=blocking_request)
    monkeypatch.setitem(sys.modules, "google", types.ModuleType("google"))
    monkeypatch.setitem(
        sys.modules, "google.colab", types.SimpleNamespace(_message=message, __name__="colab")
    )
    handin.look_over("ps1", EXERCISES)
    assert asked == ["get_ipynb"]
    assert capsys.readouterr().out.startswith("Complete: all 4 exercises")


def test_the_file_is_looked_for_where_jupyter_says_and_then_here(folder, monkeypatch, capsys):
    (folder / "ps1.ipynb").write_text(json.dumps(finished()))
    handin.look_over("ps1", EXERCISES)
    assert capsys.readouterr().out.startswith("Complete")

    renamed = folder / "ps1 (copy).ipynb"
    renamed.write_text(json.dumps(finished()))
    monkeypatch.setenv("JPY_SESSION_NAME", str(renamed))
    handin.look_over("ps1", EXERCISES)
    said = capsys.readouterr().out
    assert "This file is called ps1 (copy).ipynb; hand it in as ps1.ipynb." in said
    monkeypatch.setenv("JPY_SESSION_NAME", str(folder / "gone.ipynb"))
    handin.look_over("ps1", EXERCISES)
    assert capsys.readouterr().out.startswith("Complete")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "I cannot find the file ps1.ipynb"),
        ("{", "ps1.ipynb cannot be read"),
        ("[]", "not in the usual form"),
        ('{"cells": [{}]}', "not in the usual form"),
    ],
)
def test_it_says_when_it_can_not_look_and_never_fails(folder, capsys, text, words):
    if text is not None:
        (folder / "ps1.ipynb").write_text(text)
    handin.look_over("ps1", EXERCISES)
    said = capsys.readouterr()
    assert words in said.out and "Complete" not in said.out and said.err == ""


def test_it_is_silent_while_it_is_graded(folder, monkeypatch, capsys):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    handin.look_over("ps1", None)
    assert capsys.readouterr() == ("", "")


def test_in_a_kernel_it_asks_for_a_save_first_and_then_sees_what_was_saved(folder):
    """The real thing: run all, look (the file is old), save, look again, edit, look again."""
    source = finished()
    look = f"from vae_course.handin import look_over\nlook_over('ps1', {EXERCISES!r})"
    for one in source["cells"]:
        one.update(source="".join(one["source"]))
        if one["cell_type"] == "code":
            one["execution_count"] = None
    source["cells"][-1]["source"] = look
    node = nbformat.from_dict(source)
    path = folder / "ps1.ipynb"
    nbformat.write(node, path)

    def said() -> str:
        client.execute_cell(node.cells[-1], len(node.cells) - 1)
        return "".join(output.text for output in node.cells[-1].outputs)

    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    client = NotebookClient(node, resources={"metadata": {"path": str(folder)}})
    with client.setup_kernel(env=environment):
        for index, one in enumerate(node.cells[:-1]):
            if one.cell_type == "code":
                client.execute_cell(one, index)
        first = said()
        assert "What you ran last is not in the saved file" in first
        assert "4 not run" in first and "Complete" not in first
        nbformat.write(node, path)
        assert said().startswith("Complete: all 4 exercises")
        assert said().startswith("Complete: all 4 exercises")
        node.cells[-3].source = "area(4.0)"
        client.execute_cell(node.cells[-3], len(node.cells) - 3)
        assert "What you ran last is not in the saved file" in said()
