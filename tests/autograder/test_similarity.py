"""A copy in disguise comes first, strangers do not stand out, and the page is inert."""

import ast
import copy
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import classmates
import nbformat
import plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell
from typer.testing import CliRunner

from autograder.cli import app
from autograder.pages import similar as similarity_page
from autograder.similarity import comparison as similarity
from autograder.similarity.comparison import Comparison, Pair, compared
from autograder.similarity.fingerprints import LENGTH, OWN_CELLS, Handout, Work
from vae_course.errors import CourseError, UsageError

EVIL = '<script>alert(1)</script><img src=x onerror="alert(1)">{{ 7 * 7 }}'

LOOP = """
def spread(values, width):
    total = 0
    for value in values:
        step = (value - width) ** 2 / len(values)
        total += step if step > 0.25 else step / 3
    return total, [one * 2 for one in values if one > width]
"""
OTHER = """
def spread(values, width):
    middle = sum(values) / len(values)
    while width < middle:
        width = width * 1.5 + min(values, key=lambda one: abs(one - middle))
    return {"width": width, "middle": middle}, sorted(values, reverse=True)[:3]
"""
THIRD = """
def spread(values, width):
    if not values:
        raise ValueError("there is nothing here")
    return max(values) - min(values) // width, [*map(abs, values)] + list(range(7, 0, -2))
"""
GIVEN = """
def area(points):
    return sum(a * d - b * c for (a, b), (c, d) in zip(points, points[1:] + points[:1])) / 2
"""
SOURCE = plain.notebook(
    plain.given("shape", GIVEN.strip()),
    plain.answer("spread", "def spread(values, width):\n" + plain.solution("    return 0")),
    plain.checks("spread_test", 2, "assert spread"),
    plain.answer("second", plain.solution("second = 1")),
)
RELEASED = plain.answered(
    SOURCE,
    spread="def spread(values, width):\n    # YOUR CODE HERE\n    raise NotImplementedError()",
    second="# YOUR CODE HERE",
)


@pytest.fixture(scope="module")
def handout() -> Handout:
    return Handout([RELEASED])


def work(handout: Handout, author: str, *extra: str, **answers: str) -> Work:
    """What somebody handed in: answers by cell, and cells of their own."""
    made = plain.answered(RELEASED, **answers)
    made.cells += [new_code_cell(source) for source in extra]
    return handout.written(author, handout.own_cells([made]))


def authors(pair: Pair) -> set[str]:
    return {pair.first.author, pair.second.author}


def of_two(comparison: Comparison, *names: str) -> Pair:
    (found,) = (pair for pair in comparison.pairs if authors(pair) == set(names))
    return found


def is_shown(comparison: Comparison, *names: str) -> bool:
    return any(authors(pair) == set(names) for pair in comparison.pairs)


@pytest.fixture(scope="module")
def forty() -> Comparison:
    """Forty: one is a copy in disguise of another, two are right all through."""
    ps2 = "ps2"
    notebooks = {f"student{n}": classmates.classmate(ps2, n) for n in range(37)}
    notebooks["right1"] = classmates.notebook(ps2, classmates.whole_student(ps2))
    notebooks["right2"] = classmates.expert(ps2, 1)
    notebooks["copy"] = classmates.disguised(notebooks["student3"], ps2)
    handout = Handout([classmates.released(ps2)])
    source = nbformat.read(classmates.ROOT / "source/ps2/ps2.ipynb", as_version=4)
    works = [
        handout.written(name, handout.own_cells([notebook])) for name, notebook in notebooks.items()
    ]
    right = similarity.background(handout, ps2, [source])
    return compared(ps2, works, right, places=handout.places)


def test_a_copy_with_new_names_comments_and_order_is_first_of_forty_and_stands_apart(forty):
    assert (len(forty.works), len(forty.scores)) == (40, 780)
    first, second, *_ = forty.pairs
    assert {first.first.author, first.second.author} == {"student3", "copy"}
    assert first.is_apart and first.score > second.score + 0.2
    assert forty.standing_apart == 1


