"""How accurately inner problems are solved while an outer iteration is under way."""

from __future__ import annotations

from typing import Any

from ..errors import ModelError

__all__ = ["Schedule", "Tolerance", "tolerance_now"]


class Schedule:
    """A tolerance that falls with the outer iteration: ``max(first · decay^k, last)``.

    Far from the optimum of the outer problem a rough gradient is enough: with tolerances that are summable, gradient
    steps on hypergradients of inexact inner solves converge to a stationary point [1]_. Give one as ``tol=`` to
    :func:`~adjoint.inner.argmin` and the others, and call it once per outer iteration, for instance as ``callback=``
    of the optimizer; any arguments are ignored.

    A rough inner solve is verified to the tolerance of the moment, and its derivative has an error of that size. So at
    the end the tolerance should have reached ``last``: :meth:`finish` sets it.

    Parameters
    ----------
    first, last : float
        The tolerance of the first outer iteration, and the smallest.
    decay : float
        Its factor from one outer iteration to the next; 0.9 in [1]_.

    References
    ----------
    .. [1] F. Pedregosa, "Hyperparameter optimization with approximate gradient", ICML 2016.

    >>> schedule = Schedule(first=1e-3, decay=0.1)
    >>> schedule.value
    0.001
    >>> schedule(); schedule(); f"{schedule.value:.0e}"
    '1e-05'
    """

    def __init__(self, first: float = 1e-3, decay: float = 0.9, last: float = 1e-10) -> None:
        if not 0.0 < last <= first < 1.0 or not 0.0 < decay <= 1.0:
            raise ModelError(
                f"a schedule needs 0 < last <= first < 1 and 0 < decay <= 1, got first={first!r}, decay={decay!r}, "
                f"last={last!r}"
            )
        self.first, self.decay, self.last = float(first), float(decay), float(last)
        self.value = self.first

    def __call__(self, *args: Any, **keywords: Any) -> None:
        """The next outer iteration."""
        self.value = max(self.value * self.decay, self.last)

    def finish(self) -> None:
        """The smallest tolerance from now on."""
        self.value = self.last

    def restart(self) -> None:
        """The largest tolerance again."""
        self.value = self.first


Tolerance = float | Schedule


def tolerance_now(tol: Tolerance) -> float:
    """The tolerance of the moment."""
    return tol.value if isinstance(tol, Schedule) else tol
