"""The peers of ADBench behind one interface: a vector in, a NumPy array out, in float64.

Objectives are written once, in NumPy's syntax, with the framework's own functions as ``xp``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import adjoint as adj

__all__ = ["ADJOINT", "Framework", "Pair", "autograd_", "casadi_", "frameworks", "jax_", "torch_"]

Vector = Callable[[np.ndarray], Any]
Pair = tuple[Vector, Vector]  # objective, derivative


@dataclass(frozen=True)
class Framework:
    """What an objective needs, and what makes functions of it.

    ``function``, ``gradient`` and ``jacobian`` (forward, dense) take a function of a framework's array and give one
    from NumPy to NumPy. So does ``rows(f, columns, constants)``, of ``f(v[columns], constants)`` from N × k to N × l
    whose rows are independent: N × l × k.
    """

    name: str
    xp: Any
    array: Callable[[Any], Any]
    logsumexp: Callable[[Any, int], Any]
    sigmoid: Callable[[Any], Any]
    function: Callable[[Any], Vector]
    gradient: Callable[[Any], Vector]
    jacobian: Callable[[Any], Vector]
    rows: Callable[..., Vector]
    scan: Any = None


def _none(*_: Any) -> Vector:
    raise NotImplementedError


# The library: its expressions are NumPy's to NumPy. Programs make their own functions.
ADJOINT = Framework("adjoint", np, np.asarray, adj.logsumexp, adj.expit, _none, _none, _none, _none)


def jax_() -> Framework | None:
    """JAX: everything under ``jit``. None where it is not installed."""
    try:
        import jax
    except ImportError:
        return None
    jax.config.update("jax_enable_x64", True)

    def compiled(f: Any) -> Vector:
        jitted = jax.jit(f)
        return lambda v: np.asarray(jitted(v))

    def rows(f: Any, columns: np.ndarray, constants: Any) -> Vector:
        each = jax.vmap(jax.jacrev(lambda row, constant: f(row[None], constant[None])[0]))
        return compiled(lambda v: each(v[columns], constants))

    return Framework(
        "JAX",
        jax.numpy,
        jax.numpy.asarray,
        lambda x, axis: jax.scipy.special.logsumexp(x, axis=axis),
        jax.nn.sigmoid,
        compiled,
        lambda f: compiled(jax.grad(f)),
        lambda f: compiled(jax.jacfwd(f)),
        rows,
        jax.lax.scan,
    )


def torch_() -> Framework | None:
    """PyTorch, eager, on one thread unless ``OMP_NUM_THREADS`` says otherwise. None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)

    def value(f: Any) -> Vector:
        def run(v: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return f(torch.from_numpy(v)).numpy()

        return run

    def gradient(f: Any) -> Vector:
        def run(v: np.ndarray) -> np.ndarray:
            x = torch.from_numpy(v).requires_grad_()
            return torch.autograd.grad(f(x), x)[0].numpy()

        return run

    def jacobian(f: Any) -> Vector:
        forward = torch.func.jacfwd(f)
        return lambda v: forward(torch.from_numpy(v)).numpy()

    def rows(f: Any, columns: np.ndarray, constants: Any) -> Vector:
        def run(v: np.ndarray) -> np.ndarray:
            x = torch.from_numpy(v[columns]).requires_grad_()
            sums = f(x, constants).sum(0)
            parts = [torch.autograd.grad(s, x, retain_graph=True)[0] for s in sums]
            return torch.stack(parts, 1).numpy()

        return run

    return Framework(
        "PyTorch",
        torch,
        torch.as_tensor,
        lambda x, axis: torch.logsumexp(x, axis),
        torch.sigmoid,
        value,
        gradient,
        jacobian,
        rows,
    )


def autograd_() -> Framework | None:
    """autograd: NumPy with a tape. None where it is not installed."""
    try:
        import autograd
        import autograd.numpy as anp
        from autograd.scipy.special import expit as sigmoid
        from autograd.scipy.special import logsumexp
    except ImportError:
        return None

    def jacobian(f: Any) -> Vector:
        def run(v: np.ndarray) -> np.ndarray:
            push = autograd.make_jvp(f)(v)
            return np.stack([push(unit)[1] for unit in np.eye(v.size)], axis=1)

        return run

    def rows(f: Any, columns: np.ndarray, constants: Any) -> Vector:
        def run(v: np.ndarray) -> np.ndarray:
            pull, out = autograd.make_vjp(lambda x: f(x, constants))(v[columns])
            units = np.eye(out.shape[1])
            return np.stack([pull(np.broadcast_to(unit, out.shape)) for unit in units], axis=1)

        return run

    return Framework(
        "autograd",
        anp,
        np.asarray,
        lambda x, axis: logsumexp(x, axis=axis),
        sigmoid,
        lambda f: f,
        autograd.grad,
        jacobian,
        rows,
    )


def casadi_() -> Any:
    """The module casadi. None where it is not installed."""
    try:
        import casadi
    except ImportError:
        return None
    return casadi


def frameworks() -> list[Framework]:
    """Those that are installed."""
    return [framework for make in (jax_, torch_, autograd_) if (framework := make()) is not None]
