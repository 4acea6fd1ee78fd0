"""Results as plain data that JSON can hold: numbers, texts, lists and dicts."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..analysis import BlockInfo
from ..errors import ConvergenceError, SingularError, StructureError
from ..problem import Problem
from ..program import Program
from ..solution import Solution
from .optimum import Entry, entries

__all__ = ["dumps", "error_data", "graph_data", "plain", "result_data", "solution_data"]


def plain(value: Any) -> Any:
    """Data that ``json.dumps`` takes: arrays become nested lists, NaN and infinities None, enums their names.

    >>> import numpy as np
    >>> plain({"a": np.array([[1.0, np.nan]]), ("f", "x"): np.float64(2.0), "bounds": (-np.inf, 3)})
    {'a': [[1.0, None]], 'f, x': 2.0, 'bounds': [None, 3]}
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (np.bool_, np.integer)):
        return value.item()
    if isinstance(value, Enum):
        return value.name
    if sp.issparse(value):
        return plain(value.toarray())
    if isinstance(value, np.ndarray):
        return [plain(x) for x in value] if value.shape else plain(value[()])
    if isinstance(value, BlockInfo):
        return block_data(value)
    if hasattr(value, "_asdict"):
        return {k: plain(v) for k, v in value._asdict().items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {
            ", ".join(map(str, k)) if isinstance(k, tuple) else str(k): plain(v) for k, v in value.items()
        }
    if isinstance(value, Iterable):
        return [plain(x) for x in value]
    return str(value)


def dumps(value: Any) -> str:
    """The JSON text of any result; lists of numbers stay on one line.

    >>> print(dumps({"f": 1.0, "x": [1.0, 2.0]}))
    {
      "f": 1.0,
      "x": [1.0, 2.0]
    }
    """
    return _layout(plain(value), "")


def _layout(value: Any, indent: str) -> str:
    inner = indent + "  "
    if isinstance(value, dict) and value:
        parts = [f"{inner}{json.dumps(k)}: {_layout(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(parts) + "\n" + indent + "}"
    if isinstance(value, list) and any(isinstance(v, (dict, list)) for v in value):
        return "[\n" + ",\n".join(inner + _layout(v, inner) for v in value) + "\n" + indent + "]"
    return json.dumps(value, allow_nan=False)


def block_data(block: BlockInfo) -> dict[str, Any]:
    """A block of the block triangular form."""
    return {
        "name": block.name,
        "kind": block.kind,
        "size": block.size,
        "level": block.level,
        "equations": [e.name for e in block.equations],
        "unknowns": [v.name for v in block.unknowns],
    }


def solution_data(program: Program, sol: Solution) -> dict[str, Any]:
    """How a program was solved, and all values.

    >>> import adjoint as adj
    >>> m = adj.Program("square")
    >>> y = m.define("y", m.input("x", 3.0) ** 2)
    >>> data = solution_data(m, m.solve())
    >>> data["success"], data["inputs"], data["values"]
    (True, ['x'], {'x': 3.0, 'y': 9.0})
    """
    return {
        "program": program.name,
        "success": sol.success,
        "status": sol.status.name,
        "message": sol.message,
        "inputs": [v.name for v in program.inputs],
        "outputs": program.outputs,
        "blocks": plain(sol.blocks),
        "values": {name: plain(sol[name]) for name in sol},
    }


def result_data(problem: Problem, result: Any, method: str) -> dict[str, Any]:
    """How a problem was optimized: objective, variables, constraints, multipliers and all values.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> f = m.define("f", (m.input("x", 0.0) - 1) ** 2)
    >>> problem = adj.Problem(m, minimize="f", over={"x": (2, 5)})
    >>> data = result_data(problem, problem.solve(), "SLSQP")
    >>> data["objective"]["value"], data["variables"]["x"]["active"]
    (1.0, 'lower')
    """
    variables, constraints = entries(problem, result)
    solution = result.get("solution")
    return {
        "program": problem.program.name,
        "success": bool(result.success),
        "message": str(result.message),
        "method": method,
        "objective": {
            "name": problem.objective.name,
            "sense": "maximize" if problem.maximize else "minimize",
            "value": plain(result.get("fun")),
        },
        "variables": {e.name: _entry_data(e) for e in variables},
        "constraints": {e.name: _entry_data(e) for e in constraints},
        "multipliers": plain(result.get("multipliers") or {}),
        "values": {} if solution is None else {name: plain(solution[name]) for name in solution},
        "iterations": plain(result.get("nit")),
        "evaluations": plain(result.get("nfev")),
        "solves": plain(result.get("nsolves")),
        "failed_solves": list(result.get("failed_solves") or []),
    }


def _entry_data(e: Entry) -> dict[str, Any]:
    return {
        "value": plain(e.value),
        "lower": plain(e.lower),
        "upper": plain(e.upper),
        "active": plain(e.active) if np.shape(e.active) else str(e.active),
        "multiplier": plain(e.multiplier),
    }


def graph_data(program: Program) -> dict[str, Any]:
    """The graph of a program and its blocks in solve order.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.define("y", 2 * m.input("x", 3.0))
    >>> graph_data(m)["edges"]
    [['x', 'y']]
    """
    graph, blocks = program.graph, program.blocks()
    owner = {v.name: b.name for b in blocks for v in b.unknowns}
    return {
        "program": program.name,
        "success": True,
        "nodes": [
            {"name": n, "kind": d["kind"], "shape": list(d["shape"]), "block": owner.get(n)}
            for n, d in graph.nodes(data=True)
        ],
        "edges": [list(edge) for edge in graph.edges],
        "blocks": [block_data(b) for b in blocks],
        "outputs": program.outputs,
    }


def error_data(error: BaseException) -> dict[str, Any]:
    """What an error carries.

    >>> error_data(ValueError("no"))
    {'success': False, 'error': {'type': 'ValueError', 'message': 'no'}}
    """
    fields: dict[str, Any] = {"type": type(error).__name__, "message": str(error)}
    if isinstance(error, ConvergenceError):
        names = ("block", "status", "worst", "values", "history")
    elif isinstance(error, SingularError):
        names = ("block", "equations", "variables")
    elif isinstance(error, StructureError):
        names = ("overdetermined", "underdetermined")
    else:
        names = ()
    fields.update({name: plain(getattr(error, name)) for name in names})
    return {"success": False, "error": fields}
