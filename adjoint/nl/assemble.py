"""The lines of a ``.nl`` file become a :class:`~adjoint.nl.model.Model`; every count and index is checked first."""

from __future__ import annotations

from typing import Any

import numpy as np

from .expressions import Tokens, read_tokens
from .header import DEFINED_KINDS, Header
from .lines import Lines, fail, missing, refuse
from .model import VARIABLE, ImportedFunction, Linear, Model
from .segments import (
    Segments,
    bounds,
    column_counts,
    initial_values,
    linear_part,
    rows_of,
    split,
    suffixes,
)

__all__ = ["assemble"]

_NEVER = np.iinfo(np.int64).max


def assemble(header: Header, lines: Lines, name: str) -> Model:
    """The model that the lines say. The memory it takes is bounded by the number of lines."""
    n_var, n_con, n_obj, n_logical = (header[count] for count in ("n_var", "n_con", "n_obj", "n_lcon"))
    _check_header(header, lines)
    segments = split(lines)
    expressions = _expressions(segments, header)
    tokens, expr, defined_linear, defined_order, defined_use = expressions
    var_lower, var_upper, _ = bounds(segments, "b", n_var, n_var)
    con_lower, con_upper, complements = bounds(segments, "r", n_con, n_var)
    column_counts(segments)
    x0, x0_given = initial_values(segments, "x", n_var, "variable")
    dual0, dual0_given = initial_values(segments, "d", n_con + n_logical, "constraint")
    objectives = segments.of("O")
    obj_maximize = np.zeros(n_obj, bool)
    obj_maximize[segments.field(objectives, 0).astype(np.int64)] = segments.field(objectives, 1) != 0
    return Model(
        name=header.problem or name,
        n_var=n_var,
        n_con=n_con,
        n_obj=n_obj,
        n_defined=header.n_defined,
        var_lower=var_lower,
        var_upper=var_upper,
        con_lower=con_lower,
        con_upper=con_upper,
        x0=x0,
        x0_given=x0_given,
        dual0=dual0[:n_con],
        dual0_given=dual0_given[:n_con],
        con_linear=linear_part(segments, "J", n_con, n_var),
        obj_linear=linear_part(segments, "G", n_obj, n_var),
        defined_linear=defined_linear,
        code=tokens.code,
        value=tokens.value,
        index=tokens.index,
        place=tokens.place,
        con_expr=expr["C"],
        obj_expr=expr["O"],
        defined_expr=expr["V"],
        logical_expr=expr["L"],
        defined_order=defined_order,
        defined_use=defined_use,
        obj_maximize=obj_maximize,
        integer=_integers(header, lines),
        strings=lines.strings,
        functions=_functions(segments, header["nfunc"]),
        piecewise=tokens.piecewise,
        complements=complements,
        suffixes=suffixes(segments, (n_var, n_con + n_logical, n_obj, 1)),
        **_of_header(header),
        source=lines.source,
        binary=lines.binary,
    )


def _of_header(header: Header) -> dict[str, Any]:
    """The fields of a model that only repeat the header, for a ``.sol`` file and for writing."""
    return {
        "options": header.options,
        "vbtol": header.vbtol,
        "flags": header["flags"],
        "n_nonlinear_con": header["nlc"],
        "n_nonlinear_obj": header["nlo"],
        "n_network_nonlinear": header["nlnc"],
        "n_network_linear": header["lnc"],
        "nonlinear_vars": (header["nlvc"], header["nlvo"], header["nlvb"]),
        "n_arc": header["nwv"],
        "n_discrete": tuple(header[name] for name in ("nbv", "niv", "nlvbi", "nlvci", "nlvoi")),
        "n_defined_kinds": tuple(header[name] for name in DEFINED_KINDS),
    }


def _check_header(header: Header, lines: Lines) -> None:
    """Each variable, constraint, objective, defined variable and function has a line of its own in the file."""
    n_lines = len(lines.letter)
    for what, n, place in (
        ("variables", header["n_var"], 2),
        ("constraints", header["n_con"], 2),
        ("objectives", header["n_obj"], 2),
        ("logical constraints", header["n_lcon"], 2),
        ("imported functions", header["nfunc"], 6),
        ("defined variables", header.n_defined, 10),
    ):
        if n > n_lines:
            came = f"the header announces {n} {what}, and {n_lines} lines follow it"
            refuse(lines.source, False, place, "", came, "a line for each")


