"""Lines of a ``.nl`` file, in text and in binary form: a letter, integers and real numbers, for many lines at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Records", "entries_of", "format_reals"]

Array = np.ndarray
_INT, _REAL = np.dtype("<i4"), np.dtype("<f8")


def entries_of(start: Array, rows: Array) -> tuple[Array, Array, Array]:
    """Entries of some rows of a compressed table; where each row begins among them; how many each has.

    >>> entries_of(np.array([0, 2, 5]), np.array([1, 0]))
    (array([2, 3, 4, 0, 1]), array([0, 3]), array([3, 2]))
    """
    count = start[rows + 1] - start[rows]
    end = np.cumsum(count)
    begin = end - count
    return np.arange(end[-1] if end.size else 0) + np.repeat(start[rows] - begin, count), begin, count


def format_reals(values: Array, prefix: str = "") -> Array:
    """The shortest texts that give the numbers again, as an array of strings.

    >>> format_reals(np.array([2.0, 0.1, -0.0, np.inf])).tolist()
    ['2', '0.1', '-0', 'inf']
    """
    bits, inverse = np.unique(np.asarray(values, dtype=np.float64).view(np.int64), return_inverse=True)
    texts = [prefix + (t[:-2] if t.endswith(".0") else t) for t in map(repr, bits.view(np.float64).tolist())]
    return np.array(texts, dtype=object)[inverse]


def _format_integers(values: Array, prefix: str = "") -> Array:
    """Numbers in a narrow range are looked up: texts that repeat are one object."""
    low, high = int(values.min()), int(values.max())
    if high - low >= 2 * values.size:
        return np.array([f"{prefix}{i}" for i in values.tolist()], dtype=object)
    return np.array([f"{prefix}{i}" for i in range(low, high + 1)], dtype=object)[values - low]


def _format_column(column: Array, prefix: str = "") -> Array:
    return format_reals(column, prefix) if column.dtype.kind == "f" else _format_integers(column, prefix)


@dataclass
class _Piece:
    """Lines that look alike: their places among all, their letter, and their numbers by column."""

    at: Array
    letter: str
    columns: list[Array]
    separator: str


class Records:
    """A sequence of lines, written in any order.

    >>> r = Records(3)
    >>> r.put(np.array([0]), "J", np.array([0]), np.array([2]))
    >>> r.put(np.array([1, 2]), "", np.array([0, 1]), np.array([0.5, 3.0]))
    >>> r.text()
    b'J0 2\\n0 0.5\\n1 3\\n'
    >>> len(r.binary())
    33
    """

    def __init__(self, lines: int) -> None:
        self.lines = lines
        self.pieces: list[_Piece] = []
        self.others: list[tuple[int, bytes]] = []

    def put(self, at: Array, letter: str, *columns: Array, separator: str = " ") -> None:
        """Lines ``letter column column …`` at places ``at``; columns are arrays of integers or of floats.

        The binary form has the first character of the letter (which may end in a blank), and the bytes of the numbers.
        """
        if at.size:
            self.pieces.append(_Piece(at, letter, list(columns), separator))

    def put_bytes(self, at: int, line: bytes) -> None:
        """A line that is given as it is, in the form that is asked for later; text without its newline."""
        self.others.append((at, line))

    def text(self) -> bytes:
        """The lines as text."""
        words = np.empty(self.lines, dtype=object)
        for p in self.pieces:
            if not p.columns:
                words[p.at] = p.letter.strip()
                continue
            first, *rest = (_format_column(c, "" if k else p.letter) for k, c in enumerate(p.columns))
            for texts in rest:
                first = first + p.separator + texts
            words[p.at] = first
        for at, line in self.others:
            words[at] = line.decode()
        return ("\n".join(words.tolist()) + "\n").encode() if self.lines else b""

    def binary(self) -> bytes:
        """The lines in binary, low bytes first."""
        length = np.zeros(self.lines, np.int64)
        for p in self.pieces:
            length[p.at] = bool(p.letter) + sum(_size(c) for c in p.columns)
        for at, line in self.others:
            length[at] = len(line)
        end = np.cumsum(length)
        out = np.zeros(int(end[-1]) if end.size else 0, np.uint8)
        for p in self.pieces:
            place = end[p.at] - length[p.at]
            if p.letter:
                out[place] = ord(p.letter[0])
                place = place + 1
            for c in p.columns:
                size = _size(c)
                data = np.ascontiguousarray(c, dtype=_stored(c)).view(np.uint8).reshape(-1, size)
                out[place[:, None] + np.arange(size)] = data
                place = place + size
        for at, line in self.others:
            out[end[at] - len(line) : end[at]] = np.frombuffer(line, np.uint8)
        return out.tobytes()


def _stored(column: Array) -> np.dtype:
    if column.dtype.kind == "f":
        return _REAL
    return np.dtype("<i2") if column.dtype == np.int16 else _INT


def _size(column: Array) -> int:
    return _stored(column).itemsize
