"""Texts from a command line as values: numbers, arrays, files of them, bounds and constraints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import AdjointError

__all__ = ["UsageError", "assignments", "bounds", "constraints", "option_value", "value"]


class UsageError(AdjointError, ValueError):
    """What was asked for on the command line cannot be understood; the message says what would be."""


def value(text: str) -> Any:
    """A number, a list of numbers, a JSON array, or the array in a file ``@file.json``, ``@file.csv``, ``@file.npy``.

    >>> value("4"), value("1,2.5,3"), value("[[1, 2], [3, 4]]"), value("-inf")
    (4, [1, 2.5, 3], [[1, 2], [3, 4]], -inf)
    """
    text = text.strip()
    if text.startswith("@"):
        return _from_file(Path(text[1:]))
    if text.startswith("["):
        try:
            return json.loads(text)
        except ValueError as error:
            raise UsageError(f"{text!r} is not a JSON array: {error}") from None
    if "," in text:
        return [_number(part) for part in text.rstrip(",").split(",")]
    return _number(text)


def _number(text: str) -> Any:
    word = text.strip()
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            pass
    raise UsageError(
        f"{word!r} is not a number; write 4, 1,2,3, [[1, 2], [3, 4]] or @file.json, @file.csv, @file.npy"
    )


def _from_file(path: Path) -> Any:
    try:
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False)
        if path.suffix == ".json":
            return json.loads(path.read_text(encoding="utf-8"))
        if path.suffix in (".csv", ".txt"):
            return _from_csv(path)
    except OSError as error:
        raise UsageError(f"@{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise UsageError(f"@{path}: {error}") from None
    raise UsageError(f"@{path}: expected a file that ends with .json, .csv, .txt or .npy")


def _from_csv(path: Path) -> np.ndarray:
    """The numbers of a file with commas or blanks; a first line that holds no number is a head and left out."""
    lines = [line.replace(",", " ").split() for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line]
    if lines and not any(_is_number(word) for word in lines[0]):
        lines = lines[1:]
    if len({len(line) for line in lines}) > 1:
        raise ValueError("its lines differ in their number of values")
    array = np.array([[float(word) for word in line] for line in lines])
    return array.reshape(-1) if 1 in array.shape else array


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def assignments(texts: Iterable[str], option: str = "--set") -> dict[str, Any]:
    """Values by name from ``name=value``; the last one of a name counts.

    >>> assignments(["z1=4", "y=1,2"])
    {'z1': 4, 'y': [1, 2]}
    """
    out = {}
    for text in texts:
        name, sign, right = text.partition("=")
        if not sign or not name.strip():
            raise UsageError(f"{option} {text}: expected name=value, such as {option} z1=4")
        try:
            out[name.strip()] = value(right)
        except UsageError as error:
            raise UsageError(f"{option} {text}: {error}") from None
    return out


def option_value(text: str) -> Any:
    """The value of an optimizer's option: a number, true, false, null, a JSON value, or a text.

    >>> option_value("200"), option_value("1e-9"), option_value("True"), option_value("exact")
    (200, 1e-09, True, 'exact')
    """
    words: dict[str, Any] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return json.loads(text)
    except ValueError:
        return text


def bounds(texts: Iterable[str]) -> dict[str, tuple[float | None, float | None]]:
    """Bounds by name from ``"z1=-10:10, z2=0:"``; a name alone has none.

    >>> bounds(["z1=-10:10, z2=0:", "x"])
    {'z1': (-10.0, 10.0), 'z2': (0.0, None), 'x': (None, None)}
    """
    out: dict[str, tuple[float | None, float | None]] = {}
    for text in texts:
        for part in _parts(text):
            name, sign, right = part.partition("=")
            low, colon, high = right.partition(":")
            if not name.strip() or bool(sign) != bool(colon) or ":" in name:
                raise UsageError(
                    f"--over {part}: expected name=lower:upper, name=lower:, name=:upper or name"
                )
            sides = [_side(side, f"--over {part}") for side in (low, high)]
            out[name.strip()] = (sides[0], sides[1])
    return out


def _side(text: str, where: str) -> float | None:
    try:
        return float(text) if text.strip() else None
    except ValueError:
        raise UsageError(f"{where}: {text.strip()!r} is not a number") from None


OPERATOR = re.compile(r"\s*(<=|>=|==|=|<|>)\s*")


def constraints(texts: Iterable[str]) -> dict[str, tuple[str, float, float]]:
    """``{text: (name, lower, upper)}`` from ``"y1>=3.16, y2<=24"``, ``"0<=y<=5"`` or ``"y==1"``.

    >>> constraints(["y1>=3.16, 24 > y2", "0<=y<=5", "z = 1"])["y1 >= 3.16"]
    ('y1', 3.16, inf)
    """
    out = {}
    for text in texts:
        for part in _parts(text):
            label, bound = _constraint(part)
            out[label] = bound
    return out


def _constraint(text: str) -> tuple[str, tuple[str, float, float]]:
    words = OPERATOR.split(text.strip())
    operators = [_plain_operator(op) for op in words[1::2]]
    sides = words[::2]
    numbers = [float(w) if _is_number(w) else None for w in sides]
    label = " ".join([sides[0], *(w for pair in zip(operators, sides[1:], strict=True) for w in pair)])
    if len(sides) == 2 and (numbers[0] is None) != (numbers[1] is None):
        if numbers[0] is None:
            return label, _interval(sides[0], operators[0], numbers[1])
        return label, _interval(sides[1], FLIPPED[operators[0]], numbers[0])
    if (
        len(sides) == 3
        and numbers[0] is not None
        and numbers[1] is None
        and numbers[2] is not None
        and sides[1]
    ):
        if set(operators) == {"<="}:
            return label, (sides[1], numbers[0], numbers[2])
        if set(operators) == {">="}:
            return label, (sides[1], numbers[2], numbers[0])
    raise UsageError(
        f"--subject-to {text.strip()}: expected 'name >= number', 'name <= number', 'name == number' or "
        "'number <= name <= number'"
    )


FLIPPED = {"<=": ">=", ">=": "<=", "==": "=="}


def _plain_operator(op: str) -> str:
    return {"<": "<=", ">": ">=", "=": "=="}.get(op, op)


def _interval(name: str, op: str, bound: Any) -> tuple[str, float, float]:
    if not name:
        raise UsageError(f"--subject-to {op} {bound:g}: the name is missing")
    lower = bound if op in (">=", "==") else -np.inf
    upper = bound if op in ("<=", "==") else np.inf
    return name, float(lower), float(upper)


def _parts(text: str) -> Sequence[str]:
    parts = [part.strip() for part in re.split(r"[,;]", text)]
    return [part for part in parts if part]
