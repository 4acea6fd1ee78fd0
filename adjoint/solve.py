"""The forward sweep: evaluate the runs, solve the cycles, and verify. ``∂L/∂λ = 0``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .blocks import Cycle, Linearization, Run, Torn, Values, pack, unpack
from .blocks.levels import solve_by_levels
from .equations import number
from .errors import (
    ConvergenceError,
    EvaluationError,
    ModelError,
    NameLookupError,
    SingularWarning,
    Status,
    closest,
)
from .evaluation import evaluation_of
from .expr import describe
from .nonlinear import METHODS, Options, is_singular_at
from .nonlinear.base import natural_scale, scaled_residual
from .plan import Plan
from .small import Quick, small_solver, start_of
from .trial import Trial
from .walk import variables_of

__all__ = ["BlockReport", "State", "forward", "input_values", "solve"]


class BlockReport(NamedTuple):
    """How a block was solved.

    Attributes
    ----------
    name : str
    kind : "explicit" or "cycle"
    size : number of scalar equations
    status : Status
    iterations : int
    residual : largest scaled residual at the end, verified (0 for explicit blocks)
    method : the method that solved it
    history : largest scaled residual at each iterate

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> y = m.unknown("y", guess=1.0)
    >>> _ = m.constrain(y**2 == m.input("x", 4.0))
    >>> m.solve().blocks[0].status.name
    'SOLVED'
    """

    name: str
    kind: str
    size: int
    status: Status
    iterations: int
    residual: float
    method: str
    history: Sequence[float] = ()


def make_options(tol: float, max_iterations: int) -> Options:
    """Checked options of the nonlinear methods."""
    if tol == 1e-10 and max_iterations == 200:
        return _DEFAULT
    if not (isinstance(tol, (int, float)) and 0 < tol < 1):
        raise ModelError(f"tol must be a number between 0 and 1, got {tol!r}")
    if not (isinstance(max_iterations, int) and max_iterations > 0):
        raise ModelError(f"max_iterations must be a positive whole number, got {max_iterations!r}")
    return Options(tol=tol, max_iterations=max_iterations)


_DEFAULT = Options()
OFTEN = 3  # solves after which a small program is compiled as a whole


class State:
    """The verified values of all variables, and what derivatives need at them.

    Attributes
    ----------
    at_once : whether one compiled call solved the program; linearizations and reports are then made when asked for
    derivatives : of a solve at once, the program that solved it with its total derivatives; None: without
    vector : of a program without cycles that was solved at once, all inputs, packed; else None
    """

    __slots__ = (
        *("_linear", "_reports", "at_once", "checked", "derivatives", "kinks_checked", "plan", "values", "vector"),
    )

    def __init__(self, plan: Plan, values: Values, at_once: bool = False, derivatives: Any = None) -> None:
        self.plan, self.values, self.at_once, self.derivatives = plan, values, at_once, derivatives
        self.vector: np.ndarray | None = None
        self._linear: dict[Cycle, Linearization] | None = None if at_once else {}
        self._reports: list[BlockReport] | None = None if at_once else []
        self.checked, self.kinks_checked = at_once, False  # what is solved at once is regular

    @property
    def linear(self) -> dict[Cycle, Linearization]:
        """The linearization of each cycle."""
        if self._linear is None:
            self._linear = {}
            linearize_again(self, {})
        return self._linear

    @property
    def reports(self) -> list[BlockReport]:
        """How each block was solved."""
        if self._reports is None:
            self._reports = _reports_at_once(self)
        return self._reports

    @reports.setter
    def reports(self, reports: list[BlockReport]) -> None:
        self._reports = reports


class CycleSystem:
    """One cycle at fixed outside values: what nonlinear methods see."""

    def __init__(self, cycle: Cycle, values: Values) -> None:
        self.cycle = cycle
        self.name, self.size = cycle.name, cycle.size
        self.lower, self.upper = cycle.box()
        self.components = cycle.components
        self.params = [values[v] for v in cycle.params]
        self.values = values
        self._fused = cycle.fused()
        self._residual = cycle.residual()
        self.matrix, self.factor = cycle.matrix, cycle.factor

    def residual(self, u: np.ndarray) -> np.ndarray:
        return self._residual(u, *self.params)[0]

    def linearize(self, u: np.ndarray) -> tuple[np.ndarray, Any]:
        r, entries = self._fused(u, *self.params)
        return r, self.matrix(entries)

    def sweep(self, u: np.ndarray) -> np.ndarray | None:
        function = self.cycle.gauss_seidel()
        return None if function is None else function(u, *self.params)[0]

    def jvp(self, u: np.ndarray, du: np.ndarray) -> np.ndarray:
        values = dict(self.values)
        unpack(self.cycle.variables, u, values)
        out = self.cycle.products.push(values, unpack(self.cycle.variables, du, {}))
        return np.concatenate([np.reshape(out[k], -1) if k in out else np.zeros(k.size) for k in self.cycle.keys])


def input_values(plan: Plan, given: Mapping[str, Any]) -> Values:
    """The values of all inputs: those given, by name, and the defaults of the others."""
    model = plan.model
    values: Values = dict(model.inputs)
    for v in plan.given:
        values[v] = model.guesses.get(v)
    for name, value in given.items():
        v = model.variables.get(name)
        if v is None or v not in values:
            if v is None:
                names = [i.name for i in plan.inputs]
                raise NameLookupError(closest(name, names, "input"))
            raise ModelError(
                f"{name!r} is determined by the equations: it cannot be given. Start values go to start={{...}} "
                "or to unknown(..., guess=...)."
            )
        if not v.shape and type(value) is float and math.isfinite(value):
            values[v] = np.float64(value)
        else:
            values[v] = number(value, f"value of input {name!r}", v.shape)
    missing = [v.name for v, value in values.items() if value is None]
    if missing:
        raise ModelError(f"no value for {', '.join(map(repr, missing))}: give it in the solve, or a default in input()")
    return values


def solve(
    plan: Plan,
    given: Mapping[str, Any],
    options: Options,
    methods: Mapping[str, str] | None = None,
    start: Values | None = None,
) -> State:
    """Solve at the inputs given by name. A short program without cycles, from the fourth time on, in one call."""
    if plan.evaluation is not None:
        found = plan.evaluation(given)
        if found is not None:
            state = State(plan, found[0], True)
            state.vector = found[1]
            return state
    elif not plan.cycles and plan.solves < OFTEN:
        plan.solves += 1
        if plan.solves == OFTEN:
            plan.evaluation = evaluation_of(plan)
    return forward(plan, input_values(plan, given), options, methods, start)


def forward(
    plan: Plan,
    values: Values,
    options: Options,
    methods: Mapping[str, str] | None = None,
    start: Values | None = None,
    warn_singular: bool = True,
) -> State:
    """Solve all blocks in order from the values of the inputs.

    Raises
    ------
    ConvergenceError
        A cycle did not converge: with its name, worst equations, partial values and history.
    EvaluationError
        An explicit equation is NaN or infinite.
    """
    if options is _DEFAULT and not start and not methods:
        at_once = _at_once(plan, values)
        if at_once is not None:
            return at_once
    state = State(plan, values)
    with np.errstate(all="ignore"):
        for block in plan.blocks:
            if isinstance(block, Run):
                block.evaluate(values)
                _check_finite(block, values)
                state.reports.append(
                    BlockReport(block.name, "explicit", block.size, Status.SOLVED, 0, 0.0, "evaluated")
                )
            else:
                _solve_cycle(state, block, options, methods, start, warn_singular)
    return state


def _at_once(plan: Plan, values: Values) -> State | None:
    """The state of a small program that has been solved a few times, by one compiled call (``small``); with the total
    derivatives that were last asked for."""
    quick = plan.quick
    if quick is None:
        if not plan.cycles:
            return None
        if plan.solves < OFTEN:
            plan.solves += 1
            return None
        program = small_solver(plan)
        if program is None:
            return None
        unknowns = [v for b in plan.blocks for v in b.variables]
        quick = plan.quick = Quick(program, start_of(plan, values), unknowns, plan.inputs)
    known = quick.known(values)
    wanted = quick.wanted
    found = None if wanted is None else wanted.solve(known, quick.start)
    if found is None:
        quick.wanted = wanted = None  # such derivatives do not exist everywhere
        found = quick.program.solve(known, quick.start)
        if found is None:
            return None
    z = found[0]
    if quick.scalars:
        values.update(zip(quick.unknowns, z, strict=True))
    else:
        unpack(quick.unknowns, z, values)
    return State(plan, values, True, None if wanted is None else (wanted, found[1]))


def _reports_at_once(state: State) -> list[BlockReport]:
    """Reports of a solve at once: it is done again to count the steps, and residuals are computed."""
    plan, out, found = state.plan, [], None
    if plan.cycles:
        found = plan.quick.program.solve(plan.quick.known(state.values), plan.quick.start)
    steps = iter(() if found is None else found[1])
    for block in plan.blocks:
        if isinstance(block, Run):
            out.append(BlockReport(block.name, "explicit", block.size, Status.SOLVED, 0, 0.0, "evaluated"))
            continue
        u = pack(block.variables, state.values)
        with np.errstate(all="ignore"):
            r, J = CycleSystem(block, state.values).linearize(u)
            worst = scaled_residual(r, natural_scale(J, u))
        out.append(BlockReport(block.name, "cycle", block.size, Status.SOLVED, int(next(steps, 0)), worst, "newton"))
    return out


def _check_finite(run: Run, values: Values) -> None:
    for v in run.variables:
        value = values[v]
        if not (math.isfinite(value) if not v.shape else np.isfinite(value).all()):
            expr = run.definitions[v]
            inputs = {p.name: values[p] for p in variables_of([expr]) if p in values}
            shown = ", ".join(
                f"{k} = {np.array2string(np.asarray(x), threshold=6)}" for k, x in list(inputs.items())[:6]
            )
            at = ""
            if v.shape:
                k = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
                at, value = str(list(k)), value[k]
            raise EvaluationError(
                f"the equation {v.name + at!r} gives {value}: {describe(expr)} at {shown}. Check the inputs, or "
                "guard the expression (np.where, np.maximum)."
            )


def _solve_cycle(
    state: State,
    cycle: Cycle,
    options: Options,
    methods: Mapping[str, str] | None,
    start: Values | None,
    warn_singular: bool,
) -> None:
    values = state.values
    if not cycle.size:
        unpack(cycle.variables, np.zeros(0), values)
        state.linear[cycle] = Linearization(None, None, None, True)
        return
    system = CycleSystem(cycle, values)
    u0 = _initial(cycle, values, start)
    method = _method_of(cycle, methods)
    with Trial() as trial:
        if method == "tearing":
            u0 = _torn(state.plan, cycle, values, u0, options)
        if method == "auto" and cycle.size > 1 and any(e.shape for e in cycle.equations):
            outcome = _by_elements(system, u0, options)
        else:
            outcome = METHODS["newton" if method == "tearing" else method](system, u0, options)
        # A matrix-free solve factors nothing: its Jacobian is tested when a derivative is asked for.
        tested = outcome.success and not (outcome.factor is None and method == "newton-krylov")
        singular, reason = is_singular_at(system, outcome, options.tol) if tested else (False, "")
    if not outcome.success:
        raise _not_converged(state, cycle, outcome, method, trial)
    unpack(cycle.variables, outcome.u, values)
    linear = Linearization(cycle.solver, outcome.jacobian, outcome.factor, cycle.dense, cycle.is_linear)
    if singular:
        linear.singular = reason
        if warn_singular:
            names = ", ".join(v.name for v in cycle.variables[:6])
            warnings.warn(
                f"block {cycle.name!r} ({names}) is singular at its solution: {reason}. Values are given, derivatives "
                "are not.",
                SingularWarning,
                stacklevel=4,
            )
    state.linear[cycle] = linear
    state.reports.append(
        BlockReport(
            cycle.name,
            "cycle",
            cycle.size,
            outcome.status,
            outcome.iterations,
            outcome.scaled,
            outcome.method or method,
            tuple(outcome.history) if isinstance(outcome.history, list) else outcome.history,
        )
    )


def _by_elements(system: CycleSystem, u0: np.ndarray, options: Options) -> Any:
    """Equations on arrays: where the chain's first method fails on the whole, the blocks of elements one by one."""
    whole = METHODS["newton"](system, u0, options)
    if whole.success:
        return whole
    pattern = system.cycle.jacobian
    u = solve_by_levels(system, pattern.wrap(np.ones(pattern.nnz)), METHODS["auto"], u0, options)
    if u is not None:
        found = METHODS["newton"](system, u, options)
        if found.success:
            return replace(found, method="by levels")
    return METHODS["auto"](system, u0, options)


