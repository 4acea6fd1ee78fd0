"""A sounding rocket that climbs as high as its fuel takes it.

    maximize    h(T)
    over        T, thrust u(t) between 0 and 3.5
    subject to  h' = v                                            altitude, from the centre of the planet
                v' = (u − D(h, v)) / m − 1 / h²,   D = 310 v² exp(−500 (h − 1))
                m' = −2 u                                         thrust costs mass
                (h, v, m) = (1, 0, 1) at 0,   m = 0.6 at T

Full thrust comes first, and none last. In between, drag and gravity share the losses: on this singular arc the thrust
is at neither bound. Goddard 1919; the numbers are those of COPS (Dolan, Moré & Munson 2004), where h(T) is 1.01283.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import adjoint as adj

STRONGEST, EMPTY = 3.5, 0.6


def flight(t: Any, y: Any, u: Any) -> dict[str, Any]:
    """Thrust, drag and gravity."""
    drag = 310.0 * y["v"] ** 2 * np.exp(-500.0 * (y["h"] - 1.0))
    return {"h": y["v"], "v": (u["thrust"] - drag) / y["m"] - 1.0 / y["h"] ** 2, "m": -2.0 * u["thrust"]}


def problem(intervals: int = 100, **way: Any) -> adj.Problem:
    """The highest flight, with a thrust that is linear between the points of the mesh."""
    m = adj.Program("goddard")
    tau = np.linspace(0.0, 1.0, intervals + 1)
    T, thrust = m.input("T", 0.2), m.input("thrust", STRONGEST * (1.0 - tau))
    path = adj.trajectory(
        m,
        flight,
        T * tau,
        {"h": 1.0, "v": 0.0, "m": 1.0},
        {"thrust": thrust},
        bounds={"h": (1.0, None), "v": (0.0, None), "m": (0.5, 1.0)},
        guess={"h": [1.0, 1.01], "v": [0.0, 0.1, 0.0], "m": [1.0, EMPTY]},
        **way,
    )
    empty = path["m"][-1] == EMPTY
    over = {"T": (0.01, 1.0), "thrust": (0.0, STRONGEST)}
    return adj.Problem(m, maximize=path["h"][-1], over=over, subject_to={"empty": empty, **path.limits})


def main() -> None:
    for way in ("collocation", "multiple-shooting"):
        result = problem(transcription=way).solve("interior-point", formulation="full", tol=1e-9)
        print(f"{way}: altitude {result.fun:.6f}, {result.nit} iterations")
    sol = result.solution
    times, thrust = sol["T"] * np.linspace(0.0, 1.0, sol["thrust"].size), sol["thrust"]
    full, off = times[thrust > 0.99 * STRONGEST].max(), times[thrust > 0.01].max()
    print(f"  full thrust until {full:.3f}, none from {off:.3f} on, highest at {sol['T']:.4f}")
    print(f"  one unit of fuel more: {-result.multipliers['empty']:.5f} higher")


if __name__ == "__main__":
    main()
