"""The reference as text: one object's source, what it needs, and where that comes from.

Nothing here runs the reference: modules are parsed, not imported, so building notebooks does not
wait for torch and cuts by source positions keep every comment.
"""

import ast
import builtins
import difflib
import importlib.util
import pkgutil
import symtable
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from vae_course.errors import CourseError

FUNCTION, CLASS, CONSTANT = "function", "class", "constant"

# Names that are there without a definition: Python's own, a module's, and those that IPython adds.
ALWAYS_DEFINED = frozenset(dir(builtins)) | {
    "__name__",
    "__file__",
    "__doc__",
    "__spec__",
    "__class__",
    "get_ipython",
    "display",
}


@dataclass(frozen=True, order=True)
class Import:
    """One name brought in from outside the reference.

    `import a.b as c` is Import("a.b", None, "c"); `from a import b as c` is Import("a", "b", "c").
    """

    module: str
    name: str | None = None
    alias: str | None = None

    @property
    def bound(self) -> str:
        """The name that the statement defines."""
        return self.alias or self.name or self.module.split(".")[0]

    @property
    def root(self) -> str:
        """The top-level package: what has to be installed."""
        return self.module.split(".")[0]

    def clashes(self, other: "Import") -> bool:
        """Whether the two bind one name to two things (`import a.b` and `import a.c` do not)."""
        if self.bound != other.bound or self == other:
            return False
        both_plain = not (self.name or self.alias or other.name or other.alias)
        return not (both_plain and self.root == other.root)

    def __str__(self) -> str:
        what = f"from {self.module} import {self.name}" if self.name else f"import {self.module}"
        return f"{what} as {self.alias}" if self.alias else what


@dataclass(frozen=True)
class Object:
    """A top-level definition of the reference: a function, a class or a constant.

    A statement such as `LEFT, RIGHT = 0, 1` is one object that goes by its first name.
    """

    module: str
    name: str
    kind: str
    path: Path
    line: int
    source: str = field(repr=False)

    @property
    def dotted(self) -> str:
        return f"{self.module}.{self.name}"

    @property
    def where(self) -> str:
        return f"{show_path(self.path)}:{self.line}"

    @cached_property
    def node(self) -> ast.stmt:
        """The definition, parsed on its own: its positions count from the start of `source`."""
        return ast.parse(self.source).body[0]

    @cached_property
    def free(self) -> frozenset[str]:
        """Names that the source uses and that neither it nor Python defines."""
        return free_names(self.source)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All names that the definition binds, its own first."""
        return (self.name, *sorted(defined_names(self.source) - {self.name}))


@dataclass(frozen=True)
class Needs:
    """What must stand before or beside some objects, in an order in which it can be run."""

    objects: tuple[Object, ...]
    imports: frozenset[Import]


class Module:
    """A reference module, parsed once."""

    def __init__(self, name: str, path: Path):
        self.name = name
        self.path = path
        try:
            self.text = path.read_text(encoding="utf-8")
            self.tree = ast.parse(self.text)
        except SyntaxError as error:
            raise CourseError(
                f"{show_path(path)}:{error.lineno}: is not valid Python ({error.msg}); mend it"
            ) from error
        self.lines = self.text.splitlines()
        self.definitions: dict[str, list[ast.stmt]] = {}
        self.imports: dict[str, list[Import]] = {}
        self.own_imports: dict[str, tuple[str, str]] = {}
        self.refused: dict[str, str] = {}
        for statement in self.tree.body:
            self._read(statement)

    @property
    def root(self) -> str:
        return self.name.split(".")[0]

    def _read(self, statement: ast.stmt) -> None:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                self.definitions.setdefault(name, []).append(statement)
            case ast.ClassDef(name=name):
                self.definitions.setdefault(name, []).append(statement)
            case ast.Assign(targets=targets) if all(map(_names_only, targets)):
                for name in _target_names(statement):
                    self.definitions.setdefault(name, []).append(statement)
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
                self.definitions.setdefault(name, []).append(statement)
            case ast.Import(names=aliases):
                for alias in aliases:
                    found = Import(alias.name, None, alias.asname)
                    if found.root == self.root:
                        self.refused[found.bound] = f"`{found}`: import own names one by one"
                    else:
                        self.imports.setdefault(found.bound, []).append(found)
            case ast.ImportFrom(module=module, names=aliases, level=level):
                for alias in aliases:
                    self._read_from(module or "", level, alias)
            case _:
                for name in defined_names(ast.Module([statement], [])):
                    self.refused[name] = "it is defined inside another statement at the top level"

    def _read_from(self, module: str, level: int, alias: ast.alias) -> None:
        bound = alias.asname or alias.name
        own = level or module.split(".")[0] == self.root
        if level or (own and (alias.asname or alias.name == "*")):
            text = "." * level + module
            self.refused[bound] = (
                f"`from {text} import {alias.name}` hides where it comes from: write "
                f"`from {self.root}.module import name`, with no other name"
            )
        elif own:
            self.own_imports[bound] = (module, alias.name)
        elif alias.name != "*":
            found = Import(module, alias.name, alias.asname)
            self.imports.setdefault(bound, []).append(found)

    @property
    def names(self) -> list[str]:
        return sorted(self.definitions)

    def object(self, name: str) -> Object:
        """The definition of `name`, cut with its decorators and the comments directly above."""
        found = self.definitions[name]
        if len(found) > 1:
            lines = " and ".join(str(node.lineno) for node in found)
            raise CourseError(
                f"{show_path(self.path)}:{found[-1].lineno}: {name} is defined twice (lines "
                f"{lines}); keep one"
            )
        node = found[0]
        kind = {ast.ClassDef: CLASS, ast.FunctionDef: FUNCTION, ast.AsyncFunctionDef: FUNCTION}
        first, last = extent(node, self.lines)
        return Object(
            module=self.name,
            name=_target_names(node)[0] if isinstance(node, ast.Assign) else name,
            kind=kind.get(type(node), CONSTANT),
            path=self.path,
            line=node.lineno,
            source="\n".join(self.lines[first - 1 : last]),
        )


def _names_only(target: ast.expr) -> bool:
    """Whether an assignment's target is a name, or names in a tuple."""
    if isinstance(target, ast.Tuple | ast.List):
        return all(map(_names_only, target.elts))
    return isinstance(target, ast.Name)