def test_independent_right_answers_do_not_stand_out(forty):
    right = [work for work in forty.works if work.author.startswith("right")]
    assert all(len(work.fingerprints) > 100 for work in right)
    shared = right[0].fingerprints & right[1].fingerprints
    assert shared, "what is canonical is alike all the same"
    ranked = [pair for pair in forty.pairs if {pair.first, pair.second} == set(right)]
    assert not [pair for pair in ranked if pair.expected < 1]
    assert all(pair.expected >= 1 for pair in forty.pairs[1:])


@pytest.mark.long
@pytest.mark.parametrize("assignment", ["ps1", "ps3", "ps4", "ps5"])
def test_of_each_assignment_the_copy_is_first_and_without_it_nobody_stands_apart(assignment):
    handout = Handout([classmates.released(assignment)])
    source = nbformat.read(
        classmates.ROOT / "source" / assignment / f"{assignment}.ipynb", as_version=4
    )
    right = similarity.background(handout, assignment, [source])
    notebooks = {f"s{n}": classmates.classmate(assignment, n) for n in range(39)}
    works = [handout.written(name, handout.own_cells([made])) for name, made in notebooks.items()]
    assert compared(assignment, works, right).standing_apart == 0
    copied = classmates.disguised(notebooks["s3"], assignment)
    works.append(handout.written("copy", handout.own_cells([copied])))
    first, second, *_ = compared(assignment, works, right).pairs
    assert {first.first.author, first.second.author} == {"s3", "copy"}
    assert first.is_apart and not second.is_apart


# What leaves no trace.

FRESH = st.from_regex(r"[a-z]{1,6}_[0-9]{1,3}", fullmatch=True)


def renamed(source: str, names: dict[str, str]) -> str:
    """A source in which variables, arguments, functions and attributes have other names."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for field in ("id", "arg", "name", "attr"):
            if isinstance(value := getattr(node, field, None), str):
                setattr(node, field, names.get(value, value))
    return ast.unparse(tree)


OWN_NAMES = ("helper", "values", "width", "total", "value", "step", "one", "Box", "kept", "put")
HELPER = """
class Box:
    def __init__(self, kept):
        self.kept = kept

    def put(self, value, width=3):
        self.kept.append(helper(value, width=width))
        return [one for one in self.kept if one is not value and one > width]


def helper(value, width):
    return value if width else -value
"""


@settings(max_examples=15)
@given(st.lists(FRESH, min_size=len(OWN_NAMES), max_size=len(OWN_NAMES), unique=True), st.data())
def test_names_comments_and_order_of_cells_change_no_score(handout, fresh, data):
    cells = [LOOP, HELPER, "box = Box([])\nprint(box.kept, box.put(3, width=4), spread([1], 2))"]
    names = dict(zip(OWN_NAMES, fresh, strict=True))
    others = [
        work(handout, "ben", LOOP, HELPER.replace("append", "extend")),
        work(handout, "cy", OTHER, HELPER),
        work(handout, "di", THIRD),
    ]

    def scores(sources: list[str]) -> dict[str, float]:
        found = compared("plain", [work(handout, "ada", *sources), *others])
        pairs = [pair for pair in found.pairs if pair.first.author == "ada"]
        return {pair.second.author: pair.score for pair in pairs}

    changed = [f"# {names['one']}\n{renamed(cell, names)}  # done" for cell in cells]
    expected = scores([ast.unparse(ast.parse(cell)) for cell in cells])
    assert scores(data.draw(st.permutations(changed))) == expected
    assert 0 < expected["ben"] < 1


@settings(max_examples=10)
@given(st.permutations([LOOP, OTHER, THIRD, LOOP + HELPER]))
def test_the_order_of_a_class_changes_no_score(handout, sources):
    def found(order: list[str]) -> dict[frozenset[str], float]:
        pairs = compared("plain", [work(handout, source[:90], source) for source in order]).pairs
        return {frozenset((one.first.author, one.second.author)): one.score for one in pairs}

    assert found(sources) == found([LOOP, OTHER, THIRD, LOOP + HELPER])


def test_layout_docstrings_and_trailing_commas_change_no_fingerprint(handout):
    one = "def f(a, b):\n    return torch.stack([a, b], dim=0).sum(dim=-1).exp() @ b"
    other = """def f(
    a,
    b,
):
    '''What it does.'''
    return torch.stack(
        [
            a,   # the first
            b,
        ],
        dim=0,
    ).sum(dim=-1).exp() @b
