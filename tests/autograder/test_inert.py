"""Whatever a student writes, a page shows it, and does nothing else."""

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell

from autograder import inert
from autograder.record import VERDICT_MIME

PIXEL = "iVBORw0KGgo="
SCRIPT = "<script>alert(1)</script>"
EVIL = f'{SCRIPT}<img src=x onerror="alert(1)">&'
ACTIVE = {"script", "style", "iframe", "object", "embed", "form", "input", "svg", "math", "link"}


class Parts(HTMLParser):
    """What a browser finds in a page: tags, attributes and texts."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.texts = [], [], []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        self.text = "".join(self.texts)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in ("br", "hr", "img", "col"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes what is not its own"

    def handle_data(self, data):
        self.texts.append(data)

    def values(self, name: str) -> list[str]:
        return [value for _, found, value in self.attributes if found == name]

    def assert_inert(self) -> None:
        assert not ACTIVE & set(self.tags)
        for _, name, value in self.attributes:
            assert not name.startswith("on") and name not in ("id", "name", "srcdoc", "action")
            if name == "href":
                assert re.match(r"https?://|mailto:", value)
            if name == "src":
                assert re.match(r"data:image/(png|jpeg|gif|webp);base64,|\w[\w ./-]*$", value)
        assert not re.search(r"\\(href|require|style|class|cssId|unicode|bbox|mmlToken)", self.text)


def parts(source: str, prose: frozenset[str] = frozenset(), **cell) -> Parts:
    return Parts(inert.markdown({"resources": {"prose": prose}, "cell": cell}, source))


@pytest.mark.parametrize(
    "evil",
    [
        EVIL,
        "<svg/onload=alert(1)>",
        "<details open ontoggle=alert(1)>x</details>",
        "<<img src=x onerror=alert(1)>",
        "<\nimg src=x onerror=alert(1)>",
        '<math><mi//xlink:href="data:x,<script>alert(4)</script>">',
        "</div></td></table></body><b>",
        "<!-- --!> <script>1</script> -->",
        "<![CDATA[<script>1</script>]]> <?php <script>1</script> ?>",
        "<noscript><p title='</noscript><script>1</script>'></noscript>",
        "<style>body{background:url(//evil.example)}</style>",
        '<p style="position:fixed;background:url(//evil.example)" class="score" id="tiny_q">x</p>',
        '<input class="score" id="tiny_q"><textarea></textarea><form action="javascript:1">',
        "<iframe srcdoc='&lt;script&gt;1&lt;/script&gt;'></iframe><base href=//evil.example>",
        "[x](javascript:alert(1))",
        "[x](&#106;avascript:alert(1)) [y]( JaVa\tscript:alert(1)) [z](java&Tab;script:alert(1))",
        "[x][y]\n\n[y]: javascript:alert(1)",
        "<javascript:alert(1)>",
        "[x](data:text/html,<script>1</script>) [y](vbscript:1) [z](//evil.example) [w](evil.html)",
        '<a href="&#x01;javascript:alert(1)">x</a> <a href="blob:x">y</a>',
        "![x](https://evil.example/beacon) ![y](//evil.example) ![z](javascript:alert(1))",
        '<img src="https://evil.example/beacon" srcset="//evil.example 2x">',
        "![x](../../logout.png) ![y](a/%2e%2e/%2e%2e/logout.png) ![z](/logout.png)",
        "![x](data:image/svg+xml;base64,PHN2Zz4=) ![y](data:text/html;base64,PHN2Zz4=)",
        "![x](attachment:no.png)",
        f"`` ` ``{SCRIPT}\n\n$x<${SCRIPT}$\n\n```html\n```\n{SCRIPT}",
        f"$$\n</script>{SCRIPT}\n$$\n\n\\begin{{x}}{SCRIPT}\\end{{x}}",
        f"| a | b |\n|-|-|\n| {SCRIPT} | [x](javascript:1) |",
        f'```mermaid\n{SCRIPT}\n```\n\n```x"><script>\n1\n```\n\n# h" onclick=1 {SCRIPT}',
        r"$\href{javascript:alert(1)}{x}$ $$\require{html}\style{x}{y}$$ \(\class{a}{b}\)",
        r"\begin{align}\cssId{tiny_q}{x}\unicode{65}\bbox[red]{x}\mmlToken{mi}{x}\end{align}",
        r"$\&#104;ref{javascript:1}{x}$ $\hr<!-- -->ef{1}{x}$ &bsol;href{1}{2} $\hr<b></b>ef$",
    ],
)
def test_what_could_run_or_load_does_not(evil):
    found = parts(evil)
    found.assert_inert()
    assert found.open == []  # so that what follows is not in its hands


@given(st.lists(st.sampled_from([*EVIL, *"[](){}<>!#$`*_~|\\&;:-= \n\t/'\"", "a", "src=", "<b>"])))
def test_no_mixture_of_signs_runs_anything(signs):
    parts("".join(signs)).assert_inert()


def test_an_answer_in_words_is_shown_as_it_was_meant():
    found = parts(
        "# A title\n\nSome *words*, a `List<int>`, 1 < 2 and List<int>.\n\n- one\n- two\n\n"
        "| a | b |\n|:-|-:|\n| 1 | $x_1 < y$ |\n\n```python\ndef f(x):\n    return x\n```\n\n"
        "$$\\frac{a}{b}$$\n\n- [x] done\n\n[paper](https://arxiv.org/abs/1312.6114) "
        "<https://pytorch.org>\n\n<details><summary>more</summary>hidden</details>"
    )
    assert {"h1", "em", "code", "ul", "li", "table", "td", "pre", "details"} <= set(found.tags)
    for text in ("List<int>.", "1 < 2", "$x_1 < y$", "$$\\frac{a}{b}$$", "☑ done"):
        assert text in found.text
    assert found.values("href") == ["https://arxiv.org/abs/1312.6114", "https://pytorch.org"]
    assert "text-align:right;" in found.values("style") and "k" in found.values("class")


def test_pictures_are_shown_that_come_with_the_notebook_and_others_are_links():
    attached = {"a.png": {"image/png": PIXEL}, "b.svg": {"image/svg+xml": PIXEL}}
    source = (
        f"![one](attachment:a.png) ![two](data:image/jpeg;base64,{PIXEL}) ![three](plots/loss.png)"
        "\n\n![four](attachment:b.svg) ![five](https://elsewhere.example/a.png)"
    )
    found = parts(source, attachments=attached)
    data = [f"data:image/png;base64,{PIXEL}", f"data:image/jpeg;base64,{PIXEL}", "plots/loss.png"]
    assert found.values("src") == data
    assert found.values("alt") == ["one", "two", "three"] and "four" in found.text
    assert found.values("href") == ["https://elsewhere.example/a.png"]


@pytest.mark.parametrize(
    "attachments",
    [
        {"a": {'image/png" onerror="alert(1)': PIXEL}},
        {"a": {"image/png": f'{PIXEL}" onerror="alert(1)'}},
        {"a": {"text/html": PIXEL}},
        {"a": {"image/png": ["x"]}},
        {"a": "no media"},
        "no attachments",
    ],
)
def test_attachments_that_are_no_pictures_are_words(attachments):
    found = parts("![words](attachment:a)", attachments=attachments)
    assert found.text.strip() == "words" and "img" not in found.tags
    assert inert.pictures(attachments) == {}


def test_what_the_instructor_wrote_is_shown_as_it_is():
    prose = (
        '<img src="https://course.example/fig.png"> $\\href{https://a.example}{x}$ <b id="x">b</b>'
    )
    found = parts(prose, prose=frozenset([prose]))
    assert found.values("src") == ["https://course.example/fig.png"] and found.values("id") == ["x"]
    assert "\\href" in found.text


def test_a_picture_that_was_taken_out_of_the_instructor_s_cell_is_words():
    prose = "![a plot](attachment:plot.png)"
    assert parts(prose, prose=frozenset([prose])).text.strip() == "a plot"


def test_what_is_long_or_makes_the_parser_fail_is_shown_as_text():
    for source in ("*" * 20_000, SCRIPT * 1000, "> " * 4000):
        found = parts(source)
        found.assert_inert()
        assert len(found.text) >= len(source) / 3


@pytest.mark.parametrize(
    "slow",
    ["# a" + " " * 200_000 + "b", "[" * 20_000 + "*a_" * 10_000, "\\\\(" * 3000, "<b>" * 3000,
     "\\begin{a}" * 1000, f"![x](data:image/png;base64,{'A' * 3_000_000})"],
)  # fmt: skip
def test_no_markdown_takes_long(slow):
    start = time.process_time()
    parts(slow)
    assert time.process_time() - start < 10  # some took minutes


@pytest.mark.parametrize("slow", ["<b><p>", "<a><p>", "<font><i><div>", "<table><b>"])
def test_no_html_takes_long(slow):
    context = {"resources": {}}
    start = time.process_time()
    for _ in range(5):
        Parts(inert.raw(context, slow * (9000 // len(slow)))).assert_inert()
    assert inert.raw(context, slow * 10_000).startswith("<pre>")
    assert time.process_time() - start < 15


def test_a_page_of_many_slow_cells_does_not_take_long():
    context = {"resources": {}, "cell": {}}
    start = time.process_time()
    shown = [inert.markdown(context, "\\\\(" * 1000) for _ in range(300)]
    assert time.process_time() - start < 20
    assert shown[0].startswith("<p>") and shown[-1].startswith("<pre>")


@pytest.mark.parametrize("slow", ["." * 100_000, ("." * 1000 + "\n") * 900, "x" * 2_000_000])
def test_no_code_takes_long(slow):
    context = {"resources": {}, "nb": new_notebook()}
    start = time.process_time()
    for _ in range(30):
        assert Parts(inert.code(context, slow)).text.strip("\n") == slow.strip("\n")
    parts(f"```python\n{slow[:9000]}\n```").assert_inert()
    assert time.process_time() - start < 20  # the first takes some minutes to colour


def test_code_is_coloured_in_its_language():
    python = {"resources": {}, "nb": new_notebook()}
    other = {"resources": {}, "nb": new_notebook(metadata={"language_info": {"name": "r"}})}
    assert "k" in Parts(inert.code(python, "def f(): ...")).values("class")
    assert "k" not in Parts(inert.code(other, "def f(): ...")).values("class")


def test_only_pictures_and_text_are_left_of_outputs():
    data = {
        "text/html": EVIL,
        "application/javascript": "x",
        "image/png": "p",
        "text/plain": "t",
        "text/latex": r"$\href{javascript:alert(1)}{x} + \frac{1}{2}$",
        "application/vnd.jupyter.widget-view+json": {},
        VERDICT_MIME: {"id": "x"},
    }
    words = {"text/html": {"isolated": True}, "image/png": {"alt": "words", "width": "1 onload=1"}}
    shown = new_output("display_data", data=data, metadata=words)
    only_html = new_output("display_data", data={"text/html": EVIL})
    cell = new_code_cell("1", outputs=[shown, only_html], metadata={"tags": ["x"], "nbgrader": {}})
    cell.execution_count = "<script>"
    inert.make_inert(cell)
    left = cell.outputs[0].data
    assert set(left) == {"image/png", "text/plain", "text/latex", VERDICT_MIME}
    assert left["text/latex"] == r"$\ href{javascript:alert(1)}{x} + \frac{1}{2}$"
    assert list(cell.outputs[1].data) == ["text/plain"]
    assert cell.outputs[0].metadata == {"image/png": {"alt": "words"}}
    assert list(cell.metadata) == ["nbgrader"] and cell.execution_count is None


def test_a_page_made_with_these_steps_is_inert():
    from nbconvert.exporters import HTMLExporter
    from traitlets.config import Config

    from autograder.nbgrader_plugin import configure

    config = Config()
    configure(config)
    config.HTMLExporter.template_name = "classic"
    bad = f'x"></div>{SCRIPT}'
    shown = new_output("display_data", data={"text/html": SCRIPT, "image/svg+xml": SCRIPT})
    cells = [
        new_markdown_cell(SCRIPT, metadata={"tags": [bad]}),
        new_raw_cell(f"{SCRIPT}<img src=x onerror=alert(1)>"),
        new_code_cell(SCRIPT, outputs=[shown], metadata={"magics_language": bad, "tags": [bad]}),
    ]
    state = {"application/vnd.jupyter.widget-state+json": {"state": {"x": bad}}}
    kernel = {"name": bad, "display_name": bad, "language": bad}
    metadata = {
        "title": bad,
        "kernelspec": kernel,
        "language_info": {"name": bad},
        "widgets": state,
    }
    empty = new_notebook(metadata={"language_info": {"name": "python"}})

    def page_of(notebook: NotebookNode) -> str:
        return HTMLExporter(config=config).from_notebook_node(notebook)[0]

    page = page_of(new_notebook(cells=cells, metadata=metadata))
    assert page.count("<script") == page_of(empty).count("<script")
    assert "onerror" not in page and "data:image/svg+xml" in page
