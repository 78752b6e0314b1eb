"""What helps a student to learn: hints at every exercise, and pictures of what is right."""

import re

from vae_course.authoring.assignment import MACHINE
from vae_course.authoring.notebook import Json
from vae_course.authoring.pictures import missing_pictures
from vae_course.authoring.subject import Finding, Subject

_HOW = "write <details>, <summary>Hint 1: what it is about</summary>, an empty line, the hint"
_TAG = re.compile(r"</?(?:details|summary)>")
_HINT = re.compile(r"<summary>[^<]*\bhint\b", re.IGNORECASE)
_FENCED = re.compile(r"^(```+|~~~+).*?^\1\s*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def check_pictures(subject: Subject) -> list[Finding]:
    """Every picture that the text names is there, and every picture has words."""
    found = [subject.finding("(pictures)", line) for line in missing_pictures(subject.assignment)]
    for cell in subject.release["cells"]:
        if cell["cell_type"] == "markdown" and "![](" in cell["source"]:
            found.append(subject.finding(cell, "shows a picture without words: ![what is seen]("))
    return found


def check_hints(subject: Subject) -> list[Finding]:
    """Every exercise that is graded by code has a hint, and whatever is folded can be unfolded."""
    found = []
    hinted = False
    exercises = {e.id for e in subject.assignment.exercises if e.kind == MACHINE}
    for cell in subject.release["cells"]:
        if cell["cell_type"] == "markdown":
            hinted = hinted or bool(_HINT.search(cell["source"]))
            found += [subject.finding(cell, said) for said in unfoldable(cell["source"])]
        elif cell["id"] in exercises:  # its grade cell
            if not hinted:
                found.append(subject.finding(cell, f"no folded hint stands above; {_HOW}"))
            hinted = False
    return found


def unfoldable(markdown: str) -> list[str]:
    """What is wrong with the folded parts of a piece of Markdown, in words."""
    text = _FENCED.sub("", markdown)
    tags = _TAG.findall(text)
    depth = 0
    for before, tag in zip(["", *tags], tags, strict=False):
        depth += {"<details>": 1, "</details>": -1}.get(tag, 0)
        if depth < 0 or (before == "<details>") != (tag == "<summary>"):
            return [f"{tag} after {before or 'nothing'}: write <details><summary>...</summary>"]
        if (before == "<summary>") != (tag == "</summary>"):
            return [f"{tag} after {before or 'nothing'}: close each <summary>"]
    if depth:
        return [f"{depth} <details> without </details>: what follows would be folded away"]
    for rest in re.split("</summary>", text)[1:]:
        if rest.splitlines()[0:2] not in (["", ""], [""]):
            return ["an empty line is missing after </summary>: Markdown would show as typed"]
    return []


def folds(cells: list[Json]) -> int:
    """How many parts are folded."""
    return sum(cell["source"].count("<summary>") for cell in cells)
