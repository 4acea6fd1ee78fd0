"""Bad input: the library's own exception, with the names, what was expected and what to do, and nothing lost.

Each case acts on a fresh program (``model``), or makes its own. The exception's type and fragments of its
message are checked; afterwards the program has the same names, the same version and the same solution.
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
import scipy.special

import adjoint as adj
from adjoint import (
    AdjointError,
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


def case(name: str, error: type[Exception], words: str, act: Callable[[adj.Program], Any]) -> None:
    """A call that must raise ``error`` with the ``words`` (separated by bars) in its message."""
    assert name not in CASES
    CASES[name] = Case(act, error, tuple(words.split(" | ")) if words else ())


def other() -> adj.Program:
    m = adj.Program("tank")
    m.define("level", 2.0 * m.input("height", 1.0))
    return m


# -- names ---------------------------------------------------------------------------------------------------
case("input twice", ModelError, "'temperature' | already | unique", lambda m: m.input("temperature", 2.0))
case("unknown twice", ModelError, "'pressure' | already", lambda m: m.unknown("pressure"))
case("variable named as an equation", ModelError, "equation | 'balance' | already",
     lambda m: m.unknown("balance"))
case("equation named as a variable", ModelError, "'f' | already",
     lambda m: m.constrain(m["a"] == 1.0, name="f"))
case("equation twice", ModelError, "'balance' | already",
     lambda m: m.constrain(m["a"] == 1.0, name="balance"))
case("new name exists", ModelError, "'f' | already | define(m['f']", lambda m: m.define("f", m["a"] + 1.0))
case("name is a number", ModelError, "name | string | 3", lambda m: m.input(3, 1.0))
case("name is empty", ModelError, "name | non-empty", lambda m: m.unknown(""))
case("program name is a number", ModelError, "name | string | 3", lambda m: adj.Program(3))
case("equation name is a number", ModelError, "name | string | 7",
     lambda m: m.constrain(m["a"] == 1.0, name=7))
case("no such variable", NameLookupError, "'presure' | did you mean 'pressure'", lambda m: m["presure"])
case("no such variable, none near", NameLookupError, "'zzz' | 'temperature'", lambda m: m["zzz"])
case("no such value", NameLookupError, "'presure' | did you mean 'pressure'", lambda m: m.solve()["presure"])
case("no such variable in include", NameLookupError, "levle | 'level'",
     lambda m: m.include(other(), "t.")["levle"])
case("unknown backend", ModelError, "numpi | 'numpy'", lambda m: adj.Program("p", backend="numpi").solve())
case("linear solver is checked", AdjointError, "superlou | 'superlu'",
     lambda m: _cycle(linear_solver="superlou").solve())


def _cycle(**options: Any) -> adj.Program:
    m = adj.Program("loop", **options)
    y = m.unknown("y")
    m.define(y, np.cos(y) * m.input("x", 1.0))
    return m


# -- values --------------------------------------------------------------------------------------------------
case("default is NaN", ModelError, "'n' | NaN | finite", lambda m: m.input("n", np.nan))
case("default is infinite", ModelError, "'n' | infinite", lambda m: m.input("n", [1.0, np.inf]))
case("default is a word", ModelError, "'n' | number | five", lambda m: m.input("n", "five"))
case("default is complex", ModelError, "'n' | number", lambda m: m.input("n", 1j))
case("default is a complex array", ModelError, "'n' | 2.j", lambda m: m.input("n", np.array([1.0 + 2j])))
case("default is ragged", ModelError, "'n' | array", lambda m: m.input("n", [[1.0], [1.0, 2.0]]))
case("default is an expression", ModelError, "'n' | number", lambda m: m.input("n", m["a"]))
case("default does not fit its shape", ShapeError, "'n' | (2,) | (3,)",
     lambda m: m.input("n", [1.0, 2.0], shape=(3,)))
case("shape is negative", ShapeError, "'n' | negative", lambda m: m.input("n", shape=(-1,)))
case("shape is a word", ShapeError, "'n' | whole numbers | three", lambda m: m.unknown("n", shape="three"))
case("shape is not whole", ShapeError, "'n' | whole numbers | 2.5",
     lambda m: m.unknown("n", shape=(2.5,)))
case("guess is NaN", ModelError, "guess | 'n' | NaN", lambda m: m.unknown("n", guess=np.nan))
case("guess does not fit its shape", ShapeError, "'n' | (2,) | (3,)",
     lambda m: m.unknown("n", guess=[1.0, 2.0], shape=3))
case("bounds cross", ModelError, "'n' | lower | upper", lambda m: m.unknown("n", lower=2.0, upper=1.0))
case("bound is NaN", ModelError, "upper | 'n' | NaN", lambda m: m.unknown("n", upper=np.nan))
case("bound does not fit", ShapeError, "lower | 'n' | (2,) | ()",
     lambda m: m.unknown("n", guess=1.0, lower=[1.0, 2.0]))
case("input is NaN", ModelError, "'temperature' | NaN", lambda m: m.solve(temperature=np.nan))
case("input is infinite", ModelError, "'temperature' | infinite", lambda m: m.solve(temperature=math.inf))
case("input element is NaN", ModelError, "'load' | NaN", lambda m: m.solve(load=[1.0, np.nan, 2.0]))
case("input is a word", ModelError, "'temperature' | number | hot", lambda m: m.solve(temperature="hot"))
case("input is None", ModelError, "'temperature'", lambda m: m.solve(temperature=None))
case("input is complex", ModelError, "'load' | 3.j", lambda m: m.solve(load=np.array([1.0, 2.0, 3.0j])))
case("input has a wrong shape", ShapeError, "'load' | (2,) | (3,)", lambda m: m.solve(load=[1.0, 2.0]))
case("input has too many axes", ShapeError, "'temperature' | (1,) | ()", lambda m: m.solve(temperature=[1.0]))
case("input is not there", NameLookupError, "'temprature' | did you mean 'temperature'",
     lambda m: m.solve(temprature=2.0))
case("value for an unknown", ModelError, "'pressure' | determined | start= | guess=",
     lambda m: m.solve(pressure=2.0))
case("values are a list", ModelError, "dict | [1.0, 2.0]", lambda m: m.solve([1.0, 2.0]))


def _missing(m: adj.Program) -> None:
    p = adj.Program()
    p.define("y", p.input("x") + p.input("w", shape=(2,)))
    p.solve(x=1.0)


case("no value", ModelError, "'w' | no value | default", _missing)

# -- equations -----------------------------------------------------------------------------------------------
case("define an input", ModelError, "'temperature' | input | given",
     lambda m: m.define(m["temperature"], 2.0 * m["a"]))
case("define twice", ModelError, "'a' | already | 0.5 * b + temperature",
     lambda m: m.define(m["a"], 2.0 * m["b"]))
case("define a comparison", ModelError, "'n' | expression | constrain",
     lambda m: m.define("n", m["a"] == 1.0))
case("define a word", UnsupportedError, "'a + b' | expression", lambda m: m.define("n", "a + b"))
case("define nothing", UnsupportedError, "None | expression", lambda m: m.define("n", None))
case("define a function", UnsupportedError, "exp | expression", lambda m: m.define("n", np.exp))
case("define a complex number", UnsupportedError, "complex | real", lambda m: m.define("n", m["a"] * 1j))
case("define by a number", ModelError, "define | name | 3", lambda m: m.define(3, m["a"]))
case("define with a wrong shape", ShapeError, "'n' | (3,) | (2,)",
     lambda m: m.define(m.unknown("n", shape=2), m["load"]))
case("define another's variable", ModelError, "'height' | another program",
     lambda m: m.define(other()["height"], m["a"]))
case("use another's variable", ModelError, "'level' | 'tank' | include",
     lambda m: m.define("n", m["a"] + other()["level"]))
case("constrain another's variable", ModelError, "'level' | include",
     lambda m: m.constrain(other()["level"] == m["a"]))
case("inequality as an equation", ModelError, "a <= 3 | inequality | subject_to",
     lambda m: m.constrain(m["a"] <= 3.0))
case("strict inequality", ModelError, "a > 3 | inequality | subject_to", lambda m: m.constrain(m["a"] > 3.0))
case("unequal", ModelError, "a != 3 | equation", lambda m: m.constrain(m["a"] != 3.0))
case("bare bool", ModelError, "False | comparison | expressions", lambda m: m.constrain(1.0 == 2.0))
case("compared with a word", ModelError, "comparison", lambda m: m.constrain(m["a"] == "b"))
case("constrain a word", UnsupportedError, "'a == b' | expression", lambda m: m.constrain("a == b"))
case("constrain nothing", UnsupportedError, "None | expression", lambda m: m.constrain(None))
case("constrain constants", ModelError, "'idle' | no variable",
     lambda m: m.constrain(adj.array([1.0, 2.0]), name="idle"))
case("sides do not fit", ShapeError, "(3,) | (2, 2) | load",
     lambda m: m.constrain(m["load"] == m["matrix"][:, :2]))

# -- expressions ---------------------------------------------------------------------------------------------
case("if expression", UnsupportedError, "a | np.where", lambda m: 1.0 if m["a"] else 2.0)
case("if comparison", UnsupportedError, "a > 2 | np.where", lambda m: 1.0 if m["a"] > 2.0 else 2.0)
case("not", UnsupportedError, "a > 2 | np.where", lambda m: not m["a"] > 2.0)
case("and", UnsupportedError, "a > 2 | np.where", lambda m: m["a"] > 2.0 and m["b"] > 1.0)
case("chained comparison", UnsupportedError, "chained | adj.between", lambda m: 0.0 <= m["a"] <= 1.0)
case("max of Python", UnsupportedError, "np.where", lambda m: max(m["a"], m["b"]))
case("sorted", UnsupportedError, "np.where", lambda m: sorted([m["a"], m["b"]]))
case("math.exp", UnsupportedError, "a | np.exp | sol['name']", lambda m: math.exp(m["a"]))
case("float", UnsupportedError, "a + 1 | number", lambda m: float(m["a"] + 1.0))
case("int", UnsupportedError, "a | number", lambda m: int(m["a"]))
case("complex", UnsupportedError, "a | number", lambda m: complex(m["a"]))
case("range", UnsupportedError, "a | number", lambda m: range(m["a"]))
case("round", UnsupportedError, "round | rint", lambda m: round(m["a"]))
case("index of a list", UnsupportedError, "a", lambda m: [1.0, 2.0][m["a"]])
case("numeric array", UnsupportedError, "load | m.external", lambda m: np.array(m["load"], dtype=float))
case("item assignment", UnsupportedError, "immutable | adj.put", lambda m: m["load"].__setitem__(0, 1.0))
case("in", UnsupportedError, "'in' | value", lambda m: 1.0 in m["load"])
case("index by expression", UnsupportedError, "load | index | np.where", lambda m: m["load"][m["a"]])
case("index by condition", UnsupportedError, "load | index | np.where", lambda m: m["load"][m["load"] > 2.0])
case("index out of range", ShapeError, "load | 3 | (3,)", lambda m: m["load"][3])
case("too many indices", ShapeError, "load | (3,)", lambda m: m["load"][0, 0])
case("index of a scalar", ShapeError, "a | ()", lambda m: m["a"][0])
case("index is a word", ShapeError, "load | first", lambda m: m["load"]["first"])
case("mask does not fit", ShapeError, "load | (3,)", lambda m: m["load"][np.array([True, False])])
case("slice step is 0", ShapeError, "load | step", lambda m: m["load"][::0])
case("bad axis", ShapeError, "axis | 1 | load | (3,)", lambda m: np.sum(m["load"], axis=1))
case("axis twice", ShapeError, "axis | matrix | twice", lambda m: np.sum(m["matrix"], axis=(0, 0)))
case("length of a scalar", UnsupportedError, "a | scalar", lambda m: len(m["a"]))
case("loop over a scalar", UnsupportedError, "a | scalar", lambda m: list(m["a"]))
case("does not broadcast", ShapeError, "+ | load | (3,) | (4,)", lambda m: m["load"] + np.ones(4))
case("power does not broadcast", ShapeError, "load | (3,) | (2, 2)",
     lambda m: m["load"] ** m["matrix"][:, :2])
case("@ does not fit", ShapeError, "@ | matrix | (2, 3) | (2,)", lambda m: m["matrix"] @ np.ones(2))
case("@ of a scalar", ShapeError, "a | scalar | *", lambda m: m["a"] @ m["load"])
case("batches do not fit", ShapeError, "(2, 1, 2) | (3, 2, 1)",
     lambda m: np.ones((2, 1, 2)) @ np.reshape(m["matrix"], (3, 2, 1)))
case("reshape does not fit", ShapeError, "matrix | (2, 3) | (4, 2)",
     lambda m: np.reshape(m["matrix"], (4, 2)))
case("concatenate does not fit", ShapeError, "(2, 3) | (3,)",
     lambda m: np.concatenate([m["matrix"], m["load"]]))
case("stack does not fit", ShapeError, "(3,) | ()", lambda m: np.stack([m["load"], m["a"]]))
case("stack along a bad axis", ShapeError, "axis | 4", lambda m: np.stack([m["load"], m["load"]], axis=4))
case("einsum does not fit", ShapeError, "ij,i->j | 'i' | 2 | 3",
     lambda m: np.einsum("ij,i->j", m["matrix"], m["load"]))
case("einsum operands", ShapeError, "ij,j | 2 | 1", lambda m: np.einsum("ij,j", m["matrix"]))
case("einsum output", ShapeError, "ij->k | k", lambda m: np.einsum("ij->k", m["matrix"]))
case("no such function", UnsupportedError, "numpy.sort | m.external | primitives",
     lambda m: np.sort(m["load"]))
case("no such ufunc", UnsupportedError, "isnan | m.external", lambda m: np.isnan(m["load"]))
case("no such scipy function", UnsupportedError, "jv | m.external", lambda m: scipy.special.jv(1, m["a"]))
case("no such argument", UnsupportedError, "sum | initial", lambda m: np.sum(m["load"], initial=1.0))
case("out=", UnsupportedError, "exp | out", lambda m: np.exp(m["load"], out=np.empty(3)))
case("floor division", UnsupportedError, "//", lambda m: m["a"] // 2)
case("modulo", UnsupportedError, "%", lambda m: m["a"] % 2)
case("xor for power", UnsupportedError, "^ | **", lambda m: m["a"] ^ 2)
case("plus a word", UnsupportedError, "'b' | expression", lambda m: m["a"] + "b")
case("plus None", UnsupportedError, "None | expression", lambda m: None * m["a"])
case("plus a ragged list", AdjointError, "(1,)", lambda m: m["a"] + [1.0, [2.0]])
case("ordered with a word", UnsupportedError, "'b'", lambda m: m["a"] < "b")
case("table lengths", ShapeError, "np.interp | (2,) | (3,)",
     lambda m: np.interp(m["a"], [0.0, 1.0], [0.0, 1.0, 2.0]))
case("table order", ShapeError, "np.interp | increase",
     lambda m: np.interp(m["a"], [0.0, 2.0, 1.0], [0.0, 1.0, 2.0]))
case("table is NaN", AdjointError, "np.interp | NaN",
     lambda m: np.interp(m["a"], [0.0, np.nan], [0.0, 1.0]))
case("table is an expression", UnsupportedError, "np.interp",
     lambda m: np.interp(m["a"], m["load"], [1.0, 2.0, 3.0]))
case("solve does not fit", ShapeError, "matrix | (2, 3) | square",
     lambda m: np.linalg.solve(m["matrix"], m["load"]))
case("put twice", ShapeError, "put | load | more than once", lambda m: adj.put(m["load"], [0, 0], 1.0))
case("put out of range", ShapeError, "3 | (3,)", lambda m: adj.put(m["load"], 3, 1.0))
case("scatter out of range", ShapeError, "2 | (2,)", lambda m: adj.scatter_add(2, [0, 1, 2], m["load"]))
case("segments do not fit", ShapeError, "(3,) | (2,)", lambda m: adj.segment_sum(m["load"], [0, 1], 2))
case("segment out of range", ShapeError, "2", lambda m: adj.segment_sum(m["load"], [0, 1, 2], 2))


# -- structure -----------------------------------------------------------------------------------------------
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


case("over-determined", StructureError, "3 equations | 2 unknowns | first | second | y | remove",
     _overdetermined)
case("under-determined", StructureError, "1 equation | 2 unknowns | only | y | z | add an equation",
     _underdetermined)
case("unknown without equation", StructureError, "Under-determined | y | none | add an equation", _forgotten)
case("several bad parts", StructureError, "part0_a | part1_b | u1 | u2 | free",
     lambda m: _several_parts().solve())
case("array with one equation", StructureError, "y[0] | y[1] | total", _size_mismatch)
case("element without equation", StructureError, "y[1] | pair[", _element)
case("structure of blocks()", StructureError, "part0_a", lambda m: _several_parts().blocks())
case("structure of function()", StructureError, "part0_a",
     lambda m: _several_parts().function("ok", wrt=["x"]))


# -- numbers -------------------------------------------------------------------------------------------------
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


case("singular block", SingularError, "derivative | sum | double | first | other | repeat", _quiet(_singular))
case("at a fold", SingularError, "derivative | parabola | y | fold", _quiet(_at_fold))
case("past a fold", ConvergenceError, "y | parabola | did not converge | guess", _past_fold)
case("contradiction", ConvergenceError, "first | other | one | two | did not converge", _contradiction)
case("guess outside the domain", ConvergenceError, "y | logarithm | NaN | guess", _bad_guess)
case("solution outside the bounds", ConvergenceError, "y | cube | bound | upper=", _at_bound)
case("NaN in an equation", EvaluationError, "'root[1]' | nan | sqrt | v = | x = | np.where", _undefined)
case("overflow in an equation", EvaluationError, "'huge' | inf | x = 1000", _overflow)
case("iteration limit", ConvergenceError, "max_iterations",
     lambda m: m.solve(max_iterations=1, temperature=40.0))
case("method typo", ModelError, "'neuton' | 'newton'", lambda m: m.solve(method="neuton"))
case("method of a block typo", NameLookupError, "'presure' | 'pressure'",
     lambda m: m.solve(method={"presure": "newton"}))
case("method is a number", ModelError, "method | 3", lambda m: m.solve(method=3))
case("tol is negative", ModelError, "tol | -1.0 | between 0 and 1", lambda m: m.solve(tol=-1.0))
case("tol is too large", ModelError, "tol | 2.0", lambda m: m.solve(tol=2.0))
case("tol is NaN", ModelError, "tol | nan", lambda m: m.solve(tol=math.nan))
case("tol is a word", ModelError, "tol | fine", lambda m: m.solve(tol="fine"))
case("max_iterations is 0", ModelError, "max_iterations | 0 | positive", lambda m: m.solve(max_iterations=0))
case("max_iterations is not whole", ModelError, "max_iterations | 2.5", lambda m: m.solve(max_iterations=2.5))
case("start with an unknown name", NameLookupError, "'presure' | 'pressure'",
     lambda m: m.solve(start={"presure": 1.0}))
case("start is a number", ModelError, "start | Solution | dict | float", lambda m: m.solve(start=1.0))
case("start is NaN", ModelError, "'pressure' | NaN", lambda m: m.solve(start={"pressure": np.nan}))
case("start has a wrong shape", ShapeError, "'pressure' | (2,) | ()",
     lambda m: m.solve(start={"pressure": [1.0, 2.0]}))
case("homotopy with an unknown name", NameLookupError, "'temperature'",
     lambda m: m.solve(homotopy={"temprature": 0.0}))
case("homotopy past a fold", ConvergenceError, "homotopy | fold | y", lambda m: _homotopy())


def _homotopy() -> None:
    m = adj.Program("fold")
    y = m.unknown("y", guess=1.0)
    m.constrain(y**2 == m.input("x", 1.0), name="parabola")
    m.solve(x=-1.0, homotopy={"x": 1.0})


# -- black boxes ---------------------------------------------------------------------------------------------
def _boxed(m: adj.Program, fun: Any, jac: Any = None, shape: Any = ()) -> adj.Solution:
    m = adj.Program("boxed")
    y = m.external("drag", fun, inputs=[m.input("speed", 2.0)], shape=shape, jac=jac)
    m.define("f", np.sum(y))
    return m.solve()


def _fail(*args: Any) -> Any:
    raise RuntimeError("the mesh is tangled")


def _square(v: Any) -> Any:
    return v**2


case("external raises", EvaluationError, "'drag' | the mesh is tangled", lambda m: _boxed(m, _fail))
case("external returns another shape", ShapeError, "'drag' | (3,) | ()",
     lambda m: _boxed(m, lambda v: np.ones(3)))
case("external returns NaN", EvaluationError, "'drag' | nan | speed = 2",
     lambda m: _boxed(m, lambda v: math.nan))
case("external returns a word", EvaluationError, "'drag' | fast", lambda m: _boxed(m, lambda v: "fast"))
case("external returns None", EvaluationError, "'drag'", lambda m: _boxed(m, lambda v: None))
case("external is no function", ModelError, "'drag' | function",
     lambda m: m.external("drag", 3.0, inputs=["a"]))
case("external jac is no function", ModelError, "'drag' | jac",
     lambda m: m.external("drag", abs, ["a"], jac=3.0))
case("external of an unknown name", NameLookupError, "'presure' | 'pressure'",
     lambda m: m.external("drag", abs, ["presure"]))
case("external of another's variable", ModelError, "'level' | 'drag'",
     lambda m: m.external("drag", abs, [other()["level"]]))
case("external named twice", ModelError, "'f' | already", lambda m: m.external("f", abs, ["a"]))
case("external inputs are one name", ModelError, "'drag' | inputs | list",
     lambda m: m.external("drag", abs, "load"))
case("external with a bad shape", ShapeError, "'drag' | negative",
     lambda m: m.external("drag", abs, ["a"], shape=(-1,)))
case("external Jacobian has another shape", ShapeError, "'drag' | (2, 2) | Jacobian",
     lambda m: _boxed(m, _square, lambda v: np.ones((2, 2))).gradient("f"))
case("external Jacobian raises", EvaluationError, "'drag' | Jacobian",
     lambda m: _boxed(m, _square, _fail).gradient("f"))
case("external Jacobian is NaN", AdjointError, "'drag' | nan",
     lambda m: _boxed(m, _square, lambda v: math.nan).gradient("f"))
case("second derivative of an external", DerivativeError, "'drag' | second derivatives | equations",
     lambda m: _boxed(m, _square, lambda v: 2 * v).hessian("f"))
case("second product of an external", DerivativeError, "'drag' | second derivatives",
     lambda m: _boxed(m, _square, lambda v: 2 * v).hvp("f", {"speed": 1.0}))

def _undefined_slope() -> None:
    m = adj.Program()
    x = m.input("x", 0.0)
    m.define("root", np.sqrt(x * x))
    m.solve().gradient("root")


# -- derivatives ---------------------------------------------------------------------------------------------
case("derivative of the form 0/0", DerivativeError, "'root' | 'x'", lambda m: _undefined_slope())
case("gradient of a vector", ShapeError, "'stress' | (3,) | weights | jacobian",
     lambda m: m.solve().gradient("stress"))
case("hessian of a vector", ShapeError, "'stress' | (3,)", lambda m: m.solve().hessian("stress"))
case("lagrangian of a vector", ShapeError, "'stress' | (3,)", lambda m: m.lagrangian("stress"))
case("gradient of an unknown name", NameLookupError, "'g'", lambda m: m.solve().gradient("g"))
case("gradient of a twin's variable", ModelError, "'f' | another program",
     lambda m: m.solve().gradient(model()["f"]))
case("value of a twin's variable", ModelError, "'f' | another program", lambda m: m.solve()[model()["f"]])
case("wrt a twin's variable", ModelError, "'load' | another program",
     lambda m: m.solve().gradient("f", wrt=model()["load"]))
case("variable of a twin", ModelError, "'f' | another program", lambda m: m[model()["f"]])
case("gradient of a number", ModelError, "name | weights | 3", lambda m: m.solve().gradient(3))
case("gradient of nothing", ModelError, "name | None", lambda m: m.solve().gradient(None))
case("wrt an unknown name", NameLookupError, "'temperature'",
     lambda m: m.solve().gradient("f", wrt="temprature"))
case("wrt a dependent variable", ModelError, "'pressure' | input",
     lambda m: m.solve().gradient("f", wrt="pressure"))
case("wrt a list with an unknown name", NameLookupError, "'lod' | 'load'",
     lambda m: m.solve().jacobian("f", wrt=["load", "lod"]))
case("wrt a number", AdjointError, "3", lambda m: m.solve().gradient("f", wrt=3))
case("of an unknown name", NameLookupError, "'presure' | 'pressure'",
     lambda m: m.solve().jacobian(["f", "presure"]))
case("unknown mode", ModelError, "'backward' | 'reverse' | 'forward'",
     lambda m: m.solve().jacobian("f", mode="backward"))
case("weight of a wrong shape", ShapeError, "'stress' | (2,) | (3,)",
     lambda m: m.solve().gradient({"stress": [1.0, 2.0]}))
case("weight is NaN", AdjointError, "'f' | NaN", lambda m: m.solve().vjp({"f": np.nan}))
case("weight is a word", AdjointError, "'f' | one", lambda m: m.solve().vjp({"f": "one"}))
case("weight of an unknown name", NameLookupError, "'presure' | 'pressure'",
     lambda m: m.solve().vjp({"presure": 1.0}))
case("cotangents are a list", ModelError, "dict", lambda m: m.solve().vjp([1.0]))
case("multipliers of a number", ModelError, "name | 1.0", lambda m: m.solve().multipliers(1.0))
case("direction of an unknown name", NameLookupError, "'temperature'",
     lambda m: m.solve().jvp({"temprature": 1.0}))
case("direction of a dependent variable", ModelError, "'pressure' | input",
     lambda m: m.solve().jvp({"pressure": 1.0}))
case("direction of a wrong shape", ShapeError, "'load' | (2,) | (3,)",
     lambda m: m.solve().jvp({"load": [1.0, 2.0]}))
case("direction is NaN", ModelError, "'load' | NaN", lambda m: m.solve().hvp("f", {"load": np.nan}))
case("directions are a list", ModelError, "dict", lambda m: m.solve().jvp([1.0, 2.0]))
case("point of the Lagrangian", ShapeError, "z | (3,) | 7", lambda m: m.lagrangian("f").value(np.ones(3), {}))
case("multipliers of the Lagrangian", ShapeError, "lam | (2,) | 7",
     lambda m: m.lagrangian("f").value({}, np.ones(2)))
case("name in the Lagrangian", NameLookupError, "'pressure'",
     lambda m: m.lagrangian("f").value({"presure": 1.0}, {}))
case("name in its multipliers", NameLookupError, "'balance'",
     lambda m: m.lagrangian("f").value({}, {"balence": 1.0}))
case("shape in the Lagrangian", ShapeError, "'a' | (2,) | ()",
     lambda m: m.lagrangian("f").grad_z({"a": [1.0, 2.0]}, {}))
case("word in the Lagrangian", AdjointError, "'a' | one",
     lambda m: m.lagrangian("f").grad_z({"a": "one"}, {}))


# -- programs in programs ------------------------------------------------------------------------------------
def _clash() -> adj.Program:
    """Its first variables are new to ``model()``, its last one is not."""
    m = adj.Program("clash")
    x = m.input("fresh", 1.0)
    m.define("also_fresh", x + 1.0)
    m.define("f", x * 2.0)
    return m


def _included(m: adj.Program, **bind: Any) -> None:
    m.include(other(), prefix="tank.", bind=bind)


case("include a dict", ModelError, "Program | dict", lambda m: m.include({"y": 1.0}))
case("include with a clash", ModelError, "'f' | already", lambda m: m.include(_clash()))
case("include itself", ModelError, "already", lambda m: m.include(m))
case("include with a clash of equations", ModelError, "'balance' | already",
     lambda m: m.include(_equation_clash()))
case("bind an unknown name", NameLookupError, "'hight' | 'height'", lambda m: _included(m, hight=1.0))
case("bind a dependent variable", ModelError, "'level' | input", lambda m: _included(m, level=1.0))
case("bind another shape", ShapeError, "'height' | () | (3,)", lambda m: _included(m, height=m["load"]))
case("bind another's variable", ModelError, "'level' | include",
     lambda m: _included(m, height=other()["level"]))
case("bind a word", UnsupportedError, "'a' | expression", lambda m: _included(m, height="a"))
case("bind a list", ModelError, "bind | dict", lambda m: m.include(other(), "t.", bind=["height"]))
case("prefix is a number", ModelError, "prefix | 3", lambda m: m.include(other(), prefix=3))


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
case("from a dict", ModelError, "DiGraph | dict", lambda m: adj.Program.from_graph({"x": 1.0}))
case("from an undirected graph", ModelError, "DiGraph | Graph", lambda m: adj.Program.from_graph(nx.Graph()))
case("node without f", ModelError, "'y' | f=",
     lambda m: adj.Program.from_graph(graph(X, ("y", {}), edges=[("x", "y")])))
case("args are not the predecessors", ModelError, "'y' | z | predecessors | x",
     lambda m: adj.Program.from_graph(graph(X, ("y", {"f": np.exp, "args": ["z"]}), edges=[("x", "y")])))
case("f is not callable", ModelError, "'y' | f= | 3.0",
     lambda m: adj.Program.from_graph(graph(X, ("y", {"f": 3.0}), edges=[("x", "y")])))
case("f takes other arguments", ModelError, "'y' | argument",
     lambda m: adj.Program.from_graph(graph(X, ("y", {"f": lambda: 1.0}), edges=[("x", "y")])))
case("two nodes of one name", ModelError, "'1' | already",
     lambda m: adj.Program.from_graph(graph((1, {"value": 1.0}), ("1", {"value": 2.0}))))
case("value of a node is NaN", ModelError, "'x' | NaN",
     lambda m: adj.Program.from_graph(graph(("x", {"value": np.nan}))))


# -- traces --------------------------------------------------------------------------------------------------
def _branch(x: Any) -> Any:
    y = x + 1.0
    if y > 2.0:
        return y
    return -y


def _nothing(x: Any) -> None:
    np.exp(x)


case("trace a number", ModelError, "function | float", lambda m: adj.trace(3.0))
case("trace a branch", UnsupportedError, "> 2 | np.where", lambda m: adj.trace(_branch, 1.0))
case("trace without a result", ModelError, "'_nothing' | nothing | output",
     lambda m: adj.trace(_nothing, 1.0))
case("trace with too few arguments", ModelError, "_branch | argument", lambda m: adj.trace(_branch))
case("trace with a NaN", ModelError, "'x' | NaN", lambda m: adj.trace(_branch, np.nan))
case("trace with a dict", ModelError, "'x' | number", lambda m: adj.trace(_branch, {"x": 1.0}))
case("call with too many arguments", ModelError, "_square | argument",
     lambda m: adj.program(_square)(1.0, 2.0))
case("call with a word", ModelError, "x | two", lambda m: adj.program(lambda x: np.exp(x))(x=[1.0, "two"]))
case("gradient of several outputs", ModelError, "_pair | jacobian",
     lambda m: adj.program(_pair).gradient(1.0))
case("decorate a number", AdjointError, "function | float", lambda m: adj.program(3.0))
case("result is a word", UnsupportedError, "'word'", lambda m: adj.trace(lambda x: "word", 1.0))


def _pair(x: Any) -> Any:
    return x + 1.0, x * 2.0


# -- problems ------------------------------------------------------------------------------------------------
def problem(m: adj.Program, **more: Any) -> adj.Problem:
    arguments: dict[str, Any] = {"minimize": "f", "over": ["temperature"], **more}
    return adj.Problem(m, **{k: v for k, v in arguments.items() if v is not None})


case("no objective", ModelError, "minimize= | maximize=", lambda m: adj.Problem(m, over=["temperature"]))
case("two objectives", ModelError, "minimize= | maximize=", lambda m: problem(m, maximize="a"))
case("vector objective", ModelError, "'stress' | (3,) | scalar", lambda m: problem(m, minimize="stress"))
case("unknown objective", NameLookupError, "'presure' | 'pressure'", lambda m: problem(m, minimize="presure"))
case("infinite objective", ModelError, "objective | infinite", lambda m: problem(m, minimize=np.inf))
case("objective of another program", AdjointError, "'level'", lambda m: problem(m, minimize=other()["level"]))
case("objective of a twin", ModelError, "'f' | another program", lambda m: problem(m, minimize=model()["f"]))
case("objective uses a twin", ModelError, "'f' | another program",
     lambda m: problem(m, minimize=2.0 * model()["f"]))
case("problem of a dict", ModelError, "Program | dict", lambda m: adj.Problem({"f": 1.0}, minimize="f"))
case("over an unknown name", NameLookupError, "'temprature' | 'temperature'",
     lambda m: problem(m, over=["temprature"]))
case("over a defined variable", ModelError, "'a' | equation | subject_to", lambda m: problem(m, over=["a"]))
case("over a determined unknown", StructureError, "balance", lambda m: problem(m, over=["pressure"]).solve())
case("over nothing", ModelError, "over", lambda m: problem(m, over=[]))
case("over a number", ModelError, "over | 3", lambda m: problem(m, over=3))
case("bounds are one number", ModelError, "'temperature' | (lower, upper) | 3.0",
     lambda m: problem(m, over={"temperature": 3.0}))
case("bounds are three numbers", ModelError, "'temperature' | (lower, upper)",
     lambda m: problem(m, over={"temperature": (1, 2, 3)}))
case("bounds of the optimizer cross", ModelError, "'temperature' | lower | upper",
     lambda m: problem(m, over={"temperature": (2, 1)}))
case("bound of the optimizer is NaN", ModelError, "'temperature' | NaN",
     lambda m: problem(m, over={"temperature": (np.nan, 1)}))
case("bound of the optimizer has a shape", ShapeError, "'load' | (2,) | (3,)",
     lambda m: problem(m, over={"load": ([1, 2], None)}))
case("bound of the optimizer is a word", ModelError, "'load' | low",
     lambda m: problem(m, over={"load": ("low", None)}))
case("constraint is an expression", ModelError, "comparison | adj.between",
     lambda m: problem(m, subject_to=[m["a"]]))
case("constraint is a bool", ModelError, "comparison | True", lambda m: problem(m, subject_to=[1.0 <= 2.0]))
case("constraint is a word", ModelError, "comparison | a <= 1", lambda m: problem(m, subject_to=["a <= 1"]))
case("constraint is a number", ModelError, "subject_to | 3", lambda m: problem(m, subject_to=3))
case("constraint is unequal", ModelError, "a != 1 | ==", lambda m: problem(m, subject_to=[m["a"] != 1.0]))
case("constraint of another program", AdjointError, "'level'",
     lambda m: problem(m, subject_to=[other()["level"] <= 1.0]))
case("constraint of a twin", ModelError, "'a' | another program",
     lambda m: problem(m, subject_to=[model()["a"] <= 1.0]))
case("constraint with a NaN", ModelError, "a <= nan | NaN",
     lambda m: problem(m, subject_to=[m["a"] <= np.nan]))
case("constraint that does not fit", ShapeError, "(3,) | (2,)",
     lambda m: problem(m, subject_to=[m["load"] <= [1.0, 2.0]]))
case("between crosses", ModelError, "lower | 2.0 | upper | 1.0", lambda m: adj.between(2.0, m["a"], 1.0))
case("between constants", ModelError, "between | variable", lambda m: adj.between(0.0, 1.0, 2.0))
case("between a NaN", ModelError, "between | NaN", lambda m: adj.between(np.nan, m["a"], 2.0))
case("between does not fit", ShapeError, "between | (2,) | (3,)",
     lambda m: adj.between([1.0, 2.0], m["load"], 3.0))
case("between expressions", ModelError, "between | number", lambda m: adj.between(m["b"], m["a"], 2.0))
case("optimizer typo", ModelError, "'SLSPQ' | 'SLSQP'", lambda m: problem(m).solve("SLSPQ"))
case("optimizer is a number", ModelError, "method | 3", lambda m: problem(m).solve(3))
case("no constraints in BFGS", ModelError, "'BFGS' | no constraints | SLSQP",
     lambda m: problem(m, subject_to=[m["a"] <= 1.0]).solve("BFGS"))
case("no bounds in BFGS", ModelError, "'BFGS' | no bounds | L-BFGS-B",
     lambda m: problem(m, over={"load": (0, 1)}).solve("BFGS"))
case("start of another name", NameLookupError, "'temperature'",
     lambda m: problem(m).solve(start={"temprature": 1.0}))
case("start of the optimizer is a list", ModelError, "start | dict | list",
     lambda m: problem(m).solve(start=[1.0]))
case("start of the optimizer is NaN", ModelError, "NaN",
     lambda m: problem(m).solve(start={"temperature": np.nan}))
case("start of the optimizer has a shape", ShapeError, "(2,)",
     lambda m: problem(m).solve(start={"temperature": [1.0, 2.0]}))
case("no start", ModelError, "'x' | start", lambda m: _no_start().solve("BFGS"))
case("full space of a reduced method", ModelError, "'BFGS' | 'reduced'",
     lambda m: problem(m).solve("BFGS", formulation="full"))
case("unknown formulation", ModelError, "'wide' | reduced",
     lambda m: problem(m).solve("SLSQP", formulation="wide"))
case("the start does not solve", EvaluationError, "'f' | x = -1", lambda m: _bad_start().solve("BFGS"))


def _no_start() -> adj.Problem:
    m = adj.Program()
    m.define("f", m.input("x") ** 2)
    return adj.Problem(m, minimize="f", over=["x"])


def _bad_start() -> adj.Problem:
    m = adj.Program()
    m.define("f", np.log(m.input("x", -1.0)))
    return adj.Problem(m, minimize="f", over=["x"])


# -- functions of a vector -----------------------------------------------------------------------------------
case("function of an unknown name", NameLookupError, "'presure' | 'pressure'",
     lambda m: m.function("presure"))
case("function of an unknown input", NameLookupError, "'temperature'",
     lambda m: m.function("f", wrt=["temprature"]))
case("function of a defined input", ModelError, "'a' | equation", lambda m: m.function("f", wrt=["a"]))
case("function of an input twice", ModelError, "twice | load",
     lambda m: m.function("f", wrt=["load", "load"]))
case("function with a bad tol", ModelError, "tol | 2.0", lambda m: m.function("f", tol=2.0))
case("function with a bad method", ModelError, "'neuton' | 'newton'",
     lambda m: m.function("f", method="neuton"))
case("function with a bad value", NameLookupError, "'temperature'",
     lambda m: m.function("f", ["load"], values={"temprature": 1.0})(np.ones(3)))
case("point of a wrong length", ShapeError, "(2,) | 3 | load",
     lambda m: m.function("f", ["load"])(np.ones(2)))
case("point is a matrix", ShapeError, "(3, 1) | 3 | load",
     lambda m: m.function("f", ["load"]).jac(np.ones((3, 1))))
case("point is NaN", ModelError, "NaN", lambda m: m.function("f", ["load"])([1.0, np.nan, 2.0]))
case("point is a word", AdjointError, "here", lambda m: m.function("f", ["load"])("here"))
case("no multipliers", ModelError, "multipliers | hess(v, multipliers)",
     lambda m: m.function(["f", "a"], ["load"]).hess(np.ones(3)))
case("too few multipliers", ShapeError, "1 multipliers | 2 outputs",
     lambda m: m.function(["f", "a"], ["load"]).hess(np.ones(3), [1.0]))
case("direction of a wrong length", ShapeError, "2 | 3",
     lambda m: m.function("f", ["load"]).hessp(np.ones(3), np.ones(2)))
case("no solution yet", ModelError, "not been called", lambda m: m.function("f").solution)
case("pack an unknown name", NameLookupError, "'lod' | 'load'", lambda m: m.function("f").pack({"lod": 1.0}))
case("pack a wrong shape", ShapeError, "'load' | (2,) | (3,)",
     lambda m: m.function("f").pack({"load": [1.0, 2.0]}))
case("unpack a wrong length", ShapeError, "(2,) | 10", lambda m: m.function("f").unpack(np.ones(2)))


# -- the law -------------------------------------------------------------------------------------------------


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
        with pytest.raises(Exception) as raised:
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


# -- what exceptions carry -----------------------------------------------------------------------------------


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
    for ask in (
        lambda: sol.gradient("y"),
        lambda: sol.jvp({"x": 1.0}),
        lambda: sol.hessian("y"),
        lambda: sol.jacobian("y"),
    ):
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
    for wrong in ({"temperature": np.nan}, {"load": [1.0, 2.0]}, {"load": [1e4, 1e4, 1e4]}, {"nothing": 1.0}):
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
