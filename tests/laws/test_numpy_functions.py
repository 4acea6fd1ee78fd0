"""NumPy's functions, methods, operators and indexing give on expressions what they give on numbers.

The tables are those of the library; an entry without a sample call fails. A call is a function of arrays
whose parameters name them: it is run on the numbers, and on variables of the same shapes.
"""

from __future__ import annotations

import inspect
import itertools
import warnings
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import scipy.special as sc
from hypothesis import given, settings
from hypothesis import strategies as st

import adjoint as adj
from adjoint.backends import BACKENDS
from adjoint.derivatives import jvp
from adjoint.expr import Expr, Variable, as_expr
from adjoint.primitive import FUNCTIONS, METHODS, UFUNC_METHODS, UFUNCS, ufunc_builder
from tests.laws.calls import (
    DATA,
    FUNCTION_CALLS,
    MASK,
    METHOD_CALLS,
    OPERATOR_CALLS,
    UFUNC_CALLS,
    UFUNC_METHOD_CALLS,
    Call,
)
from tests.laws.unusual_calls import UNUSUAL

assert ufunc_builder(sc.expit)  # SciPy's special functions enter the table when they are first used

# -- the law -------------------------------------------------------------------------------------------------


def flat(out: Any) -> list[Any]:
    """Results in lists and tuples, one after the other."""
    if isinstance(out, (list, tuple)):
        return [leaf for item in out for leaf in flat(item)]
    return [out.mask() if isinstance(out, adj.Comparison) else out]


def label(call: Call) -> str:
    return f"line {call.__code__.co_firstlineno}, of {', '.join(inspect.signature(call).parameters)}"


def leaves_of(call: Call) -> dict[Variable, Any]:
    return {Variable(n, np.shape(DATA[n])): DATA[n] for n in inspect.signature(call).parameters}


def on_numbers(call: Call, **moved: Any) -> list[Any]:
    with np.errstate(all="ignore"):
        return [
            np.asarray(r)
            for r in flat(call(*[moved.get(n, DATA[n]) for n in inspect.signature(call).parameters]))
        ]


def evaluate(outputs: list[Any], values: dict[Variable, Any]) -> list[Any]:
    function = BACKENDS["numpy"].compile(list(values), outputs)
    with np.errstate(all="ignore"):
        return list(function(*values.values()))


def check_call(call: Call) -> None:
    """Value and shape as NumPy's; the derivative as the difference of NumPy's."""
    values = leaves_of(call)
    expected = on_numbers(call)
    results = flat(call(*values))
    assert len(results) == len(expected), label(call)
    pairs = [(r, e) for r, e in zip(results, expected, strict=True) if isinstance(r, Expr)]
    for result, number in zip(results, expected, strict=True):
        if not isinstance(result, Expr):
            np.testing.assert_array_equal(result, number, err_msg=label(call))
    exprs = [r for r, _ in pairs]
    for actual, r, (_, number) in zip(evaluate(exprs, values), exprs, pairs, strict=True):
        assert r.shape == number.shape, f"{label(call)}: shape {r.shape}, NumPy's {number.shape}"
        assert np.shape(actual) == number.shape, label(call)
        np.testing.assert_allclose(actual, number * 1.0, rtol=1e-12, atol=1e-13, err_msg=label(call))
    rng = np.random.default_rng(5)
    dot = {v: Variable(f"d{v.name}", v.shape) for v in values}
    along = {v.name: rng.normal(size=v.shape)[()] for v in values}
    tangents = evaluate(jvp(exprs, dot), values | {d: along[v.name] for v, d in dot.items()})
    h = 1e-6
    up, down = (on_numbers(call, **{n: DATA[n] + s * along[n] for n in along}) for s in (h, -h))
    differences = [
        (u * 1.0 - d) / (2 * h) for r, u, d in zip(results, up, down, strict=True) if isinstance(r, Expr)
    ]
    for actual, difference in zip(tangents, differences, strict=True):
        scale = max(1.0, np.abs(difference).max(initial=0.0))
        np.testing.assert_allclose(actual, difference, rtol=1e-6, atol=1e-6 * scale, err_msg=label(call))


def spied(monkeypatch: pytest.MonkeyPatch, table: dict[Any, Any], key: Any) -> list[int]:
    """Count the uses of an entry, so that a sample cannot be one of something else."""
    used: list[int] = []
    builder = table[key]

    def spy(*args: Any, **kwargs: Any) -> Any:
        used.append(1)
        return builder(*args, **kwargs)

    monkeypatch.setitem(table, key, spy)
    return used


