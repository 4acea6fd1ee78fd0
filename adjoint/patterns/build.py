"""Array expressions from groups of scalar ones: gathers of operands, one operation per step of the pattern."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..expr import Expr, Variable, apply, constant
from ..primitives.indexing import (
    broadcast_to,
    concatenate,
    getitem,
    ravel,
    reshape,
    scatter_flat,
    stack,
    sum_axes,
    take_flat,
)
from .graph import ARRAY, CONSTANT, DEFINED, LOAD, SUM, Graph, Index, Packs
from .groups import FEW, Group
from .signatures import Signatures

__all__ = ["Builder", "gather"]

_ALONE, _NUMBER = -1, -2  # sources of scalars that are in no vector: an expression, a number


class Builder:
    """Replaces the scalar nodes of a graph, stage by stage, by elements of vectors.

    With ``named``, the scalars with definitions become elements of new vector variables, whose definitions are kept:
    a variable is not the same as an expression that has its value, as its multiplier counts only what uses it.

    Attributes
    ----------
    definitions : definitions of the new variables, and of those that stay scalar or are arrays, in order
    members : for each new variable, the scalar variables that are its elements
    """

    def __init__(
        self, graph: Graph, signatures: Signatures, signs: np.ndarray | None, packs: Packs, named: bool = False
    ) -> None:
        self.graph, self.level, self.known, self.signs = graph, signatures.level, signatures.known, signs
        self.packs, self.named = packs, named
        self.packed = {vector for vector, _ in packs.values()}
        self.vectors: list[Expr | None] = [None] * len(graph.bases)
        kind = graph.kind
        self.source = np.where(kind == LOAD, graph.base, np.where(kind == CONSTANT, _NUMBER, _ALONE))
        self.position = graph.position
        self.alias = _aliases(graph) if not named else np.arange(len(graph.nodes))
        self.memo: dict[int, Expr] = {}
        self.definitions: dict[Variable, Expr] = {}
        self.members: dict[Variable, list[Variable]] = {}

    def run(self, groups: Mapping[int, Sequence[Group]]) -> None:
        """Build all vectors, stage by stage."""
        kind = self.graph.kind
        sums = _by_level(self.level, np.flatnonzero((kind == SUM) & self.known))
        variables = np.array([isinstance(n, Variable) for n in self.graph.nodes], dtype=bool) if self.named else None
        defined: dict[int, Index] = {}
        if variables is not None:
            has = variables & (np.diff(self.graph.start) == 1)
            defined = _by_level(np.where(self.known, self.level, self.level.max() + 1), np.flatnonzero(has))
        for level in sorted({*sums, *groups, *defined}):
            if level in sums:
                self._add_up(sums[level])
            for group in groups.get(level, ()):
                group = self._ascending(group)
                self._add_vector(self._evaluated(group), group.members)
            if level in defined:
                self._name(defined[level])

    # -- vectors
    def _ascending(self, group: Group) -> Group:
        """The group in the order in which its elements are in memory, where it is the reverse (as in long sums)."""
        for row in group.operands:
            if self.graph.kind[row[0]] == LOAD:
                if self.graph.position[row[0]] > self.graph.position[row[-1]]:
                    return Group(group.members[::-1], group.steps, group.operands[:, ::-1])
                break
        return group

    def _add_vector(self, vector: Expr, members: Index) -> None:
        self.source[members] = len(self.vectors)
        self.position[members] = np.arange(members.size)
        self.vectors.append(vector)

    def _evaluated(self, group: Group) -> Expr:
        """The pattern with vectors in place of its operands (its pre-order read backwards is a stack program)."""
        operands = {k: self._operand(group.operands[k]) for k in {-1 - s for s in group.steps if s < 0}}
        values: list[Expr] = []
        for step in reversed(group.steps):
            if step < 0:
                values.append(operands[-1 - step])
                continue
            node = self.graph.nodes[step]
            args = tuple(values.pop() for _ in node.args)
            shape = next((a.shape for a in args if a.shape), ())
            values.append(apply(node.op, args, node.params, shape))  # type: ignore[arg-type]
        return broadcast_to(values[0], (group.members.size,))

    def _operand(self, ids: Index) -> Expr:
        return self.expression(int(ids[0])) if (ids == ids[0]).all() else self.vector(ids)

    def _parts(self, ids: Index) -> Iterator[tuple[Expr, Index]]:
        """Vectors that together hold some scalars, each with the places of its elements among them."""
        ids = self.alias[ids]
        source = self.source[ids]
        order = np.argsort(source, kind="stable")
        ends = np.flatnonzero(np.diff(source[order], append=source[order[-1:]] + 1)) + 1
        pieces = np.split(order, ends[:-1]) if ids.size else []
        for which in sorted(pieces, key=lambda piece: int(piece[0])):
            own, number = ids[which], int(source[which[0]])
            if number == _NUMBER:
                yield constant(np.array([self.graph.nodes[i].value for i in own])), which  # type: ignore[attr-defined]
            elif number == _ALONE:
                distinct, inverse = np.unique(own, return_inverse=True)
                yield gather(stack([self.expression(i) for i in distinct.tolist()]), inverse), which
            else:
                yield gather(self._source_vector(number), self.position[own]), which

    def vector(self, ids: Index) -> Expr:
        """Some scalars as one vector."""
        return _joined(list(self._parts(ids)))

    def _source_vector(self, number: int) -> Expr:
        vector = self.vectors[number]
        if vector is None:
            base = self.graph.bases[number]
            place = self.graph.place.get(base)
            vector = self.vectors[number] = ravel(base if place is None else self.expression(place))
        return vector

    def _add_up(self, heads: Index) -> None:
        """Sums of signed terms."""
        start = self.graph.start
        count = start[heads + 1] - start[heads]
        at = np.concatenate([np.arange(start[h], start[h + 1]) for h in heads])
        owner = np.repeat(np.arange(heads.size), count)
        total: Any = 0.0
        for sign in (1.0, -1.0):
            own = np.flatnonzero(self.signs[at] == sign)  # type: ignore[index]
            if not own.size:
                continue
            for part, which in self._parts(self.graph.args[at[own]]):
                added = _added(part, owner[own[which]], heads.size)
                total = total + added if sign > 0 else total - added
        if heads.size == 1:
            self.memo[int(heads[0])] = total
        else:
            self._add_vector(total, heads)

    def _name(self, variables: Index) -> None:
        """Definitions of variables: vectors of those whose definitions are in one vector."""
        nodes, start, args = self.graph.nodes, self.graph.start, self.graph.args
        scalar = variables[self.graph.kind[variables] == DEFINED]
        roots = args[start[scalar]]
        alone = self.graph.kind[variables] == ARRAY
        single = [*variables[alone].tolist()]
        batched = (self.source[roots] >= 0) & self.known[scalar]
        for part, which in self._parts(roots[batched]) if batched.any() else ():
            own = scalar[batched][which]
            if own.size < FEW:
                single.extend(own.tolist())
                continue
            vector = Variable(f"vector {len(self.members)}", (own.size,))
            self.definitions[vector] = part
            self.members[vector] = [nodes[i] for i in own.tolist()]  # type: ignore[misc]
            self._add_vector(vector, own)
        single.extend(scalar[~batched].tolist())
        for i in sorted(single):
            self.definitions[nodes[i]] = self.expression(int(args[start[i]]))  # type: ignore[index]

    # -- expressions
    def expression(self, node: int) -> Expr:
        """A node in terms of the vectors, by an explicit stack."""
        todo = [int(self.alias[node])]
        memo = self.memo
        while todo:
            i = todo[-1]
            if i not in memo:
                missing = [k for k in self._needs(i) if k not in memo]
                if missing:
                    todo.extend(missing)
                    continue
                memo[i] = self._made(i)
            todo.pop()
        return memo[int(self.alias[node])]

    def _needs(self, i: int) -> list[int]:
        graph = self.graph
        source = self.source[i]
        if graph.kind[i] == LOAD:
            place = graph.place.get(graph.bases[source])
            return [] if place is None else [place]
        if source != _ALONE or (self.named and isinstance(graph.nodes[i], Variable)):
            return []
        args = graph.args[graph.start[i] : graph.start[i + 1]]
        if graph.kind[i] == SUM:
            return self._outside_vectors(args)
        scalars = self._scalars(i)
        if scalars is None:
            return self.alias[args].tolist()
        whole = [a for a, s in zip(args.tolist(), scalars, strict=True) if s < 0]
        return whole + self._outside_vectors(np.array([s for s in scalars if s >= 0]))

    def _outside_vectors(self, ids: Index) -> list[int]:
        """Nodes whose expressions are needed before some scalars can be gathered."""
        ids = self.alias[ids]
        source = self.source[ids]
        bases = [self.graph.place.get(self.graph.bases[k]) for k in np.unique(source) if 0 <= k < len(self.graph.bases)]
        return [*ids[source == _ALONE].tolist(), *(b for b in bases if b is not None)]

    def _made(self, i: int) -> Expr:
        graph = self.graph
        node, source = graph.nodes[i], int(self.source[i])
        if graph.kind[i] == LOAD:
            base, x = graph.bases[source], self._source_vector(source)
            return node if base not in self.packed and x is ravel(base) else x[int(self.position[i])]
        if source >= 0:
            return getitem(self.vectors[source], int(self.position[i]))
        if graph.kind[i] == SUM:
            self._add_up(np.array([i]))
            return self.memo[i]
        if node in self.packs:
            pack, at = self.packs[node]  # type: ignore[index]
            return reshape(getitem(pack, slice(at, at + node.size)), node.shape)
        start, end = graph.start[i], graph.start[i + 1]
        if start == end or (self.named and isinstance(node, Variable)):
            return node
        scalars = self._scalars(i)
        if scalars is not None:
            return self._concatenated(i, scalars)
        args = tuple(self.memo[a] for a in self.alias[graph.args[start:end]].tolist())
        if node.op is None:
            return args[0]
        if all(a is b for a, b in zip(args, node.args, strict=True)):
            return node
        return apply(node.op, args, node.params, node.shape)

    def _scalars(self, i: int) -> list[int] | None:
        """For a vector joined from many scalars: the scalar of each part, or −1 for a part that is a vector."""
        graph = self.graph
        node = graph.nodes[i]
        if node.op is None or node.op.name != "concatenate" or node.ndim != 1 or len(node.args) < FEW:
            return None
        args = graph.args[graph.start[i] : graph.start[i + 1]].tolist()
        lifted = [x.op is not None and x.op.name == "reshape" and not x.args[0].shape for x in node.args]
        found = [int(graph.args[graph.start[a]]) if one else -1 for a, one in zip(args, lifted, strict=True)]
        return found if sum(s >= 0 for s in found) >= FEW else None

    def _concatenated(self, i: int, scalars: list[int]) -> Expr:
        args = self.graph.args[self.graph.start[i] : self.graph.start[i + 1]].tolist()
        return self.joined([s if s >= 0 else a for s, a in zip(scalars, args, strict=True)])

    def joined(self, items: Sequence[int]) -> Expr:
        """Scalars and arrays, flattened and concatenated."""
        nodes = self.graph.nodes
        sizes = np.array([nodes[i].size for i in items], dtype=np.intp)
        begin = np.cumsum(sizes) - sizes
        is_array = self.graph.kind[np.array(items, dtype=np.intp)] == ARRAY
        parts: list[tuple[Expr, Index]] = []
        alone = np.flatnonzero(~is_array)
        if alone.size:
            parts += [(part, begin[alone[which]]) for part, which in self._parts(np.array(items)[alone])]
        for k in np.flatnonzero(is_array).tolist():
            parts.append((ravel(self.expression(items[k])), np.arange(begin[k], begin[k] + sizes[k])))
        return _joined(sorted(parts, key=lambda p: int(p[1][0]) if p[1].size else 0))


def _aliases(graph: Graph) -> Index:
    """The definition of every scalar variable that has one, through variables that are defined as variables."""
    alias = np.arange(len(graph.nodes))
    defined = np.flatnonzero(graph.kind == DEFINED)
    alias[defined] = graph.args[graph.start[defined]]
    while True:
        further = alias[alias]
        if np.array_equal(further, alias):
            return alias
        alias = further


def _by_level(level: Index, ids: Index) -> dict[int, Index]:
    order = ids[np.argsort(level[ids], kind="stable")]
    ends = np.flatnonzero(np.diff(level[order])) + 1
    return {int(level[piece[0]]): piece for piece in np.split(order, ends) if piece.size}


def gather(vector: Expr, positions: Index) -> Expr:
    """Elements of a vector: a slice where the positions are evenly spaced, which needs no table."""
    if positions.size > 1:
        step = int(positions[1] - positions[0])
        if step > 0 and (np.diff(positions) == step).all():
            if step == 1 and positions.size == vector.size:
                return vector
            return getitem(vector, slice(int(positions[0]), int(positions[-1]) + 1, None if step == 1 else step))
    return take_flat(vector, positions)


def _joined(parts: list[tuple[Expr, Index]]) -> Expr:
    """Vectors with the places of their elements as one vector."""
    if not parts:
        return constant(np.zeros(0))
    places = np.concatenate([which for _, which in parts])
    inverse = np.empty_like(places)
    inverse[places] = np.arange(places.size)
    return gather(concatenate([part for part, _ in parts]), inverse)


def _added(part: Expr, owner: Index, count: int) -> Expr:
    """Elements added up by owner."""
    if count == 1:
        return sum_axes(part, (0,))
    each = owner.size // count
    if each * count == owner.size and np.array_equal(owner, np.repeat(np.arange(count), each)):
        return sum_axes(reshape(part, (count, each)), (1,))
    return scatter_flat(part, owner, (count,))
