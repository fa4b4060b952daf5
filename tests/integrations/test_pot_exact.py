"""POT's exact calls on our solver: the same answers, log keys, shapes and array types as POT's own."""

import warnings

import numpy as np
import ot
import pytest
import torch
from scipy import sparse

from solvers.integrations import pot


def _data(seed, n=14, m=11, k=None):
    rng = np.random.default_rng(seed)
    a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m), size=k).T
    return a, b, rng.normal(size=(n, m))


def _as(kind, dtype, arrays):
    return [torch.tensor(x, dtype=getattr(torch, dtype)) if kind == "torch" else x.astype(dtype) for x in arrays]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_plan_and_log(kind, dtype, seed):
    given = _as(kind, dtype, _data(seed))
    (plan, log), (our_plan, our_log) = (package.emd(*given, log=True) for package in (ot, pot))
    assert type(our_plan) is type(plan)
    assert our_plan.dtype == plan.dtype
    np.testing.assert_allclose(np.asarray(our_plan), np.asarray(plan), atol=1e-6 if dtype == "float32" else 1e-14)
    assert list(our_log) == list(log)
    assert type(our_log["cost"]) is type(log["cost"])
    assert our_log["cost"] == pytest.approx(log["cost"], rel=1e-6 if dtype == "float32" else 1e-12)
    assert (our_log["warning"], our_log["result_code"]) == (log["warning"], log["result_code"]) == (None, 1)
    for key in "uv":
        assert type(our_log[key]) is type(log[key])
        assert (our_log[key].dtype, our_log[key].shape) == (log[key].dtype, log[key].shape)
    a, b, M = (np.asarray(x, np.float64) for x in given)
    u, v = (np.asarray(our_log[key], np.float64) for key in "uv")
    rounding = 1e-5 if dtype == "float32" else 1e-12
    assert a @ u + b @ v == pytest.approx(log["cost"], abs=rounding)
    assert a @ u == pytest.approx(b @ v, abs=rounding)
    assert (u[:, None] + v - M).max() <= rounding


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("targets", [None, 3])
@pytest.mark.parametrize("keywords", [{}, {"log": True}, {"return_matrix": True}])
def test_cost(kind, targets, keywords, seed):
    given = _as(kind, "float64", _data(seed, k=targets))
    theirs, ours = (package.emd2(*given, **keywords) for package in (ot, pot))
    assert type(ours) is type(theirs)
    if targets is None:
        theirs, ours = [theirs], [ours]
    for their, our in zip(theirs, ours, strict=True):
        assert type(our) is type(their)
        if keywords:
            assert list(our[1]) == list(their[1])
            assert type(our[1]["cost"]) is type(their[1]["cost"])
            our, their = our[0], their[0]
        assert type(our) is type(their)
        assert float(our) == pytest.approx(float(their), rel=1e-12)
    if keywords.get("return_matrix"):
        np.testing.assert_allclose(np.asarray(ours[-1][1]["G"]), np.asarray(theirs[-1][1]["G"]), atol=1e-14)


def test_derivatives(seed):
    found = []
    for package in (ot, pot):
        given = [torch.tensor(x, requires_grad=True) for x in _data(seed)]
        package.emd2(*given).backward()
        found.append([x.grad.numpy() for x in given])
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_lists_empty_weights_and_scales():
    M = [[0.0, 1.0, 2.0], [1.0, 0.0, 5.0], [3.0, 1.0, 1.5]]
    np.testing.assert_array_equal(pot.emd([], [], M), ot.emd([], [], M))
    assert pot.emd2([], [], torch.tensor(M)) == pytest.approx(ot.emd2([], [], torch.tensor(M)))
    np.testing.assert_allclose(pot.emd([3.0, 1.0, 2.0], [2.0, 2.0, 2.0], M), ot.emd([3.0, 1.0, 2.0], [2.0] * 3, M))


def test_no_weights_are_uniform_ones(seed):
    M = _data(seed)[2]
    np.testing.assert_array_equal(pot.emd(None, None, M), pot.emd([], [], M))
    assert pot.emd2(None, None, M) == pot.emd2([], [], M)


