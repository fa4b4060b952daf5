"""Fixed points: closed forms, Halpern's bound, maps whose powers go round for ever, and SciPy's examples."""

import numpy as np
import pytest
import scipy.optimize
from scipy.stats import ortho_group

from solvers import Status
from solvers.equilibrium import fixed_point

METHODS = ("anderson", "halpern", "krasnoselskii", "picard")


@pytest.mark.parametrize("method", [None, *METHODS])
def test_cosine(method):
    result = fixed_point(np.cos, 1, method=method, tol=1e-14)
    assert result.success
    assert type(result.x) is float
    assert result.x == pytest.approx(0.7390851332151607, abs=2e-14)


def turn(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize(
    "Q", [turn(np.pi / 2), turn(0.1), ortho_group.rvs(50, random_state=8)], ids=["90", "6", "50-d"]
)
def test_halpern_bound_on_isometries(Q):
    """|z - T(z)| <= 2 |z0 - z*| / (k + 1) with the fixed point 0, where powers of T stay as far away as they are."""
    start = np.ones(len(Q))
    residuals = []
    fixed_point(
        lambda x: Q @ x, start, method="halpern", options={"restart": "never"}, max_iter=300, tol=1e-12,
        callback=lambda r: residuals.append(r.measure),
    )  # fmt: skip
    k = 1 + np.arange(len(residuals))
    assert (np.array(residuals) <= 2 * np.linalg.norm(start) / (k + 1) * (1 + 1e-12)).all()
    picard = fixed_point(lambda x: Q @ x, start, method="picard", max_iter=300)
    assert picard.status is Status.MAX_ITER
    assert picard.residual > 0.9 * np.linalg.norm(start - Q @ start)
    found = fixed_point(lambda x: Q @ x, start, max_iter=3000)
    assert (found.method, found.success) == ("halpern", True)


@pytest.mark.parametrize("method", [None, "anderson", "halpern"])
def test_value_iteration(method, seed):
    """A random decision process of 200 states, against the equations of its best policy."""
    rng = np.random.default_rng(seed)
    P = rng.random((3, 200, 200))
    P /= P.sum(2, keepdims=True)
    reward, discount = rng.random((3, 200)), 0.9
    result = fixed_point(lambda v: (reward + discount * (P @ v)).max(0), np.zeros(200), method=method, tol=1e-11)
    assert result.success
    best = (reward + discount * (P @ result.x)).argmax(0)
    rows = np.arange(200)
    exact = np.linalg.solve(np.eye(200) - discount * P[best, rows], reward[best, rows])
    np.testing.assert_allclose(result.x, exact, atol=1e-10)
    assert result.nfev < 100  # value iteration itself takes 240


def test_scipys_examples():
    def image(x, c1, c2):
        return np.sqrt(c1 / (x + c2))

    c1, c2 = np.array([10, 12.0]), np.array([3, 5.0])
    ours = fixed_point(image, [1.2, 1.3], args=(c1, c2), tol=1e-12)
    np.testing.assert_allclose(ours.x, scipy.optimize.fixed_point(image, [1.2, 1.3], args=(c1, c2)), rtol=1e-9)


def test_shapes_are_kept(seed):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((4, 4)) / 8
    result = fixed_point(lambda X: A @ X + 1, np.zeros((4, 3)), callback=lambda r: r.x[3, 2] > 1e9)
    assert result.x.shape == (4, 3)
    np.testing.assert_allclose(result.x, np.linalg.solve(np.eye(4) - A, np.ones((4, 3))), atol=1e-7)


def test_anderson_is_safeguarded():
    """A rotation in many planes at once: candidates fail, the anchored steps go on."""
    Q = np.kron(np.eye(20), turn(0.3))
    for i in range(20):
        Q[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = turn(0.05 + 0.15 * i)
    result = fixed_point(lambda x: Q @ x, np.ones(40), method="anderson", options={"memory": 2}, tol=1e-2)
    assert result.success
    assert result.state.rejections > 0


def test_expansions():
    """Not even nonexpansive: told, and solved where the secant method can."""
    result = fixed_point(lambda x: 2 * x + 1, 1.0)
    assert "not even nonexpansive" in result.message
    assert result.x == pytest.approx(-1)
    picard = fixed_point(lambda x: 2 * x + 1, 1.0, method="picard")
    assert picard.status is Status.DIVERGED


@pytest.mark.numba
def test_compiled_map():
    import numba

    @numba.cfunc("void(intc, CPointer(double), CPointer(double), voidptr)")
    def cosine(n, x, out, user):
        for i in range(n):
            out[i] = np.cos(x[i])

    result = fixed_point(cosine, np.ones((2, 2)), tol=1e-13)
    assert result.success
    np.testing.assert_allclose(result.x, np.full((2, 2), 0.7390851332151607), atol=1e-13)


def test_evaluations_are_counted():
    for method in (None, *METHODS):
        calls = []
        result = fixed_point(lambda x, calls=calls: calls.append(1) or np.cos(x), np.ones(3), method=method)
        assert result.nfev == len(calls)


@pytest.mark.parametrize(
    ("T", "x0", "error", "match"),
    [(np.cos, np.nan, ValueError, "x0"), (np.cos, [], ValueError, "empty"), (7, 1.0, TypeError, "T must be callable"),
     (lambda x: np.ones(3), np.ones(2), ValueError, "T must return shape"), (np.cos, 1j, TypeError, "real"),
     (lambda x: x * np.nan, 1.0, ValueError, "not finite")],
)  # fmt: skip
def test_bad_input(T, x0, error, match):
    with pytest.raises(error, match=match):
        fixed_point(T, x0)
