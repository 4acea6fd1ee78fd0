"""A diode circuit: node voltages, and their sensitivity to the source and to both resistors.

    node 1:  I = V1 / R1 + (V1 − V2) / R2
    node 2:  (V1 − V2) / R2 = Is (exp(V2 / Vt) − 1)

The start V2 = 1e-3 is far from the solution, where the exponential is e^27: plain Newton steps overshoot.
"""

from __future__ import annotations

import numpy as np

import adjoint as adj

SATURATION = 1e-15  # Is, ampere
THERMAL = 0.025875  # Vt, volt


def model() -> adj.Program:
    """Kirchhoff's current law at both nodes."""
    m = adj.Program("circuit")
    current, r1, r2 = m.input("I", 0.1), m.input("R1", 100.0), m.input("R2", 10e3)
    v1, v2 = m.unknown("V1", guess=10.0), m.unknown("V2", guess=1e-3)
    diode = SATURATION * (np.exp(v2 / THERMAL) - 1.0)
    m.constrain(v1 / r1 + (v1 - v2) / r2 == current, name="node_1")
    m.constrain((v1 - v2) / r2 == diode, name="node_2")
    m.define("diode_current", diode)
    return m


def main() -> None:
    sol = model().solve()
    print(
        f"V1 = {sol['V1']:.9f} V, V2 = {sol['V2']:.9f} V, diode current {1e3 * sol['diode_current']:.6f} mA"
    )
    (cycle,) = [b for b in sol.blocks if b.kind == "cycle"]
    print(f"solved by {cycle.method} in {cycle.iterations} iterations from V2 = 1e-3 V")
    for (of, wrt), value in sol.jacobian(["V1", "V2"], wrt=["I", "R1", "R2"]).items():
        print(f"  d{of}/d{wrt} = {value: .9e}")


if __name__ == "__main__":
    main()
