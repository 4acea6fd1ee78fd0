"""Training by splitting: ADMM in closed form (S20), auxiliary coordinates (S21), functional gradients (S23)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import scipy

import adjoint as adj
from adjoint.errors import ModelError, NameLookupError
from adjoint.learn import dense, parameters
from adjoint.optimize.splitting.functional import Module, boost
from adjoint.optimize.splitting.networks import (
    TANH,
    NetworkADMM,
    activation_update,
    cross_entropy_update,
    gram_sums,
    hinge_update,
    network_admm,
    relu_update,
    squared_update,
    tanh_update,
    weights_of_sums,
)

# -- S20: ADMM for networks ----------------------------------------------------------------------------------------


def brute(cost: Any, low: float = -6.0, high: float = 6.0) -> float:
    """The minimizer of a function of one number, by search."""
    z = np.linspace(low, high, 240_001)
    return float(z[np.argmin(cost(z))])


PUBLISHED_RELU = [
    ((1, -0.5), 0.863636),
    ((0.1, -2), -2.0),
    ((-1, 0.5), 0.0),
    ((0.5, 0.3), 0.481818),
    ((0.2, -0.5), -0.5),
]


@pytest.mark.parametrize(("point", "want"), PUBLISHED_RELU)
def test_relu_update(point: tuple[float, float], want: float) -> None:
    a, m = map(float, point)
    found = float(relu_update(np.array(a), np.array(m), 10.0, 1.0))
    assert found == pytest.approx(want, abs=1e-6)
    assert found == pytest.approx(brute(lambda z: 10 * (a - np.maximum(z, 0)) ** 2 + (z - m) ** 2), abs=1e-4)


@pytest.mark.parametrize(("point", "want"), [((0, 0), 0.5), ((0.8, 0), 1.0), ((1.5, 0.2), 1.4)])
def test_hinge_update(point: tuple[float, float], want: float) -> None:
    m, lam = map(float, point)
    assert float(hinge_update(np.array(1.0), np.array(m), np.array(lam), 1.0)) == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_updates_against_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, m, lam = rng.normal(size=3)
    gamma, beta = rng.uniform(0.2, 10, size=2)
    y = float(seed % 2)

    def hinge(z: np.ndarray) -> np.ndarray:
        return np.maximum(1 - z, 0) if y else np.maximum(z, 0)

    found = float(relu_update(np.array(a), np.array(m), gamma, beta))

    def relu_cost(z: Any) -> Any:
        return gamma * (a - np.maximum(z, 0)) ** 2 + beta * (z - m) ** 2

    assert relu_cost(found) <= relu_cost(brute(relu_cost)) + 1e-12
    for update, loss in ((hinge_update, hinge), (squared_update, lambda z: (z - y) ** 2)):
        found = float(update(np.array(y), np.array(m), np.array(lam), beta))
        want = brute(lambda z, loss=loss: loss(z) + lam * z + beta * (z - m) ** 2)
        assert found == pytest.approx(want, abs=1e-4)


@pytest.mark.parametrize("seed", range(12))
def test_tanh_update_is_the_global_minimizer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, m = 1.5 * rng.normal(size=8), 3 * rng.normal(size=8)
    gamma, beta = rng.uniform(0.2, 10, size=2)
    found = tanh_update(a, m, gamma, beta)
    for k in range(8):

        def cost(z: Any, k: int = k) -> Any:
            return gamma * (a[k] - np.tanh(z)) ** 2 + beta * (z - m[k]) ** 2

        assert cost(found[k]) <= cost(brute(cost, -15.0, 15.0)) + 1e-9


@pytest.mark.parametrize("beta", [1e-3, 1.0, 30.0])
def test_cross_entropy_update_is_stationary(beta: float) -> None:
    rng = np.random.default_rng(4)
    m, lam = 5 * rng.normal(size=(4, 50)), rng.normal(size=(4, 50))
    lam -= lam.mean(axis=0)
    y = np.eye(4)[rng.integers(0, 4, size=50)].T
    z = cross_entropy_update(y, m, lam, beta)
    p = np.exp(z - z.max(axis=0))
    np.testing.assert_allclose(p / p.sum(axis=0) - y + lam + 2 * beta * (z - m), 0.0, atol=1e-8)


def test_activation_and_weights_are_least_squares() -> None:
    rng = np.random.default_rng(1)
    W, z, h = rng.normal(size=(3, 4)), rng.normal(size=(3, 7)), rng.normal(size=(4, 7))
    stacked = np.concatenate([np.sqrt(2.0) * W, np.sqrt(5.0) * np.eye(4)])
    want = np.linalg.lstsq(stacked, np.concatenate([np.sqrt(2.0) * z, np.sqrt(5.0) * h]), rcond=None)[0]
    np.testing.assert_allclose(activation_update(W, z, h, 2.0, 5.0), want, rtol=1e-10)
    np.testing.assert_allclose(weights_of_sums([gram_sums(z, h)]), z @ np.linalg.pinv(h), rtol=1e-9)
    ridge = np.array([2.0, 2.0, 2.0, 0.0])  # min |z − W h|² + 2 |W|², the last column left out
    W = weights_of_sums([gram_sums(z, h)], ridge)
    np.testing.assert_allclose((W @ h - z) @ h.T + ridge * W, 0.0, atol=1e-10)


def test_sharded_sums_are_the_sums() -> None:
    rng = np.random.default_rng(2)
    z, a = rng.normal(size=(3, 50)), rng.normal(size=(4, 50))
    cuts = [0, 7, 8, 30, 50]
    parts = [gram_sums(z[:, i:j], a[:, i:j]) for i, j in zip(cuts[:-1], cuts[1:], strict=True)]
    whole = gram_sums(z, a)
    for k in range(2):
        np.testing.assert_allclose(sum(p[k] for p in parts), whole[k], rtol=1e-12)
    np.testing.assert_allclose(weights_of_sums(parts), weights_of_sums([whole]), rtol=1e-10)


def penalized(net: NetworkADMM, beta: float, gamma: float) -> float:
    """The objective of the method without its multiplier, for the hinge."""
    total = 0.0
    for s in net.shards:
        for layer, W in enumerate(net.weights):
            total += beta * float(np.sum((s.z[layer] - W @ s.before(layer)) ** 2))
            if layer < len(net.weights) - 1:
                total += gamma * float(np.sum((s.a[layer] - np.maximum(s.z[layer], 0)) ** 2))
        total += float(np.sum(np.where(s.y > 0.5, np.maximum(1 - s.z[-1], 0), np.maximum(s.z[-1], 0))))
    return total


def gaussians(rng: np.random.Generator, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    y = rng.integers(0, 2, size=n)
    X = rng.normal(size=(2, n)) + np.where(y, 2.5, -2.5)
    return np.concatenate([X, np.ones((1, n))]), y[None, :].astype(float)


def test_a_warm_start_never_raises_the_objective() -> None:
    X, y = gaussians(np.random.default_rng(3), 80)
    values: list[float] = []
    network_admm(
        [(X, y)], [10, 5, 1], iterations=25, warm=100, callback=lambda net, k: values.append(penalized(net, 1.0, 10.0))
    )
    assert len(values) == 25 and all(b <= a + 1e-9 * abs(a) for a, b in zip(values[:-1], values[1:], strict=True))


def test_two_gaussians_are_told_apart() -> None:
    accuracy = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        (X, y), (X_test, y_test) = gaussians(rng), gaussians(rng)
        net = network_admm([(X, y)], [10, 5, 1], seed=seed)
        accuracy.append(float(np.mean((net(X_test) > 0.5) == y_test)))
    assert np.median(accuracy) > 0.99


def test_the_other_order_of_penalties_is_a_guess() -> None:
    """β = 10 and γ = 1, as one implementation has them."""
    accuracy = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        (X, y), (X_test, y_test) = gaussians(rng), gaussians(rng)
        net = network_admm([(X, y)], [10, 5, 1], beta=10.0, gamma=1.0, seed=seed)
        accuracy.append(float(np.mean((net(X_test) > 0.5) == y_test)))
    assert np.median(accuracy) < 0.6


def moons(rng: np.random.Generator, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    angle, y = rng.uniform(0, np.pi, n), np.arange(n) % 2
    X = np.where(y == 0, [np.cos(angle), np.sin(angle)], [1 - np.cos(angle), 0.5 - np.sin(angle)])
    return np.concatenate([X + 0.1 * rng.normal(size=X.shape), np.ones((1, n))]), y[None, :].astype(float)


def test_two_moons_are_no_better_than_linear() -> None:
    """What is no success: with its one multiplier the method does not beat least squares, where gradients see all."""
    accuracy: dict[str, list[float]] = {"admm": [], "linear": [], "gradients": []}
    for seed in range(10):
        rng = np.random.default_rng(seed)
        (X, y), (X_test, y_test) = moons(rng), moons(rng)
        net = network_admm([(X, y)], [20, 10, 1], seed=seed)
        w = np.linalg.lstsq(X.T, y.T, rcond=None)[0]
        outputs = {"admm": net(X_test), "linear": w.T @ X_test}
        if seed < 3:
            m = moons_network(X.T, y.T, seed)
            found = adj.Problem(m, minimize="f", over=parameters(m)).solve("L-BFGS-B").solution
            weights = {name: found[name] for name in parameters(m)}
            outputs["gradients"] = m.solve({**weights, "x": X_test.T})["z"].T
        for name, z in outputs.items():
            accuracy[name].append(float(np.mean((z > 0.5) == y_test)))
    assert 0.8 < np.median(accuracy["admm"]) <= np.median(accuracy["linear"]) + 0.01 < 0.92
    assert np.median(accuracy["gradients"]) > 0.98


def moons_network(X: np.ndarray, y: np.ndarray, seed: int) -> adj.Program:
    """2-20-10-1 with the loss of the paper."""
    m = adj.Program("moons")
    x, target = m.input("x", X), m.input("y", y)
    z = dense(m, dense(m, dense(m, x, 20, "h", np.tanh, seed=seed), 10, "g", np.tanh, seed=seed), 1, "z", seed=seed)
    m.define("f", np.mean((z - target) ** 2))
    return m


def test_multipliers_at_every_equation_reach_an_optimum_of_the_network() -> None:
    """With ``multipliers="all"`` the gradient of the network's own loss vanishes, slowly; with one it does not."""
    rng = np.random.default_rng(5)
    X, W = rng.normal(size=(2, 40)), [0.7 * rng.normal(size=(4, 3)), 0.7 * rng.normal(size=(1, 5))]
    y = np.tanh(X[:1]) * 0.8 + 0.3 * X[1:] + 0.1

    def loss(weights: list[np.ndarray]) -> tuple[float, list[np.ndarray]]:
        m = adj.Program()
        W1, W2 = m.input("W1", weights[0]), m.input("W2", weights[1])
        z = W2[:, :4] @ np.tanh(W1[:, :2] @ X + W1[:, 2:]) + W2[:, 4:]
        m.define("f", np.sum((z - y) ** 2) + 0.1 * np.sum(W1[:, :2] ** 2) + 0.1 * np.sum(W2[:, :4] ** 2))
        s = m.solve()
        return s["f"], [s.gradient("f", wrt=name) for name in ("W1", "W2")]

    slopes, gaps = {}, {}
    for kind in ("output", "all"):
        net = network_admm(
            [(X[:, :15], y[:, :15]), (X[:, 15:], y[:, 15:])],
            [4, 1],
            squared_update,
            activation=TANH,
            bias=True,
            ridge=0.1,
            beta=1.0,
            gamma=1.0,
            weights=W,
            multipliers=kind,
            iterations=1000,
        )
        slopes[kind] = max(float(np.abs(g).max()) for g in loss(net.weights)[1])
        gaps[kind] = max(float(np.abs(s.a[0] - np.tanh(s.z[0])).max()) for s in net.shards)
        np.testing.assert_allclose(net(X[:, :3]), net(X)[:, :3])
    assert slopes["all"] < 0.1 * slopes["output"] and slopes["output"] > 0.1
    assert gaps["all"] < 1e-4
    with pytest.raises(ModelError, match="multipliers is"):
        network_admm([(X, y)], [4, 1], multipliers="none")


