"""POT's calls on our solvers: the same answers, log keys, shapes and array types as POT's own."""

import subprocess
import sys
import warnings

import numpy as np
import ot
import pytest
import torch

from solvers.integrations import pot

METHODS = ["sinkhorn", "sinkhorn_log", "greenkhorn", "sinkhorn_stabilized", "sinkhorn_epsilon_scaling"]
REG = 0.1


def _data(seed, k=None):
    rng = np.random.default_rng(seed)
    a, b = rng.dirichlet(np.ones(12)), rng.dirichlet(np.ones(9), size=k).T
    return a, b, rng.random((12, 9))


def _both(name, *arguments, **keywords):
    """What POT gives, converged, and what we give."""
    squared = keywords.get("method") == "sinkhorn_epsilon_scaling"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its inner solves of the scaling stop early and say so
        theirs = getattr(ot, name)(*arguments, numItermax=200 if squared else 100_000, stopThr=1e-13, **keywords)
    return theirs, getattr(pot, name)(*arguments, numItermax=1000, stopThr=1e-24 if squared else 1e-12, **keywords)


@pytest.mark.parametrize("method", METHODS)
def test_plan_and_log(method, seed):
    data = _data(seed)
    (plan, log), (our_plan, our_log) = _both("sinkhorn", *data, REG, method=method, log=True)
    np.testing.assert_allclose(our_plan, plan, atol=1e-10)
    assert set(our_log) == set(log)
    for key, value in log.items():
        if isinstance(value, np.ndarray):
            assert our_log[key].shape == value.shape
            assert our_log[key].dtype == value.dtype
    # potentials and scalings are unique up to one constant: compare what they make
    for first, second, make in (
        ("u", "v", np.multiply.outer),
        ("log_u", "log_v", np.add.outer),
        ("logu", "logv", np.add.outer),
        ("alpha", "beta", np.add.outer),
    ):
        if first in log:
            theirs = make(log[first], log[second])
            np.testing.assert_allclose(make(our_log[first], our_log[second]), theirs, rtol=1e-7, atol=1e-8)
    counted = our_log.get("niter", our_log.get("n_iter"))
    assert isinstance(counted, int)
    if "err" in our_log:
        assert our_log["err"][-1] <= 1e-12
        assert all(isinstance(x, float) for x in our_log["err"])


@pytest.mark.parametrize("method", ["sinkhorn", "sinkhorn_log", "sinkhorn_stabilized"])
def test_cost(method, seed):
    data = _data(seed)
    (cost, log), (our_cost, our_log) = _both("sinkhorn2", *data, REG, method=method, log=True)
    assert our_cost == pytest.approx(cost, rel=1e-9)
    assert type(our_cost) is type(cost)
    assert set(our_log) == set(log)


@pytest.mark.parametrize("method", ["sinkhorn", "sinkhorn_log"])
@pytest.mark.parametrize("name", ["sinkhorn", "sinkhorn2"])
def test_several_targets(name, method, seed):
    data = _data(seed, 3)
    (costs, log), (our_costs, our_log) = _both(name, *data, REG, method=method, log=True)
    np.testing.assert_allclose(our_costs, costs, rtol=1e-9)
    assert our_costs.shape == costs.shape == (3,)
    assert set(our_log) == set(log)
    assert our_log["u"].shape == log["u"].shape == (12, 3)
    plans = our_log["u"].T[:, :, None] * np.exp(-data[2] / REG) * our_log["v"].T[:, None]
    np.testing.assert_allclose(plans.sum(1).T, data[1], atol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("targets", [None, 2])
def test_array_types(dtype, kind, targets, seed):
    data = [x.astype(dtype) for x in _data(seed, targets)]
    make = np.asarray if kind == "numpy" else torch.tensor
    given = [make(x) for x in data]
    tight = {"stopThr": 1e-9, "log": True}
    theirs, log = ot.sinkhorn(*given, REG, numItermax=200, warn=False, **tight)
    ours, our_log = pot.sinkhorn(*given, REG, **tight)
    assert type(ours) is type(theirs)
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    assert our_log["u"].dtype == log["u"].dtype
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-4 if dtype == "float32" else 1e-7)
    cost, our_cost = ot.sinkhorn2(*given, REG), pot.sinkhorn2(*given, REG)
    assert type(our_cost) is type(cost)
    assert our_cost.dtype == cost.dtype
    assert our_cost.shape == cost.shape


