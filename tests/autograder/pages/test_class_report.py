"""The page on a class counts right, tells nothing of students but where it must, and is inert."""

import json
import os
import random
import re
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder import cli, record
from autograder.misconceptions import Misconception
from autograder.pages import class_report
from autograder.pages.class_report import Concern, Mistake, Said, Spread, summarised

NOW = datetime(2025, 11, 3, 9, 5, tzinfo=UTC)
EVIL = '<script>alert(1)</script><img src=x onerror="alert(1)">&{{ 7 * 7 }}'
KNOWN = Misconception("tiny_a", "half missing", "", "Your value is twice the `right` one.")


def part(id: str, score: float, word: str = "", most: float = 4.0, **more) -> dict:
    """An exercise of a machine; its verdict follows from its score, unless it is given."""
    word = word or ("pass" if score == most else "partial" if score else "fail")
    message = more.pop("message", f"About {id}.")
    made = record.verdict(f"tiny_{id}", score, most, word, message, more.pop("criteria", ()))
    return made | {"kind": "machine"} | more


def asked(score: float | None = None, word: str = "manual") -> dict:
    """An answer that a person reads."""
    waits = score is None and word == "manual"
    made = record.verdict("tiny_q", score or 0.0, 2.0, word, "In words.")
    return made | {"kind": "manual", "pending": waits}


def entry(student: str, *parts: dict, status: str = "graded", **more) -> dict:
    said = {name: more.pop(name) for name in ("tampered", "message") if name in more}
    return record.submission("tiny", student, status, parts, "engine", **said) | more


def unreadable(student: str, message: str = "it is not JSON") -> dict:
    parts = [part(id, 0.0, "error", message=message) for id in "ab"]
    return entry(student, *parts, status="unreadable", message=message)


def criterion(name: str, passed: bool) -> dict:
    return {"name": name, "score": 1.0 * passed, "max_score": 1.0, "passed": passed, "message": ""}


def known_of(id: str) -> list[Misconception]:
    return [KNOWN] if id == KNOWN.exercise else []


def counted(*records: dict) -> class_report.ClassReport:
    return summarised("tiny", records, NOW, known_of)


def page(*records: dict) -> str:
    return class_report.page(counted(*records))


