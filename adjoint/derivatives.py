"""Derivatives of expressions as expressions, all from the rows of the table of primitives.

:func:`jvp` pushes tangents forward, :func:`vjp` pulls cotangents back. Both return expressions, so they can be
differentiated again: a Hessian–vector product is the :func:`jvp` of a :func:`vjp`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import DerivativeError
from .expr import Constant, Expr, apply, as_expr, constant, describe
from .primitives.elementwise import zeros
from .primitives.indexing import broadcast_to, reshape, sum_axes, unbroadcast
from .walk import topological

__all__ = ["active_nodes", "forward_sweep", "jvp", "reverse_sweep", "vjp"]


def active_nodes(order: Sequence[Expr], wrt: Any, definitions: Any = None) -> set[Expr]:
    """The nodes of a topological order that depend on a node in ``wrt``."""
    active: set[Expr] = set()
    for node in order:
        if node in wrt or (definitions and node in definitions and definitions[node] in active):
            active.add(node)
        else:
            for arg in node.args:
                if arg in active:
                    active.add(node)
                    break
    return active


def vjp(outputs: Sequence[Expr], cotangents: Sequence[Any], wrt: Sequence[Expr]) -> list[Expr]:
    """Σ_i cotangent_i · ∂output_i/∂w for each w in ``wrt``: one reverse sweep.

    Each result has the shape of its ``w``; a ``w`` that no output depends on gets a zero constant.
    """
    seeds: dict[Expr, Expr] = {}
    for output, ct in zip(outputs, cotangents, strict=True):
        ct = broadcast_to(ct, output.shape)
        seeds[output] = seeds[output] + ct if output in seeds else ct
    cot = reverse_sweep(seeds, set(wrt))
    return [cot[w] if w in cot else zeros(w.shape) for w in wrt]


def reverse_sweep(
    seeds: Mapping[Expr, Expr], wrt: Any, definitions: Mapping[Any, Expr] | None = None
) -> dict[Expr, Expr]:
    """Cotangents of the nodes in ``wrt``, and of the variables among ``definitions``, from those of the seeds.

    Through a variable with a definition the sweep goes on, and its cotangent, complete at that point, is λ of its
    equation: ``λ_j = z̄_j + Σ_i λ_i ∂f_i/∂z_j``.
    """
    definitions = definitions or {}
    order = topological(seeds, stop=wrt, definitions=definitions)
    active = active_nodes(order, wrt, definitions)
    cot: dict[Expr, Expr] = {node: ct for node, ct in seeds.items() if node in active}
    for node in reversed(order):
        ct = cot.get(node)
        if ct is None:
            continue
        args = node.args
        if not args:
            inner = definitions.get(node)
            if inner is not None and inner in active:
                cot[inner] = cot[inner] + ct if inner in cot else ct
            continue
        if node in wrt:
            continue
        del cot[node]
        for k, arg in enumerate(args):
            if arg in active:
                part = pull(node, k, ct)
                if part is not None and not _is_zero(part):
                    cot[arg] = cot[arg] + part if arg in cot else part
    return cot


def _is_zero(x: Expr) -> bool:
    return isinstance(x, Constant) and not x.shape and x.value == 0.0


def pull(node: Expr, k: int, ct: Expr) -> Expr | None:
    """The cotangent of argument k of a node, from that of the node; None where the partial is zero."""
    op, args = node.op, node.args
    assert op is not None
    if op.kind == "elementwise":
        rule = op.partials[k]
        if rule is None:
            return None
        partial = rule(node, *args, *node.params)
        return unbroadcast(ct if type(partial) is float and partial == 1.0 else ct * partial, args[k].shape)
    assert op.transpose is not None or op.kind == "reduction"
    if op.kind == "reduction":
        return spread(ct, args[0], node.params[0]) * op.partials[0](node, *args, *node.params)  # type: ignore[misc]
    if op.kind == "general":
        return op.transpose(ct, k, args, node.params, node)  # type: ignore[misc]
    return op.transpose(ct, k, args, node.params)  # type: ignore[misc]


def spread(out: Expr, x: Expr, axes: tuple[int, ...]) -> Expr:
    """A reduced array broadcast back over the axes that were reduced."""
    kept = tuple(1 if i in axes else s for i, s in enumerate(x.shape))
    return broadcast_to(reshape(out, kept), x.shape)


def jvp(outputs: Sequence[Expr], tangents: Mapping[Expr, Any]) -> list[Expr]:
    """Σ_w ∂output/∂w · tangent_w for each output: one forward sweep."""
    tan = forward_sweep(outputs, tangents)
    return [tan[out] if out in tan else zeros(out.shape) for out in outputs]


def forward_sweep(
    outputs: Sequence[Expr], tangents: Mapping[Expr, Any], definitions: Mapping[Any, Expr] | None = None
) -> dict[Expr, Expr]:
    """Tangents of all nodes below the outputs that depend on a node with a tangent."""
    definitions = definitions or {}
    tan: dict[Expr, Expr] = {}
    for node in topological(outputs, stop=tangents, definitions=definitions):
        if node in tangents:
            tan[node] = broadcast_to(as_expr(tangents[node]), node.shape)
        elif node.args:
            parts = [tan.get(arg) for arg in node.args]
            if any(p is not None for p in parts):
                result = push(node, parts)
                if result is not None:
                    tan[node] = result
        elif node in definitions and definitions[node] in tan:
            tan[node] = tan[definitions[node]]
    return tan


def push(node: Expr, parts: Sequence[Expr | None]) -> Expr | None:
    """The tangent of a node from the tangents of its arguments (None where zero)."""
    op, args = node.op, node.args
    assert op is not None
    if op.kind == "elementwise":
        total: Expr | None = None
        for rule, t in zip(op.partials, parts, strict=True):
            if rule is None or t is None:
                continue
            partial = rule(node, *args, *node.params)
            term = t if type(partial) is float and partial == 1.0 else t * partial
            total = term if total is None else total + term
        return None if total is None else broadcast_to(total, node.shape)
    if op.kind == "linear":
        full = [zeros(a.shape) if t is None else t for a, t in zip(args, parts, strict=True)]
        return _same_operation(node, full)
    if op.kind == "bilinear":
        total = None
        for k, t in enumerate(parts):
            if t is not None:
                term = _same_operation(node, [t if i == k else a for i, a in enumerate(args)])
                total = term if total is None else total + term
        return total
    if op.kind == "reduction":
        partial = op.partials[0](node, *args, *node.params)  # type: ignore[misc]
        return sum_axes(parts[0] * partial, node.params[0])  # type: ignore[operator]
    if op.tangent is None:
        raise DerivativeError(f"the operation {op.name} in {describe(node)} has no derivative rule")
    return op.tangent(node, args, list(parts), node.params)


def _same_operation(node: Expr, args: Sequence[Expr]) -> Expr:
    assert node.op is not None
    if all(isinstance(a, Constant) for a in args):
        return constant(node.op.value(*(a.value for a in args), *node.params))  # type: ignore[attr-defined]
    return apply(node.op, tuple(args), node.params, node.shape)
