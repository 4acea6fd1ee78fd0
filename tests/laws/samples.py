"""Sample arguments for every row of the table of primitives: what the laws are tested on.

A row without samples fails ``test_every_row_has_samples``. For an elementwise row one line is enough: its
reference in NumPy or SciPy, and the interval that each argument is drawn from (away from kinks and poles).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.special

import adjoint as adj
from adjoint.inner import argmin, root
from adjoint.primitive import Static
from tests.loops.loops import BACKWARDS, FEW, LOOP, WANTED, pulled, scanned

Interval = tuple[float, float]
Intervals = Interval | tuple[Interval, ...]


@dataclass(frozen=True)
class Case:
    """Arguments and parameters of one node.

    ``held`` arguments are constants; ``still`` ones are variables that do not move (the mask of ``where``).
    """

    arrays: tuple[Any, ...]
    params: tuple[Any, ...] = ()
    held: tuple[int, ...] = ()
    still: tuple[int, ...] = ()

    def __str__(self) -> str:
        shapes = ", ".join(str(np.shape(a)) for a in self.arrays)
        marks = f" held {self.held}" if self.held else ""
        return f"shapes {shapes}{marks} params {self.params}"


@dataclass(frozen=True)
class Kink:
    """Arguments at a kink, and the partial derivatives that are the convention there."""

    case: Case
    partials: tuple[Any, ...]


@dataclass(frozen=True)
class Sample:
    """What is known about a row from outside the library.

    ``order``: how many derivatives it has. ``differences`` False: the derivative is zero by definition,
    whatever the values do. ``special`` False: there is no one meaning of NaN and infinite arguments.
    """

    reference: Callable[..., Any]
    cases: tuple[Case, ...]
    kinks: tuple[Kink, ...] = ()
    order: int = 2
    differences: bool = True
    special: bool = True


UNARY = ((), (3,), (2, 3), (1,), (1, 1), (0,), (2, 0))
SHAPES: dict[int, tuple[tuple[tuple[int, ...], ...], ...]] = {
    1: tuple((s,) for s in UNARY),
    2: (
        ((), ()),
        ((3,), (3,)),
        ((), (3,)),
        ((3,), ()),
        ((2, 3), (3,)),
        ((3, 1), (1, 2)),
        ((1,), (3,)),
        ((1, 1), (2, 2)),
        ((), (1, 1)),
        ((0,), (1,)),
        ((2, 0), ()),
        ((3, 1), (0,)),
    ),
    3: (
        ((), (), ()),
        ((3,), (3,), (3,)),
        ((), (2, 3), (3,)),
        ((2, 1), (3,), ()),
        ((2, 3), (1, 1), (2, 1)),
        ((0,), (), (1,)),
    ),
}


def draw(rng: np.random.Generator, intervals: Intervals, shape: tuple[int, ...]) -> Any:
    """Numbers from an interval, or from a union of intervals."""
    parts = np.array(intervals if isinstance(intervals[0], tuple) else (intervals,))
    which = parts[rng.integers(len(parts), size=shape)]
    return np.float64(1.0) * rng.uniform(which[..., 0], which[..., 1])


def _rng(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def elementwise(reference: Any, *domains: Intervals, params: tuple[Any, ...] = (), **more: Any) -> Sample:
    """An elementwise row: every combination of shapes that broadcasts, and each argument held."""
    rng = _rng(getattr(reference, "__name__", "") + str(domains))
    cases = [
        Case(tuple(draw(rng, d, s) for d, s in zip(domains, shapes, strict=True)), params)
        for shapes in SHAPES[len(domains)]
    ]
    if len(domains) > 1:
        for k in range(len(domains)):
            arrays = tuple(draw(rng, d, (2, 3) if i == k else (3,)) for i, d in enumerate(domains))
            cases.append(Case(arrays, params, held=(k,)))
    cases += more.pop("also", [])
    return Sample(reference, tuple(cases), **more)


def kink(arguments: Any, partials: Any, *params: Any) -> Kink:
    """A kink of an elementwise row."""
    arrays = tuple(np.asarray(a, dtype=float)[()] for a in arguments)
    return Kink(Case(arrays, params), tuple(np.asarray(p, dtype=float)[()] for p in partials))


R = _rng("arrays")
VECTOR, MATRIX, CUBE = R.normal(size=4), R.normal(size=(3, 4)), R.normal(size=(2, 3, 4))
SIGNED: Intervals = (-3.0, 3.0)
POSITIVE: Intervals = (0.2, 3.0)
NONZERO: Intervals = ((-3.0, -0.3), (0.3, 3.0))
UNIT: Intervals = (-0.9, 0.9)
BETWEEN: Intervals = ((-1.9, -1.6), (-0.4, -0.1), (0.1, 0.4), (1.6, 1.9))  # between whole and half numbers
ZERO_ONE: Intervals = ((0.0, 0.0), (1.0, 1.0))


def comparison(ufunc: Any, kinked: bool = True) -> Sample:
    ties = (kink([1.0, 1.0], [0.0, 0.0]), kink([[1.0, 2.0], 2.0], [[0.0, 0.0], 0.0])) if kinked else ()
    return elementwise(lambda a, b: ufunc(a, b) * 1.0, SIGNED, SIGNED, kinks=ties)


def step(ufunc: Any, *at: float) -> Sample:
    return elementwise(ufunc, BETWEEN, kinks=tuple(kink([x], [0.0]) for x in at))


# -- tables --------------------------------------------------------------------------------------------------

XP, FP = np.array([-2.0, -0.5, 1.0, 2.0]), np.array([1.0, -1.0, 2.0, 2.5])
TABLE = (Static(XP), Static(FP))
SLOPES = np.append(np.diff(FP) / np.diff(XP), 0.0)
INSIDE: Intervals = ((-3.0, -2.1), (-1.9, -0.6), (-0.4, 0.9), (1.1, 1.9), (2.1, 3.0))


def slope_reference(x: Any, xp: Static, fp: Static) -> Any:
    """Slope to the right of x: 0 outside the table; NaN stays NaN."""
    out = np.zeros(np.shape(x))
    for a, b, slope in zip(XP[:-1], XP[1:], SLOPES[:-1], strict=True):
        out = np.where((x >= a) & (x < b), slope, out)
    return np.where(np.isnan(x), np.nan, out)[()]


# -- linear, bilinear, reductions, general -------------------------------------------------------------------


def arrays(reference: Any, *cases: Case, **more: Any) -> Sample:
    return Sample(reference, cases, **more)


def one(array: Any, *params: Any) -> Case:
    return Case((array,), params)


def thaw(index: Any) -> Any:
    return tuple(slice(*i[1:]) if isinstance(i, tuple) else i for i in index)


def cut(*parts: int | None) -> tuple[Any, ...]:
    """A slice as a parameter of ``getitem``."""
    return ("slice", *parts)


def embed_reference(x: Any, index: Any, shape: Any) -> Any:
    out = np.zeros(shape)
    out[thaw(index)] = x
    return out


def scatter_reference(x: Any, index: Static, shape: Any) -> Any:
    out = np.zeros(shape)
    np.add.at(out.reshape(-1), index.array, x)
    return out[()]


def positions(*values: Any, shape: tuple[int, ...] | None = None) -> Static:
    out = np.array(values, dtype=np.intp)
    return Static(out if shape is None else out.reshape(shape))


def reduction_cases() -> tuple[Case, ...]:
    spread = _rng("reduction").permutation(24).reshape(2, 3, 4) * 0.37 - 3.0  # no ties
    return (
        one(spread, (0,)),
        one(spread, (1,)),
        one(spread, (0, 2)),
        one(spread, (0, 1, 2)),
        one(spread[0, 0], (0,)),
        one(spread[:1, :1, 0], (0, 1)),
        one(spread[:1, 0], (0,)),
        one(np.zeros((3, 0)), (0,)),
    )


_G = _rng("general")
REGULAR = _G.normal(size=(3, 3)) + 3.0 * np.eye(3)
REFLECTED = REGULAR[[1, 0, 2]]  # negative determinant
SPARSE = sp.csr_array(np.array([[1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, -1.5, 0.5, 3.0]]))


def external(name: str, fun: Any, shapes: list[tuple[int, ...]], shape: tuple[int, ...], jac: Any = None) -> Any:
    """A black box, as the parameter of its row."""
    m = adj.Program()
    m.external(name, fun, [m.input(f"x{k}", shape=s) for k, s in enumerate(shapes)], shape, jac)
    return m.equations[name].expr.params[0]


def _box(name: str, jac: Any) -> Any:
    return external(name, lambda x, y: np.array([np.sin(x[0]) * y, x[1] ** 2 + y]), [(2,), ()], (2,), jac)


def _box_jacobian(x: Any, y: Any) -> tuple[Any, Any]:
    dx = np.array([[np.cos(x[0]) * y, 0.0], [0.0, 2 * x[1]]])
    return dx, np.array([np.sin(x[0]), 1.0])


EXACT = _box("exact", _box_jacobian)
DIFFERENCED = _box("differenced", None)


def _gram_jacobian(x: Any) -> Any:
    """∂(xᵀx)_ij/∂x_pq = δ_iq x_pj + x_pi δ_jq, given as a matrix."""
    eye = np.eye(2)
    return (np.einsum("iq,pj->ijpq", eye, x) + np.einsum("pi,jq->ijpq", x, eye)).reshape(4, 4)


FLAT = external("flat", lambda x: x.T @ x, [(2, 2)], (2, 2), _gram_jacobian)
ONE_SPARSE = external("sparse", lambda x: x**2, [(3,)], (3,), lambda x: sp.diags_array(2 * x))
SCALAR = external("scalar", lambda x: x**3, [()], (), lambda x: 3 * x**2)
POINT = (np.array([0.3, -1.2]), np.float64(0.7))


def inner(solve: Callable[..., Any], fun: Callable[..., Any], guess: Any, *shapes: tuple[int, ...]) -> Any:
    """An inner problem, as the parameter of its row."""
    m = adj.Program()
    return solve(fun, guess, *(m.input(f"p{k}", shape=s) for k, s in enumerate(shapes))).params[0]


def _cubic_root(a: Any, b: Any) -> Any:
    """y with y³ + y = a b, by Cardano's formula."""
    half = a * b / 2
    return np.cbrt(half + np.sqrt(half**2 + 1 / 27)) + np.cbrt(half - np.sqrt(half**2 + 1 / 27))