def cases(table: dict[Any, Any], calls: dict[Any, list[Call]]) -> list[Any]:
    """One parameter set per entry of the library's table, with its calls (none: the test fails)."""
    names = [
        k if isinstance(k, str) else getattr(k, "__name__", None) or f"{k[0].__name__}.{k[1]}" for k in table
    ]
    return [pytest.param(k, calls.get(k, []), id=n) for k, n in zip(table, names, strict=True)]


def check_entry(monkeypatch: pytest.MonkeyPatch, table: dict[Any, Any], key: Any, calls: list[Call]) -> None:
    assert calls, f"add sample calls of {key} to the table of this file: the laws are then tested on it"
    used = spied(monkeypatch, table, key)
    for call in calls:
        used.clear()
        check_call(call)
        assert used, f"{label(call)} does not call {key}"


@pytest.mark.parametrize(("key", "calls"), cases(UFUNCS, UFUNC_CALLS))
def test_ufunc(key: Any, calls: list[Call], monkeypatch: pytest.MonkeyPatch) -> None:
    check_entry(monkeypatch, UFUNCS, key, calls)


@pytest.mark.parametrize(("key", "calls"), cases(FUNCTIONS, FUNCTION_CALLS))
def test_function(key: Any, calls: list[Call], monkeypatch: pytest.MonkeyPatch) -> None:
    check_entry(monkeypatch, FUNCTIONS, key, calls)


@pytest.mark.parametrize(("key", "calls"), cases(UFUNC_METHODS, UFUNC_METHOD_CALLS))
def test_ufunc_method(key: Any, calls: list[Call], monkeypatch: pytest.MonkeyPatch) -> None:
    check_entry(monkeypatch, UFUNC_METHODS, key, calls)


@pytest.mark.parametrize(("key", "calls"), cases(METHODS, METHOD_CALLS))
def test_method(key: Any, calls: list[Call], monkeypatch: pytest.MonkeyPatch) -> None:
    check_entry(monkeypatch, METHODS, key, calls)


@pytest.mark.parametrize("call", OPERATOR_CALLS, ids=lambda c: f"line{c.__code__.co_firstlineno}")
def test_operator(call: Call) -> None:
    check_call(call)


# -- NaN and infinities --------------------------------------------------------------------------------------

SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 2.0, 1e308, 5e-324])
PLAIN = [u for u in UFUNCS if u not in (np.matmul, np.vecdot) and "d->d" in u.types or "dd->d" in u.types]


@pytest.mark.parametrize("ufunc", [u for u in PLAIN if u.signature is None], ids=lambda u: u.__name__)
def test_special_values(ufunc: Any) -> None:
    """NaN and infinities propagate as NumPy's."""
    grid = np.array(list(itertools.product(SPECIAL, repeat=ufunc.nin))).T
    values = {Variable(f"x{k}", column.shape): column for k, column in enumerate(grid)}
    with np.errstate(all="ignore"):
        expected = ufunc(*grid)
    (actual,) = evaluate([as_expr(ufunc(*values))], values)
    with np.errstate(all="ignore"):
        same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
        same |= np.abs(actual - expected) <= 1e-13 * np.abs(expected)
    wrong = [
        f"{ufunc.__name__}{tuple(map(float, grid[:, i]))} = {actual[i]}, NumPy's {expected[i]}"
        for i in np.flatnonzero(~same)
    ]
    assert not wrong, "\n".join(wrong[:8])


# -- indexing ------------------------------------------------------------------------------------------------

