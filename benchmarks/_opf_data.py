"""AC optimal power flow data: per-unit arrays from a MATPOWER case, and a reference solution."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

RATE_A, TAP, SHIFT, STATUS, ANGLE_MIN, ANGLE_MAX = 5, 8, 9, 10, 11, 12  # columns of the branch matrix


@dataclass(frozen=True)
class Network:
    """Buses by position, generators and branches in service, per unit and radians.

    Attributes
    ----------
    load, shunt : complex, by bus
    cost : coefficients of (power in MW)², power, 1 in $/h, by generator
    ff, ft, tf, tt : admittances of a branch's two ends, tap and phase shift included
    """

    base: float
    load: np.ndarray
    shunt: np.ndarray
    gen_bus: np.ndarray
    cost: np.ndarray
    start: np.ndarray
    end: np.ndarray
    ff: np.ndarray
    ft: np.ndarray
    tf: np.ndarray
    tt: np.ndarray
    rate: np.ndarray
    angles: np.ndarray
    numbers: np.ndarray

    @property
    def sizes(self) -> dict[str, int]:
        """The variables in order, and their lengths: p_from, … are the flows into the two ends of a branch."""
        buses, gens, branches = self.load.size, self.gen_bus.size, self.start.size
        flows = ("p_from", "q_from", "p_to", "q_to")
        return {"va": buses, "vm": buses, "pg": gens, "qg": gens, **dict.fromkeys(flows, branches)}


def network(case: Any) -> Network:
    """The arrays of a parsed MATPOWER case with quadratic costs."""
    bus, base = case.bus, case.base_mva
    gencost = case.gencost[: case.gen.shape[0]]
    if not ((gencost[:, 0] == 2) & (gencost[:, 3] == 3)).all():
        raise ValueError(f"{case.name}: costs are not quadratic polynomials")
    order = np.argsort(bus[:, 0])

    def at(numbers: np.ndarray) -> np.ndarray:
        return order[np.searchsorted(bus[order, 0], numbers)]

    running, used = case.gen[:, 7] > 0, case.branch[:, STATUS] > 0
    gen, branch = case.gen[running], case.branch[used]
    series = 1.0 / (branch[:, 2] + 1j * branch[:, 3])
    ratio = np.where(branch[:, TAP] == 0.0, 1.0, branch[:, TAP])
    tap = ratio * np.exp(1j * np.radians(branch[:, SHIFT]))
    charged = series + 0.5j * branch[:, 4]
    return Network(
        base=base,
        load=(bus[:, 2] + 1j * bus[:, 3]) / base,
        shunt=(bus[:, 4] + 1j * bus[:, 5]) / base,
        gen_bus=at(gen[:, 0]),
        cost=gencost[running, 4:7],
        start=at(branch[:, 0]),
        end=at(branch[:, 1]),
        ff=charged / ratio**2,
        ft=-series / tap.conj(),
        tf=-series / tap,
        tt=charged,
        rate=branch[:, RATE_A] / base,
        angles=np.radians(branch[:, [ANGLE_MIN, ANGLE_MAX]]),
        numbers=bus[:, 0].astype(int),
    )


def near_flat_start(net: Network, seed: int) -> np.ndarray:
    """A random point near 1 ∠ 0, the variables in order."""
    rng = np.random.default_rng(seed)
    centre = {"va": 0.0, "vm": 1.0}
    return np.concatenate([centre.get(v, 0.5) + 0.05 * rng.standard_normal(k) for v, k in net.sizes.items()])


def reference(path: Path, net: Network) -> tuple[dict[str, np.ndarray], float]:
    """Voltages and dispatch of a published-objective solution, by variable; and its objective."""
    found = json.loads(path.read_text(encoding="utf-8"))
    if found["bus"] != net.numbers.tolist() or found["gen_bus"] != net.numbers[net.gen_bus].tolist():
        raise ValueError(f"{path.name}: buses or generators in another order")
    fields = {"va": "va_rad", "vm": "vm", "pg": "pg_pu", "qg": "qg_pu"}
    return {name: np.array(found[field]) for name, field in fields.items()}, found["objective"]
