"""Kepler's equation: where a planet is on its ellipse at a given time, for one time or for many at once.

E − e sin E = M          M the mean anomaly (time, as an angle), e the eccentricity, E the eccentric anomaly
"""

from __future__ import annotations

import numpy as np

import adjoint as adj

EXAMPLE = np.radians(85.0)


def model(mean_anomaly: float | np.ndarray = EXAMPLE, eccentricity: float = 0.6) -> adj.Program:
    """The equation for one anomaly, or elementwise for an array of them (radians)."""
    m = adj.Program("kepler")
    M, e = m.input("M", mean_anomaly), m.input("e", eccentricity)
    E = m.unknown("E", guess=mean_anomaly)
    m.constrain(E - e * np.sin(E) == M, name="kepler")
    m.define("radius", 1.0 - e * np.cos(E))  # distance to the sun, in semi-major axes
    return m


def main() -> None:
    sol = model().solve()
    print(f"M = 85°, e = 0.6: E = {np.degrees(sol['E']):.11f}°, radius {sol['radius']:.9f}")
    print(f"  dE/dM = {sol.gradient('E', wrt='M'):.12f}, dE/de = {sol.gradient('E', wrt='e'):.12f}")
    print(f"  d²E/dM² = {sol.hessian('E', wrt='M'):.12f}")

    anomalies = np.linspace(-np.pi, np.pi, 10_001)
    orbit = model(anomalies, eccentricity=0.9).solve()
    distance = 1.0 - 0.9 * np.cos(orbit["E"])
    print(f"{anomalies.size} anomalies at e = 0.9: radius from {distance.min():.6f} to {distance.max():.6f}")
    slope = orbit.jvp({"e": 1.0}, of="E")["E"]
    worst = int(np.argmax(np.abs(slope)))
    print(f"  E moves fastest with e at M = {anomalies[worst]:.4f}: dE/de = {slope[worst]:.4f}")


if __name__ == "__main__":
    main()