CUBIC = inner(root, lambda y, a, b: y**3 + y - a * b, np.ones(3), (3,), ())
LINEAR = inner(root, lambda y, A, b: A @ y - b, np.ones(2), (2, 2), (2,))
QUADRATIC = inner(argmin, lambda y, A, b: 0.5 * y @ ((A.T @ A) @ y) - b @ y, np.ones(2), (2, 2), (2,))
SCALAR_ROOT = inner(root, lambda y, a, b: y**3 + y - a * b, 1.0, (), ())
COUPLING = np.array([[2.0, 0.3], [-0.4, 1.5]])
RIGHT = np.array([0.7, -1.1])
VALUES, FACTOR = np.array([0.5, -2.0, 3.0]), np.float64(1.3)


def _root_reference(a: Any, b: Any, problem: Any) -> Any:
    if problem in (CUBIC, SCALAR_ROOT):
        return _cubic_root(a, b)
    return np.linalg.solve(a if problem is LINEAR else a.T @ a, b)


def _root_solve_reference(y: Any, a: Any, b: Any, right: Any, problem: Any, transpose: bool) -> Any:
    if problem in (CUBIC, SCALAR_ROOT):
        return right / (3 * y**2 + 1)
    matrix = a if problem is LINEAR else a.T @ a
    return np.linalg.solve(matrix.T if transpose else matrix, right)


