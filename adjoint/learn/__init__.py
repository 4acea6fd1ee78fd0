"""Layers, losses and initializers: sub-programs of ordinary equations, enough for small networks."""

from __future__ import annotations

from .initializers import glorot_normal, glorot_uniform, he_normal, orthogonal, zeros
from .layers import convolution, dense, parameters, recurrent
from .losses import cross_entropy, hinge, one_hot, squared_error

__all__ = [
    "convolution",
    "cross_entropy",
    "dense",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "hinge",
    "one_hot",
    "orthogonal",
    "parameters",
    "recurrent",
    "squared_error",
    "zeros",
]
