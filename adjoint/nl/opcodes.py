"""The operators of AMPL ``.nl`` expressions: one row each, and the same as arrays by opcode."""

from __future__ import annotations

import numpy as np

__all__ = [
    "ARITY",
    "BY_COUNT",
    "CLASS",
    "LOGICAL",
    "NAMES",
    "NUMERIC",
    "N_OPCODES",
    "OPCODES",
    "PIECEWISE",
    "REFUSED",
    "SYMBOLIC",
]

BY_COUNT = -1
"""Arity of an operator that is followed by the number of its operands."""
UNKNOWN = -2
"""Arity of an opcode that no file may have."""
PIECEWISE = 64
"""The opcode followed by a number of slopes N, 2N-1 constants, and a variable."""

NUMERIC, LOGICAL, SYMBOLIC, REFUSED = "numeric", "logical", "symbolic", "refused"
"""Classes: gives a number; gives true or false; has strings or counts, of discrete models; no file may have it."""

# (opcode, name, arity, class)
_ROWS: tuple[tuple[int, str, int, str], ...] = (
    (0, "plus", 2, NUMERIC),
    (1, "minus", 2, NUMERIC),
    (2, "times", 2, NUMERIC),
    (3, "divide", 2, NUMERIC),
    (4, "mod", 2, NUMERIC),
    (5, "pow", 2, NUMERIC),
    (6, "less", 2, NUMERIC),
    (11, "min", BY_COUNT, NUMERIC),
    (12, "max", BY_COUNT, NUMERIC),
    (13, "floor", 1, NUMERIC),
    (14, "ceil", 1, NUMERIC),
    (15, "abs", 1, NUMERIC),
    (16, "negate", 1, NUMERIC),
    (20, "or", 2, LOGICAL),
    (21, "and", 2, LOGICAL),
    (22, "lt", 2, LOGICAL),
    (23, "le", 2, LOGICAL),
    (24, "eq", 2, LOGICAL),
    (28, "ge", 2, LOGICAL),
    (29, "gt", 2, LOGICAL),
    (30, "ne", 2, LOGICAL),
    (34, "not", 1, LOGICAL),
    (35, "if", 3, NUMERIC),
    (37, "tanh", 1, NUMERIC),
    (38, "tan", 1, NUMERIC),
    (39, "sqrt", 1, NUMERIC),
    (40, "sinh", 1, NUMERIC),
    (41, "sin", 1, NUMERIC),
    (42, "log10", 1, NUMERIC),
    (43, "log", 1, NUMERIC),
    (44, "exp", 1, NUMERIC),
    (45, "cosh", 1, NUMERIC),
    (46, "cos", 1, NUMERIC),
    (47, "atanh", 1, NUMERIC),
    (48, "atan2", 2, NUMERIC),
    (49, "atan", 1, NUMERIC),
    (50, "asinh", 1, NUMERIC),
    (51, "asin", 1, NUMERIC),
    (52, "acosh", 1, NUMERIC),
    (53, "acos", 1, NUMERIC),
    (54, "sum", BY_COUNT, NUMERIC),
    (55, "intdiv", 2, NUMERIC),
    (56, "precision", 2, NUMERIC),
    (57, "round", 2, NUMERIC),
    (58, "trunc", 2, NUMERIC),
    (59, "count", BY_COUNT, NUMERIC),
    (60, "numberof", BY_COUNT, NUMERIC),
    (61, "numberof_symbolic", BY_COUNT, SYMBOLIC),
    (62, "atleast", 2, LOGICAL),
    (63, "atmost", 2, LOGICAL),
    (PIECEWISE, "piecewise", 1, NUMERIC),
    (65, "if_symbolic", 3, SYMBOLIC),
    (66, "exactly", 2, LOGICAL),
    (67, "not_atleast", 2, LOGICAL),
    (68, "not_atmost", 2, LOGICAL),
    (69, "not_exactly", 2, LOGICAL),
    (70, "forall", BY_COUNT, LOGICAL),
    (71, "exists", BY_COUNT, LOGICAL),
    (72, "implies_else", 3, LOGICAL),
    (73, "iff", 2, LOGICAL),
    (74, "alldiff", BY_COUNT, LOGICAL),
    (75, "not_alldiff", BY_COUNT, LOGICAL),
    (79, "logistic", 1, NUMERIC),
    (80, "signpow", 2, NUMERIC),
)

OPCODES: dict[str, int] = {name: opcode for opcode, name, _, _ in _ROWS}
"""Opcode by name."""
NAMES: dict[int, str] = {opcode: name for opcode, name, _, _ in _ROWS}
"""Name by opcode."""
N_OPCODES = 91
"""Opcodes are below this number."""
ARITY = np.full(N_OPCODES, UNKNOWN, np.int64)
"""Number of operands by opcode, or ``BY_COUNT``, or ``UNKNOWN``."""
CLASS: list[str] = [REFUSED] * N_OPCODES
"""Class by opcode."""
for _opcode, _name, _arity, _kind in _ROWS:
    ARITY[_opcode] = _arity
    CLASS[_opcode] = _kind
