"""A wing of least drag, whose own weight it has to carry.

    minimize    D = ½ρV² S C_D            C_D: fuselage, skin friction at the Reynolds number, induced drag C_L²/(πAe)
    over        A, S, V, C_L              aspect ratio, area, cruise speed, lift coefficient
    subject to  W = W₀ + W_w(A, S, W)     the wing's weight grows with the load: an equation in W
                W ≤ ½ρV² S C_L            at cruise, and at take-off with C_Lmax and V_min

Hoburg & Abbeel 2014, "Geometric programming for aircraft design optimization", AIAA Journal 52(11), section 3.
In the reduced space W is solved for at every step; in the full space it is a variable of the optimizer.
"""

from __future__ import annotations

import numpy as np

import adjoint as adj

FORM, OSWALD, VISCOSITY, DENSITY, THICKNESS = 1.2, 0.95, 1.78e-5, 1.23, 0.12
LOAD_FACTOR, TAKEOFF_SPEED, TAKEOFF_LIFT, WETTED = 3.8, 22.0, 1.5, 2.05
STRUCTURE, SURFACE = 8.71e-5, 45.24  # wing weight: 1/m, Pa
FUSELAGE, PAYLOAD = 0.031, 4940.0  # drag area m², weight without wing N


def model() -> adj.Program:
    """Drag, lift and weight."""
    m = adj.Program("wing")
    A, S, V, CL = (m.input(*pair) for pair in (("A", 10.0), ("S", 20.0), ("V", 50.0), ("CL", 0.5)))
    W = m.unknown("W", guess=8e3)

    Re = m.define("Re", DENSITY / VISCOSITY * V * np.sqrt(S / A))
    friction = FORM * 0.074 / Re**0.2 * WETTED
    CD = m.define("CD", FUSELAGE / S + friction + CL**2 / (np.pi * A * OSWALD))
    q = 0.5 * DENSITY * V**2
    m.define("D", q * S * CD)

    spar = STRUCTURE * LOAD_FACTOR * A**1.5 * np.sqrt(PAYLOAD * W * S) / THICKNESS
    W_wing = m.define("W_wing", spar + SURFACE * S)
    m.constrain(W == PAYLOAD + W_wing, name="weight")
    m.define("cruise", q * S * CL / W)
    m.define("takeoff", 0.5 * DENSITY * S * TAKEOFF_LIFT * TAKEOFF_SPEED**2 / W)
    return m


def problem() -> adj.Problem:
    """The least drag; lift is given per weight."""
    m = model()
    bounds = {"A": (1.0, 100.0), "S": (1.0, 1000.0), "V": (5.0, 500.0), "CL": (0.01, 10.0)}
    return adj.Problem(
        m,
        minimize="D",
        over=bounds,
        subject_to={"cruise": m["cruise"] >= 1.0, "takeoff": m["takeoff"] >= 1.0},
    )


def main() -> None:
    for formulation in ("reduced", "full"):
        result = problem().solve("interior-point", formulation=formulation)
        print(f"{formulation} space: D = {result.fun:.6f} N, {result.nit} iterations")
    sol = result.solution
    print("  " + ", ".join(f"{name} = {sol[name]:.4f}" for name in ("A", "S", "V", "CL", "W")))
    print(f"  one more newton of weight costs {result.multipliers['weight']:.6f} N of drag")


if __name__ == "__main__":
    main()
