from __future__ import annotations

import numpy as np
import pytest

from adjoint.report.matrix import BlockMatrix, block_matrix
from tests.report.models import arrays, chain, empty, sellar, tangle

MODELS = [sellar, arrays, chain, tangle, empty]


@pytest.mark.parametrize("scalar", [True, False])
@pytest.mark.parametrize("make", MODELS)
def test_block_lower_triangular_with_a_full_diagonal(make: object, scalar: bool) -> None:
    m = make()  # type: ignore[operator]
    matrix = block_matrix(m, large=10**6 if scalar else -1)
    block = np.repeat(np.arange(len(matrix.diagonal)), [size for _, size, _ in matrix.diagonal])
    assert len(block) == matrix.size
    assert (block[matrix.rows] >= block[matrix.cols]).all()
    on_diagonal = set(block[matrix.rows][block[matrix.rows] == block[matrix.cols]].tolist())
    assert on_diagonal == set(range(len(matrix.diagonal)))
    assert matrix.scalar == scalar


def names(matrix: BlockMatrix) -> list[str]:
    return [name for _, _, name in matrix.unknowns]


def test_sizes_and_names() -> None:
    m = arrays()
    matrix = block_matrix(m)
    assert matrix.size == sum(v.size for v in m.unknowns)
    assert sorted(names(matrix)) == ["T", "mean", "q"]
    assert {size for _, size, _ in matrix.unknowns} == {6, 5, 1}
    assert block_matrix(m, large=0).size == 5  # five equations, of which four for two arrays


def test_the_entries_are_those_of_the_jacobian() -> None:
    m = sellar()
    matrix = block_matrix(m)
    entries = {
        (matrix.equations[i][2], matrix.unknowns[j][2]) for i, j in zip(matrix.rows, matrix.cols, strict=True)
    }
    unknowns = {"y1", "y2", "f"}
    assert entries == {(b, a) for a, b in m.graph.edges if a in unknowns} | {(u, u) for u in unknowns}
