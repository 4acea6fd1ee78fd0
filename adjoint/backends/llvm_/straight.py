"""Straight-line machine code of a tape in phases, written without a compiler.

LLVM takes microseconds per operation, which is longer than most programs run. But the code of an operation is always
the same but for the places of its operands ("copy and patch": H. Xu, F. Kjolstad, Copy-and-Patch Compilation, OOPSLA
2021). Light operations are a few scalar instructions on memory, of eight bytes each:

    x + y:      load r0, [a];   add r0, r0, [b];   store [p], r0

and all their instructions are written at once, as arrays of 64-bit words: the instruction, and 32 bits of displacement.
Segments of heavy operations are calls of the functions of :mod:`.tape_code`, one vector at a time.

Derivatives follow from a table as well: the factor of a cotangent (or tangent) for an operand is at most two
instructions, and a sign. The code is for x86-64 with AVX, for Unix; elsewhere, tapes run by loops.

A register r is xmm⟨r⟩; rbx has the address of w, r12 that of the record of the call, r13 that of the table of
functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .tape_code import LIGHT
from .tape_order import COPY, MASK_BITS, Tape

__all__ = ["GAP", "HEADER", "LANES", "calls", "machine_code"]

LANES = 4  # of heavy operations: few are alike
HEADER = np.array([0.0, 0.0, 0.0, 0.0, -0.0, 0.0, 2.0, 0.5])  # in front of w; fillers read the last one
GAP = 8  # doubles between w and w̄ (or ẇ); of both, index −1 is for the fillers
AHEAD = 2048  # bytes: so far ahead, code is fetched into the second-level cache,
PREFETCHED = 40_000  # if it is longer than this: words. The processor itself fetches code too late (measured)
FUNCTIONS = 7  # the word of the record that has the address of the table of functions


class Instruction(NamedTuple):
    """``to ← source ∘ [place]`` of registers and memory; "load" and "store" have no source.

    Places are the operands a and b and the result p in w, da, db and dp in w̄, and the numbers of the header.
    """

    name: str
    to: int
    source: int
    place: str


class Factor(NamedTuple):
    """∂f/∂(operand) · t: steps on t, and whether the product is subtracted."""

    steps: tuple[tuple[str, str], ...] = ()
    minus: bool = False


_VALUES = {
    "add": [Instruction("load", 0, 0, "a"), Instruction("add", 0, 0, "b")],
    "subtract": [Instruction("load", 0, 0, "a"), Instruction("sub", 0, 0, "b")],
    "multiply": [Instruction("load", 0, 0, "a"), Instruction("mul", 0, 0, "b")],
    "divide": [Instruction("load", 0, 0, "a"), Instruction("div", 0, 0, "b")],
    "negative": [Instruction("load", 0, 0, "a"), Instruction("xor", 0, 0, "sign")],
    "square": [Instruction("load", 0, 0, "a"), Instruction("mul", 0, 0, "a")],
    "sqrt": [Instruction("sqrt", 0, 0, "a")],
    "copy": [Instruction("load", 0, 0, "a")],
}
_FACTORS = {
    "add": (Factor(), Factor()),
    "subtract": (Factor(), Factor(minus=True)),
    "multiply": (Factor((("mul", "b"),)), Factor((("mul", "a"),))),
    "divide": (Factor((("div", "b"),)), Factor((("div", "b"), ("mul", "p")), minus=True)),
    "negative": (Factor(minus=True),),
    "square": (Factor((("mul", "a"), ("mul", "two"))),),
    "sqrt": (Factor((("mul", "half"), ("div", "p"))),),
    "copy": (Factor(),),
}
_CODES = {"load": 0x10, "store": 0x11, "sqrt": 0x51, "xor": 0x57, "add": 0x58, "mul": 0x59, "sub": 0x5C, "div": 0x5E}
_PLACES = {"half": -1, "two": -2, "sign": -4, "zero": -8}


def _encoded(it: Instruction) -> int:
    """The lower 32 bits: VEX prefix, opcode, registers; the displacement from rbx follows."""
    packed = 1 if it.name == "xor" else 3  # of two doubles (16 bytes are read), of one
    vex = 0x80 | (~it.source & 15) << 3 | packed
    return 0xC5 | vex << 8 | _CODES[it.name] << 16 | (0x83 | it.to << 3) << 24


def _registers(name: str, to: int, source: int) -> int:
    """``to ← to ∘ source``, a word with a nop at the end."""
    vex = 0x80 | (~to & 15) << 3 | 3
    return 0xC5 | vex << 8 | _CODES[name] << 16 | (0xC0 | to << 3 | source) << 24 | 0x00401F0F << 32


def _word(data: str) -> int:
    return int.from_bytes(bytes.fromhex(data), "little")


# push rbx, r12, r13; mov r12, rdi | mov rbx, [rdi]; mov r13, [rdi + 56]; nop
_ENTER = [_word("53 4154 4155 4989FC"), _word(f"488B1F 4C8B6F{8 * FUNCTIONS:02X} 90")]
_LEAVE = _word("415D 415C 5B C3 9090")  # pop r13, r12, rbx; ret
_JUMP = _word("41FFA5 00000000 90")  # jmp [r13 + displacement]
_POSITION = _word("BE 00000000 0F1F00")  # mov esi, position
_CALL = _word("4C89E7 E8")  # mov rdi, r12; call displacement
_PREFETCH = _word("0F1815") | AHEAD << 24 | 0x90 << 56  # prefetcht1 [rip + AHEAD]; nop


# -- the instructions of light operations ---------------------------------------------------------------------------

Template = list[Instruction | int]


def _value(name: str, at_hand: bool) -> Template:
    """``at_hand``: the first operand is the operation before, whose result is still in r0."""
    first = _VALUES[name][0]
    begin: Template = [*_VALUES[name]]
    if at_hand:
        begin[:1] = [] if first.name == "load" else [_registers(first.name, 0, 0)]
    return [*begin, Instruction("store", 0, 0, "p")]


def _steps(factor: Factor, source: int, to: int) -> tuple[Template, int]:
    """The instructions, and the register of the result."""
    out: Template = []
    for name, place in factor.steps:
        out.append(Instruction(name, to, source, place))
        source = to
    return out, source


def _reverse(name: str, constants: int, first: int) -> Template:
    """w̄[operand] += w̄[p] · ∂f/∂operand; without reading it for operands whose first term this is (bits)."""
    out: Template = [Instruction("load", 0, 0, "dp")]
    for k, factor in enumerate(_FACTORS[name]):
        if constants >> k & 1:
            continue
        at, to = "da" if k == 0 else "db", 1 + k
        steps, r = _steps(factor, 0, to)
        out += steps
        if first >> k & 1:
            if factor.minus:
                out.append(Instruction("xor", to, r, "sign"))
                r = to
        elif factor.minus:
            out += [Instruction("load", 3, 0, at), _registers("sub", 3, r)]
            r = 3
        else:
            out.append(Instruction("add", to, r, at))
            r = to
        out.append(Instruction("store", r, 0, at))
    return out if len(out) > 1 else []


def _tangent(name: str, constants: int) -> Template:
    """ẇ[p] = Σ ∂f/∂operand · ẇ[operand]"""
    out: Template = [Instruction("load", 0, 0, "zero")]
    for k, factor in enumerate(_FACTORS[name]):
        if constants >> k & 1:
            continue
        out.append(Instruction("load", 1, 0, "da" if k == 0 else "db"))
        out += _steps(factor, 1, 1)[0]
        out.append(_registers("sub" if factor.minus else "add", 0, 1))
    return [*out, Instruction("store", 0, 0, "dp")]


def _template(kind: str, flagged: int) -> Template:
    """The instructions of a variant with its flags: opcodes of light operations are their places in the list."""
    variant, flags = flagged >> 2, flagged & 3
    name = "copy" if variant >> MASK_BITS == COPY else LIGHT[variant >> MASK_BITS]
    if kind == "value":
        return _value(name, bool(flags))
    return _reverse(name, variant & 7, flags) if kind == "reverse" else _tangent(name, variant & 7)


# -- the code of a tape ----------------------------------------------------------------------------------------------


def calls(tape: Tape) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """First positions of all vectors of heavy operations, of each the number of its function, and the functions: opcode
    and bits of the operands that are constants."""
    segments = tape.segments
    which, inverse = np.unique(segments[:, 0] << MASK_BITS | segments[:, 1], return_inverse=True)
    counts = -(-(segments[:, 3] - segments[:, 2]) // LANES)
    within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = np.repeat(segments[:, 2], counts) + LANES * within
    return starts, np.repeat(inverse.reshape(-1), counts), [(v >> MASK_BITS, v & 7) for v in which.tolist()]


def machine_code(tape: Tape, kind: str) -> bytes:
    """The code of one sweep: "value" and "tangent" go through the tape forward, "reverse" backward."""
    starts, functions, distinct = calls(tape)
    groups = _by_template(tape, kind)
    lengths = np.zeros(tape.size, dtype=np.int64)
    for part, template in groups:
        lengths[part] = len(template)
    lengths[starts] = 2
    ahead = np.zeros(0, dtype=np.int64)
    if int(lengths.sum()) > PREFETCHED:
        line = np.cumsum(lengths) // 7  # with the word for it, eight words
        ahead = np.flatnonzero(np.diff(line, prepend=0))
        lengths[ahead] += 1
    ends = np.cumsum(lengths)
    total = int(lengths.sum())
    at = len(_ENTER) + (total - ends if kind == "reverse" else ends - lengths)
    words = np.empty(len(_ENTER) + total + 1 + len(distinct), dtype=np.uint64)
    words[: len(_ENTER)] = _ENTER
    words[at[ahead]] = _PREFETCH
    at[ahead] += 1
    leave = len(_ENTER) + total
    words[leave] = _LEAVE
    words[leave + 1 :] = [_JUMP | (8 * k) << 24 for k in range(len(distinct))]
    words[at[starts]] = _POSITION | starts << 8
    words[at[starts] + 1] = _high(8 * (leave + functions - at[starts] - 1), _CALL)  # from the next instruction on
    places = _displacements(tape)
    for part, template in groups:
        to = at[part]
        for k, item in enumerate(template):
            words[to + k] = item if isinstance(item, int) else _high(places(item.place, part), _encoded(item))
    return words.tobytes()


def _by_template(tape: Tape, kind: str) -> list[tuple[np.ndarray, Template]]:
    """Positions of the light operations that have the same instructions, and these."""
    flagged = _flagged(tape, kind)
    order = np.argsort(flagged, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(flagged[order])) + 1)
    return [(part, _template(kind, int(flagged[part[0]]))) for part in parts if part.size and flagged[part[0]] >= 0]


def _flagged(tape: Tape, kind: str) -> np.ndarray:
    """Variants of light operations and two bits for the template."""
    light = tape.light
    assert light is not None
    a, b = tape.operands[:2]
    at = np.arange(tape.size)
    flags: Any = 0  # of "value": the first operand is at hand; of "reverse": first terms
    if kind == "value":
        light = np.where(light >= 0, light & ~7, -1)
        flags = (a == at - 1) & (np.concatenate([[-1], light[:-1]]) >= 0)
    elif kind == "reverse":
        first, second = (_last_use(tape, operand) for operand in (a, b))
        other = _last_use(tape, tape.operands[2])
        for positions in tape.outputs:
            other[positions] = tape.size  # seeds are there before
        flags = ((first[a] == at) & (second[a] <= at) & (other[a] < at)).astype(np.int32)
        flags |= 2 * ((second[b] == at) & (first[b] < at) & (other[b] < at)).astype(np.int32)
    return np.where(light >= 0, light << 2 | flags, -1)


def _last_use(tape: Tape, operand: np.ndarray) -> np.ndarray:
    """Of each value the last position that has it for this operand; −1 if none has."""
    last = np.full(tape.size, -1, dtype=np.int64)
    last[operand] = np.arange(tape.size)  # the last one counts
    return last


def _high(displacements: np.ndarray | int, low: int) -> np.ndarray:
    """Words of a displacement above and 32 bits below."""
    return np.asarray(displacements).astype(np.int64).astype(np.uint64) << np.uint64(32) | np.uint64(low)


def _displacements(tape: Tape) -> Callable[[str, np.ndarray], Any]:
    """From rbx to a place, for operations at positions."""
    shift = tape.size + GAP

    def places(place: str, positions: np.ndarray) -> Any:
        if place in _PLACES:
            return 8 * _PLACES[place]
        base = positions if place[-1] == "p" else tape.operands["ab".index(place[-1])][positions].astype(np.int64)
        return 8 * (base + shift) if place[0] == "d" else 8 * base

    return places
