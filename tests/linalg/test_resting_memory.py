"""Memory that is used again holds an earlier solve's numbers: filled with NaN, it changes no bit of a solve.

No sanitizer sees a kernel that reads beyond what was written there: the memory is the program's own.
"""

import itertools

import numpy as np
import pytest
import scipy.sparse

from solvers._base import _runtime
from solvers.linalg import GridOperator, SequenceSolver, multilevel, solve

#: The sizes of blocks that rest, up to 2 MiB: see block_size in _ext/common/scratch.c.
SIZES = sorted({eighths * 4096 << doublings for doublings in range(7) for eighths in range(4, 9)})


def spoil():
    """Fill all blocks that rest with NaN; how many."""
    resting, held = _runtime.scratch_resting(), []
    for size in SIZES:
        while (block := _runtime.Scratch(size)).used:
            held.append(np.frombuffer(block, np.float64))
    for block in held:
        block.fill(np.nan)
    assert sum(block.nbytes for block in held) == resting
    return len(held)


def same_bits_again(solution):
    """Whatever `solution` computes, its bits do not depend on what the memory held."""
    _runtime.scratch_release()
    expected = [np.array(solution()).tobytes()]
    assert _runtime.scratch_resting() > 0
    for _ in range(2):
        assert spoil() > 0
        expected.append(np.array(solution()).tobytes())
    assert expected[0] == expected[1] == expected[2]


SHAPES = [(47, 53), (150, 17), (3, 801), (13, 15, 14), (3, 30, 29), (33, 3, 25)]
ENDS = ["dirichlet", "neumann", "periodic"]


def grid(shape, number, variable=False, masked=False):
    """A grid with some of the ends that there are, a right-hand side on it."""
    rng = np.random.default_rng(number)
    coeff = rng.uniform(0.5, 2, shape) if variable else 1.5
    mask = rng.random(shape) < 0.9 if masked else None
    bc = [ENDS[(number + axis) % 3] for axis in range(len(shape))]
    operator = GridOperator(shape, coeff=coeff, mass=0.1, bc=bc, mask=mask)
    return operator, rng.normal(size=operator.size) * (1 if mask is None else mask.ravel())


@pytest.mark.parametrize("variable", [False, True])
@pytest.mark.parametrize("method", ["multilevel-cg", "ssor-cg", "cg", "chebyshev", "sor", "jacobi"])
@pytest.mark.parametrize("shape", SHAPES)
def test_grids(shape, method, variable):
    for number in range(3):
        operator, b = grid(shape, number, variable)

        def solution(operator=operator, b=b):
            x = solve(operator, b, method=method, max_iter=6).x.copy()
            operator.hierarchies.clear()
            operator._operands.clear()
            return x

        same_bits_again(solution)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_several_columns(shape, masked):
    operator, b = grid(shape, 1, masked=masked)
    columns = np.stack([b, 2 * b, b * b], axis=1)

    def solution():
        x = solve(operator, columns, max_iter=6).x.copy()
        operator.hierarchies.clear()
        return x

    same_bits_again(solution)
    same_bits_again(lambda: multilevel(operator) @ b)


def test_red_black_sweeps():
    for shape, depth in itertools.product(SHAPES, (1, 3)):
        operator, b = grid(shape, 0)
        if all(n % 2 == 0 for n, ends in zip(shape, operator.bc, strict=True) if ends[0] == "periodic"):
            same_bits_again(lambda: operator.sweep(np.ones(len(b)), b, omega=1.4, sweeps=3 * depth))  # noqa: B023


def sparse(n=2900):
    half = scipy.sparse.random_array((n, n), density=2 / n, rng=np.random.default_rng(5), format="csr")
    line = scipy.sparse.diags_array([-1.0, -1.0], offsets=[-1, 1], shape=(n, n))
    off = scipy.sparse.csr_array(half + half.T + line)
    return scipy.sparse.csr_array(off + scipy.sparse.diags_array(abs(off).sum(axis=1) + 0.5))


@pytest.mark.parametrize("ordering", ["natural", "wavefront", "multicolor", "blocks"])
@pytest.mark.parametrize("method", ["sor", "ssor-cg"])
def test_orderings(method, ordering):
    b = np.random.default_rng(6).normal(size=2900)
    grid_like = scipy.sparse.csr_array(GridOperator((50, 58), mass=0.1).to_csr())
    for A in (sparse(), grid_like):
        same_bits_again(lambda: solve(A, b, method=method, options={"ordering": ordering}, max_iter=6).x)  # noqa: B023


@pytest.mark.parametrize("keywords", [{"method": "cg"}, {"method": "cg", "M": "ic0"}, {"method": "chebyshev"},
                                      {"method": "jacobi"}, {"method": "cg", "M": "ssor"}])  # fmt: skip
def test_other_methods(keywords):
    A, b = sparse(), np.random.default_rng(7).normal(size=2900)
    same_bits_again(lambda: solve(A, b, max_iter=6, **keywords).x)


def test_complex_matrices():
    A, b = sparse() * np.exp(0.5j), np.random.default_rng(8).normal(size=2900)
    for method in ("sor", "jacobi"):
        same_bits_again(lambda: solve(A, b, method=method, max_iter=6).x)  # noqa: B023


def test_sequences():
    A, b = sparse(), np.random.default_rng(9).normal(size=2900)

    def solution():
        sequence = SequenceSolver(arms=["cg", "ssor-cg(1.5)"], cost="iterations", rng=0)
        return [sequence.solve(A, b * k).x for k in range(1, 5)]

    same_bits_again(solution)
