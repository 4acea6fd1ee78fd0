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
from .explicit import Explicit, checks_arguments, compiled, is_final
from .expr import Variable
from .nonlinear import Options
from .points import Shared, as_vector
from .small_totals import Small, small_program
from .solution import Solution
from .solve import make_options

if TYPE_CHECKING:
    from .equations import Equations

__all__ = ["Function", "Shared"]

OFTEN = 3  # solves after which a small program is compiled as a whole
FLOAT = np.dtype(float)
ONE = np.ones(1)


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
        self._hessian: Callable[..., Any] | None = None  # only where it looks at its arguments itself

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
                kernel = fast.value
                value = _quick(kernel, self._shared, value, self.scalar)
                self._value = value if is_final(kernel) else None
        return value(vector)

    def jac(self, vector: Any) -> Any:
        """Gradient (1-D) for one scalar output, else the Jacobian (2-D; ``scipy.sparse`` with ``sparse=True``)."""
        jacobian = self._jacobian
        if jacobian is None:
            jacobian = partial(_jacobian, self._shared, self.of, self.scalar, self.sparse)
            fast = self._fast() or self._small()
            if fast:
                kernel = fast.jac
                jacobian = _quick(kernel, self._shared, jacobian)
                self._jacobian = jacobian if is_final(kernel) else None
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
        kernel = self._hessian
        if kernel is not None:
            found, check = kernel(vector, ONE if multipliers is None and self.scalar else multipliers)
            if isfinite(check):
                self._shared.note(vector)
                return found
        return self._hess(vector, multipliers)

    def _hess(self, vector: Any, multipliers: Any) -> Any:
        weights, fast = self._flat_weights(multipliers), self._fast()
        if fast:
            x, kernel = _plain(self._shared.vector(vector)), fast.hess
            found, check = kernel(x, _plain(weights))
            if checks_arguments(kernel):
                self._hessian = kernel
            if isfinite(check):
                self._shared.note(x)
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
            x = _plain(self._shared.vector(vector))
            found, check = fast.hessp(x, _plain(weights), _plain(direction))
            if isfinite(check):
                self._shared.note(x)
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


def _quick(
    kernel: Callable[..., Any], shared: Shared, general: Callable[[Any], Any], scalar: bool = False
) -> Callable[[Any], Any]:
    """The function of a kernel that gives a result and a check: not finite where the general way has to be gone."""
    note, shape = shared.note, (shared.size,)

    def function(vector: Any) -> Any:
        if type(vector) is not ndarray or vector.dtype is not FLOAT or vector.shape != shape:
            vector = shared.vector(vector)
        found, check = kernel(vector)
        if not isfinite(check):
            return general(vector)
        note(vector, kernel, check)
        return float(found) if scalar else found

    def unchecked(vector: Any) -> Any:
        found, check = kernel(vector)
        if not isfinite(check):
            return function(_plain(shared.vector(vector)))
        note(vector, kernel, check)
        return found

    return unchecked if checks_arguments(kernel) else function


def _plain(x: np.ndarray) -> np.ndarray:
    """The vector, contiguous, and of NumPy's own float type."""
    return x if x.flags.c_contiguous and x.dtype is FLOAT else np.array(x, dtype=FLOAT)


def _rebuilt(model: Any, of: Any, wrt: Any, sparse: bool, options: Mapping[str, Any]) -> Function:
    return Function(model, of, wrt, sparse, **options)


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
