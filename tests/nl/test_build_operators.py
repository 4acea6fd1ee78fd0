"""Every operator, as one instance and as a pattern, beside its plain evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adjoint.backends import BACKENDS as ALL_BACKENDS
from adjoint.expr import Constant
from adjoint.nl.build import read_nl
from adjoint.nl.opcodes import NAMES
from adjoint.nl.operators import OPERATORS, piecewise_linear
from tests.nl.compare import assert_equal
from tests.nl.evaluation import Dual, piecewise
from tests.nl.files import nl, written

BACKENDS = sorted(ALL_BACKENDS)
N = 12

# Operands: a and b stand for variables between 0.1 and 0.9, c for one above 1.
WORDS: dict[str, str] = {
    "plus": "o5 o0 a b n3",
    "minus": "o5 o1 a b n3",
    "times": "o2 a b",
    "divide": "o3 a b",
    "mod": "o4 o2 n10 c b",
    "pow": "o5 a b",
    "less": "o6 c o2 n1.4 a",
    "min": "o11 3 o2 a a o41 b c",
    "max": "o12 3 o2 a a o41 b o5 c n2",
    "floor": "o2 a o13 o2 n7 b",
    "ceil": "o2 a o14 o2 n7 b",
    "abs": "o15 o1 o2 a a b",
    "negate": "o44 o16 a",
    "or": "o35 o20 o22 a n0.3 o29 b n0.7 o2 a a o41 b",
    "and": "o35 o21 o22 a n0.6 o29 b n0.3 o2 a a o41 b",
    "lt": "o35 o22 a b o2 a a o41 b",
    "le": "o35 o23 a b o2 a a o41 b",
    "eq": "o35 o24 a b o2 a a o41 b",
    "ge": "o35 o28 a b o2 a a o41 b",
    "gt": "o35 o29 a b o2 a a o41 b",
    "ne": "o35 o30 a b o2 a a o41 b",
    "not": "o35 o34 o22 a b o2 a a o41 b",
    "if": "o35 o22 a n0.5 o43 a o39 o1 a n0.1",
    "implies_else": "o35 o72 o22 a b o22 a n0.5 o29 b n0.5 o2 a a o41 b",
    "sum": "o41 o54 3 a b c",
    "intdiv": "o2 a o55 o2 n10 c b",
    "precision": "o2 a o56 o2 n1000 b n2",
    "round": "o2 a o57 o2 n10 b n1",
    "trunc": "o2 a o58 o2 n10 b n1",
    "count": "o2 a o59 3 o22 a n0.5 o22 b n0.5 c",
    "numberof": "o2 a o60 3 n2 o59 2 o22 a n0.5 o22 b n0.5 n2",
    "atleast": "o35 o62 n1 o59 2 o22 a n0.5 o22 b n0.5 o2 a a o41 b",
    "atmost": "o35 o63 n1 o59 2 o22 a n0.5 o22 b n0.5 o2 a a o41 b",
    "exactly": "o35 o66 n1 o59 2 o22 a n0.5 o22 b n0.5 o2 a a o41 b",
    "not_atleast": "o35 o67 n1 o59 2 o22 a n0.5 o22 b n0.5 o2 a a o41 b",
    "not_atmost": "o35 o68 n1 o59 2 o22 a n0.5 o22 b n0.5 o2 a a o41 b",
    "not_exactly": "o35 o69 n1 o59 2 o22 a n0.5 o22 b n0.5 o2 a a o41 b",
    "forall": "o35 o70 2 o22 a n0.6 o22 b n0.6 o2 a a o41 b",
    "exists": "o35 o71 2 o22 a n0.4 o22 b n0.4 o2 a a o41 b",
    "iff": "o35 o73 o22 a n0.5 o22 b n0.5 o2 a a o41 b",
    "acosh": "o52 c",
    "atan2": "o48 o1 a n0.5 o1 b n0.5",
    "signpow": "o80 o1 a n0.5 c",
}


def words(name: str) -> str:
    """An expression with the operator; the operand of most functions is one variable."""
    code = next(opcode for opcode, known in NAMES.items() if known == name)
    return WORDS.get(name, f"o{code} a")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("instances", [1, N])
def test_every_operator_has_its_value_and_derivatives(tmp_path: Path, backend: str, instances: int) -> None:
    names = [NAMES[opcode] for opcode in OPERATORS]
    constraints = []
    for name in names:
        for i in range(instances):
            text = words(name)
            for letter, shift in (("a", 0), ("b", N), ("c", 2 * N)):
                text = " ".join(f"v{shift + i}" if w == letter else w for w in text.split())
            constraints.append(text)
    rng = np.random.default_rng(1)
    x0 = np.concatenate([rng.uniform(0.1, 0.9, 2 * N), rng.uniform(1.1, 2.0, N)])
    problem = read_nl(written(tmp_path, nl(3 * N, constraints, x0=x0)))
    assert_equal(problem, problem.source.x0, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_whole_powers_of_negative_numbers_are_powers(tmp_path: Path, backend: str) -> None:
    exponents = [2, 3, 5, -1, -2, -3, 1, 0, 7, 2, 3, 4] * 2
    constraints = [f"o5 v{i} n{e}" for i, e in enumerate(exponents)] + [f"o5 v{i} o16 n2" for i in range(9)]
    x0 = -np.linspace(0.5, 2.0, len(exponents))
    problem = read_nl(written(tmp_path, nl(len(exponents), constraints, x0=x0)))
    assert_equal(problem, x0, backend)


@pytest.mark.parametrize("x", [-3.0, -1.0, -0.4, 0.0, 0.3, 2.0, 5.0])
@pytest.mark.parametrize(
    ("slopes", "breakpoints"),
    [
        ([-1.0, 1.0, 2.0], [-1.0, 2.0]),
        ([-1.0, 2.0], [0.0]),
        ([1.0, 3.0], [0.5]),
        ([3.0, 2.0, 1.0, 0.5], [0.25, 1.0, 3.0]),
        ([3.0, 2.0, 1.0, 0.5], [-3.0, -2.0, -0.5]),
        ([0.5], []),
    ],
)
def test_piecewise_linear_functions_are_continuous_and_0_at_0(
    slopes: list[float], breakpoints: list[float], x: float
) -> None:
    expected = piecewise(slopes, breakpoints, Dual(complex(x))).real
    found = piecewise_linear(x, slopes, breakpoints)
    assert isinstance(found, Constant)
    assert found.value == pytest.approx(expected, rel=1e-15, abs=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_piecewise_linear_functions_in_a_file(tmp_path: Path, backend: str) -> None:
    one, two = "o64 3 n-1 n-0.5 n1 n2 n3", "o64 2 n1 n0.5 n4"
    constraints = [f"o5 {one} v{i} n2" for i in range(N)] + [f"{two} v{i}" for i in range(N)] + [f"o64 2 n0 n1 n2 v{N}"]
    x0 = np.linspace(-2.03, 3.0, N + 1)
    problem = read_nl(written(tmp_path, nl(N + 1, constraints, x0=x0)))
    assert_equal(problem, x0, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_branch_that_is_not_taken_does_not_spoil_the_derivative(tmp_path: Path, backend: str) -> None:
    """d/dx if x > 0 then log x else x is 1 at x = 0, where log has no derivative; and ifs in ifs."""
    inner = "o35 o29 v0 n-1 o39 o0 v0 n1 o5 v1 n0.5"
    constraints = ["o35 o29 v0 n0 o43 v0 v0", f"o35 o29 v1 n0.1 o3 v0 v1 {inner}", "o35 n1 v0 o3 v1 v0"]
    problem = read_nl(written(tmp_path, nl(2, constraints, x0=[0.0, 0.0])))
    problem.program.backend = backend
    c = problem.program.function(["constraints"], wrt=["x"])
    assert c(np.array([-0.5, 0.0])).tolist() == [-0.5, np.sqrt(0.5), -0.5]
    assert np.allclose(c.jac(np.array([-0.5, 0.0])), [[1, 0], [0.5 / np.sqrt(0.5), 0], [1, 0]], atol=1e-15)
