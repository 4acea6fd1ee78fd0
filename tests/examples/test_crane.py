"""The load on a rope: the algebraic variable and the angle tell the same."""

from __future__ import annotations

import crane
import numpy as np
import pytest


def test_rope_and_angle_agree() -> None:
    by_rope, by_angle = (
        crane.problem(rope).solve("interior-point", formulation="full", tol=1e-10) for rope in (True, False)
    )
    assert by_rope.success and by_angle.success
    assert by_rope.fun == pytest.approx(by_angle.fun, rel=1e-5)
    np.testing.assert_allclose(by_rope.solution["a"], by_angle.solution["a"], atol=1e-3)
    sol, phi = by_rope.solution, by_angle.solution["phi"]
    np.testing.assert_allclose(np.hypot(sol["x"] - sol["s"], sol["z"]), 1.0, atol=1e-5)
    np.testing.assert_allclose(sol["x"] - sol["s"], np.sin(phi), atol=1e-4)


@pytest.mark.parametrize("way", ["single-shooting", "collocation"])
def test_derivatives(way: str) -> None:
    m = crane.problem(intervals=5, transcription=way).program
    assert m.solve(a=np.linspace(1.0, -1.0, 6)).check_derivatives("effort", wrt="a")


def test_main(capsys: pytest.CaptureFixture[str]) -> None:
    crane.main()
    assert capsys.readouterr().out.count("effort 0.449") == 2
