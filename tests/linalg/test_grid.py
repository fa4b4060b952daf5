"""The stencil of GridOperator against the same operator as a sparse matrix, in both orders and at all kinds of ends."""

import itertools

import numpy as np
import pytest

from solvers.linalg import GridOperator

WIDTHS = (1, 2, 3, 17, 64)
ENDS = ("dirichlet", "neumann", "periodic", ("dirichlet", "neumann"), ("neumann", "dirichlet"))
COEFFICIENTS = ("constant", "cells", "faces")


def made(rng, shape, kind, bc, mass=0.3):
    """A GridOperator with a coefficient of a kind."""
    spacing = rng.uniform(0.5, 2, len(shape))
    if kind == "constant":
        return GridOperator(shape, rng.uniform(0.5, 2), mass, spacing, bc)
    if kind == "cells":
        return GridOperator(shape, rng.uniform(0.1, 10, shape), rng.uniform(0.1, 1, shape), spacing, bc)
    faces = []
    for axis, end in enumerate(bc):
        values = rng.uniform(0.1, 10, [n + (k == axis) for k, n in enumerate(shape)])
        if end == "periodic":
            along = np.moveaxis(values, axis, 0)
            along[-1] = along[0]
        faces.append(values)
    return GridOperator(shape, faces, mass, spacing, bc)


def reference(shape, faces, mass, spacing, bc):
    """The operator from its definition, cell by cell: fluxes through the faces."""
    A = np.zeros((np.prod(shape),) * 2)
    cell = np.arange(np.prod(shape)).reshape(shape)
    for place in np.ndindex(*shape):
        row = cell[place]
        A[row, row] += mass
        for axis, side in itertools.product(range(len(shape)), (0, 1)):
            face = tuple(i + side * (k == axis) for k, i in enumerate(place))
            c = faces[axis][face] / spacing[axis] ** 2
            there = list(place)
            there[axis] += 2 * side - 1
            inside = 0 <= there[axis] < shape[axis]
            end = bc[axis] if isinstance(bc[axis], str) else bc[axis][side]
            if not inside and end == "neumann":
                continue
            A[row, row] += c
            if inside or end == "periodic":
                A[row, cell[tuple(i % n for i, n in zip(there, shape, strict=True))]] -= c
    return A


def colour_order(shape):
    """The cells' numbers, red before black."""
    colour = np.indices(shape).sum(0).ravel() % 2
    return np.argsort(colour, kind="stable")


def parts_in_order(grid, ordering):
    """A, L, D, U as dense matrices in the user's numbering, L and U with respect to the ordering."""
    A = grid.to_csr().toarray()
    order = np.arange(grid.size) if ordering == "natural" else colour_order(grid.grid_shape)
    position = np.empty(grid.size, int)
    position[order] = np.arange(grid.size)
    lower = position[:, None] > position[None, :]
    return A, np.where(lower, A, 0), np.diag(np.diag(A)), np.where(lower.T, A, 0)


def two_colourable(grid):
    return not any(ends[0] == "periodic" and n > 1 and n % 2 for n, ends in zip(grid.grid_shape, grid.bc, strict=True))


class Packed:
    """The kernels of an operand on vectors in the user's order. Outputs begin as NaN: they must be written whole."""

    def __init__(self, grid, ordering, threads=1):
        self.grid, self.operand = grid, grid.operand(ordering)
        self.operand.threads = threads

    def fresh(self):
        return np.full(self.operand.size, np.nan)

    def back(self, packed):
        """In the user's order; nothing but zeros may lie between the cells."""
        values = self.operand.unpack(packed)
        assert np.array_equal(self.operand.pack(values), packed)
        return values

    def call(self, name, *args, last):
        packed = [self.operand.pack(a) if isinstance(a, np.ndarray) else a for a in args]
        last = self.fresh() if last is None else self.operand.pack(last)
        number = getattr(self.operand, name)(*packed, last)
        return number, self.back(last)


