"""``.sol`` files: read what solvers write, write what can be read, refuse what is damaged."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import adjoint as adj
from adjoint.errors import AdjointError, FileFormatError, ModelError
from adjoint.nl.model import Suffix
from adjoint.nl.sol import SolFile, read_sol, write_sol

# As the solvers of AMPL's library write it: hs071, with multipliers of bounds.
HS071 = """\
Ipopt 3.14: Optimal Solution Found

Options
3
1
1
0
2
2
4
4
0.5522936594964193
-0.16146856359109484
0.999999992323834
4.74299964194743
3.8211499816077
1.3794082897803
objno 0 0
suffix 4 4 13 0 0
ipopt_zL_out
0 1.0878712200
1 6.7e-10
2 8.9e-10
3 6.6e-9
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "model.sol"
    path.write_bytes(text.encode())
    return path


def test_what_a_solver_writes(tmp_path: Path) -> None:
    sol = read_sol(written(tmp_path, HS071))
    assert sol.message == "Ipopt 3.14: Optimal Solution Found"
    assert (sol.n_var, sol.n_con, sol.objective, sol.code, sol.status, sol.success) == (4, 2, 0, 0, "solved", True)
    np.testing.assert_allclose(sol.dual, [0.5523, -0.1615], atol=5e-5)
    np.testing.assert_allclose(sol.primal, [1, 4.743, 3.8211, 1.3794], atol=5e-5)
    assert sol.suffix("ipopt_zL_out")[0] == 1.08787122
    assert sol.suffix("ipopt_zL_out", kind=1) is None and sol.suffix("other") is None


def test_duals_have_the_sign_of_multipliers() -> None:
    m = adj.Program("hs071")
    x = m.input("x", [1.0, 5.0, 5.0, 1.0])
    problem = adj.Problem(
        m,
        minimize=x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2],
        over={"x": (1, 5)},
        subject_to={"product": x[0] * x[1] * x[2] * x[3] >= 25, "sphere": np.sum(x**2) == 40},
    )
    multipliers = problem.solve(method="SLSQP").multipliers
    assert [multipliers["product"], multipliers["sphere"]] == pytest.approx([0.5523, -0.1615], abs=1e-3)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (0, "solved"),
        (99, "solved"),
        (100, "solved, but an error is likely"),
        (220, "infeasible"),
        (300, "unbounded"),
        (401, "stopped by a limit"),
        (599, "failed"),
        (600, "unknown"),
        (-1, "unknown"),
    ],
)
def test_ranges_of_codes(code: int, status: str) -> None:
    sol = SolFile(code=code)
    assert sol.status == status
    assert sol.success == (status == "solved")


def test_messages(tmp_path: Path) -> None:
    body = "\nOptions\n3\n1\n1\n0\n0\n0\n1\n1\n2.5\n"
    for said, text in (
        ("one", "one\n"),
        ("\b\b\b\bone\n", "one\n"),
        ("", ""),
        ("two\nlines", "two\nlines\n"),
        ("a\n\nb", "a\n \nb\n"),
        ("one", "one\r\n"),
    ):
        content = (text + body).replace("\n", "\r\n") if "\r" in text else text + body
        sol = read_sol(written(tmp_path, content.replace("\r\r", "\r")))
        assert sol.message == said.strip("\b\n")
        assert sol.primal.tolist() == [2.5] and sol.dual is None
        assert sol.code == -1


def test_a_file_without_options_needs_the_counts(tmp_path: Path) -> None:
    path = written(tmp_path, "done\n\n1\n2\n3\nobjno 0 100\n")
    sol = read_sol(path, n_var=2, n_con=1)
    assert (sol.dual.tolist(), sol.primal.tolist(), sol.code) == ([1.0], [2.0, 3.0], 100)
    with pytest.raises(FileFormatError, match="line 3 .*give n_var= and n_con="):
        read_sol(path)


