"""Bad input: the library's own exception, with the names, what was expected and what to do, and nothing lost.

Each case acts on a fresh program (``model``), or makes its own. The exception's type and fragments of its message
are checked; afterwards the program has the same names, the same version and the same solution as before.
"""

from __future__ import annotations

import math
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import pytest
import scipy.optimize

import adjoint as adj
from adjoint import (
    ConvergenceError,
    DerivativeError,
    EvaluationError,
    ModelError,
    NameLookupError,
    ShapeError,
    SingularError,
    StructureError,
    UnsupportedError,
)
from adjoint.expr import Expr


def model() -> adj.Program:
    """Scalars, arrays, a cycle, an implicit equation."""
    m = adj.Program("plant")
    t = m.input("temperature", 1.0)
    load = m.input("load", [1.0, 2.0, 3.0])
    m.input("matrix", np.arange(6.0).reshape(2, 3))
    a, b = m.unknown("a"), m.unknown("b", guess=0.5)
    m.define(a, 0.5 * b + t)
    m.define(b, 0.1 * a**2)
    p = m.unknown("pressure", guess=1.0, lower=0.0)
    m.constrain(p**3 + p == t + 1.0, name="balance")
    m.define("stress", np.exp(load / 4.0) * t)
    m.define("f", a + b + p + np.sum(m["stress"]))
    return m


@dataclass(frozen=True)
class Case:
    act: Callable[[adj.Program], Any]
    error: type[Exception]
    words: tuple[str, ...]


CASES: dict[str, Case] = {}


def case(name: str, act: Callable[[adj.Program], Any], error: type[Exception], *words: str) -> None:
    assert name not in CASES
    CASES[name] = Case(act, error, words)


def other() -> adj.Program:
    m = adj.Program("tank")
    m.define("level", 2.0 * m.input("height", 1.0))
    return m


# -- names ----------------------------------------------------------------------------------------------------
case("input twice", lambda m: m.input("temperature", 2.0), ModelError, "'temperature'", "already", "unique")
case("unknown twice", lambda m: m.unknown("pressure"), ModelError, "'pressure'", "already")
case("variable named as an equation", lambda m: m.unknown("balance"), ModelError, "equation", "'balance'", "already")
case("equation named as a variable", lambda m: m.constrain(m["a"] == 1.0, name="f"), ModelError, "'f'", "already")
case("equation twice", lambda m: m.constrain(m["a"] == 1.0, name="balance"), ModelError, "'balance'", "already")
case("new name exists", lambda m: m.define("f", m["a"] + 1.0), ModelError, "'f'", "already", "define(m['f']")
case("name is a number", lambda m: m.input(3, 1.0), ModelError, "name", "string", "3")
case("name is empty", lambda m: m.unknown(""), ModelError, "name", "non-empty")
case("program name is a number", lambda m: adj.Program(3), ModelError, "name", "string", "3")
case("equation name is a number", lambda m: m.constrain(m["a"] == 1.0, name=7), ModelError, "name", "string", "7")
case("no such variable", lambda m: m["presure"], NameLookupError, "'presure'", "did you mean 'pressure'")
case("no such variable, none near", lambda m: m["zzz"], NameLookupError, "'zzz'", "'temperature'")
case("no such value", lambda m: m.solve()["presure"], NameLookupError, "'presure'", "did you mean 'pressure'")
case("no such variable in include", lambda m: m.include(other(), "t.")["levle"], NameLookupError, "levle", "'level'")
case("unknown backend", lambda m: adj.Program("p", backend="numpi").solve(), ModelError, "numpi", "'numpy'")
case("backend is checked at once", lambda m: adj.Program("p", backend="numpi"), ModelError, "numpi", "'numpy'")
case("linear solver is checked", lambda m: _cycle(linear_solver="superlou").solve(), ModelError, "superlou", "'superlu'")


def _cycle(**options: Any) -> adj.Program:
    m = adj.Program("loop", **options)
    y = m.unknown("y")
    m.define(y, np.cos(y) * m.input("x", 1.0))
    return m


# -- values ---------------------------------------------------------------------------------------------------
case("default is NaN", lambda m: m.input("n", np.nan), ModelError, "'n'", "NaN", "finite")
case("default is infinite", lambda m: m.input("n", [1.0, np.inf]), ModelError, "'n'", "infinite")
case("default is a word", lambda m: m.input("n", "five"), ModelError, "'n'", "number", "five")
case("default is complex", lambda m: m.input("n", 1j), ModelError, "'n'", "number")
case("default is a complex array", lambda m: m.input("n", np.array([1.0 + 2j])), ModelError, "'n'", "real")
case("default is ragged", lambda m: m.input("n", [[1.0], [1.0, 2.0]]), ModelError, "'n'", "array")
case("default is an expression", lambda m: m.input("n", m["a"]), ModelError, "'n'", "number")
case("default does not fit its shape", lambda m: m.input("n", [1.0, 2.0], shape=(3,)), ShapeError, "'n'", "(2,)", "(3,)")
case("shape is negative", lambda m: m.input("n", shape=(-1,)), ShapeError, "'n'", "negative")
case("shape is a word", lambda m: m.unknown("n", shape="three"), ShapeError, "'n'", "whole numbers", "three")
case("shape is not whole", lambda m: m.unknown("n", shape=(2.5,)), ShapeError, "'n'", "whole numbers", "2.5")
case("guess is NaN", lambda m: m.unknown("n", guess=np.nan), ModelError, "guess", "'n'", "NaN")
case("guess does not fit its shape", lambda m: m.unknown("n", guess=[1.0, 2.0], shape=3), ShapeError, "'n'", "(2,)", "(3,)")
case("bounds cross", lambda m: m.unknown("n", lower=2.0, upper=1.0), ModelError, "'n'", "lower", "upper")
case("bound is NaN", lambda m: m.unknown("n", upper=np.nan), ModelError, "upper", "'n'", "NaN")
case("bound does not fit", lambda m: m.unknown("n", guess=1.0, lower=[1.0, 2.0]), ShapeError, "lower", "'n'", "(2,)", "()")
case("input is NaN", lambda m: m.solve(temperature=np.nan), ModelError, "'temperature'", "NaN")
case("input is infinite", lambda m: m.solve(temperature=math.inf), ModelError, "'temperature'", "infinite")
case("input element is NaN", lambda m: m.solve(load=[1.0, np.nan, 2.0]), ModelError, "'load'", "NaN")
case("input is a word", lambda m: m.solve(temperature="hot"), ModelError, "'temperature'", "number", "hot")
case("input is None", lambda m: m.solve(temperature=None), ModelError, "'temperature'")
case("input is complex", lambda m: m.solve(load=np.array([1.0, 2.0, 3.0j])), ModelError, "'load'", "real")
case("input has a wrong shape", lambda m: m.solve(load=[1.0, 2.0]), ShapeError, "'load'", "(2,)", "(3,)")
case("input has too many axes", lambda m: m.solve(temperature=[1.0]), ShapeError, "'temperature'", "(1,)", "()")
case("input is not there", lambda m: m.solve(temprature=2.0), NameLookupError, "'temprature'", "did you mean 'temperature'")
case("value for an unknown", lambda m: m.solve(pressure=2.0), ModelError, "'pressure'", "determined", "start=", "guess=")
case("values are a list", lambda m: m.solve([1.0, 2.0]), ModelError, "dict", "[1.0, 2.0]")


