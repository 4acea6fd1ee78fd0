"""Array expressions that speak NumPy.

An :class:`Expr` is an immutable node of an expression graph: an operation (a row of a table of
:class:`Primitive`), its arguments, its static parameters and its shape. Nodes are hash-consed: building the
same operation on the same arguments twice gives the same object, so common subexpressions are shared from
the start, and comparing expressions is comparing identities.

This file knows no operation: operators, methods and NumPy functions look their builder up in the tables of
``primitive``, which ``primitives/`` fills.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import interning
from .describe import describe, shortened
from .errors import UnsupportedError
from .guard import guarded, unsupported
from .interning import keep, nodes, untrack
from .primitive import BUILDERS, FUNCTIONS, METHODS, UFUNC_METHODS, UFUNCS, Primitive, Shape, Static, ufunc_builder

__all__ = ["Comparison", "Constant", "Expr", "Variable", "apply", "as_expr", "describe"]


class Logic:
    """Conditions combine with &, | and ~ to masks of zeros and ones."""

    __slots__ = ()

    def __and__(self, other: Any) -> Expr:
        return as_mask(self) * as_mask(other)

    def __or__(self, other: Any) -> Expr:
        return 1.0 - (1.0 - as_mask(self)) * (1.0 - as_mask(other))  # a maximum would have a kink

    def __invert__(self) -> Expr:
        return 1.0 - as_mask(self)

    __rand__, __ror__ = __and__, __or__


Operator = Callable[[Any, Any], Any]


def _operators(name: str) -> tuple[Operator, Operator]:
    """``a ∘ b``, and the same called by b."""

    def operate(self: Any, other: Any) -> Any:
        try:
            return BUILDERS[name](self, other)
        except UnsupportedError:
            if not isinstance(self, Expr) and not isinstance(self, (str, bytes)) and hasattr(self, "__array_ufunc__"):
                return NotImplemented
            raise

    def reflected(self: Any, other: Any) -> Any:
        return operate(other, self)

    return operate, reflected


class Expr(Logic):
    """A symbolic array: float64, of static shape, immutable.

    Operators, indexing and NumPy functions on an expression build further expressions; comparisons build
    equations and inequalities. An expression has no value: a program that contains it is solved first.

    >>> import numpy as np, adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("x", [1.0, 2.0, 3.0])
    >>> y = np.exp(x[1:]) * 2
    >>> y.shape
    (2,)
    >>> y is np.exp(x[1:]) * 2
    True
    """

    __slots__ = ("__weakref__", "args", "op", "params", "shape")
    dtype = np.dtype(np.float64)
    __array_priority__ = 1000.0

    op: Primitive | None
    args: tuple[Expr, ...]
    params: tuple[Any, ...]
    shape: Shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        shape = self.shape
        return shape[0] if len(shape) == 1 else math.prod(shape)

    @property
    def T(self) -> Expr:
        """The transpose, axes reversed."""
        return FUNCTIONS[np.transpose](self)

    __hash__ = object.__hash__

    # -- what an expression cannot do, and what to do instead
    def __bool__(self) -> bool:
        raise UnsupportedError(
            f"the truth of the expression {describe(self)} is not known before the model is solved: "
            "'if', 'while', 'and', 'or' and 'not' cannot depend on it. Use np.where(condition, a, b), "
            "np.maximum or np.minimum; for conditions use &, | and ~."
        )

    def __float__(self) -> float:
        raise UnsupportedError(
            f"the expression {describe(self)} has no number yet: use NumPy's functions (np.exp, not math.exp) "
            "on it, and read the number from the solution, sol['name']"
        )

    __int__ = __index__ = __complex__ = __float__

    def __setitem__(self, index: Any, value: Any) -> None:
        raise UnsupportedError(
            "expressions are immutable: instead of x[i] = v write x = adj.put(x, i, v), or build the array with "
            "np.concatenate, np.stack or np.where"
        )

    def __contains__(self, item: Any) -> bool:
        raise UnsupportedError("'in' does not work on expressions: their elements have no value yet")

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        if dtype is not None and np.dtype(dtype) != np.dtype(object):
            raise UnsupportedError(
                f"the expression {describe(self)} cannot become a numeric array: it has no value before the model "
                "is solved. A function that needs numbers can be called through m.external(...)."
            )
        # SciPy's sparse matrices defer to us for a 0-d object array; all else gets an array of the elements.
        whole = sys._getframe(1).f_globals.get("__name__", "").startswith("scipy.sparse")
        out = np.empty(() if whole else self.shape, dtype=object)
        for k in np.ndindex(out.shape):
            out[k] = self[k] if k else self
        return out

    # -- NumPy's protocols
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        builder = ufunc_builder(ufunc) if method == "__call__" else UFUNC_METHODS.get((ufunc, method))
        if builder is not None and not kwargs:
            if len(inputs) == 1:
                return builder(self)
            return guarded(ufunc.__name__, builder, inputs, kwargs)
        if builder is None or any(kwargs.get(k) is not None for k in ("out", "where") if k in kwargs):
            called = ufunc.__name__ + ("" if method == "__call__" else "." + method)
            raise unsupported(f"{called}" + (" with " + ", ".join(kwargs) if kwargs and builder else ""))
        kwargs = {k: v for k, v in kwargs.items() if k not in ("out", "where")}
        if "dtype" in kwargs and kwargs.pop("dtype") not in (None, float, np.float64, "float64", "float"):
            raise unsupported(f"{ufunc.__name__} with a dtype other than float64")
        return guarded(ufunc.__name__, builder, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        builder = FUNCTIONS.get(func)
        what = f"{getattr(func, '__module__', None) or 'numpy'}.{getattr(func, '__name__', func)}"
        if builder is None:
            raise unsupported(what)
        return guarded(what, builder, args, kwargs)

    # -- operators
    __add__, __radd__ = _operators("add")
    __sub__, __rsub__ = _operators("subtract")
    __mul__, __rmul__ = _operators("multiply")
    __truediv__, __rtruediv__ = _operators("divide")
    __pow__, __rpow__ = _operators("power")
    __matmul__, __rmatmul__ = _operators("matmul")

    def __floordiv__(self, other: Any) -> Any:
        raise unsupported("the operator //")

    def __mod__(self, other: Any) -> Any:
        raise unsupported("the operator %")

    __rfloordiv__, __rmod__ = __floordiv__, __mod__
    __divmod__ = __rdivmod__ = __mod__

    def __xor__(self, other: Any) -> Any:
        raise UnsupportedError("the operator ^ is not available on expressions: the power is **")

    __rxor__ = __xor__

    def __round__(self, digits: int = 0) -> Any:
        raise UnsupportedError("round() is not available on expressions: use np.rint, whose derivative is 0")

    def __neg__(self) -> Expr:
        return BUILDERS["negative"](self)

    def __pos__(self) -> Expr:
        return self

    def __abs__(self) -> Expr:
        return BUILDERS["absolute"](self)

    def __getitem__(self, index: Any) -> Expr:
        return BUILDERS["getitem"](self, index)

    def __len__(self) -> int:
        if not self.shape:
            raise UnsupportedError(f"len() of the scalar expression {describe(self)}")
        return self.shape[0]

    def __iter__(self) -> Iterator[Expr]:
        return (self[i] for i in range(len(self)))

    # -- comparisons
    def __eq__(self, other: Any) -> Any:
        return _compare(self, "==", other)

    def __ne__(self, other: Any) -> Any:
        return _compare(self, "!=", other)

    def __le__(self, other: Any) -> Any:
        return _compare(self, "<=", other)

    def __ge__(self, other: Any) -> Any:
        return _compare(self, ">=", other)

    def __lt__(self, other: Any) -> Any:
        return _compare(self, "<", other)

    def __gt__(self, other: Any) -> Any:
        return _compare(self, ">", other)

    def __getattr__(self, name: str) -> Any:
        # NumPy's methods are its functions: x.sum(axis=0) is np.sum(x, axis=0).
        builder = METHODS.get(name) or UFUNCS.get(getattr(np, name, None))  # elements of object arrays are asked so
        if builder is None:
            raise AttributeError(f"an expression has no attribute {name!r}")
        return lambda *args, **kwargs: guarded(f"the method {name}", builder, (self, *args), kwargs)

    def __repr__(self) -> str:
        shape = f", shape={self.shape}" if self.shape else ""
        return f"<Expr {describe(self)}{shape}>"


class Operation(Expr):
    """An operation on expressions.

    A sibling of constants and variables, not their base: in ``a == b`` Python asks b first where b's type is a
    subclass of a's, which would turn the equation and the sign of its multiplier.
    """

    __slots__ = ()


class Constant(Expr):
    """A constant array: read-only, hash-consed by content."""

    __slots__ = ("value",)
    value: Any

    def __reduce__(self) -> Any:
        return constant, (self.value,)


class Variable(Expr):
    """A named variable: a leaf of expressions. Made by ``Program.input``, ``unknown`` and ``define``.

    Attributes
    ----------
    name : str

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> x = m.input("x", [1.0, 2.0])
    >>> x.name, x.shape
    ('x', (2,))
    """

    __slots__ = ("_owner", "home", "name")
    name: str

    def __init__(self, name: str, shape: Shape = (), owner: Any = None, home: str = "") -> None:
        self.op, self.args, self.params, self.shape = None, (), (), shape
        self.name, self._owner, self.home = name, owner, home  # owner: a weak reference, or None; home: its name

    @property
    def owner(self) -> Any:
        """The program it belongs to; None for leaves that derivatives introduce, and where the program is gone."""
        return None if self._owner is None else self._owner()

    def __reduce__(self) -> Any:
        owner = self.owner
        return (Variable, (self.name, self.shape)) if owner is None else (_variable_of, (owner, self.name))


def _variable_of(owner: Any, name: str) -> Variable:
    return owner.variables[name]


class Comparison(Logic):
    """``lhs == rhs``, ``lhs <= rhs``, …: an equation, an inequality, or the condition of ``np.where``.

    Its truth is not known before the model is solved, so ``bool()`` of it raises.

    >>> import adjoint as adj
    >>> m = adj.Program()
    >>> m.input("x", 1.0) <= 3
    x <= 3
    """

    __slots__ = ("lhs", "op", "rhs")
    __array_priority__ = 1000.0

    def __init__(self, lhs: Expr, op: str, rhs: Expr) -> None:
        self.lhs, self.op, self.rhs = lhs, op, rhs

    def mask(self) -> Expr:
        """1.0 where the comparison holds, else 0.0."""
        return BUILDERS[self.op](self.lhs, self.rhs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in self.__slots__:
            raise AttributeError(name)
        return getattr(self.mask(), name)

    def __bool__(self) -> bool:
        raise UnsupportedError(
            f"the truth of {self!r} is not known before the model is solved: 'if', 'while', 'and', 'or', 'not' "
            "and chained comparisons cannot depend on it. Use np.where(condition, a, b); for a two-sided "
            "constraint use adj.between(lower, expression, upper)."
        )

    __hash__ = object.__hash__
    __eq__, __ne__ = Expr.__eq__, Expr.__ne__
    __array_ufunc__ = Expr.__array_ufunc__
    __array_function__ = Expr.__array_function__

    def __repr__(self) -> str:
        return f"{describe(self.lhs)} {self.op} {describe(self.rhs)}"


def _through_mask(name: str) -> Any:
    return lambda self, *args: getattr(self.mask(), name)(*args)


for _name in ("add", "sub", "mul", "truediv", "pow", "matmul"):  # masks count: (x > 0) * y
    setattr(Comparison, f"__{_name}__", _through_mask(f"__{_name}__"))
    setattr(Comparison, f"__r{_name}__", _through_mask(f"__r{_name}__"))
for _name in ("__neg__", "__getitem__", "__len__", "__iter__"):
    setattr(Comparison, _name, _through_mask(_name))

# -- building nodes ----------------------------------------------------------------------------------------


def constant(value: Any) -> Constant:
    """The constant node of a number or an array (copied, read-only)."""
    if type(value) is float and value != 0.0:
        node = interning.constants.get(value)
        if node is not None:
            return node
    if type(value) is float:
        value = np.float64(value)
    elif not isinstance(value, np.float64):
        try:
            value = np.array(value, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise UnsupportedError(
                f"{shortened(value)} cannot be part of an expression: expected an expression, a number or an array "
                f"of real numbers ({error})"
            ) from None
        if value.shape == ():
            value = value[()]
        else:
            value.setflags(write=False)
    key: Any
    if isinstance(value, np.float64):
        key = float(value) if value != 0.0 and value == value else value.tobytes()
    elif value.size <= 16:
        key = (value.shape, value.tobytes())
    else:
        key = Static(value)
    node = interning.constants.get(key)
    if node is None:
        node = Constant.__new__(Constant)
        node.op, node.args, node.params = None, (), ()
        node.shape, node.value = value.shape, value
        node = interning.keep_constant(key, node)
    return node


def as_expr(value: Any) -> Expr:
    """The expression of a value: itself, a constant, or a (nested) list of expressions stacked."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, Comparison):
        return value.mask()
    if type(value) in (float, int, np.float64):
        return constant(value)
    if isinstance(value, (str, bytes)) or value is None or callable(value):
        raise UnsupportedError(
            f"{shortened(value)} cannot be part of an expression: expected an expression, a number or an array of "
            "real numbers"
        )
    if isinstance(value, (list, tuple)) or getattr(value, "dtype", None) == np.dtype(object):
        if getattr(value, "shape", None) == ():
            return as_expr(value.item())
        items = list(value)
        if any(not isinstance(item, (int, float)) for item in items):
            parts = [as_expr(item) for item in items]
            if any(not isinstance(part, Constant) for part in parts) or len({p.shape for p in parts}) > 1:
                return FUNCTIONS[np.stack](parts)
    if hasattr(value, "toarray"):
        value = value.toarray()
    if np.iscomplexobj(value):
        raise UnsupportedError("expressions are real (float64): a complex constant cannot be part of one")
    return constant(value)


