"""A file with every kind of segment and token, and its binary form, made by a plain encoder, item by item."""

from __future__ import annotations

import struct

HEADER = """g3 1 1 0\t# problem everything
 5 4 2 1 1 1\t# vars, constraints, objectives, ranges, eqns, lcons
 3 2 0 1 0 0\t# nonlinear constraints, objectives; complementarity
 0 0\t# network constraints: nonlinear, linear
 3 4 2\t# nonlinear vars in constraints, objectives, both
 0 1 0 1\t# linear network variables; functions; arith, flags
 1 0 1 0 0\t# discrete variables: binary, integer, nonlinear (b,c,o)
 7 3\t# nonzeros in Jacobian, gradients
 8 4\t# max name lengths: constraints, variables
 0 1 0 0 1\t# common exprs: b,c,o,c1,o1
"""

BODY = """F0 1 -2 lookup
S0 2 priority
0 3
4 -7
S5 1 weight
1 2.5
V5 1 0\t#shared
1 2
o2\t#*
v0
v0
V6 2 5
5 1.5
2 -0.25
n0
C0
o54
3
o5
v0
n2
v5
o35
o22
v1
s-1
n1.5
o16
v1
C1
o64
3
n-1
n0
s0
n2.5
l2
v2
C2
f0 2
h9:file
nv#1
v1
L0
o23
v0
n1
O0 0
o43
v6
O1 1
o11
2
v3
n1e-3
d2
0 0.5
3 -1
x3
0 1
2 -3.25e-1
4 1e20
r
0 -1 1
1 4
5 1 3
4 0
b
0 0 1
1 3.5
2 -2
3
0 0 1
k4
2
4
6
6
J0 2
0 0
1 0
J1 1
2 0
J2 1
1 0
J3 3
0 1
3 -2.5
4 12345678
G0 1
2 0
G1 2
3 0
4 1
"""

TEXT = (HEADER + BODY).encode()
BY_COUNT = {11, 12, 54, 59, 60, 61, 64, 70, 71, 74, 75}
FIELDS = {"C": "i", "L": "i", "O": "ii", "V": "iii", "F": "iii", "S": "ii", "d": "i", "x": "i", "k": "i", "J": "ii"}
FIELDS |= {"G": "ii", "K": "i", "r": "", "b": "", "n": "d", "s": "h", "l": "i", "v": "i", "f": "ii", "o": "i"}
BOUNDS = {"0": "dd", "1": "d", "2": "d", "3": "", "4": "d", "5": "ii"}


def header_of(text: bytes, order: str) -> tuple[bytes, bytes]:
    """The header as that of a binary file, and the rest."""
    lines = text.split(b"\n", 10)
    counts = lines[5].split(b"#")[0].split()
    flags = counts[3] if len(counts) > 3 else b"0"
    lines[5] = b" " + b" ".join([counts[0], counts[1], b"1" if order == "<" else b"2", flags])
    return b"b" + b"\n".join(lines[:10])[1:] + b"\n", lines[10]


def to_binary(text: bytes, order: str = "<") -> bytes:
    """The binary form of a text file, written line by line."""
    head, rest = header_of(text, order)
    out = [head]
    entries = ""  # types of the lines that follow: of a list, of bounds ("b"), or of expressions ("")
    n_entries = 0
    while rest:
        line, _, rest = rest.partition(b"\n")
        first = line[:1].decode()
        if first == "h":
            length = int(line[1 : line.index(b":")])
            whole = line[line.index(b":") + 1 :] + b"\n" + rest
            out.append(b"h" + struct.pack(order + "i", length) + whole[:length])
            rest = whole[length + 1 :]
            continue
        words = line.split(b"#")[0].decode().split()
        if not words:
            continue
        if first in FIELDS:
            words[0] = words[0][1:]
            words = [word for word in words if word]
            kinds = FIELDS[first]
            out.append(first.encode() + pack(order, kinds, words))
            if first in "FS":
                name = words[len(kinds)].encode()
                out.append(struct.pack(order + "i", len(name)) + name)
            entries, n_entries = entries_of(first, words)
        elif entries == "b":
            out.append(first.encode() + pack(order, BOUNDS[first], words[1:]))
        elif n_entries:
            out.append(pack(order, entries, words))
            n_entries -= 1
        else:  # a number of operands
            out.append(pack(order, "i", words))
    return b"".join(out)


def entries_of(letter: str, words: list[str]) -> tuple[str, int]:
    """Types of the lines after the first line of a segment, and how many there are."""
    if letter in "rb":
        return "b", 0
    if letter in "VJGdxkKS":
        n = int(words[1 if letter in "VJGS" else 0])
        integers = letter in "kK" or (letter == "S" and not int(words[0]) & 4)
        kinds = "i" if letter in "kK" else ("ii" if integers else "id")
        return kinds, n
    return "", 0


def pack(order: str, kinds: str, words: list[str]) -> bytes:
    """Numbers of the given types."""
    return b"".join(
        struct.pack(order + kind, float(word) if kind == "d" else int(float(word)))
        for kind, word in zip(kinds, words, strict=False)
    )
