"""The methods of the registry that can run here: those of adapters need their packages."""

from __future__ import annotations

from collections.abc import Callable

from adjoint.optimize import OPTIMIZERS, ipopt_, pounce_, uno_

__all__ = ["ADAPTERS", "AVAILABLE"]

ADAPTERS: dict[str, Callable[[], bool]] = {
    "ipopt": ipopt_.is_available,
    "pounce": pounce_.is_available,
    "uno": uno_.is_available,
}
AVAILABLE = [name for name in sorted(OPTIMIZERS) if ADAPTERS.get(name, lambda: True)()]
