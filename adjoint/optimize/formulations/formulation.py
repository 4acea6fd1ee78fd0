"""A problem as a nonlinear program in the variables that the optimizer moves.

The equations that are kept become constraints ``z − f(z) = 0`` or ``g(z) = 0``, their unknowns variables. Objective,
residuals and constraints are the outputs of one function of the vector: one call gives all values, one all first
derivatives, one the Hessian of the Lagrangian. Where no cycle is left to solve these are compiled kernels with sparse
derivatives; else the cycles are solved at each point, and derivatives are totals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from ...blocks import Run, pack, unpack
from ...equations import unused_name
from ...errors import AdjointError, EvaluationError, ModelError
from ...explicit import compiled
from ...expr import Variable
from ...function import Function
from ...solve import input_values
from ...walk import topological
from .choose import Kept, chosen
from .kernels import Call, Kernels

__all__ = ["Formulation"]

Pattern = tuple[np.ndarray, np.ndarray]


class Formulation:
    """The nonlinear program (:class:`~adjoint.optimize.nlp.NonlinearProgram`) of a problem.

    A maximization is the minimization of ``−f``.

    Attributes
    ----------
    problem : Problem
    sign : float
        1, or −1 for a maximization.
    variables : list of Variable
        What the vector holds, in order: the variables of the problem, then the unknowns of equations that are kept.
    rows : list of (name, size)
        The constraint rows, in order: equations that are kept, then constraints.
    cache : dict
        For methods: what depends on the structure only, such as the order of a factorization.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("x", 2.0)
    >>> y = m.define("y", x**2)
    >>> f = m.define("f", (y - 1.0) ** 2 + x)
    >>> nlp = Formulation(adj.Problem(m, minimize="f", over={"x": (0, 9)}), "full")
    >>> nlp.names(), nlp.constraint_names(), nlp.constraints(np.array([2.0, 3.0])).tolist()
    (['x', 'y'], ['y'], [-1.0])
    """

    def __init__(self, problem: Any, formulation: str | Mapping[str, str] = "reduced") -> None:
        self.problem, self.formulation = problem, formulation
        self.sign = -1.0 if problem.maximize else 1.0
        self.kept: Kept = chosen(problem, formulation)
        self.cache: dict[str, Any] = {}
        self.variables: list[Variable] = [*problem.variables, *self.kept.unknowns]
        self._program, outputs = self._combined()
        self.rows = [(e.name, e.size) for e in self.kept.equations]
        self.rows += [(label, v.size) for label, v in problem.constrained.items()]
        self.n = sum(v.size for v in self.variables)
        self.m = sum(size for _, size in self.rows)
        self._outputs = outputs
        self._bounds()
        self._place({}, None)

    def __getstate__(self) -> dict[str, Any]:
        """Without what is compiled: it is made again."""
        return {**self.__dict__, "cache": {}, "_calls": {}, "_at": None, "_first": None}

    def _place(self, values: Mapping[str, Any], start: Any) -> None:
        """Where it is: values of inputs that are not moved, and the start."""
        self.values = dict(values)
        self._x0: np.ndarray | None
        names = [v.name for v in self.variables]
        self._function = Function(self._program, self._outputs, names, sparse=True, values=self.values or None)
        self._begin, self._x0 = start, None
        self._calls: dict[str, Call | None] = {}
        self._at: bytes | None = None  # the last point, its values and first derivatives
        self._values = np.zeros(0)
        self._first: np.ndarray | None = None

    def at(self, values: Mapping[str, Any] | None = None, start: Any = None) -> Formulation:
        """The same nonlinear program at other values of inputs that are not moved, from another start. What is compiled
        and analyzed is shared.

        >>> import adjoint as adj
        >>> m = adj.Program()
        >>> f = m.define("f", (m.input("x", 2.0) - m.input("p", 0.0)) ** 2)
        >>> nlp = Formulation(adj.Problem(m, minimize="f", over=["x"]))
        >>> nlp.objective(nlp.x0), nlp.at({"p": 5.0}).objective(nlp.x0)
        (4.0, 9.0)
        """
        other = object.__new__(type(self))  # not by copy, which leaves out what a pickle does
        other.__dict__.update(self.__dict__)
        moved = {v.name for v in self.problem.variables}
        for name in values or {}:
            if name in moved:
                raise ModelError(f"{name!r} is moved by the optimizer: its start value goes to start={{...}}")
        other._place(values or {}, start)
        return other

    @property
    def x0(self) -> np.ndarray:
        """The start; it may be outside of the bounds: methods move it."""
        if self._x0 is None:
            self._x0 = self._start(self._begin)
        return self._x0

    # -- the program of the outputs
    def _combined(self) -> tuple[Any, list[str]]:
        """The program of the outputs: objective, residuals of kept equations, constraints."""
        problem, kept = self.problem, self.kept
        program = problem.program
        if kept.equations:
            program = program.extended()
            for e in kept.equations:
                del program.equations[e.name]
        outputs = [problem.objective.name]
        for e in kept.equations:
            outputs.append(program.define(unused_name(program, f"residual of {e.name}"), e.residual).name)
        outputs += [v.name for v in problem.constrained.values()]
        return program, outputs

    def _bounds(self) -> None:
        lower: list[np.ndarray] = []
        upper: list[np.ndarray] = []
        for v in self.variables:
            own = self.problem.bounds.get(v) or self.problem.program.bounds.get(v, (None, None))
            for side, value, default in ((lower, own[0], -np.inf), (upper, own[1], np.inf)):
                side.append(np.broadcast_to(default if value is None else value, v.shape).reshape(-1))
        self.lower, self.upper = np.concatenate(lower), np.concatenate(upper)
        equalities = sum(e.size for e in self.kept.equations)
        constraints = self.problem.constraints.values()
        sides = [
            [np.broadcast_to(side, c.shape).reshape(-1) for side in pair]
            for c, pair in ((c, (c.lower, c.upper)) for c in constraints)
        ]
        zero = np.zeros(equalities)
        self.constraint_lower = np.concatenate([zero, *(low for low, _ in sides)])
        self.constraint_upper = np.concatenate([zero, *(high for _, high in sides)])

    def _start(self, start: Any) -> np.ndarray:
        """Start values: those given, defaults and guesses, and what the definitions give at them. They may be outside
        of the bounds: a method moves them."""
        problem = self.problem
        own = {v.name for v in self.variables}
        given = {k: start[k] for k in own if k in start} if start is not None else {}
        model = problem.program
        missing = [v.name for v in problem.variables if v.name not in given and _default(model, v) is None]
        if missing:
            raise ModelError(f"no start value for {', '.join(map(repr, missing))}: give start={{...}} or a default")
        free = tuple(v for v in problem.variables if v not in model.inputs)
        moved = {v.name for v in problem.variables}
        plan = model.plan(free)
        values = input_values(plan, {**self.values, **{k: x for k, x in given.items() if k in moved}})
        if self.kept.unknowns:
            _first_values(plan, values, given)
        x0 = pack(self.variables, values)
        return np.where(np.isfinite(x0), x0, 0.0)

    # -- values
    @property
    def _kernels(self) -> Kernels | None:
        """The compiled functions; None where a cycle has to be solved."""
        return self._once_made("kernels", self._made_kernels)  # type: ignore[no-any-return]

    def _made_kernels(self) -> Kernels | None:
        shared = self._function._shared
        of = compiled(shared.plan, tuple(self._function.of), shared.wrt, False)
        return None if of is None else Kernels(of)

    def _call(self, what: str) -> Call | None:
        """The compiled function of values, jacobian or hessian, here; None where there is none."""
        if what not in self._calls:
            kernels = self._kernels
            kernel: Any = getattr(kernels, what) if kernels is not None else None
            if kernel is not None and what != "values":
                kernel = kernel[0]
            self._calls[what] = None if kernel is None or kernels is None else Call(kernel, self._given(kernels))
        return self._calls[what]

    def _given(self, kernels: Kernels) -> list[np.ndarray]:
        """The values of the fixed inputs, packed."""
        fixed = kernels.of.fixed
        return [np.asarray(pack(fixed, self._function._shared.base), dtype=float)] if fixed else []

    def _generally(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What the program's own function gives; it says what is wrong."""
        try:
            return function(*arguments)
        except AdjointError as error:
            raise EvaluationError(str(error)) from error

    def _all(self, x: np.ndarray) -> np.ndarray:
        """Objective and constraint rows; those of the last point are remembered, for methods ask for them one by
        one."""
        x = _vector(x)
        key = x.tobytes()
        if key != self._at:
            call = self._call("values")
            found = call(x) if call is not None else None
            self._values = self._generally(self._function, x) if found is None else found
            self._at, self._first = key, None
        return self._values

    def objective(self, x: np.ndarray) -> float:
        """The objective of the minimization."""
        return self.sign * float(self._all(x)[0])

    def constraints(self, x: np.ndarray) -> np.ndarray:
        """Residuals of the equations that are kept, then the constraints."""
        return self._all(x)[1:]

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Its gradient."""
        data, columns = self._jacobian_data(x), self._gradient_columns
        out = np.zeros(self.n)
        out[columns] = data[: columns.size]
        return out if self.sign > 0 else -out

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        """Entries of the Jacobian of the constraint rows."""
        return self._jacobian_data(x)[self._gradient_columns.size :]

    def _jacobian_data(self, x: np.ndarray) -> np.ndarray:
        """Entries of the derivatives of all outputs, where the values are finite."""
        self._all(x)
        if self._first is None:
            x = _vector(x)
            call = self._call("jacobian")
            found = call(x) if call is not None else None
            if found is None:
                found = _data_in(self._structure, self._generally(self._function.jac, x))
            self._first = found
        return self._first

    def hessian(self, x: np.ndarray, sigma: float, y: np.ndarray) -> np.ndarray:
        """Entries of the Hessian of ``sigma f + yᵀc``, lower triangle."""
        weights = np.empty(1 + self.m)
        weights[0], weights[1:] = self.sign * sigma, y
        self._all(x)
        x = _vector(x)
        call = self._call("hessian")
        found = call(x, weights) if call is not None else None
        if found is None:
            found = _data_in(self._second, self._generally(self._function.hess, x, weights))
        return found

    # -- structure
    @property
    def _structure(self) -> Any:
        """The structure of the Jacobian of all outputs."""
        return self._once_made("jacobian", lambda: self._pattern("jacobian", (1 + self.m, self.n)))

    @property
    def _second(self) -> Any:
        """That of the lower triangle of the Hessian."""
        return self._once_made("hessian", lambda: self._pattern("hessian", (self.n, self.n)))

    def _once_made(self, key: str, make: Callable[[], Any]) -> Any:
        """What depends on the structure only is made for all values of the inputs at once."""
        if key not in self.cache:
            self.cache[key] = make()
        return self.cache[key]

    def _pattern(self, which: str, shape: tuple[int, int]) -> Any:
        """The CSR pattern of a kernel, or a full one where there is none."""
        record = getattr(self._kernels, which, None)
        if record is not None:
            return record[1]
        return sp.csr_array(np.tril(np.ones(shape)) if which == "hessian" else np.ones(shape))

    @property
    def _gradient_columns(self) -> np.ndarray:
        """The columns of the entries of the first row, the objective's."""
        return self._once_made("gradient", lambda: self._structure.indices[: self._structure.indptr[1]])  # type: ignore[no-any-return]

    @property
    def jacobian_pattern(self) -> Pattern:
        """Rows and columns of the entries."""
        return self._once_made("jacobian_pattern", self._jacobian_pattern)  # type: ignore[no-any-return]

    def _jacobian_pattern(self) -> Pattern:
        S = self._structure
        rows = np.repeat(np.arange(self.m, dtype=np.int32), np.diff(S.indptr[1:]))
        return rows, S.indices[S.indptr[1] :].astype(np.int32)

    @property
    def hessian_pattern(self) -> Pattern | None:
        """Rows and columns of the lower triangle; None where an equation has no second derivatives."""
        return self._once_made("hessian_pattern", self._hessian_pattern)  # type: ignore[no-any-return]

    def _hessian_pattern(self) -> Pattern | None:
        if getattr(self._kernels, "hessian", None) is None and not _twice_differentiable(self._function):
            return None
        S = self._second
        return np.repeat(np.arange(self.n, dtype=np.int32), np.diff(S.indptr)), S.indices.astype(np.int32)

    # -- names
    def names(self) -> list[str]:
        """Names of the elements of the vector."""
        return [self.problem.element(v.name, k) for v in self.variables for k in range(v.size)]

    def constraint_names(self) -> list[str]:
        """Names of the constraint rows: the equation's or the constraint's."""
        out = [_element(e.name, e.shape, k) for e in self.kept.equations for k in range(e.size)]
        return out + [self.problem.element(c, k) for c, v in self.problem.constrained.items() for k in range(v.size)]

    def parts(self, x: np.ndarray) -> dict[str, Any]:
        """Values of the variables in the vector, by name."""
        found = unpack(self.variables, np.array(x, dtype=float), {})
        return {v.name: float(p) if not v.shape else p for v, p in found.items()}


