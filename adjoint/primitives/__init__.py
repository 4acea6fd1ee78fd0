"""The table of operations: one row each. Importing this package fills the tables of ``expr``."""

from . import elementwise, external, functions, indexing, linalg, products, reductions, special

__all__ = ["elementwise", "external", "functions", "indexing", "linalg", "products", "reductions", "special"]
