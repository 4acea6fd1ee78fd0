"""The text form of a ``.nl`` file as lines of numbers, without a Python step per line.

The first byte of a line says what it is: a letter of a segment or of an expression, or, of a line of numbers, a
digit, a sign or a blank. With those letters and all comments blanked, what is left are numbers between blanks,
which are read in one sweep. Only lines that hold text (names of functions and suffixes, strings) are treated one
by one. A long file is read in pieces that fit the processor's cache.
"""

from __future__ import annotations

import re
from typing import NoReturn

import numpy as np

from .decimal import read_numbers
from .lines import EXPRESSION_LETTERS, PADDING, SEGMENT_LETTERS, Lines, refuse

__all__ = ["lex_text"]

_NUMBERS, _EMPTY, _WRONG = 0, 10, 255
_KIND = np.full(256, _WRONG, np.uint8)
_KIND[np.frombuffer(b"0123456789+-. \t", np.uint8)] = _NUMBERS
_KIND[np.frombuffer(b"\r\n", np.uint8)] = _EMPTY
for _letter in SEGMENT_LETTERS + EXPRESSION_LETTERS:
    _KIND[_letter] = _letter

_COMMENT = re.compile(rb"#[^\n]*")
_NUMBER = re.compile(rb"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|inf(?:inity)?|nan)", re.IGNORECASE)
_TOKEN = re.compile(rb"[^\x00-\x20]*")
_BLANK = 32
_PIECE = 1 << 16
"""Bytes of a piece: its arrays stay in the cache of a processor."""
_MAX_STRING = 1 << 31


class _Text:
    """The text of one file after its header, and the place of each of its lines."""

    def __init__(self, data: bytes, begin: int, first_line: int, source: str) -> None:
        self.source, self.first_line = source, first_line
        self.strings: list[str] = []
        self.skipped: list[tuple[int, int]] = []  # (line, ends of lines cut from its string)
        self.data, self.begin = data, begin - 1  # each piece begins with the end of the line before
        if data.find(b"\nh", self.begin) >= 0:
            self.data, self.begin = self._cut_strings(data[self.begin :]), 0

    def place(self, line: int) -> int:
        """Where a line is in the file."""
        return self.first_line + line + sum(extra for other, extra in self.skipped if other < line)

    def refuse(self, line: int, came: str, expected: str) -> NoReturn:
        """Raise the error of a line."""
        refuse(self.source, False, self.place(line), "", came, expected)

    def places(self, n_lines: int) -> np.ndarray:
        """The places of all lines."""
        place = np.arange(self.first_line, self.first_line + n_lines)
        if self.skipped:
            shift = np.zeros(n_lines + 1, np.int64)
            np.add.at(shift, [line + 1 for line, _ in self.skipped], [extra for _, extra in self.skipped])
            place += shift.cumsum()[:n_lines]
        return place

    def pieces(self) -> list[tuple[int, int]]:
        """Cuts of the text at ends of lines."""
        cuts, position, end = [], self.begin, len(self.data)
        while position < end - 1:
            cut = self.data.rfind(b"\n", position + 1, position + _PIECE) if end - position > _PIECE else end
            if cut < 0:
                cut = self.data.find(b"\n", position + _PIECE)
            cut = end if cut < 0 else cut
            cuts.append((position, cut))
            position = cut
        return cuts

    def _cut_strings(self, body: bytes) -> bytes:
        """The text without the characters of strings ``h<length>:<characters>``, which may include ends of lines."""
        parts: list[bytes] = []
        done, line = 0, -1
        while (found := body.find(b"\nh", done)) >= 0:
            line += body.count(b"\n", done, found + 1)
            colon = body.find(b":", found, found + 24)
            digits = body[found + 2 : colon].strip() if colon > 0 else b""
            length = int(digits) if digits.isdigit() else _MAX_STRING
            end = colon + 1 + length
            if length >= _MAX_STRING or body[end : end + 1] not in (b"\n", b"\r"):
                shown = body[found + 1 : found + 25].split(b"\n")[0].decode("utf-8", "replace")
                self.refuse(line, f"came {shown!r}", "h<length>:<that many characters> and the end of the line")
            content = body[colon + 1 : end]
            self.strings.append(content.decode("utf-8", "replace"))
            if b"\n" in content:
                self.skipped.append((line, content.count(b"\n")))
            parts += [body[done : found + 2], b"0"]
            done = end
        parts.append(body[done:])
        return b"".join(parts)


