"""A step function is called once, on symbols; what it takes from outside becomes a parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ..derivatives import active_nodes
from ..errors import ModelError, ShapeError
from ..expr import Constant, Expr, Variable, as_expr, describe
from ..primitives.indexing import broadcast_to, reshape
from ..rebuild import substitute
from ..trees import build, flatten, leaf_names, ordered_as, same
from ..walk import topological, variables_of
from .lifting import lifted
from .step import Implicit, Step

__all__ = ["backend_of", "solve_within", "trace_step"]


class _Tracing:
    """A step that is being traced: the equations to be solved in it so far."""

    def __init__(self, backend: str | None) -> None:
        self.backend = backend
        self.implicit: list[Implicit] = []


_current: ContextVar[_Tracing | None] = ContextVar("adjoint_step", default=None)


@contextmanager
def _tracing(backend: str | None) -> Iterator[_Tracing]:
    step = _Tracing(backend)
    token = _current.set(step)
    try:
        yield step
    finally:
        _current.reset(token)


def backend_of(roots: Sequence[Expr]) -> str | None:
    """The backend that the program of some expressions names; within a step, that of the loop around it."""
    for v in variables_of(roots):
        if v.owner is not None:
            return getattr(v.owner, "backend", None)
    around = _current.get()
    return None if around is None else around.backend


def solve_within(
    unknowns: Sequence[Variable],
    residuals: Sequence[Expr],
    guesses: Sequence[Any],
    bounds: Any = None,
    names: Sequence[str] | None = None,
) -> None:
    """Add equations to the step that is being traced, which determine variables of its own."""
    around = _current.get()
    if around is None:
        raise ModelError("equations of a step can be added only while the step is traced")
    labels = [f"{v.name} equation" for v in unknowns] if names is None else names
    starts = [broadcast_to(as_expr(g), v.shape) for g, v in zip(guesses, unknowns, strict=True)]
    limits = dict(bounds or {})
    around.implicit.append(Implicit(tuple(unknowns), tuple(residuals), tuple(starts), limits, tuple(labels)))


def trace_step(
    step: Callable[..., Any], carry: Any, x: Any, backend: str | None, roots: Sequence[Expr]
) -> tuple[Step, tuple[Expr, ...], Any, list[tuple[int, ...]]]:
    """The step of a function, what its parameters stand for, the form of its outputs, and their shapes.

    Parameters
    ----------
    carry, x : trees of expressions, of the shapes in one step
    roots : expressions outside, whose backend the loop has if the step's own do not tell another
    """
    before = _variables(carry, "carry")
    rows = _variables(x, "x")
    with _tracing(backend) as tracing:
        result = step(build(carry, before), build(x, rows))
    if not isinstance(result, tuple) or len(result) != 2:
        raise ModelError(
            f"the step of a scan returns (carry, y), with y=None where there is no output; it gave {_shown(result)}"
        )
    after, y = result
    if not same(after, carry):
        raise ModelError(
            f"the step of a scan returns the carry in another form: {_form(after)} instead of {_form(carry)}"
        )
    after_leaves = _checked(flatten(ordered_as(after, carry)), before)
    outputs = [as_expr(leaf) for leaf in flatten(y)]
    own = {*before, *rows, *(u for part in tracing.implicit for u in part.unknowns)}
    exprs = [*after_leaves, *outputs]
    for part in tracing.implicit:
        exprs += [*part.residuals, *part.guesses]
    closed, params, outside = _closed(exprs, own)
    solved: list[Implicit] = []
    if not tracing.implicit:
        closed, solved = lifted(closed)
    parts = iter(closed)
    ends = tuple(next(parts) for _ in after_leaves)
    flat = [next(parts) for _ in outputs]
    implicit = tuple(
        Implicit(
            part.unknowns,
            tuple(next(parts) for _ in part.residuals),
            tuple(next(parts) for _ in part.guesses),
            part.bounds,
            part.names,
        )
        for part in tracing.implicit
    )
    made = Step(before, params, tuple((v,) for v in rows), implicit or tuple(solved), ends, tuple((e,) for e in flat))
    return made, outside, y, [e.shape for e in outputs]


def _variables(tree: Any, name: str) -> tuple[Variable, ...]:
    leaves = flatten(tree)
    return tuple(Variable(n, e.shape) for n, e in zip(leaf_names(tree, name), leaves, strict=True))


def _checked(leaves: Sequence[Any], before: Sequence[Variable]) -> list[Expr]:
    out = []
    for leaf, v in zip(leaves, before, strict=True):
        e = as_expr(leaf)
        if e.shape != v.shape:
            raise ShapeError(f"the step of a scan gives {v.name} the shape {e.shape}; it begins with {v.shape}")
        out.append(e)
    return out


def _closed(roots: Sequence[Expr], own: set[Variable]) -> tuple[list[Expr], tuple[Variable, ...], tuple[Expr, ...]]:
    """The roots in terms of own variables and parameters; the parameters, and what they stand for: the largest
    subexpressions without a variable of the step, which are computed once and not in every step."""
    order = topological(roots)
    active = active_nodes(order, own)
    outside: dict[Expr, None] = {}
    for node in order:
        if node in active:
            outside.update((a, None) for a in node.args if a not in active and not isinstance(a, Constant))
    outside.update((r, None) for r in roots if r not in active and not isinstance(r, Constant))
    replacement: dict[Expr, Expr] = {}
    params: dict[Expr, Variable] = {}
    for node in outside:
        base = node
        while base.op is not None and base.op.name in ("broadcast_to", "reshape"):
            base = base.args[0]  # what is spread is spread in the step
        if isinstance(base, Constant):
            continue
        if base not in params:
            params[base] = Variable(describe(base), base.shape)
        replacement[node] = _like(params[base], node, base)
    return substitute(roots, replacement), tuple(params.values()), tuple(params)


def _like(variable: Expr, node: Expr, base: Expr) -> Expr:
    """The variable in place of the base of a chain of broadcasts and reshapes."""
    return variable if node is base else substitute([node], {base: variable})[0]


def flat_vector(e: Expr) -> Expr:
    """All elements in order."""
    return reshape(e, (e.size,))


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return describe(value) if isinstance(value, Expr) else type(value).__name__


def _form(tree: Any) -> str:
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{k!r}: {_form(v)}" for k, v in tree.items()) + "}"
    if isinstance(tree, (tuple, list)):
        inside = ", ".join(map(_form, tree))
        return f"[{inside}]" if isinstance(tree, list) else f"({inside}{',' if len(tree) == 1 else ''})"
    return "None" if tree is None else "·"
