"""Marks out: rosters that any program wrote, and files that are read as their systems read them."""

import csv
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from autograder.cli import app
from autograder.course import Course
from autograder.grading import Grading
from autograder.marks.export import Choice, write_marks
from autograder.marks.formats import canvas_column, guarded
from autograder.marks.roster import Person, is_folder_name, read_roster, roster_of
from autograder.marks.table import marks_of
from vae_course.errors import CourseError, UsageError

BJÖRN = "björn_müller"

ROSTER = f"""student,name,email,section,canvas_id,sis_id,login,id_number
ada,Ada Lovelace,ada@example.org,A,101,s1,ada,M-1
{BJÖRN},"Müller, Björn",bjorn@example.org,B,102,,,M-2
chen,陈伟,chen@example.org,A,103,s3,chen,M-3
dora,"=HYPERLINK(""http://evil"")",dora@example.org,@A,,s4,,M-4
eve,Eve,eve@example.org,A,105,s5,eve,M-5
fay,Fay,fay@example.org,A,106,s6,fay,M-6
"""

# The readers, by the columns that the systems document.


def read_csv(path: Path) -> list[list[str]]:
    return list(csv.reader(path.read_text(encoding="utf-8").splitlines()))


def read_as_canvas(path: Path) -> tuple[str, float, dict[str, str]]:
    """The assignment, its points, and the marks, by the rules of Canvas's importer."""
    header, *rows = read_csv(path)
    assert "Student" in header[0] and "ID" in header[1]
    assert re.search(r"SIS\s+User\s+ID", header[2]) and re.search(r"SIS\s+Login\s+ID", header[3])
    assert "Section" in header[4]
    (column,) = header[5:]
    possible, *students = rows
    assert "Points Possible" in possible[0]
    assert not any(cell for cell in possible[1:5])
    marks = {}
    for row in students:
        known = next(cell for cell in row[1:4] if cell)  # it asks for them in this order
        assert known not in marks
        marks[known] = row[5]
    return column, float(possible[5]), marks


def read_as_moodle(path: Path, identity: str, item: str) -> dict[str, str]:
    """The marks, by the rules of Moodle's importer; a person maps `identity` and `item`."""
    header, *rows = read_csv(path)
    assert len(set(header)) == len(header)
    who, what = header.index(identity), header.index(item)
    for row in rows:
        assert len(row) == len(header) > 1  # it skips lines of one cell
        assert row[who].strip()  # else the mark would be the line's before
    assert len({row[who] for row in rows}) == len(rows)
    return {row[who]: row[what] for row in rows}


# A class that was graded.


@pytest.fixture(scope="module")
def graded(make_tiny_course) -> Path:
    """A course in which a person has graded some, one handed in late, and one not at all."""
    tiny = make_tiny_course()
    tiny.hand_in("ada", tiny.solved())
    tiny.hand_in(BJÖRN, tiny.solved(tiny_half="def half(x):\n    return x"))
    tiny.hand_in("chen", tiny.solved())
    for student in ("dora", "gus"):
        tiny.hand_in(student, "no notebook")
    course = Course(tiny.root)
    list(Grading(course, "tiny", timeout=20).run())
    tiny.hand_in("fay", tiny.solved())
    with course.gradebook() as gradebook:
        for student, points, penalty in (("ada", 0.75, 0), (BJÖRN, 0.5, 2)):
            grade = gradebook.find_grade("tiny_task", "tiny", "tiny", student)
            grade.manual_score, grade.needs_manual_grade = points, False
            grade.notebook.late_submission_penalty = penalty
        gradebook.db.commit()
    (tiny.root / "students.csv").write_text(ROSTER, encoding="utf-8")
    return tiny.root


def truth(root: Path) -> dict[str, float]:
    """The gradebook's scores, as nbgrader's own export counts them."""
    with Course(root).gradebook() as gradebook:
        return {
            found.student.id: max(0.0, found.score - found.late_submission_penalty)
            for found in gradebook.assignment_submissions("tiny")
        }


