"""Splitting methods: a program cut into blocks that are solved at once, on any ``concurrent.futures.Executor``."""

from __future__ import annotations

from .admm import ADMMOutcome, solve_by_admm
from .consensus import consensus
from .mac import MACOptions, MACOutcome, solve_by_mac
from .options import SplittingOptions
from .proximal import AbsoluteValues, Box, Equal, Squares
from .result import SplittingResult
from .sharing import sharing
from .workers import WorkerError

__all__ = [
    "ADMMOutcome",
    "AbsoluteValues",
    "Box",
    "Equal",
    "MACOptions",
    "MACOutcome",
    "SplittingOptions",
    "SplittingResult",
    "Squares",
    "WorkerError",
    "consensus",
    "sharing",
    "solve_by_admm",
    "solve_by_mac",
]
