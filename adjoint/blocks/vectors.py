"""Few vectors in place of many variables: how batched blocks (``patterns``) read and write values by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..expr import Variable
from .values import Matrices, Values, pack, stack_columns, stack_rows, unpack

__all__ = ["Vectors", "packs_of"]


class Vectors:
    """Vector variables, each of which holds other variables one after the other."""

    def __init__(self, members: Mapping[Variable, Sequence[Variable]]) -> None:
        self.members = {vector: tuple(own) for vector, own in members.items()}
        self.inside = {v: vector for vector, own in self.members.items() for v in own}
        self.scalar = {vector for vector, own in self.members.items() if all(not v.shape for v in own)}
        self._wanted: dict[frozenset[Variable], frozenset[Variable]] = {}

    def values(self, values: Values) -> Values:
        """The values with those of vectors, which are made when asked for."""
        return _Packed(self.members, values)

    def wanted(self, wanted: frozenset[Variable] | None) -> frozenset[Variable] | None:
        """Vectors that hold a wanted variable, and the wanted variables in no vector."""
        if wanted is None:
            return None
        if wanted not in self._wanted:
            self._wanted[wanted] = frozenset(self.inside.get(v, v) for v in wanted)
        return self._wanted[wanted]

    def columns(self, variables: Sequence[Variable]) -> tuple[list[Variable], np.ndarray | None]:
        """The vectors (and other variables) that hold some variables, and where in them; None if everywhere."""
        held = list(dict.fromkeys(self.inside.get(v, v) for v in variables))
        every = [m for v in held for m in self.members.get(v, (v,))]
        if len(every) == len(variables) and all(a is b for a, b in zip(every, variables, strict=True)):
            return held, None
        begin = dict(zip(every, np.cumsum([0, *(v.size for v in every)]).tolist(), strict=False))
        return held, np.concatenate([np.arange(begin[v], begin[v] + v.size) for v in variables])

    def gathered(self, parts: Values, variables: Sequence[Variable]) -> Values:
        """Tangents or cotangents of those of the variables (vectors among them) that have some; zero for the others."""
        out: Values = {}
        for v in variables:
            own = self.members.get(v)
            if own is None:
                if v in parts:
                    out[v] = parts[v]
            elif not parts.keys().isdisjoint(own):
                if v in self.scalar:
                    out[v] = np.array(list(map(parts.get, own, repeat(0.0))), dtype=float)
                else:
                    out[v] = pack(own, {m: parts[m] if m in parts else np.zeros(m.shape) for m in own})
        return out

    def scatter(self, parts: Values, into: Values) -> None:
        """Write parts by variable; those of members are views of their vectors."""
        for v, part in parts.items():
            own = self.members.get(v)
            if own is None:
                into[v] = part
            elif v in self.scalar:
                into.update(zip(own, part, strict=True))
            else:
                unpack(own, part, into)

    def add(self, parts: Values, into: Values, wanted: frozenset[Variable] | None = None) -> None:
        """Add parts to those of variables."""
        named: Values = {}
        self.scatter(parts, named)
        for v, part in named.items():
            if wanted is None or v in wanted:
                into[v] = into[v] + part if v in into else part

    # -- many directions: rows of tangents, columns of cotangents
    def gathered_many(self, parts: Matrices, variables: Sequence[Variable], rows: bool) -> Matrices:
        """2-D parts of those of the variables that have some."""
        out: Matrices = {}
        for v in variables:
            own = self.members.get(v)
            if own is None:
                if v in parts:
                    out[v] = parts[v]
            elif not parts.keys().isdisjoint(own):
                one = next(parts[m] for m in own if m in parts)
                count = one.shape[1 if rows else 0]
                sparse = all(sp.issparse(parts[m]) for m in own if m in parts)
                zero = sp.csr_array if sparse else np.zeros
                blocks = [parts[m] if m in parts else zero((m.size, count) if rows else (count, m.size)) for m in own]
                out[v] = stack_rows(blocks) if rows else stack_columns(blocks)
        return out

    def scatter_many(self, parts: Matrices, into: Matrices, rows: bool) -> None:
        """Write (rows of tangents) or add (columns of cotangents) 2-D parts by variable."""
        for v, part in parts.items():
            at = 0
            for m in self.members.get(v, (v,)):
                if rows:
                    into[m] = part[at : at + m.size]
                else:
                    own = part[:, at : at + m.size]
                    into[m] = into[m] + own if m in into else own
                at += m.size


class _Packed(dict[Variable, Any]):
    """Values by variable; those of vectors are packed from their members at first use."""

    def __init__(self, members: Mapping[Variable, tuple[Variable, ...]], values: Values) -> None:
        super().__init__()
        self.members, self.values_ = members, values

    def __missing__(self, v: Variable) -> Any:
        own = self.members.get(v)
        self[v] = value = self.values_[v] if own is None else pack(own, self.values_)
        return value


def packs_of(vector: Variable, members: Sequence[Variable]) -> dict[Variable, tuple[Variable, int]]:
    """Where each member begins in a vector."""
    out = {}
    at = 0
    for v in members:
        out[v] = vector, at
        at += v.size
    return out
