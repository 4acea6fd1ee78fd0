"""Options of the splitting methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ...errors import ModelError, closest

__all__ = ["SplittingOptions"]


@dataclass(frozen=True)
class SplittingOptions:
    """Options, with their defaults.

    Attributes
    ----------
    blocks : int or dict
        A number of blocks, cut by the structure; or ``{block: names}``, ``{block: {name: index}}`` of equations,
        constraints and variables.
    executor : Executor, callable, "threads", "processes", "serial", optional
        Where blocks are solved; a callable makes an executor. Default: threads.
    retries : int
        How often a block is sent again whose worker was lost, or was late.
    timeout : float, optional
        Seconds after which a worker is late; twice that for the second attempt, and so on; after the last one the solve
        ends with a WorkerError. Default: ten times the longest answer so far, at least 30, and 600 before the first;
        threads of this process are not timed.
    method, method_options : str, dict
        How blocks are solved: a method of ``Problem.solve``, and its options.
    penalty : float or dict, optional
        First penalty of the copies, for all variables or by name. Default: from the first gradients.
    relaxation : float
        Over-relaxation, between 1 (none) and 2.
    balance : bool
        Whether penalties are adapted to keep primal and dual residuals alike, for each variable by itself.
    balance_until : int
        Iterations after which they stay; a nonconvex program needs that.
    memory : int
        Steps that the acceleration remembers; 0 is none.
    tol : float
        Of the primal and dual residuals, relative to the variables and to the prices (Boyd et al., section 3.3.1).
    max_iter : int
    """

    blocks: Any = 2
    executor: Any = None
    retries: int = 3
    timeout: float | None = None
    method: str = "interior-point"
    method_options: Any = None
    penalty: Any = None
    relaxation: float = 1.6
    balance: bool = True
    balance_until: int = 100
    memory: int = 10
    tol: float = 1e-6
    max_iter: int = 1000

    @classmethod
    def of(cls, given: Mapping[str, Any], method: str) -> SplittingOptions:
        """The options of a mapping, checked.

        >>> SplittingOptions.of({"tol": 1e-4}, "admm").tol
        0.0001
        """
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                raise ModelError(f"{method}: " + closest(name, known, "option"))
        options = cls(**given)
        if not 0.0 < options.relaxation < 2.0:
            raise ModelError(f"{method}: relaxation is between 0 and 2, not {options.relaxation!r}")
        for name in ("tol", "max_iter"):
            if not getattr(options, name) > 0:
                raise ModelError(f"{method}: {name} is positive, not {getattr(options, name)!r}")
        if not options.memory >= 0:
            raise ModelError(f"{method}: memory is a number of steps, or 0, not {options.memory!r}")
        return options
