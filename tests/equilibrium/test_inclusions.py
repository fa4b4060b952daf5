"""Inclusions: sets, certificates, every deterministic method on closed forms, and what the guard does."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from solvers import MethodError, Status
from solvers.equilibrium import (
    Affine,
    Bilinear,
    Box,
    L1Ball,
    L2Ball,
    NonNegative,
    Simplex,
    saddle_point,
    solve,
    variational_inequality,
)
from solvers.testing import verify

GENERAL = ("feg", "eag", "eg", "ogda")
SETS = {
    "simplex": Simplex(2.5),
    "box": Box(-1, [0.5, 1, np.inf, 2, 0]),
    "nonneg": NonNegative(),
    "l2ball": L2Ball(1.5, center=[1, 0, 0, 2, 0]),
    "l1ball": L1Ball(0.75),
}
POINTS = arrays(np.float64, 5, elements=st.floats(-5, 5))


def monotone(rng, d=30):
    """A strongly monotone matrix with a larger skew part, and a vector."""
    S = rng.standard_normal((d, d))
    return S - S.T + np.eye(d), rng.standard_normal(d)


def inside(name, z):
    tiny = 1e-12
    return {
        "simplex": lambda: z.min() >= 0 and abs(z.sum() - 2.5) < tiny,
        "box": lambda: bool((z >= -1).all() and (z <= SETS["box"].upper).all()),
        "nonneg": lambda: z.min() >= 0,
        "l2ball": lambda: np.linalg.norm(z - SETS["l2ball"].center) <= 1.5 + tiny,
        "l1ball": lambda: np.abs(z).sum() <= 0.75 + tiny,
    }[name]()


# ---- sets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
@given(z=POINTS, other=POINTS)
@settings(max_examples=30, deadline=None)
def test_projections(name, z, other):
    """The projection is in the set, and no other point of the set lies in its direction."""
    P, there, elsewhere = SETS[name], np.empty(5), np.empty(5)
    P(z, 0.3, there)
    P(other, 0.3, elsewhere)
    assert inside(name, there)
    assert (z - there) @ (elsewhere - there) <= 1e-10
    in_place = z.copy()
    P(in_place, 0.3, in_place)
    np.testing.assert_array_equal(in_place, there)


@pytest.mark.parametrize("name", SETS)
@given(g=POINTS, other=POINTS)
@settings(max_examples=30, deadline=None)
def test_lowest_is_a_lower_bound_that_is_reached(name, g, other):
    P, point = SETS[name], np.empty(5)
    P(other, 1.0, point)
    lowest = P.lowest(g)
    assert lowest <= g @ point + 1e-10
    P(point - 1e7 * g, 1.0, point)  # far down that way
    if np.isfinite(lowest) and np.abs(g).max() > 1e-2:
        assert g @ point == pytest.approx(lowest, abs=1e-4)


@pytest.mark.parametrize(
    ("prox", "error", "match"),
    [("simplx", ValueError, "did you mean 'simplex'"), (3, TypeError, "prox must be a set"),
     (("box", "box"), ValueError, "2 factors"), (L2Ball(center=[1, 2]), ValueError, "center"),
     (Box([0, 0], 1), ValueError, "do not fit 3"), (lambda z, step, out: np.zeros(2), ValueError, "prox must return"),
     (lambda z, step, out: out.fill(np.nan), ValueError, "finite")],
)  # fmt: skip
def test_bad_prox(prox, error, match):
    with pytest.raises(error, match=match):
        solve(lambda z: z, np.ones(3), prox=prox)


def test_crossed_bounds_are_named():
    with pytest.raises(ValueError, match="bound 1"):
        Box([0, 3, 0], [1, 2, 1])


# ---- methods -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", GENERAL)
@pytest.mark.parametrize("known", [True, False])
def test_affine_equation(method, known, seed):
    M, q = monotone(np.random.default_rng(seed))
    L = np.linalg.norm(M, 2) if known else None
    result = solve(lambda z: M @ z + q, np.zeros(30), L=L, method=method, tol=1e-9)
    assert result.success
    np.testing.assert_allclose(result.x, np.linalg.solve(M, -q), atol=1e-8)
    assert result.measure == np.linalg.norm(M @ result.x + q)


@pytest.mark.parametrize("method", [*GENERAL, "halpern"])
@pytest.mark.parametrize("name", SETS)
def test_certificate(method, name):
    """v - F(z) at the certificate's point is in the normal cone there."""
    M, q = monotone(np.random.default_rng(5), 5)
    given = {"L": np.linalg.norm(M, 2) ** 2} if method == "halpern" else {}  # cocoercive with mu = 1
    result = solve(lambda z: M @ z + q, np.ones(5), prox=SETS[name], method=method, tol=1e-8, **given)
    assert result.success
    point, v = result.certificate.point, result.certificate.v
    assert inside(name, point)
    verify(result, (lambda z: M @ z + q, SETS[name]), tol=1e-8)
    assert np.linalg.norm(v) == result.certificate.norm <= 1e-6
    normal = v - (M @ point + q)
    normal[np.abs(normal) < 1e-13] = 0.0  # what rounding leaves has no direction
    assert normal @ point >= -SETS[name].lowest(-normal) - 1e-9


