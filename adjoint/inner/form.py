"""The inner problem as equations of its own: ``g(y, p) = 0``, with ``y`` unknown and ``p`` its parameters.

The function that the user gives is called once, on symbols. What it closes over becomes parameters like its
arguments: the largest expressions that do not depend on ``y``, so that an inner iteration does not compute them
again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..blocks import Cycle
from ..derivatives import active_nodes, jvp, vjp
from ..equations import number
from ..errors import ModelError, ShapeError
from ..expr import Comparison, Constant, Expr, Variable, as_expr
from ..plan import Plan
from ..primitives.indexing import broadcast_to, concatenate, ravel, reshape
from ..program import Program
from ..rebuild import substitute
from ..trees import flatten, is_tree, map_leaves, ordered_as, same
from ..walk import topological, variables_of
from .memory import Memory
from .schedule import Tolerance

__all__ = ["Inner", "Traced", "joined", "parameters_of", "traced"]


@dataclass(frozen=True)
class Traced:
    """What a function gave on symbols.

    Attributes
    ----------
    leaf : Variable, the unknowns in one array
    guess : ndarray or float, where the search for them starts
    result : what the function returned
    given : the arguments that are parameters, by the leaves that stand for them
    tree : the guess as it was given, whose structure the unknowns have
    arguments : what the function was called with after the unknowns
    """

    leaf: Variable
    guess: Any
    result: Any
    given: dict[Expr, Expr]
    tree: Any
    arguments: tuple[Any, ...]

    def unknowns(self, vector: Any) -> Any:
        """The unknowns in the structure of the guess, from the array that holds them."""
        return _structured(vector, self.tree)


def traced(fun: Callable[..., Any], guess: Any, args: Sequence[Any], what: str) -> Traced:
    """Call ``fun(y, *args)`` on symbols."""
    if not callable(fun):
        raise ModelError(f"{what}: the first argument is a function, not {type(fun).__name__}")
    for leaf in flatten(guess):
        if isinstance(leaf, Expr) and not isinstance(leaf, Constant):
            raise ModelError(
                f"{what}: the guess is a number or an array, where the search starts; it is no parameter, and the "
                "result does not depend on it. Pass expressions as arguments after it."
            )
    numbers = [number(_plain(leaf), f"{what}: the guess") for leaf in flatten(guess)]
    if not numbers:
        raise ModelError(f"{what}: the guess holds no number")
    nested = is_tree(guess)
    start = np.concatenate([np.reshape(v, -1) for v in numbers]) if nested else numbers[0]
    leaf = Variable("y", np.shape(start))
    given: dict[Expr, Expr] = {}

    def symbol(value: Any) -> Any:
        e = as_expr(value) if isinstance(value, Comparison) else value
        if not isinstance(e, Expr) or isinstance(e, Constant):
            return e.value if isinstance(e, Constant) else e
        stands = Variable(e.name if isinstance(e, Variable) else f"argument {len(given) + 1}", e.shape)
        given[stands] = e
        return stands

    arguments = tuple(map_leaves(symbol, a) for a in args)
    return Traced(leaf, start, fun(_structured(leaf, guess), *arguments), given, guess, arguments)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Constant) else value


def _structured(vector: Any, tree: Any) -> Any:
    """Parts of a vector in the structure of a tree."""
    if not is_tree(tree):
        return vector
    at = 0

    def part(leaf: Any) -> Any:
        nonlocal at
        shape = np.shape(_plain(leaf))
        size = int(np.prod(shape, dtype=int))
        piece = vector[at : at + size] if shape else vector[at]
        at += size
        return piece if len(shape) < 2 else piece.reshape(shape)

    return map_leaves(part, tree)


def joined(result: Any, like: Traced, what: str) -> Expr:
    """What the function returned, as one array in the shape of the unknowns."""
    parts = [_residual(e) for e in _results(result, like, what)]
    if not is_tree(like.tree) and len(parts) == 1:
        whole = parts[0]
        if whole.shape != like.leaf.shape:
            if whole.size > like.leaf.size or not _fits(whole.shape, like.leaf.shape):
                raise ShapeError(f"{what}: the function gives shape {whole.shape}, the guess has {like.leaf.shape}")
            whole = broadcast_to(whole, like.leaf.shape)
        return whole
    sizes = sum(p.size for p in parts)
    if sizes != like.leaf.size:
        raise ShapeError(f"{what}: the function gives {sizes} numbers for {like.leaf.size} unknowns")
    return reshape(concatenate([reshape(ravel(p) if p.shape else p, (p.size,)) for p in parts]), like.leaf.shape)


def _residual(item: Any) -> Expr:
    """``a − b`` of an equation ``a == b``; an expression as it is."""
    return as_expr(item.lhs - item.rhs if isinstance(item, Comparison) and item.op == "==" else item)


def _results(result: Any, like: Traced, what: str) -> list[Any]:
    """What the function returned, in the order of the unknowns where it has their form."""
    if not is_tree(result):
        return [result]
    if same(result, like.tree):
        return flatten(ordered_as(result, like.tree))
    if isinstance(result, Mapping):
        raise ModelError(f"{what}: the function gives the keys {list(result)}; it must have the form of the guess")
    return flatten(result)


def _fits(small: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(small, shape) == shape
    except ValueError:
        return False


@dataclass(frozen=True, eq=False)
class Inner:
    """An inner problem: its equations, how it is solved, and what was found last.

    Attributes
    ----------
    name : str
    kind : "root", "fixed_point" or "argmin"
    program : Program
        The unknown ``y`` and its equations; the parameters are its inputs, in order.
    residual : Expr
        ``g``, in the shape of ``y``: for a minimizer the optimality conditions.
    objective : Expr or None
        What ``y`` minimizes, without constraints other than bounds.
    bounds : (Expr or None, Expr or None)
    problem : Problem or None
        What ``y`` is the optimum of, with constraints.
    method : str
    tol : float or Schedule
    max_iterations : int
    """

    name: str
    kind: str
    program: Program
    residual: Expr
    objective: Expr | None = None
    bounds: tuple[Expr | None, Expr | None] = (None, None)
    problem: Any = None
    method: str = "auto"
    tol: Tolerance = 1e-10
    max_iterations: int = 200
    memory: Memory = field(default_factory=Memory)

    def __reduce__(self) -> Any:
        options = (self.problem, self.method, self.tol, self.max_iterations)
        return Inner, (self.name, self.kind, self.program, self.residual, self.objective, self.bounds, *options)

    @cached_property
    def unknown(self) -> Variable:
        """y."""
        return self.program.unknowns[0]

    @cached_property
    def parameters(self) -> tuple[Variable, ...]:
        """p."""
        return tuple(self.program.inputs)

    @cached_property
    def plan(self) -> Plan:
        """The plan of the equations; its block has the name of the inner problem, for messages."""
        plan = self.program.plan()
        for cycle in plan.cycles:
            cycle.name = self.name
        return plan

    @cached_property
    def cycle(self) -> Cycle:
        """The equations as a block."""
        return self.plan.cycles[0]

    @cached_property
    def guess(self) -> np.ndarray:
        """Where the search starts, flat."""
        return np.array(self.program.guesses[self.unknown], dtype=float).reshape(-1)

    @property
    def symmetric(self) -> bool:
        """Whether ``∂g/∂y`` is a Hessian."""
        return self.objective is not None and self.bounds == (None, None)

    # -- derivatives of g as expressions in y, p and further leaves
    @cached_property
    def direction(self) -> Variable:
        """A direction in the space of ``y``, or of ``g``."""
        return Variable("w", self.unknown.shape)

    @cached_property
    def weights(self) -> Variable:
        """Cotangents of ``g``, or of ``y``."""
        return Variable("λ", self.unknown.shape)

    @cached_property
    def dots(self) -> tuple[Variable, ...]:
        """Tangents of ``y`` and of the parameters."""
        return tuple(Variable(f"d({v.name})", v.shape) for v in (self.unknown, *self.parameters))

    @cached_property
    def pushed(self) -> Expr:
        """``(∂g/∂y) w``."""
        return jvp([self.residual], {self.unknown: self.direction})[0]

    @cached_property
    def pulled(self) -> Expr:
        """``(∂g/∂y)ᵀ w``."""
        return vjp([self.residual], [self.direction], [self.unknown])[0]

    @property
    def moved(self) -> Expr:
        """``(∂g/∂p) ṗ``."""
        return self.tangent("residual", tuple(range(1, len(self.dots))))

    def tangent(self, of: str, active: tuple[int, ...]) -> Expr:
        """The tangent of ``residual``, ``pushed`` or ``pulled`` along ``y`` (number 0) and some parameters (from 1)."""
        key = (of, active)
        if key not in self._derived:
            variables = (self.unknown, *self.parameters)
            self._derived[key] = jvp([getattr(self, of)], {variables[k]: self.dots[k] for k in active})[0]
        return self._derived[key]

    def cotangent(self, of: str, k: int) -> Expr:
        """The cotangent of ``y`` (number 0) or of a parameter, of the same, for the cotangent ``weights``."""
        key = (of, k)
        if key not in self._derived:
            variable = (self.unknown, *self.parameters)[k]
            self._derived[key] = vjp([getattr(self, of)], [self.weights], [variable])[0]
        return self._derived[key]

    @cached_property
    def _derived(self) -> dict[Any, Expr]:
        return {}

    def at(self, expr: Expr, y: Expr, args: Sequence[Expr], extra: Mapping[Any, Expr]) -> Expr:
        """An expression in these leaves, at expressions."""
        return substitute([expr], {self.unknown: y, **dict(zip(self.parameters, args, strict=True)), **extra})[0]

    # -- compiled functions of (y, *p, ...)
    def function(self, of: str, complex_values: bool = False) -> Callable[..., Any]:
        """``residual``, ``pushed``, ``pulled`` or ``moved`` as a function of arrays."""
        key = (of, complex_values)
        functions = self._functions
        if key not in functions:
            extra = {"pushed": (self.direction,), "pulled": (self.direction,), "moved": self.dots[1:]}.get(of, ())
            inputs = [self.unknown, *self.parameters, *extra]
            functions[key] = self.plan.backend.compile(inputs, [getattr(self, of)], None, complex_values)
        return functions[key]

    @cached_property
    def _functions(self) -> dict[Any, Callable[..., Any]]:
        return {}

    def shaped(self, flat: np.ndarray) -> Any:
        """A flat array in the shape of ``y``."""
        return flat.reshape(self.unknown.shape)[()]


def parameters_of(roots: Sequence[Expr], inside: Sequence[Expr]) -> list[Expr]:
    """The largest subexpressions that hold variables, none of those inside; in order of appearance."""
    order = topological(roots)
    own = active_nodes(order, set(inside))
    outer = {v for v in variables_of(list(roots)) if v not in set(inside)}
    live = active_nodes(order, outer)
    found: dict[Expr, None] = {}
    for node in order:
        if node in own:
            found.update((a, None) for a in node.args if a in live and a not in own)
    found.update((r, None) for r in roots if r in live and r not in own)
    return list(found)
