"""Trial points: where a solve inside of another one may fail without ending it.

A method that solves equations goes to points where they need not have values: beyond a bound of a logarithm, or where
an inner problem has no solution. It shortens its step where a residual is not a number. So while such a method is at
work, what fails inside of it gives NaN and leaves a note; the method ends with the note if it does not get around.
"""

from __future__ import annotations

import threading
from types import TracebackType

__all__ = ["Trial", "trial_under_way"]


class _Innermost(threading.local):
    trial: Trial | None = None


_innermost = _Innermost()


class Trial:
    """A context in which a solve inside may fail.

    Attributes
    ----------
    failure : str
        What failed last inside of it, in one line; "" for nothing.

    >>> with Trial() as trial:
    ...     trial_under_way() is trial
    True
    >>> trial_under_way() is None
    True
    """

    def __init__(self) -> None:
        self.failure = ""
        self._around: Trial | None = None

    def __enter__(self) -> Trial:
        self._around, _innermost.trial = _innermost.trial, self
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _innermost.trial, self._around = self._around, None

    def failed(self, error: BaseException) -> None:
        """Note an error."""
        self.failure = str(error).splitlines()[0]

    def told(self, message: str) -> str:
        """A message, and what failed last inside."""
        return f"{message}\n  Inside of it, last: {self.failure}" if self.failure else message


def trial_under_way() -> Trial | None:
    """The innermost trial of this thread; None: what fails is an error."""
    return _innermost.trial
