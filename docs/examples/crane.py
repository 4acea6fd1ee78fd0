"""A load on a rope, moved from rest to rest by a trolley: a differential-algebraic equation.

    minimize    ∫ a² dt                                       the acceleration of the trolley
    subject to  s' = w,   w' = a                              the trolley
                x' = p,   z' = q                              the load
                p' = −f (x − s),   q' = −f z − g              f: the force of the rope, per length and mass
                (x − s)² + z² = 1                             the rope

The last equation says nothing of f. Differentiated twice by time it does, which makes the index 1:

    (p − w)² + q² − a (x − s) − f ((x − s)² + z²) − g z = 0

f is an algebraic variable: no derivative of it is in the equations. The same load by its angle, for comparison:

    φ'' = −g sin φ − a cos φ
"""

from __future__ import annotations

from typing import Any

import numpy as np

import adjoint as adj

GRAVITY, DURATION = 9.81, 3.0


def rope(t: Any, y: Any, u: Any) -> dict[str, Any]:
    """Positions and velocities of trolley and load; what is given under the name of f is zero."""
    away = y["x"] - y["s"]
    moving = (y["p"] - y["w"]) ** 2 + y["q"] ** 2 - u["a"] * away
    return {
        "s": y["w"],
        "w": u["a"],
        "x": y["p"],
        "z": y["q"],
        "p": -y["f"] * away,
        "q": -y["f"] * y["z"] - GRAVITY,
        "f": moving - y["f"] * (away**2 + y["z"] ** 2) - GRAVITY * y["z"],
    }


def angle(t: Any, y: Any, u: Any) -> dict[str, Any]:
    """The same with the load at (s + sin φ, −cos φ)."""
    turning = -GRAVITY * np.sin(y["phi"]) - u["a"] * np.cos(y["phi"])
    return {"s": y["w"], "w": u["a"], "phi": y["turn"], "turn": turning}


def problem(by_rope: bool = True, intervals: int = 30, **way: Any) -> adj.Problem:
    """The least effort for one rope length."""
    m = adj.Program("crane")
    times = np.linspace(0.0, DURATION, intervals + 1)
    controls = {"a": m.input("a", np.zeros(intervals + 1))}
    if by_rope:
        start = {"s": 0.0, "w": 0.0, "x": 0.0, "z": -1.0, "p": 0.0, "q": 0.0}
        path = adj.trajectory(m, rope, times, start, controls, algebraic={"f": GRAVITY}, **way)
        hanging = {"below": path["x"][-1] == 1.0, "still": path["p"][-1] == 0.0}
        m.define("force", path.at_nodes["f"])
    else:
        start = {"s": 0.0, "w": 0.0, "phi": 0.0, "turn": 0.0}
        path = adj.trajectory(m, angle, times, start, controls, **way)
        hanging = {"below": path["phi"][-1] == 0.0, "still": path["turn"][-1] == 0.0}
    m.define("effort", path.integral(lambda t, y, u: u["a"] ** 2))
    there = {"there": path["s"][-1] == 1.0, "stopped": path["w"][-1] == 0.0}
    return adj.Problem(m, minimize="effort", over=["a"], subject_to={**there, **hanging})


def main() -> None:
    for by_rope in (True, False):
        result = problem(by_rope).solve("interior-point", formulation="full", tol=1e-9)
        print(f"by the {'rope' if by_rope else 'angle'}: effort {result.fun:.6f}, {result.nit} iterations")
        if by_rope:
            force = result.solution["force"]
            print(f"  the rope carries between {force.min():.4f} and {force.max():.4f}; at rest {GRAVITY}")


if __name__ == "__main__":
    main()
