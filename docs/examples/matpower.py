"""Power system cases in MATPOWER's text format (version 2), and from PYPOWER's dictionaries.

    mpc.baseMVA = 100;
    mpc.bus = [                       % comments, continuation lines (...) and commas are fine
        1   3   0   0   0   0   1   1.06   0   0   1   1.06   0.94;
    ];

Only literal values are read. A case that computes (unit conversions at its end, say) is refused, with the
line, since numbers before the computation would be wrong without a word. The columns are described in
MATPOWER's manual, appendix B: https://matpower.org/docs/MATPOWER-manual.pdf
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np


class Bus(IntEnum):
    """Columns of the bus matrix."""

    NUMBER, TYPE, PD, QD, GS, BS, AREA, VM, VA, BASE_KV, ZONE, VMAX, VMIN = range(13)


class Gen(IntEnum):
    """Columns of the generator matrix."""

    BUS, PG, QG, QMAX, QMIN, VG, MBASE, STATUS, PMAX, PMIN = range(10)


class Branch(IntEnum):
    """Columns of the branch matrix."""

    FROM, TO, R, X, B, RATE_A, RATE_B, RATE_C, TAP, SHIFT, STATUS = range(11)


PQ, PV, REFERENCE, ISOLATED = 1, 2, 3, 4  # bus types


class CaseError(ValueError):
    """A case that is not well formed.

    Attributes
    ----------
    line : int or None
        Where, in the text.
    """

    def __init__(self, message: str, where: str = "", line: int | None = None) -> None:
        place = f"{where}, line {line}" if line is not None else where
        super().__init__(f"{place}: {message}" if place else message)
        self.line = line


@dataclass(frozen=True)
class Case:
    """A power system: MW, MVAr, degrees, and per unit on ``base_mva``, as in the text."""

    name: str
    base_mva: float
    bus: np.ndarray
    gen: np.ndarray
    branch: np.ndarray
    gencost: np.ndarray | None = None


def read_case(path: str | Path) -> Case:
    """The case in a MATPOWER file."""
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CaseError(f"cannot be read ({error.strerror})", str(path)) from None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")  # names of places in comments
    return parse_case(text, str(path))


def parse_case(text: str, where: str = "case") -> Case:
    """The case in a MATPOWER text; ``where`` names it in errors."""
    fields = _Reader(text, where).fields()
    name = fields["function"].value if "function" in fields else Path(where).stem
    for key in ("version", "baseMVA", "bus", "gen", "branch"):
        if key not in fields:
            raise CaseError(f"there is no mpc.{key}", where)
    version = fields["version"]
    if str(version.value) not in ("2", "2.0"):
        raise CaseError(f"format version {version.value!r}; only version 2 is read", where, version.line)
    return _checked(name, fields, where)


def from_pypower(case: Mapping[str, Any], name: str = "case") -> Case:
    """The case in a PYPOWER dictionary (``pypower.api.case14()``, say)."""
    missing = [key for key in ("baseMVA", "bus", "gen", "branch") if key not in case]
    if missing:
        raise CaseError(f"the dictionary has no {', '.join(map(repr, missing))}")
    fields = {}
    for key in ("baseMVA", "bus", "gen", "branch", "gencost"):
        if case.get(key) is not None:
            value = np.array(case[key], dtype=float)
            fields[key] = Field(value if value.ndim else float(value), None)
    return _checked(name, fields, name)


# -- reading text --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """The value of ``mpc.name``, the line where it is assigned, and the lines of a matrix's rows."""

    value: Any
    line: int | None
    rows: Sequence[int] = ()


