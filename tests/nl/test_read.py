"""Reading ``.nl`` files: what each segment and token becomes, text and binary, and the files in the wild."""

from __future__ import annotations

import logging
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adjoint.nl.assemble import assemble
from adjoint.nl.binary import lex_binary
from adjoint.nl.header import read_header
from adjoint.nl.model import CALL, NUMBER, STRING, VARIABLE, Model, Suffix
from adjoint.nl.opcodes import ARITY, OPCODES
from adjoint.nl.read import read_model
from tests.nl.samples import BODY, BY_COUNT, HEADER, TEXT, to_binary


def read(tmp_path: Path, content: bytes, name: str = "model.nl") -> Model:
    path = tmp_path / name
    path.write_bytes(content)
    return read_model(path)


def assert_equal_models(a: Model, b: Model, leave_out: tuple[str, ...] = ("place", "binary", "source")) -> None:
    for f in fields(Model):
        if f.name not in leave_out:
            assert_equal(getattr(a, f.name), getattr(b, f.name), f.name)


def assert_equal(a: Any, b: Any, name: str) -> None:
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype, name
        np.testing.assert_array_equal(a, b, err_msg=name)
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), name
        for x, y in zip(a, b, strict=True):
            assert_equal(x, y, name)
    elif hasattr(a, "__dataclass_fields__"):
        assert_equal(list(vars(a).values()), list(vars(b).values()), name)
    else:
        assert a == b, name


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return read(tmp_path, TEXT)


def test_header(model: Model) -> None:
    assert (model.name, model.n_var, model.n_con, model.n_obj, model.n_defined) == ("everything", 5, 4, 2, 2)
    assert model.options == [1.0, 1.0, 0.0]
    assert (model.vbtol, model.flags, model.n_nonlinear_con, model.n_nonlinear_obj) == (None, 1, 3, 2)
    assert model.nonlinear_vars == (3, 4, 2)
    assert model.n_discrete == (1, 0, 1, 0, 0)
    assert model.n_defined_kinds == (0, 1, 0, 0, 1)


def test_bounds_and_complementarity(model: Model) -> None:
    inf = np.inf
    assert model.con_lower.tolist() == [-1, -inf, 0, 0]
    assert model.con_upper.tolist() == [1, 4, inf, 0]
    assert model.complements == {2: (1, 2)}
    assert model.var_lower.tolist() == [0, -inf, -2, -inf, 0]
    assert model.var_upper.tolist() == [1, 3.5, inf, inf, 1]


def test_initial_values(model: Model) -> None:
    assert model.x0.tolist() == [1, 0, -0.325, 0, 1e20]
    assert model.x0_given.tolist() == [True, False, True, False, True]
    assert model.dual0.tolist() == [0.5, 0, 0, -1]
    assert model.dual0_given.tolist() == [True, False, False, True]


def test_linear_parts(model: Model) -> None:
    assert model.con_linear.start.tolist() == [0, 2, 3, 4, 7]
    assert model.con_linear.var.tolist() == [0, 1, 2, 1, 0, 3, 4]
    assert model.con_linear.coef.tolist() == [0, 0, 0, 0, 1, -2.5, 12345678]
    assert model.obj_linear.start.tolist() == [0, 1, 3]
    assert model.defined_linear.start.tolist() == [0, 1, 3]
    assert model.defined_linear.var.tolist() == [1, 5, 2]
    assert model.defined_linear.coef.tolist() == [2, 1.5, -0.25]
    assert model.defined_use.tolist() == [0, 5]
    assert model.defined_order.tolist() == [0, 1]


def tokens_of(model: Model, span: np.ndarray) -> list[tuple[int, float, int]]:
    part = slice(*span)
    return list(zip(model.code[part].tolist(), model.value[part].tolist(), model.index[part].tolist(), strict=True))


def test_expressions(model: Model) -> None:
    number, variable = (lambda v: (NUMBER, v, 0)), (lambda i: (VARIABLE, 0, i))
    assert tokens_of(model, model.defined_expr[0]) == [(2, 0, 2), variable(0), variable(0)]
    assert tokens_of(model, model.defined_expr[1]) == [number(0)]
    expected = [(54, 0, 3), (5, 0, 2), variable(0), number(2), variable(5), (35, 0, 3), (22, 0, 2), variable(1)]
    assert tokens_of(model, model.con_expr[0]) == [*expected, number(-1), number(1.5), (16, 0, 1), variable(1)]
    assert tokens_of(model, model.con_expr[1]) == [(64, 0, 0), variable(2)]
    assert tokens_of(model, model.con_expr[2]) == [(CALL, 2, 0), (STRING, 0, 0), variable(1)]
    assert model.con_expr[3].tolist() == [0, 0]
    assert tokens_of(model, model.logical_expr[0]) == [(23, 0, 2), variable(0), number(1)]
    assert tokens_of(model, model.obj_expr[1]) == [(11, 0, 2), variable(3), number(1e-3)]
    assert model.obj_maximize.tolist() == [False, True]


