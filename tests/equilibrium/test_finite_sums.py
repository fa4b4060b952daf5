"""Finite sums: estimates without bias, exact counts, and what the methods become with batches of all components."""

import ctypes

import numpy as np
import pytest
from scipy import LowLevelCallable

import solvers
from solvers.equilibrium import Components, GameComponents, Simplex, solve
from solvers.equilibrium._finite_sum import FiniteSum
from solvers.equilibrium._operators import Operator
from solvers.equilibrium._problem import Inclusion
from solvers.equilibrium._sets import as_prox
from solvers.equilibrium._vr_eg import VarianceReduced
from solvers.equilibrium._vr_halpern_coco import VarianceReducedHalpern

METHODS = ("vr-eg", "vr-halpern", "vr-halpern-coco")


class Counted:
    """Components ``M_i z - p_i`` that count their calls."""

    def __init__(self, n, d, seed, skew=1.0, lipschitz=False):
        rng = np.random.default_rng(seed)
        half = rng.standard_normal((n, d, d))
        self.M = 3 * np.eye(d) + skew * (half - half.transpose(0, 2, 1)) / np.sqrt(d)
        self.p = rng.standard_normal((n, d))
        self.n, self.calls = n, 0
        if lipschitz:
            self.lipschitz = np.linalg.norm(self.M, 2, axis=(1, 2))

    def __call__(self, i, z, out):
        assert i.dtype == np.int64
        assert i.flags.c_contiguous
        self.calls += len(i)
        out[:] = self.M[i] @ z - self.p[i]

    def mean(self, z):
        return self.M.mean(0) @ z - self.p.mean(0)


def problem(components, z0, prox=None, seed=5, **more):
    sums = FiniteSum(components, len(z0))
    function = getattr(components, "mean", sums.whole)
    return Inclusion(
        Operator(function, len(z0)), as_prox(prox, (len(z0),)), z0, 1e-9, components=sums, seed=seed, **more
    )


@pytest.mark.parametrize("lipschitz", [False, True])
def test_estimates_have_no_bias(lipschitz, seed):
    components = Counted(30, 4, seed, 4.0, lipschitz)
    rng = np.random.default_rng(seed)
    z, w = rng.standard_normal((2, 4))
    given = problem(components, z)
    found = np.empty((4000, 4))
    for k in range(len(found)):
        i, weights = given.sums.draw(seed, 5 * k, 5)
        found[k] = given.sums.difference(given, i, weights, z, w)
    error = found.mean(0) - (components.mean(z) - components.mean(w))
    assert (np.abs(error) < 4.5 * found.std(0) / np.sqrt(len(found))).all()
    assert given.ncomp == components.calls == 2 * 5 * len(found)


@pytest.mark.parametrize("method", METHODS)
def test_solutions_and_exact_counts(method, seed):
    components = Counted(60, 5, seed, 0.5 if method == "vr-halpern-coco" else 2.0, lipschitz=seed % 2 == 0)
    full = []

    def operator(z):
        full.append(1)
        return components.mean(z)

    result = solve(operator, np.zeros(5), components=components, L=8.0, tol=1e-9, method=method, rng=seed)
    assert result.success
    np.testing.assert_allclose(result.x, np.linalg.solve(components.M.mean(0), components.p.mean(0)), atol=1e-8)
    assert result.ncomp == components.calls > 0
    assert result.nfev == len(full)
    assert result.epochs == pytest.approx(result.nfev + result.ncomp / 60)
    again = solve(operator, np.zeros(5), components=components, L=8.0, tol=1e-9, method=method, rng=seed)
    np.testing.assert_array_equal(again.x, result.x)
    other = solve(operator, np.zeros(5), components=components, L=8.0, tol=1e-9, method=method, rng=seed + 1)
    assert not np.array_equal(other.x, result.x)


@pytest.mark.parametrize("method", METHODS)
def test_constants_are_estimated(method, seed):
    components = Counted(80, 6, seed, 0.5)
    result = solve(None, np.zeros(6), prox=Simplex(), components=components, tol=1e-8, method=method)
    assert result.success
    assert result.ncomp > 0


def test_batches_of_all_are_deterministic_halpern(seed):
    components = Counted(25, 4, seed, 0.3)
    given = problem(components, np.random.default_rng(seed).standard_normal(4), "simplex", L=3.3)
    given.resolvent(given.z0, 1.0, given.z0)
    solver = VarianceReducedHalpern(batch=25, restart="never")
    state = solver.init(given)
    z = given.z0.copy()
    for k in range(30):
        state = solver.step(given, state)
        share = 2 / (k + 4)
        z = share * given.z0 + (1 - share) * z - components.mean(z) / (4 * 3.3)
        given.resolvent(z, 1.0, z)
        np.testing.assert_allclose(state.z, z, rtol=0, atol=1e-13)


def test_estimates_follow_the_operator_between_evaluations(seed):
    """Halpern with the recursive estimator stays near the deterministic iteration where components hardly differ."""
    components = Counted(100, 4, seed, 0.0)
    given = problem(components, np.ones(4), L=3.0)
    solver = VarianceReducedHalpern(restart="never")
    state, z, k = solver.init(given), np.ones(4), 0
    for _ in range(6):
        state = solver.step(given, state)
        while k < state.count:
            share = 2 / (k + 4)
            z = share * np.ones(4) + (1 - share) * z - components.mean(z) / 12
            k += 1
        np.testing.assert_allclose(state.z, z, atol=1e-13)
    assert given.ncomp > 0


