"""The fastest descent: published time, and the cycloid."""

from __future__ import annotations

from typing import Any

import brachistochrone
import numpy as np
import pytest


@pytest.mark.parametrize("way", ["single-shooting", "multiple-shooting", "collocation"])
def test_time(way: str) -> None:
    result = brachistochrone.problem(way).solve("interior-point", formulation="full", tol=1e-9)
    assert result.success
    assert result.fun == pytest.approx(1.80160312, abs=2e-7)
    sol = result.solution
    ratio = np.sin(sol["theta"][1:]) / sol["v"][1:]
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=2e-3)  # of a cycloid


def test_a_metre_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def fastest() -> Any:
        return brachistochrone.problem().solve("interior-point", formulation="full", tol=1e-10)

    multipliers = fastest().multipliers["there"]
    times = []
    for end in ((10.01, 5.0), (9.99, 5.0), (10.0, 5.01), (10.0, 4.99)):
        monkeypatch.setattr(brachistochrone, "END", end)
        times.append(fastest().fun)
    differences = [(times[0] - times[1]) / 0.02, (times[2] - times[3]) / 0.02]
    np.testing.assert_allclose(multipliers, differences, rtol=1e-4)


def test_main(capsys: pytest.CaptureFixture[str]) -> None:
    brachistochrone.main()
    assert capsys.readouterr().out.count("1.801603 s") == 3
