"""Tensors of PyTorch."""

import numpy as np
import pytest
import torch

from solvers.special import LogSumExpAccumulator, log_softmax, logsumexp, softmax, softmax_jvp

ALL = [softmax, log_softmax, logsumexp]


def tensor(dtype, shape=(6, 50)):
    return torch.from_numpy(np.random.default_rng(6353).standard_normal(shape) * 5).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("axis", [0, 1, None])
@pytest.mark.parametrize("function", ALL)
def test_tensors_in_and_out(function, axis, dtype):
    for x in (tensor(dtype), tensor(dtype, (50, 6)).T, tensor(dtype, (6, 100))[:, ::2]):
        before = x.clone()
        y = function(x, axis)
        assert type(y) is torch.Tensor
        assert y.dtype == dtype
        work = torch.float64 if dtype is torch.float64 else torch.float32
        expected = torch.from_numpy(np.asarray(function(x.to(work).numpy(), axis))).to(dtype)
        assert torch.equal(y, expected)
        assert torch.equal(x, before)


def test_agrees_with_torch():
    for dtype, eps in ((torch.float32, 1e-5), (torch.float64, 1e-13), (torch.bfloat16, 1e-2)):
        x = tensor(dtype)
        torch.testing.assert_close(softmax(x, 1), torch.softmax(x, 1), rtol=eps, atol=eps)
        torch.testing.assert_close(log_softmax(x, 1), torch.log_softmax(x, 1), rtol=eps, atol=eps)
        torch.testing.assert_close(logsumexp(x, 1), torch.logsumexp(x, 1), rtol=eps, atol=eps)


def test_rounding_of_bfloat16_is_torchs():
    values = torch.arange(1 << 15, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
    got = logsumexp(torch.stack([values, values]), 0)
    expected = torch.from_numpy(logsumexp(torch.stack([values, values]).float().numpy(), 0)).to(torch.bfloat16)
    torch.testing.assert_close(got, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_out_and_options(dtype):
    x, out = tensor(dtype), torch.empty((6, 50), dtype=dtype)
    expected = softmax(x, 1, where=x > 0, temperature=torch.tensor(2.0))
    assert softmax(x, 1, where=x > 0, temperature=torch.tensor(2.0), out=out) is out
    assert torch.equal(out, expected)
    assert softmax_jvp(softmax(x, 1), x, out=out) is out
    with pytest.raises(TypeError, match="out must be an array of"):
        softmax(x, 1, out=out.double())


def test_shapes_without_elements_and_without_axes():
    assert softmax(torch.empty((0, 3))).shape == (0, 3)
    assert softmax(torch.tensor(2.0)).shape == ()
    assert logsumexp(torch.ones(3), return_sign=True)[1] == 1


def test_tensors_that_cannot_be_read():
    with pytest.raises(TypeError, match=r"^x requires a gradient.*x\.detach\(\)"):
        softmax(torch.ones(3, requires_grad=True))
    with pytest.raises(ValueError, match=r"^x lies on meta"):
        softmax(torch.ones(3, device="meta"))
    with pytest.raises(TypeError, match=r"^x must be"):
        softmax(torch.ones(3, dtype=torch.complex64))
    with pytest.raises((TypeError, ValueError), match=r"^x "):
        softmax(torch.eye(3).to_sparse())


def test_blocks_of_an_accumulator():
    x = tensor(torch.bfloat16)
    sums = LogSumExpAccumulator(6, np.float32)
    sums.update(x[:, :20], 1)
    sums.update(x[:, 20:], 1)
    assert torch.equal(sums.softmax(x, 1).to(torch.bfloat16), softmax(x, 1))
