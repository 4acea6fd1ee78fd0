from __future__ import annotations

import pytest

from adjoint.report.matrix import BlockMatrix, block_matrix
from tests.report.models import arrays, chain, empty, sellar, tangle

MODELS = [sellar, arrays, chain, tangle, empty]


@pytest.mark.parametrize("scalar", [True, False])
@pytest.mark.parametrize("make", MODELS)
def test_block_lower_triangular_with_a_full_diagonal(make: object, scalar: bool) -> None:
    m = make()  # type: ignore[operator]
    matrix = block_matrix(m, large=10**6 if scalar else -1)
    by_row, by_col = matrix.block_of_rows, matrix.block_of_cols
    assert (len(by_row), len(by_col)) == matrix.shape
    assert (by_row[matrix.rows] >= by_col[matrix.cols]).all()
    on_diagonal = set(by_row[matrix.rows][by_row[matrix.rows] == by_col[matrix.cols]].tolist())
    assert on_diagonal == set(range(len(matrix.blocks)))
    if scalar:
        assert all(b.height == b.width and b.row == b.col for b in matrix.blocks)
    assert matrix.scalar == scalar


def names(matrix: BlockMatrix) -> list[str]:
    return [name for _, _, name in matrix.unknowns]


def test_sizes_and_names() -> None:
    m = arrays()
    matrix = block_matrix(m)
    assert matrix.shape == (12, 12)
    assert sorted(names(matrix)) == ["T", "mean", "q"]
    assert {size for _, size, _ in matrix.unknowns} == {6, 5, 1}
    assert block_matrix(m, large=0).shape == (5, 3)  # four equations determine two arrays


def test_the_entries_are_those_of_the_jacobian() -> None:
    m = sellar()
    matrix = block_matrix(m)
    entries = {
        (matrix.equations[i][2], matrix.unknowns[j][2]) for i, j in zip(matrix.rows, matrix.cols, strict=True)
    }
    unknowns = {"y1", "y2", "f"}
    assert entries == {(b, a) for a, b in m.graph.edges if a in unknowns} | {(u, u) for u in unknowns}