def test_shards_on_an_executor_change_nothing() -> None:
    X, y = gaussians(np.random.default_rng(4), 60)
    shards = [(X[:, :20], y[:, :20]), (X[:, 20:45], y[:, 20:45]), (X[:, 45:], y[:, 45:])]
    plain = network_admm(shards, [6, 1], iterations=12)
    with ThreadPoolExecutor(2) as pool:
        threaded = network_admm(shards, [6, 1], iterations=12, mapped=pool.map)
    for a, b in zip(plain.weights, threaded.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ModelError, match="at least one shard"):
        network_admm([], [6, 1])


def test_a_multiplier_at_the_last_term_only_sticks() -> None:
    """min (a − 1)² subject to w + a = 2: the method whose w does not see λ stops at (1.5, 0.5)."""
    a, lam = 0.0, 0.0
    for _ in range(200):
        w = 2.0 - a  # argmin (w + a − 2)²
        a = (2.0 - lam + 2.0 * (2.0 - w)) / 4.0  # argmin (a − 1)² + λ a + (w + a − 2)²
        lam += 2.0 * (w + a - 2.0)
    assert (w, a) == pytest.approx((1.5, 0.5), abs=1e-9) and (a - 1) ** 2 == pytest.approx(0.25)

    m = adj.Program()
    w_, a_ = m.input("w", 2.0), m.input("a", 0.0)
    m.define("f", (a_ - 1.0) ** 2)
    problem = adj.Problem(m, minimize="f", over=["w", "a"], subject_to={"line": w_ + a_ == 2})
    blocks = {"objective": ["f"], "equation": ["line"]}
    result = problem.solve("admm", options={"blocks": blocks, "executor": "serial", "penalty": 2.0})
    assert result.success
    np.testing.assert_allclose(result.x, [1.0, 1.0], atol=1e-4)


