"""An expression graph as arrays: the nodes below some roots, numbered, with their arguments and what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from operator import attrgetter
from typing import Any

import numpy as np

from ..expr import Constant, Expr, Variable

__all__ = [
    "ARRAY",
    "CONSTANT",
    "DEAD",
    "DEFINED",
    "LOAD",
    "OPERATION",
    "SCALAR",
    "SUM",
    "Graph",
    "Packs",
    "read",
    "rows",
]

Index = np.ndarray
Packs = Mapping[Variable, tuple[Variable, int]]

OPERATION, CONSTANT, LOAD, SCALAR, DEFINED, ARRAY, SUM, DEAD = range(8)
"""Kinds of node: a scalar elementwise operation; a number; an element of an array; another scalar (a variable, a
reduction); a scalar variable with a definition; an array; a long sum (``sums``); a node inside of one."""


@dataclass
class Graph:
    """Nodes below the roots, in the order of a depth-first walk. Node i has arguments ``args[start[i]:start[i+1]]``.

    Attributes
    ----------
    code : number of (operation, parameters), for OPERATION
    base, position : which array of ``bases``, and which element of it, for LOAD
    """

    nodes: list[Expr]
    place: dict[Expr, int]
    start: Index
    args: Index
    kind: Index
    code: Index
    base: Index
    position: Index
    bases: list[Expr]


def read(roots: Sequence[Expr], definitions: Mapping[Variable, Expr], packs: Packs) -> Graph:
    """The graph below the roots; the argument of a variable with a definition is the definition."""
    place = _walk(roots, definitions)
    nodes = list(place)
    n = len(nodes)
    args = list(map(attrgetter("args"), nodes))
    arity = np.fromiter(map(len, args), np.intp, n)
    defined = list(filter(definitions.__contains__, nodes)) if definitions else []
    at = np.fromiter(map(place.__getitem__, defined), np.intp, len(defined))
    arity[at] = 1
    start = np.zeros(n + 1, dtype=np.intp)
    np.cumsum(arity, out=start[1:])
    edges = np.full(int(start[-1]), -1)
    edges[start[at]] = [place[definitions[v]] for v in defined]  # type: ignore[index]
    edges[edges < 0] = np.fromiter(map(place.__getitem__, chain.from_iterable(args)), np.intp, edges.size - at.size)
    ops = list(map(attrgetter("op"), nodes))
    rows_ = list(dict.fromkeys(ops))
    number = {row: i for i, row in enumerate(rows_)}
    code = np.fromiter(map(number.__getitem__, ops), np.intp, n)
    scalar = np.fromiter(map(len, map(attrgetter("shape"), nodes)), np.intp, n) == 0
    elementwise = np.array([row is not None and row.kind == "elementwise" for row in rows_])
    loads = np.array([row is not None and row.name in ("getitem", "take", "reshape") for row in rows_])
    kind = np.where(scalar, SCALAR, ARRAY).astype(np.int8)
    kind[scalar & elementwise[code]] = OPERATION
    kind[scalar & loads[code]] = LOAD
    graph = Graph(nodes, place, start, edges, kind, code, np.full(n, -1), np.zeros(n, dtype=np.intp), [])
    _read_leaves(graph, np.flatnonzero(scalar & (code == number.get(None, -1))), definitions, packs)
    _read_params(graph, len(rows_))
    _read_loads(graph, packs)
    return graph


def _walk(roots: Sequence[Expr], definitions: Mapping[Any, Expr]) -> dict[Expr, int]:
    place: dict[Expr, Any] = dict.fromkeys(roots)
    stack = list(place)[::-1]
    pop, push = stack.pop, stack.append
    while stack:
        node = pop()
        args = node.args
        if not args and definitions and node in definitions:
            args = (definitions[node],)
        for a in args:
            if a not in place:
                place[a] = None
                push(a)
    return dict(zip(place, count(), strict=False))


def _read_leaves(graph: Graph, leaves: Index, definitions: Mapping[Any, Expr], packs: Packs) -> None:
    """Kinds of the scalars without an operation."""
    packed: dict[Variable, int] = {}
    for i in leaves.tolist():
        node = graph.nodes[i]
        if isinstance(node, Constant):
            graph.kind[i] = CONSTANT
        elif node in definitions:
            graph.kind[i] = DEFINED
        elif node in packs:
            pack, graph.position[i] = packs[node]  # type: ignore[index]
            graph.kind[i] = LOAD
            graph.base[i] = packed.setdefault(pack, len(packed))
    graph.bases.extend(packed)


def _read_params(graph: Graph, codes: int) -> None:
    """Numbers of their own for scalar operations with parameters."""
    numbers: dict[Any, int] = {}
    params = np.fromiter(map(len, map(attrgetter("params"), graph.nodes)), np.intp, len(graph.nodes))
    for i in np.flatnonzero((graph.kind == OPERATION) & (params > 0)).tolist():
        node = graph.nodes[i]
        graph.code[i] = codes + numbers.setdefault((node.op, node.params), len(numbers))


def _read_loads(graph: Graph, packs: Packs) -> None:
    """Base array and flat position of every element of an array."""
    sources: dict[Expr, tuple[Expr, Any]] = {}
    number = {b: i for i, b in enumerate(graph.bases)}
    for i in np.flatnonzero((graph.kind == LOAD) & (graph.base < 0)).tolist():
        node = graph.nodes[i]
        x = node.args[0]
        base, positions = sources.get(x) or _source(x, packs, sources)
        if node.op.name == "getitem":  # type: ignore[union-attr]
            index = node.params[0]
            if positions is None and len(index) == 1 and x.ndim == 1 and type(index[0]) is int:
                p = index[0] if index[0] >= 0 else index[0] + x.shape[0]
            else:
                if positions is None:
                    positions = np.arange(x.size).reshape(x.shape)
                    sources[x] = base, positions
                p = positions[index] if all(type(k) is int for k in index) else node.op.value(positions, index)  # type: ignore[union-attr]
        else:
            p = int(np.ravel(node.params[0].array)[0]) if node.op.name == "take" else 0  # type: ignore[union-attr]
            p = p if positions is None else positions.reshape(-1)[p]
        graph.position[i] = p
        graph.base[i] = number.setdefault(base, len(number))
    graph.bases[:] = number


def _source(x: Expr, packs: Packs, sources: dict[Expr, tuple[Expr, Any]]) -> tuple[Expr, Any]:
    """The array that an array copies its elements from, and the positions (None: all, in order)."""
    chain_ = []
    while x not in sources:
        if x.op is not None and x.op.copies and len(x.args) == 1 and x.args[0].shape:
            chain_.append(x)
            x = x.args[0]
        elif x in packs:
            pack, at = packs[x]  # type: ignore[index]
            sources[x] = pack, np.arange(at, at + x.size).reshape(x.shape)
        else:
            sources[x] = x, None
    base, positions = sources[x]
    for node in reversed(chain_):
        if positions is None:
            positions = np.arange(base.size).reshape(base.shape)
            sources[base] = base, positions
        positions = np.asarray(node.op.value(positions, *node.params))  # type: ignore[union-attr]
        sources[node] = base, positions
    return base, positions


def rows(start: Index, which: Index) -> tuple[Index, Index]:
    """Positions of the entries of some rows of a compressed table, and where each row begins among them."""
    count_ = start[which + 1] - start[which]
    begin = np.cumsum(count_) - count_
    at = np.arange(int(count_.sum())) + np.repeat(start[which] - begin, count_)
    return at, begin
