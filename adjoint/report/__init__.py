"""What the command line reads and shows: model files and values in; text, JSON, DOT and pictures out."""

from __future__ import annotations

from .dot import dot
from .graph_picture import draw_graph
from .json_ import dumps, plain
from .matrix_picture import draw_matrix
from .tables import gradient_text, result_text, solution_text
from .text import number, table

__all__ = [
    "dot",
    "draw_graph",
    "draw_matrix",
    "dumps",
    "gradient_text",
    "number",
    "plain",
    "result_text",
    "solution_text",
    "table",
]