BLOCK_COMMENT = re.compile(r"^[ \t]*%\{[ \t]*\n.*?^[ \t]*%\}[ \t]*$", re.MULTILINE | re.DOTALL)
LAYOUT = re.compile(r"('[^'\n]*'|\"[^\"\n]*\")|(\.\.\.[^\n]*\n)|%[^\n]*")  # text; continuation; comment
HEADER = re.compile(r"function\s+(?:\w+\s*=\s*)?(\w+)[^\n]*")
END = re.compile(r"(?:end|return)\b")
ASSIGNMENT = re.compile(r"\w+\.(\w+)\s*=[ \t\v]*")
CELL = re.compile(r"\{(?:[^'\"{}]|'[^'\n]*'|\"[^\"\n]*\")*\}")
SCALAR = re.compile(r"'([^'\n]*)'|\"([^\"\n]*)\"|([^\s;,]+)")
NUMBER = re.compile(r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|inf|nan)", re.IGNORECASE)
GAP = re.compile(r"[\s;,]*")


class _Reader:
    """Reads assignments of literal values; knows the line of everything."""

    def __init__(self, text: str, where: str) -> None:
        text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").replace("\v", " ")
        text = BLOCK_COMMENT.sub(lambda m: "\n" * m[0].count("\n"), text)
        # A continued line becomes one line of the text, where a vertical tab counts as the line break.
        self.text = LAYOUT.sub(lambda m: m[1] or ("\v" if m[2] else ""), text)
        self.where = where
        self.counted = (0, 1)  # a position and its line

    def line(self, at: int) -> int:
        before, line = self.counted
        if at < before:
            before, line = 0, 1
        line += self.text.count("\n", before, at) + self.text.count("\v", before, at)
        self.counted = (at, line)
        return line

    def error(self, message: str, at: int) -> CaseError:
        return CaseError(message, self.where, self.line(at))

    def fields(self) -> dict[str, Field]:
        found: dict[str, Field] = {}
        at = GAP.match(self.text).end()
        while at < len(self.text):
            if match := HEADER.match(self.text, at):
                found["function"] = Field(match[1], self.line(at))
                at = match.end()
            elif match := END.match(self.text, at):
                at = match.end()
            elif match := ASSIGNMENT.match(self.text, at):
                if match[1] in found:
                    raise self.error(f"mpc.{match[1]} is assigned a second time", at)
                found[match[1]], at = self.value(match[1], match.end())
                if not re.match(r"[ \t\v]*([;,\n]|$)", self.text[at : at + 80]):
                    raise self.error(f"mpc.{match[1]} is computed; only literal values are read", at)
            else:
                words = self.text[at : at + 60].split("\n")[0]
                raise self.error(f"{words!r} does not give a literal value to a field (mpc.name = ...)", at)
            at = GAP.match(self.text, at).end()
        return found

    def value(self, name: str, at: int) -> tuple[Field, int]:
        line = self.line(at)
        if self.text.startswith("[", at):
            end = self.text.find("]", at)
            if end < 0:
                raise self.error(f"the matrix mpc.{name} is not closed", at)
            matrix, rows = self.matrix(name, at + 1, end)
            return Field(matrix, line, rows), end + 1
        if self.text.startswith("{", at):  # names: not needed
            match = CELL.match(self.text, at)
            if match is None:
                raise self.error(f"the list mpc.{name} is not closed", at)
            return Field(None, line), match.end()
        match = SCALAR.match(self.text, at)
        if match is None:
            raise self.error(f"mpc.{name} has no value", at)
        if match[3] is None:
            return Field(match[1] if match[2] is None else match[2], line), match.end()
        return Field(self.number(match[3], name, line), line), match.end()

    def number(self, word: str, name: str, line: int) -> float:
        if not NUMBER.fullmatch(word):
            raise CaseError(f"{word!r} in mpc.{name} is not a number", self.where, line)
        return float(word)

    def matrix(self, name: str, start: int, end: int) -> tuple[np.ndarray, list[int]]:
        rows: list[list[float]] = []
        lines: list[int] = []
        line = self.line(start)
        for text in self.text[start:end].split("\n"):
            for part in text.split(";"):
                words = part.replace(",", " ").split()
                if not words:
                    continue
                if "=" in part:
                    raise CaseError(
                        f"the matrix mpc.{name} is not closed before {part.strip()!r}", self.where, line
                    )
                row = [self.number(w, name, line) for w in words]
                if rows and len(row) != len(rows[0]):
                    message = f"a row of mpc.{name} has {len(row)} columns, the first one has {len(rows[0])}"
                    raise CaseError(message, self.where, line)
                rows.append(row)
                lines.append(line)
            line += 1 + text.count("\v")
        return np.array(rows) if rows else np.zeros((0, 0)), lines