def test_lists_and_empty_weights():
    M = [[0.0, 1.0], [1.0, 0.0]]
    np.testing.assert_allclose(pot.sinkhorn([], [], M, 1), ot.sinkhorn([], [], M, 1), atol=1e-9)
    np.testing.assert_allclose(pot.sinkhorn([0.5, 0.5], [0.5, 0.5], M, 1), ot.sinkhorn([], [], M, 1), atol=1e-9)
    assert pot.sinkhorn2([], [], torch.tensor(M), 1) == pytest.approx(0.2689414213699951)


def test_zero_weights(seed):
    a, b, M = _data(seed)
    a[2], b[4] = 0, 0
    a, b = a / a.sum(), b / b.sum()
    with np.errstate(all="ignore"):
        theirs = ot.sinkhorn(a, b, M, REG, method="sinkhorn_stabilized", stopThr=1e-13, numItermax=10_000)
    ours, log = pot.sinkhorn(a, b, M, REG, stopThr=1e-12, log=True)
    np.testing.assert_allclose(ours, theirs, atol=1e-11)
    assert (ours[2] == 0).all()
    assert log["u"][2] == log["v"][4] == 0


@pytest.mark.parametrize("method", METHODS)
def test_warm_start_in_the_form_of_the_method(method, seed):
    """What POT's log gives starts us at the answer, and what ours gives starts POT there."""
    a, b, M = _data(seed)
    _, log = ot.sinkhorn(a, b, M, REG, method="sinkhorn_stabilized", stopThr=1e-13, numItermax=10_000, log=True)
    potentials = METHODS.index(method) > 2
    start = log["warmstart"] if potentials else (log["logu"], log["logv"])
    _, our_log = pot.sinkhorn(a, b, M, REG, method=method, warmstart=start, stopThr=1e-8, log=True)
    assert our_log.get("niter", our_log.get("n_iter")) <= 1
    start = our_log["warmstart"] if potentials else (np.log(our_log["u"]), np.log(our_log["v"]))
    _, back = ot.sinkhorn(a, b, M, REG, method=method, warmstart=start, stopThr=1e-7, log=True, warn=False)
    if method != "sinkhorn_epsilon_scaling":  # POT always takes 35 steps there
        assert back.get("niter", back.get("n_iter")) <= 1


def test_warm_start_of_several_targets(seed):
    a, b, M = _data(seed, 2)
    for method, key in (("sinkhorn", "u"), ("sinkhorn_log", "log_u")):
        costs, log = pot.sinkhorn(a, b, M, REG, method=method, log=True, stopThr=1e-10)
        if key == "u":
            start = np.log(log["u"]), np.log(log["v"])
        else:
            start = [(log["log_u"][:, k], log["log_v"][:, k]) for k in range(2)]
        again, log = pot.sinkhorn(a, b, M, REG, method=method, warmstart=start, log=True, stopThr=1e-9)
        np.testing.assert_allclose(again, costs, rtol=1e-7)


def test_warns_where_pot_does(seed):
    a, b, M = _data(seed)
    with pytest.warns(UserWarning, match="Sinkhorn did not converge"):
        pot.sinkhorn(a, b, M, 1e-3, numItermax=1)
    pot.sinkhorn(a, b, M, 1e-3, numItermax=1, warn=False)
    pot.sinkhorn2(a, b, M, 1e-3, numItermax=1)


def test_small_reg_where_the_kernel_underflows(seed):
    a, b, M = _data(seed)
    plan = pot.sinkhorn(a, b, M, 5e-4, numItermax=10_000)
    assert np.abs(plan.sum(0) - b).max() < 1e-9
    assert (M * plan).sum() == pytest.approx(ot.emd2(a, b, M), abs=0.01)


