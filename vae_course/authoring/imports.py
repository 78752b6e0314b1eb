"""One block of imports for a whole notebook: grouped, sorted, each once."""

import ast
import sys
from collections.abc import Iterable

from vae_course.authoring.reference import Import

LINE_LENGTH = 88


def render(imports: Iterable[Import]) -> str:
    """Import statements, standard library first, then a blank line, then the rest.

    In each group the `import x` lines come first; `from x import a, b` is one line a module.
    """
    found = sorted(set(imports), key=_order)
    standard = [one for one in found if one.root in sys.stdlib_module_names]
    others = [one for one in found if one.root not in sys.stdlib_module_names]
    return "\n\n".join("\n".join(_lines(group)) for group in (standard, others) if group)


def _order(one: Import) -> tuple[str, str]:
    return one.module.lower(), one.alias or ""


def _lines(group: list[Import]) -> list[str]:
    lines = [str(one) for one in group if one.name is None]
    modules = dict.fromkeys(one.module for one in group if one.name)
    for module in modules:
        names = sorted(
            {(one.name, one.alias) for one in group if one.name and one.module == module},
            key=lambda pair: (_kind(pair[0]), pair[0].lower(), pair[1] or ""),
        )
        lines.append(_from(module, [f"{n} as {a}" if a else n for n, a in names]))
    return lines


def _kind(name: str) -> int:
    """Constants, then classes, then the rest: the order that ruff and isort use."""
    if name.isupper() and len(name) > 1:
        return 0
    return 1 if name[:1].isupper() else 2


def _from(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= LINE_LENGTH:
        return line
    inside = "".join(f"    {name},\n" for name in names)
    return f"from {module} import (\n{inside})"


def split(source: str) -> tuple[list[Import], str]:
    """Take the top-level imports out of a piece of code: (imports, what is left)."""
    lines = source.split("\n")
    found: list[Import] = []
    taken: set[int] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            found += [Import(alias.name, None, alias.asname) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [Import(node.module, alias.name, alias.asname) for alias in node.names]
        else:
            continue
        taken |= set(range(node.lineno - 1, node.end_lineno))
    left = [line for number, line in enumerate(lines) if number not in taken]
    return found, "\n".join(left).strip("\n")