def _expressions(
    segments: Segments, header: Header
) -> tuple[Tokens, dict[str, np.ndarray], Linear, np.ndarray, np.ndarray]:
    """Tokens, where those of each C, O, L, V are, and the linear parts, order and uses of the defined variables."""
    lines, n_var, n_defined = segments.lines, header["n_var"], header.n_defined
    found = {letter: segments.of(letter) for letter in "COLV"}
    sizes = {"C": header["n_con"], "O": header["n_obj"], "L": header["n_lcon"], "V": n_defined}
    words = {"C": "constraint", "O": "objective", "L": "logical constraint", "V": "defined variable"}
    items = {}
    for letter, which in found.items():
        low = n_var if letter == "V" else 0
        items[letter] = which
        if len(which):
            items[letter] = segments.indices(which, 0, low + sizes[letter], words[letter], low) - low
            segments.distinct(which, items[letter])
    n_linear = _linear_terms(segments, found["V"])
    all_segments = np.concatenate(list(found.values()))
    all_segments.sort()
    skip = np.zeros(len(segments.first), np.int64)
    skip[found["V"]] = n_linear
    begin = segments.first[all_segments] + 1 + skip[all_segments]
    length = segments.length[all_segments] - skip[all_segments]
    tokens = read_tokens(lines, begin, length, n_var + n_defined, header["nfunc"])
    number = np.zeros(len(segments.first), np.int64)
    number[all_segments] = np.arange(len(all_segments))
    ranges = np.stack([tokens.begin, tokens.end], axis=1)
    expr = {}
    for letter, which in found.items():
        expr[letter] = np.zeros((sizes[letter], 2), np.int64)
        if len(which):
            expr[letter][items[letter]] = ranges[number[which]]
    n_all = n_var + n_defined
    linear, use = Linear.empty(n_defined), np.zeros(n_defined, np.int64)
    if n_defined:
        linear = rows_of(lines, segments.first[found["V"]] + 1, n_linear, items["V"], n_defined, n_all)
        _check_order(segments, tokens, all_segments, items["V"], linear, n_var, n_defined)
        n_users = header["n_con"] + header["n_obj"] + header["n_lcon"]
        use[items["V"]] = segments.indices(found["V"], 2, n_users + 1, "0, or 1 + the user of a defined variable,")
    return tokens, expr, linear, items["V"], use


def _linear_terms(segments: Segments, defined: np.ndarray) -> np.ndarray:
    """How many linear terms each segment V has; at least one line must be left for its expression."""
    if not len(defined):
        return np.zeros(0, np.int64)
    n_linear = segments.field(defined, 1)
    length = segments.length[defined]
    bad = ~((n_linear >= 0) & (n_linear < length) & (n_linear == np.floor(n_linear)))
    if bad.any():
        j = int(defined[bad.argmax()])
        line = int(segments.first[j])
        fail(segments.lines, line, f"fewer linear terms than this segment's {int(segments.length[j])} lines")
    return n_linear.astype(np.int64)


def _check_order(
    segments: Segments,
    tokens: Tokens,
    all_segments: np.ndarray,
    defined: np.ndarray,
    linear: Linear,
    n_var: int,
    n_defined: int,
) -> None:
    """A defined variable that is used is defined, and if another one uses it, before that: so none needs itself."""
    lines, first = segments.lines, segments.first
    if len(defined) < n_defined:
        absent = n_var + int(np.setdiff1d(np.arange(n_defined), defined)[0])
        missing(lines, f"a segment V{absent}, for the header announces {n_defined} defined variables")
    at = np.full(n_defined, _NEVER)
    at[defined] = first[segments.of("V")]
    token = np.flatnonzero((tokens.code == VARIABLE) & (tokens.index >= n_var))
    user = all_segments[np.searchsorted(tokens.end, token, "right")]
    ordered = (lines.letter[first[user]] != ord("V")) | (at[tokens.index[token] - n_var] < first[user])
    if not ordered.all():
        place = int(tokens.place[token[ordered.argmin()]])
        fail(lines, int(np.searchsorted(lines.place, place)), "a defined variable that is defined before this line")
    entry = np.flatnonzero(linear.var >= n_var)
    if len(entry):
        row = np.searchsorted(linear.start, entry, "right") - 1
        ordered = at[linear.var[entry] - n_var] < at[row]
        if not ordered.all():
            fail(lines, int(at[row[ordered.argmin()]]), "linear terms of variables that are defined before this line")


def _functions(segments: Segments, n_functions: int) -> list[ImportedFunction]:
    """The segments F by their index."""
    found = segments.of("F")
    if not len(found) and not n_functions:
        return []
    index = segments.indices(found, 0, n_functions, "function")
    segments.distinct(found, index)
    lines = segments.lines
    if len(found) < n_functions:
        missing(lines, f"{n_functions} segments F, for the header announces as many functions")
    kinds = segments.indices(found, 1, 2, "function type")
    n_args = segments.field(found, 2)
    good = np.abs(n_args) < np.iinfo(np.int32).max
    if not good.all():
        fail(lines, int(segments.first[found[good.argmin()]]), "a number of arguments")
    by_index: list[ImportedFunction] = [ImportedFunction("", 0, 0)] * n_functions
    for j, i, kind, n in zip(found.tolist(), index.tolist(), kinds.tolist(), n_args.tolist(), strict=True):
        by_index[i] = ImportedFunction(lines.names.get(int(segments.first[j]), ""), kind, int(n))
    return by_index


def _integers(header: Header, lines: Lines) -> np.ndarray:
    """Which variables are integers: the last ones of each block of the nonlinear variables, and the last of all.

    The blocks are: nonlinear in constraints and objectives, in constraints only, in objectives only, linear.
    """
    n_var, n_both, n_in_con = header["n_var"], header["nlvb"], header["nlvc"]
    n_nonlinear = max(n_in_con, header["nlvo"])
    blocks = (
        (0, n_both, header["nlvbi"]),
        (n_both, n_in_con, header["nlvci"]),
        (n_in_con, n_nonlinear, header["nlvoi"]),
        (n_nonlinear, n_var, header["nbv"] + header["niv"]),
    )
    integer = np.zeros(n_var, bool)
    for begin, end, n in blocks:
        if n and (n > end - begin or end > n_var):
            came = f"{n} integer variables among {begin}...{end - 1}"
            refuse(lines.source, False, 7, "", came, f"at most {max(0, min(end, n_var) - begin)}")
        integer[end - n : end] = n > 0
    return integer