AT = (np.array([0.4, -1.1]), np.array([0.7]), np.array([0.3, 1.2, -0.5, 0.8, 0.1, -0.9]))  # of a loop: c, p, x
BACK = (np.array([0.6, -0.2]), np.array([1.0, 0.4, -0.7, 0.2, 0.9, -1.3]))  # cotangents of its end and outputs

SAMPLES: dict[str, Sample] = {
    # arithmetic
    "add": elementwise(np.add, SIGNED, SIGNED),
    "subtract": elementwise(np.subtract, SIGNED, SIGNED),
    "multiply": elementwise(np.multiply, SIGNED, SIGNED),
    "divide": elementwise(np.divide, SIGNED, NONZERO),
    "negative": elementwise(np.negative, SIGNED),
    "power": elementwise(
        np.power,
        POSITIVE,
        SIGNED,
        also=[Case((np.array([-1.5, -0.5, 2.0, -0.7]), np.array([2.0, 3.0, -1.0, 5.0])), held=(1,))],
    ),
    # comparisons
    "==": comparison(np.equal, kinked=False),
    "!=": comparison(np.not_equal, kinked=False),
    "<": comparison(np.less),
    "<=": comparison(np.less_equal),
    ">": comparison(np.greater),
    ">=": comparison(np.greater_equal),
    "heaviside": elementwise(np.heaviside, NONZERO, (0.0, 1.0), kinks=(kink([0.0, 0.3], [0.0, 0.0]),)),
    "where": Sample(
        lambda m, a, b: np.where(m != 0.0, a, b),
        tuple(
            Case(c.arrays, held=c.held, still=(0,) if 0 not in c.held else ())
            for c in elementwise(np.where, ZERO_ONE, SIGNED, SIGNED).cases
        ),
    ),
    # exponentials, logarithms, powers
    "exp": elementwise(np.exp, SIGNED),
    "exp2": elementwise(np.exp2, SIGNED),
    "expm1": elementwise(np.expm1, SIGNED),
    "log": elementwise(np.log, POSITIVE),
    "log2": elementwise(np.log2, POSITIVE),
    "log10": elementwise(np.log10, POSITIVE),
    "log1p": elementwise(np.log1p, (-0.8, 3.0)),
    "sqrt": elementwise(np.sqrt, POSITIVE),
    "square": elementwise(np.square, SIGNED),
    "reciprocal": elementwise(np.reciprocal, NONZERO),
    "cbrt": elementwise(np.cbrt, NONZERO),
    # trigonometric and hyperbolic
    "sin": elementwise(np.sin, SIGNED),
    "cos": elementwise(np.cos, SIGNED),
    "tan": elementwise(np.tan, (-1.3, 1.3)),
    "arcsin": elementwise(np.arcsin, UNIT),
    "arccos": elementwise(np.arccos, UNIT),
    "arctan": elementwise(np.arctan, SIGNED),
    "sinh": elementwise(np.sinh, SIGNED),
    "cosh": elementwise(np.cosh, SIGNED),
    "tanh": elementwise(np.tanh, SIGNED),
    "arcsinh": elementwise(np.arcsinh, SIGNED),
    "arccosh": elementwise(np.arccosh, (1.2, 4.0)),
    "arctanh": elementwise(np.arctanh, UNIT),
    "arctan2": elementwise(np.arctan2, NONZERO, NONZERO),
    "hypot": elementwise(
        np.hypot,
        NONZERO,
        NONZERO,
        kinks=(kink([0.0, 0.0], [0.0, 0.0]), kink([[0.0, 3.0], [0.0, 4.0]], [[0, 0.6], [0, 0.8]])),
    ),
    # kinked and piecewise constant
    "sign": elementwise(np.sign, NONZERO, kinks=(kink([0.0], [0.0]),)),
    "absolute": elementwise(np.absolute, NONZERO, kinks=(kink([0.0], [0.0]), kink([[0.0, -2.0]], [[0.0, -1.0]]))),
    "relu": elementwise(
        lambda x: np.maximum(x, 0.0), NONZERO, kinks=(kink([0.0], [0.0]), kink([[0.0, 2.0]], [[0.0, 1.0]]))
    ),
    "maximum": elementwise(np.maximum, (-3.0, 0.0), ((-3.0, -2.9), (0.1, 3.0)), kinks=(kink([1.0, 1.0], [0.5, 0.5]),)),
    "minimum": elementwise(np.minimum, (-3.0, 0.0), ((-3.0, -2.9), (0.1, 3.0)), kinks=(kink([1.0, 1.0], [0.5, 0.5]),)),
    "floor": step(np.floor, 2.0, 0.0, -1.0),
    "ceil": step(np.ceil, 2.0, 0.0, -1.0),
    "rint": step(np.rint, 0.5, 1.5, 2.5, -0.5, -1.5),
    "trunc": step(np.trunc, 1.0, 2.0, -1.0),
    "stop_gradient": elementwise(lambda x: x, SIGNED, differences=False),
    # special functions
    "expit": elementwise(scipy.special.expit, SIGNED),
    "logaddexp": elementwise(np.logaddexp, SIGNED, SIGNED),
    "softplus": elementwise(lambda x: np.logaddexp(x, 0.0), SIGNED),
    "erf": elementwise(scipy.special.erf, SIGNED),
    "erfc": elementwise(scipy.special.erfc, SIGNED),
    "gamma": elementwise(scipy.special.gamma, ((-1.8, -1.2), (-0.8, -0.2), (0.4, 4.0))),
    "gammaln": elementwise(scipy.special.gammaln, ((-1.8, -1.2), (-0.8, -0.2), (0.4, 4.0))),
    "digamma": elementwise(scipy.special.digamma, ((-0.8, -0.2), (0.4, 4.0))),
    "polygamma": elementwise(
        lambda x, n: scipy.special.polygamma(n, x),
        POSITIVE,
        params=(1,),
        also=[one(np.array([0.5, 2.0]), 2), one(np.float64(1.5), 3)],
    ),
    # tables
    "interp": elementwise(
        lambda x, xp, fp: np.interp(x, XP, FP), INSIDE, params=TABLE, kinks=(kink([XP], [SLOPES], *TABLE),)
    ),
    "interp_slope": elementwise(slope_reference, INSIDE, params=TABLE),
    "is_knot": elementwise(
        lambda x, xp: np.isin(x, XP) * 1.0,
        INSIDE,
        params=TABLE[:1],
        also=[one(XP.copy(), TABLE[0])],
        differences=False,
    ),
    # moving elements
    "reshape": arrays(
        np.reshape,
        one(MATRIX, (12,)),
        one(MATRIX, (2, 3, 2)),
        one(VECTOR[:1], ()),
        one(VECTOR[0], (1, 1)),
        one(np.zeros((0, 2)), (0,)),
    ),
    "transpose": arrays(
        np.transpose,
        one(MATRIX, (1, 0)),
        one(CUBE, (2, 0, 1)),
        one(CUBE, (1, 2, 0)),
        one(np.zeros((0, 2)), (1, 0)),
    ),
    "broadcast_to": arrays(
        np.broadcast_to,
        one(VECTOR[0], (2, 3)),
        one(VECTOR, (3, 4)),
        one(MATRIX[:, :1], (2, 3, 4)),
        one(VECTOR[:1], (0,)),
        one(np.zeros((1, 0)), (3, 0)),
    ),
    "sum": arrays(
        lambda x, axes: np.sum(x, axis=axes),
        one(MATRIX, (0,)),
        one(MATRIX, (0, 1)),
        one(CUBE, (0, 2)),
        one(CUBE, (1,)),
        one(VECTOR, (0,)),
        one(VECTOR[:1], (0,)),
        one(np.zeros((0, 2)), (0,)),
        one(np.zeros((0, 2)), (1,)),
    ),
    "getitem": arrays(
        lambda x, index: x[thaw(index)],
        one(MATRIX, (1,)),
        one(MATRIX, (-1, 2)),
        one(MATRIX, (cut(None, None, -1), cut(1, None, 2))),
        one(CUBE, (Ellipsis, None, 0)),
        one(CUBE, (1, Ellipsis, cut(0, 0, None))),
        one(VECTOR[0], (None,)),
        one(VECTOR[0], ()),
        one(VECTOR, (cut(5, 9, None),)),
    ),
    "embed": arrays(
        embed_reference,
        one(VECTOR, (cut(1, 5, None),), (6,)),
        one(VECTOR, (1,), (3, 4)),
        one(VECTOR[0], (2, 1), (3, 2)),
        one(MATRIX, (cut(None, None, -1), cut(None, None, 2)), (3, 8)),
        one(np.zeros((0,)), (cut(0, 0, None),), (3,)),
    ),
    "take": arrays(
        lambda x, index: np.take(x, index.array),
        one(VECTOR, positions(3, 0, 0, 2)),
        one(MATRIX, positions(11, 0, 5, 5, 1, 2, shape=(2, 3))),
        one(VECTOR[0], positions(0, 0)),
        one(VECTOR, Static(np.array(2))),
        one(VECTOR, Static(np.zeros((0, 2), dtype=np.intp))),
    ),
    "scatter_add": arrays(
        scatter_reference,
        one(VECTOR, positions(0, 2, 2, 5), (6,)),
        one(MATRIX, positions(*range(6), *range(6), shape=(3, 4)), (2, 3)),
        one(VECTOR, positions(0, 0, 0, 0), ()),
        one(VECTOR[0], Static(np.array(1)), (3,)),
        one(np.zeros(0), Static(np.zeros(0, dtype=np.intp)), (2,)),
    ),
    "concatenate": arrays(
        lambda *xs: np.concatenate(xs[:-1], axis=xs[-1]),
        Case((VECTOR, VECTOR[:2] + 1.0), (0,)),
        Case((MATRIX, MATRIX[:1] - 1.0, MATRIX[1:]), (0,)),
        Case((MATRIX, MATRIX[:, :1]), (1,)),
        Case((VECTOR, np.zeros(0)), (0,)),
        Case((VECTOR, VECTOR[:3]), (0,), held=(1,)),
    ),
    "cumsum": arrays(
        lambda x, axis: np.cumsum(x, axis=axis),
        one(VECTOR, 0),
        one(MATRIX, 0),
        one(MATRIX, 1),
        one(CUBE, 1),
        one(VECTOR[:1], 0),
        one(np.zeros((2, 0)), 1),
    ),
    # products
    "matmul": arrays(
        np.matmul,
        Case((MATRIX, MATRIX.T + 1.0)),
        Case((CUBE, np.moveaxis(CUBE, 1, 2) - 0.5)),
        Case((MATRIX[:1, :1], MATRIX[:1])),
        Case((MATRIX, np.where(MATRIX.T > 0, MATRIX.T, 0.0)), held=(1,)),
        Case((np.eye(3), MATRIX), held=(0,)),
        Case((np.zeros((3, 0)), np.zeros((0, 2)))),
        Case((np.zeros((0, 4)), MATRIX.T)),
    ),
    "sparse_product": arrays(
        lambda x, matrix: matrix.array.toarray() @ x,
        one(VECTOR, Static(SPARSE)),
        one(MATRIX.T, Static(SPARSE)),
        one(VECTOR[:1], Static(sp.csr_array((2, 1)))),
        one(np.zeros((4, 0)), Static(SPARSE)),
        special=False,  # a zero that is not stored does not meet an infinity
    ),
    # dense linear algebra
    "solve": arrays(
        np.linalg.solve,
        Case((REGULAR, MATRIX)),
        Case((REGULAR, MATRIX[:, :1])),
        Case((REGULAR, np.eye(3)), held=(1,)),
        Case((REGULAR, MATRIX), held=(0,)),
        Case((np.array([[2.0]]), np.array([[3.0]]))),
        Case((REGULAR, np.zeros((3, 0)))),
        special=False,  # LAPACK says what an infinity becomes
    ),
    "det": arrays(
        np.linalg.det, one(REGULAR), one(REFLECTED), one(np.diag([1.0, 2.0, -1.0, 3.0]) + 0.1), special=False
    ),
    "logabsdet": arrays(
        lambda a: np.linalg.slogdet(a)[1],
        one(REGULAR),
        one(REFLECTED),
        one(np.array([[-2.0]])),
        special=False,
    ),
    "detsign": arrays(lambda a: np.linalg.slogdet(a)[0], one(REGULAR), one(REFLECTED), special=False),
    # black boxes
    "external": arrays(
        lambda *args: args[-1].function(*args[:-1]),
        Case(POINT, (EXACT,)),
        Case(POINT, (DIFFERENCED,)),
        Case(POINT, (EXACT,), held=(0,)),
        one(np.array([[0.3, 1.0], [-2.0, 0.4]]), FLAT),
        one(np.array([0.3, 1.0, -2.0]), ONE_SPARSE),
        one(np.float64(1.3), SCALAR),
        order=1,
        special=False,
    ),
    "external_jacobian": arrays(
        lambda *args: args[-2].matrix(args[-1], *args[:-2]),
        Case(POINT, (EXACT, 0)),
        Case(POINT, (EXACT, 1)),
        order=0,
        special=False,
    ),
    # reductions
    "amax": arrays(
        lambda x, axes: np.max(x, axis=axes),
        *reduction_cases(),
        kinks=(
            Kink(one(np.array([1.0, 3.0, 3.0]), (0,)), (np.array([0.0, 0.5, 0.5]),)),
            Kink(one(np.array([[2.0, 2.0], [1.0, 0.0]]), (1,)), (np.array([[0.5, 0.5], [1.0, 0.0]]),)),
        ),
    ),
    "amin": arrays(
        lambda x, axes: np.min(x, axis=axes),
        *reduction_cases(),
        kinks=(Kink(one(np.array([1.0, 1.0, 1.0, 3.0]), (0,)), (np.array([1.0, 1.0, 1.0, 0.0]) / 3,)),),
    ),
    "norm2": arrays(
        lambda x, axes: np.sqrt(np.sum(x * x, axis=axes)),
        *reduction_cases(),
        kinks=(
            Kink(one(np.zeros(3), (0,)), (np.zeros(3),)),
            Kink(one(np.array([[0.0, 0.0], [3.0, 4.0]]), (1,)), (np.array([[0.0, 0.0], [0.6, 0.8]]),)),
        ),
    ),
    # inner problems
    "root": arrays(
        _root_reference,
        Case((VALUES, FACTOR), (CUBIC,)),
        Case((VALUES, FACTOR), (CUBIC,), held=(0,)),
        Case((np.float64(0.8), FACTOR), (SCALAR_ROOT,)),
        Case((COUPLING, RIGHT), (LINEAR,)),
        Case((COUPLING, RIGHT), (QUADRATIC,)),
        special=False,
    ),
    "root_solve": arrays(
        _root_solve_reference,
        Case((VALUES, VALUES[::-1].copy(), FACTOR, np.array([1.0, -0.5, 2.0])), (CUBIC, False)),
        Case((np.float64(0.4), np.float64(0.8), FACTOR, np.float64(-2.0)), (SCALAR_ROOT, False)),
        Case((RIGHT, COUPLING, RIGHT, np.array([1.0, -0.5])), (LINEAR, False)),
        Case((RIGHT, COUPLING, RIGHT, np.array([1.0, -0.5])), (LINEAR, True)),
        Case((RIGHT, COUPLING, RIGHT, np.array([1.0, -0.5])), (QUADRATIC, False)),
        special=False,
    ),
    # loops
    "scan": arrays(
        scanned,
        Case(AT, (LOOP,)),
        Case(AT, (BACKWARDS,)),
        Case(AT, (FEW,)),
        Case(AT, (LOOP,), held=(1,)),
        Case(AT, (LOOP,), held=(0, 2)),
        special=False,
    ),
    "scan_adjoint": arrays(
        pulled,
        Case((*AT, *BACK), (LOOP, WANTED)),
        Case((*AT, *BACK), (BACKWARDS, WANTED)),
        Case((*AT, *BACK), (FEW, WANTED)),
        Case((*AT, *BACK), (LOOP, WANTED), held=(0, 2, 4)),
        special=False,
    ),
}
