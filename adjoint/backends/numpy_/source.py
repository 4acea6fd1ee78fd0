"""A function as the source text of a Python function. Large arrays are overwritten in place where nothing else sees
them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...expr import Constant, Expr
from ...primitive import Primitive
from .registers import uses_of, value_of

__all__ = ["Source"]

IN_PLACE_SIZE = 2048  # elements; below, an allocation is cheaper than the bookkeeping

_VIEWS = {"reshape", "transpose", "broadcast_to", "getitem"}


class Source:
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
        self.uses = uses_of(self.order, roots, self.definitions)
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
        value = value_of(row, self.complex)
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
        elif row.name == "getitem" and args[0].shape:
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
