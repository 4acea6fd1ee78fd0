"""Every row of the table of primitives: written, read back, the same value; or refused by name."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import adjoint as adj
from adjoint.errors import UnsupportedError
from adjoint.expr import Expr, apply, constant
from adjoint.nl.translate import ELEMENTWISE, OPERATIONS
from adjoint.primitive import PRIMITIVES, Static
from tests.laws.samples import SAMPLES, Case
from tests.nl.written import again, evaluate, jacobian, places, point

ROWS = sorted(PRIMITIVES)
# What AMPL's operators cannot express.
REFUSED = {"erf", "erfc", "gamma", "gammaln", "digamma", "polygamma", "external", "external_jacobian"}
REFUSED |= {"root", "root_solve", "scan", "scan_adjoint"}


def problem_of(name: str, case: Case) -> tuple[adj.Problem, np.ndarray] | None:
    """The primitive as a constraint on its arguments, and its value; None for a case without elements."""
    row, m = PRIMITIVES[name], adj.Program(name)
    args: list[Expr] = [constant(a) if k in case.held else m.input(f"x{k}", a) for k, a in enumerate(case.arrays)]
    with np.errstate(all="ignore"):
        value = np.asarray(row.value(*case.arrays, *case.params))
    if not value.size or not sum(v.size for v in m.inputs):
        return None
    y = m.define("y", apply(row, tuple(args), case.params, value.shape))
    over = [v.name for v in m.inputs]
    return adj.Problem(m, minimize=0, over=over, subject_to={"c": adj.between(-np.inf, y, np.inf)}), value


def test_the_tables_name_primitives_only() -> None:
    assert set(ELEMENTWISE) | set(OPERATIONS) <= set(PRIMITIVES)
    for name in ELEMENTWISE:
        assert PRIMITIVES[name].kind == "elementwise"


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("name", [n for n in ROWS if n not in REFUSED and n != "solve"])
def test_written_and_read_it_has_the_same_value(name: str, binary: bool, tmp_path: Path) -> None:
    count = 0
    for case in SAMPLES[name].cases:
        found = problem_of(name, case)
        if found is None:
            continue
        problem, value = found
        q = again(problem, tmp_path, binary)
        x = point(q, {v.name: default for v, default in problem.program.inputs.items()})
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            got = np.atleast_1d(evaluate(q, "constraints", x))[places(q, "constraints", "c", value.shape)]
        np.testing.assert_allclose(got, value, rtol=1e-14, atol=1e-15, err_msg=str(case))
        count += 1
    assert count


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_ampl_does_not_have_is_refused_by_name(name: str, tmp_path: Path) -> None:
    found = next(f for f in (problem_of(name, case) for case in SAMPLES[name].cases) if f is not None)
    with pytest.raises(UnsupportedError, match=f"'y' cannot be written: .* {name}"):
        again(found[0], tmp_path)


@pytest.mark.parametrize("columns", [None, 2])
def test_solve_becomes_variables_and_equations(columns: int | None, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    m = adj.Program()
    A = m.input("A", np.eye(3) * 3 + rng.normal(size=(3, 3)))
    b = m.input("b", rng.normal(size=(3,) if columns is None else (3, columns)))
    x = m.define("x", np.linalg.solve(A, b))
    m.define("f", np.sum(np.exp(x)))
    q = again(adj.Problem(m, minimize="f", over=["A", "b"]), tmp_path)
    sol = m.solve()
    y = np.reshape(sol["x"], (3, -1))
    at = point(q, {"A": sol["A"], "b": sol["b"], "solve_1": y})
    np.testing.assert_allclose(q.source.x0, at, atol=1e-14)  # it starts at the solution
    assert np.abs(evaluate(q, "constraints", at)).max() < 1e-13
    assert evaluate(q, "objective", at) == pytest.approx(sol["f"], rel=1e-14)
    # The gradient through the new equations is that of the solve: f_b − c_bᵀ λ with c_yᵀ λ = f_y.
    f, c = jacobian(q, "objective", at), jacobian(q, "constraints", at)
    cols_y, cols_b = places(q, "x", "solve_1", y.shape).ravel(), places(q, "x", "b", np.shape(sol["b"])).ravel()
    lam = np.linalg.solve(c[:, cols_y].T, f[cols_y])
    np.testing.assert_allclose(f[cols_b] - c[:, cols_b].T @ lam, np.ravel(sol.gradient("f", wrt="b")), rtol=1e-12)


@pytest.mark.filterwarnings("ignore::adjoint.errors.KinkWarning")  # of masks joined by |
@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("logsumexp", lambda x: adj.logsumexp(x)),
        ("softmax", lambda x: adj.softmax(x)[0]),
        ("mish", lambda x: np.sum(adj.mish(x))),
        ("interp", lambda x: np.interp(x[0] * x[1] + x[2], [0.0, 0.5, 1.0, 2.0], [1.0, 2.0, 0.0, 3.0])),
        ("conditions", lambda x: np.sum(np.where((x > 0.1) & ~(x <= 0.5) | (x == 0.0), x, x**5 * x))),
        ("powers", lambda x: x[0] ** 3 + x[1] ** 4 * x[1] + (x[2] ** 2) ** 0.5 + 1 / x[2] ** 2),
        ("determinant", lambda x: np.linalg.det(np.outer(x[:4], x[1:]) + np.diag(x[:4] + 1))),
    ],
)
def test_composed_functions_keep_value_and_derivatives(name: str, function: object, tmp_path: Path) -> None:
    m = adj.Program()
    x = m.input("x", [0.3, 0.7, -0.2, 0.9, 0.45])
    m.define("f", function(x))  # type: ignore[operator]
    q = again(adj.Problem(m, minimize="f", over=["x"]), tmp_path)
    at = point(q, {"x": m.inputs[x]})
    k = places(q, "x", "x", (5,))
    sol = m.solve()
    assert evaluate(q, "objective", at) == pytest.approx(sol["f"], rel=1e-13)
    np.testing.assert_allclose(jacobian(q, "objective", at)[k], sol.gradient("f", wrt="x"), rtol=1e-11, atol=1e-13)
    hessian = q.program.function("objective", wrt=["x"]).hess(at)
    np.testing.assert_allclose(hessian[np.ix_(k, k)], sol.hessian("f", wrt="x"), rtol=1e-10, atol=1e-12)


def test_large_determinants_are_refused(tmp_path: Path) -> None:
    m = adj.Program()
    x = m.input("x", np.eye(11))
    problem = adj.Problem(m, minimize=np.linalg.det(x), over=["x"])
    with pytest.raises(UnsupportedError, match="determinant, and this one of 11 rows"):
        again(problem, tmp_path)


def test_a_table_with_one_point_is_a_constant(tmp_path: Path) -> None:
    m = adj.Program()
    x = m.input("x", [0.0, 1.0])
    y = apply(PRIMITIVES["interp"], (x,), (Static(np.array([0.5])), Static(np.array([2.0]))), (2,))
    q = again(adj.Problem(m, minimize=np.sum(y * x), over=["x"]), tmp_path)
    assert q.source.obj_linear.coef.tolist() == [2.0, 2.0]
