"""A point with multipliers as a root of the optimality conditions of its active set."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
import scipy.sparse as sp

from ..errors import DerivativeError, ModelError, SingularError
from ..expr import Variable
from ..function import Function
from ..linear import SingularMatrix
from ..linear.symmetric import SymmetricPattern, make_symmetric_solver
from .formulations import Formulation

__all__ = ["OptimalPoint"]

OPTIMAL = 1e-2  # relative dual residual up to which Newton's method may bring the point to an optimum
TINY = 1e-6  # relative slack or multiplier that counts as zero
SMALL = 1e-3  # relative slack and multiplier below which they say something by their ratio only
COMPARABLE = 50.0  # ratio of slack and multiplier up to which neither is much the larger
DEPENDENT = 1e-9  # smallest singular value of the scaled gradients of active constraints
FLAT = 1e-9  # smallest curvature, relative to the largest, of a second-order optimum
DENSE = 600  # rows up to which the conditions are tested by singular values and eigenvalues, and named
NEWTON = 4  # steps that bring the point to rounding level


class OptimalPoint:
    """A point with multipliers, what is active there, and the optimality conditions with their derivatives.

    ``L = sign·f + yᵀc − zᵀx`` is that of a minimization (:mod:`~adjoint.optimize.nlp`).
    """

    def __init__(
        self, nlp: Formulation, parameters: list[Variable], x: np.ndarray, y: np.ndarray, z: np.ndarray
    ) -> None:
        self.nlp, self.parameters = nlp, parameters
        names = [v.name for v in (*nlp.variables, *parameters)]
        held = {k: v for k, v in nlp.values.items() if k not in {p.name for p in parameters}}
        self.function = Function(nlp._program, nlp._outputs, names, sparse=True, values=held or None)
        given = [nlp.values.get(p.name, nlp.problem.program.inputs[p]) for p in parameters]
        if any(value is None for value in given):
            missing = [p.name for p, value in zip(parameters, given, strict=True) if value is None]
            raise ModelError(f"no value for {', '.join(map(repr, missing))}: the problem was solved without it")
        shaped = zip(given, parameters, strict=True)
        self.p = np.concatenate([np.zeros(0), *(np.broadcast_to(g, v.shape).reshape(-1) for g, v in shaped)])
        self.x, self.y, self.z = x, y, z
        self._evaluate()
        self._identify()

    def _evaluate(self) -> None:
        n, v = self.nlp.n, np.concatenate([self.x, self.p])
        values = np.asarray(self.function(v), dtype=float).reshape(-1)
        first = sp.csr_array(self.function.jac(v))
        self.c = values[1:]
        self.gradient = self.nlp.sign * first[[0]].toarray().ravel()  # of f, over x and p
        self.jacobian = sp.csr_array(first[1:])
        self.slope = self.gradient + self.jacobian.T @ self.y  # ∂(f + yᵀc)/∂(x, p)
        self.dual = self.slope[:n] - self.z

    # -- the active set
    def _identify(self) -> None:
        """Rows and bounds that are active; among them those with no multiplier, which are left out."""
        nlp = self.nlp
        self.equal = nlp.constraint_lower == nlp.constraint_upper
        rows = _active(self.c, nlp.constraint_lower, nlp.constraint_upper, -self.y)
        bounds = _active(self.x, nlp.lower, nlp.upper, self.z)
        fixed = nlp.lower == nlp.upper
        self.rows = np.flatnonzero(self.equal | (rows[0] & ~rows[1]))
        held = fixed | (bounds[0] & ~bounds[1])
        self.free, self.held = np.flatnonzero(~held), np.flatnonzero(held)
        self.row_side = np.where(nlp.constraint_upper - self.c < self.c - nlp.constraint_lower, 1, 0)
        self.bound_side = np.where(nlp.upper - self.x < self.x - nlp.lower, 1, 0)
        names, elements = nlp.constraint_names(), nlp.names()
        word = ("lower", "upper")
        active = [f"{names[i]} ({word[self.row_side[i]]})" for i in self.rows if not self.equal[i]]
        active += [f"{elements[j]} ({word[self.bound_side[j]]} bound)" for j in self.held if not fixed[j]]
        self.active = active
        self.weak = [f"{names[i]} ({word[self.row_side[i]]})" for i in np.flatnonzero(rows[1] & ~self.equal)]
        self.weak += [f"{elements[j]} ({word[self.bound_side[j]]} bound)" for j in np.flatnonzero(bounds[1] & ~fixed)]
        sides = np.stack([nlp.constraint_lower, nlp.constraint_upper])
        self.side = sides[self.row_side, np.arange(self.c.size)]
        self.y[np.setdiff1d(np.arange(self.y.size), self.rows)] = 0.0
        self.z[self.free] = 0.0
        bound = np.stack([nlp.lower, nlp.upper])[self.bound_side, np.arange(self.x.size)]
        self.x[self.held] = bound[self.held]
        self._evaluate()
        self.z[self.held] = self.slope[: nlp.n][self.held]
        self.dual = self.slope[: nlp.n] - self.z

    # -- the linear system
    def _second(self) -> Any:
        """∇²L over (x, p)."""
        weights = np.concatenate([[self.nlp.sign], self.y])
        return sp.csr_array(self.function.hess(np.concatenate([self.x, self.p]), weights))

    def system(self) -> tuple[Any, Any, Any]:
        """W over (x, p), A_F, and the matrix of the conditions."""
        W = self._second()
        A = sp.csr_array(self.jacobian[self.rows])[:, self.free]
        K = sp.block_array([[W[self.free][:, self.free], A.T], [A, None]], format="coo")
        return W, A, K

    def _factor(self, K: Any) -> Any:
        n, count = K.shape[0], self.rows.size
        keep = K.row >= K.col
        data = np.concatenate([K.data[keep], np.zeros(n)])
        places = np.concatenate([K.row[keep], np.arange(n)]), np.concatenate([K.col[keep], np.arange(n)])
        lower = sp.csc_array(sp.coo_array((data, places), shape=K.shape))
        lower.sort_indices()
        pattern = SymmetricPattern(lower, count)
        try:
            return make_symmetric_solver(pattern).factor(lower.data)
        except SingularMatrix as error:
            raise self._singular(str(error)) from None

    def refine(self) -> None:
        """Newton's method on the conditions of the active set, while it pays: methods stop at different accuracies."""
        scale = max(1.0, float(np.abs(self.gradient).max(initial=0.0)))
        if not np.abs(self.dual).max(initial=0.0) <= OPTIMAL * scale:
            worst = int(np.argmax(np.abs(self.dual)))
            raise DerivativeError(
                f"the point is not optimal: the derivative of the Lagrangian by {self.nlp.names()[worst]} is "
                f"{self.dual[worst]:.2e}. Solve to a smaller tolerance."
            )
        self._require_conditions()
        for _ in range(NEWTON):
            right = np.concatenate([self.dual[self.free], (self.c - self.side)[self.rows]])
            before = float(np.abs(right).max(initial=0.0))
            if before <= 1e-14 * scale:
                break
            step = self.solved(self.system()[2], right)
            kept = self.x.copy(), self.y.copy(), self.z.copy()
            self.x[self.free] -= step[: self.free.size]
            self.y[self.rows] -= step[self.free.size :]
            self._evaluate()
            self.z[self.held] = self.slope[: self.nlp.n][self.held]
            self.dual = self.slope[: self.nlp.n] - self.z
            after = np.concatenate([self.dual[self.free], (self.c - self.side)[self.rows]])
            if not np.abs(after).max(initial=0.0) < before:
                self.x, self.y, self.z = kept
                self._evaluate()
                break

    def solved(self, K: Any, right: np.ndarray) -> np.ndarray:
        """K⁻¹ right, refined once."""
        factors = self._factor(K)
        K = sp.csr_array(K)
        found = factors.solve(right)
        return found + factors.solve(right - K @ found)

    # -- regularity
    def _require_conditions(self) -> None:
        """Independent gradients, and curvature on their null space."""
        W, A, K = self.system()
        n, count = self.free.size, self.rows.size
        names = np.array(self.nlp.constraint_names(), dtype=object)[self.rows]
        if count > n:
            raise self._dependent(list(names), f"{count} active constraints on {n} free variables")
        if n + count <= DENSE:
            dense = A.toarray()
            size = np.linalg.norm(dense, axis=1)
            if count:
                U, s, Vh = np.linalg.svd(dense / np.where(size > 0.0, size, 1.0)[:, None])
                if s[-1] <= DEPENDENT * s[0] or not size.all():
                    share = np.abs(U[:, -1]) if size.all() else (size == 0.0).astype(float)
                    reason = f"smallest singular value {s[-1]:.1e}"
                    raise self._dependent([str(names[i]) for i in _largest(share)], reason)
                Z = Vh[count:].T
            else:
                Z = np.eye(n)
            if Z.shape[1]:
                H = W[self.free][:, self.free].toarray()
                values, vectors = scipy.linalg.eigh(Z.T @ H @ Z)
                if not values[0] > FLAT * max(np.abs(values).max(), 1e-300):
                    raise self._not_second_order(Z @ vectors[:, 0], values[0])
            return
        inertia = self._factor(K).inertia
        if inertia.zero or inertia.negative != count:
            raise self._singular(f"inertia {tuple(inertia)}, expected ({n}, {count}, 0)")

    def _dependent(self, names: list[str], why: str) -> SingularError:
        return SingularError(
            f"the gradients of the active constraints are linearly dependent ({why}): {', '.join(names[:6])}. Their "
            "multipliers are not unique, and the optimum has no derivative from them. Look for constraints that repeat "
            "each other.",
            "optimum",
            names,
            [],
        )

    def _not_second_order(self, direction: np.ndarray, curvature: float) -> SingularError:
        elements = np.array(self.nlp.names(), dtype=object)[self.free]
        names = [str(elements[i]) for i in _largest(np.abs(direction))]
        return SingularError(
            f"the second-order condition fails at the optimum (curvature {curvature:.1e} in {', '.join(names)}): it is "
            "not isolated, and has no derivative. Look for directions in which the objective is flat.",
            "optimum",
            [],
            names,
        )

    def _singular(self, why: str) -> SingularError:
        return SingularError(
            f"the optimality conditions are singular at the optimum ({why}): the gradients of the active constraints "
            "are dependent, or the second-order condition fails. Active: "
            f"{', '.join(self.active[:6]) or 'equalities only'}.",
            "optimum",
            self.active,
            [],
        )


def _active(value: Any, lower: Any, upper: Any, multiplier: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is active, and what is so without a multiplier.

    At the end of an interior-point method slack and multiplier of a row have a tiny product: one of the two is much the
    larger, both relative, unless strict complementarity fails; then both are about the root of it. Other methods end
    with slacks or multipliers that are zero to their accuracy.
    """
    with np.errstate(invalid="ignore"):
        slack = np.minimum(value - lower, upper - value) / np.maximum(1.0, np.abs(value))
    slack = np.where(np.isfinite(slack), np.maximum(slack, 0.0), np.inf)
    size = np.abs(multiplier) / max(1.0, float(np.abs(multiplier).max(initial=0.0)))
    near = (slack <= TINY) | ((slack <= SMALL) & (slack <= COMPARABLE * size))
    weak = near & ((size <= TINY) | ((size <= SMALL) & (size <= COMPARABLE * slack)))
    return near | (slack < size), weak


def _largest(share: np.ndarray) -> list[int]:
    return [int(k) for k in np.argsort(-share, kind="stable")[:6] if share[k] > 0.1 * share.max()]