def check_kernels(grid, ordering, rng, threads=1):
    A, L, D, U = parts_in_order(grid, ordering)
    n, omega = grid.size, 1.3
    K, kernels = D / omega, Packed(grid, ordering, threads)
    b, x, y = rng.normal(size=(3, n))
    r = b - A @ x
    scale = np.abs(np.diag(A)).max()

    def close(got, expected):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13 * max(1, np.abs(expected).max()))

    product, out = kernels.call("multiply", x, last=None)
    close(out, A @ x)
    assert np.isclose(product, x @ A @ x, rtol=1e-12, atol=1e-13 * scale * n)
    square, out = kernels.call("residual", b, x, last=None)
    close(out, r)
    assert np.isclose(square, r @ r, rtol=1e-12)
    for momentum, before in ((0.0, None), (0.4, y)):
        square, out = kernels.call("jacobi", 0.7, momentum, b, x, last=before)
        assert np.isclose(square, r @ r, rtol=1e-12)
        close(out, x + (momentum * (x - y) if momentum else 0) + 0.7 * r / np.diag(A))
    for backward, half in ((False, L), (True, U)):
        swept = x + np.linalg.solve(K + half, r)
        close(kernels.call("sweep", omega, backward, b, last=x)[1], swept)
        packed, d = kernels.operand.pack(x), kernels.fresh()
        square = kernels.operand.measured_sweep(omega, backward, kernels.operand.pack(b), packed, d)
        close(kernels.back(packed), swept)
        assert np.isclose(square, r @ r, rtol=1e-11)
        solved = np.linalg.solve(K + half, b)
        close(kernels.call("triangular_solve", omega, backward, b, last=None)[1], solved)
        inplace = kernels.operand.pack(b)
        kernels.operand.triangular_solve(omega, backward, inplace, inplace)
        close(kernels.back(inplace), solved)
    t = np.linalg.solve(K + U, b)
    q = np.linalg.solve(K + L, A @ t)
    product, out = kernels.call("eisenstat", omega, b, t, last=None)
    close(out, q)
    assert np.isclose(product, b @ q, rtol=1e-11)
    square, out = kernels.call("lower_product", omega, b, last=None)
    close(out, (K + L) @ b)
    assert np.isclose(square, np.sum(((K + L) @ b) ** 2), rtol=1e-12)


@pytest.mark.parametrize("kind", COEFFICIENTS)
@pytest.mark.parametrize("ordering", ["natural", "redblack"])
@pytest.mark.parametrize("nx", WIDTHS)
def test_kernels_equal_the_matrix(nx, ordering, kind):
    rng = np.random.default_rng(nx)
    for end, other, rows in zip(ENDS, ENDS[2:] + ENDS[:2], (2, 3, 2, 3, 2), strict=True):
        for shape, bc in (((nx,), (end,)), ((rows, nx), (other, end))):
            grid = made(rng, shape, kind, bc)
            if ordering == "natural" or two_colourable(grid):
                check_kernels(grid, ordering, rng)


@pytest.mark.parametrize("kind", COEFFICIENTS)
@pytest.mark.parametrize("ordering", ["natural", "redblack"])
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (4, 2, 2), (3, 5, 17), (4, 6, 8), (2, 1, 10), (5, 4, 1), (1, 4, 6), (1, 1, 7)]
)
def test_kernels_equal_the_matrix_in_space(shape, ordering, kind, seed):
    rng = np.random.default_rng(seed)
    for _ in range(2):
        grid = made(rng, shape, kind, [ENDS[k] for k in rng.integers(len(ENDS), size=3)])
        if ordering == "natural" or two_colourable(grid):
            check_kernels(grid, ordering, rng)


@pytest.mark.parametrize("bc", [["dirichlet"] * 2, ["neumann", "periodic"], ["periodic", ("neumann", "dirichlet")]])
def test_the_matrix_equals_its_definition(bc, seed):
    rng = np.random.default_rng(seed)
    for shape in [(4, 5), (1, 3), (2, 2), (3, 1)]:
        faces = [rng.uniform(0.1, 5, [n + (k == axis) for k, n in enumerate(shape)]) for axis in range(2)]
        for axis, end in enumerate(bc):
            if end == "periodic":
                along = np.moveaxis(faces[axis], axis, 0)
                along[-1] = along[0]
        grid = GridOperator(shape, faces, 0.7, (0.5, 2.0), bc)
        expected = reference(shape, faces, 0.7, (0.5, 2.0), bc)
        np.testing.assert_allclose(grid.to_csr().toarray(), expected, rtol=1e-14, atol=1e-14)
        np.testing.assert_allclose(grid.diagonal(), np.diag(expected), rtol=1e-14)
        grid = GridOperator(shape, 3.0, 0.7, (0.5, 2.0), bc)
        expected = reference(shape, [np.full_like(f, 3.0) for f in faces], 0.7, (0.5, 2.0), bc)
        np.testing.assert_allclose(grid.to_csr().toarray(), expected, rtol=1e-14, atol=1e-14)
