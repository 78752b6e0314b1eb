"""What students see of a verdict: small pieces of HTML that hold no script and need no network."""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_output

from autograder.record import Verdict, points

SEEN_AS = {
    "pass": ("good", "✓", "Right"),
    "partial": ("part", "◐", "Partly right"),
    "fail": ("bad", "✗", "Not right yet"),
    "blank": ("wait", "○", "Not attempted"),
    "error": ("bad", "!", "Stopped with an error"),
    "timeout": ("bad", "!", "Out of time"),
    "memory": ("bad", "!", "Out of memory"),
    "tampered": ("bad", "?", "A person has to look"),
    "manual": ("wait", "✎", "Graded by a person"),
    "grader_error": ("wait", "?", "The grader failed"),
}
"""For each verdict: its colour, its sign, and its words."""

STYLE = Path(__file__).with_name("feedback.css")

NARROW_TOO = '<meta name="viewport" content="width=device-width, initial-scale=1">'
"""By which a phone lays a page out in its own width, not in a desktop's."""


def text(message: str) -> str:
    """A message as HTML: escaped, with `code` set as code and lines kept."""
    marked = re.sub(r"`([^`\n]+)`", r"<code>\1</code>", escape(message))
    return marked.replace("\n", "<br>")


def verdict_block(verdict: Verdict) -> str:
    """One exercise's score, message and criteria."""
    colour, sign, words = SEEN_AS[verdict["verdict"]]
    if verdict.get("pending"):
        words = "A person will grade this"
    by_hand = " (set by your instructor)" if verdict.get("changed_by_hand") else ""
    criteria = "".join(_criterion(part, verdict["message"]) for part in verdict["criteria"])
    return (
        f'<div class="fb fb-block fb-{colour} tex2jax_ignore"><div class="fb-head">'
        f'<span><span class="fb-sign" aria-hidden="true">{sign}</span> {words}</span>'
        f'<span class="fb-points">{_score(verdict)} points{by_hand}</span></div>'
        f'<p class="fb-message">{text(verdict["message"])}</p>'
        + (f'<ul class="fb-criteria">{criteria}</ul>' if len(verdict["criteria"]) > 1 else "")
        + "</div>"
    )


def _criterion(criterion: dict, said_above: str) -> str:
    colour, sign, said = ("good", "✓", "met") if criterion["passed"] else ("bad", "✗", "not met")
    why = criterion.get("message", "")
    why = "" if why in said_above else why
    return (
        f'<li class="fb-{colour}">'
        f'<span class="fb-sign" role="img" aria-label="{said}">{sign}</span>'
        f"<span>{text(criterion['name'])}"
        + (f'<br><span class="fb-why">{text(why)}</span>' if why else "")
        + f'</span><span class="fb-points">{_score(criterion)}</span></li>'
    )


def _score(scored: dict) -> str:
    return f"{points(scored['score'])} / {points(scored['max_score'])}"


def verdict_output(verdict: Verdict) -> NotebookNode:
    """The block as a cell's output, with plain text for who cannot show HTML."""
    plain = f"{SEEN_AS[verdict['verdict']][2]}: {_score(verdict)} points. {verdict['message']}"
    data = {"text/html": verdict_block(verdict), "text/plain": plain}
    return new_output("display_data", data=data)


def summary(assignment: str, rows: Sequence[tuple[str, Verdict]]) -> str:
    """The page's opening: a table of all exercises, each with a link to its place.

    Args:
        assignment: its name.
        rows: for each exercise the heading it stands under, and its verdict.
    """
    body = "".join(_row(title, verdict) for title, verdict in rows)
    total = sum(verdict["score"] for _, verdict in rows)
    most = sum(verdict["max_score"] for _, verdict in rows)
    return (
        # nbgrader's template has a head without it, and browsers look for it here, too.
        f"{NARROW_TOO}<style>\n{STYLE.read_text()}</style>\n\n"
        f'<div class="fb tex2jax_ignore"><h1>Feedback on {escape(assignment)}</h1>'
        '<table class="fb-summary"><thead><tr><th scope="col">Exercise</th>'
        '<th scope="col">Outcome</th><th scope="col" class="fb-points">Points</th></tr></thead>'
        f"<tbody>{body}</tbody><tfoot><tr><td>All</td><td></td>"
        f'<td class="fb-points">{points(total)} / {points(most)}</td></tr></tfoot></table></div>'
    )


def _row(title: str, verdict: Verdict) -> str:
    colour, sign, words = SEEN_AS[verdict["verdict"]]
    if verdict.get("pending"):
        words = "A person will grade this"
    id = escape(verdict["id"])
    # nbgrader's page has an anchor of this name where something is graded, but for tasks.
    place = f"comment-{id}" if verdict.get("kind") == "task" else id
    return (
        f'<tr><td><a href="#{place}">{text(title) or id}</a> <span class="fb-id">{id}</span></td>'
        f'<td class="fb-{colour}">'
        f'<span class="fb-sign" aria-hidden="true">{sign}</span> {words}</td>'
        f'<td class="fb-points">{_score(verdict)}</td></tr>'
    )


def unreadable_page(assignment: str, message: str) -> str:
    """A page for a submission that is no notebook."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"{NARROW_TOO}<title>{escape(assignment)}</title><style>\n{STYLE.read_text()}</style></head>"
        '<body class="fb" style="max-width: 52em; margin: 2em auto; padding: 0 1em">'
        f"<h1>Feedback on {escape(assignment)}</h1>"
        '<div class="fb-block fb-bad"><div class="fb-head"><span><span class="fb-sign">!</span> '
        'Your file could not be read</span><span class="fb-points">0 points</span></div>'
        f'<p class="fb-message">{text(message)}</p>'
        '<p class="fb-message">Open your notebook in Colab or Jupyter, choose <i>File → Download '
        "→ .ipynb</i>, and hand in that file.</p></div></body></html>\n"
    )
