from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import adjoint as adj
from adjoint.report.arguments import UsageError
from adjoint.report.model_file import as_program, load

HEAD = """\
import adjoint as adj


def made(name):
    m = adj.Program(name)
    m.define("y", 2 * m.input("x", 3.0))
    return m


"""
PROBLEM = "adj.Problem(made('{}'), minimize='y', over={{'x': (0, 1)}})"

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a model file, after the head that makes programs; its path."""

    def write(text: str, name: str = "file.py", head: str = HEAD) -> str:
        path = tmp_path / name
        path.write_text(head + text, encoding="utf-8")
        return str(path)

    return write


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("model = made('a')", "a"),
        ("def model():\n    return made('a')", "a"),
        ("def model(n=3):\n    return made('a')", "a"),
        ("anything = made('a')", "a"),
        ("anything = made('a')\nthe_same = anything", "a"),
        ("anything = made('a')\n_hidden = made('b')", "a"),
        ("other = made('b')\nmodel = made('a')", "a"),
        ("problem = " + PROBLEM.format("b") + "\nmodel = made('a')", "a"),
        ("problem = " + PROBLEM.format("a"), "a"),
        ("def problem():\n    return " + PROBLEM.format("a"), "a"),
        ("anything = " + PROBLEM.format("a"), "a"),
        ("@adj.program\ndef a(x=1.0):\n    y = x * 2\n    return y", "a"),
        ("@adj.program\ndef model(x=1.0):\n    y = x * 2\n    return y", "model"),
        ("model = lambda: made('a')", "a"),
    ],
)
def test_the_program_is_found(write: Write, text: str, name: str) -> None:
    program, _ = as_program(load(write(text)).program(), {})
    assert program.name == name


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("problem = " + PROBLEM.format("a"), True),
        ("def problem():\n    return " + PROBLEM.format("a"), True),
        ("p = " + PROBLEM.format("a") + "\nmodel = made('b')", True),
        ("model = made('a')", False),
    ],
)
def test_the_problem_is_found(write: Write, text: str, found: bool) -> None:
    assert isinstance(load(write(text)).problem(), adj.Problem) == found


def test_one_of_several_is_chosen_by_name(write: Write) -> None:
    file = write("a = made('first')\nb = made('second')\ndef c():\n    return made('third')")
    with pytest.raises(UsageError, match="several programs; choose one with --name: a, b"):
        load(file).program()
    for name, title in [("a", "first"), ("b", "second"), ("c", "third")]:
        assert load(file, name).program().name == title  # type: ignore[union-attr]
        assert load(f"{file}:{name}").program().name == title  # type: ignore[union-attr]
        assert load(f"{file}:{name}", name).program().name == title  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="no program or problem named 'aa'; did you mean 'a'"):
        load(file, "aa").program()
    with pytest.raises(UsageError, match="two names"):
        load(f"{file}:a", "b")


def test_several_problems(write: Write) -> None:
    file = write(f"p = {PROBLEM.format('a')}\nq = {PROBLEM.format('b')}")
    with pytest.raises(UsageError, match="several problems; choose one with --name: p, q"):
        load(file).problem()
    assert load(file, "q").problem().program.name == "b"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no program found; expected model"),
        ("model = 3", "model is an object of type int, expected an adjoint.Program"),
        ("def model():\n    pass", r"model\(\) gives nothing, expected"),
        (
            "def model(x, y):\n    return x",
            r"model\(x, y\) needs arguments; give them defaults, or put @adjoint.program",
        ),
    ],
)
def test_what_is_no_program_is_named(write: Write, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        load(write(text)).program()
    assert "file.py" in str(caught.value)


def test_a_problem_must_be_one(write: Write) -> None:
    with pytest.raises(UsageError, match="problem is an object of type Program, expected an adjoint.Problem"):
        load(write("problem = made('a')")).problem()


# -- files that do not load --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a = 1\nb = = 2\n", 2, "SyntaxError: invalid syntax\n    b = = 2\n        ^"),
        ("a = 1\n\n  b = 2\n", 3, "IndentationError"),
        ("a = (1\n", 1, "SyntaxError"),
        ("a = 1\nb = c\n", 2, "NameError: name 'c' is not defined\n    b = c"),
        ("import no_such_package_here\n", 1, "ModuleNotFoundError: No module named 'no_such_package_here'"),
        ("def f():\n    return 1 / 0\n\n\nf()\n", 2, "ZeroDivisionError"),
        (
            "import adjoint as adj\nm = adj.Program()\nm.input('x')\nm.input('x')\n",
            4,
            "ModelError: there is a variable",
        ),
        ("import sys\nsys.exit(3)\n", 2, "ended the program"),
        ("def model():\n    return undefined\n", 2, "NameError"),
        (
            "import adjoint as adj\n@adj.program\ndef f(x=1.0):\n    if x > 0:\n        return x\n",
            4,
            "UnsupportedError",
        ),
    ],
)
def test_errors_name_the_file_and_the_line(write: Write, text: str, place: int, words: str) -> None:
    file = write(text, head="")
    with pytest.raises(UsageError) as caught:
        as_program(load(file).program(), {})
    message = str(caught.value)
    assert message.startswith(f"{file}:{place}: ")
    assert words in message
    assert "Traceback" not in message


def test_errors_in_a_file_beside_it_name_that(write: Write, tmp_path: Path) -> None:
    write("a = 1\nb = a.none\n", "beside_it.py", head="")
    with pytest.raises(UsageError, match=r"beside_it\.py:2: AttributeError"):
        load(write("import beside_it\n", head=""))
    sys.modules.pop("beside_it", None)


def test_missing_files_and_folders(write: Write, tmp_path: Path) -> None:
    write("", "sellar.py")
    with pytest.raises(UsageError, match=r"selar\.py: no such file; did you mean 'sellar.py'\?"):
        load(str(tmp_path / "selar.py"))
    with pytest.raises(UsageError, match="is a folder"):
        load(str(tmp_path))
    with pytest.raises(UsageError, match="no such file"):
        load(str(tmp_path / "none" / "file.py"))


# -- loading -----------------------------------------------------------------------------------------------


def test_siblings_can_be_imported_and_nothing_stays(write: Write, tmp_path: Path) -> None:
    write("factor = 5.0\n", "sibling_of_it.py", head="")
    before = list(sys.path)
    file = write("import sibling_of_it\ndef model():\n    import sibling_of_it\n    return made('a')\n")
    assert load(file).program().name == "a"  # type: ignore[union-attr]
    assert sys.path == before
    assert not list(tmp_path.glob("__pycache__/file*"))
    sys.modules.pop("sibling_of_it", None)


def test_it_is_not_main(write: Write) -> None:
    file = write("if __name__ == '__main__':\n    raise RuntimeError\nmodel = made(__file__)\n")
    assert load(file).program().name == file  # type: ignore[union-attr]


def test_dataclasses_and_other_encodings(write: Write, tmp_path: Path) -> None:
    head = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    load(write("@dataclass\nclass A:\n    x: int = 1\n", head=head))
    path = tmp_path / "latin.py"
    path.write_bytes(b"# -*- coding: latin-1 -*-\nname = '\xe9'\n")
    assert vars(load(str(path)).module)["name"] == "é"


def test_a_file_is_loaded_again_when_it_changed(write: Write) -> None:
    assert load(write("model = made('old')")).program().name == "old"  # type: ignore[union-attr]
    assert load(write("model = made('new')")).program().name == "new"  # type: ignore[union-attr]


# -- as_program --------------------------------------------------------------------------------------------


@adj.program
def area(width, height=2.0, *, power=1):  # type: ignore[no-untyped-def]
    """A function as a model."""
    base = width * height
    return base**power


def test_traced_functions_take_values_of_any_shape() -> None:
    m, given = as_program(area, {"width": [1.0, 2.0], "power": 2})
    assert m.solve(given)["area"].tolist() == [4.0, 16.0]
    m, given = as_program(area, {"width": 3.0})
    assert m.solve(given)["area"] == 6.0
    m, given = as_program(area, {"width": 4.0})  # the same shapes: the program is kept, the values are new
    assert m.solve(given)["area"] == 8.0


def test_traced_functions_need_their_values() -> None:
    with pytest.raises(UsageError, match="no value for the argument 'width' of area: give --set width="):
        as_program(area, {})
    assert as_program(area, {}, structure_only=True)[0].name == "area"
    with pytest.raises(UsageError, match="no argument of area named 'widht'; did you mean 'width'"):
        as_program(area, {"widht": 1.0})


def test_a_problem_gives_what_it_moves() -> None:
    m = adj.Program()
    u = m.unknown("u", 2.0)
    m.define("f", (u - 1) ** 2)
    problem = adj.Problem(m, minimize="f", over={"u": (0, 5)})
    program, given = as_program(problem, {"u": 4.0})
    assert program.solve(given)["f"] == 9.0
    assert program.check().ok and not m.check().ok
    assert u not in problem.program.inputs
