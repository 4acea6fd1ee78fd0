"""Consensus on MPI's workers: real processes, one of which does not answer for a while.

A rank that is killed ends the whole job, by MPI's own rules: what can be lost and done again there is an answer.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        MPIEXEC is None or importlib.util.find_spec("mpi4py") is None, reason="mpi4py or mpiexec is not installed"
    ),
]


@pytest.mark.parametrize("stop", [False, True], ids=["calm", "one worker stops"])
def test_workers_of_mpi(stop: bool) -> None:
    script = ROOT / "tests" / "optimize" / "mpi_script.py"
    command = [
        str(MPIEXEC),
        "-n",
        "3",
        sys.executable,
        "-m",
        "mpi4py.futures",
        str(script),
        *(["stop"] if stop else []),
    ]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    found = re.search(r"workers (\d) success (\w+) error (\S+) redone (\d+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert (found[1], found[2]) == ("2", "True") and float(found[3]) < 1e-4
    assert (int(found[4]) > 0) == stop
