"""The segments of a ``.nl`` file: which lines each one has, and their data as arrays.

Every rule is one NumPy operation over all segments of a letter, whatever their number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .lines import IS_SEGMENT, Lines, concatenated_ranges, fail, is_index, missing
from .model import Linear, Suffix

__all__ = ["Segments", "bounds", "column_counts", "initial_values", "linear_part", "pairs", "split", "suffixes"]

# Numbers of the first line of a segment.
_FIELDS = np.zeros(256, np.int64)
for _letters, _n in ((b"CLdxkK", 1), (b"OJGS", 2), (b"VF", 3)):
    _FIELDS[np.frombuffer(_letters, np.uint8)] = _n
_MEANING = {
    "C": "C<constraint>",
    "L": "L<logical constraint>",
    "O": "O<objective> <sense>",
    "V": "V<index> <linear terms> <use>",
    "F": "F<function> <type> <arguments> <name>",
    "S": "S<kind> <count> <name>",
    "d": "d<count>",
    "x": "x<count>",
    "k": "k<count>",
    "K": "K<count>",
    "J": "J<constraint> <count>",
    "G": "G<objective> <count>",
}
MAX_SUFFIX_KIND = 7
# Numbers after the code of a bound: 0 l u | 1 u | 2 l | 3 | 4 c | 5 k i.
_BOUND_FIELDS = np.array([3, 2, 2, 1, 2, 3])
_HAS_LOWER = np.array([True, False, True, False, True, False])
_HAS_UPPER = np.array([True, True, False, False, True, False])
_COMPLEMENTS = 5


@dataclass
class Segments:
    """Segment j begins with the line ``first[j]`` and has ``length[j]`` further lines.

    ``by_letter`` lists the segments of each letter, in the order of the file.
    """

    lines: Lines
    first: np.ndarray
    length: np.ndarray
    by_letter: dict[str, np.ndarray]

    def of(self, letter: str) -> np.ndarray:
        """The segments of a letter."""
        return self.by_letter.get(letter, _NONE)

    def only(self, letter: str) -> int | None:
        """The one segment of a letter, if there is one."""
        found = self.of(letter)
        if len(found) > 1:
            fail(self.lines, int(self.first[found[1]]), f"one segment {letter} only")
        return int(found[0]) if len(found) else None

    def field(self, segments: np.ndarray, k: int) -> np.ndarray:
        """The k-th number of the first line of each segment."""
        return self.lines.number[self.lines.start[self.first[segments]] + k]

    def indices(self, segments: np.ndarray, k: int, below: float, what: str, low: int = 0) -> np.ndarray:
        """The k-th number as an index: an integer in low <= i < below."""
        values = self.field(segments, k)
        good = is_index(values, below, low)
        if not good.all():
            fail(self.lines, int(self.first[segments[good.argmin()]]), f"{what} in {low}...{int(below) - 1}")
        return values.astype(np.int64)

    def distinct(self, segments: np.ndarray, items: np.ndarray) -> None:
        """Refuse two segments for one item."""
        if len(items) > 1 and not (items[1:] > items[:-1]).all():
            order = np.argsort(items, kind="stable")
            same = np.flatnonzero(items[order[1:]] == items[order[:-1]])
            if len(same):
                again = int(self.first[segments[order[same[0] + 1]]])
                fail(self.lines, again, "one segment only of each item")

    def need_length(self, segments: np.ndarray, n_lines: np.ndarray) -> None:
        """Refuse a segment that has fewer or more lines than it says."""
        wrong = self.length[segments] != n_lines
        if wrong.any():
            k = int(wrong.argmax())
            j = int(segments[k])
            n, wanted = int(self.length[j]), float(n_lines[k])
            line = int(self.first[j]) + 1 + (int(wanted) if 0 <= wanted < n else n)
            fail(self.lines, line, f"{wanted:.16g} lines in this segment, which has {n}")


_NONE = np.zeros(0, np.int64)


def split(lines: Lines) -> Segments:
    """Which lines belong to which segment."""
    first = IS_SEGMENT[lines.letter].nonzero()[0]
    if len(lines.letter) and (not len(first) or first[0] != 0):
        fail(lines, 0, "the first line of a segment")
    length = np.append(first[1:], len(lines.letter))[: len(first)] - first - 1
    letter = lines.letter[first]
    present = np.bincount(letter).nonzero()[0].tolist()
    by_letter = {chr(code): (letter == code).nonzero()[0] for code in present}
    few = lines.start[first + 1] - lines.start[first] < _FIELDS[letter]
    if few.any():
        line = int(first[few.argmax()])
        fail(lines, line, _MEANING[chr(lines.letter[line])])
    return Segments(lines, first, length, by_letter)


def pairs(
    lines: Lines, begin: np.ndarray, length: np.ndarray, below: float, what: str
) -> tuple[np.ndarray, np.ndarray]:
    """Index and value of the lines begin[0]..., length[0] of them, then those of begin[1], and so on."""
    if len(begin) == 1:
        line: np.ndarray | slice = slice(int(begin[0]), int(begin[0]) + int(length[0]))
    else:
        line = concatenated_ranges(begin, length)
    position = lines.start[:-1][line]
    index = lines.number[position]
    good = is_index(index, below)
    good &= lines.start[1:][line] > position + 1
    good &= lines.letter[line] == 0
    if not good.all():
        k = int(good.argmin())
        at = k + line.start if isinstance(line, slice) else int(line[k])
        fail(lines, at, f"{what} in 0...{int(below) - 1} and a number")
    return index.astype(np.int64), lines.number[position + 1]


def linear_part(segments: Segments, letter: str, n_rows: int, n_var: int) -> Linear:
    """The segments J or G as compressed rows."""
    found = segments.of(letter)
    if not len(found):
        return Linear.empty(n_rows)
    row = segments.indices(found, 0, n_rows, "constraint" if letter == "J" else "objective")
    segments.distinct(found, row)
    length = segments.field(found, 1)
    segments.need_length(found, length)
    return rows_of(segments.lines, segments.first[found] + 1, length.astype(np.int64), row, n_rows, n_var)


def rows_of(lines: Lines, begin: np.ndarray, length: np.ndarray, row: np.ndarray, n_rows: int, n_var: int) -> Linear:
    """Compressed rows from blocks of lines, of which block k is the row ``row[k]``."""
    if not len(row):
        return Linear.empty(n_rows)
    order = row.argsort(kind="stable")
    var, coef = pairs(lines, begin[order], length[order], n_var, "variable")
    start = np.zeros(n_rows + 1, np.int64)
    start[row + 1] = length
    return Linear(start.cumsum(), var, coef)


def initial_values(segments: Segments, letter: str, n: int, what: str) -> tuple[np.ndarray, np.ndarray]:
    """The segment x or d: values, and which were given."""
    value, given = np.zeros(n), np.zeros(n, bool)
    j = segments.only(letter)
    if j is not None:
        segment = np.array([j])
        length = segments.field(segment, 0)
        segments.need_length(segment, length)
        index, number = pairs(segments.lines, segments.first[segment] + 1, length.astype(np.int64), n, what)
        value[index] = number
        given[index] = True
    return value, given


def bounds(
    segments: Segments, letter: str, n: int, n_var: int
) -> tuple[np.ndarray, np.ndarray, dict[int, tuple[int, int]]]:
    """The segment b or r: lower and upper bounds, and {constraint: (k, variable)} of complementarity."""
    lines, what = segments.lines, "variable" if letter == "b" else "constraint"
    j = segments.only(letter)
    if j is None:
        if n:
            missing(lines, f"a segment {letter} with the bounds of {n} {what}s")
        return np.zeros(0), np.zeros(0), {}
    segments.need_length(np.array([j]), np.array([n]))
    begin = int(segments.first[j]) + 1
    line = slice(begin, begin + n)
    position = lines.start[:-1][line]
    code = lines.number[position]
    good = is_index(code, 6 if letter == "r" else 5) & (lines.letter[line] == 0)
    kind = np.where(good, code, 3).astype(np.int64)
    good &= lines.start[1:][line] - position >= _BOUND_FIELDS[kind]
    one, two = lines.number[position + 1], lines.number[position + 2]
    pair = (kind == _COMPLEMENTS).nonzero()[0]
    if len(pair):
        good[pair] &= is_index(one[pair], 4) & is_index(two[pair], n_var + 1, 1)
    if not good.all():
        forms = "0 l u | 1 u | 2 l | 3 | 4 c" + (" | 5 k i" if letter == "r" else "")
        fail(lines, begin + int(good.argmin()), f"the bounds of a {what}: {forms}")
    lower = np.where(_HAS_LOWER[kind], one, -np.inf)
    upper = np.where(_HAS_UPPER[kind], np.where(kind == 0, two, one), np.inf)
    complements = {i: (int(one[i]), int(two[i]) - 1) for i in pair.tolist()}
    for i, (k, _) in complements.items():
        lower[i] = -np.inf if k & 2 else 0.0
        upper[i] = np.inf if k & 1 else 0.0
    return lower, upper, complements


def column_counts(segments: Segments) -> None:
    """Check the form of the segment k (or K), which repeats what the segments J say."""
    for letter in "kK":
        j = segments.only(letter)
        if j is not None:
            segment = np.array([j])
            segments.need_length(segment, np.maximum(segments.field(segment, 0), 0))
            begin = int(segments.first[j]) + 1
            line = slice(begin, begin + int(segments.length[j]))
            good = (lines := segments.lines).start[1:][line] > lines.start[:-1][line]
            good &= (lines.letter[line] == 0) & is_index(lines.number[lines.start[:-1][line]], np.inf)
            if not good.all():
                fail(lines, begin + int(good.argmin()), "a count")


def suffixes(segments: Segments, sizes: tuple[int, int, int, int]) -> list[Suffix]:
    """The segments S. ``sizes`` are the numbers of variables, constraints, objectives, and 1 for the problem."""
    found = segments.of("S")
    if not len(found):
        return []
    lines = segments.lines
    kinds = segments.indices(found, 0, MAX_SUFFIX_KIND + 1, "kind")
    length = segments.field(found, 1)
    segments.need_length(found, length)
    begin, below = segments.first[found] + 1, np.array(sizes)[kinds & 3]
    # Indices against the largest size at once, then against that of their own kind.
    index, value = pairs(lines, begin, length.astype(np.int64), max(sizes), "index")
    wrong = index >= np.repeat(below, length.astype(np.int64))
    if wrong.any():
        line = concatenated_ranges(begin, length.astype(np.int64))[wrong.argmax()]
        fail(lines, int(line), "an index of the suffix's kind")
    cut = np.cumsum(length.astype(np.int64))[:-1]
    parts = zip(found.tolist(), kinds.tolist(), np.split(index, cut), np.split(value, cut), strict=True)
    result = []
    for j, kind, where, what in parts:
        name = lines.names.get(int(segments.first[j]), "")
        if not name:
            fail(lines, int(segments.first[j]), _MEANING["S"])
        result.append(Suffix(name, kind & 3, bool(kind & 4), where, what))
    return result
