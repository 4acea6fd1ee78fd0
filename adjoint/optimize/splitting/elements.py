"""Some elements of expressions, as expressions of some elements of their variables.

A model holds a region's equations and all others' in one array. To give the region to a worker, its rows are taken out
of the array expressions: an index of an elementwise operation is the operation on indices of its arguments, an index of
a sum into positions is the sum of what goes there. Operations that need all of their arguments keep them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...expr import Constant, Expr, Variable, apply, constant
from ...primitive import BUILDERS
from ...primitives.indexing import broadcast_to, concatenate, ravel, reshape, scatter_flat, take_flat
from ...walk import topological

__all__ = ["elements", "needed", "reduced"]

Positions = np.ndarray  # of elements, in C order; sorted, each once
Leaf = Callable[[Variable, Positions], Expr]  # a variable and positions → the elements there, as a vector


def needed(
    roots: Sequence[tuple[Expr, Positions]], definitions: Mapping[Variable, Expr] | None = None
) -> dict[Expr, Positions]:
    """The elements of every node that the given elements of the roots depend on; of variables those that matter.

    >>> import numpy as np, adjoint as adj
    >>> m = adj.Program()
    >>> x, y = m.input("x", np.ones(5)), m.input("y", np.ones(5))
    >>> found = needed([(np.exp(x[::-1]) * y, np.array([0, 1]))])
    >>> found[x].tolist(), found[y].tolist()
    ([3, 4], [0, 1])
    """
    definitions = definitions or {}
    waiting: dict[Expr, list[Positions]] = {}
    for root, positions in roots:
        waiting.setdefault(root, []).append(np.asarray(positions, dtype=np.intp).reshape(-1))
    found: dict[Expr, Positions] = {}
    for node in reversed(topological([r for r, _ in roots], definitions=definitions)):
        parts = waiting.pop(node, None)
        if parts is None:
            continue
        positions = found[node] = np.unique(np.concatenate(parts)) if len(parts) > 1 else np.unique(parts[0])
        if isinstance(node, Variable) and node in definitions:
            waiting.setdefault(definitions[node], []).append(positions)
        for k, arg in enumerate(node.args):
            wanted = _of_argument(node, k, positions) if len(positions) else positions
            if len(wanted):  # of a part of a concatenation there may be none
                waiting.setdefault(arg, []).append(wanted)
    return found


def elements(
    roots: Sequence[tuple[Expr, Positions]], leaf: Leaf, definitions: Mapping[Variable, Expr] | None = None
) -> list[Expr]:
    """The elements of the roots at the given positions, as vectors.

    Parameters
    ----------
    roots : list of (expression, positions)
    leaf : callable
        Gives the elements of a variable at sorted positions.
    definitions : dict, optional
        Expressions to put in the place of variables.
    """
    definitions = definitions or {}
    found = needed(roots, definitions)
    built: dict[Expr, Expr] = {}

    def at(node: Expr, positions: Positions) -> Expr:
        have = found[node]
        vector = built[node]
        if len(positions) == len(have) and np.array_equal(positions, have):
            return vector
        return take_flat(vector, np.searchsorted(have, positions))

    for node in topological([r for r, _ in roots], definitions=definitions):
        if node not in found:
            continue
        positions = found[node]
        if not len(positions):
            built[node] = constant(np.zeros(0))
        elif isinstance(node, Constant):
            built[node] = constant(np.reshape(node.value, -1)[positions])
        elif isinstance(node, Variable):
            definition = definitions.get(node)
            built[node] = leaf(node, positions) if definition is None else at(definition, positions)
        else:
            built[node] = _built(node, positions, at)
    return [at(root, np.asarray(positions, dtype=np.intp).reshape(-1)) for root, positions in roots]


# -- one operation -------------------------------------------------------------------------------------------------


def _spread(arg: Expr, shape: tuple[int, ...], positions: Positions) -> Positions:
    """Positions in an argument that is broadcast to a shape."""
    if arg.shape == shape:
        return positions
    if arg.size == 1:
        return np.zeros(1, dtype=np.intp)
    return np.broadcast_to(np.arange(arg.size).reshape(arg.shape), shape).reshape(-1)[positions]


def _copied(node: Expr, positions: Positions) -> Positions:
    """Positions in the argument of a selection: what it does to the positions 0, 1, 2, …"""
    assert node.op is not None
    arg = node.args[0]
    where = node.op.value(np.arange(arg.size).reshape(arg.shape), *node.params)
    return np.asarray(where).reshape(-1)[positions]


def _entries(node: Expr, k: int, positions: Positions) -> tuple[np.ndarray, np.ndarray, Any]:
    """Nonzeros of the map of argument k in the rows at ``positions``: place among them, position in the argument."""
    assert node.op is not None and node.op.entries is not None
    rows, columns, values = node.op.entries(node.args, node.params, k)
    at = np.minimum(np.searchsorted(positions, rows), max(len(positions) - 1, 0))
    keep = np.flatnonzero(positions[at] == rows) if len(positions) else np.zeros(0, dtype=np.intp)
    return at[keep], np.asarray(columns)[keep], None if values is None else np.asarray(values)[keep]


def reduced(node: Expr) -> np.ndarray:
    """Of a reduction over axes: for every element, the positions in the argument of what it is made of."""
    arg, axes = node.args[0], node.params[0]
    positions = np.arange(arg.size).reshape(arg.shape)
    return np.moveaxis(positions, axes, range(-len(axes), 0)).reshape(node.size, -1)


def _is_product(node: Expr) -> bool:
    return node.op is not None and node.op.name == "matmul" and node.ndim == 2


def _grid(node: Expr, positions: Positions) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a matrix that have an element at the positions."""
    row, column = np.divmod(positions, max(node.shape[1], 1))
    return np.unique(row), np.unique(column)


