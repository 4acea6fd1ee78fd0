"""Programs without cycles as functions of a packed vector: nothing to solve, so nothing between call and kernel.

With explicit equations only, every variable is an expression in the inputs. Values, gradients (a reverse sweep
through the definitions), sparse Jacobians and Hessians (direct coordinate values) and Hessian–vector products are each
one compiled function of the vector. Every function also gives a number that is finite only where all is well: the
outputs and the variables on the way are finite, and no derivative is taken at a kink. Where it is not, the caller goes
the general way, which names what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from math import isfinite, nan
from typing import Any

import numpy as np
import scipy.sparse as sp

from .assembly import Assembly
from .backends import Backend
from .backends.patient import Tiered, owned
from .batched import jacobian_batched
from .derivatives import forward_sweep, reverse_sweep
from .errors import AdjointError
from .expr import Constant, Expr, Variable, constant
from .forms import Form, form_of, have_kinks, hidden, kink_tests, total
from .interning import paused_collection
from .patterns import flat
from .plan import Plan
from .primitives.elementwise import zeros
from .primitives.indexing import reshape, take_flat
from .sparsity import SparseMap, jacobian_map
from .terms import Term
from .walk import topological, variables_of

__all__ = ["Compiled", "Explicit", "checks_arguments", "compiled", "current", "is_final"]

FEW = 32  # scalars that are added up in the compiled function; more are packed, and tested in Python
TOTAL_BUDGET = 5_000_000  # entries composed for a sparse map, before the general way is taken; and for large ones,
ENTRIES = 200  # entries per row and column
DIRECTIONS = 64  # inputs; measured: up to here all columns of a dense Jacobian at once cost less than its sparse map
Kernel = Callable[..., tuple[Any, ...]]


# -- compiled functions, shared by all functions of the same outputs and inputs ---------------------------------------


class Compiled:
    """The functions of one form, each compiled when it is first asked for; None where that is not possible.

    Each takes the vector, the fixed inputs packed into another (if there are any), and weights and a direction where
    these matter; and returns its result and a check.
    """

    def __init__(self, form: Form, backend: Backend, scalar: bool) -> None:
        self.fixed = form.fixed  # of the program; the form may have them in one vector
        nodes = topological(form.outputs, definitions=form.definitions)
        guards: list[Expr] = list(hidden(form, nodes))
        self._kinks = have_kinks(nodes)
        form, guards = _batched(form, guards, scalar) or (form, guards)
        self.form, self.backend, self.scalar = form, backend, scalar
        self.guards = [total(e) for e in guards]
        self.inputs = (form.leaves, *((form.fixed,) if form.fixed else ()))
        self.weights = tuple(Variable(f"w({k})", e.shape) for k, e in enumerate(form.outputs))
        self.direction = tuple(Variable(f"d({v.name})", v.shape) for v in form.leaves)

    def compile(self, outputs: Sequence[Any], extra: Sequence[Any] = ()) -> Kernel:
        """A function of the vector that prints no warnings of NumPy's, and whose results are new arrays."""
        inner = self.backend.compile([*self.inputs, *extra], outputs, self.form.definitions)
        if getattr(self.backend, "silent", False):
            return inner

        def silenced(*args: Any) -> tuple[Any, ...]:
            with np.errstate(all="ignore"):
                return tuple(owned(r, args) for r in inner(*args))

        return silenced

    @cached_property
    def sound(self) -> Expr:
        """A number that is finite only if the outputs, and what they may hide, are."""
        return _added([*map(total, self.form.outputs), *self.guards])

    @cached_property
    def check(self) -> Expr:
        """A number that is finite only if derivatives can be given."""
        return _added([self.sound, *(kink_tests(self.form) if self._kinks else ())])

    @cached_property
    def value(self) -> Kernel:
        """The outputs, and a check."""
        return self.compile([self.form.outputs[0] if self.scalar else self.form.outputs, self.sound])

    @cached_property
    def gradient(self) -> Kernel | None:
        """d(output)/d(vector), and a check."""
        try:
            with paused_collection():
                return _gradient_function(self)
        except AdjointError:
            return None

    def cotangents(self, seeds: Mapping[Expr, Expr]) -> tuple[Expr, ...]:
        """Σ seed·d(output)/d(leaf), by leaf."""
        cot = reverse_sweep(seeds, set(self.form.leaves), self.form.definitions)
        return tuple(cot[v] if v in cot else zeros(v.shape) for v in self.form.leaves)

    @cached_property
    def weighted(self) -> tuple[Expr, ...]:
        """The gradient of Σ weights · outputs."""
        seeds: dict[Expr, Expr] = {}
        for e, w in zip(self.form.outputs, self.weights, strict=True):
            seeds[e] = seeds[e] + w if e in seeds else w
        return self.cotangents(seeds)

    @cached_property
    def pull(self) -> Kernel | None:
        """The gradient of Σ weights · outputs, of the vector and the weights; and a check."""
        try:
            return self.compile([self.weighted, _added([self.check, *map(total, self.weighted)])], (self.weights,))
        except AdjointError:
            return None

    @cached_property
    def jacobian(self) -> tuple[Kernel, Assembly] | None:
        return self._matrix(self.form.outputs, (), symmetric=False)

    @cached_property
    def dense_jacobian(self) -> Kernel | None:
        """The Jacobian of more outputs than inputs as an array, all directions at once; None where it does not suit."""
        columns = sum(v.size for v in self.form.leaves)
        if columns > DIRECTIONS or sum(e.size for e in self.form.outputs) <= columns:
            return None
        try:
            J = jacobian_batched(self.form.outputs, self.form.leaves, self.form.definitions)
            return self.compile([J, _added([self.check, total(J)])])
        except AdjointError:
            return None

    @cached_property
    def hessian(self) -> tuple[Kernel, Assembly] | None:
        try:
            return self._matrix(self.weighted, (self.weights,), symmetric=True)
        except AdjointError:
            return None

    def _matrix(self, rows: Sequence[Expr], extra: Sequence[Any], symmetric: bool) -> tuple[Kernel, Assembly] | None:
        try:
            assembly = self.assembly(rows, symmetric)
            check = _added([self.check, total(assembly.data)])
            return self.compile([assembly.data, check], extra), assembly
        except AdjointError:  # too dense, or an operation without a rule: the general way knows more
            return None

    def assembly(self, rows: Sequence[Expr], symmetric: bool, lower: bool = False) -> Assembly:
        """The derivatives of some expressions by the vector, as a sparse matrix (``lower``: its lower triangle alone);
        raises an AdjointError where it would be too dense, or where an operation has no rule."""
        if len(rows) <= FEW and not any(e.shape for e in (*rows, *self.form.leaves, *self.form.definitions)):
            return Assembly(self._map_by_rows(rows), symmetric, lower)
        budget = max(TOTAL_BUDGET, ENTRIES * sum(e.size for e in (*rows, *self.form.leaves)))
        found = jacobian_map(rows, self.form.leaves, self.form.definitions, budget=budget)
        return Assembly(found, symmetric, lower)

    def _map_by_rows(self, rows: Sequence[Expr]) -> SparseMap:
        """The derivatives of a few scalars by scalars, one reverse sweep each: scalar expressions, no arrays."""
        terms = []
        for i, row in enumerate(rows):
            for j, e in enumerate(self.cotangents({row: constant(1.0)})):
                at = np.array([i]), np.array([j])
                if not isinstance(e, Constant):
                    terms.append(Term(*at, None, e, None))
                elif e.value != 0.0:
                    terms.append(Term(*at, np.array([float(e.value)]), None, None))
        return SparseMap(terms, (len(rows), len(self.form.leaves)))

    @cached_property
    def product(self) -> Kernel | None:
        """(Hessian of Σ weights · outputs) · direction."""
        try:
            moving: dict[Expr, Any] = dict(zip(self.form.leaves, self.direction, strict=True))
            tangents = forward_sweep(self.weighted, moving, self.form.definitions)
            parts = tuple(tangents[g] if g in tangents else zeros(g.shape) for g in self.weighted)
            check = _added([self.check, *map(total, parts)])
            return self.compile([parts, check], (self.weights, self.direction))
        except AdjointError:
            return None


