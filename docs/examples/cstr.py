"""A stirred-tank reactor: the space velocity that makes the most of the intermediate product B.

Reactions A → B → C and 2 A → D; sv: feed rate per volume; ca, cb, cc, cd: concentrations at the outlet.

    0 = sv caf − (sv + k1) ca − 2 k3 ca²         0 = k2 cb − sv cc
    0 = k1 ca − (sv + k2) cb                     0 = k3 ca² − sv cd

The reactor design problem of Hart et al. 2017, "Pyomo: optimization modeling in Python". Two objectives: the
concentration of B, and its ratio to all other species.
"""

from __future__ import annotations

import adjoint as adj


def model() -> adj.Program:
    """Mole balances of the four species."""
    m = adj.Program("reactor")
    sv = m.input("sv", 5.0)  # 1/min
    caf = m.input("caf", 10_000.0)  # mol/m³, feed
    k1, k2, k3 = m.input("k1", 5 / 6), m.input("k2", 5 / 3), m.input("k3", 1 / 6000)
    ca = m.unknown("ca", guess=5_000.0, lower=0.0)
    cb, cc, cd = m.unknown("cb"), m.unknown("cc"), m.unknown("cd")
    m.constrain(sv * caf == (sv + k1) * ca + 2 * k3 * ca**2, name="balance_a")
    m.constrain(k1 * ca == (sv + k2) * cb, name="balance_b")
    m.constrain(k2 * cb == sv * cc, name="balance_c")
    m.constrain(k3 * ca**2 == sv * cd, name="balance_d")
    m.define("ratio", cb / (ca + cc + cd))
    return m


def problem(objective: str = "cb") -> adj.Problem:
    """Maximize ``cb``, or ``ratio``, over the space velocity."""
    return adj.Problem(model(), maximize=objective, over={"sv": (0.1, 20.0)})


def main() -> None:
    for objective in ("cb", "ratio"):
        result = problem(objective).solve(method="SLSQP", options={"ftol": 1e-14})
        sol = result.solution
        print(f"largest {objective}: sv = {sol['sv']:.6f}, cb = {sol['cb']:.6f}, ratio = {sol['ratio']:.9f}")
        for name, value in sol.gradient(objective, wrt=["k1", "k2", "k3"]).items():
            print(f"  d{objective}/d{name} = {value:.6g}")


if __name__ == "__main__":
    main()
