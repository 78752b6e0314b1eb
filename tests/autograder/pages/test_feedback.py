"""Feedback is HTML that holds no script and tells nothing by colour alone."""

from html.parser import HTMLParser

import pytest

from autograder.pages import feedback
from autograder.record import WORDS, verdict

EVIL = '<script>alert(1)</script><img src=x onerror="alert(1)">&'
CRITERIA = [
    {"name": EVIL, "score": 1.0, "max_score": 1.0, "passed": True, "message": ""},
    {"name": "b", "score": 0.0, "max_score": 2.0, "passed": False, "message": EVIL},
]


class Elements(HTMLParser):
    """Collects elements, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize("word", WORDS)
def test_each_verdict_has_a_colour_a_sign_and_words(word):
    html = feedback.verdict_block(verdict("x", 1.0, 3.0, word, EVIL, CRITERIA))
    found = Elements(html)
    assert not {"script", "img", "iframe", "a"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    colour, sign, words = feedback.SEEN_AS[word]
    text = "".join(found.texts)
    assert sign in text and words in text and "1 / 3 points" in text and EVIL in text
    assert f"fb-{colour}" in feedback.STYLE.read_text()


def test_signs_of_verdicts_that_differ_in_colour_only_by_accident_differ():
    right, partial, wrong = (feedback.SEEN_AS[word] for word in ("pass", "partial", "fail"))
    assert len({right[1], partial[1], wrong[1]}) == 3


def test_code_in_a_message_is_set_as_code_and_stays_inert():
    assert feedback.text("`a<b` and\nmore") == "<code>a&lt;b</code> and<br>more"


def test_the_summary_links_each_exercise_and_adds_up():
    rows = [
        ("One", verdict("x", 1.0, 3.0, "partial", "m")),
        ("", verdict("y", 2.0, 2.0, "pass", "m")),
        ("T", verdict("z", 0.0, 1.0, "manual", "m") | {"kind": "task", "pending": True}),
    ]
    html = feedback.summary("ps2", rows)
    links = [value for name, value in Elements(html).attributes if name == "href"]
    assert links == ["#x", "#y", "#comment-z"]
    assert "3 / 6" in html and "A person will grade this" in html


def test_a_style_sheet_without_a_network():
    style = feedback.STYLE.read_text()
    assert "url(" not in style and "@import" not in style and "\n\n" not in style


def test_a_page_for_a_file_that_is_no_notebook():
    found = Elements(feedback.unreadable_page("ps2", EVIL))
    assert "script" not in found.tags and "img" not in found.tags
    assert EVIL in "".join(found.texts)
