"""Long loops cut in pieces that compile quickly and share their code where they repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .records import Element, Kernel, Load

__all__ = ["ARITHMETIC", "SHORT", "cost", "cut_long", "cuts"]

LONGEST_BODY = 400  # cost of the operations of one loop; beyond, registers run out, and LLVM is slow
FUNCTION_COST = 20  # of a function such as exp, beside 1 of an arithmetic operation
PIECES = 40, 20, 10  # operations; repetitions are not cut into shorter pieces, if they are not shorter themselves
SHORT = 256  # steps; loops of no more call functions such as exp instead of holding their code: they compile quickly

ARITHMETIC = frozenset(
    "add subtract multiply divide negative square reciprocal sqrt absolute maximum minimum where relu sign "
    "heaviside floor ceil rint trunc stop_gradient == != < <= > >=".split()
)

Reload = Callable[[Element], Load]


def cut_long(kernels: Iterable[Kernel], reload: Reload) -> list[Kernel]:
    """Long loops in pieces: first what does not depend on each other (equal pieces share their code), then by length.

    ``reload`` gives the operand that reads an element from memory.
    """
    found: list[Kernel] = []
    for kernel in kernels:
        if sum(map(cost, kernel.elements)) <= LONGEST_BODY:
            found.append(kernel)
        elif kernel.size == 1:
            found += _pieces(kernel, reload)
        else:
            for part in _components(kernel):
                found += _pieces(part, reload)
    return found


def _pieces(kernel: Kernel, reload: Reload) -> list[Kernel]:
    """A kernel cut where its operations cost too much; what crosses a cut goes through memory."""
    starts = cuts(kernel.elements) if kernel.size > 1 else None
    parts = [Kernel(kernel.stage, kernel.size)]
    where: dict[Element, Kernel] = {}
    total = 0
    for k, e in enumerate(kernel.elements):
        total += cost(e)
        if parts[-1].elements and (total > LONGEST_BODY or (starts is not None and k in starts)):
            parts.append(Kernel(kernel.stage, kernel.size))
            total = cost(e)
        parts[-1].elements.append(e)
        where[e] = parts[-1]
    for sink in kernel.sinks:
        (where[sink.value] if isinstance(sink.value, Element) else parts[-1]).sinks.append(sink)
    if len(parts) > 1:
        for part in parts:
            for e in part.elements:
                for i, a in enumerate(e.args):
                    if isinstance(a, Element) and where[a] is not part:
                        e.args[i] = reload(a)
    return parts


def cost(e: Element) -> int:
    """Of one step of an operation, beside 1 of an arithmetic one."""
    return 1 if e.name in ARITHMETIC or e.size <= SHORT else FUNCTION_COST


def cuts(elements: Sequence[Element]) -> set[int]:
    """Where to cut a long loop so that the pieces of a repetition are equal, and share their code.

    A loop in the user's program leaves operations that come again and again, each with its operands as far back as the
    time before. Cuts are made before those of them that come seldom enough: they fall on the same place of each
    repetition, also after an irregular one.
    """
    codes = _codes(elements)
    counts = np.bincount(codes)[codes]
    for length in PIECES:
        anchors = np.flatnonzero((counts >= 3) & (counts * length <= codes.size))
        if anchors.size * 3 * length >= codes.size:
            break
    found: set[int] = set()
    last = 0
    for k in anchors.tolist():
        if k - last >= length:
            found.add(k)
            last = k
    return found


def _codes(elements: Sequence[Element]) -> np.ndarray:
    """A number for each operation: equal for the same operation on operands as far back (or far)."""
    place = {e: k for k, e in enumerate(elements)}
    known: dict[Any, int] = {}
    out = np.empty(len(elements), dtype=np.int64)
    for k, e in enumerate(elements):
        args = tuple(min(k - place[a], LONGEST_BODY // 4) if isinstance(a, Element) else type(a) for a in e.args)
        out[k] = known.setdefault((e.name, args), len(known))
    return out


def _components(kernel: Kernel) -> list[Kernel]:
    """The parts of a kernel of which no operation reads another part's."""
    leader: dict[Element, Element] = {}

    def find(e: Element) -> Element:
        root = e
        while leader[root] is not root:
            root = leader[root]
        while leader[e] is not root:
            leader[e], e = root, leader[e]
        return root

    for e in kernel.elements:
        leader[e] = e
        for a in e.args:
            if isinstance(a, Element):
                leader[find(a)] = e
    parts: dict[Any, Kernel] = {}
    for e in kernel.elements:
        parts.setdefault(find(e), Kernel(kernel.stage, kernel.size)).elements.append(e)
    for sink in kernel.sinks:
        key = find(sink.value) if isinstance(sink.value, Element) else sink
        parts.setdefault(key, Kernel(kernel.stage, kernel.size)).sinks.append(sink)
    return list(parts.values())