def _batched(form: Form, guards: Sequence[Expr], scalar: bool) -> tuple[Form, list[Expr]] | None:
    """The form and the guards on whole vectors (``patterns``), where many scalar equations differ only in indices and
    constants; None where they do not."""
    packs: dict[Variable, tuple[Variable, int]] = {}
    vectors = []
    for name, variables in (("vector", form.leaves), ("fixed", form.fixed)):
        vector = Variable(name, (sum(v.size for v in variables),))
        vectors.append((vector,) if variables else ())
        at = 0
        for v in variables:
            packs[v] = vector, at
            at += v.size
    found = flat([*form.outputs, *guards], form.definitions, packs)
    if found is None or not {v for part in vectors for v in part}.issuperset(variables_of([found])):
        return None
    count = sum(e.size for e in form.outputs)
    result = found if count == found.size else take_flat(found, np.arange(count))
    rest = [take_flat(found, np.arange(count, found.size))] if count < found.size else []
    return Form((reshape(result, ()) if scalar else result,), vectors[0], vectors[1], {}), rest


def _added(parts: Sequence[Expr]) -> Expr:
    total = parts[0]
    for p in parts[1:]:
        total = total + p
    return total


def _gradient_function(of: Compiled) -> Kernel:
    """The gradient of a scalar output and its check: by the backend's own reverse sweep where it has one
    (``compile_gradient(inputs, output, wrt, definitions, check)``, or None from it), else as expressions."""
    native = getattr(of.backend, "compile_gradient", None)
    if native is not None:
        function = native(of.inputs, of.form.outputs[0], of.form.leaves, of.form.definitions, of.check)
        if function is not None:
            return function
    parts = of.cotangents({of.form.outputs[0]: constant(1.0)})
    return of.compile([parts, _added([of.check, *map(total, parts)])])


