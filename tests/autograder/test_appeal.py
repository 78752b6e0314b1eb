"""Who is not content with a verdict can have it again, and what a person decided stands."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from plain import OURS, answer, answered, checks, notebook, write_course

from autograder.course import Course
from autograder.grading import SPENT, Grading
from autograder.sandbox.outside import problem
from autograder.workers import Workers

pytestmark = pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}")

ROOT = Path(__file__).parents[2]
WRONG = "def gaussian_kl(mu, log_var):\n    return -0.5 * (1 + log_var - mu**2).sum(-1)"


def grade(course: Path, *options: object) -> dict[str, dict]:
    """Run the command, and give its records by student."""
    code = "from autograder.cli import main; main()"
    command = [sys.executable, "-c", code, "grade", "ps2", *map(str, options)]
    subprocess.run(command, cwd=course, check=True, capture_output=True)
    entries = json.loads((course / "verdicts.json").read_text())
    return {entry["student"]: entry for entry in entries}


@pytest.mark.long
def test_a_seed_brings_a_verdict_back_bit_for_bit(tmp_path):
    source = nbformat.read(ROOT / "source" / "ps2" / "ps2.ipynb", as_version=4)
    handed_in = {"ada": answered(source, ps2_kl_answer=WRONG), "ben": source}
    course = write_course(tmp_path, source, handed_in, OURS, "ps2")
    in_class = grade(course, "--jobs", 2)["ada"]
    verdicts = {part["id"]: part["verdict"] for part in in_class["exercises"]}
    assert verdicts["ps2_kl"] not in ("pass", "blank") and "pass" in verdicts.values()
    assert all(in_class.pop(name) > 0 for name in SPENT)  # how long it took is no verdict
    seed = in_class["seed"]
    appeals = [grade(course, "--student", "ada", "--seed", seed)["ada"] for _ in range(2)]
    assert [json.dumps(entry) for entry in appeals] == [json.dumps(in_class)] * 2
    other = grade(course, "--student", "ada", "--seed", seed + 1)["ada"]
    assert other["seed"] == seed + 1
    assert {part["seed"] for part in other["exercises"]} - {None} == {seed + 1}
    assert [part["verdict"] for part in other["exercises"]] == list(verdicts.values())


@pytest.mark.long
def test_what_a_person_decided_outlives_another_run(tmp_path):
    def made(text: str) -> nbformat.NotebookNode:
        return notebook(answer("double_answer", text), checks("double", 2, "assert double(2) == 4"))

    right = "### BEGIN SOLUTION\ndef double(x):\n    return 2 * x\n### END SOLUTION"
    handed_in = {"ada": made("def double(x):\n    return x"), "ben": made(right)}
    course = Course(write_course(tmp_path, made(right), handed_in))

    def run() -> dict[str, dict]:
        with ThreadPoolExecutor(1) as executor:
            grading = Grading(course, "plain", force=True, workers=Workers(1, executor))
            return {entry["student"]: entry for entry in grading.run()}

    assert [entry["score"] for entry in run().values()] == [0, 2]
    where = ("plain", "plain", "ada")
    with course.gradebook() as gradebook:
        gradebook.find_grade("double", *where).manual_score = 1.5
        gradebook.find_comment("double_answer", *where).manual_comment = "Nearly."
        gradebook.db.commit()
    records = run()
    (judged,) = records["ada"]["exercises"]
    assert (judged["verdict"], judged["score"], judged["changed_by_hand"]) == ("fail", 1.5, True)
    assert records["ada"]["score"] == 1.5 and records["ben"]["score"] == 2
    assert "changed_by_hand" not in records["ben"]["exercises"][0]
    with course.gradebook() as gradebook:
        grade = gradebook.find_grade("double", *where)
        assert (grade.auto_score, grade.manual_score, grade.score) == (0, 1.5, 1.5)
        comment = gradebook.find_comment("double_answer", *where)
        assert comment.comment == comment.manual_comment == "Nearly."
