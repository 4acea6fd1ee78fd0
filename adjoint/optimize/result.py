"""Results of methods that work on a formulation: values and multipliers by name, residuals from the model."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import scipy

from ..errors import AdjointError, ModelError
from ..function import Function
from ..solution import Solution
from ..solve import forward
from .formulations import Formulation, Residuals
from .formulations.residuals import bound_multipliers, residuals_of
from .sensitivity import Sensitivity, sensitivity_of

__all__ = ["Multipliers", "ResultMethods", "finished", "result_class"]


class Multipliers(Mapping[str, Any]):
    """Multipliers by name: of every equation, constraint and bound (the latter under the name of the variable).

    Each is the change of the optimal objective per unit added to the right-hand side; of a bound, per unit that the
    bound is moved. Those of constraint rows and bounds are the method's own; those of equations that were eliminated
    come from one reverse sweep, made when one of them is asked for.
    """

    def __init__(self, nlp: Formulation, x: np.ndarray, y: np.ndarray, bounds: np.ndarray) -> None:
        self._nlp, self._x = nlp, x
        self._rows: dict[str, Any] = {}
        self._weights: dict[str, Any] = {}
        own = -nlp.sign * y
        shapes = [e.shape for e in nlp.kept.equations] + [c.shape for c in nlp.problem.constraints.values()]
        at = 0
        for (name, size), shape, output in zip(nlp.rows, shapes, nlp._outputs[1:], strict=True):
            part = own[at : at + size].reshape(shape)
            self._rows[name] = float(part) if not shape else part
            self._weights[output] = self._weights.get(output, 0.0) - part
            at += size
        self._bounds = {
            name: value
            for name, value in nlp.parts(nlp.sign * bounds).items()
            if name in {v.name for v in nlp.problem.variables}
        }
        self._swept: dict[str, Any] | None = None

    def _all(self) -> dict[str, Any]:
        if self._swept is None:
            nlp = self._nlp
            function = nlp._function
            function(self._x)
            weights = dict(self._weights)
            objective = nlp.problem.objective
            weights[objective.name] = weights.get(objective.name, 0.0) + 1.0
            found = function.solution.multipliers(weights)
            program = nlp.problem.program
            kept = {v.name for v in nlp.kept.unknowns}
            own = {
                n: v for n, v in found.items() if (n in program.equations or n in program.variables) and n not in kept
            }
            self._swept = {**own, **self._bounds, **self._rows}
        return self._swept

    def __getitem__(self, name: str) -> Any:
        if name in self._rows:
            return self._rows[name]
        if name in self._bounds:
            return self._bounds[name]
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return repr(dict(self._all()))


class ResultMethods(dict):  # type: ignore[type-arg]
    """What a result can do beside ``scipy.optimize.OptimizeResult``, whose class is loaded with the first result.

    Attributes
    ----------
    x, fun, success, status, message, nit : as in SciPy; ``status`` is a word
    multipliers : Mapping, by name
    solution : Solution
        The verified solution of the program at ``x``, made when asked for; None where the program does not solve there.
    constraints : dict
        Values of the constraints by name.
    """

    def __getattr__(self, name: str) -> Any:  # as in SciPy's class
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __missing__(self: Any, key: str) -> Any:
        if key == "solution":
            self[key] = self._solution()
        elif key == "constraints":
            nlp = dict.get(self, "_nlp")
            if nlp is None:
                raise KeyError(key)
            values = nlp.constraints(self._point)
            out, at = {}, 0
            for name, size in nlp.rows:
                if name in nlp.problem.constraints:
                    part = values[at : at + size].reshape(nlp.problem.constraints[name].shape)
                    out[name] = float(part) if not part.shape else part
                at += size
            self[key] = out
        else:
            raise KeyError(key)
        return self[key]

    def _solution(self: Any) -> Solution | None:
        nlp: Formulation | None = dict.get(self, "_nlp")
        if nlp is None:
            raise KeyError("solution")
        problem, parts = nlp.problem, nlp.parts(self._point)
        names = [v.name for v in problem.variables]
        function = Function(problem.program, problem.objective.name, names, values=nlp.values or None)
        shared = function._shared
        plan = shared.plan
        values = {**shared.base, **{v: np.asarray(parts[v.name])[()] for v in problem.variables}}
        start = {v: np.asarray(parts[v.name])[()] for v in nlp.kept.unknowns}
        try:
            return Solution(forward(plan, values, shared.options, shared.methods, start or None, warn_singular=False))
        except AdjointError:
            return None

    def residuals(self: Any) -> Residuals:
        """Primal, dual and complementarity residuals, recomputed from the model and unscaled."""
        nlp = dict.get(self, "_nlp")
        if nlp is not None:
            return residuals_of(nlp, self._point, self._y, self._z_lower, self._z_upper)
        task = dict.get(self, "_task")
        if task is None:
            raise ModelError("this result has no formulation to recompute residuals from")
        nlp = Formulation(task.problem).at(task.values)
        x = np.asarray(self.x, dtype=float)
        y = -nlp.sign * np.concatenate([np.zeros(0), *(np.reshape(self.multipliers[name], -1) for name, _ in nlp.rows)])
        return residuals_of(nlp, x, y, *bound_multipliers(nlp, x, y))

    def sensitivity(self: Any, parameters: str | Sequence[str] | None = None) -> Sensitivity:
        """Derivatives of the optimum by parameters: inputs of the program that the optimizer did not move.

        Parameters
        ----------
        parameters : name or list of names, optional
            Default: all.

        Returns
        -------
        Sensitivity
            ``s["x", "p"]`` is dx*/dp; ``s.objective["p"]``, ``s.multipliers["name", "p"]``, and the active set that
            they hold for.

        Raises
        ------
        DerivativeError
            The point is no optimum.
        SingularError
            Gradients of active constraints are dependent, or the second-order condition fails: with names.
        """
        return sensitivity_of(self, parameters)

    def __dir__(self: Any) -> list[str]:
        return [*(k for k in self if not k.startswith("_")), "solution", "constraints", "residuals", "sensitivity"]

    def __repr__(self: Any) -> str:
        shown = {k: _short(v) for k, v in self.items() if not k.startswith("_")}
        # SciPy's own form cannot print an empty dict.
        return repr(scipy.optimize.OptimizeResult({k: v for k, v in shown.items() if not (type(v) is dict and not v)}))


def _short(value: Any) -> Any:
    """What is printed of a field: of a long list its last entry."""
    if isinstance(value, list) and len(value) > 2:
        return f"{len(value)} entries, the last {value[-1]!r}"
    return dict(value) if isinstance(value, Mapping) else value


@functools.cache
def result_class() -> Any:
    """The class ``Result`` of this module: a ``scipy.optimize.OptimizeResult`` with ``ResultMethods``."""
    return type("Result", (ResultMethods, scipy.optimize.OptimizeResult), {"__module__": __name__})


def __getattr__(name: str) -> Any:
    if name == "Result":  # where a pickle looks for it
        return result_class()
    raise AttributeError(name)


def finished(
    nlp: Formulation,
    x: np.ndarray,
    y: np.ndarray,
    z_lower: np.ndarray,
    z_upper: np.ndarray,
    **fields: Any,
) -> Any:
    """The result at a point of a formulation, with multipliers in the sign of :mod:`~adjoint.optimize.nlp`."""
    result = result_class()(fields)
    own = sum(v.size for v in nlp.problem.variables)
    result.x = np.array(x[:own])
    result.multipliers = Multipliers(nlp, x, y, z_lower - z_upper)
    result._nlp, result._point, result._y = nlp, x, y
    result._z_lower, result._z_upper = z_lower, z_upper
    return result