"""
    found = [work(handout, "", source).fingerprints for source in (one, other)]
    assert found[0] and found[0] == found[1]


@pytest.mark.parametrize(
    ("old", "new"), [("sum", "mean"), ("dim=-1", "dim=0"), ("exp()", "log()"), ("@", "*")]
)
def test_what_the_code_does_changes_fingerprints(handout, old, new):
    source = "def f(a, b):\n    return torch.stack([a, b], dim=0).sum(dim=-1).exp() @ b"
    assert old in source
    first, second = (work(handout, "", one) for one in (source, source.replace(old, new)))
    assert first.fingerprints != second.fingerprints


# What counts, and what does not.


def test_what_was_handed_out_counts_for_nothing_wherever_it_stands(handout):
    made = copy.deepcopy(RELEASED)
    plain.find(made, "shape").source += "\n# tampered with"
    assert handout.own_cells([made]) == []
    moved = work(handout, "ada", GIVEN + "\n" + LOOP)
    assert moved.fingerprints >= work(handout, "ben", LOOP).fingerprints
    (piece,) = moved.pieces
    start, end = piece.given[0]
    assert "zip(points, points[1:] + points[:1])" in piece.source[start:end]
    assert work(handout, "cy", GIVEN + "\n\n").fingerprints == set()


def test_what_more_than_half_of_a_class_wrote_counts_for_nothing(handout):
    alike = [work(handout, f"s{n}", LOOP) for n in range(6)]
    apart = [work(handout, f"t{n}", f"{OTHER}\n{THIRD}\n{HELPER}") for n in range(2)]
    rest = [work(handout, "u", THIRD + OTHER), work(handout, "v", HELPER)]
    found = compared("plain", [*alike, *apart, *rest])
    assert of_two(found, "t0", "t1").rank == 1
    assert not is_shown(found, "s0", "s1")  # having nothing in common that counts


def test_what_right_answers_hold_weighs_less(handout):
    works = [work(handout, name, *own) for name, own in CLASS.items()]
    known = [handout.written("", [(OWN_CELLS, LOOP)])]
    alone = of_two(compared("plain", works), "ada", "ben").score
    assert of_two(compared("plain", works, known), "ada", "ben").score < alone


CLASS = {
    "ada": (LOOP, HELPER),
    "ben": (LOOP, OTHER),
    "cy": (THIRD,),
    "di": ("print([n**2 % 7 for n in range(30) if n % 3], sep=chr(10), end=str(len('ab')))",),
}


def test_three_lines_that_stand_elsewhere_are_not_all_of_a_score(handout):
    words = "print(sorted(set(map(abs, [-1, 1, 2])), key=lambda n: -n))"
    works = [work(handout, "ada", words), work(handout, "zoe", words, LOOP, OTHER, THIRD)]
    works += [
        work(handout, name, LOOP, own, HELPER)
        for name, own in {"ben": OTHER, "cy": THIRD, "di": ""}.items()
    ]
    assert works[0].fingerprints < works[1].fingerprints
    assert 0 < of_two(compared("plain", works), "ada", "zoe").score < 0.6


def test_rare_words_of_one_s_own_are_told_even_where_the_code_differs(handout):
    comment = "# I allways do this twice, dont ask"
    odd = f"{comment}\nreparametrised_smaple = 'a quite special text'"
    works = [
        work(handout, "ada", LOOP, odd),
        work(handout, "ben", OTHER, odd.replace("\n", "\n\n\n")),
        *(work(handout, f"s{n}", (LOOP, OTHER, THIRD)[n % 3], "print('seen by many of us')")
          for n in range(30)),
    ]  # fmt: skip
    pair = of_two(compared("plain", works), "ada", "ben")
    assert pair.rank > similarity.SHOWN and pair.score < 0.2
    assert [(one.kind, one.text, count) for one, count in pair.wording] == [
        ("comment", comment.strip("# "), 2),
        ("name", "reparametrised_smaple", 2),
        ("text", "a quite special text", 2),
    ]
    assert not any(one.wording for one in compared("plain", works).pairs if one is not pair
                   and authors(one) != {"ada", "ben"})  # fmt: skip


def test_known_mistakes_that_both_made_are_told_with_how_many_others_made_them(handout):
    def entry(*names: str) -> dict:
        return {"exercises": [{"id": "plain_a", "misconception": name} for name in names]}

    works = [work(handout, name, *own) for name, own in CLASS.items()]
    records = {"ada": entry("sign", "half"), "ben": entry("half", "sign"), "cy": entry("half")}
    found = compared("plain", works, records=records | {"di": entry(None)})
    made = of_two(found, "ada", "ben").mistakes
    assert [(one.name, one.students) for one in made] == [("sign", 2), ("half", 3)]
    assert not any(pair.mistakes for pair in found.pairs if "di" in authors(pair))


def test_a_class_of_few_is_ranked_and_nothing_is_called_unusual(handout):
    works = [work(handout, name, *own) for name, own in CLASS.items()]
    found = compared("plain", works)
    assert found.apart is None and found.standing_apart == 0
    assert authors(found.pairs[0]) == {"ada", "ben"}
    assert "too small to tell" in similarity_page.page(found)


def test_a_class_that_has_nothing_in_common_has_a_page(handout):
    works = [
        work(
            handout, f"s{n}", " + ".join(f"{sign}({n * 100 + m})" for m, sign in enumerate("abcd"))
        )
        for n in range(12)
    ]
    found = compared("plain", works)
    assert set(found.scores) == {0.0} and found.standing_apart == 0 and found.pairs == ()
    told = " ".join(Page(similarity_page.page(found)).text.split())
    assert "No pair stands apart" in told and "No two share anything that counts" in told


def test_cells_that_are_no_python_are_compared_word_by_word(handout):
    broken = LOOP + "\nprint('never closed\n"
    works = [work(handout, "ada", broken), work(handout, "ben", broken), work(handout, "cy", THIRD)]
    assert [one.unparsed for one in works] == [1, 1, 0]
    assert of_two(compared("plain", works), "ada", "ben").score == 1
    magic = work(handout, "di", f"%matplotlib inline\n{LOOP}\n!ls")
    assert magic.unparsed == 0 and magic.fingerprints >= work(handout, "", LOOP).fingerprints


@given(st.text())
def test_whatever_stands_in_a_cell_can_be_read_and_is_shown_as_it_is(handout, text):
    made = work(handout, "ada", text, LOOP + text)
    for piece in made.pieces:
        parts = list(similarity_page.stretches(piece, made.fingerprints))
        shown = "".join(part.text for part in parts)
        assert shown == similarity_page.plain(piece.source, 10**6)


# The page.


class Page(HTMLParser):
    """Collects elements, attributes, text, and what is marked."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.marked, self.text = [], [], [], ""
        self._in_mark = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self._in_mark = tag == "mark"

    def handle_endtag(self, tag):
        self._in_mark = self._in_mark and tag != "mark"

    def handle_data(self, data):
        self.text += data
        if self._in_mark:
            self.marked.append(data)


