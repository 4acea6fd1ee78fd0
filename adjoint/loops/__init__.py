"""Programs with time: a step repeated, differentiated step by step, with all states kept or with few.

The folder is not called after its function: ``adjoint.scan`` is that function.
"""

from __future__ import annotations

from .ode import ode, steady_state
from .programs import program_step
from .scan import scan

__all__ = ["ode", "program_step", "scan", "steady_state"]