INDICES: list[tuple[str, Any]] = [
    ("x", 0),
    ("x", -1),
    ("x", np.int64(2)),
    ("x", slice(None)),
    ("x", slice(1, 3)),
    ("x", slice(None, None, -1)),
    ("x", slice(-3, None, 2)),
    ("x", slice(3, 0, -2)),
    ("x", slice(7, 9)),
    ("x", slice(np.int64(1), np.int32(3))),
    ("x", None),
    ("x", ...),
    ("x", (..., 0)),
    ("x", ()),
    ("s", ()),
    ("s", ...),
    ("s", None),
    ("s", (None, None)),
    ("x", [0, 2, 2]),
    ("x", [-1]),
    ("x", []),
    ("x", np.array([[0, 1], [3, -2]])),
    ("x", np.array(2)),
    ("x", range(2)),
    ("x", MASK),
    ("x", MASK.tolist()),
    ("x", ~MASK & MASK),
    ("x", np.array([], dtype=int)),
    ("x", True),
    ("x", np.True_),
    ("x", False),
    ("A", 1),
    ("A", (1, -1)),
    ("A", (slice(None), 2)),
    ("A", (slice(None, None, 2), slice(None, None, -3))),
    ("A", (..., None, 1)),
    ("A", (None, 0, None)),
    ("A", ([0, 2], [1, 3])),
    ("A", ([0, 2], 1)),
    ("A", (slice(None), [3, 0, 0])),
    ("A", ([2, 0], slice(1, None))),
    ("A", (np.array([[0], [2]]), np.array([1, 3, 0]))),
    ("A", np.ix_([0, 2], [1, 3])),
    ("A", (slice(None), MASK)),
    ("A", (1, MASK)),
    ("A", np.arange(12).reshape(3, 4) % 3 == 0),
    ("A", (np.array([True, False, True]), slice(None))),
    ("A", (np.array([True, False, True]), [1, 2])),
    ("A", np.triu_indices(3)),
    ("A", np.diag_indices(3)),
    ("C", 1),
    ("C", (..., 0)),
    ("C", (0, ..., 0)),
    ("C", (slice(None), None, 1, slice(1, 3))),
    ("C", (0, slice(None), [1, 2])),
    ("C", ([0, 1], slice(None), [1, 2])),
    ("C", (slice(None), [0, 2], [1, 3])),
    ("C", ([0, 1], None, [0, 2])),
    ("C", (..., [3, 1])),
    ("C", ([1], ..., 2)),
    ("C", (slice(None), np.array([True, False, True]))),
    ("C", (0, np.arange(12).reshape(3, 4) > 5)),
    ("C", (np.array([[0], [1]]), slice(None), np.array([[1, 2]]))),
    ("e", slice(None)),
    ("e", []),
    ("e", None),
]
WRONG_INDICES: list[tuple[str, Any]] = [
    ("x", 4),
    ("x", -5),
    ("x", (0, 0)),
    ("x", [4]),
    ("x", [0.5]),
    ("x", 1.0),
    ("x", "name"),
    ("x", np.array([True, False])),
    ("x", (..., ...)),
    ("x", slice(0.5, 2)),
    ("x", slice("a", None)),
    ("x", slice(None, None, 0)),
    ("A", (3, 0)),
    ("A", ([0, 1], [0, 1, 2])),
    ("A", np.ones((4, 3), dtype=bool)),
    ("s", 0),
    ("s", slice(None)),
    ("e", 0),
]


def _shown(item: Any) -> str:
    return str(item).replace("\n", "") if not isinstance(item, str) else item


@pytest.mark.parametrize(("name", "index"), INDICES, ids=_shown)
def test_index(name: str, index: Any) -> None:
    check_index(DATA[name], index)


def check_index(number: Any, index: Any) -> None:
    v = Variable("v", np.shape(number))
    expected = np.asarray(number)[index]
    result = v[index]
    assert result.shape == expected.shape
    (actual,) = evaluate([result], {v: number})
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(("name", "index"), WRONG_INDICES, ids=_shown)
def test_wrong_index(name: str, index: Any) -> None:
    with pytest.raises((IndexError, TypeError, ValueError)):
        np.asarray(DATA[name])[index]
    with pytest.raises(adj.AdjointError, match="v"):
        Variable("v", np.shape(DATA[name]))[index]


SIZES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


@settings(max_examples=150)
@given(st.data())
def test_any_basic_index(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    check_index(np.arange(np.prod(shape, dtype=int)).reshape(shape) * 1.0, index)


@settings(max_examples=150)
@given(st.data())
def test_any_mixed_index(data: st.DataObject) -> None:
    """Each axis gets an integer, a slice or an integer array; the arrays broadcast; newaxis anywhere."""
    shape = data.draw(SIZES)
    common = data.draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=1, max_side=3))
    index: list[Any] = []
    for n in shape[: data.draw(st.integers(1, len(shape)))]:
        kind = data.draw(st.sampled_from(["int", "slice", "array", "new"]))
        if kind == "new":
            index.append(None)
        if kind == "int":
            index.append(data.draw(st.integers(-n, n - 1)))
        elif kind == "array":
            index.append(data.draw(hnp.arrays(int, common, elements=st.integers(-n, n - 1))))
        else:
            index.append(data.draw(st.slices(n)))
    check_index(np.arange(np.prod(shape)).reshape(shape) * 1.0, tuple(index))


