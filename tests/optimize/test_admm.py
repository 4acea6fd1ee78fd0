"""ADMM: the blocks of a program agree on its optimum, and give its multipliers."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

import adjoint as adj
from adjoint.errors import ModelError, NameLookupError
from adjoint.optimize.formulations import Formulation
from adjoint.optimize.splitting.blocks import blocks_of
from adjoint.optimize.splitting.elements import elements, needed
from adjoint.optimize.splitting.incidence import incidence
from adjoint.optimize.splitting.model import parts_of
from adjoint.optimize.splitting.partition import labels_by_name, labels_by_structure
from adjoint.optimize.splitting.terms import terms_of
from tests.optimize.splitting_cases import chain, control

HALVES = {"left": {"x": slice(0, 3)}, "right": {"x": slice(3, 6)}}


def every_kind() -> tuple[adj.Program, list[adj.Expr]]:
    """Expressions with every kind of operation on the way to an element."""
    rng = np.random.default_rng(3)
    m = adj.Program()
    x, s = m.input("x", rng.normal(size=6)), m.input("s", 0.7)
    A, B = m.input("A", rng.normal(size=(3, 4))), m.input("B", rng.normal(size=(4, 5)))
    S = sp.random_array((7, 6), density=0.5, rng=0)
    out = [
        np.exp(x[::-1]) * x + s,
        np.sum(A @ B, axis=0),
        A @ B,
        S @ x,
        adj.segment_sum(x, [0, 1, 1, 2, 0, 3], 5),
        np.concatenate([x, np.sin(x[:2]), A.reshape(-1)]),
        np.max(A, axis=1),
        np.sum(x**2) * s,
        A * np.sum(x),
        A.T + B[:, :3],
        np.cumsum(x),
        x * 2 + np.arange(6),
        np.pad(x, 2),
        np.where(x > 0, x, 3.0),
        A * np.ones((3, 1)) + x[:4],
        np.linalg.solve(A[:3, :3] + 5 * np.eye(3), x[:3]),
        np.min(np.exp(A.reshape(2, 3, 2)), axis=(0, 2)),
        adj.logsumexp(A, axis=0),
        np.linalg.norm(A, axis=1) + x[:3],
    ]
    return m, out


@pytest.mark.parametrize("k", range(19))
def test_elements_are_those_of_the_whole(k: int) -> None:
    m, expressions = every_kind()
    e = expressions[k]
    positions = np.random.default_rng(k).integers(0, e.size, size=min(4, e.size))
    part = elements([(e, positions)], lambda v, p: v.reshape(-1)[p])[0]
    m.define("whole", e)
    m.define("part", part)
    solution = m.solve()
    np.testing.assert_allclose(solution["part"], np.reshape(solution["whole"], -1)[positions], rtol=1e-13)


@pytest.mark.parametrize("k", range(19))
def test_incidence_is_what_elements_need(k: int) -> None:
    m, expressions = every_kind()
    e, variables = expressions[k], list(m.inputs)
    pattern = incidence([e], variables)
    first = dict(zip(variables, np.cumsum([0, *(v.size for v in variables)]).tolist(), strict=False))
    for row in range(e.size):
        found = needed([(e, np.array([row]))])
        want = sorted(int(first[v] + p) for v in variables if v in found for p in found[v])
        have = sorted(pattern.indices[pattern.indptr[row] : pattern.indptr[row + 1]].tolist())
        if e.op.name != "matmul":  # blocks take whole rows and columns of a product
            assert have == want
        assert set(have) <= set(want)


def test_parts_that_no_element_needs_are_left_out() -> None:
    m = adj.Program()
    x, s = m.input("x", np.ones(3)), m.input("s", 2.0)
    e = adj.array([s, x[0], s * x[2]])
    found = needed([(e, np.array([1]))])
    assert s not in found and found[x].tolist() == [0]
    m.define("part", elements([(e, np.array([1]))], lambda v, p: v.reshape(-1)[p])[0])
    assert m.solve()["part"] == 1.0


def test_terms_add_up() -> None:
    m = adj.Program()
    x, y = m.input("x", np.array([1.0, 2.0, 3.0])), m.input("y", 0.5)
    objective = 2.0 * np.mean((x - y) ** 2) - (np.sum(x) + 3.0 * y) / 4.0 + 5.0 + np.sum(x * y + 1.0)
    found, constant = terms_of(objective)
    m.define("f", objective)
    m.define("g", sum(t.weight * np.sum(t.expr) for t in found) + constant)
    solution = m.solve()
    assert solution["f"] == pytest.approx(solution["g"], rel=1e-14)
    assert len(found) > 3


@pytest.mark.parametrize("count", [1, 2, 3])
def test_blocks_have_the_values_of_the_whole(count: int) -> None:
    nlp = Formulation(control(), "full")
    parts = parts_of(nlp)
    blocks = blocks_of(parts, labels_by_structure(parts, count), [f"{k}" for k in range(count)])
    x = nlp.x0 + np.random.default_rng(0).normal(size=nlp.n)
    value = parts.constant
    seen: list[int] = []
    for block in blocks:
        own = Formulation(block.problem)
        value += own.objective(x[block.columns])
        rows = np.concatenate([*block.rows.values(), np.zeros(0, int)])
        np.testing.assert_allclose(own.constraints(x[block.columns]), nlp.constraints(x)[rows], atol=1e-12)
        seen += rows.tolist()
    assert value == pytest.approx(nlp.objective(x))
    assert sorted(seen) == list(range(nlp.m))


@pytest.mark.parametrize("blocks", [HALVES, 2, 3, {"equations": ["y"], "rest": ["f", "ends"]}])
def test_reaches_the_optimum_with_all_multipliers(blocks: object) -> None:
    problem = chain()
    reference = problem.solve("interior-point", formulation="full")
    result = problem.solve("admm", options={"blocks": blocks, "executor": "serial", "tol": 1e-7})
    assert result.success and result.status == "optimal"
    assert result.fun == pytest.approx(reference.fun, rel=1e-6)
    np.testing.assert_allclose(result.x, reference.x, atol=1e-5)
    for name in ("y", "ends"):
        np.testing.assert_allclose(result.multipliers[name], reference.multipliers[name], atol=1e-4)
    assert result.residuals().largest < 1e-4
    np.testing.assert_allclose(result.solution["y"], reference.solution["y"], atol=1e-5)


def test_a_scalar_program_is_cut_between_its_equations() -> None:
    problem = control()
    reference = problem.solve("interior-point", formulation="full")
    result = problem.solve("admm", options={"blocks": 3, "executor": "serial"})
    assert result.success
    assert result.fun == pytest.approx(reference.fun, rel=1e-5)
    assert len(result.blocks) == 3 and sum(b.rows for b in result.blocks) == 24
    assert max(b.copies for b in result.blocks) <= 6
    assert result.multipliers["angle3"] == pytest.approx(reference.multipliers["angle3"], rel=1e-3)


def test_the_report_and_the_prices() -> None:
    result = chain().solve("admm", options={"blocks": HALVES, "executor": "serial"})
    assert [r.iteration for r in result.history] == list(range(1, result.nit + 1))
    last = result.history[-1]
    assert last.primal <= last.primal_limit and last.dual <= last.dual_limit
    assert last.failed == 0 and set(last.penalty) == {"x"}
    left, right = result.prices["left"]["x"], result.prices["right"]["x"]
    np.testing.assert_allclose(left + right, 0.0, atol=1e-9)  # what one block pays another gets
    assert result.redone == 0


def test_all_executors_give_the_same() -> None:
    options = {"blocks": HALVES, "max_iter": 5}
    serial = chain().solve("admm", options={**options, "executor": "serial"})
    threads = chain().solve("admm", options={**options, "executor": "threads"})
    np.testing.assert_array_equal(serial.x, threads.x)


def test_residual_balancing_recovers_from_a_bad_penalty() -> None:
    fixed = {"blocks": HALVES, "executor": "serial", "penalty": 1e-3, "max_iter": 60, "memory": 0}
    assert chain().solve("admm", options=fixed).success
    assert not chain().solve("admm", options={**fixed, "balance": False}).success


def test_acceleration_saves_most_iterations_and_changes_no_answer() -> None:
    options = {"blocks": 3, "executor": "serial", "balance": False, "penalty": 0.1, "tol": 1e-8, "max_iter": 150}
    whole = chain().solve("interior-point", formulation="full")
    plain = chain().solve("admm", options={**options, "memory": 0})
    fast = chain().solve("admm", options=options)
    assert fast.success and not plain.success
    np.testing.assert_allclose(fast.x, whole.x, atol=1e-5)
    np.testing.assert_allclose(fast.multipliers["y"], whole.multipliers["y"], atol=1e-4)


def test_penalties_by_name_and_inner_method() -> None:
    m = adj.Program()
    x, y = m.input("x", 1.0), m.input("y", -1.0)
    m.define("f", (x - 1) ** 2 + (y - 2) ** 2 + (x - y) ** 2)
    problem = adj.Problem(m, minimize="f", over=["x", "y"])
    for method in ("L-BFGS-B", "SLSQP", "interior-point"):
        options = {"blocks": 2, "executor": "serial", "penalty": {"x": 2.0, "y": 2.0}, "method": method, "max_iter": 60}
        result = problem.solve("admm", options=options)
        assert result.success
        np.testing.assert_allclose(result.x, [4 / 3, 5 / 3], atol=1e-4)


def test_maximization_has_its_sign() -> None:
    m = adj.Program()
    x = m.input("x", np.zeros(2))
    m.define("f", 3.0 - np.sum((x - np.array([1.0, 2.0])) ** 2))
    problem = adj.Problem(m, maximize="f", over=["x"], subject_to={"line": x[0] + x[1] == 2})
    blocks = {"f": ["f"], "line": ["line"]}
    result = problem.solve("admm", options={"blocks": blocks, "executor": "serial", "tol": 1e-7})
    reference = problem.solve("interior-point")
    assert result.fun == pytest.approx(2.5, abs=1e-5)
    assert result.multipliers["line"] == pytest.approx(reference.multipliers["line"], abs=1e-4)


def test_values_of_inputs_and_a_warm_start() -> None:
    m = adj.Program()
    x, target = m.input("x", np.zeros(4)), m.input("target", np.zeros(4))
    m.define("f", np.sum((x - target) ** 2) + np.sum((x[1:] - x[:-1]) ** 2))
    problem = adj.Problem(m, minimize="f", over=["x"])
    values = {"target": np.array([1.0, 2.0, 3.0, 5.0])}
    options = {"executor": "serial", "tol": 1e-7}
    reference = problem.solve("interior-point", values=values)
    first = problem.solve("admm", values=values, options=options)
    np.testing.assert_allclose(first.x, reference.x, atol=1e-5)
    again = problem.solve("admm", values=values, options=options, start=first)
    np.testing.assert_allclose(again.x, reference.x, atol=1e-5)


def test_callback_stops() -> None:
    seen = []

    def callback(point: object) -> bool:
        seen.append(point)
        return len(seen) == 3

    result = chain().solve("admm", options={"blocks": HALVES, "executor": "serial"}, callback=callback)
    assert result.status == "stopped" and result.nit == 3 and not result.success
    assert seen[-1].x.shape == (6,) and np.isfinite(seen[-1].fun)


def test_an_infeasible_block_is_named() -> None:
    m = adj.Program()
    x, y = m.input("x", 0.0), m.input("y", 0.0)
    m.define("f", (x - y) ** 2)
    problem = adj.Problem(m, minimize="f", over=["x", "y"], subject_to={"c": x**2 <= -1.0})
    result = problem.solve("admm", options={"blocks": {"a": ["f"], "b": ["c"]}, "executor": "serial", "max_iter": 3})
    assert not result.success
    assert "blocks failed" in result.message or "block failed" in result.message


def test_cycles_are_cut_too() -> None:
    m = adj.Program()
    x = m.input("x", 0.5)
    a, b = m.unknown("a", guess=1.0), m.unknown("b", guess=1.0)
    m.define(a, 0.5 * np.cos(b) + x)
    m.define(b, 0.3 * a + 0.1)
    m.define("f", (a - 1.0) ** 2 + 0.1 * b**2)
    problem = adj.Problem(m, minimize="f", over={"x": (-2, 2)})
    reference = problem.solve("SLSQP", tol=1e-12)
    result = problem.solve("admm", options={"blocks": {"a": ["a"], "b": ["b"]}, "executor": "serial", "tol": 1e-7})
    assert result.x[0] == pytest.approx(reference.x[0], abs=1e-4)
    with pytest.raises(ModelError, match="formulation='full'"):
        problem.solve("admm", formulation={"a": "reduced"})


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"blocks": {"a": ["nothing"]}}, NameLookupError, "nothing"),
        ({"blocks": {"a": ["x"], "b": {"x": 0}}}, ModelError, "more than one block"),
        ({"blocks": {"a": {"x": 99}}}, ModelError, "does not index"),
        ({"blocks": 0}, ModelError, "positive"),
        ({"blocks": "x"}, ModelError, "blocks="),
        ({"blokcs": 2}, ModelError, "blocks"),
        ({"relaxation": 2.5}, ModelError, "relaxation"),
        ({"penalty": -1.0}, ModelError, "penalty"),
        ({"penalty": {"q": 1.0}}, NameLookupError, "'q'"),
        ({"tol": 0.0}, ModelError, "tol"),
        ({"executor": 7}, ModelError, "executor="),
    ],
)
def test_wrong_options_are_named(options: dict, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        chain().solve("admm", options={"executor": "serial", **options})


def test_partitions_are_even_and_cut_little() -> None:
    n = 40
    m = adj.Program()
    x = m.input("x", np.zeros(n))
    m.define("f", np.sum((x[1:] - x[:-1]) ** 2) + np.sum(x**2))
    parts = parts_of(Formulation(adj.Problem(m, minimize="f", over=["x"])))
    for count in (2, 3, 4, 5):
        labels = labels_by_structure(parts, count)
        sizes = np.bincount(labels, minlength=count)
        assert sizes.min() > 0.6 * parts.size / count and sizes.max() < 1.5 * parts.size / count
        blocks = blocks_of(parts, labels, [f"{k}" for k in range(count)])
        assert sum(len(b.copies) for b in blocks) == 2 * (count - 1)  # one element at each cut of a chain


def test_rows_follow_the_variables_that_are_named() -> None:
    parts = parts_of(Formulation(chain(), "full"))
    labels = labels_by_name(parts, HALVES)
    y = next(g for g in parts.groups if g.name == "y")
    assert labels[y.first : y.stop].max() <= 1 and len(labels) == parts.size
