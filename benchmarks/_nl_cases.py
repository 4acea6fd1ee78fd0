"""The collection of ``.nl`` files: which are continuous, what is known of their optima, and the value of a point."""

from __future__ import annotations

import csv
import functools
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import adjoint as adj
from adjoint.optimize.formulations import Formulation

__all__ = ["Case", "cases", "point"]

FEASIBLE = 1e-5  # violation, relative to the side of the row or bound where that is larger than 1
SAME = 1e-5  # objectives, relative where they are larger than 1
TRUSTED = "published+reproduced"


@dataclass(frozen=True)
class Case:
    """A continuous problem.

    Attributes
    ----------
    references : tuple of float
        Objectives that count as the reference: the published one where it was reproduced, else all that are known.
    trusted : bool
        Whether the reference was published and reproduced.
    """

    collection: str
    name: str
    path: Path
    n: int
    m: int
    references: tuple[float, ...] = ()
    trusted: bool = False

    def is_reference(self, value: float) -> bool:
        """Whether an objective is that of a known optimum."""
        return any(abs(value - r) <= SAME * max(1.0, abs(r)) for r in self.references)


def cases(data: Path, only: str = "") -> Iterator[Case]:
    """The continuous problems that can be read, of all collections; ``only`` is a part of "collection/name"."""
    for collection, path in _files(data):
        known = _references(path.parents[len(path.relative_to(data).parts) - 2], collection)
        name = str(path.relative_to(data / collection).with_suffix("")).removeprefix("nl/")
        if only not in f"{collection}/{name}":
            continue
        try:
            model = adj.read_nl(path).source
        except adj.AdjointError:
            continue  # integers, complementarity, functions from libraries; damaged files; crossed bounds
        twin = path.stem.removesuffix(".pyomo")  # the same model, written by another program
        references, trusted = known.get(name, known.get(twin, ((), False)))
        yield Case(collection, name, path, model.n_var, model.n_con, references, trusted)


def _files(data: Path) -> Iterator[tuple[str, Path]]:
    for folder in sorted(p for p in data.iterdir() if p.is_dir()):
        for path in sorted(folder.rglob("*.nl")):
            yield folder.name, path


@functools.cache
def _references(folder: Path, collection: str) -> dict[str, tuple[tuple[float, ...], bool]]:
    """Objectives by name, and whether they can be trusted."""
    found: dict[str, tuple[tuple[float, ...], bool]] = {}
    table = folder / "references.csv"
    if table.is_file():
        with table.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                trusted = row["reference_kind"] == TRUSTED
                columns = ("published_objective",) if trusted else ("published_objective", "ipopt_from_x0_objective")
                if not trusted and row["ipopt_status"] != "Solve_Succeeded":
                    columns = columns[:1]
                found[row["name"]] = (tuple(float(row[c]) for c in columns if row[c]), trusted)
    for path in sorted((folder / "points").glob("*.json")):
        point = json.loads(path.read_text(encoding="utf-8"))
        if point["objective"] is not None:
            found[path.stem] = ((float(point["objective"]),), bool(point["verified"]["trusted_kkt"]))
    return found


@functools.lru_cache(maxsize=4)
def _program(path: Path) -> Formulation:
    logging.getLogger("adjoint").setLevel(logging.ERROR)
    return Formulation(adj.read_nl(path), "reduced")


def point(case: Case, x: np.ndarray) -> tuple[float, float]:
    """Objective and violation of a point, from the model."""
    nlp = _program(case.path)
    try:
        with np.errstate(all="ignore"):
            value, rows = nlp.sign * nlp.objective(x), nlp.constraints(x) if nlp.m else np.zeros(0)
    except adj.AdjointError:
        return float("nan"), float("inf")
    worst = 0.0
    for values, lower, upper in ((rows, nlp.constraint_lower, nlp.constraint_upper), (x, nlp.lower, nlp.upper)):
        for side, sign in ((lower, 1.0), (upper, -1.0)):
            some = np.isfinite(side)
            gap = sign * (side[some] - values[some]) / np.maximum(1.0, abs(side[some]))
            worst = max(worst, float(gap.max(initial=0.0)))
    return float(value), worst


def without_comments(path: Path, folder: Path) -> Path:
    """A copy that CasADi's reader, which does not skip all comments, can read."""
    data = path.read_bytes()
    copy = folder / path.name
    copy.write_bytes(re.sub(rb"[ \t]*#[^\n]*", b"", data) if data.startswith(b"g") else data)
    return copy
