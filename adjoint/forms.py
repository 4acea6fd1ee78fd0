"""Outputs of a program without cycles as expressions in its inputs, and what must be finite beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .analysis import Analysis
from .expr import Constant, Expr, Variable, constant
from .plan import Plan
from .primitive import BUILDERS, PRIMITIVES
from .primitives.reductions import sum as sum_of
from .walk import topological

__all__ = ["Form", "form_of", "have_kinks", "hidden", "kink_tests", "total"]


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
    needed = _ancestors(plan.analysis, of)
    definitions: dict[Variable, Expr] = {}
    for block in plan.analysis.blocks:
        if not needed.isdisjoint(block.unknowns):
            if block.kind != "explicit":
                return None
            (variable,), (equation,) = block.unknowns, block.equations
            definitions[variable] = equation.expr
    own = set(wrt)
    fixed = tuple(v for v in plan.inputs if v in needed and v not in own)
    if not sum(v.size for v in of) or not sum(v.size for v in wrt):
        return None
    return Form(tuple(of), tuple(wrt), fixed, definitions)


def _ancestors(analysis: Analysis, of: Sequence[Variable]) -> set[Variable]:
    """The outputs, and the variables that they depend on by the equations that determine them. (Of a cycle perhaps not
    all variables, but one.)"""
    owner, incidence = analysis.owner, analysis.incidence
    found = set(of)
    stack = list(found)
    pop, push, see = stack.pop, stack.append, found.add
    while stack:
        equation = owner.get(pop())
        if equation is not None:
            for v in incidence[equation]:
                if v not in found:
                    see(v)
                    push(v)
    return found


# -- what must be finite, besides the results -------------------------------------------------------------------------

_ALL = "add subtract multiply negative square sqrt cbrt sin cos tan sinh cosh log log2 log10 log1p arcsin arccos"
_ALL += (
    " arcsinh arccosh arctanh absolute hypot reshape transpose broadcast_to sum concatenate cumsum scatter_add norm2"
)
SHOWING = frozenset(_ALL.split())  # where an argument is not finite, neither is the result


def hidden(form: Form, nodes: Sequence[Expr] | None = None) -> list[Variable]:
    """Variables (of the vector, and defined ones) that may be infinite or NaN without a trace in the outputs, as in
    ``exp(−∞) = 0`` or where an index leaves an element out. ``nodes`` are those below the outputs, in topological
    order."""
    if nodes is None:
        nodes = topological(form.outputs, definitions=form.definitions)
    definitions = form.definitions
    shown: set[Expr] = set(form.outputs)
    show = shown.update
    seen: dict[Expr, np.ndarray] = {}  # elements that indices leave
    for node in reversed(nodes):
        if seen and node in seen and seen[node].all():
            shown.add(node)
        if node not in shown:
            continue
        op = node.op
        if op is None:
            if node in definitions and node.size:
                shown.add(definitions[node])  # type: ignore[index]
        elif op.name in SHOWING:
            if not node.shape or node.size:
                show(node.args)
        elif op.name == "divide" or _is_positive_power(node):
            if node.size:
                shown.add(node.args[0])
        elif op.name in ("getitem", "take") and node.shape and node.size:
            base = node.args[0]
            left = np.zeros(base.shape, dtype=bool)
            at = np.arange(base.size).reshape(base.shape)
            left.reshape(-1)[op.value(at, *node.params).reshape(-1)] = True
            seen[base] = seen[base] | left if base in seen else left
    found = [v for v in form.leaves if v not in shown]
    return found + [v for v, e in definitions.items() if v not in shown and e not in shown]


def _is_positive_power(node: Expr) -> bool:
    if node.op is not PRIMITIVES["power"]:
        return False
    exponent = node.args[1]
    return isinstance(exponent, Constant) and bool(np.all(np.asarray(exponent.value) > 0))


def have_kinks(nodes: Iterable[Expr]) -> bool:
    """Whether one of the operations has a kink."""
    return any(op is not None and op.kink is not None for op in {node.op for node in nodes})


def kink_tests(form: Form) -> list[Expr]:
    """For every operation with a kink an expression that is 1, or +∞ where a derivative is taken at the kink."""
    nodes = topological(form.outputs, definitions=form.definitions)
    if not have_kinks(nodes):
        return []
    held = {node for node in nodes if node.op is PRIMITIVES["stop_gradient"]}  # no derivative goes through
    tests = []
    for node in topological(form.outputs, stop=held, definitions=form.definitions) if held else nodes:
        if node.op is not None and node.op.kink is not None and node not in held:
            active = node.op.kink(node, *node.args, *node.params)
            tests.append(constant(1.0) / BUILDERS["=="](total(active), 0.0))
    return tests


def total(e: Expr) -> Expr:
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
