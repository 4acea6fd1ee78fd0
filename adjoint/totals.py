"""Total derivatives at a verified state: gradients, Jacobians, products, Hessians.

All come from the two sweeps, :func:`~adjoint.lagrangian.multipliers` and :func:`~adjoint.lagrangian.tangents`.
A Hessian–vector product is a forward sweep, the product ∇²L·ż, and a second reverse sweep with that as its
cotangents: ``H ẋ = Zᵀ ∇²L Z ẋ`` with Z = dz/dx.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from .blocks import Cycle, Values, pack, stack_columns, stack_rows, to_dense
from .derivatives import vjp as expression_vjp
from .errors import DerivativeError
from .expr import Variable, constant
from .lagrangian import SecondOrder, multipliers, require_derivatives, tangents
from .linear import make_solver
from .plan import Plan
from .small import LARGEST
from .small_totals import small_program
from .solve import State
from .sparsity import DENSE_SIZE, TooDenseError, flat_values, jacobian_map
from .walk import variables_of

__all__ = ["all_multipliers", "gradient", "hessian", "hvp", "jacobian", "jvp", "remember", "repeated", "vjp"]


def all_multipliers(state: State, seeds: Values) -> dict[str, Any]:
    """Every multiplier by equation name, and the gradient by input name; zeros where nothing depends."""
    require_derivatives(state)
    lam, cot = multipliers(state, seeds)
    out = _by_name(state, lam)
    for v in state.plan.inputs:
        out[v.name] = cot[v] if v in cot else np.zeros(v.shape)[()]
    defined(state, "the multiplier of", out.items())
    return out


def _by_name(state: State, lam: Values) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for block in state.plan.blocks:
        keys = block.keys if isinstance(block, Cycle) else block.variables
        for e, key in zip(block.equations, keys, strict=True):
            out[e.name] = lam[key] if key in lam else np.zeros(e.shape)[()]
    return out


def gradient(state: State, seeds: Values, wrt: Sequence[Variable]) -> list[Any]:
    """Σ seeds·d(variable)/d(input) for each input: one reverse sweep."""
    require_derivatives(state)
    reach = state.plan.reach(frozenset(wrt))
    _, cot = multipliers(state, seeds, reach)
    parts = [cot[v] if v in cot else np.zeros(v.shape)[()] for v in wrt]
    defined(state, "the derivative with respect to", ((v.name, p) for v, p in zip(wrt, parts, strict=True)))
    return parts


vjp = gradient


def undefined(state: State, what: str) -> DerivativeError:
    """A derivative that is nan: name the equations whose own derivatives are not finite at this point."""
    found = []
    for e, inside in state.plan.analysis.incidence.items():
        parts = expression_vjp([e.expr], [constant(np.ones(e.shape))], e.variables)
        inputs = variables_of(parts)
        with np.errstate(all="ignore"):
            values = state.plan.backend.compile(inputs, parts)(*[state.values[v] for v in inputs])
        if inside and not all(np.isfinite(p).all() for p in values):
            found.append(e.name)
    where = f"the derivative of equation {', '.join(map(repr, found[:6]))}" if found else "a derivative on the way"
    return DerivativeError(
        f"{what} is nan: it is not defined here, as {where} is not finite at this point (sqrt or a power at 0, or a "
        "black box that gives nan), and meets a zero"
    )


def defined(state: State, what: str, parts: Any) -> None:
    """Refuse derivatives that are nan (of the form 0/0 or inf·0); infinite ones may be given."""
    for name, part in parts:
        data = part.data if sp.issparse(part) else part
        if np.isnan(data).any():
            raise undefined(state, f"{what} {name!r}")


def jvp(state: State, directions: Values, of: Sequence[Variable] | None = None) -> Values:
    """Tangents of variables, by default all (zeros where nothing depends on the directions)."""
    require_derivatives(state)
    out = tangents(state, directions)
    wanted = state.values if of is None else of
    defined(state, "the tangent of", ((v.name, out[v]) for v in wanted if v in out))
    return {v: out[v] if v in out else np.zeros(v.shape)[()] for v in wanted}


def _second_order(state: State, names: frozenset[str]) -> SecondOrder:
    key = ("second", names)
    if key not in state.plan.functions:
        state.plan.functions[key] = SecondOrder(state.plan, names)
    return state.plan.functions[key]


def _lagrangian_parts(state: State, seeds: Values) -> tuple[SecondOrder, dict[str, Any]]:
    lam, _ = multipliers(state, seeds)
    named: dict[str, Any] = {}
    for block in state.plan.blocks:
        keys = block.keys if isinstance(block, Cycle) else block.variables
        named.update({e.name: lam[k] for e, k in zip(block.equations, keys, strict=True) if k in lam})
    return _second_order(state, frozenset(named)), named


def hvp(state: State, seeds: Values, directions: Values, wrt: Sequence[Variable]) -> list[Any]:
    """H·directions: second-order adjoint."""
    require_derivatives(state)
    second, lam = _lagrangian_parts(state, seeds)
    tan = tangents(state, directions)
    with np.errstate(all="ignore"):
        cot = second.product(state.values, lam, tan)
    _, out = multipliers(state, cot, state.plan.reach(frozenset(wrt)))
    parts = [out[v] if v in out else np.zeros(v.shape)[()] for v in wrt]
    defined(state, "the second derivative by", ((v.name, p) for v, p in zip(wrt, parts, strict=True)))
    return parts


def _eye(n: int, form: str) -> Any:
    return np.eye(n) if n * n <= DENSE_SIZE else sp.eye_array(n, format=form)


def _zeros(rows: int, columns: int) -> Any:
    return np.zeros((rows, columns)) if rows * columns <= DENSE_SIZE else sp.csr_array((rows, columns))


def _identity(wrt: Sequence[Variable]) -> Values:
    """Unit directions for all elements of wrt, as sparse columns."""
    n = sum(v.size for v in wrt)
    eye = _eye(n, "csr")
    out, at = {}, 0
    for v in wrt:
        out[v] = eye[at : at + v.size]
        at += v.size
    return out


def hessian(state: State, seeds: Values, wrt: Sequence[Variable]) -> Any:
    """∂²/∂wrt² of the weighted sum of variables, as one matrix over all elements of wrt (dense or sparse)."""
    require_derivatives(state)
    n = sum(v.size for v in wrt)
    second, lam = _lagrangian_parts(state, seeds)
    try:
        leaves, matrix = second.matrix(state.values, lam)
    except TooDenseError:
        return _hessian_by_products(state, seeds, wrt, n)
    if not leaves:
        return sp.csr_array((n, n))
    columns = tangents(state, _identity(wrt), many=True)
    z = stack_rows([columns[v] if v in columns else _zeros(v.size, n) for v in leaves])
    with np.errstate(all="ignore"):
        out = z.T @ (matrix @ z)
    defined(state, "the Hessian by", [(", ".join(v.name for v in wrt), out)])
    return 0.5 * (out + out.T)


def _hessian_by_products(state: State, seeds: Values, wrt: Sequence[Variable], n: int) -> np.ndarray:
    rows = []
    for v in wrt:
        for k in range(v.size):
            unit = np.zeros(v.size)
            unit[k] = 1.0
            parts = hvp(state, seeds, {v: unit.reshape(v.shape)[()]}, wrt)
            rows.append(np.concatenate([np.reshape(p, -1) for p in parts]))
    out = np.stack(rows) if rows else np.zeros((n, n))
    return 0.5 * (out + out.T)


def jacobian(state: State, of: Sequence[Variable], wrt: Sequence[Variable], mode: str = "auto") -> Any:
    """d(of)/d(wrt) as one matrix, rows by element of ``of``, columns by element of ``wrt`` (dense or sparse)."""
    require_derivatives(state)
    matrix = _jacobian(state, of, wrt, mode)
    if np.isnan(matrix.data if sp.issparse(matrix) else matrix).any():
        for v in of:  # the rows one by one: the gradient says which are not defined, and why
            for k in range(v.size):
                unit = np.zeros(v.size)
                unit[k] = 1.0
                gradient(state, {v: unit.reshape(v.shape)[()]}, wrt)
        matrix = _jacobian(state, of, wrt, "forward")
    return matrix


def _jacobian(state: State, of: Sequence[Variable], wrt: Sequence[Variable], mode: str) -> Any:
    n_out, n_in = sum(v.size for v in of), sum(v.size for v in wrt)
    if mode == "auto" and state.at_once:
        found = _at_once(state, of, wrt)
        if found is not None:
            return found
    if mode == "auto" and n_out > 1:
        small = SmallTotals.of(state.plan, tuple(of))
        if small is not None:
            return small.jacobian(state, of, wrt)
    if mode == "auto":
        mode = _cheaper(state, of, wrt, n_out, n_in)
    if mode == "forward":
        columns = tangents(state, _identity(wrt), many=True)
        return stack_rows([columns[v] if v in columns else _zeros(v.size, n_in) for v in of])
    if n_out == 1 and all(not v.shape for v in of):
        parts = gradient(state, {of[0]: np.float64(1.0)}, wrt)
        return np.concatenate([np.reshape(p, (1, -1)) for p in parts], axis=1)
    seeds: Values = {}
    at = 0
    eye = _eye(n_out, "csc")
    for v in of:
        block = eye[:, at : at + v.size]
        seeds[v] = seeds[v] + block if v in seeds else block
        at += v.size
    seeds = {v: s.tocsr() if sp.issparse(s) else s for v, s in seeds.items()}
    _, cot = multipliers(state, seeds, state.plan.reach(frozenset(wrt)), many=True)
    return stack_columns([cot[v] if v in cot else _zeros(n_out, v.size) for v in wrt])


def _at_once(state: State, of: Sequence[Variable], wrt: Sequence[Variable]) -> np.ndarray | None:
    """The Jacobian of a small program that was solved at once."""
    program = small_program(state.plan, tuple(of), tuple(wrt))
    found = None if program is None else _derivatives(state, program)
    return None if found is None else found.reshape(sum(v.size for v in of), sum(v.size for v in wrt))


def _derivatives(state: State, program: Any) -> np.ndarray | None:
    """The total derivatives of a program, flat: from the solve, or made now; the next solve makes them at once."""
    known, quick = state.derivatives, state.plan.quick
    if known is not None and known[0] is program:
        return known[1]  # type: ignore[no-any-return]
    found = program.solve(quick.known(state.values), pack(quick.unknowns, state.values))
    if found is None:
        return None
    quick.wanted, state.derivatives = program, (program, found[1])
    return found[1]  # type: ignore[no-any-return]


def repeated(state: State, words: Any) -> Any:
    """Derivatives of scalars that were asked for in the same words before, by their labels (one number, if there are
    none); None where that is not so, or where one call cannot give them. (``remember`` notes the words.)"""
    if not state.at_once:
        return None
    try:
        record = state.plan.functions.get(words)
    except TypeError:  # not names
        return None
    found = None if record is None else _derivatives(state, record[0])
    if record is None or found is None:
        return None
    values = found.tolist()
    return values[0] if record[1] is None else dict(zip(record[1], values, strict=True))


def remember(state: State, words: Any, of: Sequence[Variable], wrt: Sequence[Variable], labels: Any) -> None:
    """Note in which words derivatives were asked for, where one call can give them; and the labels of the results."""
    if state.at_once and not any(v.shape for v in (*of, *wrt)):
        program = small_program(state.plan, tuple(of), tuple(wrt))
        if program is not None and (labels is None or len(set(labels)) == len(of) * len(wrt)):
            state.plan.functions[words] = program, labels


class SmallTotals:
    """Total derivatives of a small program at once: ``∂g/∂z dz/dx = −∂g/∂x`` over the equations that matter.

    One compiled call for all local derivatives and one dense factorization; sweeps would cost more in overhead.
    """

    def __init__(self, plan: Plan, blocks: Sequence[Any]) -> None:
        equations = [e for block in blocks for e in block.equations]
        unknowns = [v for block in blocks for v in block.unknowns]
        self.size = sum(v.size for v in unknowns)
        leaves = [*unknowns, *plan.inputs]
        self.map = jacobian_map([e.residual for e in equations], leaves)
        entries = flat_values(self.map)
        self.inputs = variables_of(entries)
        self.function = plan.backend.compile(self.inputs, [entries])
        self.solver = make_solver(self.size)
        start, self.place = 0, {}
        for v in leaves:
            self.place[v] = range(start, start + v.size)
            start += v.size

    @classmethod
    def of(cls, plan: Plan, targets: tuple[Variable, ...]) -> SmallTotals | None:
        """That of some targets; None where the program is too large."""
        key = ("small", targets)
        if key not in plan.functions:
            sizes = sum(b.size for b in plan.blocks), sum(v.size for v in plan.inputs)
            found = None
            if 0 < sizes[0] <= LARGEST and 0 < sizes[1] <= LARGEST:
                needed = plan.ancestors(targets)
                blocks = [b for b in plan.analysis.blocks if any(v in needed for v in b.unknowns)]
                found = cls(plan, blocks) if blocks else None
            plan.functions[key] = found
        return plan.functions[key]

    def jacobian(self, state: State, of: Sequence[Variable], wrt: Sequence[Variable]) -> np.ndarray:
        """d(of)/d(wrt), dense."""
        n = self.size
        with np.errstate(all="ignore"):
            local = self.map.dense(self.function(*[state.values[v] for v in self.inputs])[0])
        factor = self.solver.factor(local[:, :n])
        columns = [j for v in wrt for j in self.place[v]]
        # One by one: LAPACK starts threads for several right-hand sides, which costs a hundred such solves.
        total = np.zeros((len(columns), local.shape[1]))
        for row, j, right in zip(total, columns, -local.T[columns], strict=True):
            row[:n] = factor.solve(right)
            row[j] = 1.0
        return total.T[[i for v in of for i in self.place[v]]]


def _cheaper(state: State, of: Sequence[Variable], wrt: Sequence[Variable], n_out: int, n_in: int) -> str:
    """Reverse costs a sweep per output element, forward one per input element; sparse maps make both sparse."""
    if n_out == 1:
        return "reverse"
    if not state.plan.cycles:
        return "forward"
    return "forward" if n_in <= n_out else "reverse"


def as_dense(x: Any) -> np.ndarray:
    """A matrix as an array."""
    return np.asarray(to_dense(x))