def assert_inert(html: str) -> Page:
    found = Page(html)
    assert not {"script", "img", "iframe", "object", "embed", "link", "a", "form", "image",
                "use", "base"} & set(found.tags)  # fmt: skip
    names = {name for name, _ in found.attributes}
    assert not {name for name in names if name.startswith("on")}
    assert not {"src", "href", "xlink:href", "style", "action", "srcset"} & names
    assert not re.search(r"url\(|@import|https?:|\x1b|\u202e", html)
    ids = [value for name, value in found.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    return found


def test_what_students_wrote_is_text_and_the_page_runs_and_loads_nothing(handout):
    code = f"# {EVIL} and so on\nx = '''{EVIL}\x1b[2J\u202e'''\n{LOOP}"
    works = [work(handout, f"{EVIL}{n}\x1b[2J\udcff", code) for n in range(2)]
    works += [work(handout, "cy", OTHER), work(handout, "di", THIRD)]
    entry = {"exercises": [{"id": EVIL, "misconception": EVIL}]}
    found = compared(
        "plain",
        works,
        records={work.author: entry for work in works},
        left_out=((EVIL, EVIL),),
        places=handout.places,
    )
    page = assert_inert(similarity_page.page(found))
    assert page.text.count(EVIL) > 10


def test_shared_code_is_marked_side_by_side_and_given_code_is_not(handout):
    source = f"{LOOP}\n{GIVEN}\nvalues = [3]"
    other = f"{THIRD}\n{renamed(LOOP, {'total': 'summe', 'step': 'schritt'})}"
    works = [work(handout, "ada", spread=source), work(handout, "ben", other)]
    works += [work(handout, "cy", OTHER), work(handout, "di", HELPER)]
    found = compared("plain", works, places=handout.places)
    marked = " ".join(Page(similarity_page.page(found)).marked)
    assert "step = (value - width) ** 2 / len(values)" in marked
    assert "schritt = (value - width) ** 2 / len(values)" in marked
    assert "points" not in marked and "ValueError" not in marked


def test_the_picture_marks_the_first_pairs_and_tells_its_numbers(forty):
    page = assert_inert(similarity_page.page(forty))
    drawn = similarity_page.picture(forty)
    assert sum(bar.bin.count for bar in drawn.bars) == 780
    assert [mark.rank for mark in drawn.marks] == [1, 2, 3]
    assert drawn.marks[0].x > drawn.apart > drawn.marks[1].x
    assert "student3 and copy" in page.text or "copy and student3" in page.text
    assert page.tags.count("svg") == 1 and page.tags.count("circle") == 3


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (None, "the class is too small to tell"),
        (3.0, "nothing unusual"),
        (0.5, "a little more alike than others"),
        (0.04, "a little more alike than others"),
        (0.004, "stands apart: one such pair in about 100 such classes"),
        (1e-12, "stands apart: one such pair in more than 1,000 such classes"),
    ],
)
def test_how_unusual_a_pair_is_is_said_in_words(handout, expected, words):
    ada = work(handout, "ada", LOOP)
    pair = Pair(1, ada, ada, 1.0, frozenset(), expected, (), ())
    assert similarity_page.in_words(pair) == words


