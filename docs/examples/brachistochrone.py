"""The curve of fastest descent, between two points: one model by three transcriptions.

    minimize    T
    over        T, θ(t)                                     how long it takes; the slope, measured from the vertical
    subject to  x' = v sin θ,   y' = −v cos θ,   v' = g cos θ
                (x, y, v) = (0, 10, 0) at 0,   (x, y) = (10, 5) at T

Johann Bernoulli 1696; Bryson & Ho 1975, *Applied Optimal Control*, section 2.7. Along the optimum sin θ / v is
constant, which makes the curve a cycloid.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import adjoint as adj

GRAVITY, END = 9.80665, (10.0, 5.0)


def fall(t: Any, y: Any, u: Any) -> dict[str, Any]:
    """A bead on a wire, without friction."""
    return {
        "x": y["v"] * np.sin(u["theta"]),
        "y": -y["v"] * np.cos(u["theta"]),
        "v": GRAVITY * np.cos(u["theta"]),
    }


def model(transcription: str = "collocation", intervals: int = 40) -> adj.Program:
    """Time, slopes and the path that follows from them. The slope is linear between the points of the mesh."""
    m = adj.Program("brachistochrone")
    T, theta = m.input("T", 2.0), m.input("theta", np.linspace(0.1, 1.7, intervals + 1))
    times = T * np.linspace(0.0, 1.0, intervals + 1)
    start = {"x": 0.0, "y": 10.0, "v": 0.0}
    path = adj.trajectory(m, fall, times, start, {"theta": theta}, transcription=transcription)
    m.define("end", np.stack([path["x"][-1], path["y"][-1]]))
    return m


def problem(transcription: str = "collocation", intervals: int = 40) -> adj.Problem:
    """The least time."""
    m = model(transcription, intervals)
    over = {"T": (0.1, 10.0), "theta": (0.0, np.pi)}
    return adj.Problem(m, minimize="T", over=over, subject_to={"there": m["end"] == np.array(END)})


def main() -> None:
    for transcription in ("single-shooting", "multiple-shooting", "collocation"):
        result = problem(transcription).solve("interior-point", formulation="full", tol=1e-9)
        print(f"{transcription}: {result.fun:.6f} s, {result.nit} iterations")
    sol = result.solution
    constant = np.sin(sol["theta"][1:]) / sol["v"][1:]
    print(f"  sin θ / v is between {constant.min():.6f} and {constant.max():.6f}")
    print(f"  one metre further away: {result.multipliers['there'][0]:.6f} s")


if __name__ == "__main__":
    main()
