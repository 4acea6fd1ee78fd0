"""The filter: pairs of violation and objective that dominate what a step may reach.

References
----------
.. [1] R. Fletcher, S. Leyffer and P. L. Toint, "On the global convergence of a filter-SQP algorithm", SIAM J. Optim.
       13, 2002, pp. 44-59 (eq. 2.6 to 2.10).
"""

from __future__ import annotations

__all__ = ["Filter"]

MARGIN_VIOLATION, MARGIN = 1e-3, 1e-3  # 1 − β, γ
SUFFICIENT = 1e-4  # σ: share of the predicted decrease of the objective
SWITCH, POWER = 1e-2, 1.2  # a step is one on the objective where that is predicted to fall by more than SWITCH θ^POWER
LARGEST = 1e2  # bound of the violation, relative to the first


class Filter:
    """What was left behind, and the test of a step against it.

    >>> f = Filter(1.0)
    >>> f.ratio((0.5, 2.0), (0.1, 2.1), predicted=0.0) > 0.0, f.ratio((0.5, 2.0), (0.6, 2.1), predicted=0.0)
    (True, -1.0)
    """

    def __init__(self, violation: float) -> None:
        self.largest = LARGEST * max(1.0, violation)
        self.pairs: list[tuple[float, float]] = []

    def ratio(self, old: tuple[float, float], new: tuple[float, float], predicted: float) -> float:
        """How a step from `old` to `new`, pairs of violation and objective, succeeds: in shares of the prediction for
        the objective where that rules; −1 where the filter refuses it."""
        violation, f = new
        if violation > self.largest:
            return -1.0
        for other, value in (*self.pairs, old):
            if violation > (1.0 - MARGIN_VIOLATION) * other and f > value - MARGIN * violation:
                return -1.0
        if self.on_objective(old, predicted):
            share = (old[1] - f) / predicted
            return share if share >= SUFFICIENT else -1.0
        return 1.0 if violation <= 0.1 * old[0] else 0.5

    def on_objective(self, old: tuple[float, float], predicted: float) -> bool:
        """Whether a step is one on the objective."""
        return predicted > SWITCH * old[0] ** POWER and predicted > 0.0

    def add(self, pair: tuple[float, float]) -> None:
        """Never come back to a pair."""
        self.pairs = [p for p in self.pairs if p[0] < pair[0] or p[1] < pair[1]]
        self.pairs.append(pair)
