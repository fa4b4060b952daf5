"""`lp` and `linprog`: answers of SciPy's, of closed forms, of reference files; verdicts with rays that prove them."""

import os
import pathlib

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

from solvers import Status
from solvers._base.method import lookup
from solvers.equilibrium import LinearProgram, _lp, linprog, lp, read_mps
from solvers.equilibrium._program import infeasibility_ray, kkt, unboundedness_ray
from solvers.equilibrium._ray import mended_direction, mended_multipliers
from solvers.testing import verify

INF = np.inf
SIDES = ((0.7, -1), (0.4, 1))
METHODS = ("lp-ipm", "lp-pdhg")


def check_optimal(program, result, tol):
    """The conditions of optimality, from the data alone."""
    sign = -1.0 if program.maximize else 1.0
    x, y = result.x, sign * result.y
    c, A = sign * program.c, program.A.toarray()
    z, activity = c - A.T @ y, A @ x
    assert np.all((x >= program.lb) & (x <= program.ub))
    assert np.all((y <= 0) | np.isfinite(program.l))
    assert np.all((y >= 0) | np.isfinite(program.u))
    sides = np.where(y > 0, program.l, program.u)
    bounds = np.where(z > 0, program.lb, program.ub)
    dual = y[y != 0] @ sides[y != 0] + z[np.isfinite(bounds)] @ bounds[np.isfinite(bounds)]
    norm = np.linalg.norm(np.maximum(*(np.where(np.isfinite(s), np.abs(s), 0) for s in (program.l, program.u))))
    primal = np.maximum(program.l - activity, 0) + np.maximum(activity - program.u, 0)
    assert np.linalg.norm(primal) <= tol * (1 + norm)
    assert np.linalg.norm(z[~np.isfinite(bounds)]) <= tol * (1 + np.linalg.norm(c))
    assert abs(c @ x - dual) <= tol * (1 + abs(c @ x) + abs(dual))


def check_infeasible(program, ray):
    """Farkas: for every x within the bounds, ray'A x is less than the sides allow."""
    z = -(program.A.T @ ray)
    sides, bounds = np.where(ray > 0, program.l, program.u), np.where(z > 0, program.lb, program.ub)
    with np.errstate(invalid="ignore"):
        value = np.where(ray == 0, 0, ray * sides).sum() + np.where(np.isfinite(bounds), z * bounds, 0).sum()
    assert value > 0
    assert np.abs(z[~np.isfinite(bounds)]).sum() <= 1e-8 * value


def check_unbounded(program, ray):
    """The objective falls along the ray, and no row or bound is ever left."""
    c = -program.c if program.maximize else program.c
    assert c @ ray < 0
    assert np.all((ray <= 0) | (program.ub == INF))
    assert np.all((ray >= 0) | (program.lb == -INF))
    activity = program.A @ ray
    assert np.all((activity <= 1e-7) | (program.u == INF))
    assert np.all((activity >= -1e-7) | (program.l == -INF))


