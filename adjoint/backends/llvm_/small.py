"""A small program as one compiled call: its blocks in order, then its total derivatives.

:class:`SmallProgram` lays out the memory and the records that ``native`` works on.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...expr import Expr, Variable
from ...walk import topological
from .compiled import CompiledFunction, driver_address
from .lowering import lower
from .native import BLOCK, KINDS, PROGRAM, TOTALS, Rule, runtime
from .places import FIXED

__all__ = ["SmallProgram", "Step", "Totals"]


class Step(NamedTuple):
    """A block. Of a run: the expressions of its variables; of a cycle: residuals, and entries of their Jacobian."""

    kind: str
    variables: tuple[Variable, ...]
    outputs: tuple[Expr, ...]
    definitions: Mapping[Variable, Expr]
    entries: tuple[Expr, ...] = ()
    position: np.ndarray | None = None  # of each entry, in the matrix by rows
    base: np.ndarray | None = None  # the constant part of that matrix


class Totals(NamedTuple):
    """The local derivatives (A | B) of all equations, A by rows, then B by rows; the rows of dz/dx that are wanted."""

    entries: tuple[Expr, ...]
    check: Expr
    position: np.ndarray
    base: np.ndarray
    n: int
    columns: int
    targets: np.ndarray


class _Piece:
    """A compiled function of all variables of the program; ``usable`` if it is kernels only."""

    def __init__(self, variables: tuple[Variable, ...], outputs: Sequence[Any], definitions: Any) -> None:
        roots = [e for out in outputs for e in (out if isinstance(out, tuple) else (out,))]
        order = topological(roots, definitions=definitions)
        self.compiled = CompiledFunction(lower([variables], outputs, order, definitions), [variables], outputs)
        steps = self.compiled.steps
        self.usable = len(steps) == 1 and steps[0][0] == "native"
        self.sizes = self.compiled.output_sizes


class _Arena:
    """Memory that is laid out first and allocated once."""

    def __init__(self, dtype: Any) -> None:
        self.size, self.dtype = 0, dtype
        self.fills: list[tuple[int, Any]] = []

    def add(self, size: int, values: Any = None) -> int:
        at = self.size
        self.size += size
        if values is not None:
            self.fills.append((at, values))
        return at

    def allocate(self) -> tuple[np.ndarray, int]:
        array = np.zeros(max(self.size, 1), dtype=self.dtype)
        for at, values in self.fills:
            array[at : at + np.size(values)] = values
        return array, array.__array_interface__["data"][0]


class _Frame:
    """The memory of one call."""

    __slots__ = ("keep", "out", "program", "z")

    def __init__(self, z: np.ndarray, out: np.ndarray, program: int, keep: Any) -> None:
        self.z, self.out, self.program, self.keep = z, out, program, keep


class SmallProgram:
    """All variables and wanted total derivatives of a small program, from the values of its inputs.

    ``solve(inputs, start)`` gives (values of all variables, derivatives), or None where a test failed.

    Parameters
    ----------
    variables : the inputs, then the unknowns in the order of the steps
    steps : the blocks in solve order
    totals : what to differentiate
    rule : the tests of Newton's method
    """

    def __init__(
        self, variables: tuple[Variable, ...], steps: Sequence[Step], totals: Totals | None, rule: Rule
    ) -> None:
        self.steps, self.totals = steps, totals
        self.pieces = [_Piece(variables, _outputs(s), s.definitions) for s in steps]
        self.last = None if totals is None else _Piece(variables, [totals.entries, totals.check], {})
        self.size = sum(v.size for v in variables)
        self.known = self.size - sum(v.size for s in steps for v in s.variables)
        self.usable = all(p.usable for p in (*self.pieces, self.last) if p is not None)
        if self.usable:
            self._call = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(runtime(rule)["program"])
        self.free: list[_Frame] = []
        self._lock = threading.Lock()

    # -- memory
    def _frame(self) -> _Frame:
        doubles, words = _Arena(np.float64), _Arena(np.int64)
        self._tables: list[tuple[int, Any]] = []
        self._counted: list[int] = []
        z = doubles.add(self.size)
        records: list[list[tuple[str, Any]]] = []
        offset = self.known
        for step, piece in zip(self.steps, self.pieces, strict=True):
            records.append(self._block(step, piece, doubles, words, z, z + offset))
            offset += sum(v.size for v in step.variables)
        totals, out = ([], 0) if self.totals is None else self._totals(self.totals, self.last, doubles, words, z)
        starts = [words.add(len(r)) for r in records]
        listed = words.add(len(records))
        last, program = words.add(len(totals)), words.add(len(PROGRAM))
        data, at = doubles.allocate()
        whole, word_at = words.allocate()

        def address(item: tuple[str, Any]) -> int:
            kind, value = item
            return {"double": at, "word": word_at}.get(kind, 0) + (8 * value if kind in ("double", "word") else value)

        for start, record in zip(starts, records, strict=True):
            whole[start : start + len(record)] = [address(i) for i in record]
        whole[listed : listed + len(starts)] = [word_at + 8 * s for s in starts]
        whole[last : last + len(totals)] = [address(i) for i in totals]
        whole[program : program + 3] = word_at + 8 * listed, len(starts), word_at + 8 * last if totals else 0
        for table, entries in self._tables:
            whole[table : table + len(entries)] = [address(i) for i in entries]
        n_out = 0 if self.totals is None else len(self.totals.targets) * self.totals.columns
        keep = data, whole, self._counted
        return _Frame(data[z : z + self.size], data[out : out + n_out], word_at + 8 * program, keep)

    def _table(self, piece: _Piece, doubles: _Arena, words: _Arena, z: int, outputs: Sequence[int]) -> int:
        """The head of a piece's only step; its table of addresses: work, constants, positions, variables, outputs."""
        compiled = piece.compiled
        table = words.add(FIXED + 1 + len(outputs))
        entries = [
            ("double", doubles.add(max(compiled.lowered.work, 1))),
            ("", compiled.constants.__array_interface__["data"][0]),
            ("", compiled.positions.__array_interface__["data"][0]),
            ("double", z),
            *(("double", o) for o in outputs),
        ]
        self._tables.append((table, entries))
        head, record = words.add(3), compiled.records[0]
        kernels = ("", record.__array_interface__["data"][0])
        self._tables.append((head, [("word", table), kernels, ("", len(record))]))
        return head

    def _block(self, step: Step, piece: _Piece, doubles: _Arena, words: _Arena, z: int, own: int) -> Any:
        n = sum(v.size for v in step.variables)
        entry = ("", driver_address())
        if step.kind == "run":
            table = self._table(piece, doubles, words, z, [own])
            filled = {"kind": ("", 0), "function": entry, "table": ("word", table), "n": ("", n), "z": ("double", own)}
            return [filled.get(f, ("", 0)) for f in BLOCK]
        residual, entries = doubles.add(n), doubles.add(piece.sizes[1])
        assert step.position is not None
        count = words.add(1)
        self._counted.append(count)
        record = {
            "kind": ("", KINDS["cycle"]),
            "function": entry,
            "table": ("word", self._table(piece, doubles, words, z, [residual, entries])),
            "n": ("", n),
            "z": ("double", own),
            "residual": ("double", residual),
            "entries": ("double", entries),
            "count": ("", piece.sizes[1]),
            "position": ("word", words.add(step.position.size, step.position)),
            "base": ("double", doubles.add(n * n, step.base)),
            "J": ("double", doubles.add(n * n)),
            "LU": ("double", doubles.add(n * n)),
            "pivots": ("word", words.add(n)),
            "step": ("double", doubles.add(n)),
            "steps": ("word", count),
            "scale": ("double", doubles.add(n)),
        }
        return [record[f] for f in BLOCK]

    def _totals(self, t: Totals, piece: Any, doubles: _Arena, words: _Arena, z: int) -> Any:
        entries, check = doubles.add(piece.sizes[0]), doubles.add(1)
        out = doubles.add(len(t.targets) * t.columns)
        record = {
            "function": ("", driver_address()),
            "table": ("word", self._table(piece, doubles, words, z, [entries, check])),
            "n": ("", t.n),
            "columns": ("", t.columns),
            "entries": ("double", entries),
            "count": ("", piece.sizes[0]),
            "position": ("word", words.add(t.position.size, t.position)),
            "base": ("double", doubles.add(t.base.size, t.base)),
            "A": ("double", doubles.add(t.base.size)),
            "pivots": ("word", words.add(t.n)),
            "lam": ("double", doubles.add(t.n)),
            "rows": ("", len(t.targets)),
            "targets": ("word", words.add(len(t.targets), t.targets)),
            "out": ("double", out),
            "check": ("double", check),
        }
        return [record[f] for f in TOTALS], out

    # -- the call
    def solve(self, known: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, Any] | None:
        """Values of the unknowns, and the derivatives wanted, by rows (new arrays); where none are wanted, how many
        steps each cycle took."""
        try:
            frame = self.free.pop()
        except IndexError:
            with self._lock:  # its layout is worked out step by step
                frame = self._frame()
        z, k = frame.z, self.known
        z[:k] = known
        z[k:] = start
        found = None
        if self._call(frame.program) == 0:
            _, words, counted = frame.keep
            found = z[k:].copy(), words[counted] if self.totals is None else frame.out.copy()
        self.free.append(frame)
        return found


def _outputs(step: Step) -> list[Any]:
    return [step.outputs] if step.kind == "run" else [step.outputs, step.entries]