@settings(max_examples=50)
@given(st.data())
def test_any_mask(data: st.DataObject) -> None:
    shape = data.draw(SIZES)
    mask = data.draw(hnp.arrays(bool, shape[: data.draw(st.integers(1, len(shape)))]))
    check_index(np.arange(np.prod(shape)).reshape(shape) * 1.0, mask)


# -- what is not there, and calls that are wrong -------------------------------------------------------------


@pytest.mark.parametrize("call", UNUSUAL, ids=lambda c: f"line{c.__code__.co_firstlineno}")
def test_unusual_call(call: Call) -> None:
    values = leaves_of(call)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = on_numbers(call)
        except Exception:
            expected = None
        try:
            results = flat(call(*values))
        except adj.AdjointError:
            return
        except AttributeError as error:  # what Python asks of a missing attribute
            assert "has no attribute" in str(error)
            return
        shown = [r if isinstance(r, Expr) else np.asarray(r) for r in results]
        assert expected is not None, f"NumPy refuses this call, the library gives {shown}"
        assert len(results) == len(expected)
        actual = evaluate([as_expr(r) for r in results], values)
        for a, e in zip(actual, expected, strict=True):
            assert np.shape(a) == e.shape, f"shape {np.shape(a)}, NumPy's {e.shape}"
            np.testing.assert_allclose(a, e * 1.0, rtol=1e-12, atol=1e-13)


def _ufuncs() -> dict[str, Any]:
    found = {}
    for module in (np, sc):
        for name in sorted(dir(module)):
            item = getattr(module, name)
            if isinstance(item, np.ufunc) and item not in UFUNCS and item.nin <= 5:
                found[f"{module.__name__}.{name}"] = item
    return found


def test_other_ufuncs_are_named() -> None:
    """Every ufunc that is not in the table raises UnsupportedError, with its name and the ways out."""
    x = Variable("x", (4,))
    for name, ufunc in _ufuncs().items():
        with pytest.raises(adj.UnsupportedError) as raised:
            ufunc(*[x] * ufunc.nin)
        assert isinstance(raised.value, TypeError)
        for word in (ufunc.__name__, "m.external(", "primitives"):
            assert word in str(raised.value), f"{name}: {raised.value}"


@pytest.mark.parametrize(
    "call",
    [lambda x: np.subtract.outer(x, x), lambda x: np.add.reduceat(x, [0, 2]), lambda x: np.divide.reduce(x)],
)
def test_other_ufunc_methods_are_named(call: Call) -> None:
    with pytest.raises(
        adj.UnsupportedError, match=r"(subtract\.outer|add\.reduceat|divide\.reduce).*m\.external"
    ):
        call(Variable("x", (4,)))


def _dispatched() -> dict[str, Any]:
    kind = type(np.sum)
    found = {}
    for module in (np, np.linalg, np.fft):
        for name in sorted(dir(module)):
            item = getattr(module, name)
            if (
                isinstance(item, kind) and item not in FUNCTIONS and not name.startswith("save")
            ):  # writes files
                found[f"{module.__name__}.{name}"] = item
    return found


@pytest.mark.parametrize(
    ("name", "function"), _dispatched().items(), ids=lambda p: p if isinstance(p, str) else ""
)
def test_other_functions_are_named(name: str, function: Any) -> None:
    """Every function of NumPy that asks its arguments, and is not in the table, raises UnsupportedError."""
    x = Variable("x", (3, 3))
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        pytest.skip("its signature is not known")
    needed = [
        p
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    with pytest.raises(adj.UnsupportedError, match=r"m\.external") as raised:
        function(*[x] * max(1, len(needed)))
    assert function.__name__ in str(raised.value)


MENTIONED = [
    "sort",
    "argmax",
    "median",
    "unique",
    "allclose",
    "nonzero",
    "percentile",
    "histogram",
    "searchsorted",
]


@pytest.mark.parametrize("name", MENTIONED)
def test_well_known_functions_are_among_them(name: str) -> None:
    assert f"numpy.{name}" in _dispatched()
