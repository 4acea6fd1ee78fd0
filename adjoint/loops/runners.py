"""Execution of a loop: step by step from Python, or in one call of native code.

A runner goes through some rows of the streams. The reference backend evaluates the step operation by operation. The
compiled backend compiles the step, and the loop over the steps with it, once that pays; a step that needs NumPy in
between (a large matrix product, a factorization, another loop) is compiled in parts and called from Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backends import get_backend
from ..errors import EvaluationError
from ..walk import topological
from .native import NativeLoop, NativeSolver
from .solver import StepSolver
from .step import Step

__all__ = ["Runner"]

Array = Any
PATIENCE = 20_000  # operations of NumPy, in all steps so far, that take as long as compiling does


class Runner:
    """Goes through rows of the streams of a step.

    Parameters
    ----------
    step : Step
    backend : name of a backend; None: the default one, which compiles what is repeated often
    """

    def __init__(self, step: Step, backend: str | None) -> None:
        self.step, self.backend, self.patient = step, get_backend(backend), backend is None
        self.spent = 0
        self._functions: dict[Any, Callable[..., Any]] = {}
        self._native: Any = None  # False: there is none
        self._operations: int | None = None

    def run(
        self,
        count: int,
        reverse: bool,
        carry: Array,
        params: Array,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        first: int = 0,
    ) -> Array:
        """The carry after ``count`` steps, through rows of the inputs; rows of the outputs are filled.

        Parameters
        ----------
        count : int
        reverse : whether the last row comes first
        carry, params : flat vectors
        inputs, outputs : 2-D arrays, one row for each step
        first : number of the first row, for messages
        """
        if not count:
            return np.array(carry)
        if np.iscomplexobj(carry) or any(map(np.iscomplexobj, (params, *inputs))):
            return self._loop(self._function("complex"), count, reverse, carry, params, inputs, outputs, first)
        native = self._compiled(count)
        if native is not None:
            return self._run_native(native, count, reverse, carry, params, inputs, outputs, first)
        interpreted = self.backend.name == "numpy" or self._native is not False  # not yet, or not at all, compiled
        function = self._function("numpy" if interpreted else "step")
        return self._loop(function, count, reverse, carry, params, inputs, outputs, first)

    def _loop(
        self, function: Any, count: int, reverse: bool, carry: Array, params: Array, inputs: Any, outputs: Any, at: int
    ) -> Array:
        carry = np.reshape(carry, -1)
        with np.errstate(all="ignore"):
            for i in reversed(range(count)) if reverse else range(count):
                try:
                    carry, *rows = function(carry, params, *[x[i] for x in inputs])
                except (EvaluationError, ArithmeticError) as error:
                    raise _at_step(error, at + i) from error
                for out, row in zip(outputs, rows, strict=True):
                    out[i] = row
        return carry

    def _run_native(
        self, native: Any, count: int, reverse: bool, carry: Array, params: Array, inputs: Any, outputs: Any, first: int
    ) -> Array:
        """The loop in native code; a step that it cannot solve is left to the general methods."""
        done = 0
        while True:
            rows = slice(0, count - done) if reverse else slice(done, count)
            given, filled = [x[rows] for x in inputs], [y[rows] for y in outputs]
            made, carry = native.run(count - done, reverse, carry, params, given, filled)
            done += made
            if done == count:
                return carry
            at = count - 1 - done if reverse else done
            one = slice(at, at + 1)
            given, filled = [x[one] for x in inputs], [y[one] for y in outputs]
            carry = self._loop(self._function("step"), 1, False, carry, params, given, filled, first + at)
            done += 1
            if done == count:
                return carry

    def _compiled(self, count: int) -> Any:
        if self.backend.name != "llvm" or self._native is False:
            return None
        if self._native is None:
            if self.patient:
                self.spent += count * self.operations
                if self.spent < PATIENCE:
                    return None
            made = NativeSolver(self.step) if self.step.implicit else NativeLoop(self.step)
            self._native = made if made.usable else False
        return self._native or None

    def expect(self, count: int) -> None:
        """So many steps are going to be made."""
        self.spent += count * self.operations

    @property
    def operations(self) -> int:
        """How many operations a step has."""
        if self._operations is None:
            roots = [*self.step.after, *(e for row in self.step.outputs for e in row)]
            roots += [e for part in self.step.implicit for e in part.residuals]
            solved = 100 * len(self.step.implicit)  # an iteration takes as long as many operations
            self._operations = sum(node.op is not None for node in topological(roots)) + solved
        return self._operations

    def _function(self, kind: str) -> Callable[..., Any]:
        """One step: (carry, params, *rows) → [carry, *rows]; compiled, by NumPy, or in complex arithmetic."""
        if kind not in self._functions:
            backend = self.backend if kind == "step" else get_backend("numpy")
            if self.step.implicit:
                self._functions[kind] = StepSolver(self.step, backend, kind == "complex")
            else:
                self._functions[kind] = _explicit(self.step, backend, kind == "complex")
        return self._functions[kind]


def _explicit(step: Step, backend: Any, complex_values: bool) -> Callable[..., Any]:
    groups = [step.carry, step.params, *step.inputs]
    kept = [k for k, group in enumerate(groups) if group]
    ends = [step.after, *step.outputs]
    wanted = [k for k, row in enumerate(ends) if row]
    function = backend.compile([groups[k] for k in kept], [ends[k] for k in wanted], None, complex_values)
    if len(kept) == len(groups) and len(wanted) == len(ends):
        return function  # type: ignore[no-any-return]
    nothing = np.zeros(0)

    def fitted(*values: Array) -> list[Array]:
        found = iter(function(*[values[k] for k in kept]))
        return [next(found) if row else nothing for row in ends]

    return fitted


def _at_step(error: Exception, i: int) -> Exception:
    if not str(error).startswith("step "):
        error.args = (f"step {i} of a scan: {error}", *error.args[1:])
    return error
