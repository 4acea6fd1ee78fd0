"""Compiled kernels on disk: kept, found again by other processes, and never trusted without a check."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adjoint.backends import BACKENDS
from adjoint.expr import Variable

pytest.importorskip("llvmlite", reason="compiles kernels with llvmlite")

from adjoint.backends.llvm_ import disk_cache, target
from adjoint.backends.llvm_.disk_cache import HEAD, cache_folder, clear_cache

LLVM = BACKENDS["llvm"]
ROOT = Path(__file__).resolve().parents[2]


class Counter:
    """Programs compiled as by a process that has just started, and how often LLVM was asked."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch, self.compiled = folder, patch, 0
        make: Callable[..., bytes] = target._object_code

        def counting(*args: Any) -> bytes:
            self.compiled += 1
            return make(*args)

        patch.setattr(target, "_object_code", counting)

    def run(self, n: int = 5) -> int:
        """How many modules a program of n elements took; its answer must be right."""
        before = self.compiled
        self.patch.setattr(target, "_modules", {})
        self.again(n)
        return self.compiled - before

    def again(self, n: int = 5) -> None:
        """The same, as by this process."""
        x = Variable("x", (n,))
        function = LLVM.compile([x], [np.sin(x) * 1.5 + x[::-1]])
        v = np.linspace(0.0, 1.0, n)
        np.testing.assert_allclose(function(v)[0], np.sin(v) * 1.5 + v[::-1], rtol=1e-14)

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir()) if self.folder.is_dir() else []


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counter:
    x = Variable("x")
    LLVM.compile([x], [x * 2.0])  # what all programs share is compiled, and not counted
    folder = tmp_path / "kernels" / "here"
    monkeypatch.setenv("ADJOINT_CACHE_DIR", str(folder))
    return Counter(folder, monkeypatch)


def test_compiled_once(cache: Counter) -> None:
    assert not cache.files
    assert cache.run() == 1
    assert [f.suffix for f in cache.files] == [".o"]
    assert cache.run() == 0
    assert cache.run(6) == 1
    assert len(cache.files) == 2
    cache.again(6)
    assert cache.compiled == 2, "in one process the module itself is shared"


def test_the_folder_is_the_users_own(cache: Counter) -> None:
    cache.run()
    if os.name == "posix":
        assert cache.folder.stat().st_mode & 0o077 == 0


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut in the head": lambda data: data[: len(HEAD) // 2],
    "the head only": lambda data: data[: len(HEAD)],
    "cut in the digest": lambda data: data[: len(HEAD) + 7],
    "no code": lambda data: data[: len(HEAD) + 32],
    "cut": lambda data: data[:-1],
    "cut in the middle": lambda data: data[: len(data) // 2],
    "longer": lambda data: data + b"\0",
    "a byte changed": lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:],
    "another version": lambda data: data.replace(b"code 1", b"code 0", 1),
    "something else": lambda data: b"\x7fELF" + bytes(range(256)) * 10,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_made_again(cache: Counter, damage: str) -> None:
    cache.run()
    (path,) = cache.files
    whole = path.read_bytes()
    path.write_bytes(DAMAGE[damage](whole))
    assert path.read_bytes() != whole
    assert cache.run() == 1
    assert cache.files == [path] and path.read_bytes()[: len(HEAD)] == HEAD
    assert cache.run() == 0


def test_a_folder_where_the_file_should_be(cache: Counter) -> None:
    cache.run()
    (path,) = cache.files
    path.unlink()
    path.mkdir()
    assert cache.run() == 1
    assert cache.run() == 1
    assert cache.files == [path], "no temporary files are left"


def test_another_machine_has_files_of_its_own(cache: Counter) -> None:
    cache.run()
    state = target._started()
    cache.patch.setitem(state, "where", state["where"] + "\nanother processor")
    assert cache.run() == 1
    assert len(cache.files) == 2


def test_nothing_is_kept_where_nothing_can_be_written(cache: Counter) -> None:
    """A file stands where the folder, or one above it, should be."""
    cache.folder.parent.parent.mkdir(exist_ok=True)
    cache.folder.parent.write_text("a file")
    assert cache.run() == 1 and cache.run() == 1
    assert cache.folder.parent.read_text() == "a file"
    assert clear_cache() == 0
    cache.patch.setenv("ADJOINT_CACHE_DIR", str(cache.folder.parent))
    assert cache.run() == 1 and cache.run() == 1
    assert clear_cache() == 0