def test_nothing_on_the_page_accuses(forty):
    page = Page(similarity_page.page(forty)).text
    for word in ("cheat", "plagiar", "guilty", "suspect", "caught", "fraud", "misconduct"):
        assert word not in page.lower()
    assert "It proves nothing" in page


# The command.


@pytest.fixture
def course(tmp_path) -> Path:
    submissions = {
        name: plain.answered(RELEASED, spread=source.strip())
        for name, source in {"ada": LOOP, "ben": OTHER, "cy": THIRD}.items()
    }
    submissions["dan"] = plain.answered(RELEASED, spread=renamed(LOOP, {"total": "t", "step": "s"}))
    return plain.write_course(tmp_path, SOURCE, submissions)


def run(*arguments: object):
    return CliRunner().invoke(app, ["similar", *map(str, arguments)])


def hand_in(course: Path, student: str, content: str) -> None:
    plain.write(course / "submitted" / student / "plain", {"plain.ipynb": content})


def test_the_command_writes_the_page_and_names_who_was_left_out(course):
    hand_in(course, "eve", "no notebook")
    hand_in(course, "fay", nbformat.writes(RELEASED))
    long = copy.deepcopy(RELEASED)
    long.cells.append(new_code_cell("x = 1\n" * 40_000))
    hand_in(course, "gus", nbformat.writes(long))
    broken = plain.answered(RELEASED, spread=LOOP + "\nprint((")
    hand_in(course, "hal", nbformat.writes(broken))
    (course / "submitted" / "ida" / "plain").mkdir(parents=True)
    result = run("plain", "--course", course)
    assert result.exit_code == 0, result.output
    lines = result.output.strip().splitlines()
    assert lines[:2] == [
        "5 submissions compared, 10 pairs: too few to say which is unusual",
        f"Page: {course / 'reports' / 'plain-similar.html'}",
    ]
    said = "\n".join(lines[2:])
    assert re.search(r"not compared: eve: .*is not a notebook", said)
    assert "not compared: fay: it holds too little code" in said
    assert re.search(r"not compared: gus: it holds \d+,\d+ characters", said)
    assert re.search(r"not compared: ida: .*there is no plain.ipynb", said)
    assert "in part: hal: 1 cell is no Python" in said
    page = assert_inert((course / "reports" / "plain-similar.html").read_text())
    assert all(name in page.text for name in ("eve", "fay", "gus", "hal", "ida"))
    assert str(course) not in page.text


