"""The points at which the functions of a program were evaluated: one solve at each, whoever asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .blocks import unpack
from .errors import ModelError, ShapeError
from .expr import Variable
from .nonlinear import Options
from .plan import Plan
from .solve import State, forward, input_values

__all__ = ["Shared", "as_vector"]

LONG = 512  # elements; of longer vectors the last one is remembered by reference
KEPT = 3  # points remembered: optimizers return to the last accepted one


class Shared:
    """Solves of one program over the same inputs, at most once per point.

    Attributes
    ----------
    solves : int
        At how many points the program was solved, or evaluated where there is nothing to solve.
    last : bytes or ndarray
        The last point.
    """

    def __init__(
        self, plan: Plan, wrt: Sequence[Variable], fixed: Mapping[str, Any], options: Options, methods: Any
    ) -> None:
        self.plan, self.wrt, self.options, self.methods = plan, tuple(wrt), options, methods
        self.fixed = dict(fixed)
        self.size = sum(v.size for v in self.wrt)
        self.solves = 0
        self.last: bytes | np.ndarray | None = None
        self.again: tuple[Callable[[np.ndarray], Any], float] | None = None
        self.recent: tuple[tuple[bytes, State | None], ...] = ()  # no state: evaluated, but not solved as a whole
        self._base: Any = None

    @property
    def base(self) -> dict[Variable, Any]:
        """The values of the inputs that are not in the vector (and ones for the others)."""
        if self._base is None:
            self._base = input_values(self.plan, {**{v.name: np.ones(v.shape) for v in self.wrt}, **self.fixed})
        return self._base

    def vector(self, value: Any) -> np.ndarray:
        """A point from user input."""
        return as_vector(value, self.size, ", ".join(v.name for v in self.wrt))

    def visit(self, key: bytes, state: State | None = None) -> State | None:
        """Note the last point; its state, if it was solved."""
        # A new tuple: other threads may be reading the old one.
        recent = self.recent
        for entry in recent:
            if entry[0] == key:
                state = entry[1] if state is None else state
                self.recent = ((key, state), *(e for e in recent if e is not entry))
                break
        else:
            self.solves += state is None
            self.recent = ((key, state), *recent[: KEPT - 1])
        self.last = key
        return state

    def note(self, vector: np.ndarray, again: Callable[[np.ndarray], Any] | None = None, check: float = 0.0) -> None:
        """Note a point at which a function was evaluated; a long vector by reference (a copy would cost as much), with
        a number that tells later whether it is still the same: the function's check, or the sum of its elements."""
        if self.size > LONG:
            if vector is not self.last:
                self.last = vector
                self.solves += 1
            self.again = (_sum_of, _sum_of(vector)[0]) if again is None else (again, check)
            return
        key = vector.tobytes()
        if key != self.last:
            self.visit(key)

    def state(self, vector: Any) -> State:
        """The verified state at a point."""
        x = self.vector(vector)
        key = x.tobytes()
        known = next((entry for entry in self.recent if entry[0] == key), None)
        if known is not None and known[1] is not None:
            self.visit(key)
            return known[1]
        if not np.isfinite(x).all():
            raise ModelError("the point has NaN or infinite elements")
        values = unpack(self.wrt, x.copy(), dict(self.base))
        states = (s for _, s in self.recent if s is not None)
        last = next(states, None) if self.plan.cycles else None
        self.solves += known is None
        state = self._solve(values, None if last is None else last.values)
        self.visit(key, state)
        return state

    def _solve(self, values: Any, start: Any) -> State:
        if start is not None:
            try:
                return forward(self.plan, dict(values), self.options, self.methods, start, warn_singular=False)
            except ArithmeticError:
                pass  # a warm start can mislead: once more from the guesses
        return forward(self.plan, values, self.options, self.methods, warn_singular=False)


def as_vector(value: Any, size: int, what: str) -> np.ndarray:
    """A float vector of a given size from user input."""
    try:
        x = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ModelError(f"expected a vector of {size} numbers for {what}, got {value!r:.60}") from None
    if x.shape != (size,):
        raise ShapeError(f"a vector has shape {x.shape}, expected ({size},) for {what}")
    return x


def _sum_of(x: np.ndarray) -> tuple[float]:
    return (float(np.add.reduce(x)),)
