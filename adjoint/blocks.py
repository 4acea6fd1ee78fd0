"""The two kinds of block, each with its compiled functions: a run of explicit equations, and a cycle.

A block knows four things, all in terms of its own equations ``g(u, p) = 0`` (``u`` its unknowns, ``p`` the
variables it takes from outside; for explicit equations ``g = u − f(u, p)``):

- ``evaluate``: u from p, by evaluation (run) or by a nonlinear solver (cycle);
- ``push``: tangents, ``(∂g/∂u) u̇ = −(∂g/∂p) ṗ``;
- ``pull``: multipliers, ``(∂g/∂u)ᵀ λ = ū`` with ū the cotangents of u, then ``p̄ += −(∂g/∂p)ᵀ λ``.

For a run both systems are triangular, and the compiled functions are their substitution. For a cycle they are
solved with one factorization, shared by all right-hand sides. Functions are compiled when first needed, for
the equations that matter to the question asked, and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse import csgraph

from .analysis import BlockInfo
from .backends import Backend
from .derivatives import jvp, vjp
from .equations import Equation, Equations
from .expr import Constant, Expr, Variable, substitute, variables_of
from .linear import make_solver, refined_solve
from .primitives.indexing import broadcast_to
from .sparsity import SparseMap, TooDense, flat_values, jacobian_map

__all__ = ["Cycle", "Linearization", "Run", "pack", "unpack"]

Values = dict[Variable, Any]
Matrices = dict[Variable, Any]  # 2-D, dense or sparse: one column (tangents) or one row (cotangents) per direction
TOTAL_BUDGET = 5_000_000  # entries composed for a sparse map of derivatives, before products are used instead


def pack(variables: Sequence[Variable], values: Values) -> np.ndarray:
    """Values flattened and concatenated."""
    if all(not v.shape for v in variables):
        return np.array([values[v] for v in variables], dtype=None if variables else float)
    return np.concatenate([np.reshape(values[v], -1) for v in variables])


def unpack(variables: Sequence[Variable], vector: np.ndarray, into: Values) -> Values:
    """The parts of a flat vector, by variable; leading axes (many vectors) are kept."""
    at = 0
    for v in variables:
        if vector.ndim == 1:
            into[v] = vector[at] if not v.shape else vector[at : at + v.size].reshape(v.shape)
        else:
            into[v] = vector[:, at : at + v.size].reshape(-1, *v.shape)
        at += v.size
    return into


# -- many directions at once: stacks of 2-D parts, sparse where all are -----------------------------------------


def stack_rows(parts: Sequence[Any]) -> Any:
    """Parts one above the other."""
    if len(parts) == 1:
        return parts[0]
    if all(sp.issparse(p) for p in parts):
        return sp.vstack(parts, format="csr")
    return np.concatenate([to_dense(p) for p in parts])


def stack_columns(parts: Sequence[Any]) -> Any:
    """Parts side by side."""
    if len(parts) == 1:
        return parts[0]
    if all(sp.issparse(p) for p in parts):
        return sp.hstack(parts, format="csr")
    return np.concatenate([to_dense(p) for p in parts], axis=1)


def to_dense(x: Any) -> np.ndarray:
    """A 2-D part as an array."""
    return x.toarray() if sp.issparse(x) else x


def unstack(variables: Sequence[Variable], rows: Any, into: Matrices) -> None:
    """Rows handed out to variables."""
    at = 0
    for v in variables:
        into[v] = rows[at : at + v.size]
        at += v.size


def add_columns(cot: Matrices, variables: Sequence[Variable], columns: Any) -> None:
    """Columns handed out to variables and added."""
    at = 0
    for v in variables:
        part = columns[:, at : at + v.size]
        cot[v] = cot[v] + part if v in cot else part
        at += v.size


def column(x: Any, i: int, v: Variable) -> Any:
    """Column i of a 2-D part, in the shape of v."""
    return to_dense(x[:, [i]]).reshape(v.shape)[()]


def _each_direction(run: Run, values: Values, tangents: Matrices, sources: Sequence[Variable]) -> None:
    count = tangents[sources[0]].shape[1]
    results = [run.products.push(values, {v: column(tangents[v], i, v) for v in sources}) for i in range(count)]
    for v in results[0] if results else ():
        tangents[v] = np.stack([np.reshape(r[v], -1) for r in results], axis=1)


def _each_seed(
    run: Run, values: Values, cot: Matrices, targets: Sequence[Variable], wanted: frozenset[Variable] | None
) -> None:
    count = cot[targets[0]].shape[0]
    for i in range(count):
        seeds = {v: to_dense(cot[v][[i]]).reshape(v.shape)[()] for v in targets}
        for v, part in run.products.pull(values, seeds, wanted)[1].items():
            into = cot[v] = to_dense(cot[v]) if v in cot else np.zeros((count, v.size))
            into[i] += np.reshape(part, -1)


class Products:
    """Compiled jvp and vjp of some equations through their definitions, by which tangents or cotangents are there.

    The equations are explicit and ordered (a run), or independent residuals (a cycle, ``chained`` False).
    """

    def __init__(self, backend: Backend, equations: Sequence[tuple[Variable, Expr]], chained: bool) -> None:
        self.backend, self.equations, self.chained = backend, list(equations), chained
        self.leaves = {k: variables_of([e]) for k, e in self.equations}
        self.tangent: dict[Variable, Variable] = {}
        self.cotangent: dict[Variable, Variable] = {}
        self._push: dict[Any, Any] = {}
        self._pull: dict[Any, Any] = {}

    def _leaf(self, table: dict[Variable, Variable], v: Variable) -> Variable:
        if v not in table:
            table[v] = Variable(f"d({v.name})", v.shape)
        return table[v]

    def _compiled(self, outputs: dict[Variable, Expr], extra: dict[Variable, Variable]) -> Any:
        """A function of values and of the extra leaves: (f, value variables, extra variables, outputs)."""
        from_leaf = {leaf: v for v, leaf in extra.items()}
        needed = variables_of(list(outputs.values()))
        values = [v for v in needed if v not in from_leaf]
        leaves = [v for v in needed if v in from_leaf]
        function = self.backend.compile([*values, *leaves], list(outputs.values()))
        return function, values, [from_leaf[v] for v in leaves], list(outputs)

    def push(self, values: Values, tangents: Values) -> Values:
        """Tangents of the equations' variables from those of the others."""
        key = frozenset(tangents)
        record = self._push.get(key)
        if record is None:
            known: dict[Expr, Any] = {v: self._leaf(self.tangent, v) for v in tangents}
            outputs: dict[Variable, Expr] = {}
            for target, expr in self.equations:
                inside = {v: known[v] for v in self.leaves[target] if v in known}
                if inside:
                    outputs[target] = jvp([expr], inside)[0]
                    if self.chained:
                        known[target] = outputs[target]
            record = self._push[key] = self._compiled(outputs, self.tangent)
        function, inputs, seeds, names = record
        result = function(*[values[v] for v in inputs], *[tangents[v] for v in seeds])
        return dict(zip(names, result, strict=True))

    def pull(self, values: Values, cotangents: Values, wanted: frozenset[Variable] | None) -> tuple[Values, Values]:
        """(λ of the equations, cotangents of the variables outside); ``wanted`` None: of all of them."""
        key = (frozenset(cotangents), wanted)
        record = self._pull.get(key)
        if record is None:
            record = self._pull[key] = self._pulled(cotangents, wanted)
        (function, inputs, seeds, names), multipliers = record
        result = function(*[values[v] for v in inputs], *[cotangents[v] for v in seeds])
        lam: Values = {}
        out: Values = {}
        for (kind, v), r in zip(names, result, strict=True):
            (lam if kind else out)[v] = r
        return lam, out

    def _pulled(self, cotangents: Iterable[Variable], wanted: frozenset[Variable] | None) -> Any:
        """The reverse sweep λ_j = z̄_j + Σ_i λ_i ∂f_i/∂z_j, symbolically, over the equations that matter."""
        cot: dict[Variable, Expr] = {v: self._leaf(self.cotangent, v) for v in cotangents}
        own = {target for target, _ in self.equations}
        outputs: dict[Any, Expr] = {}
        for target, expr in reversed(self.equations):
            lam = cot.get(target) if self.chained else cot.pop(target, None)
            if lam is None:
                continue
            lam = broadcast_to(lam, target.shape)
            outputs[True, target] = lam
            inside = [v for v in self.leaves[target] if wanted is None or v in wanted]
            for v, part in zip(inside, vjp([expr], [lam], inside), strict=True):
                if not (isinstance(part, Constant) and not np.any(part.value)):
                    cot[v] = cot[v] + part if v in cot else part
        for v, expr in cot.items():
            if not (self.chained and v in own):
                outputs[False, v] = expr
        return self._compiled(outputs, self.cotangent), None


