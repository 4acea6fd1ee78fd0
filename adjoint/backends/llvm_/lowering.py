"""From expressions to kernels: which operations run in one loop, in which order, and where their results are.

Operations of one number of elements fuse into one loop. What an operation reads from another loop's result, or
reads in another order (a slice, a gather, a broadcast), must be in memory before: that splits the program into
*stages*. Sums, scatter-adds and joins are *sinks* of the loop that computes their operand. Operations without a
kernel (factorizations, large matrix products, black boxes) are calls between the loops.

    stage(elementwise) = max over operands: stage(operand) in the same loop, stage(operand) + 1 from memory
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...expr import Constant, Expr, constant
from .access import Access, View, contiguous, listed, strided
from .adding import gather, settle
from .cutting import cut_long
from .kernels import KERNELS
from .memory import clearing, place_work
from .ranges import shared
from .records import Buffer, Call, Element, Kernel, Load, Lowered, Sink
from .uses import count_uses, find_joins, find_sums, is_sink

__all__ = ["lower"]


def lower(
    inputs: Sequence[Any], outputs: Sequence[Any], order: Sequence[Expr], definitions: Mapping[Any, Expr]
) -> Lowered:
    """The kernels and calls of a function (arguments as in ``Backend.compile``; ``order``: its nodes, sorted)."""
    return _Lowering(inputs, outputs, order, definitions).run()


_VIEWS = ("reshape", "transpose", "broadcast_to", "getitem", "take")


class _Cores(dict[Expr, Expr]):
    """The node that holds the elements of another in the same order: through definitions and reshapes."""

    def __init__(self, definitions: Mapping[Any, Expr]) -> None:
        self.definitions = definitions

    def __missing__(self, node: Expr) -> Expr:
        core = node
        while True:
            if core in self.definitions:
                core = self.definitions[core]
            elif core.op is not None and core.op.name == "reshape":
                core = core.args[0]
            else:
                break
        self[node] = core
        return core


class _Lowering:
    def __init__(self, inputs: Any, outputs: Any, order: Sequence[Expr], definitions: Any) -> None:
        self.outputs, self.order, self.definitions = outputs, order, definitions
        self.core = _Cores(definitions).__getitem__
        self.made: dict[Expr, Any] = {}  # Element or Buffer of every core node
        self.ready: dict[Buffer, int] = {}  # stage from which a buffer can be read
        self.kernels: dict[tuple[int, int], Kernel] = {}
        self.calls: list[Call] = []
        self.clears: list[Buffer] = []
        self.summed: list[Buffer] = []  # of the clears, those that sinks add to
        self.buffers: list[Buffer] = []
        self.inputs = self._inputs(inputs)
        self.count = 0
        self.views: dict[Any, Any] = {}
        self.starts: dict[Expr, np.ndarray] = {}  # of the arrays of a join

    def _inputs(self, inputs: Any) -> list[Buffer]:
        found = []
        for k, item in enumerate(inputs):
            at = 0
            for v in item if isinstance(item, tuple) else (item,):
                self.made[v] = Buffer(v.size, "input", k, at)
                self.ready[self.made[v]] = 0
                at += v.size
            found.append(Buffer(at, "input", k))
        return found

    # -- nodes
    def run(self) -> Lowered:
        self.uses = count_uses(self.order, self.outputs, self.core)
        self.sums, self.absorbed = find_sums(self.order, self.core, self.uses)
        self.permuted, self.dissolved = find_joins(self.order, self.outputs, self.core, self.uses)
        targets = self._targets()
        for node in self.order:
            if self.core(node) is node and node.op is not None:
                self._lower(node, targets.get(node))
        results = self._results(targets)
        loops = cut_long(self.kernels.values(), self._reload)
        loops = [part for k in loops for part in gather(k, self._reload)]
        loops.sort(key=lambda k: k.stage)
        self._settle(loops)
        loops = [part for k in loops for part in shared(k, self._reload)]
        work, placed = place_work(loops, self.calls)
        stages = 1 + max([k.stage for k in loops] + [c.stage for c in self.calls], default=0)
        cleared = [b for b in self.clears if b.size and (b.place != "work" or b in placed)]
        kernels = [part for b in cleared for k in clearing(b) for part in shared(k, self._reload)] + loops
        return Lowered(sorted(kernels, key=lambda k: k.stage), self.calls, results, self.inputs, work, stages)

    def _settle(self, loops: Sequence[Kernel]) -> None:
        """Which sinks store, and which buffers are set before sinks add to them."""
        sinks: dict[Buffer, list[list[Sink]]] = {b: [] for b in self.clears}
        for kernel in loops:
            own: dict[Buffer, list[Sink]] = {}
            for s in kernel.sinks:
                own.setdefault(s.buffer, []).append(s)
            for b, found in own.items():
                if b in sinks:
                    sinks[b].append(found)
        for b in self.clears:
            b.first = min((group[0].stage for group in sinks[b]), default=0)
        filled = {b for b in self.summed if sinks[b] and settle(b, sinks[b])}
        self.clears = [b for b in self.clears if b not in filled]

    def _targets(self) -> dict[Expr, Buffer]:
        """Output buffers that results are written to at once: of the first output each node is."""
        self.wanted: list[tuple[Expr, Buffer]] = []
        targets: dict[Expr, Buffer] = {}
        for k, out in enumerate(self.outputs):
            at = 0
            for e in out if isinstance(out, tuple) else (out,):
                buffer = Buffer(e.size, "output", k, at)
                at += e.size
                c = self.core(e)
                if c.op is None or c.op.name in _VIEWS or c in targets or c.size != e.size:
                    self.wanted.append((e, buffer))
                else:
                    targets[c] = buffer
                    self.wanted.append((e, buffer))
        return targets

    def _results(self, targets: dict[Expr, Buffer]) -> list[Buffer]:
        for e, buffer in self.wanted:
            c = self.core(e)
            if c in self.permuted:
                for part, at in self._parts(c.args[0]):
                    if part.size:
                        self._sink("store", part, buffer, listed(self.permuted[c][at : at + part.size]))
            elif targets.get(c) is not buffer and e.size:
                self._sink("store", e, buffer, contiguous(e.size))
        return [
            Buffer(sum(e.size for e in out) if isinstance(out, tuple) else out.size, "output", k)
            for k, out in enumerate(self.outputs)
        ]

    def _lower(self, node: Expr, target: Buffer | None) -> None:
        op = node.op
        assert op is not None
        if op.name in _VIEWS or node in self.made or node in self.absorbed or node in self.dissolved:
            return  # by those that read it
        if not node.size:
            self.made[node] = self._buffer(0, target, 0)
        elif op.kind == "elementwise" and op.name in KERNELS and not node.params:
            if node in self.sums:
                self._accumulate(node, target)
                return
            element = self._element(op.name, node.size, [(a, node.shape) for a in node.args])
            element.buffer = target
            if target is not None:
                self.ready[target] = element.stage + 1
            self.made[node] = element
        elif is_sink(node):
            buffer = self._new_sum(node, target)
            self._into(node, buffer)
            self.summed.append(buffer)
        elif op.name == "concatenate":
            if target is not None or node.ndim > 1:
                self._concatenate(node, target)  # others where they are read as a whole
        elif op.name in ("amax", "amin") and node.args[0].size:
            self._extremum(node, target)
        else:
            self._call(node, target)

    # -- operands
    def _element(self, name: str, size: int, operands: Sequence[tuple[Expr, Any]]) -> Element:
        args = [self._operand(a, shape, size) for a, shape in operands]
        return self._placed(name, size, args)

    def _placed(self, name: str, size: int, args: list[Any]) -> Element:
        stages = [
            a.stage if isinstance(a, Element) else self.ready[a.buffer] if isinstance(a, Load) else 0 for a in args
        ]
        stage = max(stages, default=0)
        for i, a in enumerate(args):
            if stages[i] < stage and isinstance(a, Element):
                args[i] = self._reload(a)
        element = Element(name, size, args, stage, None, self.count)
        self.count += 1
        self._kernel(stage, size).elements.append(element)
        return element

    def _stage_of(self, operand: Any) -> int:
        if isinstance(operand, Element):
            return operand.stage
        return self.ready[operand.buffer] if isinstance(operand, Load) else 0

    def _kernel(self, stage: int, size: int) -> Kernel:
        key = stage, size
        if key not in self.kernels:
            self.kernels[key] = Kernel(stage, size)
        return self.kernels[key]

    def _operand(self, node: Expr, shape: Any, size: int) -> Any:
        """An operand of a loop over ``size`` elements of a shape: a number, an element of the loop, or a load."""
        c = self.core(node)
        made = self.made.get(c)
        if isinstance(made, Element) and made.size == size:
            return made
        if isinstance(c, Constant) and size and (not c.shape or _is_uniform(c)):
            return float(c.value if not c.shape else c.value.reshape(-1)[0])
        if c.size == size and not (c.op is not None and c.op.name in _VIEWS):
            return self._read(self._memory(c), contiguous(size))
        base, access = self._seen(node, shape)
        if isinstance(base, Constant) and size and _is_uniform(base):
            return float(base.value.reshape(-1)[0])
        made = self.made.get(base)
        if isinstance(made, Element) and base.size == size and access.is_contiguous:
            return made
        return self._read(self._memory(base), access)

    def _read(self, buffer: Buffer, access: Access) -> Load:
        return Load(buffer, access)

    def _reload(self, element: Element) -> Load:
        return self._read(self._buffer_of(element), contiguous(element.size))

    def _buffer_of(self, element: Element) -> Buffer:
        if element.buffer is None:
            element.buffer = self._buffer(element.size, None, element.stage + 1)
        return element.buffer

    def _buffer(self, size: int, target: Buffer | None, ready: int) -> Buffer:
        buffer = target
        if buffer is None:
            buffer = Buffer(size, "work")
            self.buffers.append(buffer)
        self.ready[buffer] = ready
        return buffer

    def _memory(self, c: Expr) -> Buffer:
        """The buffer of a core node."""
        made = self.made.get(c)
        if made is None and c.op is not None and c.op.name == "concatenate":
            self._concatenate(c, None)
            made = self.made[c]
        if made is None:
            assert isinstance(c, Constant), c
            made = self.made[c] = Buffer(c.size, "constant", 0, 0, np.ascontiguousarray(c.value).reshape(-1))
            self.ready[made] = 0
        return self._buffer_of(made) if isinstance(made, Element) else made

    def _chain(self, node: Expr) -> tuple[Expr, list[Expr]]:
        """The node below all operations that only copy elements, and these operations, innermost first."""
        chain: list[Expr] = []
        while True:
            if node in self.definitions:
                node = self.definitions[node]
            elif node.op is not None and node.op.name in _VIEWS:
                chain.append(node)
                node = node.args[0]
            else:
                return node, chain[::-1]

    def _seen(self, node: Expr, shape: Any) -> tuple[Expr, Access]:
        """The core node that a node copies its elements from, and where they are when broadcast to a shape."""
        key = node, shape
        if key not in self.views:
            base, chain = self._chain(node)
            view = View(base.shape)
            for step in chain:
                assert step.op is not None
                view.apply(step.op, step.params)
            if shape is not None and shape != node.shape:
                view.broadcast(shape)
            self.views[key] = self._within(base, view.access())
        return self.views[key]

    def _within(self, base: Expr, access: Access) -> tuple[Expr, Access]:
        """The same elements, of the one array of a join that holds them."""
        if base.op is None or base.op.name != "concatenate" or base.ndim != 1 or base in self.made or not access.size:
            return base, access
        if base not in self.starts:
            self.starts[base] = np.cumsum([0, *(part.size for part in base.args)])
        starts = self.starts[base]
        low, high = access.bounds()
        k = int(np.searchsorted(starts, low, "right")) - 1
        if high >= starts[k + 1]:
            return base, access
        part, own = self._seen(base.args[k], None)
        if own.positions is not None or (own.size > 1 and own.strides != (1,)):
            return base, access
        return part, access.moved(own.offset - int(starts[k]))

    # -- sinks
    def _sink(self, kind: str, value: Any, buffer: Buffer, access: Access, sign: int = 1) -> Sink:
        if isinstance(value, Expr):
            value = self._operand(value, value.shape, access.size)
        if sign < 0:
            value = -value if isinstance(value, float) else self._placed("negative", access.size, [value])
        stage = self._stage_of(value)
        sink = Sink(kind, value, buffer, access, stage)
        self._kernel(stage, access.size).sinks.append(sink)
        self.ready[buffer] = max(self.ready.get(buffer, 0), stage + 1)
        return sink

    def _new_sum(self, node: Expr, target: Buffer | None) -> Buffer:
        buffer = self.made[node] = self._buffer(node.size, target, 0)
        buffer.clear = 0.0
        self.clears.append(buffer)
        return buffer

    def _into(self, node: Expr, buffer: Buffer, sign: int = 1) -> None:
        """Add the result of a linear operation to a buffer, or subtract it."""
        _SINKS[node.op.name](self, node, buffer, sign)  # type: ignore[union-attr]

    def _add_sum(self, node: Expr, buffer: Buffer, sign: int) -> None:
        x, axes = node.args[0], node.params[0]
        strides, step = [], 1
        for i in reversed(range(x.ndim)):
            strides.append(0 if i in axes else step)
            step *= 1 if i in axes else x.shape[i]
        if x.size:
            value = x if any(strides) else self._in_any_order(x)
            self._sink("add", value, buffer, strided(x.shape, strides[::-1]), sign)

    def _in_any_order(self, x: Expr) -> Expr:
        """The node that has the same elements in the order of memory; else x."""
        base, access = self._seen(x, None)
        if base.size != x.size or access.is_contiguous:
            return x
        return base if (np.bincount(access.table(), minlength=base.size) == 1).all() else x

    def _add_embed(self, node: Expr, buffer: Buffer, sign: int) -> None:
        x = node.args[0]
        if x.size:
            view = View(node.shape)
            view.apply(_GETITEM_ROW, (node.params[0],))
            self._sink("add", x, buffer, view.access(), sign)

    def _add_scatter(self, node: Expr, buffer: Buffer, sign: int) -> None:
        positions = node.params[0].array.reshape(-1)
        for part, at in self._parts(node.args[0]):
            if part.size:
                access = listed(positions[at : at + part.size])
                self._sink("add", part, buffer, access, sign)

    def _parts(self, x: Expr) -> list[tuple[Expr, int]]:
        """The arrays joined in x, each with its start, where x is not needed itself; else x."""
        c = self.core(x)
        if c not in self.dissolved:
            return [(x, 0)]
        out, at = [], 0
        for part in c.args:
            out.append((part, at))
            at += part.size
        return out

    def _add_sparse(self, node: Expr, buffer: Buffer, sign: int) -> None:
        """Σ data[e]·x[col[e]] into row[e], over the nonzeros."""
        matrix, x = node.params[0].array.tocoo(), node.args[0]
        rows, columns, data = matrix.row.astype(np.int64), matrix.col.astype(np.int64), matrix.data
        if x.ndim == 2:
            k = np.arange(x.shape[1])
            rows, columns = ((p[:, None] * x.shape[1] + k).reshape(-1) for p in (rows, columns))
            data = np.repeat(data, x.shape[1])
        n = rows.size
        if not n:
            return
        pool = Buffer(n, "constant", 0, 0, np.ascontiguousarray(data))
        self.ready[pool] = 0
        base, at = self._seen(x, None)
        taken = Access(n, 0, (n,), (1,), at.table()[columns])
        product = self._placed("multiply", n, [Load(pool, contiguous(n)), self._read(self._memory(base), taken)])
        self._sink("add", product, buffer, Access(n, 0, (n,), (1,), rows), sign)

    def _add_product(self, node: Expr, buffer: Buffer, sign: int) -> None:
        """out[b,i,j] += A[b,i,k] B[b,k,j] over (b, i, k, j)."""
        a, b = node.args
        (m, inner), n, batch = a.shape[-2:], b.shape[-1], math.prod(a.shape[:-2])
        full = batch, m, inner, n
        size = math.prod(full)
        if not size:
            return
        left = self._matrix_operand(a, (batch, m, inner, 1), full)
        right = self._matrix_operand(b, (batch, 1, inner, n), full)
        product = self._placed("multiply", size, [left, right])
        self._sink("add", product, buffer, strided(full, (m * n, n, 0, 1)), sign)

    def _matrix_operand(self, x: Expr, shape: tuple[int, ...], full: tuple[int, ...]) -> Any:
        base, chain = self._chain(x)
        view = View(base.shape)
        for step in chain:
            view.apply(step.op, step.params)  # type: ignore[arg-type]
        view.apply(_RESHAPE_ROW, (shape,))
        view.broadcast(full)
        access = view.access()
        if isinstance(base, Constant) and base.size == 1:
            return float(np.reshape(base.value, -1)[0])
        return self._read(self._memory(base), access)

    def _accumulate(self, node: Expr, target: Buffer | None) -> None:
        """One buffer that all terms of a sum are added to."""
        buffer = self._new_sum(node, target)
        stack = [(a, s) for a, s in zip(node.args, _SIGNS[node.op.name], strict=True)]  # type: ignore[union-attr]
        while stack:
            e, sign = stack.pop()
            c = self.core(e)
            if isinstance(c, Constant) and c.shape and isinstance(buffer.clear, float) and e.size == node.size:
                buffer.clear = self._read(self._memory(constant(buffer.clear + sign * c.value)), contiguous(node.size))
            elif c not in self.absorbed:
                value = self._operand(e, e.shape, node.size)
                if isinstance(value, float) and isinstance(buffer.clear, float):
                    buffer.clear += sign * value
                else:
                    self._sink("add", value, buffer, contiguous(node.size), sign)
            elif c in self.sums:
                stack += [(a, sign * s) for a, s in zip(c.args, _SIGNS[c.op.name], strict=True)]  # type: ignore[union-attr]
            else:
                self._into(c, buffer, sign)
        self.summed.append(buffer)

    def _concatenate(self, node: Expr, target: Buffer | None) -> None:
        buffer = self.made[node] = self._buffer(node.size, target, 0)
        axis, start = node.params[0], 0
        steps = [math.prod(node.shape[i + 1 :]) for i in range(node.ndim)]
        for part in node.args:
            if part.size:
                self._sink("store", part, buffer, strided(part.shape, steps, start * steps[axis]))
            start += part.shape[axis]

    def _extremum(self, node: Expr, target: Buffer | None) -> None:
        x, axes = node.args[0], node.params[0]
        largest = node.op.name == "amax"  # type: ignore[union-attr]
        buffer = self._new_sum(node, target)
        buffer.clear = -math.inf if largest else math.inf
        strides, step = [], 1
        for i in reversed(range(x.ndim)):
            strides.append(0 if i in axes else step)
            step *= 1 if i in axes else x.shape[i]
        self._sink("maximum" if largest else "minimum", x, buffer, strided(x.shape, strides[::-1]))

    # -- calls
    def _call(self, node: Expr, target: Buffer | None) -> None:
        args: list[Any] = []
        stage = 0
        for a in node.args:
            base, chain = self._chain(a)
            if isinstance(base, Constant):
                value = base.value
                for step in chain:
                    value = step.op.value(value, *step.params)  # type: ignore[union-attr]
                args.append(value)
                continue
            buffer = self._memory(base)
            stage = max(stage, self.ready[buffer])
            args.append((buffer, base.shape, chain))
        buffer = Buffer(node.size, "array", len(self.calls)) if target is None else target
        self.ready[buffer] = stage + 1
        self.made[node] = buffer
        self.calls.append(Call(node, args, buffer, stage))


def _is_uniform(c: Constant) -> bool:
    """Whether all elements are the same number, bit by bit."""
    bits = c.value.reshape(-1).view(np.int64)
    return bool(bits.size == 1 or (bits.size and bits[0] == bits[-1] and (bits == bits[0]).all()))


_SIGNS = {"add": (1, 1), "subtract": (1, -1)}


def _row(name: str) -> Any:
    from ...primitive import PRIMITIVES

    return PRIMITIVES[name]


_SINKS = {
    "sum": _Lowering._add_sum,
    "embed": _Lowering._add_embed,
    "scatter_add": _Lowering._add_scatter,
    "sparse_product": _Lowering._add_sparse,
    "matmul": _Lowering._add_product,
}
_GETITEM_ROW, _RESHAPE_ROW = _row("getitem"), _row("reshape")