def test_refuses(seed):
    a, b, M = _data(seed)
    with pytest.raises(ValueError, match="Unknown method 'newton'"):
        pot.sinkhorn(a, b, M, REG, method="newton")
    with pytest.raises(ValueError, match="same mass"):
        pot.sinkhorn(a, 2 * b, M, REG)
    tensors = [torch.tensor(x, requires_grad=True) for x in (a, b, M)]
    for call in (pot.sinkhorn, pot.sinkhorn2):
        with pytest.raises(NotImplementedError, match="envelope"):
            call(*tensors, REG)
    with pytest.raises(NotImplementedError, match="envelope"):
        pot.solve(tensors[2], reg=REG)


# ---- ot.solve --------------------------------------------------------------------------------------


@pytest.mark.parametrize("reg_type", ["KL", "entropy"])
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_solve(reg_type, kind, seed):
    a, b, M = _data(seed)
    if kind == "torch":
        a, b, M = (torch.tensor(x) for x in (a, b, M))
    theirs = ot.solve(M, a, b, reg=REG, reg_type=reg_type, tol=1e-13, max_iter=10_000)
    ours = pot.solve(M, a, b, reg=REG, reg_type=reg_type, tol=1e-12)
    for name in ("value", "value_linear"):
        assert type(getattr(ours, name)) is type(getattr(theirs, name))
        assert float(getattr(ours, name)) == pytest.approx(float(getattr(theirs, name)), rel=1e-9)
    assert type(ours.plan) is type(theirs.plan)
    np.testing.assert_allclose(np.asarray(ours.plan), np.asarray(theirs.plan), atol=1e-11)
    np.testing.assert_allclose(np.asarray(ours.marginal_a), np.asarray(a), atol=1e-11)
    made = np.add.outer(np.asarray(ours.potential_a), np.asarray(ours.potential_b))
    np.testing.assert_allclose(made, np.add.outer(*(np.asarray(p) for p in theirs.potentials)), atol=1e-8)
    assert ours.status == "Converged"
    assert ours.log["result"].success
    again = pot.solve(M, a, b, reg=REG, tol=1e-11, potentials_init=ours.potentials)
    assert again.log["result"].nit <= 1


@pytest.mark.parametrize("grad", ["envelope", "last_step"])
@pytest.mark.parametrize("reg_type", ["KL", "entropy"])
def test_gradients(grad, reg_type, seed):
    """The same derivatives as POT's, at its own convergence."""
    found = []
    for solve in (ot.solve, pot.solve):
        a, b, M = (torch.tensor(x, requires_grad=True) for x in _data(seed))
        result = solve(M, a, b, reg=REG, reg_type=reg_type, grad=grad, tol=1e-12, max_iter=5000)
        result.value.backward()
        found.append([x.grad.numpy() - (0 if x is M else x.grad.numpy().mean()) for x in (M, a, b)])
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8)


def test_solve_detached(seed):
    M = torch.tensor(_data(seed)[2], requires_grad=True)
    result = pot.solve(M, reg=REG, grad="detach")
    assert result.plan.shape == (12, 9)
    assert torch.isfinite(result.value)


def test_the_rest_is_pots_own(seed):
    a, b, M = _data(seed)
    assert pot.solve(M, a, b).value == ot.solve(M, a, b).value
    assert pot.solve(M, a, b, reg=1.0, unbalanced=1.0).value == ot.solve(M, a, b, reg=1.0, unbalanced=1.0).value
    with pytest.raises(ValueError, match="1 dimension"):
        pot.solve(M, a, np.stack([b, b], 1), reg=1.0)


def test_reference_and_first_plan_are_left_to_pot(seed):
    a, b, M = _data(seed)
    plan = np.outer(a, b)
    for keywords in ({"c": plan + 0.1}, {"plan_init": plan}):
        theirs, ours = (package.solve(M, a, b, reg=REG, **keywords) for package in (ot, pot))
        np.testing.assert_array_equal(ours.plan, theirs.plan)


# ---- ot.solve_sample -------------------------------------------------------------------------------