def sample() -> SolFile:
    return SolFile(
        "Two\n\nlines",
        primal=[1.0, 0.1, -np.inf],
        dual=[1e-300, -2.0],
        code=402,
        objective=1,
        options=[1, 3, 0],
        vbtol=1e-9,
        suffixes=[
            Suffix("sstatus", 0, False, np.array([0, 2]), np.array([1, 3])),
            Suffix("dual_low", 1, True, np.array([1]), np.array([0.25])),
            Suffix("none", 0, True, np.array([1]), np.array([0.0])),
        ],
        tables={"sstatus": "0\tnone\tno status\n1\tbas\tbasic"},
    )


@pytest.mark.parametrize("binary", [False, True])
def test_what_is_written_is_read(binary: bool, tmp_path: Path) -> None:
    said = sample()
    write_sol(tmp_path / "a.sol", said, binary=binary)
    sol = read_sol(tmp_path / "a.sol")
    assert (sol.message, sol.code, sol.objective, sol.options, sol.vbtol) == (
        said.message,
        402,
        1,
        [1.0, 3.0, 0.0],
        1e-9,
    )
    np.testing.assert_array_equal(sol.primal, said.primal)
    np.testing.assert_array_equal(sol.dual, said.dual)
    assert sol.tables == said.tables
    assert sol.suffix("sstatus").tolist() == [1, 0, 3]
    assert sol.suffix("dual_low", 1).tolist() == [0.0, 0.25]
    assert sol.suffix("none").tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("binary", [False, True])
def test_a_file_with_a_status_only(binary: bool, tmp_path: Path) -> None:
    write_sol(tmp_path / "a.sol", SolFile(code=200, n_var=7, n_con=3), binary=binary)
    sol = read_sol(tmp_path / "a.sol")
    assert (sol.primal, sol.dual, sol.n_var, sol.n_con, sol.status) == (None, None, 7, 3, "infeasible")


def test_write_sol_takes_a_sol_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="takes a SolFile, got dict"):
        write_sol(tmp_path / "a.sol", {"x": 1.0})  # type: ignore[arg-type]


# -- damage ----------------------------------------------------------------------------------------------------------

LINES = HS071.splitlines()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("4.74299964194743", "4.74x"), r"line 15 \(segment values of variables\): .*4\.74x"),
        (lambda t: "\n".join(LINES[:14]), r"line 15 .*the file ends; expected 4 numbers"),
        (lambda t: "\n".join(LINES[:9]), "the file ends"),
        (lambda t: t.replace("\n4\n4\n", "\n4\n5\n"), "not more than there are"),
        (lambda t: t.replace("\n4\n4\n", "\n9999999999\n9999999999\n"), "the file ends; expected"),
        (lambda t: t.replace("\n4\n4\n", "\n-4\n-4\n"), r"line 10 .*a count"),
        (lambda t: t.replace("objno 0 0", "objno x"), "integers"),
        (lambda t: t + "more\n", "line 25 .*after the end"),
        (lambda t: t.replace("suffix 4 4", "suffix 4 400"), "lengths of values"),
        (lambda t: t.replace("3 6.6e-9", "4 6.6e-9"), "index of the suffix .* expected indices below 4"),
        (lambda t: t.replace("3 6.6e-9", "3"), "lines of an index and a value"),
        (lambda t: "", "the file ends"),
        (lambda t: t.replace("Options\n3", "Options\n99"), r"line 4 .*a count"),
    ],
)
def test_damaged_files_are_refused_with_the_line(change: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=message):
        read_sol(written(tmp_path, change(HS071)))  # type: ignore[operator]


@given(st.data())
def test_no_damage_gives_another_error(data: st.DataObject) -> None:
    folder = Path(FOLDER)
    binary = data.draw(st.booleans())
    write_sol(folder / "a.sol", sample(), binary=binary)
    content = bytearray((folder / "a.sol").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "huge", "drop"]))
        if kind == "flip":
            content[at] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            content = content[: at + 1]
        elif kind == "huge":
            content[at : at + 4] = struct.pack("<i", 2**31 - 1) if binary else b"999999999999999999999999"
        elif len(content) > 8:
            del content[at : at + 7]
    (folder / "a.sol").write_bytes(bytes(content))
    try:
        read_sol(folder / "a.sol")
    except AdjointError:
        pass


FOLDER = ""


@pytest.fixture(autouse=True, scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    global FOLDER
    FOLDER = str(tmp_path_factory.mktemp("sol"))
