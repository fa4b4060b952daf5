"""The surrogates bound the measured counts and follow them."""

import numpy as np
import pytest
from systems import laplacian, random_spd

from solvers.linalg import solve, surrogate_sor, surrogate_ssor

OMEGAS = np.linspace(1, 1.9, 7)


def counts(A, method, b):
    return np.array([solve(A, b, method=method, options={"omega": w}).nit for w in OMEGAS])


@pytest.mark.parametrize(("method", "surrogate"), [("sor", surrogate_sor), ("ssor-cg", surrogate_ssor)])
def test_they_bound(method, surrogate, seed):
    rng = np.random.default_rng(seed)
    for A in (laplacian(8), random_spd(50, seed)):
        measured = counts(A, method, rng.normal(size=A.shape[0]))
        assert (measured <= surrogate(A, OMEGAS)).all()


@pytest.mark.parametrize(("method", "surrogate"), [("sor", surrogate_sor), ("ssor-cg", surrogate_ssor)])
def test_they_follow(method, surrogate):
    A = laplacian(8)
    measured = counts(A, method, np.random.default_rng(3).normal(size=64))
    bounds = surrogate(A, OMEGAS)
    assert (bounds <= 6 * measured).all()
    # omega chosen by the bound is nearly as good as the best
    assert measured[bounds.argmin()] <= 1.3 * measured.min()


def test_bad_input():
    A = laplacian(3)
    for surrogate in (surrogate_sor, surrogate_ssor):
        for omegas in ([0.0], [2.0], [np.nan], 1.0):
            with pytest.raises(ValueError, match="omegas"):
                surrogate(A, omegas)
        with pytest.raises(ValueError, match="eps"):
            surrogate(A, [1.0], 1.0)
        with pytest.raises(ValueError, match="positive definite"):
            surrogate(A - 2 * np.eye(9), [1.0])
