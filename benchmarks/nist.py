"""NIST's nonlinear regression data sets: Levenberg–Marquardt beside ``scipy.optimize.curve_fit`` and lmfit.

Each data set from both certified starts, default options; the peers get no derivatives, as is their default use.
Figures are relative errors of the worst parameter (1 where a run failed), and times of all runs after the first.
``ADJOINT_DATA`` names the data folder.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from ._nist_data import MODELS, DataSet, data_sets, digits, problem_of, standard_errors
from .harness import Row

__all__ = ["run"]

Fit = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # of a start: parameters and standard errors


def by_adjoint(s: DataSet) -> Fit:
    """The library."""
    problem = problem_of(s)

    def fit(start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        result = problem.solve("levenberg-marquardt", start={"b": start})
        return result.x, standard_errors(problem, result.x)

    return fit


def by_curve_fit(s: DataSet) -> Fit:
    """SciPy."""

    def fit(start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found, covariance = scipy.optimize.curve_fit(lambda x, *b: MODELS[s.name](b, x), s.x, s.y, start)
        return found, np.sqrt(np.diag(covariance))

    return fit


def by_lmfit(s: DataSet) -> Fit:
    """lmfit."""
    import lmfit

    def residuals(p: Any) -> np.ndarray:
        return s.y - MODELS[s.name]([v.value for v in p.values()], s.x)

    def fit(start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = lmfit.Parameters()
        for k, b in enumerate(start):
            p.add(f"b{k}", float(b))
        found = lmfit.minimize(residuals, p).params.values()
        return np.array([v.value for v in found]), np.array([v.stderr or np.nan for v in found])

    return fit


def measure(make: Callable[[DataSet], Fit], s: DataSet, repeat: int) -> tuple[list[float], list[float], float]:
    """From both starts: errors of the parameters, of the standard errors; and the best time of both runs."""
    fit = make(s)
    errors: list[float] = []
    deviations: list[float] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for start in s.starts:
            try:
                found, deviation = fit(start)
            except Exception:  # a peer's own error types
                errors.append(1.0)
                deviations.append(1.0)
                continue
            errors.append(10.0 ** -digits(found, s.certified))
            deviations.append(10.0 ** -digits(deviation, s.errors))
        best = np.inf
        for _ in range(repeat):
            begin = time.perf_counter()
            for start in s.starts:
                try:
                    fit(start)
                except Exception:
                    pass
            best = min(best, time.perf_counter() - begin)
    return errors, deviations, best


def run(repeat: int) -> list[Row]:
    """The rows, by data set and start; then the totals of the times."""
    folder = os.environ.get("ADJOINT_DATA")
    if not folder:
        raise SystemExit("set ADJOINT_DATA to the folder of the data")
    makers: dict[str, Any] = {"adjoint": by_adjoint, "curve_fit": by_curve_fit}
    try:
        import lmfit  # noqa: F401
    except ImportError:
        pass
    else:
        makers["lmfit"] = by_lmfit
    rows, totals = [], dict.fromkeys(makers, 0.0)
    for name, s in data_sets(Path(folder)).items():
        found = {who: measure(make, s, repeat) for who, make in makers.items()}
        for who, (_, _, seconds) in found.items():
            totals[who] += seconds
        for k in (0, 1):
            for who in list(makers)[1:]:
                note = f"standard errors {found['adjoint'][1][k]:.0e}, {who} {found[who][1][k]:.0e}"
                row = f"{name}, start {k + 1}"
                rows.append(Row(row, found["adjoint"][0][k], found[who][0][k], who, "rel. error", note))
    rows += [Row("all runs", totals["adjoint"], totals[who], who) for who in list(makers)[1:]]
    return rows
