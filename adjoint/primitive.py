"""The row that describes an operation, and the tables of rows and builders.

An operation is one :class:`Primitive`: its value, and its derivative in the one form that suits it. ``primitives/``
fills the tables; ``expr`` looks operators and NumPy functions up in them.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from .errors import ModelError

__all__ = [
    "BUILDERS",
    "FUNCTIONS",
    "LATE",
    "METHODS",
    "PRIMITIVES",
    "UFUNCS",
    "UFUNC_METHODS",
    "Primitive",
    "Static",
    "register",
    "ufunc_builder",
]

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Primitive:
    """One row of the table of operations: everything the library knows about one of them.

    ``value`` computes the operation on arrays: ``value(*arrays, *params)``. The derivative is stated once,
    in the form that suits the ``kind``, and every other form is derived from it (``derivatives``):

    ``elementwise``  ``partials[k](out, *args, *params)``: ∂out/∂arg_k as an expression, or None where it is 0.
    ``linear``       ``transpose(ct, k, args, params)``: the transposed map of argument k as an expression.
    ``bilinear``     ``transpose(ct, k, args, params)`` as above, the other argument held.
    ``reduction``    ``partials[0](out, x, *params)``: ∂out/∂x in the shape of x; ``params[0]``: the axes reduced.
    ``general``      ``tangent(out, args, tangents, params)`` and ``transpose(ct, k, args, params, out)``.
    """

    name: str
    kind: str
    value: Callable[..., Any]
    shape: Callable[..., Shape] | None = None
    partials: tuple[Callable[..., Any] | None, ...] = ()
    transpose: Callable[..., Any] | None = None
    tangent: Callable[..., Any] | None = None
    entries: Callable[..., Any] | None = None  # linear, bilinear: the map's nonzeros, where not derived
    template: str | None = None  # source text of the scalar or array operation, e.g. "{0} + {1}"
    complex_value: Callable[..., Any] | None = None  # analytic continuation, where ``value`` is none
    kink: Callable[..., Any] | None = None  # nonzero where the derivative is a convention
    copies: bool = False  # linear: every output element is a copy of one input element

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


PRIMITIVES: dict[str, Primitive] = {}


def register(row: Primitive) -> Primitive:
    """Add a row to the table of primitives; its name must be new."""
    if row.name in PRIMITIVES:
        raise ModelError(f"the primitive {row.name!r} is registered already")
    PRIMITIVES[row.name] = row
    return row


class Static:
    """A constant array or sparse matrix among the parameters of a node, compared by content."""

    __slots__ = ("array", "digest")

    def __init__(self, array: Any) -> None:
        self.array = array
        h = hashlib.blake2b(digest_size=16)
        if hasattr(array, "indptr"):
            parts = [array.indptr, array.indices, array.data]
            h.update(repr((array.shape, array.format)).encode())
        else:
            parts = [array]
        for part in parts:
            h.update(repr((part.shape, part.dtype.str)).encode())
            h.update(np.ascontiguousarray(part).data)
        self.digest = h.digest()

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Static) and self.digest == other.digest

    def __repr__(self) -> str:
        return f"<array {self.array.shape}>"


# -- tables that primitives/ fills ------------------------------------------------------------------------------

BUILDERS: dict[str, Callable[..., Any]] = {}  # by the library's name of the operation
UFUNCS: dict[Any, Callable[..., Any]] = {}  # by NumPy ufunc object
LATE: dict[str, dict[str, Callable[..., Any]]] = {}  # ufuncs by name, of modules that take long to import
UFUNC_METHODS: dict[Any, Callable[..., Any]] = {}  # by (ufunc, "reduce" | "accumulate" | ...)
FUNCTIONS: dict[Any, Callable[..., Any]] = {}  # by NumPy function object (__array_function__)
METHODS: dict[str, Callable[..., Any]] = {}  # by the name of ndarray's method


def ufunc_builder(ufunc: Any) -> Callable[..., Any] | None:
    """The builder of a ufunc. Those of a module in ``LATE`` enter the table once somebody has imported it."""
    builder = UFUNCS.get(ufunc)
    if builder is None:
        for module in filter(sys.modules.__contains__, LATE):
            found = import_module(module)  # waits where another thread is importing it
            for name, build in LATE[module].items():
                UFUNCS.setdefault(getattr(found, name), build)
        builder = UFUNCS.get(ufunc)
    return builder
