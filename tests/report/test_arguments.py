from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from adjoint.report.arguments import UsageError, assignments, bounds, constraints, option_value, value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4", 4),
        (" -1.5e-3 ", -1.5e-3),
        ("1,2,3", [1, 2, 3]),
        ("1,", [1]),
        ("-1, 2.5", [-1, 2.5]),
        ("[1, 2.5]", [1, 2.5]),
        ("[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
        ("inf", float("inf")),
        ("true", True),
    ],
)
def test_values(text: str, expected: object) -> None:
    got = value(text)
    assert got == expected and type(got) is type(expected)


@pytest.mark.parametrize("text", ["", "four", "1;2", "1,two", "[1, 2", "1,,2"])
def test_bad_values_are_named(text: str) -> None:
    with pytest.raises(UsageError, match="is not a"):
        value(text)


def test_arrays_from_files(tmp_path: Path) -> None:
    matrix = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.5]])
    np.save(tmp_path / "a.npy", matrix)
    (tmp_path / "a.json").write_text(json.dumps(matrix.tolist()))
    (tmp_path / "a.csv").write_text("x,y,z\n1,2,3\n4, 5, 6.5\n\n")
    (tmp_path / "a.txt").write_text("1 2 3\n4 5 6.5\n")
    for ending in ("npy", "json", "csv", "txt"):
        assert np.array_equal(value(f"@{tmp_path}/a.{ending}"), matrix)


@pytest.mark.parametrize("text", ["1\n2\n3\n", "1,2,3\n", "length\n1\n2\n3\n"])
def test_one_row_or_column_is_a_vector(tmp_path: Path, text: str) -> None:
    (tmp_path / "v.csv").write_text(text)
    assert value(f"@{tmp_path}/v.csv").tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("none.csv", None, "No such file"),
        ("bad.json", "{", "Expecting"),
        ("bad.csv", "1,2\n3\n", "differ in their number"),
        ("word.csv", "1,2\n3,x\n", "could not convert"),
        ("array.xlsx", "", "ends with .json"),
        ("pickled.npy", "not an array", "@"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=words) as caught:
        value(f"@{tmp_path}/{name}")
    assert name in str(caught.value)


def test_npy_files_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(UsageError, match="o.npy"):
        value(f"@{tmp_path}/o.npy")


def test_assignments() -> None:
    assert assignments(["a=1", "wing.b = 2,3", "a=4"]) == {"a": 4, "wing.b": [2, 3]}


@pytest.mark.parametrize("text", ["a", "=1", "a=", "a=b"])
def test_bad_assignments_are_named(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        assignments([text], "--start")
    assert f"--start {text}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200", 200),
        ("1e-9", 1e-9),
        ("True", True),
        ("none", None),
        ("[1, 2]", [1, 2]),
        ("2-point", "2-point"),
    ],
)
def test_options(text: str, expected: object) -> None:
    assert option_value(text) == expected


def test_bounds() -> None:
    assert bounds(["z1=-10:10,z2=0:", "x; y = :1e3"]) == {
        "z1": (-10.0, 10.0),
        "z2": (0.0, None),
        "x": (None, None),
        "y": (None, 1000.0),
    }


@pytest.mark.parametrize("text", ["z1=3", "=0:1", "z1=a:1", "z1:0"])
def test_bad_bounds_are_named(text: str) -> None:
    with pytest.raises(UsageError, match="--over"):
        bounds([text])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y1>=3.16", ("y1", 3.16, np.inf)),
        ("y1 < 3", ("y1", -np.inf, 3.0)),
        ("y1 = 3", ("y1", 3.0, 3.0)),
        ("3 <= y1", ("y1", 3.0, np.inf)),
        ("-3e2 > wing.y1", ("wing.y1", -np.inf, -300.0)),
        ("0 <= y <= 5", ("y", 0.0, 5.0)),
        ("5 > y > 0", ("y", 0.0, 5.0)),
    ],
)
def test_constraints(text: str, expected: tuple[str, float, float]) -> None:
    assert list(constraints([text]).values()) == [expected]


def test_several_constraints() -> None:
    assert list(constraints(["y1>=3.16, y2<=24", "z==1"])) == ["y1 >= 3.16", "y2 <= 24", "z == 1"]


@pytest.mark.parametrize(
    "text", ["y1", "y1 >= y2", ">= 3", "1 <= 2", "0 <= y >= 5", "y >= 3 >= 2", "a <= b <= c <= 4"]
)
def test_bad_constraints_are_named(text: str) -> None:
    with pytest.raises(UsageError, match="--subject-to"):
        constraints([text])