def compiled(plan: Plan, of: tuple[Variable, ...], wrt: tuple[Variable, ...], scalar: bool) -> Compiled | None:
    """The compiled functions of some outputs (``scalar``: one number) over some inputs, made once per plan."""
    key = ("explicit", of, wrt, scalar)
    if key not in plan.functions:
        with paused_collection():
            form = form_of(plan, of, wrt)
            plan.functions[key] = None if form is None else Compiled(form, plan.backend, scalar)
    return plan.functions[key]


# -- the functions at given values of the fixed inputs ----------------------------------------------------------------


class Explicit:
    """Values and derivatives at a vector; None where the general way has to be gone.

    Each function may be another one at the next call, until it :func:`is_final`.

    Parameters
    ----------
    functions : Compiled
    given : sequence of arrays
        The fixed inputs, packed; empty if there are none.
    sparse : bool
        Whether Jacobians and Hessians of it are sparse.
    """

    def __init__(self, functions: Compiled, given: Sequence[np.ndarray], sparse: bool) -> None:
        self._functions, self._given, self._sparse = functions, tuple(given), sparse

    def _at(self, kernel: Kernel) -> Kernel:
        """The kernel at the values of the fixed inputs."""
        given = self._given
        return _like(kernel, lambda x: kernel(x, *given)) if given else kernel

    @property
    def value(self) -> Kernel:
        """(value, check): the outputs flattened and concatenated, or one number."""
        return self._at(current(self._functions.value))

    @property
    def jac(self) -> Kernel:
        """(gradient of a scalar output, else Jacobian; check)."""
        if self._functions.scalar:
            kernel = self._functions.gradient
            return _nothing if kernel is None else self._at(current(kernel))
        of = self._functions
        if not self._sparse and of.dense_jacobian is not None:
            return self._at(current(of.dense_jacobian))
        if of.jacobian is not None or of.dense_jacobian is None:
            return self._at(self._matrix(of.jacobian))
        full = self._at(current(of.dense_jacobian))

        def compressed(x: np.ndarray) -> Any:
            J, check = full(x)
            return sp.csr_array(J), check

        return _like(full, compressed)

    @property
    def hess(self) -> Kernel:
        """(Hessian of the weighted sum of the outputs, check), of the vector and the weights."""
        return self._matrix(self._functions.hessian, self._given)

    def _matrix(self, record: tuple[Kernel, Assembly] | None, given: tuple[Any, ...] = ()) -> Kernel:
        if record is None:
            return _nothing
        function, assembly = current(record[0]), record[1]
        form = assembly.sparse if self._sparse else assembly.dense

        def matrix(x: np.ndarray, *more: np.ndarray) -> Any:
            data, check = function(x, *given, *more)
            return (form(data), check) if isfinite(check) else (None, check)

        return _like(function, matrix)

    @property
    def hessp(self) -> Kernel:
        """(product of that Hessian and a direction, check), of the vector, the weights and the direction."""
        if self._functions.product is None:
            return _nothing
        function, given = current(self._functions.product), self._given
        return _like(function, lambda x, w, d: function(x, *given, w, d))


def _nothing(*_: Any) -> tuple[None, float]:
    return None, nan


def current(kernel: Kernel) -> Kernel:
    """The function to call this time: where it is compiled, and the backend has such a form of it (``direct()``, or
    None from it), one that looks at its arguments itself."""
    function: Any = kernel
    if isinstance(kernel, Tiered):
        function = kernel.now()
        if not kernel.settled:
            return _like(function, lambda *arguments: function(*arguments), final=False)
    if not hasattr(function, "direct"):
        return function  # type: ignore[no-any-return]
    if not hasattr(function, "checking"):
        function.checking = function.direct()
        if function.checking is not None:
            function.checking.checks_arguments = True
    return function if function.checking is None else function.checking  # type: ignore[no-any-return]


def _like(kernel: Kernel, function: Kernel, final: bool | None = None) -> Kernel:
    """A function around a kernel, which is as the kernel in what the two questions below ask."""
    function.checks_arguments = checks_arguments(kernel)  # type: ignore[attr-defined]
    function.final = is_final(kernel) if final is None else final  # type: ignore[attr-defined]
    return function


def checks_arguments(kernel: Kernel) -> bool:
    """Whether a kernel may be given anything: its check is NaN if an argument is not a plain vector."""
    return getattr(kernel, "checks_arguments", False)


def is_final(kernel: Kernel) -> bool:
    """Whether a kernel may be kept for the next call."""
    return getattr(kernel, "final", True)