def _torn(plan: Plan, cycle: Cycle, values: Values, u0: np.ndarray, options: Options) -> np.ndarray:
    """All unknowns from the solution of the reduced system; Newton's method on the whole cycle then verifies them."""
    key = ("torn", cycle.name)
    if key not in plan.functions:
        plan.functions[key] = Torn(cycle)
    torn = plan.functions[key]
    system = torn.system(values)
    return torn.whole(system, METHODS["auto"](system, system.start(u0), options).u)


def linearize_again(state: State, singular: Mapping[str, str]) -> None:
    """The linearizations of a state whose values are known to be verified."""
    with np.errstate(all="ignore"):
        for cycle in state.plan.cycles:
            u = pack(cycle.variables, state.values)
            matrix = CycleSystem(cycle, state.values).linearize(u)[1] if cycle.size else None
            linear = Linearization(
                cycle.solver if cycle.size else None, matrix, None, cycle.dense if cycle.size else True
            )
            linear.singular = singular.get(cycle.name, "")
            state.linear[cycle] = linear


def _initial(cycle: Cycle, values: Values, start: Values | None) -> np.ndarray:
    if not start:
        return cycle.guess(values)
    if all(v in start for v in cycle.variables):
        u0 = pack(cycle.variables, start)
    else:
        u0 = cycle.guess(values)
        part = unpack(cycle.variables, u0, {})
        part.update({v: start[v] for v in cycle.variables if v in start})
        u0 = pack(cycle.variables, part)
    lower, upper = cycle.box()
    return u0 if lower is None else np.clip(u0, lower, upper)


