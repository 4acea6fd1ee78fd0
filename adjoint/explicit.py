"""Programs without cycles as functions of a packed vector: nothing to solve, so nothing between call and kernel.

With explicit equations only, every variable is an expression in the inputs. Values, gradients (a reverse sweep
through the definitions), sparse Jacobians and Hessians (direct coordinate values) and Hessian–vector products are each
one compiled function of the vector. Every function also gives a number that is finite only where all is well: the
outputs and the variables on the way are finite, and no derivative is taken at a kink. Where it is not, the caller goes
the general way, which names what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, nan
from typing import Any

import numpy as np
import scipy.sparse as sp

from .assembly import Assembly
from .backends import Backend
from .batched import jacobian_batched
from .derivatives import forward_sweep, reverse_sweep
from .errors import AdjointError
from .expr import Constant, Expr, Variable, constant
from .patterns import flat
from .plan import Plan
from .primitive import BUILDERS, PRIMITIVES
from .primitives.elementwise import zeros
from .primitives.indexing import reshape, take_flat
from .primitives.reductions import sum as sum_of
from .sparsity import SparseMap, jacobian_map
from .terms import Term
from .walk import topological, variables_of

__all__ = ["Explicit", "Form", "compiled", "form_of"]

FEW = 32  # scalars that are added up in the compiled function; more are packed, and tested in Python
TOTAL_BUDGET = 5_000_000  # entries composed for a sparse map, before the general way is taken; and for large ones,
ENTRIES = 200  # entries per row and column
DIRECTIONS = 64  # inputs; measured: up to here all columns of a dense Jacobian at once cost less than its sparse map
Kernel = Callable[..., tuple[Any, ...]]


@dataclass(frozen=True, eq=False, slots=True)
class Form:
    """Outputs as expressions in the inputs, through definitions.

    Attributes
    ----------
    outputs : what is computed, flattened and concatenated
    leaves : the variables that the vector holds, in order
    fixed : the other inputs that matter
    definitions : of the variables on the way
    """

    outputs: tuple[Expr, ...]
    leaves: tuple[Variable, ...]
    fixed: tuple[Variable, ...]
    definitions: Mapping[Variable, Expr]


def form_of(plan: Plan, of: Sequence[Variable], wrt: Sequence[Variable]) -> Form | None:
    """The outputs in terms of the inputs; None where a cycle has to be solved for them."""
    needed = plan.ancestors(of)
    definitions: dict[Variable, Expr] = {}
    for block in plan.analysis.blocks:
        if any(v in needed for v in block.unknowns):
            if block.kind != "explicit":
                return None
            definitions.update((v, e.expr) for v, e in zip(block.unknowns, block.equations, strict=True))
    own = set(wrt)
    fixed = tuple(v for v in plan.inputs if v in needed and v not in own)
    if not sum(v.size for v in of) or not sum(v.size for v in wrt):
        return None
    return Form(tuple(of), tuple(wrt), fixed, definitions)


# -- what must be finite, besides the results -------------------------------------------------------------------------

_ALL = "add subtract multiply negative square sqrt cbrt sin cos tan sinh cosh log log2 log10 log1p arcsin arccos"
_ALL += (
    " arcsinh arccosh arctanh absolute hypot reshape transpose broadcast_to sum concatenate cumsum scatter_add norm2"
)
SHOWING = frozenset(_ALL.split())  # where an argument is not finite, neither is the result


def hidden(form: Form) -> list[Variable]:
    """Variables (of the vector, and defined ones) that may be infinite or NaN without a trace in the outputs, as in
    ``exp(−∞) = 0`` or where an index leaves an element out."""
    order = topological(form.outputs, definitions=form.definitions)
    shown: set[Expr] = set(form.outputs)
    seen: dict[Expr, np.ndarray] = {}  # elements that indices leave
    for node in reversed(order):
        if node in seen and seen[node].all():
            shown.add(node)
        if node in shown and node.size:
            if node in form.definitions:
                shown.add(form.definitions[node])  # type: ignore[index]
            elif node.op is not None and node.op.name in SHOWING:
                shown.update(node.args)
            elif node.op is not None and (node.op.name == "divide" or _is_positive_power(node)):
                shown.add(node.args[0])
            elif node.op is not None and node.op.name in ("getitem", "take") and node.shape:
                base = node.args[0]
                left = np.zeros(base.shape, dtype=bool)
                at = np.arange(base.size).reshape(base.shape)
                left.reshape(-1)[node.op.value(at, *node.params).reshape(-1)] = True
                seen[base] = seen[base] | left if base in seen else left
    found = [v for v in form.leaves if v not in shown]
    return found + [v for v, e in form.definitions.items() if v not in shown and e not in shown]


def _is_positive_power(node: Expr) -> bool:
    if node.op is not PRIMITIVES["power"]:
        return False
    exponent = node.args[1]
    return isinstance(exponent, Constant) and bool(np.all(np.asarray(exponent.value) > 0))


def kink_tests(form: Form) -> list[Expr]:
    """For every operation with a kink an expression that is 1, or +∞ where a derivative is taken at the kink."""
    nodes = topological(form.outputs, definitions=form.definitions)
    held = {node for node in nodes if node.op is PRIMITIVES["stop_gradient"]}  # no derivative goes through
    tests = []
    for node in topological(form.outputs, stop=held, definitions=form.definitions):
        if node.op is not None and node.op.kink is not None and node not in held:
            active = node.op.kink(node, *node.args, *node.params)
            tests.append(constant(1.0) / BUILDERS["=="](_total(active), 0.0))
    return tests


def _total(e: Expr) -> Expr:
    """The sum of all elements. Sums and moves of elements are looked through: what a kernel adds up where it computes
    the elements costs nothing."""
    total: Expr = constant(0.0)
    stack = [(e, 1.0)]
    while stack:
        e, sign = stack.pop()
        name = e.op.name if e.op is not None else ""
        if not e.shape and name not in ("add", "subtract"):
            total = total + sign * e
        elif name in ("add", "subtract") and e.shape and all(a.shape == e.shape for a in e.args):
            stack += [(e.args[0], sign), (e.args[1], sign if name == "add" else -sign)]
        elif name in ("embed", "scatter_add", "reshape", "transpose"):
            stack.append((e.args[0], sign))
        elif name == "concatenate":
            stack += [(a, sign) for a in e.args]
        else:
            total = total + sign * sum_of(e)
    return total


# -- compiled functions, shared by all functions of the same outputs and inputs ---------------------------------------


class Compiled:
    """The functions of one form, each compiled when it is first asked for; None where that is not possible.

    Each takes the vector, the fixed inputs packed into another (if there are any), and weights and a direction where
    these matter; and returns its result and a check.
    """

    def __init__(self, form: Form, backend: Backend, scalar: bool) -> None:
        self.fixed = form.fixed  # of the program; the form may have them in one vector
        guards: list[Expr] = list(hidden(form))
        form, guards = _batched(form, guards, scalar) or (form, guards)
        self.form, self.backend, self.scalar = form, backend, scalar
        self.guards = [_total(e) for e in guards]
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
                return tuple(_owned(r, args) for r in inner(*args))

        return silenced

    @cached_property
    def sound(self) -> Expr:
        """A number that is finite only if the outputs, and what they may hide, are."""
        return _added([*map(_total, self.form.outputs), *self.guards])

    @cached_property
    def check(self) -> Expr:
        """A number that is finite only if derivatives can be given."""
        return _added([self.sound, *kink_tests(self.form)])

    @cached_property
    def value(self) -> Kernel:
        """The outputs, and a check."""
        return self.compile([self.form.outputs[0] if self.scalar else self.form.outputs, self.sound])

    @cached_property
    def gradient(self) -> Kernel | None:
        """d(output)/d(vector), and a check."""
        try:
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
            return self.compile([J, _added([self.check, _total(J)])])
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
            if len(rows) <= FEW and not any(e.shape for e in (*rows, *self.form.leaves, *self.form.definitions)):
                found = self._map_by_rows(rows)
            else:
                size = sum(e.size for e in (*rows, *self.form.leaves))
                budget = max(TOTAL_BUDGET, ENTRIES * size)
                found = jacobian_map(rows, self.form.leaves, self.form.definitions, budget=budget)
            assembly = Assembly(found, symmetric)
            check = _added([self.check, _total(assembly.data)])
            return self.compile([assembly.data, check], extra), assembly
        except AdjointError:  # too dense, or an operation without a rule: the general way knows more
            return None

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
            check = _added([self.check, *map(_total, parts)])
            return self.compile([parts, check], (self.weights, self.direction))
        except AdjointError:
            return None


def _owned(result: Any, args: Sequence[Any]) -> Any:
    """The result, as an array of its own: not a view, a constant or an argument."""
    if type(result) is not np.ndarray:
        return result
    shared = not (result.flags.owndata and result.flags.writeable) or any(result is a for a in args)
    return result.copy() if shared else result


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
    return of.compile([parts, _added([of.check, *map(_total, parts)])])


def compiled(plan: Plan, of: tuple[Variable, ...], wrt: tuple[Variable, ...], scalar: bool) -> Compiled | None:
    """The compiled functions of some outputs (``scalar``: one number) over some inputs, made once per plan."""
    key = ("explicit", of, wrt, scalar)
    if key not in plan.functions:
        form = form_of(plan, of, wrt)
        plan.functions[key] = None if form is None else Compiled(form, plan.backend, scalar)
    return plan.functions[key]


# -- the functions at given values of the fixed inputs ----------------------------------------------------------------


class Explicit:
    """Values and derivatives at a vector; None where the general way has to be gone.

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
        return (lambda x: kernel(x, *given)) if given else kernel

    @cached_property
    def value(self) -> Kernel:
        """(value, check): the outputs flattened and concatenated, or one number."""
        return self._at(self._functions.value)

    @cached_property
    def jac(self) -> Kernel:
        """(gradient of a scalar output, else Jacobian; check)."""
        if self._functions.scalar:
            kernel = self._functions.gradient
            return _nothing if kernel is None else self._at(kernel)
        of = self._functions
        if not self._sparse and of.dense_jacobian is not None:
            return self._at(of.dense_jacobian)
        if of.jacobian is not None or of.dense_jacobian is None:
            return self._at(self._matrix(of.jacobian))
        full = self._at(of.dense_jacobian)

        def compressed(x: np.ndarray) -> Any:
            J, check = full(x)
            return sp.csr_array(J), check

        return compressed

    @cached_property
    def hess(self) -> Kernel:
        """(Hessian of the weighted sum of the outputs, check), of the vector and the weights."""
        return self._matrix(self._functions.hessian, self._given)

    def _matrix(self, record: tuple[Kernel, Assembly] | None, given: tuple[Any, ...] = ()) -> Kernel:
        if record is None:
            return _nothing
        function, assembly = record
        form = assembly.sparse if self._sparse else assembly.dense

        def matrix(x: np.ndarray, *more: np.ndarray) -> Any:
            data, check = function(x, *given, *more)
            return (form(data), check) if isfinite(check) else (None, check)

        return matrix

    @cached_property
    def hessp(self) -> Kernel:
        """(product of that Hessian and a direction, check), of the vector, the weights and the direction."""
        function, given = self._functions.product, self._given
        return _nothing if function is None else lambda x, w, d: function(x, *given, w, d)


def _nothing(*_: Any) -> tuple[None, float]:
    return None, nan
