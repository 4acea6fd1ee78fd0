"""``.sol`` files: how AMPL's solvers hand back a solution.

The layout is that of D. M. Gay, "Hooking your solver to AMPL" (1997). A file has the values of the variables and the
duals of the constraints in the order of the ``.nl`` file. Duals are the change of the optimal objective per unit added
to the right-hand side, for ``minimize`` and for ``maximize``: the sign of the multipliers of this library.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from .records import format_reals
from .sol_file import SUFFIX_HEAD, SolFile
from .sol_readers import BinaryReader, TextReader

__all__ = ["SolFile", "read_sol", "write_sol"]


def read_sol(path: Any, *, n_var: int | None = None, n_con: int | None = None) -> SolFile:
    """Read a ``.sol`` file, text or binary.

    Parameters
    ----------
    path : path
    n_var, n_con : int, optional
        Numbers of variables and constraints, for files that do not say them.

    Raises
    ------
    FileFormatError
        The file is truncated or damaged; the message has the line (or the byte).

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.sol"
    >>> write_sol(path, SolFile("Optimal.", [1.0, 2.5], [0.25], code=0))
    >>> sol = read_sol(path)
    >>> sol.message, sol.primal.tolist(), sol.dual.tolist(), sol.status
    ('Optimal.', [1.0, 2.5], [0.25], 'solved')
    """
    data = Path(path).read_bytes()
    if data[:10] == struct.pack("<i6s", 6, b"binary"):
        return BinaryReader(data, str(path), n_var, n_con).read()
    return TextReader(data, str(path), n_var, n_con).read()


def write_sol(path: Any, sol: SolFile, *, binary: bool = False) -> None:
    """Write a ``.sol`` file.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.sol"
    >>> write_sol(path, SolFile("Stopped.", [1.0], code=400))
    >>> path.read_text().split()
    ['Stopped.', 'Options', '3', '1', '1', '0', '0', '0', '1', '1', '1', 'objno', '0', '400']
    """
    if not isinstance(sol, SolFile):
        raise ModelError(f"write_sol() takes a SolFile, got {type(sol).__name__}")
    m, n = (0 if x is None else x.size for x in (sol.dual, sol.primal))
    Path(path).write_bytes(_binary(sol, m, n) if binary else _text(sol, m, n).encode())


def _text(sol: SolFile, m: int, n: int) -> str:
    lines = [line or " " for line in sol.message.strip().split("\n")] if sol.message.strip() else []
    extra = 0 if sol.vbtol is None else 2
    numbers = [len(sol.options) + extra, *sol.options, sol.n_con, m, sol.n_var, n]
    lines += ["", "Options", *format_reals(np.array(numbers, dtype=np.float64))]
    if sol.vbtol is not None:
        lines.append(repr(sol.vbtol))
    for values in (sol.dual, sol.primal):
        lines += [] if values is None else format_reals(values).tolist()
    lines.append(f"objno {sol.objective} {sol.code}")
    for s in sol.suffixes:
        some = np.flatnonzero(s.value)
        table = sol.tables.get(s.name, "")
        rows = table.count("\n") + 1 if table else 0
        kind = s.kind | 4 * s.real
        lines.append(f"suffix {kind} {some.size} {len(s.name) + 1} {len(table) + 1 if table else 0} {rows}")
        lines += [s.name, *([table] if table else [])]
        values = format_reals(s.value[some]) if s.real else s.value[some].tolist()
        lines += [f"{i} {v}" for i, v in zip(s.index[some].tolist(), values, strict=True)]
    return "\n".join(lines) + "\n"


def _binary(sol: SolFile, m: int, n: int) -> bytes:
    extra = 0 if sol.vbtol is None else 2
    integers = [len(sol.options) + extra, *map(int, sol.options), sol.n_con, m, sol.n_var, n]
    options = b"Options" + struct.pack(f"<{len(integers)}i", *integers)
    options += b"" if sol.vbtol is None else struct.pack("<d", sol.vbtol)
    records = [b"binary", *([sol.message.encode()] if sol.message else []), b"", options]
    records += [b"" if x is None else x.astype("<f8").tobytes() for x in (sol.dual, sol.primal)]
    records.append(struct.pack("<2i", sol.objective, sol.code))
    for s in sol.suffixes:
        some = np.flatnonzero(s.value)
        name, table = s.name.encode() + b"\0", sol.tables.get(s.name, "").encode()
        table += b"\0" if table else b""
        rows = np.zeros(some.size, np.dtype([("index", "<i4"), ("value", "<f8" if s.real else "<i4")]))
        rows["index"], rows["value"] = s.index[some], s.value[some]
        head = SUFFIX_HEAD.pack(b"\nSuffix\n", s.kind | 4 * s.real, some.size, len(name), len(table))
        records.append(head + name + table + rows.tobytes())
    return b"".join(struct.pack("<i", len(r)) + r + struct.pack("<i", len(r)) for r in records)
