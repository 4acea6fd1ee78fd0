"""The reversed sweep of a loop: forward with a record of what derivatives need, then the cotangent step, backwards."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from .revolve import Action, best_blocks, schedule

__all__ = ["Descent", "descended", "pulled"]

Array = Any


def pulled(
    loop: Any, wanted: Any, carry: Array, params: Array, inputs: Sequence[Array], end: Array, seeds: Sequence[Array]
) -> list[Array]:
    """c̄_0, p̄, and x̄ of the inputs wanted, from c̄_n and ȳ."""
    sweep = _Sweep(loop, wanted, carry, params, inputs, end, seeds)
    given = [carry, params, *(x.reshape(-1) for x in inputs)]
    loop.wants_record = True
    if loop.checkpoints is not None and loop.checkpoints < loop.length:
        kept = loop.taken(given)  # snapshots are overwritten
        _with_checkpoints(sweep, loop, carry, None if kept is None else kept[1])
    else:
        kept = loop.kept(given)
        record = sweep.recorded(carry, 0, loop.length) if kept is None else kept[1]
        sweep.reverse(record, 0, loop.length)
    return [sweep.carry[: loop.n_carry], sweep.carry[loop.n_carry :], *sweep.found]


class _Sweep:
    """A reversed sweep that is under way: ``carry`` is (λ, p̄)."""

    def __init__(
        self, loop: Any, wanted: Any, carry: Array, params: Array, inputs: Any, end: Array, seeds: Any
    ) -> None:
        self.n, self.reversed = loop.length, loop.reverse
        self.params, self.inputs, self.seeds = params, inputs, seeds
        self.dtype = np.result_type(float, carry, params, end, *inputs, *seeds)
        count = sum(v.size for v in loop.step.params[: wanted[0]])
        self.carry = np.concatenate([end, np.zeros(count, self.dtype)])
        widths = [w for w, on in zip(loop.widths, wanted[1], strict=True) if on]
        self.found = [np.empty((self.n, w), self.dtype) for w in widths]
        self.forward, self.backward = loop.runner("recorded"), loop.runner(wanted)
        self.bare = loop.runner("bare")
        self.width = loop.n_carry + sum(v.size for v in loop.step.unknowns)

    def rows(self, first: int, last: int) -> slice:
        """The rows of the steps from ``first`` to ``last``, in the order in which they are made."""
        return slice(self.n - last, self.n - first) if self.reversed else slice(first, last)

    def advance(self, carry: Array, first: int, last: int) -> Array:
        """The carry before step ``last`` from that before step ``first``."""
        rows = self.rows(first, last)
        inputs = [x[rows] for x in self.inputs]
        return self.bare.run(last - first, self.reversed, carry, self.params, inputs, [], rows.start)

    def recorded(self, carry: Array, first: int, last: int, memory: Array | None = None) -> Array:
        """What derivatives need of the steps from ``first`` to ``last``."""
        rows, count = self.rows(first, last), last - first
        record = np.empty((count, self.width), self.dtype) if memory is None else memory[:count]
        inputs = [x[rows] for x in self.inputs]
        self.forward.run(count, self.reversed, carry, self.params, inputs, [record], rows.start)
        return record

    def reverse(self, record: Array, first: int, last: int) -> None:
        """The steps from ``last`` back to ``first``."""
        rows, count = self.rows(first, last), last - first
        given = [record, *(x[rows] for x in self.inputs), *(s[rows] for s in self.seeds)]
        found = [f[rows] for f in self.found]
        self.carry = self.backward.run(count, not self.reversed, self.carry, self.params, given, found, rows.start)


class Descent:
    """The way to the last steps, with snapshots: what a reversed sweep with checkpoints begins with.

    Parameters
    ----------
    loop : Loop
    carry : at the start
    advance : ``advance(carry, first, last)``, the carry before step ``last`` from that before step ``first``
    """

    def __init__(self, loop: Any, carry: Array, advance: Callable[[Array, int, int], Array]) -> None:
        n, width = loop.length, loop.n_carry + sum(v.size for v in loop.step.unknowns)
        self.block, count = best_blocks(n, loop.checkpoints, width / max(loop.n_carry, 1))
        self.states, self.file = _snapshots(count, loop.n_carry, np.asarray(carry).dtype, loop.folder)
        self.actions = schedule(-(-n // self.block), count)
        self.at = carry
        for action in self.actions:
            if action.kind == "reverse":
                self.next, self.reached = action, action.first * self.block
                return
            self.do(action, advance)

    def do(self, action: Action, advance: Callable[[Array, int, int], Array]) -> None:
        """Store, restore, or advance."""
        if action.kind == "store":
            self.states[action.snapshot] = self.at
        elif action.kind == "restore":
            self.at = np.array(self.states[action.snapshot])
        else:
            self.at = advance(self.at, action.first * self.block, action.last * self.block)

    def close(self) -> None:
        """Remove the file, if there is one."""
        if self.file is not None:
            self.states = None
            os.unlink(self.file)


def descended(loop: Any, carry: Array, params: Array, inputs: Any, outputs: Any) -> tuple[Array, Descent]:
    """All steps, with their outputs, as :meth:`Runner.run`; and the snapshots on the way."""
    n, runner = loop.length, loop.runner("step")
    runner.expect(n)

    def advance(at: Array, first: int, last: int) -> Array:
        rows = slice(n - last, n - first) if loop.reverse else slice(first, last)
        given, filled = [x[rows] for x in inputs], [y[rows] for y in outputs]
        return runner.run(last - first, loop.reverse, at, params, given, filled, rows.start)  # type: ignore[no-any-return]

    found = Descent(loop, carry, advance)
    return advance(found.at, found.reached, n), found


def _with_checkpoints(sweep: _Sweep, loop: Any, carry: Array, begun: Descent | None) -> None:
    """Blocks of steps are reversed with a record each, in the order of a binomial schedule."""
    n = loop.length
    for runner in (sweep.forward, sweep.backward, sweep.bare):
        runner.expect(n)
    descent = Descent(loop, carry.astype(sweep.dtype), sweep.advance) if begun is None else begun
    block = descent.block
    record = np.empty((block, sweep.width), sweep.dtype)
    try:
        for action in chain([descent.next], descent.actions):
            if action.kind == "reverse":
                first, last = action.first * block, min(action.last * block, n)
                sweep.reverse(sweep.recorded(descent.at, first, last, record), first, last)
            else:
                descent.do(action, sweep.advance)
    finally:
        descent.close()


def _snapshots(count: int, size: int, dtype: Any, folder: str | None) -> tuple[Array, str | None]:
    """Memory for so many states, or a file, which has to be removed."""
    if folder is None or not size:
        return np.empty((count, size), dtype), None
    os.makedirs(folder, exist_ok=True)
    handle, path = tempfile.mkstemp(prefix="adjoint-", suffix=".states", dir=folder)
    os.close(handle)
    return np.memmap(path, dtype=dtype, mode="w+", shape=(count, size)), path