# -- S21: auxiliary coordinates ------------------------------------------------------------------------------------


def tanh_problem() -> adj.Problem:
    m = adj.Program()
    w = m.input("w", 0.1)
    z = m.define("z", np.tanh(w))
    m.define("f", 0.5 * (z - 0.5) ** 2 + 0.05 * w**2)
    return adj.Problem(m, minimize="f", over=["w"])


@pytest.mark.parametrize(
    ("mu", "distance", "multiplier"),
    [(10, -0.00588204, -0.0577887), (100, -0.000598177, -0.0587129), (1000, -5.992e-5, -0.0588076)],
)
def test_coordinates_tend_to_the_optimum_and_the_adjoint(mu: float, distance: float, multiplier: float) -> None:
    result = tanh_problem().solve("mac", options={"mu": mu, "mu_max": mu, "step_tol": 1e-10})
    assert result.x[0] - 0.4736972963 == pytest.approx(distance, rel=2e-4)
    assert mu * (np.tanh(result.x[0]) - result.coordinates["z"]) == pytest.approx(multiplier, rel=2e-6)
    assert result.multipliers["z"] == pytest.approx(multiplier, rel=2e-6)


def test_the_penalty_grows_until_the_equations_hold() -> None:
    result = tanh_problem().solve("mac", options={"tol": 1e-6})
    assert result.success and result.x[0] == pytest.approx(0.4736972963, abs=1e-5)
    assert result.multipliers["z"] == pytest.approx(-0.0588181844, rel=1e-4)
    penalties = [r.mu for r in result.history]
    assert penalties == sorted(penalties) and len(set(penalties)) > 3
    assert result.residuals().primal < 1e-12  # the equations are evaluated at the end


