"""Options of the interior-point method: under IPOPT's names wherever the same thing exists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from ..options import checked_options

__all__ = ["InteriorOptions"]

CHOICES: dict[str, tuple[str, ...]] = {
    "mu_strategy": ("monotone", "adaptive"),
    "mu_oracle": ("quality-function", "loqo", "probing"),
    "nlp_scaling_method": ("gradient-based", "none"),
    "hessian_approximation": ("exact", "limited-memory"),
}


@dataclass(frozen=True)
class InteriorOptions:
    """Options, with their defaults.

    Attributes
    ----------
    tol : float
        Scaled optimality error at which the answer is optimal (W&B, eq. 5 and 6).
    dual_inf_tol, constr_viol_tol, compl_inf_tol : float
        Unscaled errors that an optimal answer may have at most.
    acceptable_tol, acceptable_iter : float, int
        The answer is acceptable after that many iterations in a row with that error.
    acceptable_dual_inf_tol, acceptable_constr_viol_tol, acceptable_compl_inf_tol : float
        Unscaled errors of an acceptable answer.
    max_iter, max_wall_time : int, float
        Limits; time in seconds.
    diverging_iterates_tol : float
        Size of a variable from which the program counts as unbounded.
    mu_strategy : {"monotone", "adaptive"}
        How the barrier parameter falls. On some 350 ``.nl`` models ``adaptive`` takes 6 % fewer iterations (geometric
        mean; 15 to 24 % on power flow with 118 to 2869 buses), but two or three solves each instead of one, and ends in
        other local optima a little more often.
    mu_oracle : {"quality-function", "loqo", "probing"}
        Choice of the barrier parameter by the adaptive strategy.
    mu_init, mu_max, mu_min : float
        Start of the barrier parameter, and its range in the adaptive strategy.
    mu_target : float
        Where the barrier parameter stops.
    barrier_tol_factor, mu_linear_decrease_factor, mu_superlinear_decrease_power, tau_min : float
        κ_ε, κ_μ, θ_μ and τ_min of W&B, eq. 7, 8 and 15.
    bound_push, bound_frac : float
        How far inside its bounds a start is moved: κ_1 and κ_2 of W&B, section 3.6.
    bound_mult_init_val, constr_mult_init_max : float
        First multipliers of bounds; the largest multiplier of a row from least squares.
    warm_start_bound_push, warm_start_mult_bound_push : float
        The same of a warm start: distances and multipliers are at least this. (Unless they are given, a start from
        much nearer is tried before.)
    bound_relax_factor : float
        Bounds and sides of rows are widened by this much, relative to their size, while iterating. At the end they are
        exact (IPOPT's are not), except where they leave no interior.
    nlp_scaling_method : {"gradient-based", "none"}
    nlp_scaling_max_gradient : float
        Rows with larger gradients at the start are scaled down to it.
    hessian_approximation : {"exact", "limited-memory"}
        Limited-memory BFGS also where the program has no second derivatives.
    limited_memory_max_history : int
        Pairs of that approximation.
    linear_solver : str
        A method of :func:`adjoint.linear.symmetric.make_symmetric_solver`.
    max_refinement_steps : int
        Steps of iterative refinement of each solve.
    max_soc, watchdog_shortened_iter_trigger, watchdog_trial_iter_max, max_soft_resto_iters : int
        Second-order corrections of a step; shortened steps that start a watchdog, and its trials; steps of soft
        restoration.
    warm_start_init_point : bool
        Start from given multipliers; set where a start has them.
    print_level : int
        0 is silent, 3 prints the outcome, 5 the table of iterations.
    """

    tol: float = 1e-8
    dual_inf_tol: float = 1.0
    constr_viol_tol: float = 1e-4
    compl_inf_tol: float = 1e-4
    acceptable_tol: float = 1e-6
    acceptable_iter: int = 15
    acceptable_dual_inf_tol: float = 1e10
    acceptable_constr_viol_tol: float = 1e-2
    acceptable_compl_inf_tol: float = 1e-2
    max_iter: int = 3000
    max_wall_time: float = inf
    diverging_iterates_tol: float = 1e20
    mu_strategy: str = "monotone"
    mu_oracle: str = "quality-function"
    mu_init: float = 0.1
    mu_max: float = 1e5
    mu_min: float = 1e-11
    mu_target: float = 0.0
    barrier_tol_factor: float = 10.0
    mu_linear_decrease_factor: float = 0.2
    mu_superlinear_decrease_power: float = 1.5
    tau_min: float = 0.99
    bound_push: float = 1e-2
    bound_frac: float = 1e-2
    bound_relax_factor: float = 1e-8
    bound_mult_init_val: float = 1.0
    constr_mult_init_max: float = 1e3
    warm_start_init_point: bool = False
    warm_start_bound_push: float = 1e-3
    warm_start_mult_bound_push: float = 1e-3
    nlp_scaling_method: str = "gradient-based"
    nlp_scaling_max_gradient: float = 100.0
    hessian_approximation: str = "exact"
    limited_memory_max_history: int = 6
    linear_solver: str = "auto"
    max_refinement_steps: int = 10
    max_soc: int = 4
    watchdog_shortened_iter_trigger: int = 10
    watchdog_trial_iter_max: int = 3
    max_soft_resto_iters: int = 10
    print_level: int = 0

    @classmethod
    def of(cls, given: Mapping[str, Any] | InteriorOptions | None) -> InteriorOptions:
        """The options of a mapping, checked.

        Raises
        ------
        ModelError
            An option that does not exist, with the closest names, or a value that does not fit.

        >>> InteriorOptions.of({"tol": 1e-6}).tol
        1e-06
        """
        return checked_options(cls, given, "interior-point", CHOICES)
