"""Structure of systems of equations: graph theory on the incidence of unknowns in equations.

Nothing here knows of programs or expressions; rows are equations and columns are unknowns::

    incidence → maximum_matching → dulmage_mendelsohn     what is well posed
                                 → block_triangular_form  what is solved together, in which order
                                 → tear                   what to iterate on inside one block
    sparsity  → color_columns, star_color                 which derivatives to compute together
"""

from __future__ import annotations

from .block_triangular import BlockTriangularForm, block_triangular_form
from .coloring import color_columns, star_color, star_recovery
from .dulmage_mendelsohn import DulmageMendelsohn, connected_parts, dulmage_mendelsohn
from .incidence import Incidence
from .matching import Matching, maximum_matching
from .strong_components import strong_components, topological_levels
from .tearing import Tearing, tear

__all__ = [
    "BlockTriangularForm",
    "DulmageMendelsohn",
    "Incidence",
    "Matching",
    "Tearing",
    "block_triangular_form",
    "color_columns",
    "connected_parts",
    "dulmage_mendelsohn",
    "maximum_matching",
    "star_color",
    "star_recovery",
    "strong_components",
    "tear",
    "topological_levels",
]