def export(root: Path, *arguments: object) -> tuple[int, str]:
    shown = CliRunner().invoke(app, ["export", *map(str, arguments), "--course", str(root)])
    return shown.exit_code, shown.output


def test_the_gradebook_has_what_the_other_tests_take_for_granted(graded):
    assert truth(graded) == {"ada": 9.75, BJÖRN: 5.5, "chen": 9, "dora": 0, "gus": 0}


def test_the_plain_file_has_a_line_for_everybody(graded, tmp_path):
    code, said = export(graded, "tiny", "--out", tmp_path / "marks.csv")
    with open(tmp_path / "marks.csv", encoding="utf-8", newline="") as file:
        lines = {line["student"]: line for line in csv.DictReader(file)}
    assert list(lines) == sorted(["ada", BJÖRN, "chen", "dora", "eve", "fay", "gus"])
    assert {line["assignment"] for line in lines.values()} == {"tiny"}
    assert {float(line["max_score"]) for line in lines.values()} == {12}
    scores = {student: line["score"] for student, line in lines.items()}
    assert {name: float(score) for name, score in scores.items() if score} == {
        name: score for name, score in truth(graded).items() if name != "chen"
    }
    björn = lines[BJÖRN]
    assert (björn["name"], björn["email"]) == ("Müller, Björn", "bjorn@example.org")
    amounts = ("machine", "by_hand", "raw_score", "late_submission_penalty", "score")
    assert [float(björn[column]) for column in amounts] == [7, 0.5, 7.5, 2, 5.5]
    assert (lines["chen"]["raw_score"], lines["chen"]["needs_manual_grade"]) == ("9", "yes")
    assert {name: line["status"] for name, line in lines.items()} == {
        **{"ada": "graded", BJÖRN: "graded", "chen": "graded", "dora": "unreadable"},
        **{"eve": "missing", "fay": "not_yet_graded", "gus": "unreadable"},
    }
    assert code == 1
    assert "tiny waits for a person to grade the rest: chen\n" in said
    assert "tiny is not graded yet: fay\n" in said
    assert "tiny was not handed in, which gives no points: eve\n" in said
    assert "gus: is not in students.csv" in said


def test_canvas_reads_who_has_what(graded, tmp_path):
    code, said = export(graded, "tiny", "--format", "canvas", "--out", tmp_path / "canvas.csv")
    column, most, marks = read_as_canvas(tmp_path / "canvas.csv")
    assert (column, most) == ("tiny", 12)
    assert marks == {"101": "9.75", "102": "5.5", "s4": "0"}  # nobody's line is empty
    assert code == 1
    _, _, missing = said.partition("Marks left out:")
    for told in ("grade the rest: chen", "not graded yet: fay", "gus: is not in students.csv"):
        assert told in missing
    assert "eve" not in missing and "eve" in said


def test_moodle_reads_who_has_what(graded, tmp_path):
    code, said = export(graded, "tiny", "--format", "moodle", "--out", tmp_path / "moodle.csv")
    marks = read_as_moodle(tmp_path / "moodle.csv", "ID number", "tiny")
    assert marks == {"M-1": "9.75", "M-2": "5.5", "M-4": "0"}
    feedback = read_as_moodle(tmp_path / "moodle.csv", "ID number", "tiny (Feedback)")
    assert feedback["M-2"] == "7 by machine, 0.5 by hand; 2 off for lateness"
    assert code == 1 and "map from 'ID number'" in said
    # Without numbers, the addresses are taken.
    path = tmp_path / "few.csv"
    path.write_text("student,email\nada,ada@example.org\ndora,Dora@example.org\n")
    export(graded, "tiny", "--format", "moodle", "--out", tmp_path / "m.csv", "--roster", path)
    marks = read_as_moodle(tmp_path / "m.csv", "Email address", "tiny")
    assert marks == {"ada@example.org": "9.75", "Dora@example.org": "0"}


