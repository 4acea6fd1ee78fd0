"""Layers: equations of a program, with inputs for their weights.

Each takes the program, what it reads (an expression whose first axis is the samples), and a name, under which its
weights (``NAME.weights``, ``NAME.bias``) and its equations are found. There is nothing else to a layer: the weights are
inputs of the program, and the outputs variables, with multipliers.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import ModelError, ShapeError
from ..expr import Expr, Variable, as_expr
from ..primitives.indexing import concatenate
from ..program import Program
from .initializers import glorot_uniform, orthogonal

__all__ = ["convolution", "dense", "parameters", "recurrent"]

Initializer = Callable[[tuple[int, ...], np.random.Generator], np.ndarray]
Activation = Callable[[Any], Any]
WEIGHTS = (".weights", ".bias", ".recurrent")


def _random(seed: int | np.random.Generator, name: str) -> np.random.Generator:
    """Numbers of their own for each name, the same in every run."""
    return seed if isinstance(seed, np.random.Generator) else np.random.default_rng([seed, zlib.crc32(name.encode())])


def _affine(
    m: Program, x: Expr, units: int, name: str, bias: bool, initializer: Initializer, random: np.random.Generator
) -> Expr:
    weights = m.input(f"{name}.weights", initializer((x.shape[-1], units), random))
    out = x @ weights
    return out + m.input(f"{name}.bias", np.zeros(units)) if bias else out


def _defined(m: Program, name: str, z: Expr, activation: Activation | None) -> Variable:
    if activation is None:
        return m.define(name, z)
    return m.define(name, activation(m.define(f"{name}.z", z)))


def dense(
    m: Program,
    x: Any,
    units: int,
    name: str,
    activation: Activation | None = None,
    bias: bool = True,
    initializer: Initializer = glorot_uniform,
    seed: int | np.random.Generator = 0,
) -> Variable:
    """``activation(x @ weights + bias)``, over the last axis.

    With an activation, its argument is the variable ``NAME.z``.

    Parameters
    ----------
    m : Program
    x : expression, shape (..., features)
    units : int
    name : str
    activation : callable, optional
        Such as ``np.tanh`` or ``adj.relu``.
    initializer : callable
        ``initializer(shape, random)`` gives the default of the weights.
    seed : int or Generator
        Layers of different names draw different numbers from the same seed.

    Returns
    -------
    Variable
        Of shape ``(..., units)``.

    >>> import numpy as np, adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("x", np.ones((5, 3)))
    >>> h = dense(m, x, 4, "hidden", np.tanh)
    >>> h.shape, [v.name for v in m.inputs], list(m.equations)
    ((5, 4), ['x', 'hidden.weights', 'hidden.bias'], ['hidden.z', 'hidden'])
    """
    e = as_expr(x)
    if not e.shape:
        raise ShapeError(f"dense {name!r}: it reads an array whose last axis is features, got a number")
    return _defined(m, name, _affine(m, e, units, name, bias, initializer, _random(seed, name)), activation)


def convolution(
    m: Program,
    x: Any,
    filters: int,
    size: int | Sequence[int],
    name: str,
    activation: Activation | None = None,
    stride: int = 1,
    padding: int = 0,
    bias: bool = True,
    initializer: Initializer = glorot_uniform,
    seed: int | np.random.Generator = 0,
) -> Variable:
    """The windows of an image, gathered by an index, times weights.

    Parameters
    ----------
    x : expression, shape (samples, *axes, channels)
        One axis or more: signals, images, volumes.
    filters : int
    size : int or one for each axis
        Of the windows.
    stride, padding : int
        Between windows; zeros on every side.

    Returns
    -------
    Variable
        Of shape ``(samples, *positions, filters)``.

    >>> import numpy as np, adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("x", np.ones((2, 8, 8, 1)))
    >>> convolution(m, x, 4, 3, "edges", stride=2).shape, m["edges.weights"].shape
    ((2, 3, 3, 4), (9, 4))
    """
    e = as_expr(x)
    if len(e.shape) < 3:
        raise ShapeError(f"convolution {name!r}: x has shape (samples, axes, channels), got {e.shape}")
    samples, axes, channels = e.shape[0], e.shape[1:-1], e.shape[-1]
    window = (size,) * len(axes) if isinstance(size, int) else tuple(size)
    if len(window) != len(axes):
        raise ShapeError(f"convolution {name!r}: a window of {len(window)} axes on {len(axes)}")
    index, positions = _windows(axes, channels, window, stride, padding)
    if 0 in positions:
        raise ShapeError(f"convolution {name!r}: windows of shape {window} do not fit into {axes}")
    flat = e.reshape(samples, -1)
    if padding:
        flat = concatenate([flat, np.zeros((samples, 1))], axis=1)  # the last column is the zero outside
    z = _affine(m, flat[:, index], filters, name, bias, initializer, _random(seed, name))
    return _defined(m, name, z.reshape(samples, *positions, filters), activation)


def _windows(
    axes: tuple[int, ...], channels: int, window: tuple[int, ...], stride: int, padding: int
) -> tuple[np.ndarray, tuple[int, ...]]:
    """For each position the flat places of its window; outside is the place after the last."""
    outside = int(np.prod(axes)) * channels
    places = np.arange(outside).reshape(*axes, channels)
    margin = [(padding, padding)] * len(axes) + [(0, 0)]
    places = np.pad(places, margin, constant_values=outside)
    if any(w > s for w, s in zip(window, places.shape[:-1], strict=True)):
        return np.zeros((0, 0), dtype=int), (0,)
    along = tuple(range(len(axes)))
    views = np.lib.stride_tricks.sliding_window_view(places, window, axis=along)
    views = views[tuple(slice(None, None, stride) for _ in axes)]
    positions = views.shape[: len(axes)]
    views = np.moveaxis(views, len(axes), -1)  # channels last, as in the image
    return views.reshape(int(np.prod(positions)), -1), positions


def recurrent(
    m: Program,
    x: Any,
    units: int,
    name: str,
    activation: Activation = np.tanh,
    initial: Any = None,
    initializer: Initializer = glorot_uniform,
    recurrent_initializer: Initializer = orthogonal,
    seed: int | np.random.Generator = 0,
) -> list[Variable]:
    """Elman's network, unfolded: ``h_t = activation(x_t @ weights + h_{t−1} @ recurrent + bias)``.

    The weights are the same inputs at every time, so that their gradient is the sum over the copies. For many steps,
    ``adjoint.scan`` makes one equation of the loop.

    Parameters
    ----------
    x : expression, shape (samples, times, features)
    units : int
    name : str
    initial : expression, shape (samples, units), optional
        The state before the first time; zeros.

    Returns
    -------
    list of Variable
        The state at every time, of shape ``(samples, units)``; named ``NAME.0``, ``NAME.1``, ...

    >>> import numpy as np, adjoint as adj
    >>> m = adj.Program()
    >>> states = recurrent(m, m.input("x", np.ones((2, 3, 4))), 5, "memory")
    >>> len(states), states[-1].name, states[-1].shape
    (3, 'memory.2', (2, 5))
    """
    e = as_expr(x)
    if len(e.shape) != 3:
        raise ShapeError(f"recurrent {name!r}: x has shape (samples, times, features), got {e.shape}")
    random = _random(seed, name)
    weights = m.input(f"{name}.weights", initializer((e.shape[2], units), random))
    back = m.input(f"{name}.recurrent", recurrent_initializer((units, units), random))
    bias = m.input(f"{name}.bias", np.zeros(units))
    states: list[Variable] = []
    h = initial
    for t in range(e.shape[1]):
        z = e[:, t] @ weights + bias
        h = m.define(f"{name}.{t}", activation(z if h is None else z + h @ back))
        states.append(h)
    return states


def parameters(m: Program, *names: str) -> list[str]:
    """The names of the weights of layers: what an optimizer moves.

    >>> import numpy as np, adjoint as adj
    >>> m = adj.Program()
    >>> _ = dense(m, m.input("x", np.ones((1, 2))), 3, "out")
    >>> parameters(m)
    ['out.weights', 'out.bias']
    """
    found = [v.name for v in m.inputs if v.name.endswith(WEIGHTS)]
    if names:
        found = [n for n in found if n.rpartition(".")[0] in names]
    if not found:
        raise ModelError(f"the program {m.name!r} has no layers{' of these names' if names else ''}")
    return found
