"""The binary form of a ``.nl`` file as the lines of numbers that its text form would have.

After the header, which is text, each item begins with its letter, which fixes its size (of an operator, its
opcode does; of a segment with a list, a count near its start). Integers have 32 bits (of constants ``s``: 16),
reals 64, in the byte order that the header names. One pass over the items finds where they begin; everything else
is done for all items of a letter at once.
"""

from __future__ import annotations

import struct
import sys
from array import array

import numpy as np

from .lines import PADDING, Lines, concatenated_ranges, refuse
from .opcodes import ARITY, BY_COUNT, N_OPCODES, PIECEWISE

__all__ = ["lex_binary"]

_ORDERS = {0: "<" if sys.byteorder == "little" else ">", 1: "<", 2: ">"}
_BYTES = {"h": 2, "i": 4, "d": 8}
# The numbers after each letter, by type (h 16-bit, i 32-bit integer, d real).
_FIELDS: dict[str, str] = {
    **{letter: "i" for letter in "CLdxkKvlho"},
    **{letter: "ii" for letter in "OJGSf"},
    **{"V": "iii", "F": "iii", "n": "d", "s": "h", "r": "", "b": ""},
    **{"0": "dd", "1": "d", "2": "d", "3": "", "4": "d", "5": "ii"},  # lines of bounds: the letter is the code
}
# Of the segments with a list: which field is its length, and the types of an entry.
_LISTS: dict[str, tuple[int, str]] = {
    **{"V": (1, "id"), "J": (1, "id"), "G": (1, "id"), "d": (0, "id"), "x": (0, "id"), "k": (0, "i"), "K": (0, "i")},
    "S": (1, "id"),
}
_NAME_AFTER = {"S": 9, "F": 13, "h": 1}  # byte of the length of a name or string, from the letter
_REAL = 4  # bit of a suffix's kind: its values are real, else 32-bit integers
_BY_COUNT = np.zeros(256, bool)
_BY_COUNT[:N_OPCODES] = (ARITY == BY_COUNT) | (np.arange(N_OPCODES) == PIECEWISE)
_NAMED, _LISTED, _UNKNOWN = -1, -2, 0
_LONGEST_ITEM = 17


def _sizes() -> list[int]:
    """Bytes of the items of each letter: the letter and its fields; 0 or less for what ends with a list or name."""
    sizes = [_UNKNOWN] * 256
    for letter, fields in _FIELDS.items():
        sizes[ord(letter)] = 1 + sum(_BYTES[kind] for kind in fields)
        if letter in _NAME_AFTER or letter == "o":
            sizes[ord(letter)] = _NAMED
        elif letter in _LISTS:
            sizes[ord(letter)] = _LISTED
    return sizes


_SIZES = _sizes()
# Of segments with a list and no name: byte of its length, bytes without the list, bytes of an entry.
_LIST_SIZES = {
    ord(letter): (1 + 4 * field, 1 + 4 * len(_FIELDS[letter]), sum(_BYTES[kind] for kind in entry))
    for letter, (field, entry) in _LISTS.items()
    if letter not in _NAME_AFTER
}
_OPERATOR_SIZES = [9 if by_count else 5 for by_count in _BY_COUNT.tolist()]


class _Reader:
    """The bytes of one file, and numbers at many positions of it at once."""

    def __init__(self, data: bytes, arith: int, source: str) -> None:
        if arith not in _ORDERS:
            refuse(source, True, 0, "", f"arithmetic {arith} in line 6", "1 (little-endian) or 2 (big-endian) IEEE")
        self.data, self.source, self.order = data, source, _ORDERS[arith]
        self.bytes = np.frombuffer(data + bytes(_LONGEST_ITEM), np.uint8)  # padded: a truncated item is found later
        self.at_byte = {  # element i: the number that begins at byte i
            kind: np.ndarray((len(self.bytes) - size + 1,), self.order + kind, buffer=self.bytes, strides=(1,))
            for kind, size in _BYTES.items()
        }
        self.int = struct.Struct(self.order + "i").unpack_from

    def numbers(self, position: np.ndarray, kind: str) -> np.ndarray:
        """The numbers of one type at some bytes."""
        return self.at_byte[kind][position]

    def items(self, begin: int) -> np.ndarray:
        """Where each item begins."""
        data, sizes, operator_sizes, lists = self.data, _SIZES, _OPERATOR_SIZES, _LIST_SIZES
        opcode_byte = 1 if self.order == "<" else 4
        found = array("q")
        append, position, end, operator = found.append, begin, len(data), ord("o")
        padded = data + bytes(_LONGEST_ITEM)
        read_int = self.int
        while position < end:
            append(position)
            letter = padded[position]
            size = sizes[letter]
            if size > 0:
                position += size
            elif letter == operator:
                position += operator_sizes[padded[position + opcode_byte]]
            elif size == _LISTED:
                count_at, fixed, entry = lists[letter]
                count = read_int(padded, position + count_at)[0]
                position += fixed + count * entry if count >= 0 else self._size(padded, position)
            else:
                position += self._size(padded, position)
        if position > end:
            came = f"{end - found[-1]} bytes of an item {chr(data[found[-1]])!r}, and the file ends"
            refuse(self.source, True, found[-1], "", came, f"{position - found[-1]} bytes")
        return np.frombuffer(found, np.int64) if len(found) else np.zeros(0, np.int64)

    def _size(self, padded: bytes, position: int) -> int:
        """Bytes of an item whose letter does not fix them."""
        letter = chr(padded[position])
        if letter not in _FIELDS:
            came = f"a byte {padded[position : position + 1]!r}"
            refuse(self.source, True, position, "", came, "a segment, an expression, or bounds")
        size = 1 + sum(_BYTES[kind] for kind in _FIELDS[letter])
        n = [0]
        if letter in _NAME_AFTER:
            n = [self.int(padded, position + _NAME_AFTER[letter])[0]]
            size = _NAME_AFTER[letter] + 4 + n[0]
        if letter in _LISTS:
            field, entry = _LISTS[letter]
            n.append(self.int(padded, position + 1 + 4 * field)[0])
            entry_size = 4 + (8 if entry == "id" else 0)
            if letter == "S" and not self.int(padded, position + 1)[0] & _REAL:
                entry_size = 8
            size += n[-1] * entry_size
        if min(n) < 0:
            refuse(self.source, True, position, "", f"a count of {min(n)} in an item {letter!r}", "a count")
        return size