def test_what_waits_and_who_is_missing_are_sent_only_if_asked_for(graded, tmp_path):
    asked = ("--include-ungraded", "--missing", "zero", "--column", "Homework (77)")
    code, said = export(graded, "tiny", "--format", "canvas", "--out", tmp_path / "all.csv", *asked)
    column, _, marks = read_as_canvas(tmp_path / "all.csv")
    assert column == "Homework (77)"
    assert marks == {"101": "9.75", "102": "5.5", "103": "9", "s4": "0", "105": "0"}
    assert code == 1 and "tiny is not graded yet: fay" in said
    assert "tiny was not handed in, which gives 0 points: eve" in said
    assert "grade the rest; sent as it stands: chen" in said


def test_names_run_in_no_spreadsheet(graded, tmp_path):
    for form in ("csv", "canvas", "moodle"):
        export(graded, "tiny", "--format", form, "--out", tmp_path / "marks.csv")
        cells = [cell for row in read_csv(tmp_path / "marks.csv") for cell in row]
        assert '\'=HYPERLINK("http://evil")' in cells
        assert not [cell for cell in cells if cell.lstrip().startswith(tuple("=+-@"))]


@given(st.text())
def test_a_guarded_text_runs_nowhere_and_stays_what_it_is(text):
    safe = guarded(text)
    assert not safe.startswith(tuple("=+-@\t\r\n"))
    assert "\n" not in safe
    if re.fullmatch(r"[\w.]+( [\w.]+)*", text) and text.isascii():
        assert safe == text


def test_a_gradebook_of_canvas_is_a_roster_and_names_the_column(graded, tmp_path):
    exported = tmp_path / "2026-11-22_Grades-VAE.csv"
    exported.write_text(
        "\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,tiny: Doubles (9001),tinyother (9002),"
        "Current Score\n"
        ",,,,,Manual Posting,,\n"
        "    Points Possible,,,,,12.00,3.00,(read only)\n"
        '"Lovelace, Ada",101,s1,ada,A,,,\n'
        f'"Müller, Björn",102,s2,{BJÖRN},B,,,\n'
        '"Student, Test",999,,,A,,,\n',
        encoding="utf-8",
    )
    roster = read_roster(exported)
    assert [(one.student, one.canvas_id) for one in roster.people] == [
        ("ada", "101"),
        (BJÖRN, "102"),
        ("999", "999"),
    ]
    assert not roster.remarks
    export(graded, "--format", "canvas", "--roster", exported, "--out", tmp_path / "c.csv")
    column, _, marks = read_as_canvas(tmp_path / "c.csv")
    assert column == "tiny: Doubles (9001)"
    assert marks == {"101": "9.75", "102": "5.5"}


def test_a_column_of_canvas_is_taken_only_if_there_is_one():
    assert canvas_column("ps2", ["Student", "PS2 - A VAE (5)", "ps22 (6)"]) == "PS2 - A VAE (5)"
    assert canvas_column("ps2", ["ps2 (5)", "ps2 again (6)"]) == "ps2"
    assert canvas_column("ps2", ["ps2 Current Score"]) == "ps2"


def test_of_several_assignments_each_has_its_file(graded, tmp_path):
    folder = graded / "source" / "other"
    folder.mkdir()
    try:
        nbformat.write(
            nbformat.read(graded / "source" / "tiny" / "tiny.ipynb", 4), folder / "other.ipynb"
        )
        named = CliRunner().invoke(app, ["export", "tiny", "other", "--course", str(graded)])
        assert "other: is not in the gradebook; run `autograder grade other`" in str(
            named.exception
        )
        assert not (graded / "marks").exists()  # nothing is half written
        _, said = export(graded, "--format", "moodle")
        assert "other: was not graded yet, and is left out" in said
        with Course(graded).gradebook() as gradebook:
            gradebook.update_or_create_assignment("other")
        _, said = export(graded, "--format", "moodle")
        assert "other: there is no mark to send yet, so no file was written" in said
        assert [path.name for path in (graded / "marks").iterdir()] == ["tiny.moodle.csv"]
        with Course(graded).gradebook() as gradebook:
            gradebook.update_or_create_submission("other", "ada")
        export(graded, "--format", "moodle")
        names = {path.name for path in (graded / "marks").iterdir()}
        assert names == {"tiny.moodle.csv", "other.moodle.csv"}
        export(graded, "--format", "canvas", "--out", tmp_path / "to.csv")
        assert {path.name for path in tmp_path.iterdir()} == {"to-tiny.csv", "to-other.csv"}
        export(graded, "--out", tmp_path / "one.csv")
        assignments = {row[0] for row in read_csv(tmp_path / "one.csv")}
        assert assignments == {"assignment", "tiny", "other"}
        refused = CliRunner().invoke(app, ["export", "--column", "x", "--course", str(graded)])
        assert isinstance(refused.exception, UsageError)
    finally:
        (folder / "other.ipynb").unlink()


