"""Deep conjugate directions: whatever the direction map returns."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
from systems import laplacian, neumann, random_spd

import solvers
from solvers import Status
from solvers.linalg import GridOperator, LearnedDirection, solve


def random_net(n, seed):
    """A nonlinear map with no regard for the matrix."""
    rng = np.random.default_rng(seed)
    first, second, bias = rng.standard_normal((20, n)), rng.standard_normal((n, 20)), rng.standard_normal(20)
    return lambda r: r + 0.02 * second @ np.maximum(first @ r + 0.1 * bias, 0)


def iterates(A, b, M, **keywords):
    """x of every iteration, from 0."""
    seen = [np.zeros(len(b))]
    keep = {"callback": lambda result: seen.append(result.x.copy())}
    result = solve(A, b, method="dcdm", M=M, **{**keep, **keywords})
    return seen, result


def reference(A, b, f, steps, k=2):
    """The method in NumPy, without its fall-backs: x of every iteration."""
    x, r, ring, seen = np.zeros(len(b)), b.copy(), [], [np.zeros(len(b))]
    for _ in range(steps):
        d = f(r / np.linalg.norm(r))
        for p, q in ring:
            d = d - (d @ q) / (p @ q) * p
        q = A @ d
        x, r = x + (d @ r) / (d @ q) * d, r - (d @ r) / (d @ q) * q
        ring = [*ring, (d, q)][-k:]
        seen.append(x)
    return seen


# ---- the method --------------------------------------------------------------------------------


BAD_MAPS = {
    "minus": lambda r: -r,
    "zero": lambda r: 0 * r,
    "nan": lambda r: np.full(len(r), np.nan),
    "infinite": lambda r: np.full(len(r), np.inf),
    "constant": lambda r: np.ones(len(r)),
    "huge": lambda r: 1e300 * r,
    "tiny": lambda r: 1e-300 * r,
}


@pytest.mark.parametrize("name", [*BAD_MAPS, "random 3", "random 11"])
def test_error_never_grows(name):
    """The line search is exact: the error in the norm of A falls whatever the map returns, and the solve ends."""
    A = random_spd(150, 5)
    b = np.random.default_rng(7).standard_normal(150)
    exact = scipy.sparse.linalg.spsolve(A.tocsc(), b)
    M = BAD_MAPS.get(name) or random_net(150, int(name.split()[1]))
    seen, result = iterates(A, b, M, rtol=1e-8)
    assert result.success
    errors = [float((x - exact) @ (A @ (x - exact))) for x in seen]
    assert all(after <= before * (1 + 1e-10) + 1e-18 for before, after in pairwise(errors))
    np.testing.assert_allclose(result.x, exact, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", ["zero", "nan", "infinite"])
def test_fall_back_is_conjugate_gradients(name):
    A = laplacian(12)
    b = np.random.default_rng(3).standard_normal(144)
    result = solve(A, b, method="dcdm", M=BAD_MAPS[name], rtol=1e-6)
    assert result.success
    assert result.stats["n_fallback"] == result.nit > 5
    assert abs(result.nit - solve(A, b, method="cg", rtol=1e-6).nit) <= 1


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_identity_is_conjugate_gradients(k, sign):
    A = laplacian(14) + scipy.sparse.eye_array(196)
    b = np.random.default_rng(2).standard_normal(196)
    ours, _ = iterates(A, b, lambda r: sign * r, rtol=1e-14, max_iter=30, options={"k": k, "refresh": 1000})
    theirs = []
    solve(A, b, method="cg", rtol=1e-14, max_iter=30, callback=lambda result: theirs.append(result.x.copy()))
    for x, y in zip(ours[1:], theirs, strict=True):
        assert np.linalg.norm(x - y) <= 1e-10 * np.linalg.norm(y)


def test_jacobi_is_preconditioned_conjugate_gradients():
    A = random_spd(200, 9)
    b = np.random.default_rng(4).standard_normal(200)
    ours, _ = iterates(A, b, "jacobi", rtol=1e-14, max_iter=30)
    theirs = []
    scipy.sparse.linalg.cg(
        A, b, M=scipy.sparse.diags_array(1 / A.diagonal()), rtol=1e-14, maxiter=30,
        callback=lambda x: theirs.append(x.copy()),
    )  # fmt: skip
    for x, y in zip(ours[1:], theirs, strict=True):
        assert np.linalg.norm(x - y) <= 1e-10 * np.linalg.norm(y)


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("seed", [1, 13, 27])
def test_follows_the_reference(k, seed):
    A = laplacian(13)
    b = np.random.default_rng(seed).standard_normal(169)
    f = random_net(169, seed)
    ours, _ = iterates(A, b, f, rtol=1e-13, max_iter=15, options={"k": k})
    for x, y in zip(ours, reference(A, b, f, 15, k), strict=True):
        assert np.linalg.norm(x - y) <= 1e-9 * max(np.linalg.norm(y), 1e-30)


def test_more_directions_than_unknowns():
    """No memory is taken for those that cannot be."""
    A, b = laplacian(9), np.ones(81)
    result = solve(A, b, method="dcdm", M="identity", rtol=1e-10, options={"k": 10**9})
    assert result.success
    assert result.nit <= 81


def test_input_has_unit_length():
    lengths = []

    def f(r):
        lengths.append(np.linalg.norm(r))
        return r

    solve(laplacian(9), np.full(81, 1e7), method="dcdm", M=f)
    np.testing.assert_allclose(lengths, 1, rtol=1e-12)


def test_a_map_may_spoil_its_argument():
    def f(r):
        z = r.copy()
        r[:] = 7
        return z

    assert solve(laplacian(9), np.ones(81), method="dcdm", M=f).success


def test_directions_that_change_nothing():
    """One direction for ever: after five idle steps the residual is taken, and the solve goes on."""
    A, fixed = laplacian(10), np.eye(100)[3]
    b = np.random.default_rng(1).standard_normal(100)
    result = solve(A, b, method="dcdm", M=lambda r: fixed, rtol=1e-8)
    assert result.success
    assert result.stats["n_fallback"] > 5


def test_success_is_the_true_residual():
    """The recurrence is refreshed seldom and the matrix badly conditioned: no success above the tolerance."""
    scale = scipy.sparse.diags_array(np.logspace(0, 4, 400))
    A = scipy.sparse.csr_array(scale @ laplacian(20) @ scale)
    b = np.random.default_rng(6).standard_normal(400)
    for rtol in (1e-6, 1e-10, 1e-13, 1e-15):
        result = solve(A, b, method="dcdm", M="jacobi", rtol=rtol, options={"refresh": 10_000})
        true = np.linalg.norm(b - A @ result.x) / np.linalg.norm(b)
        # two orders of a sum differ by some roundings: nearer to the tolerance than that both verdicts are right
        assert result.success == (true <= rtol) or abs(true - rtol) < 1e-15
        assert result.success or result.status in (Status.STAGNATION, Status.MAX_ITER)


def test_singular_systems():
    A = neumann(12)
    b = np.random.default_rng(8).standard_normal(144)
    b -= b.mean()
    assert solve(A, b, method="dcdm", M="jacobi", rtol=1e-8).success
    result = solve(A, b + 1, method="dcdm", M="jacobi", rtol=1e-8)
    assert result.status is Status.STAGNATION


@pytest.mark.parametrize("M", ["identity", "ic0", lambda r: r**3])
def test_indefinite_matrix(M):
    A = scipy.sparse.csr_array(np.array([[1.0, 2.0], [2.0, 1.0]]))
    if M == "ic0":
        A = A + scipy.sparse.eye_array(2) * 0.5
    result = solve(A, [1.0, -1.0], method="dcdm", M=M)
    assert result.status is Status.NOT_SPD
    assert not result.success


# ---- what M may be -----------------------------------------------------------------------------


def maps(A):
    n = A.shape[0]
    yield from ("identity", "jacobi", "ssor", "ic0", None)
    yield 1 / A.diagonal()
    yield scipy.sparse.diags_array(1 / A.diagonal())
    yield scipy.sparse.linalg.LinearOperator((n, n), matvec=lambda r: 2 * r)
    yield solvers.linalg.ic0(A)
    yield random_net(n, 2)


def test_every_kind_of_map_solves():
    A = random_spd(120, 4)
    b = np.random.default_rng(5).standard_normal(120)
    for M in maps(A):
        result = solve(A, b, method="dcdm", M=M, rtol=1e-10)
        assert result.success
        assert np.linalg.norm(b - A @ result.x) <= 1e-10 * np.linalg.norm(b)
    assert solve(A, b, method="dcdm").stats["direction"] == "ic0"


def test_ic0_is_no_worse_than_in_conjugate_gradients():
    A = laplacian(40)
    b = np.random.default_rng(5).standard_normal(1600)
    ours = solve(A, b, method="dcdm", M="ic0", rtol=1e-6)
    assert abs(ours.nit - solve(A, b, method="cg", M="ic0", rtol=1e-6).nit) <= 1


def test_torch_module(one_torch_thread):
    torch = one_torch_thread
    torch.manual_seed(5)
    grid = GridOperator((11, 17))
    b = np.random.default_rng(1).standard_normal(grid.size)
    smoother = torch.nn.Conv2d(1, 1, 3, padding=1, bias=False)
    with torch.no_grad():
        smoother.weight[:] = torch.tensor([[0.0, 1, 0], [1, 8, 1], [0, 1, 0]])
    result = solve(grid, b, method="dcdm", M=smoother, rtol=1e-8)
    assert result.success
    assert result.stats["direction"] == "Conv2d"
    assert result.nit < solve(grid, b, method="cg", rtol=1e-8).nit
    assert solve(grid.to_csr(), b, method="dcdm", M=torch.nn.Identity(), rtol=1e-8).success


@pytest.mark.parametrize(
    ("M", "error", "says"),
    [("jacoby", ValueError, "M must be one of identity"), (lambda r: r[1:], ValueError, "80 elements, not 81"),
     (lambda r: r + 1j, TypeError, "M returned"), (np.ones(5), ValueError, "81 numbers, not 5"),
     (np.full(81, np.nan), ValueError, "M must be finite"), (np.eye(4), ValueError, "shape of A"),
     ("learned", ValueError, "needs to know the grid"), (LearnedDirection((4, 5)), ValueError, "shape of A")],
)  # fmt: skip
def test_bad_maps(M, error, says):
    with pytest.raises(error, match=says):
        solve(laplacian(9), np.ones(81), method="dcdm", M=M)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite(bad):
    grid, b = GridOperator((6, 7)), np.full(42, bad)
    with pytest.raises(ValueError, match="b must be finite"):
        solve(grid, b, method="dcdm")
    result = solve(grid, b, method="dcdm", check_finite=False)
    assert (result.status, result.success) == (Status.NONFINITE, False)


def test_not_symmetric():
    A = scipy.sparse.csr_array(np.array([[3.0, 1.0], [0.0, 3.0]]))
    with pytest.raises(ValueError, match="symmetric"):
        solve(A, [1.0, 1.0], method="dcdm")


def test_nothing_to_do():
    grid = GridOperator((8, 9))
    result = solve(grid, np.zeros(72), method="dcdm")
    assert (result.nit, result.success) == (0, True)
    x = np.random.default_rng(3).standard_normal(72)
    result = solve(grid, grid @ x, x0=x, method="dcdm")
    assert (result.nit, result.success) == (0, True)


def test_columns():
    grid = GridOperator((12, 10))
    B = np.random.default_rng(3).standard_normal((120, 3))
    result = solve(grid, B, method="dcdm", rtol=1e-7)
    assert result.success
    assert (np.linalg.norm(B - grid.to_csr() @ result.x, axis=0) <= 1e-7 * np.linalg.norm(B, axis=0)).all()


# ---- without torch -----------------------------------------------------------------------------

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # an import of it fails
import numpy as np, solvers
grid = solvers.linalg.GridOperator((40, 33))
result = solvers.linalg.solve(grid, np.ones(grid.size), method="dcdm", rtol=1e-4)
assert result.success and result.stats["direction"] == "learned", result
from solvers.linalg import train
assert train.main(["--minutes", "1", "--out", "never.npz"]) == 1
"""


def test_solves_without_torch(tmp_path):
    done = subprocess.run(
        [sys.executable, "-P", "-c", WITHOUT_TORCH], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "solvers-toolkit[train]" in done.stderr
    assert not list(tmp_path.iterdir())
