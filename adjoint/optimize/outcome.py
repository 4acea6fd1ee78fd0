"""What methods on a nonlinear program find, and the words for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .nlp import NonlinearProgram

__all__ = ["MESSAGES", "Intermediate", "NLPOutcome", "crossed_bounds", "relative_to_terms", "words", "worst"]

MESSAGES = {  # by status
    "optimal": "an optimal point was found",
    "acceptable": "a point of the acceptable tolerance was found; the tolerance itself was not reached",
    "infeasible": "no point near satisfies the constraints: the violation has a minimum that is not zero",
    "unbounded": "the iterates diverge: the objective seems to be unbounded below",
    "iteration_limit": "the iteration limit was reached (max_iter)",
    "time_limit": "the time limit was reached (max_wall_time)",
    "stopped": "stopped by the callback",
    "evaluation_error": "the functions cannot be evaluated",
    "failed": "no progress could be made any further",
    "stalled": "the steps became too small to make progress",
    "restoration_failed": "neither the program nor its feasibility could be improved any further",
}
NAMED = 5  # violated rows that a message names


class Intermediate(NamedTuple):
    """What a callback is given: the record of the iteration, and the point with its multipliers, unscaled."""

    record: Any
    x: np.ndarray
    y: np.ndarray
    z_lower: np.ndarray
    z_upper: np.ndarray


@dataclass
class NLPOutcome:
    """A point with multipliers, in the sign of :mod:`~adjoint.optimize.nlp`, and how it was found.

    Attributes
    ----------
    status : str
        A key of ``MESSAGES``.
    evaluations : dict
        How often each function was called, where the method tells.
    """

    x: np.ndarray
    y: np.ndarray
    z_lower: np.ndarray
    z_upper: np.ndarray
    status: str
    message: str
    iterations: int
    evaluations: dict[str, int] = field(default_factory=dict)


def words(status: str, detail: str = "", violated: Sequence[tuple[str, float]] = ()) -> str:
    """The message of a status.

    >>> words("stopped", "at noon", [("balance", 0.25)])
    'stopped by the callback: at noon; violated most: balance by 0.25'
    """
    text = MESSAGES[status] + (f": {detail}" if detail else "")
    if violated:
        text += "; violated most: " + ", ".join(f"{name} by {by:.3g}" for name, by in violated[:NAMED])
    return text


def worst(violation: np.ndarray, names: Sequence[str], tolerance: float, most: int = 10) -> list[tuple[str, float]]:
    """The largest violations above the tolerance, with names.

    >>> worst(np.array([0.0, 2.0, 3.0]), ["a", "b", "c"], 1e-6)
    [('c', 3.0), ('b', 2.0)]
    """
    order = np.argsort(-violation, kind="stable")[:most]
    return [(names[i], float(violation[i])) for i in order if violation[i] > tolerance]


def relative_to_terms(
    violation: np.ndarray, pattern: tuple[np.ndarray, np.ndarray], J: np.ndarray, x: np.ndarray
) -> float:
    """The largest violation of a row, each relative to the largest term ``|Jᵢⱼ xⱼ|`` of it, where that is above 1."""
    size = np.ones(len(violation))
    np.maximum.at(size, pattern[0], np.abs(J * x[pattern[1]]))
    return float((violation / size).max(initial=0.0))


def crossed_bounds(nlp: NonlinearProgram) -> list[tuple[str, float]]:
    """Variables and rows whose lower side is above the upper one."""
    x, c = nlp.lower - nlp.upper, nlp.constraint_lower - nlp.constraint_upper
    if not (np.any(x > 0.0) or np.any(c > 0.0)):
        return []
    return worst(np.concatenate([x, c]), [*nlp.names(), *nlp.constraint_names()], 0.0)