def _points(seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(12, 3)), rng.normal(size=(9, 3)), rng.dirichlet(np.ones(12)), rng.dirichlet(np.ones(9))


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cityblock", "cosine", "chebyshev", "minkowski"])
@pytest.mark.parametrize("reg_type", ["KL", "entropy"])
def test_solve_sample(metric, reg_type, seed):
    points = _points(seed)
    theirs = ot.solve_sample(*points, metric, REG, reg_type=reg_type, tol=1e-13, max_iter=100_000)
    ours = pot.solve_sample(*points, metric, REG, reg_type=reg_type, tol=1e-12)
    np.testing.assert_allclose(ours.plan, theirs.plan, atol=1e-9)
    for name in ("value", "value_linear"):
        assert type(getattr(ours, name)) is type(getattr(theirs, name))
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-8)
    again = pot.solve_sample(*points, metric, REG, tol=1e-10, potentials_init=ours.potentials)
    assert again.log["result"].nit <= 1


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_solve_sample_without_a_plan(kind, seed):
    points = [x if kind == "numpy" else torch.tensor(x) for x in _points(seed)]
    theirs = ot.solve_sample(*points, reg=1.0, lazy=True, batch_size=5, tol=1e-13)
    ours = pot.solve_sample(*points, reg=1.0, lazy=True, batch_size=5, tol=1e-12)
    assert ours.plan is None
    assert type(ours.lazy_plan) is type(theirs.lazy_plan)
    assert type(ours.lazy_plan[2:4]) is type(theirs.lazy_plan[2:4])
    np.testing.assert_allclose(ours.lazy_plan[:], theirs.lazy_plan[:], atol=1e-9)
    assert float(ours.value_linear) == pytest.approx(float(theirs.value_linear), rel=1e-9)
    assert ours.value == pytest.approx(pot.solve_sample(*points, reg=1.0, tol=1e-12).value)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cityblock"])
def test_gradients_in_the_samples(metric, seed):
    found = []
    for package in (ot, pot):
        points = [torch.tensor(x, requires_grad=True) for x in _points(seed)]
        package.solve_sample(*points, metric, 1.0, grad="envelope", tol=1e-12, max_iter=5000).value.backward()
        found.append([x.grad.numpy() - (x.grad.numpy().mean() if x.ndim == 1 else 0) for x in points])
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "keywords",
    [{}, {"lazy": True}, {"method": "gaussian"}, {"reg": 1.0, "unbalanced": 1.0}, {"reg": 1.0, "metric": "canberra"},
     {"reg": 1.0, "debias": True}],
)  # fmt: skip
def test_the_rest_of_solve_sample_is_pots_own(keywords, seed):
    X, Y, *_ = _points(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # POT's debiased solves need not converge
        assert pot.solve_sample(X, Y, **keywords).value == ot.solve_sample(X, Y, **keywords).value


def test_solve_sample_refuses(seed):
    X, Y, a, b = _points(seed)
    with pytest.raises(ValueError, match=r"X_a must be finite; X_a\[\(0, 0\)\] is nan"):
        pot.solve_sample(np.full_like(X, np.nan), Y, a, b, reg=1.0)
    with pytest.raises(ValueError, match="X_a and X_b differ in dimension"):
        pot.solve_sample(X, Y[:, :2], reg=1.0)
    with pytest.raises(ValueError, match="1 dimension"):
        pot.solve_sample(X, Y, a, np.stack([b, b], 1), reg=1.0)
    with pytest.raises(NotImplementedError, match="envelope"):
        pot.solve_sample(torch.tensor(X, requires_grad=True), torch.tensor(Y), reg=1.0)


# ---- what a strange call gets ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("M", "a"),
    [
        (np.array([[0, 1], [1, 0]]), np.array([0.5, 0.5])),
        (np.array([[0, 1], [1, 0]]), [0.5, 0.5]),
        ([[0, 1], [1, 0]], [0.5, 0.5]),
        ([[0.0, 1.0], [1.0, 0.0]], np.array([1, 1])),
        (np.array([[False, True], [True, False]]), []),
        (torch.tensor([[0, 1], [1, 0]]), torch.tensor([0.5, 0.5], dtype=torch.float64)),
        ([[0, 1], [1, 0]], None),
    ],
)
def test_integers_are_no_type_of_a_plan(M, a):
    mass = 1.0 if a is None or not len(a) else float(sum(a))
    plan = pot.sinkhorn(a, a, M, 1)
    np.testing.assert_allclose(np.asarray(plan), mass * ot.sinkhorn([], [], [[0.0, 1.0], [1.0, 0.0]], 1), atol=1e-8)
    assert float(pot.sinkhorn2(a, a, M, 1)) == pytest.approx(mass * 0.2689414213699951)
    assert float(pot.solve(M, a, a, 1).value_linear) == pytest.approx(mass * 0.2689414213699951)


