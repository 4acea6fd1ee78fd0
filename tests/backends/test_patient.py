"""What is called often is compiled; in the first calls it is interpreted: the same results."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import adjoint as adj
from adjoint.backends import BACKENDS, get_backend, patient
from adjoint.backends.patient import CALLS as FEWEST_AND_MOST
from adjoint.backends.patient import PatientBackend, Tiered
from adjoint.expr import Variable

CALLS = FEWEST_AND_MOST[-1]  # of the small functions here

NUMPY = BACKENDS["numpy"]


class Counting:
    """A backend that counts what it compiles."""

    name = "counting"

    def __init__(self) -> None:
        self.compiled = 0

    def compile(self, *arguments: object) -> object:
        self.compiled += 1
        return NUMPY.compile(*arguments)  # type: ignore[arg-type]


def test_compiled_when_called_again_and_again() -> None:
    counting = Counting()
    x = Variable("x", (3,))
    function = PatientBackend(counting).compile([x], [np.exp(x)])  # type: ignore[arg-type]
    assert isinstance(function, Tiered)
    for _ in range(CALLS):
        np.testing.assert_array_equal(function(np.zeros(3))[0], np.ones(3))
        assert counting.compiled == 0 and not function.settled
    for _ in range(3):
        np.testing.assert_array_equal(function(np.zeros(3))[0], np.ones(3))
    assert counting.compiled == 1 and function.settled


def test_large_and_complex_functions_are_compiled_at_once() -> None:
    counting = Counting()
    backend = PatientBackend(counting)  # type: ignore[arg-type]
    x, long = Variable("x", ()), Variable("long", (patient.ELEMENTS[1],))
    chain = x
    for _ in range(patient.NODES):
        chain = np.sin(chain)  # type: ignore[assignment]
    for inputs, outputs, is_complex in (([long], [np.exp(long)], False), ([x], [chain], False), ([x], [x * x], True)):
        backend.compile(inputs, outputs, None, is_complex)
    backend.compile([x], [tuple(x * float(k) for k in range(patient.NODES + 1))])
    assert counting.compiled == 4


def test_functions_of_a_solver_are_rented_until_they_could_have_been_bought() -> None:
    """The more elements an operation has, the fewer calls cost as much as compiling; lists of scalars compile fast."""
    x, few, many = Variable("x", ()), Variable("few", (3,)), Variable("many", (patient.ELEMENTS_PER_NODE * 100,))
    assert patient.rented([np.exp(few)], {}) == patient.RENT
    assert 2 <= patient.rented([np.exp(many)], {}) < patient.RENT // 50
    chain = x
    for _ in range(patient.LONG):
        chain = np.sin(chain)  # type: ignore[assignment]
    assert patient.rented([chain], {}) == patient.RENT_OF_SCALARS
    for _ in range(patient.LONGEST):
        chain = np.sin(chain)  # type: ignore[assignment]
    assert patient.rented([chain], {}) == 0


def test_a_solver_is_more_patient() -> None:
    counting = Counting()
    x = Variable("x", (3,))
    backend = PatientBackend(counting).of_solver  # type: ignore[arg-type]
    function = backend.compile([x], [np.exp(x)])
    for _ in range(CALLS + 1):
        function(np.zeros(3))
    assert counting.compiled == 0 and backend.name == "counting" and CALLS < patient.RENT
    for _ in range(patient.RENT):
        function(np.zeros(3))
    assert counting.compiled == 1


def test_interpreted_results_are_the_callers_own_and_silent() -> None:
    x = Variable("x", (3,))
    function = PatientBackend(NUMPY).compile([x], [x, x[::-1], np.log(x)])
    given = np.array([0.0, 1.0, 2.0])
    with np.errstate(all="raise"):
        results = function(given)
    for result in results:
        assert result.flags.owndata and result is not given
        result[:] = 5.0
    np.testing.assert_array_equal(given, [0.0, 1.0, 2.0])


def test_who_is_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    def backend(name: str | None) -> object:
        m = adj.Program(backend=name)
        m.define("y", m.input("x", 1.0) ** 2)
        return m.plan().backend

    monkeypatch.delenv("ADJOINT_BACKEND", raising=False)
    default = get_backend().name
    assert isinstance(backend(None), PatientBackend) == (default != "numpy")
    for name in BACKENDS:
        assert not isinstance(backend(name), PatientBackend)
    monkeypatch.setenv("ADJOINT_BACKEND", default)
    assert not isinstance(backend(None), PatientBackend)


def model() -> adj.Program:
    m = adj.Program("patient")
    x, p = m.input("x", np.array([1.0, 2.0, 3.0])), m.input("p", 0.5)
    y = m.define("y", np.exp(-p * x) * x)
    m.define("f", np.sum(y**2) + p)
    return m


def test_functions_of_a_program_before_and_after() -> None:
    """Nothing of the results changes but the last digits."""
    m = model()
    f, c = m.function("f"), m.function("y", sparse=True)
    weights = np.ones(3)
    calls = {
        "f": lambda x: f(x),
        "grad": lambda x: f.jac(x),
        "hess": lambda x: f.hess(x),
        "hessp": lambda x: f.hessp(x, x),
        "c": lambda x: c(x),
        "jac": lambda x: c.jac(x).toarray(),
        "weighted": lambda x: c.hess(x, weights).toarray(),
    }
    first = {name: call(f.x0) for name, call in calls.items()}
    for _ in range(CALLS + 3):
        for name, call in calls.items():
            np.testing.assert_allclose(call(f.x0), first[name], rtol=1e-13, atol=1e-15)
    reference = adj.Program(backend="numpy")
    x, p = reference.input("x", np.array([1.0, 2.0, 3.0])), reference.input("p", 0.5)
    y = reference.define("y", np.exp(-p * x) * x)
    reference.define("f", np.sum(y**2) + p)
    np.testing.assert_allclose(first["hess"], reference.function("f").hess(f.x0), rtol=1e-13)


def test_a_list_is_taken_and_a_nan_is_named_in_every_tier() -> None:
    m = model()
    f = m.function("f")
    expected = f(f.x0)
    for _ in range(CALLS + 3):
        assert f(f.x0.tolist()) == pytest.approx(expected, rel=1e-14)
        with pytest.raises(adj.ModelError, match="NaN"):
            f(np.array([1.0, np.nan, 1.0, 1.0]))
        with pytest.raises(adj.ShapeError):
            f(np.ones(3))


def test_pickles() -> None:
    m = model()
    sol = m.solve()
    again = pickle.loads(pickle.dumps(sol))
    assert again["f"] == pytest.approx(sol["f"], rel=1e-14)
    fun = pickle.loads(pickle.dumps(m.function("f")))
    assert fun(fun.x0) == pytest.approx(sol["f"], rel=1e-14)


def test_explain_shows_what_will_be_compiled() -> None:
    assert "patient" in str(adj.explain(model()))
