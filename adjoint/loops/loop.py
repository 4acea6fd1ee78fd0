"""The operation ``scan``, its value and its derivatives.

Two rows describe a loop of n steps on flat vectors, c the carry, p the parameters, x and y its streams:

    scan           (c_0, p, x)          →  (c_n, y)
    scan_adjoint   (c_0, p, x, c̄_n, ȳ)  →  (c̄_0, p̄, x̄)

The first gives the second by its cotangents, and itself, on the tangent step, by its tangents. The second is
differentiated by both on the tangent step F'(c, ċ, …), whose own cotangents, seeded with (d c̄, c̄), are the tangents of
the cotangents of F:

    d adjoint_F(c̄) = [adjoint_F'(d c̄, c̄)]_c      and      ⟨w, adjoint_F(c̄)⟩ = ⟨c̄, Ḟ(w)⟩.

So all orders of derivatives are the two rows again, and in each the reversed sweep may be done with checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import ConvergenceError, SingularError
from ..expr import Constant, Expr, Variable, apply
from ..primitive import Primitive, register
from ..primitives.elementwise import zeros
from ..primitives.indexing import concatenate
from ..trial import trial_under_way
from .adjoint import descended, pulled
from .runners import Runner
from .step import Step, Wanted

__all__ = ["Loop", "scan_node"]

Array = Any
KEPT = 2**26  # bytes of records, and of results, that are kept for the derivatives that may be asked for next


class Loop:
    """A step, how often it is repeated, and how: what nodes of scans hold.

    Attributes
    ----------
    step : Step
    length : number of steps
    reverse : whether rows are gone through from the last to the first
    checkpoints : states that a reversed sweep may keep; None: all
    folder : where those states are kept in a file; None: in memory
    backend : name of the backend
    truncated : whether the step holds its carry constant, for derivatives, every now and then
    """

    def __init__(
        self,
        step: Step,
        length: int,
        reverse: bool = False,
        checkpoints: int | None = None,
        folder: str | None = None,
        backend: str | None = None,
        truncated: bool = False,
    ) -> None:
        self.step, self.length, self.reverse = step, length, reverse
        self.checkpoints, self.folder, self.backend = checkpoints, folder, backend
        self.truncated = truncated
        self._tangents: dict[tuple[Wanted, bool], Loop] = {}
        self._runners: dict[Any, Runner] = {}
        self.wants_record = False  # whether cotangents have been asked for, which need one
        # Of the last run with a record: what it was given, and (what it gave, its record or snapshots).
        self._last: list[tuple[list[Array], tuple[Array, Any]]] = []
        self.n_carry, self.n_params = _size(step.carry), _size(step.params)
        self.widths = [_size(row) for row in step.inputs]
        self.heights = [_size(row) for row in step.outputs]
        self.size = self.n_carry + length * sum(self.heights)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_tangents": {}, "_runners": {}, "_last": []}

    def tangent(self, wanted: Wanted, full: bool) -> Loop:
        """The loop of (c, ċ), over the parameters and inputs that move."""
        key = wanted, full
        if key not in self._tangents:
            step = self.step.tangent(wanted, full)
            self._tangents[key] = Loop(step, self.length, self.reverse, self.checkpoints, self.folder, self.backend)
        return self._tangents[key]

    def runner(self, which: Any) -> Runner:
        """What executes the step, a variant of it by the name of its attribute, or its cotangent (a ``Wanted``)."""
        if which not in self._runners:
            if which == "step":
                step = self.step
            else:
                step = getattr(self.step, which) if isinstance(which, str) else self.step.cotangent(which)
            self._runners[which] = Runner(step, self.backend)
        return self._runners[which]

    # -- values
    def value(self, carry: Array, params: Array, *streams: Array) -> Array:
        """(c_n, y) as one vector."""
        given = [carry, params, *streams]
        kept = self.kept(given)
        if kept is not None:
            return kept[0].copy()
        out = np.empty(self.size, np.result_type(float, *given))
        rows = self._rows(out[self.n_carry :], self.heights)
        inputs = [np.reshape(x, (self.length, w)) for x, w in zip(streams, self.widths, strict=True)]
        found: Any = None
        width = self.n_carry + _size(self.step.unknowns)
        few = self.checkpoints is not None and self.checkpoints < self.length
        if not self.wants_record or out.dtype != float or self.folder is not None:
            which = "whole" if self.truncated and out.dtype != float else "step"  # the complex step tells the truth
            after = self.runner(which).run(self.length, self.reverse, carry, params, inputs, rows)
        elif few:
            after, found = descended(self, carry, params, inputs, rows)
        elif 8 * self.length * width > KEPT:
            after = self.runner("step").run(self.length, self.reverse, carry, params, inputs, rows)
        else:
            after, found = self._observed(carry, params, inputs, rows, np.empty((self.length, width)))
        out[: self.n_carry] = after
        if found is not None and out.nbytes <= KEPT:
            self._last = [([np.array(x) for x in given], (out.copy(), found))]
        return out

    def _observed(self, carry: Array, params: Array, inputs: Any, rows: Any, record: Array) -> tuple[Array, Any]:
        """The carry in the end, and the record; None where there is a step that has no derivatives."""
        try:
            after = self.runner("observed").run(self.length, self.reverse, carry, params, inputs, [*rows, record])
        except SingularError:
            return self.runner("step").run(self.length, self.reverse, carry, params, inputs, rows), None
        return after, record

    def kept(self, given: Sequence[Array]) -> tuple[Array, Any] | None:
        """What the last run gave, and its record or snapshots, if it was given the same."""
        for inputs, found in self._last:
            if all(map(np.array_equal, inputs, given)):
                return found
        return None

    def taken(self, given: Sequence[Array]) -> tuple[Array, Any] | None:
        """The same, which nobody else gets after that."""
        try:
            inputs, found = self._last.pop()
        except IndexError:
            return None
        return found if all(map(np.array_equal, inputs, given)) else None

    def pull(self, wanted: Wanted, carry: Array, params: Array, *rest: Array) -> Array:
        """(c̄_0, p̄, x̄) as one vector."""
        k = len(self.widths)
        inputs = [np.reshape(x, (self.length, w)) for x, w in zip(rest[:k], self.widths, strict=True)]
        seeds = [np.reshape(y, (self.length, h)) for y, h in zip(rest[k + 1 :], self.heights, strict=True)]
        parts = pulled(self, wanted, carry, params, inputs, rest[k], seeds)
        return np.concatenate([np.reshape(part, -1) for part in parts])

    def multipliers(self, given: Sequence[Array], cotangent: Array) -> Array:
        """λ of the carry before the first step, between the steps, and after the last one, by rows; from what the loop
        was given, and the cotangent of what it gave."""
        carry, params, *streams = given
        ends = self.n_carry
        inputs = [np.reshape(x, (self.length, w)) for x, w in zip(streams, self.widths, strict=True)]
        seeds = self._rows(np.array(cotangent[ends:], dtype=float), self.heights)
        record = np.empty((self.length, ends + _size(self.step.unknowns)))
        self.runner("recorded").run(self.length, self.reverse, carry, params, inputs, [record])
        rows = np.empty((self.length, ends))
        after = np.array(cotangent[:ends], dtype=float)
        self.runner("costate").run(self.length, not self.reverse, after, params, [record, *inputs, *seeds], [rows])
        return np.concatenate([rows[::-1] if self.reverse else rows, after[None]])

    def _rows(self, flat: Array, widths: Sequence[int]) -> list[Array]:
        rows, at = [], 0
        for w in widths:
            rows.append(flat[at : at + self.length * w].reshape(self.length, w))
            at += self.length * w
        return rows

    # -- where things are
    def split(self, out: Expr) -> list[Expr]:
        """The parts of the vector (c_n, y): the carry, then each stream."""
        return _split(out, [self.n_carry, *(self.length * h for h in self.heights)])

    def pulled_sizes(self, wanted: Wanted) -> list[int]:
        """Sizes of the parts of (c̄_0, p̄, x̄)."""
        streams = [self.length * w for w, on in zip(self.widths, wanted[1], strict=True) if on]
        return [self.n_carry, _size(self.step.params[: wanted[0]]), *streams]


def _size(variables: Sequence[Variable | Expr]) -> int:
    return sum(v.size for v in variables)


def _split(out: Expr, sizes: Sequence[int]) -> list[Expr]:
    ends = np.cumsum([0, *sizes]).tolist()
    return [out[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]


def _joined(parts: Sequence[Expr]) -> Expr:
    return parts[0] if len(parts) == 1 else concatenate(list(parts))


def _or_zeros(tangent: Expr | None, like: Expr) -> Expr:
    return zeros(like.shape) if tangent is None else tangent


def _attempted(function: Callable[..., Array], args: Sequence[Any], size: int) -> Array:
    """What a run of steps gives; NaN where a step has no solution at a trial point of a solve around the loop."""
    try:
        return function(*args)
    except (ConvergenceError, SingularError) as error:
        around = trial_under_way()
        if around is None:
            raise
        around.failed(error)
        return np.full(size, np.nan)


# -- scan -----------------------------------------------------------------------------------------------------------


def scan_node(loop: Loop, args: Sequence[Expr]) -> Expr:
    """(c_n, y) as one vector, of flat vectors c_0, p and x."""
    return apply(_SCAN, tuple(args), (loop,), (loop.size,))


def _scan_tangent(out: Expr, args: Any, tangents: Any, params: Any) -> Expr:
    loop: Loop = params[0]
    carry, given, *streams = args
    wanted = (0 if tangents[1] is None else len(loop.step.params)), tuple(t is not None for t in tangents[2:])
    moving = loop.tangent(wanted, full=False)
    both = _joined([carry, _or_zeros(tangents[0], carry)])
    param = given if tangents[1] is None else _joined([given, tangents[1]])
    node = scan_node(moving, [both, param, *streams, *(t for t in tangents[2:] if t is not None)])
    ends, *rows = moving.split(node)
    return _joined([ends[loop.n_carry :], *rows])


def _wanted_of(loop: Loop, args: Sequence[Expr]) -> Wanted:
    """What cotangents may be asked for: those of arguments that are no constants."""
    params, streams = args[1], args[2 : 2 + len(loop.widths)]
    count = 0 if isinstance(params, Constant) else len(loop.step.params)
    return count, tuple(not isinstance(x, Constant) for x in streams)


def _scan_transpose(ct: Expr, k: int, args: Any, params: Any, out: Expr) -> Expr | None:
    loop: Loop = params[0]
    wanted = _wanted_of(loop, args)
    return _part(loop, wanted, adjoint_node(loop, wanted, [*args, *loop.split(ct)]), k)


def _part(loop: Loop, wanted: Wanted, node: Expr, k: int) -> Expr | None:
    """The cotangent of argument k (c_0, p, x) from the vector of all."""
    parts = iter(_split(node, loop.pulled_sizes(wanted)))
    found = [next(parts), next(parts), *(next(parts) if on else None for on in wanted[1])][k]
    return None if found is None or not found.size else found


_SCAN = register(
    Primitive(
        "scan",
        "general",
        lambda *args: _attempted(args[-1].value, args[:-1], args[-1].size),
        tangent=_scan_tangent,
        transpose=_scan_transpose,
    )
)

# -- its adjoint ----------------------------------------------------------------------------------------------------


def adjoint_node(loop: Loop, wanted: Wanted, args: Sequence[Expr]) -> Expr:
    """(c̄_0, p̄, x̄) as one vector, of flat vectors c_0, p, x, c̄_n and ȳ."""
    return apply(_ADJOINT, tuple(args), (loop, wanted), (sum(loop.pulled_sizes(wanted)),))


def _adjoint_tangent(out: Expr, args: Any, tangents: Any, params: Any) -> Expr:
    loop, asked = params
    k = 2 + len(loop.widths)
    (carry, given, *streams), seeds = args[:k], args[k:]
    moved, dots = tangents[:k], tangents[k:]
    wanted = (0 if moved[1] is None else len(loop.step.params)), tuple(t is not None for t in moved[2:])
    full = any(t is not None for t in dots[1:])
    moving = loop.tangent(wanted, full)
    ends = _joined([_or_zeros(dots[0], seeds[0]), seeds[0]])
    rows = [*(_or_zeros(t, s) for t, s in zip(dots[1:], seeds[1:], strict=True))] if full else []
    both = [
        _joined([carry, _or_zeros(moved[0], carry)]),
        given if moved[1] is None else _joined([given, moved[1]]),
        *streams,
        *(t for t in moved[2:] if t is not None),
    ]
    asked_too = asked[0], (*asked[1], *(False for t in moved[2:] if t is not None))
    node = adjoint_node(moving, asked_too, [*both, ends, *rows, *seeds[1:]])
    whole, *rest = _split(node, moving.pulled_sizes(asked_too))
    return _joined([whole[: loop.n_carry], *rest])


def _adjoint_transpose(ct: Expr, k: int, args: Any, params: Any, out: Expr) -> Expr | None:
    loop, asked = params
    inputs = 2 + len(loop.widths)
    (carry, given, *streams), seeds = args[:inputs], args[inputs:]
    back, param_back, *rows_back = _split(ct, loop.pulled_sizes(asked))
    moving = loop.tangent(asked, full=False)
    both = [_joined([carry, back]), _joined([given, param_back]) if asked[0] else given, *streams, *rows_back]
    if k >= inputs:
        ends, *rows = moving.split(scan_node(moving, both))
        return ends[loop.n_carry :] if k == inputs else rows[k - inputs - 1]
    count, on = _wanted_of(loop, args)
    wanted = count, (*on, *(False for _ in rows_back))
    node = adjoint_node(moving, wanted, [*both, _joined([zeros(seeds[0].shape), seeds[0]]), *seeds[1:]])
    whole, *rest = _split(node, moving.pulled_sizes(wanted))
    parts = iter(rest)
    found = [whole[: loop.n_carry], next(parts), *(next(parts) if o else None for o in on)][k]
    return found if found is not None and found.size else None


_ADJOINT = register(
    Primitive(
        "scan_adjoint",
        "general",
        lambda *args: _attempted(args[-2].pull, (args[-1], *args[:-2]), sum(args[-2].pulled_sizes(args[-1]))),
        tangent=_adjoint_tangent,
        transpose=_adjoint_transpose,
    )
)
