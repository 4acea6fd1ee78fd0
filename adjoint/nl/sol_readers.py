"""``.sol`` files read, in text and in binary form."""

from __future__ import annotations

import struct
from typing import NoReturn

import numpy as np

from .lines import refuse
from .model import Suffix
from .sol_file import SUFFIX_HEAD, UNKNOWN, SolFile

__all__ = ["BinaryReader", "TextReader"]

_MOST_OPTIONS = 9
_MOST_OBJECTIVES = 10**6


class TextReader:
    """Lines of a text file, read from the first to the last."""

    def __init__(self, data: bytes, source: str, n_var: int | None, n_con: int | None) -> None:
        self.lines = [line.rstrip(b"\r") for line in data.split(b"\n")]
        if self.lines[-1] == b"":
            self.lines.pop()
        self.source, self.at, self.part = source, 0, "message"
        self.sol = SolFile(n_var=n_var, n_con=n_con)
        self.counts = (n_con, n_var)

    def read(self) -> SolFile:
        sol = self.sol
        sol.message = self._message()
        if self._peek() == b"Options":
            self._options()
        elif None in self.counts:
            self._fail("no block 'Options'", "that block; for a file without it, give n_var= and n_con=")
        m, n = (int(c or 0) for c in self.counts)
        self.part = "duals"
        sol.dual = self._reals(m) if m else None
        self.part = "values of variables"
        sol.primal = self._reals(n) if n else None
        if self.at < len(self.lines) and self._peek().startswith(b"objno"):
            self.part = "objno"
            numbers = self._integers(self._next().split()[1:])
            sol.objective, sol.code = (*numbers, UNKNOWN)[:2] if numbers else (0, UNKNOWN)
        while self.at < len(self.lines) and self._peek().startswith(b"suffix"):
            self.part = "suffix"
            self._suffix()
        while self.at < len(self.lines):
            if self._next().strip():
                self.at -= 1
                self._fail("a line after the end", "'objno', 'suffix', or the end of the file")
        return sol

    def _fail(self, came: str, expected: str) -> NoReturn:
        refuse(self.source, False, self.at + 1, self.part, came, expected)

    def _peek(self) -> bytes:
        return self.lines[self.at] if self.at < len(self.lines) else b""

    def _next(self) -> bytes:
        if self.at >= len(self.lines):
            self._fail("the file ends", "more lines")
        self.at += 1
        return self.lines[self.at - 1]

    def _message(self) -> str:
        out = []
        while (line := self._next()) != b"":
            out.append(line)
        while self.at < len(self.lines) and not self._peek():
            self.at += 1
        return b"\n".join(out).decode("utf-8", "replace").lstrip("\b").replace("\n ", "\n").strip()

    def _integers(self, words: list[bytes]) -> list[int]:
        try:
            return [int(w) for w in words if len(w) < 20]
        except ValueError:
            self.at -= 1
            self._fail(f"{self._peek()[:60]!r}", "integers")

    def _integer(self, most: float = np.inf) -> int:
        numbers = self._integers(self._next().split()[:1])
        if not numbers or not 0 <= numbers[0] <= most:
            self.at -= 1
            self._fail(f"{self._peek()[:60]!r}", "a count")
        return numbers[0]

    def _reals(self, count: int) -> np.ndarray:
        if count > len(self.lines) - self.at:
            self.at = len(self.lines)
            self._fail("the file ends", f"{count} numbers")
        words = self.lines[self.at : self.at + count]
        try:
            out = np.array(list(map(float, words)), dtype=np.float64)
        except ValueError:
            while _is_real(self._peek()):
                self.at += 1
            self._fail(f"{self._peek()[:60]!r}", "a number")
        self.at += count
        return out

    def _options(self) -> None:
        self.part = "Options"
        self.at += 1
        count = self._integer(_MOST_OPTIONS + 2)
        self.sol.options = self._reals(min(count, 2)).tolist()
        with_vbtol = count > 2 and self.sol.options[1:] == [3.0]
        self.sol.options += self._reals(max(count - 2 * (1 + with_vbtol), 0)).tolist()
        self.sol.n_con, m, self.sol.n_var, n = (self._integer() for _ in range(4))
        if m > self.sol.n_con or n > self.sol.n_var:
            self._fail(f"{m} duals of {self.sol.n_con}, {n} values of {self.sol.n_var}", "not more than there are")
        self.counts = (m, n)
        if with_vbtol:
            self.sol.vbtol = float(self._reals(1)[0])

    def _suffix(self) -> None:
        numbers = self._integers(self._next().split()[1:])
        if len(numbers) < 5 or min(numbers) < 0 or numbers[1] > len(self.lines) - self.at:
            self.at -= 1
            self._fail(f"{self._peek()[:60]!r}", "suffix, kind, and the lengths of values, name, table, and its lines")
        kind, n, _, _, table_lines = numbers[:5]
        name = self._next().decode("utf-8", "replace")
        if table_lines:
            self.sol.tables[name] = b"\n".join(self._next() for _ in range(table_lines)).decode("utf-8", "replace")
        rows = [self._next().split() for _ in range(n)]
        real = bool(kind & 4)
        try:
            index = np.array([int(r[0]) for r in rows], dtype=np.int64)
            value = np.array([(float if real else int)(r[1]) for r in rows], dtype=np.float64 if real else np.int64)
        except (ValueError, IndexError, OverflowError):
            self._fail(f"a value of the suffix {name!r} that is none", "lines of an index and a value")
        if (most := _index_limit(self.sol, kind, index)) is not None:
            self._fail(f"an index of the suffix {name!r} that is too large or negative", f"indices below {most}")
        self.sol.suffixes.append(Suffix(name, kind & 3, real, index, value))


