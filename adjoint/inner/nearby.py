"""A root near the last one: steps with the factors that are there, ``u ← u − J₀⁻¹ g(u)``.

Near a solution whose Jacobian ``J₀`` was factored, the steps fall by a constant ratio, about ``‖1 − J₀⁻¹ J‖``, and none
of them needs a matrix (Ortega & Rheinboldt 1970, *Iterative Solution of Nonlinear Equations in Several Variables*,
section 7.1: the parallel-chord method). So a solve costs residuals, and one Jacobian, which the rule of convergence is
applied with. Derivatives are found with the same factors, by iterative refinement with that Jacobian; new ones are made
where the ratio is no longer small, or several solves are asked for.

It is for equations with full matrices and without bounds. Where the steps do not fall fast, it gives up.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import inf, sqrt
from typing import Any

import numpy as np

from ..assembly import Assembly
from ..blocks import Linearization
from ..errors import Status
from ..linear import SingularMatrix
from ..nonlinear import Outcome, is_singular_at, natural_scale, scaled_residual
from ..nonlinear.base import ROUNDING
from ..solve import CycleSystem, State
from .form import Inner
from .linear import BlockLinear
from .memory import Point

__all__ = ["chord"]

STEPS = 25
SLOW = 0.4  # ratio of two steps from which on new factors pay
STALE = 0.1  # ratio from which on derivatives, and the next solve, begin with new factors
SHARE = 0.3  # of the tolerance: the error of the unknowns, as estimated from the last steps


@np.errstate(all="ignore")
def chord(inner: Inner, last: Point, params: tuple[Any, ...], tol: float) -> Point | None:
    """The solution at the parameters, from the last one; None where this does not work at once."""
    linear = last.linear
    if not isinstance(linear, BlockLinear) or not inner.cycle.dense or inner.cycle.box()[0] is not None:
        return None
    factor = linear.factors()
    found = None if factor is None else _steps(inner, factor, params, last.y, SHARE * tol)
    if found is None:
        return None
    u, iterations, rate = found
    r, data = _linearized(inner)(inner.shaped(u), *params)
    r, J = np.reshape(r, -1), _assembly(inner).dense(data)
    s = natural_scale(J, u)
    worst = scaled_residual(r, s)
    if not worst <= tol:
        return None
    values: dict[Any, Any] = {**dict(zip(inner.parameters, params, strict=True)), inner.unknown: inner.shaped(u)}
    state = State(inner.plan, values)
    state.linear[inner.cycle] = Linearization(inner.cycle.solver, J, None, True)
    outcome = partial(Outcome, u, r, J, scale=s, scaled=worst, iterations=iterations, status=Status.SOLVED)
    test = partial(_singular, inner, values, outcome, tol)
    near = factor if rate <= STALE else None
    return Point(params, u, BlockLinear(inner, state, test, near, tol), tol, worst, iterations, "chord")


def _steps(
    inner: Inner, factor: Any, params: Sequence[Any], u: np.ndarray, target: float
) -> tuple[np.ndarray, int, float] | None:
    """Where the steps end, their number, and the ratio by which they fell."""
    residual, shaped = inner.function("residual"), inner.shaped
    vector = len(inner.unknown.shape) == 1
    size = sqrt(u @ u)
    before, rate, enough, nothing = inf, 0.0, target * size, ROUNDING * size
    for iteration in range(1, STEPS + 1):
        r = residual(u if vector else shaped(u), *params)[0]
        d = factor.solve(r if vector else np.reshape(r, -1))
        u = u - d
        step = sqrt(d @ d)
        if step <= nothing:
            return u, iteration, rate
        rate = step / before
        if not rate <= SLOW:
            return None
        if before < inf and step * rate <= (1.0 - rate) * enough:
            return u, iteration, rate
        before = step
    return None


def _assembly(inner: Inner) -> Assembly:
    """Where the entries of ``∂g/∂y`` go."""
    if inner.memory.assembly is None:
        inner.memory.assembly = Assembly(inner.cycle.jacobian)
    return inner.memory.assembly  # type: ignore[no-any-return]


def _linearized(inner: Inner) -> Any:
    """``g`` and the entries of ``∂g/∂y`` by rows, in one compiled call."""
    functions = inner._functions
    if "linearized" not in functions:
        inputs = [inner.unknown, *inner.parameters]
        functions["linearized"] = inner.plan.backend.compile(inputs, [inner.residual, _assembly(inner).data])
    return functions["linearized"]


def _singular(inner: Inner, values: dict[Any, Any], outcome: Any, tol: float, linear: Linearization) -> str:
    """Factor the matrix, and say why it is singular; "" where it is not."""
    try:
        linear.factor, linear.exact = linear.solver.factor(linear.matrix), True
    except SingularMatrix:
        return "the Jacobian is singular"
    system = CycleSystem(inner.cycle, values)
    return is_singular_at(system, outcome(factor=linear.factor), tol)[1]
