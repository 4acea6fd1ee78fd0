"""The architecture, read from the sources: who may import whom, what stays optional, how large things get.

The checkers are plain functions of a package folder that return violations as text. The first half of the
tests applies them to ``adjoint``; the second half plants each violation in a small package and expects it
to be named.
"""

from __future__ import annotations

import ast
import enum
import inspect
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

# -- the declared order ------------------------------------------------------------------------------------

# From the bottom up. A module (or folder) imports from earlier lines only; those on one line do not see each
# other. "__init__" is the package's own: the public names.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("describe", "interning", "trees", "trial"),
    ("guard",),
    ("primitive",),
    ("expr",),
    ("walk",),
    ("rebuild",),
    ("primitives",),
    ("derivatives", "terms"),
    ("sparsity",),
    ("assembly", "patterns", "batched"),
    ("equations",),
    ("structure", "linear", "backends"),
    ("analysis", "nonlinear"),
    ("blocks",),
    ("plan",),
    ("small", "forms"),
    ("explicit",),
    ("evaluation",),
    ("solve",),
    ("small_totals", "points"),
    ("lagrangian", "homotopy"),
    ("totals",),
    ("check", "diagnose"),
    ("solution",),
    ("function",),
    ("program",),
    ("explain", "curvature", "learn"),
    ("trace", "optimize", "system"),
    ("problem",),
    ("inner",),
    ("loops",),
    ("control",),
    ("io", "nl"),
    ("report",),
    ("__init__",),
    ("__main__",),
)

# Folders that see less of the package than their place in the order allows: these modules and folders only.
MAY_SEE: dict[str, frozenset[str]] = {
    "structure": frozenset({"errors"}),  # graph theory on incidence: no expressions, no programs
    "linear": frozenset({"errors"}),
    "nonlinear": frozenset({"errors", "linear.base"}),  # what a factorization is, not which one
}

# Folders of interchangeable parts: a member imports these siblings and no other ...
PARTS: dict[str, frozenset[str]] = {
    "linear": frozenset({"base"}),
    "nonlinear": frozenset({"base"}),
}
# ... except the members that choose among their siblings.
ABOVE_SIBLINGS = frozenset({"__init__", "auto"})

# What `import adjoint` may need. Everything else is optional.
REQUIRED = frozenset({"numpy", "scipy", "networkx"})
# Optional packages that must not be loaded by `import adjoint`, besides those that the sources name.
OPTIONAL = frozenset(
    {"casadi", "cyipopt", "feral", "jax", "llvmlite", "matplotlib", "nbklu", "numba", "pypardiso", "pypower"}
    | {"sklearn", "tqdm", "unopy"}
)

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 80  # without the docstring

PACKAGE = Path(__file__).resolve().parents[1] / "adjoint"


# -- reading imports ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Import:
    """One import statement: the dotted names it may load, and where it stands."""

    names: tuple[str, ...]  # `from a import b`: a.b, for b may be a module, then a
    line: int
    guarded: bool  # inside a function, or in a try that handles ImportError


def modules(package: Path) -> dict[str, Path]:
    """Every module of a package folder by dotted name; a folder's ``__init__`` keeps that name."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = (package.name, *path.relative_to(package).with_suffix("").parts)
        found[".".join(parts)] = path
    return found


def read_imports(path: Path, module: str) -> list[Import]:
    """The imports of a file wherever they stand, except those for type checkers only."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return list(_imports(tree, module, guarded=False))