def linear_net(rng: np.random.Generator) -> tuple[adj.Problem, dict[str, np.ndarray]]:
    data = {"X": rng.normal(size=(3, 12)), "Y": rng.normal(size=(2, 12))}
    start = {"W1": rng.normal(size=(3, 3)), "W2": rng.normal(size=(2, 3))}
    m = adj.Program()
    X, Y = m.input("X", data["X"]), m.input("Y", data["Y"])
    W1, W2 = m.input("W1", start["W1"]), m.input("W2", start["W2"])
    Z = m.define("Z", W1 @ X)
    m.define("f", 0.5 * np.sum((Y - W2 @ Z) ** 2))
    return adj.Problem(m, minimize="f", over=["W1", "W2"]), {**data, **start}


def test_each_step_of_a_linear_net_is_least_squares() -> None:
    problem, v = linear_net(np.random.default_rng(5))
    mu, Z = 3.0, v["W1"] @ v["X"]
    result = problem.solve("mac", options={"mu": mu, "mu_max": mu, "max_iter": 1, "memory": 0, "pieces": 4})
    W1, W2 = result.x[:9].reshape(3, 3), result.x[9:].reshape(2, 3)
    np.testing.assert_allclose(W1, np.linalg.lstsq(v["X"].T, Z.T, rcond=None)[0].T, atol=1e-7)
    np.testing.assert_allclose(W2, np.linalg.lstsq(Z.T, v["Y"].T, rcond=None)[0].T, atol=1e-6)
    A = np.concatenate([W2, np.sqrt(mu) * np.eye(3)])
    want = np.linalg.lstsq(A, np.concatenate([v["Y"], np.sqrt(mu) * W1 @ v["X"]]), rcond=None)[0]
    np.testing.assert_allclose(result.coordinates["Z"], want, atol=1e-6)
    assert result.pieces == [4, 4]  # rows of the layers; samples


