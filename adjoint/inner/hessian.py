"""The Hessian of an inner objective by ``y``: a sparse matrix, an array, or products only; whichever suits it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import scipy

from ..batched import jacobian_batched
from ..derivatives import jvp, vjp
from ..expr import Expr
from ..linear.base import SingularMatrix, inverse_norm
from ..linear.symmetric import SymmetricFactorization, SymmetricPattern, SymmetricSolver, make_symmetric_solver
from ..sparsity import SparseMap, TooDenseError, flat_values, jacobian_map
from .form import Inner

__all__ = ["Curvature", "Factors"]

CHEAP = 50_000, 200  # entries to compose for a sparse matrix at once, and per unknown; beyond, an array is tried
ARRAY_SIZE = 1000  # unknowns up to which the Hessian may be an array
ARRAY_BUDGET = 5_000_000  # elements of the tangents of all unknowns at once
SPARSE_BUDGET = 5_000_000
FULL = 0.25  # share of entries from which a matrix counts as full
SMALL = 60  # unknowns up to which arrays are always faster


class Curvature:
    """Values and first and second derivatives of the objective of an inner problem by ``y``.

    Attributes
    ----------
    form : "sparse", "dense" or "products"
    """

    def __init__(self, inner: Inner, matrix: bool = True) -> None:
        self.inner = inner
        assert inner.objective is not None
        self.gradient: Expr = vjp([inner.objective], [1.0], [inner.unknown])[0]
        self.product_ = jvp([self.gradient], {inner.unknown: inner.direction})[0]
        self.inputs: list[Any] = [inner.unknown, *inner.parameters]
        self._map: SparseMap | None = None
        self._array: Expr | None = None
        self.newest: Factors | None = None  # whose factors the sparse solver holds
        self.lock = threading.RLock()  # of the sparse solver, which holds one matrix
        self.form = self._chosen() if matrix else "products"

    def _chosen(self) -> str:
        n = self.inner.unknown.size
        first, each = CHEAP
        for budget in (first + each * n, None, SPARSE_BUDGET + each * n):
            try:
                if budget is None:
                    if n <= ARRAY_SIZE:
                        self._array = jacobian_batched([self.gradient], [self.inner.unknown], budget=ARRAY_BUDGET)
                        return "dense"
                    continue
                self._map = jacobian_map([self.gradient], [self.inner.unknown], budget=budget)
                dense = n <= SMALL or (self._map.nnz > FULL * n * n and n <= ARRAY_SIZE)
                return "dense" if dense else "sparse"
            except TooDenseError:
                continue
        return "products"

    def _compiled(self, outputs: Any, extra: tuple[Any, ...] = ()) -> Callable[..., Any]:
        return self.inner.plan.backend.compile([*self.inputs, *extra], outputs)

    @cached_property
    def value_and_gradient(self) -> Callable[..., Any]:
        """(f, ∇f) at ``(y, *p)``."""
        return self._compiled([self.inner.objective, (self.gradient,)])

    @cached_property
    def value(self) -> Callable[..., Any]:
        """(f,) at ``(y, *p)``."""
        return self._compiled([self.inner.objective])

    @cached_property
    def product(self) -> Callable[..., Any]:
        """(∇²f w,) at ``(y, *p, w)``."""
        return self._compiled([(self.product_,)], (self.inner.direction,))

    @cached_property
    def _second(self) -> Callable[..., Any]:
        return self._compiled([self._array] if self._map is None else [flat_values(self._map)])

    def matrix(self, y: Any, params: Any) -> Any:
        """∇²f: a CSC matrix, or an array."""
        found = self._second(y, *params)[0]
        if self._map is None:
            return found
        return self._map.dense(found) if self.form == "dense" else self._map.matrix(found)

    @cached_property
    def solver(self) -> tuple[SymmetricSolver, np.ndarray]:
        """For sparse matrices: the symmetric solver, and where the entries of the lower triangle are."""
        assert self._map is not None
        pattern = self._map.wrap(np.arange(1.0, self._map.nnz + 1.0))
        n = pattern.shape[0]
        both = scipy.sparse.csc_array(pattern + scipy.sparse.eye_array(n, format="csc") * (self._map.nnz + 2.0))
        lower = scipy.sparse.csc_array(scipy.sparse.tril(both))
        lower.sort_indices()
        held = np.asarray(lower.data)
        # An entry of the diagonal that the matrix does not store is nnz + 2 exactly; others on it are more.
        held = np.where(held > self._map.nnz + 1.5, held - (self._map.nnz + 2.0), held)
        return make_symmetric_solver(SymmetricPattern(lower)), held.astype(np.int64) - 1


class Factors:
    """Factors of a positive definite ``(H + shift I)`` on the free unknowns.

    Raises ``SingularMatrix`` where it is not positive definite.
    """

    def __init__(self, curvature: Curvature, H: Any, free: np.ndarray, shift: float = 0.0) -> None:
        self.free = free
        self._sparse: SymmetricFactorization | None = None
        if isinstance(H, np.ndarray):
            part = H if free.all() else H[np.ix_(free, free)]
            part = part + shift * np.eye(part.shape[0]) if shift else part
            try:
                self._dense = scipy.linalg.cho_factor(part, lower=True, check_finite=False)
            except (np.linalg.LinAlgError, ValueError) as error:
                raise SingularMatrix(str(error)) from None
            if not np.isfinite(np.add.reduce(np.diagonal(self._dense[0]))):
                raise SingularMatrix("the matrix has entries that are not finite")
            return
        self._curvature = curvature
        solver, places = curvature.solver
        pattern = solver.pattern
        data = np.where(places >= 0, H.data[places], 0.0)
        data[pattern.diagonal] += shift
        if not free.all():
            held = ~free
            data[held[pattern.indices] | held[pattern.columns]] = 0.0
            data[pattern.diagonal[held]] = 1.0
        self._data = data
        with curvature.lock:
            inertia = self._factored().inertia
        if inertia.negative or inertia.zero:
            raise SingularMatrix("the matrix is not positive definite")

    def _factored(self) -> SymmetricFactorization:
        """The factors of a sparse matrix; those of the solver are valid until it factors the next."""
        if self._curvature.newest is not self:
            self._curvature.newest = None
            self._sparse = self._curvature.solver[0].factor(self._data)
            self._curvature.newest = self
        assert self._sparse is not None
        return self._sparse

    def rcond(self, norm: float) -> float:
        """An estimate of the reciprocal condition number of the free part, whose 1-norm is given."""
        if self._sparse is None:
            return float(scipy.linalg.lapack.dpocon(self._dense[0], norm, uplo="L")[0])
        size = norm * inverse_norm(lambda b, transpose: self.solve(b), self.free.size)
        return 1.0 / size if size > 0.0 else 0.0

    def solve(self, b: np.ndarray) -> np.ndarray:
        """The solution on the free unknowns, 0 elsewhere."""
        if self._sparse is not None:
            with self._curvature.lock:
                found = self._factored().solve(np.where(self.free, b, 0.0))
            return np.where(self.free, found, 0.0)
        out = np.zeros_like(b)
        out[self.free] = scipy.linalg.cho_solve(self._dense, b[self.free], check_finite=False)
        return out
