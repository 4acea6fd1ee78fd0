"""Gauss–Newton and Fisher matrices of a program, as products with a vector.

Let an objective depend on the variables x through outputs, ``f(x) = ℓ(o(x), x)``. Its Gauss–Newton matrix is what is
left of the Hessian if the outputs are taken as linear,

    G = Jᵀ (∂²ℓ/∂o²) J,      J = ∂o/∂x,

positive semidefinite where ℓ is convex in o (N. N. Schraudolph, *Neural Computation* 14, 2002). For squared errors of
residuals it is ``JᵀJ``. Where ℓ is a negative log-likelihood and o are the natural parameters (means of Gaussians of
fixed variance, the scores of a softmax), it is Fisher's information (J. Martens, *JMLR* 21, 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse.linalg

from .blocks import pack
from .derivatives import forward_sweep, reverse_sweep
from .errors import EvaluationError, ModelError
from .expr import Expr, Variable, constant
from .forms import form_of
from .function import Function
from .points import as_vector
from .solve import input_values

__all__ = ["GaussNewton"]


class GaussNewton:
    """Products with the Gauss–Newton matrix, one compiled function: a forward sweep, ∂²ℓ/∂o², a reverse sweep.

    Parameters
    ----------
    program : Program
        Without cycles before the objective a product is one kernel; with cycles, solves on their factors.
    of : str
        The objective, a scalar.
    outputs : list of str
        The variables o; what of the objective does not go through them counts with its whole second derivative.
    wrt : list of str, optional
        The inputs x; default: all.
    values : dict, optional
        Of the other inputs, where they differ from the defaults.

    >>> import numpy as np, adjoint as adj
    >>> m = adj.Program()
    >>> r = m.define("r", np.exp(m.input("t", 0.5) * np.arange(3.0)) - np.exp(0.5 * np.arange(3.0)))
    >>> f = m.define("f", 0.5 * np.sum(r**2))
    >>> G = GaussNewton(m, "f", ["r"])
    >>> G.product([0.5], [1.0]).round(10).tolist(), G.product([0.0], [1.0]).tolist()
    ([32.2745062242], [5.0])
    """

    def __init__(
        self,
        program: Any,
        of: str,
        outputs: str | Sequence[str],
        wrt: Sequence[str] | str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        f = program[of]
        names = [outputs] if isinstance(outputs, str | Variable) else list(outputs)
        wrt = [wrt] if isinstance(wrt, str) else wrt
        self.wrt: list[Variable] = list(program.inputs) if wrt is None else [program[n] for n in wrt]
        self.outputs: list[Variable] = [program[n] for n in names]
        if f.shape:
            raise ModelError(f"a Gauss–Newton matrix is of a scalar; {f.name!r} has shape {f.shape}")
        for v in self.outputs:
            if v.name not in program.equations or v is f:
                raise ModelError(f"{v.name!r} is no output: no explicit equation before {f.name!r} defines it")
        self.size = sum(v.size for v in self.wrt)
        plan = program.plan(tuple(v for v in self.wrt if v not in program.inputs))
        form = form_of(plan, [f, *self.outputs], self.wrt)
        if form is None:
            self._apply = _by_solves(program, f, self.outputs, self.wrt, values)
            return
        direction = tuple(Variable(f"d({v.name})", v.shape) for v in self.wrt)
        parts = _product(f, self.outputs, self.wrt, direction, form.definitions)
        arguments = [tuple(self.wrt), *([form.fixed] if form.fixed else []), direction]
        kernel = plan.backend.compile(arguments, [tuple(parts)], form.definitions)
        base = input_values(plan, {**{v.name: np.ones(v.shape) for v in self.wrt}, **(values or {})})
        given = [np.asarray(pack(form.fixed, base), dtype=float)] if form.fixed else []
        self._apply = lambda x, d: kernel(x, *given, d)[0]

    def product(self, vector: Any, direction: Any) -> np.ndarray:
        """``G(x) · direction``."""
        what = ", ".join(v.name for v in self.wrt)
        x, d = as_vector(vector, self.size, what), as_vector(direction, self.size, f"the direction of {what}")
        with np.errstate(all="ignore"):
            found = np.array(self._apply(x, d), dtype=float).reshape(-1)
        if not np.isfinite(found).all():
            names = ", ".join(v.name for v in self.outputs)
            raise EvaluationError(f"the Gauss–Newton product through {names} is not finite")
        return found

    def operator(self, vector: Any) -> scipy.sparse.linalg.LinearOperator:
        """``G(x)`` as a linear operator, for iterative solvers."""
        x = np.array(as_vector(vector, self.size, ", ".join(v.name for v in self.wrt)))
        return scipy.sparse.linalg.LinearOperator(
            (self.size, self.size), matvec=lambda d: self.product(x, np.reshape(d, -1)), dtype=float
        )

    def matrix(self, vector: Any) -> np.ndarray:
        """``G(x)``, column by column: for few variables."""
        return np.column_stack([self.product(vector, e) for e in np.eye(self.size)])


def _product(
    f: Variable, outputs: list[Variable], wrt: list[Variable], direction: tuple[Variable, ...], definitions: Any
) -> list[Expr]:
    """The expressions of G · direction, by variable."""
    moving: dict[Expr, Any] = dict(zip(wrt, direction, strict=True))
    tangents = forward_sweep(outputs, moving, definitions)
    held = set(outputs)
    tail = {v: e for v, e in definitions.items() if v not in held}
    leaves: list[Variable] = [*outputs, *wrt]
    # ∂ℓ/∂o and ∂ℓ/∂x, with o held as variables of their own; and their tangents.
    slopes = reverse_sweep({f: constant(1.0)}, set(leaves), tail)
    ends = [v for v in leaves if v in slopes]
    moving.update({o: tangents[o] for o in outputs if o in tangents})
    turned = forward_sweep([slopes[v] for v in ends], moving, tail)
    seeds: dict[Expr, Expr] = {o: turned[slopes[o]] for o in outputs if o in slopes and slopes[o] in turned}
    back = reverse_sweep(seeds, set(wrt), definitions) if seeds else {}
    parts = []
    for v in wrt:
        own = turned.get(slopes[v]) if v in slopes else None
        found = [e for e in (back.get(v), own) if e is not None]
        parts.append(constant(np.zeros(v.shape)) if not found else found[0] if len(found) == 1 else found[0] + found[1])
    return parts


def _by_solves(
    program: Any, f: Variable, outputs: list[Variable], wrt: list[Variable], values: Mapping[str, Any] | None
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The product where cycles are solved: tangents and cotangents of the solution, and products of the rest."""
    names, moved = [v.name for v in outputs], [v.name for v in wrt]
    tail = program.extended()
    for name in names:
        del tail.equations[name]  # given, from here on
    fixed = values or None
    head = Function(program, names, moved, values=fixed)
    rest = Function(tail, f.name, [*names, *moved], values=fixed)

    def product(x: np.ndarray, d: np.ndarray) -> np.ndarray:
        o = head(x)
        tangents = head.solution.jvp(head.unpack(d), of=names)
        t = np.concatenate([np.zeros(0), *(np.reshape(tangents[n], -1) for n in names)])
        turned = rest.hessp(np.concatenate([o, x]), np.concatenate([t, d]))
        back = head.solution.vjp({n: rest.unpack(turned)[n] for n in names}, wrt=moved)
        return turned[t.size :] + np.concatenate([np.reshape(back[n], -1) for n in moved])

    return product
