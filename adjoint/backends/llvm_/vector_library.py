"""Vector functions of the C library, where it has them: glibc's libmvec."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterable

__all__ = ["vector_functions"]

# The functions that :mod:`.vector_math` does not have, with their numbers of arguments.
FUNCTIONS = {
    "pow": 2,
    "atan2": 2,
    "hypot": 2,
    "cbrt": 1,
    "asin": 1,
    "acos": 1,
    "atan": 1,
    "asinh": 1,
    "acosh": 1,
    "atanh": 1,
    "erf": 1,
    "erfc": 1,
}
# Names of the vector function ABI: the instruction set, no mask, the width, and a ``v`` for each argument.
PREFIXES = {"x86_64": {2: "_ZGVbN2", 4: "_ZGVdN4", 8: "_ZGVeN8"}, "aarch64": {2: "_ZGVnN2"}}


def vector_functions(widths: Iterable[int]) -> dict[tuple[str, int], tuple[str, int]]:
    """(C name, width) → (symbol, address); empty where the library is not.

    The processor must have the instructions: 128 bits for width 2, AVX2 for 4, AVX-512 (F and DQ) for 8.

    >>> all(symbol.endswith("v_" + name) for (name, _), (symbol, _) in vector_functions([2]).items())
    True
    """
    prefixes = PREFIXES.get(platform.machine(), {}) if platform.system() == "Linux" else {}
    try:
        library = ctypes.CDLL("libmvec.so.1") if prefixes else None
    except OSError:
        return {}
    found = {}
    for width in widths:
        for name, count in FUNCTIONS.items():
            symbol = f"{prefixes.get(width)}{'v' * count}_{name}"
            function = getattr(library, symbol, None)
            if function is not None:
                address = ctypes.cast(function, ctypes.c_void_p).value
                assert address is not None
                found[name, width] = (symbol, address)
    return found
