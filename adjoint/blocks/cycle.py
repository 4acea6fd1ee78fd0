"""A cycle: equations that need each other, solved together, differentiated by the implicit function theorem."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..analysis import BlockInfo, raise_structure
from ..assembly import data_of
from ..backends import Backend
from ..equations import Equations
from ..expr import Expr, Variable
from ..linear import SingularMatrix, make_solver, refined_solve, with_data
from ..patterns import flat
from ..rebuild import substitute
from ..sparsity import SparseMap, TooDenseError, flat_values, jacobian_map
from ..structure import Incidence, block_triangular_form, maximum_matching
from ..walk import variables_of
from .products import PackedProducts, Products
from .run import MANY, TOTAL_BUDGET
from .values import Matrices, Values, add_columns, column, pack, stack_rows, to_dense, unpack, unstack
from .vectors import Vectors, packs_of

__all__ = ["Cycle", "Linearization"]

SMALL = 100  # unknowns up to which connected components are found without SciPy


class Linearization:
    """∂g/∂u of a cycle at its solution, and one factorization for everything that needs it.

    The factorization may be that of the last iterate: it is then used with iterative refinement, and made anew
    only where refinement does not reach rounding level.
    """

    def __init__(self, solver: Any, matrix: Any, factor: Any, dense: bool, exact: bool = False) -> None:
        self.solver, self.matrix, self.factor, self.dense = solver, matrix, factor, dense
        self.exact = exact and factor is not None
        self.singular = ""

    def solve(self, b: np.ndarray, transpose: bool = False) -> np.ndarray:
        """A⁻¹ b or A⁻ᵀ b; b has one column per right-hand side."""
        if not b.size:
            return b
        if not self.exact and (self.dense or self.factor is None or (b.ndim == 2 and b.shape[1] > 8)):
            self._refactor()
        if self.dense:
            return self.factor.solve(b, transpose)
        x, converged = refined_solve(self.matrix, b, self.factor, transpose)
        if not converged and not self.exact:
            self._refactor()
            x, converged = refined_solve(self.matrix, b, self.factor, transpose)
        if not converged:
            raise SingularMatrix("its linear system cannot be solved to working precision")
        return x

    def _refactor(self) -> None:
        self.factor, self.exact = self.solver.factor(self.matrix), True


class Cycle:
    """Equations that need each other: solved together, differentiated by the implicit function theorem.

    Many scalar equations of few patterns are one vector expression in the vector of unknowns (``patterns``).
    """

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
        self._functions: dict[Any, Any] = {}
        self._needs: dict[Any, frozenset[Variable]] = {}
        self._last: tuple[np.ndarray, Any] | None = None

    # -- compiled on demand
    @cached_property
    def _batched(self) -> tuple[Vectors, Expr, Variable] | None:
        """The residuals as one expression in vectors of the unknowns and of scalar params; None if it does not pay."""
        if sum(not e.shape for e in self.residuals) < MANY:
            return None
        scalars = [v for v in self.params if not v.shape]
        unknowns = Variable(f"unknowns of {self.name}", (self.size,))
        given = Variable(f"params of {self.name}", (len(scalars),))
        vector = flat(self.residuals, packs={**packs_of(unknowns, self.variables), **packs_of(given, scalars)})
        if vector is None:
            return None
        residual = Variable(f"residuals of {self.name}", vector.shape)
        return Vectors({unknowns: self.variables, given: scalars, residual: self.keys}), vector, unknowns

    @property
    def _outputs(self) -> tuple[Expr, ...]:
        return tuple(self.residuals) if self._batched is None else (self._batched[1],)

    @cached_property
    def products(self) -> Products | PackedProducts:
        """Jacobian products by unknown, param and key."""
        if self._batched is None:
            return Products(self.backend, list(zip(self.keys, self.residuals, strict=True)), chained=False)
        vectors, vector, _ = self._batched
        return PackedProducts(self.backend, vectors, vectors.inside[self.keys[0]], vector)

    def _compile(
        self, key: str, outputs: Callable[[], Any], complex_values: bool = False, packed: bool = True
    ) -> Callable[..., Any]:
        slot = (key, complex_values)
        if slot not in self._functions:
            if packed and self._batched is not None:
                self._functions[slot] = self._compile_packed(outputs(), complex_values)
            else:
                inputs: list[Any] = [tuple(self.variables), *self.params]
                self._functions[slot] = self.backend.compile(inputs, outputs(), None, complex_values)
        return self._functions[slot]

    def _compile_packed(self, outputs: Any, complex_values: bool) -> Callable[..., Any]:
        """A function of the same arguments, of a vector of the unknowns and one of the scalar params."""
        vectors, _, unknowns = self._batched  # type: ignore[misc]
        scalars = [k for k, v in enumerate(self.params) if not v.shape]
        arrays = [k for k, v in enumerate(self.params) if v.shape]
        inputs: list[Any] = [unknowns, *(self.params[k] for k in arrays)]
        if not scalars:
            return self.backend.compile(inputs, outputs, None, complex_values)
        given = vectors.inside[self.params[scalars[0]]]
        function = self.backend.compile([*inputs, given], outputs, None, complex_values)

        def packed(u: np.ndarray, *params: Any) -> tuple[Any, ...]:
            return function(u, *[params[k] for k in arrays], np.array([params[k] for k in scalars]))

        packed.summary = getattr(function, "summary", None)  # type: ignore[attr-defined]
        return packed

    def residual(self, complex_values: bool = False) -> Callable[..., Any]:
        """g(u, p), flat."""
        return self._compile("residual", lambda: [self._outputs], complex_values)

    @property
    def jacobian(self) -> SparseMap:
        """Pattern and entries of ∂g/∂u."""
        if "map" not in self._functions:
            unknowns = self.variables if self._batched is None else [self._batched[2]]
            self._functions["map"] = jacobian_map(self._outputs, unknowns)
        return self._functions["map"]

    def fused(self) -> Callable[..., Any]:
        """(g, what :meth:`matrix` makes ∂g/∂u of) in one call: its entries, or all data of a sparse matrix."""
        if self.dense:
            return self._compile("fused", lambda: [self._outputs, flat_values(self.jacobian)])
        return self._compile("fused", lambda: [self._outputs, data_of(self.jacobian)])

    def function(self) -> Callable[..., Any]:
        """The compiled function that the cycle is solved by: :meth:`fused`."""
        return self.fused()

    @property
    def solver(self) -> Any:
        """The linear solver of ∂g/∂u, chosen by its pattern."""
        if "solver" not in self._functions:
            self._require_structure()
            pattern = self.jacobian.wrap(np.ones(self.jacobian.nnz))
            self._functions["solver"] = make_solver(pattern, self.linear_solver, _block_form)
        return self._functions["solver"]

    def _require_structure(self) -> None:
        """Every element of the unknowns must be determined, not only every name (StructureError)."""
        pattern = self.jacobian
        if int(np.count_nonzero(pattern.indices == pattern.columns)) == self.size:
            return  # element i of the equations holds element i of the unknowns
        graph = Incidence.from_coo(pattern.indices.astype(np.int64), pattern.columns, pattern.shape)
        matching = maximum_matching(graph)
        if not matching.is_perfect:
            raise_structure(graph, matching, self.equations, self.variables)

    def factor(self, matrix: Any) -> Any:
        """Factors of ∂g/∂u; those made last, where the entries are the same (linear equations, a repeated solve)."""
        if self.dense:
            return self.solver.factor(matrix)
        known = self._last
        if known is not None and np.array_equal(known[0], matrix.data):
            return known[1]
        factors = self.solver.factor(matrix)
        self._last = matrix.data, factors
        return factors

    @property
    def dense(self) -> bool:
        """Whether ∂g/∂u is kept as a dense array."""
        if "dense" not in self._functions:
            self._functions["dense"] = self.solver.dense
        return self._functions["dense"]

    def matrix(self, entries: np.ndarray) -> Any:
        """∂g/∂u from what :meth:`fused` gives."""
        return self.jacobian.dense(entries) if self.dense else with_data(self._structure, entries)

    @cached_property
    def _structure(self) -> Any:
        """A sparse matrix of the pattern of ∂g/∂u."""
        return self.jacobian.wrap(np.zeros(self.jacobian.nnz))

    @property
    def is_linear(self) -> bool:
        """Whether ∂g/∂u does not depend on u: factors of any iterate are those of the solution."""
        if "linear" not in self._functions:
            inside = set(variables_of(flat_values(self.jacobian)))
            unknowns = self.variables if self._batched is None else [self._batched[2]]
            self._functions["linear"] = inside.isdisjoint(unknowns)
        return self._functions["linear"]

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

        return self._compile("sweep", outputs, packed=False)

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
            self._define_open(frozenset(open_), start, values)
        u, (lower, upper) = pack(self.variables, start), self.box()
        return u if lower is None else np.clip(u, lower, upper)

    def _define_open(self, open_: frozenset[Variable], start: Values, values: Values) -> None:
        """Start values of explicitly defined unknowns without a guess: their definitions, one after the other."""
        if "open" not in self._functions:
            newest: dict[Any, Expr] = {}
            for e in self.equations:
                if e.target in open_:
                    newest[e.target] = substitute([e.expr], newest)[0]
            inputs = variables_of(list(newest.values()))
            self._functions["open"] = list(newest), inputs, self.backend.compile(inputs, list(newest.values()))
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

    def pull(self, values: Values, cot: Values, wanted: frozenset[Variable] | None, linear: Linearization) -> Values:
        """Multipliers (∂g/∂u)ᵀ λ = ū, by equation key; cotangents −(∂g/∂p)ᵀ λ of the params are added to ``cot``."""
        right = np.concatenate([np.reshape(cot[v], -1) if v in cot else np.zeros(v.size) for v in self.variables])
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
        except TooDenseError:
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
        except TooDenseError:
            for i in range(count):
                one = self.products.pull(values, unpack(self.keys, lam[i], {}), frozenset(sources))[1]
                for v, part in one.items():
                    into = cot.setdefault(v, np.zeros((count, v.size)))
                    into[i] -= np.reshape(part, -1)

    def param_jacobian(self, values: Values, sources: tuple[Variable, ...]) -> Any:
        """∂g/∂p for some params; may raise TooDenseError."""
        if sources not in self._functions:
            vectors = Vectors({}) if self._batched is None else self._batched[0]
            inner, columns = vectors.columns(sources)
            map_ = jacobian_map(self._outputs, inner, budget=TOTAL_BUDGET)
            entries = flat_values(map_)
            inputs = variables_of(entries)
            self._functions[sources] = map_, self.backend.compile(inputs, [entries]), inputs, vectors, columns
        map_, function, inputs, vectors, columns = self._functions[sources]
        held = vectors.values(values)
        matrix = map_.compact(function(*[held[v] for v in inputs])[0])
        return matrix if columns is None else matrix[:, columns]


def _block_form(matrix: Any) -> Any:
    """The block triangular form of a matrix that is structurally regular."""
    graph = Incidence.from_sparse(matrix)
    return block_triangular_form(graph, maximum_matching(graph))


def _components(pattern: SparseMap) -> np.ndarray | None:
    """Bipartite connected components, where unknown i and equation i are always in the same one."""
    n = pattern.shape[0]
    if n <= SMALL:
        return _components_of_small(pattern, n)
    graph = sp.csc_array((np.ones(pattern.nnz, dtype=np.int8), pattern.indices, pattern.indptr), shape=pattern.shape)
    both = sp.csc_array((graph.data, (pattern.indices, pattern.columns + n)), shape=(2 * n, 2 * n))
    count, labels = sp.csgraph.connected_components(both, directed=False)
    if count == 1 or not np.array_equal(labels[:n], labels[n:]):
        return None
    return labels[:n]


def _components_of_small(pattern: SparseMap, n: int) -> np.ndarray | None:
    """The same in Python: a tenth of a second less than to import SciPy's graph routines."""
    label = list(range(2 * n))  # of an equation, of an unknown: a node of the same component, itself at the end
    for i, j in zip(pattern.indices.tolist(), pattern.columns.tolist(), strict=True):
        a, b = _end(label, i), _end(label, n + j)
        label[max(a, b)] = min(a, b)
    ends = [_end(label, k) for k in range(2 * n)]
    number = {end: k for k, end in enumerate(dict.fromkeys(ends))}
    labels = np.array([number[end] for end in ends], dtype=np.int32)
    return None if len(number) == 1 or not np.array_equal(labels[:n], labels[n:]) else labels[:n]


def _end(label: list[int], k: int) -> int:
    while label[k] != k:
        label[k] = label[label[k]]
        k = label[k]
    return k
