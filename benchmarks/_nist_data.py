"""The nonlinear data sets of NIST's StRD as problems: models, certified values, and standard errors.

https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml. Read from ``nist_strd/certified.json`` of a data folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import adjoint as adj

__all__ = ["MODELS", "DataSet", "data_sets", "digits", "problem_of", "standard_errors"]


def _gauss(b: Any, x: Any) -> Any:
    peaks = b[2] * np.exp(-((x - b[3]) ** 2) / b[4] ** 2) + b[5] * np.exp(-((x - b[6]) ** 2) / b[7] ** 2)
    return b[0] * np.exp(-b[1] * x) + peaks


def _chwirut(b: Any, x: Any) -> Any:
    return np.exp(-b[0] * x) / (b[1] + b[2] * x)


def _lanczos(b: Any, x: Any) -> Any:
    return b[0] * np.exp(-b[1] * x) + b[2] * np.exp(-b[3] * x) + b[4] * np.exp(-b[5] * x)


def _kirby(b: Any, x: Any) -> Any:
    return (b[0] + b[1] * x + b[2] * x**2) / (1.0 + b[3] * x + b[4] * x**2)


MODELS: dict[str, Callable[[Any, Any], Any]] = {
    "Chwirut1": _chwirut,
    "Chwirut2": _chwirut,
    "DanWood": lambda b, x: b[0] * x ** b[1],
    "Gauss1": _gauss,
    "Gauss2": _gauss,
    "Kirby2": _kirby,
    "Lanczos3": _lanczos,
    "MGH09": lambda b, x: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "MGH10": lambda b, x: b[0] * np.exp(b[1] / (x + b[2])),
    "Misra1a": lambda b, x: b[0] * (1.0 - np.exp(-b[1] * x)),
    "Misra1b": lambda b, x: b[0] * (1.0 - (1.0 + b[1] * x / 2.0) ** -2),
    "Misra1c": lambda b, x: b[0] * (1.0 - (1.0 + 2.0 * b[1] * x) ** -0.5),
    "Misra1d": lambda b, x: b[0] * b[1] * x / (1.0 + b[1] * x),
}


@dataclass(frozen=True)
class DataSet:
    """A data set with its certified values."""

    name: str
    level: str
    starts: tuple[np.ndarray, np.ndarray]
    certified: np.ndarray
    errors: np.ndarray
    rss: float
    y: np.ndarray
    x: np.ndarray


def data_sets(folder: Path) -> dict[str, DataSet]:
    """Every data set of the folder by name."""
    table = json.loads((folder / "nist_strd" / "certified.json").read_text(encoding="utf-8"))
    out = {}
    for name, row in table.items():
        data = np.array(row["data"])
        starts = np.array(row["start1"]), np.array(row["start2"])
        values = np.array(row["certified"]), np.array(row["std_err"])
        out[name] = DataSet(name, row["level"], starts, *values, row["rss"], data[:, 0], data[:, 1])
    return out


def problem_of(s: DataSet) -> adj.Problem:
    """Least squares over b."""
    m = adj.Program(s.name)
    b = m.input("b", s.starts[0])
    r = m.define("r", s.y - MODELS[s.name](b, s.x))
    m.define("rss", np.sum(r**2))
    return adj.Problem(m, minimize="rss", over=["b"])


def standard_errors(problem: adj.Problem, b: np.ndarray) -> np.ndarray:
    """``s √diag (JᵀJ)⁻¹`` with ``s² = ‖r‖² / degrees of freedom``, from orthogonal factors of the scaled Jacobian."""
    residuals = problem.program.function(["r"], wrt="b")
    r, J = residuals(b), residuals.jac(b)
    scale = np.linalg.norm(J, axis=0)
    R = np.linalg.qr(J / scale, mode="r")
    inverse = np.linalg.solve(R, np.eye(b.size))
    variance = float(r @ r) / (r.size - b.size)
    return np.sqrt(variance * (inverse**2).sum(axis=1)) / scale


def digits(found: np.ndarray, certified: np.ndarray) -> float:
    """The smallest number of correct digits, ``−log₁₀`` of the relative error; at most 11, as many as are printed."""
    error = float(np.max(np.abs(found - certified) / np.abs(certified)))
    return 11.0 if error < 1e-11 else max(0.0, -np.log10(error)) if np.isfinite(error) else 0.0
