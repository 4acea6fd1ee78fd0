"""The table of iterations."""

from __future__ import annotations

from math import log10

from .result import Record

__all__ = ["HEADER", "line"]

HEADER = " iter       objective  inf_pr   inf_du  lg(mu)    |d|    lg(rg) alpha_du alpha_pr  ls"


def line(r: Record) -> str:
    """A row of the table.

    >>> line(Record(3, 17.0, 1e-3, 2e-4, 0.1, 0.5, 0.0, 1.0, 0.25, 2, "f"))
    '   3   1.7000000e+01 1.00e-03 2.00e-04  -1.0 5.00e-01    -  1.00e+00 2.50e-01f   2'
    """
    regularization = f"{log10(r.regularization):5.1f}" if r.regularization > 0 else "   - "
    mark = "r" if r.flag.startswith("r") else " "
    return (
        f"{r.iteration:4d}{mark} {r.objective:15.7e} {r.infeasibility:.2e} {r.dual_infeasibility:.2e} "
        f"{log10(max(r.mu, 1e-99)):5.1f} {r.step:.2e} {regularization} {r.alpha_dual:.2e} "
        f"{r.alpha:.2e}{r.flag[-1:] or ' '} {r.trials:3d}"
    )
