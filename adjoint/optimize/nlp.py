"""The nonlinear program as an optimization method sees it: arrays in, arrays out, fixed sparsity.

::

    minimize f(x)   subject to   constraint_lower ≤ c(x) ≤ constraint_upper,   lower ≤ x ≤ upper

Formulations make one from a problem; methods and adapters take one. Multipliers between the two have the sign of
``L = f + yᵀc − z_lowerᵀ(x − lower) − z_upperᵀ(upper − x)`` with ``z ≥ 0``.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from ..errors import EvaluationError

__all__ = ["EvaluationError", "NonlinearProgram"]

Pattern = tuple[np.ndarray, np.ndarray]  # rows and columns of the entries


@runtime_checkable
class NonlinearProgram(Protocol):
    """A nonlinear program with sparse derivatives, as attributes and methods.

    Every method raises :class:`EvaluationError`, with a message that says what was not finite or which inner solve
    failed, where it has no finite value.

    Attributes
    ----------
    n, m : int
        Number of variables and of constraint rows.
    x0, lower, upper : ndarray, shape (n,)
        Start and bounds; ±inf is no bound, equal bounds fix a variable.
    constraint_lower, constraint_upper : ndarray, shape (m,)
        Sides of the constraint rows; equal sides make an equality.
    jacobian_pattern : (rows, columns)
        Places of the entries of the Jacobian of ``c``.
    hessian_pattern : (rows, columns) or None
        Places in the lower triangle of the Hessian of the Lagrangian; None where there are no second derivatives.
    """

    n: int
    m: int
    lower: np.ndarray
    upper: np.ndarray
    constraint_lower: np.ndarray
    constraint_upper: np.ndarray

    @property
    def x0(self) -> np.ndarray: ...

    @property
    def jacobian_pattern(self) -> Pattern: ...

    @property
    def hessian_pattern(self) -> Pattern | None: ...

    def objective(self, x: np.ndarray) -> float:
        """f(x)."""

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """∇f(x), dense."""

    def constraints(self, x: np.ndarray) -> np.ndarray:
        """c(x)."""

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        """Entries of ∂c/∂x in the order of ``jacobian_pattern``."""

    def hessian(self, x: np.ndarray, sigma: float, y: np.ndarray) -> np.ndarray:
        """Entries of ``sigma ∇²f + Σ yᵢ ∇²cᵢ`` in the order of ``hessian_pattern``."""

    def names(self) -> list[str]:
        """Names of the variables, element by element; made only when asked."""

    def constraint_names(self) -> list[str]:
        """Names of the constraint rows, element by element; made only when asked."""
