from __future__ import annotations

import re

import pytest

import adjoint as adj
from adjoint.report.dot import dot, quoted
from tests.report.models import arrays, empty, sellar, tangle

ID = r'"(?:[^"\\]|\\.)*"'
NAME = rf"(?:{ID}|[A-Za-z_][A-Za-z_0-9]*|-?\.?[0-9]+)"
ATTRIBUTES = rf"\[{NAME}={NAME}(?:, {NAME}={NAME})*\]"
STATEMENT = re.compile(
    rf"(?:digraph {ID} {{|subgraph {NAME} {{|}}|{{ rank=same;|(?:{NAME}={NAME};\s?)+|node {ATTRIBUTES};"
    rf"|{ID} {ATTRIBUTES};|{ID} -> {ID};)"
)


def unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), text[1:-1])


def edges(text: str) -> set[tuple[str, str]]:
    return {(unquoted(a), unquoted(b)) for a, b in re.findall(rf"^\s*({ID}) -> ({ID});$", text, re.M)}


@pytest.mark.parametrize("make", [sellar, arrays, tangle, empty])
def test_every_line_is_a_statement_and_braces_close(make: object) -> None:
    m = make()  # type: ignore[operator]
    text = dot(m)
    for line in text.splitlines():
        assert STATEMENT.fullmatch(line.strip()), line
    bare = re.sub(ID, "", text)
    assert bare.count("{") == bare.count("}")


@pytest.mark.parametrize("make", [sellar, arrays, tangle])
def test_all_edges_and_no_others(make: object) -> None:
    m = make()  # type: ignore[operator]
    assert edges(dot(m)) == set(m.graph.edges)


def test_cycles_are_clusters() -> None:
    m = tangle()
    cycles = [b for b in m.blocks() if b.kind == "cycle"]
    assert len(cycles) > 1
    assert re.findall(r"subgraph (cluster_\d+)", dot(m)) == [
        f"cluster_{i}" for i in range(1, len(cycles) + 1)
    ]


@pytest.mark.parametrize(
    "name", ['say "hi"', "back\\slash", "two\nlines", "end\\", "a; b -> c", "{x}", "λ", "<b>", "graph"]
)
def test_any_name_is_escaped(name: str) -> None:
    assert unquoted(quoted(name)) == name
    m = adj.Program(name)
    x = m.input(name, 1.0)
    m.define("y", 2 * x)
    assert edges(dot(m)) == {(name, "y")}
    for line in dot(m).splitlines():
        assert STATEMENT.fullmatch(line.strip()), line


def test_outputs_are_marked() -> None:
    assert [line.split()[0] for line in dot(sellar()).splitlines() if "peripheries" in line] == ['"f"']
