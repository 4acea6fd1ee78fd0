"""What a file may have that a continuous optimization problem cannot: refused by name."""

from __future__ import annotations

import numpy as np

from ..describe import counted
from ..errors import UnsupportedError
from .model import CALL, STRING, Model
from .opcodes import N_OPCODES, NAMES, PIECEWISE
from .operators import OPERATORS

__all__ = ["check_supported", "constraint_name", "variable_name"]

_KNOWN = np.zeros(N_OPCODES + 4, dtype=bool)  # by code + 4
_KNOWN[[4 + opcode for opcode in (*OPERATORS, PIECEWISE)]] = True
_KNOWN[[4 - 1, 4 - 2]] = True  # numbers and variables


def variable_name(model: Model, i: int) -> str:
    """What variable i is called."""
    return f"x[{i}]" if model.var_names is None else repr(model.var_names[i])


def constraint_name(model: Model, i: int) -> str:
    """What constraint i is called."""
    return f"constraints[{i}]" if model.con_names is None else repr(model.con_names[i])


def check_supported(model: Model, objective: int | None, relax: bool) -> tuple[str, ...]:
    """What a relaxation leaves out, as sentences; UnsupportedError where there is something and it is not asked for.

    What other objectives than the one that is taken have does not matter.
    """
    unknown = np.flatnonzero(~_KNOWN[model.code.astype(np.intp) + 4])
    if unknown.size:
        _refuse_used(model, unknown, objective)
    conditions = _conditions(model)
    if conditions and not relax:
        raise UnsupportedError(
            f"{model.source or model.name}: {conditions[0]}; a problem is continuous. relax=True reads the file "
            "without such conditions"
        )
    return tuple(f"{text}: left out" for text in conditions)


def _conditions(model: Model) -> list[str]:
    found = []
    integer = np.flatnonzero(model.integer)
    if integer.size:
        first = variable_name(model, int(integer[0]))
        found.append(f"{counted(integer.size, 'variable')} must be integers, {first} first")
    if model.complements:
        i, (_, v) = next(iter(model.complements.items()))
        found.append(
            f"{counted(len(model.complements), 'constraint')} complement variables, {constraint_name(model, i)} and "
            f"{variable_name(model, v)} first"
        )
    if len(model.logical_expr):
        found.append(f"it has {counted(len(model.logical_expr), 'logical constraint')}")
    return found


def _refuse_used(model: Model, tokens: np.ndarray, objective: int | None) -> None:
    """Refuse the first of some tokens that is in an expression of the problem."""
    goal = model.obj_expr[:0] if objective is None else model.obj_expr[objective : objective + 1]
    for expr, owner in (
        (model.defined_expr, lambda k: f"the defined variable V{model.n_var + k}"),
        (model.con_expr, lambda k: f"the constraint {constraint_name(model, k)}"),
        (goal, lambda k: "the objective"),
    ):
        first = np.searchsorted(tokens, expr[:, 0])
        has = np.flatnonzero(np.searchsorted(tokens, expr[:, 1]) > first)
        if has.size:
            raise _refused(model, int(tokens[first[has[0]]]), owner(int(has[0])))


def _refused(model: Model, token: int, owner: str) -> UnsupportedError:
    code, place = int(model.code[token]), int(model.place[token])
    where = f"{model.source or model.name}, {'byte' if model.binary else 'line'} {place}"
    if code == CALL:
        name = model.functions[int(model.index[token])].name
        return UnsupportedError(f"{where}: {owner} calls the imported function {name!r}, which is not known")
    if code == STRING:
        return UnsupportedError(f"{where}: {owner} has a string")
    return UnsupportedError(f"{where}: {owner} has the operator o{code} ({NAMES.get(code, 'unknown')}), not supported")
