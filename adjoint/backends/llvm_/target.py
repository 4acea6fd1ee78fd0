"""The machine: LLVM IR text in, addresses of functions out. The one file that imports llvmlite.

One execution engine serves the whole process. Object code is kept on disk under the digest of the text, the versions
and the processor, so that another process loads it instead of compiling.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import platform
import threading
from typing import Any

from .disk_cache import load, store
from .executable import runs_x86
from .vector_library import vector_functions

__all__ = ["available", "compile_module", "module_header", "takes_machine_code", "vector_width"]

_lock = threading.Lock()
_modules: dict[str, Module] = {}
_state: dict[str, Any] = {}

NAME = "adjoint_name"  # stands for the unique prefix of a module's functions


def available() -> bool:
    """Whether llvmlite is installed."""
    return importlib.util.find_spec("llvmlite") is not None


class Module:
    """Functions that were compiled together; addresses by name."""

    def __init__(self, prefix: str, engine: Any) -> None:
        self.prefix, self._engine = prefix, engine

    def address(self, name: str) -> int:
        """Where the function ``@adjoint_name_<name>`` is."""
        address = self._engine.get_function_address(f"{self.prefix}_{name}")
        if not address:
            raise KeyError(name)
        return address


def _start() -> dict[str, Any]:
    import llvmlite
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features()

    def machine(level: int) -> Any:
        return target.create_target_machine(cpu=cpu, features=features.flatten(), opt=level, jit=True)

    # The engine owns its target machine; another one emits the code.
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine(2))
    width = 8 if features.get("avx512f") and features.get("avx512dq") else 4 if features.get("avx2") else 2
    symbols: dict[tuple[str, int], str] = {}
    for key, (symbol, address) in vector_functions((2, 4, 8)).items():
        if key[1] <= width:
            llvm.add_symbol(symbol, address)
            symbols[key] = symbol
    where = [llvmlite.__version__, str(llvm.llvm_version_info), cpu, features.flatten(), platform.platform()]
    machines = {k: machine(k) for k in (0, 1, 2)}
    _state.update(llvm=llvm, where="\n".join(where), machines=machines, width=width, symbols=symbols)
    _state["engine"] = engine  # last: other threads look for it
    return _state


def _started() -> dict[str, Any]:
    if "engine" not in _state:
        with _lock:
            if "engine" not in _state:
                _start()
    return _state


def vector_width() -> int:
    """Doubles in a vector register."""
    return _started()["width"]


def vector_symbols() -> dict[tuple[str, int], str]:
    """Symbols of the vector functions that were found, by C name and width."""
    return _started()["symbols"]


def module_header() -> str:
    """Attribute groups: #0 for definitions, #1 for functions without side effects, called with vectors."""
    bits = 64 * vector_width()
    wide = f'"min-legal-vector-width"="{bits}" "prefer-vector-width"="{bits}"'
    return f"attributes #0 = {{ nounwind {wide} }}\nattributes #1 = {{ nounwind willreturn memory(none) {wide} }}\n"


def compile_module(text: str, level: int = 2) -> Module:
    """Compile functions named ``@adjoint_name_<name>``; equal text is compiled once.

    ``level`` is that of LLVM's code generation: 0 is for long straight-line code, on which more takes too long, and for
    code so short that it does not matter.
    """
    state = _started()
    digest = hashlib.blake2b(f"{level}\n{state['where']}\n{text}".encode(), digest_size=20).hexdigest()
    with _lock:
        module = _modules.get(digest)
        if module is None:
            prefix = f"adjoint_{digest}"
            code = load(digest)
            if code is None:
                code = _object_code(state, text.replace(NAME, prefix), level)
                store(digest, code)
            llvm = state["llvm"]
            state["engine"].add_object_file(llvm.ObjectFileRef.from_data(code))
            state["engine"].finalize_object()
            module = _modules[digest] = Module(prefix, state["engine"])
    return module


def _object_code(state: dict[str, Any], text: str, level: int) -> bytes:
    llvm = state["llvm"]
    module = llvm.parse_assembly(text)
    machine = state["machines"][level]
    # Measured: beyond inlining LLVM's optimizations find nothing in this code, and take as long as all the rest.
    passes = llvm.create_new_module_pass_manager()
    passes.add_always_inliner_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=1)))
    return machine.emit_object(module)


def takes_machine_code() -> bool:
    """Whether the processor runs what :mod:`.straight` writes: x86-64 with AVX."""
    return runs_x86() and vector_width() >= 4


def function(address: int, *types: Any, release_gil: bool = False) -> Any:
    """A callable of machine addresses (and other ctypes types): without releasing the GIL it is the quicker one."""
    kind = ctypes.CFUNCTYPE if release_gil else ctypes.PYFUNCTYPE
    return kind(None, *types)(address)
