"""Optimization problems: an objective, variables to move, and constraints, on a program.

minimize f   over x   subject to   the equations of the program,   l ≤ c ≤ u,   lower ≤ x ≤ upper
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .equations import number
from .errors import ModelError, NameLookupError, closest
from .expr import Comparison, Constant, Expr, Variable, as_expr, describe
from .optimize import solve_problem
from .primitive import Shape
from .program import Program
from .walk import variables_of

__all__ = ["Constraint", "Problem", "between"]


@dataclass(frozen=True, eq=False)
class Constraint:
    """``lower ≤ expr ≤ upper``, elementwise; equality where both agree.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> c = adj.between(0.0, m.input("x", 1.0), 2.0)
    >>> float(c.upper), c.is_equality
    (2.0, False)
    """

    expr: Expr
    lower: Any
    upper: Any
    text: str

    @property
    def shape(self) -> Shape:
        return self.expr.shape

    @property
    def is_equality(self) -> bool:
        return bool(np.all(self.lower == self.upper))


def between(lower: Any, expr: Any, upper: Any) -> Constraint:
    """The two-sided constraint ``lower ≤ expr ≤ upper``; the bounds are numbers or arrays.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("x", 1.0)
    >>> adj.between(0, x**2, 4).text
    '0 <= square(x) <= 4'
    """
    e = as_expr(expr)
    if isinstance(e, Constant):
        raise ModelError(f"between(): {e.value} contains no variable")
    low = number(lower, "lower bound of between()", e.shape, allow_inf=True)
    high = number(upper, "upper bound of between()", e.shape, allow_inf=True)
    if np.any(low > high):
        raise ModelError(f"between(): the lower bound {lower} is above the upper bound {upper}")
    return Constraint(e, low, high, f"{lower} <= {describe(e)} <= {upper}")


def as_constraint(item: Any) -> Constraint:
    """A constraint from a comparison of expressions."""
    if isinstance(item, Constraint):
        return item
    if not isinstance(item, Comparison):
        raise ModelError(
            f"a constraint is a comparison of expressions (y <= 3, a == b) or adj.between(...), got {item!r:.60}"
        )
    if item.op in ("!=",):
        raise ModelError(f"{item!r} is not a constraint: use ==, <= or >=")
    lhs, op, rhs = item.lhs, item.op, item.rhs
    if isinstance(lhs, Constant) and not isinstance(rhs, Constant):
        lhs, rhs = rhs, lhs
        op = {"<=": ">=", ">=": "<=", "<": ">", ">": "<", "==": "=="}[op]
    if isinstance(lhs, Constant):
        raise ModelError(f"{item!r} contains no variable")
    expr, bound = (lhs, rhs.value) if isinstance(rhs, Constant) and rhs.size <= lhs.size else (lhs - rhs, 0.0)
    bound = number(bound, f"bound of {item!r}", expr.shape, allow_inf=True)
    free = np.full(expr.shape, np.inf)[()]
    lower = bound if op in ("==", ">=", ">") else -free
    upper = bound if op in ("==", "<=", "<") else free
    return Constraint(expr, lower, upper, repr(item))


class Problem:
    """An optimization problem on a program.

    Parameters
    ----------
    program : Program
    minimize, maximize : name or expression
        The objective, a scalar; exactly one of the two.
    over : dict ``{name: (lower, upper)}``, or list of names
        What the optimizer moves: inputs, or unknowns that the equations leave free. None or ±inf: no bound.
    subject_to : list of comparisons, or dict ``{name: comparison}``
        Constraints by name; in a list, the text of the comparison is the name.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x, y = m.input("x", 2.0), m.input("y", 2.0)
    >>> f = m.define("f", x**2 + y**2)
    >>> problem = adj.Problem(m, minimize="f", over=["x", "y"], subject_to={"line": x + y >= 2})
    >>> result = problem.solve(method="SLSQP")
    >>> result.x.round(6).tolist(), round(result.multipliers["line"], 6)
    ([1.0, 1.0], 2.0)
    """

    def __init__(
        self,
        program: Program,
        minimize: Any = None,
        over: Any = None,
        subject_to: Any = (),
        maximize: Any = None,
    ) -> None:
        if not isinstance(program, Program):
            raise ModelError(f"Problem() takes a Program first, got {type(program).__name__}")
        if (minimize is None) == (maximize is None):
            raise ModelError("give one objective: minimize= or maximize=")
        self.program = program.extended()
        self.maximize = maximize is not None
        self.objective = self._output(maximize if self.maximize else minimize, "objective")
        if self.objective.shape:
            raise ModelError(
                f"the objective {self.objective.name!r} has shape {self.objective.shape}; it must be a scalar"
            )
        self.bounds = self._bounds(over)
        self.variables: list[Variable] = list(self.bounds)
        self.constraints: dict[str, Constraint] = {}
        self.constrained: dict[str, Variable] = {}  # constraint → the variable that holds its expression
        named = subject_to.items() if isinstance(subject_to, Mapping) else _listed(subject_to)
        for name, item in named:
            c = as_constraint(item)
            label = c.text if name is None else str(name)
            base, k = label, 1
            while label in self.constraints:
                k += 1
                label = f"{base} ({k})"
            self.constraints[label] = c
            self.constrained[label] = self._output(c.expr, label)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "program": self.program,
            "maximize": self.maximize,
            "objective": self.objective.name,
            "bounds": {v.name: pair for v, pair in self.bounds.items()},
            "constraints": {k: (c.lower, c.upper, c.text) for k, c in self.constraints.items()},
            "constrained": {k: v.name for k, v in self.constrained.items()},
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.program, self.maximize = state["program"], state["maximize"]
        self.objective = self.program[state["objective"]]
        self.bounds = {self.program[n]: pair for n, pair in state["bounds"].items()}
        self.variables = list(self.bounds)
        self.constrained = {k: self.program[n] for k, n in state["constrained"].items()}
        self.constraints = {k: Constraint(self.constrained[k], *c) for k, c in state["constraints"].items()}

    def _output(self, item: Any, what: str) -> Variable:
        """The variable that holds an expression: itself, or a new equation of the extended program."""
        if isinstance(item, str):
            return self.program[item]
        if isinstance(item, Variable):
            return self.program[item]
        if isinstance(item, Comparison):
            raise ModelError(f"the objective is an expression, not {item!r}; constraints go to subject_to=")
        expr = as_expr(item)
        if not variables_of([expr]):
            raise ModelError(f"{what}: {describe(expr)} contains no variable")
        name, k = what, 1
        while name in self.program.variables or name in self.program.equations:
            k += 1
            name = f"{what} ({k})"
        return self.program.define(name, expr)

    def _bounds(self, over: Any) -> dict[Variable, tuple[Any, Any]]:
        if over is None or isinstance(over, (str, Variable)):
            over = list(v.name for v in self.program.inputs) if over is None else [over]
        if not isinstance(over, (Mapping, list, tuple, set)):
            raise ModelError(f"over= takes a dict {{name: (lower, upper)}} or a list of names, got {over!r:.60}")
        items: Iterable[Any] = over.items() if isinstance(over, Mapping) else ((n, (None, None)) for n in over)
        out: dict[Variable, tuple[Any, Any]] = {}
        for name, pair in items:
            label = name.name if isinstance(name, Variable) else name
            if label not in self.program.variables:
                raise NameLookupError(
                    closest(label, [v.name for v in self.program.inputs], "variable to optimize over")
                )
            v = self.program[label]
            if v.name in self.program.equations:
                raise ModelError(
                    f"{label!r} is defined by an equation: the optimizer can move inputs, and unknowns that the "
                    "equations leave free. Bound it with subject_to."
                )
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise ModelError(f"over={{{label!r}: ...}} takes a pair (lower, upper), got {pair!r:.40}")
            own = self.program.bounds.get(v, (None, None))
            low = own[0] if pair[0] is None else pair[0]
            high = own[1] if pair[1] is None else pair[1]
            low = number(-np.inf if low is None else low, f"lower bound of {label!r}", v.shape, allow_inf=True)
            high = number(np.inf if high is None else high, f"upper bound of {label!r}", v.shape, allow_inf=True)
            if np.any(low > high):
                raise ModelError(f"the lower bound of {label!r} is above its upper bound")
            out[v] = (low, high)
        if not out:
            raise ModelError("over= names nothing to optimize over")
        return out

    def solve(
        self,
        method: str = "SLSQP",
        *,
        start: Any = None,
        options: Mapping[str, Any] | None = None,
        callback: Callable[..., Any] | None = None,
        formulation: str = "reduced",
        seed: int | None = None,
        tol: float | None = None,
    ) -> Any:
        """Optimize.

        Parameters
        ----------
        method : str
            Every ``scipy.optimize.minimize`` method under its SciPy name.
        start : dict or previous result, optional
            Start values by name; default: the inputs' defaults.
        options : dict, optional
            Passed to the method, as in SciPy.
        callback : callable, optional
            ``callback(intermediate_result)`` or ``callback(x)``, as in SciPy.
        tol : float, optional
            SciPy's ``tol``.

        Returns
        -------
        scipy.optimize.OptimizeResult
            Also: ``solution`` (a :class:`~adjoint.solution.Solution`), ``multipliers`` by name (of every equation,
            constraint and bound: the change of the optimal objective per unit added to the right-hand side),
            ``constraints`` (values by name), ``failed_solves`` (messages of inner solves that failed on the way).
        """
        return solve_problem(
            self, method, start=start, options=options, callback=callback, formulation=formulation, seed=seed, tol=tol
        )


def _listed(items: Any) -> list[tuple[None, Any]]:
    if isinstance(items, (Comparison, Constraint)):
        items = [items]
    try:
        return [(None, item) for item in items]
    except TypeError:
        raise ModelError(f"subject_to takes a list or a dict of constraints, got {items!r:.60}") from None