def _imports(node: ast.AST, module: str, guarded: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import((alias.name,), node.lineno, guarded)
    elif isinstance(node, ast.ImportFrom):
        base = _absolute(node, module)
        for alias in node.names:
            yield Import((f"{base}.{alias.name}", base), node.lineno, guarded)
    elif isinstance(node, ast.Call) and _is_import_call(node):
        name = node.args[0].value  # type: ignore[attr-defined]
        yield Import((name,), node.lineno, guarded)
    for child, inside in _children(node, guarded):
        yield from _imports(child, module, inside)


def _children(node: ast.AST, guarded: bool) -> Iterator[tuple[ast.AST, bool]]:
    """The children that run, and whether an import in them is guarded."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        yield from ((child, guarded) for child in node.orelse)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from ((child, True) for child in node.body)
        yield from ((child, guarded) for child in (node.args, *node.decorator_list))
    elif isinstance(node, ast.Try):
        handles = any(_handles_import_error(handler) for handler in node.handlers)
        yield from ((child, guarded or handles) for child in node.body)
        yield from ((child, guarded) for child in (*node.handlers, *node.orelse, *node.finalbody))
    else:
        yield from ((child, guarded) for child in ast.iter_child_nodes(node))


def _absolute(node: ast.ImportFrom, module: str) -> str:
    if not node.level:
        return node.module or ""
    parents = module.split(".")[: -node.level]
    return ".".join([*parents, node.module] if node.module else parents)


def _is_import_call(node: ast.Call) -> bool:
    called = ast.unparse(node.func)
    if called not in ("importlib.import_module", "import_module", "__import__") or not node.args:
        return False
    return isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)


def _handles_import_error(handler: ast.ExceptHandler) -> bool:
    caught = "" if handler.type is None else ast.unparse(handler.type)
    return handler.type is None or any(
        name in caught for name in ("ImportError", "ModuleNotFoundError", "Exception")
    )


def internal_edges(package: Path) -> list[tuple[str, str, int]]:
    """(importer, imported, line) between modules of the package.

    ``from .linear import factor`` counts as an import of ``linear.__init__``, which re-exports it. That a
    member implicitly loads its folder's ``__init__`` first does not count.
    """
    known = modules(package)
    edges = []
    for module, path in known.items():
        for statement in read_imports(path, module):
            for name in statement.names:
                target = name if name in known else f"{name}.__init__"
                if target in known:
                    edges.append((module, target, statement.line))
                    break
    return edges


# -- the checkers ------------------------------------------------------------------------------------------


def circles(package: Path) -> list[str]:
    """Circles of imports, function-level ones counted."""
    graph = nx.DiGraph((a, b) for a, b, _ in internal_edges(package))
    found = []
    for component in nx.strongly_connected_components(graph):
        if len(component) > 1 or any(graph.has_edge(n, n) for n in component):
            start = min(component)
            cycle = nx.find_cycle(graph.subgraph(component), start)
            found.append(" -> ".join([cycle[0][0], *(b for _, b in cycle)]))
    return sorted(found)


def upward_imports(
    package: Path,
    layers: Sequence[Sequence[str]],
    may_see: dict[str, frozenset[str]],
    parts: dict[str, frozenset[str]],
) -> list[str]:
    """Imports against the declared order, and modules that have no place in it."""
    level = {name: k for k, layer in enumerate(layers) for name in layer}
    known = modules(package)
    found = [
        f"{name}: has no place in LAYERS"
        for name in sorted({_place(module) for module in known})
        if name not in level
    ]
    for importer, imported, line in internal_edges(package):
        a, b = _place(importer), _place(imported)
        if a not in level or b not in level:
            continue
        words = f"{known[importer].relative_to(package.parent)}:{line}: {importer} imports {imported}"
        if a == b:
            member, sibling = importer.split(".")[2:], imported.split(".")[2:]
            free = not member or member[0] in ABOVE_SIBLINGS or member[0] == sibling[0]
            if a in parts and not free and sibling[0] not in parts[a]:
                found.append(f"{words}: of its siblings a part of {a} sees {sorted(parts[a])} only")
        elif level[b] >= level[a]:
            found.append(f"{words}: upwards, or across")
        elif a in may_see and not _within(imported, may_see[a]):
            found.append(f"{words}: {a} sees {sorted(may_see[a])} only")
    return found


def _place(module: str) -> str:
    """The module or folder directly below the package that a module belongs to."""
    return module.split(".")[1]


def _within(module: str, names: Iterable[str]) -> bool:
    """Whether a module is one of those named, or in a folder of that name."""
    local = module.split(".")[1:]
    return any(local[: len(parts)] == parts for parts in (name.split(".") for name in names))


def third_party(package: Path) -> dict[str, list[tuple[str, Import]]]:
    """Packages beyond the required ones, each with the files and statements that import it."""
    found: dict[str, list[tuple[str, Import]]] = defaultdict(list)
    known_already = {*sys.stdlib_module_names, *REQUIRED, package.name}
    for module, path in modules(package).items():
        for statement in read_imports(path, module):
            top = statement.names[0].split(".")[0]
            if top not in known_already:
                found[top].append((str(path.relative_to(package.parent)), statement))
    return found


def optional_imports(package: Path) -> list[str]:
    """Optional packages imported in several files, or without a guard."""
    found = []
    for name, places in sorted(third_party(package).items()):
        files = sorted({file for file, _ in places})
        if len(files) > 1:
            found.append(f"{name}: imported in {len(files)} files, expected one: {', '.join(files)}")
        found += [
            f"{file}:{statement.line}: {name} is optional: import it inside a function"
            for file, statement in places
            if not statement.guarded
        ]
    return found


def loaded_by_import(folder: Path, package: str, names: Iterable[str]) -> list[str]:
    """Which of the named top-level packages a fresh ``import package`` loads."""
    code = f"import sys, {package}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return sorted(set(names) & set(done.stdout.split()))


def long_files(package: Path, limit: int = MAX_FILE_LINES) -> list[str]:
    """Files of more lines than the limit."""
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules(package).values()}
    return [f"{path.relative_to(package.parent)}: {n} lines" for path, n in sizes.items() if n > limit]


def long_functions(package: Path, limit: int = MAX_FUNCTION_LINES) -> list[str]:
    """Functions of more lines than the limit, their own docstring not counted."""
    found = []
    for path in modules(package).values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = _lines(node)
                if ast.get_docstring(node) is not None:
                    lines -= _lines(node.body[0])
                if lines > limit:
                    place = f"{path.relative_to(package.parent)}:{node.lineno}"
                    found.append(f"{place}: {node.name}, {lines} lines")
    return found


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def without_example(package: Any) -> list[str]:
    """Public names whose docstring has no example. Exceptions, warnings, enums and plain data need none."""
    missing = []
    for name in package.__all__:
        value = getattr(package, name)
        if isinstance(value, type) and issubclass(value, BaseException | enum.Enum):
            continue
        documented = inspect.isroutine(value) or isinstance(value, type) or callable(value)
        if documented and ">>>" not in (value.__doc__ or ""):
            missing.append(name)
    return missing


# -- adjoint passes ----------------------------------------------------------------------------------------


def _report(violations: list[str]) -> None:
    if violations:
        pytest.fail("\n".join(violations), pytrace=False)


def test_no_import_circles() -> None:
    _report(circles(PACKAGE))


def test_no_upward_imports() -> None:
    _report(upward_imports(PACKAGE, LAYERS, MAY_SEE, PARTS))


def test_optional_packages_are_imported_in_one_file_each() -> None:
    _report(optional_imports(PACKAGE))


def test_import_loads_no_optional_package() -> None:
    names = OPTIONAL | third_party(PACKAGE).keys()
    _report([f"import adjoint loads {name}" for name in loaded_by_import(PACKAGE.parent, "adjoint", names)])


def test_file_sizes() -> None:
    _report(long_files(PACKAGE))


def test_function_sizes() -> None:
    _report(long_functions(PACKAGE))


def test_public_names_have_an_example() -> None:
    import adjoint

    _report([f"adjoint.{name}: its docstring has no example (>>>)" for name in without_example(adjoint)])


# -- the checkers catch what they are for ------------------------------------------------------------------

Tree = Callable[[dict[str, str]], Path]

SMALL_LAYERS = (("errors",), ("expr",), ("linear", "structure"), ("solve",), ("__init__",), ("__main__",))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Writes a package ``fake`` from {relative path: source}; ``__init__`` files are added."""

    def write(files: dict[str, str]) -> Path:
        package = tmp_path / "fake"
        for name, source in {"__init__.py": "", **files}.items():
            path = package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / "__init__.py").touch()
            path.write_text(source, encoding="utf-8")
        return package

    return write


