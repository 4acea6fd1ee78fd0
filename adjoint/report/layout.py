"""Where the groups of a picture stand: columns in the order of the dependencies, lines with few crossings.

The layered method of Sugiyama, Tagawa & Toda (1981): longest-path columns; edges that pass columns get a place in
each, those from one node together; the order within columns by barycentres, the best of some sweeps; heights by
least squares, with the distances kept, which is an isotonic regression in each column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from .groups import Grouped

__all__ = ["Layout", "layered"]

ROW = 0.34  # inches from one node of a group to the next
BOX = 0.25  # height of a node
GAP = 0.14  # between groups in a column
LANE = 0.12  # height of an edge that passes a column
TITLE = 0.24  # height of the title of a cycle
MARGIN = 0.10  # around the nodes of a cycle
ARCS = 0.22  # beside the nodes of a cycle, for the edges inside it, ...
ARC = 0.05  # ... and more for each node that the longest of them passes
LEAD = 0.10  # straight end of an edge, for its arrowhead

Place = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """All lengths in inches, from the lower left corner.

    Attributes
    ----------
    frames : (left, bottom, width, height) of each group
    nodes : (left, bottom, width, height) of each node
    routes : points that each edge between groups passes, horizontally, from the right of a node to the left of one
    size : (width, height)
    """

    frames: list[tuple[float, float, float, float]]
    nodes: dict[Place, tuple[float, float, float, float]]
    routes: dict[tuple[Place, Place], list[tuple[float, float]]]
    size: tuple[float, float]


@dataclass(eq=False)
class Item:
    """A group (index ≥ 0) or the passage of an edge (−1), in a column."""

    group: int
    height: float
    y: float = 0.0  # of its middle


def layered(graph: Grouped, widths: dict[Place, float]) -> Layout:
    """Places for groups, nodes and edges, given the widths of the nodes in inches.

    >>> from adjoint.report.groups import Group, Grouped
    >>> x, y = Group("input", ("x",), (False,)), Group("explicit", ("y",), (True,))
    >>> where = layered(Grouped((x, y), (((0, 0), (1, 0)),), False), {(0, 0): 0.5, (1, 0): 0.5})
    >>> where.nodes[0, 0][0] < where.nodes[1, 0][0], where.nodes[0, 0][1] == where.nodes[1, 0][1]
    (True, True)
    """
    column = columns(graph)
    items = [Item(i, _height(graph, i)) for i in range(len(graph.groups))]
    stacks: list[list[Item]] = [[] for _ in range(max(column, default=0) + 1)]
    for i, c in enumerate(column):
        stacks[c].append(items[i])
    lanes: dict[tuple[Place, int], Item] = {}  # edges from one node share their way
    chains: dict[tuple[Place, Place], list[Item]] = {}
    for source, target in graph.edges:
        a, b = source[0], target[0]
        if a == b:
            continue
        for c in range(column[a] + 1, column[b]):
            if (source, c) not in lanes:
                lanes[source, c] = Item(-1, LANE)
                stacks[c].append(lanes[source, c])
        passing = [lanes[source, c] for c in range(column[a] + 1, column[b])]
        chains[source, target] = [items[a], *passing, items[b]]
    links = _links(graph, chains)
    stacks = _ordered(stacks, links)
    _heights(stacks, links)
    return _placed(graph, column, stacks, chains, widths)


def columns(graph: Grouped) -> list[int]:
    """Longest path to each group; inputs first, everything else behind them."""
    out = [0 if g.kind == "input" else 1 for g in graph.groups]
    if not any(g.kind == "input" for g in graph.groups):
        out = [0] * len(out)
    before: list[set[int]] = [set() for _ in out]
    for (a, _), (b, _) in graph.edges:
        if a != b:
            before[b].add(a)
    for b in range(len(out)):  # groups are in solve order
        out[b] = max([out[b], *(out[a] + 1 for a in before[b])])
    return out


def _height(graph: Grouped, i: int) -> float:
    g = graph.groups[i]
    if g.kind != "cycle" or not g.title:
        return BOX
    return ROW * (len(g.labels) - 1) + BOX + 2 * MARGIN + TITLE


def _offset(graph: Grouped, place: Place) -> float:
    """Of the middle of a node above the middle of its group."""
    i, k = place
    g = graph.groups[i]
    if g.kind != "cycle" or not g.title:
        return 0.0
    return ((len(g.labels) - 1) / 2 - k) * ROW - TITLE / 2


Links = dict[Item, list[tuple[Item, float, float]]]


def _links(graph: Grouped, chains: dict[tuple[Place, Place], list[Item]]) -> tuple[Links, Links]:
    """For each item its neighbours on the left and on the right, with both offsets."""
    pairs = {}
    for (a, b), chain in chains.items():
        offsets = [_offset(graph, a), *[0.0] * (len(chain) - 2), _offset(graph, b)]
        for k in range(len(chain) - 1):
            pairs[chain[k], chain[k + 1], offsets[k], offsets[k + 1]] = None
    left: Links = {}
    right: Links = {}
    for a, b, mine, theirs in pairs:
        right.setdefault(a, []).append((b, mine, theirs))
        left.setdefault(b, []).append((a, theirs, mine))
    return left, right


def _ordered(stacks: list[list[Item]], links: tuple[Links, Links], sweeps: int = 12) -> list[list[Item]]:
    """Columns from top to bottom by barycentres, swept right and left; the order with the fewest crossings."""
    best, fewest = [list(s) for s in stacks], np.inf
    _stack(stacks)
    for sweep in range(sweeps):
        side = links[sweep % 2]
        order = stacks if sweep % 2 == 0 else stacks[::-1]
        for stack in order[1:]:
            wish = {item: _wish(item, side) for item in stack}
            stack.sort(key=lambda item: -wish[item])
            _pile(stack)
        crossings = sum(_crossings(stack, links[1]) for stack in stacks)
        if crossings < fewest:
            best, fewest = [list(s) for s in stacks], crossings
    _stack(best)
    return best


def _wish(item: Item, side: Links) -> float:
    near = side.get(item)
    if not near:
        return item.y
    return float(np.mean([other.y + theirs - mine for other, mine, theirs in near]))


def _crossings(stack: Sequence[Item], right: Links) -> int:
    """Pairs of edges to the next column that change their order."""
    pairs = [(a.y + mine, b.y + theirs) for a in stack for b, mine, theirs in right.get(a, ())]
    if len(pairs) < 2:
        return 0
    ends = np.array(pairs)
    d = ends[:, None, :] - ends[None, :, :]
    return int(np.sum(d[..., 0] * d[..., 1] < 0)) // 2


def _stack(stacks: Sequence[list[Item]]) -> None:
    for stack in stacks:
        _pile(stack)


def _pile(stack: Sequence[Item]) -> None:
    """Items directly below each other, around height 0."""
    total = sum(i.height for i in stack) + GAP * (len(stack) - 1)
    y = total / 2
    for item in stack:
        item.y = y - item.height / 2
        y -= item.height + GAP


def _heights(stacks: Sequence[Sequence[Item]], links: tuple[Links, Links], sweeps: int = 24) -> None:
    """Move items towards their neighbours; the order and the distances are kept."""
    for sweep in range(sweeps):
        for stack in stacks if sweep % 2 == 0 else stacks[::-1]:
            if not stack:
                continue
            wish = np.array([_middle(item, links) for item in stack])
            weight = np.array([1.0 + 3.0 * (item.group < 0) for item in stack])  # straight passages
            apart = np.cumsum(
                [0.0, *((a.height + b.height) / 2 + GAP for a, b in zip(stack, stack[1:], strict=False))]
            )
            y = isotonic_regression(wish + apart, weights=weight, increasing=False).x - apart
            for item, value in zip(stack, y, strict=True):
                item.y = float(value)


def _middle(item: Item, links: tuple[Links, Links]) -> float:
    near = [*links[0].get(item, ()), *links[1].get(item, ())]
    return float(np.mean([o.y + theirs - mine for o, mine, theirs in near])) if near else item.y


def _placed(
    graph: Grouped,
    column: Sequence[int],
    stacks: Sequence[Sequence[Item]],
    chains: dict[tuple[Place, Place], list[Item]],
    widths: dict[Place, float],
) -> Layout:
    """Heights and columns as rectangles and points, moved to the first quadrant."""
    height = {i: item for stack in stacks for item in stack if (i := item.group) >= 0}
    longest: dict[int, int] = {}
    for (a, i), (b, k) in graph.edges:
        if a == b:
            longest[a] = max(longest.get(a, 0), abs(i - k))
    arcs = [ARCS + ARC * min(longest[i], 12) if i in longest else 0.0 for i in range(len(graph.groups))]
    side = [MARGIN + arcs[i] if g.title else 0.0 for i, g in enumerate(graph.groups)]
    node_width = [max(widths[i, k] for k in range(len(g.labels))) for i, g in enumerate(graph.groups)]
    wide = [0.0] * len(stacks)
    for i, c in enumerate(column):
        wide[c] = max(wide[c], node_width[i] + 2 * side[i])
    crossing = [len({tuple(part) for part in _parts(chains, column, c)}) for c in range(len(stacks))]
    apart = [w + min(0.55 + 0.02 * n, 1.4) for w, n in zip(wide, crossing, strict=True)]
    left = np.concatenate([[0.0], np.cumsum(apart)])
    low = min((item.y - item.height / 2 for stack in stacks for item in stack), default=0.0)
    high = max((item.y + item.height / 2 for stack in stacks for item in stack), default=0.0)
    frames, nodes = [], {}
    for i, g in enumerate(graph.groups):
        item, w = height[i], node_width[i] + 2 * side[i]
        x = float(left[column[i]]) + (wide[column[i]] - w) / 2
        frames.append((x, item.y - item.height / 2 - low, w, item.height))
        for k in range(len(g.labels)):
            y = item.y + _offset(graph, (i, k)) - low
            nodes[i, k] = (x + side[i], y - BOX / 2, node_width[i], BOX)
    routes = {}
    for (a, b), chain in chains.items():
        c = column[a[0]]
        points = [(nodes[a][0] + nodes[a][2], nodes[a][1] + BOX / 2)]
        points.append((float(left[c]) + wide[c], points[0][1]))
        for k, item in enumerate(chain[1:-1], start=c + 1):
            points += [(float(left[k]) - LEAD, item.y - low), (float(left[k]) + wide[k], item.y - low)]
        end = (nodes[b][0], nodes[b][1] + BOX / 2)
        routes[a, b] = [*points, (float(left[column[b[0]]]) - LEAD, end[1]), end]
    width = float(left[-2]) + wide[-1] if wide else 0.0
    return Layout(frames, nodes, routes, (width, high - low))


def _parts(chains: dict[tuple[Place, Place], list[Item]], column: Sequence[int], c: int) -> list[list[Item]]:
    """The pieces of edges between column c and the next."""
    found = []
    for chain in chains.values():
        k = c - column[chain[0].group]
        if 0 <= k < len(chain) - 1:
            found.append(chain[k : k + 2])
    return found
