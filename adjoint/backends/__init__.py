"""Backends execute the functions of a plan: ``numpy`` is the reference, ``llvm`` the compiled one."""

from __future__ import annotations

import logging
import os

from ..errors import ModelError, closest
from .base import Backend
from .llvm_ import LlvmBackend, available
from .numpy_ import NumpyBackend

__all__ = ["BACKENDS", "Backend", "get_backend"]

BACKENDS: dict[str, Backend] = {"numpy": NumpyBackend()}
if available():
    BACKENDS["llvm"] = LlvmBackend()

_default: list[str] = []


def get_backend(name: str | None = None) -> Backend:
    """The backend of a name, or the default one: ``llvm`` where llvmlite is installed.

    The environment variable ``ADJOINT_BACKEND`` names another default.
    """
    if name is None:
        if not _default:
            _default.append(_first_choice())
        name = _default[0]
    if name not in BACKENDS:
        raise ModelError(closest(name, BACKENDS, "backend"))
    return BACKENDS[name]


def _first_choice() -> str:
    wanted = os.environ.get("ADJOINT_BACKEND")
    if wanted:
        return wanted
    if "llvm" not in BACKENDS:
        logging.getLogger("adjoint").warning(
            "llvmlite is not installed: models are evaluated by NumPy, operation by operation, which is slower. "
            "To compile them: pip install 'adjoint[jit]'. To choose NumPy without this line: ADJOINT_BACKEND=numpy."
        )
        return "numpy"
    return "llvm"