def test_one_step_a_snapshot_of_all_is_extragradient(seed):
    components = Counted(25, 4, seed, 2.0)
    given = problem(components, np.random.default_rng(seed).random(4), "simplex", L=5.0)
    given.resolvent(given.z0, 1.0, given.z0)
    solver = VarianceReduced(batch=25)
    state, z, step = solver.init(given), given.z0.copy(), 0.99 / 5.0
    for _ in range(20):
        state = solver.step(given, state)
        half = z - step * components.mean(z)
        given.resolvent(half, step, half)
        z = z - step * components.mean(half)
        given.resolvent(z, step, z)
        np.testing.assert_allclose(state.z, z, rtol=0, atol=1e-13)


def test_cocoercivity_is_asked_for():
    components = Counted(20, 3, 1)
    given = {"components": components, "cocoercive": False, "method": "vr-halpern-coco"}
    with pytest.raises(ValueError, match="vr-halpern or vr-eg"):
        solve(None, np.zeros(3), **given)
    assert solve(None, np.zeros(3), **given, options={"otherwise": "run"}, L=20.0).success
    with pytest.raises(solvers.MethodError, match="vr-eg"):
        solve(lambda z: z, np.zeros(3), method="vr-eg")


def test_compiled_components(seed):
    components = Counted(40, 3, seed)
    values = np.concatenate([components.M.reshape(40, 9), components.p], axis=1)

    @ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int, *[ctypes.POINTER(ctypes.c_double)] * 2, ctypes.c_void_p)
    def function(i, size, z, out, data):
        row = values[i]
        for a in range(size):
            out[a] = sum(row[3 * a + b] * z[b] for b in range(size)) - row[9 + a]

    compiled = Components(LowLevelCallable(function, signature="void (int64_t, int, double *, double *, void *)"), 40)
    rows = np.empty((2, 3))
    compiled(np.array([7, 31]), np.ones(3), rows)
    np.testing.assert_allclose(rows, components.M[[7, 31]] @ np.ones(3) - components.p[[7, 31]], atol=1e-12)
    result = solve(components.mean, np.zeros(3), components=compiled, L=8.0, tol=1e-7, method="vr-eg")
    assert result.success


def test_games_as_sums(seed):
    """The components' mean is the operator, and that of the game but for constants in x and in y."""
    A = np.random.default_rng(seed).standard_normal((9, 6)) + 5
    game = GameComponents(A)
    z = np.random.default_rng(seed).dirichlet(np.ones(9))
    z = np.concatenate([z[:6] / z[:6].sum(), z])
    rows = np.empty((15, 15))
    game(np.arange(15), z, rows)
    np.testing.assert_allclose(rows.mean(0), game.whole(z), atol=1e-12)
    for own, wanted in ((game.whole(z)[:6], A.T @ z[6:]), (game.whole(z)[6:], -A @ z[:6])):
        assert np.ptp(own - wanted) < 1e-12
    sums = FiniteSum(game, 15)
    i, weights = sums.draw(seed, 0, 8)
    w = z[::-1].copy()
    each = np.empty((8, 15))
    game.diff(i, z, w, each)
    np.testing.assert_allclose(sums.difference(problem(game, z), i, weights, z, w), weights @ each, atol=1e-12)


@pytest.mark.parametrize("method", ["vr-eg", "vr-halpern"])
def test_games_are_solved(method):
    A = np.random.default_rng(23).standard_normal((9, 6)) + 5
    start = (np.full(6, 1 / 6), np.full(9, 1 / 9))
    game = GameComponents(A)
    result = solve(None, start, prox=("simplex", "simplex"), components=game, tol=1e-6, method=method, max_epochs=5000)
    assert result.success
    x, y = result.x[:6], result.x[6:]
    assert 0 <= (A @ x).max() - (A.T @ y).min() < 1e-4


def test_constant_games_end_at_once():
    start = (np.full(3, 1 / 3), np.full(2, 0.5))
    result = solve(
        None, start, prox=("simplex", "simplex"), components=GameComponents(np.full((2, 3), 7.0)), method="vr-eg"
    )
    assert result.success
    assert result.nit == 0


@pytest.mark.parametrize(
    ("change", "match"),
    [({"n": 0}, "components.n"), ({"n": 2.5}, "components.n"), ({"lipschitz": np.ones(3)}, "lipschitz must be 4"),
     ({"lipschitz": np.array([1, 2, 0, 1.0])}, "lipschitz must be 4"), ({"lipschitz": np.full(4, np.nan)}, "finite")],
)  # fmt: skip
def test_bad_components(change, match):
    components = Counted(4, 2, 1)
    for name, value in change.items():
        setattr(components, name, value)
    with pytest.raises(ValueError, match=match):
        solve(lambda z: z, np.zeros(2), components=components)


def test_errors_of_components_come_through():
    class Broken(Counted):
        def __call__(self, i, z, out):
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        solve(lambda z: z - 1, np.zeros(2), components=Broken(4, 2, 1), L=1.0, method="vr-eg", options={"batch": 1})
