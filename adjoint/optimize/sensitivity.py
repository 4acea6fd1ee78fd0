"""How an optimum moves with the parameters of its problem: post-optimal sensitivity.

At an optimum with the active constraints ``c_A = 0`` and the free variables F, the optimality conditions are equations,
and their total derivative by a parameter is one linear system with the matrix of the optimality conditions,

    [ W_FF  A_Fᵀ ] [ dx_F/dp ]     [ W_Fp ]
    [ A_F   0    ] [ dy_A/dp ] = − [ c_Ap ],      W = ∇²L,   A = ∂c_A/∂x.

It holds as long as the active set does (Fiacco 1983, *Introduction to Sensitivity and Stability Analysis in Nonlinear
Programming*, theorem 3.2.2) under three conditions, which are tested:

* **linear independence** of the gradients of the active constraints: else the multipliers are not unique;
* **second order**: W is positive definite on the null space of A_F: else the optimum is not isolated;
* **strict complementarity**: every active constraint has a multiplier. Where one has none, the optimum has a corner in
  the parameters, and what is given is the derivative on the side where the constraint is not active.

The derivative of the optimal value is that of the Lagrangian, ``df*/dp = ∂L/∂p``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..errors import DerivativeError, KinkWarning, ModelError, NameLookupError, closest
from ..expr import Variable
from .formulations import Formulation
from .optimal_point import OptimalPoint

__all__ = ["Sensitivity", "sensitivity_of"]


FEW = 12  # numbers, and names, that a text shows
# Relative distance from a bound up to which its multiplier is what the gradient of the Lagrangian leaves: NEAR, or
# FAR where that is the larger of the two.
NEAR, FAR = 1e-4, 1e-2
WRONG = 1e-6  # relative violation of a bound, or of the sign of a multiplier


@dataclass(frozen=True, repr=False)
class Sensitivity(Mapping[tuple[str, str], Any]):
    """Derivatives of an optimum by parameters: ``s["x", "p"]`` is dx*/dp, of shape ``x.shape + p.shape``.

    Attributes
    ----------
    variables : dict ``{(variable, parameter): array}``
        What the mapping itself gives: of the variables of the problem, and of unknowns that are kept in full space.
    objective : dict ``{parameter: array}``
        df*/dp.
    multipliers : dict ``{(name, parameter): array}``
        dλ*/dp of constraints, of equations that are kept, and of bounds (under the name of the variable).
    active : list of str
        The active set that they hold for: constraints and bounds by name, with their side. Equalities always hold, and
        are not listed.
    weak : list of str
        Constraints and bounds that are active without a multiplier: the derivatives are those of one side.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> p, x = m.input("p", 3.0), m.input("x", [0.0, 0.0])
    >>> f = m.define("f", (x[0] - p) ** 2 + (x[1] - 1.0) ** 2)
    >>> problem = adj.Problem(m, minimize="f", over=["x"], subject_to={"sum": x[0] + x[1] <= p})
    >>> s = sensitivity_of(problem.solve(method="interior-point"), "p")
    >>> s["x", "p"].round(6).tolist(), round(s.objective["p"], 6), s.active
    ([1.0, 0.0], 0.0, ['sum (upper)'])
    """

    variables: dict[tuple[str, str], Any]
    objective: dict[str, Any]
    multipliers: dict[tuple[str, str], Any]
    active: list[str]
    weak: list[str]

    def __getitem__(self, key: tuple[str, str]) -> Any:
        try:
            return self.variables[key]
        except KeyError:
            names = [f"{v}, {p}" for v, p in self.variables]
            shown = ", ".join(map(str, key)) if isinstance(key, tuple) else str(key)
            raise NameLookupError(closest(shown, names, "pair (variable, parameter)")) from None

    def __iter__(self) -> Any:
        return iter(self.variables)

    def __len__(self) -> int:
        return len(self.variables)

    def __str__(self) -> str:
        lines = ["sensitivity of the optimum by " + (", ".join(self.objective) or "nothing")]
        lines += [f"  df*/d({p}): {_shown(value)}" for p, value in self.objective.items()]
        lines += [f"  d({v})/d({p}): {_shown(value)}" for (v, p), value in self.variables.items()]
        lines += [f"  dλ({v})/d({p}): {_shown(value)}" for (v, p), value in self.multipliers.items()]
        lines.append(f"  while this is active: {_listed(self.active) or 'equations only'}")
        if self.weak:
            lines.append(f"  STRICT COMPLEMENTARITY FAILS, derivatives of one side: {_listed(self.weak)}")
        return "\n".join(lines)

    __repr__ = __str__


def _shown(value: Any) -> str:
    """A derivative in one line."""
    value = np.asarray(value)
    if value.size > FEW:
        return f"array of shape {value.shape}, largest {np.abs(value).max():.6g}"
    return np.array2string(value, precision=6, separator=", ").replace("\n", "")


def _listed(names: Sequence[str]) -> str:
    more = f", … {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more


def sensitivity_of(result: Any, parameters: str | Sequence[str] | None = None) -> Sensitivity:
    """The sensitivity of a solved problem to inputs that the optimizer did not move; default: to all of them.

    Raises
    ------
    DerivativeError
        The point is no optimum.
    SingularError
        The gradients of the active constraints are dependent, or the second-order condition fails; with names.
    """
    if not result.success:
        raise DerivativeError(
            f"the problem was not solved ({result.message}): an optimum that was not found has no derivative"
        )
    nlp, x, y, z = _optimum_of(result)
    names = _parameters(nlp, parameters)
    at = OptimalPoint(nlp, names, x, y, z)
    at.refine()
    _require_optimum(at)
    if at.weak:
        warnings.warn(
            f"strict complementarity fails: {', '.join(at.weak[:6])} active without a multiplier; the derivatives are "
            "those of the side where they are not active",
            KinkWarning,
            stacklevel=3,
        )
    return _sensitivity(at)


def _optimum_of(result: Any) -> tuple[Formulation, np.ndarray, np.ndarray, np.ndarray]:
    """The formulation of a result, its point, and its multipliers of rows and bounds."""
    nlp = dict.get(result, "_nlp")
    if nlp is not None:
        x, y = np.array(result._point, dtype=float), np.array(result._y, dtype=float)
        return nlp, x, y, result._z_lower - result._z_upper
    task = dict.get(result, "_task")
    if task is None:
        raise ModelError("this result has no problem to take derivatives of")
    nlp = Formulation(task.problem).at(task.values)
    x = np.array(result.x, dtype=float).reshape(-1)
    y = -nlp.sign * np.concatenate([np.zeros(0), *(np.reshape(result.multipliers[name], -1) for name, _ in nlp.rows)])
    rows, columns = nlp.jacobian_pattern
    left = nlp.gradient(x) + sp.csr_array((nlp.jacobian(x), (rows, columns)), shape=(nlp.m, nlp.n)).T @ y
    # L = sign·f + yᵀc − zᵀx: z ≥ 0 pushes up from a lower bound, z ≤ 0 down from an upper one.
    slack = np.where(left > 0.0, x - nlp.lower, nlp.upper - x) / np.maximum(1.0, np.abs(x))
    return nlp, x, y, np.where(slack <= np.clip(np.abs(left), NEAR, FAR), left, 0.0)


def _require_optimum(at: OptimalPoint) -> None:
    """The point that Newton's method has come to has feasible values, and multipliers of the right signs."""
    nlp = at.nlp
    multipliers = [
        (nlp.constraint_names(), np.setdiff1d(at.rows, np.flatnonzero(at.equal)), -at.y, at.row_side),
        (nlp.names(), at.held[nlp.lower[at.held] < nlp.upper[at.held]], at.z, at.bound_side),
    ]
    for names, active, z, side in multipliers:
        push = np.where(side == 1, -z, z)[active]
        wrong = push < -WRONG * max(1.0, float(np.abs(z).max(initial=0.0)))
        if wrong.any():
            raise _no_optimum(f"{names[active[wrong][0]]} is active there with a multiplier of the wrong sign")
    sides = [
        (nlp.constraint_names(), at.c, nlp.constraint_lower, nlp.constraint_upper),
        (nlp.names(), at.x, nlp.lower, nlp.upper),
    ]
    for names, value, lower, upper in sides:
        outside = np.maximum(lower - value, value - upper) > WRONG * np.maximum(1.0, np.abs(value))
        if outside.any():
            raise _no_optimum(f"{names[int(np.flatnonzero(outside)[0])]} is violated there")


