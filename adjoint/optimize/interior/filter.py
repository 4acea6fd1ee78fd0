"""The filter: pairs of infeasibility and barrier function that no later point may be dominated by.

W&B, section 2.3; the constants are those of its section 4.
"""

from __future__ import annotations

import math

__all__ = ["Filter"]

GAMMA_THETA, GAMMA_PHI = 1e-5, 1e-8
DELTA, S_THETA, S_PHI = 1.0, 1.1, 2.3
ETA = 1e-8  # Armijo
THETA_MAX, THETA_MIN = 1e4, 1e-4
ALPHA_MIN = 0.05  # γ_α
GROWTH = 5.0  # decades by which a trial may raise the barrier function
LARGE = 1e100
EPS = 10 * 2.220446049250313e-16


class Filter:
    """The filter, and the test of a trial point against it and against the last iterate.

    >>> f = Filter(1.0)
    >>> f.add(0.5, 2.0)
    >>> f.admits(0.6, 3.0), f.admits(0.4, 3.0)
    (False, True)
    """

    __slots__ = ("entries", "theta_max", "theta_min")

    def __init__(self, theta: float) -> None:
        self.theta_max, self.theta_min = THETA_MAX * max(1.0, theta), THETA_MIN * max(1.0, theta)
        self.entries: list[tuple[float, float]] = []

    def clear(self) -> None:
        """Forget all entries."""
        self.entries.clear()

    def admits(self, theta: float, phi: float) -> bool:
        """Whether no entry dominates the pair (W&B, section 2.3)."""
        return all(theta <= t or not_above(phi, p, p) for t, p in self.entries)

    def add(self, theta: float, phi: float) -> None:
        """Take in the pair with its margins (W&B, eq. 22)."""
        theta, phi = (1.0 - GAMMA_THETA) * theta, phi - GAMMA_PHI * theta
        self.entries = [(t, p) for t, p in self.entries if t < theta or p < phi]
        self.entries.append((theta, phi))

    def accepts(
        self, alpha: float, slope: float, theta: float, phi: float, theta_trial: float, phi_trial: float
    ) -> tuple[bool, bool, bool]:
        """Test of a trial: accepted, refused by an entry of the filter, and whether the filter is to be augmented.

        W&B, eq. 18 to 20: sufficient decrease of one of the two, or Armijo's condition on the barrier function where
        the switching condition says that it is what to decrease.
        """
        if theta_trial > self.theta_max or not math.isfinite(phi_trial):
            return False, False, False
        if phi_trial > phi and math.log10(max(phi_trial - phi, 1e-300)) > GROWTH + max(
            1.0, math.log10(max(abs(phi), 1e-300))
        ):
            return False, False, False
        switching = slope < 0.0 and alpha * power(-slope, S_PHI) > DELTA * power(theta, S_THETA)
        armijo = not_above(phi_trial, phi + ETA * alpha * slope, phi)
        if switching and theta <= self.theta_min:
            if not armijo:
                return False, False, False
        elif not (
            not_above(theta_trial, (1.0 - GAMMA_THETA) * theta, theta)
            or not_above(phi_trial, phi - GAMMA_PHI * theta, phi)
        ):
            return False, False, False
        if not self.admits(theta_trial, phi_trial):
            return False, True, False
        return True, False, not (switching and armijo)

    def smallest_step(self, slope: float, theta: float) -> float:
        """The step below which restoration is called (W&B, eq. 23)."""
        least = GAMMA_THETA
        if slope < 0.0:
            least = min(least, GAMMA_PHI * theta / -slope)
            if theta <= self.theta_min:
                least = min(least, DELTA * power(theta, S_THETA) / power(-slope, S_PHI))
        return ALPHA_MIN * least


def not_above(a: float, b: float, size: float) -> bool:
    """``a ≤ b`` up to rounding of numbers of that size (W&B, section 3.10)."""
    return a - b <= EPS * abs(size)


def power(a: float, exponent: float) -> float:
    """``a`` to the exponent, without overflow."""
    return min(a, LARGE) ** exponent
