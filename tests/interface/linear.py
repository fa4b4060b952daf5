"""Linear systems of the C interface, by ctypes."""

from __future__ import annotations

import ctypes

import numpy as np
import scipy.sparse
from library import LIBRARY, Control, Report, doubles

ORDERINGS = {None: 0, "natural": 1, "wavefront": 2, "multicolor": 3, "redblack": 4, "auto": 5, "blocks": 6}
METHODS = {"ssor-cg": 0, "cg": 1, "chebyshev": 2, "sor": 3, "gauss-seidel": 4, "jacobi": 5}
PRECONDITIONERS = {None: 0, "jacobi": 1, "ssor": 2, "ic0": 3}
DIRECTIONS = {"forward": 0, "backward": 1, "symmetric": 2}
OMEGAS = {"auto": 0.0, "young": -1.0, "adaptive": -2.0}

LIBRARY.sv_linear_size.restype = ctypes.c_size_t
LIBRARY.sv_linear_omega.restype = ctypes.c_double
VOID, SIZE, INT, DOUBLE = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_double
LIBRARY.sv_linear_size.argtypes = LIBRARY.sv_linear_omega.argtypes = [VOID]
LIBRARY.sv_linear_destroy.argtypes = [VOID]
LIBRARY.sv_linear_from_csr_i32.argtypes = LIBRARY.sv_linear_from_csr_i64.argtypes = [SIZE, SIZE, *[VOID] * 4]
LIBRARY.sv_linear_update.argtypes = [VOID, VOID]
LIBRARY.sv_linear_multiply.argtypes = [VOID, VOID, VOID, INT]
LIBRARY.sv_linear_residual.argtypes = [*[VOID] * 5, INT]
LIBRARY.sv_linear_solve.argtypes = [VOID] * 6
LIBRARY.sv_linear_sweep.argtypes = [VOID, INT, INT, DOUBLE, INT, VOID, VOID, INT]
LIBRARY.sv_linear_precondition.argtypes = [VOID, INT, DOUBLE, INT, VOID, VOID, INT]


class Options(ctypes.Structure):
    """sv_linear_options; keywords as the options of Python."""

    _fields_ = (
        ("struct_size", SIZE), ("method", INT), ("ordering", INT), ("rtol", DOUBLE), ("atol", DOUBLE),
        ("omega", DOUBLE), ("direction", INT), ("check_every", INT), ("preconditioner", INT),
        ("assume_symmetric", INT), ("low", DOUBLE), ("high", DOUBLE),
    )  # fmt: skip

    def __init__(
        self, method="ssor-cg", *, ordering=None, rtol=1e-8, atol=0.0, omega=0.0, sweep="forward", check_every=1,
        M=None, assume_symmetric=0, low=None, high=None,
    ):  # fmt: skip
        super().__init__(
            ctypes.sizeof(Options), METHODS[method], ORDERINGS[ordering], rtol, atol, OMEGAS.get(omega, omega),
            DIRECTIONS[sweep], check_every, PRECONDITIONERS[M], assume_symmetric, -1.0 if low is None else low,
            -1.0 if high is None else high,
        )  # fmt: skip


def address(array):
    return None if array is None else array.ctypes.data


class Linear:
    """A handle of a sparse matrix, destroyed with the object."""

    def __init__(self, A, index=np.int32):
        A = scipy.sparse.csr_array(A)
        self.starts, self.columns = A.indptr.astype(index), A.indices.astype(index)
        self.values = A.data.astype(np.float64)
        self.handle = VOID()
        create = LIBRARY.sv_linear_from_csr_i32 if index is np.int32 else LIBRARY.sv_linear_from_csr_i64
        self.status = create(
            A.shape[0], A.nnz, address(self.starts), address(self.columns), address(self.values),
            ctypes.byref(self.handle),
        )  # fmt: skip

    def __del__(self):
        LIBRARY.sv_linear_destroy(self.handle)

    def solve(self, b, x0=None, *, control=None, **options):
        """(status, x, report)."""
        x, report = np.zeros(len(b)) if x0 is None else x0.copy(), Report()
        given, control = Options(**options), control or Control()
        status = LIBRARY.sv_linear_solve(
            self.handle, address(b), address(x), ctypes.addressof(given), ctypes.addressof(control),
            ctypes.addressof(report),
        )  # fmt: skip
        return status, x, report


def poisson(*shape, shift=0.0):
    """The 3, 5 or 7 point Laplacian, and a right-hand side."""
    A = scipy.sparse.csr_array((1, 1))
    for n in shape:
        T = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
        A = scipy.sparse.csr_array(
            scipy.sparse.kron(A, scipy.sparse.eye_array(n)) + scipy.sparse.kron(scipy.sparse.eye_array(A.shape[0]), T)
        )
    A = scipy.sparse.csr_array(A + shift * scipy.sparse.eye_array(A.shape[0]))
    A.sort_indices()
    return A, np.random.default_rng(7).normal(size=A.shape[0])


__all__ = ["LIBRARY", "METHODS", "Linear", "Options", "address", "doubles", "poisson"]
