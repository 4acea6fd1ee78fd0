"""The expressions of a ``.nl`` file: the lines of all segments C, L, O and V as one flat prefix program.

An expression in prefix order is complete when the number of operands still needed, ``1 + sum (arity - 1)`` over
its tokens so far, becomes zero, which must be at its last token and not before. Running sums check this for
all expressions at once, however deep they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .lines import Lines, concatenated_ranges, fail, is_index
from .model import CALL, NUMBER, STRING, VARIABLE
from .opcodes import ARITY, BY_COUNT, N_OPCODES, PIECEWISE, UNKNOWN

__all__ = ["Tokens", "read_tokens"]

_CODE = np.zeros(256, np.int16)
for _letters, _code in ((b"nsl", NUMBER), (b"v", VARIABLE), (b"h", STRING), (b"f", CALL)):
    _CODE[np.frombuffer(_letters, np.uint8)] = _code
_GROUP = 1 << 15
"""Lines of expressions that are read together: their arrays stay in the cache of a processor."""


@dataclass
class Tokens:
    """The tokens of all expressions, in the order of the file; expression j has ``begin[j]:end[j]``."""

    code: np.ndarray
    value: np.ndarray
    index: np.ndarray
    place: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    piecewise: list[tuple[np.ndarray, np.ndarray]]


def read_tokens(lines: Lines, begin: np.ndarray, length: np.ndarray, n_var: int, n_functions: int) -> Tokens:
    """The expressions that are on the lines begin[j], begin[j] + 1, ..., length[j] of them; begin increases.

    ``n_var`` counts the defined variables too.
    """
    empty = (length <= 0).nonzero()[0]
    if len(empty):
        fail(lines, int(begin[empty[0]]), "an expression")
    strings = (lines.letter == ord("h")).nonzero()[0] if lines.strings else np.zeros(0, np.int64)
    end = length.cumsum()
    if not len(end) or end[-1] <= _GROUP:
        return _read_group(lines, begin, length, n_var, n_functions, strings)
    cuts = end.searchsorted(np.arange(_GROUP, end[-1], _GROUP))
    cuts = np.unique(np.concatenate([[0], cuts, [len(end)]])).tolist()
    groups = zip(cuts[:-1], cuts[1:], strict=True)
    return _joined([_read_group(lines, begin[a:b], length[a:b], n_var, n_functions, strings) for a, b in groups])


def _joined(parts: list[Tokens]) -> Tokens:
    """The tokens of several groups of expressions as one."""
    n_tokens, n_piecewise = 0, 0
    for part in parts:
        part.begin += n_tokens
        part.end += n_tokens
        if n_piecewise:
            part.index[part.code == PIECEWISE] += n_piecewise
        n_tokens += len(part.code)
        n_piecewise += len(part.piecewise)
    arrays = [
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("code", "value", "index", "place", "begin", "end")
    ]
    code, value, index, place, begin, end = arrays
    piecewise = [item for part in parts for item in part.piecewise]
    return Tokens(code, value, index, place, begin, end, piecewise)


def _read_group(
    lines: Lines, begin: np.ndarray, length: np.ndarray, n_var: int, n_functions: int, strings: np.ndarray
) -> Tokens:
    """The tokens of some expressions."""
    line = concatenated_ranges(begin, length)
    end = length.cumsum()
    letter, position = lines.letter[line], lines.start[line]
    value = lines.number[position]
    code = _CODE[letter]
    _check_fields(lines, line, letter, position)
    operator = (letter == ord("o")).nonzero()[0]
    arity = _arities(lines, line, value, operator)
    index, effect = np.zeros(len(line), np.int64), np.full(len(line), -1)
    index[operator] = arity
    effect[operator] += arity
    code[operator] = value[operator]
    by_count = operator[(arity == BY_COUNT) | (code[operator] == PIECEWISE)]
    _check_counts(lines, line, value, (letter == 0).nonzero()[0], by_count)
    if len(by_count):  # the line of the count stands for the operator
        index[by_count] = n = value[by_count + 1].astype(np.int64)
        effect[by_count] = 0
        effect[by_count + 1] = np.where(code[by_count] == PIECEWISE, 2 * n, n) - 1
    variable = (letter == ord("v")).nonzero()[0]
    which = value[variable]
    good = is_index(which, n_var)
    if not good.all():
        fail(lines, int(line[variable[good.argmin()]]), f"a variable in 0...{n_var - 1}")
    index[variable] = which
    _read_calls(lines, line, letter, position, n_functions, index, value, effect)
    if len(strings):
        text = (letter == ord("h")).nonzero()[0]
        index[text] = strings.searchsorted(line[text])
    _check_complete(lines, line, length, end, effect)
    value[((code != NUMBER) & (code != CALL)).nonzero()[0]] = 0.0
    tokens = Tokens(code, value, index, lines.place[line], end - length, end, [])
    return _without_counts(lines, line, tokens, by_count) if len(by_count) else tokens


def _arities(lines: Lines, line: np.ndarray, value: np.ndarray, operator: np.ndarray) -> np.ndarray:
    """Arity of each operator."""
    opcode = value[operator]
    good = is_index(opcode, N_OPCODES)
    if good.all():
        arity = ARITY[opcode.astype(np.int64)]
        good = arity != UNKNOWN
    if not good.all():
        fail(lines, int(line[operator[good.argmin()]]), "a known opcode")
    return arity


def _check_fields(lines: Lines, line: np.ndarray, letter: np.ndarray, position: np.ndarray) -> None:
    """Every line of an expression has a number, and a call has two."""
    few = lines.start[line + 1] - position <= (letter == ord("f"))
    if few.any():
        fail(lines, int(line[few.argmax()]), "a number (two in a call)")


def _check_counts(lines: Lines, line: np.ndarray, value: np.ndarray, counted: np.ndarray, by_count: np.ndarray) -> None:
    """A line of a number alone follows each operator with a count, and no other line."""
    if not len(counted) and not len(by_count):
        return
    if not np.array_equal(counted, by_count + 1):
        alone = np.setdiff1d(counted, by_count + 1)
        missing = np.setdiff1d(by_count + 1, counted)
        if len(missing) and (not len(alone) or missing[0] < alone[0]):
            fail(lines, int(line[missing[0] - 1]) + 1, "the number of operands")
        fail(lines, int(line[alone[0]]), "a token of an expression")
    good = is_index(value[counted], len(lines.letter) + 1, 1)
    if not good.all():
        fail(lines, int(line[counted[good.argmin()]]), "a number of operands that the file can hold")


def _read_calls(
    lines: Lines,
    line: np.ndarray,
    letter: np.ndarray,
    position: np.ndarray,
    n_functions: int,
    index: np.ndarray,
    value: np.ndarray,
    effect: np.ndarray,
) -> None:
    """Calls ``f<i> <n>`` have their function as index and their number of arguments as value."""
    call = (letter == ord("f")).nonzero()[0]
    if len(call):
        n_args = lines.number[position[call] + 1]
        good = is_index(value[call], n_functions) & is_index(n_args, len(lines.letter) + 1)
        if not good.all():
            expected = f"a function in 0...{n_functions - 1} and its number of arguments"
            fail(lines, int(line[call[good.argmin()]]), expected)
        index[call] = value[call]
        value[call] = n_args
        effect[call] = n_args - 1


def _check_complete(lines: Lines, line: np.ndarray, length: np.ndarray, end: np.ndarray, effect: np.ndarray) -> None:
    """The running sum of (arity - 1) reaches -1 at the last token of each expression, and not before."""
    total = effect.cumsum()
    # A complete expression adds -1: before expression j the total must be -j, and reach -j-1 only at its end.
    done = total <= np.arange(-1, -1 - len(length), -1).repeat(length)
    if np.count_nonzero(done) == len(length) and done[end - 1].all():
        return
    ends = np.zeros(len(line), bool)
    ends[end - 1] = True
    k = int(np.argmax(done != ends))
    if done[k]:
        fail(lines, int(line[k]) + 1, "the end of this expression, which is complete")
    fail(lines, int(line[k]) + 1, f"{int(total[k] + 1 + np.searchsorted(end, k, 'right'))} more operands")


def _without_counts(lines: Lines, line: np.ndarray, tokens: Tokens, by_count: np.ndarray) -> Tokens:
    """The tokens without the lines of counts, and without the constants of piecewise linear functions."""
    keep = np.ones(len(line), bool)
    keep[by_count + 1] = False
    piecewise: list[tuple[np.ndarray, np.ndarray]] = []
    for k in by_count[tokens.code[by_count] == PIECEWISE].tolist():
        n_slopes = int(tokens.index[k])
        constants = slice(k + 2, k + 1 + 2 * n_slopes)
        wrong = tokens.code[constants] != NUMBER
        if wrong.any():
            fail(lines, int(line[k + 2 + np.argmax(wrong)]), "slopes and breakpoints")
        operand = k + 1 + 2 * n_slopes
        if tokens.code[operand] != VARIABLE:
            fail(lines, int(line[operand]), "the variable of a piecewise linear function")
        numbers = tokens.value[constants]
        tokens.index[k] = len(piecewise)
        piecewise.append((numbers[::2].copy(), numbers[1::2].copy()))
        keep[constants] = False
    shift = np.zeros(len(line) + 1, np.int64)
    np.cumsum(keep, out=shift[1:])
    return Tokens(
        tokens.code[keep],
        tokens.value[keep],
        tokens.index[keep],
        tokens.place[keep],
        shift[tokens.begin],
        shift[tokens.end],
        piecewise,
    )
