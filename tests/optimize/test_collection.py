"""Models of the AMPL collection by methods with an active set: not worse than the interior-point method."""

from __future__ import annotations

from pathlib import Path

import pytest

import adjoint as adj

BOTH = ("cute/hs071", "cute/hs106", "cute/fletcher", "cute/bt8", "cute/cantilvr", "cute/cb3")
MODELS = {"augmented-lagrangian": (*BOTH, "cute/hs108"), "sqp": (*BOTH, "cute/hs116", "hs_suite/nl/hs108")}


@pytest.mark.parametrize(("method", "name"), [(method, name) for method, names in MODELS.items() for name in names])
def test_models_of_the_collection(data: Path, method: str, name: str) -> None:
    problem = adj.read_nl(data / "nl" / f"{name}.nl")
    result, reference = problem.solve(method=method), problem.solve(method="interior-point")
    assert result.success
    assert max(result.residuals()) <= 1e-5
    assert result.fun <= reference.fun + 1e-5 * max(1.0, abs(reference.fun))
