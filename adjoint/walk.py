"""Walking expression graphs, without recursion: graphs can be deeper than Python's stack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .expr import Expr, Variable

__all__ = ["topological", "variables_of"]


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