def test_infinite_costs_forbid_their_arcs(seed):
    a, b, M = _data(seed)
    allowed = np.arange(9) % 3 != np.arange(12)[:, None] % 3
    carried = np.where(allowed, np.outer(a, b), 0)  # by these arcs
    M, a, b = np.where(allowed, M, np.inf), carried.sum(1) / carried.sum(), carried.sum(0) / carried.sum()
    theirs = ot.sinkhorn(a, b, M, REG, stopThr=1e-13, numItermax=100_000)
    np.testing.assert_allclose(pot.sinkhorn(a, b, M, REG, stopThr=1e-11), theirs, atol=1e-9)
    linear = (np.where(allowed, M, 0) * theirs).sum()
    assert pot.sinkhorn2(a, b, M, REG) == pytest.approx(linear, rel=1e-7)
    assert pot.solve(M, a, b, REG).value_linear == pytest.approx(linear, rel=1e-7)
    M[0] = np.inf
    with pytest.warns(UserWarning, match=r"did not converge.*sources \[0\] cannot send"):
        plan, log = pot.sinkhorn(a, b, M, REG, log=True)
    assert not plan.any()
    assert not log["u"].any()


@pytest.mark.parametrize(
    ("keywords", "match"),
    [
        ({"stopThr": 0}, "stopThr must be positive"),
        ({"stopThr": -1.0, "method": "sinkhorn_epsilon_scaling"}, "stopThr must be positive"),
        ({"numItermax": -1}, "numItermax must be an integer"),
        ({"reg": 0}, "reg must be positive"),
        ({"warmstart": (np.zeros(3), np.zeros(9))}, r"warmstart f has shape \(3,\)"),
        ({"M": np.full((12, 9), np.nan)}, r"M must be finite; M\[\(0, 0\)\] is nan"),
        ({"M": np.full((12, 9), -np.inf)}, "M must be finite"),
        ({"M": np.ones(5)}, r"M must have 2 dimensions, not shape \(5,\)"),
        ({"a": np.full(4, 0.25)}, r"a has shape \(4,\)"),
        ({"stopthr": 1e-3}, "unexpected keyword argument 'stopthr'"),
        ({"M": np.ma.masked_less(np.ones((12, 9)), 0)}, "M is a masked array"),
    ],
)
@pytest.mark.parametrize("call", [pot.sinkhorn, pot.sinkhorn2])
def test_errors_name_the_arguments_of_pot(call, keywords, match, seed):
    given = dict(zip("abM", _data(seed), strict=True)) | {"reg": REG} | keywords
    with pytest.raises((ValueError, TypeError), match=match):
        call(**given)


@pytest.mark.parametrize("method", METHODS)
def test_arguments_of_single_methods_are_taken(method, seed):
    others = {"tau": 1e5, "print_period": 3, "epsilon0": 10.0, "numInnerItermax": 7}
    np.testing.assert_array_equal(
        pot.sinkhorn(*_data(seed), REG, method, **others), pot.sinkhorn(*_data(seed), REG, method)
    )


def test_needs_its_host_and_is_loaded_by_nobody():
    script = "import sys, solvers.ot; assert not any('integrations' in m or m == 'ot' for m in sys.modules)"
    subprocess.run([sys.executable, "-P", "-c", script], check=True)
    script = "import sys; sys.modules['ot'] = None; import solvers.integrations.pot"
    run = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True)
    assert "ModuleNotFoundError" in run.stderr