def lex_binary(data: bytes, begin: int, arith: int, source: str) -> Lines:
    """Lines of a binary file from the byte ``begin`` on, with the arithmetic ``arith`` of its header."""
    reader = _Reader(data, arith, source)
    position = reader.items(begin)
    letter = reader.bytes[position]
    groups = [(chr(code), np.flatnonzero(letter == code)) for code in np.flatnonzero(np.bincount(letter)).tolist()]
    n_fields = np.zeros(len(position), np.int64)
    n_entries, per_entry = np.zeros_like(n_fields), np.zeros_like(n_fields)
    for name, group in groups:
        n_fields[group] = len(_FIELDS[name]) + name.isdigit()
        if name == "o":
            opcode = reader.numbers(position[group] + 1, "i")
            known = (opcode >= 0) & (opcode < N_OPCODES)
            n_entries[group] = known & _BY_COUNT[np.where(known, opcode, 0)]
            per_entry[group] = 1
        elif name in _LISTS:
            field, entry = _LISTS[name]
            n_entries[group] = reader.numbers(position[group] + 1 + 4 * field, "i")
            per_entry[group] = len(entry)
    after = np.cumsum(1 + n_entries)
    first = after - 1 - n_entries  # the line of each item
    n_lines = int(after[-1]) if len(after) else 0
    count = np.repeat(per_entry, 1 + n_entries)
    count[first] = n_fields
    start = np.zeros(n_lines + 1, np.int64)
    np.cumsum(count, out=start[1:])
    lines = Lines(
        source,
        True,
        np.zeros(n_lines, np.uint8),
        start,
        np.zeros(int(start[-1]) + PADDING),
        np.zeros(n_lines, np.int64),
        len(data),
    )
    lines.letter[first] = np.where((letter >= ord("0")) & (letter <= ord("9")), 0, letter)
    lines.place[first] = position
    for name, group in groups:
        _fill(reader, lines, name, position[group], first[group], n_entries[group])
    return lines


def _fill(
    reader: _Reader, lines: Lines, name: str, position: np.ndarray, line: np.ndarray, n_entries: np.ndarray
) -> None:
    """The numbers of all items of one letter, and of their lists."""
    target = lines.start[line]
    if name.isdigit():
        lines.number[target] = int(name)
        target = target + 1
    at = position + 1
    for kind in _FIELDS[name]:
        lines.number[target] = reader.numbers(at, kind)
        at, target = at + _BYTES[kind], target + 1
    if name in _NAME_AFTER:
        at = _read_texts(reader, lines, name, position, line)
    if name == "o" or name in _LISTS:
        real = np.ones(len(line), bool)
        if name == "S":
            real = (reader.numbers(position + 1, "i") & _REAL) != 0
        entry = "i" if name == "o" else _LISTS[name][1]
        for kind, which in (("d", real), ("i", ~real)):
            if which.any():
                _fill_lists(reader, lines, entry.replace("d", kind), at[which], line[which], n_entries[which])


def _fill_lists(
    reader: _Reader, lines: Lines, entry: str, at: np.ndarray, line: np.ndarray, n_entries: np.ndarray
) -> None:
    """The entries of lists that begin at some bytes, one line each after the given ones."""
    within = concatenated_ranges(np.zeros_like(at), n_entries)
    byte = np.repeat(at, n_entries) + within * sum(_BYTES[kind] for kind in entry)
    target_line = np.repeat(line + 1, n_entries) + within
    target = lines.start[target_line]
    lines.place[target_line] = byte
    for kind in entry:
        lines.number[target] = reader.numbers(byte, kind)
        byte, target = byte + _BYTES[kind], target + 1


def _read_texts(reader: _Reader, lines: Lines, name: str, position: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Keep the names or strings of some items; gives the bytes where these end."""
    begin = position + _NAME_AFTER[name] + 4
    length = reader.numbers(begin - 4, "i").astype(np.int64)
    end = begin + length
    for i, low, high in zip(line.tolist(), begin.tolist(), end.tolist(), strict=True):
        text = reader.data[low:high].decode("utf-8", "replace")
        if name == "h":
            lines.strings.append(text)
        else:
            lines.names[i] = text
    return end
