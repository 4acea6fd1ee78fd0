"""Equality constraints as equations: the square system behind a problem that leaves nothing to choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .describe import counted
from .equations import unused_name
from .errors import ModelError, StructureError
from .expr import Expr, Variable
from .program import Program

__all__ = ["equality_system", "square_system"]

SHOWN = 6  # names in a message


def square_system(problem: Any) -> Program:
    """The program in which the variables of a problem are unknowns, and its equality constraints equations.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("x", 2.0)
    >>> square_system(adj.Problem(m, minimize=0, subject_to={"square": x**2 == 9})).equations["square"]
    <Equation 'square': 0 = square(x) - 9>
    """
    _refuse_inequalities(problem)
    program, labels = equality_system(problem)
    moved = {v.name: v.size for v in problem.bounds if v not in program.inputs}
    before = problem.program.equations
    added = {e.name: e.size for e in program.equations.values() if before.get(e.name) is not e}
    if sum(added.values()) != sum(moved.values()):
        raise _not_square(added, moved)
    return program


def equality_system(problem: Any) -> tuple[Program, dict[str, Sequence[str]]]:
    """The same whatever the numbers of equations and unknowns, without the inequalities; what elements are called.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("x", [1.0, 2.0])
    >>> limits = adj.between([0.0, 4.0], x**2, [9.0, 4.0])
    >>> program, labels = equality_system(adj.Problem(m, minimize=0, subject_to={"limits": limits}))
    >>> program.equations["limits"].size, labels
    (1, {'limits': ['limits[1]']})
    """
    program = problem.program.extended()
    if problem.is_feasibility:
        _drop(program, problem.objective)
    unknowns = [v for v in problem.bounds if _make_unknown(program, v, *problem.bounds[v])]
    labels = {name: texts for name, texts in problem.labels.items() if name not in problem.constraints}
    for label, c in problem.constraints.items():
        v, rows = problem.constrained[label], np.equal(*_bounds(c))
        expr: Expr = _drop(program, v) if _stands_for(problem, program, label, v) else v
        bound = c.lower
        if not rows.all():
            expr, bound = expr.reshape(-1)[np.flatnonzero(rows)], _bounds(c)[0][rows]
        if expr.size:
            name = unused_name(program, label)
            program.constrain(expr - bound, name)
            if label in problem.labels or not rows.all():
                labels[name] = [problem.element(label, k) for k in np.flatnonzero(rows).tolist()]
    for v in unknowns:
        lower, upper = problem.bounds[v]
        fixed = np.flatnonzero(np.equal(lower, upper))
        if fixed.size:
            name = unused_name(program, f"fixed {v.name}")
            program.constrain(v.reshape(-1)[fixed] - np.reshape(lower, -1)[fixed], name)
            labels[name] = [f"fixed {problem.element(v.name, k)}" for k in fixed.tolist()]
    return program, labels


def _bounds(c: Any) -> tuple[np.ndarray, np.ndarray]:
    return np.broadcast_to(c.lower, c.shape), np.broadcast_to(c.upper, c.shape)


def _refuse_inequalities(problem: Any) -> None:
    """Elements of constraints are equations, or free; ModelError where one is an inequality."""
    names = []
    for label, c in problem.constraints.items():
        lower, upper = _bounds(c)
        unequal = np.not_equal(lower, upper) & (np.isfinite(lower) | np.isfinite(upper))
        names += [problem.element(label, k) for k in np.flatnonzero(unequal).tolist()]
    if names:
        more = f", … {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        raise ModelError(
            f"{counted(len(names), 'inequality constraint')} ({', '.join(names[:SHOWN])}{more}): a system has "
            "equations only; solve() the problem instead"
        )


def _make_unknown(program: Program, v: Variable, lower: Any, upper: Any) -> bool:
    """Let the equations determine a variable; one whose bounds agree is given."""
    if np.array_equal(lower, upper):
        program.inputs[v] = lower
        return False
    value = program.inputs.pop(v, program.guesses.get(v))
    if value is not None:
        program.guesses[v] = value
    if np.isfinite(lower).any() or np.isfinite(upper).any():
        program.bounds[v] = lower, upper
    else:
        program.bounds.pop(v, None)
    return True


def _stands_for(problem: Any, program: Program, label: str, v: Variable) -> bool:
    """Whether a variable only holds the expression of the constraint of its name."""
    defined = program.equations.get(v.name)
    if label != v.name or v is problem.objective or defined is None or defined.target is not v:
        return False
    constrained = [w for name, w in problem.constrained.items() if name != label]
    used = (w for e in program.equations.values() for w in e.variables)
    return not any(w is v for part in (constrained, used) for w in part)


def _drop(program: Program, v: Variable) -> Expr:
    """Take a variable and its definition out of a program; the definition."""
    del program.variables[v.name]
    program._outputs = [name for name in program._outputs if name != v.name]
    return program.equations.pop(v.name).expr


def _not_square(equations: dict[str, int], unknowns: dict[str, int]) -> StructureError:
    sizes = [", ".join(f"{name}: {size}" for name, size in part.items()) or "none" for part in (equations, unknowns)]
    left, right = sum(equations.values()), sum(unknowns.values())
    part = [(list(equations), list(unknowns))]
    return StructureError(
        f"{counted(left, 'scalar equation')} ({sizes[0]}) for {counted(right, 'unknown')} ({sizes[1]}): a system has "
        "as many equations as unknowns; solve() the problem instead",
        part if left > right else (),
        part if left < right else (),
    )
