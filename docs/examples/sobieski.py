"""Sobieski's supersonic business jet: structure, aerodynamics and engine that need each other, for the longest range.

Ten design variables; weight, drag and engine size are a cycle: the wing's weight grows with the lift, which is the
weight; the engine's with the drag, which the weight induces. What the original has as synthetic functions are quadratic
fits around the first design, in which each influence is of one of five kinds. They are cut off a quarter from there, so
the model has kinks; the optimum lies beyond most of them.

Sobieszczanski-Sobieski, Agte & Sandusky 1998, "Bi-level integrated system synthesis (BLISS)", NASA/TM-1998-208715.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import adjoint as adj

# Of the design variables: first design, lower and upper bound.
DESIGN = {
    "taper": (0.25, 0.1, 0.4),
    "box_area": (1.0, 0.75, 1.25),  # cross-section of the wing's box, relative
    "friction": (1.0, 0.75, 1.25),  # skin friction, relative
    "throttle": (0.5, 0.1, 1.0),
    "thickness": (0.05, 0.01, 0.09),  # of the wing, by its chord
    "altitude": (45000.0, 30000.0, 60000.0),  # ft
    "mach": (1.6, 1.4, 1.8),
    "aspect": (5.5, 2.5, 8.5),
    "sweep": (55.0, 40.0, 70.0),  # degrees
    "area": (1000.0, 500.0, 1500.0),  # of the wing, ft²
}
TROPOPAUSE = 36089.0  # ft

# The kinds of influence, as the changes of the fit one step down and one step up.
RISING, RISING_FASTER, FALLING, FALLING_FASTER = (-0.05, 0.05), (-0.05, 0.1), (0.05, -0.05), (0.05, -0.1)
PARABOLIC = (0.0025, 0.0025)
MIXED = np.array(  # of mixed terms, relative to the pure quadratic term of the first variable
    [
        [0.2736, 0.3970, 0.8152, 0.9230, 0.1108],
        [0.4252, 0.4415, 0.6357, 0.7435, 0.1138],
        [0.0329, 0.8856, 0.8390, 0.3657, 0.0019],
        [0.0878, 0.7248, 0.1978, 0.0200, 0.0169],
        [0.8955, 0.4568, 0.8075, 0.9239, 0.2525],
    ]
)


def fit(influences: Sequence[tuple[Any, tuple[float, float]]], step: float = 0.25) -> Any:
    """1 + aᵀs + ½ sᵀA s of relative values, whose differences s from 1 are cut off at ±¼."""
    s = [np.minimum(np.maximum(value, 0.75), 1.25) - 1.0 for value, _ in influences]
    total: Any = 1.0
    for i, (_, (down, up)) in enumerate(influences):
        curvature = (down + up) / (2 * step**2)
        total = total + (up - down) / (2 * step) * s[i] + 0.5 * curvature * s[i] ** 2
        for j in range(i + 1, len(s)):
            total = total + curvature * MIXED[i, j] * s[i] * s[j]
    return total


def model() -> adj.Program:
    """The jet: weights in lb, lengths in ft, range in nautical miles."""
    m = adj.Program("sobieski")
    x = {name: m.input(name, start) for name, (start, _, _) in DESIGN.items()}
    first = {name: start for name, (start, _, _) in DESIGN.items()}
    weight, engine_size = m.unknown("weight", guess=5e4), m.unknown("engine_size", guess=0.5)
    structure(m, x, first, weight)
    aerodynamics(m, x, first, weight, engine_size)
    engine(m, x, first, engine_size)
    m.define(weight, 25000.0 + m["wing_weight"] + m["fuel_weight"] + m["engine_weight"])
    theta = np.where(x["altitude"] < TROPOPAUSE, 1.0 - 6.875e-6 * x["altitude"], 0.7519)
    speed = 661.0 * np.sqrt(theta) * x["mach"]
    m.define("range", speed * m["lift_to_drag"] / m["consumption"] * np.log(weight / (weight - m["fuel_weight"])))
    return m


def structure(m: adj.Program, x: dict[str, Any], first: dict[str, float], weight: adj.Variable) -> None:
    """Wing and fuel weight, twist, and stresses at five stations. The lift is the weight."""
    t, A, S = x["thickness"], x["aspect"], x["area"]
    depth = t * S / np.sqrt(A * S)
    m.define("fuel_weight", 2000.0 + 5.0 * S / 18.0 * (2.0 / 3.0 * depth) * 42.5)
    section = fit([(x["box_area"], RISING)], 0.008)
    loads = (6.0 * weight) ** 0.557 * S**0.649 * np.sqrt(A) / t**0.4 * (1.0 + x["taper"]) ** 0.1
    m.define("wing_weight", 0.0051 * loads / np.cos(np.radians(x["sweep"])) * (0.1875 * S) ** 0.1 * section)

    def center(taper: Any) -> Any:
        return (1.0 + 2.0 * taper) / (3.0 * (1.0 + taper))

    span = np.sqrt(A * S) / np.sqrt(first["aspect"] * first["area"])
    arm = center(x["taper"]) / center(first["taper"])
    lift = weight  # relative to 1 lb in the original, so that it is always cut off
    twisting = [(x["box_area"], RISING_FASTER), (span, FALLING_FASTER), (arm, FALLING_FASTER), (lift, FALLING)]
    m.define("twist", fit(twisting))
    bending = [(t / first["thickness"], FALLING_FASTER), (lift, RISING), (x["box_area"], FALLING_FASTER)]
    bending += [(span, RISING), (arm, RISING)]
    for station in range(5):
        m.define(f"stress_{station + 1}", fit(bending, 0.1 + 0.05 * station))


def aerodynamics(
    m: adj.Program, x: dict[str, Any], first: dict[str, float], weight: adj.Variable, engine_size: adj.Variable
) -> None:
    """Drag at the lift that carries the weight, and the pressure gradient."""
    h, t, sweep, S = x["altitude"], x["thickness"], np.radians(x["sweep"]), x["area"]
    low = h < TROPOPAUSE
    below = np.where(low, 1.0 - 6.875e-6 * h, 1.0)
    sound = np.where(low, 1116.39 * np.sqrt(below), 968.1)
    density = 2.377e-3 * np.where(low, below**4.2561, 0.2971 * np.exp((TROPOPAUSE - h) / 20806.7))
    q = 0.5 * density * (x["mach"] * sound) ** 2
    CL = weight / (q * S)
    skin = fit([(engine_size, RISING), (x["friction"] / first["friction"], RISING)])
    least = 0.01375 * skin + 3.05 * t ** (5.0 / 3.0) * np.cos(sweep) ** 1.5
    induced = (x["mach"] ** 2 - 1.0) * np.cos(sweep) / (4.0 * np.sqrt(x["sweep"] ** 2 - 1.0) - 2.0)
    CD = fit([(m["twist"], PARABOLIC)]) * (least + induced * CL**2)
    m.define("drag", q * CD * S)
    m.define("lift_to_drag", CL / CD)
    m.define("pressure_gradient", fit([(t / first["thickness"], RISING)]))


def engine(m: adj.Program, x: dict[str, Any], first: dict[str, float], engine_size: adj.Variable) -> None:
    """Size, weight and fuel consumption of the three engines, their temperature and the throttle's limit."""
    M, h, thrust = x["mach"], x["altitude"], 16168.6 * x["throttle"]
    m.define(engine_size, m["drag"] / (3.0 * thrust))
    m.define("engine_weight", 3.0 * 4360.0 * engine_size**1.05)
    consumption = 1.13238425638512 + 1.53436586044561 * M - 3.295564466e-5 * h - 1.6378694115e-4 * thrust
    consumption += -0.31623315541888 * M**2 + 2 * 4.10691343e-6 * M * h - 2 * 5.248000590e-5 * M * thrust
    consumption += -8.574e-11 * h**2 + 2 * 1.90214e-9 * h * thrust + 1.059951e-8 * thrust**2
    m.define("consumption", consumption)
    most = 11483.7822254806 + 10856.2163466548 * M - 0.5080237941 * h + 3200.157926969 * M**2
    most += -2 * 0.1466251679 * M * h + 6.8572e-6 * h**2
    m.define("throttle_use", thrust / most)
    relative = [x[name] / first[name] for name in ("mach", "altitude", "throttle")]
    m.define("temperature", fit([*zip(relative, (RISING_FASTER, FALLING_FASTER, RISING_FASTER), strict=True)]))


