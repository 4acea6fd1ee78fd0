"""What methods with an active set share: the scaled program, optimality errors, the log, and the outcome."""

from __future__ import annotations

from .log import Intermediate, Log, Record
from .optimality import Errors, Point, errors, evaluated, natural_scale
from .options import checked_options
from .outcome import before_start, outcome, without_point
from .program import ScaledProgram

__all__ = [
    "Errors",
    "Intermediate",
    "Log",
    "Point",
    "Record",
    "ScaledProgram",
    "before_start",
    "checked_options",
    "errors",
    "evaluated",
    "natural_scale",
    "outcome",
    "without_point",
]
