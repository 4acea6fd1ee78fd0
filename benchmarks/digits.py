"""Handwritten digits: one small network trained by several methods, beside a linear classifier and PyTorch.

The data are scikit-learn's bundled ``load_digits`` (1,797 images of 8 × 8). Each seed draws a split (80 % training)
and first weights; all methods start from the same ones, and minimize the same mean cross-entropy with the same weight
decay. ADMM is the gradient-free one of Taylor et al. (weights and activations in closed form, tanh and cross-entropy by
Newton steps), with its one multiplier, and with one for every equation; MAC relaxes the equation of the hidden layer.
The figure is the error on the test images, a mean over ten seeds; ``ours`` is a method's, ``peer`` that of logistic
regression. A method whose error is not below the linear one's does not count as working here. The last rows are times
of the same training in this library and in PyTorch (float64, one thread).
``python -m benchmarks.digits --seeds 2 --methods 'adam;rprop'`` runs a part.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import adjoint as adj
from adjoint.learn import cross_entropy, dense, one_hot, parameters
from adjoint.optimize.splitting.networks import TANH, cross_entropy_update, network_admm

from .harness import Row

__all__ = ["ADMM", "METHODS", "Score", "Split", "network", "problem_of", "run", "split", "train"]

SEEDS = 10
HIDDEN, CLASSES, ROWS = 32, 10, 32
DECAY = 1e-3
EPOCHS, RATE = 30, 1e-2

# What each method is given: the options, and whether it takes mini-batches.
METHODS: dict[str, tuple[dict[str, Any], bool]] = {
    "sgd": ({"learning_rate": 0.1, "momentum": 0.9, "epochs": EPOCHS, "schedule": "cosine"}, True),
    "adam": ({"learning_rate": RATE, "epochs": EPOCHS, "schedule": "cosine"}, True),
    "rprop": ({"step": 0.01, "max_iter": 200}, False),
    "gradient-descent": ({"max_iter": 300}, False),
    "L-BFGS-B": ({"maxiter": 200}, False),
    "mac": (
        {
            "mu": 1e-3,
            "mu_growth": 3.0,
            "mu_max": 0.3,
            "step_tol": 2e-3,
            "tol": 1e-3,
            "max_iter": 40,
            "pieces": 1,
            "method": "L-BFGS-B",
            "method_options": {"maxiter": 50},
        },
        False,
    ),
    "natural-gradient": ({"outputs": "scores", "max_iter": 25, "cg_iter": 30, "damping": 0.1}, False),
}

FORMULATIONS = {"mac": {"hidden": "full"}}  # the equation that is relaxed
# The closed-form ADMM: which equations have a multiplier, the first penalties, iterations.
ADMM: dict[str, dict[str, Any]] = {
    "ADMM (Taylor et al.)": {"multipliers": "output", "beta": 1.0, "gamma": 1.0, "iterations": 150},
    "ADMM, all multipliers": {"multipliers": "all", "beta": 1.0, "gamma": 1.0, "iterations": 300},
}


@dataclass(frozen=True)
class Split:
    """Images and labels, for training and for the test, of one seed."""

    seed: int
    x: np.ndarray
    labels: np.ndarray
    x_test: np.ndarray
    labels_test: np.ndarray


@dataclass(frozen=True)
class Score:
    """A trained network: errors on both parts, and seconds, first with what is compiled."""

    test_error: float
    training_error: float
    seconds: float


def split(seed: int) -> Split:
    """The split of a seed; pixels between 0 and 1."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    cut = int(0.8 * len(order))
    x, labels = digits.data[order] / 16.0, digits.target[order]
    return Split(seed, x[:cut], labels[:cut], x[cut:], labels[cut:])


def network(rows: int, seed: int) -> adj.Program:
    """64 - 32 - 10, tanh, cross-entropy and weight decay."""
    m = adj.Program("digits")
    x, target = m.input("x", np.zeros((rows, 64))), m.input("target", np.full((rows, CLASSES), 0.1))
    hidden = dense(m, x, HIDDEN, "hidden", np.tanh, seed=seed)
    scores = dense(m, hidden, CLASSES, "scores", seed=seed)
    decay = 0.5 * DECAY * (np.sum(m["hidden.weights"] ** 2) + np.sum(m["scores.weights"] ** 2))
    m.define("loss", cross_entropy(scores, target) + decay)
    return m


def problem_of(rows: int, seed: int) -> adj.Problem:
    """The training problem on batches of a size."""
    m = network(rows, seed)
    return adj.Problem(m, minimize="loss", over=parameters(m))


def error_of(weights: dict[str, Any], x: np.ndarray, labels: np.ndarray) -> float:
    """The share of images that a network gets wrong."""
    m = network(len(x), 0)
    scores = m.solve({**weights, "x": x})["scores"]
    return float(np.mean(np.argmax(scores, axis=1) != labels))


def train(name: str, s: Split) -> Score:
    """Train by a method of the library."""
    options, batched = METHODS[name]
    data = {"x": s.x, "target": one_hot(s.labels, CLASSES)}
    start = time.perf_counter()
    problem = problem_of(ROWS if batched else len(s.x), s.seed)
    if batched:
        result = problem.solve(name, options={**options, "data": data}, seed=s.seed)
    else:
        formulation = FORMULATIONS.get(name, "reduced")
        result = problem.solve(name, options=options, values=data, formulation=formulation)
    seconds = time.perf_counter() - start
    weights = {v.name: result.solution[v.name] for v in problem.variables}
    return Score(error_of(weights, s.x_test, s.labels_test), error_of(weights, s.x, s.labels), seconds)


