"""One step of a loop as expressions, and its derivatives as steps.

A step takes a carry ``c``, one row of each input ``x`` and parameters ``p``, and gives the next carry and one row of
each output ``y``:

    g_k(u_k; c, x, p, u_1 … u_(k−1)) = 0,     c⁺ = f(c, x, p, u),     y = h(c, x, p, u)

The ``g_k`` are equations that are solved in every step, such as those of backward Euler; an explicit step has none.
Tangents and cotangents of a step are steps again, their implicit equations linear ones:

    tangent    ∂g_k/∂u_k u̇_k + (∂g_k/∂(c, x, p, u_j)) · (ċ, ẋ, ṗ, u̇_j) = 0
    cotangent  (∂g_k/∂u_k)ᵀ μ_k = ū_k,   then  c̄ −= (∂g_k/∂c)ᵀ μ_k,  and x̄, p̄, ū_j (j < k) alike

So loops of any order of derivative are loops over such steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

from ..derivatives import jvp, vjp
from ..expr import Expr, Variable
from ..primitives.elementwise import stop_gradient, zeros
from ..rebuild import substitute

__all__ = ["Implicit", "Step", "Wanted", "twins"]

Variables = tuple[Variable, ...]
Exprs = tuple[Expr, ...]
Wanted = tuple[int, tuple[bool, ...]]  # how many of the parameters, the first ones; which inputs


@dataclass(frozen=True, eq=False)
class Implicit:
    """Equations that determine unknowns within a step.

    Attributes
    ----------
    unknowns, residuals : as many elements each
    guesses : where the search starts, in terms of carry, inputs and parameters
    bounds : that the search respects, by unknown: (lower, upper)
    names : of the residuals
    linear : whether the residuals are linear in the unknowns
    """

    unknowns: Variables
    residuals: Exprs
    guesses: Exprs
    bounds: dict[Variable, tuple[object, object]]
    names: tuple[str, ...]
    linear: bool = False


@dataclass(frozen=True, eq=False)
class Step:
    """What a loop repeats.

    Attributes
    ----------
    carry, params : variables
    inputs : of each stream of inputs the variables that one row holds, in order
    implicit : equations solved in every step, in order
    after : the next carry
    outputs : of each stream of outputs the expressions that one row holds
    differentiated : whether it serves derivatives, so that its equations need to be regular where they are solved
    """

    carry: Variables
    params: Variables
    inputs: tuple[Variables, ...]
    implicit: tuple[Implicit, ...]
    after: Exprs
    outputs: tuple[Exprs, ...]
    differentiated: bool = False

    @cached_property
    def unknowns(self) -> Variables:
        """All that is solved for, in order."""
        return tuple(chain.from_iterable(part.unknowns for part in self.implicit))

    @cached_property
    def leaves(self) -> Variables:
        """Carry, parameters and inputs."""
        return (*self.carry, *self.params, *chain.from_iterable(self.inputs))

    @cached_property
    def recorded(self) -> Step:
        """The same step, with what its derivatives are taken at as its one output: the carry before, and what was
        solved for."""
        outputs = ((*self.carry, *self.unknowns),)
        return Step(self.carry, self.params, self.inputs, self.implicit, self.after, outputs, True)

    @cached_property
    def observed(self) -> Step:
        """The same step with its outputs and its record."""
        outputs = (*self.outputs, *self.recorded.outputs)
        return Step(self.carry, self.params, self.inputs, self.implicit, self.after, outputs, True)

    @cached_property
    def whole(self) -> Step:
        """The same step with derivatives where truncation holds the carry constant."""
        new: dict[Expr, Expr] = {stop_gradient(c): c for c in self.carry}
        flat = substitute([*self.after, *chain.from_iterable(self.outputs)], new)
        implicit = tuple(replace(p, residuals=tuple(substitute(p.residuals, new))) for p in self.implicit)
        after, rows = flat[: len(self.after)], _rows(flat[len(self.after) :], self.outputs)
        return Step(self.carry, self.params, self.inputs, implicit, tuple(after), rows)

    @cached_property
    def costate(self) -> Step:
        """The step of the reversed loop of the multipliers of the carry alone, λ before each step its one output."""
        back = self.cotangent((0, tuple(False for _ in self.inputs)))
        return Step(back.carry, back.params, back.inputs, back.implicit, back.after, (back.after,), True)

    @cached_property
    def bare(self) -> Step:
        """The same step without outputs."""
        return Step(self.carry, self.params, self.inputs, self.implicit, self.after, ())

    def tangent(self, wanted: Wanted, full: bool) -> Step:
        """The step of (c, ċ), of parameters (p, ṗ) and inputs (x, ẋ): outputs ẏ, after y where ``full``."""
        count, streams = wanted
        dots = twins(self.carry), twins(self.params[:count])
        moving = [twins(row) for row, on in zip(self.inputs, streams, strict=True) if on]
        tangents: dict[Expr, Expr] = dict(zip(self.carry, dots[0], strict=True))
        tangents.update(zip(self.params, dots[1], strict=False))
        for row, dot in zip((r for r, on in zip(self.inputs, streams, strict=True) if on), moving, strict=True):
            tangents.update(zip(row, dot, strict=True))
        implicit: list[Implicit] = []
        for part in self.implicit:
            unknowns = twins(part.unknowns)
            tangents.update(zip(part.unknowns, unknowns, strict=True))
            implicit += [part, _linear(unknowns, jvp(part.residuals, tangents), part.names)]
        ends = jvp([*self.after, *chain.from_iterable(self.outputs)], tangents)
        after, rows = ends[: len(self.after)], _rows(ends[len(self.after) :], self.outputs)
        return Step(
            (*self.carry, *dots[0]),
            (*self.params, *dots[1]),
            (*self.inputs, *moving),
            tuple(implicit),
            (*self.after, *after),
            (*self.outputs, *rows) if full else rows,
            True,
        )

    def cotangent(self, wanted: Wanted) -> Step:
        """The step of the reversed loop. Its carry is (λ, p̄), its inputs are the record of ``recorded``, x, and ȳ; its
        outputs are x̄."""
        count, streams = wanted
        before, given = twins(self.carry), self.params[:count]
        sums = tuple(Variable(f"sum of {v.name}", v.shape) for v in given)
        seeds = tuple(tuple(Variable(f"cotangent {k}", e.shape) for k, e in enumerate(row)) for row in self.outputs)
        moving = [row for row, on in zip(self.inputs, streams, strict=True) if on]
        wrt = [*self.carry, *given, *chain.from_iterable(moving), *self.unknowns]
        ends = [*self.after, *chain.from_iterable(self.outputs)]
        cot = dict(zip(wrt, vjp(ends, [*before, *chain.from_iterable(seeds)], wrt), strict=True))
        implicit = []
        for part in reversed(self.implicit):
            names = zip(part.names, part.residuals, strict=True)
            multipliers = tuple(Variable(f"multiplier of {name}", g.shape) for name, g in names)
            pulled = vjp(part.residuals, multipliers, wrt)
            residuals, own = [], set(part.unknowns)
            for w, p in zip(wrt, pulled, strict=True):
                if w in own:
                    residuals.append(p - cot[w])
                else:
                    cot[w] = cot[w] - p
            implicit.append(_linear(multipliers, residuals, tuple(v.name for v in part.unknowns)))
        return Step(
            (*before, *sums),
            self.params,
            ((*self.carry, *self.unknowns), *self.inputs, *seeds),
            tuple(implicit),
            (*(cot[c] for c in self.carry), *(s + cot[p] for s, p in zip(sums, given, strict=True))),
            tuple(tuple(cot[v] for v in row) for row in moving),
            True,
        )


def twins(variables: Sequence[Variable]) -> Variables:
    """New variables of the same shapes: directions, or cotangents."""
    return tuple(Variable(f"{v.name}'", v.shape) for v in variables)


def _linear(unknowns: Variables, residuals: Sequence[Expr], names: tuple[str, ...]) -> Implicit:
    """Linear equations, which are solved from zero."""
    return Implicit(unknowns, tuple(residuals), tuple(zeros(v.shape) for v in unknowns), {}, names, True)


def _rows(flat: Sequence[Expr], form: Sequence[Exprs]) -> tuple[Exprs, ...]:
    rows, at = [], 0
    for row in form:
        rows.append(tuple(flat[at : at + len(row)]))
        at += len(row)
    return tuple(rows)
