"""The beam of ``docs/examples/beam.py`` by AeroSandbox (CasADi, IPOPT), in array syntax and at default options."""

from __future__ import annotations

from typing import Any

import numpy as np

LENGTH, WIDTH, YOUNG, VOLUME = 1.0, 0.1, 1.0, 0.01


def by_stiffness(elements: int) -> tuple[float, int]:
    """K(h) d = f with the deflections and slopes as variables; compliance and iterations."""
    import aerosandbox as asb
    import aerosandbox.numpy as anp

    n, a = elements, LENGTH / elements
    K = [[12, 6 * a, -12, 6 * a], [6 * a, 4 * a**2, -6 * a, 2 * a**2]]
    K += [[-12, -6 * a, 12, -6 * a], [6 * a, 2 * a**2, -6 * a, 4 * a**2]]
    opti = asb.Opti()
    h = opti.variable(init_guess=np.full(n, VOLUME / (WIDTH * LENGTH)))
    w, s = (anp.concatenate([np.zeros(1), opti.variable(init_guess=np.zeros(n))]) for _ in range(2))
    bending = YOUNG * WIDTH * h**3 / 12 / a**3
    ends = (w[:-1], s[:-1], w[1:], s[1:])
    forces = [bending * sum(k * u for k, u in zip(row, ends, strict=True)) for row in K]
    load = np.zeros(n)
    load[-1] = 1.0
    for left, right, applied in ((0, 2, load), (1, 3, np.zeros(n))):
        opti.subject_to(forces[right] + anp.concatenate([forces[left][1:], np.zeros(1)]) == applied)
    return _solved(opti, h, w, n)


def by_forces(elements: int) -> tuple[float, int]:
    """Moments, slopes and deflections as variables; compliance and iterations."""
    import aerosandbox as asb
    import aerosandbox.numpy as anp

    n, a = elements, LENGTH / elements
    opti = asb.Opti()
    h = opti.variable(init_guess=np.full(n, VOLUME / (WIDTH * LENGTH)))
    moment = anp.concatenate([opti.variable(init_guess=np.zeros(n)), np.zeros(1)])
    s, w = (anp.concatenate([np.zeros(1), opti.variable(init_guess=np.zeros(n))]) for _ in range(2))
    left, right = moment[:-1], moment[1:]
    flexibility = 12.0 / (YOUNG * WIDTH * h**3)
    opti.subject_to((left - right) / a == 1.0)
    opti.subject_to(s[1:] - s[:-1] == a * flexibility * (left + right) / 2)
    opti.subject_to(w[1:] - w[:-1] == a * s[:-1] + a**2 * flexibility * (2 * left + right) / 6)
    return _solved(opti, h, w, n)


def _solved(opti: Any, h: Any, deflection: Any, n: int) -> tuple[float, int]:
    import aerosandbox.numpy as anp

    opti.subject_to([h >= 0.01, h <= 10.0, anp.sum(h) * WIDTH * LENGTH / n / VOLUME == 1.0])
    opti.minimize(deflection[n])
    found = opti.solve(verbose=False)
    return float(found(deflection[n])), int(found.stats()["iter_count"])
