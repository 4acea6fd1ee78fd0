"""Reading AMPL ``.nl`` files, up to first derivatives, beside CasADi's reader; and the rate on large models."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import re
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from adjoint.nl.build import problem_from_model, read_nl
from adjoint.nl.read import read_model

from ._nl_models import MODELS
from .harness import Row

SIZES = {"luksan_vlcek": 25_000, "power_flow": 5_000, "random_terms": 2_500}  # 1e5 nonzeros, and 1e4 of the last
PEER = "CasADi 3.8 NlpBuilder"


def first_derivatives(path: Path) -> None:
    """Read the file; f, its gradient, the constraints and their sparse Jacobian at the start point, once."""
    problem = read_nl(path, relax=True)
    m, x = problem.program, problem.source.x0
    f = m.function(problem.objective.name, wrt=["x"], sparse=True)
    f(x)
    f.jac(x)
    if problem.constraints:
        c = m.function(["constraints"], wrt=["x"], sparse=True)
        c(x)
        c.jac(x)


def casadi_first_derivatives(path: Path) -> None:
    """The same with CasADi."""
    import casadi as ca

    builder = ca.NlpBuilder()
    builder.import_nl(str(path))
    x = ca.vcat(builder.x)
    g = ca.vcat(builder.g)
    f = ca.Function("f", [x], [builder.f, ca.gradient(builder.f, x)])
    c = ca.Function("c", [x], [g, ca.jacobian(g, x)])
    start = np.array(builder.x_init)
    f(start)
    c(start)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what CasADi prints while it reads, and without warnings."""
    sink, kept = os.open(os.devnull, os.O_WRONLY), os.dup(1)
    os.dup2(sink, 1)
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(sink)
        logging.disable(level)


def seconds(call: Callable[[Path], Any], path: Path) -> float:
    """Time of one call; NaN where it fails."""
    start = time.perf_counter()
    try:
        call(path)
    except Exception:  # CasADi's own, of several kinds: the file is left out of the sum
        return np.nan
    return time.perf_counter() - start


def without_comments(path: Path, folder: Path) -> Path:
    """A copy that CasADi's reader, which does not skip all comments, can read."""
    data = path.read_bytes()
    copy = folder / path.name
    copy.write_bytes(re.sub(rb"[ \t]*#[^\n]*", b"", data) if data.startswith(b"g") else data)
    return copy


def collection(data: Path, repeat: int, folder: Path) -> list[Row]:
    """The sums over all files that both can read, the two in turn file by file; medians per file."""
    mine, theirs, paths = [], [], sorted(data.rglob("*.nl"))
    for path in paths:
        copy = without_comments(path, folder)
        samples = []
        for _ in range(repeat):
            samples.append((seconds(first_derivatives, path), seconds(casadi_first_derivatives, copy)))
            if np.isnan(samples[0]).any():
                break
        if not np.isnan(samples).any():
            mine.append(statistics.median(s[0] for s in samples))
            theirs.append(statistics.median(s[1] for s in samples))
        gc.collect()
    small = sorted(range(len(mine)), key=theirs.__getitem__)[: int(0.9 * len(mine))]
    note = f"promised: ≤ 1 ×; {len(mine)} of {len(paths)} files, those that CasADi reads and that are defined at x0"
    what = "read, f, ∇f, c, J once"
    return [
        Row(f"the collection: {what}", sum(mine), sum(theirs), PEER, "s", note),
        Row(
            f"the 90 % that take CasADi least: {what}", sum(mine[k] for k in small), sum(theirs[k] for k in small), PEER
        ),
    ]


def large(name: str, n: int, repeat: int, folder: Path) -> Row:
    """Reading and building of one large model, without derivatives."""
    path = folder / f"{name}.nl"
    path.write_text(MODELS[name](n), encoding="ascii")
    model = read_model(path)
    nonzeros = model.con_linear.var.size + model.obj_linear.var.size
    samples = []
    for _ in range(repeat):
        start = time.perf_counter()
        model = read_model(path)
        middle = time.perf_counter()
        problem_from_model(model)
        samples.append((time.perf_counter() - start, middle - start))
        gc.collect()
    total, lexed = (statistics.median(column) for column in zip(*samples, strict=True))
    peer = seconds(_casadi_import, path) if casadi_is_available() else None
    note = f"{nonzeros / total:.3g} nonzeros/s (promised: ≥ 3e5), of them read_model {lexed / total:.0%}"
    return Row(f"{name}, {nonzeros} nonzeros: read_nl", total, peer, PEER + ".import_nl", "s", note)


def _casadi_import(path: Path) -> None:
    import casadi as ca

    ca.NlpBuilder().import_nl(str(path))


def casadi_is_available() -> bool:
    """Whether the peer is installed."""
    try:
        import casadi  # noqa: F401
    except ImportError:
        return False
    return True


def run(repeat: int) -> list[Row]:
    """The collection, if ADJOINT_DATA names the folder of the data and CasADi is installed; the large models."""
    rows: list[Row] = []
    with quiet(), tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("ADJOINT_CACHE_DIR", folder)  # what is compiled, is compiled here
        data = os.environ.get("ADJOINT_DATA")
        if data and casadi_is_available():
            rows += collection(Path(data) / "nl", min(repeat, 3), Path(folder))
        rows += [large(name, n, min(repeat, 3), Path(folder)) for name, n in SIZES.items()]
    return rows
