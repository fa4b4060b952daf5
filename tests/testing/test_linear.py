"""The checker of linear solves believes nothing."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse

from solvers.linalg import GridOperator, solve
from solvers.testing import check_linear

A = scipy.sparse.diags_array([-1.0, 2.5, -1.0], offsets=[-1, 0, 1], shape=(40, 40))


def test_accepts_what_is_so(seed):
    B = np.random.default_rng(seed).normal(size=(40, 3))
    for b in (B[:, 0], B):
        result = solve(A, b, rtol=1e-9)
        report = check_linear(A, b, result, rtol=1e-9)
        assert report.residual_norm == pytest.approx(result.residual_norm, rel=1e-6)
        assert report.relative_residual <= 1e-9
        assert report.backward_error <= 1e-8
    assert check_linear(A.toarray(), B, result) == check_linear(A, B, result)
    grid = GridOperator((5, 8), mass=1.0)
    assert check_linear(grid, B[:, 0], solve(grid, B[:, 0])).relative_residual <= 1e-8
    start = np.ones(40)
    relative = solve(A, B[:, 0], x0=start, reference="r0", rtol=1e-3)
    check_linear(A, B[:, 0], relative, x0=start, reference="r0", rtol=1e-3)


def test_refuses_what_is_not():
    b = np.ones(40)
    result = solve(A, b)
    for wrong, word in (
        (replace(result, x=result.x + 1e-6), "success is claimed"),
        (replace(result, x=result.x + 1e-6, success=False), "residual_norm"),
        (replace(result, residual_norm=result.residual_norm * 1.01 + 1e-12), "residual_norm"),
        (replace(result, x=result.x[:-1]), "shape"),
        (replace(result, x=result.x * np.nan), "finite"),
    ):
        with pytest.raises(AssertionError, match=word):
            check_linear(A, b, wrong)
    with pytest.raises(AssertionError, match="success is claimed"):
        check_linear(A, b, result, rtol=1e-13)


def test_counts_nothing_as_wrong_of_nothing():
    report = check_linear(A, np.zeros(40), solve(A, np.zeros(40)))
    assert (report.residual_norm, report.relative_residual, report.backward_error) == (0, 0, 0)


def test_false_claims_are_refused_without_assert_statements():
    """``python -O`` drops those."""
    script = (
        "import numpy as np, solvers, types\n"
        "lie = types.SimpleNamespace(x=np.zeros(2), success=True, residual_norm=2.0**0.5)\n"
        "solvers.testing.check_linear(np.eye(2), np.ones(2), lie)\n"
    )
    run = subprocess.run([sys.executable, "-O", "-P", "-c", script], capture_output=True, text=True)
    assert "AssertionError: success is claimed at a residual of 1.41" in run.stderr
