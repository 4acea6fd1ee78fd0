"""Right-hand sides by name: what a user's function gives, checked, in the shape of the points that it is asked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ModelError, NameLookupError, ShapeError, StructureError, closest
from ..expr import Expr, Variable, as_expr
from ..primitive import Shape
from ..primitives.indexing import broadcast_to, reshape
from ..structure import Incidence, maximum_matching
from ..walk import variables_of

__all__ = ["Dynamics", "Pieces", "check_index", "spread", "with_axis"]

Pieces = dict[str, Expr]  # by name: the points along the first axes, then the shape of the state


def spread(e: Expr, shape: Shape) -> Expr:
    """Numbers of points, so that they multiply pieces of a shape.

    >>> import numpy as np
    >>> spread(as_expr(np.zeros(3)), (2,)).shape
    (3, 1)
    """
    return reshape(e, (*e.shape, *(1 for _ in shape))) if shape else e


def with_axis(e: Expr, axis: int = 0) -> Expr:
    """With a further axis, of length 1.

    >>> with_axis(as_expr(2.0)).shape
    (1,)
    """
    return reshape(e, (*e.shape[:axis], 1, *e.shape[axis:]))


@dataclass(frozen=True)
class Dynamics:
    """``y' = f(t, y, z, u)`` and ``0 = g(t, y, z, u)``: a function of pieces, and their names.

    Attributes
    ----------
    fun : callable
        ``fun(t, y, u)``, as :func:`~adjoint.control.trajectory` has it.
    states, algebraic : dict
        Shapes of y and of z at one point, by name.

    >>> rest = Dynamics(lambda t, y, u: [-2 * y["x"]], {"x": ()}, {})
    >>> {name: f.shape for name, f in rest(as_expr([0.0, 1.0]), {"x": as_expr([1.0, 2.0])}, {}).items()}
    {'x': (2,)}
    """

    fun: Callable[..., Any]
    states: Mapping[str, Shape]
    algebraic: Mapping[str, Shape]

    @property
    def shapes(self) -> dict[str, Shape]:
        """Of states and algebraic variables, in order."""
        return {**self.states, **self.algebraic}

    def __call__(self, t: Expr, y: Mapping[str, Expr], u: Mapping[str, Expr]) -> Pieces:
        """Derivatives of the states, and what is to be zero, at points of any number."""
        given = self.fun(t, dict(y), dict(u))
        return {name: self._piece(t, name, value) for name, value in self._by_name(given).items()}

    def _by_name(self, given: Any) -> dict[str, Any]:
        names = list(self.shapes)
        if isinstance(given, Mapping):
            for name in given:
                if name not in names:
                    raise NameLookupError(closest(name, names, "state or algebraic variable"))
            missing = [name for name in names if name not in given]
            if missing:
                raise ModelError(f"fun(t, y, u) of trajectory() gives nothing for {', '.join(map(repr, missing))}")
            return {name: given[name] for name in names}
        items = [given] if isinstance(given, Expr) and len(names) == 1 else given
        if not isinstance(items, list | tuple) or len(items) != len(names):
            raise ModelError(
                f"fun(t, y, u) of trajectory() gives a dict, or a list of {len(names)}, for "
                f"{', '.join(map(repr, names))}; it gave {_shown(given)}"
            )
        return dict(zip(names, items, strict=True))

    def _piece(self, t: Expr, name: str, value: Any) -> Expr:
        expected = (*t.shape, *self.shapes[name])
        try:
            found = as_expr(value)
            return broadcast_to(found, expected)
        except ShapeError:
            raise ShapeError(
                f"fun(t, y, u) gives {name!r} the shape {found.shape}; at points of shape {t.shape} it is {expected}"
            ) from None


def _shown(value: Any) -> str:
    return f"a {type(value).__name__} of {len(value)}" if isinstance(value, list | tuple) else type(value).__name__


def check_index(dynamics: Dynamics, controls: Iterable[str]) -> None:
    """Refuse algebraic equations that cannot determine the algebraic variables.

    For index 1 the Jacobian ∂g/∂z has to be regular; here each variable must have an equation with it in it (Pantelides
    1988, "The consistent initialization of differential-algebraic systems"). Values are looked at when it is solved.

    >>> slider = Dynamics(lambda t, y, u: {"x": y["z"], "z": y["x"] - 1.0}, {"x": ()}, {"z": ()})
    >>> check_index(slider, [])
    Traceback (most recent call last):
        ...
    adjoint.errors.StructureError: trajectory: the algebraic equations do not determine 'z' ...
    """
    names = list(dynamics.algebraic)
    if not names:
        return
    own = {n: Variable(n, shape) for n, shape in dynamics.shapes.items()}
    given = dynamics(Variable("t", ()), own, {n: Variable(n, ()) for n in controls})
    inside = [set(variables_of([given[n]])) for n in names]
    pairs = [(i, j) for i, found in enumerate(inside) for j, n in enumerate(names) if own[n] in found]
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    matching = maximum_matching(Incidence.from_coo(rows, columns, (len(names), len(names))))
    lost = [n for n, row in zip(names, np.asarray(matching.col_to_row), strict=True) if row < 0]
    if lost:
        raise StructureError(
            f"trajectory: the algebraic equations do not determine {', '.join(map(repr, lost))} at a point of time: "
            "the index is above 1. Differentiate, by time, the equations that have no algebraic variable in them"
        )
