"""The Lagrangian of a program, and the one function that solves for multipliers.

    L(x, z, λ) = Σ_j w_j z_j − Σ_i λ_i (z_i − f_i(x, z))          (implicit equations: − λ_i g_i)

with weights w on the variables of the objective. ``∂L/∂λ = 0`` are the equations (``solve``). ``∂L/∂z = 0`` is
the linear system of the multipliers (:func:`multipliers`); ``∂L/∂x`` is then the gradient. Signs: λ_i is the
change of the objective per unit added to the right-hand side of equation i.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp

from .blocks import Cycle, Matrices, Values, unpack
from .blocks.run import MANY
from .blocks.vectors import Vectors, packs_of
from .derivatives import jvp, vjp
from .equations import Equation, number
from .errors import KinkWarning, ModelError, NameLookupError, ShapeError, SingularError, closest
from .expr import Constant, Expr, Variable
from .linear import SingularMatrix, null_vectors
from .patterns import flat
from .plan import Plan
from .primitives.elementwise import zeros
from .solve import State, locate
from .sparsity import flat_values, jacobian_map
from .walk import variables_of

__all__ = ["Lagrangian", "SecondOrder", "multipliers", "require_derivatives", "tangents"]


def multipliers(
    state: State, cotangents: Values | Matrices, wanted: frozenset[Variable] | None = None, many: bool = False
) -> tuple[Values, Values]:
    """Solve ``∂L/∂z = 0`` for the multipliers by one reverse sweep over the blocks.

    ``cotangents`` are the weights w (``∂objective/∂z`` held partial) of some variables. Invariant: when a block is
    reached, ``cot[v]`` holds, for every variable v of it, ``w_v + Σ_i λ_i ∂f_i/∂v`` over all equations i of the
    blocks already passed: all that its multipliers depend on. A run then substitutes back (backpropagation); a
    cycle solves ``(∂g/∂u)ᵀ λ = ū`` (the implicit function theorem). Both add their λ's share to the ``cot`` of the
    variables they take from outside, and the invariant holds for the next block.

    Parameters
    ----------
    state : State
        Verified values.
    cotangents : dict of arrays; with ``many``, of 2-D arrays, one row per right-hand side
    wanted : frozenset of Variable, optional
        Only sweep through variables in this set (those that depend on the inputs asked for). None: all.

    Returns
    -------
    lam : multipliers by leaf: the variable of an explicit equation in a run, the key of one in a cycle. Empty
        with ``many``.
    cot : cotangents; for an input, the total derivative of the objective.
    """
    plan, values = state.plan, state.values
    cot = dict(cotangents)
    lam: Values = {}
    with np.errstate(all="ignore"):
        for block in reversed(plan.blocks):
            if not plan.touches(block, cot) or (wanted is not None and not plan.touches(block, wanted)):
                continue
            linear = state.linear.get(block) if isinstance(block, Cycle) else None
            try:
                if many:
                    block.pull_many(values, cot, wanted, linear)  # type: ignore[arg-type]
                else:
                    lam.update(block.pull(values, cot, wanted, linear))  # type: ignore[arg-type]
            except SingularMatrix as error:
                raise refused(block, linear, error) from None
    return lam, cot


def tangents(state: State, directions: Values | Matrices, many: bool = False) -> Values:
    """Tangents of all variables that depend on the directions: one forward sweep (with ``many``: columns)."""
    out = dict(directions)
    with np.errstate(all="ignore"):
        for block in state.plan.blocks:
            linear = state.linear.get(block) if isinstance(block, Cycle) else None
            try:
                if many:
                    block.push_many(state.values, out, linear)  # type: ignore[arg-type]
                else:
                    block.push(state.values, out, linear)  # type: ignore[arg-type]
            except SingularMatrix as error:
                raise refused(block, linear, error) from None
    return out


def require_derivatives(state: State) -> None:
    """Refuse derivatives that do not exist; warn where one is a convention (at a kink)."""
    if not state.checked:
        for cycle, linear in state.linear.items():
            if linear.singular:
                raise singular_error(cycle, linear)
        state.checked = True
    if not state.kinks_checked:
        state.kinks_checked = True
        names = state.plan.at_kinks(state.values)
        if names:
            warnings.warn(
                f"the derivative is taken exactly at a kink of {', '.join(names[:8])}: a convention was used "
                "(abs' and relu' are 0, max and min share a tie); the function may have no derivative here",
                KinkWarning,
                stacklevel=4,
            )


def refused(cycle: Any, linear: Any, error: Exception) -> SingularError:
    """The error for a block whose matrix turns out singular when it is factored."""
    linear.singular = linear.singular or str(error) or "the Jacobian is singular"
    return singular_error(cycle, linear)


def singular_error(cycle: Cycle, linear: Any) -> SingularError:
    """Name the equations and unknowns with the largest share in the null vectors of ∂g/∂u."""
    try:
        left, right = null_vectors(linear.matrix)
        equations, variables = _largest(cycle.equations, left), _largest(cycle.variables, right)
    except SingularMatrix:  # entries that are not finite: no vector to tell by
        equations, variables = [e.name for e in cycle.equations[:6]], [v.name for v in cycle.variables[:6]]
    return SingularError(
        f"block {cycle.name!r} has no derivative at this solution: {linear.singular}. Equations that fail to determine "
        f"it: {', '.join(equations)}; unknowns that are not determined: {', '.join(variables)}. Look for equations "
        "that repeat each other, or a fold (turning point) of the solution in the inputs.",
        cycle.name,
        equations,
        variables,
    )


def _largest(items: Any, vector: np.ndarray) -> list[str]:
    """Names of the elements with the largest share in a vector, six at most."""
    share = np.abs(vector)
    return [locate(items, int(k)) for k in np.argsort(-share, kind="stable")[:6] if share[k] > 0.1 * share.max()]


class SecondOrder:
    """∇²L of some equations at given multipliers: products, and the sparse matrix.

    Only second derivatives of the right-hand sides enter: ∇²L = Σ_i λ_i ∇²f_i − Σ_i λ_i ∇²g_i.
    """

    def __init__(self, plan: Plan, names: frozenset[str]) -> None:
        self.equations = [e for e in plan.analysis.incidence if e.name in names]
        self.backend = plan.backend
        expressions = [e.expr for e in self.equations]
        variables = variables_of(expressions)
        vector = None
        if sum(not e.shape for e in self.equations) >= MANY:  # equations of few patterns: one vector of them
            scalars = [v for v in variables if not v.shape]
            pack_ = Variable("scalars", (len(scalars),))
            vector = flat(expressions, packs=packs_of(pack_, scalars))
        self.lam: dict[Variable, list[Equation]]
        if vector is None:
            self.lam = {Variable(f"λ({e.name})", e.shape): [e] for e in self.equations}
            self.vectors, self._wrt = Vectors({}), variables
        else:
            self.lam = {Variable("λ", vector.shape): self.equations}
            self.vectors = Vectors({pack_: scalars} if scalars else {})
            self._wrt = [*([pack_] if scalars else []), *(v for v in variables if v.shape)]
            expressions = [vector]
        self.leaves = [m for v in self._wrt for m in self.vectors.members.get(v, (v,))]
        gradient = vjp(expressions, list(self.lam), self._wrt)
        self.gradient = {v: g for v, g in zip(self._wrt, gradient, strict=True) if not isinstance(g, Constant)}
        self._products: dict[Any, Any] = {}
        self._matrix: Any = None

    def product(self, values: Values, lam: Mapping[str, Any], direction: Values) -> Values:
        """∇²L · direction, by variable."""
        inside = self.vectors.gathered(direction, list(self.gradient))
        key = frozenset(inside)
        if key not in self._products:
            dot: dict[Expr, Any] = {v: Variable(f"d({v.name})", v.shape) for v in inside}
            parts = jvp(list(self.gradient.values()), dot)
            outputs = {
                v: p
                for v, p in zip(self.gradient, parts, strict=True)
                if not (isinstance(p, Constant) and not np.any(p.value))
            }
            leaves = {leaf: v for v, leaf in dot.items()}
            self._products[key] = *self._compile(list(outputs.values())), leaves, list(outputs)
        function, inputs, leaves, names = self._products[key]
        args = self._arguments(inputs, values, lam, {leaf: inside[v] for leaf, v in leaves.items()})
        out: Values = {}
        self.vectors.scatter(dict(zip(names, function(*args), strict=True)), out)
        return out

    def _compile(self, outputs: list[Any]) -> tuple[Any, list[Variable]]:
        inputs = variables_of([e for out in outputs for e in (out if isinstance(out, tuple) else (out,))])
        return self.backend.compile(inputs, outputs), inputs

    def _arguments(self, inputs: list[Variable], values: Values, lam: Mapping[str, Any], given: Values) -> list[Any]:
        held = self.vectors.values(values)
        return [given[v] if v in given else self._weights(v, lam) if v in self.lam else held[v] for v in inputs]

    def _weights(self, leaf: Variable, lam: Mapping[str, Any]) -> Any:
        """λ of explicit equations, −λ of implicit ones."""
        parts = [lam[e.name] if e.target is not None else -lam[e.name] for e in self.lam[leaf]]
        return parts[0] if len(parts) == 1 else np.concatenate([np.reshape(p, -1) for p in parts])

    def matrix(self, values: Values, lam: Mapping[str, Any]) -> tuple[list[Variable], Any]:
        """∇²L over ``leaves``; may raise TooDenseError."""
        if self._matrix is None:
            zero = [self.gradient.get(v) for v in self._wrt]
            outputs = [zeros(v.shape) if g is None else g for v, g in zip(self._wrt, zero, strict=True)]
            map_ = jacobian_map(outputs, self._wrt)
            self._matrix = map_, *self._compile([flat_values(map_)])
        map_, function, inputs = self._matrix
        with np.errstate(all="ignore"):
            data = function(*self._arguments(inputs, values, lam, {}))[0]
        return self.leaves, map_.compact(data)


class Lagrangian:
    """L(x, z, λ) of a program at any point, feasible or not.

    ``z`` and ``lam`` are dicts by name (inputs may stand in ``z`` too; what is missing is the default, the guess or
    0) or flat vectors in the order of ``unknowns`` and ``equations``. ``x`` overrides inputs. Gradients come in the
    form of the point: a dict for dicts, a vector for vectors.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("x", 3.0)
    >>> y = m.define("y", x * x)
    >>> L = m.lagrangian("y")
    >>> L.grad_x({"y": 9.0}, {"y": 1.0})["x"]
    6.0
    >>> L.grad_z({"y": 9.0}, {"y": 1.0}), L.grad_lam({"y": 8.0}, {"y": 1.0})
    ({'y': 0.0}, {'y': 1.0})
    """

    def __init__(self, plan: Plan, weights: Mapping[str, Any]) -> None:
        self.plan, model = plan, plan.model
        self.weights = {model[name]: w for name, w in weights.items()}
        self.equations: list[Equation] = list(model.equations.values())
        self.unknowns = [v for v in model.unknowns if v not in plan.given]
        self.inputs = list(plan.inputs)
        self.lam = {e: Variable(f"λ({e.name})", e.shape) for e in self.equations}
        self._functions: dict[str, Any] = {}

    def __reduce__(self) -> Any:
        return Lagrangian, (self.plan, {v.name: w for v, w in self.weights.items()})

    def _point(self, z: Any, lam: Any, x: Any) -> tuple[Values, Values]:
        model = self.plan.model
        values: Values = {}
        for v in self.inputs:
            default = model.inputs.get(v, model.guesses.get(v))
            values[v] = np.zeros(v.shape)[()] if default is None else default
        for v in self.unknowns:
            values[v] = np.asarray(model.guesses.get(v, np.zeros(v.shape)))[()]
        self._read(values, z, self.unknowns, {v.name: v for v in (*self.inputs, *self.unknowns)}, "z")
        if x is not None:
            self._read(values, x, self.inputs, {v.name: v for v in self.inputs}, "x")
        multiplier: Values = {leaf: np.zeros(leaf.shape)[()] for leaf in self.lam.values()}
        keys = {e.name: leaf for e, leaf in self.lam.items()}
        self._read(multiplier, lam, list(self.lam.values()), keys, "lam")
        return values, multiplier

    def _read(self, into: Values, given: Any, order: list[Variable], names: dict[str, Variable], what: str) -> None:
        inputs = {v.name for v in self.inputs}
        if isinstance(given, Mapping):
            for name, value in given.items():
                if name not in names:
                    if what == "lam" and name in inputs:
                        continue  # multipliers of inputs are gradients, not part of the point
                    raise NameLookupError(closest(name, names, "equation" if what == "lam" else "variable"))
                v = names[name]
                into[v] = number(value, f"{what}[{name!r}]", v.shape, allow_inf=True)
            return
        vector = np.asarray(given, dtype=float)
        size = sum(v.size for v in order)
        if vector.shape != (size,):
            raise ShapeError(f"{what}: got shape {vector.shape}, expected a dict by name or a vector of {size}")
        unpack(order, vector, into)

    def _evaluate(self, key: str, outputs: list[Expr], values: Values, lam: Values) -> list[Any]:
        if key not in self._functions:
            inputs = variables_of(outputs)
            self._functions[key] = inputs, self.plan.backend.compile(inputs, outputs)
        inputs, function = self._functions[key]
        with np.errstate(all="ignore"):
            return list(function(*[lam[v] if v in lam else values[v] for v in inputs]))

    @property
    def expression(self) -> Expr:
        """L itself."""
        total: Any = 0.0
        for v, w in self.weights.items():
            total = total + (v * w).sum()
        for e, leaf in self.lam.items():
            total = total - (leaf * e.residual).sum()
        return total

    def value(self, z: Any, lam: Any, x: Any = None) -> float:
        """L."""
        return float(self._evaluate("value", [self.expression], *self._point(z, lam, x))[0])

    def _gradient(self, wrt: list[Variable], key: str, z: Any, lam: Any, x: Any) -> list[Any]:
        return self._evaluate(key, vjp([self.expression], [1.0], wrt), *self._point(z, lam, x))

    @staticmethod
    def _shaped(names: list[str], parts: list[Any], like: Any) -> Any:
        if isinstance(like, Mapping):
            return {n: float(p) if np.shape(p) == () else np.array(p) for n, p in zip(names, parts, strict=True)}
        return np.concatenate([np.zeros(0), *(np.reshape(p, -1) for p in parts)])

    def grad_z(self, z: Any, lam: Any, x: Any = None) -> Any:
        """∂L/∂z: zero at the multipliers of the point."""
        parts = self._gradient(self.unknowns, "grad_z", z, lam, x)
        return self._shaped([v.name for v in self.unknowns], parts, z)

    def grad_lam(self, z: Any, lam: Any, x: Any = None) -> Any:
        """∂L/∂λ: minus the residuals; zero at a solution."""
        parts = self._gradient(list(self.lam.values()), "grad_lam", z, lam, x)
        return self._shaped([e.name for e in self.equations], parts, lam)

    def grad_x(self, z: Any, lam: Any, x: Any = None) -> Any:
        """∂L/∂x: the gradient, where z solves the equations and λ are its multipliers."""
        parts = self._gradient(self.inputs, "grad_x", z, lam, x)
        return self._shaped([v.name for v in self.inputs], parts, z)

    def kkt(self, z: Any, lam: Any, x: Any = None) -> sp.csc_array:
        """The Hessian of L over (z, λ), sparse: [[∇²_zz L, −(∂g/∂z)ᵀ], [−∂g/∂z, 0]]."""
        leaves: list[Variable] = [*self.unknowns, *self.lam.values()]
        if "kkt" not in self._functions:
            map_ = jacobian_map(vjp([self.expression], [1.0], leaves), leaves)
            entries = flat_values(map_)
            inputs = variables_of(entries)
            self._functions["kkt"] = map_, inputs, self.plan.backend.compile(inputs, [entries])
        map_, inputs, function = self._functions["kkt"]
        values, multiplier = self._point(z, lam, x)
        with np.errstate(all="ignore"):
            data = function(*[multiplier[v] if v in multiplier else values[v] for v in inputs])[0]
        return map_.matrix(data)


def seeds_of(model: Any, of: Any) -> Values:
    """Cotangents from a name, or from a mapping of names to weights."""
    if isinstance(of, (str, Variable)):
        v = model[of]
        if v.shape:
            raise ShapeError(
                f"{v.name!r} has shape {v.shape}: a gradient needs one number. Give weights, {{{v.name!r}: array}}, or "
                "use jacobian()"
            )
        return {v: np.float64(1.0)}
    if not isinstance(of, Mapping):
        raise ModelError(f"expected the name of a variable or a dict of weights, got {of!r:.60}")
    seeds = {}
    for name, w in of.items():
        v = model[name]
        seeds[v] = number(w, f"the weight of {v.name!r}", v.shape)
    return seeds
