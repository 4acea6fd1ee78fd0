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

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import primitives as primitives  # fills the tables of NumPy's functions
from .analysis import BlockInfo
from .backends.llvm_.disk_cache import cache_folder, clear_cache
from .backends.llvm_.threads import get_num_threads, set_num_threads
from .check import DerivativeCheck, Report
from .equations import Equation, Included
from .errors import (
    AdjointError,
    AdjointWarning,
    ConvergenceError,
    DerivativeError,
    EvaluationError,
    FileFormatError,
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
from .problem import FORMATS, Constraint, Problem, between
from .program import Program
from .solution import Solution
from .solve import BlockReport
from .trace import TracedFunction, program, trace

if TYPE_CHECKING:
    from .nl import SolFile, read_nl, read_sol, write_sol

__version__ = "0.1.0"

__all__ = [
    "AdjointError",
    "AdjointWarning",
    "BlockInfo",
    "BlockReport",
    "Comparison",
    "Constraint",
    "ConvergenceError",
    "DerivativeCheck",
    "DerivativeError",
    "Equation",
    "EvaluationError",
    "Expr",
    "FileFormatError",
    "Function",
    "Included",
    "InnerReport",
    "KinkWarning",
    "Lagrangian",
    "ModelError",
    "NameLookupError",
    "Problem",
    "Program",
    "Report",
    "Schedule",
    "ShapeError",
    "SingularError",
    "SingularWarning",
    "SolFile",
    "Solution",
    "Status",
    "StructureError",
    "TracedFunction",
    "Trajectory",
    "UnsupportedError",
    "Variable",
    "argmin",
    "array",
    "between",
    "cache_folder",
    "clear_cache",
    "erf",
    "erfc",
    "expit",
    "explain",
    "fixed_point",
    "gamma",
    "gammaln",
    "get_num_threads",
    "inner_reports",
    "log_softmax",
    "logsumexp",
    "mish",
    "ode",
    "program",
    "program_step",
    "put",
    "read_nl",
    "read_sol",
    "relu",
    "root",
    "scan",
    "scatter_add",
    "segment_sum",
    "set_num_threads",
    "single_level",
    "softmax",
    "softplus",
    "steady_state",
    "swish",
    "trace",
    "trajectory",
    "write_sol",
]

# What few programs need is loaded when it is asked for.
_LATER = {
    "InnerReport": "inner",
    "Schedule": "inner",
    "SolFile": "nl",
    "Trajectory": "control",
    "argmin": "inner",
    "fixed_point": "inner",
    "inner_reports": "inner",
    "ode": "loops",
    "program_step": "loops",
    "read_nl": "nl",
    "read_sol": "nl",
    "root": "inner",
    "scan": "loops",
    "single_level": "inner",
    "steady_state": "loops",
    "trajectory": "control",
    "write_sol": "nl",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    if name == "learn":
        return import_module(".learn", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _write_nl(problem: Problem, path: Any, **options: Any) -> None:
    import_module(".nl", __name__).write_nl(problem, path, **options)


FORMATS["nl"] = _write_nl


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, "learn"})