def test_the_release_is_what_was_given_where_it_is_there_and_known_mistakes_are_told(course):
    plain.write(course / "release" / "plain", {"plain.ipynb": RELEASED})
    exercise = {"id": "spread_test", "misconception": "off by one"}
    records = [
        {"assignment": "plain", "student": student, "exercises": [exercise]}
        for student in ("ada", "dan")
    ]
    (course / "verdicts.json").write_text(json.dumps(records))
    out = course / "new" / "page.html"
    result = run("plain", "--course", course, "--out", out)
    assert result.exit_code == 0, result.output
    text = " ".join(Page(out.read_text()).text.split())
    assert "spread_test: off by one (nobody else)" in text
    assert "1. ada and dan" in text


def test_too_few_submissions_and_wrong_commands_are_told_in_one_line(course):
    with pytest.raises(UsageError, match="no such assignment"):
        raise run("other", "--course", course).exception
    for student in ("ben", "cy"):
        hand_in(course, student, "nothing")
    with pytest.raises(CourseError, match="2 of 4 submissions.*3 are needed .ben: .*cy: ") as found:
        raise run("plain", "--course", course).exception
    assert "\n" not in str(found.value) and not (course / "reports").exists()


@pytest.mark.long
def test_the_same_page_comes_out_whatever_python_s_hashes_are(course):
    pages = []
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "autograder.cli", "similar", "plain", "--course", course]
        done = subprocess.run(
            command, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        )
        assert b"4 submissions compared" in done.stdout
        pages.append((course / "reports" / "plain-similar.html").read_text())
    assert pages[0] == pages[1]


@pytest.mark.long
def test_three_hundred_are_compared_in_a_minute():
    import time

    handout = Handout([classmates.released("ps2")])
    started = time.process_time()
    works = [
        handout.written(f"s{n}", handout.own_cells([classmates.classmate("ps2", n)]))
        for n in range(300)
    ]
    found = compared("ps2", works, places=handout.places)
    html = similarity_page.page(found)
    assert time.process_time() - started < 60
    assert len(found.scores) == 44_850 and len(html) < 3e6


@pytest.mark.long
def test_the_page_fits_a_screen_and_a_phone(browser, fits, tmp_path, forty):
    written = tmp_path / "page.html"
    written.write_text(similarity_page.page(forty))
    fits(written)
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []


def test_a_fingerprint_is_a_run_of_words(handout):
    source = "a = b + c + d + e + f"
    found = handout.written("", [(OWN_CELLS, source)])
    assert len(found.pieces[0].words) == 11 == LENGTH + 1
    assert [len(piece.found.hash_idx) for piece in found.pieces] == [2]
