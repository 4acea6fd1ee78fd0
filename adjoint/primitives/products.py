"""Products: matrices, tensors, einsum, and constant sparse matrices."""

from __future__ import annotations

import math
import string
from typing import Any

import numpy as np
import scipy.sparse as sparse

from ..errors import ShapeError
from ..expr import Constant, Expr, apply, as_expr, constant, describe, unsupported
from ..primitive import BUILDERS, Primitive, Static, register
from .indexing import broadcast_to, check_axis, getitem, reshape, scatter_flat, sum_axes, take_flat, transpose

Array = Any

# -- matrix product: batches (b, m, k) @ (b, k, n), or plain matrices -------------------------------------------


def swap(x: Expr) -> Expr:
    """Last two axes exchanged."""
    return transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _matmul_transpose(ct: Expr, k: int, args: tuple[Expr, ...], params: Any) -> Expr:
    a, b = args
    return _product(ct, swap(b)) if k == 0 else _product(swap(a), ct)


def _matmul_entries(args: tuple[Expr, ...], params: Any, k: int) -> Any:
    """out[b,i,j] = Σ_k A[b,i,k] B[b,k,j]: positions of out, of the argument, and of the other factor."""
    a, b = args
    batch, (m, inner, n) = a.shape[:-2], (a.shape[-2], a.shape[-1], b.shape[-1])
    full = (*batch, m, inner, n)
    out = np.arange(math.prod(batch) * m * n).reshape(*batch, m, 1, n)
    pa = np.arange(a.size).reshape(*batch, m, inner, 1)
    pb = np.arange(b.size).reshape(*batch, 1, inner, n)
    out, pa, pb = (np.broadcast_to(p, full).ravel() for p in (out, pa, pb))
    return (out, pa, pb) if k == 0 else (out, pb, pa)


_MATMUL = register(Primitive("matmul", "bilinear", np.matmul, transpose=_matmul_transpose, entries=_matmul_entries))


def _product(a: Expr, b: Expr) -> Expr:
    """Matrices, or equal batches of matrices."""
    shape = (*a.shape[:-1], b.shape[-1])
    if isinstance(a, Constant) and isinstance(b, Constant):
        return constant(np.matmul(a.value, b.value))
    return apply(_MATMUL, (a, b), (), shape)


def matmul(a: Any, b: Any) -> Expr:
    """``a @ b`` with NumPy's rules; either side may be a constant ``scipy.sparse`` matrix."""
    if sparse.issparse(a):
        return sparse_product(a, b)
    if sparse.issparse(b):
        b = sparse.csr_array(b)
        a = as_expr(a)
        return transpose(sparse_product(b.T, transpose(a))) if a.ndim == 2 else sparse_product(b.T, a)
    a, b = as_expr(a), as_expr(b)
    if not a.shape or not b.shape:
        raise ShapeError(f"@ of {describe(a)} and {describe(b)}: scalars are multiplied with *")
    left, right = (a.ndim == 1), (b.ndim == 1)
    a2 = reshape(a, (1, a.size)) if left else a
    b2 = reshape(b, (b.size, 1)) if right else b
    if a2.shape[-1] != b2.shape[-2]:
        raise ShapeError(f"@: {describe(a)} of shape {a.shape} and {describe(b)} of shape {b.shape} do not fit")
    try:
        batch = np.broadcast_shapes(a2.shape[:-2], b2.shape[:-2])
    except ValueError:
        raise ShapeError(
            f"@: the batches of {describe(a)} of shape {a.shape} and {describe(b)} of shape {b.shape} do not fit"
        ) from None
    if batch:
        n = math.prod(batch)
        a3 = reshape(broadcast_to(a2, batch + a2.shape[-2:]), (n, *a2.shape[-2:]))
        b3 = reshape(broadcast_to(b2, batch + b2.shape[-2:]), (n, *b2.shape[-2:]))
        out = reshape(_product(a3, b3), (*batch, a2.shape[-2], b2.shape[-1]))
    else:
        out = _product(a2, b2)
    shape = list(out.shape)
    if right:
        del shape[-1]
    if left:
        del shape[-1 if right else -2]
    return reshape(out, tuple(shape))


BUILDERS["matmul"] = matmul