def _missing(m: adj.Program) -> None:
    p = adj.Program()
    p.define("y", p.input("x") + p.input("w", shape=(2,)))
    p.solve(x=1.0)


case("no value", _missing, ModelError, "'w'", "no value", "default")

# -- equations ------------------------------------------------------------------------------------------------
case("define an input", lambda m: m.define(m["temperature"], 2.0 * m["a"]), ModelError, "'temperature'", "input", "given")
case("define twice", lambda m: m.define(m["a"], 2.0 * m["b"]), ModelError, "'a'", "already", "0.5 * b + temperature")
case("define a comparison", lambda m: m.define("n", m["a"] == 1.0), ModelError, "'n'", "expression", "constrain")
case("define a word", lambda m: m.define("n", "a + b"), UnsupportedError, "'a + b'", "expression")
case("define nothing", lambda m: m.define("n", None), UnsupportedError, "None", "expression")
case("define a function", lambda m: m.define("n", np.exp), UnsupportedError, "exp", "expression")
case("define a complex number", lambda m: m.define("n", m["a"] * 1j), UnsupportedError, "complex", "real")
case("define by a number", lambda m: m.define(3, m["a"]), ModelError, "define", "name", "3")
case("define with a wrong shape", lambda m: m.define(m.unknown("n", shape=2), m["load"]), ShapeError, "'n'", "(3,)", "(2,)")
case("define another's variable", lambda m: m.define(other()["height"], m["a"]), ModelError, "'height'", "another program")
case("use another's variable", lambda m: m.define("n", m["a"] + other()["level"]), ModelError, "'level'", "'tank'", "include")
case("constrain another's variable", lambda m: m.constrain(other()["level"] == m["a"]), ModelError, "'level'", "include")
case("inequality as an equation", lambda m: m.constrain(m["a"] <= 3.0), ModelError, "a <= 3", "inequality", "subject_to")
case("strict inequality", lambda m: m.constrain(m["a"] > 3.0), ModelError, "a > 3", "inequality", "subject_to")
case("unequal", lambda m: m.constrain(m["a"] != 3.0), ModelError, "a != 3", "equation")
case("bare bool", lambda m: m.constrain(1.0 == 2.0), ModelError, "False", "comparison", "expressions")
case("compared with a word", lambda m: m.constrain(m["a"] == "b"), ModelError, "comparison")
case("constrain a word", lambda m: m.constrain("a == b"), UnsupportedError, "'a == b'", "expression")
case("constrain nothing", lambda m: m.constrain(None), UnsupportedError, "None", "expression")
case("constrain constants", lambda m: m.constrain(adj.array([1.0, 2.0]), name="idle"), ModelError, "'idle'", "no variable")
case("sides do not fit", lambda m: m.constrain(m["load"] == m["matrix"][:, :2]), ShapeError, "(3,)", "(2, 2)", "load")

