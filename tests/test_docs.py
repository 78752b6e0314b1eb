"""The handbook: it makes a site, its links lead somewhere, and no command in it is gone."""

import functools
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import typer
from markdown_it import MarkdownIt
from markdown_it.token import Token
from traitlets.config import Application, Config, Configurable

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHELLS = {"bash", "console"}

page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)


# Reading pages.


def tokens(text: str) -> Iterator[Token]:
    """All tokens of a page, those inside paragraphs too."""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield token
        yield from token.children or ()


def links(text: str) -> list[str]:
    """Where a page's links and pictures lead."""
    found = (token.attrs.get("href") or token.attrs.get("src") for token in tokens(text))
    return [unquote(str(link)) for link in found if link]


def anchors(text: str) -> set[str]:
    """The headings of a page, as git hosts and MyST make anchors of them."""
    parsed = list(tokens(text))
    titles = [parsed[at + 1] for at, token in enumerate(parsed) if token.type == "heading_open"]
    words = ("".join(part.content for part in title.children or ()) for title in titles)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in words}


def blocks(text: str, languages: set[str]) -> Iterator[str]:
    """What stands between fences of some languages."""
    for token in tokens(text):
        if token.type == "fence" and token.info.strip() in languages:
            yield token.content


def typed_lines(block: str) -> Iterator[str]:
    """What a reader types of a block: what follows a prompt, or all of it where there is none."""
    lines = block.replace("\\\n", " ").splitlines()
    prompted = [line[2:] for line in lines if line.startswith("$ ")]
    yield from prompted or lines


def commands(text: str) -> Iterator[tuple[list[str], bool]]:
    """The command lines of a page, in words, and whether they are whole or only spoken of."""
    whole = [line for block in blocks(text, SHELLS) for line in typed_lines(block)]
    spoken = [token.content for token in tokens(text) if token.type == "code_inline"]
    for lines, is_whole in ((whole, True), (spoken, False)):
        for line in lines:
            for words in simple_commands(line):
                if words[0] in CHECKERS and (is_whole or len(words) > 1):
                    yield words, is_whole


def simple_commands(line: str) -> Iterator[list[str]]:
    """The commands that a line joins with `&&`, `|` and the like, without settings before them."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        parts = list(lexer)
    except ValueError:  # a quotation mark of prose
        return
    for is_word, group in groupby(parts, lambda part: not set(part) <= set("();<>|&")):
        words = [word for word in group if not re.match(r"[A-Z_]+=", word)]
        if is_word and words:
            yield [words[0].rpartition("/")[2], *words[1:]]


# What is wrong with a command; "" if nothing is.


def typer_problem(app: typer.Typer, words: list[str], is_whole: bool) -> str:
    command = typer.main.get_command(app)
    name, *arguments = words[1:] or [""]
    if name not in command.commands:
        return f"there is no command {name}"
    try:
        command.commands[name].make_context(name, arguments)
    except Exception as error:  # Typer brings its own Click, or uses the other, by its version
        is_unsaid = type(error).__name__ == "MissingParameter" and not is_whole
        return "" if is_unsaid else repr(error)
    return ""


def ours_problem(words: list[str], is_whole: bool) -> str:
    from autograder import cli as autograder
    from vae_course import cli as vae_course

    apps = {"autograder": autograder.app, "vae-course": vae_course.app}
    return typer_problem(apps[words[0]], words, is_whole)


def nbgrader_problem(words: list[str], is_whole: bool) -> str:
    from nbgrader.apps.nbgraderapp import NbGraderApp

    app: Application = NbGraderApp()
    rest = words[1:]
    while app.subcommands:
        name = rest.pop(0) if rest else ""
        if name not in app.subcommands:
            return f"there is no command {name}"
        app = app.subcommands[name][0]()
    known = {name for key in (*app.flags, *app.aliases) for name in names_of(key)}
    traits = {f"{section}.{name}" for section, names in settings().items() for name in names}
    given = [word.lstrip("-").partition("=")[0] for word in rest if word.startswith("-")]
    return "".join(f"there is no option {one} " for one in given if one not in known | traits)


@functools.cache
def settings() -> dict[str, set[str]]:
    """What can be set in nbgrader_config.py: names, by section."""
    from nbgrader.apps.nbgraderapp import NbGraderApp
    from nbgrader.exchange import default

    from autograder.collection.plugins import CanvasCollector, MoodleCollector
    from autograder.late_days import LateDays

    exchange = [getattr(default, name) for name in default.__all__]
    classes = [*NbGraderApp().classes, *exchange, CanvasCollector, MoodleCollector, LateDays]
    found: dict[str, set[str]] = {}
    for one in (base for made in classes for base in made.mro()):
        if issubclass(one, Configurable):
            found.setdefault(one.__name__, set()).update(one.class_trait_names(config=True))
    return found


def names_of(key: str | tuple[str, ...]) -> tuple[str, ...]:
    return (key,) if isinstance(key, str) else key


def make_problem(words: list[str], is_whole: bool) -> str:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return "".join(f"there is no target {one} " for one in words[1:] if one not in targets)


CHECKERS: dict[str, Callable[[list[str], bool], str]] = {
    "autograder": ours_problem,
    "vae-course": ours_problem,
    "nbgrader": nbgrader_problem,
    "make": make_problem,
}


# The pages.


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, made as `make docs` makes it."""
    (recipe,) = re.findall(r"sphinx-build (.*) docs build/docs$", makefile(), re.MULTILINE)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", *recipe.split(), str(ROOT / "docs"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def makefile() -> str:
    return (ROOT / "Makefile").read_text()


def test_the_handbook_makes_a_site_without_a_warning(site):
    made = {path.stem for path in site.glob("*.html")}
    assert {path.stem for path in PAGES[1:]} <= made and "search" in made


