"""Sizes of multipliers along depth or time: do they vanish, or explode, on the way from the objective to the start?

In a chain of layers ``z_t = f_t(z_(t−1))`` the multipliers are ``λ_(t−1) = J_tᵀ λ_t``, so that ``|λ_0|`` is at most the
product of the norms of all Jacobians. Where these are below 1 it vanishes with the depth, where above it may explode
(Hochreiter 1991; Bengio, Simard & Frasconi 1994, "Learning long-term dependencies with gradient descent is difficult").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .blocks import Values
from .derivatives import vjp
from .errors import ModelError, NameLookupError, closest
from .expr import Expr, Variable
from .plan import Plan
from .solve import State
from .totals import all_multipliers
from .walk import topological, variables_of

__all__ = ["Diagnosis", "Series", "diagnose"]

SHOWN = 3  # names of a layer, and places of a flag, in a text


@dataclass(frozen=True)
class Series:
    """Sizes of the multipliers of one chain of layers, from the start to the objective.

    Attributes
    ----------
    name : str
    places : what the layers are called
    sizes : Euclidean norms of their multipliers
    slope : mean change of log size from a layer to the one before: negative where they vanish
    vanishing, exploding : places of the layers beyond the thresholds

    >>> import numpy as np
    >>> Series("chain", ("a", "b", "c"), np.array([0.01, 0.1, 1.0]), -2.302585, ("a",), ()).sizes.tolist()
    [0.01, 0.1, 1.0]
    """

    name: str
    places: tuple[str, ...]
    sizes: np.ndarray
    slope: float
    vanishing: tuple[str, ...]
    exploding: tuple[str, ...]


@dataclass(frozen=True)
class Diagnosis:
    """How multipliers change along depth and time: ``series`` of the program's own layers, and of each scan.

    >>> import numpy as np
    >>> steps = Series("chain", ("a", "b"), np.array([0.5, 1.0]), -0.693147, (), ())
    >>> print(Diagnosis("loss", (steps,)))
    multipliers of loss: none vanishes or explodes
      chain: 2 layers, log slope -0.6931 per layer towards the start, sizes 0.5 ... 1
    """

    of: str
    series: tuple[Series, ...]

    @property
    def ok(self) -> bool:
        """Whether no layer is flagged."""
        return not any(s.vanishing or s.exploding for s in self.series)

    def __str__(self) -> str:
        lines = [f"multipliers of {self.of}: " + ("none vanishes or explodes" if self.ok else "SOME VANISH OR EXPLODE")]
        for s in self.series:
            sizes = f"sizes {s.sizes[0]:.4g} ... {s.sizes[-1]:.4g}" if s.sizes.size else "none"
            count = len(s.places)
            lines.append(f"  {s.name}: {count} layers, log slope {s.slope:.4f} per layer towards the start, {sizes}")
            for word, places in (("vanishing", s.vanishing), ("exploding", s.exploding)):
                if places:
                    more = "" if len(places) <= 2 * SHOWN else f", … {len(places) - 2 * SHOWN} more"
                    lines.append(f"    {word} at {', '.join(places[: 2 * SHOWN])}{more}")
        return "\n".join(lines)

    __repr__ = __str__

    def plot(self, axes: Any) -> None:
        """Draw the sizes on axes of matplotlib, flagged layers marked."""
        for s in self.series:
            at = np.arange(len(s.places))
            axes.semilogy(at, np.where(s.sizes > 0, s.sizes, np.nan), marker=".", label=s.name)
            flagged = [k for k, p in enumerate(s.places) if p in {*s.vanishing, *s.exploding} and s.sizes[k] > 0]
            if flagged:
                axes.semilogy(flagged, s.sizes[flagged], linestyle="", marker="x", color="red")
        axes.set_xlabel("layer or step, from the start")
        axes.set_ylabel(f"size of the multipliers of {self.of}")
        axes.legend()


def diagnose(
    state: State,
    seeds: Values,
    of: str,
    along: Sequence[str] | None = None,
    vanishing: float = 1e-6,
    exploding: float = 1e6,
) -> Diagnosis:
    """The sizes of multipliers along the depth of a program, and along the time of each scan in it.

    Parameters
    ----------
    state : State
        Of a solved program.
    seeds : dict
        Weights of the variables of the objective.
    of : str
        What the objective is called.
    along : list of names, optional
        Layers from the start to the objective; inputs too. Default: all variables that the objective depends on, those
        of one depth (the longest way from the inputs) being one layer.
    vanishing, exploding : float
        A layer is flagged whose size, beside that of the layer next to the objective, is below or above.
    """
    if not 0 <= vanishing < exploding:
        raise ModelError(f"diagnose: expected 0 <= vanishing < exploding, got {vanishing!r} and {exploding!r}")
    lam = all_multipliers(state, seeds)
    chains = [_along(state.plan, lam, along) if along is not None else _by_depth(state.plan, lam, seeds)]
    chains += _over_time(state, lam)
    series = (_series(*chain, vanishing, exploding) for chain in chains)
    return Diagnosis(of, tuple(s for s in series if along is not None or len(s.places) > 1))


Chain = tuple[str, list[str], list[float]]


def _norm(parts: Sequence[Any]) -> float:
    return float(np.linalg.norm([np.linalg.norm(np.ravel(p)) for p in parts])) if parts else 0.0


def _along(plan: Plan, lam: dict[str, Any], names: Sequence[str]) -> Chain:
    for name in names:
        if name not in lam:
            raise NameLookupError(closest(name, lam, "variable or equation"))
    return "along the names given", list(names), [_norm([lam[name]]) for name in names]


def _by_depth(plan: Plan, lam: dict[str, Any], seeds: Values) -> Chain:
    needed = plan.ancestors(seeds)
    depth: dict[Variable, int] = {}
    layers: dict[int, list[str]] = {}
    for block in plan.analysis.blocks:
        if not any(v in needed for v in block.unknowns):
            continue
        own = set(block.unknowns)
        inside = [v for e in block.equations for v in plan.analysis.incidence[e] if v not in own]
        level = 1 + max((depth.get(v, 0) for v in inside), default=0)
        depth.update(dict.fromkeys(own, level))
        layers.setdefault(level, []).extend(e.name for e in block.equations)
    order = sorted(layers)
    shown = [", ".join(layers[k][:SHOWN]) + (", …" if len(layers[k]) > SHOWN else "") for k in order]
    return "depth", shown, [_norm([lam[name] for name in layers[k]]) for k in order]


def _over_time(state: State, lam: dict[str, Any]) -> list[Chain]:
    """Of each scan λ of its carry before the first step, between the steps, and after the last."""
    cotangents: dict[Expr, Expr] = {}
    weights: dict[Variable, Any] = {}
    owners: dict[Expr, str] = {}
    for e in state.plan.analysis.incidence:
        loops = [n for n in topological([e.expr]) if n.op is not None and n.op.name == "scan" and n.args[0].size]
        weight = Variable(f"multiplier of {e.name}", e.shape)
        for node in loops:
            part = vjp([e.expr], [weight if e.target is not None else -weight], [node])[0]
            cotangents[node] = cotangents[node] + part if node in cotangents else part
            weights[weight] = lam[e.name]
            owners.setdefault(node, e.name)
    found = []
    values = {**state.values, **weights}
    for node, ct in cotangents.items():
        roots = [*node.args, ct]
        inputs = variables_of(roots)
        with np.errstate(all="ignore"):
            *given, cotangent = state.plan.backend.compile(inputs, roots)(*[values[v] for v in inputs])
            rows = node.params[0].multipliers(given, cotangent)
        places = [f"step {k}" for k in range(len(rows))]
        found.append((f"time of the scan in {owners[node]}", places, np.linalg.norm(rows, axis=1).tolist()))
    return found


def _series(name: str, places: list[str], sizes: list[float], vanishing: float, exploding: float) -> Series:
    size = np.array(sizes)
    there = np.flatnonzero(size > 0)
    slope, low, high = float("nan"), [], []
    if there.size:
        first, last = int(there[0]), int(there[-1])
        if last > first:
            slope = float(np.log(size[first] / size[last]) / (last - first))
        low = [p for p, s in zip(places[: last + 1], size, strict=False) if s < vanishing * size[last]]
        high = [p for p, s in zip(places, size, strict=True) if s > exploding * size[last]]
    return Series(name, tuple(places), size, slope, tuple(low), tuple(high))
