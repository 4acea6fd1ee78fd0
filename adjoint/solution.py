"""The solution of a program: verified values, and every derivative at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from . import totals
from .blocks import Values
from .check import DerivativeCheck, check_derivatives
from .diagnose import Diagnosis, diagnose
from .equations import number
from .errors import ModelError, NameLookupError, Status, closest
from .evaluation import pulled
from .expr import Variable
from .lagrangian import seeds_of
from .solve import BlockReport, State, linearize_again

__all__ = ["Solution"]


def _out(value: Any) -> Any:
    """A float, or a copy of an array."""
    if isinstance(value, np.ndarray) and value.shape:
        return np.array(value)
    return float(value)


class Solution(Mapping):  # type: ignore[type-arg]
    """Values of all variables at which every equation was verified; immutable, a mapping by name.

    Attributes
    ----------
    success : bool
        Always true: a solve that fails raises.
    status : Status
    message : str
    blocks : list of BlockReport
        How each block was solved: method, iterations, verified residual.

    >>> import numpy as np, adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("x", 0.0)
    >>> y = m.define("y", np.exp(2 * x))
    >>> sol = m.solve(x=0.0)
    >>> sol["y"], sol.gradient("y")
    (1.0, {'x': 2.0})
    >>> sol.multipliers("y")
    {'y': 1.0, 'x': 2.0}
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._model = state.plan.model
        self.success = True
        self.status = Status.SOLVED

    def __reduce__(self) -> Any:
        plan = self._state.plan
        values = {v.name: x for v, x in self._state.values.items()}
        singular = {cycle.name: linear.singular for cycle, linear in self._state.linear.items()}
        return _restored, (plan.model, [v.name for v in plan.given], values, self._state.reports, singular)

    # -- values ------------------------------------------------------------------------------------------------

    @property
    def message(self) -> str:
        """One line about the solve."""
        cycles = [r for r in self.blocks if r.kind == "cycle"]
        if not cycles:
            return "All equations were evaluated."
        worst = max(r.residual for r in cycles)
        steps = sum(r.iterations for r in cycles)
        plural = "cycle" if len(cycles) == 1 else "cycles"
        return f"{len(cycles)} {plural} solved in {steps} iterations; largest scaled residual {worst:.1e}."

    @property
    def blocks(self) -> list[BlockReport]:
        """Reports of the blocks, in solve order."""
        return list(self._state.reports)

    def _variable(self, name: Any) -> Variable:
        v = self._model[name]
        if v not in self._state.values:
            raise NameLookupError(f"{v.name!r} was not part of this solve: solve the whole program to see it")
        return v

    def __getitem__(self, name: str) -> Any:
        """The value of a variable: a float, or an array."""
        return _out(self._state.values[self._variable(name)])

    def __iter__(self) -> Iterator[str]:
        return (v.name for v in self._state.values)

    def __len__(self) -> int:
        return len(self._state.values)

    def __repr__(self) -> str:
        parts = []
        for name in list(self)[:12]:
            value = self[name]
            text = f"{value:.12g}" if isinstance(value, float) else f"array of shape {value.shape}"
            parts.append(f"  {name} = {text}")
        more = "" if len(self) <= 12 else f"\n  … {len(self) - 12} more"
        return f"<Solution of {self._model.name!r}: {self.message}\n" + "\n".join(parts) + more + ">"

    def residuals(self) -> dict[str, Any]:
        """The residual of every equation, recomputed from the model."""
        plan = self._state.plan
        if "residuals" not in plan.functions:
            from_equations = list(plan.analysis.incidence)
            inputs = list(self._state.values)
            plan.functions["residuals"] = (
                [e.name for e in from_equations],
                inputs,
                plan.backend.compile(inputs, [e.residual for e in from_equations]),
            )
        names, inputs, function = plan.functions["residuals"]
        with np.errstate(all="ignore"):
            parts = function(*[self._state.values[v] for v in inputs])
        return {n: _out(p) for n, p in zip(names, parts, strict=True)}

    # -- first derivatives -------------------------------------------------------------------------------------

    def _wrt(self, wrt: Any) -> list[Variable]:
        inputs = self._state.plan.inputs
        if wrt is None:
            return list(inputs)
        if not isinstance(wrt, (str, Variable, list, tuple, set, dict)):
            raise ModelError(f"wrt= is a name or a list of names, got {wrt!r:.60}")
        names = [wrt] if isinstance(wrt, (str, Variable)) else list(wrt)
        known, out = set(inputs), []
        for name in names:
            label = self._model[name].name if isinstance(name, Variable) else str(name)
            v = self._model.variables.get(label)
            if v is None:
                raise NameLookupError(closest(label, [i.name for i in inputs], "input"))
            if v not in known:
                raise ModelError(
                    f"{v.name!r} is determined by the equations, not an input: derivatives are taken with respect to "
                    "inputs. The total derivative with respect to its equation is its multiplier."
                )
            out.append(v)
        return out

    def multipliers(self, of: str | Mapping[str, Any]) -> dict[str, Any]:
        """λ of every equation by name, and the gradient by input name.

        Parameters
        ----------
        of : name of a scalar variable, or dict of weights of several variables
            The objective.

        Returns
        -------
        dict
            λ_i, in the shape of the equation: the change of the objective per unit added to its right-hand side.
        """
        return {k: _out(v) for k, v in totals.all_multipliers(self._state, seeds_of(self._model, of)).items()}

    def gradient(self, of: str | Mapping[str, Any], wrt: Any = None) -> Any:
        """Total derivative of a scalar variable (or weighted sum) with respect to inputs.

        Parameters
        ----------
        of : name, or dict of weights
        wrt : name or list of names, optional
            Inputs; default all.

        Returns
        -------
        dict of arrays by input, or the array itself where ``wrt`` is one name
        """
        if wrt is None and type(of) is str and self._state.vector is not None:
            found = pulled(self._state.plan, self._state.vector, {of: 1.0})
            if found is not None:
                return found
        words = _words("gradient", of, wrt)
        known = totals.repeated(self._state, words)
        if known is not None:
            return known
        inputs = self._wrt(wrt)
        parts = totals.gradient(self._state, seeds_of(self._model, of), inputs)
        single = isinstance(wrt, (str, Variable))
        if type(of) is str:
            labels = None if single else [v.name for v in inputs]
            totals.remember(self._state, words, [self._variable(of)], inputs, labels)
        return _out(parts[0]) if single else {v.name: _out(p) for v, p in zip(inputs, parts, strict=True)}

    def vjp(self, cotangents: Mapping[str, Any], wrt: Any = None) -> dict[str, Any]:
        """Cotangents of inputs from cotangents of variables: ``{input: Σ cotangentᵀ · d(variable)/d(input)}``."""
        state = self._state
        if wrt is None and state.vector is not None and isinstance(cotangents, Mapping):
            found = pulled(state.plan, state.vector, cotangents)
            if found is not None:
                return found
        inputs = self._wrt(wrt)
        parts = totals.vjp(self._state, seeds_of(self._model, _mapping(cotangents, "vjp")), inputs)
        return {v.name: _out(p) for v, p in zip(inputs, parts, strict=True)}

    def _directions(self, tangents: Mapping[str, Any]) -> Values:
        out: Values = {}
        for name, t in _mapping(tangents, "a direction").items():
            v = self._wrt(name)[0]
            out[v] = number(t, f"direction of {v.name!r}", v.shape)
        return out

    def jvp(self, tangents: Mapping[str, Any], of: Any = None) -> dict[str, Any]:
        """Tangents of variables from tangents of inputs (inputs not named do not move)."""
        names = None if of is None else [of] if isinstance(of, (str, Variable)) else list(of)
        wanted = None if names is None else [self._variable(n) for n in names]
        out = totals.jvp(self._state, self._directions(tangents), wanted)
        return {v.name: _out(t) for v, t in out.items()}

    def jacobian(self, of: Any, wrt: Any = None, mode: str = "auto", sparse: bool = False) -> Any:
        """d(of)/d(wrt).

        Parameters
        ----------
        of, wrt : name or list of names
        mode : "auto", "forward" or "reverse"
        sparse : bool
            2-D ``scipy.sparse`` blocks, rows and columns in C order of the elements.

        Returns
        -------
        dict ``{(of, wrt): array of shape of.shape + wrt.shape}``, or the array itself for one of and one wrt
        """
        words = _words("jacobian", of, wrt) if mode == "auto" and not sparse else None
        known = totals.repeated(self._state, words)
        if known is not None:
            return known
        if mode not in ("auto", "forward", "reverse"):
            raise ModelError(f"mode is 'auto', 'forward' or 'reverse', not {mode!r}")
        if not isinstance(of, (str, Variable, list, tuple, set, dict)):
            raise ModelError(f"jacobian() takes a name or a list of names, got {of!r:.60}")
        rows = [self._variable(n) for n in ([of] if isinstance(of, (str, Variable)) else of)]
        cols = self._wrt(wrt)
        if not rows or not cols:
            return {}
        matrix = totals.jacobian(self._state, rows, cols, mode)
        out = _blocks(matrix, rows, cols, sparse)
        single = isinstance(of, (str, Variable)) and isinstance(wrt, (str, Variable))
        if words is not None:
            totals.remember(self._state, words, rows, cols, None if single else list(out))
        return out[rows[0].name, cols[0].name] if single else out

    # -- second derivatives ------------------------------------------------------------------------------------

    def hvp(self, of: str | Mapping[str, Any], direction: Mapping[str, Any], wrt: Any = None) -> dict[str, Any]:
        """Hessian–vector product ``{input: Σ ∂²of/∂input∂x · direction_x}``, exact, through cycles."""
        inputs = self._wrt(wrt)
        parts = totals.hvp(self._state, seeds_of(self._model, of), self._directions(direction), inputs)
        return {v.name: _out(p) for v, p in zip(inputs, parts, strict=True)}

    def hessian(self, of: str | Mapping[str, Any], wrt: Any = None, sparse: bool = False) -> Any:
        """Second derivatives of a scalar variable (or weighted sum) with respect to inputs.

        Returns
        -------
        dict ``{(a, b): array of shape a.shape + b.shape}``, or the array itself where ``wrt`` is one name
        """
        inputs = self._wrt(wrt)
        matrix = totals.hessian(self._state, seeds_of(self._model, of), inputs)
        out = _blocks(matrix, inputs, inputs, sparse)
        if isinstance(wrt, (str, Variable)):
            return out[inputs[0].name, inputs[0].name]
        return out

    def check_derivatives(self, of: str | Mapping[str, Any], wrt: Any = None) -> DerivativeCheck:
        """Compare the gradient with the complex step through the whole solve (central differences past a black box).

        Returns
        -------
        DerivativeCheck
            True where all agree; lists the worst entries by name.
        """
        inputs = self._wrt(wrt)
        label = of if isinstance(of, str) else getattr(of, "name", "the weighted sum")
        return check_derivatives(self._state, seeds_of(self._model, of), label, inputs)

    def diagnose(
        self,
        of: str | Mapping[str, Any],
        along: Sequence[str] | None = None,
        vanishing: float = 1e-6,
        exploding: float = 1e6,
    ) -> Diagnosis:
        """The sizes of multipliers along the depth of the program, and along the time of each ``adj.scan`` in it.

        Parameters
        ----------
        along : list of names, optional
            Layers from the start to the objective. Default: all variables that it depends on, by depth.
        vanishing, exploding : float
            Flagged are layers whose size, beside that of the layer next to the objective, is below or above.

        Returns
        -------
        Diagnosis
            ``print`` shows it; ``.ok``, ``.series``, ``.plot()``.
        """
        label = of if isinstance(of, str) else getattr(of, "name", "the weighted sum")
        return diagnose(self._state, seeds_of(self._model, of), label, along, vanishing, exploding)


