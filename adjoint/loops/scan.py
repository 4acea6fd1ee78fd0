"""``scan``: a step repeated, as one expression."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError, ShapeError
from ..expr import Constant, Expr, as_expr, constant
from ..primitives.elementwise import stop_gradient, where
from ..primitives.indexing import concatenate, reshape
from ..program import Program
from ..trees import build, flatten, leaf_names
from .loop import Loop, scan_node
from .tracing import backend_of, trace_step

__all__ = ["scan"]


def scan(
    step: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    *,
    reverse: bool = False,
    checkpoints: int | None = None,
    folder: str | Path | None = None,
    truncate: int | None = None,
) -> tuple[Any, Any]:
    """A step repeated over time: ``carry, y = step(carry, x)`` for each ``x`` of ``xs``.

    The step is called once, on symbols, and compiled; the loop over the steps is one operation of the program that it
    is used in, whatever their number. What the step takes from outside (a weight, a parameter) is found, and
    differentiated, without being declared.

    Parameters
    ----------
    step : callable
        ``step(carry, x)`` gives the next carry, in the form and shapes of ``init``, and one output ``y`` (or None).
        Equations that a step has to solve are written with a program: see :func:`program_step`.
    init : expression, array or number, or tuples, lists and dicts of them
        The carry at the start. A list is a container of leaves, as a tuple is; a vector is ``np.array([...])``.
    xs : the same, or None
        Inputs, with the steps along the first axis. None: ``x`` is None, and ``length`` tells the number of steps.
    length : int, optional
        Number of steps, where ``xs`` does not tell it.
    reverse : bool
        From the last row to the first; outputs stay beside their inputs.
    checkpoints : int, optional
        Memory of derivatives. By default the carries before all steps are kept for the reversed sweep. With a number,
        at most so many states are (snapshots, and the record of the steps that are reversed together), and steps are
        repeated as seldom as that allows: binomial checkpointing (Griewank & Walther 2000).
    folder : path, optional
        Where snapshots are kept in a file, instead of in memory.
    truncate : int, optional
        Truncated backpropagation: derivatives are not passed on to the carry every ``truncate`` steps. **What comes
        out is not the derivative of the values**, but that of a loop whose carry is held constant at these steps
        (Williams & Peng 1990); ``check_derivatives`` will say that it differs.

    Returns
    -------
    carry : after the last step, in the form of ``init``
    ys : in the form of ``y``, with the steps along the first axis

    Both are expressions; where there are none in what the scan is given, numbers.

    Examples
    --------
    Compound interest, and what the end depends on:

    >>> import numpy as np, adjoint as adj
    >>> m = adj.Program("savings")
    >>> rate, paid = m.input("rate", 0.05), m.input("paid", [100.0, 100.0, 200.0])
    >>> def year(account, payment):
    ...     account = account * (1 + rate) + payment
    ...     return account, account
    >>> end, accounts = adj.scan(year, 0.0, paid)
    >>> _ = m.define("end", end), m.define("accounts", accounts)
    >>> sol = m.solve()
    >>> sol["accounts"].round(2).tolist()
    [100.0, 205.0, 415.25]
    >>> sol.gradient("end", wrt="paid").round(4).tolist()
    [1.1025, 1.05, 1.0]
    """
    if isinstance(step, Program):
        raise ModelError("a program becomes a step by program_step(program, carry={'old': 'new'}, outputs=[...])")
    if not callable(step):
        raise ModelError(f"scan() takes a function step(carry, x), got {type(step).__name__}")
    starts = [as_expr(leaf) for leaf in flatten(init)]
    streams = [as_expr(leaf) for leaf in flatten(xs)]
    count = _length(streams, xs, length)
    checkpoints, truncate = _whole(checkpoints, "checkpoints"), _whole(truncate, "truncate")
    if truncate is not None:
        step, xs, streams = _truncated(step, starts, xs, streams, count, truncate, reverse)
    backend = backend_of([*starts, *streams])
    row = build(xs, [_first_row(e) for e in streams])
    made, outside, y, shapes = trace_step(step, build(init, starts), row, backend, starts)
    if backend is None and outside:
        backend = backend_of(list(outside))
    where_kept = None if folder is None else str(folder)
    loop = Loop(made, count, bool(reverse), checkpoints, where_kept, backend, truncate is not None)
    args = [_packed(starts), _packed(outside), *(reshape(e, (e.size,)) for e in streams)]
    known = [a.value for a in args if isinstance(a, Constant)]
    numbers = len(known) == len(args)
    ends, *rows = loop.split(constant(loop.value(*known)) if numbers else scan_node(loop, args))
    finals, at = [], 0
    for e in starts:
        finals.append(reshape(ends[at : at + e.size], e.shape))
        at += e.size
    outputs = [reshape(part, (count, *shape)) for part, shape in zip(rows, shapes, strict=True)]
    if numbers:
        finals, outputs = ([e.value for e in part if isinstance(e, Constant)] for part in (finals, outputs))
    return build(init, finals), build(y, outputs)


def _length(streams: Sequence[Expr], xs: Any, length: Any) -> int:
    count = None if length is None else operator.index(length)
    for e, name in zip(streams, leaf_names(xs, "xs"), strict=True):
        if not e.shape:
            raise ShapeError(f"scan: {name} is a scalar; inputs have the steps along their first axis")
        if count is not None and e.shape[0] != count:
            raise ShapeError(f"scan: {name} has {e.shape[0]} rows, expected {count}")
        count = e.shape[0]
    if count is None:
        raise ModelError("scan needs xs=..., or length=..., to know the number of steps")
    if count < 0:
        raise ModelError(f"scan: length={count} is negative")
    return count


def _whole(value: Any, name: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ModelError(f"scan: {name}= is a positive whole number, got {value!r}")
    return int(value)


def _first_row(e: Expr) -> Expr:
    """An expression of the shape of one row."""
    return as_expr(np.zeros(e.shape[1:]))


def _packed(parts: Sequence[Expr]) -> Expr:
    if not parts:
        return as_expr(np.zeros(0))
    flat = [reshape(e, (e.size,)) for e in parts]
    return flat[0] if len(flat) == 1 else concatenate(flat)


def _truncated(
    step: Any, starts: Sequence[Expr], xs: Any, streams: list[Expr], count: int, every: int, reverse: bool
) -> tuple[Any, Any, list[Expr]]:
    """The step with a carry that is held constant, for derivatives, every so many steps."""
    steps = np.arange(count)[::-1] if reverse else np.arange(count)
    passed = as_expr(np.where((steps % every == 0) & (steps > 0), 0.0, 1.0))

    def held(carry: Any, row: Any) -> Any:
        x, on = row
        leaves = flatten(carry)
        return step(build(carry, [where(on > 0.5, c, stop_gradient(c)) for c in leaves]), x)

    return held, (xs, passed), [*streams, passed]
