"""Inner problems as equations of the program: one level instead of two."""

from __future__ import annotations

from ..equations import unused_name
from ..expr import Expr
from ..program import Program
from ..rebuild import substitute
from ..walk import topological
from .form import Inner
from .rows import ROOT, ROOT_SOLVE

__all__ = ["single_level"]


def single_level(program: Program) -> Program:
    """A program in which every inner problem is an unknown with its equations.

    What :func:`~adjoint.inner.root` and the others hide inside an expression becomes part of the program: unknowns,
    with the last solution or the guess as their guess, and implicit equations. For a minimizer these are its optimality
    conditions, and nothing checks any more that their solution is a minimum. The blocks of the program, its
    multipliers, and the full space of optimization problems then see them.

    Returns
    -------
    Program
        A new one; variables and equations have their names, and those of inner problems the names of these.

    >>> import adjoint as adj
    >>> from adjoint.inner import root, single_level
    >>> m = adj.Program()
    >>> y = m.define("y", 2.0 * root(lambda y, x: y**2 - x, 1.0, m.input("x", 4.0), name="square root"))
    >>> single = single_level(m)
    >>> list(single.variables), single.solve()["square root"], single.solve().gradient("y", wrt="x")
    (['x', 'y', 'square root'], 2.0, 0.5)
    """
    out = Program(program.name, program.backend, program.linear_solver)
    new: dict[Expr, Expr] = {}
    for v in program.variables.values():
        if v in program.inputs:
            new[v] = out.input(v.name, program.inputs[v], v.shape)
        else:
            low, high = program.bounds.get(v, (None, None))
            new[v] = out.unknown(v.name, program.guesses.get(v), v.shape, low, high)
    for equation in program.equations.values():
        expr = substitute([equation.expr], new)[0]
        expr = _without_inner(out, expr, new)
        if equation.target is None:
            out.constrain(expr, equation.name)
        else:
            out.define(new[equation.target], expr)  # type: ignore[arg-type]
    out._outputs = list(program._outputs)
    return out


def _without_inner(out: Program, expr: Expr, new: dict[Expr, Expr]) -> Expr:
    """The expression with unknowns for the solutions of inner problems, whose equations are added."""
    nodes = _nodes(expr)
    while nodes:
        node = nodes[0]  # the deepest: none is below it
        if node not in new:
            new[node] = _solution(out, node, new) if node.op is ROOT else _linear_solution(out, node, new)
        expr = substitute([expr], {node: new[node]})[0]
        nodes = _nodes(expr)
    return expr


def _nodes(expr: Expr) -> list[Expr]:
    """Solutions of inner problems, and of linear systems with their Jacobians (in derivatives of them)."""
    return [node for node in topological([expr]) if node.op is ROOT or node.op is ROOT_SOLVE]


def _solution(out: Program, node: Expr, new: dict[Expr, Expr]) -> Expr:
    """The unknown of an inner problem."""
    inner: Inner = node.params[0]
    last = inner.memory.last
    guess = inner.shaped(inner.guess if last is None else last.y)
    low, high = inner.program.bounds.get(inner.unknown, (None, None))
    unknown = out.unknown(unused_name(out, inner.name), guess, node.shape, low, high)
    _constrain(out, inner.at(inner.residual, unknown, node.args, {}), unknown.name, new)
    return unknown


def _linear_solution(out: Program, node: Expr, new: dict[Expr, Expr]) -> Expr:
    """The unknown of a linear system ``J w = b``."""
    inner, transpose = node.params
    y, *args, b = node.args
    unknown = out.unknown(unused_name(out, f"{inner.name}: derivative"), shape=node.shape)
    product = inner.pulled if transpose else inner.pushed
    _constrain(out, inner.at(product, y, args, {inner.direction: unknown}) - b, unknown.name, new)
    return unknown


def _constrain(out: Program, residual: Expr, name: str, new: dict[Expr, Expr]) -> None:
    out.constrain(_without_inner(out, residual, new), unused_name(out, f"{name}: equations"))
