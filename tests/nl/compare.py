"""A problem beside the plain evaluation of its model: values, and derivatives in random directions."""

from __future__ import annotations

import numpy as np

from adjoint.problem import Problem
from tests.nl.evaluation import Evaluation, parts


def close(mine: object, reference: object, size: object, tol: float) -> bool:
    """Whether numbers agree, relative to the size of what they are made of; NaN agrees with NaN."""
    a, b, s = (np.asarray(v, dtype=float) for v in (mine, reference, size))
    with np.errstate(invalid="ignore"):
        return bool(np.all((np.abs(a - b) <= tol * (np.abs(b) + s)) | (np.isnan(a) & np.isnan(b)) | (a == b)))


def assert_equal(problem: Problem, x: np.ndarray, backend: str, seed: int = 0) -> None:
    """Objective, constraints, gradient, Jacobian and Hessian of the Lagrangian at x."""
    model = problem.source
    problem.program.backend = backend
    rng = np.random.default_rng(seed)
    u, v, weights = (rng.standard_normal(k) for k in (model.n_var, model.n_var, model.n_con))
    at_x, moved = Evaluation(model, x), Evaluation(model, x, u, v)
    total, expected, size = 0.0, 0.0, 0.0
    if model.n_obj:
        f = problem.program.function("objective", wrt=["x"], sparse=True)
        found = parts(moved.objective())
        assert close(f(x), at_x.objective().real, at_x.objective_size(), 1e-12)
        gradient, hessian = f.jac(x), f.hess(x)
        scale = np.abs(gradient) @ (np.abs(u) + np.abs(v)) + at_x.objective_size()  # where terms cancel
        assert close([gradient @ u, gradient @ v], found[1:3], 1e-12 + scale, 1e-10)
        total, expected, size = u @ (hessian @ v), found[3], _size(hessian, u, v)
    if model.n_con:
        c = problem.program.function(["constraints"], wrt=["x"], sparse=True)
        table = np.array([parts(d) for d in moved.constraints])
        assert close(c(x), [d.real for d in at_x.constraints], at_x.constraint_sizes(), 1e-12)
        jacobian = c.jac(x)
        scale = abs(jacobian) @ (np.abs(u) + np.abs(v)) + at_x.constraint_sizes()  # where terms cancel
        assert close(jacobian @ u, table[:, 1], 1e-12 + scale, 1e-10)
        assert close(jacobian @ v, table[:, 2], 1e-12 + scale, 1e-10)
        total += u @ (c.hess(x, weights) @ v)
        expected += weights @ table[:, 3]
        size += _size(c.hess(x, weights), u, v) + np.abs(weights) @ np.abs(table[:, 3])
    assert close(total, expected, 1e-10 + size, 1e-9)


def _size(hessian: object, u: np.ndarray, v: np.ndarray) -> float:
    return float(np.abs(u) @ (abs(hessian) @ np.abs(v)))  # type: ignore[call-overload]
