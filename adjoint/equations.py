"""Named variables and named equations: what a model is made of, before anything is solved.

Two kinds of equation: explicit ``y = f(...)``, made by :meth:`Equations.define`, and implicit ``g(z) = 0``,
made by :meth:`Equations.constrain`. Two kinds of variable: inputs, which are given, and unknowns, which the
equations determine. Names of variables and equations share one namespace, because a multiplier has a name:
that of its equation, which for an explicit equation is the name of its variable.
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ModelError, NameLookupError, ShapeError, closest
from .expr import Comparison, Expr, Variable, as_expr, describe
from .interning import untrack
from .primitive import Shape
from .primitives.external import External, external
from .primitives.indexing import broadcast_to
from .rebuild import flatten, restore, substitute
from .walk import variables_of

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Equation", "Equations", "number", "unused_name"]


class Equation:
    """``target = expr`` (explicit), or ``expr = 0`` (implicit, ``target`` None).

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.define("y", 2 * m.input("x", 1.0))
    >>> m.equations["y"].name, m.equations["y"].size
    ('y', 1)
    """

    __slots__ = ("expr", "name", "target", "variables")

    def __init__(self, name: str, target: Variable | None, expr: Expr, variables: tuple[Variable, ...]) -> None:
        self.name, self.target, self.expr = name, target, expr
        self.variables = variables  # in expr, each once
        if untrack is not None:  # like nodes, it is never part of a cycle
            untrack(self)
            untrack(variables)

    def __repr__(self) -> str:
        left = "0" if self.target is None else self.target.name
        return f"<Equation {self.name!r}: {left} = {describe(self.expr)}>"

    @property
    def shape(self) -> Shape:
        return self.expr.shape

    @property
    def size(self) -> int:
        return self.expr.size

    @property
    def residual(self) -> Expr:
        """g of g = 0: ``target − expr`` for an explicit equation."""
        return self.expr if self.target is None else self.target - self.expr


def number(value: Any, what: str, shape: Shape | None = None, allow_inf: bool = False) -> Any:
    """A float64 scalar or array from user input, of a given shape (scalars are spread)."""
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TypeError
        array = np.array(array, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ModelError(f"{what}: expected a number or an array of numbers, got {value!r:.80}") from None
    if np.isnan(array).any() or (not allow_inf and np.isinf(array).any()):
        raise ModelError(f"{what}: has NaN or infinite elements; expected finite numbers")
    if shape is not None and array.shape != shape:
        if array.shape != () and not (array.ndim <= len(shape) and _spreads(array.shape, shape)):
            raise ShapeError(f"{what}: got shape {array.shape}, expected {shape}")
        array = np.broadcast_to(array, shape).copy()
    return array[()]


def _spreads(small: Shape, shape: Shape) -> bool:
    try:
        return np.broadcast_shapes(small, shape) == shape
    except ValueError:
        return False


def unused_name(model: Equations, wanted: str, form: str = "{0} ({1})", first: int = 1, taken: Any = ()) -> str:
    """A name that no variable or equation has, and that is not ``taken``: the one wanted, or ``form`` with a number.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> _ = m.input("x", 1.0)
    >>> unused_name(m, "y"), unused_name(m, "x"), unused_name(m, "x", "{0}_{1}")
    ('y', 'x (2)', 'x_2')
    """
    name, k = wanted, first
    while name in model.variables or name in model.equations or name in taken:
        k += 1
        name = form.format(wanted, k)
    return name


class Equations:
    """A set of named variables and equations, built step by step."""

    def __init__(self, name: str = "program") -> None:
        if not isinstance(name, str):
            raise ModelError(f"the name of a program is a string, not {name!r}")
        self.name = name
        self._self = weakref.ref(self)
        self.variables: dict[str, Variable] = {}
        self.equations: dict[str, Equation] = {}
        self.inputs: dict[Variable, Any] = {}  # input → default value
        self.guesses: dict[Variable, Any] = {}  # unknown → guess, where the user gave one
        self.bounds: dict[Variable, tuple[Any, Any]] = {}  # unknown → (lower, upper), where given
        self.version = 0
        self._outputs: list[str] = []
        self._shares: tuple[Equations, ...] = ()  # programs whose variables are this one's too

    def __getstate__(self) -> dict[str, Any]:
        """Flat: nodes as records, variables by name. Whatever is compiled is made again."""
        equations = list(self.equations.values())
        return {
            "name": self.name,
            "variables": [(v.name, v.shape) for v in self.variables.values()],
            "equations": [(e.name, None if e.target is None else e.target.name) for e in equations],
            "records": flatten([e.expr for e in equations], lambda v: v.name),
            "inputs": {v.name: x for v, x in self.inputs.items()},
            "guesses": {v.name: x for v, x in self.guesses.items()},
            "bounds": {v.name: x for v, x in self.bounds.items()},
            "outputs": self._outputs,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        Equations.__init__(self, state["name"])
        for name, shape in state["variables"]:
            self._add(name, shape)
        expressions = restore(state["records"], self.variables.__getitem__)
        for (name, target), expr in zip(state["equations"], expressions, strict=True):
            owner = None if target is None else self.variables[target]
            self.equations[name] = Equation(name, owner, expr, tuple(variables_of([expr])))
        self.inputs = {self.variables[n]: x for n, x in state["inputs"].items()}
        self.guesses = {self.variables[n]: x for n, x in state["guesses"].items()}
        self.bounds = {self.variables[n]: x for n, x in state["bounds"].items()}
        self._outputs = state["outputs"]

    # -- names -------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str | Variable) -> Variable:
        """The variable of a name."""
        if isinstance(name, Variable):
            if self.variables.get(name.name) is not name:
                raise ModelError(f"{name.name!r} is a variable of another program ({name.home!r})")
            return name
        try:
            return self.variables[name]
        except (KeyError, TypeError):
            raise NameLookupError(closest(name, self.variables, "variable")) from None

    def __contains__(self, name: object) -> bool:
        return name in self.variables

    def _free_name(self, name: Any, what: str) -> str:
        if not isinstance(name, str) or not name:
            raise ModelError(f"the name of {what} must be a non-empty string, got {name!r}")
        if name in self.variables or name in self.equations:
            kind = "variable" if name in self.variables else "equation"
            raise ModelError(f"there is a {kind} named {name!r} already; names of variables and equations are unique")
        return name

    def _add(self, name: str, shape: Shape) -> Variable:
        variable = Variable(name, shape, self._self, self.name)
        if untrack is not None:
            untrack(variable)
        self.variables[name] = variable
        self.version += 1
        return variable

    def _own(self, expr: Expr, where: str) -> tuple[Variable, ...]:
        """The variables of an expression, which must be this program's."""
        found = tuple(variables_of([expr]))
        for v in found:
            if v._owner is not self._self and not any(v.owner is p for p in self._shares):
                owner = v.home
                raise ModelError(
                    f"{where} uses the variable {v.name!r} of another program ({owner!r}); use include(other, "
                    "prefix=..., bind=...) to join programs"
                )
        return found

    # -- variables ---------------------------------------------------------------------------------------------

    def input(self, name: str, value: Any = None, shape: Any = None) -> Variable:
        """A variable that is given: a parameter or a design variable.

        Parameters
        ----------
        name : str
        value : number or array, optional
            The default; without one, every solve must give the value.
        shape : tuple, optional
            Shape, where the value does not tell it.
        """
        self._free_name(name, "an input")
        size = None if shape is None else _shape(shape, name)
        if value is None:
            variable = self._add(name, size or ())
            self.inputs[variable] = None
            return variable
        default = number(value, f"default of input {name!r}", size)
        variable = self._add(name, np.shape(default))
        self.inputs[variable] = default
        return variable

    def unknown(
        self, name: str, guess: Any = None, shape: Any = None, lower: Any = None, upper: Any = None
    ) -> Variable:
        """A variable that the equations determine.

        Parameters
        ----------
        name : str
        guess : number or array, optional
            Where the search starts; not a parameter of the solution. Default: 1, moved into the bounds; for an
            explicitly defined unknown, the value of its definition at the other guesses.
        shape : tuple, optional
            Shape, where the guess does not tell it.
        lower, upper : number or array, optional
            Bounds that the search respects.
        """
        self._free_name(name, "an unknown")
        size = None if shape is None else _shape(shape, name)
        if guess is not None:
            guess = number(guess, f"guess of {name!r}", size)
            size = np.shape(guess)
        size = size or ()
        low = None if lower is None else number(lower, f"lower bound of {name!r}", size, allow_inf=True)
        high = None if upper is None else number(upper, f"upper bound of {name!r}", size, allow_inf=True)
        if low is not None and high is not None and np.any(low > high):
            raise ModelError(f"the lower bound of {name!r} is above its upper bound")
        variable = self._add(name, size)
        if guess is not None:
            self.guesses[variable] = guess
        if low is not None or high is not None:
            self.bounds[variable] = (low, high)
        return variable

    # -- equations ---------------------------------------------------------------------------------------------

    def define(self, target: Variable | str, expr: Any) -> Variable:
        """The explicit equation ``target = expr``; a new name makes a new variable. Returns the variable."""
        if isinstance(expr, Comparison):
            raise ModelError(f"define({target!r}, ...) takes an expression, not {expr!r}; equations go to constrain")
        expr = as_expr(expr)
        if isinstance(target, str) and target in self.variables:
            raise ModelError(
                f"there is a variable named {target!r} already; to define it, pass the variable: "
                f"define(m[{target!r}], ...)"
            )
        if isinstance(target, str):
            inside = self._own(expr, f"the definition of {target!r}")
            variable = self._add(self._free_name(target, "a variable"), expr.shape)
        elif isinstance(target, Variable):
            variable = target
            if variable.owner is not self:
                raise ModelError(f"{variable.name!r} is a variable of another program")
            if variable in self.inputs:
                raise ModelError(f"{variable.name!r} is an input: it is given, and cannot be defined")
            if variable.name in self.equations:
                raise ModelError(
                    f"{variable.name!r} is defined already, as {describe(self.equations[variable.name].expr)}"
                )
            inside = self._own(expr, f"the definition of {variable.name!r}")
            if expr.shape != variable.shape:
                if not _spreads(expr.shape, variable.shape):
                    raise ShapeError(
                        f"the definition of {variable.name!r} has shape {expr.shape}, the variable has {variable.shape}"
                    )
                expr = broadcast_to(expr, variable.shape)
        else:
            raise ModelError(f"define() needs a new name or an unknown as its first argument, got {target!r:.60}")
        self.equations[variable.name] = Equation(variable.name, variable, expr, inside)
        self.version += 1
        return variable

    def constrain(self, equation: Any, name: str | None = None) -> Equation:
        """The implicit equation ``lhs == rhs``; a bare expression means ``expression == 0``."""
        if isinstance(equation, Comparison):
            if equation.op != "==":
                raise ModelError(
                    f"{equation!r} is an inequality: a program holds equations; inequalities go to "
                    "Problem(..., subject_to=[...])"
                )
            expr = equation.lhs - equation.rhs
        elif isinstance(equation, (bool, np.bool_)):
            raise ModelError(
                f"constrain() got {equation!r}: the comparison was made between plain values, not expressions"
            )
        else:
            expr = as_expr(equation)
        if name is None:
            k = len(self.equations) + 1
            name = unused_name(self, f"equation_{k}", "equation_{1}", k)
        self._free_name(name, "an equation")
        inside = self._own(expr, f"the equation {name!r}")
        if not inside:
            raise ModelError(f"the equation {name!r} contains no variable: {describe(expr)} = 0")
        added = self.equations[name] = Equation(name, None, expr, inside)
        self.version += 1
        return added

    def external(
        self, name: str, fun: Callable[..., Any], inputs: Sequence[Any], shape: Any = (), jac: Any = None
    ) -> Variable:
        """A variable computed by a black box ``fun(*arrays)``.

        Parameters
        ----------
        name : str
        fun : callable
            Called with one array (or float) per input; gives an array of ``shape``.
        inputs : sequence of variables, expressions or names
        shape : tuple
        jac : callable, optional
            Called as ``fun`` is; gives one array per input, of shape ``shape + input.shape`` (``scipy.sparse``
            or 2-D allowed). Without it, central differences are used.
        """
        if not callable(fun) or not (jac is None or callable(jac)):
            raise ModelError(f"external({name!r}): fun and jac must be functions")
        if not isinstance(inputs, (list, tuple)):
            raise ModelError(
                f"external({name!r}): inputs= is a list of variables, expressions or names, got {inputs!r:.40}"
            )
        args = [self[i] if isinstance(i, str) else as_expr(i) for i in inputs]
        size = _shape(shape, name)
        box = External(name, fun, [a.shape for a in args], size, jac)
        return self.define(name, external(box, args))

    def include(self, other: Equations, prefix: str = "", bind: Mapping[str, Any] | None = None) -> Included:
        """All variables and equations of another program, under ``prefix + name``.

        Parameters
        ----------
        other : Program
        prefix : str
        bind : mapping of input names of ``other`` to expressions of this program
            A bound input is replaced; the others become inputs ``prefix + name``.

        Returns
        -------
        Included
            ``included["y"]`` is this program's variable (or bound expression) for ``y`` of ``other``.
        """
        if not isinstance(other, Equations):
            raise ModelError(f"include() takes a Program, got {type(other).__name__}")
        if not isinstance(prefix, str) or not (bind is None or isinstance(bind, Mapping)):
            raise ModelError(
                f"include() takes a string as prefix= and a dict as bind=, got {prefix!r:.40} and {bind!r:.40}"
            )
        before = dict(self.variables), dict(self.equations), dict(self.inputs), dict(self.guesses), dict(self.bounds)
        version = self.version
        try:
            return self._include(other, prefix, dict(bind or {}))
        except Exception:  # all or nothing
            self.variables, self.equations, self.inputs, self.guesses, self.bounds = before
            self.version = version
            raise

    def _include(self, other: Equations, prefix: str, bound: dict[str, Any]) -> Included:
        new: dict[Expr, Expr] = {}
        variables, equations = list(other.variables.values()), list(other.equations.values())
        for name in bound:
            if name not in other.variables:
                raise NameLookupError(closest(name, other.variables, f"variable of {other.name!r}"))
            if other.variables[name] not in other.inputs:
                raise ModelError(f"{name!r} is not an input of {other.name!r}: only inputs can be bound")
        for variable in variables:
            name = variable.name
            if name in bound:
                expr = as_expr(bound[name])
                self._own(expr, f"bind={{{name!r}: ...}}")
                if expr.shape != variable.shape and not _spreads(expr.shape, variable.shape):
                    raise ShapeError(f"bind: {name!r} has shape {variable.shape}, its replacement {expr.shape}")
                new[variable] = broadcast_to(expr, variable.shape)
            elif variable in other.inputs:
                new[variable] = self.input(prefix + name, other.inputs[variable], variable.shape)
            else:
                low, high = other.bounds.get(variable, (None, None))
                new[variable] = self.unknown(
                    prefix + name, other.guesses.get(variable), variable.shape, lower=low, upper=high
                )
        for equation, expr in zip(equations, substitute([e.expr for e in equations], new), strict=True):
            if equation.target is None:
                self.constrain(expr, prefix + equation.name)
            else:
                self.define(new[equation.target], expr)  # type: ignore[arg-type]
        return Included({v.name: new[v] for v in variables})

    # -- graph -------------------------------------------------------------------------------------------------

    @property
    def unknowns(self) -> list[Variable]:
        """The variables that the equations determine, in order of definition."""
        return [v for v in self.variables.values() if v not in self.inputs]

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs: those marked by a trace, or the variables that no equation uses."""
        if self._outputs:
            return list(self._outputs)
        used = {v for e in self.equations.values() for v in e.variables if v is not e.target}
        return [v.name for v in self.unknowns if v not in used]

    def incidence_graph(self) -> nx.Graph:
        """Bipartite graph of equations ``("equation", name)`` and variables ``("variable", name)``."""
        import networkx as nx  # takes a tenth of a second, and only graphs need it

        graph = nx.Graph()
        graph.add_nodes_from((("variable", n) for n in self.variables), bipartite=1)
        for equation in self.equations.values():
            node = ("equation", equation.name)
            graph.add_node(node, bipartite=0)
            targets = [] if equation.target is None else [equation.target]
            graph.add_edges_from((node, ("variable", v.name)) for v in [*equation.variables, *targets])
        return graph


class Included(dict):  # type: ignore[type-arg]
    """The variables of an included program by their own names.

    >>> import adjoint as adj
    >>> part, m = adj.Program("part"), adj.Program()
    >>> _ = part.define("y", 2 * part.input("x", 1.0))
    >>> m.include(part, prefix="left.")["y"].name
    'left.y'
    """

    def __missing__(self, name: str) -> Any:
        raise NameLookupError(closest(name, self, "variable of the included program"))


def _shape(shape: Any, name: str) -> Shape:
    try:
        out = (operator.index(shape),) if np.ndim(shape) == 0 else tuple(map(operator.index, shape))
    except (TypeError, ValueError):
        raise ShapeError(f"the shape of {name!r} must be a tuple of whole numbers, got {shape!r}") from None
    if any(s < 0 for s in out):
        raise ShapeError(f"the shape of {name!r} must not be negative, got {shape!r}")
    return out
