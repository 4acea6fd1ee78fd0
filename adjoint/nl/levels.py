"""The order in which defined variables can be computed: by level, all of one level at once."""

from __future__ import annotations

import numpy as np

from ..errors import ModelError
from .model import VARIABLE, Model
from .trees import Index, ranges

__all__ = ["levels"]


def levels(model: Model) -> list[Index]:
    """Defined variables by level: one of level k needs some of level k − 1, and none of later ones (Kahn 1962)."""
    count = model.n_defined
    if not count:
        return []
    users, needed = _uses(model)
    order = np.argsort(needed, kind="stable")
    users = users[order]
    start = np.searchsorted(needed[order], np.arange(count + 1))
    pending = np.bincount(users, minlength=count)
    ready = np.flatnonzero(pending == 0)
    result = []
    while ready.size:
        result.append(ready)
        pending[ready] = -1
        reached, times = np.unique(users[ranges(start[ready], start[ready + 1] - start[ready])], return_counts=True)
        pending[reached] -= times
        ready = reached[pending[reached] == 0]
    left = np.flatnonzero(pending > 0)
    if left.size:
        names = ", ".join(f"V{model.n_var + k}" for k in left[:5].tolist())
        raise ModelError(
            f"{model.source or model.name}: the defined variables {names} need each other, or one that does"
        )
    return result


def _uses(model: Model) -> tuple[Index, Index]:
    """Pairs of defined variables: the first uses the second."""
    begin, end = model.defined_expr.T
    at = ranges(begin, end - begin)
    owner = np.repeat(np.arange(model.n_defined), end - begin)
    used = (model.code[at] == VARIABLE) & (model.index[at] >= model.n_var)
    linear = model.defined_linear
    rows = np.repeat(np.arange(model.n_defined), np.diff(linear.start))
    also = linear.var >= model.n_var
    users = np.concatenate([owner[used], rows[also]])
    return users, np.concatenate([model.index[at[used]], linear.var[also]]) - model.n_var
