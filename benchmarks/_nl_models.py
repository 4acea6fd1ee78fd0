"""Large models as AMPL ``.nl`` texts, of any size: where reading is measured."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

__all__ = ["MODELS", "luksan_vlcek", "nl_text", "power_flow", "random_terms"]

Row = tuple[Iterable[int], Iterable[float]]


def nl_text(
    objective: str, constraints: list[str], objective_row: Row, rows: list[Row], x0: np.ndarray, rhs: np.ndarray
) -> str:
    """A file from expressions as tokens and the linear parts (with zeros for variables that are nonlinear only)."""
    n, m = x0.size, len(constraints)
    nnz = sum(len(list(r[0])) for r in rows)
    columns = (
        np.bincount(np.concatenate([np.fromiter(r[0], int) for r in rows]), minlength=n) if rows else np.zeros(n, int)
    )
    parts = [
        "g3 1 1 0",
        f" {n} {m} 1 0 {m}",
        f" {m} 1",
        " 0 0",
        f" {n} {n} {n}",
        " 0 0 0 1",
        " 0 0 0 0 0",
        f" {nnz} {len(list(objective_row[0]))}",
        " 0 0",
        " 0 0 0 0 0",
    ]
    parts += [f"C{i}\n{c}" for i, c in enumerate(constraints)]
    parts += [f"O0 0\n{objective}", f"x{n}", *(f"{i} {v!r}" for i, v in enumerate(x0.tolist()))]
    parts += ["r", *(f"4 {v!r}" for v in rhs.tolist()), "b", *["3"] * n]
    parts += [f"k{n - 1}", *map(str, np.cumsum(columns)[:-1].tolist())]
    for i, (ids, coef) in enumerate(rows):
        parts += [f"J{i} {len(list(ids))}", *(f"{j} {c!r}" for j, c in zip(ids, coef, strict=True))]
    ids, coef = objective_row
    parts += [f"G0 {len(list(ids))}", *(f"{j} {c!r}" for j, c in zip(ids, coef, strict=True))]
    return "\n".join(parts) + "\n"


def luksan_vlcek(n: int) -> str:
    """The chained problem 5.1 of Lukšan & Vlček 1999: n variables, n − 2 constraints of one pattern."""
    constraints, rows = [], []
    for k in range(n - 2):
        a, b, c = f"v{k}", f"v{k + 1}", f"v{k + 2}"
        constraints.append(
            f"o54\n4\no2\nn3\no5\n{b}\nn3\no2\no41\no1\n{b}\n{c}\no41\no0\n{b}\n{c}\n"
            f"o16\no2\n{a}\no44\no1\n{a}\n{b}\nn-5"
        )
        rows.append(((k, k + 1, k + 2), (0.0, 4.0, 2.0)))
    terms = []
    for k in range(n - 1):
        terms.append(f"o2\nn100\no5\no1\no5\nv{k}\nn2\nv{k + 1}\nn2\no5\no0\nv{k}\nn-1\nn2")
    goal = f"o54\n{2 * (n - 1)}\n" + "\n".join(terms)
    x0 = np.where(np.arange(n) % 2 == 0, -1.2, 1.0)
    return nl_text(goal, constraints, (range(n), [0.0] * n), rows, x0, np.full(n - 2, 3.0))


def power_flow(n: int, seed: int = 0) -> str:
    """Balances of active and reactive power at n buses with 1 to 6 neighbours each: sums of different lengths."""
    rng = np.random.default_rng(seed)
    constraints, rows = [], []
    for kind, (first, second) in enumerate((("o46", "o41"), ("o41", "o46"))):
        for i in range(n):
            near = np.unique(np.clip(i + rng.integers(-20, 20, rng.integers(1, 7)), 0, n - 1))
            near = near[near != i]
            terms = [f"o2\nn{rng.random()!r}\no5\nv{i}\nn2"]
            for j in near.tolist():
                g, b = rng.random(2).tolist()
                angle = f"o1\nv{n + i}\nv{n + j}"
                terms.append(f"o2\no2\nv{i}\nv{j}\no0\no2\nn{g!r}\n{first}\n{angle}\no2\nn{b!r}\n{second}\n{angle}")
            if len(terms) > 2:
                constraints.append(f"o54\n{len(terms)}\n" + "\n".join(terms))
            else:
                constraints.append("\n".join(["o0"] * (len(terms) - 1) + terms))
            ids = sorted({i, n + i, *near.tolist(), *(n + near).tolist(), (2 + kind) * n + i})
            rows.append((ids, [-1.0 if j >= 2 * n else 0.0 for j in ids]))
    goal = f"o54\n{n}\n" + "\n".join(f"o2\nn{c!r}\no5\nv{2 * n + i}\nn2" for i, c in enumerate(rng.random(n).tolist()))
    x0 = np.concatenate([np.ones(n), 0.1 * rng.standard_normal(n), np.zeros(2 * n)])
    return nl_text(goal, constraints, (range(2 * n, 3 * n), [1.0] * n), rows, x0, np.zeros(2 * n))


def random_terms(n: int, seed: int = 0) -> str:
    """n constraints, each a random expression of its own in 4 of n variables."""
    rng = np.random.default_rng(seed)
    unary = ("o41", "o46", "o44", "o49", "o37", "o16")
    constraints, rows = [], []
    for i in range(n):
        ids = np.unique(np.clip(i + rng.integers(-50, 50, 4), 0, n - 1)).tolist()
        tokens: list[str] = []
        needed = 1
        while needed:
            r = rng.random()
            if r < 0.35 and needed + len(tokens) < 24:
                tokens.append(str(rng.choice(["o0", "o1", "o2"])))
                needed += 1
            elif r < 0.55 and len(tokens) < 24:
                tokens.append(str(rng.choice(unary)))
            else:
                tokens.append(f"v{rng.choice(ids)}" if r < 0.9 else f"n{rng.random()!r}")
                needed -= 1
        constraints.append("\n".join(tokens))
        rows.append((ids, [1.0] * len(ids)))
    return nl_text("n0", constraints, ((0,), (1.0,)), rows, 0.1 * rng.standard_normal(n), np.zeros(n))


MODELS = {"luksan_vlcek": luksan_vlcek, "power_flow": power_flow, "random_terms": random_terms}
