"""Optimization problems: an objective, variables to move, and constraints, on a program.

minimize f   over x   subject to   the equations of the program,   l ≤ c ≤ u,   lower ≤ x ≤ upper
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .describe import counted
from .equations import number, unused_name
from .errors import ModelError, NameLookupError, ShapeError, closest
from .expr import Comparison, Constant, Expr, Variable, as_expr, describe
from .optimize import solve_problem
from .optimize.starts import solve_from_starts
from .primitive import Shape
from .program import Program
from .solve import element_name
from .system import square_system
from .walk import variables_of

__all__ = ["FORMATS", "Constraint", "Problem", "between"]

# Writers of file formats, ``write(problem, path, **options)`` by the ending of the name. The modules of the formats,
# which know problems, enter theirs; a problem need not know them.
FORMATS: dict[str, Callable[..., Any]] = {}


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
    return Constraint(e, low, high, f"{_side(lower)} <= {describe(e)} <= {_side(upper)}")


def _side(bound: Any) -> str:
    """A bound in a text: a number, or the shape of an array."""
    return f"array of shape {np.shape(bound)}" if np.ndim(bound) else f"{bound}"


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
    minimize, maximize : name, expression or number
        The objective, a scalar; exactly one of the two. A number, ``minimize=0``, asks for any feasible point.
    over : dict ``{name: (lower, upper)}``, or list of names
        What the optimizer moves: inputs, or unknowns that the equations leave free. None or ±inf: no bound.
    subject_to : list of comparisons, or dict ``{name: comparison}``
        Constraints by name; in a list, the text of the comparison is the name.
    labels : dict ``{name: texts}``, optional
        What the elements of array variables and constraints are called in messages and reports; one text for each
        element, in order.

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
        labels: Mapping[str, Sequence[str]] | None = None,
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
        self.labels = self._labels(labels)
        self.kept: dict[str, Any] = {}  # what methods make of it and use again; not pickled
        self.source: Any = None  # what a file said, where it was read from one
        self.relaxed: tuple[str, ...] = ()  # the conditions of the file that were left out

    def __getstate__(self) -> dict[str, Any]:
        return {
            "program": self.program,
            "maximize": self.maximize,
            "objective": self.objective.name,
            "bounds": {v.name: pair for v, pair in self.bounds.items()},
            "constraints": {k: (c.lower, c.upper, c.text) for k, c in self.constraints.items()},
            "constrained": {k: v.name for k, v in self.constrained.items()},
            "labels": self.labels,
            "source": self.source,
            "relaxed": self.relaxed,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.kept, self.program, self.maximize = {}, state["program"], state["maximize"]
        self.objective = self.program[state["objective"]]
        self.bounds = {self.program[n]: pair for n, pair in state["bounds"].items()}
        self.variables = list(self.bounds)
        self.constrained = {k: self.program[n] for k, n in state["constrained"].items()}
        self.constraints = {k: Constraint(self.constrained[k], *c) for k, c in state["constraints"].items()}
        self.labels, self.source, self.relaxed = state["labels"], state["source"], state["relaxed"]

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
            if what != "objective" or expr.shape:
                raise ModelError(f"{what}: {describe(expr)} contains no variable")
            if isinstance(expr, Constant):
                number(expr.value, "the objective")
        return self.program.define(unused_name(self.program, what), expr)

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

    def _labels(self, labels: Mapping[str, Sequence[str]] | None) -> dict[str, Sequence[str]]:
        """Checked names of elements."""
        if not isinstance(labels, Mapping | None):
            raise ModelError(f"labels= takes a dict {{name: texts}}, got {labels!r:.60}")
        for name, texts in (labels or {}).items():
            if name in self.constraints:
                shape = self.constraints[name].shape
            elif name in self.program:
                shape = self.program[name].shape
            else:
                raise NameLookupError(
                    closest(name, [*self.program.variables, *self.constraints], "variable or constraint")
                )
            if isinstance(texts, str) or not isinstance(texts, Sequence) or not all(isinstance(t, str) for t in texts):
                raise ModelError(f"labels={{{name!r}: ...}} takes a list of texts, got {texts!r:.60}")
            if len(texts) != np.prod(shape, dtype=int):
                raise ShapeError(
                    f"labels={{{name!r}: ...}} has {counted(len(texts), 'text')}; {name!r} has shape {shape}"
                )
        return dict(labels or {})

    @property
    def is_feasibility(self) -> bool:
        """Whether the objective is a constant: any feasible point is optimal."""
        equation = self.program.equations.get(self.objective.name)
        return equation is not None and equation.target is self.objective and not equation.variables

    def element(self, name: str, k: int) -> str:
        """What element ``k`` (in flat order) of a variable or constraint is called.

        >>> import numpy as np, adjoint as adj
        >>> m = adj.Program()
        >>> x = m.input("x", np.zeros(2))
        >>> problem = adj.Problem(m, minimize=0, subject_to={"balance": x >= 0}, labels={"x": ["inflow", "outflow"]})
        >>> problem.element("x", 1), problem.element("balance", 1)
        ('outflow', 'balance[1]')
        """
        if name in self.labels:
            return self.labels[name][k]
        if name not in self.constraints and name not in self.program:
            raise NameLookupError(closest(name, [*self.program.variables, *self.constraints], "variable or constraint"))
        v = self.constrained[name] if name in self.constraints else self.program[name]
        return name + element_name(v, k)[len(v.name) :]

    def system(self) -> Program:
        """The equality constraints as equations: a program that determines what the optimizer would move.

        The variables of ``over`` become unknowns: their defaults are the guesses, their bounds bound the search. A
        variable whose bounds agree stays given; of an array, its elements whose bounds agree are set by an equation of
        their own. Each constraint becomes the implicit equation of its name. The objective remains, unless it is a
        constant.

        Raises
        ------
        ModelError
            There are inequality constraints.
        StructureError
            The equations are more, or fewer, than the unknowns.

        >>> import adjoint as adj
        >>> m = adj.Program()
        >>> x, y = m.input("x", 1.0), m.input("y", 2.0)
        >>> line, circle = x + y == 3, x**2 + y**2 == 5
        >>> problem = adj.Problem(m, minimize=0, over={"x": (0, 9), "y": (0, 9)}, subject_to=[line, circle])
        >>> sol = problem.system().solve()
        >>> round(sol["x"], 9), round(sol["y"], 9)
        (1.0, 2.0)
        """
        return square_system(self)

    def write_nl(self, path: Any, **options: Any) -> None:
        """Write the problem as an AMPL ``.nl`` file, in full space; the options are those of the writer."""
        if "nl" not in FORMATS:
            raise ModelError("there is no writer of .nl files")
        FORMATS["nl"](self, path, **options)

    def solve(
        self,
        method: str = "SLSQP",
        *,
        start: Any = None,
        options: Mapping[str, Any] | None = None,
        callback: Callable[..., Any] | None = None,
        formulation: str | Mapping[str, str] = "reduced",
        values: Mapping[str, Any] | None = None,
        starts: int | Sequence[Any] | None = None,
        executor: Any = None,
        seed: int | None = None,
        tol: float | None = None,
    ) -> Any:
        """Optimize.

        Parameters
        ----------
        method : str
            A name of the registry: ``"interior-point"``, ``"levenberg-marquardt"``, every method of
            ``scipy.optimize.minimize`` under its SciPy name, and others.
        start : dict or previous result, optional
            Start values by name; default: the inputs' defaults. Methods that can also start from the multipliers of a
            previous result.
        options : dict, optional
            Passed to the method.
        callback : callable, optional
            ``callback(intermediate_result)`` or ``callback(x)``, as in SciPy.
        formulation : "reduced", "full", or dict, optional
            Whether equations are solved at every point, or are constraints; a dict says it by block.
        values : dict, optional
            Values by name of inputs that are not moved, where they differ from the defaults.
        starts : int or list, optional
            Several runs; the best result is given, and all are its ``runs``. A list holds what ``start`` may be; a
            number asks for the start itself and random ones between the bounds.
        executor : concurrent.futures.Executor, optional
            Where the runs of ``starts`` are made.
        seed : int, optional
            Of what is random.
        tol : float, optional
            The tolerance of the method.

        Returns
        -------
        scipy.optimize.OptimizeResult
            Also: ``solution`` (a :class:`~adjoint.solution.Solution`), ``multipliers`` by name (of every equation,
            constraint and bound: the change of the optimal objective per unit added to the right-hand side),
            ``constraints`` (values by name), ``residuals()`` of the optimality conditions.
        """
        common: dict[str, Any] = {"options": options, "callback": callback, "formulation": formulation}
        common.update(values=values, seed=seed, tol=tol)
        if starts is None:
            if executor is not None:
                raise ModelError("executor= is for the runs of starts=")
            return solve_problem(self, method, start=start, **common)
        return solve_from_starts(solve_problem, self, method, starts, executor, start=start, **common)


def _listed(items: Any) -> list[tuple[None, Any]]:
    if isinstance(items, (Comparison, Constraint)):
        items = [items]
    try:
        return [(None, item) for item in items]
    except TypeError:
        raise ModelError(f"subject_to takes a list or a dict of constraints, got {items!r:.60}") from None