def _words(kind: str, of: Any, wrt: Any) -> tuple[Any, ...] | None:
    """What is asked for, in the words of the call; None where it is not by names."""
    of = tuple(of) if type(of) is list else of
    wrt = tuple(wrt) if type(wrt) is list else wrt
    if type(of) not in (str, tuple) or type(wrt) not in (str, tuple, type(None)):
        return None
    return kind, of, wrt


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ModelError(f"{what} takes a dict by name, got {value!r:.60}")
    return value


def _blocks(matrix: Any, rows: Sequence[Variable], cols: Sequence[Variable], sparse: bool) -> dict[Any, Any]:
    """A matrix cut into blocks by name."""
    if not sparse and not any(v.shape for v in (*rows, *cols)):
        pairs = ((r.name, c.name) for r in rows for c in cols)
        return dict(zip(pairs, totals.as_dense(matrix).ravel().tolist(), strict=True))
    full = sp.csr_array(matrix) if sparse else totals.as_dense(matrix)
    out: dict[Any, Any] = {}
    i = 0
    for r in rows:
        j = 0
        for c in cols:
            part = full[i : i + r.size, j : j + c.size]
            out[r.name, c.name] = part if sparse else _out(part.reshape(r.shape + c.shape))
            j += c.size
        i += r.size
    return out


def _restored(model: Any, given: list[str], values: dict[str, Any], reports: Any, singular: dict[str, str]) -> Solution:
    """A pickled solution: its values, with linearizations made again at them."""
    state = State(model.plan(given), {model[n]: x for n, x in values.items()})
    state.reports = reports
    linearize_again(state, singular)
    return Solution(state)
