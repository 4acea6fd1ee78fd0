"""A :class:`~adjoint.nl.model.Model` as the bytes of a ``.nl`` file, text or binary."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from .model import CALL, NUMBER, STRING, VARIABLE, Linear, Model, Suffix
from .opcodes import ARITY, BY_COUNT, PIECEWISE
from .records import Records, entries_of, format_reals

__all__ = ["model_binary", "model_text"]

Array = np.ndarray

_COMMENTS = (
    "vars, constraints, objectives, ranges, equations, logical constraints",
    "nonlinear constraints, objectives; complementarity: linear, nonlinear, double, nonzero lower bounds",
    "network constraints: nonlinear, linear",
    "nonlinear variables: in constraints, objectives, both",
    "linear arcs, functions, arithmetic, flags",
    "discrete variables: binary, integer; nonlinear ones of both, constraints, objectives",
    "entries of the Jacobian, of the gradients",
    "longest names: of constraints, variables",
    "defined variables: of both, constraints, objectives, one constraint, one objective",
)
_LITTLE_ENDIAN = 1  # of the field "arith" in the sixth line: IEEE numbers, low bytes first


def model_text(model: Model) -> bytes:
    """The text form of a file."""
    return _header(model, "g", 0) + b"".join(r.text() for r in _segments(model, False))


def model_binary(model: Model) -> bytes:
    """The binary form of a file."""
    return _header(model, "b", _LITTLE_ENDIAN) + b"".join(r.binary() for r in _segments(model, True))


# -- header ------------------------------------------------------------------------------------------------------


def _header(m: Model, letter: str, arith: int) -> bytes:
    options = " ".join([str(len(m.options)), *format_reals(np.array(m.options, dtype=np.float64))])
    if m.vbtol is not None:
        options += f" {m.vbtol!r}"
    given = np.isfinite(m.con_lower) & np.isfinite(m.con_upper)
    equal = given & (m.con_lower == m.con_upper)
    ranges = given & ~equal
    ranges[list(m.complements)] = False
    nonlinear = sum(i < m.n_nonlinear_con for i in m.complements)
    bounded = [v for _, v in m.complements.values() if np.isfinite(m.var_lower[v])]
    con_names, var_names = [*(m.con_names or []), *(m.obj_names or [])], m.var_names or []
    lines = [
        f"{m.n_var} {m.n_con} {m.n_obj} {ranges.sum()} {equal.sum()} {len(m.logical_expr)}",
        f"{m.n_nonlinear_con} {m.n_nonlinear_obj} {len(m.complements) - nonlinear} {nonlinear} "
        f"{sum(k & 3 == 0 for k, _ in m.complements.values())} {sum(m.var_lower[v] != 0 for v in bounded)}",
        f"{m.n_network_nonlinear} {m.n_network_linear}",
        " ".join(map(str, m.nonlinear_vars)),
        f"{m.n_arc} {len(m.functions)} {arith} {m.flags}",
        " ".join(map(str, m.n_discrete)),
        f"{m.con_linear.var.size} {m.obj_linear.var.size}",
        f"{max(map(len, con_names), default=0)} {max(map(len, var_names), default=0)}",
        " ".join(map(str, m.n_defined_kinds)),
    ]
    name = "_".join(m.name.split()) or "model"
    return "".join(
        [f"{letter}{options}\t# problem {name}\n", *(f" {a}\t# {b}\n" for a, b in zip(lines, _COMMENTS, strict=True))]
    ).encode()


# -- segments ----------------------------------------------------------------------------------------------------


def _segments(m: Model, binary: bool) -> list[Records]:
    columns = np.cumsum(np.bincount(m.con_linear.var, minlength=m.n_var))[: max(m.n_var - 1, 0)]
    return [
        _functions(m, binary),
        *(_suffix(s, binary) for s in m.suffixes),
        _expressions(m, binary),
        _pairs("d", np.flatnonzero(m.dual0_given), m.dual0[m.dual0_given]),
        _pairs("x", np.flatnonzero(m.x0_given), m.x0[m.x0_given]),
        _bounds("r", m.con_lower, m.con_upper, m.complements),
        _bounds("b", m.var_lower, m.var_upper, {}),
        _list("k", columns) if m.n_var else Records(0),
        _linear("J", m.con_linear),
        _linear("G", m.obj_linear),
    ]


def _pairs(letter: str, index: Array, value: Array) -> Records:
    """A line ``letter n``, and n lines ``index value``; nothing for n = 0."""
    n = index.size
    r = Records(n + 1 if n else 0)
    if n:
        r.put(np.array([0]), letter, np.array([n]))
        r.put(np.arange(1, n + 1), "", index, value)
    return r


def _list(letter: str, values: Array) -> Records:
    r = Records(values.size + 1)
    r.put(np.array([0]), letter, np.array([values.size]))
    r.put(np.arange(1, values.size + 1), "", values)
    return r


def _functions(m: Model, binary: bool) -> Records:
    r = Records(len(m.functions))
    for i, f in enumerate(m.functions):
        r.put_bytes(i, _named("F", [i, f.kind, f.n_args], f.name, binary))
    return r


def _suffix(s: Suffix, binary: bool) -> Records:
    n = s.index.size
    r = Records(n + 1 if n else 0)
    if n:
        r.put_bytes(0, _named("S", [s.kind | 4 * s.real, n], s.name, binary))
        r.put(np.arange(1, n + 1), "", s.index, s.value.astype(np.float64 if s.real else np.int64))
    return r


def _named(letter: str, numbers: list[int], name: str, binary: bool) -> bytes:
    """A line of integers that ends in a name."""
    if not binary:
        return f"{letter}{' '.join(map(str, numbers))} {name}".encode()
    text = name.encode()
    return struct.pack(f"<c{len(numbers) + 1}i", letter.encode(), *numbers, len(text)) + text


def _bounds(letter: str, lower: Array, upper: Array, complements: dict[int, tuple[int, int]]) -> Records:
    """One line each: 0 both bounds, 1 upper, 2 lower, 3 none, 4 equal, 5 complements a variable."""
    r = Records(lower.size + 1 if lower.size else 0)
    if not lower.size:
        return r
    r.put(np.array([0]), letter)
    below, above = lower > -np.inf, upper < np.inf
    kind = np.where(below & above, np.where(lower == upper, 4, 0), np.where(above, 1, np.where(below, 2, 3)))
    kind[list(complements)] = 5
    for code, columns in enumerate(((lower, upper), (upper,), (lower,), (), (lower,))):
        at = np.flatnonzero(kind == code)
        r.put(at + 1, f"{code} " if columns else f"{code}", *(c[at] for c in columns))
    if complements:
        at = np.array(sorted(complements))
        k, v = np.array([complements[i] for i in at.tolist()]).T
        r.put(at + 1, "5 ", k, v + 1)
    return r


def _linear(letter: str, rows: Linear) -> Records:
    """For each row with entries: ``letter i n``, and n lines ``variable coefficient``."""
    count = np.diff(rows.start)
    some = np.flatnonzero(count)
    r = Records(some.size + rows.var.size)
    head = rows.start[some] + np.arange(some.size)
    r.put(head, letter, some, count[some])
    place = np.ones(r.lines, bool)
    place[head] = False
    r.put(np.flatnonzero(place), "", rows.var, rows.coef)
    return r


# -- expressions -------------------------------------------------------------------------------------------------

_DEFINED, _CONSTRAINT, _LOGICAL, _OBJECTIVE = range(4)


@dataclass
class _Units:
    """The expressions of a file in order: what they belong to, and their tokens begin:end."""

    kind: Array
    index: Array
    begin: Array
    end: Array


def _units(m: Model) -> _Units:
    """Shared defined variables, then constraints and objectives, each after the defined variables that only it has."""
    n_log = len(m.logical_expr)
    sizes = [m.n_defined, m.n_con, n_log, m.n_obj]
    kind = np.repeat(np.arange(4), sizes)
    index = np.concatenate([np.arange(n) for n in sizes])
    user = m.defined_use - 1
    user = user + n_log * (user >= m.n_con)  # logical constraints come between
    major = np.concatenate([user, np.arange(m.n_con + n_log + m.n_obj)])
    rank = np.full(kind.size, m.n_defined)
    rank[m.defined_order] = np.arange(m.n_defined)
    order = np.lexsort((rank, major))
    bounds = np.concatenate([np.reshape(x, (-1, 2)) for x in (m.defined_expr, m.con_expr, m.logical_expr, m.obj_expr)])
    return _Units(kind[order], index[order], bounds[order, 0], bounds[order, 1])


def _expressions(m: Model, binary: bool) -> Records:
    u = _units(m)
    defined = u.kind == _DEFINED
    n_linear = np.zeros(u.kind.size, np.int64)
    n_linear[defined] = np.diff(m.defined_linear.start)[u.index[defined]]
    n_tokens = u.end - u.begin
    length = 1 + n_linear + np.maximum(n_tokens, 1)
    first = np.cumsum(length) - length
    r = Records(int(length.sum()))
    at = first[defined]
    r.put(at, "V", u.index[defined] + m.n_var, n_linear[defined], m.defined_use[u.index[defined]])
    entries, _, _ = entries_of(m.defined_linear.start, u.index[defined])
    within = np.arange(entries.size) - np.repeat(np.cumsum(n_linear[defined]) - n_linear[defined], n_linear[defined])
    place = np.repeat(at + 1, n_linear[defined]) + within
    r.put(place, "", m.defined_linear.var[entries], m.defined_linear.coef[entries])
    for kind, letter in ((_CONSTRAINT, "C"), (_LOGICAL, "L")):
        r.put(first[u.kind == kind], letter, u.index[u.kind == kind])
    objective = u.kind == _OBJECTIVE
    r.put(first[objective], "O", u.index[objective], m.obj_maximize[u.index[objective]].astype(np.int64))
    empty = n_tokens == 0
    body = first + 1 + n_linear
    r.put(body[empty], "n", np.zeros(np.count_nonzero(empty)))
    count = np.repeat(np.cumsum(n_tokens) - n_tokens, n_tokens)
    within = np.arange(count.size) - count
    _tokens(m, r, np.repeat(u.begin, n_tokens) + within, np.repeat(body, n_tokens) + within, binary)
    return r


def _tokens(m: Model, r: Records, token: Array, place: Array, binary: bool) -> None:
    """Put tokens at their places."""
    code, index = m.code[token], m.index[token]
    at = np.flatnonzero(code == NUMBER)
    value = m.value[token[at]]
    if binary:  # whole numbers that fit into two bytes
        short = (value == np.rint(value)) & (np.abs(value) < 2**15) & ~((value == 0) & np.signbit(value))
        r.put(place[at[short]], "s", value[short].astype(np.int16))
        at, value = at[~short], value[~short]
    r.put(place[at], "n", value)
    at = np.flatnonzero(code == VARIABLE)
    r.put(place[at], "v", index[at])
    operator = code >= 0
    counted = operator & (ARITY[np.where(operator, code, 0)] == BY_COUNT)
    at = np.flatnonzero(operator & ~counted & (code != PIECEWISE))
    r.put(place[at], "o", code[at].astype(np.int64))
    at = np.flatnonzero(counted)
    r.put(place[at], "o", code[at].astype(np.int64), index[at], separator="\n")
    for i in np.flatnonzero(code == PIECEWISE).tolist():
        slopes, breakpoints = m.piecewise[index[i]]
        r.put_bytes(place[i], _table(slopes, breakpoints, binary))
    at = np.flatnonzero(code == CALL)
    r.put(place[at], "f", index[at], m.value[token[at]].astype(np.int64))
    for i in np.flatnonzero(code == STRING).tolist():
        text = m.strings[index[i]].encode()
        r.put_bytes(place[i], struct.pack("<ci", b"h", len(text)) + text if binary else b"h%d:%b" % (len(text), text))


def _table(slopes: Array, breakpoints: Array, binary: bool) -> bytes:
    """``o64``, the number of slopes, and the constants slope, breakpoint, slope, …, slope."""
    constants = np.empty(2 * slopes.size - 1)
    constants[::2], constants[1::2] = slopes, breakpoints
    if binary:
        parts = [struct.pack("<cd", b"n", c) for c in constants.tolist()]
        return struct.pack("<cii", b"o", PIECEWISE, slopes.size) + b"".join(parts)
    return "\n".join([f"o{PIECEWISE}", str(slopes.size), *("n" + t for t in format_reals(constants))]).encode()
