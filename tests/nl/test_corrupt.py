"""Corrupt ``.nl`` files are refused with the place, what came, and what was expected; they take no memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import adjoint as adj
from adjoint.nl.decimal import read_numbers
from adjoint.nl.read import read_model
from tests.nl.fuzz import mutated, outcome, samples
from tests.nl.samples import TEXT, to_binary


def error_of(tmp_path: Path, content: bytes) -> adj.FileFormatError:
    path = tmp_path / "bad.nl"
    path.write_bytes(content)
    with pytest.raises(adj.FileFormatError) as caught:
        read_model(path)
    assert str(path) in str(caught.value) and caught.value.source == str(path)
    return caught.value


def line_of(content: bytes, what: bytes) -> int:
    """The line on which some text begins."""
    return content[: content.index(what)].count(b"\n") + 1


# (text of the sample, what it becomes, where the line of the error begins, parts of the message)
CASES = {
    "an index too large": (b"J1 1\n2 0\n", b"J1 1\n5 0\n", b"5 0\n", "J1 1", "variable in 0...4"),
    "a negative index": (b"J1 1\n2 0\n", b"J1 1\n-2 0\n", b"-2 0\n", "J1 1", "'-2 0'"),
    "an index that is no integer": (b"J1 1\n2 0\n", b"J1 1\n2.5 0\n", b"2.5 0\n", "J1 1", "'2.5 0'"),
    "no coefficient": (b"J1 1\n2 0\n", b"J1 1\n2\n", b"J1 1", "J1 1", "and a number"),
    "a row too large": (b"J1 1\n2 0\n", b"J7 1\n2 0\n", b"J7 1", "J7 1", "constraint in 0...3"),
    "a row twice": (b"J1 1\n2 0\n", b"J0 1\n2 0\n", b"J0 1", "J0 1", "one segment only"),
    "fewer entries": (b"J1 1\n2 0\n", b"J1 2\n2 0\n", b"J2 1", "J2 1", "2 lines in this segment, which has 1"),
    "more entries": (b"J1 1\n2 0\n", b"J1 1\n2 0\n3 0\n", b"3 0\nJ2", "J1 1", "1 lines in this segment, which has 2"),
    "a huge count": (b"J1 1\n2 0\n", b"J1 1e300\n2 0\n", b"J2 1", "J2 1", "lines in this segment"),
    "no number": (b"J1 1\n2 0\n", b"J1 1\n2 abc\n", b"2 abc", "", "'abc'; expected a number"),
    "half a number": (b"J1 1\n2 0\n", b"J1 1\n2 1e\n", b"2 1e\n", "", "'1e'; expected a number"),
    "two numbers in one": (b"J1 1\n2 0\n", b"J1 1\n2 1-2\n", b"2 1-2\n", "", "'1-2'; expected a number"),
    "a strange line": (b"J1 1\n2 0\n", b"J1 1\n?\n", b"?\n", "", "begins with '?'"),
    "an empty line": (b"J1 1\n2 0\n", b"J1 1\n\n", b"\nJ2", "", "an empty line"),
    "an unknown segment": (b"J1 1\n2 0\n", b"Q1 1\n2 0\n", b"Q1", "", "begins with 'Q'"),
    "a segment without numbers": (b"G1 2\n", b"G1\n", b"G1\n", "G1", "G<objective> <count>"),
    "a segment twice": (b"\nb\n", b"\nr\n0 0 1\nb\n", b"r\n0 0 1\n", "r", "one segment r only"),
    "an unknown opcode": (b"o16\nv1\n", b"o17\nv1\n", b"o17", "C0", "a known opcode"),
    "a huge opcode": (b"o16\nv1\n", b"o1e30\nv1\n", b"o1e30", "C0", "a known opcode"),
    "an operand too few": (b"o16\nv1\n", b"o0\nv1\n", b"C1\n", "C1", "1 more operands"),
    "an operand too many": (b"o16\nv1\n", b"v1\nv1\n", b"v1\nC1", "C0", "the end of this expression"),
    "a number of operands too large": (b"o11\n2\n", b"o11\n1000000000000\n", b"1000000000000", "O1 1", "operands"),
    "no number of operands": (b"o11\n2\n", b"o11\nv3\n", b"v3\nv3", "O1 1", "the number of operands"),
    "a number among tokens": (b"o43\nv6\n", b"o43\n6\n", b"6\nO1", "O0 0", "a token of an expression"),
    "an empty expression": (b"o43\nv6\n", b"", b"O1 1", "O1 1", "an expression"),
    "a variable too large": (b"o43\nv6\n", b"o43\nv7\n", b"v7", "O0 0", "a variable in 0...6"),
    "a defined variable of itself": (b"o2\t#*\nv0\nv0\n", b"o2\nv0\nv5\n", b"v5\nV6", "V5 1 0", "defined before"),
    "a defined variable of a later one": (b"V5 1 0\t#shared\n1 2\n", b"V5 1 0\n6 2\n", b"V5", "V5 1 0", "before"),
    "a defined variable missing": (b" 0 1 0 0 1\t", b" 0 1 0 0 2\t", None, "", "a segment V7"),
    "too many linear terms": (b"V6 2 5", b"V6 3 5", b"V6", "V6 3 5", "fewer linear terms"),
    "a call of no function": (b"f0 2\n", b"f1 2\n", b"f1 2", "C2", "a function in 0...0"),
    "a call without arguments": (b"f0 2\n", b"f0\n", b"f0\n", "C2", "a number (two in a call)"),
    "a string too long": (b"h9:file", b"h999:file", b"h999", "", "that many characters> and the end of the line"),
    "a string of no length": (b"h9:file", b"hx:file", b"hx", "", "that many characters> and the end of the line"),
    "an unknown bound": (b"1 3.5\n", b"6 3.5\n", b"6 3.5", "b", "the bounds of a variable"),
    "a bound without number": (b"1 3.5\n", b"1\n", b"1\n2 -2", "b", "the bounds of a variable"),
    "a complement of no variable": (b"5 1 3\n", b"5 1 6\n", b"5 1 6", "r", "the bounds of a constraint"),
    "too few bounds": (b"\nb\n0 0 1\n", b"\nb\n", b"k4", "k4", "5 lines in this segment, which has 4"),
    "an initial value of no variable": (b"x3\n0 1\n", b"x3\n5 1\n", b"5 1\n", "x3", "variable in 0...4"),
    "a suffix of no kind": (b"S5 1 weight", b"S8 1 weight", b"S8", "S8 1", "kind in 0...7"),
    "a suffix of no constraint": (b"\n1 2.5\n", b"\n5 2.5\n", b"5 2.5", "S5 1", "index"),
    "a suffix without name": (b"S5 1 weight", b"S5 1", b"S5", "S5 1", "S<kind> <count> <name>"),
    "slopes that are variables": (b"n-1\nn0\ns0\n", b"n-1\nv0\ns0\n", b"v0\ns0", "C1", "slopes and breakpoints"),
    "a piecewise linear function of no variable": (b"l2\nv2\n", b"l2\nn2\n", b"n2\nC2", "C1", "the variable of"),
    "a column count that is none": (b"k4\n2\n", b"k4\n-2\n", b"-2\n4", "k4", "a count"),
    "too many integers": (b" 1 0 1 0 0\t", b" 1 0 3 0 0\t", b" 1 0 3", "", "at most 2"),
    "a huge number of variables": (b" 5 4 2 1 1 1", b" 1000000000000 4 2 1 1 1", b" 1000000000000", "", "announces"),
    "a huge number of defined variables": (b" 0 1 0 0 1\t", b" 0 1 0 0 9999999999\t", b" 0 1 0 0 99", "", "announces"),
    "a negative count": (b" 5 4 2 1 1 1", b" 5 -4 2 1 1 1", b" 5 -4", "", "n_con"),
    "a count that is none": (b" 5 4 2 1 1 1", b" 5 four 2 1 1 1", b" 5 four", "", "n_con"),
    "too few counts": (b" 7 3\t", b" 7\t", b" 7\t", "", "nzc"),
    "options that are none": (b"g3 1 1 0", b"g3 1 one", b"g3", "", "a number of options"),
    "too many options": (b"g3 1 1 0", b"g12 1 1 0", b"g12", "", "a number of options"),
    "another format": (b"g3 1 1 0", b"z3 1 1 0", b"z3", "", "begins with 'g' (text) or 'b'"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_named(tmp_path: Path, name: str) -> None:
    old, new, place, segment, words = CASES[name]
    assert old in TEXT
    content = TEXT.replace(old, new, 1)
    error = error_of(tmp_path, content)
    assert words in str(error)
    assert error.segment == segment
    expected = content.count(b"\n") + 1 if place is None else line_of(content, place)
    if name == "no coefficient":  # the line itself, whose text is found elsewhere first
        expected += 1
    assert (error.line, error.byte) == (expected, None)
    assert f"line {expected}" in str(error)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"g", b"g3 1 1 0\n", b"Subject: hello\n" * 20, bytes(5000), b"g" * 9999]
)
def test_no_nl_file_at_all(tmp_path: Path, content: bytes) -> None:
    assert error_of(tmp_path, content).line is not None


@pytest.mark.parametrize("form", ["text", "<", ">"])
def test_every_truncation_is_refused(tmp_path: Path, form: str) -> None:
    """All but those that leave a model: at the end of a segment after the bounds, or within a last number."""
    content = TEXT if form == "text" else to_binary(TEXT, form)
    path = tmp_path / "cut.nl"
    n_read = 0
    for size in range(0, len(content), 1 if form == "text" else 3):
        path.write_bytes(content[:size])
        n_read += outcome(path, build=False) == "read"
    assert n_read <= 30


def test_errors_of_binary_files_name_the_byte(tmp_path: Path) -> None:
    content = to_binary(TEXT)
    at = content.index(b"o" + (43).to_bytes(4, "little"))
    error = error_of(tmp_path, content[: at + 1] + (17).to_bytes(4, "little") + content[at + 5 :])
    assert (error.line, error.byte, error.segment) == (None, at, "O0 0")
    assert "a known opcode" in str(error) and f"byte {at}" in str(error)
    assert error_of(tmp_path, content[:at] + b"?" + content[at + 1 :]).byte == at
    assert "bytes" in str(error_of(tmp_path, content[:-3]))
    at = content.index(b"J" + (3).to_bytes(4, "little"))
    for count in (-1, 2**31 - 1):
        bad = content[: at + 5] + count.to_bytes(4, "little", signed=True) + content[at + 9 :]
        assert error_of(tmp_path, bad).byte == at
    arithmetic = content.index(b"\n 0 1 1 1\n")
    assert "arithmetic 7" in str(error_of(tmp_path, content[: arithmetic + 6] + b"7" + content[arithmetic + 7 :]))


@pytest.mark.parametrize("what", [b" 5 4 2 1 1 1", b" 0 1 0 1\t", b" 0 1 0 0 1\t"])
def test_a_header_takes_no_memory(tmp_path: Path, what: bytes) -> None:
    """A file of a kilobyte that announces a thousand million of everything."""
    path = tmp_path / "huge.nl"
    words = what.split()
    for k in range(len(words)):
        changed = b" " + b" ".join([*words[:k], b"1000000000", *words[k + 1 :]]) + b"\t"
        path.write_bytes(TEXT.replace(what, changed))
        tracemalloc.start()
        outcome(path, build=False)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1_000_000


def test_mutated_files(tmp_path: Path) -> None:
    """Each is a model that keeps its promises, or the library's error (python -m tests.nl.fuzz: many more)."""
    files = samples(None)
    path = tmp_path / "mutated.nl"
    outcomes = set()
    for n in range(600):
        path.write_bytes(mutated(files, n))
        outcomes.add(outcome(path, build=False))
    assert outcomes == {"read", "FileFormatError"}


