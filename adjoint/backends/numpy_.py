"""The reference backend: NumPy, one call per node, in real or complex arithmetic.

Short programs become the source of one Python function, compiled once; long ones a list of instructions
(Python compiles about 10 µs per statement, more than such a program costs to run). Both reuse the register
of a value after its last use, and large arrays are overwritten in place where nothing else sees them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..expr import Constant, Expr, Variable
from ..primitive import Primitive
from .base import Input, Output, ordered

__all__ = ["NumpyBackend"]

SOURCE_LIMIT = 4000  # statements; measured: compiling longer ones costs more than ten runs of the instructions
IN_PLACE_SIZE = 2048  # elements; below, an allocation is cheaper than the bookkeeping

_OPERATORS = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "negative": operator.neg,
}
_VIEWS = {"reshape", "transpose", "broadcast_to", "getitem"}
_INLINE = {"reshape", "getitem"}


class NumpyBackend:
    """Executes expressions with NumPy.

    Parameters
    ----------
    source_limit : int
        Statements up to which a function becomes source text; 0: none does, for functions that are called a few times.
    """

    name = "numpy"

    def __init__(self, source_limit: int = SOURCE_LIMIT) -> None:
        self.source_limit = source_limit

    def compile(
        self,
        inputs: Sequence[Input],
        outputs: Sequence[Output],
        definitions: Mapping[Variable, Expr] | None = None,
        complex_values: bool = False,
    ) -> Callable[..., tuple[Any, ...]]:
        """A function of the inputs that gives a tuple of the outputs."""
        definitions = definitions or {}
        order = ordered(inputs, outputs, definitions)
        emitter = _Source if len(order) <= self.source_limit else _Instructions
        return emitter(inputs, outputs, order, definitions, complex_values).function()


def _value_of(row: Primitive, complex_values: bool) -> Callable[..., Any]:
    return row.complex_value if complex_values and row.complex_value is not None else row.value


_KEPT = 1_000_000_000


def _uses(order: Sequence[Expr], roots: Sequence[Expr], definitions: Mapping[Any, Expr]) -> dict[Expr, int]:
    count = dict.fromkeys(order, 0)
    for node in order:
        for arg in node.args:
            count[arg] += 1
        if node in definitions:
            count[definitions[node]] += _KEPT  # the variable is another name of it
    for root in roots:
        count[root] += _KEPT
    return count


class _Source:
    """Emits the source text of one function."""

    def __init__(self, inputs: Any, outputs: Any, order: list[Expr], definitions: Any, complex_values: bool) -> None:
        self.inputs, self.outputs, self.order, self.complex = inputs, outputs, order, complex_values
        self.definitions = definitions
        self.scope: dict[str, Any] = {"array": np.array, "concatenate": np.concatenate, "ravel": np.ravel}
        self.lines: list[str] = []
        self.names: dict[Expr, str] = {}
        self.free: list[str] = []
        self.count = 0

    def function(self) -> Callable[..., tuple[Any, ...]]:
        roots = [e for out in self.outputs for e in (out if isinstance(out, tuple) else (out,))]
        self.uses = _uses(self.order, roots, self.definitions)
        self.owned: set[Expr] = set()
        for k, item in enumerate(self.inputs):
            self._unpack(f"a{k}", item)
        for node in self.order:
            if isinstance(node, Constant):
                self.names[node] = self._constant(node.value)
            elif node in self.definitions:
                self.names[node] = self.names[self.definitions[node]]
            elif node.op is not None:
                self._emit(node)
        result = "".join(f"{self._packed(out)}, " for out in self.outputs)
        header = f"def function({', '.join(f'a{k}' for k in range(len(self.inputs)))}):"
        source = "\n    ".join([header, *self.lines, f"return ({result})"])
        exec(compile(source, "<adjoint>", "exec"), self.scope)
        return self.scope["function"]

    def _unpack(self, source: str, item: Any) -> None:
        if not isinstance(item, tuple):
            self.names[item] = source
            return
        if item and all(not v.shape for v in item):
            for v in item:
                self.names[v] = self._register()
            self.lines.append(", ".join(self.names[v] for v in item) + f", = {source}")
            return
        start = 0
        for v in item:
            name = self.names[v] = self._register()
            text = f"{source}[{start}]" if not v.shape else f"{source}[{start}:{start + v.size}]"
            self.lines.append(f"{name} = {text}" + (f".reshape({v.shape!r})" if v.ndim > 1 else ""))
            start += v.size

    def _register(self) -> str:
        if self.free:
            return self.free.pop()
        self.count += 1
        return f"v{self.count}"

    def _constant(self, value: Any) -> str:
        name = f"c{len(self.scope)}"
        self.scope[name] = float(value) if isinstance(value, np.float64) else value
        return name

    def _call(self, row: Primitive) -> str:
        name = f"f_{row.name if row.name.isidentifier() else 'op' + str(len(self.scope))}"
        value = _value_of(row, self.complex)
        if self.scope.setdefault(name, value) is not value:
            name = f"f{len(self.scope)}"
            self.scope[name] = value
        return name

    def _emit(self, node: Expr) -> None:
        row, args = node.op, node.args
        assert row is not None
        names = [self.names[a] for a in args]
        dead = self._release(node)
        target = self._in_place(node, dead)
        if target is not None:
            text = f"{self._call(row)}({', '.join(names)}, out={target})"
            self.free.remove(target)
            self.lines.append(text)
            self.names[node] = target
            self.owned.add(node)
            return
        if row.template is not None and all(not isinstance(a, Constant) or len(args) > 1 for a in args):
            text = row.template.format(*names)
        elif row.name == "reshape" and args[0].shape:
            text = f"{names[0]}.reshape({node.params[0]!r})"
        elif row.name == "getitem":
            text = f"{names[0]}[{_index_text(node.params[0])}]"
        else:
            text = f"{self._call(row)}({', '.join([*names, *map(self._constant, node.params)])})"
        name = self.names[node] = self._register()
        self.lines.append(f"{name} = {text}")
        if row.kind == "elementwise" and isinstance(row.value, np.ufunc):
            self.owned.add(node)

    def _release(self, node: Expr) -> list[Expr]:
        """Arguments used here for the last time; their registers are free for the result."""
        dead = []
        for arg in node.args:
            self.uses[arg] -= 1
            if self.uses[arg] == 0 and arg.op is not None:
                dead.append(arg)
                self.free.append(self.names[arg])
        if node.op.name in _VIEWS:  # type: ignore[union-attr]
            self.owned.difference_update(node.args)
        return dead

    def _in_place(self, node: Expr, dead: list[Expr]) -> str | None:
        row = node.op
        if self.complex or node.size < IN_PLACE_SIZE or not isinstance(row.value, np.ufunc):  # type: ignore[union-attr]
            return None
        for arg in dead:
            if arg in self.owned and arg.shape == node.shape:
                return self.names[arg]
        return None

    def _packed(self, out: Any) -> str:
        if not isinstance(out, tuple):
            return self.names[out]
        parts: list[str] = []
        scalars: list[str] = []
        for e in (*out, None):
            if e is not None and not e.shape:
                scalars.append(self.names[e])
                continue
            if scalars:
                parts.append(f"array([{', '.join(scalars)}])")
                scalars = []
            if e is not None:
                parts.append(self.names[e] if e.ndim == 1 else f"ravel({self.names[e]})")
        if not parts:
            return self._constant(np.zeros(0))
        return parts[0] if len(parts) == 1 else f"concatenate(({', '.join(parts)}))"


def _index_text(index: tuple[Any, ...]) -> str:
    parts = []
    for i in index:
        if isinstance(i, tuple):
            parts.append(":".join("" if p is None else str(p) for p in i[1:]))
        else:
            parts.append("None" if i is None else "..." if i is Ellipsis else str(i))
    return ", ".join(parts) if len(parts) > 1 else parts[0] if parts else "()"


class _Instructions:
    """Runs a list of instructions over a list of registers."""

    def __init__(self, inputs: Any, outputs: Any, order: list[Expr], definitions: Any, complex_values: bool) -> None:
        self.inputs, self.outputs, self.order, self.complex = inputs, outputs, order, complex_values
        self.definitions = definitions

    def function(self) -> Callable[..., tuple[Any, ...]]:
        slot: dict[Expr, int] = {}
        start: list[Any] = []
        unpack: list[tuple[int, int, int, int, tuple[int, ...]]] = []
        for k, item in enumerate(self.inputs):
            at = 0
            for v in item if isinstance(item, tuple) else (item,):
                slot[v] = len(start)
                start.append(None)
                unpack.append((slot[v], k, at if isinstance(item, tuple) else -1, at + v.size, v.shape))
                at += v.size
        code = self._code(slot, start)
        outputs = [
            ([slot[e] for e in out], [e.shape for e in out]) if isinstance(out, tuple) else slot[out]
            for out in self.outputs
        ]

        def function(*args: Any) -> tuple[Any, ...]:
            w = start.copy()
            for target, k, a, b, shape in unpack:
                w[target] = args[k] if a < 0 else args[k][a] if not shape else args[k][a:b].reshape(shape)
            for value, a, target, params in code:
                if params:
                    w[target] = value(*[w[i] for i in a], *params)
                elif len(a) == 2:
                    w[target] = value(w[a[0]], w[a[1]])
                else:
                    w[target] = value(*[w[i] for i in a])
            return tuple(w[o] if isinstance(o, int) else _pack([w[i] for i in o[0]], o[1]) for o in outputs)

        return function

    def _code(self, slot: dict[Expr, int], start: list[Any]) -> list[tuple[Any, list[int], int, tuple[Any, ...]]]:
        roots = [e for out in self.outputs for e in (out if isinstance(out, tuple) else (out,))]
        uses = _uses(self.order, roots, self.definitions)
        free: list[int] = []
        code = []
        for node in self.order:
            if isinstance(node, Constant):
                slot[node] = len(start)
                start.append(node.value)
                continue
            if node in self.definitions:
                slot[node] = slot[self.definitions[node]]
                continue
            if node.op is None:
                continue
            a = [slot[arg] for arg in node.args]
            for arg in node.args:
                uses[arg] -= 1
                if uses[arg] == 0 and arg.op is not None:
                    free.append(slot[arg])
            if free:
                slot[node] = free.pop()
            else:
                slot[node] = len(start)
                start.append(None)
            value = _OPERATORS.get(node.op.name) or _value_of(node.op, self.complex)
            code.append((value, a, slot[node], node.params))
        return code


def _pack(values: list[Any], shapes: list[tuple[int, ...]]) -> np.ndarray:
    if all(not s for s in shapes):
        return np.array(values) if values else np.zeros(0)
    return np.concatenate([np.reshape(v, -1) for v in values])
