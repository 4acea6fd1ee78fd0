"""Free column singletons, substituted: a program without variables that one equation merely defines.

A free variable x_j that enters every function linearly, and one row only, an equation a x_j + g(x') = b, has the value
(b − g(x')) / a at any feasible point (Andersen & Andersen 1995, "Presolving in linear programming", section 3.2). Its
row goes with it, and the multiplier of that row is known: stationarity in x_j says ∂f/∂x_j + y a = 0. Models that
minimize a variable which an equation makes equal to the objective have such a column. ::

    f̃(x') = f(x', 0) + (∂f/∂x_j) x_j(x'),   ∇f̃ = ∇f + y ∇g,   ∇²f̃ = ∇²f + y ∇²g     with y = −(∂f/∂x_j) / a

Since x_j is linear everywhere, no derivative depends on it: everything is evaluated with x_j = 0.
"""

from __future__ import annotations

import numpy as np

from .nlp import EvaluationError, NonlinearProgram

__all__ = ["WithoutSingletons", "without_singletons"]


def without_singletons(nlp: NonlinearProgram) -> WithoutSingletons | None:
    """The program without its free column singletons; None where it has none, or no second derivatives."""
    if nlp.hessian_pattern is None or not nlp.m:
        return None
    entries = _singletons(nlp)
    if not entries.size:
        return None
    try:
        return WithoutSingletons(nlp, entries)
    except EvaluationError:
        return None  # the method says what is wrong at the start


def _singletons(nlp: NonlinearProgram) -> np.ndarray:
    """Places in the Jacobian's pattern of the entries of free columns that have no other, one at most in each row."""
    rows, columns = nlp.jacobian_pattern
    linear = np.ones(nlp.n, dtype=bool)
    for part in nlp.hessian_pattern or ():
        linear[part] = False
    linear &= np.isneginf(nlp.lower) & np.isposinf(nlp.upper) & (np.bincount(columns, minlength=nlp.n) == 1)
    found = np.flatnonzero(linear[columns] & (nlp.constraint_lower == nlp.constraint_upper)[rows])
    return found[np.sort(np.unique(rows[found], return_index=True)[1])]


class WithoutSingletons:
    """A nonlinear program in the variables and rows that are left (see the module)."""

    def __init__(self, nlp: NonlinearProgram, entries: np.ndarray) -> None:
        self.whole = nlp
        rows, columns = nlp.jacobian_pattern
        coefficient = nlp.jacobian(nlp.x0)[entries]
        some = entries[coefficient != 0.0]
        self._coefficient = coefficient[coefficient != 0.0]
        self._row, self._column = rows[some], columns[some]
        self._slope = nlp.gradient(nlp.x0)[self._column]
        self._multiplier = -self._slope / self._coefficient
        self._kept = np.setdiff1d(np.arange(nlp.n), self._column)
        self._kept_rows = np.setdiff1d(np.arange(nlp.m), self._row)
        self.n, self.m = self._kept.size, self._kept_rows.size
        self.x0, self.lower, self.upper = (a[self._kept] for a in (nlp.x0, nlp.lower, nlp.upper))
        self.constraint_lower = nlp.constraint_lower[self._kept_rows]
        self.constraint_upper = nlp.constraint_upper[self._kept_rows]
        self._patterns(rows, columns)

    def _patterns(self, rows: np.ndarray, columns: np.ndarray) -> None:
        nlp = self.whole
        place = np.full(nlp.n, -1, dtype=np.int32)
        place[self._kept] = np.arange(self.n)
        row = np.full(nlp.m, -1, dtype=np.int32)
        row[self._kept_rows] = np.arange(self.m)
        weight = np.zeros(nlp.m)
        weight[self._row] = self._multiplier
        self._entries = np.flatnonzero(row[rows] >= 0)
        self.jacobian_pattern = row[rows[self._entries]], place[columns[self._entries]]
        self._gone = np.flatnonzero((row[rows] < 0) & (place[columns] >= 0) & (weight[rows] != 0.0))
        self._gone_place, self._gone_weight = place[columns[self._gone]], weight[rows[self._gone]]
        lower = nlp.hessian_pattern
        assert lower is not None
        self.hessian_pattern = place[lower[0]], place[lower[1]]

    def _base(self, x: np.ndarray) -> np.ndarray:
        """The point of the whole program with zeros for what is left out."""
        out = np.zeros(self.whole.n)
        out[self._kept] = x
        return out

    def _values(self, base: np.ndarray) -> np.ndarray:
        """What the rows that are left out say of their variables."""
        rest = self.whole.constraint_lower[self._row] - self.whole.constraints(base)[self._row]
        return rest / self._coefficient  # type: ignore[no-any-return]

    def point(self, x: np.ndarray) -> np.ndarray:
        """The point of the whole program."""
        out = self._base(x)
        out[self._column] = self._values(out)
        return out

    def row_multipliers(self, y: np.ndarray, sigma: float = 1.0) -> np.ndarray:
        """The multipliers of all rows of the whole program."""
        out = np.zeros(self.whole.m)
        out[self._kept_rows] = y
        out[self._row] = sigma * self._multiplier
        return out

    def bound_multipliers(self, z: np.ndarray) -> np.ndarray:
        """The multipliers of all bounds on one side."""
        out = np.zeros(self.whole.n)
        out[self._kept] = z
        return out

    def part(self, of_variables: np.ndarray) -> np.ndarray:
        """Values of the variables that are left, from those of all."""
        return of_variables[self._kept]

    def part_of_rows(self, of_rows: np.ndarray) -> np.ndarray:
        """Values of the rows that are left, from those of all."""
        return of_rows[self._kept_rows]

    def objective(self, x: np.ndarray) -> float:
        base = self._base(x)
        return self.whole.objective(base) + float(self._slope @ self._values(base))

    def gradient(self, x: np.ndarray) -> np.ndarray:
        base = self._base(x)
        out = self.whole.gradient(base)[self._kept]
        np.add.at(out, self._gone_place, self._gone_weight * self.whole.jacobian(base)[self._gone])
        return out

    def constraints(self, x: np.ndarray) -> np.ndarray:
        return self.whole.constraints(self._base(x))[self._kept_rows]

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        return self.whole.jacobian(self._base(x))[self._entries]

    def hessian(self, x: np.ndarray, sigma: float, y: np.ndarray) -> np.ndarray:
        return self.whole.hessian(self._base(x), sigma, self.row_multipliers(y, sigma))

    def names(self) -> list[str]:
        names = self.whole.names()
        return [names[i] for i in self._kept]

    def constraint_names(self) -> list[str]:
        names = self.whole.constraint_names()
        return [names[i] for i in self._kept_rows]
