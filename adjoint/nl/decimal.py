"""Decimal numbers in text as float64, many at once."""

from __future__ import annotations

import sys

import numpy as np

from .lines import concatenated_ranges

__all__ = ["read_numbers"]

_MANY = 512
"""Below this number of numbers the plain way is the faster one."""
_WORD = 8
_MINUS = ord("-")
_ZEROS = np.uint64(0x3030303030303030)
_ABOVE_NINE = np.uint64(0x7676767676767676)
_HIGH_BITS = np.uint64(0x8080808080808080)
_PAIRS = np.uint64(0x000000FF000000FF)
_HUNDREDS = np.uint64(100 + (1000000 << 32))
_ONES = np.uint64(1 + (10000 << 32))


def read_numbers(text: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray | None:
    """The numbers at the bytes begin[i]:end[i]; None if one of them is not a number.

    ``text`` begins and ends with a blank, and has blanks between the numbers and nothing else. Most numbers of a
    model file are integers of up to eight digits. These are read eight bytes at a time in integer arithmetic
    (after D. Lemire, *Quickly parsing eight digits*, 2018); the rest by NumPy.

    >>> text = np.frombuffer(b" 12 -3 0.5 ", np.uint8)
    >>> read_numbers(text, np.array([1, 4, 7]), np.array([3, 6, 10]))
    array([12. , -3. ,  0.5])
    """
    if len(begin) < _MANY or sys.byteorder != "little":
        return _parse(text.tobytes(), len(begin))
    number, rest = _short_integers(text, begin, end)
    if len(rest):
        low, length = begin[rest], end[rest] + 1 - begin[rest]  # with the blank after it
        parsed = _parse(text[concatenated_ranges(low, length)].tobytes(), len(rest))
        if parsed is None:
            return None
        number[rest] = parsed
    return number


def _parse(text: bytes, n: int) -> np.ndarray | None:
    """The n numbers of a text, which has nothing else than numbers and blanks."""
    if not n:
        return np.zeros(0)
    try:
        number = np.fromstring(text, sep=" ")
    except (ValueError, DeprecationWarning):  # NumPy before 2.3 only warns, and gives what came before
        return None
    return number if len(number) == n else None


def _short_integers(text: np.ndarray, begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values of the integers of up to eight digits, and which numbers are not such ones."""
    negative = text[begin] == _MINUS
    length = end - begin - negative
    words = np.ndarray((len(text) - _WORD + 1,), "<u8", buffer=text, strides=(1,))
    # A number in the first bytes of the text has fewer than eight bytes before its end: it is left to the rest.
    word = words[np.maximum(end - _WORD, 0)]
    shift = ((_WORD - np.minimum(length, _WORD)) * 8).astype(np.uint64)
    word ^= _ZEROS
    word >>= shift  # the digits are the last bytes of the word: the others become zero
    word <<= shift
    good = (((word + _ABOVE_NINE) | word) & _HIGH_BITS) == 0
    good &= (length <= _WORD) & (length > 0) & (end >= _WORD)
    word = word * np.uint64(10) + (word >> np.uint64(8))
    word = ((word & _PAIRS) * _HUNDREDS + ((word >> np.uint64(16)) & _PAIRS) * _ONES) >> np.uint64(32)
    number = word.astype(np.float64)
    number[negative] *= -1.0
    return number, (~good).nonzero()[0]