LONG = [pytest.param(form, marks=pytest.mark.long) for form in ("csv", "moodle")]


@pytest.mark.parametrize("form", ["canvas", *LONG])
def test_nbgrader_exports_the_same(graded, tmp_path, form):
    export(graded, "tiny", "--format", form, "--out", tmp_path / "ours.csv")
    name = f"autograder.marks.plugins.{form.capitalize()}Export"
    command = [sys.executable, "-m", "nbgrader", "export", f"--exporter={name}"]
    command += ["--to", str(tmp_path / "theirs.csv"), "--assignment", '["tiny"]']
    command += [f"--{form.capitalize()}Export.roster=students.csv"]
    done = subprocess.run(command, cwd=graded, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "theirs.csv").read_bytes() == (tmp_path / "ours.csv").read_bytes()
    assert "Not exported: tiny waits for a person to grade the rest: chen" in done.stderr


@pytest.mark.long
def test_nbgrader_says_in_a_line_what_is_wrong(graded):
    command = [sys.executable, "-m", "nbgrader", "export"]
    command += ["--exporter=autograder.marks.plugins.CsvExport", "--CsvExport.roster=nowhere.csv"]
    done = subprocess.run(command, cwd=graded, capture_output=True, text=True)
    assert done.returncode == 1
    assert "nowhere.csv: no such file" in done.stderr and "Traceback" not in done.stderr


def test_the_gradebook_is_a_roster_where_there_is_no_file(tiny_course):
    course = Course(tiny_course.root)
    with course.gradebook() as gradebook:
        gradebook.add_student("ada", first_name="Ada", last_name="Lovelace", lms_user_id="7")
        roster = roster_of(course, gradebook)
        assert roster.people == (Person("ada", "Ada Lovelace", canvas_id="7"),)
        (mark,) = marks_of(course, gradebook, "tiny", roster)
    assert (mark.student, mark.status, mark.score) == ("ada", "missing", None)


# Rosters.


def written(path: Path, rows: list[list[str]], delimiter: str = ",", encoding: str = "utf-8"):
    with open(path, "w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("latin-1", "Latin-1"),
    ],
)
def test_a_roster_is_read_however_it_was_saved(tmp_path, delimiter, encoding, told):
    rows = [["Student", "E-Mail", "Name"], ["zoë", "z@example.org", "Zoë, O'Hara; Jr"]]
    roster = read_roster(written(tmp_path / "class.csv", rows, delimiter, encoding))
    assert roster.people == (Person("zoë", "Zoë, O'Hara; Jr", "z@example.org"),)
    assert [told in remark for remark in roster.remarks] == [True] * bool(told)


FIELD = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.lists(st.tuples(FIELD, FIELD), max_size=5), st.sampled_from([",", ";", "\t"]), st.booleans()
)
def test_names_come_back_as_they_were_written(tmp_path, people, delimiter, wide):
    encoding = "utf-16" if wide else "utf-8"
    path = written(tmp_path / "class.csv", [["student", "name"], *people], delimiter, encoding)
    roster = read_roster(path)
    expected = {}
    for student, name in people:
        student, name = (unicodedata.normalize("NFC", text) for text in (student, name))
        if is_folder_name(student):
            expected.setdefault(student, name)
    assert {one.student: one.name for one in roster.people} == expected
    for student in expected:
        assert roster.find(unicodedata.normalize("NFD", student)).student == student


