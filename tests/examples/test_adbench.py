"""ADBench's four objectives and their derivatives against the values of its own tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks import _adbench_ba, _adbench_data, _adbench_gmm, _adbench_hand, _adbench_lstm


def expected(data: Path, objective: str) -> dict[str, Any]:
    """The values of one objective, by the names of ADBench's tests."""
    text = (data / "adbench" / "expected_outputs.json").read_text(encoding="utf-8")
    return json.loads(text)[objective]


def near(got: Any, value: Any, tolerance: float = 1e-12) -> None:
    """ADBench's measure, |x − y| / max(1, |x| + |y|), at the digits that the values have."""
    got, value = np.asarray(got), np.asarray(value, dtype=float)
    assert got.shape == value.shape
    assert (np.abs(got - value) <= tolerance * np.maximum(1.0, np.abs(got) + np.abs(value))).all()


def test_gaussian_mixture(data: Path) -> None:
    values = expected(data, "gmm")
    gmm = _adbench_data.read_gmm(data / "adbench" / "data" / "gmm" / "test.txt")
    objective, gradient = _adbench_gmm.ours(gmm)
    near(objective(gmm.vector), values["objective_calculation_correctness"])
    near(gradient(gmm.vector), values["jacobian_calculation_correctness.expected_gradient"])


def test_bundle_adjustment(data: Path) -> None:
    values = expected(data, "ba")
    ba = _adbench_data.read_ba(data / "adbench" / "data" / "ba" / "test.txt")
    objective, jacobian = _adbench_ba.ours(ba)
    r, e = np.split(objective(ba.vector), [2 * len(ba.features)])
    near(r, values["objective_calculation_correctness.expected_reproj_err"])
    near(e, values["objective_calculation_correctness.expected_weight_err"])
    layout = _adbench_ba.Layout(ba)  # ADBench stores two zeros per observation
    entries = np.array(values["jacobian_calculation_correctness.expected_J_values"])
    got = jacobian(ba.vector)
    assert sp.issparse(got)
    near(got.toarray(), sp.csr_array((entries, layout.indices, layout.indptr), shape=layout.shape).toarray())


@pytest.mark.parametrize("kind", ["simple", "complicated"])
def test_hand(data: Path, kind: str) -> None:
    values, folder = expected(data, "hand"), data / "adbench" / "data" / "hand"
    complicated = kind == "complicated"
    path = folder / ("hand_complicated.txt" if complicated else "test.txt")
    hand = _adbench_data.read_hand(path, folder / "model", complicated)
    objective, jacobian = _adbench_hand.ours(hand)
    v = _adbench_hand.start(hand)
    near(objective(v), values[f"{kind}_objective_calculation_correctness.expected_objective"])
    near(jacobian(v), values[f"{kind}_jacobian_calculation_correctness.expected_jacobian"])


def test_lstm(data: Path) -> None:
    values = expected(data, "lstm")
    lstm = _adbench_data.read_lstm(data / "adbench" / "data" / "lstm" / "lstm_l2_c1024.txt")
    objective, gradient = _adbench_lstm.ours(lstm)
    near(objective(lstm.vector), values["objective_calculation_correctness"], 1e-8)  # eight digits are given
    near(gradient(lstm.vector), values["jacobian_calculation_correctness.expected_gradient"])