class Run:
    """Explicit equations in order: evaluated, differentiated by substitution."""

    kind = "explicit"

    def __init__(self, infos: Sequence[BlockInfo], backend: Backend) -> None:
        self.name = infos[0].name
        self.equations: list[Equation] = [e for info in infos for e in info.equations]
        self.variables: list[Variable] = [v for info in infos for v in info.unknowns]
        self.backend = backend
        self.definitions = {v: e.expr for v, e in zip(self.variables, self.equations, strict=True)}
        own = set(self.variables)
        self.params = [v for v in variables_of(list(self.definitions.values())) if v not in own]
        self.products = Products(backend, list(self.definitions.items()), chained=True)
        self._value: dict[bool, Callable[..., Any]] = {}
        self._totals: dict[Any, Any] = {}

    @property
    def size(self) -> int:
        return sum(v.size for v in self.variables)

    def evaluate(self, values: Values, complex_values: bool = False) -> None:
        """Write the variables of the run into ``values``."""
        function = self._value.get(complex_values)
        if function is None:
            function = self._value[complex_values] = self.backend.compile(
                self.params, list(self.definitions.values()), self.definitions, complex_values
            )
        values.update(zip(self.variables, function(*[values[v] for v in self.params]), strict=True))

    def push(self, values: Values, tangents: Values, linear: Any = None) -> None:
        """Add the tangents of the run's variables."""
        inside = {v: tangents[v] for v in self.params if v in tangents}
        if inside:
            tangents.update(self.products.push(values, inside))

    def pull(self, values: Values, cot: Values, wanted: frozenset[Variable] | None, linear: Any = None) -> Values:
        """Multipliers of the run's equations, by variable; cotangents of its params are added to ``cot``."""
        seeds = {v: cot[v] for v in self.variables if v in cot}
        lam, out = self.products.pull(values, seeds, wanted)
        for v, part in out.items():
            cot[v] = cot[v] + part if v in cot else part
        return lam

    def push_many(self, values: Values, tangents: Matrices, linear: Any = None) -> None:
        """The same for many directions: tangents[v] has one column per direction."""
        sources = tuple(v for v in self.params if v in tangents)
        if not sources:
            return
        try:
            total = self._total(values, tuple(self.variables), sources)
        except TooDense:
            _each_direction(self, values, tangents, sources)
            return
        unstack(self.variables, total @ stack_rows([tangents[v] for v in sources]), tangents)

    def pull_many(
        self, values: Values, cot: Matrices, wanted: frozenset[Variable] | None, linear: Any = None
    ) -> None:
        """The same for many right-hand sides: cot[v] has one row per right-hand side."""
        targets = tuple(v for v in self.variables if v in cot)
        sources = tuple(v for v in self.params if wanted is None or v in wanted)
        if not sources:
            return
        try:
            total = self._total(values, targets, sources)
        except TooDense:
            _each_seed(self, values, cot, targets, wanted)
            return
        add_columns(cot, sources, stack_columns([cot[v] for v in targets]) @ total)

    def _total(self, values: Values, targets: tuple[Variable, ...], sources: tuple[Variable, ...]) -> sp.csr_array:
        """d(targets)/d(sources) through the run, sparse; may raise TooDense."""
        record = self._totals.get((targets, sources))
        if record is None:
            map_ = jacobian_map(targets, sources, self.definitions, budget=TOTAL_BUDGET)
            entries = flat_values(map_)
            inputs = variables_of(entries)
            record = self._totals[targets, sources] = map_, self.backend.compile(inputs, [entries]), inputs
        map_, function, inputs = record
        return map_.matrix(function(*[values[v] for v in inputs])[0]).tocsr()