# -- expressions ----------------------------------------------------------------------------------------------
case("if expression", lambda m: 1.0 if m["a"] else 2.0, UnsupportedError, "a", "np.where")
case("if comparison", lambda m: 1.0 if m["a"] > 2.0 else 2.0, UnsupportedError, "a > 2", "np.where")
case("not", lambda m: not m["a"] > 2.0, UnsupportedError, "a > 2", "np.where")
case("and", lambda m: m["a"] > 2.0 and m["b"] > 1.0, UnsupportedError, "a > 2", "np.where")
case("chained comparison", lambda m: 0.0 <= m["a"] <= 1.0, UnsupportedError, "chained", "adj.between")
case("max of Python", lambda m: max(m["a"], m["b"]), UnsupportedError, "np.where")
case("sorted", lambda m: sorted([m["a"], m["b"]]), UnsupportedError, "np.where")
case("math.exp", lambda m: math.exp(m["a"]), UnsupportedError, "a", "np.exp", "sol['name']")
case("float", lambda m: float(m["a"] + 1.0), UnsupportedError, "a + 1", "number")
case("int", lambda m: int(m["a"]), UnsupportedError, "a", "number")
case("complex", lambda m: complex(m["a"]), UnsupportedError, "a", "number")
case("range", lambda m: range(m["a"]), UnsupportedError, "a", "number")
case("round", lambda m: round(m["a"]), UnsupportedError, "round", "rint")
case("index of a list", lambda m: [1.0, 2.0][m["a"]], UnsupportedError, "a")
case("numeric array", lambda m: np.array(m["load"], dtype=float), UnsupportedError, "load", "m.external")
case("scipy routine", lambda m: scipy.optimize.rosen(m["load"]) + math.sqrt(m["a"]), UnsupportedError, "a")
case("item assignment", lambda m: m["load"].__setitem__(0, 1.0), UnsupportedError, "immutable", "adj.put")
case("in", lambda m: 1.0 in m["load"], UnsupportedError, "'in'", "value")
case("index by expression", lambda m: m["load"][m["a"]], UnsupportedError, "load", "index", "np.where")
case("index by condition", lambda m: m["load"][m["load"] > 2.0], UnsupportedError, "load", "index", "np.where")
case("index out of range", lambda m: m["load"][3], ShapeError, "load", "3", "(3,)")
case("too many indices", lambda m: m["load"][0, 0], ShapeError, "load", "(3,)")
case("index of a scalar", lambda m: m["a"][0], ShapeError, "a", "()")
case("index is a word", lambda m: m["load"]["first"], ShapeError, "load", "first")
case("mask does not fit", lambda m: m["load"][np.array([True, False])], ShapeError, "load", "(3,)")
case("slice step is 0", lambda m: m["load"][::0], ShapeError, "load", "step")
case("bad axis", lambda m: np.sum(m["load"], axis=1), ShapeError, "axis", "1", "load", "(3,)")
case("axis twice", lambda m: np.sum(m["matrix"], axis=(0, 0)), ShapeError, "axis", "matrix", "twice")
case("length of a scalar", lambda m: len(m["a"]), UnsupportedError, "a", "scalar")
case("loop over a scalar", lambda m: list(m["a"]), UnsupportedError, "a", "scalar")
case("does not broadcast", lambda m: m["load"] + np.ones(4), ShapeError, "+", "load", "(3,)", "(4,)")
case("power does not broadcast", lambda m: m["load"] ** m["matrix"][:, :2], ShapeError, "load", "(3,)", "(2, 2)")
case("@ does not fit", lambda m: m["matrix"] @ np.ones(2), ShapeError, "@", "matrix", "(2, 3)", "(2,)")
case("@ of a scalar", lambda m: m["a"] @ m["load"], ShapeError, "a", "scalar", "*")
case("batches do not fit", lambda m: np.ones((2, 1, 2)) @ np.reshape(m["matrix"], (3, 2, 1)), ShapeError, "(2, 1, 2)", "(3, 2, 1)")
case("reshape does not fit", lambda m: np.reshape(m["matrix"], (4, 2)), ShapeError, "matrix", "(2, 3)", "(4, 2)")
case("concatenate does not fit", lambda m: np.concatenate([m["matrix"], m["load"]]), ShapeError, "(2, 3)", "(3,)")
case("stack does not fit", lambda m: np.stack([m["load"], m["a"]]), ShapeError, "(3,)", "()")
case("stack along a bad axis", lambda m: np.stack([m["load"], m["load"]], axis=4), ShapeError, "axis", "4")
case("einsum does not fit", lambda m: np.einsum("ij,i->j", m["matrix"], m["load"]), ShapeError, "ij,i->j", "'i'", "2", "3")
case("einsum operands", lambda m: np.einsum("ij,j", m["matrix"]), ShapeError, "ij,j", "2", "1")
case("einsum output", lambda m: np.einsum("ij->k", m["matrix"]), ShapeError, "ij->k", "k")
case("no such function", lambda m: np.sort(m["load"]), UnsupportedError, "numpy.sort", "m.external", "primitives")
case("no such ufunc", lambda m: np.isnan(m["load"]), UnsupportedError, "isnan", "m.external")
case("no such scipy function", lambda m: scipy.special.jv(1, m["a"]), UnsupportedError, "jv", "m.external")
case("no such argument", lambda m: np.sum(m["load"], initial=1.0), UnsupportedError, "sum", "initial")
case("out=", lambda m: np.exp(m["load"], out=np.empty(3)), UnsupportedError, "exp", "out")
case("floor division", lambda m: m["a"] // 2, UnsupportedError, "//")
case("modulo", lambda m: m["a"] % 2, UnsupportedError, "%")
case("xor for power", lambda m: m["a"] ^ 2, UnsupportedError, "^", "**")
case("plus a word", lambda m: m["a"] + "b", UnsupportedError, "'b'", "expression")
case("plus None", lambda m: None * m["a"], UnsupportedError, "None", "expression")
case("plus a ragged list", lambda m: m["a"] + [1.0, [2.0]], UnsupportedError, "[1.0, [2.0]]")
case("ordered with a word", lambda m: m["a"] < "b", UnsupportedError, "'b'")
case("table lengths", lambda m: np.interp(m["a"], [0.0, 1.0], [0.0, 1.0, 2.0]), ShapeError, "np.interp", "(2,)", "(3,)")
case("table order", lambda m: np.interp(m["a"], [0.0, 2.0, 1.0], [0.0, 1.0, 2.0]), ShapeError, "np.interp", "increase")
case("table is NaN", lambda m: np.interp(m["a"], [0.0, np.nan], [0.0, 1.0]), ShapeError, "np.interp", "increase")
case("table is an expression", lambda m: np.interp(m["a"], m["load"], [1.0, 2.0, 3.0]), UnsupportedError, "np.interp")
case("solve does not fit", lambda m: np.linalg.solve(m["matrix"], m["load"]), ShapeError, "matrix", "(2, 3)", "square")
case("put twice", lambda m: adj.put(m["load"], [0, 0], 1.0), ShapeError, "put", "load", "more than once")
case("put out of range", lambda m: adj.put(m["load"], 3, 1.0), ShapeError, "3", "(3,)")
case("scatter out of range", lambda m: adj.scatter_add(2, [0, 1, 2], m["load"]), ShapeError, "2", "(2,)")
case("segments do not fit", lambda m: adj.segment_sum(m["load"], [0, 1], 2), ShapeError, "(3,)", "(2,)")
case("segment out of range", lambda m: adj.segment_sum(m["load"], [0, 1, 2], 2), ShapeError, "2")


# -- structure ------------------------------------------------------------------------------------------------
def _overdetermined(m: adj.Program) -> None:
    m = adj.Program("over")
    x, y, z = m.input("x", 1.0), m.unknown("y"), m.unknown("z")
    m.constrain(y == x, name="first")
    m.constrain(2.0 * y == x, name="second")
    m.define(z, x + 1.0)
    m.solve()


def _underdetermined(m: adj.Program) -> None:
    m = adj.Program("under")
    x = m.input("x", 1.0)
    y, z = m.unknown("y"), m.unknown("z")
    m.constrain(y + z == x, name="only")
    m.solve()


def _forgotten(m: adj.Program) -> None:
    m = adj.Program("forgotten")
    m.unknown("y")
    m.define("f", m.input("x", 1.0) * 2.0)
    m.solve()


def _several_parts() -> adj.Program:
    """Two parts with too many equations, one with too many unknowns, and a sound one."""
    m = adj.Program("parts")
    x = m.input("x", 1.0)
    y1, y2, u1, u2, ok = (m.unknown(n) for n in ("y1", "y2", "u1", "u2", "ok"))
    for k, y in enumerate((y1, y2)):
        m.constrain(y == x, name=f"part{k}_a")
        m.constrain(y**2 == x, name=f"part{k}_b")
    m.constrain(u1 * u2 == x, name="free")
    m.define(ok, x + 1.0)
    return m


def _size_mismatch(m: adj.Program) -> None:
    m = adj.Program("sizes")
    y = m.unknown("y", shape=(2,))
    m.constrain(np.sum(y) == m.input("x", 1.0), name="total")
    m.solve()


def _element(m: adj.Program) -> None:
    m = adj.Program("elements")
    y, x = m.unknown("y", shape=(2,)), m.input("x", 1.0)
    m.constrain(adj.array([y[0] - x, y[0] ** 2 - x]), name="pair")
    m.solve()


case("over-determined", _overdetermined, StructureError, "3 equations", "2 unknowns", "first", "second", "y", "remove")
case("under-determined", _underdetermined, StructureError, "1 equations", "2 unknowns", "only", "y", "z", "add an equation")
case("unknown without equation", _forgotten, StructureError, "Under-determined", "y", "none", "add an equation")
case("several bad parts", lambda m: _several_parts().solve(), StructureError, "part0_a", "part1_b", "u1", "u2", "free")
case("array with one equation", _size_mismatch, StructureError, "y[0]", "y[1]", "total")
case("element without equation", _element, StructureError, "y[1]", "pair[")
case("structure of blocks()", lambda m: _several_parts().blocks(), StructureError, "part0_a")
case("structure of function()", lambda m: _several_parts().function("ok", wrt=["x"]), StructureError, "part0_a")


# -- numbers --------------------------------------------------------------------------------------------------
def _singular(m: adj.Program) -> None:
    m = adj.Program("twins")
    x, a, b = m.input("x", 1.0), m.unknown("first"), m.unknown("other")
    m.constrain(a + b == x, name="sum")
    m.constrain(2.0 * a + 2.0 * b == 2.0 * x, name="double")
    m.define("f", a * b)
    m.solve().gradient("f")


def _at_fold(m: adj.Program) -> None:
    m = adj.Program("fold")
    y = m.unknown("y", guess=1.0)
    m.constrain(y**2 == m.input("x", 0.0), name="parabola")
    m.solve().gradient("y")


def _past_fold(m: adj.Program) -> None:
    m = adj.Program("fold")
    y = m.unknown("y", guess=1.0)
    m.constrain(y**2 == m.input("x", -1.0), name="parabola")
    m.solve()


def _contradiction(m: adj.Program) -> None:
    m = adj.Program("contradiction")
    a, b = m.unknown("first"), m.unknown("other")
    m.constrain(a + b == m.input("x", 1.0), name="one")
    m.constrain(a + b == 2.0, name="two")
    m.solve()


def _bad_guess(m: adj.Program) -> None:
    m = adj.Program("guess")
    y = m.unknown("y", guess=-5.0)
    m.constrain(np.log(y) + y == m.input("x", 1.0), name="logarithm")
    m.solve()


def _at_bound(m: adj.Program) -> None:
    m = adj.Program("bound")
    y = m.unknown("y", guess=1.0, upper=2.0)
    m.constrain(y**3 == m.input("x", 125.0), name="cube")
    m.solve()


def _undefined(m: adj.Program) -> None:
    m = adj.Program("explicit")
    x, v = m.input("x", 1.0), m.input("v", [1.0, -2.0])
    m.define("root", np.sqrt(v) * x)
    m.solve()


def _overflow(m: adj.Program) -> None:
    m = adj.Program("explicit")
    m.define("huge", np.exp(m.input("x", 1000.0)))
    m.solve()


def _quiet(act: Callable[[adj.Program], Any]) -> Callable[[adj.Program], Any]:
    def run(m: adj.Program) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", adj.SingularWarning)
            return act(m)

    return run


case("singular block", _quiet(_singular), SingularError, "derivative", "sum", "double", "first", "other", "repeat")
case("at a fold", _quiet(_at_fold), SingularError, "derivative", "parabola", "y", "fold")
case("past a fold", _past_fold, ConvergenceError, "y", "parabola", "did not converge", "guess")
case("contradiction", _contradiction, ConvergenceError, "first", "other", "one", "two", "did not converge")
case("guess outside the domain", _bad_guess, ConvergenceError, "y", "logarithm", "NaN", "guess")
case("solution outside the bounds", _at_bound, ConvergenceError, "y", "cube", "bound", "upper=")
case("NaN in an equation", _undefined, EvaluationError, "'root[1]'", "nan", "sqrt", "v =", "x =", "np.where")
case("overflow in an equation", _overflow, EvaluationError, "'huge'", "inf", "x = 1000")
case("iteration limit", lambda m: m.solve(max_iterations=1, temperature=40.0), ConvergenceError, "max_iterations")
case("method typo", lambda m: m.solve(method="neuton"), ModelError, "'neuton'", "'newton'")
case("method of a block typo", lambda m: m.solve(method={"presure": "newton"}), NameLookupError, "'presure'", "'pressure'")
case("method is a number", lambda m: m.solve(method=3), ModelError, "method", "3")
case("tol is negative", lambda m: m.solve(tol=-1.0), ModelError, "tol", "-1.0", "between 0 and 1")
case("tol is too large", lambda m: m.solve(tol=2.0), ModelError, "tol", "2.0")
case("tol is NaN", lambda m: m.solve(tol=math.nan), ModelError, "tol", "nan")
case("tol is a word", lambda m: m.solve(tol="fine"), ModelError, "tol", "fine")
case("max_iterations is 0", lambda m: m.solve(max_iterations=0), ModelError, "max_iterations", "0", "positive")
case("max_iterations is not whole", lambda m: m.solve(max_iterations=2.5), ModelError, "max_iterations", "2.5")
case("start with an unknown name", lambda m: m.solve(start={"presure": 1.0}), NameLookupError, "'presure'", "'pressure'")
case("start is a number", lambda m: m.solve(start=1.0), ModelError, "start", "Solution", "dict", "float")
case("start is NaN", lambda m: m.solve(start={"pressure": np.nan}), ModelError, "'pressure'", "NaN")
case("start has a wrong shape", lambda m: m.solve(start={"pressure": [1.0, 2.0]}), ShapeError, "'pressure'", "(2,)", "()")
case("homotopy with an unknown name", lambda m: m.solve(homotopy={"temprature": 0.0}), NameLookupError, "'temperature'")
case("homotopy past a fold", lambda m: _homotopy(), ConvergenceError, "homotopy", "fold", "y")


def _homotopy() -> None:
    m = adj.Program("fold")
    y = m.unknown("y", guess=1.0)
    m.constrain(y**2 == m.input("x", 1.0), name="parabola")
    m.solve(x=-1.0, homotopy={"x": 1.0})


# -- black boxes ----------------------------------------------------------------------------------------------
def _boxed(m: adj.Program, fun: Any, jac: Any = None, shape: Any = ()) -> adj.Solution:
    m = adj.Program("boxed")
    y = m.external("drag", fun, inputs=[m.input("speed", 2.0)], shape=shape, jac=jac)
    m.define("f", np.sum(y))
    return m.solve()


def _fail(*args: Any) -> Any:
    raise RuntimeError("the mesh is tangled")


def _square(v: Any) -> Any:
    return v**2


case("external raises", lambda m: _boxed(m, _fail), EvaluationError, "'drag'", "the mesh is tangled")
case("external returns another shape", lambda m: _boxed(m, lambda v: np.ones(3)), ShapeError, "'drag'", "(3,)", "()")
case("external returns NaN", lambda m: _boxed(m, lambda v: math.nan), EvaluationError, "'drag'", "nan", "speed = 2")
case("external returns a word", lambda m: _boxed(m, lambda v: "fast"), EvaluationError, "'drag'", "fast")
case("external returns None", lambda m: _boxed(m, lambda v: None), EvaluationError, "'drag'")
case("external is no function", lambda m: m.external("drag", 3.0, inputs=["a"]), ModelError, "'drag'", "function")
case("external jac is no function", lambda m: m.external("drag", abs, ["a"], jac=3.0), ModelError, "'drag'", "jac")
case("external of an unknown name", lambda m: m.external("drag", abs, ["presure"]), NameLookupError, "'presure'", "'pressure'")
case("external of another's variable", lambda m: m.external("drag", abs, [other()["level"]]), ModelError, "'level'", "'drag'")
case("external named twice", lambda m: m.external("f", abs, ["a"]), ModelError, "'f'", "already")
case("external inputs are one name", lambda m: m.external("drag", abs, "load"), ModelError, "'drag'", "inputs", "list")
case("external with a bad shape", lambda m: m.external("drag", abs, ["a"], shape=(-1,)), ShapeError, "'drag'", "negative")
case(
    "external Jacobian has another shape",
    lambda m: _boxed(m, _square, lambda v: np.ones((2, 2))).gradient("f"),
    ShapeError,
    *("'drag'", "(2, 2)", "Jacobian"),
)
case("external Jacobian raises", lambda m: _boxed(m, _square, _fail).gradient("f"), EvaluationError, "'drag'", "Jacobian")
case(
    "external Jacobian is NaN",
    lambda m: _boxed(m, _square, lambda v: math.nan).gradient("f"),
    adj.AdjointError,
    *("'drag'", "nan"),
)
case(
    "second derivative of an external",
    lambda m: _boxed(m, _square, lambda v: 2 * v).hessian("f"),
    DerivativeError,
    *("'drag'", "second derivatives", "equations"),
)
case(
    "second product of an external",
    lambda m: _boxed(m, _square, lambda v: 2 * v).hvp("f", {"speed": 1.0}),
    DerivativeError,
    *("'drag'", "second derivatives"),
)

# -- derivatives ----------------------------------------------------------------------------------------------
case("gradient of a vector", lambda m: m.solve().gradient("stress"), ShapeError, "'stress'", "(3,)", "weights", "jacobian")
case("hessian of a vector", lambda m: m.solve().hessian("stress"), ShapeError, "'stress'", "(3,)")
case("lagrangian of a vector", lambda m: m.lagrangian("stress"), ShapeError, "'stress'", "(3,)")
case("gradient of an unknown name", lambda m: m.solve().gradient("g"), NameLookupError, "'g'")
case("gradient of a number", lambda m: m.solve().gradient(3), ModelError, "name", "weights", "3")
case("gradient of nothing", lambda m: m.solve().gradient(None), ModelError, "name", "None")
case("wrt an unknown name", lambda m: m.solve().gradient("f", wrt="temprature"), NameLookupError, "'temperature'")
case("wrt a dependent variable", lambda m: m.solve().gradient("f", wrt="pressure"), ModelError, "'pressure'", "input")
case("wrt a list with an unknown name", lambda m: m.solve().jacobian("f", wrt=["load", "lod"]), NameLookupError, "'lod'", "'load'")
case("wrt a number", lambda m: m.solve().gradient("f", wrt=3), adj.AdjointError, "3")
case("of an unknown name", lambda m: m.solve().jacobian(["f", "presure"]), NameLookupError, "'presure'", "'pressure'")
case("unknown mode", lambda m: m.solve().jacobian("f", mode="backward"), ModelError, "'backward'", "'reverse'", "'forward'")
case("weight of a wrong shape", lambda m: m.solve().gradient({"stress": [1.0, 2.0]}), ShapeError, "'stress'", "(2,)", "(3,)")
case("weight is NaN", lambda m: m.solve().vjp({"f": np.nan}), adj.AdjointError, "'f'", "NaN")
case("weight is a word", lambda m: m.solve().vjp({"f": "one"}), adj.AdjointError, "'f'", "one")
case("weight of an unknown name", lambda m: m.solve().vjp({"presure": 1.0}), NameLookupError, "'presure'", "'pressure'")
case("cotangents are a list", lambda m: m.solve().vjp([1.0]), ModelError, "dict")
case("multipliers of a number", lambda m: m.solve().multipliers(1.0), ModelError, "name", "1.0")
case("direction of an unknown name", lambda m: m.solve().jvp({"temprature": 1.0}), NameLookupError, "'temperature'")
case("direction of a dependent variable", lambda m: m.solve().jvp({"pressure": 1.0}), ModelError, "'pressure'", "input")
case("direction of a wrong shape", lambda m: m.solve().jvp({"load": [1.0, 2.0]}), ShapeError, "'load'", "(2,)", "(3,)")
case("direction is NaN", lambda m: m.solve().hvp("f", {"load": np.nan}), ModelError, "'load'", "NaN")
case("directions are a list", lambda m: m.solve().jvp([1.0, 2.0]), ModelError, "dict")
case("point of the Lagrangian", lambda m: m.lagrangian("f").value(np.ones(3), {}), ShapeError, "z", "(3,)", "7")
case("multipliers of the Lagrangian", lambda m: m.lagrangian("f").value({}, np.ones(2)), ShapeError, "lam", "(2,)", "7")
case("name in the Lagrangian", lambda m: m.lagrangian("f").value({"presure": 1.0}, {}), NameLookupError, "'pressure'")
case("name in its multipliers", lambda m: m.lagrangian("f").value({}, {"balence": 1.0}), NameLookupError, "'balance'")
case("shape in the Lagrangian", lambda m: m.lagrangian("f").grad_z({"a": [1.0, 2.0]}, {}), ShapeError, "'a'", "(2,)", "()")
case("word in the Lagrangian", lambda m: m.lagrangian("f").grad_z({"a": "one"}, {}), adj.AdjointError, "'a'", "one")


# -- programs in programs ---------------------------------------------------------------------------------------
def _clash() -> adj.Program:
    """Its first variables are new to ``model()``, its last one is not."""
    m = adj.Program("clash")
    x = m.input("fresh", 1.0)
    m.define("also_fresh", x + 1.0)
    m.define("f", x * 2.0)
    return m


def _included(m: adj.Program, **bind: Any) -> None:
    m.include(other(), prefix="tank.", bind=bind)


case("include a dict", lambda m: m.include({"y": 1.0}), ModelError, "Program", "dict")
case("include with a clash", lambda m: m.include(_clash()), ModelError, "'f'", "already")
case("include itself", lambda m: m.include(m), ModelError, "already")
case("include with a clash of equations", lambda m: m.include(_equation_clash()), ModelError, "'balance'", "already")
case("bind an unknown name", lambda m: _included(m, hight=1.0), NameLookupError, "'hight'", "'height'")
case("bind a dependent variable", lambda m: _included(m, level=1.0), ModelError, "'level'", "input")
case("bind another shape", lambda m: _included(m, height=m["load"]), ShapeError, "'height'", "()", "(3,)")
case("bind another's variable", lambda m: _included(m, height=other()["level"]), ModelError, "'level'", "include")
case("bind a word", lambda m: _included(m, height="a"), UnsupportedError, "'a'", "expression")
case("bind a list", lambda m: m.include(other(), "t.", bind=["height"]), ModelError, "bind", "dict")
case("prefix is a number", lambda m: m.include(other(), prefix=3), ModelError, "prefix", "3")


def _equation_clash() -> adj.Program:
    m = adj.Program("clash")
    y = m.unknown("fresh")
    m.constrain(y == 1.0, name="new")
    m.constrain(m.unknown("fresh_too") == 1.0, name="balance")
    return m


def graph(*nodes: tuple[Any, dict[str, Any]], edges: Any = ()) -> nx.DiGraph:
    G = nx.DiGraph()
    G.add_nodes_from(nodes)
    G.add_edges_from(edges)
    return G


X = ("x", {"value": 1.0})
case("from a dict", lambda m: adj.Program.from_graph({"x": 1.0}), ModelError, "DiGraph", "dict")
case("from an undirected graph", lambda m: adj.Program.from_graph(nx.Graph()), ModelError, "DiGraph", "Graph")
case("node without f", lambda m: adj.Program.from_graph(graph(X, ("y", {}), edges=[("x", "y")])), ModelError, "'y'", "f=")
case(
    "args are not the predecessors",
    lambda m: adj.Program.from_graph(graph(X, ("y", {"f": np.exp, "args": ["z"]}), edges=[("x", "y")])),
    ModelError,
    *("'y'", "z", "predecessors", "x"),
)
case(
    "f is not callable",
    lambda m: adj.Program.from_graph(graph(X, ("y", {"f": 3.0}), edges=[("x", "y")])),
    ModelError,
    *("'y'", "f=", "3.0"),
)
case(
    "f takes other arguments",
    lambda m: adj.Program.from_graph(graph(X, ("y", {"f": lambda: 1.0}), edges=[("x", "y")])),
    ModelError,
    *("'y'", "argument"),
)
case(
    "two nodes of one name",
    lambda m: adj.Program.from_graph(graph((1, {"value": 1.0}), ("1", {"value": 2.0}))),
    ModelError,
    *("'1'", "already"),
)
case("value of a node is NaN", lambda m: adj.Program.from_graph(graph(("x", {"value": np.nan}))), ModelError, "'x'", "NaN")


# -- traces -----------------------------------------------------------------------------------------------------
def _branch(x: Any) -> Any:
    y = x + 1.0
    if y > 2.0:
        return y
    return -y


def _nothing(x: Any) -> None:
    np.exp(x)


case("trace a number", lambda m: adj.trace(3.0), ModelError, "function", "float")
case("trace a branch", lambda m: adj.trace(_branch, 1.0), UnsupportedError, "> 2", "np.where")
case("trace without a result", lambda m: adj.trace(_nothing, 1.0), ModelError, "'_nothing'", "nothing", "output")
case("trace with too few arguments", lambda m: adj.trace(_branch), ModelError, "_branch", "argument")
case("trace with a NaN", lambda m: adj.trace(_branch, np.nan), ModelError, "'x'", "NaN")
case("trace with a dict", lambda m: adj.trace(_branch, {"x": 1.0}), ModelError, "'x'", "number")
case("call with too many arguments", lambda m: adj.program(_square)(1.0, 2.0), ModelError, "_square", "argument")
case("call with a word", lambda m: adj.program(lambda x: np.exp(x))(x=[1.0, "two"]), ModelError, "x", "two")
case("gradient of several outputs", lambda m: adj.program(_pair).gradient(1.0), ModelError, "_pair", "jacobian")
case("decorate a number", lambda m: adj.program(3.0), adj.AdjointError, "function", "float")
case("result is a word", lambda m: adj.trace(lambda x: "word", 1.0), UnsupportedError, "'word'")


def _pair(x: Any) -> Any:
    return x + 1.0, x * 2.0


# -- problems -----------------------------------------------------------------------------------------------------
def problem(m: adj.Program, **more: Any) -> adj.Problem:
    arguments: dict[str, Any] = {"minimize": "f", "over": ["temperature"], **more}
    return adj.Problem(m, **{k: v for k, v in arguments.items() if v is not None})


case("no objective", lambda m: adj.Problem(m, over=["temperature"]), ModelError, "minimize=", "maximize=")
case("two objectives", lambda m: problem(m, maximize="a"), ModelError, "minimize=", "maximize=")
case("vector objective", lambda m: problem(m, minimize="stress"), ModelError, "'stress'", "(3,)", "scalar")
case("unknown objective", lambda m: problem(m, minimize="presure"), NameLookupError, "'presure'", "'pressure'")
case("constant objective", lambda m: problem(m, minimize=3.0), ModelError, "objective", "variable")
case("objective of another program", lambda m: problem(m, minimize=other()["level"]), ModelError, "'level'")
case("problem of a dict", lambda m: adj.Problem({"f": 1.0}, minimize="f"), ModelError, "Program", "dict")
case("over an unknown name", lambda m: problem(m, over=["temprature"]), NameLookupError, "'temprature'", "'temperature'")
case("over a defined variable", lambda m: problem(m, over=["a"]), ModelError, "'a'", "equation", "subject_to")
case("over a determined unknown", lambda m: problem(m, over=["pressure"]).solve(), StructureError, "balance")
case("over nothing", lambda m: problem(m, over=[]), ModelError, "over")
case("over a number", lambda m: problem(m, over=3), ModelError, "over", "3")
case("over twice", lambda m: problem(m, over=["load", "load"]), ModelError, "'load'", "twice")
case("bounds are one number", lambda m: problem(m, over={"temperature": 3.0}), ModelError, "'temperature'", "(lower, upper)", "3.0")
case("bounds are three numbers", lambda m: problem(m, over={"temperature": (1, 2, 3)}), ModelError, "'temperature'", "(lower, upper)")
case("bounds of the optimizer cross", lambda m: problem(m, over={"temperature": (2, 1)}), ModelError, "'temperature'", "lower", "upper")
case("bound of the optimizer is NaN", lambda m: problem(m, over={"temperature": (np.nan, 1)}), ModelError, "'temperature'", "NaN")
case("bound of the optimizer has a shape", lambda m: problem(m, over={"load": ([1, 2], None)}), ShapeError, "'load'", "(2,)", "(3,)")
case("bound of the optimizer is a word", lambda m: problem(m, over={"load": ("low", None)}), ModelError, "'load'", "low")
case("constraint is an expression", lambda m: problem(m, subject_to=[m["a"]]), ModelError, "comparison", "adj.between")
case("constraint is a bool", lambda m: problem(m, subject_to=[1.0 <= 2.0]), ModelError, "comparison", "True")
case("constraint is a word", lambda m: problem(m, subject_to=["a <= 1"]), ModelError, "comparison", "a <= 1")
case("constraint is a number", lambda m: problem(m, subject_to=3), ModelError, "subject_to", "3")
case("constraint is unequal", lambda m: problem(m, subject_to=[m["a"] != 1.0]), ModelError, "a != 1", "==")
case("constraint of another program", lambda m: problem(m, subject_to=[other()["level"] <= 1.0]), ModelError, "'level'")
case("constraint with a NaN", lambda m: problem(m, subject_to=[m["a"] <= np.nan]), ModelError, "a <= nan", "NaN")
case("constraint that does not fit", lambda m: problem(m, subject_to=[m["load"] <= [1.0, 2.0]]), ShapeError, "(3,)", "(2,)")
case("between crosses", lambda m: adj.between(2.0, m["a"], 1.0), ModelError, "lower", "2.0", "upper", "1.0")
case("between constants", lambda m: adj.between(0.0, 1.0, 2.0), ModelError, "between", "variable")
case("between a NaN", lambda m: adj.between(np.nan, m["a"], 2.0), ModelError, "between", "NaN")
case("between does not fit", lambda m: adj.between([1.0, 2.0], m["load"], 3.0), ShapeError, "between", "(2,)", "(3,)")
case("between expressions", lambda m: adj.between(m["b"], m["a"], 2.0), ModelError, "between", "number")
case("optimizer typo", lambda m: problem(m).solve("SLSPQ"), ModelError, "'SLSPQ'", "'SLSQP'")
case("optimizer is a number", lambda m: problem(m).solve(3), ModelError, "method", "3")
case(
    "no constraints in BFGS",
    lambda m: problem(m, subject_to=[m["a"] <= 1.0]).solve("BFGS"),
    ModelError,
    *("'BFGS'", "no constraints", "SLSQP"),
)
case("no bounds in BFGS", lambda m: problem(m, over={"load": (0, 1)}).solve("BFGS"), ModelError, "'BFGS'", "no bounds", "L-BFGS-B")
case("start of another name", lambda m: problem(m).solve(start={"temprature": 1.0}), NameLookupError, "'temperature'")
case("start of the optimizer is a list", lambda m: problem(m).solve(start=[1.0]), ModelError, "start", "dict", "list")
case("start of the optimizer is NaN", lambda m: problem(m).solve(start={"temperature": np.nan}), ModelError, "NaN")
case("start of the optimizer has a shape", lambda m: problem(m).solve(start={"temperature": [1.0, 2.0]}), ShapeError, "(2,)")
case("no start", lambda m: _no_start().solve("BFGS"), ModelError, "'x'", "start")
case("full space of a reduced method", lambda m: problem(m).solve("BFGS", formulation="full"), ModelError, "'BFGS'", "'reduced'")
case("unknown formulation", lambda m: problem(m).solve("SLSQP", formulation="wide"), ModelError, "'wide'", "reduced")
case("the start does not solve", lambda m: _bad_start().solve("BFGS"), EvaluationError, "'f'", "x = -1")


def _no_start() -> adj.Problem:
    m = adj.Program()
    m.define("f", m.input("x") ** 2)
    return adj.Problem(m, minimize="f", over=["x"])


def _bad_start() -> adj.Problem:
    m = adj.Program()
    m.define("f", np.log(m.input("x", -1.0)))
    return adj.Problem(m, minimize="f", over=["x"])


# -- functions of a vector ----------------------------------------------------------------------------------------
case("function of an unknown name", lambda m: m.function("presure"), NameLookupError, "'presure'", "'pressure'")
case("function of an unknown input", lambda m: m.function("f", wrt=["temprature"]), NameLookupError, "'temperature'")
case("function of a defined input", lambda m: m.function("f", wrt=["a"]), ModelError, "'a'", "equation")
case("function of an input twice", lambda m: m.function("f", wrt=["load", "load"]), ModelError, "twice", "load")
case("function with an unknown option", lambda m: m.function("f", tolerance=1.0), ModelError, "tolerance", "tol")
case("function with a bad tol", lambda m: m.function("f", tol=2.0), ModelError, "tol", "2.0")
case("function with a bad method", lambda m: m.function("f", method="neuton"), ModelError, "'neuton'", "'newton'")
case("function with a bad value", lambda m: m.function("f", ["load"], values={"temprature": 1.0})(np.ones(3)), NameLookupError, "'temperature'")
case("point of a wrong length", lambda m: m.function("f", ["load"])(np.ones(2)), ShapeError, "(2,)", "3", "load")
case("point is a matrix", lambda m: m.function("f", ["load"]).jac(np.ones((3, 1))), ShapeError, "(3, 1)", "3", "load")
case("point is NaN", lambda m: m.function("f", ["load"])([1.0, np.nan, 2.0]), ModelError, "NaN")
case("point is a word", lambda m: m.function("f", ["load"])("here"), adj.AdjointError, "here")
case("no multipliers", lambda m: m.function(["f", "a"], ["load"]).hess(np.ones(3)), ModelError, "multipliers", "hess(v, multipliers)")
case("too few multipliers", lambda m: m.function(["f", "a"], ["load"]).hess(np.ones(3), [1.0]), ShapeError, "1 multipliers", "2 outputs")
case("direction of a wrong length", lambda m: m.function("f", ["load"]).hessp(np.ones(3), np.ones(2)), ShapeError, "2", "3")
case("no solution yet", lambda m: m.function("f").solution, ModelError, "not been called")
case("pack an unknown name", lambda m: m.function("f").pack({"lod": 1.0}), NameLookupError, "'lod'", "'load'")
case("pack a wrong shape", lambda m: m.function("f").pack({"load": [1.0, 2.0]}), ShapeError, "'load'", "(2,)", "(3,)")
case("unpack a wrong length", lambda m: m.function("f").unpack(np.ones(2)), ShapeError, "(2,)", "10")


# -- the law --------------------------------------------------------------------------------------------------


def facts(m: adj.Program) -> Any:
    """What a failed call must leave as it was."""
    return (
        m.version,
        list(m.variables),
        list(m.equations),
        {v.name: np.array(x).tolist() for v, x in m.inputs.items()},
        {v.name: np.array(x).tolist() for v, x in m.guesses.items()},
        {v.name: str(x) for v, x in m.bounds.items()},
    )


@pytest.mark.parametrize("name", CASES)
def test_bad_input(name: str) -> None:
    c, m = CASES[name], model()
    reference = {n: m.solve()[n] for n in m.variables}
    gradient = m.solve().gradient("f")
    before = facts(m)
    added = _intended(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Exception) as raised:  # noqa: PT011  (the type is what is tested)
            c.act(m)
    error = raised.value
    assert isinstance(error, adj.AdjointError), f"not the library's: {error!r}"
    assert isinstance(error, c.error), f"{error!r}, expected {c.error.__name__}"
    missing = [w for w in c.words if w not in str(error)]
    assert not missing, f"{missing} not in the message: {error}"
    assert " at 0x" not in str(error), str(error)
    if added:
        return
    assert facts(m) == before
    again = m.solve()
    for n, value in reference.items():
        np.testing.assert_allclose(again[n], value, rtol=1e-12)
    for n, value in again.gradient("f").items():
        np.testing.assert_allclose(value, gradient[n], rtol=1e-12)


def _intended(name: str) -> bool:
    """Cases that add something on purpose before they fail."""
    return name in ("define with a wrong shape", "no such variable in include")


def test_there_are_many() -> None:
    assert len(CASES) > 50


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (ModelError, ValueError),
        (UnsupportedError, TypeError),
        (NameLookupError, KeyError),
        (ShapeError, ValueError),
        (StructureError, ValueError),
        (EvaluationError, ArithmeticError),
        (ConvergenceError, ArithmeticError),
        (SingularError, ArithmeticError),
        (DerivativeError, RuntimeError),
    ],
)
def test_errors_are_also_pythons(error: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(error, adj.AdjointError)
    assert issubclass(error, builtin)


@pytest.mark.parametrize("name", ["several bad parts", "past a fold", "singular block", "no such variable"])
def test_errors_are_pickled(name: str) -> None:
    """An exception crosses processes with what it carries."""
    with warnings.catch_warnings(), pytest.raises(adj.AdjointError) as raised:
        warnings.simplefilter("ignore")
        CASES[name].act(model())
    copy = pickle.loads(pickle.dumps(raised.value))
    assert type(copy) is type(raised.value)
    assert str(copy) == str(raised.value)
    for field in vars(raised.value):
        assert repr(getattr(copy, field)) == repr(getattr(raised.value, field))


# -- what exceptions carry --------------------------------------------------------------------------------------


def test_parts_of_a_bad_structure() -> None:
    """Each connected part by itself, and nothing of the sound part."""
    with pytest.raises(StructureError) as raised:
        _several_parts().solve()
    error = raised.value
    over = sorted((sorted(e), sorted(v)) for e, v in error.overdetermined)
    under = [(sorted(e), sorted(v)) for e, v in error.underdetermined]
    assert over == [(["part0_a", "part0_b"], ["y1"]), (["part1_a", "part1_b"], ["y2"])]
    assert under == [(["free"], ["u1", "u2"])]
    assert "ok" not in str(error).replace("unknowns", "").split()
    report = _several_parts().check()
    assert not report.ok and not report
    assert sorted((sorted(e), sorted(v)) for e, v in report.overdetermined) == over
    assert "part0_a" in str(report) and "u1" in str(report)


def test_elements_of_a_bad_structure() -> None:
    with pytest.raises(StructureError) as raised:
        _element(model())
    assert [v for _, v in raised.value.underdetermined] == [["y[1]"]]
    assert sorted(raised.value.overdetermined[0][0]) == ["pair[0]", "pair[1]"]
    assert raised.value.overdetermined[0][1] == ["y[0]"]


def test_what_a_failed_block_carries() -> None:
    m = adj.Program("partial")
    x = m.input("x", -1.0)
    before = m.define("before", 2.0 * x)
    y = m.unknown("y", guess=1.0)
    m.constrain(y**2 == before, name="parabola")
    m.define("after", y + 1.0)
    with pytest.raises(ConvergenceError) as raised:
        m.solve()
    error = raised.value
    assert error.block == next(b.name for b in m.blocks() if b.kind == "cycle")
    assert isinstance(error.status, adj.Status) and error.status is not adj.Status.SOLVED
    assert error.status.value in str(error)
    assert error.worst[0][0] == "parabola" and abs(error.worst[0][1]) >= 2.0
    assert error.values["x"] == -1.0 and error.values["before"] == -2.0 and "y" in error.values
    assert "after" not in error.values
    assert len(error.history) > 1 and all(r > 0 for r in error.history)


def test_what_a_singular_block_carries() -> None:
    with warnings.catch_warnings(), pytest.raises(SingularError) as raised:
        warnings.simplefilter("ignore")
        _singular(model())
    assert raised.value.block == "cycle_1"
    assert sorted(raised.value.equations) == ["double", "sum"]
    assert sorted(raised.value.variables) == ["first", "other"]


def test_a_singular_solution_warns() -> None:
    m = adj.Program("fold")
    y = m.unknown("y", guess=1.0)
    m.constrain(y**2 == m.input("x", 0.0))
    with pytest.warns(adj.SingularWarning, match="y"):
        sol = m.solve()
    assert abs(sol["y"]) < 1e-3
    for ask in (lambda: sol.gradient("y"), lambda: sol.jvp({"x": 1.0}), lambda: sol.hessian("y"), lambda: sol.jacobian("y")):
        with pytest.raises(SingularError, match="cycle_1"):
            ask()


def test_the_names_of_what_repeats() -> None:
    """The equations of a larger block that repeat each other, among others that do not."""
    m = adj.Program("six")
    z = [m.unknown(f"z{k}") for k in range(6)]
    for k in range(5):
        m.constrain(z[k] * (k + 1.0) + 0.1 * z[(k + 1) % 6] == m.input(f"x{k}", 1.0), name=f"e{k}")
    m.constrain(z[2] * 6.0 + 0.2 * z[3] + 0.0 * z[5] * z[0] == 2.0, name="again")
    with pytest.raises(adj.AdjointError) as raised, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        m.solve().gradient("z0")
    assert "e2" in str(raised.value) and "again" in str(raised.value)


def test_a_failed_define_leaves_no_variable() -> None:
    m, tank = model(), other()
    for act in (
        lambda: m.define("fresh", tank["level"]),
        lambda: m.define("fresh", "word"),
        lambda: m.define("fresh", m["load"] + np.ones(7)),
        lambda: m.external("fresh", abs, ["presure"]),
        lambda: m.external("fresh", abs, [tank["level"]]),
        lambda: m.constrain(tank["level"] == 1.0, name="fresh"),
        lambda: m.include(_clash()),
        lambda: m.include(tank, bind={"height": m["load"]}),
        lambda: m.unknown("fresh", guess=np.nan),
        lambda: m.input("fresh", np.nan),
    ):
        with pytest.raises(adj.AdjointError):
            act()
    assert not {"fresh", "also_fresh", "level", "height"} & {*m.variables, *m.equations}
    m.define("fresh", m["a"] + 1.0)
    assert m.solve()["fresh"] == m.solve()["a"] + 1.0


def test_a_failed_solve_leaves_earlier_solutions() -> None:
    m = model()
    sol = m.solve()
    value, gradient = sol["f"], sol.gradient("f")
    for wrong in ({"temperature": np.nan}, {"load": [1.0]}, {"load": [1e4, 1e4, 1e4]}, {"nothing": 1.0}):
        with pytest.raises(adj.AdjointError):
            m.solve(wrong)
    assert sol["f"] == value
    assert sol.gradient("f")["temperature"] == gradient["temperature"]
    fun = m.function("f", ["temperature"])
    assert fun([1.0]) == pytest.approx(value)
    with pytest.raises(ModelError):
        fun([np.nan])
    assert fun([1.0]) == pytest.approx(value)
    assert isinstance(m["f"], Expr)
