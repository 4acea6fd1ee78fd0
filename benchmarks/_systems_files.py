"""Square systems that are published as texts: ibex's ``.bch`` files, and polynomial systems with all their roots."""

from __future__ import annotations

import ast
import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["TextSystem", "ibex_systems", "polynomial_systems", "read_bch"]

OPERATIONS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
FUNCTIONS = {name: getattr(np, name) for name in ("exp", "log", "sqrt", "sin", "cos", "tan")}


@dataclass(frozen=True)
class TextSystem:
    """Equations ``text = 0`` in named unknowns, the box to search, and the roots that are known."""

    name: str
    unknowns: list[str]
    equations: list[str]
    constants: dict[str, float]
    lower: np.ndarray
    upper: np.ndarray
    roots: np.ndarray

    def residual(self, x: Any) -> list[Any]:
        """The left-hand sides, at numbers or expressions."""
        values = {**self.constants, **{name: x[k] for k, name in enumerate(self.unknowns)}}
        return [evaluate(text, values) for text in self.equations]


def evaluate(text: str, values: Mapping[str, Any]) -> Any:
    """The value of a formula.

    >>> evaluate("2*x**2 - (y + 1)/3", {"x": 2.0, "y": 5.0})
    6.0
    """
    return _value(ast.parse(text.strip(), mode="eval").body, values)


def _value(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=op, operand=operand):
            return OPERATIONS[type(op)](_value(operand, values))
        case ast.BinOp(left=left, op=op, right=right):
            return OPERATIONS[type(op)](_value(left, values), _value(right, values))
        case ast.Call(func=ast.Name(id=name), args=args):
            return FUNCTIONS[name](*[_value(a, values) for a in args])
    raise ValueError(f"{ast.unparse(node)} is no formula")


# -- ibex ----------------------------------------------------------------------------------------------------------


def read_bch(path: Path) -> TextSystem:
    """A ``.bch`` file: constants, variables in a box, equations. ``x(3)`` and ``x[3]`` are the third element of x."""
    text = re.sub(r"//.*|/\*.*?\*/", "", path.read_text(encoding="utf-8"))
    parts = re.split(r"(?im)^\s*(constants|variables|constraints|end)\b\s*;?", text)
    sections = {title.lower(): body for title, body in zip(parts[1::2], parts[2::2], strict=True)}
    constants: dict[str, float] = {}
    for line in _statements(sections.get("constants", "")):
        name, _, right = line.partition("=")
        constants[name.strip()] = evaluate(_formula(right, set()), constants)
    unknowns: list[str] = []
    bounds: list[tuple[float, float]] = []
    arrays: set[str] = set()
    for line in _statements(sections["variables"]):
        found = re.fullmatch(r"(\w+)(?:\[(\d+)\])?(?:\s+in\s+\[(.+),(.+)\])?", line, re.DOTALL)
        if found is None:
            raise ValueError(f"{path.name}: {line!r} declares no variable")
        name, count, *box = found.groups()
        names = [name] if count is None else [f"{name}_{k}" for k in range(1, int(count) + 1)]
        if count is not None:
            arrays.add(name)
        low, high = (evaluate(_formula(side, set()), constants) for side in box) if box[0] else (-np.inf, np.inf)
        unknowns += names
        bounds += [(low, high)] * len(names)
    equations = []
    for line in _statements(sections["constraints"]):
        left, right = _formula(line, arrays).split("=")
        equations.append(left if right.strip() == "0" else f"({left})-({right})")
    box_ = np.array(bounds, dtype=float).reshape(-1, 2)
    return TextSystem(path.stem, unknowns, equations, constants, *box_.T, np.zeros((0, len(unknowns))))


def _statements(text: str) -> list[str]:
    return [line.strip() for line in text.split(";") if line.strip()]


def _formula(text: str, arrays: set[str]) -> str:
    """A formula of ibex in Python's notation, on one line."""
    for name in arrays:
        text = re.sub(rf"\b{name}\s*[(\[]\s*(\d+)\s*[)\]]", rf"{name}_\1", text)
    return " ".join(text.replace("^", "**").split())


def ibex_systems(folder: Path) -> list[TextSystem]:
    """The files of a folder with the roots in its ``roots_found.json``."""
    listed = json.loads((folder / "roots_found.json").read_text())["systems"]
    roots = {Path(name).stem: np.array([r["x"] for r in entry.get("roots", ())]) for name, entry in listed.items()}
    out = []
    for path in sorted(folder.glob("*.bch")):
        system = read_bch(path)
        found = roots.get(system.name, np.zeros(0)).reshape(-1, len(system.unknowns))
        out.append(TextSystem(**{**vars(system), "roots": found}))
    return out


def polynomial_systems(file: Path) -> list[TextSystem]:
    """Polynomial systems with all their real roots."""
    out = []
    for name, entry in json.loads(file.read_text()).items():
        unknowns = entry["vars"]
        free = np.full(len(unknowns), np.inf)
        roots = np.array([[r["polished"][v] for v in unknowns] for r in entry["real_solutions"]])
        equations = [e["expr"].replace("^", "**") for e in entry["equations"]]
        out.append(TextSystem(name, unknowns, equations, dict(entry["params"]), -free, free, roots))
    return out
