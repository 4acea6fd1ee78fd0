"""A ``.nl`` file as lines of numbers: what the text form and the binary form have in common.

Both forms hold the same lines: a letter, or none, and a few numbers. The rest of the reader sees only these
arrays, so a rule is written once for both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from ..errors import FileFormatError

__all__ = [
    "EXPRESSION_LETTERS",
    "SEGMENT_LETTERS",
    "Lines",
    "concatenated_ranges",
    "fail",
    "is_index",
    "missing",
    "refuse",
]

SEGMENT_LETTERS = b"CLOVFSdxrbkKJG"
EXPRESSION_LETTERS = b"nslvofh"
PADDING = 3
"""Zeros after the last number, so that the numbers a line should have can be looked at before they are counted."""

IS_SEGMENT = np.zeros(256, bool)
IS_SEGMENT[np.frombuffer(SEGMENT_LETTERS, np.uint8)] = True


@dataclass
class Lines:
    """Line i has the letter ``letter[i]`` (0: none) and the numbers ``number[start[i]:start[i+1]]``.

    ``place[i]`` is its line in the file, or its byte. ``names`` are those of segments F and S, by line; ``strings``
    are the contents of the lines h, in their order.
    """

    source: str
    binary: bool
    letter: np.ndarray
    start: np.ndarray
    number: np.ndarray
    place: np.ndarray
    end: int
    names: dict[int, str] = field(default_factory=dict)
    strings: list[str] = field(default_factory=list)

    def show(self, line: int) -> str:
        """A line as text."""
        letter = self.letter[line]
        values = self.number[self.start[line] : self.start[line + 1]][:4].tolist()
        return repr((chr(letter) if letter else "") + " ".join(f"{value:.16g}" for value in values))


def fail(lines: Lines, line: int, expected: str) -> NoReturn:
    """Raise the error of a line (or, past the last one, of the end of the file)."""
    at_end = line >= len(lines.letter)
    before = IS_SEGMENT[lines.letter[: line + 1]].nonzero()[0]
    segment = lines.show(int(before[-1]))[1:-1] if len(before) else ""
    place = lines.end if at_end else int(lines.place[line])
    came = "the file ends" if at_end else f"came {lines.show(line)}"
    refuse(lines.source, lines.binary, place, segment, came, expected)


def missing(lines: Lines, expected: str) -> NoReturn:
    """Raise the error of a file that ends without a segment."""
    refuse(lines.source, lines.binary, lines.end, "", "the file ends", expected)


def refuse(source: str, binary: bool, place: int, segment: str, came: str, expected: str) -> NoReturn:
    """Raise the error of a place in the file: where, what came, what was expected."""
    where = f"{'byte' if binary else 'line'} {place}" + (f" (segment {segment})" if segment else "")
    raise FileFormatError(
        f"{source}, {where}: {came}; expected {expected}",
        source=source,
        line=None if binary else place,
        byte=place if binary else None,
        segment=segment,
    )


def concatenated_ranges(begin: np.ndarray, length: np.ndarray) -> np.ndarray:
    """The integers of begin[0]..., length[0] of them, then those of begin[1], and so on.

    >>> concatenated_ranges(np.array([3, 10]), np.array([2, 3]))
    array([ 3,  4, 10, 11, 12])
    """
    if len(begin) == 1:
        return np.arange(begin[0], begin[0] + length[0])
    end = length.cumsum()
    result = (begin - end + length).repeat(length)
    result += np.arange(len(result))
    return result


def is_index(values: np.ndarray, below: float, low: float = 0.0) -> np.ndarray:
    """Which numbers are integers in low <= value < below (NaN is not)."""
    good = values >= low
    good &= values < below
    good &= values == np.floor(values)
    return good
