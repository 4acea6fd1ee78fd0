"""Building many nodes: the garbage collector pauses, and runs again afterwards as it did before."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import numpy as np
import pytest

import adjoint as adj
from adjoint.interning import paused_collection


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    before = gc.isenabled()
    yield
    (gc.enable if before else gc.disable)()


def test_collection_pauses_until_the_last_block_ends() -> None:
    gc.enable()
    with paused_collection():
        with paused_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_collection_runs_again_after_an_error() -> None:
    gc.enable()
    with pytest.raises(ValueError, match="inside"), paused_collection():
        raise ValueError("inside")
    assert gc.isenabled()


def test_what_the_user_switched_off_stays_off() -> None:
    gc.disable()
    with paused_collection():
        pass
    assert not gc.isenabled()


def test_a_model_leaves_the_collector_as_it_was() -> None:
    gc.enable()
    m = adj.Program()
    x = m.input("x", np.ones(200))
    y = m.define("y", np.sum(np.exp(x) * np.sin(x)))
    fun = m.function("y")
    assert fun.jac(fun.x0).shape == (200,)
    assert gc.isenabled()
    assert y.shape == ()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_collects() -> None:
    """Another thread may have been building when the process was forked: nobody would switch the collector on."""
    gc.enable()
    with paused_collection():
        child = os.fork()
        if not child:
            os._exit(0 if gc.isenabled() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
