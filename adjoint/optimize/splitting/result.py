"""What consensus and sharing give back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .coordination import Record

__all__ = ["SplittingResult"]


@dataclass
class SplittingResult:
    """The answer of :func:`~adjoint.optimize.splitting.consensus` and :func:`~adjoint.optimize.splitting.sharing`.

    Attributes
    ----------
    x : dict
        Consensus: values of the shared variables by name. Sharing: the total, by name.
    shards : list of dict
        Values of the variables of each shard by name.
    multipliers : dict
        Sharing: by name, the change of the optimal objective per unit added to the total from outside. Consensus: of
        each shard's copies, a list of dicts under "copies".
    shard_multipliers : list of dict
        Those of the constraints and bounds of each shard.
    success, status, message, nit : as in other results
    history : list of Record
    redone : int
        Pieces of work that were lost with a worker and done again.
    """

    x: dict[str, Any]
    shards: list[dict[str, Any]]
    multipliers: dict[str, Any]
    shard_multipliers: list[dict[str, np.ndarray]]
    success: bool
    status: str
    message: str
    nit: int
    history: list[Record] = field(default_factory=list, repr=False)
    redone: int = 0


def by_name(names: list[str], shapes: list[tuple[int, ...]], vector: np.ndarray) -> dict[str, Any]:
    """Parts of a vector."""
    out: dict[str, Any] = {}
    at = 0
    for name, shape in zip(names, shapes, strict=True):
        size = int(np.prod(shape, dtype=int))
        out[name] = vector[at : at + size].reshape(shape).copy() if shape else float(vector[at])
        at += size
    return out
