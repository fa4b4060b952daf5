"""Plans and preconditioners go to other processes, and have copies, whatever was done with them before."""

import copy
import pickle

import numpy as np
import pytest
from systems import random_spd

from solvers.linalg import GridOperator, ic0, multilevel, plan, solve, ssor

N = 48


def grid(seed):
    rng = np.random.default_rng(seed)
    return GridOperator((6, 8), rng.uniform(0.1, 1.0, (6, 8)), 0.1, mask=rng.random((6, 8)) < 0.9)


MADE = {
    "plan": lambda A, seed: plan(A),
    "plan in groups": lambda A, seed: ssor(plan(A), ordering="wavefront").plan,
    "complex plan": lambda A, seed: plan(A * (1 + 0.1j)),
    "ssor": lambda A, seed: ssor(A, 1.4, ordering="multicolor", sweeps=2),
    "ssor of a grid": lambda A, seed: ssor(grid(seed), 1.4, ordering="redblack"),
    "complex ssor": lambda A, seed: ssor(A * (1 + 0.1j), 1.2),
    "ic0": lambda A, seed: ic0(A),
    "multilevel": lambda A, seed: multilevel(grid(seed), cycle="W", dtype="float64"),
    "learned multilevel": lambda A, seed: multilevel(grid(seed), weights="shipped", gate=False),
}


def answers(made, b):
    if hasattr(made, "matvec"):
        return made @ b
    method = "sor" if np.iscomplexobj(made.matrix.data) else "ssor-cg"
    return solve(made, b, method=method).x


@pytest.mark.parametrize("again", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy, copy.copy])
@pytest.mark.parametrize("kind", MADE)
def test_a_copy_does_the_same(kind, again, seed):
    b, A = np.random.default_rng(seed).normal(size=N), random_spd(N, seed)
    made = MADE[kind](A, seed)
    expected = answers(made, b)
    other = again(made)
    assert type(other) is type(made)
    np.testing.assert_array_equal(answers(other, b), expected)


@pytest.mark.parametrize("again", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy, copy.copy])
def test_a_copy_of_a_plan_has_values_of_its_own(again, seed):
    b, A = np.random.default_rng(seed).normal(size=N), random_spd(N, seed)
    made = plan(A)
    expected = answers(made, b)
    other = again(made)
    other.update(2 * A.data)
    np.testing.assert_allclose(answers(other, 2 * b), expected, rtol=1e-6)
    np.testing.assert_array_equal(answers(made, b), expected)
