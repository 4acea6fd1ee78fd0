"""Functional gradients: a block of a program may be a regressor, boosted on the multipliers at its output.

The output of a module is a variable ``z = f(x)``, one value for each sample. Its multiplier λ says how the objective
changes with each of these values: it is the gradient with respect to the *function*, at the samples. A regressor is
fitted to −λ over the module's inputs, and a part of it is added to the function:

    h ← fit(x_n, −λ_n),     f ← f + η h

Then all is evaluated again. Parametric gradients are the special case of linear regressors.

Grubb and Bagnell 2010, "Boosted Backpropagation Learning for Training Deep Modular Networks", ICML.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import ModelError
from ...expr import Expr, Variable

__all__ = ["BoostRecord", "Module", "boost"]


@dataclass
class Module:
    """A sum of fitted regressors as a function of samples.

    Parameters
    ----------
    regressor : callable
        Makes a new regressor with ``fit(X, y)`` and ``predict(X)``, as scikit-learn's classes do. ``X`` has one row for
        each sample.
    initial : callable, optional
        What the function is before any regressor is added: ``initial(X)``; default 0.
    outputs : int, optional
        Columns of the output; None for a vector with one value for each sample.

    Attributes
    ----------
    parts : list of (rate, regressor)
        Of a fitted module.
    """

    regressor: Callable[[], Any]
    initial: Callable[[np.ndarray], np.ndarray] | None = None
    outputs: int | None = None
    parts: list[tuple[float, Any]] = field(default_factory=list)
    name: str = ""

    def __call__(self, X: Any) -> np.ndarray:
        """The function at samples, one row each."""
        X = np.asarray(X, dtype=float)
        rows = X.reshape(len(X), -1)
        shape = (len(X),) if self.outputs is None else (len(X), self.outputs)
        out = np.zeros(shape) if self.initial is None else np.asarray(self.initial(rows), float).reshape(shape).copy()
        for rate, part in self.parts:
            out += rate * np.reshape(part.predict(rows), shape)
        return out

    def slope(self, X: Any) -> np.ndarray:
        """∂output/∂X: from ``coef_`` of linear regressors, 0 for trees and others that are constant almost everywhere,
        central differences of ``initial``."""
        X = np.asarray(X, dtype=float)
        rows = X.reshape(len(X), -1)
        n, d = rows.shape
        k = self.outputs or 1
        local = np.zeros((n, k, d))
        for rate, part in self.parts:
            if hasattr(part, "coef_"):
                local += rate * np.reshape(part.coef_, (k, d))
        if self.initial is not None:
            local += _differences(self.initial, rows, k)
        full = np.zeros((n, k, n, d))
        full[np.arange(n), :, np.arange(n), :] = local
        shape = (n,) if self.outputs is None else (n, k)
        return full.reshape(*shape, *X.shape)

    def define(self, program: Any, name: str, inputs: Variable | Expr | str) -> Variable:
        """The variable ``name = self(inputs)`` of a program; the first axis of the inputs counts samples.

        >>> import adjoint as adj
        >>> class Mean:
        ...     def fit(self, X, y): self.mean = y.mean(); return self
        ...     def predict(self, X): return np.full(len(X), self.mean)
        >>> m = adj.Program()
        >>> x = m.input("x", np.arange(4.0).reshape(4, 1))
        >>> module = Module(Mean)
        >>> z = module.define(m, "z", x)
        >>> f = m.define("f", 0.5 * np.sum((z - 3.0) ** 2))
        >>> history = boost(m, "f", [module], rounds=40, rate=0.5)
        >>> history[0].objective, round(history[-1].objective, 6)
        (18.0, 0.0)
        """
        source = program[inputs] if isinstance(inputs, str) else inputs
        if not source.shape:
            raise ModelError(f"the inputs of module {name!r} have no axis of samples")
        self.name, self._inputs = name, source
        shape = (source.shape[0],) if self.outputs is None else (source.shape[0], self.outputs)
        return program.external(name, self.__call__, [source], shape=shape, jac=lambda X: (self.slope(X),))


def _differences(function: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, k: int) -> np.ndarray:
    """∂function(row)/∂row of every row, by central differences."""
    n, d = rows.shape
    out = np.zeros((n, k, d))
    for j in range(d):
        step = 6e-6 * np.maximum(1.0, np.abs(rows[:, j]))
        high, low = rows.copy(), rows.copy()
        high[:, j] += step
        low[:, j] -= step
        change = np.reshape(function(high), (n, k)) - np.reshape(function(low), (n, k))
        out[:, :, j] = change / (high[:, j] - low[:, j])[:, None]
    return out


@dataclass(frozen=True)
class BoostRecord:
    """The objective before a round, and the rate with which it went on (0 where no step led down)."""

    round: int
    objective: float
    rate: float


def boost(
    program: Any,
    of: str,
    modules: Sequence[Module],
    *,
    rounds: int = 50,
    rate: float = 0.1,
    values: Mapping[str, Any] | None = None,
    backtrack: int = 10,
    callback: Callable[[BoostRecord], Any] | None = None,
) -> list[BoostRecord]:
    """Boost the modules of a program on the multipliers at their outputs, in place.

    Parameters
    ----------
    of : str
        The objective, a scalar variable.
    modules : list of Module
        Those to train, each defined in the program.
    rate : float
        η; halved, up to ``backtrack`` times, in a round in which the objective would not fall.
    values : dict, optional
        Values of inputs by name.

    Returns
    -------
    list of BoostRecord
        One for each round, and one for the end.
    """
    for module in modules:
        if not module.name or module.name not in program:
            raise ModelError(f"module {module.name!r} is not defined in the program: module.define(program, name, x)")
    history: list[BoostRecord] = []
    solution = program.solve(values or {})
    for k in range(rounds):
        objective = float(solution[of])
        lam = solution.multipliers(of)
        added = []
        for module in modules:
            X = np.asarray(_value(program, solution, module), dtype=float)
            target = -np.asarray(lam[module.name], dtype=float)
            fitted = module.regressor()
            fitted.fit(X.reshape(len(X), -1), target)
            added.append((module, fitted))
        taken = 0.0
        # a module whose inputs jump where an earlier one changes may spoil the step of both: then each by itself
        for together in (added, *([one] for one in reversed(added) if len(added) > 1)):
            trial, taken = _stepped(program, of, values or {}, together, objective, rate, backtrack)
            if taken:
                solution = trial
                break
        history.append(BoostRecord(k, objective, taken))
        if (callback is not None and callback(history[-1]) is True) or not taken:
            break
    return [*history, BoostRecord(len(history), float(solution[of]), 0.0)]


def _stepped(
    program: Any,
    of: str,
    values: Mapping[str, Any],
    added: Sequence[tuple[Module, Any]],
    objective: float,
    rate: float,
    backtrack: int,
) -> tuple[Any, float]:
    """The solution with regressors added, at the first of rate, rate/2, … with a lower objective; the rate, or 0."""
    for k in range(backtrack + 1):
        step = rate * 0.5**k
        for module, fitted in added:
            module.parts.append((step, fitted))
        trial = program.solve(values)
        if float(trial[of]) < objective:
            return trial, step
        for module, _ in added:
            module.parts.pop()
    return None, 0.0


def _value(program: Any, solution: Any, module: Module) -> Any:
    """The inputs of a module at a solution."""
    source = module._inputs
    if isinstance(source, Variable):
        return solution[source.name]
    raise ModelError(f"the inputs of module {module.name!r} are an expression: define a variable for them")