def dot(a: Any, b: Any) -> Expr:
    """``np.dot``: product with scalars, else a sum over the last axis of a and the last but one of b."""
    if sparse.issparse(a) or sparse.issparse(b):
        return matmul(a, b)
    a, b = as_expr(a), as_expr(b)
    if not a.shape or not b.shape:
        return a * b
    if a.ndim <= 2 and b.ndim <= 2:
        return matmul(a, b)
    return tensordot(a, b, axes=((a.ndim - 1,), (max(b.ndim - 2, 0),)))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Expr:
    """``np.tensordot``."""
    a, b = as_expr(a), as_expr(b)
    if isinstance(axes, (int, np.integer)):
        axes = (tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes)))
    ax, bx = (tuple(int(i) for i in np.atleast_1d(side)) for side in axes)
    ax, bx = tuple(check_axis(a, i) for i in ax), tuple(check_axis(b, i) for i in bx)
    free_a = [i for i in range(a.ndim) if i not in ax]
    free_b = [i for i in range(b.ndim) if i not in bx]
    inner = math.prod(a.shape[i] for i in ax)
    if [a.shape[i] for i in ax] != [b.shape[i] for i in bx]:
        raise ShapeError(f"tensordot: shapes {a.shape} and {b.shape} do not fit over axes {axes}")
    left = reshape(transpose(a, (*free_a, *ax)), (a.size // max(inner, 1), inner))
    right = reshape(transpose(b, (*bx, *free_b)), (inner, b.size // max(inner, 1)))
    return reshape(_product(left, right), tuple([a.shape[i] for i in free_a] + [b.shape[i] for i in free_b]))


def outer(a: Any, b: Any) -> Expr:
    """Outer product of two vectors."""
    a, b = as_expr(a), as_expr(b)
    return reshape(a, (a.size, 1)) * reshape(b, (1, b.size))


def inner(a: Any, b: Any) -> Expr:
    """``np.inner``: sum over the last axes."""
    a, b = as_expr(a), as_expr(b)
    if not a.shape or not b.shape:
        return a * b
    return tensordot(a, b, axes=((a.ndim - 1,), (b.ndim - 1,)))


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Expr:
    """Sum of the diagonal."""
    d = diagonal(x, offset, axis1, axis2)
    return sum_axes(d, (d.ndim - 1,))


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Expr:
    """Diagonals over two axes, as the last axis."""
    x = as_expr(x)
    return take_flat(x, np.diagonal(np.arange(x.size).reshape(x.shape), offset, axis1, axis2))


def diag(x: Any, k: int = 0) -> Expr:
    """Diagonal matrix of a vector, or diagonal of a matrix."""
    x = as_expr(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError(f"np.diag of {describe(x)}, shape {x.shape}: expected a vector or a matrix")
    n = x.size + abs(k)
    return scatter_flat(x, np.diagonal(np.arange(n * n).reshape(n, n), k), (n, n))


def einsum(spec: Any, *operands: Any, **kwargs: Any) -> Expr:
    """``np.einsum`` with an explicit subscript string; operands are contracted from left to right."""
    if not isinstance(spec, str) or any(v not in (False, None, True, "greedy", "optimal") for v in kwargs.values()):
        raise unsupported("np.einsum in this form")
    exprs = [as_expr(op) for op in operands]
    inputs, output = _subscripts(spec.replace(" ", ""), exprs)
    x, labels = _own_axes(exprs[0], inputs[0])
    for k in range(1, len(exprs)):
        later = set("".join(inputs[k + 1 :])) | set(output)
        y, y_labels = _own_axes(exprs[k], inputs[k])
        x, labels = _contract(x, labels, y, y_labels, later)
    gone = tuple(i for i, c in enumerate(labels) if c not in output)
    x, labels = sum_axes(x, gone), "".join(c for c in labels if c in output)
    return transpose(x, [labels.index(c) for c in output])


def _subscripts(spec: str, exprs: list[Expr]) -> tuple[list[str], str]:
    left, arrow, output = spec.partition("->")
    if not all(c.isalpha() or c == "," for c in (left + output).replace("...", "")):
        raise ShapeError(f"einsum {spec!r}: subscripts are letters, commas, '...' and one '->'")
    if not set(output.replace("...", "")) <= set(left) or len(set(output)) != len(output.replace("...", ".")):
        raise ShapeError(f"einsum {spec!r}: the output {output!r} does not follow from the inputs")
    inputs = left.split(",")
    if len(inputs) != len(exprs):
        raise ShapeError(f"einsum {spec!r} has {len(inputs)} operands; {len(exprs)} were given")
    if "..." in spec:
        free = [c for c in string.ascii_letters if c not in spec]
        most = max(e.ndim - len(s.replace("...", "")) for e, s in zip(exprs, inputs, strict=True) if "..." in s)
        dots = "".join(free[:most])
        inputs = [
            s.replace("...", dots[most - (e.ndim - len(s.replace("...", ""))) :]) if "..." in s else s
            for e, s in zip(exprs, inputs, strict=True)
        ]
        output = output.replace("...", dots)
        if not arrow:
            output = dots + "".join(sorted(c for c in set(left) if c.isalpha() and left.count(c) == 1))
    elif not arrow:
        output = "".join(sorted(c for c in set(left) if c.isalpha() and left.count(c) == 1))
    sizes: dict[str, int] = {}
    for e, s in zip(exprs, inputs, strict=True):
        if len(s) != e.ndim:
            raise ShapeError(f"einsum {spec!r}: {describe(e)} has {e.ndim} axes, the subscripts name {len(s)}")
        for c, n in zip(s, e.shape, strict=True):
            if sizes.setdefault(c, n) != n:
                raise ShapeError(f"einsum {spec!r}: index {c!r} has lengths {sizes[c]} and {n}")
    return inputs, output


def _own_axes(x: Expr, labels: str) -> tuple[Expr, str]:
    """Repeated labels of one operand become its diagonal."""
    for c in dict.fromkeys(labels):
        while labels.count(c) > 1:
            i = labels.index(c)
            j = labels.index(c, i + 1)
            k = np.arange(x.shape[i])
            others = [a for a in range(x.ndim) if a not in (i, j)]
            x = transpose(x, (i, j, *others))
            x = getitem(x, (k, k))
            labels = c + "".join(labels[a] for a in others)
    return x, labels


def _contract(x: Expr, lx: str, y: Expr, ly: str, keep: set[str]) -> tuple[Expr, str]:
    """Two operands by one batched matrix product."""
    shared = [c for c in lx if c in ly]
    batch = [c for c in shared if c in keep]
    inner_ = [c for c in shared if c not in keep]
    only_x, only_y = [c for c in lx if c not in ly], [c for c in ly if c not in lx]
    size = dict(zip(lx, x.shape, strict=True)) | dict(zip(ly, y.shape, strict=True))
    count = [math.prod(size[c] for c in part) for part in (batch, only_x, inner_, only_y)]
    a = reshape(transpose(x, [lx.index(c) for c in batch + only_x + inner_]), (count[0], count[1], count[2]))
    b = reshape(transpose(y, [ly.index(c) for c in batch + inner_ + only_y]), (count[0], count[2], count[3]))
    labels = "".join(batch + only_x + only_y)
    if count[2] == 1 and not inner_:
        out = a * reshape(b, (count[0], 1, count[3]))
    elif count[0] == 1:
        out = _product(reshape(a, a.shape[1:]), reshape(b, b.shape[1:]))
    else:
        out = _product(a, b)
    return reshape(out, tuple(size[c] for c in labels)), labels


# -- constant sparse matrix times a vector or matrix ----------------------------------------------------------------


def _sparse_entries(args: Any, params: Any, k: int) -> Any:
    matrix = params[0].array
    row, col = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)), matrix.indices.astype(np.intp)
    if args[0].ndim == 1:
        return row, col, matrix.data
    n = args[0].shape[1]
    j = np.arange(n)
    return (row[:, None] * n + j).ravel(), (col[:, None] * n + j).ravel(), np.repeat(matrix.data, n)


_SPARSE = register(
    Primitive(
        "sparse_product",
        "linear",
        lambda x, matrix: matrix.array @ x,
        transpose=lambda ct, k, args, params: sparse_product(params[0].array.T, ct),
        entries=_sparse_entries,
    )
)


def sparse_product(matrix: Any, x: Any) -> Expr:
    """A constant ``scipy.sparse`` matrix times an expression of one or two dimensions."""
    x = as_expr(x)
    matrix = sparse.csr_array(matrix).astype(np.float64)
    if x.ndim not in (1, 2) or x.shape[0] != matrix.shape[1]:
        raise ShapeError(f"sparse matrix of shape {matrix.shape} @ {describe(x)} of shape {x.shape} do not fit")
    matrix.sum_duplicates()
    shape = (matrix.shape[0], *x.shape[1:])
    if isinstance(x, Constant):
        return constant(matrix @ x.value)
    return apply(_SPARSE, (x,), (Static(matrix),), shape)
