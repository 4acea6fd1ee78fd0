"""Calls that read NumPy's arrays in native code: the results of the usual calls, and nothing read that is not plain."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="runs the compiled backend")

import adjoint as adj
from adjoint.backends import get_backend
from adjoint.expr import Expr, Variable

module = importlib.import_module("adjoint.backends.llvm_.direct")  # the function has its name


def made(n: int, result: Callable[[Variable], Expr]) -> tuple[Any, Any]:
    """The usual and the direct function of a vector."""
    x = Variable("x", (n,))
    function = get_backend("llvm").compile([x], [result(x), np.sum(x)])
    return function, function.direct()  # type: ignore[attr-defined]


@pytest.mark.parametrize("n", [1, 7, 30_000])
@pytest.mark.parametrize("result", [lambda x: np.sum(x * x), lambda x: np.exp(-x), lambda x: x[None, :] * 2.0])
def test_the_results_of_the_usual_call(n: int, result: Callable[[Variable], Expr]) -> None:
    usual, direct = made(n, result)
    x = np.linspace(0.0, 1.0, n)
    expected, check = usual(x)
    found, sound = direct(x)
    np.testing.assert_array_equal(found, expected)
    assert sound == (check if np.ndim(expected) else expected)
    assert np.ndim(found) == 0 or (found.flags.owndata and found is not direct(x)[0])


def test_a_scalar_is_nan_where_its_check_is_not_finite() -> None:
    x = Variable("x", (2,))
    direct = get_backend("llvm").compile([x], [x[0], 1.0 / x[1]]).direct()  # type: ignore[attr-defined]
    assert direct(np.array([3.0, 1.0])) == (3.0, 3.0)
    assert np.isnan(direct(np.array([3.0, 0.0]))).all()


class Vector(np.ndarray):
    """An array of another type."""


NOT_PLAIN = {
    "longer": np.ones(5),
    "shorter": np.ones(3),
    "single": np.ones(4, dtype=np.float32),
    "whole numbers": np.ones(4, dtype=np.int64),
    "complex": np.ones(4, dtype=complex),
    "two dimensions": np.ones((2, 2)),
    "a number": np.array(1.0),
    "strided": np.ones(8)[::2],
    "backwards": np.ones(4)[::-1],
    "not aligned": np.frombuffer(bytes(33), dtype=np.uint8)[1:].view(np.float64),
    "other byte order": np.ones(4, dtype=">f8"),
    "a subclass": np.ones(4).view(Vector),
    "a list": [1.0, 1.0, 1.0, 1.0],
    "a float": 1.0,
    "nothing": None,
    "a class": np.ndarray,
}


@pytest.mark.parametrize("what", NOT_PLAIN)
def test_what_is_not_a_plain_vector_is_refused(what: str) -> None:
    _, direct = made(4, lambda x: np.exp(x))
    assert np.isnan(direct(NOT_PLAIN[what])[1])
    assert direct(np.ones(4))[1] == 4.0


@pytest.mark.parametrize("what", [w for w in NOT_PLAIN if w not in ("a float", "nothing", "a class", "complex")])
def test_a_function_takes_or_names_it(what: str) -> None:
    """Above, the function of a program answers as ever."""
    m = adj.Program(backend="llvm")
    x = m.input("x", np.ones(4))
    m.define("f", np.sum(x**2))
    fun = m.function("f")
    fun(np.ones(4))
    given: Any = NOT_PLAIN[what]
    if np.shape(given) != (4,):
        with pytest.raises(adj.ShapeError):
            fun(given)
    else:
        value = float(np.sum(np.square(given)))
        assert fun(given) == pytest.approx(value)
        np.testing.assert_allclose(fun.jac(given), 2.0 * np.asarray(given, dtype=float))
        np.testing.assert_allclose(fun.hess(given), 2.0 * np.eye(4))


def test_several_vectors() -> None:
    x, w = Variable("x", (3,)), Variable("w", (2,))
    function = get_backend("llvm").compile([x, w], [x * w[0], np.sum(x) + w[1]])
    direct = function.direct()  # type: ignore[attr-defined]
    found, check = direct(np.arange(3.0), np.array([2.0, 1.0]))
    np.testing.assert_array_equal(found, [0.0, 2.0, 4.0])
    assert check == 4.0
    assert np.isnan(direct(np.arange(3.0), np.arange(3.0))[1])


def test_other_functions_have_no_such_form() -> None:
    x, s = Variable("x", (3,)), Variable("s", ())
    compile_ = get_backend("llvm").compile
    for inputs, outputs in (
        ([x], [x]),  # no check
        ([x], [x, x]),  # the check is no number
        ([x, s], [x * s, s]),  # a number among the inputs
        ([x], [np.linalg.solve(np.eye(3) * x[0] + 1.0, x), x[0]]),  # calls of NumPy
    ):
        assert compile_(inputs, outputs).direct() is None  # type: ignore[attr-defined]


def test_it_is_not_used_where_arrays_look_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    module.layout_is_known.cache_clear()
    monkeypatch.setattr(module, "DATA", module.DATA + 8)
    assert not module.layout_is_known()
    module.layout_is_known.cache_clear()
    monkeypatch.undo()
    assert module.layout_is_known()
    array = np.ones(2)
    assert ctypes.c_void_p.from_address(id(array) + module.DATA).value == array.ctypes.data


@pytest.mark.parametrize("n", [50, 30_000])
def test_threads(n: int) -> None:
    usual, direct = made(n, lambda x: np.exp(x) * np.sin(x))
    points = [np.linspace(0.0, 1.0 + k, n) for k in range(8)]
    expected = [usual(x)[0] for x in points]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: direct(points[k % 8])[0], range(200)))
    for k, value in enumerate(found):
        np.testing.assert_array_equal(value, expected[k % 8])