class Page(HTMLParser):
    """Collects elements, attributes and text, the text by the section it stands in."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.sections = [], [], [[]]
        self.feed(html)
        self.texts = [" ".join(" ".join(texts).split()) for texts in self.sections]

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "section":
            self.sections.append([])

    def handle_data(self, data):
        self.sections[-1].append(data)


def a_class(size: int, seed: int = 0) -> list[dict]:
    """A class with every kind of outcome, if it is large enough."""
    draw = random.Random(seed)
    made = []
    for number in range(size):
        name, seconds = f"student{number:03d}", round(draw.lognormvariate(2.5, 0.4), 2)
        if number % 17 == 5:
            made.append(unreadable(name))
            continue
        status = {7: "crashed", 11: "timed_out", 13: "grader_error"}.get(number % 19, "graded")
        parts = []
        for id in "abcdef":
            score = draw.choice([0.0, 0.0, 1.0, 2.5, 4.0, 4.0, 4.0])
            parts.append(part(id, score, message=f"{draw.randint(1, 9)} times the value of {id}."))
            if score < 4 and draw.random() < 0.5:
                parts[-1]["misconception"] = draw.choice(["half missing", "sign", "a mean" * 20])
                parts[-1]["followed_through"] = draw.random() < 0.2
            parts[-1]["criteria"] = [
                criterion(f"criterion {n} of {id}", draw.random() < 0.7) for n in range(3)
            ]
        words = {"timed_out": "timeout", "grader_error": "grader_error"}
        parts[0]["verdict"] = words.get(status, parts[0]["verdict"])
        parts[1] |= {"verdict": "blank", "score": 0.0} if draw.random() < 0.2 else {}
        parts.append(draw.choice([asked(), asked(1.5), asked(word="blank")]))
        tampered = ["tiny_check"] if number % 23 == 3 else []
        made.append(entry(name, *parts, status=status, tampered=tampered, seconds=seconds))
    return made


def test_the_head_counts_submissions_by_status_and_what_awaits_a_person():
    found = counted(
        entry("ada", part("a", 4.0), asked()),
        entry("ben", part("a", 0.0), asked(1.0), status="crashed"),
        entry("cy", part("a", 0.0), asked(word="blank"), status="timed_out"),
        entry("di", part("a", 0.0), asked(), asked(), status="graded"),
        unreadable("eve"),
    )
    assert found.submissions == 5
    assert found.statuses == {
        **{"graded": 2, "crashed": 1, "timed_out": 1, "unreadable": 1, "grader_error": 0},
    }
    assert found.waiting == (3, 2)
    text = Page(class_report.page(found)).texts[0]
    assert "5 submissions, the newest graded on 3 November 2025 at 09:05." in text
    assert "Answers to read 3 from 2 students" in text


def test_points_are_the_machine_s_of_submissions_that_have_a_score():
    scores = (0.0, 2.0, 4.0, 8.0)
    found = counted(
        *(entry(f"s{score}", part("a", score, most=8.0), asked(2.0)) for score in scores),
        unreadable("eve"),
        entry("fay", part("a", 8.0, most=8.0), part("b", 0.0, "grader_error"),
              status="grader_error"),
    )  # fmt: skip
    assert found.scores == Spread(4, 3.5, 0.0, 1.5, 3.0, 5.0, 8.0)
    assert found.most == 8.0
    assert sum(one.count for one in found.bins) == 4


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_quartiles_are_in_order_and_those_of_numpy(values):
    import numpy as np

    found = class_report.spread(values)
    quarters = [found.lowest, found.lower, found.median, found.upper, found.highest]
    assert quarters == pytest.approx(np.quantile(values, [0, 0.25, 0.5, 0.75, 1]), abs=1e-6)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-6)


def test_each_exercise_counts_what_came_of_it_in_the_assignment_s_order():
    met = [criterion("shape", True), criterion("value", False)]
    first, second, waits = counted(
        entry("ada", part("b", 4.0), part("a", 1.0, criteria=met), asked()),
        entry("ben", part("b", 0.0, "blank"), part("a", 0.0, criteria=met), asked(1.0)),
        entry("cy", part("b", 0.0, "error"), part("a", 4.0, followed_through=True), asked(2.0)),
        entry("di", part("b", 0.0, "grader_error"), part("a", 4.0), asked(word="blank"),
              status="grader_error"),
        unreadable("eve"),
    ).exercises  # fmt: skip
    assert (first.name, second.name, waits.name) == ("b", "a", "q")
    assert first.outcomes == {"full": 1, "some": 0, "none": 1, "blank": 1, "waiting": 0}
    assert second.outcomes == {"full": 2, "some": 1, "none": 1, "blank": 0, "waiting": 0}
    assert waits.outcomes == {"full": 1, "some": 1, "none": 0, "blank": 1, "waiting": 1}
    assert (first.students, second.students) == (3, 4)
    assert (first.mean, second.mean, waits.mean) == pytest.approx((4 / 3, 9 / 4, 1.0))
    assert (first.followed_through, second.followed_through) == (0, 1)
    assert [(one.name, one.met) for one in second.criteria] == [("shape", 2), ("value", 0)]
    assert (first.by_hand, waits.by_hand) == (False, True)


def test_known_mistakes_are_counted_with_their_message_and_second_looks_apart():
    def wrong(name: str, id: str = "a", again: bool = False) -> dict:
        told = f"Partly right. {name} 3."
        return part(id, 1.0, misconception=name, followed_through=again, message=told)

    found = counted(
        entry("ada", wrong("half missing"), wrong("sign", "b")),
        entry("ben", wrong("half missing"), wrong("sign", "b")),
        entry("cy", wrong("half missing", again=True), wrong("sign", "b")),
        entry("di", wrong("sign"), part("b", 4.0, followed_through=True)),
    )
    assert found.mistakes == (
        Mistake("b", "sign", "Partly right. sign 3.", 3, 0),
        Mistake("a", "half missing", KNOWN.message, 2, 1),
        Mistake("a", "sign", "Partly right. sign 3.", 1, 0),
    )
    assert found.second_looks == 2
    text = Page(class_report.page(found)).texts[3]
    assert "Follow-through raised the score of 2 answers" in text
    assert "2 +1 a: half missing Your value is twice the right one." in text


def test_a_mistake_of_an_exercise_whose_id_is_no_module_s_name_is_told_all_the_same():
    wrong = part("a", 1.0, misconception="sign") | {"id": "1.2_a"}
    (found,) = summarised("1.2", [entry("ada", wrong)], NOW).mistakes
    assert (found.exercise, found.name, found.message) == ("a", "sign", "About a.")


def test_messages_without_a_name_are_one_where_only_numbers_differ():
    not_run = part("b", 0.0, "error", message="Not run: the kernel died.")
    found = counted(
        entry("ada", part("a", 1.0, message="The value is 3.5 times\n1e-3.")),
        entry("ben", part("a", 0.0, message="The value is -7 times 2.")),
        entry("cy", part("a", 4.0, message="The value is 1 times 1.")),
        entry("di", part("a", 0.0, message="Nobody else read this."), not_run, status="crashed"),
        entry("ed", part("a", 0.0, "timeout"), not_run, status="crashed"),
        entry("fi", part("a", 0.0, "timeout"), status="timed_out"),
        entry("gus", part("a", 1.0, followed_through=True, message="The value is 1 times 1.")),
        unreadable("hal"),
        unreadable("ida"),
    )
    assert found.said == (Said("a", "The value is # times #.", 2),)


@pytest.mark.parametrize(
    ("message", "blank"),
    [
        ("shape (3, 5), not (64,)", "shape (#, #), not (#,)"),
        ("1,234.5 and −2 and 1e-05.", "# and # and #."),
        ("float32, x2, v1.2 and 3x", "float32, x2, v1.2 and 3x"),
        ("28 times. 18 of 21", "# times. # of #"),
    ],
)
def test_numbers_are_blanked_and_names_are_not(message, blank):
    assert class_report.blanked(message) == blank


def test_what_a_person_must_look_at_comes_by_urgency_with_student_exercise_and_why():
    found = counted(
        entry("zoe", part("a", 0.0, "memory", message="Too much."),
              part("b", 0.0, "memory", message="Too much.")),
        unreadable("eve", "eve.ipynb: it is not JSON"),
        entry("ada", part("a", 4.0), tampered=["tiny_a", "tiny_check"]),
        entry("ben", part("a", 0.0, "grader_error", detail="a bug at checks.py:7"),
              status="grader_error"),
        entry("cy", part("a", 0.0, "grader_error", message="disk full"), status="grader_error",
              message="disk full"),
        entry("di", part("a", 1.0, "tampered", message="They differ.")),
        entry("ed", part("a", 0.0, "timeout", message="Stopped."), status="timed_out"),
        entry("fi", part("a", 4.0), status="timed_out"),
        entry("gus", part("a", 0.0, "error"), status="crashed"),
        entry("right", part("a", 4.0), part("b", 0.0)),
    ).concerns  # fmt: skip
    assert found == (
        Concern("ben", ("a",), "grader_error", "a bug at checks.py:7"),
        Concern("cy", (), "grader_error", "disk full"),
        Concern("di", ("a",), "tampered", "They differ."),
        Concern("ada", (), "changed", "Restored before anything ran: tiny_a, tiny_check"),
        Concern("eve", (), "unreadable", "eve.ipynb: it is not JSON"),
        Concern("gus", (), "crashed", "The kernel died; the cells from there on were not run."),
        Concern("ed", ("a",), "timeout", "Stopped."),
        Concern("fi", (), "timeout", "At least one cell was stopped at the time limit."),
        Concern("zoe", ("a", "b"), "memory", "Too much."),
    )


def test_times_are_of_those_that_were_timed():
    spent = [3.0, 1.0, 9.0, 2.0, 5.0, 4.0, 7.0]
    records = [
        entry(f"s{number}", part("a", 4.0), seconds=seconds, cpu_seconds=seconds / 2)
        for number, seconds in enumerate(spent)
    ]
    found = counted(*records, entry("old", part("a", 4.0)))
    assert (found.times.total, found.times.cpu) == (31.0, 15.5)
    assert found.times.spread.count == 7 and found.times.spread.median == 4.0
    assert [name for name, _ in found.times.slowest] == ["s2", "s6", "s4", "s5", "s0"]
    assert "recorded for 7 of 8 submissions" in Page(class_report.page(found)).texts[-1]
    assert counted(entry("old", part("a", 4.0))).times is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0 s"), (4.23, "4.2 s"), (200, "3 min 20 s"), (59.96, "60 s"), (7500, "2 h 5 min")],
)
def test_times_are_said_as_people_do(seconds, said):
    assert class_report.duration(seconds) == said


@pytest.mark.parametrize("size", [0, 1, 2, 40, 300])
def test_classes_of_any_size_have_a_page(size):
    found = Page(page(*a_class(size)))
    assert len(found.texts) == 6
    fewest, most = (0, 0) if size == 0 else (3, 4) if size < 40 else (4, 4)
    assert fewest <= found.tags.count("svg") <= most
    assert found.tags.count("details") >= found.tags.count("svg")
    ids = [value for name, value in found.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_an_empty_class_and_one_that_is_all_alike_say_so():
    texts = Page(page()).texts
    assert "No submission has a score yet." in texts[1]
    assert "Nothing: each submission ran to its end" in texts[4]
    alike = Page(page(*(entry(f"s{n}", part("a", 4.0)) for n in range(7))))
    assert "Lower quartile 4 Median 4 Upper quartile 4" in alike.texts[1]
    assert "Nobody made a mistake that has a name." in alike.texts[3]
    only_waiting = Page(page(entry("ada", asked())))
    assert "Lowest 0" in only_waiting.texts[1]


def test_students_are_named_only_where_a_person_must_look_and_where_they_were_slow():
    texts = Page(page(*a_class(300))).texts
    assert [bool(re.search(r"student\d", text)) for text in texts] == [False] * 4 + [True] * 2


def test_what_students_wrote_is_text_and_the_page_runs_and_loads_nothing():
    wrong = part("a", 1.0, misconception=EVIL, message=EVIL, criteria=[criterion(EVIL, False)])
    records = [
        entry(f"{EVIL}\x1b[2J\u202e{n}", wrong, part("b", 1.0, message=EVIL), part(EVIL, 0.0),
              part("c", 0.0, "timeout", message=EVIL), tampered=[EVIL], seconds=1.0)
        for n in range(3)
    ]  # fmt: skip
    html = page(*records, unreadable("\udcff", EVIL))
    found = Page(html)
    assert not {"script", "img", "iframe", "object", "embed", "link", "a", "form", "image",
                "use", "base"} & set(found.tags)  # fmt: skip
    names = {name for name, _ in found.attributes}
    assert not {name for name in names if name.startswith("on")}
    assert not {"src", "href", "xlink:href", "style", "action", "srcset"} & names
    assert not re.search(r"url\((?!#)|@import|https?:|\x1b|\u202e", html)
    assert all(EVIL in text for text in found.texts[2:])
    assert html.encode()


def test_a_run_without_a_sandbox_is_told():
    told = "ran without a sandbox"
    assert told in page(entry("ada", part("a", 4.0), isolation="process"))
    assert told not in page(entry("ada", part("a", 4.0), isolation="sandbox"))


def test_colours_of_outcomes_are_those_of_feedback_and_words_explain_every_concern():
    from autograder.pages import feedback

    style = feedback.STYLE.read_text()
    kinds = [*class_report.OUTCOMES.values(), *class_report.STUDENTS]
    assert all(kind.colour in style for kind in kinds)
    assert len({kind.pattern for kind in class_report.OUTCOMES.values()}) == 5
    assert set(record.NOT_GRADED) | {"timeout", "memory", "tampered"} <= set(class_report.CONCERNS)


@pytest.fixture
def run(monkeypatch, capsys):
    """Run `autograder report tiny`; gives its exit code, what it printed, and its errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["autograder", "report", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        said = capsys.readouterr()
        return int(caught.value.code or 0), said.out, said.err

    return call


def test_the_command_writes_the_page_where_it_is_asked_to(run, tiny_course):
    root = tiny_course.root
    of_another = entry("nobody", part("a", 0.0)) | {"assignment": "other"}
    records = [*a_class(20), of_another]
    (root / "verdicts.json").write_text(json.dumps(records))
    graded = root / "autograded" / "student000" / "tiny" / "tiny.ipynb"
    graded.parent.mkdir(parents=True)
    graded.write_text("")
    os.utime(graded, (0, datetime(2025, 3, 1, 12, 30).timestamp()))
    code, out, err = run("tiny", "--course", root)
    written = root / "reports" / "tiny.html"
    assert (code, out.strip(), err) == (0, str(written), "")
    told = "20 submissions, the newest graded on 1 March 2025 at 12:30."
    assert told in Page(written.read_text()).texts[0]

    (root / "verdicts.json").rename(root / "moved.json")
    page = root / "new" / "page.html"
    code, out, _ = run("tiny", "--course", root, "--json", root / "moved.json", "--out", page)
    assert (code, out.strip()) == (0, str(page)) and page.read_text() == written.read_text()


def test_where_nothing_was_graded_the_command_says_what_to_run(run, tiny_course):
    code, out, err = run("nothing", "--course", tiny_course.root)
    assert (code, out) == (2, "") and "no such assignment" in err
    code, out, err = run("tiny", "--course", tiny_course.root)
    assert (code, out) == (2, "") and "nobody handed in tiny" in err
    tiny_course.hand_in("ada", tiny_course.solved())
    code, out, err = run("tiny", "--course", tiny_course.root)
    assert (code, out) == (2, "") and "run `autograder grade tiny`" in err
    assert err.count("\n") == 1
    assert not (tiny_course.root / "reports").exists()


@pytest.mark.long
def test_the_page_fits_a_screen_and_a_phone_and_its_charts_can_be_read(browser, fits, tmp_path):
    written = tmp_path / "page.html"
    written.write_text(page(*a_class(40)))
    fits(written)
    charts = browser.execute_script("""
        return [...document.querySelectorAll('svg')].map(svg => {
            const box = svg.getBoundingClientRect();
            const texts = [...svg.querySelectorAll('text')];
            const drawn = texts.map(text => text.getBoundingClientRect());
            return {
                width: box.width,
                height: box.height,
                outside: texts.filter((_, i) => drawn[i].left < box.left - 2
                    || drawn[i].right > box.right + 2
                    || drawn[i].top < box.top - 2
                    || drawn[i].bottom > box.bottom + 2).map(text => text.textContent),
                smallest: Math.min(...texts.map(text =>
                    parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a)),
            };
        })""")
    assert len(charts) == 4
    for chart in charts:
        assert chart["width"] > 300 and chart["height"] > 100
        assert chart["outside"] == [] and chart["smallest"] >= 12
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