def test_what_tokens_refer_to(model: Model) -> None:
    assert model.strings == ["file\nnv#1"]
    ((slopes, breakpoints),) = model.piecewise
    assert (slopes.tolist(), breakpoints.tolist()) == ([-1, 0, 2], [0, 2.5])
    assert [(f.name, f.kind, f.n_args) for f in model.functions] == [("lookup", 1, -2)]


def test_suffixes_and_integers(model: Model) -> None:
    priority = Suffix("priority", 0, False, np.array([0, 4]), np.array([3.0, -7.0]))
    assert_equal(model.suffixes, [priority, Suffix("weight", 1, True, np.array([1]), np.array([2.5]))], "suffixes")
    assert model.integer.tolist() == [False, True, False, False, True]


def test_places_are_lines_of_the_file(model: Model) -> None:
    lines = TEXT.decode().split("\n")
    first = int(model.con_expr[0, 0])
    assert lines[model.place[first] - 1] == "o54"
    last = int(model.obj_expr[1, 1]) - 1  # after a string with an end of a line
    assert lines[model.place[last] - 1] == "n1e-3"


@pytest.mark.parametrize("order", ["<", ">"])
def test_binary_is_the_same_model(tmp_path: Path, model: Model, order: str) -> None:
    content = to_binary(TEXT, order)
    binary = read(tmp_path, content, "binary.nl")
    assert_equal_models(model, binary)
    assert binary.binary
    first = int(binary.place[binary.con_expr[0, 0]])
    assert content[first : first + 1] == b"o"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b"\r\n").replace(b"h9:file\r\n", b"h9:file\n"),
        lambda text: text + b"\n\n  \n\r\n",
        lambda text: text[:-1],
        lambda text: text.replace(b"\nn1\nO0", b"\nn1 # a comment\nO0"),
        lambda text: text.replace(b"0 -1 1\n", b"0 -1 1 2 3 4\n"),
        lambda text: text.replace(b"\n3 -2.5\n", b"\n  3   -25e-1  \n"),
        lambda text: text.replace(b"n1e-3", b"n.001"),
        lambda text: text.replace(b" 7 3\t#", b" 99 3 5 6 7\t#"),  # counts of entries are not needed
    ],
    ids=["crlf", "empty-end", "no-end-of-line", "comment", "further", "blanks", "real", "counts"],
)
def test_what_other_writers_do(tmp_path: Path, model: Model, change: Any) -> None:
    changed = change(TEXT)
    assert changed != TEXT
    assert_equal_models(model, read(tmp_path, changed))


def test_first_lines_of_old_and_new_files(tmp_path: Path) -> None:
    old = " 1 0 1\n 0 0\n 0 0\n 0 0\n 0 0\n 0 0\n 0 0\n 0 0\n 0 0 0 0 0\nb\n3\n"
    assert read(tmp_path, ("g0\n" + old).encode()).options == []
    tolerance = read(tmp_path, ("g3 0 3 0 1e-5\n" + old).encode())
    assert (tolerance.options, tolerance.vbtol, tolerance.name) == ([0.0, 3.0, 0.0], 1e-5, "model")


def test_deep_nesting_and_long_sums(tmp_path: Path) -> None:
    deep = 100_000
    text = HEADER + BODY.replace("O0 0\no43\nv6\n", "O0 0\n" + "o16\n" * deep + "v6\n")
    model = read(tmp_path, text.encode())
    assert np.diff(model.obj_expr[0]) == deep + 1
    text = HEADER + BODY.replace("O0 0\no43\nv6\n", f"O0 0\no54\n{deep}\n" + "v1\n" * deep)
    model = read(tmp_path, text.encode())
    first = int(model.obj_expr[0, 0])
    assert (model.code[first], model.index[first]) == (54, deep)


def test_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "model.col").write_text("a\nb\nc\nd\ne\n")
    (tmp_path / "model.row").write_text("r1\nr2\nr3\nr4\nlogic\nfirst\nsecond\n")
    model = read(tmp_path, TEXT)
    assert model.var_names == list("abcde")
    assert model.con_names == ["r1", "r2", "r3", "r4"]
    assert model.obj_names == ["first", "second"]
    (tmp_path / "model.col").write_text("a\nb\na\nd\ne\n")
    (tmp_path / "model.row").write_text("r1\nr2\n")
    with caplog.at_level(logging.WARNING, "adjoint"):
        model = read(tmp_path, TEXT)
    assert model.var_names is None and model.con_names is None
    assert len(caplog.records) == 2


