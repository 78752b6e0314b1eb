"""What a student wrote, as a page may show it: nothing in it runs, loads, or leads astray.

nbgrader's two kinds of pages, feedback and the formgrader's, are made by nbconvert's HTMLExporter.
`configure` gives it a step before, `InertPage`, and filters, `FILTERS`: what they let through is
named here, tag by tag, and is judged as HTML, once Markdown has become that.
"""

import re
from collections.abc import Container, Mapping, MutableMapping
from html import escape, unescape
from typing import Any

from bleach.css_sanitizer import CSSSanitizer
from bleach.sanitizer import Cleaner
from jinja2 import pass_context
from jinja2.runtime import Context
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode
from traitlets import Bool

from autograder.notebooks import Cell
from autograder.record import VERDICT_MIME

SHOWN_MEDIA = ("image/png", "image/jpeg", "image/svg+xml", "text/latex", "text/plain")
"""What is kept of a student's outputs: pictures, which run nothing, and text."""

ROOM = {"markdown": (10_000, 100_000), "code": (50_000, 300_000)}
"""Characters of a cell, and of all cells of a page, that are read as Markdown or coloured as code.
What is beyond is shown as the text it is: some texts take a parser a time that grows with the
square of their length."""

LONGEST_LINE = 1000
"""Of code that is coloured, for the same reason."""

_TAGS = frozenset(
    """
    a abbr b blockquote br caption center cite code col colgroup dd del details dfn div dl dt em
    figcaption figure font h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span
    strike strong sub summary sup table tbody td tfoot th thead tr tt u ul var
    """.split()
)
_HARMLESS = frozenset(
    "align alt colspan dir height lang open rowspan scope start style title width".split()
)
_LINK = re.compile(r"(https?://|mailto:)[^\s\x00-\x1f]+", re.IGNORECASE)
_EMBEDDED = r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}"
_PICTURE = re.compile(rf"{_EMBEDDED}|(?!.*\.\.)\w[\w ./-]*\.(png|jpe?g|gif|webp)", re.IGNORECASE)
_CLASS = re.compile(r"highlight|[a-z]{1,2}[0-9a-z]?")
"""Of coloured code. Others belong to the page, whose scripts look for them."""

_COMMAND = re.compile(
    r"\\(?=(?:href|require|style|class|cssId|data|unicode|bbox|mmlToken|includegraphics)(?![A-Za-z]))"
)
"""What in a formula is more than a formula."""


def _is_allowed(tag: str, name: str, value: str) -> bool:
    value = unescape(value)
    match tag, name:
        case "a", "href":
            return bool(_LINK.fullmatch(value))
        case "img", "src":
            return bool(_PICTURE.fullmatch(value))
        case (("div" | "span"), "class"):
            return bool(_CLASS.fullmatch(value))
    return name in _HARMLESS


_CLEANER = Cleaner(
    tags=_TAGS,
    attributes=_is_allowed,
    protocols={"http", "https", "mailto", "data"},
    css_sanitizer=CSSSanitizer(allowed_css_properties=["text-align"]),
)


def clean(html: str) -> str:
    """HTML of which nothing runs or loads. A tag that is not allowed is shown as text."""
    # Any letter may come as an entity: only what is free of them can be looked at.
    spelled = re.sub(r"&#?\w+;", lambda found: escape(unescape(found[0])), _CLEANER.clean(html))
    return mathematics(spelled)


def mathematics(text: str) -> str:
    """Text in which MathJax finds formulas, and no command that links, loads or names."""
    return _COMMAND.sub(r"\\ ", text)


class _Renderer(IPythonRenderer):
    """nbconvert's, which gives up a page for a picture that is missing."""

    def __init__(self, attachments: Mapping[str, Mapping[str, str]], **settings: Any) -> None:
        super().__init__(escape=False, attachments=dict(attachments), **settings)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        kind, _, name = url.partition(":")
        if kind == "attachment" and name not in self.attachments:
            return escape(text or name)
        return super().image(text, url, title)


class _CarefulRenderer(_Renderer):
    """For a student's text: with nothing that the page's own parts could be taken for."""

    def block_code(self, code: str, info: str | None = None) -> str:
        return super().block_code(code, info if _has_short_lines(code) else None)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        if url.startswith("attachment:") or _PICTURE.fullmatch(url):
            return super().image(text, url, title)
        return self.link(text or url, url)  # to load it would tell who reads this, and when

    def task_list_item(self, text: str, checked: bool = False) -> str:
        return f"<li>{'☑' if checked else '☐'} {text}</li>\n"


@pass_context
def markdown(context: Context, source: str) -> str:
    """Markdown as HTML, cleaned, but for an instructor's own, which is known by its text.

    A filter of nbconvert's templates, in place of its own. Text that cannot be read as Markdown is
    shown as it is: a page comes out, whatever a student wrote.
    """
    resources = context.get("resources", {})
    attachments = pictures(context.get("cell", {}).get("attachments"))
    if source in resources.get("prose", ()):
        return MarkdownWithMath(renderer=_Renderer(attachments)).render(source)
    source = _aside(source, attachments)
    if not _takes_room(resources, "markdown", len(source)):
        return as_it_is(source)
    renderer = _CarefulRenderer(attachments, exclude_anchor_links=True)
    try:
        return clean(MarkdownWithMath(renderer=renderer).render(source))
    except Exception:  # of a parser that was not made for this
        return as_it_is(source)


