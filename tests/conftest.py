"""What all tests share: the reference data, and how hypothesis draws."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from adjoint.__main__ import main

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


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command line; exit code, stdout, stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(words))
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def json_of(run: Any) -> Any:
    """Runs a command line with --json; what stdout holds. The exit code must be the one expected."""

    def json_of(*words: str, code: int = 0) -> Any:
        got, out, err = run(*words, "--json")
        assert got == code, err
        return json.loads(out, parse_constant=pytest.fail)  # NaN and Infinity are no JSON

    return json_of