def lex_text(data: bytes, begin: int, first_line: int, source: str) -> Lines:
    """Lines of a text file from the byte ``begin`` on, which is the start of the line ``first_line``."""
    text = _Text(data, begin, first_line, source)
    names: dict[int, str] = {}
    letters, counts, numbers = [np.zeros(0, np.uint8)], [np.zeros(1, np.int64)], []
    n_lines = 0
    for low, high in text.pieces():
        letter, count, number = _lex_piece(text, low, high, n_lines, names)
        letters.append(letter)
        counts.append(count)
        numbers.append(number)
        n_lines += len(letter)
    numbers.append(np.zeros(PADDING))
    letter = np.concatenate(letters)
    end = text.first_line + n_lines + sum(extra for _, extra in text.skipped)
    empty = (letter == _EMPTY).nonzero()[0]
    for line in empty[::-1].tolist():  # at the end of the file, empty lines are left out
        if line != n_lines - 1:
            text.refuse(int(empty[0]), "came an empty line", "a segment, an expression, or numbers")
        n_lines -= 1
    start = np.concatenate(counts)[: n_lines + 1].cumsum()
    place = text.places(n_lines)
    return Lines(source, False, letter[:n_lines], start, np.concatenate(numbers), place, end, names, text.strings)


def _lex_piece(
    text: _Text, low: int, high: int, first: int, names: dict[int, str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Letters, counts of numbers, and numbers of the lines of a piece, of which the first has the number ``first``."""
    body = text.data[low : high + 1]
    if b"#" in body:
        body = _COMMENT.sub(b"", body)
    buffer = bytearray(body)
    if buffer[-1] != ord("\n"):
        buffer += b"\n"
    byte = np.frombuffer(buffer, np.uint8)
    newline = (byte == 10).nonzero()[0]
    begin = newline[:-1] + 1
    letter = _KIND[byte[begin]]
    wrong = (letter == _WRONG).nonzero()[0]
    if len(wrong):
        came = f"came a line that begins with {chr(byte[begin[wrong[0]]])!r}"
        text.refuse(first + int(wrong[0]), came, "a segment, an expression, or numbers")
    named = ((letter == ord("F")) | (letter == ord("S"))).nonzero()[0]
    for line in named.tolist():
        names[first + line] = _cut_name(buffer, int(newline[line]) + 1, int(newline[line + 1]))
    byte[begin[(letter != _NUMBERS).nonzero()[0]]] = _BLANK
    blank = byte <= _BLANK
    edge = (blank[:-1] != blank[1:]).nonzero()[0]
    before = edge[::2]  # the blank before each number
    number = read_numbers(byte, before + 1, edge[1::2] + 1)
    if number is None:
        _refuse_numbers(text, buffer, before, newline, first)
    start = before.searchsorted(newline)
    count = start[1:] - start[:-1]
    letter[(letter == _NUMBERS) & (count == 0)] = _EMPTY
    return letter, count, number


def _refuse_numbers(text: _Text, buffer: bytearray, before: np.ndarray, newline: np.ndarray, first: int) -> NoReturn:
    """Raise the error of the first token of a piece that is not a number."""
    for position in before.tolist():
        found = _TOKEN.match(buffer, position + 1)
        token = found.group() if found else b""
        if not _NUMBER.fullmatch(token):
            line = int(newline.searchsorted(position, "right")) - 1
            text.refuse(first + line, f"came {token[:40].decode('utf-8', 'replace')!r}", "a number")
    text.refuse(first, "came other characters than those of numbers", "numbers between blanks")


def _cut_name(buffer: bytearray, begin: int, end: int) -> str:
    """The name at the end of a line F or S, which is blanked."""
    n_numbers = 3 if buffer[begin] == ord("F") else 2
    parts = bytes(buffer[begin + 1 : end]).split(None, n_numbers)
    kept = b" ".join(parts[:n_numbers])
    buffer[begin:end] = (buffer[begin : begin + 1] + kept).ljust(end - begin)[: end - begin]
    return parts[n_numbers].strip().decode("utf-8", "replace") if len(parts) > n_numbers else ""