def test_what_is_odd_in_a_roster_is_named_and_the_rest_goes_on(tmp_path):
    path = tmp_path / "class.csv"
    path.write_text(
        "student,name,email,canvas_id\n"
        "ada,Ada,ada@x.org,1\n"
        "ada,Ada again,ada@y.org,2\n"
        "../../etc,Mallory,m@x.org,3\n"
        ",Nobody,,\n"
        "\n"
        "ben,Ben,=cmd()@x.org,4\n"
        "cat,Cat,cat@x.org,4\n"
        "dan\n"
    )
    roster = read_roster(path)
    assert [(one.student, one.email, one.canvas_id) for one in roster.people] == [
        ("ada", "ada@x.org", "1"),
        ("ben", "", ""),
        ("cat", "cat@x.org", ""),
        ("dan", "", ""),
    ]
    assert [remark.removeprefix("class.csv") for remark in roster.remarks] == [
        ", line 3: ada again; line 2 stands",
        ", line 4: no student: there is nothing that could be a folder in submitted/",
        ", line 5: no student: there is nothing that could be a folder in submitted/",
        ", line 7: email '=cmd()@x.org' would run as a formula; it is left out",
        ": ben and cat have the same canvas_id, 4; none has it",
    ]


def test_lists_of_moodle_are_rosters(tmp_path):
    participants = tmp_path / "participants.csv"
    participants.write_text('"First name","Last name","Email address",Groups\nAda,King,a@x.org,G\n')
    (person,) = read_roster(participants).people
    assert person == Person("a@x.org", "Ada King", "a@x.org", "G")
    worksheet = tmp_path / "Grades-VAE-ps2-77.csv"
    worksheet.write_text(
        '\ufeffIdentifier,"Full name","Email address",Status,Grade,"Maximum Grade",'
        '"Grade can be changed","Last modified (submission)","Last modified (grade)"\n'
        '"Participant 4711","Ada King",a@x.org,"Submitted for grading",,100.00,Yes,'
        '"Tuesday, 10 October 2023, 3:54 PM",-\n'
    )
    (person,) = read_roster(worksheet).people
    assert (person.student, person.participant) == ("a@x.org", "4711")
    assert person.submitted == "Tuesday, 10 October 2023, 3:54 PM"


@pytest.mark.parametrize(
    ("content", "kind", "told"),
    [
        (None, UsageError, "no such file"),
        (b"", CourseError, "no column says who a student is"),
        (b"who,what\n1,2\n", CourseError, "no column says who a student is"),
        (b"student\n" + b'"' + b"x" * 200_000 + b'"', CourseError, "cannot be read as a CSV"),
        (b"\xff\xfea", CourseError, "cannot be read as text"),
    ],
)
def test_a_roster_that_is_none_is_named(tmp_path, content, kind, told):
    path = tmp_path / "class.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(kind, match=told) as caught:
        read_roster(path)
    assert type(caught.value) is kind and str(caught.value).startswith(str(path))


def test_a_roster_that_the_system_cannot_use_is_refused(graded, tmp_path):
    path = tmp_path / "class.csv"
    path.write_text("student,name\nada,Ada\n")
    course = Course(graded)
    with course.gradebook() as gradebook:
        roster = roster_of(course, gradebook, path)
        for form, column in (("canvas", "canvas_id, sis_id, login"), ("moodle", "email")):
            with pytest.raises(UsageError, match=f"class.csv: does not say .*{column}"):
                write_marks(course, gradebook, ["tiny"], roster, Choice(form), tmp_path / "o.csv")
    assert not (tmp_path / "o.csv").exists()


def test_an_unknown_assignment_is_named(graded):
    refused = CliRunner().invoke(app, ["export", "ps9", "--course", str(graded)]).exception
    assert isinstance(refused, UsageError)
    assert str(refused).startswith("ps9: no such assignment") and "known are tiny" in str(refused)