def _upwards(package: Path) -> list[str]:
    may_see = {
        "structure": frozenset({"errors"}),
        "solve": frozenset({"errors", "expr", "linear", "structure.matching"}),
    }
    return upward_imports(package, SMALL_LAYERS, may_see, {"linear": frozenset({"base"})})


def test_a_sound_tree_passes(tree: Tree) -> None:
    package = tree(
        {
            "__init__.py": "from .solve import solve\nfrom .linear import factor\n",
            "errors.py": "",
            "expr.py": "from .errors import ShapeError\nimport numpy as np\nimport math\n",
            "linear/__init__.py": "from .auto import factor\n",
            "linear/base/__init__.py": "from .pivot import Factor\n",
            "linear/base/pivot.py": "from ...errors import SingularError\n",
            "linear/dense.py": "from . import base\nfrom ..errors import SingularError\n",
            "linear/klu.py": "from .base import Factor\ndef load():\n    import nbklu\n    return nbklu\n",
            "linear/auto.py": "from .dense import Dense\nfrom .klu import load\n",
            "structure/graph.py": "from ..errors import StructureError\n",
            "structure/matching.py": "from .graph import Graph\n",
            "solve.py": "from .expr import E\nfrom .linear import factor\nfrom .structure import matching\n",
            "__main__.py": "import fake\nfrom fake.solve import solve\n",
        }
    )
    assert circles(package) == []
    assert _upwards(package) == []
    assert optional_imports(package) == []


