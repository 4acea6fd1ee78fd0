"""A line that counts the iterations of long work, where somebody watches and tqdm is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = ["is_available", "progress"]

DELAY = 0.5  # seconds of work after which the line appears


def is_available() -> bool:
    """Whether tqdm is installed."""
    return _tqdm() is not None


def _tqdm() -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm


@contextmanager
def progress(title: str, show: bool = True, sign: float = 1.0) -> Iterator[Callable[[Any], None] | None]:
    """A callback for an optimizer that counts on stderr; None where the line would not be seen.

    Parameters
    ----------
    title : str
    show : bool
        False: never.
    sign : float
        −1 where the optimizer minimizes the negative of what the user asked for.

    >>> with progress("sellar", show=False) as callback:
    ...     callback is None
    True
    """
    tqdm = _tqdm() if show and sys.stderr is not None and sys.stderr.isatty() else None
    if tqdm is None:
        yield None
        return
    with tqdm(desc=title, unit=" iterations", delay=DELAY, leave=False, file=sys.stderr) as bar:

        def callback(intermediate_result: Any) -> None:
            bar.update(1)
            value = getattr(intermediate_result, "fun", None)  # SciPy's older methods give the point only
            if value is not None and np.size(value) == 1:
                bar.set_postfix_str(f"objective {sign * float(np.reshape(value, -1)[0]):.6g}", refresh=False)

        yield callback
