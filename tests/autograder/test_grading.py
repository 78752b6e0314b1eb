"""Grading a class: what is recorded, what is run again, and what happens to bad input."""

import copy
import json
from pathlib import Path

import nbformat
import pytest

from autograder.course import Course
from autograder.grading import Grading, VerdictsFile, read_notebook, read_submission
from vae_course.errors import CourseError, UsageError

SECONDS = 4
IDS = ["tiny_double", "tiny_half", "tiny_plain", "tiny_q", "tiny_task"]


def grade(root: Path, **options) -> dict[str, dict]:
    """Records by student."""
    options = {"timeout": SECONDS} | options
    return {entry["student"]: entry for entry in Grading(Course(root), "tiny", **options).run()}


def machine_scores(entry: dict) -> list[float]:
    return [part["score"] for part in entry["exercises"] if part["kind"] == "machine"]


def words(entry: dict) -> list[str]:
    return [part["verdict"] for part in entry["exercises"]]


@pytest.fixture(scope="module")
def class_of_six(make_tiny_course):
    tiny = make_tiny_course()
    altered = tiny.solved()
    tiny.find(altered, "tiny_given").source = "import os"
    tiny.find(altered, "tiny_half").metadata.nbgrader["points"] = 50
    altered.cells.remove(tiny.find(altered, "tiny_check"))
    tiny.hand_in("altered", altered)
    tiny.hand_in("blank", tiny.blank)
    tiny.hand_in("crashes", tiny.solved(tiny_half="import os\nos._exit(1)"))
    tiny.hand_in("endless", tiny.solved(tiny_half="def half(x):\n    while True:\n        pass"))
    tiny.hand_in("right", tiny.solved())
    tiny.hand_in("unreadable", "this is no notebook")
    return tiny.root, grade(tiny.root)


def test_each_submission_gets_a_status_and_what_it_earned(class_of_six):
    _, records = class_of_six
    found = {name: (entry["status"], machine_scores(entry)) for name, entry in records.items()}
    assert found == {
        "altered": ("graded", [3, 2, 4]),
        "blank": ("graded", [0, 0, 0]),
        "crashes": ("crashed", [3, 0, 0]),
        "endless": ("timed_out", [3, 0, 4]),
        "right": ("graded", [3, 2, 4]),
        "unreadable": ("unreadable", [0, 0, 0]),
    }


def test_records_say_what_happened_to_each_exercise(class_of_six):
    _, records = class_of_six
    assert words(records["right"]) == ["pass", "pass", "pass", "blank", "manual"]
    assert words(records["blank"]) == ["blank", "blank", "error", "blank", "manual"]
    assert words(records["crashes"])[:3] == ["pass", "error", "error"]
    assert words(records["endless"])[1] == "timeout"
    assert set(words(records["unreadable"])) == {"error"}
    for entry in records.values():
        assert [part["id"] for part in entry["exercises"]] == IDS
        assert entry["max_score"] == 12
        assert all(part["message"] for part in entry["exercises"])
    assert [part["pending"] for part in records["right"]["exercises"][3:]] == [False, True]
    assert records["right"]["seed"] == 7


def test_altered_locked_cells_are_named(class_of_six):
    _, records = class_of_six
    assert records["altered"]["tampered"] == ["tiny_given", "tiny_check", "tiny_half"]
    assert all(not entry["tampered"] for name, entry in records.items() if name != "altered")


def test_an_unreadable_file_is_named_with_cause_and_cure(class_of_six):
    _, records = class_of_six
    message = records["unreadable"]["message"]
    assert message.startswith("submitted/unreadable/tiny/tiny.ipynb: is not a notebook (it is not")
    assert "hand in the .ipynb" in message


def test_the_records_are_written_and_the_gradebook_agrees(class_of_six):
    root, records = class_of_six
    written = json.loads((root / "verdicts.json").read_text())
    assert {entry["student"]: entry for entry in written} == records
    with Course(root).gradebook() as gradebook:
        for student, entry in records.items():
            assert gradebook.find_submission("tiny", student).score == entry["score"]


def test_nothing_is_run_again_that_did_not_change(class_of_six):
    root, before = class_of_six
    executed = root / "autograded" / "right" / "tiny" / "tiny.ipynb"
    stamp = executed.stat().st_mtime_ns
    after = grade(root)
    assert after == before
    assert executed.stat().st_mtime_ns == stamp
    assert grade(root, student="right", force=True)["right"] == before["right"]
    assert executed.stat().st_mtime_ns > stamp


def test_a_rerun_says_why_it_grades(tiny_course):
    for student in ("ada", "ben"):
        tiny_course.hand_in(student, tiny_course.blank)

    def reasons(**settings) -> dict[str, str]:
        grading = Grading(Course(tiny_course.root), "tiny", **settings)
        list(grading.run())
        return grading.reasons

    assert set(reasons().values()) == {"not graded before"}
    assert set(reasons().values()) == {""}
    assert reasons(student="ada", force=True) == {"ada": "asked for"}
    tiny_course.hand_in("ada", tiny_course.solved())
    assert reasons() == {"ada": "the submission changed", "ben": ""}
    assert set(reasons(timeout=77).values()) == {"the limits changed"}
    (tiny_course.root / "source" / "tiny" / "data.csv").write_text("1,2")
    assert set(reasons(timeout=77).values()) == {"the assignment changed"}


