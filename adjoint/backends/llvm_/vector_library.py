"""Vector functions of the C library, where it has them: glibc's libmvec."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterable

from .vector_steps import has_vector_math

__all__ = ["vector_functions"]

# The functions of the library, with their numbers of arguments: those that :mod:`.vector_math` lacks, and the others.
# All are within 4 units in the last place, and give infinities, NaN and signs of zero as the scalar functions do.
FUNCTIONS = {"atan2": 2, "hypot": 2, "cbrt": 1, "erf": 1, "erfc": 1}
OTHERS = {"pow": 2} | dict.fromkeys(("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan"), 1)
OTHERS |= dict.fromkeys(("asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"), 1)
# Names of the vector function ABI: the instruction set, no mask, the width, and a ``v`` for each argument.
PREFIXES = {2: "_ZGVbN2", 4: "_ZGVdN4", 8: "_ZGVeN8"}


def vector_functions(widths: Iterable[int]) -> dict[tuple[str, int], tuple[str, int]]:
    """(C name, width) → (symbol, address); empty where the library is not.

    Widths are 2, 4 and 8; the processor must have the instructions: SSE2, AVX2, AVX-512 (F and DQ).

    >>> all(symbol.endswith("v_" + name) for (name, _), (symbol, _) in vector_functions([2]).items())
    True
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return {}
    try:
        library = ctypes.CDLL("libmvec.so.1")
    except OSError:
        return {}
    found = {}
    for width in widths:
        names = FUNCTIONS if has_vector_math(width) else FUNCTIONS | OTHERS
        for name, count in names.items():
            symbol = f"{PREFIXES[width]}{'v' * count}_{name}"
            function = getattr(library, symbol, None)
            if function is not None:
                address = ctypes.cast(function, ctypes.c_void_p).value
                assert address is not None
                found[name, width] = (symbol, address)
    return found
