"""Errors name the argument; nothing is changed."""

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
from systems import laplacian, neumann

from solvers import OptionError, methods
from solvers.linalg import plan, solve

NAMES = [method.name for method in methods("linalg") if "sparse-matrix" in method.capabilities]
WITH_OMEGA = [method.name for method in methods("linalg") if "omega" in {option.name for option in method.options}]


def changed(position, value):
    A = laplacian(5).tolil()
    A[position] = value
    return scipy.sparse.csr_array(A)


@pytest.mark.parametrize("method", WITH_OMEGA)
@pytest.mark.parametrize("omega", [0, 2, -0.5, 2.5, np.nan, np.inf, "best", True, None])
def test_omega(method, omega):
    with pytest.raises(OptionError, match="omega"):
        solve(laplacian(5), np.ones(25), method=method, options={"omega": omega})


@pytest.mark.parametrize("value", [0, 5e-324, np.inf, np.nan])
def test_diagonal(value):
    with pytest.raises(ValueError, match=r"A.*(\b7\b|is (inf|nan))"):
        solve(changed((7, 7), value), np.ones(25))


@pytest.mark.parametrize("method", NAMES)
def test_not_finite(method):
    A, b = laplacian(5), np.ones(25)
    for bad in (np.nan, np.inf):
        wrong = b.copy()
        wrong[3] = bad
        with pytest.raises(ValueError, match=r"b must be finite; b\[3\]"):
            solve(A, wrong, method=method)
        with pytest.raises(ValueError, match=r"x0 must be finite; x0\[3\]"):
            solve(A, b, x0=wrong, method=method)
        with pytest.raises(ValueError, match="A"):
            solve(changed((7, 8), bad), b, method=method)
        unchecked = solve(A, wrong, method=method, check_finite=False)
        assert not unchecked.success


def test_shapes_and_types():
    A, b = laplacian(5), np.ones(25)
    for wrong, word in ((A[:, :3], "square"), (np.ones(25), "square")):
        with pytest.raises(ValueError, match=f"A must be a {word}"):
            solve(wrong, b)
    for right in (np.ones(24), np.ones((25, 1, 1)), 3.0):
        with pytest.raises(ValueError, match="b must have"):
            solve(A, right)
    with pytest.raises(ValueError, match="x0 must have"):
        solve(A, b, x0=np.ones(24))
    with pytest.raises(TypeError, match="A must be real"):
        solve(A.toarray().astype(str), b)
    with pytest.raises(TypeError, match="b must be real"):
        solve(A, b * 1j)


def test_masks_are_not_dropped():
    A, b = laplacian(5), np.ones(25)
    hidden = np.ma.masked_less(A.toarray(), -0.5)
    x = np.ma.masked_array(np.zeros(25), mask=np.arange(25) == 3)
    with pytest.raises(TypeError, match="A is a masked array"):
        solve(hidden, b)
    for arguments in ((x, b), (b.copy(), x)):
        with pytest.raises(TypeError, match="is a masked array"):
            plan(A).sweep(*arguments)
    with pytest.raises(TypeError, match="data is a masked array"):
        plan(A).update(np.ma.masked_less(A.data, 0))


def test_a_complex_preconditioner():
    M = scipy.sparse.linalg.aslinearoperator(1j * np.eye(25))
    with pytest.raises(TypeError, match="M must be real"):
        solve(laplacian(5), np.ones(25), method="cg", M=M)


@pytest.mark.parametrize(
    ("keywords", "word"),
    [({"rtol": -1}, "rtol"), ({"rtol": np.nan}, "rtol"), ({"atol": np.inf}, "atol"), ({"rtol": 0}, "rtol and atol"),
     ({"reference": "x0"}, "reference"), ({"method": "sorr"}, "did you mean 'sor'"),
     ({"method": "sor", "options": {"sweep": "sideways"}}, "sweep"),
     ({"method": "sor", "options": {"sweep": 3}}, "sweep"),
     ({"method": "sor", "options": {"ordering": "random"}}, "ordering"),
     ({"method": "sor", "options": {"check_every": 0}}, "check_every"),
     ({"method": "sor", "options": {"omega": "adaptive", "sweep": "symmetric"}}, "adaptive"),
     ({"method": "chebyshev", "options": {"low": 2.0, "high": 1.0}}, "low")],
)  # fmt: skip
def test_keywords(keywords, word):
    with pytest.raises((ValueError, TypeError), match=word):
        solve(laplacian(5), np.ones(25), **keywords)


@pytest.mark.parametrize("method", ["cg", "chebyshev", "ssor-cg"])
def test_plainly_not_spd(method):
    b = np.ones(25)
    with pytest.raises(ValueError, match="not symmetric"):
        solve(changed((7, 8), -3), b, method=method)
    with pytest.raises(ValueError, match="not symmetric"):
        solve(changed((7, 20), -3), b, method=method)  # the pattern too
    for assumed in (False, True):
        with pytest.raises(ValueError, match="row 7 is negative"):
            solve(changed((7, 7), -4), b, method=method, assume_symmetric=assumed)
    assert solve(changed((7, 8), -1.0000001), b, method=method, assume_symmetric=True, rtol=1e-6).success


def test_young_needs_symmetry():
    with pytest.raises(ValueError, match="omega='young' needs a symmetric"):
        solve(changed((7, 8), -3), np.ones(25), method="sor", options={"omega": "young"})


@pytest.mark.parametrize("method", NAMES)
def test_other_layouts(method):
    A, b = laplacian(5), np.arange(25.0)
    expected = solve(A, b, method=method).x
    frozen = b.copy()
    frozen.flags.writeable = False
    A.data.flags.writeable = False
    for right in (frozen, np.asfortranarray(np.stack([b, b], axis=1))[:, 1], np.arange(25), list(range(25))):
        np.testing.assert_array_equal(solve(A, right, method=method).x, expected)
    for matrix in (A.toarray(), A.tocsc(), A.tocoo(), scipy.sparse.csr_matrix(A), A.astype(int)):
        np.testing.assert_array_equal(solve(matrix, b, method=method).x, expected)
    np.testing.assert_array_equal(b, np.arange(25.0))


def test_a_null_space_that_is_not_there():
    b = np.ones(25)
    with pytest.raises(ValueError, match="nullspace must be None, 'constant' or 'components', not 'linear'"):
        solve(neumann(5), b, nullspace="linear")
    for A in (laplacian(5), changed((7, 7), -4)):
        with pytest.raises(ValueError, match="A @ ones = 0"):
            solve(A, b, nullspace="constant")
    rows = neumann(5)
    rows.data[:3] *= [1, 2, 0]  # their sum stays, the symmetry does not
    rows.data[0] = -rows.data[1]
    with pytest.raises(ValueError, match="symmetric A with A @ ones = 0"):
        solve(rows, b, nullspace="constant")


def test_what_to_do_instead():
    A, b = laplacian(5), np.ones(25)
    with pytest.raises(TypeError, match=r"two columns, b\.real and b\.imag"):
        solve(A, b + 1j)
    with pytest.raises(TypeError, match=r"not MatrixLinearOperator.*scipy\.sparse\.linalg\.cg"):
        solve(scipy.sparse.linalg.aslinearoperator(A), b)
