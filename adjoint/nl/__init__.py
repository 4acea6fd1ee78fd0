"""AMPL ``.nl`` and ``.sol`` files: what a file says (:mod:`~adjoint.nl.model`), as a problem, and written again.

``read`` → :class:`~adjoint.nl.model.Model` → ``build`` → :class:`~adjoint.problem.Problem` → ``full_space`` → ``write``
"""

from __future__ import annotations

from .build import read_nl
from .sol import SolFile, read_sol, write_sol
from .write import write_nl

__all__ = ["SolFile", "read_nl", "read_sol", "write_nl", "write_sol"]
