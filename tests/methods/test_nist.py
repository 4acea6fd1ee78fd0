"""NIST's Statistical Reference Datasets for nonlinear regression, by Levenberg–Marquardt, from both certified starts.

All parameters to 8 digits, and the standard errors and the sum of squares with them. ``HARDEST`` are the data sets of
which fewer are asked for.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks._nist_data import MODELS, data_sets, digits, problem_of, standard_errors

HARDEST: dict[str, float] = {}


@pytest.mark.parametrize("start", [0, 1], ids=["start 1", "start 2"])
@pytest.mark.parametrize("name", MODELS)
def test_certified_values(name: str, start: int, data: Path) -> None:
    s = data_sets(data)[name]
    problem = problem_of(s)
    result = problem.solve("levenberg-marquardt", start={"b": s.starts[start]})
    assert result.success, result.message
    asked = HARDEST.get(name, 8.0)
    assert digits(result.x, s.certified) >= asked
    assert digits(standard_errors(problem, result.x), s.errors) >= asked - 2.0
    assert result.fun == pytest.approx(s.rss, rel=1e-8)


def test_every_data_set_has_its_model(data: Path) -> None:
    assert set(data_sets(data)) == set(MODELS)


def test_models_at_the_certified_values(data: Path) -> None:
    for name, s in data_sets(data).items():
        r = s.y - MODELS[name](s.certified, s.x)
        assert float(r @ r) == pytest.approx(s.rss, rel=1e-6), name
