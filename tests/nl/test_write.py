"""What a written file says: its text, its order and counts, and which expressions become defined variables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import adjoint as adj
from adjoint.errors import ModelError
from adjoint.nl.emit import model_binary, model_text
from adjoint.nl.model import VARIABLE, Model
from adjoint.nl.read import read_model
from adjoint.nl.sol import SolFile
from adjoint.nl.write import named_solution, problem_model, write_model, write_nl
from tests.models import sellar
from tests.nl.written import again, evaluate, point, same_models

HS071 = """\
g3 1 1 0\t# problem hs071
 4 2 1 0 1 0\t
 2 1 0 0 0 0\t
 0 0\t
 4 4 4\t
 0 0 0 0\t
 0 0 0 0 0\t
 8 4\t
 9 4\t
 0 0 0 0 0\t
C0
o54
4
o5
v0
n2
o5
v1
n2
o5
v2
n2
o5
v3
n2
C1
o2
o2
o2
v0
v1
v2
v3
O0 0
o2
o2
v0
v3
o54
3
v0
v1
v2
x4
0 1
1 5
2 5
3 1
r
4 40
2 25
b
0 1 5
0 1 5
0 1 5
0 1 5
k3
2
4
6
J0 4
0 0
1 0
2 0
3 0
J1 4
0 0
1 0
2 0
3 0
G0 4
0 0
1 0
2 1
3 0
"""


def hs071() -> adj.Problem:
    m = adj.Program("hs071")
    x = m.input("x", [1.0, 5.0, 5.0, 1.0])
    return adj.Problem(
        m,
        minimize=x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2],
        over={"x": (1, 5)},
        subject_to={"sphere": np.sum(x**2) == 40, "product": x[0] * x[1] * x[2] * x[3] >= 25},
    )


def strip_comments(text: str) -> str:
    first, *lines = text.splitlines()
    return "\n".join([first, *(line.split("#")[0] for line in lines)]) + "\n"


def test_the_text_of_a_problem() -> None:
    assert strip_comments(model_text(problem_model(hs071())).decode()) == HS071


def test_names_are_written_beside_it(tmp_path: Path) -> None:
    write_nl(hs071(), tmp_path / "model")
    assert (tmp_path / "model.col").read_text().splitlines() == ["x[0]", "x[1]", "x[2]", "x[3]"]
    assert (tmp_path / "model.row").read_text().splitlines() == ["sphere", "product", "objective"]
    write_nl(hs071(), tmp_path / "bare.nl", names=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bare.nl", "model.col", "model.nl", "model.row"]


@pytest.mark.parametrize("binary", [False, True])
def test_a_model_is_read_back_unchanged(binary: bool, tmp_path: Path) -> None:
    model = problem_model(hs071())
    write_model(model, tmp_path / "a.nl", binary=binary)
    back = read_model(tmp_path / "a.nl")
    assert same_models(model, back) == []
    assert (back.var_names, back.con_names, back.obj_names) == (model.var_names, model.con_names, model.obj_names)
    assert model_text(back) == model_text(model)
    assert model_binary(back) == model_binary(model)


# -- order and counts ----------------------------------------------------------------------------------------------


def model_of(**parts: object) -> Model:
    """A problem in a, b, c, d with the given objective and constraints."""
    m = adj.Program()
    v = {name: m.input(name, float(i + 1)) for i, name in enumerate("abcd")}
    objective = parts.pop("objective")(**v)  # type: ignore[operator]
    constraints = {name: con(**v) for name, con in parts.items()}  # type: ignore[operator]
    return problem_model(adj.Problem(m, minimize=objective, over=list(v), subject_to=constraints))


def test_linear_and_nonlinear_parts_are_told_apart() -> None:
    model = model_of(
        objective=lambda a, b, c, d: 2 * a - (b - 3 * (c + 1)) / 4 + 1,
        linear=lambda a, b, c, d: 2 * (a + b) - (a - 3 * d) + 5 <= 7,
        mixed=lambda a, b, c, d: c * np.exp(a) + 3 * b - c <= 0,
    )
    assert model.con_names == ["mixed", "linear"]
    assert (model.n_nonlinear_con, model.n_nonlinear_obj, model.nonlinear_vars) == (1, 0, (2, 0, 0))
    assert model.var_names == ["a", "c", "b", "d"]  # nonlinear ones first
    linear = model.con_linear
    assert linear.var.tolist() == [0, 1, 2, 0, 2, 3]
    assert linear.coef.tolist() == [0.0, -1.0, 3.0, 1.0, 2.0, 3.0]
    assert model.obj_linear.coef.tolist() == [2.0, 0.75, -0.25]
    assert b"C1\nn5\n" in model_text(model) and b"O0 0\nn1.75\n" in model_text(model)


def test_variables_are_ordered_by_where_they_are_nonlinear() -> None:
    model = model_of(
        objective=lambda a, b, c, d: a**2 * c**2 + d, g=lambda a, b, c, d: b * c <= 1, h=lambda a, b, c, d: a + d <= 3
    )
    assert model.var_names == ["c", "b", "a", "d"]  # in both, in constraints, in the objective, linear
    # nlvo counts the variables up to the last one that is nonlinear in an objective only
    assert model.nonlinear_vars == (2, 3, 1)


def test_without_variables_nonlinear_in_the_objective_only_nlvo_counts_those_in_both() -> None:
    model = model_of(objective=lambda a, b, c, d: c**2 + d, g=lambda a, b, c, d: b * c <= 1)
    assert model.nonlinear_vars == (2, 1, 1)


def test_bounds_and_senses() -> None:
    m = adj.Program()
    x = m.input("x", np.zeros(5))
    over = {"x": ([-np.inf, 0.0, -np.inf, 1.0, 2.0], [np.inf, np.inf, 3.0, 4.0, 2.0])}
    e = 2 * x
    c = adj.between([-np.inf, 0.0, -np.inf, 1.0, 2.0], e, [np.inf, np.inf, 3.0, 4.0, 2.0])
    text = model_text(problem_model(adj.Problem(m, maximize=np.sum(x), over=over, subject_to={"c": c}))).decode()
    lines = "3\n2 0\n1 3\n0 1 4\n4 2\n"
    assert f"\nr\n{lines}b\n{lines}" in text
    assert "O0 1\n" in text
    assert text.splitlines()[1].startswith(" 5 5 1 1 1 0")


def test_the_sparsity_has_what_is_reached_through_defined_variables_only() -> None:
    m = adj.Program()
    x = m.input("x", [1.0, 2.0, 3.0])
    p = m.define("p", x[0] * x[1])
    q = m.define("q", np.sin(p) + 3 * x[2])
    problem = adj.Problem(m, minimize=p + q, subject_to={"c": q**2 <= 9, "d": p * x[2] <= 1})
    model = problem_model(problem)
    assert model.n_defined == 2
    assert model.con_linear.var.tolist() == [0, 1, 2, 0, 1, 2]
    assert model.con_linear.coef.tolist() == [0.0] * 6
    assert model.obj_linear.var.tolist() == [0, 1, 2]
    assert model.defined_linear.var.tolist() == [2]


# -- defined variables -----------------------------------------------------------------------------------------------


def test_kinds_of_defined_variables() -> None:
    m = adj.Program()
    x = m.input("x", [1.0, 2.0, 3.0])
    both, con, one = m.define("both", x[0] * x[1]), m.define("con", x[1] * x[2]), m.define("one", np.exp(x[0]))
    objective, unused = m.define("goal", np.sin(x[2])), m.define("unused", x[0] ** 7)
    constraints = {"c": con**2 + both**2 <= 9, "d": np.cos(con) + one**2 <= 1}
    model = problem_model(adj.Problem(m, minimize=both**2 + objective**3, subject_to=constraints))
    assert unused.name in m.variables
    assert model.n_defined_kinds == (1, 1, 0, 1, 1)
    assert model.defined_use.tolist() == [0, 0, 2, 3]  # constraint d; the objective comes after both constraints
    text = model_text(model).decode()
    assert text.index("V3 ") < text.index("V4 ") < text.index("C0\n") < text.index("V5 0 2") < text.index("C1\n")
    assert text.index("C1\n") < text.index("V6 0 3") < text.index("O0 0")


def test_large_expressions_that_are_used_twice_become_defined_variables() -> None:
    m = adj.Program()
    x = m.input("x", [1.0, 2.0])
    large, small = np.sqrt(x[0] ** 2 + np.exp(x[1]) * x[0] + 1), x[0] * x[1]
    model = problem_model(adj.Problem(m, minimize=np.sin(large) * large + np.cos(small) * small))
    assert model.n_defined_kinds == (0, 0, 0, 0, 1)


def test_a_defined_variable_that_is_another_one(tmp_path: Path) -> None:
    m = adj.Program()
    x = m.input("x", 0.7)
    y = m.define("y", 0.5 * x**2 + np.zeros(3))  # each element is the same large expression
    m.define("f", np.mean(np.sin(y)) + np.sum(y**2))
    q = again(adj.Problem(m, minimize="f", over=["x"]), tmp_path)
    assert q.source.n_defined == 4
    assert evaluate(q, "objective", np.array([0.7])) == pytest.approx(m.solve()["f"], rel=1e-14)


def test_masks_are_written_as_conditions() -> None:
    m = adj.Program()
    x = m.input("x", [0.3, 0.4])
    a, b, c = x[0] > 0.1, x[1] <= 0.5, x[0] == x[1]
    model = problem_model(adj.Problem(m, minimize=np.where(a & ~b | c, x[0], x[1]) * (a * b)))
    assert model.code.tolist()[:9] == [2, 35, 34, 21, 34, 21, 29, -2, -1]  # p or q is not (not p and not q)
    assert 30 not in model.code  # no mask is compared with 0


def test_repeated_doubling_stays_small() -> None:
    m = adj.Program()
    x = y = m.input("x", 0.3)
    for _ in range(60):
        y = 0.4 * np.sin(y) + 0.3 * y * y
    model = problem_model(adj.Problem(m, minimize=y, over=["x"]))
    assert x.name == "x"
    assert 55 <= model.n_defined <= 60
    assert model.code.size < 1000


def test_what_is_linear_through_defined_variables_is_linear() -> None:
    m = adj.Program()
    x = m.input("x", [1.0, 2.0, 3.0])
    total = m.define("total", np.sum(x))
    twice = m.define("twice", 2 * total + x[0])
    problem = adj.Problem(m, minimize=twice - total, subject_to={"a": twice <= 1, "b": total**2 <= 2})
    model = problem_model(problem)
    assert (model.n_nonlinear_con, model.n_nonlinear_obj, model.con_names) == (1, 0, ["b", "a"])
    assert model.con_linear.coef.tolist() == [0, 0, 0, 3, 2, 2]
    assert model.obj_linear.coef.tolist() == [2, 1, 1]
    assert (model.n_defined, model.defined_linear.coef.tolist()) == (1, [1, 1, 1])


def test_defined_variables_have_no_zero_coefficients() -> None:
    m = adj.Program()
    x = m.input("x", [1.0, 2.0, 3.0])
    s = m.define("s", x[0] + 2 * x[1] + np.sin(x[2]) - x[0] + 0 * x[2])
    model = problem_model(adj.Problem(m, minimize=s**2))
    assert (model.defined_linear.var.size, model.defined_linear.coef.tolist()) == (1, [2.0])


def test_the_operand_of_a_table_is_a_variable() -> None:
    m = adj.Program()
    x = m.input("x", [0.3, 0.4])
    model = problem_model(adj.Problem(m, minimize=np.interp(x[0] * x[1], [0.0, 1.0, 2.0], [1.0, 3.0, 2.0])))
    at = np.flatnonzero(model.code == 64)
    assert at.size == 1 and model.n_defined == 1
    assert model.code[at[0] + 1] == VARIABLE and model.index[at[0] + 1] == model.n_var


# -- programs -------------------------------------------------------------------------------------------------------


def test_cycles_become_variables_and_equations(tmp_path: Path) -> None:
    m = sellar()
    y1, y2 = m["y1"], m["y2"]
    over = {"z1": (-10, 10), "z2": (0, 10), "x": (0, 10)}
    problem = adj.Problem(m, minimize="f", over=over, subject_to=[y1 >= 3.16, y2 <= 24.0])
    q = again(problem, tmp_path)
    sol = m.solve()
    at = point(q, {n: sol[n] for n in ("z1", "z2", "x", "y1", "y2")})
    assert evaluate(q, "objective", at) == pytest.approx(sol["f"], rel=1e-14)
    by_name = dict(zip(q.labels["constraints"], evaluate(q, "constraints", at), strict=True))
    assert by_name["y1"] == pytest.approx(0.0, abs=1e-12) and by_name["y2"] == pytest.approx(0.0, abs=1e-12)
    assert by_name["y1 >= 3.16"] == pytest.approx(sol["y1"], rel=1e-14)


def test_unknowns_start_at_their_guesses_and_keep_their_bounds() -> None:
    m = adj.Program()
    a = m.input("a", 2.0)
    w = m.unknown("w", guess=[0.05, 2.0], lower=0.1)
    z = m.unknown("z", upper=0.5)
    m.constrain(w**2 == np.array([1.0, 2.0]) * a, name="root")
    m.constrain(z**3 == a - 3, name="cube")
    model = problem_model(adj.Problem(m, minimize=np.sum(w) + z, over={"a": (1, 4)}))
    start = dict(zip(model.var_names or [], model.x0, strict=True))
    assert start == {"a": 2.0, "w[0]": 0.1, "w[1]": 2.0, "z": 0.5}
    lower = dict(zip(model.var_names or [], model.var_lower, strict=True))
    assert lower == {"a": 1.0, "w[0]": 0.1, "w[1]": 0.1, "z": -np.inf}
    assert model.con_names == ["root[0]", "root[1]", "cube"]


def test_inputs_that_do_not_move_are_constants() -> None:
    m = adj.Program()
    x, p = m.input("x", 2.0), m.input("p", [3.0, 0.0])
    model = problem_model(adj.Problem(m, minimize=np.exp(p[0]) * x + p[1] * x**2, over=["x"]))
    assert (model.n_var, model.code.size, model.obj_linear.coef.tolist()) == (1, 0, [np.exp(3.0)])


def test_an_input_without_a_value_cannot_be_written() -> None:
    m = adj.Program()
    x, p = m.input("x", 2.0), m.input("p")
    with pytest.raises(ModelError, match="input 'p' is not optimized over, and has no default"):
        problem_model(adj.Problem(m, minimize=x * p, over=["x"]))
    free = problem_model(adj.Problem(m, minimize=x * p, over=["x", "p"]))
    assert free.x0_given.tolist() == [True, False]


def test_a_constant_objective(tmp_path: Path) -> None:
    m = adj.Program()
    x = m.input("x", [2.0, 1.0])
    q = again(adj.Problem(m, minimize=0, subject_to={"c": x[0] ** 2 + x[1] == 5}), tmp_path)
    assert q.is_feasibility
    assert evaluate(q, "constraints", np.array([2.0, 1.0])) == pytest.approx(5.0)


def test_problem_write_nl_is_the_same(tmp_path: Path) -> None:
    hs071().write_nl(tmp_path / "a.nl", names=False)
    assert strip_comments((tmp_path / "a.nl").read_text()) == HS071.replace(" 9 4\t", " 0 0\t")
    with pytest.raises(ModelError, match="takes a Problem, got Program"):
        write_nl(adj.Program(), tmp_path / "b.nl")  # type: ignore[arg-type]


# -- solutions by name ---------------------------------------------------------------------------------------------


def test_a_solution_by_name() -> None:
    m = sellar()
    problem = adj.Problem(m, minimize="f", over=["z1", "z2", "x"], subject_to={"low": m["y1"] >= 3.16})
    model = problem_model(problem)
    primal, dual = np.arange(5.0), np.arange(3.0)
    values, multipliers = named_solution(problem, SolFile(primal=primal, dual=dual))
    assert values == dict(zip(model.var_names or [], primal, strict=True))
    assert multipliers == dict(zip(model.con_names or [], dual, strict=True))
    assert named_solution(problem, SolFile())[1] == {}
    with pytest.raises(ModelError, match="4 values for 5"):
        named_solution(problem, SolFile(primal=np.zeros(4)))


def test_arrays_in_a_solution_keep_their_shapes() -> None:
    m = adj.Program()
    x, y = m.input("x", np.ones((2, 2))), m.input("y", 1.0)
    problem = adj.Problem(m, minimize=y**2 + np.sum(x), subject_to={"c": x[0] + y >= 1})
    values, multipliers = named_solution(problem, SolFile(primal=[5.0, 1.0, 2.0, 3.0, 4.0], dual=[7.0, 8.0]))
    np.testing.assert_array_equal(values["x"], [[1.0, 2.0], [3.0, 4.0]])
    assert values["y"] == 5.0
    np.testing.assert_array_equal(multipliers["c"], [7.0, 8.0])


# -- another reader ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["hs071", "sellar", "tables"])
def test_casadi_reads_the_same_values(which: str, tmp_path: Path) -> None:
    casadi = pytest.importorskip("casadi")
    if which == "hs071":
        problem = hs071()
    elif which == "sellar":
        m = sellar()
        problem = adj.Problem(m, minimize="f", over=["z1", "z2", "x"], subject_to={"low": m["y1"] ** 2 >= 3.16})
    else:
        m = adj.Program()
        x = m.input("x", [0.3, 0.4, 0.5])
        d = m.define("d", np.tanh(np.diff(x) * 3) + x[1:] ** 2)
        problem = adj.Problem(
            m, minimize=np.sum(np.abs(d) * x[:2]) - d[0], subject_to={"c": d**3 - x[0] * d[::-1] <= 3}
        )
    q = again(problem, tmp_path)
    builder = casadi.NlpBuilder()
    builder.import_nl(str(tmp_path / "again.nl"))
    other = casadi.Function("other", [casadi.veccat(*builder.x)], [builder.f, casadi.veccat(*builder.g)])
    for shift in (0.0, 0.1, 0.37):
        x = q.source.x0 + shift
        f, g = other(x)
        assert float(f) == pytest.approx(evaluate(q, "objective", x), rel=1e-13)
        np.testing.assert_allclose(np.array(g).ravel(), evaluate(q, "constraints", x), rtol=1e-12, atol=1e-13)