def _index_limit(sol: SolFile, kind: int, index: np.ndarray) -> int | None:
    """The number that an index of a suffix should be below, where one is not."""
    most = {0: sol.n_var, 1: sol.n_con, 2: _MOST_OBJECTIVES}.get(kind & 3, 1) or 0
    return most if index.size and (index.min() < 0 or index.max() >= most) else None


def _is_real(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


class BinaryReader:
    """Records of a binary file, each between two copies of its length."""

    def __init__(self, data: bytes, source: str, n_var: int | None, n_con: int | None) -> None:
        self.data, self.source, self.at, self.part = data, source, 0, "message"
        self.sol = SolFile(n_var=n_var, n_con=n_con)

    def read(self) -> SolFile:
        sol = self.sol
        self._record()
        message = []
        while text := self._record():
            message.append(text.rstrip(b" "))
        sol.message = b"\n".join(message).decode("utf-8", "replace").lstrip("\b").strip()
        self.part = "Options"
        body = self._record()
        if body.startswith(b"Options"):
            self._options(body[7:])
            body = self._record()
        self.part = "values"
        sol.dual = self._reals(body)
        sol.primal = self._reals(self._record())
        sol.n_con = sol.n_con or (0 if sol.dual is None else sol.dual.size)
        sol.n_var = sol.n_var or (0 if sol.primal is None else sol.primal.size)
        if self.at < len(self.data):
            self.part = "objno"
            tail = self._record()
            if len(tail) not in (4, 8):
                self._fail(f"a record of {len(tail)} bytes", "the number of the objective and the code")
            sol.objective, sol.code = (*struct.unpack(f"<{len(tail) // 4}i", tail), UNKNOWN)[:2]
        while self.at < len(self.data):
            self._suffix()
        return sol

    def _fail(self, came: str, expected: str) -> NoReturn:
        refuse(self.source, True, self.at, self.part, came, expected)

    def _length(self) -> int:
        if self.at + 4 > len(self.data):
            self._fail("the file ends", "the length of a record")
        (length,) = struct.unpack_from("<i", self.data, self.at)
        self.at += 4
        return length

    def _record(self, again: bool = True) -> bytes:
        length = self._length()
        if not 0 <= length <= len(self.data) - self.at:
            self._fail(f"a record of {length} bytes", f"at most the {len(self.data) - self.at} bytes that are left")
        body = self.data[self.at : self.at + length]
        self.at += length
        if again and self._length() != length:
            self._fail("another length after the record", f"{length}")
        return body

    def _options(self, body: bytes) -> None:
        """k, the options, four counts, and vbtol where the second option is 3; k is larger by 2 in that case."""
        numbers = list(struct.unpack_from(f"<{len(body) // 4}i", body))
        with_vbtol = len(numbers) > 2 and numbers[2] == 3
        count = numbers[0] - 2 * with_vbtol if numbers else -1
        if not 0 <= count <= _MOST_OPTIONS or len(body) != 4 * (count + 5) + 8 * with_vbtol:
            self._fail("options that do not fill their record", "their number, the options, and four counts")
        self.sol.options = [float(o) for o in numbers[1 : count + 1]]
        self.sol.n_con, _, self.sol.n_var, _ = numbers[count + 1 : count + 5]
        if with_vbtol:
            (self.sol.vbtol,) = struct.unpack_from("<d", body, 4 * (count + 5))

    def _reals(self, body: bytes) -> np.ndarray | None:
        if len(body) % 8:
            self._fail(f"a record of {len(body)} bytes", "numbers of 8 bytes")
        return np.frombuffer(body, "<f8").astype(np.float64) if body else None

    def _suffix(self) -> None:
        self.part = "suffix"
        body = self._record()
        if len(body) < SUFFIX_HEAD.size:
            self._fail("a record that is too short", "a suffix")
        _, kind, n, name_length, table_length = SUFFIX_HEAD.unpack_from(body)
        row = np.dtype([("index", "<i4"), ("value", "<f8" if kind & 4 else "<i4")])
        begin = SUFFIX_HEAD.size + name_length + table_length
        if min(n, name_length, table_length) < 0 or begin + n * row.itemsize != len(body):
            self._fail("a suffix that does not fill its record", "a name, a table, and values of the lengths it says")
        name, table = (
            body[a : a + size].split(b"\0")[0].decode("utf-8", "replace")
            for a, size in ((SUFFIX_HEAD.size, name_length), (SUFFIX_HEAD.size + name_length, table_length))
        )
        if table:
            self.sol.tables[name] = table
        rows = np.frombuffer(body, row, count=n, offset=begin)
        value, index = rows["value"].astype(np.float64 if kind & 4 else np.int64), rows["index"].astype(np.int64)
        if (most := _index_limit(self.sol, kind, index)) is not None:
            self._fail(f"an index of the suffix {name!r} that is too large or negative", f"indices below {most}")
        self.sol.suffixes.append(Suffix(name, kind & 3, bool(kind & 4), index, value))
