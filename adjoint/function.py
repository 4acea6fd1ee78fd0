"""Vector functions of a program, for SciPy: a flat vector of inputs in, values and derivatives out.

Functions of one program over the same inputs share the solve at a point: an objective and its constraints, their
gradients and Hessians cost one solve per point. Where no cycle has to be solved for the outputs, nothing is: values and
derivatives are compiled functions of the vector (``explicit``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy
import scipy.sparse as sp
from numpy import ndarray

from . import totals
from .blocks import pack, unpack
from .errors import ModelError, NameLookupError, ShapeError, closest
from .explicit import Explicit, compiled
from .expr import Variable
from .nonlinear import Options
from .plan import Plan
from .small_totals import Small, small_program
from .solution import Solution
from .solve import State, forward, input_values, make_options

if TYPE_CHECKING:
    from .equations import Equations

__all__ = ["Function", "Shared"]

OFTEN = 3  # solves after which a small program is compiled as a whole
LONG = 512  # elements; of longer vectors the last one is remembered by reference
KEPT = 3  # points remembered: optimizers return to the last accepted one
FLOAT = np.dtype(float)


class Shared:
    """Solves of one program over the same inputs, at most once per point.

    Attributes
    ----------
    solves : int
        At how many points the program was solved, or evaluated where there is nothing to solve.
    last : bytes or ndarray
        The last point.
    """

    def __init__(
        self, plan: Plan, wrt: Sequence[Variable], fixed: Mapping[str, Any], options: Options, methods: Any
    ) -> None:
        self.plan, self.wrt, self.options, self.methods = plan, tuple(wrt), options, methods
        self.fixed = dict(fixed)
        self.size = sum(v.size for v in self.wrt)
        self.solves = 0
        self.last: bytes | np.ndarray | None = None
        self.again: tuple[Callable[[np.ndarray], Any], float] | None = None
        self.recent: list[tuple[bytes, State | None]] = []  # no state: evaluated, but not solved as a whole
        self._base: Any = None

    @property
    def base(self) -> dict[Variable, Any]:
        """The values of the inputs that are not in the vector (and ones for the others)."""
        if self._base is None:
            self._base = input_values(self.plan, {**{v.name: np.ones(v.shape) for v in self.wrt}, **self.fixed})
        return self._base

    def vector(self, value: Any) -> np.ndarray:
        """A point from user input."""
        return as_vector(value, self.size, ", ".join(v.name for v in self.wrt))

    def visit(self, key: bytes, state: State | None = None) -> State | None:
        """Note the last point; its state, if it was solved."""
        old = next((entry for entry in self.recent if entry[0] == key), None)
        if old is None:
            self.solves += state is None
        elif state is None:
            state = old[1]
        # A new list: other threads may be reading the old one.
        self.recent = [(key, state), *(entry for entry in self.recent if entry is not old)][:KEPT]
        self.last = key
        return state

    def note(self, vector: np.ndarray, again: Callable[[np.ndarray], Any], check: float) -> None:
        """Note a point at which a function was evaluated; a long vector by reference (a copy would cost as much), with
        the check that tells later whether it is still the same."""
        if self.size > LONG:
            if vector is not self.last:
                self.last = vector
                self.solves += 1
            self.again = again, check
            return
        key = vector.tobytes()
        if key != self.last:
            self.visit(key)

    def state(self, vector: Any) -> State:
        """The verified state at a point."""
        x = self.vector(vector)
        key = x.tobytes()
        known = next((entry for entry in self.recent if entry[0] == key), None)
        if known is not None and known[1] is not None:
            self.visit(key)
            return known[1]
        if not np.isfinite(x).all():
            raise ModelError("the point has NaN or infinite elements")
        values = unpack(self.wrt, x.copy(), dict(self.base))
        states = (s for _, s in self.recent if s is not None)
        last = next(states, None) if self.plan.cycles else None
        self.solves += known is None
        state = self._solve(values, None if last is None else last.values)
        self.visit(key, state)
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
        Number of points at which the program was solved so far (or evaluated, where there is nothing to solve), shared
        by all functions over the same inputs.

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
        self._count = sum(v.size for v in self.of)
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
        self._native: Small | Literal[False] | None = None
        self._explicit: Explicit | Literal[False] | None = None  # not looked at yet
        self._value: Callable[[Any], Any] | None = None
        self._jacobian: Callable[[Any], Any] | None = None

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
    def bounds(self) -> scipy.optimize.Bounds:
        """Bounds of the vector."""
        sides: list[list[Any]] = [[], []]
        for v in self.wrt:
            for side, b, default in zip(sides, self._model.bounds.get(v, (None, None)), (-np.inf, np.inf), strict=True):
                side.append(np.full(v.size, default) if b is None else np.reshape(b, -1))
        return scipy.optimize.Bounds(*(np.concatenate(s) if s else np.zeros(0) for s in sides))

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
        x = self._shared.vector(vector)
        parts = unpack(self.wrt, x.copy(), {})
        return {v.name: float(p) if not v.shape else p for v, p in parts.items()}

    # -- values and derivatives
    @property
    def solution(self) -> Solution:
        """The solution at the last point. (A vector of more than 512 elements must not have been changed since.)"""
        if self._shared.last is None:
            raise ModelError("the function has not been called yet: there is no solution")
        last, again = self._shared.last, self._shared.again
        if isinstance(last, bytes):
            last = np.frombuffer(last)
        elif again is not None and again[0](last)[-1] != again[1]:
            raise ModelError("the vector was changed in place since the last call: call the function again")
        return Solution(self._shared.state(last))

    @property
    def solves(self) -> int:
        return self._shared.solves

    def _fast(self) -> Explicit | Literal[False]:
        """The compiled functions of the vector; False where there is a cycle to solve."""
        if self._explicit is None:
            functions = compiled(self._shared.plan, tuple(self.of), self._shared.wrt, self.scalar)
            if functions is None:
                self._explicit = False
            else:
                base, fixed = self._shared.base, functions.fixed
                given = [np.asarray(pack(fixed, base), dtype=float)] if fixed else []
                self._explicit = Explicit(functions, given, self.sparse)
        return self._explicit

    def __call__(self, vector: Any) -> Any:
        """Value: a float for one scalar output, else the outputs flattened and concatenated."""
        value = self._value
        if value is None:
            value = partial(_value, self._shared, self.of, self.scalar)
            fast = self._fast() or self._small()
            if fast:
                self._value = value = _quick(fast.value, self._shared, self.scalar, value)
        return value(vector)

    def jac(self, vector: Any) -> Any:
        """Gradient (1-D) for one scalar output, else the Jacobian (2-D; ``scipy.sparse`` with ``sparse=True``)."""
        jacobian = self._jacobian
        if jacobian is None:
            jacobian = partial(_jacobian, self._shared, self.of, self.scalar, self.sparse)
            fast = self._fast() or self._small()
            if fast:
                self._jacobian = jacobian = _quick(fast.jac, self._shared, False, jacobian)
        return jacobian(vector)

    def _small(self) -> Small | None:
        """One compiled call for a small program with cycles, once it has been solved a few times (compiling it takes
        longer than that)."""
        shared = self._shared
        if self._native is None and shared.solves >= OFTEN:
            plain = self._options["method"] == "auto" and shared.options == Options()
            program = small_program(shared.plan, tuple(self.of), shared.wrt) if plain else None
            self._native = False if program is None else Small(program, shared, self.of, self.scalar, self.sparse)
        return self._native or None

    def _flat_weights(self, multipliers: Any) -> np.ndarray:
        """The weights of the outputs, flat and checked."""
        if self.scalar:
            return np.array([1.0 if multipliers is None else float(np.reshape(multipliers, -1)[0])])
        if multipliers is None:
            raise ModelError("hess of several outputs needs their multipliers: hess(v, multipliers)")
        w, count = np.reshape(multipliers, -1), self._count
        if w.size != count:
            raise ShapeError(f"{w.size} multipliers for {count} outputs")
        return as_vector(w, count, "the multipliers of the outputs")

    def _weights(self, flat: np.ndarray) -> dict[Variable, Any]:
        out: dict[Variable, Any] = {}
        at = 0
        for v in self.of:
            part = flat[at : at + v.size].reshape(v.shape)[()]
            out[v] = out[v] + part if v in out else part
            at += v.size
        return out

    def hess(self, vector: Any, multipliers: Any = None) -> Any:
        """Hessian of the scalar output, or of Σ multipliers · outputs."""
        weights, fast = self._flat_weights(multipliers), self._fast()
        if fast:
            x = self._shared.vector(vector)
            found, check = fast.hess(x, weights)
            if isfinite(check):
                kept = weights.copy()
                self._shared.note(x, lambda x: fast.hess(x, kept), check)
                return found
        matrix = totals.hessian(self._shared.state(vector), self._weights(weights), self.wrt)
        return sp.csr_array(matrix) if self.sparse else totals.as_dense(matrix)

    def hessp(self, vector: Any, *args: Any) -> np.ndarray:
        """Hessian–vector product: ``hessp(v, direction)``, or ``hessp(v, multipliers, direction)``."""
        direction = as_vector(args[-1], self._shared.size, "the direction") if args else None
        if direction is None or len(args) > 2:
            raise ModelError("hessp(v, direction), or hessp(v, multipliers, direction)")
        weights, fast = self._flat_weights(args[0] if len(args) > 1 else None), self._fast()
        if fast:
            x = self._shared.vector(vector)
            found, check = fast.hessp(x, weights, direction)
            if isfinite(check):
                kept = weights.copy(), direction.copy()
                self._shared.note(x, lambda x: fast.hessp(x, *kept), check)
                return found
        directions = unpack(self.wrt, direction.copy(), {})
        parts = totals.hvp(self._shared.state(vector), self._weights(weights), directions, self.wrt)
        return np.concatenate([np.zeros(0), *(np.reshape(p, -1) for p in parts)])


# -- values and first derivatives: by solves, or by kernels with these behind them ----------------------------------


def _value(shared: Shared, of: Sequence[Variable], scalar: bool, vector: Any) -> Any:
    state = shared.state(vector)
    return float(state.values[of[0]]) if scalar else pack(of, state.values)


def _jacobian(shared: Shared, of: Sequence[Variable], scalar: bool, sparse: bool, vector: Any) -> Any:
    state = shared.state(vector)
    if scalar:
        parts = totals.gradient(state, {of[0]: np.float64(1.0)}, shared.wrt)
        return np.concatenate([np.zeros(0), *(np.reshape(p, -1) for p in parts)])
    matrix = totals.jacobian(state, of, shared.wrt)
    return sp.csr_array(matrix) if sparse else totals.as_dense(matrix)


def _quick(kernel: Callable[..., Any], shared: Shared, scalar: bool, general: Callable[[Any], Any]) -> Any:
    """The function of a kernel that gives a result and a check: not finite where the general way has to be gone."""
    shape, note = (shared.size,), shared.note

    def function(vector: Any) -> Any:
        if type(vector) is not ndarray or vector.dtype is not FLOAT or vector.shape != shape:
            vector = shared.vector(vector)
        found, check = kernel(vector)
        if not isfinite(check):
            return general(vector)
        note(vector, kernel, check)
        return float(found) if scalar else found

    return function


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
