"""Backends execute the functions of a plan: ``numpy`` is the reference."""

from __future__ import annotations

from ..errors import ModelError, closest
from .base import Backend
from .numpy_ import NumpyBackend

__all__ = ["BACKENDS", "Backend", "get_backend"]

BACKENDS: dict[str, Backend] = {"numpy": NumpyBackend()}
_default = ["numpy"]


def get_backend(name: str | None = None) -> Backend:
    """The backend of a name, or the default one."""
    name = _default[0] if name is None else name
    if name not in BACKENDS:
        raise ModelError(closest(name, BACKENDS, "backend"))
    return BACKENDS[name]
