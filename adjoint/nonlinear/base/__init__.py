"""What all methods share: the system they see, the convergence rule, and the steps several of them take."""

from adjoint.nonlinear.base.ends import finish, start, verify
from adjoint.nonlinear.base.fixed_point_map import iterate_map, relative_change, require_sweep
from adjoint.nonlinear.base.fold import is_fold, rounding_noise
from adjoint.nonlinear.base.line_search import SUFFICIENT, Parts, backtrack
from adjoint.nonlinear.base.rank import SINGULAR_RCOND, best_rcond
from adjoint.nonlinear.base.rule import FLOOR, ROUNDING, evaluate, natural_scale, nonzero, project, scaled_residual
from adjoint.nonlinear.base.steps import column_norms, levenberg_step, shifted_step, weighted_norm
from adjoint.nonlinear.base.system import (
    Attempt,
    Factorization,
    Options,
    Outcome,
    SingularMatrix,
    System,
)

__all__ = [
    "FLOOR",
    "ROUNDING",
    "SINGULAR_RCOND",
    "SUFFICIENT",
    "Attempt",
    "Factorization",
    "Options",
    "Outcome",
    "Parts",
    "SingularMatrix",
    "System",
    "backtrack",
    "best_rcond",
    "column_norms",
    "evaluate",
    "finish",
    "is_fold",
    "iterate_map",
    "levenberg_step",
    "natural_scale",
    "nonzero",
    "project",
    "relative_change",
    "require_sweep",
    "rounding_noise",
    "scaled_residual",
    "shifted_step",
    "start",
    "verify",
    "weighted_norm",
]
