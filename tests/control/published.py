"""Optimal control problems with published optima, by any transcription.

Brachistochrones: Bryson & Ho 1975, and the example of dymos. Breakwell's double integrator with a bound on the state:
Bryson & Ho 1975, section 3.11. Goddard's rocket, catalyst mixing and the hanging chain: COPS 3 (Dolan, Moré & Munson
2004, ANL/MCS-TM-273).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import adjoint as adj

Way = dict[str, Any]  # arguments of trajectory: transcription=, method=, …


def grid(n: int) -> np.ndarray:
    return np.linspace(0.0, 1.0, n + 1)


def brac1(n: int, **way: Any) -> adj.Problem:
    m = adj.Program("brac1")
    T, u = m.input("T", 1.0), m.input("u", np.full(n + 1, 0.8))

    def fall(t: Any, y: Any, u: Any) -> Any:
        return {"x": y["v"] * np.sin(u["u"]), "y": y["v"] * np.cos(u["u"]), "v": 9.8 * np.cos(u["u"])}

    path = adj.trajectory(m, fall, T * grid(n), {"x": 0.0, "y": 0.0, "v": 0.0}, {"u": u}, **way)
    ends = {"x end": path["x"][-1] == 2.0, "y end": path["y"][-1] == 2.0}
    return adj.Problem(m, minimize="T", over={"T": (0.1, 10.0), "u": (0.0, 2 * np.pi)}, subject_to=ends)


def brachistochrone_dymos(n: int, **way: Any) -> adj.Problem:
    m = adj.Program("brachistochrone")
    T, u = m.input("T", 2.0), m.input("u", np.full(n + 1, 0.8))

    def fall(t: Any, y: Any, u: Any) -> Any:
        return {"x": y["v"] * np.sin(u["u"]), "y": -y["v"] * np.cos(u["u"]), "v": 9.80665 * np.cos(u["u"])}

    path = adj.trajectory(m, fall, T * grid(n), {"x": 0.0, "y": 10.0, "v": 0.0}, {"u": u}, **way)
    ends = {"x end": path["x"][-1] == 10.0, "y end": path["y"][-1] == 5.0}
    return adj.Problem(m, minimize="T", over={"T": (0.1, 10.0), "u": (0.0, np.pi)}, subject_to=ends)


def double_integrator(
    n: int, start: tuple[float, float], end: tuple[float, float], highest: float | None, limit: float, way: Way
) -> adj.Problem:
    m = adj.Program("double integrator")
    u = m.input("u", np.zeros(n + 1))
    path = adj.trajectory(
        m,
        lambda t, y, u: {"x": y["v"], "v": u["u"]},
        grid(n),
        {"x": start[0], "v": start[1]},
        {"u": u},
        bounds={"x": (None, highest)},
        **way,
    )
    m.define("cost", path.integral(lambda t, y, u: u["u"] ** 2 / 2))
    ends = {"x end": path["x"][-1] == end[0], "v end": path["v"][-1] == end[1]}
    limits = path.limits if highest is not None else {}
    return adj.Problem(m, minimize="cost", over={"u": (-limit, limit)}, subject_to={**ends, **limits})


def breakwell(n: int, **way: Any) -> adj.Problem:
    return double_integrator(n, (0.0, 1.0), (0.0, -1.0), 0.1, 10.0, {"guess": {}, **way})


def dqc_min_energy(n: int, **way: Any) -> adj.Problem:
    return double_integrator(n, (0.0, 0.0), (1.0, 0.0), None, np.inf, way)


def goddard_cops(n: int, **way: Any) -> adj.Problem:
    m = adj.Program("goddard")
    T, u = m.input("T", 0.2), m.input("u", 3.5 * (1.0 - grid(n)))

    def flight(t: Any, y: Any, u: Any) -> Any:
        drag = 310.0 * y["v"] ** 2 * np.exp(-500.0 * (y["h"] - 1.0))
        return {"h": y["v"], "v": (u["u"] - drag) / y["m"] - 1.0 / y["h"] ** 2, "m": -2.0 * u["u"]}

    path = adj.trajectory(
        m,
        flight,
        T * grid(n),
        {"h": 1.0, "v": 0.0, "m": 1.0},
        {"u": u},
        bounds={"h": (1.0, None), "v": (0.0, None), "m": (0.5, 1.0)},
        guess={"h": [1.0, 1.01], "v": [0.0, 0.1, 0.0], "m": [1.0, 0.6]},
        **way,
    )
    end = {"empty": path["m"][-1] == 0.6}
    over = {"T": (0.01, 1.0), "u": (0.0, 3.5)}
    return adj.Problem(m, maximize=path["h"][-1], over=over, subject_to={**end, **path.limits})


def catmix(n: int, **way: Any) -> adj.Problem:
    m = adj.Program("catmix")
    u = m.input("u", np.full(n + 1, 0.5))

    def mixing(t: Any, y: Any, u: Any) -> Any:
        forth = u["u"] * (10.0 * y["x2"] - y["x1"])
        return {"x1": forth, "x2": -forth - (1.0 - u["u"]) * y["x2"]}

    path = adj.trajectory(m, mixing, grid(n), {"x1": 1.0, "x2": 0.0}, {"u": u}, **way)
    return adj.Problem(m, minimize=-1.0 + path["x1"][-1] + path["x2"][-1], over={"u": (0.0, 1.0)})


def hanging_chain(n: int, **way: Any) -> adj.Problem:
    m = adj.Program("hanging chain")
    u = m.input("u", np.linspace(-4.0, 8.0, n + 1))
    path = adj.trajectory(m, lambda t, y, u: {"x": u["u"]}, grid(n), {"x": 1.0}, {"u": u}, **way)
    m.define("energy", path.integral(lambda t, y, u: y["x"] * np.sqrt(1.0 + u["u"] ** 2)))
    length = path.integral(lambda t, y, u: np.sqrt(1.0 + u["u"] ** 2))
    conditions = {"x end": path["x"][-1] == 3.0, "length": length == 4.0}
    return adj.Problem(m, minimize="energy", over={"u": (-10.0, 20.0)}, subject_to=conditions)


PUBLISHED: dict[str, Callable[..., adj.Problem]] = {
    "brac1": brac1,
    "brachistochrone_dymos": brachistochrone_dymos,
    "breakwell": breakwell,
    "catmix": catmix,
    "dqc_min_energy": dqc_min_energy,
    "goddard_cops": goddard_cops,
    "hanging_chain": hanging_chain,
}