def as_mask(value: Any) -> Expr:
    """A condition as an expression of zeros and ones: 1 where the value is not zero."""
    if isinstance(value, Comparison):
        return value.mask()
    return BUILDERS["!="](as_expr(value), 0.0)


_new: Any = object.__new__


def apply(op: Primitive, args: tuple[Expr, ...], params: tuple[Any, ...], shape: Shape) -> Expr:
    """The node of an operation: the one that exists already, or a new one."""
    # Of numbers only where it can be: such a tuple costs the garbage collector nothing.
    key: Any
    if params:
        key = (id(op), *map(id, args), params)
    elif len(args) == 2:
        a, b = args
        key = (id(op), id(a), id(b))
    elif len(args) == 1:
        key = (id(op), id(args[0]))
    else:
        key = (id(op), *map(id, args))
    node = nodes.get(key)
    if node is None:
        node = _new(Operation)
        node.op, node.args, node.params, node.shape = op, args, params, shape
        if untrack is not None:
            untrack(node)
            untrack(args)
        node = keep(key, node)
    return node


def new_node(op: Primitive, args: tuple[Expr, ...], params: tuple[Any, ...], shape: Shape) -> Operation:
    """A node that is not shared."""
    node = _new(Operation)
    node.op, node.args, node.params, node.shape = op, args, params, shape
    return node


def _compare(a: Any, op: str, b: Any) -> Any:
    if b is None or isinstance(b, (str, bytes)):
        if op in ("==", "!="):
            return NotImplemented
        raise UnsupportedError(f"{describe(a)} {op} {b!r}: expected an expression or numbers on the right")
    return Comparison(as_expr(a), op, as_expr(b))
