"""From a low orbit to the geostationary one: how to divide the change of plane between the two burns.

    minimize   Δv₁(i₁) + Δv₂(i₂)     over i₁, i₂ ≥ 0     subject to i₁ + i₂ = 28.5°

Velocities on the circles and on the transfer ellipse are those of Hohmann's transfer; a burn that turns the orbit by i
needs Δv² = v² + u² − 2 v u cos i.
"""

from __future__ import annotations

import numpy as np

import adjoint as adj

MU = 398600.4418  # of the earth, km³/s²
LOW, HIGH, INCLINATION = 6778.0, 42164.0, 28.5  # km, km, degrees


def model() -> adj.Program:
    """Both burns, by the change of plane that each makes."""
    m = adj.Program("hohmann")
    first, second = m.input("first_turn", 0.0), m.input("second_turn", INCLINATION)
    low, high = m.input("low", LOW), m.input("high", HIGH)
    circle_low, circle_high = np.sqrt(MU / low), np.sqrt(MU / high)
    perigee = np.sqrt(2 * MU * high / (low * (low + high)))
    apogee = perigee * low / high

    def burn(v: adj.Expr, u: adj.Expr, turn: adj.Expr) -> adj.Expr:
        return np.sqrt(v**2 + u**2 - 2 * v * u * np.cos(np.radians(turn)))

    one = m.define("first_burn", burn(circle_low, perigee, first))
    two = m.define("second_burn", burn(apogee, circle_high, second))
    m.define("delta_v", one + two)
    m.define("turn", first + second)
    return m


def problem() -> adj.Problem:
    """The least Δv for the whole change of plane."""
    m = model()
    return adj.Problem(
        m,
        minimize="delta_v",
        over={"first_turn": (0.0, INCLINATION), "second_turn": (0.0, INCLINATION)},
        subject_to={"inclination": m["turn"] == INCLINATION},
    )


def main() -> None:
    print(f"all of it at the top: {model().solve()['delta_v']:.12f} km/s")
    result = problem().solve("interior-point")
    sol = result.solution
    print(f"divided {sol['first_turn']:.6f}° + {sol['second_turn']:.6f}°: {result.fun:.12f} km/s")
    print(f"  one more degree costs {1e3 * result.multipliers['inclination']:.4f} m/s")


if __name__ == "__main__":
    main()
