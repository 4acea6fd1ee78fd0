"""What all tests share: the reference data, and how hypothesis draws."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")  # figures without a screen, here and in subprocesses

# No deadline: the first call of a function compiles it. In CI every run draws the same examples.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_configure(config: pytest.Config) -> None:
    """Machine code of the tests is kept apart from the user's: with what pytest keeps."""
    cache = getattr(config, "cache", None)
    if cache is not None:
        os.environ.setdefault("ADJOINT_CACHE_DIR", str(cache.mkdir("adjoint")))


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of third-party models with reference answers, named by ADJOINT_DATA."""
    folder = os.environ.get("ADJOINT_DATA")
    if not folder:
        pytest.skip("reads third-party reference data: set ADJOINT_DATA to its folder")
    path = Path(folder).resolve()
    if not path.is_dir():
        pytest.skip(f"reads third-party reference data: ADJOINT_DATA={folder} is not a folder")
    return path
