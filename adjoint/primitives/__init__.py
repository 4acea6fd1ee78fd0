"""The table of operations: one row each. Importing this package fills the tables of ``expr``."""

from . import elementwise, functions, indexing, linalg, reductions

__all__ = ["elementwise", "functions", "indexing", "linalg", "reductions"]
