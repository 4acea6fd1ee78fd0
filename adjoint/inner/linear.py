"""Linear solves with ``J = ∂g/∂y`` at a solution, and with its transpose: what all derivatives of it need.

Three forms: the factors of a block, the factors of a Hessian, and iterations that need products only. Every one
refuses, by name, where ``J`` is singular.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..errors import SingularError
from ..lagrangian import refused, singular_error
from ..linear import SingularMatrix, condition_estimate, gmres_solve
from ..nonlinear import is_singular_at
from ..solve import State, element_name
from .conjugate_gradients import conjugate_gradients
from .form import Inner
from .hessian import Factors
from .minimize import Minimum, Objective

__all__ = ["BlockLinear", "HessianLinear", "ProductsLinear"]

SLACK = 10.0  # by which the residual, computed at the end, may exceed the one asked for
ATTAINABLE = 1e-8  # residual that rounding may leave where the Hessian is ill-conditioned
ITERATIONS = 5000  # products of an iterative solve
REGULAR = 1e12  # condition number of a matrix that is far from singular
TOL = 1e-10  # accuracy to which a minimum is known at least
USES = 2  # solves with factors nearby, before new ones are made
REFINEMENTS = 20
RATE = 0.4  # of two steps of refinement, beyond which new factors are made
REFINED = 1e-2  # error of a refined solution, relative to it and to the tolerance of the solve


class BlockLinear:
    """``J`` of a block of equations.

    Parameters
    ----------
    inner : Inner
    state : State, with the linearization of its one cycle
    test : callable, optional
        Where the matrix is not factored yet: factors it, and gives the reason why it is singular ("" if it is not).
    near : factors of a matrix nearby, optional
    tol : tolerance of the solve
    """

    def __init__(
        self,
        inner: Inner,
        state: State,
        test: Callable[[Any], str] | None = None,
        near: Any = None,
        tol: float = TOL,
    ) -> None:
        self.inner, self.state = inner, state
        self._test, self._near, self._tol = test, near, tol
        self._uses = 0

    def _linear(self) -> Any:
        linear = self.state.linear[self.inner.cycle]
        if self._test is not None:
            linear.singular, self._test = self._test(linear), None
        return linear

    def factors(self) -> Any:
        """Factors of the matrix, or of one nearby; None where it is singular."""
        if self._near is not None and self._test is not None:
            return self._near
        linear = self._linear()
        if linear.singular:
            return None
        if linear.factor is None:
            try:
                linear.factor, linear.exact = linear.solver.factor(linear.matrix), True
            except SingularMatrix:
                return None
        return linear.factor

    def solve(self, b: np.ndarray, transpose: bool = False) -> np.ndarray:
        if self._near is not None and self._test is not None and self._uses < USES:
            found = self._refined(b, transpose)
            if found is not None:
                return found
        cycle = self.inner.cycle
        linear = self._linear()
        if linear.singular:
            raise singular_error(cycle, linear)
        try:
            return linear.solve(b, transpose)
        except SingularMatrix as error:
            raise refused(cycle, linear, error) from None

    def _refined(self, b: np.ndarray, transpose: bool) -> np.ndarray | None:
        """The solution by iterative refinement with the factors nearby; None where it does not get better fast, as at a
        singular matrix. (At a regular one the steps fall by the ratio at which those of the solve did.)"""
        self._uses += 1
        matrix = self.state.linear[self.inner.cycle].matrix
        matrix = matrix.T if transpose else matrix
        x = self._near.solve(b, transpose)
        before = sqrt(x @ x)
        enough = REFINED * self._tol * before
        for _ in range(REFINEMENTS):
            d = self._near.solve(b - matrix @ x, transpose)
            x = x + d
            step = sqrt(d @ d)
            rate = step / before if before else 0.0
            if not rate <= RATE:
                return None
            if step * rate <= enough:
                return x
            before = step
        return None

    def at_a_kink(self) -> None:
        """A corner of the equations looks like a fold; it is none where the matrix is regular."""
        if self.condition() < REGULAR:
            self._linear().singular = ""

    def condition(self) -> float:
        linear = self._linear()
        try:
            factor = linear.solver.factor(linear.matrix)
        except SingularMatrix:
            return float("inf")
        return condition_estimate(linear.matrix, factor)


class ProductsLinear:
    """``J`` by products with it and with its transpose: GMRES."""

    def __init__(self, inner: Inner, params: tuple[Any, ...], y: np.ndarray, rtol: float) -> None:
        self.inner, self.params, self.y = inner, params, inner.shaped(y)
        self.rtol = rtol

    def solve(self, b: np.ndarray, transpose: bool = False) -> np.ndarray:
        function = self.inner.function("pulled" if transpose else "pushed")

        def product(v: np.ndarray) -> np.ndarray:
            return np.array(function(self.y, *self.params, self.inner.shaped(v))[0], dtype=float).reshape(-1)

        try:
            return gmres_solve(product, b, rtol=self.rtol, maxiter=ITERATIONS)
        except SingularMatrix as error:
            raise _singular(self.inner, str(error)) from None

    def condition(self) -> float:
        return float("nan")


class HessianLinear:
    """``J`` of the optimality conditions with bounds, in terms of the Hessian.

    With the unknowns split in free ones F and those held by a bound A, ``J = [[H_FF, H_FA], [0, I]]``.
    """

    def __init__(self, inner: Inner, objective: Objective, at: Minimum, rtol: float) -> None:
        self.inner, self.objective, self.at, self.rtol = inner, objective, at, rtol
        self.extremes = (np.nan, np.nan)
        self._tested: str | None = None

    def solve(self, b: np.ndarray, transpose: bool = False) -> np.ndarray:
        free = self.at.free
        if not free.any():
            return b.copy()
        if free.all():
            return self._free(b)
        if transpose:
            x = self._free(b)
            return np.where(free, x, b - self._product(x))
        held = np.where(free, 0.0, b)
        return np.where(free, self._free(b - self._product(held) if held.any() else b), b)

    def _product(self, v: np.ndarray) -> np.ndarray:
        return self.objective.product(self.at.u, v) if self.at.hessian is None else self.at.hessian @ v

    def _free(self, b: np.ndarray) -> np.ndarray:
        """``H_FF⁻¹ b_F``, 0 elsewhere."""
        b = np.where(self.at.free, b, 0.0)
        if self.at.hessian is None:
            return self._iterated(b)
        factors = self.factors()
        x = factors.solve(b)
        return x + factors.solve(np.where(self.at.free, b - self._product(x), 0.0))  # refined once

    def factors(self) -> Factors:
        """The factors of the free part; refused where it is singular."""
        if self.at.factors is None:
            try:
                self.at.factors = Factors(self.objective.curvature, self.at.hessian, self.at.free)
            except SingularMatrix:
                raise self._refused("the Hessian is singular at the minimum") from None
        self._require_simple()
        return self.at.factors

    def _require_simple(self) -> None:
        """Refuse a Hessian that is singular, or cannot be told from one within the error of the minimum."""
        if self._tested is None:
            part = _FreePart(self.objective, self.at)
            self._tested = is_singular_at(part, part.outcome(), max(self.at.scaled, TOL))[1]  # type: ignore[arg-type]
        if self._tested:
            raise self._refused(self._tested)

    def _refused(self, reason: str) -> SingularError:
        matrix = self.at.hessian
        if matrix is None:
            return _singular(self.inner, reason)
        index = np.flatnonzero(self.at.free)
        found = SimpleNamespace(matrix=matrix[index][:, index], singular=reason)
        return singular_error(_names(self.inner, index), found)

    def _iterated(self, b: np.ndarray) -> np.ndarray:
        def product(v: np.ndarray) -> np.ndarray:
            return np.where(self.at.free, self.objective.product(self.at.u, v), 0.0)

        found = conjugate_gradients(product, b, self.rtol, maxiter=ITERATIONS)
        if found.smallest == found.smallest:
            low, high = self.extremes
            self.extremes = (np.fmin(low, found.smallest), np.fmax(high, found.largest))
        left = float(np.linalg.norm(b - product(found.x))) / (float(np.linalg.norm(b)) or 1.0)
        if not left <= max(SLACK * self.rtol, ATTAINABLE):
            raise self._refused(
                f"conjugate gradients reached a residual of {left:.1e}, asked for {self.rtol:.1e}: the Hessian is "
                "singular, or nearly so"
            )
        return found.x

    def condition(self) -> float:
        if not self.at.free.any():
            return 1.0
        if self.at.hessian is not None:
            try:
                self.factors()
            except SingularError:
                return float("inf")
            part = _FreePart(self.objective, self.at)
            return condition_estimate(part.matrix, part)  # type: ignore[arg-type]
        if not self.extremes[0] == self.extremes[0]:
            self._iterated(np.where(self.at.free, np.random.default_rng(2).standard_normal(self.at.u.size), 0.0))
        low, high = self.extremes
        return float(high / low) if low > 0 else float("inf")


class _FreePart:
    """The stationarity of the free unknowns as a system of equations, and the factors of its Jacobian."""

    def __init__(self, objective: Objective, at: Minimum) -> None:
        self.objective, self.at = objective, at
        self.index = np.flatnonzero(at.free)
        self.n = self.index.size
        every = self.n == at.u.size
        self.matrix = at.hessian if every else at.hessian[self.index][:, self.index]

    def outcome(self) -> Any:
        """What the test of singularity looks at."""
        at, index = self.at, self.index
        return SimpleNamespace(
            u=at.u[index],
            residual=at.gradient[index],
            jacobian=self.matrix,
            factor=self,
            scale=at.scale[index],
            simple=at.simple,
        )

    def residual(self, v: np.ndarray) -> np.ndarray:
        u = self.at.u.copy()
        u[self.index] = v
        return self.objective.with_gradient(u)[1][self.index]

    def factor(self, J: Any) -> _FreePart:
        return self

    def solve(self, b: np.ndarray, transpose: bool = False) -> np.ndarray:
        assert self.at.factors is not None
        whole = np.zeros(self.at.u.size)
        whole[self.index] = b
        return self.at.factors.solve(whole)[self.index]

    def rcond(self) -> float:
        assert self.at.factors is not None
        return self.at.factors.rcond(float(abs(self.matrix).sum(axis=0).max()))


def _names(inner: Inner, index: np.ndarray) -> Any:
    """What names the equations and unknowns of these numbers in messages."""
    v = inner.unknown
    if index.size == v.size:
        items = [SimpleNamespace(name=inner.name, shape=v.shape, size=v.size)]
    else:
        items = [SimpleNamespace(name=element_name(v, int(k)), shape=(), size=1) for k in index]
    return SimpleNamespace(name=inner.name, equations=items, variables=items)


def _singular(inner: Inner, reason: str) -> SingularError:
    return SingularError(
        f"the inner problem {inner.name!r} has no derivative that can be given at its solution: {reason}. Give "
        "method= with a matrix for a named diagnosis, or regularize the problem.",
        inner.name,
        [inner.name],
        [inner.name],
    )
