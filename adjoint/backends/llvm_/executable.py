"""Memory that the processor may run: machine code that was written without a compiler."""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import sys
from functools import cache

__all__ = ["MachineCode", "runs_x86"]

RETURN = b"\xc3"  # of x86-64


class MachineCode:
    """Machine code in executable memory, which is released with this object.

    It is written to memory of its own, which then can be run and no longer written (``mprotect``); an OSError where the
    system does not allow that.

    Attributes
    ----------
    address : int
        Of its first instruction.
    """

    def __init__(self, code: bytes) -> None:
        self._memory = mmap.mmap(-1, len(code), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._memory.write(code)
        self._start = ctypes.c_char.from_buffer(self._memory)  # keeps the memory where it is
        self.address = ctypes.addressof(self._start)
        if _protect()(self.address, len(code), mmap.PROT_READ | mmap.PROT_EXEC):
            raise OSError(ctypes.get_errno(), "memory cannot be made executable")


@cache
def _protect() -> ctypes._NamedFuncPointer:
    function = ctypes.CDLL(None, use_errno=True).mprotect
    function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int], ctypes.c_int
    return function


@cache
def runs_x86() -> bool:
    """Whether this process runs machine code of x86-64 that it writes, with arguments passed as on Unix."""
    if os.name != "posix" or platform.machine().lower() not in ("x86_64", "amd64") or sys.maxsize <= 2**32:
        return False
    try:
        code = MachineCode(RETURN)
    except (OSError, AttributeError):  # the system refuses, or has no such function
        return False
    ctypes.CFUNCTYPE(None)(code.address)()
    return True