class Linearization:
    """∂g/∂u of a cycle at its solution, and one factorization for everything that needs it.

    The factorization may be that of the last iterate: it is then used with iterative refinement, and made anew
    only where refinement does not reach rounding level.
    """

    def __init__(self, solver: Any, matrix: Any, factor: Any, dense: bool) -> None:
        self.solver, self.matrix, self.factor, self.dense = solver, matrix, factor, dense
        self.exact = False
        self.singular = ""

    def solve(self, b: np.ndarray, transpose: bool = False) -> np.ndarray:
        """A⁻¹ b or A⁻ᵀ b; b has one column per right-hand side."""
        if not self.exact and (self.dense or self.factor is None or (b.ndim == 2 and b.shape[1] > 8)):
            self._refactor()
        if self.dense:
            return self.factor.solve(b, transpose)
        x, converged = refined_solve(self.matrix, b, self.factor, transpose)
        if not converged and not self.exact:
            self._refactor()
            x, converged = refined_solve(self.matrix, b, self.factor, transpose)
        return x

    def _refactor(self) -> None:
        self.factor, self.exact = self.solver.factor(self.matrix), True


class Cycle:
    """Equations that need each other: solved together, differentiated by the implicit function theorem."""

    kind = "cycle"

    def __init__(self, info: BlockInfo, model: Equations, backend: Backend, linear_solver: str = "auto") -> None:
        self.name = info.name
        self.equations = list(info.equations)
        self.variables = list(info.unknowns)
        self.backend, self.model = backend, model
        self.linear_solver = linear_solver
        self.size = info.size
        self.residuals = [e.residual for e in self.equations]
        own = set(self.variables)
        self.params = [v for v in variables_of(self.residuals) if v not in own]
        keys = [Variable(e.name, e.shape) for e in self.equations]
        self.keys = keys  # one leaf per equation: its residual in products, its multiplier in sweeps
        self.products = Products(backend, list(zip(keys, self.residuals, strict=True)), chained=False)
        self._functions: dict[Any, Any] = {}
        self._needs: dict[Any, frozenset[Variable]] = {}

    # -- compiled on demand
    def _compile(self, key: str, outputs: Callable[[], Any], complex_values: bool = False) -> Callable[..., Any]:
        slot = (key, complex_values)
        if slot not in self._functions:
            inputs = [tuple(self.variables), *self.params]
            self._functions[slot] = self.backend.compile(inputs, outputs(), None, complex_values)
        return self._functions[slot]

    def residual(self, complex_values: bool = False) -> Callable[..., Any]:
        """g(u, p), flat."""
        return self._compile("residual", lambda: [tuple(self.residuals)], complex_values)

    @property
    def jacobian(self) -> SparseMap:
        """Pattern and entries of ∂g/∂u."""
        if "map" not in self._functions:
            self._functions["map"] = jacobian_map(self.residuals, self.variables)
        return self._functions["map"]

    def fused(self) -> Callable[..., Any]:
        """(g, entries of ∂g/∂u) in one call."""
        return self._compile("fused", lambda: [tuple(self.residuals), flat_values(self.jacobian)])

    @property
    def solver(self) -> Any:
        """The linear solver of ∂g/∂u, chosen by its pattern."""
        if "solver" not in self._functions:
            pattern = self.jacobian.wrap(np.ones(self.jacobian.nnz))
            self._functions["solver"] = make_solver(pattern, self.linear_solver)
        return self._functions["solver"]

    @property
    def dense(self) -> bool:
        """Whether ∂g/∂u is kept as a dense array."""
        if "dense" not in self._functions:
            self._functions["dense"] = bool(getattr(self.solver, "dense", False))
        return self._functions["dense"]

    def matrix(self, entries: np.ndarray) -> Any:
        """∂g/∂u from its entries."""
        return self.jacobian.dense(entries) if self.dense else self.jacobian.matrix(entries)

    @property
    def components(self) -> np.ndarray | None:
        """Connected component of each unknown, where there are several and equations pair with unknowns."""
        if "components" not in self._functions:
            self._functions["components"] = _components(self.jacobian)
        return self._functions["components"]

    def gauss_seidel(self) -> Callable[..., Any] | None:
        """One sweep u_i ← f_i with the newest values; None where an equation is implicit."""
        if any(e.target is None for e in self.equations):
            return None

        def outputs() -> Any:
            newest: dict[Expr, Expr] = {}
            for e in self.equations:
                newest[e.target] = substitute([e.expr], newest)[0]  # type: ignore[index]
            return [tuple(newest[v] for v in self.variables)]

        return self._compile("sweep", outputs)

    # -- values
    def guess(self, values: Values) -> np.ndarray:
        """Where the search starts: guesses, definitions at the guesses where none was given, inside the bounds."""
        start: Values = {}
        open_ = []
        for v in self.variables:
            if v in self.model.guesses:
                start[v] = self.model.guesses[v]
            else:
                start[v] = np.ones(v.shape)[()] if v.shape else 1.0
                open_.append(v)
        if open_ and len(open_) < len(self.variables):
            by_target = {e.target: e for e in self.equations if e.target in set(open_)}
            if by_target:
                self._define_open(by_target, start, values)
        return np.clip(pack(self.variables, start), *self.box()) if self.box()[0] is not None else pack(
            self.variables, start
        )

    def _define_open(self, by_target: Any, start: Values, values: Values) -> None:
        if "open" not in self._functions:
            targets = list(by_target)
            newest: dict[Expr, Expr] = {}
            for v in targets:
                newest[v] = substitute([by_target[v].expr], newest)[0]
            inputs = [v for v in variables_of(list(newest.values()))]
            self._functions["open"] = targets, inputs, self.backend.compile(inputs, list(newest.values()))
        targets, inputs, function = self._functions["open"]
        for v, value in zip(targets, function(*[start.get(i, values.get(i)) for i in inputs]), strict=True):
            if np.all(np.isfinite(value)):
                start[v] = value

    def box(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Lower and upper bounds of u, or (None, None)."""
        if "box" not in self._functions:
            bounds = self.model.bounds
            if not any(v in bounds for v in self.variables):
                self._functions["box"] = None, None
            else:
                sides = []
                for side, default in ((0, -np.inf), (1, np.inf)):
                    parts = [bounds.get(v, (None, None))[side] for v in self.variables]
                    sides.append(
                        np.concatenate(
                            [
                                np.full(v.size, default) if b is None else np.reshape(b, -1)
                                for v, b in zip(self.variables, parts, strict=True)
                            ]
                        )
                    )
                self._functions["box"] = tuple(sides)
        return self._functions["box"]

    # -- derivatives
    def push(self, values: Values, tangents: Values, linear: Linearization) -> None:
        """Add the tangents of the unknowns: (∂g/∂u) u̇ = −(∂g/∂p) ṗ."""
        inside = {v: tangents[v] for v in self.params if v in tangents}
        if inside:
            unpack(self.variables, linear.solve(-self._pushed(values, inside)), tangents)

    def _pushed(self, values: Values, inside: Values) -> np.ndarray:
        """(∂g/∂p) ṗ, flat."""
        out = self.products.push(values, inside)
        return np.concatenate([np.reshape(out[k], -1) if k in out else np.zeros(k.size) for k in self.keys])

    def pull(
        self, values: Values, cot: Values, wanted: frozenset[Variable] | None, linear: Linearization
    ) -> Values:
        """Multipliers (∂g/∂u)ᵀ λ = ū, by equation key; cotangents −(∂g/∂p)ᵀ λ of the params are added to ``cot``."""
        right = np.concatenate(
            [np.reshape(cot[v], -1) if v in cot else np.zeros(v.size) for v in self.variables]
        )
        lam = unpack(self.keys, linear.solve(right, transpose=True), {})
        for v, part in self.products.pull(values, lam, self._outside(wanted))[1].items():
            cot[v] = cot[v] - part if v in cot else -part
        return lam

    def _outside(self, wanted: frozenset[Variable] | None) -> frozenset[Variable]:
        if wanted not in self._needs:
            params = frozenset(self.params)
            self._needs[wanted] = params if wanted is None else params & wanted
        return self._needs[wanted]

    def push_many(self, values: Values, tangents: Matrices, linear: Linearization) -> None:
        """The same for many directions: tangents[v] has one column per direction."""
        sources = tuple(v for v in self.params if v in tangents)
        if not sources:
            return
        try:
            right = self.param_jacobian(values, sources) @ stack_rows([tangents[v] for v in sources])
        except TooDense:
            count = tangents[sources[0]].shape[1]
            right = np.stack(
                [self._pushed(values, {v: column(tangents[v], i, v) for v in sources}) for i in range(count)], axis=1
            )
        unstack(self.variables, linear.solve(-to_dense(right)), tangents)

    def pull_many(
        self, values: Values, cot: Matrices, wanted: frozenset[Variable] | None, linear: Linearization
    ) -> None:
        """The same for many right-hand sides: cot[v] has one row per right-hand side."""
        count = next(cot[v].shape[0] for v in self.variables if v in cot)
        right = np.concatenate(
            [to_dense(cot[v]) if v in cot else np.zeros((count, v.size)) for v in self.variables], axis=1
        )
        lam = linear.solve(right.T, transpose=True).T
        sources = tuple(v for v in self.params if wanted is None or v in wanted)
        if not sources:
            return
        try:
            add_columns(cot, sources, -(lam @ self.param_jacobian(values, sources)))
        except TooDense:
            for i in range(count):
                one = self.products.pull(values, unpack(self.keys, lam[i], {}), frozenset(sources))[1]
                for v, part in one.items():
                    into = cot.setdefault(v, np.zeros((count, v.size)))
                    into[i] -= np.reshape(part, -1)

    def param_jacobian(self, values: Values, sources: tuple[Variable, ...]) -> sp.csr_array:
        """∂g/∂p for some params, sparse; may raise TooDense."""
        if sources not in self._functions:
            map_ = jacobian_map(self.residuals, sources, budget=TOTAL_BUDGET)
            entries = flat_values(map_)
            inputs = variables_of(entries)
            self._functions[sources] = map_, self.backend.compile(inputs, [entries]), inputs
        map_, function, inputs = self._functions[sources]
        return map_.matrix(function(*[values[v] for v in inputs])[0]).tocsr()


def _components(pattern: SparseMap) -> np.ndarray | None:
    """Bipartite connected components, where unknown i and equation i are always in the same one."""
    n = pattern.shape[0]
    graph = sp.csc_array((np.ones(pattern.nnz, dtype=np.int8), pattern.indices, pattern.indptr), shape=pattern.shape)
    both = sp.csc_array(
        (graph.data, (pattern.indices, pattern.columns + n)), shape=(2 * n, 2 * n)
    )
    count, labels = csgraph.connected_components(both, directed=False)
    if count == 1 or not np.array_equal(labels[:n], labels[n:]):
        return None
    return labels[:n]