def random_program(seed, m=14, n=23):
    """Feasible and bounded, of rows and columns of every kind; returned with SciPy's arguments."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(m, n)) * (rng.random((m, n)) < 0.5)
    x, y = rng.normal(size=n), rng.normal(size=m)
    z = rng.normal(size=n)
    lb, ub = (
        np.where(rng.random(n) < 0.7, x - rng.random(n), -INF),
        np.where(rng.random(n) < 0.4, x + rng.random(n), INF),
    )
    l, u = (
        np.where(rng.random(m) < 0.7, A @ x - rng.random(m), -INF),
        np.where(rng.random(m) < 0.4, A @ x + rng.random(m), INF),
    )
    equal = rng.random(m) < 0.25
    l[equal] = u[equal] = (A @ x)[equal]
    y = np.where(y > 0, np.where(np.isfinite(l), y, 0), np.where(np.isfinite(u), y, 0))
    z = np.where(z > 0, np.where(np.isfinite(lb), z, 0), np.where(np.isfinite(ub), z, 0))
    return LinearProgram(A.T @ y + z, A, l, u, lb, ub)


@pytest.mark.parametrize("method", METHODS)
def test_random_programs(method, seed):
    program = random_program(seed)
    result = lp(program, method=method, tol=1e-8)
    assert result.success
    check_optimal(program, result, 1e-8 * (1 + 1e-6))
    reference = scipy.optimize.linprog(**program.scipy_form())
    assert result.fun == pytest.approx(reference.fun, rel=1e-6, abs=1e-6)
    np.testing.assert_allclose(result.reduced_costs, program.c - program.A.T @ result.y, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_marginals_are_scipys(method, seed):
    form = random_program(seed).scipy_form()
    result, reference = linprog(**form, method=method, tol=1e-9), scipy.optimize.linprog(**form)
    assert result.success
    for name in ("x", "slack", "con"):
        np.testing.assert_allclose(result[name], reference[name], atol=1e-5)
    for name in ("ineqlin", "eqlin", "lower", "upper"):
        np.testing.assert_allclose(getattr(result, name).marginals, reference[name].marginals, atol=1e-5)
        np.testing.assert_allclose(getattr(result, name).residual, reference[name].residual, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_maximisation_and_offset(method):
    program = LinearProgram([3.0, 2.0], [[1.0, 1.0], [1.0, 3.0]], -INF, [4.0, 6.0], 0.0, INF, offset=5.0, maximize=True)
    result = lp(program, method=method)
    assert result.fun == pytest.approx(17, rel=1e-5)
    assert result.dual_fun == pytest.approx(17, rel=1e-5)
    np.testing.assert_allclose(result.x, [4, 0], atol=1e-4)
    np.testing.assert_allclose(result.y, [3, 0], atol=1e-4)
    check_optimal(program, result, 1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_infeasible(method, seed):
    program = random_program(seed)
    y = np.random.default_rng(seed + 1).random(14)
    A = scipy.sparse.vstack([program.A, -(y @ program.A.toarray())[None, :]], format="csr")
    # y'A x of the new row contradicts lower sides of the others
    l = np.append(program.A @ np.clip(0, program.lb, program.ub), 0)
    l[-1] = -(y @ l[:-1]) + 1
    wrong = LinearProgram(program.c, A, l, INF, -INF, INF)
    result = lp(wrong, method=method)
    assert (result.status, result.success) == (Status.INFEASIBLE, False)
    check_infeasible(wrong, result.ray)


@pytest.mark.parametrize("method", METHODS)
def test_unbounded(method, seed):
    program = random_program(seed)
    rng = np.random.default_rng(seed)
    direction = rng.random(23) + 0.1
    A = program.A.toarray()
    A -= np.outer(A @ direction, direction) / (direction @ direction)
    wrong = LinearProgram(-direction, A, A @ np.ones(23) - 1, A @ np.ones(23) + 1, 0.0, INF)
    result = lp(wrong, method=method)
    assert (result.status, result.success) == (Status.UNBOUNDED, False)
    check_unbounded(wrong, result.ray)
    assert result.primal_residual < 1e-5


def test_both_infeasible_and_without_dual():
    """A direction of descent is no proof that the objective is unbounded, where there is no feasible point."""
    wrong = LinearProgram([-1.0, 0.0], [[0.0, 1.0], [0.0, 1.0]], [2.0, -INF], [INF, 1.0], 0.0, INF)
    result = lp(wrong)
    assert result.status is Status.INFEASIBLE
    check_infeasible(wrong, result.ray)


def test_at_once():
    crossed = lp([1.0, 2.0], [[1.0, 1.0]], l=1.0, lb=[0.0, 3.0], ub=[1.0, 2.0])
    assert (crossed.status, crossed.nit) == (Status.INFEASIBLE, 0)
    assert "column 1 are 3, 2" in crossed.message
    sides = lp([1.0], [[1.0]], l=2.0, u=1.0)
    assert "row 0 are 2, 1" in sides.message
    empty = lp([1.0, 1.0], [[1.0, 1.0], [0.0, 0.0]], l=[1.0, 2.0])
    assert (empty.status, empty.ray.tolist()) == (Status.INFEASIBLE, [0.0, 1.0])
    for method in METHODS:
        column = lp([1.0, -1.0], [[1.0, 0.0]], l=1.0, method=method)
        assert column.status is Status.UNBOUNDED
        check_unbounded(LinearProgram([1.0, -1.0], [[1.0, 0.0]], 1.0, INF, 0.0, INF), column.ray)


@pytest.mark.parametrize("method", METHODS)
def test_no_objective_and_no_rows(method):
    point = lp(np.zeros(3), [[1.0, 1.0, 1.0]], l=1.0, u=1.0, method=method)
    assert point.success
    assert point.activity == pytest.approx(1, abs=1e-5)
    bounds = lp([1.0, -1.0, 0.0], lb=[-2.0, 0.0, -INF], ub=[INF, 5.0, INF], method=method)
    assert bounds.success
    assert bounds.fun == pytest.approx(-7, rel=1e-5)
    fixed = lp([1.0, 1.0], [[1.0, 1.0]], l=3.0, u=3.0, lb=[1.0, 2.0], ub=[1.0, 2.0], method=method)
    assert fixed.success
    assert fixed.x.tolist() == [1, 2]


def test_rows_that_are_bounds_get_their_multipliers():
    """A row with one entry is a bound within the solve; its multiplier comes back, through chains of such rows too."""
    A = [[2.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, -1.0, 0.0], [1.0, 1.0, 1.0]]
    program = LinearProgram([1.0, 1.0, 4.0], A, [4.0, -INF, -8.0, 9.0], [4.0, 7.0, INF, INF], 0.0, INF)
    result = lp(program, tol=1e-10)
    reference = scipy.optimize.linprog(**program.scipy_form())
    assert result.fun == pytest.approx(reference.fun, rel=1e-9)
    check_optimal(program, result, 1e-10)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"c": [1.0, np.nan]}, "c must be finite"), ({"c": []}, "c must not be empty"),
        ({"A": [[1.0]]}, "A must have 2"),
        ({"A": [[1.0, INF]]}, "A must be finite"), ({"l": [1.0, 2.0]}, "l must have shape"),
        ({"ub": np.nan}, "ub must not"),
        ({"x0": [1.0]}, "x0 must have shape"), ({"tol": 0}, "tol"), ({"c": [1j, 2]}, "c must be real"),
    ],
)  # fmt: skip
def test_bad_input(change, words):
    with pytest.raises((ValueError, TypeError), match=words):
        lp(**{"c": [1.0, 2.0], "A": [[1.0, 1.0]], "l": 1.0, **change})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"b_ub": None}, "b_ub must be given"), ({"b_ub": [1.0, 2.0]}, "A_ub and b_ub must have shapes"),
        ({"bounds": [(0, 1, 2)]}, "bounds must be"), ({"bounds": [(0, None)] * 3}, "bounds must be one pair or 2"),
        ({"A_eq": [[1.0, 1.0]], "b_eq": [INF]}, "b_eq must be finite"),
    ],
)  # fmt: skip
def test_bad_input_of_linprog(change, words):
    with pytest.raises(ValueError, match=words):
        linprog(**{"c": [1.0, 2.0], "A_ub": [[1.0, 1.0]], "b_ub": [1.0], **change})


def test_choice_of_the_method(seed):
    """Small programs go to interior points, with free variables too; where factorisations fill up, they do not."""
    assert lp(random_program(seed)).method == "lp-ipm"
    rng = np.random.default_rng(seed)
    index = np.concatenate([rng.choice(2000, 8, replace=False) for _ in range(1500)])
    A = scipy.sparse.csr_array((rng.random(12_000) + 0.1, index, np.arange(1501) * 8), shape=(1500, 2000))
    covering = lp(rng.random(2000) + 0.5, A, l=1.0, tol=1e-3)
    assert (covering.success, covering.method) == (True, "lp-pdhg")
    assert "Chose lp-pdhg" in covering.message


@pytest.mark.parametrize("still", METHODS)
def test_the_other_method_where_one_stands_still(still, monkeypatch):
    monkeypatch.setattr(lookup("equilibrium", still).solver, "done", lambda *_: Status.STAGNATION)
    monkeypatch.setattr(_lp, "_choice", lambda _: (still, ""))
    program = random_program(3)
    result = lp(program)
    assert (result.success, result.method) == (True, METHODS[still == METHODS[0]])
    assert f"after {still} stood still" in result.message
    check_optimal(program, result, 1e-6 * (1 + 1e-6))
    assert lp(program, method=still).status is Status.STAGNATION  # a method that was named is not left
    assert lp(program, max_iter=0).status is not Status.CONVERGED


def test_rays_of_rows_of_very_different_size():
    """Of the proof by y = (1, -1e-14, -1e-14) the small entries are no rounding."""
    A = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, -1.0]]) * [[1e-5], [1e9], [1e9]]
    wrong = LinearProgram(np.zeros(3), A, [1e-5, -INF, -INF], [INF, 0.0, 0.0], -INF, INF)
    result = lp(wrong, method="lp-ipm")
    assert result.status is Status.INFEASIBLE
    check_infeasible(wrong, result.ray)


def test_rays_are_mended(seed):
    """An iterate's ray that misses by more than the check allows proves what it is near to."""
    rng = np.random.default_rng(seed)
    y = np.where(rng.random(20) < 0.6, rng.random(20) + 0.1, 0)
    A = rng.normal(size=(20, 12)) * (rng.random((20, 12)) < 0.7)
    A[np.argmax(y)] -= y @ A / y.max()  # y'A = 0
    infeasible = LinearProgram(np.zeros(12), A, 1.0, INF, -INF, INF)
    near = y * (1 + 1e-5 * rng.normal(size=20))
    assert infeasibility_ray(infeasible, near) is None
    check_infeasible(infeasible, infeasibility_ray(infeasible, mended_multipliers(infeasible, near)))
    unbounded = LinearProgram(-y, A.T, -1.0, 1.0, 0.0, INF)
    assert unboundedness_ray(unbounded, near) is None
    check_unbounded(unbounded, unboundedness_ray(unbounded, mended_direction(unbounded, near)))


