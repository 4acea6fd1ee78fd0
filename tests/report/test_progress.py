from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import adjoint as adj
from adjoint.report import progress as module
from adjoint.report.progress import is_available, progress


class Terminal(io.StringIO):
    """A stream that somebody watches."""

    def isatty(self) -> bool:
        return True


def test_no_line_where_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress("title") as callback:
        assert callback is None


def test_no_line_when_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress("title", show=False) as callback:
        assert callback is None


def test_no_line_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert not is_available()
    with progress("title") as callback:
        assert callback is None


def watched(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal in place of stderr; not a fixture, for pytest sets stderr again after those."""
    pytest.importorskip("tqdm")
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(module, "DELAY", 0.0)
    return stream


def test_iterations_are_counted_with_the_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = watched(monkeypatch)
    with progress("sellar", sign=-1.0) as callback:
        assert callback is not None
        callback(SimpleNamespace(fun=-2.5))
        callback(np.zeros(3))  # the point only
        callback(SimpleNamespace(fun=np.array([-3.5])))
    assert "sellar" in terminal.getvalue()


@pytest.mark.parametrize(
    "method", ["SLSQP", "trust-constr", "TNC", "L-BFGS-B", "Nelder-Mead", "COBYLA", "COBYQA"]
)
def test_every_way_that_scipy_calls_back(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    terminal = watched(monkeypatch)
    m = adj.Program()
    m.define("f", (m.input("x", 2.0) - 1.0) ** 2)
    with progress("parabola") as callback:
        result = adj.Problem(m, minimize="f", over={"x": (-5, 5)}).solve(method, callback=callback)
    assert result.x[0] == pytest.approx(1.0, abs=1e-3)
    assert "parabola" in terminal.getvalue()
