"""Problems written and read again: values and derivatives by the names that the file has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from adjoint.nl.build import read_nl
from adjoint.nl.model import Model
from adjoint.nl.write import write_nl
from adjoint.problem import Problem


def again(problem: Problem, folder: Path, binary: bool = False) -> Problem:
    """The problem that its file gives."""
    path = folder / "again.nl"
    write_nl(problem, path, binary=binary)
    out = read_nl(path)
    out.program.backend = "numpy"
    return out


def element_names(name: str, shape: tuple[int, ...]) -> list[str]:
    """What the writer calls the elements of an array."""
    return [f"{name}[{', '.join(map(str, k))}]" for k in np.ndindex(*shape)] if shape else [name]


def point(problem: Problem, values: Mapping[str, Any]) -> np.ndarray:
    """The vector x of a problem that was read, from arrays by the names they had before."""
    by_name: dict[str, float] = {}
    for name, value in values.items():
        by_name.update(zip(element_names(name, np.shape(value)), np.ravel(value), strict=True))
    return np.array([by_name[name] for name in names(problem, "x")])


def names(problem: Problem, what: str) -> list[str]:
    """Names of the elements of ``x`` or ``constraints``."""
    return list(problem.labels[what])


def places(problem: Problem, what: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Where the elements of an array are among those of ``x`` or ``constraints``."""
    at = {label: i for i, label in enumerate(names(problem, what))}
    found = [at[n] for n in element_names(name, shape)]
    return np.array(found, dtype=int).reshape(shape) if math.prod(shape) else np.zeros(shape, int)


def evaluate(problem: Problem, what: str, x: np.ndarray) -> Any:
    """Objective or constraints of a problem that was read."""
    return problem.program.function(what, wrt=["x"])(x)


def jacobian(problem: Problem, what: str, x: np.ndarray) -> np.ndarray:
    """Their dense derivatives."""
    return np.asarray(problem.program.function(what, wrt=["x"]).jac(x))


def same_models(a: Model, b: Model) -> list[str]:
    """What two models differ in, but for the order of the segments in the file."""
    out = []
    for name in (
        "n_var n_con n_obj n_defined var_lower var_upper con_lower con_upper x0 x0_given dual0 dual0_given defined_use "
        "obj_maximize integer complements functions options vbtol flags n_nonlinear_con n_nonlinear_obj "
        "n_network_nonlinear n_network_linear nonlinear_vars n_arc n_discrete n_defined_kinds"
    ).split():
        u, v = getattr(a, name), getattr(b, name)
        if not (np.array_equal(u, v) if isinstance(u, np.ndarray) else u == v):
            out.append(name)
    for name in ("con_linear", "obj_linear", "defined_linear"):
        u, v = getattr(a, name), getattr(b, name)
        if not all(np.array_equal(getattr(u, k), getattr(v, k)) for k in ("start", "var", "coef")):
            out.append(name)
    for name in ("con_expr", "obj_expr", "defined_expr", "logical_expr"):
        if _texts(a, getattr(a, name)) != _texts(b, getattr(b, name)):
            out.append(name)
    suffixes = [
        sorted((s.name, s.kind, s.real, s.index.tolist(), s.value.tolist()) for s in m.suffixes) for m in (a, b)
    ]
    return out + (["suffixes"] if suffixes[0] != suffixes[1] else [])


def _texts(m: Model, bounds: np.ndarray) -> list[str]:
    """Expressions as text; none and 0 are the same."""
    out = []
    for begin, end in np.reshape(bounds, (-1, 2)).tolist():
        words = []
        for i in range(begin, end):
            code, index = int(m.code[i]), int(m.index[i])
            data = {-3: lambda k: m.strings[k], 64: lambda k: [x.tolist() for x in m.piecewise[k]]}.get(code)
            words.append(f"{code} {m.value[i]!r} {index if data is None else data(index)}")
        out.append("; ".join(words))
    zero = f"-1 {np.float64(0.0)!r} 0"
    return ["" if text == zero else text for text in out]
