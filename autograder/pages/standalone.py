"""Pages for instructors that open from disk: one file, with nothing in it to load or to run."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from autograder.pages import charts, feedback
from autograder.record import points

FOLDER = Path(__file__).parent


def standalone(
    template: str,
    styles: Iterable[str] = (),
    filters: Mapping[str, Callable] = MappingProxyType({}),
    **values: Any,
) -> str:
    """A page from a template that extends standalone.html.j2; what it is given is escaped.

    Args:
        template: its file beside this one.
        styles: files beside this one, after those that all pages have.
        filters: of the template, beside `points`, `number` and `marked`.
        values: what it shows.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # `marked` escapes by itself.
    environment.filters |= {"points": points, "number": charts.number, "marked": feedback.text}
    environment.filters |= filters
    environment.globals["counted"] = counted
    style = "".join((FOLDER / name).read_text() for name in ("standalone.css", *styles))
    html = environment.get_template(template).render(style=style, **values)
    return html.encode(errors="replace").decode()  # a folder's name need not be Unicode


def counted(count: int, thing: str) -> str:
    """A number of things: 1 student, 2 students."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
