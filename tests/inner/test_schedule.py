"""Inexact inner solves whose tolerance falls with the outer iteration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adjoint as adj
from adjoint.inner import Schedule, argmin, inner_reports


def model(tol: Any) -> adj.Program:
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((60, 20)), rng.standard_normal((40, 20))
    theta = rng.standard_normal(20)
    y, z = A @ theta + rng.standard_normal(60), B @ theta + rng.standard_normal(40)
    m = adj.Program()
    h = m.input("h", np.zeros(20))

    def training(t: Any) -> Any:
        return 0.5 * np.sum((A @ t - y) ** 2) + 0.5 * np.sum(np.exp(h) * t**2)

    t = m.define("t", argmin(training, np.zeros(20), method="newton-cg", tol=tol))
    m.define("loss", np.mean((B @ t - z) ** 2))
    return m


def test_values() -> None:
    s = Schedule(first=1e-2, decay=0.5, last=1e-3)
    seen = []
    for _ in range(6):
        seen.append(s.value)
        s("any", arguments=1)
    assert seen == [1e-2, 5e-3, 2.5e-3, 1.25e-3, 1e-3, 1e-3]
    s.restart()
    assert s.value == 1e-2
    s.finish()
    assert s.value == 1e-3
    with pytest.raises(adj.ModelError):
        Schedule(first=1e-3, last=1e-2)


def test_error_follows_the_tolerance() -> None:
    schedule = Schedule(first=1e-2, decay=1e-2, last=1e-10)
    m, exact = model(schedule), model(1e-13)
    h = np.full(20, -1.0)
    wanted = exact.solve(h=h).gradient("loss", wrt="h")
    errors = []
    for _ in range(4):
        sol = m.solve(h=h)
        gradient = sol.gradient("loss", wrt="h")
        report = inner_reports(m)[0]
        true = np.linalg.norm(sol["t"] - exact.solve(h=h)["t"]) / np.linalg.norm(sol["t"])
        assert report.residual <= schedule.value and report.error < 10 * schedule.value
        assert 0.1 * report.error <= true + 1e-12 and true <= 10 * report.error + 1e-12  # the estimate is one
        errors.append(np.abs(gradient - wanted).max() / np.abs(wanted).max())
        schedule()
    assert errors[-1] < 1e-7 and errors == sorted(errors, reverse=True)


def test_outer_optimization_on_inexact_solves() -> None:
    schedule = Schedule(first=1e-2, decay=0.6, last=1e-9)
    m, exact = model(schedule), model(1e-12)
    over = {"h": (-6.0, 6.0)}
    inexact = adj.Problem(m, minimize="loss", over=over).solve(method="L-BFGS-B", callback=schedule)
    wanted = adj.Problem(exact, minimize="loss", over=over).solve(method="L-BFGS-B")
    assert schedule.value < 1e-2
    assert exact.solve(h=inexact.x)["loss"] == pytest.approx(wanted.fun, rel=1e-3)
