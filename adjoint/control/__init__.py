"""Optimal control: a differential equation as equations of a program, by shooting or by collocation."""

from __future__ import annotations

from .path import Trajectory
from .trajectory import trajectory

__all__ = ["Trajectory", "trajectory"]
