"""Constant stencils on boxes: found in their matrices, and solved exactly, with every kind of end."""

import itertools

import numpy as np
import pytest
import scipy.sparse

from solvers.linalg._box import EXTRA, Box, layout

ENDS = [*itertools.product(EXTRA, repeat=2), ("periodic", "periodic")]


def line(count, ends):
    """An axis with coupling 1, entry by entry."""
    matrix = np.zeros((count, count))
    for k in range(count - 1):
        matrix[k, k + 1] = matrix[k + 1, k] = 1.0
    if ends[0] == "periodic":
        matrix[0, -1] = matrix[-1, 0] = 1.0
    else:
        matrix[0, 0] += EXTRA[ends[0]]
        matrix[-1, -1] += EXTRA[ends[1]]
    return matrix


def matrix_of(box):
    """The box's matrix from Kronecker products."""
    total = box.diagonal * np.eye(int(np.prod(box.shape)))
    for axis, (coupling, ends) in enumerate(zip(box.coupling, box.ends, strict=True)):
        whole = np.eye(1)
        for other, count in enumerate(box.shape):
            whole = np.kron(whole, line(count, ends) if other == axis else np.eye(count))
        total += coupling * whole
    return scipy.sparse.csr_array(total)


def found(A):
    A.sort_indices()
    pattern = layout(A.indptr, A.indices)
    return None if pattern is None else pattern.box(A.data)


def check(box):
    A = matrix_of(box)
    assert found(A) == box
    b = np.random.default_rng(7).normal(size=A.shape[0])
    assert np.linalg.norm(A @ box.solve(b) - b) <= 1e-12 * np.linalg.norm(b)
    np.testing.assert_allclose(np.sort(box.eigenvalues().ravel()), np.linalg.eigvalsh(A.toarray()), atol=1e-12)


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("count", [3, 8])
def test_a_line(ends, count):
    check(Box((count,), 2.5, (-1.0,), (ends,)))


@pytest.mark.parametrize("ends", list(itertools.combinations_with_replacement(ENDS, 2)))
def test_a_rectangle(ends):
    check(Box((5, 8), 3.0, (-0.3, -0.9), ends))


@pytest.mark.parametrize("first", range(len(ENDS)))
def test_a_brick(first):
    check(Box((4, 5, 6), 4.0, (-0.3, -0.9, 0.5), tuple(ENDS[(first + 3 * k) % len(ENDS)] for k in range(3))))


def test_a_singular_one_with_a_right_hand_side_in_its_range():
    box = Box((6, 7), 4.0, (-1.0, -1.0), (("neumann", "neumann"), ("periodic", "periodic")))
    A, b = matrix_of(box), np.random.default_rng(3).normal(size=42)
    b -= b.mean()
    x = box.solve(b)
    assert abs(A @ np.ones(42)).max() < 1e-14
    assert np.linalg.norm(A @ x - b) <= 1e-12 * np.linalg.norm(b)
    assert abs(x.mean()) < 1e-14


def test_axes_of_one_and_two_points():
    for shape in ((1, 5), (2, 2), (1,)):
        box = Box(shape, 5.0, (-1.0,) * len(shape), (("dirichlet", "dirichlet"),) * len(shape))
        A, b = matrix_of(box), np.arange(1.0, 1 + np.prod(shape))
        np.testing.assert_allclose(A @ box.solve(b), b, atol=1e-13)


@pytest.mark.parametrize("spoil", ["a coupling", "a corner", "the middle", "a missing entry", "not symmetric"])
def test_what_is_no_constant_stencil(spoil):
    box = Box((5, 8), 3.0, (-0.3, -0.9), (("dirichlet", "dirichlet"), ("neumann", "neumann")))
    A = matrix_of(box).tolil()
    if spoil == "a coupling":
        A[11, 12] = A[12, 11] = -0.8
    elif spoil == "a corner":
        A[0, 0] += 0.1
    elif spoil == "the middle":
        A[20, 20] += 0.1
    elif spoil == "a missing entry":
        A[3, 4] = A[4, 3] = 0.0
    else:
        A[20, 21] *= 1.5
    assert found(scipy.sparse.csr_array(A)) is None


def test_other_patterns_are_no_boxes():
    rng = np.random.default_rng(11)
    for n in (1, 2, 7, 30):
        assert found(scipy.sparse.csr_array(np.eye(n))) is None
        assert found(scipy.sparse.csr_array(rng.random((n, n)))) is None
