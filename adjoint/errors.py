"""The library's exceptions, warnings and statuses: the bottom of the import order.

Every error of the library derives from :class:`AdjointError`. A message says what came (with the names of
equations and variables), what was expected, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import Enum
from typing import Any

__all__ = [
    "AdjointError",
    "AdjointWarning",
    "ConvergenceError",
    "DerivativeError",
    "EvaluationError",
    "FileFormatError",
    "KinkWarning",
    "ModelError",
    "NameLookupError",
    "ShapeError",
    "SingularError",
    "SingularWarning",
    "Status",
    "StructureError",
    "UnsupportedError",
    "closest",
]


class Status(Enum):
    """How a solve ended. The value of a member is the advice to the user."""

    SOLVED = "All equations are satisfied to the tolerance."
    NOT_RUN = "The block was not reached, because an earlier block failed."
    ITERATION_LIMIT = "The iteration limit was reached. Give a better guess=, or raise max_iterations."
    STALLED = "No step reduces the residual any more. Give a better guess=, or another method."
    DIVERGED = "The iteration diverged. Give a better guess=, or use method='newton'."
    NON_FINITE = "An equation is NaN or infinite at the guess. Give a guess inside the domain."
    SINGULAR = "The Jacobian is singular. Look for equations that repeat each other, with m.check()."
    AT_BOUND = "The iteration is held by a bound of an unknown. Check lower= and upper=."


class AdjointError(Exception):
    """Base class of every error that the library raises on purpose."""


class ModelError(AdjointError, ValueError):
    """The model is not well formed: a name twice, a wrong kind of argument, an equation without unknowns."""


class UnsupportedError(AdjointError, TypeError):
    """An operation that expressions do not have; the message names it and says what to use instead."""


class NameLookupError(AdjointError, KeyError):
    """A name that the model does not have; the message lists the closest ones."""

    def __str__(self) -> str:  # KeyError would print the repr
        return str(self.args[0]) if self.args else ""


class ShapeError(AdjointError, ValueError):
    """Shapes that do not fit; the message names the variable or operation and both shapes."""


class StructureError(AdjointError, ValueError):
    """The equations cannot determine the unknowns, whatever the numbers.

    Attributes
    ----------
    overdetermined, underdetermined : list of (equations, unknowns)
        Names of each connected part with too many equations, and of each with too many unknowns.
    """

    def __init__(self, message: str, overdetermined: Any = (), underdetermined: Any = ()) -> None:
        super().__init__(message)
        self.overdetermined = list(overdetermined)
        self.underdetermined = list(underdetermined)


class FileFormatError(AdjointError, ValueError):
    """A file that is truncated, corrupt, or of another format; the message says where, what came, what was expected.

    Attributes
    ----------
    source : str
        Path of the file.
    line, byte : int or None
        Where: a line of a text file (from 1), a byte of a binary one (from 0).
    segment : str
        The part of the file, as its own first line names it.
    """

    def __init__(
        self, message: str, source: str = "", line: int | None = None, byte: int | None = None, segment: str = ""
    ) -> None:
        super().__init__(message)
        self.source = source
        self.line = line
        self.byte = byte
        self.segment = segment


class EvaluationError(AdjointError, ArithmeticError):
    """An equation gives NaN or infinity, or an external function failed; the message names it."""


class ConvergenceError(AdjointError, ArithmeticError):
    """A block did not converge.

    Attributes
    ----------
    block : str
        Name of the block.
    status : Status
        Why the iteration stopped; its value is advice.
    worst : list of (equation, residual)
        The worst equations first.
    values : dict
        The last iterate, by name: a partial solution, not an answer.
    history : list of float
        Largest scaled residual at each iteration.
    """

    def __init__(
        self,
        message: str,
        block: str = "",
        status: Status = Status.STALLED,
        worst: Any = (),
        values: dict[str, Any] | None = None,
        history: Any = (),
    ) -> None:
        super().__init__(message)
        self.block = block
        self.status = status
        self.worst = list(worst)
        self.values = dict(values or {})
        self.history = list(history)


class SingularError(AdjointError, ArithmeticError):
    """The Jacobian of a block is singular: its derivatives do not exist.

    Attributes
    ----------
    block : str
    equations, variables : list of str
        Those with the largest share in the left and right null vectors.
    """

    def __init__(self, message: str, block: str = "", equations: Any = (), variables: Any = ()) -> None:
        super().__init__(message)
        self.block = block
        self.equations = list(equations)
        self.variables = list(variables)


class DerivativeError(AdjointError, RuntimeError):
    """A derivative that cannot be given: not verified, not defined, or not supplied."""


class AdjointWarning(UserWarning):
    """Base class of the library's warnings."""


class SingularWarning(AdjointWarning):
    """A block is singular, or nearly so, at its solution."""


class KinkWarning(AdjointWarning):
    """A derivative was taken exactly at a kink; a stated convention was used."""


def closest(name: str, names: Iterable[str], what: str = "name") -> str:
    """The words of a message about an unknown name: what is meant, perhaps, or what there is.

    >>> closest("y11", ["y1", "z2"], "variable")
    "no variable named 'y11'; did you mean 'y1'?"
    """
    names = list(names)
    near = difflib.get_close_matches(str(name), names, n=3)
    if near:
        hint = "did you mean " + " or ".join(repr(n) for n in near) + "?"
    elif names:
        shown = ", ".join(repr(n) for n in names[:8]) + (", ..." if len(names) > 8 else "")
        hint = f"there are {shown}"
    else:
        hint = "there are none yet"
    return f"no {what} named {name!r}; {hint}"
