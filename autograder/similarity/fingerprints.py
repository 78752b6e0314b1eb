"""A student's own code as fingerprints, on which names, comments and order leave no trace.

A fingerprint is a run of `LENGTH` words of code. Names that a student may choose are all one word,
so what is left is what the code does. What was handed out is nobody's own.
"""

import ast
import builtins
import io
import keyword
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

from copydetect import CodeFingerprint
from copydetect.utils import get_copied_slices
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode
from pygments.lexers import PythonLexer
from pygments.token import Comment, Name, Punctuation, String, Whitespace
from pygments.token import Text as Blank

from autograder.notebooks import ANSWER, grade_id

LENGTH = 10
"""Words of code in a fingerprint, brackets and operators counted. A shorter run is an idiom that
many write; with a longer one, every little change would hide the code around it."""

EVERY = 1
"""Winnowing's window: each run is kept. Which ones a larger window drops hangs on Python's hashes,
which differ from one process to the next, and a page on people must say the same twice."""

OWN_CELLS = "cells of their own"
"""Stands for an exercise where code is in cells that were not handed out."""

SHORTEST_WORDING = 12
"""Characters of a comment or a text below which two people may well write the same."""

SHORTEST_NAME = 8

MOST_CHARACTERS = 200_000
"""Of a student's own code. Nobody writes as much; comparing it would hold up the class."""

ANY_NAME, ANY_TEXT = "name", "'text'"

_LEXER = PythonLexer(stripnl=False, ensurenl=False)
_FIRST_SIGN = 0xE000  # above the halves of characters
_SIGNS = 0x110000 - _FIRST_SIGN
_BUILTINS = frozenset(dir(builtins)) | frozenset(keyword.kwlist)


Span = tuple[int, int]
"""Where something begins, and where it has ended."""