@pytest.mark.parametrize("criterion", ["operator", "gap", lambda z: float(np.abs(z - 0.5).max())])
def test_criteria(criterion):
    A = np.array([[0.0, 1.0], [-1.0, 0.0]])
    result = solve(lambda z: A @ (z - 0.5), np.zeros(2), prox="box", criterion=criterion, tol=1e-9)
    assert result.success
    assert np.abs(result.x - 0.5).max() < 1e-6
    recomputed = {"operator": result.certificate.norm, "gap": result.gap}.get(criterion, result.measure)
    assert result.measure == recomputed <= 1e-9


def test_ill_conditioned_saddle_point():
    """Minimise over the first half, maximise over the other, with a condition of 400: not many more evaluations than
    condition times the digits."""
    n = 200
    A = (np.fliplr(np.eye(n)) - np.fliplr(np.eye(n, k=1))) / 4
    H, h = 2 * A.T @ A, np.eye(n)[-1] / 4
    M = scipy.sparse.csr_array(np.block([[H, -A.T], [A, np.zeros((n, n))]]))
    q = np.concatenate((-h, np.full(n, -0.25)))
    assert np.linalg.norm(M.toarray(), 2) == pytest.approx(0.80898, abs=1e-5)
    start = np.full(2 * n, 1 / n)
    result = solve(lambda z: M @ z + q, start, method="feg", tol=1e-8)
    assert result.success
    assert result.nfev <= 25_000
    assert np.linalg.norm(result.x) == pytest.approx(1639.13, abs=0.01)
    krylov = solve(Affine(M, q), start, tol=1e-10)
    assert (krylov.method, krylov.success) == ("krylov", True)
    assert krylov.nfev <= 2000


def test_bound_of_the_fast_extragradient_method(seed):
    """|F(z_k)| <= 2 L |z0 - z*| / k without restarts, on a bilinear problem, where it is nearly reached at first."""
    A = np.random.default_rng(seed).standard_normal((15, 15))
    M = np.block([[np.zeros((15, 15)), A.T], [-A, np.zeros((15, 15))]])
    L, seen = np.linalg.norm(M, 2), []
    solve(
        lambda z: M @ z, np.ones(30), method="feg", L=L, options={"restart": "never"}, max_iter=400, tol=1e-12,
        callback=lambda r: seen.append(r.measure),
    )  # fmt: skip
    bound = 2 * L * np.sqrt(30) / np.arange(1, 401)
    assert (np.array(seen) <= bound).all()
    assert np.max(seen / bound) > 0.1


def test_counts_are_those_of_the_calls():
    M, q = monotone(np.random.default_rng(3), 8)
    for method in (*GENERAL, "halpern"):
        calls = []

        def F(z, calls=calls):  # noqa: N802
            calls.append(1)
            return M @ z + q

        given = {"L": 1e3} if method == "halpern" else {}
        result = solve(F, np.zeros(8), method=method, tol=1e-4, **given)
        assert result.nfev == result.epochs == len(calls)


