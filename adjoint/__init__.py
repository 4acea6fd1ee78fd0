"""Write a model as equations; get its solution, every derivative, and its optimum.

>>> import numpy as np, adjoint as adj
>>> m = adj.Program("sellar")
>>> z1, z2, x = m.input("z1", 5.0), m.input("z2", 2.0), m.input("x", 1.0)
>>> y1, y2 = m.unknown("y1"), m.unknown("y2")
>>> _ = m.define(y1, z1**2 + z2 + x - 0.2 * y2)
>>> _ = m.define(y2, np.sqrt(y1) + z1 + z2)
>>> _ = m.define("f", x**2 + z2 + y1 + np.exp(-y2))
>>> sol = m.solve()
>>> round(sol["y1"], 9), round(sol.gradient("f", wrt="x"), 9)
(25.588302370, 2.980613913)
"""

from __future__ import annotations

from . import primitives as primitives  # fills the tables of NumPy's functions
from .analysis import BlockInfo
from .backends.llvm_.disk_cache import cache_folder, clear_cache
from .check import DerivativeCheck, Report
from .equations import Equation, Included
from .errors import (
    AdjointError,
    AdjointWarning,
    ConvergenceError,
    DerivativeError,
    EvaluationError,
    KinkWarning,
    ModelError,
    NameLookupError,
    ShapeError,
    SingularError,
    SingularWarning,
    Status,
    StructureError,
    UnsupportedError,
)
from .explain import explain
from .expr import Comparison, Expr, Variable
from .function import Function
from .lagrangian import Lagrangian
from .primitives.activations import erf, erfc, expit, gamma, gammaln, mish, relu, softplus, swish
from .primitives.functions import array
from .primitives.indexing import put, scatter_add, segment_sum
from .primitives.reductions import log_softmax, logsumexp, softmax
from .problem import Constraint, Problem, between
from .program import Program
from .solution import Solution
from .solve import BlockReport
from .trace import TracedFunction, program, trace

__version__ = "0.1.0"

__all__ = [
    "trace",
    "program",
    "TracedFunction",
    "between",
    "Problem",
    "Constraint",
    "AdjointError",
    "AdjointWarning",
    "BlockInfo",
    "BlockReport",
    "Comparison",
    "ConvergenceError",
    "DerivativeCheck",
    "DerivativeError",
    "Equation",
    "EvaluationError",
    "Expr",
    "Function",
    "Included",
    "KinkWarning",
    "Lagrangian",
    "ModelError",
    "NameLookupError",
    "Program",
    "Report",
    "ShapeError",
    "SingularError",
    "SingularWarning",
    "Solution",
    "Status",
    "StructureError",
    "UnsupportedError",
    "Variable",
    "array",
    "cache_folder",
    "clear_cache",
    "erf",
    "erfc",
    "explain",
    "expit",
    "gamma",
    "gammaln",
    "log_softmax",
    "logsumexp",
    "mish",
    "put",
    "relu",
    "scatter_add",
    "segment_sum",
    "softmax",
    "softplus",
    "swish",
]