def _of_argument(node: Expr, k: int, positions: Positions) -> Positions:
    """The elements of argument k that elements of a node depend on."""
    op, arg = node.op, node.args[k]
    assert op is not None
    if op.kind == "elementwise":
        return _spread(arg, node.shape, positions)
    if op.copies and len(node.args) == 1:
        return _copied(node, positions)
    if op.kind == "linear" and op.entries is not None:
        return _entries(node, k, positions)[1]
    if op.kind == "reduction":
        return reduced(node)[positions].reshape(-1)
    if _is_product(node):
        rows, columns = _grid(node, positions)
        inner = np.arange(node.args[0].shape[1])
        pair = (rows, inner) if k == 0 else (inner, columns)
        return (pair[0][:, None] * arg.shape[1] + pair[1]).reshape(-1)
    return np.arange(arg.size)


def _built(node: Expr, positions: Positions, at: Callable[[Expr, Positions], Expr]) -> Expr:
    """The elements of one operation from those of its arguments."""
    op = node.op
    assert op is not None
    count = len(positions)
    if op.kind == "elementwise":
        return _operation(node, [at(a, _spread(a, node.shape, positions)) for a in node.args], (count,))
    if op.copies and len(node.args) == 1:
        return at(node.args[0], _copied(node, positions))
    if op.name == "concatenate":
        return _joined(node, positions, at)
    if op.kind == "linear" and op.entries is not None:
        out: Any = None
        for k, arg in enumerate(node.args):
            to, come, values = _entries(node, k, positions)
            if not len(come):
                continue
            part = at(arg, come) if values is None else constant(values) * at(arg, come)
            if len(to) != count or not np.array_equal(to, np.arange(count)):
                part = scatter_flat(part, to, (count,))
            out = part if out is None else out + part
        return constant(np.zeros(count)) if out is None else out
    if op.kind == "reduction":
        come = reduced(node)[positions]
        return apply(op, (reshape(at(node.args[0], come.reshape(-1)), come.shape),), ((1,), *node.params[1:]), (count,))
    if _is_product(node):
        rows, columns = _grid(node, positions)
        a, b = node.args
        inner = np.arange(a.shape[1])
        left = reshape(at(a, (rows[:, None] * len(inner) + inner).reshape(-1)), (len(rows), len(inner)))
        right = reshape(at(b, (inner[:, None] * b.shape[1] + columns).reshape(-1)), (len(inner), len(columns)))
        row, column = np.divmod(positions, node.shape[1])
        place = np.searchsorted(rows, row) * len(columns) + np.searchsorted(columns, column)
        return take_flat(ravel(BUILDERS["matmul"](left, right)), place)
    whole = _operation(node, [reshape(at(a, np.arange(a.size)), a.shape) for a in node.args], node.shape)
    return take_flat(ravel(whole), positions)


def _joined(node: Expr, positions: Positions, at: Callable[[Expr, Positions], Expr]) -> Expr:
    """Each element of a concatenation is one of one part."""
    picked, places = [], []
    for k, arg in enumerate(node.args):
        to, come, _ = _entries(node, k, positions)
        if len(to):
            order = np.argsort(come, kind="stable")
            picked.append(at(arg, come[order]))
            places.append(to[order])
    place = np.concatenate(places)
    return take_flat(concatenate(picked), np.argsort(place, kind="stable"))


def _operation(node: Expr, args: list[Expr], shape: tuple[int, ...]) -> Expr:
    """The operation on other arguments."""
    op = node.op
    assert op is not None
    if all(isinstance(a, Constant) for a in args):
        with np.errstate(all="ignore"):
            value = op.value(*(a.value for a in args), *node.params)  # type: ignore[attr-defined]
        return constant(np.broadcast_to(value, shape).copy())
    build = BUILDERS.get(op.name)
    if op.kind == "elementwise" and build is not None and not node.params:
        return broadcast_to(build(*args), shape)  # simplifies
    if op.kind == "elementwise" and math.prod(shape) != max(a.size for a in args):
        args = [broadcast_to(a, shape) for a in args]
    return apply(op, tuple(args), node.params, shape)