def test_a_changed_submission_is_graded_again_and_a_worse_one_loses(tiny_course):
    tiny_course.hand_in("ada", tiny_course.solved())
    assert machine_scores(grade(tiny_course.root)["ada"]) == [3, 2, 4]
    deleted = tiny_course.solved()
    for id in ("tiny_double", "tiny_double_answer"):
        deleted.cells.remove(tiny_course.find(deleted, id))
    tiny_course.hand_in("ada", deleted)
    assert machine_scores(grade(tiny_course.root)["ada"]) == [0, 2, 4]
    tiny_course.hand_in("ada", "broken now")
    assert grade(tiny_course.root)["ada"]["score"] == 0
    with Course(tiny_course.root).gradebook() as gradebook:
        assert gradebook.find_submission("tiny", "ada").score == 0
    assert not (tiny_course.root / "autograded" / "ada" / "tiny").exists()


def test_one_student_s_record_leaves_the_others_and_other_assignments(tiny_course):
    for student in ("ada", "ben"):
        tiny_course.hand_in(student, tiny_course.blank)
    grade(tiny_course.root)
    path = tiny_course.root / "verdicts.json"
    entries = json.loads(path.read_text())
    other = copy.deepcopy(entries[0]) | {"assignment": "another"}
    path.write_text(json.dumps([*entries, other]))
    tiny_course.hand_in("ada", tiny_course.solved())
    grade(tiny_course.root, student="ada")
    found = {
        (entry["assignment"], entry["student"]): entry["score"]
        for entry in json.loads(path.read_text())
    }
    assert found == {("another", "ada"): 0, ("tiny", "ada"): 9, ("tiny", "ben"): 0}


def test_a_person_s_score_reaches_the_record_without_a_new_run(tiny_course):
    answered = tiny_course.solved()
    tiny_course.find(answered, "tiny_q").source = "My answer."
    tiny_course.hand_in("ada", answered)
    first = grade(tiny_course.root)["ada"]
    asked = first["exercises"][3]
    assert (asked["verdict"], asked["score"], asked["pending"]) == ("manual", 0, True)
    with Course(tiny_course.root).gradebook() as gradebook:
        given = gradebook.find_grade("tiny_q", "tiny", "tiny", "ada")
        given.manual_score, given.needs_manual_grade = 1.5, False
        gradebook.find_comment("tiny_q", "tiny", "tiny", "ada").manual_comment = "Nearly."
        gradebook.db.commit()
    asked = grade(tiny_course.root)["ada"]["exercises"][3]
    assert (asked["score"], asked["pending"], asked["message"]) == (1.5, False, "Nearly.")


def test_an_assignment_that_the_gradebook_does_not_know_is_entered(tiny_course):
    (tiny_course.root / "gradebook.db").unlink()
    tiny_course.hand_in("ada", tiny_course.solved())
    assert machine_scores(grade(tiny_course.root)["ada"]) == [3, 2, 4]
    assert not (tiny_course.root / "release").exists()


def test_a_source_that_nbgrader_refuses_is_named(tiny_course):
    tiny_course.hand_in("ada", tiny_course.blank)
    grade(tiny_course.root)
    path = tiny_course.root / "source" / "tiny" / "tiny.ipynb"
    source = nbformat.read(path, as_version=4)
    source.cells.remove(tiny_course.find(source, "tiny_check"))
    nbformat.write(source, path)
    with pytest.raises(CourseError, match="Cannot add or remove cells"):
        grade(tiny_course.root)


def test_a_failure_of_the_grader_is_no_zero_and_is_tried_again(tiny_course):
    tiny_course.hand_in("ada", tiny_course.solved())
    config = tiny_course.root / "nbgrader_config.py"
    config.write_text(config.read_text() + "c.Execute.kernel_name = 'no_such_kernel'\n")
    entry = grade(tiny_course.root)["ada"]
    assert entry["status"] == "grader_error"
    assert set(words(entry)) == {"grader_error"}
    assert "no_such_kernel" in entry["message"] and ".autograder/tiny.log" in entry["message"]
    config.write_text(config.read_text().replace("c.Execute.kernel_name", "# "))
    assert machine_scores(grade(tiny_course.root)["ada"]) == [3, 2, 4]


def test_duplicated_cells_count_once(tiny_course):
    doubled = tiny_course.solved(tiny_double="double = abs")
    for id in ("tiny_double", "tiny_half_answer", "tiny_half"):
        doubled.cells.append(copy.deepcopy(tiny_course.find(doubled, id)))
    tiny_course.hand_in("ada", doubled)
    entry = grade(tiny_course.root)["ada"]
    assert machine_scores(entry) == [0, 2, 4]
    assert entry["tampered"] == ["tiny_double", "tiny_half"]


# What can be told before anything is graded.


