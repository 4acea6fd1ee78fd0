"""What a compiled function consists of, in words: its loops, what fused in them, and what NumPy executes."""

from __future__ import annotations

from collections import Counter

from .records import Kernel, Lowered

__all__ = ["summary"]

SHOWN = 12  # different operations of a loop that are named


def summary(lowered: Lowered) -> list[str]:
    """One line per loop and per call, in the order they are executed."""
    lines: list[tuple[int, int, str]] = [(k.stage, 0, _loop(k)) for k in lowered.kernels if k.elements or _reads(k)]
    for call in lowered.calls:
        assert call.node.op is not None
        shape = "×".join(map(str, call.node.shape)) or "1"
        lines.append((call.stage, 1, f"call of NumPy: {call.node.op.name} ({shape}); no kernel"))
    return [text for _, _, text in sorted(lines, key=lambda line: line[:2])]


def _reads(kernel: Kernel) -> bool:
    return any(not isinstance(s.value, float) for s in kernel.sinks)


def _loop(kernel: Kernel) -> str:
    names = Counter(e.name for e in kernel.elements)
    parts = [name if count == 1 else f"{count} {name}" for name, count in names.most_common(SHOWN)]
    if len(names) > SHOWN:
        parts.append(f"{len(names) - SHOWN} other operations")
    sinks = Counter(s.kind if s.access.positions is None else f"{s.kind} by position" for s in kernel.sinks)
    ends = [kind if count == 1 else f"{count} {kind}" for kind, count in sinks.items()]
    steps = "straight-line code" if kernel.size == 1 else f"loop of {kernel.size:,} steps"
    return f"{steps}: " + " → ".join(filter(None, [", ".join(parts), ", ".join(ends)]))
