"""The reader of MATPOWER cases: what it takes, and what it says about a corrupt file."""

from __future__ import annotations

from pathlib import Path

import matpower
import numpy as np
import pytest
from matpower import Branch, Bus, CaseError, Gen

CASE = """\
function mpc = tiny
%TINY  a comment with 'quotes', [brackets] and ...
mpc.version = '2';
mpc.baseMVA = 100;
mpc.bus = [
    1  3  0    0   0  0  1  1.02  0  230  1  1.1  0.9;
    2  1  50   20  0  0  1  1     0  230  1  1.1  0.9;
];
mpc.gen = [
    1  50  0  100  -100  1.02  100  1  200  0;
];
mpc.branch = [
    1  2  0.01  0.1  0.02  0  0  0  0  0  1;
];
"""


def test_a_plain_case() -> None:
    case = matpower.parse_case(CASE)
    assert (case.name, case.base_mva, case.gencost) == ("tiny", 100.0, None)
    assert case.bus.shape == (2, len(Bus)) and case.gen.shape == (1, len(Gen))
    assert case.bus[:, Bus.PD].tolist() == [0.0, 50.0]
    assert case.branch[0, Branch.X] == 0.1


def same(text: str) -> bool:
    a, b = matpower.parse_case(CASE), matpower.parse_case(text)
    return all(np.array_equal(getattr(a, k), getattr(b, k)) for k in ("bus", "gen", "branch"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n", "\r\n"),
        ("    1  2  0.01", "\t1,2,\t.01"),
        ("1.1  0.9;\n    2  1", "1.1  0.9\n    2  1"),  # a line break ends a row
        ("0.9;\n    2  1", "0.9; 2  1"),  # two rows on one line
        ("0.9;\n    2  1  50", "0.9; % 50 % of\n\n  2  1 ... continued % here\n  50"),
        ("mpc.baseMVA = 100;", "mpc.baseMVA = 1e2 ; % MVA"),
        ("mpc.version = '2';\nmpc.baseMVA", 'mpc.version="2"; mpc.baseMVA'),
        ("mpc.gen = [", "%{\nmpc.gen = [ 1 2 3\n%}\nmpc.gen = ["),
        ("mpc.gen = [", "mpc.bus_name = {\n 'St. John''s; %';\n \"B]\"\n};\nmpc.gen = ["),
        ("mpc.gen = [", "mpc.areas = [1 1];\nmpc.gen = ["),
        ("100  -100  1.02", "Inf  -Inf  1.02"),
        ("0.02  0  0  0  0", "0.02  0  0  0  +0.0E0"),
    ],
)
def test_layout_does_not_matter(old: str, new: str) -> None:
    assert old in CASE
    text = CASE.replace(old, new)
    if "Inf" in new:
        assert np.isinf(matpower.parse_case(text).gen[0, Gen.QMAX])
    else:
        assert same(text)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("0.9;\n    2", "0.9;\n    x", 7, r"'x' in mpc\.bus is not a number"),
        ("2  1  50", "2  1  5O", 7, "'5O' in mpc.bus is not a number"),
        ("2  1  50", "2  1  1_0", 7, "'1_0' in mpc.bus is not a number"),
        ("2  1  50 ", "2  1  ", 7, "has 12 columns, the first one has 13"),
        ("];\nmpc.gen", "mpc.gen", 8, r"mpc\.bus is not closed before 'mpc\.gen = \['"),
        ("0  1;\n];", "0  1;\n", 12, r"the matrix mpc\.branch is not closed"),
        ("];\nmpc.gen", "]';\nmpc.gen", 8, r"mpc\.bus is computed"),
        ("];\nmpc.gen", "] / 1e3;\nmpc.gen", 8, r"mpc\.bus is computed"),
        ("mpc.gen", "mpc.bus(:, 3) = mpc.bus(:, 3) / 1e3;\nmpc.gen", 9, "does not give a literal value"),
        ("mpc.gen", "define_constants;\nmpc.gen", 9, "'define_constants;' does not give"),
        ("mpc.baseMVA = 100", "mpc.baseMVA = 1e2 * 3", 4, r"mpc\.baseMVA is computed"),
        ("mpc.baseMVA = 100", "mpc.baseMVA = -100", 4, "expected a positive number"),
        ("mpc.baseMVA = 100", "mpc.baseMVA = ", 4, r"mpc\.baseMVA has no value"),
        ("mpc.baseMVA = 100", "mpc.baseMVA = ten", 4, "'ten' in mpc.baseMVA is not a number"),
        ("mpc.baseMVA", "mpc.version", 4, "assigned a second time"),
        ("'2'", "'1'", 3, "format version '1'; only version 2"),
        ("mpc.gen", "\0\0\nmpc.gen", 9, "does not give a literal value"),
        ("mpc.gen", "mpc.bus_name = { 'a'; 'b'\nmpc.gen", 9, r"the list mpc\.bus_name is not closed"),
        ("2  1  50", "2  7  50", 7, "the type of bus 2 is not"),
        ("2  1  50", "1  1  50", 7, "bus 1 is there already"),
        ("2  1  50", "2.5  1  50", 7, r"bus number 2\.5 is not a positive whole number"),
        ("2  1  50", "2  1  NaN", 7, "PD is not finite"),
        ("1  50  0  100", "9  50  0  100", 10, "there is no bus 9"),
        ("1.02  100  1  200", "0  100  1  200", 10, "set point at bus 1 is not positive"),
        ("1  2  0.01", "1  5  0.01", 13, "TO names no bus"),
        ("0.01  0.1 ", "0  0 ", 13, "a branch from bus 1 has no impedance"),
        ("1  2  0.01", "2  2  0.01", 13, "joins bus 2 to itself"),
        ("    1  2  0.01  0.1  0.02  0  0  0  0  0  1;\n", "", 12, r"mpc\.branch is not a matrix with rows"),
        ("0.02  0  0  0  0  0  1", "0.02", 12, "mpc.branch has 5 columns, expected at least 11"),
        ("mpc.branch = [", "mpc.branches = [", None, r"there is no mpc\.branch"),
    ],
)
def test_corrupt_files(old: str, new: str, line: int | None, message: str) -> None:
    assert old in CASE
    with pytest.raises(CaseError, match=message) as caught:
        matpower.parse_case(CASE.replace(old, new, 1), "tiny.m")
    assert caught.value.line == line
    assert str(caught.value).startswith("tiny.m" if line is None else f"tiny.m, line {line}: ")


