"""The table of operations: one row each. Importing this package fills the tables of ``expr``."""

from . import activations, elementwise, external, functions, indexing, linalg, products, reductions, special

__all__ = [
    "activations",
    "elementwise",
    "external",
    "functions",
    "indexing",
    "linalg",
    "products",
    "reductions",
    "special",
]
