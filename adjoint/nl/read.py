"""Read an AMPL ``.nl`` file, text or binary."""

from __future__ import annotations

import os

from .assemble import assemble
from .binary import lex_binary
from .header import N_LINES, read_header
from .model import Model
from .names import read_names
from .text import lex_text

__all__ = ["read_model"]


def read_model(path: str | os.PathLike[str], *, names: bool = True) -> Model:
    """What an AMPL ``.nl`` file says, as arrays.

    The format is that of D. M. Gay, *Writing .nl Files* (Sandia, 2005), text ``g`` or binary ``b``.

    Parameters
    ----------
    path : path of the file
    names : whether to read the names of variables and constraints from ``.col`` and ``.row`` beside it, if there

    Raises
    ------
    FileFormatError
        The file is truncated or corrupt: with the line (or byte), what came and what was expected.

    Examples
    --------
    A model of one variable, ``minimize exp(x) - 2 x``:

    >>> import tempfile
    >>> from pathlib import Path
    >>> text = '''g3 0 1 0
    ...  1 0 1 0 0
    ...  0 1
    ...  0 0
    ...  0 1 0
    ...  0 0 0 1
    ...  0 0 0 0 0
    ...  0 1
    ...  0 0
    ...  0 0 0 0 0
    ... O0 0
    ... o44
    ... v0
    ... x1
    ... 0 0.5
    ... b
    ... 3
    ... k0
    ... G0 1
    ... 0 -2
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "small.nl"
    ...     _ = path.write_text(text)
    ...     model = read_model(path)
    >>> model.n_var, model.code, model.index, model.obj_linear.coef, model.x0
    (1, array([44, -2], dtype=int16), array([1, 0]), array([-2.]), array([0.5]))
    """
    source = os.fspath(path)
    stem = os.path.splitext(source)[0]
    with open(source, "rb") as file:
        data = file.read()
    header = read_header(data, source)
    if header.binary:
        lines = lex_binary(data, header.size, header["arith"], source)
    else:
        lines = lex_text(data, header.size, N_LINES + 1, source)
    del data
    model = assemble(header, lines, os.path.basename(stem))
    if names:
        (model.var_names,) = read_names(stem + ".col", (model.n_var,))
        counts = (model.n_con, len(model.logical_expr), model.n_obj)
        model.con_names, _, model.obj_names = read_names(stem + ".row", counts)
    return model
