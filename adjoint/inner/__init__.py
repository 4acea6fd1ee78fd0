"""Programs inside programs: roots, fixed points and minimizers as expressions, with the derivatives of the implicit
function theorem."""

from .argmin import argmin
from .fixed_point import fixed_point
from .report import InnerReport, inner_reports
from .root import root
from .schedule import Schedule
from .single_level import single_level

__all__ = ["InnerReport", "Schedule", "argmin", "fixed_point", "inner_reports", "root", "single_level"]