def _target_names(statement: ast.Assign) -> list[str]:
    found = [n for target in statement.targets for n in ast.walk(target)]
    return [node.id for node in found if isinstance(node, ast.Name)]


def extent(node: ast.stmt, lines: list[str]) -> tuple[int, int]:
    """First and last line (from 1) of a statement with decorators and the comments that are its.

    Its comments are those directly above it, and those after its last statement that are indented
    deeper than it is: a closing remark inside a function belongs to the function.
    """
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    while (
        first > 1
        and _is_comment(lines[first - 2])
        and _indent(lines[first - 2]) == (node.col_offset)
    ):
        first -= 1
    last = node.end_lineno
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        ahead = last
        while ahead < len(lines) and (
            not lines[ahead].strip()
            or (_is_comment(lines[ahead]) and _indent(lines[ahead]) > node.col_offset)
        ):
            ahead += 1
            if lines[ahead - 1].strip():
                last = ahead
    return first, last


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def free_names(source: str) -> frozenset[str]:
    """Names that a piece of code uses and that neither it nor Python defines."""
    table = symtable.symtable(source, "<cell>", "exec")
    used = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    for child in table.get_children():
        used |= _global_names(child)
    return frozenset(used - defined_names(source) - ALWAYS_DEFINED)


def defined_names(source: str | ast.Module) -> frozenset[str]:
    """Names that a piece of code defines at its top level (or through `global`)."""
    text = source if isinstance(source, str) else ast.unparse(source)
    table = symtable.symtable(text, "<cell>", "exec")
    return frozenset(
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_assigned() or symbol.is_imported()
    ) | _declared_global(table)


def _global_names(table: symtable.SymbolTable) -> set[str]:
    names = {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
    for child in table.get_children():
        names |= _global_names(child)
    return names


def _declared_global(table: symtable.SymbolTable) -> set[str]:
    names = set()
    for child in table.get_children():
        names |= {s.get_name() for s in child.get_symbols() if s.is_declared_global()}
        names |= _declared_global(child)
    return names


def imports_of(source: str | ast.AST) -> list[Import]:
    """Every import in a piece of code, at any depth; a relative one keeps its dots."""
    tree = ast.parse(source) if isinstance(source, str) else source
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, None, alias.asname) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found += [Import(module, alias.name, alias.asname) for alias in node.names]
    return found


@lru_cache(maxsize=256)
def _parsed(name: str, path: Path, stamp: tuple[int, int]) -> Module:
    return Module(name, path)


