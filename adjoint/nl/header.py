"""The first ten lines of an AMPL ``.nl`` file, which are text in both forms."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .lines import refuse

__all__ = ["DEFINED_KINDS", "Header", "read_header"]

N_LINES = 10
MAX_LINE = 4096
"""Bytes: a longer line is no header of any file."""
MAX_OPTIONS = 9
_MAX_DIGITS = 19
DEFINED_KINDS = ("comb", "comc", "como", "comc1", "como1")
"""Counts of defined variables: of both kinds, of constraints, of objectives, of one constraint, of one objective."""
# Names of the integers of lines 2 to 10, and how many of them older files may leave out.
_LAYOUT: tuple[tuple[tuple[str, ...], int], ...] = (
    (("n_var", "n_con", "n_obj", "n_ranges", "n_eqn", "n_lcon"), 3),
    (("nlc", "nlo", "n_cc_lin", "n_cc_nl", "ndcc", "nzlb"), 4),
    (("nlnc", "lnc"), 0),
    (("nlvc", "nlvo", "nlvb"), 1),
    (("nwv", "nfunc", "arith", "flags"), 2),
    (("nbv", "niv", "nlvbi", "nlvci", "nlvoi"), 3),
    (("nzc", "nzo"), 0),
    (("longest_con_name", "longest_var_name"), 0),
    (DEFINED_KINDS, 0),
)
_SIGNED = {"n_ranges", "n_eqn"}  # counted for information; some writers have -1
_PROBLEM = re.compile(r"#\s*problem\s+(\S+)")


@dataclass
class Header:
    """The integers of the header by name, and what its first line says."""

    binary: bool
    options: list[float]
    vbtol: float | None
    problem: str
    counts: dict[str, int]
    size: int
    """Bytes of the header: the rest of the file begins here."""

    def __getitem__(self, name: str) -> int:
        return self.counts[name]

    @property
    def n_defined(self) -> int:
        """How many defined variables there are."""
        return sum(self.counts[name] for name in DEFINED_KINDS)


def read_header(data: bytes, source: str) -> Header:
    """The header of a file's bytes."""
    lines: list[bytes] = []
    position = 0
    while len(lines) < N_LINES:
        end = data.find(b"\n", position, position + MAX_LINE)
        if not lines:
            _check_form(data, source)
        if end < 0:
            came = "the file ends" if len(data) - position < MAX_LINE else f"a line of more than {MAX_LINE} bytes"
            refuse(source, False, len(lines) + 1, "", came, f"a header of {N_LINES} lines")
        lines.append(data[position:end])
        position = end + 1
    options, vbtol, problem = _first_line(lines[0], source)
    counts: dict[str, int] = {}
    for i, (names, optional) in enumerate(_LAYOUT):
        _read_counts(lines[i + 1], i + 2, names, optional, counts, source)
    return Header(data[:1] in b"bB", options, vbtol, problem, counts, position)


def _check_form(data: bytes, source: str) -> None:
    first = data[:1]
    if not first or first not in b"gGbB":
        came = f"a first byte {first!r}" if first else "an empty file"
        if first and first in b"zZhH":
            came += " (a form with 16-bit opcodes)"
        refuse(source, False, 1, "", came, "an AMPL .nl file, which begins with 'g' (text) or 'b' (binary)")


def _first_line(line: bytes, source: str) -> tuple[list[float], float | None, str]:
    """``g<k> o1 ... ok [vbtol]  # problem <name>``."""
    text = line.decode("utf-8", "replace")
    tokens = text[1:].split("#")[0].split()
    expected = f"a number of options up to {MAX_OPTIONS}, and that many numbers"
    try:
        n_options = int(tokens[0]) if tokens else 0
        values = [float(token) for token in tokens[1 : n_options + 2]]
    except ValueError:
        refuse(source, False, 1, "", f"came {text[:80]!r}", expected)
    if not 0 <= n_options <= MAX_OPTIONS or len(values) < n_options:
        refuse(source, False, 1, "", f"came {text[:80]!r}", expected)
    has_vbtol = n_options >= 2 and values[1] == 3 and len(values) > n_options
    found = _PROBLEM.search(text)
    return values[:n_options], values[n_options] if has_vbtol else None, found.group(1) if found else ""


def _read_counts(
    line: bytes, place: int, names: tuple[str, ...], optional: int, counts: dict[str, int], source: str
) -> None:
    tokens = line.split(b"#", 1)[0].split()[: len(names)]
    try:
        values = [int(token) for token in tokens] if max(map(len, tokens), default=0) < _MAX_DIGITS else []
    except ValueError:
        values = []
    missing = len(names) - len(values)
    counts.update(zip(names, values + [0] * missing, strict=True))
    negative = any(value < 0 and name not in _SIGNED for name, value in zip(names, values, strict=False))
    if missing > optional or negative:
        needed = len(names) - optional
        shown = line[:80].decode("utf-8", "replace")
        refuse(source, False, place, "", f"came {shown!r}", f"{needed} or more counts: {' '.join(names)}")
