"""The package ``nbklu`` (KLU of SuiteSparse), where it is installed."""

from __future__ import annotations

import functools
from typing import Any

__all__ = ["is_available", "package"]


@functools.cache
def package() -> Any:
    """The package, or None."""
    try:
        import nbklu
    except ImportError:
        return None
    return nbklu


def is_available() -> bool:
    """Whether the package is installed."""
    return package() is not None
