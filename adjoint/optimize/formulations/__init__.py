"""Formulations: which equations of a problem are solved inside, and which are constraints of the nonlinear program."""

from __future__ import annotations

from .choose import Kept, chosen
from .formulation import Formulation
from .residuals import Residuals

__all__ = ["Formulation", "Kept", "Residuals", "chosen"]
