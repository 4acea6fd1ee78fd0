"""What an AMPL ``.nl`` file says, as plain arrays: no expressions, no program.

The nonlinear parts of all constraints, objectives and defined variables are one flat program in prefix order
(an operator comes before its operands), held in four arrays of equal length:

=================  ==============  =======================================  ===============
token              ``code``        ``index``                                ``value``
=================  ==============  =======================================  ===============
number             ``NUMBER``      0                                        the number
variable           ``VARIABLE``    its index; from ``n_var`` on, defined    0
string             ``STRING``      its place in ``strings``                 0
call               ``CALL``        its place in ``functions``               number of arguments
operator           its opcode      number of operands; of opcode 64: the    0
                                   place of its data in ``piecewise``
=================  ==============  =======================================  ===============

``place`` is the line of the token (text) or its byte (binary), for messages. Opcode 64 (piecewise linear) has
one operand, the variable that follows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["CALL", "NUMBER", "STRING", "VARIABLE", "ImportedFunction", "Linear", "Model", "Suffix"]

NUMBER, VARIABLE, STRING, CALL = -1, -2, -3, -4
"""What ``code`` holds for the tokens that are not operators."""


@dataclass
class Linear:
    """Sums of coefficients times variables, in compressed rows: row i has the entries ``start[i]:start[i+1]``."""

    start: np.ndarray
    var: np.ndarray
    coef: np.ndarray

    @classmethod
    def empty(cls, rows: int) -> Linear:
        """Rows without entries.

        >>> Linear.empty(2).start
        array([0, 0, 0])
        """
        return cls(np.zeros(rows + 1, np.int64), np.zeros(0, np.int64), np.zeros(0))


@dataclass
class Suffix:
    """Values attached to some variables (kind 0), constraints (1), objectives (2) or to the problem (3)."""

    name: str
    kind: int
    real: bool
    index: np.ndarray
    value: np.ndarray


@dataclass
class ImportedFunction:
    """A function that the file calls by name.

    ``kind`` is 1 if it may take strings. A negative ``n_args`` means -(n_args + 1) arguments or more.
    """

    name: str
    kind: int
    n_args: int


@dataclass
class Model:
    """The content of one file.

    Attributes
    ----------
    name : what the first line calls the problem, else the name of the file
    options : numbers of the first line, which a ``.sol`` file repeats
    vbtol : the further number of the first line where the second option is 3
    flags : of the sixth line; bit 0 asks for suffixes in the ``.sol`` file
    var_lower, var_upper, con_lower, con_upper : bounds, infinite where there are none
    x0, x0_given, dual0, dual0_given : initial values, 0 where not given
    con_linear, obj_linear : linear parts; also the sparsity of the nonlinear ones, with coefficient 0
    defined_linear : linear parts of the defined variables, whose variables may be defined ones (from ``n_var`` on)
    code, value, index, place : the tokens of the nonlinear parts (see the module)
    con_expr, obj_expr, defined_expr, logical_expr : shape (n, 2): the tokens begin:end of each; none if begin == end
    defined_order : the defined variables in the order of the file, which is one of evaluation
    defined_use : 0 for a shared one, else 1 + index of the constraint or (from ``n_con`` on) objective that uses it
    strings, functions, piecewise : what tokens refer to; the last are pairs (slopes, breakpoints)
    obj_maximize : which objectives are maximized
    integer : which variables are integers (binary ones too)
    complements : {constraint: (k, variable)}: bit 0 of k: no upper bound of the body, bit 1: no lower bound
    n_network_nonlinear, n_network_linear : constraints of networks, n_arc : linear arc variables
    n_nonlinear_con, n_nonlinear_obj, nonlinear_vars : third and fifth line: how many are nonlinear; (nlvc, nlvo, nlvb)
    n_discrete : seventh line: (nbv, niv, nlvbi, nlvci, nlvoi)
    n_defined_kinds : tenth line: how many defined variables are (comb, comc, como, comc1, como1)
    var_names, con_names, obj_names : of the ``.col`` and ``.row`` files, where those exist
    source : path of the file, for messages
    binary : whether ``place`` counts bytes instead of lines
    """

    name: str
    n_var: int
    n_con: int
    n_obj: int
    n_defined: int
    var_lower: np.ndarray
    var_upper: np.ndarray
    con_lower: np.ndarray
    con_upper: np.ndarray
    x0: np.ndarray
    x0_given: np.ndarray
    dual0: np.ndarray
    dual0_given: np.ndarray
    con_linear: Linear
    obj_linear: Linear
    defined_linear: Linear
    code: np.ndarray
    value: np.ndarray
    index: np.ndarray
    place: np.ndarray
    con_expr: np.ndarray
    obj_expr: np.ndarray
    defined_expr: np.ndarray
    logical_expr: np.ndarray
    defined_order: np.ndarray
    defined_use: np.ndarray
    obj_maximize: np.ndarray
    integer: np.ndarray
    strings: list[str] = field(default_factory=list)
    functions: list[ImportedFunction] = field(default_factory=list)
    piecewise: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    complements: dict[int, tuple[int, int]] = field(default_factory=dict)
    suffixes: list[Suffix] = field(default_factory=list)
    options: list[float] = field(default_factory=lambda: [1.0, 1.0, 0.0])
    vbtol: float | None = None
    flags: int = 0
    n_nonlinear_con: int = 0
    n_nonlinear_obj: int = 0
    n_network_nonlinear: int = 0
    n_network_linear: int = 0
    nonlinear_vars: tuple[int, int, int] = (0, 0, 0)
    n_arc: int = 0
    n_discrete: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    n_defined_kinds: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    var_names: list[str] | None = None
    con_names: list[str] | None = None
    obj_names: list[str] | None = None
    source: str = ""
    binary: bool = False
