"""A problem in full space, as scalars: what the optimizer moves, and every unknown that the equations do not give
explicitly, are variables; the equations that determine those unknowns are constraints.

Explicit equations outside of cycles stay what they are: named scalars, of which the file makes defined variables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..analysis import BlockInfo
from ..backends import BACKENDS
from ..blocks.cycle import Cycle
from ..blocks.values import Values, unpack
from ..equations import Equation
from ..errors import ModelError, UnsupportedError
from ..expr import Constant, Expr, Variable
from ..plan import Plan
from ..problem import Problem
from ..walk import topological, variables_of
from .model import Model
from .scalars import Scalars
from .translate import ELEMENTWISE, elementwise, operation

__all__ = ["FullSpace", "full_space"]

Ids = np.ndarray


@dataclass
class Rows:
    """Elements with bounds, start values and names: variables, or constraints; ``groups``: name and shape of each."""

    ids: list[Ids] = field(default_factory=list)
    lower: list[np.ndarray] = field(default_factory=list)
    upper: list[np.ndarray] = field(default_factory=list)
    start: list[np.ndarray] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    groups: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)

    def add(self, ids: Ids, lower: object, upper: object, start: object, name: str, names: Sequence[str]) -> None:
        """Elements in flat order; ``start`` is None or NaN where there are no start values."""
        for column, value in (
            (self.lower, lower),
            (self.upper, upper),
            (self.start, np.nan if start is None else start),
        ):
            column.append(np.broadcast_to(np.asarray(value, dtype=np.float64), ids.shape).reshape(-1))
        self.ids.append(ids.reshape(-1))
        self.names.extend(names)
        self.groups.append((name, ids.shape))


@dataclass
class FullSpace:
    """The scalars of a problem: which are variables, constraints, and the objective."""

    scalars: Scalars
    variables: Rows
    constraints: Rows
    objective: int


def full_space(problem: Problem) -> FullSpace:
    """The problem as scalars.

    Raises
    ------
    UnsupportedError
        For an operation that AMPL's format does not have; the message names the equation.
    """
    return _Reader(problem).read()


class _Reader:
    """The state while a problem is translated."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.model = problem, problem.program
        unknowns = set(self.model.unknowns)
        self.plan: Plan = self.model.plan([v for v in problem.variables if v in unknowns])
        self.s = Scalars()
        self.ids: dict[Expr, Ids] = {}
        self.variables, self.constraints = Rows(), Rows()
        self._values: Values | None = None
        self.solves = 0
        self.explicit = {
            b.unknowns[0]: b.equations[0] for b in self.plan.analysis.blocks if b.kind == "explicit"
        }  # fmt: skip

    def read(self) -> FullSpace:
        problem = self.problem
        for v in problem.variables:
            start = self.model.inputs.get(v) if v in self.model.inputs else self.model.guesses.get(v)
            self._variable(v, *problem.bounds[v], start)
        cycles = [b for b in self.plan.analysis.blocks if b.kind == "cycle"]
        for v in (v for block in cycles for v in block.unknowns):
            low, high = self.model.bounds.get(v, (None, None))
            low, high = -np.inf if low is None else low, np.inf if high is None else high
            guess = self.model.guesses.get(v)
            self._variable(v, low, high, self.values[v] if guess is None else np.clip(guess, low, high))
        self._translate(problem, cycles)
        for label, c in problem.constraints.items():
            ids = self.ids[problem.constrained[label]]
            self.constraints.add(ids, c.lower, c.upper, self._duals(c.expr.size), label, self._names(label, c.shape))
        for e in (e for block in cycles for e in block.equations):
            ids = self.ids[e.expr].reshape(-1)
            if e.target is not None:  # target − expr = 0
                ids = self.s.added(self.ids[e.target].reshape(-1), ids, -1.0)
            self.constraints.add(ids.reshape(e.shape), 0.0, 0.0, None, e.name, self._names(e.name, e.shape))
        return FullSpace(self.s, self.variables, self.constraints, int(self.ids[problem.objective]))

    def _variable(self, v: Variable, lower: object, upper: object, start: object) -> None:
        ids = self.s.variables(v.size).reshape(v.shape)
        self.ids[v] = ids
        self.variables.add(ids, lower, upper, start, v.name, self._names(v.name, v.shape))

    def _duals(self, size: int) -> object:
        """Start values of the duals of a problem that was read from a file with such."""
        said = self.problem.source
        if len(self.problem.constraints) != 1 or not isinstance(said, Model) or said.n_con != size:
            return None
        return np.where(said.dual0_given, said.dual0, np.nan)

    def _names(self, name: str, shape: tuple[int, ...]) -> Sequence[str]:
        if name in self.problem.labels:
            return self.problem.labels[name]
        if not shape:
            return [name]
        return [f"{name}[{', '.join(map(str, k))}]" for k in np.ndindex(*shape)]

    # -- expressions ---------------------------------------------------------------------------------------------

    def _translate(self, problem: Problem, cycles: Iterable[BlockInfo]) -> None:
        """Nodes of everything that is written. What neither objective nor constraints need is not."""
        roots: list[Expr] = [problem.objective, *problem.constrained.values()]
        roots += [e.expr for block in cycles for e in block.equations]
        definitions: dict[Expr, Expr] = {v: e.expr for v, e in self.explicit.items()}
        level: dict[Expr, int] = {}
        levels: list[list[Expr]] = []
        for node in topological(roots, definitions=definitions):
            below = node.args or ((definitions[node],) if node in definitions else ())
            k = level[node] = 1 + max((level[a] for a in below), default=-1)
            if k == len(levels):
                levels.append([])
            levels[k].append(node)
        for nodes in levels:
            self._level(nodes)

    def _level(self, nodes: Iterable[Expr]) -> None:
        """Nodes that do not need each other; equal elementwise operations are made at once."""
        equal: dict[object, list[Expr]] = {}
        for node in nodes:
            if node.op is not None and node.op.name in ELEMENTWISE:
                equal.setdefault((node.op, node.params), []).append(node)
            elif node not in self.ids:
                try:
                    self.ids[node] = self._node(node)
                except UnsupportedError as error:
                    raise UnsupportedError(f"the equation {self._owner(node)!r} cannot be written: {error}") from None
        for group in equal.values():
            args = [[self.ids[a] for a in node.args] for node in group]
            self.ids.update(zip(group, elementwise(self.s, group, args), strict=True))

    def _node(self, node: Expr) -> Ids:
        if isinstance(node, Constant):
            return self._numbers(node.value)
        if isinstance(node, Variable):
            return self._leaf(node)
        args = [self.ids[a] for a in node.args]
        op = node.op
        assert op is not None
        if not op.copies and all(self.s.is_number(a).all() for a in args):
            with np.errstate(all="ignore"):
                return self._numbers(op.value(*(self.s.value(a) for a in args), *node.params))
        if op.name == "solve":
            return self._solve(node, *args)
        return operation(self.s, node, args)

    def _numbers(self, values: object) -> Ids:
        array = np.asarray(values, dtype=np.float64)
        return self.s.numbers(array.reshape(-1)).reshape(array.shape)

    def _leaf(self, v: Variable) -> Ids:
        if v in self.explicit:
            ids = self.ids[self.explicit[v].expr]
            self.s.name(ids)
            return ids
        value = self.model.inputs.get(v)
        if value is None:
            raise ModelError(f"the input {v.name!r} is not optimized over, and has no default to be written")
        return self._numbers(value)

    def _owner(self, node: Expr) -> str:
        equations: Iterable[Equation] = self.model.equations.values()
        return next((e.name for e in equations if any(x is node for x in topological([e.expr]))), "")

    def _solve(self, node: Expr, a: Ids, b: Ids) -> Ids:
        """``solve(A, b)``: further variables y, and the constraints A·y = b."""
        self.solves += 1
        (n, m), name = b.shape, f"solve_{self.solves}"
        y = self.s.variables(b.size).reshape(b.shape)
        inputs = variables_of([node])
        with np.errstate(all="ignore"):
            start = BACKENDS["numpy"].compile(inputs, [node])(*(self.values[v] for v in inputs))[0]
        start = np.where(np.isfinite(start), start, 0.0)
        self.variables.add(y, -np.inf, np.inf, start, name, self._names(name, b.shape))
        products = self.s.multiplied(np.repeat(a.reshape(-1), m), np.tile(y, (n, 1, 1)).reshape(-1))
        rows = np.arange(n * m).reshape(n, 1, m).repeat(n, axis=1).reshape(-1)
        rest = self.s.added(self.s.sums(rows, products, 1.0, n * m), b.reshape(-1), -1.0)
        self.constraints.add(rest.reshape(b.shape), 0.0, 0.0, None, name, self._names(f"{name} equation", b.shape))
        return y

    @property
    def values(self) -> Values:
        """Values of all variables of the program at the start, without solving."""
        if self._values is None:
            values: Values = dict(self.model.inputs)
            values.update({v: self.model.guesses.get(v) for v in self.plan.given})
            values = {v: np.ones(v.shape)[()] if x is None else x for v, x in values.items()}
            with np.errstate(all="ignore"):
                for block in self.plan.blocks:
                    if isinstance(block, Cycle):
                        unpack(block.variables, block.guess(values), values)
                    else:
                        block.evaluate(values)
            self._values = values
        return self._values