def test_pieces_of_a_long_file(tmp_path: Path) -> None:
    """A file of several pieces and groups is what its lines say, read one by one."""
    rng = np.random.default_rng(0)
    n = 30_000
    coef = rng.standard_normal(n)
    counts = rng.integers(0, 12, n)
    text = f"g3 1 1 0\n {n} {n} 1 0 0\n {n} 1\n 0 0\n {n} {n} {n}\n 0 0 0 1\n 0 0 0 0 0\n {n} 0\n 0 0\n 0 0 0 0 0\n"
    parts = [text]
    for i in range(n):
        parts.append(f"C{i}\n" + "o44\n" * counts[i] + f"o2\nn{float(coef[i])!r}\nv{n - 1 - i}\n")
    parts += ["r\n", *(f"0 {-i} {i}e0\n" for i in range(n)), "b\n", "3\n" * n]
    parts += [f"J{i} 1\n{n - 1 - i} {i}\n" for i in range(n)]
    model = read(tmp_path, "".join(parts).encode())
    np.testing.assert_array_equal(np.diff(model.con_expr, axis=1)[:, 0], counts + 3)
    last = model.con_expr[:, 1] - 1
    np.testing.assert_array_equal(model.index[last], np.arange(n)[::-1])
    np.testing.assert_array_equal(model.value[last - 1], coef)
    np.testing.assert_array_equal(model.con_upper, np.arange(n))
    np.testing.assert_array_equal(model.con_linear.coef, np.arange(n))
    lines = "".join(parts).split("\n")
    for k in rng.integers(0, len(model.code), 50):
        letter = "o" if model.code[k] >= 0 else {NUMBER: "n", VARIABLE: "v"}[int(model.code[k])]
        assert lines[model.place[k] - 1][0] == letter


def test_opcodes() -> None:
    assert {opcode for opcode in OPCODES.values() if ARITY[opcode] == -1} | {64} == BY_COUNT
    assert ARITY[OPCODES["pow"]] == 2 and ARITY[OPCODES["if"]] == 3 and ARITY[OPCODES["exp"]] == 1


# -- files in the wild -------------------------------------------------------------------------------------

# Test files of a writer that say themselves that they are wrong, or name the sixth variable of five.
WRONG = {"t11_nlxfrm", "t12_nlxfrm", "t2a_nlxfrm", "t2b_nlxfrm"}


def plain_tokens(text: bytes) -> dict[str, list[tuple[str, ...]]]:
    """Lines of each expression segment, read one by one: its key is the segment's first word."""
    result: dict[str, list[tuple[str, ...]]] = {}
    key, skip = "", 0
    for line in text.split(b"\n")[10:]:
        words = line.split(b"#")[0].decode("latin-1").split()
        if not words:
            continue
        if words[0][0] in "CLOVFSdxrbkKJG":
            key, skip = words[0], int(words[1]) if words[0][0] == "V" else 0
            if key[0] in "CLOV":
                result[key] = []
        elif key and key[0] in "CLOV":
            if skip:
                skip -= 1
            else:
                result[key].append(tuple(words))
    return result


def test_tokens_of_files_equal_those_read_line_by_line(data: Path) -> None:
    n_files = 0
    for path in sorted((data / "nl").rglob("*.nl")):
        content = path.read_bytes()
        if content[:1] != b"g" or path.stem in WRONG or b"\nh" in content:
            continue
        model = read_model(path)
        n_files += 1
        spans = {"C": model.con_expr, "O": model.obj_expr, "L": model.logical_expr, "V": model.defined_expr}
        for key, words in plain_tokens(content).items():
            i = int(key[1:]) - (model.n_var if key[0] == "V" else 0)
            shown = []
            begin, end = spans[key[0]][i].tolist()
            for k in range(begin, end):
                code, value, index = int(model.code[k]), float(model.value[k]), int(model.index[k])
                if code == NUMBER:
                    shown.append(("n", value))
                elif code == VARIABLE:
                    shown.append(("v", index))
                elif code == CALL:
                    shown += [("f", index), ("#", value)]
                elif code == 64:
                    slopes, breakpoints = model.piecewise[index]
                    shown += [("o", 64), ("#", len(slopes))]
                    both = np.zeros(2 * len(slopes) - 1)
                    both[::2], both[1::2] = slopes, breakpoints
                    shown += [("n", x) for x in both.tolist()]
                else:
                    shown.append(("o", code))
                    if code in BY_COUNT:
                        shown.append(("#", index))
            expected = []
            for word, *further in words:
                letter = word[0] if word[0].isalpha() else "#"
                letter = "n" if letter in "sl" else letter
                expected.append((letter, float(word[1:] if word[0].isalpha() else word)))
                expected += [("#", float(w)) for w in further]
            assert shown == expected, (path.name, key)
    assert n_files > 400


def test_every_file_is_read_or_says_why_not(data: Path) -> None:
    from_library = 0
    for path in sorted((data / "nl").rglob("*.nl")):
        try:
            read_model(path)
        except ValueError as error:
            assert path.stem in WRONG, error
        else:
            from_library += 1
    assert from_library >= 430


def test_binary_form_of_files_is_the_same_model(data: Path) -> None:
    for path in sorted((data / "nl").rglob("*.nl"))[::6]:
        content = path.read_bytes()
        if content[:1] == b"g" and path.stem not in WRONG and len(content) < 100_000:
            assert_equal_models(read_model(path, names=False), read_twin(path, content))


def read_twin(path: Path, content: bytes) -> Model:
    """The model of the binary form of a text file."""
    binary = to_binary(content)
    header = read_header(binary, str(path))
    return assemble(header, lex_binary(binary, header.size, 1, str(path)), path.stem)