def test_a_linear_net_reaches_the_global_optimum_on_an_executor() -> None:
    problem, v = linear_net(np.random.default_rng(6))
    result = problem.solve("mac", options={"executor": "threads", "tol": 1e-4, "mu_max": 1e4, "max_iter": 60})
    best = 0.5 * np.sum((v["Y"] - np.linalg.lstsq(v["X"].T, v["Y"].T, rcond=None)[0].T @ v["X"]) ** 2)
    assert result.fun == pytest.approx(best, rel=1e-3)


def test_what_coordinates_cannot_do_is_named() -> None:
    m = adj.Program()
    x = m.input("x", 1.0)
    m.define("f", x**2)
    problem = adj.Problem(m, minimize="f", over=["x"], subject_to={"c": x >= 0.5})
    with pytest.raises(ModelError, match="'admm' takes inequalities"):
        problem.solve("mac")
    for options, error, words in (
        ({"nu": 1}, ModelError, "nu"),
        ({"mu": 0}, ModelError, "positive"),
        ({"mu_growth": 1.0}, ModelError, "mu_growth"),
        ({"steps": [["w"], ["q"]]}, NameLookupError, "'q'"),
        ({"steps": [["w"]]}, ModelError, "leaves out z"),
    ):
        with pytest.raises(error, match=words):
            tanh_problem().solve("mac", options=options)


# -- S23: functional gradients -------------------------------------------------------------------------------------


class Linear:
    """Least squares, in the manner of scikit-learn."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> Linear:
        self.coef_ = np.linalg.lstsq(X, y, rcond=None)[0]
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return X @ self.coef_


class Stump:
    """The best split of one column, in two constants."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> Stump:
        best = np.inf
        self.column, self.at, self.values = 0, -np.inf, (0.0, float(y.mean()))
        for column in range(X.shape[1]):
            for at in np.unique(X[:, column])[:-1]:
                left = X[:, column] <= at
                values = float(y[left].mean()), float(y[~left].mean())
                error = float(np.sum((y - np.where(left, *values)) ** 2))
                if error < best:
                    best, self.column, self.at, self.values = error, column, at, values
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.where(X[:, self.column] <= self.at, *self.values)