def train_admm(name: str, s: Split) -> Score:
    """The same network, first weights and objective, times the number of samples, without gradients."""
    m, layers = network(1, s.seed), ("hidden", "scores")
    values = {v.name: np.array(m.inputs[v]) for v in m.inputs}
    first = [np.column_stack([values[f"{k}.weights"].T, values[f"{k}.bias"]]) for k in layers]
    start = time.perf_counter()
    found = network_admm(
        [(s.x.T, one_hot(s.labels, CLASSES).T)],
        [HIDDEN, CLASSES],
        cross_entropy_update,
        activation=TANH,
        bias=True,
        ridge=0.5 * DECAY * len(s.x),
        weights=first,
        **ADMM[name],
    )
    seconds = time.perf_counter() - start
    weights: dict[str, Any] = {}
    for k, W in zip(layers, found.weights, strict=True):
        weights[f"{k}.weights"], weights[f"{k}.bias"] = W[:, :-1].T, W[:, -1]
    return Score(error_of(weights, s.x_test, s.labels_test), error_of(weights, s.x, s.labels), seconds)


def train_linear(s: Split) -> Score:
    """Logistic regression, with the same decay."""
    from sklearn.linear_model import LogisticRegression

    start = time.perf_counter()
    model = LogisticRegression(C=1.0 / (DECAY * len(s.x)), max_iter=2000).fit(s.x, s.labels)
    seconds = time.perf_counter() - start
    return Score(1.0 - model.score(s.x_test, s.labels_test), 1.0 - model.score(s.x, s.labels), seconds)


def train_torch(s: Split) -> Score:
    """The same network and weights, by Adam in PyTorch."""
    import torch

    torch.set_num_threads(1)
    m = network(1, s.seed)
    first = {v.name: torch.tensor(np.array(m.inputs[v]), requires_grad=True) for v in m.inputs if "." in v.name}
    x, labels = torch.tensor(s.x), torch.tensor(s.labels)

    def scores(of: Any) -> Any:
        hidden = torch.tanh(of @ first["hidden.weights"] + first["hidden.bias"])
        return hidden @ first["scores.weights"] + first["scores.bias"]

    start = time.perf_counter()
    steps = EPOCHS * (len(x) // ROWS)
    optimizer = torch.optim.Adam(first.values(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    random = np.random.default_rng(s.seed)
    for _ in range(EPOCHS):
        order = random.permutation(len(x))
        for k in range(len(x) // ROWS):
            rows = order[k * ROWS : (k + 1) * ROWS]
            decay = (first["hidden.weights"] ** 2).sum() + (first["scores.weights"] ** 2).sum()
            loss = torch.nn.functional.cross_entropy(scores(x[rows]), labels[rows]) + 0.5 * DECAY * decay
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    seconds = time.perf_counter() - start
    weights = {name: w.detach().numpy() for name, w in first.items()}
    return Score(error_of(weights, s.x_test, s.labels_test), error_of(weights, s.x, s.labels), seconds)


def measure(names: Iterable[str], seeds: int) -> dict[str, list[Score]]:
    """Scores by method, of each seed in turn."""
    trainers: dict[str, Any] = {"linear": train_linear}
    for name in names:
        trainers[name] = partial(train_admm if name in ADMM else train, name)
    try:
        import torch  # noqa: F401
    except ImportError:
        pass
    else:
        trainers["adam (PyTorch)"] = train_torch
    scores: dict[str, list[Score]] = {name: [] for name in trainers}
    for seed in range(seeds):
        s = split(seed)
        for name, trainer in trainers.items():
            scores[name].append(trainer(s))
    return scores


def rows_of(scores: dict[str, list[Score]]) -> list[Row]:
    """Test errors beside the linear baseline's, and times beside PyTorch's."""

    def mean(name: str, field: str) -> float:
        return float(np.mean([getattr(s, field) for s in scores[name]]))

    rows = []
    for name, found in scores.items():
        if name == "linear":
            continue
        errors = np.array([s.test_error for s in found])
        gain = np.array([b.test_error for b in scores["linear"]]) - errors
        note = (
            f"± {errors.std():.4f}; training error {mean(name, 'training_error'):.4f}; {mean(name, 'seconds'):.2f} s; "
        )
        note += f"better in {int((gain > 1e-9).sum())} of {len(errors)} seeds"
        rows.append(Row(f"test error, {name}", float(errors.mean()), mean("linear", "test_error"), "linear", "", note))
    if "adam" in scores and "adam (PyTorch)" in scores:
        rows.append(Row("time, adam", mean("adam", "seconds"), mean("adam (PyTorch)", "seconds"), "PyTorch"))
    return rows


def run(repeat: int) -> list[Row]:
    """The table; ``repeat`` does not matter: the seeds are ten."""
    return rows_of(measure([*METHODS, *ADMM], SEEDS))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser("python -m benchmarks.digits")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--methods", default=";".join([*METHODS, *ADMM]))
    chosen = parser.parse_args()
    for row in rows_of(measure(chosen.methods.split(";"), chosen.seeds)):
        print(f"{row.name:30s} {row.ours:8.4f} {row.peer_name} {row.peer or 0.0:8.4f}  {row.note}", flush=True)


if __name__ == "__main__":
    main()
