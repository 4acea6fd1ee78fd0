"""Reports: the structure of a program before any number, and derivatives against independent ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import totals
from .analysis import MOST_PARTS, Analysis, analyze, element_incidence
from .blocks import Cycle, Run, Values, unpack
from .describe import counted
from .equations import Equations
from .errors import ConvergenceError, DerivativeError, EvaluationError, StructureError
from .expr import Variable
from .nonlinear import Options
from .primitive import PRIMITIVES
from .solve import State, element_name, forward
from .structure import Incidence, connected_parts, dulmage_mendelsohn, maximum_matching
from .walk import topological

__all__ = ["DerivativeCheck", "Report", "check_derivatives", "report"]


@dataclass(frozen=True)
class Report:
    """What the structure of a program says.

    Attributes
    ----------
    ok : bool
        Whether the equations can determine the unknowns.
    inputs, unknowns, equations : number of scalar ones
    blocks : list of BlockInfo, in solve order
    overdetermined, underdetermined : list of (equations, unknowns) by name, one per connected part
    unused_inputs : inputs in no equation
    without_effect : equations that no output depends on
    outputs : variables that no equation uses, or those asked for
    singular : elements of cycles that are structurally singular, by block: (equations, unknowns)

    >>> import adjoint as adj
    >>> m = adj.Program("twice")
    >>> y = m.define("y", 2 * m.input("x", 1.0))
    >>> print(m.check())
    program 'twice': 1 scalar equation, 1 unknown, 1 input
    structure: every unknown is determined
    blocks: 1, of which 0 cycles
    outputs: y
    """

    ok: bool
    name: str
    inputs: int
    unknowns: int
    equations: int
    blocks: list[Any] = field(default_factory=list)
    overdetermined: list[tuple[list[str], list[str]]] = field(default_factory=list)
    underdetermined: list[tuple[list[str], list[str]]] = field(default_factory=list)
    unused_inputs: list[str] = field(default_factory=list)
    without_effect: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    singular: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = [
            f"program {self.name!r}: {counted(self.equations, 'scalar equation')}, "
            f"{counted(self.unknowns, 'unknown')}, {counted(self.inputs, 'input')}",
            f"structure: {'every unknown is determined' if self.ok else 'the unknowns are not determined'}",
        ]
        cycles = [b for b in self.blocks if b.kind == "cycle"]
        if self.blocks:
            noun = "cycle" if len(cycles) == 1 else "cycles"
            lines.append(f"blocks: {len(self.blocks)}, of which {len(cycles)} {noun}")
            lines += [
                f"  {b.name}: {counted(b.size, 'equation')} for {_names([v.name for v in b.unknowns])}"
                for b in cycles[:20]
            ]
        for title, parts in (("over-determined", self.overdetermined), ("under-determined", self.underdetermined)):
            for eqs, vs in parts[:MOST_PARTS]:
                left, right = counted(len(eqs), "equation"), counted(len(vs), "unknown")
                lines.append(f"{title}: {left} ({_names(eqs)}) for {right} ({_names(vs)})")
            if len(parts) > MOST_PARTS:
                lines.append(f"{title}: … {len(parts) - MOST_PARTS} more parts")
        for block, (eqs, vs) in self.singular.items():
            lines.append(f"structurally singular inside {block}: equations {_names(eqs)}; unknowns {_names(vs)}")
        for title, names in (
            ("unused inputs", self.unused_inputs),
            ("equations without effect on an output", self.without_effect),
            ("outputs", self.outputs),
        ):
            if names:
                lines.append(f"{title}: {_names(names)}")
        return "\n".join(lines)

    __repr__ = __str__


def _names(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(names[:most]) or "none"
    return shown + (f", … {len(names) - most} more" if len(names) > most else "")


def report(model: Equations, outputs: Iterable[str] | None = None) -> Report:
    """The structural report of a program; never raises for a bad structure."""
    facts: dict[str, Any] = {
        "name": model.name,
        "inputs": sum(v.size for v in model.inputs),
        "unknowns": sum(v.size for v in model.unknowns),
        "equations": sum(e.size for e in model.equations.values()),
    }
    used = {v for e in model.equations.values() for v in e.variables}
    unused = [v.name for v in model.inputs if v not in used]
    try:
        analysis = analyze(model)
    except StructureError as error:
        return Report(
            False,
            overdetermined=error.overdetermined,
            underdetermined=error.underdetermined,
            unused_inputs=unused,
            **facts,
        )
    names = list(outputs) if outputs is not None else _outputs(model, analysis)
    idle = _without_effect(analysis, [model[n] for n in names])
    singular = _singular_elements(analysis)
    return Report(
        not singular,
        blocks=list(analysis.blocks),
        unused_inputs=unused,
        without_effect=idle,
        outputs=names,
        singular=singular,
        **facts,
    )


def _outputs(model: Equations, analysis: Analysis) -> list[str]:
    """What a trace returned, or the unknowns that no other block uses."""
    if model._outputs:
        return list(model._outputs)
    home = {v: block for block in analysis.blocks for v in block.unknowns}
    block_of = {e: block for block in analysis.blocks for e in block.equations}
    used = {v for e, vs in analysis.incidence.items() for v in vs if home.get(v) is not block_of[e]}
    ends = {block for block in analysis.blocks if not any(v in used for v in block.unknowns)}
    return [v.name for v in model.unknowns if home[v] in ends]


def _without_effect(analysis: Analysis, outputs: Sequence[Variable]) -> list[str]:
    seen = set(outputs)
    idle = []
    for block in reversed(analysis.blocks):
        if any(v in seen for v in block.unknowns):
            for e in block.equations:
                seen.update(analysis.incidence[e])
        else:
            idle += [e.name for e in block.equations]
    return idle[::-1]


def _singular_elements(analysis: Analysis) -> dict[str, tuple[list[str], list[str]]]:
    """Cycles with arrays whose elements cannot all be matched, though their names can."""
    found = {}
    for block in analysis.blocks:
        if block.kind != "cycle" or all(not v.shape for v in block.unknowns):
            continue
        rows, cols, n_rows, n_cols = element_incidence(block.equations, block.unknowns)
        graph = Incidence.from_coo(rows, cols, (n_rows, n_cols))
        matching = maximum_matching(graph)
        if matching.size == n_rows == n_cols:
            continue
        parts = dulmage_mendelsohn(graph, matching)
        over = [r for r, _ in connected_parts(graph, parts.overdetermined_rows, parts.overdetermined_cols)]
        under = [c for _, c in connected_parts(graph, parts.underdetermined_rows, parts.underdetermined_cols)]
        found[block.name] = (
            [_element(block.equations, int(i)) for part in over for i in part],
            [_element(block.unknowns, int(j)) for part in under for j in part],
        )
    return found


def _element(items: Sequence[Any], k: int) -> str:
    for item in items:
        if k < item.size:
            return element_name(item, k)
        k -= item.size
    raise IndexError(k)


# -- derivatives ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DerivativeCheck:
    """Derivatives beside independent ones.

    Attributes
    ----------
    ok : bool
    method : "complex step" or "central differences"
    error : largest relative error; differences that rounding of the value itself explains count as 0
    worst : list of (entry, ours, reference, relative error), worst first

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.define("y", m.input("x", 1.0) ** 3)
    >>> bool(m.solve().check_derivatives("y"))
    True
    """

    ok: bool
    of: str
    method: str
    error: float
    worst: list[tuple[str, float, float, float]]

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = [
            f"derivatives of {self.of} by {self.method}: {'agree' if self.ok else 'DIFFER'}, error {self.error:.1e}"
        ]
        lines += [f"  d/d{n}: {a:.12g}, reference {b:.12g}, relative error {e:.1e}" for n, a, b, e in self.worst]
        return "\n".join(lines)

    __repr__ = __str__


def check_derivatives(
    state: State, seeds: Values, of: str, wrt: Sequence[Variable], most: int = 200
) -> DerivativeCheck:
    """Compare the gradient with the complex step through the whole solve (Squire & Trapp 1998).

    Cycles are iterated to a verified residual in complex arithmetic, so an error in ∂g/∂u shows. Where a black box
    is in the way, central differences of re-solved values are used. With more than ``most`` input elements,
    ``most`` are chosen, evenly spread.
    """
    ours = totals.gradient(state, seeds, wrt)
    entries = [(v, k) for v in wrt for k in range(v.size)]
    if len(entries) > most:
        entries = [entries[i] for i in np.linspace(0, len(entries) - 1, most).astype(int)]
    boxed = any(
        node.op is PRIMITIVES["external"] for e in state.plan.analysis.incidence for node in topological([e.expr])
    )
    reference, method, tol = None, "complex step", 1e-9
    if not boxed:
        reference = [_complex_step(state, seeds, v, k) for v, k in entries]
    if reference is None or any(r is None for r in reference):
        reference, method, tol = [_difference(state, seeds, v, k) for v, k in entries], "central differences", 1e-5
    flat = {v: np.reshape(g, -1) for v, g in zip(wrt, ours, strict=True)}
    values = np.array([flat[v][k] for v, k in entries])
    expected = np.array(reference, dtype=float)
    scale = max(np.abs(values).max(initial=0.0), np.abs(expected).max(initial=0.0), 1e-300)
    # What rounding leaves of a derivative that is 0; differences divide it by their step.
    size = float(sum(np.sum(np.abs(w * state.values[s])) for s, w in seeds.items()))
    floor = (100 * EPS if method == "complex step" else 1e-11) * size
    error = np.abs(values - expected) / np.maximum(np.maximum(np.abs(values), np.abs(expected)), 1e-6 * scale)
    error[np.abs(values - expected) <= floor] = 0.0
    order = np.argsort(-error)[:5]
    worst = [
        (element_name(entries[i][0], entries[i][1]), float(values[i]), float(expected[i]), float(error[i]))
        for i in order
    ]
    return DerivativeCheck(bool((error <= tol).all()), of, method, float(error.max(initial=0.0)), worst)


STEP = 1e-30
EPS = float(np.finfo(float).eps)


def _complex_step(state: State, seeds: Values, v: Variable, k: int) -> float | None:
    """Im f(x + ih) / h through runs and cycles; None where a cycle does not follow."""
    values: Values = {}
    for i in state.plan.inputs:
        values[i] = state.values[i]
    moved = np.array(state.values[v], dtype=complex)
    moved.reshape(-1)[k] += 1j * STEP
    values[v] = moved[()]
    with np.errstate(all="ignore"):
        for block in state.plan.blocks:
            if isinstance(block, Run):
                block.evaluate(values, complex_values=True)
            elif not _complex_cycle(state, block, values):
                return None
    return float(sum(np.sum(w * np.imag(values[s])) for s, w in seeds.items()) / STEP)


def _complex_cycle(state: State, cycle: Cycle, values: Values) -> bool:
    """The imaginary part of g(u + i u̇) = 0, by iteration with the real factorization, verified."""
    residual = cycle.residual(complex_values=True)
    params = [values[p] for p in cycle.params]
    u = np.concatenate([np.reshape(state.values[v], -1) for v in cycle.variables]) + 0j
    linear = state.linear[cycle]
    first: float | None = None
    for _ in range(20):
        r = np.imag(residual(u, *params)[0])
        size = float(np.abs(r).max(initial=0.0))
        first = size if first is None else first
        if size <= 1e-12 * first or first == 0.0:
            unpack(cycle.variables, u, values)
            return True
        u = u - 1j * linear.solve(r)
    if size <= 1e-9 * (first or 0.0):
        unpack(cycle.variables, u, values)
        return True
    return False


def _difference(state: State, seeds: Values, v: Variable, k: int) -> float:
    """Central difference of re-solved values, Richardson-extrapolated once."""
    x = np.reshape(state.values[v], -1)[k]
    h = 2e-4 * max(1.0, abs(x))

    def at(shift: float) -> float:
        values = {i: state.values[i] for i in state.plan.inputs}
        moved = np.array(state.values[v], dtype=float)
        moved.reshape(-1)[k] += shift
        values[v] = moved[()]
        try:
            new = forward(state.plan, values, Options(), None, state.values, warn_singular=False)
        except (ConvergenceError, EvaluationError) as error:
            raise DerivativeError(f"the difference in {element_name(v, k)} cannot be solved: {error}") from error
        return float(sum(np.sum(w * new.values[s]) for s, w in seeds.items()))

    coarse = (at(h) - at(-h)) / (2 * h)
    fine = (at(h / 2) - at(-h / 2)) / h
    return (4 * fine - coarse) / 3
