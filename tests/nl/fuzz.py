"""Corrupt ``.nl`` files: each must be read, or refused with the library's own error, in little time and memory.

``python -m tests.nl.fuzz 10000 [--build]`` mutates the files of ADJOINT_DATA/nl (and a sample), in worker processes
of limited memory; ``--build`` makes a Problem of what can be read. The n-th mutation is the same in every run.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import adjoint as adj
from adjoint.nl.model import CALL, STRING, VARIABLE, Model
from adjoint.nl.read import read_model
from tests.nl.samples import TEXT, to_binary

SECONDS = 5.0
MEMORY = 1 << 30
BATCH = 500
MAX_SIZE = 40_000
NUMBERS = (b"-1", b"0", b"1", b"3", b"64", b"99", b"255", b"65536", b"2147483647", b"2147483648", b"-2147483648")
NUMBERS += (
    b"1000000000000",
    b"9223372036854775807",
    b"9" * 40,
    b"1e308",
    b"1e999",
    b"nan",
    b"-inf",
    b"0.5",
    b"1e-320",
    b"",
)
LETTERS = b"CLOVFSdxrbkKJGnslvofh0123456789#-+. \n\r\t\x00\xff:"

Rng = np.random.Generator


def flip_bytes(data: bytes, rng: Rng) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 8))):
        changed[rng.integers(len(data))] = rng.integers(256)
    return bytes(changed)


def put_letters(data: bytes, rng: Rng) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        changed[rng.integers(len(data))] = LETTERS[rng.integers(len(LETTERS))]
    return bytes(changed)


def truncate(data: bytes, rng: Rng) -> bytes:
    return data[: rng.integers(len(data))]


def cut_lines(data: bytes, rng: Rng) -> bytes:
    lines = data.split(b"\n")
    begin = int(rng.integers(len(lines)))
    return b"\n".join(lines[:begin] + lines[begin + int(rng.integers(1, 5)) :])


def repeat_lines(data: bytes, rng: Rng) -> bytes:
    lines = data.split(b"\n")
    begin = int(rng.integers(len(lines)))
    end = begin + int(rng.integers(1, 12))
    return b"\n".join(lines[:end] + lines[begin:end] * int(rng.integers(1, 4)) + lines[end:])


def swap_lines(data: bytes, rng: Rng) -> bytes:
    lines = data.split(b"\n")
    i, j = rng.integers(len(lines), size=2)
    lines[i], lines[j] = lines[j], lines[i]
    return b"\n".join(lines)


def change_number(data: bytes, rng: Rng) -> bytes:
    """A number of any line becomes another one."""
    lines = data.split(b"\n")
    i = int(rng.integers(len(lines)))
    return b"\n".join(lines[:i] + [other_number(lines[i], rng)] + lines[i + 1 :])


def change_header(data: bytes, rng: Rng) -> bytes:
    """A number of the header becomes another one."""
    lines = data.split(b"\n")
    i = int(rng.integers(min(10, len(lines))))
    return b"\n".join(lines[:i] + [other_number(lines[i], rng)] + lines[i + 1 :])


def other_number(line: bytes, rng: Rng) -> bytes:
    words = line.split(b" ")
    k = int(rng.integers(len(words)))
    number = NUMBERS[rng.integers(len(NUMBERS))]
    words[k] = words[k][:1] + number if words[k][:1].isalpha() else number
    return b" ".join(words)


def put_word(data: bytes, rng: Rng) -> bytes:
    """Four bytes become a small, large or negative 32-bit integer."""
    word = int(rng.choice([0, 1, 2, 54, 64, 255, 1 << 16, (1 << 31) - 1, -1, -(1 << 31), 1 << 28]))
    i = int(rng.integers(len(data)))
    return data[:i] + word.to_bytes(4, "little", signed=True) + data[i + 4 :]


def insert_bytes(data: bytes, rng: Rng) -> bytes:
    i = int(rng.integers(len(data)))
    return data[:i] + rng.bytes(int(rng.integers(1, 20))) + data[i:]


MUTATIONS: tuple[Callable[[bytes, Rng], bytes], ...] = (
    flip_bytes,
    put_letters,
    truncate,
    cut_lines,
    repeat_lines,
    swap_lines,
    change_number,
    change_number,
    change_header,
    put_word,
    insert_bytes,
)


def mutated(files: list[bytes], n: int) -> bytes:
    """The n-th mutation: one to three changes of one of the files."""
    rng = np.random.default_rng(n)
    data = files[rng.integers(len(files))]
    for _ in range(int(rng.integers(1, 4))):
        if data:
            data = MUTATIONS[rng.integers(len(MUTATIONS))](data, rng)
    return data


def samples(folder: str | None) -> list[bytes]:
    """Files to mutate: the sample in its three forms, and the small ones of a folder."""
    files = [TEXT, to_binary(TEXT, "<"), to_binary(TEXT, ">")]
    if folder:
        found = (path.read_bytes() for path in sorted((Path(folder) / "nl").rglob("*.nl")))
        for data in found:
            if len(data) < MAX_SIZE:
                files.append(data)
                if data[:1] == b"g" and len(files) % 4 == 0:  # some of them as binary too
                    files.append(as_binary(data))
    return files


def as_binary(data: bytes) -> bytes:
    try:
        return to_binary(data)
    except (ValueError, KeyError, IndexError):  # not a file that the plain encoder understands
        return data


def check_model(model: Model) -> None:
    """What every model that is read promises."""
    n, n_all = len(model.code), model.n_var + model.n_defined
    assert len(model.value) == len(model.index) == len(model.place) == n
    for spans in (model.con_expr, model.obj_expr, model.defined_expr, model.logical_expr):
        assert (spans >= 0).all() and (spans <= n).all() and (spans[:, 0] <= spans[:, 1]).all()
    variable = model.index[model.code == VARIABLE]
    assert ((variable >= 0) & (variable < n_all)).all()
    assert (model.index[model.code == STRING] < len(model.strings)).all()
    assert (model.index[model.code == CALL] < len(model.functions)).all()
    assert (model.index[model.code == 64] < len(model.piecewise)).all()
    for linear, rows, below in (
        (model.con_linear, model.n_con, model.n_var),
        (model.obj_linear, model.n_obj, model.n_var),
        (model.defined_linear, model.n_defined, n_all),
    ):
        assert len(linear.start) == rows + 1 and linear.start[0] == 0
        assert linear.start[-1] == len(linear.var) == len(linear.coef)
        assert (np.diff(linear.start) >= 0).all() and ((linear.var >= 0) & (linear.var < below)).all()
    assert model.var_lower.shape == model.var_upper.shape == model.x0.shape == model.integer.shape == (model.n_var,)
    assert model.con_lower.shape == model.con_upper.shape == model.dual0.shape == (model.n_con,)


def outcome(path: Path, build: bool) -> str:
    """How the reading of a file ended: "read", or the name of the library's error; any other error is raised."""
    try:
        model = read_model(path)
        check_model(model)
        if build:
            adj.read_nl(path, relax=True)
    except adj.AdjointError as error:
        assert str(error)
        return type(error).__name__
    return "read"


