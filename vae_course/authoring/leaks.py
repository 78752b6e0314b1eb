"""What students must not see: solutions, hidden tests, marking schemes.

Code is compared as syntax trees: layout, comments and the names of variables hide nothing.
"""

import ast
import re
from collections.abc import Iterator

from vae_course.authoring import forms
from vae_course.authoring.assignment import MACHINE
from vae_course.authoring.blanks import MARKERS, is_super_init
from vae_course.authoring.notebook import BEGIN_TESTS, END_TESTS, Json
from vae_course.authoring.reference import CONSTANT, Object
from vae_course.authoring.subject import Finding, Solution, Subject

# How large code must be, in nodes of syntax (`forms.size`), before equality says something.
#
# A body: `return self.decoder(z)` has 6 nodes, `return self.decode(self.encode(x))` 9, and every
# autoencoder has them. The smallest formula that is a body, a squared error or the size of a
# convolution's map, has 16 or more.
TELLING_BODY = 12
# An expression, or a part of one. Idioms are smaller: `next(model.parameters()).device` has 6
# nodes, `torch.randn(n, k, generator=g, device=d)` 9, `total.get(k, 0.0) + x.sum().item()` 12.
# Formulas are larger: `mu + torch.exp(0.5 * log_var) * noise` has 13, so has a straight line
# between two points; the size of a convolution's map 16, the closed form of the divergence 24.
TELLING_EXPRESSION = 12


def check_stubs(subject: Subject) -> list[Finding]:
    """Every blank is the reference's own signature and docstring, and nothing more."""
    cells = {cell["id"]: cell for cell in subject.release["cells"]}
    found = []
    for exercise in subject.assignment.exercises:
        if exercise.kind != MACHINE:
            continue
        cell = cells.get(exercise.answer_id)
        tree = forms.parse_or_none(cell["source"]) if cell else None
        if tree is None:
            found.append(subject.finding(exercise.answer_id, "missing, or not Python"))
            continue
        if exercise.start:
            found += _check_starter(subject, cell, tree, subject.objects(exercise.id))
            continue
        wanted = [one.node for one in subject.objects(exercise.id)]
        if len(wanted) != len(tree.body):
            found.append(subject.finding(cell, "holds more or less than its exercise's objects"))
        for stub, reference in zip(tree.body, wanted, strict=False):
            found += [subject.finding(cell, said) for said in compare_stub(stub, reference)]
    return found


def compare_stub(stub: ast.stmt, reference: ast.stmt, owner: str = "") -> list[str]:
    """How a stub differs from its reference with the bodies taken out; empty if it does not."""
    called = f"{owner}{getattr(reference, 'name', '?')}"
    if ast.dump(_outside(stub)) != ast.dump(_outside(reference)):
        return [f"{called} has not the reference's signature and docstring"]
    if isinstance(reference, ast.ClassDef):
        said = []
        for inner, other in zip(_methods(stub), _methods(reference), strict=True):
            said += compare_stub(inner, other, f"{called}.")
        return said
    body = forms.own_body(reference)
    outside = 1 if reference.name == "__init__" and body and is_super_init(body[0]) else 0
    wanted = [ast.dump(statement) for statement in body[:outside]]
    if body[outside:]:
        wanted.append(_BLANK)
    if [ast.dump(statement) for statement in forms.own_body(stub)] != wanted:
        return [f"{called} holds more than its docstring and the blank"]
    return []


_BLANK = ast.dump(ast.parse("raise NotImplementedError()").body[0])


def _methods(class_: ast.ClassDef) -> list[ast.stmt]:
    return [node for node in class_.body if isinstance(node, forms.Function)]


def _outside(node: ast.stmt) -> ast.AST:
    """A definition without the bodies of its functions; docstrings stay."""

    class Emptied(ast.NodeTransformer):
        def visit_FunctionDef(self, function: ast.FunctionDef) -> ast.AST:
            doc = [ast.Expr(ast.Constant(ast.get_docstring(function)))]
            fields = dict(ast.iter_fields(function)) | {"body": doc}
            return ast.FunctionDef(**fields)

    return Emptied().visit(ast.parse(ast.unparse(node)).body[0])


def _check_starter(
    subject: Subject, cell: Json, tree: ast.Module, wanted: list[Object]
) -> list[Finding]:
    """A starter has the reference's signatures; its bodies are its own."""
    there = {getattr(node, "name", None): node for node in tree.body}
    found = []
    for one in wanted:
        starter = there.get(one.name)
        if type(starter) is not type(one.node):
            found.append(subject.finding(cell, f"the starter has no {one.kind} {one.name}"))
        elif not isinstance(starter, ast.ClassDef) and ast.dump(starter.args) != ast.dump(
            one.node.args
        ):
            found.append(subject.finding(cell, f"the starter's {one.name} takes other arguments"))
    return found