def test_the_site_loads_nothing_from_elsewhere(site):
    """It opens from disk, and tells nobody who reads it."""
    loads = r"(?:<(?:script|img|iframe|source)\b[^>]*\bsrc=|<link\b[^>]*\bhref=|@import|url\()"
    for path in [*site.glob("*.html"), *site.rglob("*.css")]:
        for found in re.finditer(loads + r"\s*[\"']?(?P<where>[^\"' >)]*)", path.read_text()):
            assert not re.match(r"(\w+:)?//", found["where"]), f"{path.name}: {found[0]}"


def test_every_page_can_be_reached_from_the_first():
    reached, waiting = set(), [ROOT / "docs" / "index.md"]
    while waiting:
        path = waiting.pop()
        reached.add(path)
        targets = (path.parent / link.partition("#")[0] for link in links(path.read_text()))
        waiting += [found for one in targets if (found := one.resolve()) in PAGES[1:]]
        waiting = [one for one in waiting if one not in reached]
    assert reached == set(PAGES[1:])


@page
def test_links_lead_to_files_and_headings(path):
    for link in links(path.read_text()):
        where = urlsplit(link)
        if where.scheme or where.netloc:
            continue
        target = (path.parent / where.path).resolve() if where.path else path
        assert target.exists(), f"{path.name}: {link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{path.name}: {link} leads out of the project"
        if where.fragment:
            assert where.fragment in anchors(target.read_text()), f"{path.name}: no heading {link}"


@page
def test_links_to_other_sites_are_well_formed(path):
    for link in links(path.read_text()):
        where = urlsplit(link)
        if where.scheme or where.netloc:
            assert where.scheme == "https" and not re.search(r"\s", link), link
            assert re.fullmatch(r"[\w-]+(\.[\w-]+)+", where.netloc), link


@page
def test_commands_parse(path):
    """A handbook that names an option which is gone costs its reader an evening."""
    for words, is_whole in commands(path.read_text()):
        problem = CHECKERS[words[0]](words, is_whole)
        assert not problem, f"{path.name}: `{shlex.join(words)}`: {problem}"


@page
def test_configurations_set_what_exists(path):
    """Blocks of Python that begin with a configuration `c` are lines for nbgrader_config.py."""
    from autograder import nbgrader_plugin

    for block in blocks(path.read_text(), {"python"}):
        tree = compile(block, path.name, "exec")
        if not re.search(r"^c\.", block, re.MULTILINE):
            continue
        config = Config()
        exec(tree, {"c": config, "nbgrader_plugin": nbgrader_plugin})
        for section, given in config.items():
            unknown = set(given) - settings().get(section, set())
            assert not unknown, f"{path.name}: {section} has no {unknown}"


def test_the_handbook_shows_every_command():
    from autograder import cli as autograder
    from vae_course import cli as vae_course

    shown = {tuple(words[:2]) for path in PAGES for words, _ in commands(path.read_text())}
    for program, app in (("autograder", autograder.app), ("vae-course", vae_course.app)):
        missing = {
            name for name in typer.main.get_command(app).commands if (program, name) not in shown
        }
        assert not missing, f"{program}: the handbook does not show {sorted(missing)}"


def test_the_calendar_has_the_points_of_the_assignments():
    from vae_course.authoring.assignment import MACHINE, list_assignments, load_assignment

    text = (ROOT / "docs" / "calendar.md").read_text()
    row = r"^\| `(ps\d)` \|.*\| ([\d.]+) points \| ([\d.]+) points \| (\d+) \|$"
    rows = re.findall(row, text, re.MULTILINE)
    said = {name: [float(number) for number in numbers] for name, *numbers in rows}
    expected = {}
    for name in list_assignments():
        found = load_assignment(name)
        machine = found.points(MACHINE)
        read = [one for one in found.exercises if one.rubric]
        expected[name] = [machine, found.max_score - machine, len(read)]
    assert said == expected


# The checks themselves.


@pytest.mark.parametrize(
    "line",
    [
        "autograder grade",
        "autograder grade ps2 --frist 3",
        "autograder mark ps2",
        "autograder export ps2 --format excel",
        "autograder grade ps2 --jobs many",
        "vae-course bundle --upto",
        "nbgrader zip_collcet ps2",
        "nbgrader collect ps2 --updaet",
        "nbgrader collect ps2 --Exchange.rooot=/srv",
        "nbgrader db student bake",
        "make cake",
        "cd course && PYTHONPATH=. .venv/bin/autograder bake | less",
    ],
)
def test_a_command_that_is_gone_is_found(line):
    (found,) = commands(f"```bash\n{line}\n```\n")
    assert CHECKERS[found[0][0]](*found)


@pytest.mark.parametrize(
    "line",
    [
        "autograder grade ps2 --student ada --seed 5",
        "OMP_NUM_THREADS=1 .venv/bin/vae-course build --check  # exits 1 if stale",
        "nbgrader zip_collect ps2 --collector=autograder.collection.plugins.CanvasCollector",
        "nbgrader db student import students.csv",
        "nbgrader collect ps2 --Exchange.root=/srv --update",
        "make test",
    ],
)
def test_a_command_that_is_there_is_not(line):
    (found,) = commands(f"```console\n$ {line}\nand its output\n```\n")
    assert not CHECKERS[found[0][0]](*found)


def test_links_and_headings_are_read():
    text = "# Of `one` thing, and two!\n\n[a](b.md#c) ![p](q%20r.png) <https://x.org>\n"
    assert links(text) == ["b.md#c", "q r.png", "https://x.org"]
    assert anchors(text) == {"of-one-thing-and-two"}
