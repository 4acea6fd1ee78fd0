"""Timing, and the table that shows it.

Figures are medians of samples long enough for the clock. A machine is never quiet, so :func:`compare` takes
the samples of the library and of its peer in turn: what slows one slows the other, and their ratio stays.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Row", "as_dict", "compare", "environment", "format_table", "timeit"]

WARM = 500, 0.3  # calls, seconds: before anything is timed, whichever ends first

# Whose versions are shown, where installed.
PACKAGES = (
    *("adjoint", "numpy", "scipy", "networkx", "llvmlite", "nbklu", "feral-solver", "pypardiso", "unopy"),
    *("autograd", "casadi", "cyipopt", "jax", "jaxlib", "numba", "openmdao", "pandapower", "pypower"),
    *("scikit-learn", "torch"),
)
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Row:
    """One line of a table: the library's figure and its peer's, the smaller the better.

    ``peer`` is None where the peer is not installed, NaN where it cannot do this (``note`` may say why).
    """

    name: str
    ours: float
    peer: float | None
    peer_name: str
    unit: str = "s"
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Peer / ours: how many times the library's figure goes into its peer's."""
        if self.peer is None or math.isnan(self.peer) or not self.ours:
            return None
        return self.peer / self.ours


# -- timing ------------------------------------------------------------------------------------------------


def timeit(fn: Callable[[], Any], repeat: int = 7, min_time: float = 0.02) -> float:
    """Median seconds per call of ``fn``, over ``repeat`` samples of at least ``min_time`` seconds.

    The first call, which may compile, is not counted.
    """
    number = _calls_per_sample(fn, min_time)
    return statistics.median(_sample(fn, number) for _ in range(repeat))


def compare(
    name: str,
    ours: Callable[[], Any],
    peer: Callable[[], Any] | None,
    peer_name: str,
    repeat: int = 7,
    min_time: float = 0.02,
    note: str = "",
) -> Row:
    """Time two functions that do the same, their samples in turn. ``peer=None``: not installed."""
    if peer is None:
        return Row(name, timeit(ours, repeat, min_time), None, peer_name, "s", note)
    numbers = _calls_per_sample(ours, min_time), _calls_per_sample(peer, min_time)
    samples = [(_sample(ours, numbers[0]), _sample(peer, numbers[1])) for _ in range(repeat)]
    mine, theirs = (statistics.median(column) for column in zip(*samples, strict=True))
    return Row(name, mine, theirs, peer_name, "s", note)


def _calls_per_sample(fn: Callable[[], Any], min_time: float) -> int:
    """Warm up, and find how many calls last ``min_time``. What is called often may be compiled after a while."""
    end = time.perf_counter() + WARM[1]
    for _ in range(WARM[0]):
        fn()
        if time.perf_counter() > end:
            break
    number = 1
    while (seconds := number * _sample(fn, number)) < min_time:
        number = max(2 * number, int(1.1 * number * min_time / max(seconds, 1e-9)))
    return number


def _sample(fn: Callable[[], Any], number: int) -> float:
    """Seconds per call, of ``number`` calls."""
    start = time.perf_counter()
    for _ in range(number):
        fn()
    return (time.perf_counter() - start) / number


# -- reporting ---------------------------------------------------------------------------------------------


def environment() -> dict[str, str]:
    """Where and when the figures were measured."""
    versions = {name: version for name in PACKAGES if (version := _version(name))}
    threads = {name: value for name in THREADS if (value := os.environ.get(name))}
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"{_processor()}, {_cores()} cores, {platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "threads": ", ".join(f"{name}={value}" for name, value in threads.items()) or "not limited",
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def format_table(rows: Sequence[Row]) -> str:
    """The rows as text; the last column but one is peer / ours."""
    header = ("", "adjoint", "peer", "", "peer / adjoint", "")
    table = [header, *(_cells(row) for row in rows)]
    widths = [max(len(line[k]) for line in table) for k in range(len(header))]
    right = (False, True, True, False, True, False)
    lines = []
    for line in table:
        columns = zip(line, widths, right, strict=True)
        lines.append("  ".join(c.rjust(width) if r else c.ljust(width) for c, width, r in columns).rstrip())
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    peer = "not installed" if row.peer is None else _figure(row.peer, row.unit)
    ratio = "" if row.ratio is None else f"{row.ratio:.3g}"
    return row.name, _figure(row.ours, row.unit), peer, row.peer_name, ratio, row.note


def _figure(value: float, unit: str) -> str:
    """A figure of three digits; seconds in the unit that suits them."""
    if math.isnan(value):
        return "-"
    if unit == "s":
        for scale, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
            if value >= scale:
                return f"{value / scale:.3g} {name}"
        return f"{value / 1e-9:.3g} ns"
    return f"{value:.3g} {unit}".rstrip()


def as_dict(row: Row) -> dict[str, Any]:
    """The row and its ratio, for JSON, which has no NaN."""
    values = {**asdict(row), "ratio": row.ratio}
    return {key: None if isinstance(v, float) and math.isnan(v) else v for key, v in values.items()}
