"""What does not fit is told in the library's words."""

from __future__ import annotations

from typing import Any

import numpy as np

from .describe import describe
from .errors import AdjointError, ShapeError, UnsupportedError

__all__ = ["broadcast", "guarded", "unsupported"]


def guarded(what: str, builder: Any, args: Any, kwargs: Any) -> Any:
    """Call a builder; what does not fit its signature, or its arguments, is told in the library's words."""
    try:
        return builder(*args, **kwargs)
    except AdjointError:
        raise
    except TypeError as error:
        raise unsupported(f"{what} in this form ({error})") from None
    except (ValueError, LookupError, ArithmeticError) as error:
        raise ShapeError(f"{what}: {error}") from None


def unsupported(what: str) -> UnsupportedError:
    """The error for a function that expressions do not have."""
    return UnsupportedError(
        f"{what} is not available on expressions. Write it with the functions that are (see the documentation's "
        "list), call it as a black box with m.external(name, fun, inputs=..., shape=..., jac=...), or add a row to "
        "adjoint/primitives/."
    )


def broadcast(what: str, *args: Any) -> tuple[int, ...]:
    """The broadcast shape of arguments; a ShapeError names the operation and the arguments."""
    shape = args[0].shape
    for arg in args[1:]:
        if arg.shape == shape or not arg.shape:
            continue
        if not shape:
            shape = arg.shape
            continue
        try:
            shape = np.broadcast_shapes(*(a.shape for a in args))
        except ValueError:
            shown = " and ".join(f"{describe(a)} of shape {a.shape}" for a in args)
            raise ShapeError(f"{what}: {shown} do not broadcast together") from None
        break
    return shape
