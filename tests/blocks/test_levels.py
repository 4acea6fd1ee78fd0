"""Array equations that are one cycle by their names, and blocks of single elements one after the other."""

from __future__ import annotations

import numpy as np
import pytest

import adjoint as adj
from adjoint.blocks.levels import levels_of
from adjoint.structure import Incidence


def cubes(n: int, seed: int) -> adj.Program:
    """x³ − 2x + 2 = sin(the element before)/10, element by element: hard for Newton's method on all at once."""
    rng = np.random.default_rng(seed)
    m = adj.Program("cubes")
    x = m.unknown("x", guess=rng.uniform(-2.0, 2.0, n))
    before = np.concatenate([np.zeros(1), 0.1 * np.sin(x[:-1])])
    m.constrain(x**3 - 2.0 * x + 2.0 - before, name="cubic")
    return m


@pytest.mark.parametrize("seed", range(4))
def test_triangular_elements_are_solved_one_level_after_the_other(seed: int) -> None:
    m = cubes(25, seed)
    sol = m.solve()
    x = sol["x"]
    before = np.concatenate([[0.0], 0.1 * np.sin(x[:-1])])
    assert np.abs(x**3 - 2.0 * x + 2.0 - before).max() < 1e-9
    assert np.abs(sol.blocks[0].residual) < 1e-9


def test_levels_of_a_triangular_pattern() -> None:
    a = Incidence.from_coo([0, 1, 1, 2, 2, 3], [0, 0, 1, 1, 2, 3], shape=(4, 4))
    levels = levels_of(a)
    assert [sorted(level.rows.tolist()) for level in levels] == [[0, 3], [1], [2]]
    assert levels[0].components is not None and levels[1].components is None


def test_a_system_without_a_root_fails_as_before() -> None:
    m = adj.Program()
    x = m.unknown("x", guess=np.ones(3))
    m.constrain(x**2 + 1.0 + np.concatenate([np.zeros(1), x[:-1]]) ** 2, name="none")
    with pytest.raises(adj.ConvergenceError, match="none"):
        m.solve()
