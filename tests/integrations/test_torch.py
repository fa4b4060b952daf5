"""The value as a differentiable function of tensors."""

import numpy as np
import pytest
import torch

from solvers import SolveError
from solvers.integrations.torch import sinkhorn_value
from solvers.ot import gradients, solve, solve_sample, solve_unbalanced

TIGHT = {"tol": 1e-13, "max_iter": 100_000}


@pytest.fixture
def data(seed):
    rng = np.random.default_rng(seed)
    arrays = (
        rng.random((6, 5)),
        rng.normal(size=6),
        rng.normal(size=5),
        rng.normal(size=(6, 2)),
        rng.normal(size=(5, 2)),
    )
    return [torch.tensor(x, requires_grad=True) for x in arrays]


def test_gradcheck_balanced(data):
    C, s, t, X, Y = data

    def of_cost(C, s, t):
        return sinkhorn_value(C, s.softmax(0), t.softmax(0), reg=0.2, **TIGHT)

    def of_points(X, Y, s, t):
        return sinkhorn_value((X, Y), s.softmax(0), t.softmax(0), reg=0.5, metric="euclidean", **TIGHT)

    assert torch.autograd.gradcheck(of_cost, (C, s, t), eps=1e-5, atol=1e-7)
    assert torch.autograd.gradcheck(of_points, (X, Y, s, t), eps=1e-5, atol=1e-7)


def test_gradcheck_unbalanced(data):
    C, s, t, X, Y = data

    def of_cost(C, s, t):
        return sinkhorn_value(C, s.exp(), t.exp(), reg=0.2, reg_m=(0.5, 2.0), **TIGHT)

    def of_points(X, Y, s):
        return sinkhorn_value((X, Y), s.exp(), None, reg=0.5, reg_m=1.0, **TIGHT)

    assert torch.autograd.gradcheck(of_cost, (C, s, t), eps=1e-5, atol=1e-7)
    assert torch.autograd.gradcheck(of_points, (X, Y, s), eps=1e-5, atol=1e-7)


def test_values_and_gradients_are_those_of_the_solve(data):
    C, _, _, X, Y = data
    value = sinkhorn_value(C, reg=0.2)
    result = solve(C.detach().numpy(), reg=0.2)
    assert value.item() == result.value
    (3 * value).backward()
    np.testing.assert_array_equal(C.grad.numpy(), 3 * result.plan.dense())
    sinkhorn_value((X, Y), reg=0.2).backward()
    np.testing.assert_array_equal(X.grad, gradients(solve_sample(X.detach(), Y.detach(), reg=0.2)).X)
    assert sinkhorn_value(C, reg=0.2, reg_m=1.0).item() == solve_unbalanced(C.detach(), reg=0.2, reg_m=1.0).value


def test_float32(seed):
    rng = torch.Generator().manual_seed(seed)
    X, Y = (torch.rand((k, 2), generator=rng).requires_grad_() for k in (300, 200))
    a, b = (torch.rand(k, generator=rng) for k in (300, 200))
    a, b = a / a.sum(), b / b.sum()  # masses that agree to the rounding of float32 alone
    for weights in ((a, b), (None, b), (a, None)):
        value = sinkhorn_value((X, Y), *weights, reg=0.1)
        value.backward()
        assert value.dtype == X.grad.dtype == torch.float32
    C = torch.rand((30, 20), generator=rng).requires_grad_()
    sinkhorn_value(C, reg=0.1).backward()
    assert C.grad.sum().item() == pytest.approx(1, abs=1e-6)


def test_only_what_is_asked_for(data):
    C, s, *_ = data
    value = sinkhorn_value(C.detach(), s.softmax(0), reg=0.2)
    value.backward()
    assert s.grad is not None
    assert C.grad is None


def test_no_gradient_of_a_failed_solve(data):
    with pytest.raises(SolveError):
        sinkhorn_value(data[0], reg=1e-4, tol=1e-12, max_iter=2)


def test_masses_that_differ_are_refused(data):
    a = torch.full((6,), 0.2, dtype=torch.float32)
    with pytest.raises(ValueError, match="same mass"):
        sinkhorn_value(data[0], a, reg=1.0)


def test_steps_down_the_gradient_move_the_points():
    rng = torch.Generator().manual_seed(7)
    X, Y = torch.rand((40, 2), generator=rng, dtype=torch.float64), torch.rand((50, 2), generator=rng).double() + 2
    X.requires_grad_()
    values = []
    for _ in range(5):
        value = sinkhorn_value((X, Y), reg=0.05)
        (step,) = torch.autograd.grad(value, X)
        with torch.no_grad():
            X -= 10 * step
        values.append(value.item())
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.2 * values[0]
