"""Binomial schedules: complete, within their memory, and as short as dynamic programming and the literature say."""

from __future__ import annotations

from functools import cache

import pytest

from adjoint.loops.revolve import advances, best_blocks, schedule


@cache
def least(length: int, snapshots: int) -> int:
    """The fewest repeated steps, by trying every place for the next snapshot."""
    if length <= 1:
        return 0
    if snapshots == 1:
        return length * (length - 1) // 2
    return min(m + least(length - m, snapshots - 1) + least(m, snapshots) for m in range(1, length))


@pytest.mark.parametrize("snapshots", [1, 2, 3, 5, 8])
def test_schedules_are_valid_and_shortest(snapshots: int) -> None:
    for length in range(1, 40):
        at, left, steps = None, length, 0
        kept: dict[int, int] = {}
        for action in schedule(length, snapshots):
            if action.kind == "store":
                assert at in (None, action.first)
                kept[action.snapshot] = at = action.first
            elif action.kind == "restore":
                at = kept[action.snapshot]
                assert at == action.first
            elif action.kind == "advance":
                assert at == action.first < action.last < left
                at, steps = action.last, steps + action.last - action.first
            else:
                assert at == action.first == left - 1
                at, left = None, left - 1
            assert max(kept) < snapshots
        assert left == 0
        assert steps == advances(length, snapshots) == least(length, snapshots)


@pytest.mark.parametrize(("length", "snapshots"), [(10, 3), (23, 4), (56, 5), (100, 7), (40, 39)])
def test_as_short_as_checkpoint_schedules(length: int, snapshots: int) -> None:
    package = pytest.importorskip("checkpoint_schedules")
    steps = sum(
        a.n1 - a.n0
        for a in package.Revolve(length, snapshots)
        if isinstance(a, package.Forward) and not a.write_adj_deps
    )
    assert advances(length, snapshots) == steps


@pytest.mark.parametrize("width", [1.0, 2.5])
@pytest.mark.parametrize("states", [4, 10, 300])
def test_blocks_stay_within_the_memory(states: int, width: float) -> None:
    for length in (10, 1000, 100_000):
        block, snapshots = best_blocks(length, states, width)
        assert block >= 1 and snapshots >= 1
        assert block * width + snapshots <= states
