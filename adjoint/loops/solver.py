"""One implicit step, solved by the general methods of the library: any size, in real and complex arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..equations import unused_name
from ..errors import ConvergenceError, SingularError
from ..expr import Expr, Variable
from ..linear import SingularMatrix, make_solver
from ..program import Program
from ..rebuild import substitute
from ..solve import forward, make_options
from ..sparsity import flat_values, jacobian_map
from .direct import direct_solver
from .step import Step

__all__ = ["StepSolver"]

Array = Any
CORRECTIONS = 20  # of the imaginary part
OPTIONS = make_options(1e-10, 200)


class StepSolver:
    """``(carry, params, *rows) → [carry, *rows]`` for a step with implicit equations."""

    def __init__(self, step: Step, backend: Any, complex_values: bool) -> None:
        self.step, self.complex = step, complex_values
        self.sizes = [sum(v.size for v in row) for row in step.inputs]
        self.leaves = [v for group in (step.carry, step.params, *step.inputs) for v in group]
        self.parts = [_Part(step, k, self.leaves, backend) for k in range(len(step.implicit))]
        groups = [self.leaves, step.unknowns]
        ends = [row for row in (step.after, *step.outputs) if row]
        self.finish = backend.compile([tuple(g) for g in groups], ends, None, complex_values)

    def __call__(self, carry: Array, params: Array, *rows: Array) -> list[Array]:
        given = np.concatenate([np.reshape(carry, -1), np.reshape(params, -1), *rows])
        solved: list[Array] = []
        for part in self.parts:
            before = np.concatenate([given, *solved])
            u = part.solve(np.real(given), np.real(before))
            solved.append(part.continued(u, before) if self.complex else u)
        found = iter(self.finish(given, np.concatenate(solved)))
        nothing = np.zeros(0)
        return [next(found) if row else nothing for row in (self.step.after, *self.step.outputs)]


class _Part:
    """The equations of one implicit part, as a program of their own."""

    def __init__(self, step: Step, k: int, leaves: Sequence[Variable], backend: Any) -> None:
        part = step.implicit[k]
        self.part, self.backend, self.differentiated = part, backend, step.differentiated
        self.known = [*leaves, *(u for p in step.implicit[:k] for u in p.unknowns)]
        self.guess = backend.compile([tuple(leaves)], [part.guesses])
        self._complex: Any = None
        m = self.program = Program("step", backend.name)
        new: dict[Expr, Expr] = {}
        for v in self.known:
            new[v] = m.input(unused_name(m, v.name), shape=v.shape)
        for v in part.unknowns:
            lower, upper = part.bounds.get(v, (None, None))
            new[v] = m.unknown(unused_name(m, v.name), shape=v.shape, lower=lower, upper=upper)
        for g, name in zip(substitute(part.residuals, new), part.names, strict=True):
            m.constrain(g, unused_name(m, name))
        self.inputs: list[Any] = [new[v] for v in self.known]
        self.unknowns: list[Any] = [new[v] for v in part.unknowns]
        self.plan = m.plan()
        self.direct = direct_solver(self.plan, self.inputs, self.unknowns, part.linear, OPTIONS.tol)

    def solve(self, given: Array, before: Array) -> Array:
        guess = self.guess(given)[0]
        if self.direct is not None:
            found = self.direct(guess, before, self.differentiated)
            if found is not None:
                return found
        values = _unpacked(self.inputs, before)
        start = _unpacked(self.unknowns, guess)
        try:
            state = forward(self.plan, values, OPTIONS, None, start, warn_singular=False)
        except ConvergenceError as error:
            if not self.part.linear:
                raise
            raise SingularError(f"a step has no derivative: {error}", error.block) from error
        if self.differentiated:
            for linear in state.linear.values():
                if linear.singular:
                    names = ", ".join(self.part.names[:6])
                    raise SingularError(f"a step has no derivative: {linear.singular} ({names})", names)
        return np.concatenate([np.reshape(state.values[u], -1) for u in self.unknowns])

    def continued(self, u: Array, before: Array) -> Array:
        """u + i u̇ with g = 0 in complex arithmetic, from the real root, by iteration with the real Jacobian."""
        residual, entries, pattern, solver = self._continuation()
        try:
            values = entries(u, np.real(before))[0]
            factor = solver.factor(pattern.dense(values) if solver.dense else pattern.matrix(values))
        except SingularMatrix as error:
            raise SingularError(f"a step has no derivative: {error}") from error
        u = u + 0j
        first = None
        for _ in range(CORRECTIONS):
            r = np.imag(residual(u, before)[0])
            size = float(np.abs(r).max(initial=0.0))
            first = size if first is None else first
            if size <= 1e-13 * first:
                return u
            u = u - 1j * factor.solve(r)
        return u

    def _continuation(self) -> Any:
        if self._complex is None:
            part = self.part
            inputs = [part.unknowns, tuple(self.known)]
            pattern = jacobian_map(part.residuals, part.unknowns)
            self._complex = (
                self.backend.compile(inputs, [part.residuals], None, True),
                self.backend.compile(inputs, [flat_values(pattern)]),
                pattern,
                make_solver(pattern.wrap(np.ones(pattern.nnz)), "auto"),
            )
        return self._complex


def _unpacked(variables: Sequence[Any], vector: Array) -> dict[Any, Any]:
    values, at = {}, 0
    for v in variables:
        values[v] = vector[at : at + v.size].reshape(v.shape) if v.shape else vector[at]
        at += v.size
    return values