def _method_of(cycle: Cycle, methods: Mapping[str, str] | None) -> str:
    if not methods:
        return "auto"
    for key in (cycle.name, *(v.name for v in cycle.variables)):
        if key in methods:
            return methods[key]
    return methods.get("", "auto")


def element_name(item: Any, k: int) -> str:
    """Name of element k (flat) of a variable or equation."""
    if not item.shape:
        return item.name
    return f"{item.name}[{', '.join(str(int(i)) for i in np.unravel_index(k, item.shape))}]"


def locate(items: Any, k: int) -> str:
    """Name of the k-th element of items flattened and concatenated."""
    for item in items:
        if k < item.size:
            return element_name(item, k)
        k -= item.size
    return f"[{k}]"


def _not_converged(state: State, cycle: Cycle, outcome: Any, method: str, trial: Trial) -> ConvergenceError:
    scaled = np.abs(outcome.residual) / np.where(outcome.scale > 0, outcome.scale, 1.0)
    order = np.argsort(-np.where(np.isnan(scaled), np.inf, scaled), kind="stable")[:5]
    worst = [(locate(cycle.equations, int(i)), float(outcome.residual[i])) for i in order]
    partial = {v.name: x for v, x in state.values.items() if x is not None}
    iterate = unpack(cycle.variables, outcome.u, {})
    partial.update({v.name: x for v, x in iterate.items()})
    tried = ", ".join(f"{a.method} ({a.status.name.lower()}, {a.scaled:.1e})" for a in outcome.attempts) or method
    names = ", ".join(v.name for v in cycle.variables[:8]) + (", …" if len(cycle.variables) > 8 else "")
    shown = ", ".join(f"{n}: {r:.3e}" for n, r in worst)
    message = (
        f"block {cycle.name!r} (unknowns {names}) did not converge after {outcome.iterations} iterations. "
        f"{outcome.status.value}\n  largest scaled residual {outcome.scaled:.2e}; worst equations: {shown}\n"
        f"  tried: {tried}\n  The error carries the last iterate (.values), the worst equations (.worst) and .history."
    )
    return ConvergenceError(trial.told(message), cycle.name, outcome.status, worst, partial, outcome.history)