def test_evaluations_are_limited():
    M, q = monotone(np.random.default_rng(3), 8)
    result = solve(lambda z: M @ z + q, np.zeros(8), tol=1e-12, max_epochs=20)
    assert result.status is Status.MAX_EVAL
    assert result.nfev <= 25


# ---- bilinear and affine -------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["dense", "sparse", "operator"])
def test_game_by_pdhg(form):
    """Diagonal payoffs d: the value is 1 / sum(1 / d), both play in the proportions of 1 / d."""
    d = np.array([1.0, 2.0, 4.0, 5.0])
    K = {"dense": np.diag(d), "sparse": scipy.sparse.coo_array(np.diag(d)), "operator": aslinearoperator(np.diag(d))}
    for method in ("pdhg", "feg"):
        result = saddle_point(
            None, None, np.eye(4)[0], np.eye(4)[1], K=K[form], prox_x="simplex", prox_y="simplex", criterion="gap",
            tol=1e-10, method=method,
        )  # fmt: skip
        assert result.success
        assert result.y @ (d * result.x) == pytest.approx(1 / (1 / d).sum())
        np.testing.assert_allclose(result.x, (1 / d) / (1 / d).sum(), atol=1e-6)


def test_low_norm_is_corrected():
    """A norm that is given 50 times too low is seen, and never ends in NaN."""
    rng = np.random.default_rng(2)
    K, c, b = rng.standard_normal((20, 30)), rng.standard_normal(30), rng.standard_normal(20)
    norm = np.linalg.norm(K, 2)
    result = solve(Bilinear(K, c, b), np.zeros(50), prox=(Box(-1, 1), Box(-1, 1)), L=norm / 50, tol=1e-8)
    assert (result.method, result.success) == ("pdhg", True)
    assert 0.5 / norm < result.stats["step"] < 1 / norm * 1.05


def test_krylov_on_skew_and_singular_matrices():
    """The spectrum of a skew matrix is around the origin; a singular one with a solution is no obstacle, without one
    that is said."""
    rng = np.random.default_rng(4)
    K = rng.standard_normal((30, 30))
    result = solve(Bilinear(K, K.T @ np.ones(30), K @ np.ones(30)), np.zeros(60), tol=1e-9)
    assert (result.method, result.success) == ("krylov", True)
    M = K[:, :20] @ K[:20]
    assert solve(Affine(M, M @ np.ones(30)), np.zeros(30), tol=1e-7).success
    hopeless = solve(Affine(M, np.ones(30)), np.zeros(30), tol=1e-7)
    assert hopeless.status is Status.BREAKDOWN
    one_way = LinearOperator((30, 30), matvec=lambda v: np.roll(v, 1), dtype=float)
    assert solve(Affine(one_way, np.arange(30.0)), np.zeros(30), tol=1e-9).success


def test_without_adjoint_feg_goes_on(monkeypatch):
    """GMRES in cycles that are too short for a skew matrix stands still; M' is not to be had."""
    monkeypatch.setattr("solvers.equilibrium._krylov.BASIS", 40)
    skew = np.triu(np.ones((40, 40)), 1) - np.tril(np.ones((40, 40)), -1)
    M = LinearOperator((40, 40), matvec=lambda v: skew @ v, dtype=float)
    result = solve(Affine(M, np.arange(40.0)), np.zeros(40), tol=1e-8)
    assert (result.method, result.success) == ("feg", True)
    assert "krylov came to a stand" in result.message


# ---- entries -------------------------------------------------------------------------------------


def test_saddle_point_is_that_of_the_inclusion(seed):
    rng = np.random.default_rng(seed)
    K, c = rng.standard_normal((6, 9)), rng.standard_normal(9)
    result = saddle_point(lambda x, y: x + c, lambda x, y: -y, np.zeros(9), np.zeros(6), K=K, tol=1e-10)
    x = -np.linalg.solve(np.eye(9) + K.T @ K, c)
    np.testing.assert_allclose(result.x, x, atol=1e-8)
    np.testing.assert_allclose(result.y, K @ x, atol=1e-8)