@dataclass(frozen=True)
class Lexeme:
    """A piece of source, neither blank nor comment: pygments' kind, and where it stands."""

    kind: tuple
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True)
class Word:
    """A lexeme as it is compared, and where it stands in its source."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Chosen:
    """Names that are a student's own to choose, all over a notebook: of attributes and arguments.

    Other names are seen to cell by cell, for a name that is chosen in one may be Python's in
    another.
    """

    attributes: frozenset[str] = frozenset()
    arguments: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Wording:
    """What somebody wrote in words of their own: a "comment", a "text" or a "name"."""

    kind: str
    text: str


@dataclass(frozen=True)
class Piece:
    """A cell with code of a student's own.

    Attributes:
        place: the exercise that it answers, or `OWN_CELLS`.
        source: the cell.
        words: what is compared of it.
        found: its fingerprints; what they know of places is counted in words.
        given: where code stands that was handed out.
        given_texts: where docstrings stand that were handed out.
    """

    place: str
    source: str
    words: tuple[Word, ...]
    found: CodeFingerprint
    given: tuple[Span, ...] = ()
    given_texts: tuple[Span, ...] = ()

    @property
    def own_words(self) -> list[Word]:
        """The words that were not handed out."""
        return [word for word in self.words if not _is_within(word, self.given)]

    def share(self, fingerprints: Iterable[int]) -> float:
        """The share of its own words that stand in some fingerprints."""
        own, spans = self.own_words, self.spans(fingerprints)
        return sum(_is_within(word, spans) for word in own) / len(own) if own else 0.0

    def spans(self, fingerprints: Iterable[int]) -> list[Span]:
        """Where in the source some fingerprints stand, in order."""
        index = self.found.hash_idx
        starts = [start for one in fingerprints for start in index.get(one, ())]
        slices = zip(*get_copied_slices(starts, LENGTH).astype(int).tolist(), strict=True)
        return [(self.words[first].start, self.words[last - 1].end) for first, last in slices]


@dataclass(frozen=True)
class Work:
    """What somebody wrote in an assignment.

    Attributes:
        author: who.
        pieces: the cells with code of their own, in their order.
        fingerprints: of all of them.
        wording: what they wrote in words of their own.
        unparsed: how many of the cells are no Python.
    """

    author: str
    pieces: tuple[Piece, ...]
    fingerprints: frozenset[int]
    wording: frozenset[Wording]
    unparsed: int = 0


class Alphabet:
    """A sign for each word, so that a text of words is a text of signs, as copydetect reads it.

    Beyond a million words two share a sign, which no class comes near.
    """

    def __init__(self) -> None:
        self._signs: dict[str, str] = {}

    def spelled(self, words: Iterable[Word]) -> str:
        signs, new = self._signs, len(self._signs)
        for word in words:
            if word.text not in signs:
                signs[word.text] = chr(_FIRST_SIGN + new % _SIGNS)
                new += 1
        return "".join(signs[word.text] for word in words)


class Handout:
    """What everyone was given, and what is a student's own beside it.

    Args:
        released: the notebooks that students got.
    """

    def __init__(self, released: Iterable[NotebookNode]) -> None:
        cells = [cell for notebook in released for cell in notebook.cells]
        code = [_unix(cell.source) for cell in cells if cell.cell_type == "code"]
        trees = [tree for source in code if (tree := _parsed(source))]
        self.names = frozenset(name for tree in trees for name in _given_names(tree))
        self._methods = frozenset(name for tree in trees for name in _methods(tree))
        self._sources = frozenset(source.strip() for source in code)
        self._text = _flat("\n".join(cell.source for cell in cells))
        self._answers = {
            id: id.removesuffix(ANSWER)
            for cell in cells
            if (id := grade_id(cell)) and cell.metadata.nbgrader.get("solution")
        }
        self._locked = {id for cell in cells if (id := grade_id(cell))} - set(self._answers)
        self._alphabet = Alphabet()
        self._texts, self.fingerprints = frozenset[str](), frozenset[int]()
        self.fingerprints = self.written("", [(OWN_CELLS, source) for source in code]).fingerprints
        self._texts = frozenset(one.text for source in code for one in _docstrings(source))

    @cached_property
    def places(self) -> tuple[str, ...]:
        """Where code of a student's own may stand, in the order of the assignment."""
        return (*self._answers.values(), OWN_CELLS)

    def own_cells(self, notebooks: Iterable[NotebookNode]) -> list[tuple[str, str]]:
        """The code in some notebooks that was not handed out: its places, and its sources."""
        return [
            (self._answers.get(id, OWN_CELLS), source)
            for notebook in notebooks
            for cell in notebook.cells
            if cell.cell_type == "code"
            and (id := grade_id(cell)) not in self._locked
            and (source := _unix(cell.source)).strip()
            and source.strip() not in self._sources
        ]

    def written(self, author: str, cells: Sequence[tuple[str, str]]) -> Work:
        """What somebody wrote.

        Args:
            author: who.
            cells: of their own, each with the place where it stands.
        """
        trees = [_parsed(source) for _, source in cells]
        python = [tree for tree in trees if tree]
        own = Chosen(
            frozenset(name for tree in python for name in _attributes(tree)) - self._methods,
            frozenset(name for tree in python for name in _arguments(tree)),
        )
        pieces = tuple(
            self._piece(place, source, _bound(tree) if tree else frozenset(), own)
            for (place, source), tree in zip(cells, trees, strict=True)
        )
        names = {name for tree in python for name in _bound(tree) | _attributes(tree)}
        wording = {one for _, source in cells for one in _wordings(source)}
        names = {name for name in names if len(name) >= SHORTEST_NAME and not _is_magic(name)}
        wording |= {Wording("name", name) for name in names}
        return Work(
            author,
            pieces,
            frozenset(one for piece in pieces for one in map(int, piece.found.hashes))
            - self.fingerprints,
            frozenset(one for one in wording if _flat(one.text) not in self._text),
            trees.count(None),
        )

    def _piece(self, place: str, source: str, bound: frozenset[str], own: Chosen) -> Piece:
        found = tuple(words(source, self.names | (_BUILTINS - bound), own))
        text = io.StringIO(self._alphabet.spelled(found))
        marks = CodeFingerprint(place, LENGTH, EVERY, filter=False, fp=text)
        piece = Piece(place, source, found, marks)
        texts = [one for one in _docstrings(source) if one.text in self._texts]
        return replace(
            piece,
            given=tuple(piece.spans(self.fingerprints.intersection(marks.hash_idx))),
            given_texts=tuple((one.start, one.end) for one in texts),
        )


