"""Sparse maps in pieces: positions that are known, values that are constants or elements of computed arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from .expr import Expr
from .primitives.indexing import take_flat

__all__ = ["Index", "Term", "compose", "gather", "merged", "sorted_pairs", "whole"]

Index = np.ndarray
SMALL = 1000  # elements up to which ranges are kept


@dataclass(frozen=True, slots=True)
class Term:
    """Entries (rows[e], cols[e]) with value coef[e]·base[sel[e]]; None for all ones, no base, every element."""

    rows: Index
    cols: Index
    coef: np.ndarray | None
    base: Expr | None
    sel: Index | None


def whole(n: int) -> Index:
    """0 … n − 1; for small n the same array each time, which is known without a look at its elements."""
    return _kept(n) if n <= SMALL else np.arange(n)


@cache
def _kept(n: int) -> Index:
    out = np.arange(n)
    out.flags.writeable = False
    return out


def sorted_pairs(major: Index, minor: Index, minors: int) -> Index:
    """The order of pairs of numbers by the first, then by the second (one of 0 … minors − 1)."""
    if major.size and (int(major.max()) + 1) * minors < 2**62:
        # One key: what is in order already, as most entries are, is merged instead of sorted.
        key = major.astype(np.int64) * minors + minor
        return whole(key.size) if (key[1:] > key[:-1]).all() else np.argsort(key, kind="stable")
    return np.lexsort((minor, major))


def _picked(x: Any, index: Index | None) -> Any:
    """Some elements (None: all)."""
    return x if x is None or index is None else x[index]


def is_range(x: Index, n: int) -> bool:
    """Whether an index is 0 … n − 1."""
    if n <= SMALL and x is _kept(n):
        return True
    return x.size == n and (n == 0 or (x[0] == 0 and x[-1] == n - 1 and bool((x[1:] > x[:-1]).all())))


def compose(outer: Term, inner: Term, middle: int) -> Term:
    """The product of two sparse maps through ``middle`` intermediate elements."""
    a: Index | None = None
    b: Index | None = None
    if is_range(inner.rows, middle):
        b = None if is_range(outer.cols, middle) else outer.cols
    elif is_range(outer.cols, middle):
        a = inner.rows
    else:
        by_row = np.argsort(inner.rows, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(inner.rows, minlength=middle))])
        count = (start[1:] - start[:-1])[outer.cols]
        a = np.repeat(np.arange(outer.cols.size), count)
        within = np.arange(a.size) - np.repeat(np.cumsum(count) - count, count)
        b = by_row[start[outer.cols][a] + within]
    coef_a, coef_b = _picked(outer.coef, a), _picked(inner.coef, b)
    coef = coef_a if coef_b is None else coef_b if coef_a is None else coef_a * coef_b
    base, sel = _multiply_bases(outer, a, inner, b)
    return Term(_picked(outer.rows, a), _picked(inner.cols, b), coef, base, sel)


def _selection(t: Term, entries: Index | None) -> Index | None:
    return entries if t.sel is None else _picked(t.sel, entries)


def _multiply_bases(outer: Term, a: Index | None, inner: Term, b: Index | None) -> tuple[Expr | None, Index | None]:
    if outer.base is None:
        return (None, None) if inner.base is None else (inner.base, _selection(inner, b))
    if inner.base is None:
        return outer.base, _selection(outer, a)
    return gather(outer.base, _selection(outer, a)) * gather(inner.base, _selection(inner, b)), None


def gather(base: Expr, sel: Index | None) -> Expr:
    return base if sel is None else take_flat(base, sel)


def merged(terms: list[Term]) -> list[Term]:
    """Terms of one pattern added up: a node has as many terms as patterns, not as paths to the leaves."""
    groups: list[list[Term]] = []
    alike: dict[Any, list[list[Term]]] = {}  # with the same ends
    for t in terms:
        rows, cols = t.rows, t.cols
        ends = (rows.size, rows[0], rows[-1], cols[0], cols[-1]) if rows.size else ()
        others = alike.setdefault(ends, [])
        same = next((g for g in others if _equal(g[0].rows, rows) and _equal(g[0].cols, cols)), None)
        if same is None:
            others.append([t])
            groups.append(others[-1])
        else:
            same.append(t)
    if len(groups) == len(terms):
        return terms
    return [group[0] if len(group) == 1 else _added(group) for group in groups]


def _equal(a: Index, b: Index) -> bool:
    """Whether two indices of one length are the same."""
    return a is b or bool((a == b).all())


def _added(group: list[Term]) -> Term:
    rows, cols = group[0].rows, group[0].cols
    fixed = sum(
        (np.ones(rows.size) if t.coef is None else t.coef for t in group if t.base is None), np.zeros(rows.size)
    )
    moving = [t for t in group if t.base is not None]
    if not moving:
        return Term(rows, cols, fixed, None, None)
    total: Expr | None = None
    for t in moving:
        part = gather(t.base, t.sel)  # type: ignore[arg-type]
        part = part if t.coef is None else part * (t.coef if part.shape else t.coef[0])
        total = part if total is None else total + part
    assert total is not None
    return Term(rows, cols, None, total + (fixed if total.shape else fixed[0]), None)