def check_bodies(subject: Subject) -> list[Finding]:
    """No function in the release does what an exercise of this or a later assignment asks for."""
    kept = subject.kept
    secret = bodies_of(subject.secret, kept)
    found = []
    for cell, tree in subject.readable():
        for function in forms.functions(tree):
            form = forms.body_form(function, kept)
            for solution, name in secret.get(form.text, ()):
                found.append(
                    subject.finding(
                        cell,
                        f"{function.name} has the body of {name}, which {solution.exercise} "
                        f"({solution.assignment}) asks for",
                    )
                )
    return found


def bodies_of(
    solutions: list[Solution], kept: frozenset[str]
) -> dict[str, list[tuple[Solution, str]]]:
    """Normal forms of the solutions' function bodies that are large enough to say something."""
    bodies: dict[str, list[tuple[Solution, str]]] = {}
    for solution in solutions:
        for function in forms.functions(solution.object.node):
            form = forms.body_form(function, kept)
            if form.size > TELLING_BODY:
                owner = solution.object.name
                name = owner if function.name == owner else f"{owner}.{function.name}"
                bodies.setdefault(form.text, []).append((solution, name))
    return bodies


def check_statements(subject: Subject) -> list[Finding]:
    """No telling expression of a solution, nor a telling part of one, stands in the release."""
    kept = subject.kept
    telling: dict[str, tuple[Solution, str]] = {}
    for solution in subject.secret:
        for function in forms.functions(solution.object.node):
            for expression in forms.expressions(forms.own_body(function)):
                form = forms.normal_form(expression, kept)
                if form.size > TELLING_EXPRESSION:
                    telling.setdefault(form.text, (solution, ast.unparse(expression)))
    found = []
    for cell, tree in subject.readable():
        inside: set[int] = set()
        for expression in forms.expressions(tree):
            form = forms.normal_form(expression, kept)
            if form.text in telling and id(expression) not in inside:
                inside |= {id(part) for part in ast.walk(expression)}
                solution, text = telling[form.text]
                found.append(
                    subject.finding(
                        cell,
                        f"line {expression.lineno} shows `{text}`, a part of what "
                        f"{solution.exercise} ({solution.assignment}) asks for",
                    )
                )
    return found


def check_hidden(subject: Subject) -> list[Finding]:
    """No hidden test, no marking scheme and no marker of nbgrader's is left in the release."""
    hidden = {ast.dump(node) for node in hidden_statements(subject.source)}
    rubrics = [e.rubric for e in subject.assignment.exercises if e.rubric]
    scheme = {_words(text): text for rubric in rubrics for text in rubric.texts()}
    found = []
    for cell, tree in subject.readable():
        for node in ast.walk(tree):
            if isinstance(node, ast.stmt) and ast.dump(node) in hidden:
                found.append(subject.finding(cell, f"shows the hidden test `{ast.unparse(node)}`"))
    for cell in subject.release["cells"]:
        text = cell["source"]
        for marker in MARKERS:
            if marker in text:
                found.append(subject.finding(cell, f"holds nbgrader's marker {marker!r}"))
        shown = f"{_words(text)}\n{_words(str(cell['metadata']))}"
        for words, line in scheme.items():
            if words in shown:
                found.append(subject.finding(cell, f"shows of the marking scheme: {line!r}"))
    return found


def hidden_statements(source: Json) -> Iterator[ast.stmt]:
    for cell in source["cells"]:
        for region in re.findall(f"{BEGIN_TESTS}\n(.*?){END_TESTS}", cell["source"], re.S):
            yield from ast.parse(region).body


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def reveals(subject: Subject) -> list[str]:
    """Solutions of earlier assignments that stand in this notebook, as given code or otherwise."""
    kept = subject.kept
    bodies = bodies_of(subject.revealable, kept)
    shown = {
        f"{solution.exercise} ({name})"
        for _, tree in subject.readable()
        for function in forms.functions(tree)
        for solution, name in bodies.get(forms.body_form(function, kept).text, ())
    }
    given = {one.dotted for one in subject.built.outline.given if one.kind != CONSTANT}
    for solution in subject.revealable:
        if solution.object.dotted in given and not any(
            line.startswith(f"{solution.exercise} (") for line in shown
        ):
            shown.add(f"{solution.exercise} ({solution.object.name})")
    return sorted(shown)