def test_mutated_files_of_the_collection(tmp_path: Path, data: Path) -> None:
    files = samples(str(data))
    path = tmp_path / "mutated.nl"
    for n in range(400):
        path.write_bytes(mutated(files, n))
        outcome(path, build=False)


@pytest.mark.parametrize("n", [1, 5000])
def test_numbers_are_those_of_python(n: int) -> None:
    """The fast way (many numbers) and the plain one give the float that Python reads, to the last bit."""
    rng = np.random.default_rng(n)
    words = ["0", "-0", "1", "-12345678", "99999999", "100000000", "-9", "+7", "007", "1e5", ".5", "5.", "-1.5e-300"]
    words += ["123456789012345678", "inf", "-inf", "4.9e-324", "1e400", "0.1", "12345678.", "1234567e1"]
    words += [repr(float(x)) for x in rng.standard_normal(n) * 10.0 ** rng.integers(-20, 20, n)]
    words += [str(i) for i in rng.integers(-(10**9), 10**9, n)]
    text = np.frombuffer((" " + " ".join(words) + " ").encode(), np.uint8)
    edge = np.flatnonzero((text[:-1] <= 32) != (text[1:] <= 32))
    number = read_numbers(text, edge[::2] + 1, edge[1::2] + 1)
    assert number is not None
    expected = np.array([float(word) for word in words])
    assert number.tobytes() == expected.tobytes()


@pytest.mark.parametrize("word", ["-", "1a", "a1", "1-2", "--1", "1e", "1.2.3", ".", "0x10", "1_0", "12345678a", "é"])
@pytest.mark.parametrize("n", [1, 2000])
def test_words_that_are_no_numbers(n: int, word: str) -> None:
    words = ["17"] * n
    words[n // 2] = word
    text = np.frombuffer((" " + " ".join(words) + " ").encode(), np.uint8)
    edge = np.flatnonzero((text[:-1] <= 32) != (text[1:] <= 32))
    assert read_numbers(text, edge[::2] + 1, edge[1::2] + 1) is None