@pytest.mark.parametrize("step", ["write", "replace"])
def test_writing_that_fails_leaves_nothing(cache: Counter, step: str) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        if step == "replace":
            patch.setattr(disk_cache.os, "replace", fail)
        else:
            patch.setattr(disk_cache.tempfile, "mkstemp", fail)
        assert cache.run() == 1
        assert cache.files == []
    assert cache.run() == 1
    assert cache.run() == 0


def test_switched_off(cache: Counter, tmp_path: Path) -> None:
    cache.run()
    cache.patch.setenv("ADJOINT_CACHE_DIR", "")
    cache.patch.chdir(tmp_path)
    assert cache_folder() is None
    assert cache.run() == 1 and cache.run() == 1
    assert clear_cache() == 0
    assert len(cache.files) == 1 and sorted(p.name for p in tmp_path.iterdir()) == ["kernels"]


def test_clear(cache: Counter) -> None:
    cache.run()
    cache.run(6)
    (cache.folder / "abandoned.part").write_bytes(b"half")
    other = cache.folder / "notes.txt"
    other.write_text("not ours")
    assert clear_cache() == 3
    assert cache.files == [other]
    assert clear_cache() == 0
    cache.again(6)  # what is in memory stays
    assert cache.compiled == 2
    assert cache.run() == 1


def test_the_oldest_files_go_first(cache: Counter) -> None:
    """Once per process the folder is brought below the limit."""
    for k in range(3):
        cache.run(5 + k)
        for path in cache.files:
            stamp = path.stat()
            os.utime(path, (stamp.st_atime - 100, stamp.st_mtime - 100))
    files = sorted(cache.files, key=lambda p: p.stat().st_mtime)
    size = max(p.stat().st_size for p in files)
    cache.patch.setattr(disk_cache, "LIMIT", 2 * size + size // 2)
    cache.patch.setattr(disk_cache, "_checked", set())
    assert cache.run(9) == 1
    assert not files[0].exists() and not files[1].exists() and files[2].exists()
    assert len(cache.files) == 2


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ADJOINT_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "adjoint"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache_folder() == tmp_path / ".cache" / "adjoint"

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert cache_folder() is None
    monkeypatch.setenv("ADJOINT_CACHE_DIR", str(tmp_path))
    assert cache_folder() == tmp_path


PROCESS = """
import sys
import numpy as np
from adjoint.backends import BACKENDS
from adjoint.backends.llvm_ import target
from adjoint.expr import Variable
count = [0]
make = target._object_code
def counting(*args):
    count[0] += 1
    return make(*args)
target._object_code = counting
print("ready", flush=True)
sys.stdin.readline()
for n in range(2, 14):
    v = np.linspace(0.0, 1.0, n)
    x = Variable("x", (n,))
    f = BACKENDS["llvm"].compile([x], [x * 0.25 + x[::-1], np.sum(x)])
    assert np.allclose(f(v)[0], v * 0.25 + v[::-1], rtol=1e-15), n
print(count[0], flush=True)
"""


def test_processes_at_once(cache: Counter) -> None:
    """Several processes write the same files at one time; one that comes later compiles nothing."""

    def start() -> Any:
        return subprocess.Popen(
            [sys.executable, "-c", PROCESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    count = 13  # of 12 programs, and of what they share
    processes = [start() for _ in range(3)]
    try:
        for p in processes:
            assert p.stdout.readline() == "ready\n", p.stderr.read()
        late = processes.pop()
        for p in processes:
            p.stdin.write("go\n")
            p.stdin.flush()
        for p in processes:
            out, err = p.communicate(timeout=300)
            assert p.returncode == 0, err
            assert 0 <= int(out) <= count
        assert len(cache.files) == count and {f.suffix for f in cache.files} == {".o"}
        processes.append(late)
        out, err = late.communicate("go\n", timeout=300)
        assert late.returncode == 0, err
        assert int(out) == 0
    finally:
        for p in processes:
            p.kill()
            p.wait()
    assert clear_cache() == count
