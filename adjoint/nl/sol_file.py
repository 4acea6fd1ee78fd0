"""The content of a ``.sol`` file."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .model import Suffix

__all__ = ["SUFFIX_HEAD", "UNKNOWN", "SolFile"]

UNKNOWN = -1  # the code where a file has none
# Codes by hundreds.
MEANINGS = (
    "solved",
    "solved, but an error is likely",
    "infeasible",
    "unbounded",
    "stopped by a limit",
    "failed",
)

SUFFIX_HEAD = struct.Struct("<8siiii")  # in binary: a mark, kind, and the lengths of values, name and table


@dataclass
class SolFile:
    """What a ``.sol`` file says.

    Attributes
    ----------
    message : what the solver said
    primal, dual : values of the variables, duals of the constraints; None where the file has none
    n_var, n_con : numbers of variables and constraints of the ``.nl`` file
    objective : number of the objective
    code : how the solve ended: 0–99 solved, 100– perhaps, 200– infeasible, 300– unbounded, 400– a limit, 500– failed
    options, vbtol : numbers of the first line of the ``.nl`` file
    suffixes : further values of variables (kind 0), constraints (1), objectives (2), or the problem (3)
    tables : by the name of a suffix: what its values mean

    >>> s = SolFile("Optimal.", np.array([1.0, 2.0]), np.array([0.5]), code=0)
    >>> s.status, s.n_var, s.n_con
    ('solved', 2, 1)
    """

    message: str = ""
    primal: Any = None
    dual: Any = None
    n_var: int | None = None
    n_con: int | None = None
    objective: int = 0
    code: int = UNKNOWN
    options: list[float] = field(default_factory=lambda: [1.0, 1.0, 0.0])
    vbtol: float | None = None
    suffixes: list[Suffix] = field(default_factory=list)
    tables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for values, name in (("primal", "n_var"), ("dual", "n_con")):
            array = getattr(self, values)
            if array is not None:
                array = np.asarray(array, dtype=np.float64).reshape(-1)
                setattr(self, values, array)
            if getattr(self, name) is None:
                setattr(self, name, 0 if array is None else array.size)

    @property
    def status(self) -> str:
        """What the code means."""
        return MEANINGS[self.code // 100] if 0 <= self.code < 100 * len(MEANINGS) else "unknown"

    @property
    def success(self) -> bool:
        """Whether the code says that the problem was solved."""
        return 0 <= self.code < 100

    def suffix(self, name: str, kind: int = 0) -> np.ndarray | None:
        """The values of a suffix, of all variables or constraints; None where there is none of that name."""
        for s in self.suffixes:
            if (s.name, s.kind) == (name, kind):
                size = {0: self.n_var or 0, 1: self.n_con or 0}.get(kind, int(s.index.max(initial=-1)) + 1)
                out = np.zeros(size, s.value.dtype)
                out[s.index] = s.value
                return out
        return None