@pass_context
def code(
    context: Context,
    source: str,
    language: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """Code as HTML, coloured. A filter, as `markdown`."""
    known = context["nb"].metadata.get("language_info", {})
    language = language or known.get("pygments_lexer") or known.get("name")
    room = _has_short_lines(source) and _takes_room(context["resources"], "code", len(source))
    if not room:
        return f'<div class="highlight">{as_it_is(source)}</div>'
    return Highlight2HTML(pygments_lexer=language)(source, metadata=metadata)


def _has_short_lines(source: str) -> bool:
    return max(map(len, source.split("\n"))) <= LONGEST_LINE


def _takes_room(resources: MutableMapping[str, Any], kind: str, characters: int) -> bool:
    """Whether a page has room for this much more, which is taken."""
    of_cell, of_page = ROOM[kind]
    left = resources.get(f"room for {kind}", of_page)
    if characters > min(of_cell, left):
        return False
    resources[f"room for {kind}"] = left - characters
    return True


@pass_context
def raw(context: Context, html: str | bytes) -> str:
    """HTML, cleaned. A filter, as `markdown`."""
    text = html.decode(errors="replace") if isinstance(html, bytes) else html
    has_room = _takes_room(context["resources"], "markdown", len(text))
    return clean(text) if has_room else as_it_is(text)


FILTERS = {"markdown2html": markdown, "highlight_code": code, "clean_html": raw}
"""In place of nbconvert's of these names."""


def _aside(source: str, attachments: MutableMapping[str, Mapping[str, str]]) -> str:
    """Put pictures that stand in the text among the attachments, as the parser is slow in them.

    So it is in long runs of blanks, which are shortened.
    """

    def attached(found: re.Match[str]) -> str:
        name = f"embedded-{len(attachments)}"
        kind, _, data = found[0].removeprefix("data:").partition(";base64,")
        attachments[name] = {kind: data}
        return f"attachment:{name}"

    return re.sub(r"[ \t]{100,}", " " * 100, re.sub(_EMBEDDED, attached, source))


def as_it_is(text: str) -> str:
    """Text as HTML in which every character stands for itself."""
    return f"<pre>{escape(text)}</pre>"


def pictures(attachments: Any) -> dict[str, dict[str, str]]:
    """The pictures among a cell's attachments, if they have the form of such."""
    found = attachments.items() if isinstance(attachments, dict) else ()
    kept = {name: _embeddable(media) for name, media in found if isinstance(name, str)}
    return {name: media for name, media in kept.items() if media}


def _embeddable(media: Any) -> dict[str, str]:
    found = media.items() if isinstance(media, dict) else ()
    joined = {kind: "".join(data.split()) for kind, data in found if isinstance(data, str)}
    return {
        kind: data
        for kind, data in joined.items()
        if re.fullmatch(_EMBEDDED, f"data:{kind};base64,{data}")
    }


class InertPage(Preprocessor):
    """Makes all cells of a notebook inert, before a page is made of it."""

    enabled = Bool(True).tag(config=True)

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        for cell in nb.cells:
            make_inert(cell)
        nb.metadata = NotebookNode(_language(nb.metadata))
        return nb, resources


def _language(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What code is coloured by, which is all that a page needs of a notebook's metadata."""
    match metadata.get("language_info"):
        case {"name": str(name), "pygments_lexer": str(lexer)}:
            found = {"name": name, "pygments_lexer": lexer}
        case {"name": str(name)}:
            found = {"name": name}
        case _:
            return {}
    is_plain = all(re.fullmatch(r"[\w+#.-]{1,40}", word) for word in found.values())
    return {"language_info": NotebookNode(found)} if is_plain else {}


def make_inert(cell: Cell) -> None:
    """Take out of a cell all that could run or load anything in a browser.

    Its Markdown is left to the filter, which sees the HTML that comes of it.
    """
    known = cell.metadata.get("nbgrader")
    cell.metadata = NotebookNode({"nbgrader": known} if isinstance(known, dict) else {})
    if "attachments" in cell:
        cell.attachments = NotebookNode(pictures(cell.attachments))
    if cell.cell_type == "code" and not isinstance(cell.get("execution_count"), int):
        cell.execution_count = None
    for output in cell.get("outputs", ()):
        if "data" in output:
            _make_inert_output(output)


def _make_inert_output(output: NotebookNode, shown: Container[str] = SHOWN_MEDIA) -> None:
    data = {kind: part for kind, part in output.data.items() if isinstance(part, str)}
    kept = {kind: part for kind, part in data.items() if kind in shown}
    if "text/latex" in kept:
        kept["text/latex"] = mathematics(kept["text/latex"])
    # Of the judge's words something else is made; no page shows them as they are.
    verdict = {VERDICT_MIME: output.data[VERDICT_MIME]} if VERDICT_MIME in output.data else {}
    if not (kept or verdict):
        kept = {"text/plain": "(an output that is not shown here)"}
    output.data = NotebookNode(kept | verdict)
    match output.get("metadata"):
        case {"image/png": {"alt": str(words)}}:
            output.metadata = NotebookNode({"image/png": NotebookNode(alt=words)})
        case _:
            output.metadata = NotebookNode()
