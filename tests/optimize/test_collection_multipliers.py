"""Multipliers of small published optima, by the library's methods, where they are unique."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import adjoint as adj

METHODS = ("interior-point", "sqp", "augmented-lagrangian")
SMALL = 20  # variables
MOVED = 0.01  # how far from the published optimum the methods start, relative to the variables


@pytest.mark.parametrize("method", METHODS)
def test_multipliers_are_the_published_ones(data: Path, method: str) -> None:
    """The gradients of the active rows and bounds are independent there: there is one set of multipliers.

    The methods start near the published points, as some programs have other optima, but without multipliers.
    """
    folder, compared = data / "nl" / "globallib", 0
    for path in sorted((folder / "points").glob("*.json")):
        published = json.loads(path.read_text(encoding="utf-8"))
        if not published["verified"].get("licq_unique_duals") or not (folder / f"{path.stem}.nl").exists():
            continue
        problem = adj.read_nl(folder / f"{path.stem}.nl")
        names, rows = problem.labels["x"], problem.labels["constraints"]
        if len(names) > SMALL:
            continue
        x = np.array([published["x"][name] for name in names])
        move = MOVED * np.maximum(1.0, abs(x)) * np.random.default_rng(compared).uniform(-1.0, 1.0, x.size)
        result = problem.solve(method, tol=1e-9, start={"x": x + move})
        assert result.success, (path.stem, result.message)
        np.testing.assert_allclose(result.x, x, rtol=1e-4, atol=1e-4, err_msg=path.stem)
        compared += 1
        for kind, of, labels in (("lambda_dfdrhs", "constraints", rows), ("mu_reduced_cost", "x", names)):
            expected = np.array([published[kind][name] for name in labels])
            size = max(1.0, abs(expected).max(initial=0.0))
            found = result.multipliers[of]
            np.testing.assert_allclose(found, expected, atol=1e-5 * size, err_msg=f"{path.stem}, {kind}")
    assert compared >= 8