def test_a_dense_program_without_a_point():
    """Free columns keep the embedding's own ray from being exact: it ends with a verdict all the same."""
    rng = np.random.default_rng(11)
    A = rng.random((50, 36)) * rng.integers(-3, 4, (50, 36))
    y = rng.random(50)
    A[:, :3] -= np.outer(y, y @ A[:, :3]) / (y @ y)
    lb, ub = np.full(36, -2.0), np.full(36, 2.0)
    lb[:3], ub[:3] = -INF, INF
    l = A @ np.clip(rng.normal(size=36), lb, ub) - rng.random(50)
    l += y * (np.abs(y @ A[:, 3:]).sum() * 2 + 1 - y @ l) / (y @ y)
    wrong = LinearProgram(rng.integers(-3, 4, 36), A, l, INF, lb, ub)
    result = lp(wrong, method="lp-ipm")
    assert result.status is Status.INFEASIBLE
    check_infeasible(wrong, result.ray)


@pytest.mark.parametrize("method", METHODS)
def test_huge_sides_stand_for_infinite_ones(method):
    """And are no measure of the others: beside a side of 1e20 all violations would be small."""
    result = lp([1.0, 2.0], [[1.0, 1.0], [1.0, -1.0]], [1.0, -1e25], [1e30, 1e20], 0.0, [1e20, 1e300], method=method)
    assert result.success
    assert result.fun == pytest.approx(1, rel=1e-5)
    bounds = [(0, 1e20), (-1e30, None)]
    twin = linprog([1.0, 2.0], [[-1.0, -1.0], [1.0, -1.0]], [-1.0, 1e20], [[0.0, 1.0]], [0.25], bounds, method=method)
    assert twin.success
    assert twin.fun == pytest.approx(1.25, rel=1e-5)


