"""Sparse maps in pieces: positions that are known, values that are constants or elements of computed arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .expr import Expr
from .primitives.indexing import take_flat

__all__ = ["Index", "Term", "compose", "gather", "merged", "sorted_pairs"]

Index = np.ndarray


@dataclass(frozen=True, slots=True)
class Term:
    """Entries (rows[e], cols[e]) with value coef[e]·base[sel[e]]; None for all ones, no base, every element."""

    rows: Index
    cols: Index
    coef: np.ndarray | None
    base: Expr | None
    sel: Index | None


def sorted_pairs(major: Index, minor: Index, minors: int) -> Index:
    """The order of pairs of numbers by the first, then by the second (one of 0 … minors − 1)."""
    if major.size and (int(major.max()) + 1) * minors < 2**62:
        # One key: what is in order already, as most entries are, is merged instead of sorted.
        return np.argsort(major.astype(np.int64) * minors + minor, kind="stable")
    return np.lexsort((minor, major))


def _picked(x: np.ndarray | None, index: Index) -> np.ndarray | None:
    return None if x is None else x[index]


def is_range(x: Index, n: int) -> bool:
    return x.size == n and (n == 0 or (x[0] == 0 and x[-1] == n - 1 and bool(np.all(x[1:] > x[:-1]))))


def compose(outer: Term, inner: Term, middle: int) -> Term:
    """The product of two sparse maps through ``middle`` intermediate elements."""
    if is_range(inner.rows, middle):
        a, b = np.arange(outer.cols.size), outer.cols
    elif is_range(outer.cols, middle):
        a, b = inner.rows, np.arange(inner.rows.size)
    else:
        by_row = np.argsort(inner.rows, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(inner.rows, minlength=middle))])
        count = np.diff(start)[outer.cols]
        a = np.repeat(np.arange(outer.cols.size), count)
        within = np.arange(a.size) - np.repeat(np.cumsum(count) - count, count)
        b = by_row[start[outer.cols][a] + within]
    coef_a, coef_b = _picked(outer.coef, a), _picked(inner.coef, b)
    coef = coef_a if coef_b is None else coef_b if coef_a is None else coef_a * coef_b
    base, sel = _multiply_bases(outer, a, inner, b)
    return Term(outer.rows[a], inner.cols[b], coef, base, sel)


def _selection(t: Term, entries: Index) -> Index:
    return entries if t.sel is None else t.sel[entries]


def _multiply_bases(outer: Term, a: Index, inner: Term, b: Index) -> tuple[Expr | None, Index | None]:
    if outer.base is None:
        return (None, None) if inner.base is None else (inner.base, _selection(inner, b))
    if inner.base is None:
        return outer.base, _selection(outer, a)
    return gather(outer.base, _selection(outer, a)) * gather(inner.base, _selection(inner, b)), None


def gather(base: Expr, sel: Index | None) -> Expr:
    return base if sel is None else take_flat(base, sel)


def merged(terms: list[Term]) -> list[Term]:
    """Terms of one pattern added up: a node has as many terms as patterns, not as paths to the leaves."""
    groups: dict[Any, list[Term]] = {}
    for t in terms:
        groups.setdefault((t.rows.tobytes(), t.cols.tobytes()), []).append(t)
    if len(groups) == len(terms):
        return terms
    return [group[0] if len(group) == 1 else _added(group) for group in groups.values()]


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
