"""Short programs without cycles, solved by one function of all their inputs.

The general way copies and checks each array several times: inputs, the results of each block, seeds, cotangents. Here
all inputs are packed into one vector, and one compiled function (``explicit``) gives all variables, and a number that
tells whether everything is finite. The vector and that function serve reverse sweeps, too. Where something is not as
expected, these give nothing, and the general way says what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np

from .blocks import Values
from .explicit import Compiled, compiled, current
from .expr import Variable
from .plan import Plan
from .walk import topological

__all__ = ["Evaluation", "evaluation_of", "pulled"]

LARGEST = 400  # operations; of longer programs, to make another function takes longer than the checks ever will
FLOAT = np.dtype(float)
Places = list[tuple[Variable, int, int]]


class Evaluation:
    """All variables of a program, from the values of its inputs by name."""

    def __init__(self, plan: Plan, functions: Compiled, variables: tuple[Variable, ...]) -> None:
        self.functions = functions
        self.inputs, self.size = _places(plan.inputs)
        self.outputs, _ = _places(variables)
        self.defaults = plan.model.inputs

    def __call__(self, given: Mapping[str, Any]) -> tuple[Values, np.ndarray] | None:
        """The values, and the vector of the inputs; None where one is not plain, or something is not finite."""
        x, left = np.empty(self.size), len(given)
        for v, start, stop in self.inputs:
            value = given.get(v.name)
            if value is None:
                value = self.defaults.get(v)
            else:
                left -= 1
            if type(value) is np.ndarray and value.dtype is FLOAT and value.shape == v.shape:
                x[start:stop] = value if value.ndim == 1 else value.reshape(-1)
            elif isinstance(value, float) and not v.shape:
                x[start] = value
            else:
                return None
        if left:
            return None  # a name that is not an input's
        out, check = current(self.functions.value)(x)
        if not isfinite(check):
            return None
        values: Values = {}
        for places, vector in ((self.inputs, x), (self.outputs, out)):
            for v, start, stop in places:
                values[v] = vector[start:stop].reshape(v.shape) if v.shape else vector[start]
        return values, x


def evaluation_of(plan: Plan) -> Evaluation | None:
    """That of a plan; None where there is something to solve, or where it is long."""
    if plan.cycles or plan.given or not plan.blocks or not sum(v.size for v in plan.inputs):
        return None
    variables = tuple(v for b in plan.blocks for v in b.variables)
    if len(variables) > LARGEST or len(topological([e.expr for b in plan.blocks for e in b.equations])) > LARGEST:
        return None
    functions = compiled(plan, variables, tuple(plan.inputs), False)
    return None if functions is None else Evaluation(plan, functions, variables)


def pulled(plan: Plan, vector: np.ndarray, seeds: Mapping[str, Any]) -> dict[str, Any] | None:
    """Cotangents of all inputs, by name, at a vector of them, from those of defined variables."""
    names = ("pull", *seeds)
    try:
        record = plan.functions.get(names)
    except TypeError:  # not names
        return None
    if record is None:
        record = plan.functions[names] = _pull_function(plan, tuple(seeds))
    functions, places, shapes = record
    if functions is None or functions.pull is None:
        return None
    parts = [np.asarray(w) for w in seeds.values()]
    if tuple(w.shape for w in parts) != shapes:
        return None
    flat = parts[0].reshape(-1) if len(parts) == 1 else np.concatenate([w.reshape(-1) for w in parts])
    cotangents, check = current(functions.pull)(vector, flat if flat.dtype is FLOAT else flat.astype(float))
    if not isfinite(check):
        return None
    return {
        v.name: cotangents[start:stop].reshape(v.shape) if v.shape else float(cotangents[start])
        for v, start, stop in places
    }


def _pull_function(plan: Plan, names: tuple[Any, ...]) -> tuple[Compiled | None, Places, tuple[Any, ...]]:
    """The functions of some variables, where their inputs are, and the shapes of the variables."""
    variables = tuple(plan.model.variables.get(n) for n in names if isinstance(n, str))
    if not names or len(variables) < len(names) or any(v is None or v not in plan.variables for v in variables):
        return None, [], ()
    functions = compiled(plan, variables, tuple(plan.inputs), False)  # type: ignore[arg-type]
    if functions is None or functions.pull is None:
        return None, [], ()
    return functions, _places(plan.inputs)[0], tuple(v.shape for v in variables)  # type: ignore[union-attr]


def _places(variables: Any) -> tuple[Places, int]:
    """Where each variable is in a packed vector, and the length of that."""
    out, at = [], 0
    for v in variables:
        out.append((v, at, at + v.size))
        at += v.size
    return out, at