def words(source: str, kept: frozenset[str], own: Chosen) -> Iterator[Word]:
    """The words of a source that are compared.

    Comments, docstrings and layout are left out, and so are commas before a closing bracket. All
    texts are one word, and so are all names that are a student's to choose.

    Args:
        source: of a cell; it need not be Python.
        kept: names that are nobody's own.
        own: names of attributes and arguments that are.
    """
    lexemes = [one for one in _lexemes(source) if one.kind is not String.Doc]
    depth = 0
    before = ""
    for place, one in enumerate(lexemes):
        after = [later.text for later in lexemes[place + 1 : place + 3]]
        depth += {"(": 1, ")": -1}.get(one.text, 0)
        if one.kind in String and one.kind is not String.Interpol:
            if before != ANY_TEXT:
                yield Word(ANY_TEXT, one.start, one.end)
            before = ANY_TEXT
            continue
        text = one.text
        if one.kind in Punctuation and text == "," and after[:1] in (["]"], [")"], ["}"]):
            continue
        if one.kind in Name:
            is_argument = depth > 0 and after[:1] == ["="] and after[1:] != ["="]
            if before == ".":
                is_own = text in own.attributes
            elif is_argument and text not in own.arguments:
                is_own = False
            else:
                is_own = text not in kept
            text = ANY_NAME if is_own else text
        yield Word(text, one.start, one.end)
        before = one.text


def _lexemes(source: str) -> Iterator[Lexeme]:
    """The pieces of a source, but for blanks and comments."""
    for start, kind, text in _LEXER.get_tokens_unprocessed(source):
        if kind in Name.Decorator and text.startswith("@"):  # also a product of matrices
            yield Lexeme(Punctuation, "@", start)
            start, kind, text = start + 1, Name, text[1:].lstrip()
        if text and not (kind in Whitespace or kind in Blank or kind in Comment):
            yield Lexeme(kind, text, start)


def _docstrings(source: str) -> Iterator[Lexeme]:
    return (one for one in _lexemes(source) if one.kind is String.Doc)


def _wordings(source: str) -> Iterator[Wording]:
    """The comments, the lines of docstrings and the texts of a source, but for short ones."""
    found: list[tuple[str, str]] = []
    end = -1
    for start, kind, text in _LEXER.get_tokens_unprocessed(source):
        if kind in Comment:
            found.append(("comment", text.lstrip("#")))
        elif kind is String.Doc:
            found += [("comment", line) for line in text.strip("\"'").split("\n")]
        elif kind in String and start == end:
            found[-1] = ("text", found[-1][1] + text)
        elif kind in String:
            found.append(("text", text))
        end = start + len(text) if kind in String and kind is not String.Doc else -1
    for kind, text in found:
        clean = " ".join(text.strip("\"'").split())
        if len(clean) >= SHORTEST_WORDING and re.search(r"\w\W+\w", clean):
            yield Wording(kind, clean)


def _parsed(source: str) -> ast.Module | None:
    """A cell's syntax tree, Jupyter's own commands taken for calls; None if it is no Python."""
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(TransformerManager().transform_cell(source))
    return None


def _bound(tree: ast.Module) -> frozenset[str]:
    """Names that a cell gives to something."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
                found.add(name)
    return frozenset(found)


def _attributes(tree: ast.Module) -> frozenset[str]:
    """Names of attributes and methods that a cell makes."""
    stored = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    inside = {
        name
        for one in classes
        for statement in one.body
        for name in _bound(ast.Module([_head(statement)], []))
    }
    return frozenset(name for name in stored | inside if not _is_magic(name))


def _head(statement: ast.stmt) -> ast.stmt:
    """A statement without the body of what it defines."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return ast.Assign([ast.Name(name, ast.Store())], ast.Constant(None))
    return statement


def _arguments(tree: ast.Module) -> frozenset[str]:
    return frozenset(node.arg for node in ast.walk(tree) if isinstance(node, ast.arg))


def _given_names(tree: ast.Module) -> Iterator[str]:
    """What a cell that was handed out imports or defines."""
    for node in tree.body:
        match node:
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                yield from ((one.asname or one.name).partition(".")[0] for one in names)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name


def _methods(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from (part.name for part in node.body if isinstance(part, ast.FunctionDef))


def _is_magic(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _is_within(word: Word, spans: Iterable[Span]) -> bool:
    return any(start <= word.start < end for start, end in spans)


def _flat(text: str) -> str:
    return " ".join(text.split()).casefold()


def _unix(source: str) -> str:
    return source.replace("\r\n", "\n").replace("\r", "\n")
