"""Everything the documentation shows is run: Python blocks, commands, and the example scripts.

* ``python`` blocks of one page run in order, in one namespace, in an empty folder. A block that starts with
  ``>>>`` is a doctest: its output is compared.
* ``console`` blocks: the lines ``$ adjoint ...`` and ``$ python -m adjoint ...`` must exit with 0.
* ``docs/examples/*.py``: ``main()`` is called; a script without one is only run.

A page or an example that imports a package which is not installed is skipped, with its name.
"""

from __future__ import annotations

import ast
import doctest
import importlib.util
import linecache
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 180  # for one command or example

PYTHON = frozenset({"python", "python3", "py", "pycon"})
CONSOLE = frozenset({"console", "shell-session"})
OPENING = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}) *(?P<info>[^`]*)$")
COMMAND = re.compile(r"^\$ (?:\S*/)?(?:adjoint|python3? -m adjoint)(?P<arguments>(?: .*)?)$")
DOCTEST_FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS

# Loads a script by path, as `python script.py` would, and calls its main().
RUN_EXAMPLE = """
import os, runpy, sys
path = sys.argv[1]
sys.argv = [path]
sys.path.insert(0, os.path.dirname(path))
main = runpy.run_path(path).get("main")
if main is not None:
    main()
"""


def pages(root: Path) -> list[Path]:
    """README.md and every page below docs/."""
    return [p for p in (root / "README.md", *sorted(root.glob("docs/**/*.md"))) if p.is_file()]


def examples(root: Path) -> list[Path]:
    """The example scripts."""
    return sorted(root.glob("docs/examples/*.py"))


# -- fenced blocks -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A fenced block: the words after the fence, the line number of its first line, and its text."""

    info: str
    line: int
    text: str

    @property
    def language(self) -> str:
        return re.split(r"[\s,{]", self.info.strip("{ ."), maxsplit=1)[0].lower()


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a Markdown file, dedented."""
    found = []
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), start=1))
    for number, line in lines:
        if opening := OPENING.match(line):
            text = "\n".join(_until_closed(lines, opening["fence"], f"{page}:{number}"))
            found.append(Block(opening["info"].strip(), number + 1, textwrap.dedent(text) + "\n"))
    return found


def _until_closed(lines: Iterator[tuple[int, str]], fence: str, place: str) -> Iterator[str]:
    for _, line in lines:
        stripped = line.strip()
        if len(stripped) >= len(fence) and set(stripped) == {fence[0]}:
            return
        yield line
    raise ValueError(f"{place}: the block is not closed")


# -- what a source needs -----------------------------------------------------------------------------------


def missing_packages(source: str) -> list[str]:
    """Packages that a source imports and that are not installed; not those it can do without."""
    names = set()
    tree = ast.parse(source)
    forgiven = {
        id(node)
        for attempt in ast.walk(tree)
        if isinstance(attempt, ast.Try)
        for statement in attempt.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in forgiven:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    names -= {"adjoint", *sys.stdlib_module_names}
    return sorted(name for name in names if importlib.util.find_spec(name) is None)


def _skip_unless_installed(name: str, source: str, folder: Path | None = None) -> None:
    missing = missing_packages(source)
    if folder is not None:  # a module beside the script is no package
        missing = [package for package in missing if not (folder / f"{package}.py").is_file()]
    if missing:
        pytest.skip(f"{name} needs {', '.join(missing)}, not installed")


# -- running -----------------------------------------------------------------------------------------------


def run_python_blocks(page: Path) -> None:
    """Execute the Python blocks of a page in order; tracebacks show the page's own lines."""
    code = [block for block in blocks(page) if block.language in PYTHON]
    _register_source(page, code)
    namespace: dict[str, Any] = {"__name__": "__docs__", "__file__": str(page)}
    for block in code:
        if block.text.lstrip().startswith(">>>"):
            _run_doctest(page, block, namespace)
        else:
            exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), namespace)


def _register_source(page: Path, code: list[Block]) -> None:
    """Let tracebacks and ``inspect.getsource`` read the blocks, with everything between them blank."""
    lines: list[str] = []
    for block in code:
        lines += [""] * (block.line - 1 - len(lines)) + block.text.splitlines()
    text = "\n".join(lines) + "\n"
    linecache.cache[str(page)] = (len(text), None, text.splitlines(keepends=True), str(page))


def _run_doctest(page: Path, block: Block, namespace: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(block.text, namespace, page.name, str(page), block.line - 1)
    words: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=DOCTEST_FLAGS)
    runner.run(test, out=words.append, clear_globs=False)
    namespace.update(test.globs)
    if words:
        pytest.fail("".join(words), pytrace=False)


def commands(page: Path) -> list[tuple[int, str]]:
    """(line, arguments) of every command of the library on a page; a final backslash continues a line."""
    found = []
    for block in blocks(page):
        if block.language in CONSOLE:
            number = block.line
            for line in re.split(r"(?<!\\)\n", block.text):
                if match := COMMAND.match(line.replace("\\\n", " ")):
                    found.append((number, match["arguments"].strip()))
                number += line.count("\n") + 1
    return found


def run_command(root: Path, arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run ``adjoint ARGUMENTS`` as at the top of the repository; files it writes stay in the empty folder."""
    for entry in root.iterdir():
        (folder / entry.name).symlink_to(entry)
    command = f'exec "{sys.executable}" -m adjoint {arguments}'
    return _run(command, folder, root, shell=True)


def run_example(root: Path, script: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script and its ``main()`` in an empty folder."""
    return _run([sys.executable, "-c", RUN_EXAMPLE, str(script)], folder, root)


def _run(command: Any, folder: Path, root: Path, shell: bool = False) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": path}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        shell=shell,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def _check(done: subprocess.CompletedProcess[str], what: str) -> None:
    if done.returncode:
        output = f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        pytest.fail(f"{what} ended with {done.returncode}\n{output}", pytrace=False)


def excused(page: Path) -> list[str]:
    """Python or console blocks that ask not to be run, and those in a language the tests would overlook."""
    found = []
    for block in blocks(page):
        runs = block.language in PYTHON | CONSOLE
        if "no-run" in block.info or "skip" in block.info:
            found.append(f"{page.name}:{block.line - 1}: every block runs, so not ```{block.info}")
        elif not runs and block.language.startswith("py"):
            found.append(f"{page.name}:{block.line - 1}: write ```python, not ```{block.info}")
    return found


# -- the documentation passes ------------------------------------------------------------------------------


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _all_commands() -> list[Any]:
    return [
        pytest.param(arguments, f"{_name(page)}:{line}", id=f"{_name(page)}:{line}")
        for page in pages(ROOT)
        for line, arguments in commands(page)
    ]


@pytest.fixture
def registries() -> Iterator[None]:
    """What a page adds to a registry is taken out again."""
    from adjoint import backends, linear, nonlinear, optimize, primitive

    tables: list[dict[Any, Any]] = [
        *(primitive.PRIMITIVES, primitive.BUILDERS, primitive.UFUNCS, primitive.UFUNC_METHODS),
        *(primitive.FUNCTIONS, primitive.METHODS, backends.BACKENDS, nonlinear.METHODS),
        *(linear.SOLVERS, optimize.OPTIMIZERS),
    ]
    before = [dict(table) for table in tables]
    yield
    for table, rows in zip(tables, before, strict=True):
        table.clear()
        table.update(rows)


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("page", pages(ROOT), ids=_name)
def test_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert excused(page) == []
    for block in blocks(page):
        if block.language in PYTHON and not block.text.lstrip().startswith(">>>"):
            _skip_unless_installed(page.name, block.text)
    monkeypatch.chdir(tmp_path)
    run_python_blocks(page)


@pytest.mark.parametrize(("arguments", "place"), _all_commands())
def test_command(arguments: str, place: str, tmp_path: Path) -> None:
    _check(run_command(ROOT, arguments, tmp_path), f"{place}: adjoint {arguments}")


@pytest.mark.parametrize("script", examples(ROOT), ids=_name)
def test_example(script: Path, tmp_path: Path) -> None:
    _skip_unless_installed(script.name, script.read_text(encoding="utf-8"), script.parent)
    _check(run_example(ROOT, script, tmp_path), _name(script))


# -- the checkers catch what they are for ------------------------------------------------------------------


def _page(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "page.md"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def test_blocks_are_found_with_their_lines(tmp_path: Path) -> None:
    page = _page(
        tmp_path,
        """\
        # Title
        ```python title="one"
        a = 1
        ```
        * in a list

          ~~~~py
          ~~~
          b = 2
          ~~~~
        ```
        plain
        ```
        """,
    )
    assert [(b.language, b.line, b.text) for b in blocks(page)] == [
        ("python", 3, "a = 1\n"),
        ("py", 8, "~~~\nb = 2\n"),
        ("", 12, "plain\n"),
    ]


def test_an_open_block_is_refused(tmp_path: Path) -> None:
    page = _page(tmp_path, "text\n```python\na = 1\n")
    with pytest.raises(ValueError, match=r"page\.md:2: the block is not closed"):
        blocks(page)


def test_blocks_share_a_namespace(tmp_path: Path) -> None:
    page = _page(
        tmp_path,
        """\
        ```python
        import inspect
        def double(x):
            return 2 * x
        ```
        words
        ```python
        assert double(2) == 4
        assert inspect.getsource(double).startswith("def double")
        assert "words" not in inspect.getsource(double)
        ```
        ```pycon
        >>> double(4)
        8
        >>> y = 3
        ```
        ```python
        assert y == 3
        ```
        """,
    )
    run_python_blocks(page)


def test_a_failing_block_names_its_line(tmp_path: Path) -> None:
    page = _page(tmp_path, "# Title\n\n```python\na = 1\nassert a == 2\n```\n")
    with pytest.raises(AssertionError) as caught:
        run_python_blocks(page)
    last = caught.traceback[-1]
    assert (str(last.path), last.lineno + 1) == (str(page), 5)
    assert "assert a == 2" in str(last.statement)


def test_a_syntax_error_names_its_line(tmp_path: Path) -> None:
    page = _page(tmp_path, "# Title\n\n```python\na = = 1\n```\n")
    with pytest.raises(SyntaxError) as caught:
        run_python_blocks(page)
    assert (caught.value.filename, caught.value.lineno) == (str(page), 4)


def test_wrong_output_is_caught(tmp_path: Path) -> None:
    page = _page(tmp_path, "```python\n>>> 1 + 1\n3\n```\n")
    with pytest.raises(pytest.fail.Exception, match=r'page\.md", line 2(.|\n)*Expected:\n    3\nGot:\n    2'):
        run_python_blocks(page)


@pytest.mark.parametrize("info", ["python no-run", "console no-run", "python skip", "pyconsole"])
def test_excused_blocks_are_caught(tmp_path: Path, info: str) -> None:
    (words,) = excused(_page(tmp_path, f"text\n```{info}\n1 / 0\n```\n```python\n1\n```\n```text\nno\n```\n"))
    assert words.startswith("page.md:2:")
    assert words.endswith(f"```{info}")


def test_commands_are_found(tmp_path: Path) -> None:
    page = _page(
        tmp_path,
        r"""
        ```console
        $ pip install adjoint
        $ adjoint solve model.py \
            --json
        adjoint solved it
        $ .venv/bin/adjoint check model.py
        $ python -m adjoint
        $ adjointly no
        ```
        ```text
        $ adjoint no
        ```
        """,
    )
    assert [(line, " ".join(words.split())) for line, words in commands(page)] == [
        (4, "solve model.py --json"),
        (7, "check model.py"),
        (8, ""),
    ]


def test_commands_run_at_the_top_and_leave_nothing_there(tmp_path: Path) -> None:
    root, work, empty = tmp_path / "root", tmp_path / "work", tmp_path / "empty"
    for folder in (root / "adjoint", root / "docs", work, empty):
        folder.mkdir(parents=True)
    (root / "adjoint" / "__init__.py").touch()
    (root / "adjoint" / "__main__.py").write_text(
        "import sys\nopen(sys.argv[2], 'w').write(open(sys.argv[1]).read())\n", encoding="utf-8"
    )
    (root / "docs" / "model.txt").write_text("text", encoding="utf-8")
    _check(run_command(root, "docs/model.txt out.txt", work), "copy")
    assert (work / "out.txt").read_text(encoding="utf-8") == "text"
    assert not (root / "out.txt").exists()
    with pytest.raises(pytest.fail.Exception, match=r"copy ended with 1\n(.|\n)*FileNotFoundError"):
        _check(run_command(root, "docs/none.txt out.txt", empty), "copy")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("def main():\n    print('ran')\n", 0),
        ("from helper import value\nassert value == 1\nassert __name__ != '__main__'\n", 0),
        ("def main():\n    raise RuntimeError('no')\n", 1),
        ("1 / 0\n", 1),
    ],
)
def test_examples_are_run(tmp_path: Path, source: str, code: int) -> None:
    (tmp_path / "example.py").write_text(source, encoding="utf-8")
    (tmp_path / "helper.py").write_text("value = 1\n", encoding="utf-8")
    _skip_unless_installed("example", source, tmp_path)
    assert run_example(tmp_path, tmp_path / "example.py", tmp_path).returncode == code


def test_missing_packages_are_named() -> None:
    optional = "try:\n    import absent_too\nexcept ImportError:\n    pass\n"
    source = "import numpy\nimport os.path\nfrom absent.part import x\ndef f():\n    import gone\n" + optional
    assert missing_packages(source) == ["absent", "gone"]
    with pytest.raises(pytest.skip.Exception, match="page needs absent, not installed"):
        _skip_unless_installed("page", "import absent")