def test_linear_regressors_project_the_gradient() -> None:
    X = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 3.0]])
    lam = np.array([0.5, -1.0, 0.25, 2.0])
    m = adj.Program()
    x = m.input("x", X)
    module = Module(Linear)
    z = module.define(m, "z", x)
    m.define("f", np.sum(lam * z))  # whose multipliers at z are lam
    np.testing.assert_allclose(m.solve().multipliers("f")["z"], lam)
    np.testing.assert_allclose(X.T @ lam, [1.75, 5.5])
    history = boost(m, "f", [module], rounds=1, rate=0.1)
    rate, part = module.parts[0]
    assert rate == 0.1
    np.testing.assert_allclose(-part.coef_, [-0.425, 0.575])
    assert history[1].objective == pytest.approx(history[0].objective - 0.1 * lam @ X @ [-0.425, 0.575])
    np.testing.assert_allclose(m.solve().jacobian("z", "x")[1, 1], -0.1 * np.array([-0.425, 0.575]))


def two_modules(rng: np.random.Generator) -> tuple[adj.Program, list[Module], np.ndarray]:
    X = rng.uniform(-2, 2, size=(40, 2))
    target = np.sin(2 * X[:, 0]) * np.where(X[:, 1] > 0, 1.0, -1.0)
    m = adj.Program()
    x, y = m.input("x", X), m.input("y", target)
    first, second = Module(Stump), Module(Stump)
    z1 = first.define(m, "z1", x)
    u = m.define("u", np.tanh(z1))
    features = m.define("features", np.stack([u, x[:, 0], x[:, 1]], axis=1))
    z2 = second.define(m, "z2", features)
    m.define("loss", 0.5 * np.sum((u + z2 - y) ** 2))
    return m, [first, second], target


def test_stumps_in_two_modules_lower_the_loss_at_every_round() -> None:
    m, modules, target = two_modules(np.random.default_rng(7))
    history = boost(m, "loss", modules, rounds=40, rate=0.2)
    losses = [r.objective for r in history]
    assert len(history) == 41 and all(b < a for a, b in zip(losses[:-1], losses[1:], strict=True))
    assert losses[0] == pytest.approx(0.5 * np.sum(target**2)) and losses[-1] < 0.2 * losses[0]
    assert 0 < len(modules[0].parts) <= len(modules[1].parts) == 40


def test_regressors_of_scikit_learn() -> None:
    tree = pytest.importorskip("sklearn.tree")
    m, modules, _ = two_modules(np.random.default_rng(8))
    for module in modules:
        module.regressor = lambda: tree.DecisionTreeRegressor(max_depth=2, random_state=0)
    history = boost(m, "loss", modules, rounds=15, rate=0.2)
    assert history[-1].objective < 0.3 * history[0].objective


def test_modules_with_several_outputs_and_a_first_function() -> None:
    rng = np.random.default_rng(9)
    X, Y = rng.normal(size=(30, 3)), rng.normal(size=(30, 2))
    m = adj.Program()
    W = rng.normal(size=(3, 2))
    module = Module(Linear, initial=lambda rows: np.tanh(rows @ W), outputs=2)
    x = m.input("x", X)
    z = module.define(m, "z", x)
    m.define("f", 0.5 * np.sum((z - Y) ** 2))
    jacobian = m.solve().jacobian("z", "x")
    np.testing.assert_allclose(jacobian[4, :, 4, :], (1 - np.tanh(X[4] @ W) ** 2)[:, None] * W.T, atol=1e-7)
    boost(m, "f", [module], rounds=1, rate=1.0)
    residual = Y - np.tanh(X @ W)
    want = np.linalg.lstsq(X, residual, rcond=None)[0]
    np.testing.assert_allclose(module(X), np.tanh(X @ W) + X @ want, atol=1e-10)


def test_wrong_modules_are_named() -> None:
    m = adj.Program()
    x = m.input("x", np.ones((3, 2)))
    with pytest.raises(ModelError, match="not defined"):
        boost(m, "f", [Module(Stump)])
    with pytest.raises(ModelError, match="no axis of samples"):
        Module(Stump).define(m, "z", m.input("s", 1.0))
    module = Module(Stump)
    z = module.define(m, "z", 2 * x)
    m.define("f", np.sum(z**2))
    with pytest.raises(ModelError, match="define a variable"):
        boost(m, "f", [module])
    assert scipy.__version__
