"""Credit where an answer is wrong only because of an earlier one.

The notebook is run a second time. After each exercise that lost points, the right answer takes the
place of the student's, and those that lost points below it are judged again. In that run the
student's code can get at right answers, so nothing of it is kept but the points that an exercise
earned: what is shown, drawn, written or raised is thrown away, and the words are our own.
"""

import symtable
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import CodeType

from autograder import execution, notebooks, solved
from autograder.judge import CriterionVerdict, Exercise, Verdict
from autograder.misconceptions import known
from autograder.notebooks import ANSWER, Cell
from autograder.sandbox.outside import Lost, Session

WRONG = ("partial", "fail", "error")
"""Verdicts that an earlier answer can be the cause of."""

ALL_RIGHT = (
    "Right, once the earlier answers that it builds on are: with those replaced by right ones, "
    "everything that was looked at here behaves as it should. The points are yours."
)
PARTLY_RIGHT = (
    "Some of this was lost to earlier answers that it builds on. With those replaced by right ones "
    "it earns more, and those points are yours."
)
STILL_WRONG = "With right answers before it, this was looked at again, and is not right yet."


def second_looks(
    cells: Sequence[Cell],
    verdicts: Mapping[str, Verdict],
    exercise_of: Callable[[str], Exercise],
) -> list[str]:
    """The exercises that an earlier answer may have cost points, in their order.

    They are those whose answers use, directly or through other cells, a name that an earlier
    exercise which lost points asks for.
    """
    found, wrong = [], set[str]()
    for id, verdict in verdicts.items():
        if verdict.score < verdict.max_score:
            if verdict.verdict in WRONG and wrong & names_behind(cells, id + ANSWER):
                found.append(id)
            wrong |= {name.rpartition(".")[2] for name in exercise_of(id).solutions}
    return found


def names_behind(cells: Sequence[Cell], id: str) -> set[str]:
    """The names that a cell asks of a notebook, and those that the cells that make them ask."""
    code = [cell for cell in cells if cell.cell_type == "code"]
    known = [_names(cell.source) for cell in code]
    asked = set[str]()
    for cell, (_, used) in zip(code, known, strict=True):
        if notebooks.grade_id(cell) == id:
            asked |= used
    while more := set().union(*(used for made, used in known if made & asked)) - asked:
        asked |= more
    return asked


def _names(source: str) -> tuple[set[str], set[str]]:
    """The names that a cell makes, and those that it asks of the notebook."""
    try:
        table = symtable.symtable(source, "cell", "exec")
    except SyntaxError:  # a magic, or a cell that nobody can run
        return set(), set()
    made = {one.get_name() for one in table.get_symbols() if one.is_assigned()}
    return made, _asked(table)


def _asked(table: symtable.SymbolTable) -> set[str]:
    outermost = table.get_type() == "module"
    found = {
        one.get_name()
        for one in table.get_symbols()
        if one.is_referenced() and (outermost or one.is_global())
    }
    return found.union(*map(_asked, table.get_children()))


def follow_through(
    cells: Sequence[Cell],
    verdicts: Mapping[str, Verdict],
    waiting: Sequence[str],
    session: Session,
    exercise_of: Callable[[str], Exercise],
    seed: int,
) -> dict[str, Verdict]:
    """Judge again, with right answers in the place of the earlier wrong ones.

    Args:
        cells: of the notebook, in which the better verdicts replace those that were shown.
        verdicts: of the first run.
        waiting: what to judge again: see `second_looks`.
        session: a new one, with the submission's files in place.
        exercise_of: finds what the judge needs to know of an exercise.
        seed: of the first run.

    Returns:
        The verdicts that are better than in the first run.
    """
    left, better = set(waiting), dict[str, Verdict]()
    try:
        for cell in filter(notebooks.is_run, cells):
            if not left:
                break
            id = execution.judged_id(cell)
            if not id:
                session.run_cell(cell.source, graded=notebooks.is_machine_graded(cell))
                continue
            if id in left:
                left.remove(id)
                again = execution.judged(exercise_of(id), session, seed)
                if again.score > verdicts[id].score:
                    better[id] = in_our_words(verdicts[id], again)
                    cell.outputs = execution.verdict_outputs(better[id])
            if verdicts[id].score < verdicts[id].max_score:
                session.run_code(_right_answer(id))
    except Lost:
        pass  # what was found before stands
    return better


def in_our_words(first: Verdict, again: Verdict) -> Verdict:
    """The verdict of the second run, with nothing in it that its code could have written."""
    told = {one.name: one.message for one in first.criteria if not one.passed}
    is_right = again.score >= again.max_score
    named = [one.message for one in known(again.id) if one.name == again.misconception]
    message = " ".join([ALL_RIGHT if is_right else PARTLY_RIGHT, *named])
    return replace(
        again,
        verdict="pass" if is_right else "partial",
        message=message,
        criteria=tuple(_told(again.criteria, told)),
        followed_through=True,
    )


def _told(
    criteria: Iterable[CriterionVerdict], told: Mapping[str, str]
) -> Iterable[CriterionVerdict]:
    for one in criteria:
        yield replace(one, message="" if one.passed else told.get(one.name, STILL_WRONG))


def _right_answer(exercise: str) -> CodeType:
    """The right answer as code, without its text, comments and docstrings."""
    return compile(solved.answer(exercise), "<given>", "exec", dont_inherit=True, optimize=2)
