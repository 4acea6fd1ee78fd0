"""What methods with an active set share: the scaled program, optimality errors, the log, and the outcome."""

from __future__ import annotations

from ..outcome import Intermediate
from .log import Log, Record
from .optimality import Errors, Point, errors, evaluated, natural_scale
from .outcome import first_point, outcome
from .program import ScaledProgram

__all__ = [
    "Errors",
    "Intermediate",
    "Log",
    "Point",
    "Record",
    "ScaledProgram",
    "errors",
    "evaluated",
    "first_point",
    "natural_scale",
    "outcome",
]