def test_projection_of_one_argument():
    M, q = monotone(np.random.default_rng(1), 5)
    by_hand = variational_inequality(lambda z: M @ z + q, np.ones(5), projection=lambda z: np.clip(z, 0, 1), tol=1e-9)
    by_name = variational_inequality(lambda z: M @ z + q, np.ones(5), projection="box", tol=1e-9)
    np.testing.assert_array_equal(by_hand.x, by_name.x)
    assert np.isnan(by_hand.gap)
    assert 0 <= by_name.gap < 1e-7


@pytest.mark.numba
def test_compiled_operators():
    import numba

    @numba.cfunc("void(intc, CPointer(double), CPointer(double), voidptr)")
    def turned(n, z, out, user):
        for i in range(n):
            out[i] = 2.0 * z[i] - z[(i + 1) % n] + i

    forms = (turned, scipy.LowLevelCallable(turned.ctypes), lambda z: 2 * z - np.roll(z, -1) + np.arange(7))
    results = [solve(F, np.zeros(7), tol=1e-10) for F in forms]
    assert all(r.success for r in results)
    np.testing.assert_array_equal(results[0].x, results[1].x)
    np.testing.assert_allclose(results[0].x, results[2].x, atol=1e-9)


# ---- what goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", [*GENERAL, "halpern"])
def test_low_constant_is_survived(method):
    """A step 100 times too long diverges, is halved, and the solve ends well."""
    M, q = monotone(np.random.default_rng(9), 12)
    L = np.linalg.norm(M, 2) ** (2 if method == "halpern" else 1)
    result = solve(lambda z: M @ z + q, np.ones(12), L=L / 100, method=method, tol=1e-7)
    assert result.success
    assert result.stats["halvings"] > 0


def test_divergence_is_told():
    """An operator that grows like z^9 the wrong way."""
    result = solve(lambda z: -np.sinh(z), np.full(3, 5.0), method="ogda", L=1e-3, monotone=False, max_iter=500)
    assert result.status in (Status.DIVERGED, Status.MAX_ITER)
    assert np.isfinite(result.x).all()
    assert not result.success


def test_nan_away_from_the_start():
    """The logarithm's domain is left at the first long step; the guard comes back into it."""
    with np.errstate(invalid="ignore"):
        result = solve(lambda z: np.log(z), np.full(2, 0.1), method="eg", L=0.05, tol=1e-8)
    assert result.success
    np.testing.assert_allclose(result.x, 1, atol=1e-7)


def test_operators_that_are_not_monotone():
    A = np.array([[-1.0, 3.0], [-3.0, -1.0]])  # solutions repel
    with pytest.warns(RuntimeWarning, match="not monotone"):
        result = solve(lambda z: A @ z, np.ones(2), method="eg", L=4.0, max_iter=300, prox=Box(-9, 9))
    assert result.status is Status.NOT_CERTIFIED or result.success
    quiet = solve(lambda z: A @ z, np.ones(2), method="eg", L=4.0, max_iter=300, prox=Box(-9, 9), monotone=False)
    assert quiet.status is not Status.NOT_CERTIFIED


def test_halpern_refuses_what_is_not_cocoercive():
    with pytest.raises(MethodError, match="cocoercive"):
        solve(lambda z: z, np.ones(2), method="halpern", cocoercive=False)