def problem() -> adj.Problem:
    """The longest range."""
    m = model()
    limits = {name: m[name] <= 1.09 for name in (f"stress_{k}" for k in range(1, 6))}
    limits["twist"] = adj.between(0.8, m["twist"], 1.04)
    limits["pressure_gradient"] = m["pressure_gradient"] <= 1.04
    limits["engine_size"] = adj.between(0.5, m["engine_size"], 1.5)
    limits["throttle_use"] = m["throttle_use"] <= 1.0
    limits["temperature"] = m["temperature"] <= 1.02
    bounds = {name: (low, high) for name, (_, low, high) in DESIGN.items()}
    return adj.Problem(m, maximize="range", over=bounds, subject_to=limits)


def main() -> None:
    p = problem()
    sol = p.program.solve()
    print(f"first design: range {sol['range']:.6f} nm, weight {sol['weight']:.4f} lb, drag {sol['drag']:.4f} lb")
    for formulation, start in (("reduced", None), ("full", sol)):
        result = p.solve("interior-point", formulation=formulation, start=start)
        print(f"{formulation} space: range {result.fun:.6f} nm, {result.status} after {result.nit} iterations")
    print("  " + ", ".join(f"{name} {result.solution[name]:.6g}" for name in DESIGN))


if __name__ == "__main__":
    main()
