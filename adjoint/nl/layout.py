"""The order of things in a file: nonlinear constraints first, variables in blocks, defined variables by their users.

The order is that of D. M. Gay, "Hooking your solver to AMPL" (1997) and "Writing .nl files" (2005).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .full_space import FullSpace, Rows
from .model import NUMBER, VARIABLE, Linear, Model
from .records import entries_of
from .simplify import Entries, Sums, by_level, expand, merged, simplify
from .tokens import Tokens, Tree, tree

__all__ = ["Layout", "layout"]

Array = np.ndarray


@dataclass
class Layout:
    """A model, and which variable and which constraint of the problem in full space each of its own is."""

    model: Model
    variables: Array
    constraints: Array


def layout(space: FullSpace, name: str, maximize: bool, objective: str) -> Layout:
    """The content of the file of a problem in full space."""
    g = space.scalars.graph()
    con_ids = np.concatenate([np.zeros(0, np.int64), *space.constraints.ids])
    n_con, n_var = con_ids.size, space.scalars.n_variables
    sums = simplify(g, np.append(con_ids, space.objective))
    t = tree(g, sums)
    nonlinear = t.root >= 0
    nonlinear[nonlinear] = t.code[t.root[nonlinear]] != NUMBER
    con_order = np.argsort(~nonlinear[:n_con], kind="stable")
    con_place = _inverse(con_order)
    defined, use, kinds = _defined_order(t, g.level[sums.defined], con_place)
    t.index[t.reference[defined]] = n_var + np.arange(defined.size)
    root_order = np.append(con_order, n_con)  # the constraints, then the objective
    tokens = t.tokens(np.concatenate([t.root[root_order], t.definition[defined]]))
    linear, defined_linear = _linear_parts(t, sums, defined, con_place)
    mentioned = _mentioned(tokens, defined_linear, g.level[sums.defined[defined]], n_con + 1, n_var)
    var_order, counts = _variable_order(mentioned, n_con, n_var)
    place = _inverse(var_order)
    real = (tokens.code == VARIABLE) & (tokens.index < n_var)
    tokens.index[real] = place[tokens.index[real]]
    sparsity = mentioned[0], mentioned[1], np.zeros(mentioned[0].size)
    rows = merged([_placed(linear, place), _placed(sparsity, place)], n_var)
    model = _model(space, var_order, con_order, tokens, defined.size)
    model.name, model.obj_names, model.obj_maximize = name, [objective], np.array([maximize])
    model.con_linear, model.obj_linear = _compressed(rows, 0, n_con), _compressed(rows, n_con, n_con + 1)
    model.defined_linear = _compressed(merged([_placed(defined_linear, place)], n_var), 0, defined.size)
    model.defined_use, model.n_defined_kinds, model.piecewise = use, kinds, g.piecewise
    model.n_nonlinear_con, model.n_nonlinear_obj = int(np.count_nonzero(nonlinear[:n_con])), int(nonlinear[n_con])
    model.nonlinear_vars = counts
    return Layout(model, var_order, con_order)


def _model(space: FullSpace, var_order: Array, con_order: Array, tokens: Tokens, n_defined: int) -> Model:
    """Bounds, start values, names and expressions, in the order of the file."""
    var, con = _columns(space.variables, var_order), _columns(space.constraints, con_order)
    expressions = np.stack([tokens.bounds[:-1], tokens.bounds[1:]], axis=1)
    n_var, n_con = var_order.size, con_order.size
    return Model(
        name="",
        n_var=n_var,
        n_con=n_con,
        n_obj=1,
        n_defined=n_defined,
        var_lower=var[0],
        var_upper=var[1],
        con_lower=con[0],
        con_upper=con[1],
        x0=var[2],
        x0_given=var[3],
        dual0=con[2],
        dual0_given=con[3],
        con_linear=Linear.empty(n_con),
        obj_linear=Linear.empty(1),
        defined_linear=Linear.empty(n_defined),
        code=tokens.code,
        value=tokens.value,
        index=tokens.index,
        place=np.zeros(tokens.code.size, np.int64),
        con_expr=expressions[:n_con],
        obj_expr=expressions[n_con : n_con + 1],
        defined_expr=expressions[n_con + 1 :],
        logical_expr=np.zeros((0, 2), np.int64),
        defined_order=np.arange(n_defined),
        defined_use=np.zeros(n_defined, np.int64),
        obj_maximize=np.zeros(1, bool),
        integer=np.zeros(n_var, bool),
        var_names=[space.variables.names[i] for i in var_order.tolist()],
        con_names=[space.constraints.names[i] for i in con_order.tolist()],
    )


def _columns(rows: Rows, order: Array) -> list[Array]:
    """Lower and upper bounds, start values, and whether those are given, in another order."""
    lower, upper, start = (np.concatenate([np.zeros(0), *c])[order] for c in (rows.lower, rows.upper, rows.start))
    return [lower, upper, np.nan_to_num(start), ~np.isnan(start)]


def _inverse(order: Array) -> Array:
    place = np.empty(order.size, np.int64)
    place[order] = np.arange(order.size)
    return place


def _placed(entries: Entries, place: Array) -> Entries:
    return entries[0], place[entries[1]], entries[2]


def _compressed(entries: Entries, first: int, end: int) -> Linear:
    """Rows first … end − 1 of sorted entries."""
    a, b = np.searchsorted(entries[0], [first, end])
    start = np.concatenate([[0], np.cumsum(np.bincount(entries[0][a:b] - first, minlength=end - first))])
    return Linear(start.astype(np.int64), entries[1][a:b], entries[2][a:b])


def _linear_parts(t: Tree, sums: Sums, defined: Array, con_place: Array) -> tuple[Entries, Entries]:
    """The linear parts of constraints and objective, in the order of the file; those of the defined variables."""
    n_roots = sums.roots.size
    place = np.full(sums.owner.size, -1)
    place[:n_roots] = np.append(con_place, con_place.size)
    rows = sums.row_of[sums.defined[defined]]
    place[rows[rows >= 0]] = n_roots + np.flatnonzero(rows >= 0)
    row, var, coef = place[t.linear[0]], t.linear[1], t.linear[2]
    top, inner = (row >= 0) & (row < n_roots), row >= n_roots
    return (row[top], var[top], coef[top]), (row[inner] - n_roots, var[inner], coef[inner])


def _users(t: Tree) -> tuple[Array, Array]:
    """The first and the last root that uses each defined variable; -1 as the last where none does."""
    first, last = np.full(t.code.size, t.root.size), np.full(t.code.size, -1)
    roots = np.flatnonzero(t.root >= 0)
    np.minimum.at(first, t.root[roots], roots)
    np.maximum.at(last, t.root[roots], roots)
    parent = np.concatenate([np.repeat(np.arange(t.code.size), np.diff(t.start)), t.reference])
    child = np.concatenate([t.children, t.definition])[np.argsort(parent, kind="stable")]
    start = np.concatenate([[0], np.cumsum(np.bincount(parent, minlength=t.code.size))])
    for nodes in by_level(t.level, np.flatnonzero(np.diff(start) > 0), descending=True):
        nodes = nodes[last[nodes] >= 0]
        at, _, count = entries_of(start, nodes)
        user = np.repeat(nodes, count)
        np.minimum.at(first, child[at], first[user])
        np.maximum.at(last, child[at], last[user])
    return first[t.reference], last[t.reference]


def _defined_order(t: Tree, level: Array, con_place: Array) -> tuple[Array, Array, tuple[int, int, int, int, int]]:
    """The defined variables that are used, in the order of the file; their only users (0: shared); and how many are of
    each kind: of objective and constraints, of constraints, of objectives, of one constraint, of one objective."""
    n_con = con_place.size
    first, last = _users(t)
    kind = np.where(first == last, np.where(last == n_con, 4, 3), np.where(last == n_con, 0, 1))
    user = np.append(con_place, n_con)[np.where(first == last, last, n_con)]
    used = np.flatnonzero(last >= 0)
    order = used[np.lexsort((level[used], np.where(kind == 3, user, 0)[used], kind[used]))]
    use = np.where(kind >= 3, 1 + user, 0)[order]
    comb, comc, como, comc1, como1 = np.bincount(kind[used], minlength=5).tolist()
    return order, use, (comb, comc, como, comc1, como1)


def _mentioned(tokens: Tokens, defined_linear: Entries, level: Array, n_roots: int, n_var: int) -> Entries:
    """The pairs (root, variable) where a variable is in the nonlinear part, directly or through defined variables."""
    at = np.flatnonzero(tokens.code == VARIABLE)
    expression, node = tokens.expression[at], tokens.index[at]
    inner = expression >= n_roots
    owner = np.concatenate([expression[inner] - n_roots, defined_linear[0]])
    entry = np.concatenate([node[inner], defined_linear[1]])
    owner, entry, _ = merged([(owner, entry, np.ones(owner.size))], n_var + level.size)
    count = np.concatenate([np.zeros(n_var, np.int64), np.bincount(owner, minlength=level.size)])
    start = np.concatenate([[0], np.cumsum(count)])
    is_open = np.arange(n_var + level.size) >= n_var
    levels = np.concatenate([np.zeros(n_var, np.int64), level])
    ones = np.ones(at.size)
    top = expression[~inner], node[~inner], ones[~inner]
    return expand(top, is_open, levels, start, entry, np.ones(entry.size))


def _variable_order(mentioned: Entries, n_con: int, n_var: int) -> tuple[Array, tuple[int, int, int]]:
    """Variables that are nonlinear in constraints and objective, in constraints, in the objective; then the others.

    Also (nlvc, nlvo, nlvb): those nonlinear in constraints; in objectives, and all before the last of them; in both.
    """
    in_con, in_obj = np.zeros(n_var, bool), np.zeros(n_var, bool)
    in_obj[mentioned[1][mentioned[0] == n_con]] = True
    in_con[mentioned[1][mentioned[0] < n_con]] = True
    block = np.where(in_con, np.where(in_obj, 0, 1), np.where(in_obj, 2, 3))
    both, con, obj, _ = np.bincount(block, minlength=4).tolist()
    return np.argsort(block, kind="stable"), (both + con, both + con + obj if obj else both, both)