# -- checking ------------------------------------------------------------------------------------------


class _Table:
    """One matrix of a case, checked row by row."""

    def __init__(self, name: str, field: Field, columns: int, where: str) -> None:
        self.name, self.field, self.where = name, field, where
        matrix = field.value
        if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.shape[0] == 0:
            raise CaseError(f"mpc.{name} is not a matrix with rows", where, field.line)
        if matrix.shape[1] < columns:
            raise CaseError(
                f"mpc.{name} has {matrix.shape[1]} columns, expected at least {columns}", where, field.line
            )
        self.matrix = matrix

    def refuse(self, bad: np.ndarray, message: str) -> None:
        """Raise where a row is bad; ``{}`` in the message is the row's first number."""
        if bad.any():
            row = int(np.argmax(bad))
            line = self.field.rows[row] if self.field.rows else None
            place = "" if self.field.rows else f" (row {row + 1})"
            message = message.format(f"{self.matrix[row, 0]:g}")
            raise CaseError(f"mpc.{self.name}{place}: {message}", self.where, line)

    def finite(self, *columns: IntEnum) -> None:
        for column in columns:
            self.refuse(~np.isfinite(self.matrix[:, column]), f"{column.name} is not finite")


def _checked(name: str, fields: Mapping[str, Field], where: str) -> Case:
    base = fields["baseMVA"]
    if not (isinstance(base.value, float) and np.isfinite(base.value) and base.value > 0):
        raise CaseError(f"mpc.baseMVA is {base.value!r}, expected a positive number", where, base.line)
    bus = _Table("bus", fields["bus"], len(Bus), where)
    number = bus.matrix[:, Bus.NUMBER]
    bus.refuse(~((number > 0) & (number % 1 == 0)), "the bus number {} is not a positive whole number")
    first = np.zeros(number.size, dtype=bool)
    first[np.unique(number, return_index=True)[1]] = True
    bus.refuse(~first, "bus {} is there already")
    kinds = (PQ, PV, REFERENCE, ISOLATED)
    bus.refuse(~np.isin(bus.matrix[:, Bus.TYPE], kinds), "the type of bus {} is not 1, 2, 3 or 4")
    bus.finite(Bus.PD, Bus.QD, Bus.GS, Bus.BS, Bus.VM, Bus.VA)

    gen = _Table("gen", fields["gen"], len(Gen), where)
    gen.refuse(~np.isin(gen.matrix[:, Gen.BUS], number), "there is no bus {}")
    gen.finite(Gen.PG, Gen.QG, Gen.VG, Gen.STATUS)
    running = gen.matrix[:, Gen.STATUS] > 0
    gen.refuse(running & (gen.matrix[:, Gen.VG] <= 0), "the voltage set point at bus {} is not positive")

    branch = _Table("branch", fields["branch"], len(Branch), where)
    for column in (Branch.FROM, Branch.TO):
        message = f"{column.name} names no bus (a branch from bus {{}})"
        branch.refuse(~np.isin(branch.matrix[:, column], number), message)
    branch.finite(Branch.R, Branch.X, Branch.B, Branch.TAP, Branch.SHIFT, Branch.STATUS)
    shorted = (branch.matrix[:, Branch.R] == 0) & (branch.matrix[:, Branch.X] == 0)
    branch.refuse(shorted & (branch.matrix[:, Branch.STATUS] > 0), "a branch from bus {} has no impedance")
    branch.refuse(
        branch.matrix[:, Branch.FROM] == branch.matrix[:, Branch.TO], "a branch joins bus {} to itself"
    )

    gencost = _Table("gencost", fields["gencost"], 5, where).matrix if "gencost" in fields else None
    return Case(name, base.value, bus.matrix, gen.matrix, branch.matrix, gencost)
