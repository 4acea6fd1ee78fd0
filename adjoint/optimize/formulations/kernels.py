"""Compiled functions of a nonlinear program's vector, for optimizers: values, first derivatives, and the Hessian.

The functions of :mod:`adjoint.explicit` each check that all they stand on is finite. An optimizer asks for derivatives
where it has asked for values, so here the values are checked, once per point, and derivatives by their own entries
alone: they are half as long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from functools import cached_property
from math import isfinite
from typing import Any

import numpy as np

from ...assembly import Assembly
from ...backends.patient import Tiered
from ...errors import AdjointError
from ...explicit import Compiled, current
from ...expr import Expr
from ...forms import kink_tests
from ...primitives.indexing import concatenate, ravel, sum_axes

__all__ = ["Call", "Kernels"]

Kernel = Callable[..., tuple[Any, ...]]


class Kernels:
    """The functions, each compiled when it is first asked for. All take the vector, and the fixed inputs, packed into
    another one, where there are any; they give a vector and a number that is not finite where they do not hold.

    Parameters
    ----------
    of : Compiled
        The form of the outputs, objective first.
    """

    def __init__(self, of: Compiled) -> None:
        self.of = copy(of)
        self.of.backend = getattr(of.backend, "of_solver", of.backend)

    @cached_property
    def values(self) -> Kernel:
        """All outputs."""
        return self._compiled(concatenate([ravel(e) for e in self.of.form.outputs]), (), self.of.guards)

    @cached_property
    def jacobian(self) -> tuple[Kernel, Assembly] | None:
        """Entries of the Jacobian of all outputs, by rows; None where it would be too dense."""
        return self._matrix(lambda: self.of.assembly(self.of.form.outputs, False), ())

    @cached_property
    def hessian(self) -> tuple[Kernel, Assembly] | None:
        """Entries of the lower triangle of the Hessian of a weighted sum of the outputs, of the vector and the weights;
        None where it would be too dense, or where an operation has no second derivative."""
        return self._matrix(lambda: self.of.assembly(self.of.weighted, True, lower=True), (self.of.weights,))

    def _matrix(self, make: Callable[[], Assembly], extra: Sequence[Any]) -> tuple[Kernel, Assembly] | None:
        try:
            found = make()
            return self._compiled(found.data, extra, self._kinks), found
        except AdjointError:
            return None

    @cached_property
    def _kinks(self) -> list[Expr]:
        return kink_tests(self.of.form)

    def _compiled(self, vector: Expr, extra: Sequence[Any], tests: Sequence[Expr]) -> Kernel:
        check = sum_axes(vector, (0,))
        for test in tests:
            check = check + test
        return self.of.compile([vector, check], extra)


class Call:
    """A kernel at values of the fixed inputs.

    Parameters
    ----------
    kernel : callable
    given : sequence of arrays
        The fixed inputs, packed; empty if there are none.
    """

    __slots__ = ("_function", "_given", "_kernel")

    def __init__(self, kernel: Kernel, given: Sequence[np.ndarray]) -> None:
        self._kernel, self._given = kernel, tuple(given)
        self._function: Kernel | None = None

    def __call__(self, x: np.ndarray, *more: np.ndarray) -> np.ndarray | None:
        """The vector; None where it does not hold."""
        found, check = (self._function or self._now())(x, *self._given, *more)
        return found if isfinite(check) else None

    def _now(self) -> Kernel:
        """The function for this call; kept where it will not be another one at the next."""
        kernel = self._kernel
        if isinstance(kernel, Tiered):
            function = kernel.now()
            if not kernel.settled:
                return function
        self._function = current(kernel)
        return self._function