def test_every_truncation_is_refused() -> None:
    text = CASE.rstrip()
    for end in range(len(text) - 2):  # the last ';' may be missing
        with pytest.raises(CaseError):
            matpower.parse_case(text[:end])


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "tiny.m"
    path.write_bytes(b"\xef\xbb\xbf" + CASE.encode())
    assert matpower.read_case(path).name == "tiny"
    path.write_bytes(CASE.replace("a comment", "Zürich").encode("latin-1"))
    assert matpower.read_case(str(path)).name == "tiny"
    with pytest.raises(CaseError, match=r"none\.m: cannot be read"):
        matpower.read_case(tmp_path / "none.m")
    path.write_bytes(bytes(range(256)) * 20)
    with pytest.raises(CaseError, match="line 1"):
        matpower.read_case(path)


def test_dictionaries() -> None:
    parsed = matpower.parse_case(CASE)
    plain = {"baseMVA": 100, "bus": parsed.bus.tolist(), "gen": parsed.gen, "branch": parsed.branch}
    case = matpower.from_pypower(plain, "tiny")
    assert case.name == "tiny" and np.array_equal(case.bus, parsed.bus)
    plain["bus"][0][0] = 2.0
    with pytest.raises(CaseError, match=r"mpc\.bus \(row 2\): bus 2 is there already"):
        matpower.from_pypower(plain)
    with pytest.raises(CaseError, match="no 'gen', 'branch'"):
        matpower.from_pypower({"baseMVA": 100, "bus": parsed.bus})
