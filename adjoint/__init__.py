"""Models as named equations: solved block by block, with multipliers and exact derivatives."""

__version__ = "0.1.0"

__all__ = ["__version__"]