@pytest.mark.parametrize(
    "back",
    [
        "from . import solve",
        "from .solve import solve",
        "import fake.solve",
        "from fake import solve",
        "def f():\n    from .solve import solve",
        "class C:\n    def f(self):\n        import fake.solve as s",
        "import importlib\nimportlib.import_module('fake.solve')",
        "try:\n    from .solve import solve\nexcept ImportError:\n    solve = None",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    from .solve import solve",
    ],
)
def test_circles_and_upward_imports_are_caught(tree: Tree, back: str) -> None:
    package = tree({"errors.py": back, "expr.py": "from . import errors", "solve.py": "from .expr import x"})
    assert circles(package) == ["fake.errors -> fake.solve -> fake.expr -> fake.errors"]
    (violation,) = _upwards(package)
    assert violation.startswith("fake/errors.py:")
    assert "fake.errors imports fake.solve: upwards" in violation


def test_imports_for_type_checkers_are_free(tree: Tree) -> None:
    guard = "import typing\nif typing.TYPE_CHECKING:\n    from .solve import solve\n"
    package = tree({"errors.py": guard, "solve.py": "from .errors import E\n"})
    assert circles(package) == [] and _upwards(package) == []


def test_a_circle_through_a_folder_is_caught(tree: Tree) -> None:
    back = {"linear/__init__.py": "from .dense import Dense", "linear/dense.py": "from . import factor"}
    package = tree(back)
    assert circles(package) == ["fake.linear.__init__ -> fake.linear.dense -> fake.linear.__init__"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"stray.py": ""}, "stray: has no place in LAYERS"),
        ({"stray/x.py": ""}, "stray: has no place in LAYERS"),
        ({"structure/a.py": "from ..expr import Expr", "expr.py": ""}, "structure sees ['errors'] only"),
        ({"solve.py": "from .structure import a", "structure/a.py": ""}, "solve sees ['errors', 'expr', "),
        ({"structure/a.py": "from ..linear import factor", "linear/b.py": ""}, "upwards, or across"),
        ({"linear/a.py": "from .b import B", "linear/b.py": ""}, "a part of linear sees ['base'] only"),
        ({"linear/a.py": "from .b.c import B", "linear/b/c.py": ""}, "a part of linear sees ['base'] only"),
        ({"linear/base.py": "from .b import B", "linear/b.py": ""}, "a part of linear sees ['base'] only"),
        ({"solve.py": "from . import VERSION"}, "fake.solve imports fake.__init__: upwards"),
        ({"solve.py": "import fake"}, "fake.solve imports fake.__init__: upwards"),
        ({"__init__.py": "from .__main__ import main", "__main__.py": ""}, "imports fake.__main__: upwards"),
    ],
)
def test_the_order_is_enforced(tree: Tree, files: dict[str, str], words: str) -> None:
    (violation,) = _upwards(tree(files))
    assert words in violation


def test_optional_packages_are_caught(tree: Tree) -> None:
    package = tree(
        {
            "a.py": "import tqdm.auto\n",
            "b.py": "try:\n    import llvmlite\nexcept ImportError:\n    llvmlite = None\n",
            "c.py": "def f():\n    from llvmlite import binding\n",
            "d.py": "try:\n    import nbklu\nexcept ValueError:\n    pass\n",
            "e.py": "def f(x=__import__('feral')):\n    return x\n",
        }
    )
    assert optional_imports(package) == [
        "fake/e.py:1: feral is optional: import it inside a function",
        "llvmlite: imported in 2 files, expected one: fake/b.py, fake/c.py",
        "fake/d.py:2: nbklu is optional: import it inside a function",
        "fake/a.py:1: tqdm is optional: import it inside a function",
    ]


def test_packages_loaded_at_import_are_caught(tree: Tree) -> None:
    package = tree({"__init__.py": "import colorsys\ndef f():\n    import wave\n"})
    assert loaded_by_import(package.parent, "fake", ["colorsys", "wave"]) == ["colorsys"]


def test_sizes_are_caught(tree: Tree) -> None:
    docstring = '    """' + "words\n" * 90 + '    """\n'
    files = {
        "short.py": "def f():\n" + docstring + "    x = 1\n" * 79,
        "long.py": "class C:\n    def f(self):\n" + "        x = 1\n" * 80,
        "longest.py": "x = 1\n" * 501,
        "limit.py": "x = 1\n" * 500,
    }
    package = tree(files)
    assert long_functions(package) == ["fake/long.py:2: f, 81 lines"]
    assert long_files(package) == ["fake/longest.py: 501 lines"]


def test_missing_examples_are_caught() -> None:
    class Package:
        __all__ = ["Advice", "Failure", "bare", "shown", "undocumented", "version"]
        version = "1"
        Failure = type("Failure", (Exception,), {})
        Advice = enum.Enum("Advice", "GO STOP")

        @staticmethod
        def bare() -> None:
            """Words only."""

        @staticmethod
        def shown() -> None:
            """Words and an example.

            >>> Package.shown()
            """

        @staticmethod
        def undocumented() -> None: ...

    assert without_example(Package) == ["bare", "undocumented"]