def _default(model: Any, v: Variable) -> Any:
    return model.inputs.get(v, model.guesses.get(v))


def _first_values(plan: Any, values: dict[Variable, Any], given: Mapping[str, Any]) -> None:
    """Values of all unknowns before any is solved for: those given, definitions, and guesses in cycles."""
    with np.errstate(all="ignore"):
        for block in plan.blocks:
            if isinstance(block, Run):
                block.evaluate(values)
            else:
                unpack(block.variables, block.guess(values), values)
            for v in block.variables:
                if v.name in given:
                    values[v] = np.broadcast_to(np.asarray(given[v.name], dtype=float), v.shape)[()]


def _vector(x: Any) -> np.ndarray:
    """A vector that compiled functions take."""
    return np.ascontiguousarray(x, dtype=float)


def _data_in(pattern: Any, matrix: Any) -> np.ndarray:
    """The entries of a matrix at the places of a CSR pattern."""
    if not pattern.indices.size:
        return np.zeros(0)
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    if 4 * matrix.nnz > matrix.shape[0] * matrix.shape[1]:
        return np.asarray(matrix.todense())[rows, pattern.indices]
    return np.asarray(sp.csr_array(matrix)[rows, pattern.indices]).reshape(-1)


def _element(name: str, shape: Sequence[int], k: int) -> str:
    return f"{name}[{', '.join(str(int(i)) for i in np.unravel_index(k, tuple(shape)))}]" if shape else name


def _twice_differentiable(function: Function) -> bool:
    """Whether no black box is among the equations behind the outputs: their second derivatives are refused."""
    plan = function._shared.plan
    needed = plan.ancestors(function.of)
    behind = [e.expr for b in plan.analysis.blocks if needed.intersection(b.unknowns) for e in b.equations]
    return not any(node.op is not None and node.op.name == "external" for node in topological(behind))
