"""ADMM on water networks cut into regions: the objective of the whole, EPANET's flows, and heads as prices.

The steady flow of a network is the minimum of its content (Collins et al. 1978, "Solving the Pipe Network Analysis
Problem Using Optimization Techniques", Management Science 24), which is convex:

    minimize    Σ_pipes ∫ h(q) dq − Σ_pumps ∫ gain(q) dq − Σ_reservoirs H (flow out of it)
    subject to  flow in − flow out = demand            at every junction

The multiplier of a junction's balance is its head. A region has junctions; a pipe between two has its flow in both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjoint as adj

LITRE = 1e3  # of a cubic metre: flows in l/s
EXPONENT = 1.852  # Hazen and Williams


@dataclass(frozen=True)
class Network:
    """A network at one time: junctions, links that are open, and heads of reservoirs and tanks."""

    junctions: list[str]
    links: list[dict[str, Any]]
    heads: dict[str, float]  # EPANET's, of all nodes
    demands: np.ndarray  # l/s
    flows: np.ndarray


def read(data: Path, name: str) -> Network:
    content = json.loads((data / "networks" / f"{name}_t0_epanet.json").read_text())
    nodes, links = content["nodes"], [v for v in content["links"].values() if v["status_epanet"] != 0]
    junctions = [k for k, v in nodes.items() if v["type"] == "Junction"]
    return Network(
        junctions,
        sorted(links, key=lambda v: v["type"]),  # pipes, then pumps
        {k: v["head_epanet"] for k, v in nodes.items()},
        np.array([nodes[k]["demand_epanet"] for k in junctions]) * LITRE,
        np.array([v["flow_epanet"] for v in sorted(links, key=lambda v: v["type"])]) * LITRE,
    )


def problem_of(n: Network) -> adj.Problem:
    """The content of a network, in m · l/s."""
    pipes = [v for v in n.links if v["type"] == "Pipe"]
    pumps = n.links[len(pipes) :]
    length, diameter, roughness = (np.array([p[k] for p in pipes]) for k in ("length", "diameter", "roughness"))
    resistance = 10.667 * length / roughness**EXPONENT / diameter**4.871 / LITRE**EXPONENT
    place = {k: j for j, k in enumerate(n.junctions)}
    start, end = (np.array([place.get(v[side], len(place)) for v in n.links]) for side in ("from", "to"))
    given = [n.heads[v["from"]] * (v["from"] not in place) - n.heads[v["to"]] * (v["to"] not in place) for v in n.links]

    m = adj.Program("water")
    q = m.input("q", np.ones(len(n.links)))
    content = np.sum(resistance / (EXPONENT + 1) * np.abs(q[: len(pipes)]) ** (EXPONENT + 1)) - np.sum(given * q)
    if pumps:  # gain = a − b q², q in m³/s
        a, b, _ = np.array([p["ABC"] for p in pumps]).T
        lifted = q[len(pipes) :]
        content = content - np.sum(a * lifted - b / LITRE**2 * lifted**3 / 3)
    m.define("content", content)
    inflow = m.define("inflow", adj.segment_sum(q, end, len(place) + 1) - adj.segment_sum(q, start, len(place) + 1))
    balance = inflow[: len(place)] == n.demands
    lower = [-500.0] * len(pipes) + [0.0] * len(pumps)  # no pump turns backwards
    return adj.Problem(m, minimize="content", over={"q": (lower, 500.0)}, subject_to={"balance": balance})


@pytest.mark.parametrize(("name", "blocks"), [("Net1", 2), ("Net2", 2), ("Net2", 4)])
def test_regions_agree_on_the_flow(name: str, blocks: int, data: Path) -> None:
    network = read(data, name)
    problem = problem_of(network)
    reference = problem.solve("interior-point")
    np.testing.assert_allclose(reference.solution["q"], network.flows, atol=0.02)
    result = problem.solve("admm", options={"blocks": blocks, "executor": "serial"}, formulation={"inflow": "reduced"})
    assert result.success, result.message
    assert result.fun == pytest.approx(reference.fun, rel=1e-3)  # what is asked; and what is found:
    assert result.fun == pytest.approx(reference.fun, rel=1e-5)
    np.testing.assert_allclose(result.solution["q"], network.flows, atol=0.03)
    heads = [network.heads[k] for k in network.junctions]
    np.testing.assert_allclose(np.abs(result.multipliers["balance"]), heads, atol=0.02)
    assert len(result.blocks) == blocks and all(b.copies < b.variables for b in result.blocks)