def load_module(name: str) -> Module:
    """Parse the module called `name` (again only if its file changed).

    Raises:
        CourseError: there is no such module, or it is not Python.
    """
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        parent, _, last = name.rpartition(".")
        raise CourseError(f"there is no module {name}{did_you_mean(last, _submodules(parent))}")
    path = Path(spec.origin)
    stat = path.stat()
    return _parsed(name, path, (stat.st_mtime_ns, stat.st_size))


def _submodules(package: str) -> list[str]:
    try:
        spec = importlib.util.find_spec(package) if package else None
    except (ImportError, ValueError):
        spec = None
    places = (spec.submodule_search_locations if spec else None) or []
    return sorted(module.name for module in pkgutil.iter_modules(list(places)))


def find_object(dotted: str) -> Object:
    """The object that a dotted name such as `vae_course.vae.VAE` stands for.

    Raises:
        CourseError: one clear line: what is missing, and the nearest name that is there.
    """
    module_name, _, name = dotted.rpartition(".")
    if not module_name:
        raise CourseError(f"{dotted} is not a dotted name; write package.module.{dotted}")
    module = load_module(module_name)
    if name not in module.definitions:
        if name in module.own_imports:
            home, original = module.own_imports[name]
            hint = f"; it is defined elsewhere: write {home}.{original}"
        else:
            hint = did_you_mean(name, module.names)
        raise CourseError(f"there is no {name} in {show_path(module.path)}{hint}")
    return module.object(name)


def needs(objects: Iterable[Object]) -> Needs:
    """The closure of `objects`: all that they use, dependencies first, themselves included.

    Objects come in an order in which their definitions can run one after the other; two functions
    that call each other may stand either way round.

    Raises:
        CourseError: a free name that nothing defines, or two objects or imports of one name.
    """
    ordered: dict[tuple[str, str], Object] = {}
    imports: set[Import] = set()
    open_: set[tuple[str, str]] = set()

    def visit(one: Object) -> None:
        key = (one.module, one.name)
        if key in ordered or key in open_:
            return
        open_.add(key)
        module = load_module(one.module)
        _refuse_own_imports_inside(one, module)
        for name in sorted(one.free, key=lambda name: (_line_of(module, name), name)):
            if name in module.definitions:
                visit(module.object(name))
            elif name in module.own_imports:
                visit(_imported(one, *module.own_imports[name]))
            elif name in module.imports:
                imports.update(module.imports[name])
            else:
                raise CourseError(f"{one.where}: {one.name} {_unknown(name, module)}")
        open_.discard(key)
        ordered[key] = one

    for each in objects:
        visit(each)
    found = tuple(ordered.values())
    one_of_each_name(found)
    return Needs(found, frozenset(imports))


def _imported(one: Object, module: str, name: str) -> Object:
    try:
        return find_object(f"{module}.{name}")
    except CourseError as error:
        raise CourseError(f"{one.where}: {one.name} needs {module}.{name}: {error}") from error


def _unknown(name: str, module: Module) -> str:
    if name in module.refused:
        return f"uses {name}, which cannot be copied into a notebook: {module.refused[name]}"
    known = [*module.names, *module.imports, *module.own_imports]
    return f"uses {name}, which {module.name} does not define{did_you_mean(name, known)}"


def _refuse_own_imports_inside(one: Object, module: Module) -> None:
    for found in imports_of(one.node):
        if found.root in (module.root, ""):
            raise CourseError(
                f"{one.where}: {one.name} holds `{found}` inside its body, which a notebook can "
                "not run; import it at the top of the module"
            )


def _line_of(module: Module, name: str) -> int:
    found = module.definitions.get(name)
    return found[0].lineno if found else 0


def one_of_each_name(objects: Iterable[Object]) -> None:
    """Refuse two objects of one name: a notebook is one flat namespace."""
    seen: dict[str, Object] = {}
    for one in objects:
        for name in one.names:
            other = seen.setdefault(name, one)
            if other.dotted != one.dotted:
                raise CourseError(
                    f"{one.where}: {one.module} and {other.module} ({other.where}) both define "
                    f"{name}, but a notebook is one flat namespace; rename one"
                )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or the empty string when nothing is near."""
    close = difflib.get_close_matches(name, sorted(set(known)), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def show_path(path: Path) -> str:
    """A path as a person reads it: relative to where they stand if it lies below."""
    try:
        return str(Path(path).resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
