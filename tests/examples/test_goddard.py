"""The rocket: the published altitude, three arcs, and the price of fuel."""

from __future__ import annotations

from typing import Any

import goddard
import numpy as np
import pytest


def highest(**way: Any) -> Any:
    return goddard.problem(**way).solve("interior-point", formulation="full", tol=1e-9)


@pytest.mark.parametrize("way", ["multiple-shooting", "collocation"])
def test_altitude(way: str) -> None:
    result = highest(transcription=way)
    assert result.success
    assert result.fun == pytest.approx(1.0128369, abs=3e-7)
    thrust = result.solution["thrust"]
    assert thrust[:8] == pytest.approx(3.5, abs=1e-3) and thrust[50:] == pytest.approx(0.0, abs=1e-3)
    assert np.all((thrust[14:34] > 0.1) & (thrust[14:34] < 3.0))  # the singular arc


def test_price_of_fuel(monkeypatch: pytest.MonkeyPatch) -> None:
    price = highest().multipliers["empty"]
    heights = []
    for empty in (0.599, 0.601):
        monkeypatch.setattr(goddard, "EMPTY", empty)
        heights.append(highest().fun)
    assert price == pytest.approx((heights[1] - heights[0]) / 0.002, rel=1e-3)


def test_main(capsys: pytest.CaptureFixture[str]) -> None:
    goddard.main()
    assert capsys.readouterr().out.count("altitude 1.012837") == 2
