from __future__ import annotations

from itertools import combinations, pairwise

import pytest

from adjoint.report.groups import Grouped, grouped
from adjoint.report.layout import Layout, columns, layered
from tests.report.models import arrays, chain, empty, sellar, tangle

MODELS = [
    sellar,
    arrays,
    chain,
    lambda: chain(55),
    tangle,
    lambda: tangle(45, 14, 3, 0.3),
    lambda: tangle(200, 20),
    empty,
]


def place(graph: Grouped) -> Layout:
    widths = {(i, k): 0.2 + 0.08 * len(t) for i, g in enumerate(graph.groups) for k, t in enumerate(g.labels)}
    return layered(graph, widths)


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    slack = 1e-9
    return (
        a[0] + a[2] > b[0] + slack
        and b[0] + b[2] > a[0] + slack
        and a[1] + a[3] > b[1] + slack
        and b[1] + b[3] > a[1] + slack
    )


@pytest.mark.parametrize("make", MODELS)
def test_nothing_overlaps(make: object) -> None:
    where = place(grouped(make()))  # type: ignore[operator]
    for boxes in (list(where.nodes.values()), where.frames):
        for a, b in combinations(boxes, 2):
            assert not overlap(a, b)


@pytest.mark.parametrize("make", MODELS)
def test_everything_is_on_the_paper_and_nodes_in_their_frames(make: object) -> None:
    where = place(grouped(make()))  # type: ignore[operator]
    width, height = where.size
    for left, bottom, w, h in [*where.frames, *where.nodes.values()]:
        assert left >= -1e-9 and bottom >= -1e-9
        assert left + w <= width + 1e-9 and bottom + h <= height + 1e-9
    for (i, _), (left, bottom, w, h) in where.nodes.items():
        x, y, fw, fh = where.frames[i]
        assert x <= left + 1e-9 and left + w <= x + fw + 1e-9
        assert y <= bottom + 1e-9 and bottom + h <= y + fh + 1e-9


@pytest.mark.parametrize("make", MODELS)
def test_edges_go_to_the_right(make: object) -> None:
    graph = grouped(make())  # type: ignore[operator]
    column, where = columns(graph), place(graph)
    for (a, _), (b, _) in graph.edges:
        assert a == b or column[a] < column[b]
    for pieces in where.routes.values():
        for points in pieces:
            assert all(x0 <= x1 + 1e-9 for (x0, _), (x1, _) in pairwise(points))


@pytest.mark.parametrize("make", MODELS)
def test_edges_pass_no_other_group(make: object) -> None:
    """Inside a column an edge is horizontal, in a lane of its own."""
    graph = grouped(make())  # type: ignore[operator]
    where = place(graph)
    for (a, b), pieces in where.routes.items():
        for (x0, y0), (x1, y1) in (step for points in pieces for step in pairwise(points)):
            if y0 == y1:
                for i, frame in enumerate(where.frames):
                    if i not in (a[0], b[0]):
                        assert not overlap((x0, y0, x1 - x0, 0.0), frame)


def test_inputs_are_on_the_left() -> None:
    graph = grouped(sellar())
    where = place(graph)
    inputs = [
        where.frames[i][0] + where.frames[i][2] for i, g in enumerate(graph.groups) if g.kind == "input"
    ]
    others = [where.frames[i][0] for i, g in enumerate(graph.groups) if g.kind != "input"]
    assert max(inputs) < min(others)


def test_a_chain_is_straight() -> None:
    where = place(grouped(chain(8)))
    assert len({round(bottom, 9) for _, bottom, _, _ in where.nodes.values()}) == 1


def test_crossings_are_removed() -> None:
    """Inputs wired upside down: the second column is turned, and no edges cross."""
    from adjoint.report.groups import Group

    n = 6
    inputs = [Group("input", (f"x{i}",), (False,)) for i in range(n)]
    users = [Group("explicit", (f"y{i}",), (True,)) for i in range(n)]
    edges = tuple(((i, 0), (2 * n - 1 - i, 0)) for i in range(n))
    where = place(Grouped((*inputs, *users), edges, False))
    ends = sorted((pieces[0][0][1], pieces[-1][-1][1]) for pieces in where.routes.values())
    assert all(b0 < b1 for (_, b0), (_, b1) in pairwise(ends))


def test_long_pictures_go_on_below() -> None:
    graph = grouped(chain(55))
    where = place(graph)
    assert where.size[0] < 20 and len(where.gates) >= 2
    levels = sorted({round(bottom, 6) for _, bottom, _, _ in where.nodes.values()}, reverse=True)
    assert len(levels) == len(where.gates) // 2 + 1
    cut = [(edge, pieces) for edge, pieces in where.routes.items() if len(pieces) > 1]
    assert len(cut) == len(levels) - 1
    for (source, _), pieces in cut:
        ends = [(x, y) for x, y, node in where.gates if node == source]
        assert len(ends) == 2
        assert ends[0][1] == pieces[0][-1][1] and ends[1][1] == pieces[1][0][1]
