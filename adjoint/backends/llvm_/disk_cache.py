"""Object code on disk: files named by the digest of what they were made from.

Safe against other processes (a file appears whole, by renaming) and against corruption (its own digest stands in its
head; a file that does not match is deleted and made again). Where the folder cannot be written, nothing is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

__all__ = ["cache_folder", "clear_cache", "load", "store"]

HEAD = b"adjoint object code 1\n"
LIMIT = 512_000_000  # bytes; beyond, the files used longest ago are deleted
_checked: set[str] = set()


def cache_folder() -> Path | None:
    """Where compiled kernels are kept: ``ADJOINT_CACHE_DIR``, else the user's cache folder; None: nowhere.

    Set the variable to an empty string to keep nothing on disk.

    >>> import adjoint as adj
    >>> folder = adj.cache_folder()
    """
    given = os.environ.get("ADJOINT_CACHE_DIR")
    if given is not None:
        return Path(given) if given else None
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "adjoint"
    except RuntimeError:  # no home folder
        return None


def load(digest: str) -> bytes | None:
    """The object code of a digest; None where it is not there, or not whole."""
    folder = cache_folder()
    if folder is None:
        return None
    path = folder / f"{digest}.o"
    try:
        data = path.read_bytes()
    except OSError:
        return None
    start = len(HEAD) + 32
    code = data[start:]
    if data[: len(HEAD)] == HEAD and data[len(HEAD) : start] == hashlib.sha256(code).digest():
        return code
    with contextlib.suppress(OSError):
        path.unlink()
    return None


def store(digest: str, code: bytes) -> None:
    """Keep object code; quietly not where that is impossible."""
    folder = cache_folder()
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=folder, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(HEAD + hashlib.sha256(code).digest() + code)
            os.replace(name, folder / f"{digest}.o")
        except OSError:
            os.unlink(name)
            raise
        _keep_small(folder)
    except OSError:
        return


def _keep_small(folder: Path) -> None:
    """Once per process: delete the oldest files where all together are too large."""
    if str(folder) in _checked:
        return
    _checked.add(str(folder))
    files = sorted((p.stat().st_mtime, p.stat().st_size, p) for p in folder.glob("*.o"))
    total = sum(size for _, size, _ in files)
    for _, size, path in files:
        if total <= LIMIT:
            break
        path.unlink(missing_ok=True)
        total -= size


def clear_cache() -> int:
    """Delete all compiled kernels on disk; the number of files deleted.

    >>> import adjoint as adj
    >>> adj.clear_cache() >= 0
    True
    """
    folder = cache_folder()
    count = 0
    if folder is not None and folder.is_dir():
        for path in [*folder.glob("*.o"), *folder.glob("*.part")]:
            with contextlib.suppress(OSError):
                path.unlink()
                count += 1
    return count