def _no_optimum(why: str) -> DerivativeError:
    return DerivativeError(
        f"the optimality conditions of the constraints that seem active lead to another point: {why}. Solve to a "
        "smaller tolerance."
    )


def _parameters(nlp: Formulation, parameters: str | Sequence[str] | None) -> list[Variable]:
    program = nlp.problem.program
    moved = set(nlp.problem.variables)
    free = [v for v in program.inputs if v not in moved]
    if parameters is None:
        return free
    found = []
    for name in [parameters] if isinstance(parameters, (str, Variable)) else list(parameters):
        label = name.name if isinstance(name, Variable) else name
        v = program.variables.get(label)
        if v is None or v not in program.inputs:
            raise NameLookupError(closest(label, [f.name for f in free], "parameter"))
        if v in moved:
            raise ModelError(f"{label!r} is moved by the optimizer: it is no parameter of the optimum")
        found.append(v)
    return found


def _sensitivity(at: OptimalPoint) -> Sensitivity:
    """The derivatives at a regular point, by name."""
    nlp, n = at.nlp, at.nlp.n
    W, _, K = at.system()
    J = sp.csr_array(at.jacobian[at.rows])
    right = np.concatenate([W[at.free][:, n:].toarray(), J[:, n:].toarray()])
    found = -at.solved(K, right) if right.size else np.zeros(right.shape)
    dx, dy = np.zeros((n, at.p.size)), np.zeros((nlp.m, at.p.size))
    dx[at.free], dy[at.rows] = found[: at.free.size], found[at.free.size :]
    dz = np.zeros_like(dx)
    dz[at.held] = (W[:n, :n] @ dx + J[:, :n].T @ dy[at.rows] + W[:n, n:].toarray())[at.held]
    sizes = [(v.name, v.shape) for v in nlp.variables]
    shapes = [e.shape for e in nlp.kept.equations] + [c.shape for c in nlp.problem.constraints.values()]
    rows = [(name, shape) for (name, _), shape in zip(nlp.rows, shapes, strict=True)]
    own = {v.name for v in nlp.problem.variables}
    bounds = {k: v for k, v in _blocks(at.parameters, nlp.sign * dz, sizes).items() if k[0] in own}
    slope = _blocks(at.parameters, nlp.sign * at.slope[None, n:], [("f", ())])
    return Sensitivity(
        _blocks(at.parameters, dx, sizes),
        {p: part for (_, p), part in slope.items()},
        {**bounds, **_blocks(at.parameters, -nlp.sign * dy, rows)},
        at.active,
        at.weak,
    )


def _blocks(
    parameters: Sequence[Variable], matrix: np.ndarray, items: Sequence[tuple[str, tuple[int, ...]]]
) -> dict[tuple[str, str], Any]:
    """Blocks of a matrix by the names of its rows and of the parameters."""
    out, row = {}, 0
    for name, shape in items:
        size, column = int(np.prod(shape, dtype=int)), 0
        for p in parameters:
            block = matrix[row : row + size, column : column + p.size].reshape(shape + p.shape)
            out[name, p.name] = block.copy() if block.shape else float(block)
            column += p.size
        row += size
    return out
