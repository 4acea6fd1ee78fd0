"""The cheap gradient: f and all its derivatives cost a small multiple of f, whatever the number of inputs.

W. Baur and V. Strassen 1983; the constant is "often within a factor of 5" (S. Kakade and J. Lee 2018). Operations are
counted on the expression graphs, not timed. For the product of n inputs, value and gradient take 3(n − 1)
multiplications: n − 1 for the value, two per multiplication in the reverse sweep. Here the two multiplications by the
1 that starts the sweep simplify away, so the count is 3(n − 1) − 2.
"""

from __future__ import annotations

import numpy as np
import pytest

import adjoint as adj
from adjoint.derivatives import vjp
from adjoint.expr import Expr
from adjoint.walk import topological


def product(n: int) -> tuple[adj.Program, list[adj.Variable]]:
    m = adj.Program("product")
    x = [m.input(f"x{i}", 1.0 + 0.5 * np.sin(i)) for i in range(n)]
    p: Expr = x[0]
    for factor in x[1:]:
        p = p * factor
    m.define("f", p)
    return m, x


def multiplications(roots: list[Expr]) -> int:
    return sum(node.op is not None and node.op.name == "multiply" for node in topological(roots))


def operations(roots: list[Expr]) -> int:
    return sum(bool(node.args) for node in topological(roots))


@pytest.mark.parametrize("n", [10, 100, 1_000, 10_000, 100_000])
def test_product_of_n_inputs(n: int) -> None:
    m, x = product(n)
    f = m.equations["f"].expr
    gradient = vjp([f], [1.0], x)
    assert multiplications([f]) == operations([f]) == n - 1
    both = multiplications([f, *gradient])
    assert both == operations([f, *gradient])
    assert 3 * (n - 1) - 2 <= both <= 3 * (n - 1)
    # flat in n, where central differences take 2n evaluations of n − 1 multiplications each
    assert both / (n - 1) <= 3.0
    assert both < 2 * n * (n - 1)


def test_value_of_that_gradient() -> None:
    m, x = product(50)
    sol = m.solve()
    for v in x:
        assert sol.gradient("f", wrt=v.name) == pytest.approx(sol["f"] / sol[v.name], rel=1e-13, abs=0.0)


def test_one_solve_gives_the_gradient() -> None:
    """Where central differences of n inputs evaluate the program 2n times."""
    m, x = product(50)
    fun = m.function("f")
    gradient = fun.jac(fun.x0)
    assert fun.solves == 1
    h = 1e-6
    differences = [(fun(fun.x0 + h * e) - fun(fun.x0 - h * e)) / (2.0 * h) for e in np.eye(50)]
    assert fun.solves == 1 + 2 * 50
    np.testing.assert_allclose(gradient, differences, rtol=1e-8)


@pytest.mark.parametrize("layers", [1, 10, 100])
def test_bounded_for_other_programs(layers: int) -> None:
    """A chain of mixed operations: at most five operations of f and gradient per operation of f."""
    m = adj.Program()
    x = [m.input(f"x{i}", 0.5) for i in range(4)]
    z: list[Expr] = list(x)
    for _ in range(layers):
        a, b, c, d = z
        z = [np.exp(a * b) - c, np.sin(c) / (2.0 + b * b), np.tanh(d + a), np.sqrt(1.0 + c * c) * d]
    f = z[0] * z[1] + z[2] * z[3]
    assert operations([f, *vjp([f], [1.0], x)]) <= 5 * operations([f])


def test_intermediates_are_what_it_costs() -> None:
    """The catch: the reverse sweep reads values of the forward sweep, as many as there are operations."""
    kept = []
    for n in (10, 100, 1000):
        m, x = product(n)
        f = m.equations["f"].expr
        forward = set(topological([f]))
        read = [node for node in topological(vjp([f], [1.0], x)) if node.args and node in forward]
        kept.append(len(read))
    assert kept == [n - 2 for n in (10, 100, 1000)]
