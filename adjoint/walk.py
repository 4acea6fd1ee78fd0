"""Walking expression graphs, without recursion: graphs can be deeper than Python's stack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .expr import Expr, Variable

__all__ = ["nodes_below", "topological", "variables_of"]


def topological(roots: Iterable[Expr], stop: Any = (), definitions: Any = None) -> list[Expr]:
    """All nodes below the roots, arguments before their users; nodes in ``stop`` are not entered.

    ``definitions`` (a mapping from variables to expressions) lets the walk go through a variable into its
    definition, which then comes before it.
    """
    order: list[Expr] = []
    done: set[Expr] = set()
    put, finish = order.append, done.add
    for root in roots:
        stack = [root]
        push, pop = stack.append, stack.pop
        while stack:
            node = pop()
            if node in done:
                continue
            args = node.args
            if not args:
                if definitions and node in definitions:
                    args = (definitions[node],)
            elif stop and node in stop:
                args = ()
            if len(args) == 2:  # this loop takes much of the time in which a large model is built
                x, y = args
                if x not in done:
                    push(node)
                    if y not in done:
                        push(y)
                    push(x)
                    continue
                if y not in done:
                    push(node)
                    push(y)
                    continue
            else:
                waiting = [a for a in args if a not in done]
                if waiting:
                    push(node)
                    stack.extend(waiting[::-1])
                    continue
            finish(node)
            put(node)
    return order


def nodes_below(outputs: Iterable[Any], definitions: Mapping[Variable, Expr]) -> Iterator[Expr]:
    """The nodes of outputs, which are expressions or tuples of them, and of definitions below: each once, in no order,
    one by one, for those who stop as soon as they know."""
    stack = [e for out in outputs for e in (out if isinstance(out, tuple) else (out,))]
    seen: set[Expr] = set()
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            yield node
            if node.args:
                stack += node.args
            elif node in definitions:
                stack.append(definitions[node])  # type: ignore[index]


def variables_of(roots: Sequence[Expr]) -> list[Variable]:
    """The variables below the roots, each once, in order of first appearance."""
    found: list[Variable] = []
    seen: set[Expr] = set()
    stack = list(reversed(roots))
    pop, extend, see = stack.pop, stack.extend, seen.add
    while stack:
        node = pop()
        if node not in seen:
            see(node)
            args = node.args
            if args:
                extend(args[::-1])
            elif isinstance(node, Variable):
                found.append(node)
    return found