def test_forms_of_bounds():
    c, A, b = [1.0, -1.0], [[1.0, 1.0]], [5.0]
    expected = linprog(c, A, b, bounds=[(None, 3), (0, 2)], A_eq=[[1.0, 0.0]], b_eq=[-1.0]).x
    np.testing.assert_allclose(expected, [-1, 2], atol=1e-5)
    for bounds in (np.array([[-INF, 3], [0, 2]]), scipy.optimize.Bounds([-INF, 0], [3, 2]), ((None, 3), (0, 2))):
        np.testing.assert_array_equal(linprog(c, A, b, [[1.0, 0.0]], [-1.0], bounds).x, expected)


def netlib(name):
    folder = os.environ.get("SOLVERS_DATA")
    if folder is None:
        pytest.skip("SOLVERS_DATA is not set")
    return read_mps(pathlib.Path(folder) / "lp" / f"{name}.mps.xz")


@pytest.mark.parametrize(
    ("name", "objective"),
    [("afiro", -464.753142857), ("adlittle", 225494.963162), ("israel", -896644.821863), ("stair", -251.266951193),
     ("perold", -9380.75527824), ("standmps", 1406.0175)],
)  # fmt: skip
def test_reference_optima(name, objective):
    program = netlib(name)
    result = lp(program)
    assert result.success
    assert result.fun == pytest.approx(objective, rel=1e-5)
    check_optimal(program, result, 1e-6 * (1 + 1e-6))


@pytest.mark.parametrize("name", ["bgetam", "box1", "ex72a", "galenet", "refinery", "woodinfe", "gas11"])
def test_reference_verdicts(name):
    program = netlib(name)
    result = lp(program)
    if name == "gas11":
        assert result.status is Status.UNBOUNDED
        check_unbounded(program, result.ray)
    else:
        assert result.status is Status.INFEASIBLE
        check_infeasible(program, result.ray)


@pytest.mark.parametrize("method", ["lp-ipm", "lp-pdhg"])
def test_sides_of_rows_without_entries_dilute_nothing(method):
    """A side of 1e8 on a row without entries must not make a violation of 1 look like one of 1e-8."""
    A = np.array([[1.0, 1.0], [0.0, 0.0], [1.0, -1.0]])
    program = LinearProgram([1.0, 2.0], A, [2.0, -1e8, -INF], [INF, 1e8, 0.5], 0.0, INF)
    bare = LinearProgram([1.0, 2.0], A[[0, 2]], [2.0, -INF], [INF, 0.5], 0.0, INF)
    x, y = np.array([0.5, 0.5]), np.zeros(3)
    assert kkt(program, x, y).measure == kkt(bare, x, y[:2]).measure > 0.3
    result = lp(program, method=method)
    assert result.success
    assert verify(result, program).measure <= 1e-6
    np.testing.assert_allclose(A @ result.x, [2, 0, 0.5], atol=1e-5)
