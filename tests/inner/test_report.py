"""What is said of the last inner solves."""

from __future__ import annotations

import numpy as np
import pytest

import adjoint as adj
from adjoint.inner import argmin, inner_reports, root


@pytest.mark.parametrize("method", ["newton", "newton-cg"])
def test_condition(method: str) -> None:
    d = np.array([1.0, 10.0, 100.0])
    m = adj.Program()
    c = m.input("c", np.ones(3))
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    m.define("y", argmin(lambda y: 0.5 * np.sum(d * (Q @ (y - c)) ** 2), np.zeros(3), method=method))
    m.solve(c=np.array([1.0, 2.0, 3.0])).gradient({"y": np.ones(3)})
    report = inner_reports(m)[0]
    assert 10 < report.condition < 1000  # 100, of the scaled matrix somewhat less
    assert report.error < 1e-9 and report.residual <= 1e-10 and report.size == 3


def test_ill_conditioned_is_seen() -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    fun = lambda y: np.stack([y[0] + y[1] - x, y[0] + (1 + 1e-9) * y[1] - 2 * x])
    m.define("y", root(fun, np.ones(2)))
    m.solve()
    assert inner_reports(m)[0].condition > 1e8


def test_only_what_was_solved() -> None:
    m = adj.Program()
    y = root(lambda y, x: y**3 - x, 1.0, m.input("x", 8.0), name="third root")
    m.define("y", y)
    assert inner_reports(m) == []
    m.solve()
    assert [r.name for r in inner_reports(m)] == ["third root"] == [r.name for r in inner_reports(y)]
    with pytest.raises(adj.ModelError):
        inner_reports(3.0)