def _out_of_time(signum: int, frame: Any) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


def work(begin: int, end: int, build: bool) -> None:
    """Mutations begin...end-1, in this process, which from here on has limited memory."""
    files = samples(os.environ.get("ADJOINT_DATA"))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _out_of_time)
    counts: Counter[str] = Counter()
    slowest = (0.0, 0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutated.nl"
        for n in range(begin, end):
            path.write_bytes(mutated(files, n))
            print("begin", n, flush=True)
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            started = time.perf_counter()
            try:
                result = outcome(path, build)
            except Exception as error:
                result = "FAILED"
                print(f"failed {n} {type(error).__name__}: {error}", flush=True)
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            slowest = max(slowest, (time.perf_counter() - started, n))
            counts[result] += 1
    print("counts", *(f"{name}={count}" for name, count in sorted(counts.items())))
    print(f"slowest {slowest[0]:.6f} {slowest[1]}")


def main() -> int:
    """Mutations 0...n-1 in worker processes; gives the number of failures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("n", type=int)
    parser.add_argument("--build", action="store_true", help="make a Problem of what can be read")
    parser.add_argument("--begin", type=int, default=0)
    parser.add_argument("--worker", action="store_true", help="in this process, with limited memory")
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.begin, arguments.n, arguments.build)
        return 0
    counts: Counter[str] = Counter()
    slowest, failures = (0.0, 0), 0
    for begin in range(arguments.begin, arguments.n, BATCH):
        command = [sys.executable, "-m", "tests.nl.fuzz", str(min(begin + BATCH, arguments.n)), "--worker"]
        command += ["--begin", str(begin), *(["--build"] if arguments.build else [])]
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        lines = [line.split(" ", 1) for line in run.stdout.splitlines() if " " in line]
        for word, rest in lines:
            if word == "failed":
                failures += 1
                print("mutation", rest)
            elif word == "counts":
                counts.update({name: int(count) for name, count in (item.split("=") for item in rest.split())})
            elif word == "slowest":
                seconds, n = rest.split()
                slowest = max(slowest, (float(seconds), int(n)))
        if run.returncode:
            failures += 1
            print(f"the worker ended with {run.returncode} after {lines[-1] if lines else begin}: {run.stderr[-2000:]}")
    print(dict(counts), f"slowest {slowest[0] * 1e3:.1f} ms (mutation {slowest[1]})", f"{failures} failures")
    return failures


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
