"""The graph of a program in DOT, the language of Graphviz, as text.

The language: https://graphviz.org/doc/info/lang.html. Nothing of Graphviz is needed to write it.
"""

from __future__ import annotations

from ..analysis import BlockInfo
from ..program import Program
from .groups import INPUT, TINTS
from .text import shape_text

__all__ = ["dot"]


def quoted(text: str) -> str:
    r"""A name as a DOT string: any character allowed.

    >>> print(quoted('a "b" \\ c'))
    "a \"b\" \\ c"
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "")
    return f'"{escaped}"'


def dot(program: Program) -> str:
    """The graph of a program: inputs on the left, cycles as coloured clusters, outputs with a double line.

    >>> import adjoint as adj
    >>> m = adj.Program("loop")
    >>> x, a, b = m.input("x", 1.0), m.unknown("a"), m.unknown("b")
    >>> _ = m.define(a, 0.5 * b + x), m.define(b, 0.1 * a**2)
    >>> print(dot(m))
    digraph "loop" {
      rankdir=LR;
      node [fontname="Helvetica", fontsize=11, shape=box, style="rounded,filled", fillcolor=white];
      { rank=same;
        "x" [label="x", fillcolor="#dbe7f6", style=filled];
      }
      subgraph cluster_1 {
        label="cycle_1"; fontname="Helvetica"; fontsize=11; style="rounded,filled"; color="#fde7c8";
        "a" [label="a"];
        "b" [label="b"];
      }
      "x" -> "a";
      "a" -> "b";
      "b" -> "a";
    }
    """
    outputs = frozenset(program.outputs)
    lines = [
        f"digraph {quoted(program.name)} {{",
        "  rankdir=LR;",
        '  node [fontname="Helvetica", fontsize=11, shape=box, style="rounded,filled", fillcolor=white];',
    ]
    if program.inputs:
        lines.append("  { rank=same;")
        lines += [f"    {_node(v, v.name in outputs, _INPUT)}" for v in program.inputs]
        lines.append("  }")
    cycles = 0
    for block in program.blocks():
        if block.kind == "cycle":
            cycles += 1
            lines += _cluster(block, cycles, outputs)
        else:
            lines += [f"  {_node(v, v.name in outputs)}" for v in block.unknowns]
    lines += [f"  {quoted(a)} -> {quoted(b)};" for a, b in program.graph.edges]
    return "\n".join([*lines, "}"])


_INPUT = (f'fillcolor="{INPUT}"', "style=filled")


def _node(variable: object, output: bool, style: tuple[str, ...] = ()) -> str:
    name, shape = variable.name, shape_text(variable.shape)  # type: ignore[attr-defined]
    label = f"{name} [{shape}]" if shape else name
    attributes = [f"label={quoted(label)}", *style, *(["peripheries=2"] if output else [])]
    return f"{quoted(name)} [{', '.join(attributes)}];"


def _cluster(block: BlockInfo, count: int, outputs: frozenset[str]) -> list[str]:
    tint = TINTS[(count - 1) % len(TINTS)]
    return [
        f"  subgraph cluster_{count} {{",
        f'    label={quoted(block.name)}; fontname="Helvetica"; fontsize=11; style="rounded,filled"; color="{tint}";',
        *(f"    {_node(v, v.name in outputs)}" for v in block.unknowns),
        "  }",
    ]
