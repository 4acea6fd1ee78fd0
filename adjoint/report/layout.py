"""Where the groups of a picture stand: columns in the order of the dependencies, lines with few crossings.

The layered method of Sugiyama, Tagawa & Toda (1981): longest-path columns; edges that pass columns get a place in
each, those from one node together; then an order and heights within the columns. A wide picture goes on in a band
below, where edges are taken up again by the name of the node that they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .groups import Grouped
from .order import Item, Links, level, ordered

__all__ = ["Layout", "layered"]

ROW = 0.34  # inches from one node of a group to the next
BOX = 0.25  # height of a node
LANE = 0.12  # height of an edge that passes a column
TITLE = 0.24  # height of the title of a cycle
MARGIN = 0.10  # around the nodes of a cycle
ARCS = 0.22  # beside the nodes of a cycle, for the edges inside it, ...
ARC = 0.05  # ... and more for each node that the longest of them passes
LEAD = 0.10  # straight end of an edge, for its arrowhead
WIDEST = 18.0  # of a band of columns, ...
BAND = 0.5  # ... and how far the next one is below

Place = tuple[int, int]
Point = tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """All lengths in inches, from the lower left corner.

    Attributes
    ----------
    frames : (left, bottom, width, height) of each group
    nodes : (left, bottom, width, height) of each node
    routes : of each edge between groups, the points that it passes, level at each, from the right of a node to the
        left of one; in pieces, where it goes from one band to the next
    gates : (x, y, node) where such pieces end and begin: the middle of the name of the node that they come from
    size : (width, height)
    """

    frames: list[tuple[float, float, float, float]]
    nodes: dict[Place, tuple[float, float, float, float]]
    routes: dict[tuple[Place, Place], list[list[Point]]]
    gates: list[tuple[float, float, Place]]
    size: Point


def layered(graph: Grouped, widths: dict[Place, float]) -> Layout:
    """Places for groups, nodes and edges, given the widths of the nodes in inches.

    >>> from adjoint.report.groups import Group, Grouped
    >>> x, y = Group("input", ("x",), (False,)), Group("explicit", ("y",), (True,))
    >>> where = layered(Grouped((x, y), (((0, 0), (1, 0)),), False), {(0, 0): 0.5, (1, 0): 0.5})
    >>> where.nodes[0, 0][0] < where.nodes[1, 0][0], where.nodes[0, 0][1] == where.nodes[1, 0][1]
    (True, True)
    """
    sides = _sides(graph)
    wide = [
        max(widths[i, k] for k in range(len(g.labels))) + 2 * sides[i] for i, g in enumerate(graph.groups)
    ]
    column, gates = _banded(columns(graph), wide)
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
                lanes[source, c] = Item(-1, BOX if c in gates else LANE)
                stacks[c].append(lanes[source, c])
        passing = [lanes[source, c] for c in range(column[a] + 1, column[b])]
        chains[source, target] = [items[a], *passing, items[b]]
    links = _links(graph, chains)
    stacks = ordered(stacks, links)
    level(stacks, links)
    column_width = [0.0] * len(stacks)
    for i, c in enumerate(column):
        column_width[c] = max(column_width[c], wide[i])
    for (source, c), _ in lanes.items():
        if c in gates:
            column_width[c] = max(column_width[c], widths[source])
    grid = _grid(column, stacks, chains, column_width, gates)
    return _placed(graph, column, grid, items, lanes, chains, sides, wide)


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


def _sides(graph: Grouped) -> list[float]:
    """Room on each side of the nodes of each group: the more, the longer the edges inside it."""
    longest: dict[int, int] = {}
    for (a, i), (b, k) in graph.edges:
        if a == b:
            longest[a] = max(longest.get(a, 0), abs(i - k))
    arcs = [ARCS + ARC * min(longest[i], 12) if i in longest else 0.0 for i in range(len(graph.groups))]
    return [MARGIN + arcs[i] if g.title else 0.0 for i, g in enumerate(graph.groups)]


def _banded(column: Sequence[int], wide: Sequence[float]) -> tuple[list[int], list[int]]:
    """Columns cut into bands of about equal width, by empty columns (gates) that edges between them pass."""
    across = [0.0] * (max(column, default=0) + 1)
    for i, c in enumerate(column):
        across[c] = max(across[c], wide[i] + 0.7)
    count = int(np.ceil(sum(across) / WIDEST))
    ends = np.cumsum(across)
    band = np.minimum((ends - np.array(across) / 2) * count / max(ends[-1], 1e-9), count - 1e-9).astype(int)
    new = np.arange(len(across)) + band  # one gate before each band but the first
    gates = [int(new[c]) - 1 for c in range(1, len(across)) if band[c] != band[c - 1]]
    return [int(new[c]) for c in column], gates


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


@dataclass(frozen=True)
class Grid:
    """Columns in bands below each other; a gate is the last column of one band and the first of the next."""

    left: np.ndarray  # of each column, were there one band
    width: list[float]
    bands: list[tuple[int, int]]  # first and last column
    rise: list[float]  # of each band, added to heights
    size: Point

    def x(self, c: int, band: int) -> float:
        return float(self.left[c] - self.left[self.bands[band][0]])

    def band(self, c: int) -> int:
        """Of a column that is no gate (of a gate, the one that it ends)."""
        return next(k for k, (_, last) in enumerate(self.bands) if c <= last)


def _grid(
    column: Sequence[int],
    stacks: Sequence[Sequence[Item]],
    chains: dict[tuple[Place, Place], list[Item]],
    width: list[float],
    gates: Sequence[int],
) -> Grid:
    parts: list[set[tuple[Item, Item]]] = [
        set() for _ in stacks
    ]  # pieces of edges from each column to the next
    for chain in chains.values():
        for k, piece in enumerate(pairwise(chain)):
            parts[column[chain[0].group] + k].add(piece)
    apart = [w + min(0.55 + 0.02 * len(p), 1.4) for w, p in zip(width, parts, strict=True)]
    left = np.concatenate([[0.0], np.cumsum(apart)[:-1]])
    cuts = [0, *gates, len(stacks) - 1]
    bands = list(pairwise(cuts))
    rise, bottom = [], 0.0
    for first, last in reversed(bands):
        inside = [item for stack in stacks[first : last + 1] for item in stack]
        low = min((item.y - item.height / 2 for item in inside), default=0.0)
        high = max((item.y + item.height / 2 for item in inside), default=0.0)
        rise.append(bottom - low)
        bottom += high - low + BAND
    across = max(float(left[last] - left[first]) + width[last] for first, last in bands)
    return Grid(left, width, bands, rise[::-1], (across, bottom - BAND))


def _placed(
    graph: Grouped,
    column: Sequence[int],
    grid: Grid,
    items: Sequence[Item],
    lanes: dict[tuple[Place, int], Item],
    chains: dict[tuple[Place, Place], list[Item]],
    sides: Sequence[float],
    wide: Sequence[float],
) -> Layout:
    """Items as rectangles and points."""
    frames, nodes, routes = [], {}, {}
    for i, g in enumerate(graph.groups):
        c, band = column[i], grid.band(column[i])
        x, y = grid.x(c, band) + (grid.width[c] - wide[i]) / 2, items[i].y + grid.rise[band]
        frames.append((x, y - items[i].height / 2, wide[i], items[i].height))
        for k in range(len(g.labels)):
            bottom = y + _offset(graph, (i, k)) - BOX / 2
            nodes[i, k] = (x + sides[i], bottom, wide[i] - 2 * sides[i], BOX)
    for (a, b), chain in chains.items():
        c, band = column[a[0]], grid.band(column[a[0]])
        start = (nodes[a][0] + nodes[a][2], nodes[a][1] + BOX / 2)
        pieces = [[start, (grid.x(c, band) + grid.width[c], start[1])]]
        for k, item in enumerate(chain[1:-1], start=c + 1):
            pieces[-1].append((grid.x(k, band) - LEAD, item.y + grid.rise[band]))
            if k == grid.bands[band][1]:  # a gate: on to the next band
                pieces[-1].append((grid.x(k, band), item.y + grid.rise[band]))
                band += 1
                pieces.append([])
            pieces[-1].append((grid.x(k, band) + grid.width[k], item.y + grid.rise[band]))
        end = (nodes[b][0], nodes[b][1] + BOX / 2)
        pieces[-1] += [(grid.x(column[b[0]], band) - LEAD, end[1]), end]
        routes[a, b] = pieces
    gates = [
        (grid.x(c, k) + grid.width[c] / 2, item.y + grid.rise[k], source)
        for (source, c), item in lanes.items()
        for k, (first, last) in enumerate(grid.bands)
        if (c == first and k > 0) or (c == last and k < len(grid.bands) - 1)
    ]
    return Layout(frames, nodes, routes, gates, grid.size)