@pytest.mark.parametrize(
    ("assignment", "student", "told"),
    [
        ("ps9", None, "ps9: no such assignment .* known are tiny"),
        ("tiny", "nobody", "nobody: no submission of tiny by this student; there are those of ada"),
        ("tiny", "../ada", "no submission"),
        ("tiny", "*", "no submission"),
    ],
)
def test_a_wrong_command_is_told_with_what_is_known(tiny_course, assignment, student, told):
    tiny_course.hand_in("ada", tiny_course.blank)
    with pytest.raises(UsageError, match=told) as caught:
        Grading(Course(tiny_course.root), assignment, student)
    assert caught.value.exit_code == 2


def test_a_class_that_handed_in_nothing_is_told_where_to(tiny_course):
    with pytest.raises(UsageError, match="nobody handed in tiny: .*submitted/<student>/tiny"):
        Grading(Course(tiny_course.root), "tiny")


def test_a_course_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CourseError, match="no such folder"):
        Course(tmp_path / "nowhere")


def test_a_broken_configuration_is_named(tiny_course):
    (tiny_course.root / "nbgrader_config.py").write_text("c = (")
    with pytest.raises(CourseError, match=r"nbgrader_config.py: cannot be read \(SyntaxError"):
        Course(tiny_course.root)


def test_places_that_can_not_be_written_are_told_before_grading(tiny_course):
    tiny_course.hand_in("ada", tiny_course.blank)
    course = Course(tiny_course.root)
    for place in (Path("/proc/verdicts.json"), tiny_course.root / "nowhere" / "verdicts.json"):
        with pytest.raises(CourseError, match="cannot be written to"):
            Grading(course, "tiny", json_path=place)
    (tiny_course.root / "autograded").write_text("a file")
    with pytest.raises(CourseError, match="cannot be written to"):
        Grading(course, "tiny")


def test_a_gradebook_that_is_none_is_named(tiny_course):
    tiny_course.hand_in("ada", tiny_course.blank)
    (tiny_course.root / "gradebook.db").write_text("no database")
    with pytest.raises(CourseError, match="gradebook.db: cannot be opened"):
        grade(tiny_course.root)


def test_records_that_are_none_are_not_overwritten(tmp_path):
    path = tmp_path / "verdicts.json"
    for content in ("not json", "{}x", "[1]", '[{"student": "x"}]'):
        path.write_text(content)
        with pytest.raises(CourseError, match="does not hold records"):
            VerdictsFile(path)
        assert path.read_text() == content


def test_records_of_students_who_left_are_dropped(tmp_path):
    file = VerdictsFile(tmp_path / "verdicts.json")
    entries = [
        {"assignment": name, "student": student, "exercises": []}
        for name in ("a", "b")
        for student in ("x", "y")
    ]
    file.put(entries)
    file.keep_only("a", ["y"])
    left = json.loads(file.path.read_text())
    assert [entry["assignment"] + entry["student"] for entry in left] == ["ay", "bx", "by"]


def test_records_are_put_one_by_one_and_read_again_as_they_were(tmp_path):
    path = tmp_path / "verdicts.json"
    texts = ["a", "two\nlines", "a line\u2028apart and \x85 more", "é ∑"]
    entries = [
        {"assignment": "a", "student": text, "exercises": [{"message": text}], "status": "graded"}
        for text in sorted(texts)
    ]
    for entry in entries:
        VerdictsFile(path).put([entry])
    file = VerdictsFile(path)
    file.put([entries[0] | {"status": "crashed"}])
    entries[0]["status"] = "crashed"
    assert path.read_text() == json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
    file.put(entries)
    assert VerdictsFile(path).of("a") == {entry["student"]: entry for entry in entries}


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "it is empty"),
        (b"hello", "it is not JSON"),
        (b"\xff\xfe\x00", "it is not text"),
        (b"[]", "damaged"),
        (b"3", "damaged"),
        (b"{}", "has no cells"),
        (b'{"cells": [], "nbformat": 99, "nbformat_minor": 0, "metadata": {}}', "damaged"),
        (b'{"cells": [1], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "damaged"),
        (b'{"cells": [{"cell_type": "code"}], "nbformat": 4, "metadata": {}}', "damaged"),
        (b"[" * 100_000, "it is not JSON"),
    ],
)
def test_what_is_no_notebook_is_refused_with_the_cause(tmp_path, content, cause):
    path = tmp_path / "x.ipynb"
    path.write_bytes(content)
    with pytest.raises(CourseError, match=cause) as caught:
        read_notebook(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_a_notebook_under_another_name_is_told(tmp_path):
    (tmp_path / "my homework.ipynb").write_text("{}")
    with pytest.raises(CourseError, match="there is no ps2.ipynb, but my homework.ipynb"):
        read_submission(tmp_path, ["ps2"])


def test_notebooks_of_every_format_are_read(tmp_path, tiny_course):
    path, count = tmp_path / "x.ipynb", len(tiny_course.blank.cells)
    path.write_bytes(b"\xef\xbb\xbf" + nbformat.writes(tiny_course.blank).encode())
    assert len(read_notebook(path).cells) == count
    path.write_text(nbformat.writes(tiny_course.blank, version=3))
    assert len(read_notebook(path).cells) == count
