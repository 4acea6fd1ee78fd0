"""Random programs, well-conditioned by construction, that can be written as a Program or evaluated by NumPy.

Unknown i obeys ``h_i(v_i) = bias_i + Σ (functions of inputs) + ρ Σ w_k φ_k(A_k u_k)`` with |φ'| ≤ 1,
‖A‖∞ ≤ 1, Σ|w_k| ≤ 1, h' ≥ 1 and ρ < 1: a contraction, so whatever needs whatever, there is one solution, and
∂g/∂u is diagonally dominant. Without cycles an equation uses inputs and earlier unknowns, in any smooth
functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

import adjoint as adj

LENGTH = 3
SHRINK = 0.6  # ρ
MIX = np.array([[0.5, -0.25, 0.25], [0.0, 0.5, -0.5], [0.3, 0.3, 0.4]])  # ‖·‖∞ = 1

# |φ'| ≤ 1 everywhere, and analytic, so that NumPy can evaluate them in complex arithmetic too.
GENTLE: list[Callable[[Any], Any]] = [
    lambda u: u,
    np.sin,
    np.cos,
    np.tanh,
    np.arctan,
    lambda u: np.sqrt(1.0 + u**2),
    lambda u: np.log1p(np.exp(u)),
    lambda u: -np.cos(2.0 * u) / 2.0,
    lambda u: 1.0 / (1.0 + np.exp(-u)),
    lambda u: u / np.sqrt(1.0 + u * u),
]
PAIRS: list[Callable[[Any, Any], Any]] = [  # |∂| ≤ 1/2 in each argument
    lambda u, v: np.sin(u) * np.cos(v) / 2.0,
    lambda u, v: np.tanh(u + v) / 2.0,
    lambda u, v: np.sqrt(1.0 + (u - v) ** 2) / 2.0,
]
SMOOTH: list[Callable[[Any, Any], Any]] = [
    lambda u, v: u * v,
    lambda u, v: np.exp(np.tanh(u)) - v,
    lambda u, v: u / (1.0 + v**2),
    lambda u, v: np.sin(u) ** 3 + v,
    lambda u, v: (2.0 + np.cos(u)) ** np.tanh(v),
    lambda u, v: np.log(2.0 + np.sin(u)) * np.arctan(v),
]
VECTORS: list[Callable[[Any], Any]] = [  # vector to vector, ‖A‖∞ ≤ 1
    lambda u: u,
    lambda u: u[::-1],
    lambda u: np.roll(u, 1),
    lambda u: MIX @ u,
    lambda u: np.cumsum(u) / LENGTH,
    lambda u: u[[0, 0, 2]],
    lambda u: (u - np.mean(u)) / 2.0,
    lambda u: np.concatenate([u[1:], u[:1]]),
]
# A_k by the dimensions of its argument and of its result; what is smaller broadcasts.
LINEAR: dict[tuple[int, int], list[Callable[[Any], Any]]] = {
    (1, 0): [np.mean, lambda u: u[1], lambda u: u @ MIX[0], lambda u: np.dot(MIX[1], u)],
    (1, 1): VECTORS,
    (1, 2): VECTORS,
    (2, 0): [np.mean, lambda u: u[1, -1], lambda u: np.trace(u) / 2.0, lambda u: np.sum(u * MIX[:2]) / 2.0],
    (2, 1): [
        lambda u: np.mean(u, axis=0),
        lambda u: u[1],
        lambda u: u[[0, 1, 0], [2, 0, 1]],
        lambda u: (u @ MIX.T)[0],
    ],
    (2, 2): [
        lambda u: u,
        lambda u: u[::-1],
        lambda u: u @ MIX.T,
        lambda u: np.cumsum(u, axis=1) / LENGTH,
        lambda u: np.reshape(u.T, (2, LENGTH)),
        lambda u: np.stack([u[1], u[0]]),
    ],
}
# Any smooth functions, where there is no cycle.
CURVED: dict[tuple[int, int], list[Callable[[Any], Any]]] = {
    (1, 0): [np.prod, lambda u: np.sum(u**2), lambda u: u @ (MIX @ u), lambda u: np.einsum("i,i,i", u, u, u)],
    (1, 1): [
        np.cumprod,
        lambda u: u / np.sum(1.0 + u * u),
        lambda u: np.linalg.solve(3.0 * np.eye(LENGTH) + np.diag(np.sin(u)) + MIX, u),
        lambda u: np.convolve(u, MIX[0], "same"),
        lambda u: np.einsum("ij,j,i->i", MIX, u, u),
        lambda u: np.outer(u, u) @ MIX[2],
        lambda u: np.diff(np.tile(u, 2))[:LENGTH],
    ],
    (1, 2): [lambda u: np.outer(u[:2], u), lambda u: np.vstack([u, u**2])],
    (2, 0): [lambda u: np.linalg.det(u @ u.T + np.eye(2)), np.prod, lambda u: np.sum(u @ u.T)],
    (2, 1): [lambda u: u[0] * u[1], lambda u: np.sum(u, axis=0) ** 2, lambda u: np.prod(u, axis=0)],
    (2, 2): [
        lambda u: u * u[::-1],
        lambda u: u @ u.T @ u / 4.0,
        lambda u: u / (2.0 + np.mean(u, axis=1, keepdims=True) ** 2),
    ],
}

# How the equation v = f is written: as a definition, or as an implicit equation g(v, f) = 0 with h' ≥ 1.
WRITTEN: dict[str, Callable[[Any, Any], Any]] = {
    "explicit": lambda v, f: v - f,
    "plain": lambda v, f: v - f,
    "turned": lambda v, f: f - v,
    "scaled": lambda v, f: -7.0 * (v - f),
    "cubic": lambda v, f: v + v**3 / 10.0 - f,
    "sinh": lambda v, f: v + np.sinh(v) / 4.0 - f,
}


@dataclass(frozen=True)
class Term:
    """A function of one or two variables, each through an adapter."""

    function: int
    first: str
    second: str
    adapters: tuple[int, int]


@dataclass(frozen=True)
class Spec:
    """A random program: what it says, apart from how it is evaluated."""

    inputs: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]  # of the unknowns, in order
    written: Mapping[str, str]
    bias: Mapping[str, Any]
    outside: Mapping[
        str, Sequence[Term]
    ]  # smooth functions of inputs (without cycles: of earlier unknowns too)
    inside: Mapping[str, Sequence[Term]]  # the contraction
    cyclic: bool
    mixed: bool  # equations that hold more than one unknown's own part

    def right(self, name: str, values: Mapping[str, Any]) -> Any:
        """f of ``v = f``, on expressions or on (complex) numbers."""
        shape = self.shapes[name]
        total = self.bias[name]
        for term in self.outside[name]:
            u, v = _arguments(term, shape, values, curved=True)
            total = total + 0.5 * SMOOTH[term.function % len(SMOOTH)](u, v)
        weight = SHRINK / max(len(self.inside[name]), 1)
        for k, term in enumerate(self.inside[name]):
            u, v = _arguments(term, shape, values)
            i = term.function % (len(GENTLE) + len(PAIRS))
            part = GENTLE[i](u) if i < len(GENTLE) else PAIRS[i - len(GENTLE)](u, v)
            total = total + (-weight if k % 2 else weight) * part
        return total

    def equation(self, name: str, values: Mapping[str, Any]) -> Any:
        """g of the equation of an unknown; to an implicit one, a part of the implicit one before is added."""
        g = WRITTEN[self.written[name]](values[name], self.right(name, values)) + np.zeros(self.shapes[name])
        if self.mixed and self.written[name] != "explicit":
            implicit = [n for n in self.shapes if self.written[n] != "explicit"]
            k = implicit.index(name)
            if k:
                other = implicit[k - 1]
                g = g + 0.25 * np.mean(WRITTEN[self.written[other]](values[other], self.right(other, values)))
        return g

    def objective(self, values: Mapping[str, Any]) -> Any:
        total = 0.0
        for k, name in enumerate((*self.shapes, *self.inputs)):
            total = total + (k + 1) / 4.0 * np.mean(np.sin(values[name]) + values[name] ** 2 / 4.0)
        return total

    def program(
        self, order: Sequence[str] = (), rename: Callable[[str], str] = str, name: str = "random"
    ) -> Any:
        """The program, its equations written in the given order under other names."""
        m = adj.Program(name)
        values: dict[str, Any] = {n: m.input(rename(n), x) for n, x in self.inputs.items()}
        values.update({n: m.unknown(rename(n), shape=s) for n, s in self.shapes.items()})
        for n in order or self.shapes:
            f = self.right(n, values)
            if self.written[n] == "explicit":
                m.define(values[n], f)
            else:
                m.constrain(self.equation(n, values), name=rename(f"eq_{n}"))
        m.define(rename("f"), self.objective(values))
        return m

    def equation_name(self, name: str) -> str:
        """Name of the equation of an unknown."""
        return name if self.written[name] == "explicit" else f"eq_{name}"

    # -- evaluated by NumPy, on flat vectors: z the unknowns, x the inputs
    def unflatten(self, z: Any, x: Any) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for vector, shapes in ((x, {n: np.shape(v) for n, v in self.inputs.items()}), (z, self.shapes)):
            at = 0
            for n, shape in shapes.items():
                size = int(np.prod(shape))
                values[n] = vector[at : at + size].reshape(shape)[()]
                at += size
        return values

    def residual(self, z: Any, x: Any) -> Any:
        """g, one after the other in the order of the unknowns; explicit equations as v − f."""
        values = self.unflatten(z, x)
        return np.concatenate([np.ravel(self.equation(n, values)) for n in self.shapes])

    def value(self, z: Any, x: Any) -> Any:
        return np.asarray(self.objective(self.unflatten(z, x)))


def _arguments(
    term: Term, shape: tuple[int, ...], values: Mapping[str, Any], curved: bool = False
) -> tuple[Any, Any]:
    out = []
    for source, adapter in zip((term.first, term.second), term.adapters, strict=True):
        u = values[source]
        kind = np.ndim(u), len(shape)
        table = LINEAR.get(kind, []) + (CURVED.get(kind, []) if curved else [])
        out.append(table[adapter % len(table)](u) if table else u)
    return out[0], out[1]


def complex_jacobian(fun: Callable[[Any], Any], at: Any) -> np.ndarray:
    """∂fun/∂at, one complex step per column."""
    columns = []
    for k in range(at.size):
        moved = at + 0j
        moved[k] += 1e-30j
        columns.append(np.imag(np.ravel(fun(moved))) / 1e-30)
    return np.stack(columns, axis=1)


# -- strategies ----------------------------------------------------------------------------------------------

eighths = st.integers(-8, 8).map(lambda k: k / 8.0)


@st.composite
def specs(draw: Any, cyclic: bool | None = None) -> Spec:
    cyclic = draw(st.booleans()) if cyclic is None else cyclic

    def number(shape: tuple[int, ...]) -> Any:
        size = int(np.prod(shape))
        return np.reshape(draw(st.lists(eighths, min_size=size, max_size=size)), shape)[()]

    shape = st.sampled_from([(), (LENGTH,), (2, LENGTH)])
    inputs = {f"x{k}": number(draw(shape)) for k in range(draw(st.integers(1, 3)))}
    shapes = {f"y{k}": draw(shape) for k in range(draw(st.integers(1, 6)))}
    kinds = sorted(WRITTEN)
    written, outside, inside = {}, {}, {}
    for k, name in enumerate(shapes):
        earlier = list(shapes)[:k]
        written[name] = draw(st.sampled_from(kinds))
        outside[name] = draw(_terms([*inputs] if cyclic else [*inputs, *earlier], 1, 2))
        inside[name] = draw(_terms(list(shapes) if cyclic else [*inputs, *earlier], 0, 3))
    bias = {name: number(s) for name, s in shapes.items()}
    return Spec(inputs, shapes, written, bias, outside, inside, cyclic, draw(st.booleans()))


def _terms(sources: list[str], least: int, most: int) -> Any:
    index = st.integers(0, 59)
    source = st.sampled_from(sources)
    term = st.builds(Term, index, source, source, st.tuples(index, index))
    return st.lists(term, min_size=least, max_size=most)
