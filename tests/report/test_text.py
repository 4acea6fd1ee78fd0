from __future__ import annotations

import numpy as np
import pytest

from adjoint.report.text import array_text, number, plural, shape_text, shorten, small, table


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (np.float64(1 / 3), "0.33333333"),
        (1e20, "1e+20"),
        (float("nan"), "nan"),
        (-np.inf, "-inf"),
        (None, ""),
        (np.int64(7), "7"),
        (np.array(2.5), "2.5"),
    ],
)
def test_number(value: object, text: str) -> None:
    assert number(value) == text


def test_a_number_in_many_digits_is_itself() -> None:
    assert float(number(np.pi, 17)) == np.pi


def test_small() -> None:
    assert [small(x) for x in (0, 1.26e-11, None, np.inf)] == ["0", "1.3e-11", "", "inf"]


def test_plural() -> None:
    assert [plural(n, "cycle") for n in (0, 1, 2)] == ["0 cycles", "1 cycle", "2 cycles"]


@pytest.mark.parametrize("most", [5, 6, 17, 30])
def test_shortened_texts_have_the_length_asked_for(most: int) -> None:
    text = "abcdefghijklmnopqrstuvwxyz" * 2
    cut = shorten(text, most)
    assert len(cut) == most and cut[0] == "a" and cut[-1] == "z"


def test_short_texts_stay_and_lines_are_joined() -> None:
    assert shorten("a\n  b\tc", 10) == "a b c"


def test_shapes() -> None:
    assert [shape_text(s) for s in ((), (3,), (2, 3, 4))] == ["", "3", "2×3×4"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.0, "2"),
        (np.arange(4.0), "[0, 1, 2, 3]"),
        (np.arange(5.0), "[0, 1, 2, 3, …]"),
        (np.arange(6.0).reshape(2, 3), "[0, 1, 2, 3, …]"),
        (np.zeros(0), "[]"),
    ],
)
def test_arrays(value: object, text: str) -> None:
    assert array_text(value) == text


def test_columns_are_aligned() -> None:
    text = table(
        ["name", "n", "value"], [["a", "1", "10.25"], ["longer", "100", "-3"], ["c", "", "1e-9"]], "lr."
    )
    assert text.splitlines() == [
        "name      n  value",
        "a         1  10.25",
        "longer  100  -3",
        "c             1e-9",
    ]


def test_decimal_points_stand_below_each_other() -> None:
    cells = ["1.5", "-22.25", "333", "4e-05", "5.5e+10", "0.125"]
    lines = table(["v"], [[c] for c in cells], ".").splitlines()[1:]
    points = {min(line.find(c) for c in ".e" if c in line) for line in lines if "." in line or "e" in line}
    assert len(points) == 1
    assert [line.strip() for line in lines] == cells
    assert lines[2].rstrip().endswith("333") and len(lines[2]) == points.pop()


def test_lists_among_numbers_stay_at_the_left() -> None:
    lines = table(["v"], [["100.5"], ["[1, 2]"], ["2"]], ".").splitlines()
    assert lines == ["v", "100.5", "[1, 2]", "  2"]


def test_long_tables_are_cut_and_say_so() -> None:
    rows = [[str(i)] for i in range(10)]
    assert table(["i"], rows, "l", most=3).splitlines() == ["i", "0", "1", "2", "… 7 more rows"]
    assert table(["i"], rows, "l", most=9).splitlines()[-1] == "… 1 more row"
    assert table(["i"], rows, "l", most=10).splitlines()[-1] == "9"
    assert table(["i"], rows, "l").splitlines()[-1] == "9"


def test_a_table_without_rows_is_its_head() -> None:
    assert table(["a", "b"], [], "l.") == "a  b"
