"""Machine code without a compiler: it runs, and the memory is given back."""

from __future__ import annotations

import ctypes
import gc
import weakref

import pytest

from adjoint.backends.llvm_ import executable

pytestmark = pytest.mark.skipif(not executable.runs_x86(), reason="the processor runs other code")

DOUBLE = bytes.fromhex("f20f58c0c3")  # addsd xmm0, xmm0; ret


def test_code_runs() -> None:
    code = executable.MachineCode(DOUBLE)
    assert ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(code.address)(1.5) == 3.0


def test_code_longer_than_a_page_runs() -> None:
    code = executable.MachineCode(b"\x90" * 10_000 + DOUBLE)  # nop
    assert ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(code.address)(1.5) == 3.0


def test_memory_is_released_with_its_object() -> None:
    code = executable.MachineCode(DOUBLE)
    memory = weakref.ref(code._memory)
    del code
    gc.collect()
    assert memory() is None


def test_a_system_that_refuses_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executable, "_protect", lambda: lambda *_: -1)
    with pytest.raises(OSError, match="executable"):
        executable.MachineCode(DOUBLE)
    assert executable.runs_x86.__wrapped__() is False
