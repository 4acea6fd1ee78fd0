"""Vector functions of a program, for SciPy: a flat vector of inputs in, values and derivatives out.

Functions of one program over the same inputs share the solve at a point: an objective and its constraints, their
gradients and Hessians cost one solve per point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from scipy.optimize import Bounds

from . import totals
from .blocks import pack, unpack
from .errors import ModelError, NameLookupError, ShapeError, closest
from .expr import Variable
from .nonlinear import Options
from .plan import Plan
from .solution import Solution
from .solve import State, forward, input_values, make_options

if TYPE_CHECKING:
    from .equations import Equations

__all__ = ["Function", "Shared"]

KEPT = 3  # points remembered: optimizers return to the last accepted one


class Shared:
    """Solves of one program over the same inputs, at most once per point.

    Attributes
    ----------
    solves : int
        How many times the program was solved.
    """

    def __init__(
        self, plan: Plan, wrt: Sequence[Variable], fixed: Mapping[str, Any], options: Options, methods: Any
    ) -> None:
        self.plan, self.wrt, self.options, self.methods = plan, tuple(wrt), options, methods
        self.fixed = dict(fixed)
        self.size = sum(v.size for v in self.wrt)
        self.solves = 0
        self.recent: list[tuple[np.ndarray, State]] = []
        self._base: Any = None

    def state(self, vector: Any) -> State:
        """The verified state at a point."""
        x = as_vector(vector, self.size, ", ".join(v.name for v in self.wrt))
        for i, (point, state) in enumerate(self.recent):
            if np.array_equal(point, x):
                if i:
                    self.recent.insert(0, self.recent.pop(i))
                return state
        if not np.isfinite(x).all():
            raise ModelError("the point has NaN or infinite elements")
        if self._base is None:
            self._base = input_values(self.plan, {**{v.name: np.ones(v.shape) for v in self.wrt}, **self.fixed})
        values = unpack(self.wrt, x.copy(), dict(self._base))
        start = self.recent[0][1].values if self.recent and self.plan.cycles else None
        self.solves += 1
        state = self._solve(values, start)
        self.recent.insert(0, (x.copy(), state))
        del self.recent[KEPT:]
        return state

    def _solve(self, values: Any, start: Any) -> State:
        if start is not None:
            try:
                return forward(self.plan, dict(values), self.options, self.methods, start, warn_singular=False)
            except ArithmeticError:
                pass  # a warm start can mislead: once more from the guesses
        return forward(self.plan, values, self.options, self.methods, warn_singular=False)


class Function:
    """``fun(v)`` with ``fun.jac(v)``, ``fun.hess(v)``, ``fun.hessp(v, p)``. Made by ``Program.function``.

    Attributes
    ----------
    x0 : ndarray
        The defaults of the inputs, packed.
    bounds : scipy.optimize.Bounds
        Bounds of the variables in the vector.
    solves : int
        Number of solves so far, shared by all functions over the same inputs.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.define("y", m.input("x", 3.0) ** 2)
    >>> fun = m.function("y")
    >>> fun(fun.x0), fun.jac(fun.x0)
    (9.0, array([6.]))
    """

    def __init__(
        self,
        model: Any,
        of: str | Sequence[str],
        wrt: Any = None,
        sparse: bool = False,
        tol: float = 1e-10,
        max_iterations: int = 200,
        method: Any = "auto",
        values: Mapping[str, Any] | None = None,
    ) -> None:
        self._options = {"tol": tol, "max_iterations": max_iterations, "method": method, "values": values}
        names = [of] if isinstance(of, (str, Variable)) else list(of)
        self.of = [model[n] for n in names]
        self.scalar = isinstance(of, (str, Variable)) and not self.of[0].shape
        self.wrt = _vector_variables(model, wrt)
        given = tuple(v for v in self.wrt if v not in model.inputs)
        plan = model.plan(given)
        self.sparse = bool(sparse)
        fixed = dict(values or {})
        key = (tuple(self.wrt), model.version, tol, max_iterations, str(method), _frozen(fixed))
        shared = model._shared.get(key)  # held weakly there: it lives with the functions that use it
        if shared is None:
            shared = Shared(plan, self.wrt, fixed, make_options(tol, max_iterations), model._methods(method))
            model._shared[key] = shared
        self._shared: Shared = shared
        self._model: Equations = model

    def __reduce__(self) -> Any:
        of = self.of[0].name if self.scalar else [v.name for v in self.of]
        return _rebuilt, (self._model, of, [v.name for v in self.wrt], self.sparse, self._options)

    # -- the vector
    @property
    def x0(self) -> np.ndarray:
        """Defaults of the inputs (guesses of given unknowns), packed."""
        parts = {v: self._model.inputs.get(v, self._model.guesses.get(v)) for v in self.wrt}
        return pack(self.wrt, {v: np.zeros(v.shape) if p is None else p for v, p in parts.items()})

    @property
    def bounds(self) -> Bounds:
        """Bounds of the vector."""
        sides: list[list[Any]] = [[], []]
        for v in self.wrt:
            for side, b, default in zip(sides, self._model.bounds.get(v, (None, None)), (-np.inf, np.inf), strict=True):
                side.append(np.full(v.size, default) if b is None else np.reshape(b, -1))
        return Bounds(*(np.concatenate(s) if s else np.zeros(0) for s in sides))

    def pack(self, values: Mapping[str, Any]) -> np.ndarray:
        """A vector from values by name; the defaults of those not given."""
        out = self.unpack(self.x0)
        for name, value in values.items():
            if name not in out:
                raise NameLookupError(closest(name, out, "name in the vector"))
            try:
                out[name] = np.broadcast_to(np.asarray(value, dtype=float), np.shape(out[name]))
            except ValueError:
                raise ShapeError(f"{name!r} has shape {np.shape(value)}, expected {np.shape(out[name])}") from None
        return pack(self.wrt, {v: out[v.name] for v in self.wrt})

    def unpack(self, vector: Any) -> dict[str, Any]:
        """Values by name from a vector."""
        x = as_vector(vector, self._shared.size, ", ".join(v.name for v in self.wrt))
        parts = unpack(self.wrt, x.copy(), {})
        return {v.name: float(p) if not v.shape else p for v, p in parts.items()}

    # -- values and derivatives
    @property
    def solution(self) -> Solution:
        """The solution at the last point."""
        if not self._shared.recent:
            raise ModelError("the function has not been called yet: there is no solution")
        return Solution(self._shared.recent[0][1])

    @property
    def solves(self) -> int:
        return self._shared.solves

    def __call__(self, vector: Any) -> Any:
        """Value: a float for one scalar output, else the outputs flattened and concatenated."""
        state = self._shared.state(vector)
        if self.scalar:
            return float(state.values[self.of[0]])
        return pack(self.of, state.values)

    def jac(self, vector: Any) -> Any:
        """Gradient (1-D) for one scalar output, else the Jacobian (2-D; ``scipy.sparse`` with ``sparse=True``)."""
        state = self._shared.state(vector)
        if self.scalar:
            parts = totals.gradient(state, {self.of[0]: np.float64(1.0)}, self.wrt)
            return np.concatenate([np.zeros(0), *(np.reshape(p, -1) for p in parts)])
        matrix = totals.jacobian(state, self.of, self.wrt)
        return sp.csr_array(matrix) if self.sparse else totals.as_dense(matrix)

    def _weights(self, multipliers: Any) -> dict[Variable, Any]:
        if self.scalar:
            w = 1.0 if multipliers is None else float(np.reshape(multipliers, -1)[0])
            return {self.of[0]: np.float64(w)}
        if multipliers is None:
            raise ModelError("hess of several outputs needs their multipliers: hess(v, multipliers)")
        w, count = np.reshape(multipliers, -1), sum(v.size for v in self.of)
        if w.size != count:
            raise ShapeError(f"{w.size} multipliers for {count} outputs")
        w = as_vector(w, count, "the multipliers of the outputs")
        out: dict[Variable, Any] = {}
        at = 0
        for v in self.of:
            part = w[at : at + v.size].reshape(v.shape)[()]
            out[v] = out[v] + part if v in out else part
            at += v.size
        return out

    def hess(self, vector: Any, multipliers: Any = None) -> Any:
        """Hessian of the scalar output, or of Σ multipliers · outputs."""
        matrix = totals.hessian(self._shared.state(vector), self._weights(multipliers), self.wrt)
        return sp.csr_array(matrix) if self.sparse else totals.as_dense(matrix)

    def hessp(self, vector: Any, *args: Any) -> np.ndarray:
        """Hessian–vector product: ``hessp(v, direction)``, or ``hessp(v, multipliers, direction)``."""
        direction = as_vector(args[-1], self._shared.size, "the direction") if args else None
        if direction is None or len(args) > 2:
            raise ModelError("hessp(v, direction), or hessp(v, multipliers, direction)")
        weights = self._weights(args[0] if len(args) > 1 else None)
        directions = unpack(self.wrt, direction.copy(), {})
        parts = totals.hvp(self._shared.state(vector), weights, directions, self.wrt)
        return np.concatenate([np.zeros(0), *(np.reshape(p, -1) for p in parts)])


def _rebuilt(model: Any, of: Any, wrt: Any, sparse: bool, options: Mapping[str, Any]) -> Function:
    return Function(model, of, wrt, sparse, **options)


def as_vector(value: Any, size: int, what: str) -> np.ndarray:
    """A float vector of a given size from user input."""
    try:
        x = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ModelError(f"expected a vector of {size} numbers for {what}, got {value!r:.60}") from None
    if x.shape != (size,):
        raise ShapeError(f"a vector has shape {x.shape}, expected ({size},) for {what}")
    return x


def _vector_variables(model: Any, wrt: Any) -> list[Variable]:
    if wrt is None:
        return list(model.inputs)
    if not isinstance(wrt, (str, Variable, list, tuple, set, dict)):
        raise ModelError(f"wrt= is a name or a list of names, got {wrt!r:.60}")
    names = [wrt] if isinstance(wrt, (str, Variable)) else list(wrt)
    out = [model[n] for n in names]
    if len(set(out)) != len(out):
        raise ModelError(f"wrt names a variable twice: {[v.name for v in out]}")
    for v in out:
        if v not in model.inputs and v.name in model.equations:
            raise ModelError(f"{v.name!r} is defined by an equation: it cannot be in the vector of inputs")
    return out


def _frozen(values: Mapping[str, Any]) -> Any:
    return tuple(sorted((k, np.asarray(v, dtype=float).tobytes()) for k, v in values.items()))