def test_structure_is_needed():
    with pytest.raises(MethodError, match="inclusion"):
        solve(lambda z: z, np.ones(2), method="pdhg")
    with pytest.raises(MethodError, match="inclusion"):
        solve(Affine(np.eye(2)), np.ones(2), prox="box", method="krylov")


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "match"),
    [((lambda z: z, [np.nan]), {}, ValueError, r"z0\[0\]"), ((lambda z: z, []), {}, ValueError, "empty"),
     ((lambda z: z / 0 * 0, [1.0]), {}, ValueError, "not finite at z0"),
     ((3, [1.0]), {}, TypeError, "F must be callable"), ((lambda z: np.ones(3), [1.0]), {}, ValueError, "shape"),
     ((lambda z: z, [1j]), {}, TypeError, "real"), ((lambda z: z, [1.0]), {"L": -1}, ValueError, "L must"),
     ((lambda z: z, [1.0]), {"L": np.nan}, ValueError, "L must"),
     ((lambda z: z, [1.0]), {"criterion": "norm"}, ValueError, "criterion"),
     ((lambda z: z, [1.0]), {"criterion": "gap"}, ValueError, "gap"),
     ((lambda z: z, [1.0]), {"criterion": "gap", "prox": "nonneg"}, ValueError, "bounded"),
     ((Affine(np.eye(3)), [1.0]), {}, ValueError, "F takes 3")],
)  # fmt: skip
def test_bad_input(arguments, keywords, error, match):
    with np.errstate(all="ignore"), pytest.raises(error, match=match):
        solve(*arguments, **keywords)


@pytest.mark.parametrize(
    ("M", "match"), [([[np.inf]], "M"), ([[1.0, 2.0]], "square"), (np.zeros((0, 0)), "empty"), ([[1j]], "real")]
)
def test_bad_matrices(M, match):
    with pytest.raises((ValueError, TypeError), match=match):
        Affine(M)


def test_matrices_are_left_alone():
    K = scipy.sparse.coo_array(([1.0, 2.0, 3.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    assert (Bilinear(K).K.toarray() == [[0, 3], [3, 0]]).all()
    csr = scipy.sparse.csr_array((np.array([1.0, 2.0]), np.array([1, 1]), np.array([0, 2, 2])), shape=(2, 2))
    assert (Affine(csr).M.toarray() == [[0, 3], [0, 0]]).all()
    assert csr.nnz == 2


def test_residual_of_a_point_far_away():
    """Where |z| is 1e7, z - (z - F) is nothing for an F of 1e-11."""
    slope = 1e-18
    result = solve(
        lambda z: np.array([slope * z[0], z[1] - 0.5]), (np.array([4e7]), np.array([0.5])), prox=("free", "box"),
        tol=1e-11, max_iter=3, method="eg",
    )  # fmt: skip
    assert result.residual == pytest.approx(np.hypot(slope * result.x[0], result.x[1] - 0.5), rel=1e-12)
    assert result.success == (result.residual <= 1e-11)


@pytest.mark.parametrize("prox", ["l1ball", "simplex", "l2ball"])
@pytest.mark.parametrize("method", [*GENERAL, "halpern"])
def test_operator_that_is_huge(prox, method):
    """Steps that lead far out of the set, or that are lost beside z, certify nothing by themselves."""
    target = np.array([-1e8, 3e8, 2e8])
    result = solve(lambda z: target + np.arctan(z), np.ones(3) / 3, prox=prox, criterion="operator", tol=1e-6,
                   method=method, max_iter=200)  # fmt: skip
    point, v = result.certificate.point, result.certificate.v
    normal = v - (target + np.arctan(point))  # in the normal cone of the set at the point
    outside = {"l1ball": np.abs(normal).max(), "simplex": normal.max(), "l2ball": np.linalg.norm(normal)}[prox]
    assert outside <= normal @ point + 1e-6 * np.abs(normal).max()
    assert result.success <= (result.certificate.norm <= 1e-6)


@pytest.mark.parametrize("method", [*GENERAL, "halpern"])
def test_searches_of_the_step_end(method):
    """A skew F is not cocoercive, one that jumps has no Lipschitz constant: every step is too long, for ever."""
    turn = np.array([[0.0, 1e4], [-1e4, 0.0]])
    for F in (lambda z: turn @ z + 1, lambda z: np.sign(z - 0.3) + turn @ z, lambda z: 0 * z + 1):
        result = solve(F, np.full(2, 2.5e-5), prox="nonneg", tol=1e-13, method=method, max_iter=400, monotone=False)
        assert np.isfinite(result.x).all()