@pytest.mark.parametrize(
    ("keywords", "match"),
    [
        ({"numThreads": 0}, "numThreads"),
        ({"M": np.ones(5)}, "M must have 2 dimensions"),
        ({"numItermax": -1}, "numItermax must be an integer"),
        ({"potentials_init": (np.zeros(3), np.zeros(11))}, r"potentials_init f has shape \(3,\)"),
        ({"M": np.full((14, 11), np.nan)}, r"M must be finite; M\[\(0, 0\)\] is nan"),
    ],
)
@pytest.mark.parametrize("call", [pot.emd, pot.emd2])
def test_errors_name_the_arguments_of_pot(call, keywords, match, seed):
    given = dict(zip("abM", _data(seed), strict=True)) | keywords
    with pytest.raises(ValueError, match=match):
        call(**given)


def test_zero_weights(seed):
    a, b, M = _data(seed)
    a[2], b[4] = 0, 0
    a, b = a / a.sum(), b / b.sum()
    ours, log = pot.emd(a, b, M, log=True)
    np.testing.assert_allclose(ours, ot.emd(a, b, M), atol=1e-14)
    assert (log["u"][:, None] + log["v"] - M).max() <= 1e-12


def test_masses(seed):
    a, b, M = _data(seed)
    for call in (ot.emd, pot.emd, ot.emd2, pot.emd2):
        with pytest.raises(AssertionError, match="same sum"):
            call(a, 1.01 * b, M)
        with pytest.raises(AssertionError, match="imension"):
            call(a, b[1:] / b[1:].sum(), M)
    np.testing.assert_allclose(
        pot.emd(a, 1.5 * b, M, check_marginals=False), ot.emd(a, 1.5 * b, M, check_marginals=False), atol=1e-14
    )


def test_lists_beside_integers_keep_their_fractions():
    """They would be rounded to the type of the costs, or of the weights."""
    a, b, M = [0.5, 0.5], [0.25, 0.25, 0.5], np.array([[0, 3, 1], [2, 1, 0]])
    expected = ot.emd(np.array(a), np.array(b), M.astype(float))
    np.testing.assert_array_equal(pot.emd(a, b, M), expected)
    assert pot.emd2(a, b, M) == pytest.approx((expected * M).sum())
    ones = np.array([1.0, 1.0])
    with pytest.warns(UserWarning, match="consists of integer"):  # the plan, not what it is made of
        _, log = pot.emd(ones.astype(int), ones, [[0.5, 3.0], [3.0, 0.25]], log=True)
    assert log["cost"] == pytest.approx(0.75)
    assert pot.emd(a, b, M.astype(np.float32)).dtype == np.float32


def test_integer_weights():
    a, b, M = np.array([2, 1]), np.array([1, 2]), np.array([[1.0, 2.0], [3.0, 1.0]])
    plans = []
    for package in (ot, pot):
        with pytest.warns(UserWarning, match="consists of integer"):
            plans.append(package.emd(a, b, M))
    assert plans[0].dtype == plans[1].dtype
    np.testing.assert_array_equal(*plans)


def test_potentials_start_the_solve(seed):
    a, b, M = _data(seed, 60, 50)
    plan, log = pot.emd(a, b, M, log=True, center_dual=False)
    again = pot.emd(a, b, M, potentials_init=(log["u"], log["v"]), numThreads="max", numItermax=1)
    np.testing.assert_allclose(again, plan, atol=1e-14)


def test_warns_where_not_optimal(seed):
    a, b, M = _data(seed, 300, 300)
    with pytest.warns(UserWarning, match="max_iter"):
        _, log = pot.emd(a, b, M, numItermax=0, log=True)
    assert log["result_code"] == 3
    assert log["warning"]


def test_sparse_costs_are_pots_own(seed):
    a = np.full(5, 0.2)
    M = sparse.coo_matrix(np.eye(5) + np.eye(5, k=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, ours = ot.emd(a, a, M), pot.emd(a, a, M)
    np.testing.assert_array_equal(ours.toarray(), theirs.toarray())
    assert pot.emd2(a, a, M) == ot.emd2(a, a, M)
