"""PETSc's matrices as SciPy's, in the same memory."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from petsc4py import PETSc

Array = npt.NDArray[Any]

if np.dtype(PETSc.ScalarType) != np.float64:
    raise ImportError(f"solvers.integrations.petsc needs a PETSc of real doubles, not of {PETSc.ScalarType.__name__}")

#: petsc4py's own library: what it is linked to, PETSc and MPI, is found through it.
LIBRARY = ctypes.CDLL(PETSc.__file__)

Index: Any = np.ctypeslib.as_ctypes_type(PETSc.IntType)
Pointer = ctypes.c_void_p

#: Matrices whose rows and columns of a rank are stored as CSR.
ROWS = ("seqaij", "mpiaij")


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a matrix that this rank owns, as views of PETSc's memory: valid until its pattern changes."""

    #: Keeps the memory.
    mat: Any
    #: Columns that this rank owns, counted from its first.
    own: scipy.sparse.csr_array
    #: Other columns, compressed; None on one rank.
    others: scipy.sparse.csr_array | None
    #: Copies of the matrix that were made to get here.
    copies: int
    #: Changes with the pattern.
    key: tuple[int, ...]

    def couplings(self) -> Array:
        """The sums of the absolute values of each row's entries in columns of other ranks."""
        if self.others is None:
            return np.zeros(self.own.shape[0])
        return np.asarray(abs(self.others).sum(axis=1)).ravel()


def rows(mat: Any) -> Rows:
    """This rank's rows; MATAIJ in place, all other types converted to it once a call."""
    copies = 0
    if mat.getType() not in ROWS:
        mat, copies = mat.convert("aij", out=PETSc.Mat()), 1
    own, others = Pointer(mat.handle), None
    if mat.getType() == "mpiaij":
        first, second, columns = Pointer(), Pointer(), ctypes.POINTER(Index)()
        call("MatMPIAIJGetSeqAIJ", Pointer(mat.handle), *map(ctypes.byref, (first, second, columns)))
        own, others = first, _csr(second)
    state = ctypes.c_int64()
    call("MatGetNonzeroState", own, ctypes.byref(state))
    block = _csr(own)
    key = mat.handle, int(state.value), block.data.ctypes.data, block.indices.ctypes.data, block.nnz
    return Rows(mat, block, others, copies, key)


def _csr(mat: Any) -> scipy.sparse.csr_array:
    """A MATSEQAIJ's arrays."""
    count, width = Index(), Index()
    call("MatGetSize", mat, ctypes.byref(count), ctypes.byref(width))
    starts, columns = ctypes.POINTER(Index)(), ctypes.POINTER(Index)()
    values, where = ctypes.POINTER(ctypes.c_double)(), ctypes.c_int()
    call("MatSeqAIJGetCSRAndMemType", mat, *map(ctypes.byref, (starts, columns, values, where)))
    if where.value:
        raise ValueError("A must lie in the host's memory, not on a device")
    size = int(count.value)
    indptr = _view(starts, size + 1, PETSc.IntType)
    entries = int(indptr[-1])
    matrix = scipy.sparse.csr_array((size, int(width.value)), dtype=np.float64)
    matrix.indptr, matrix.indices = indptr, _view(columns, entries, PETSc.IntType)
    matrix.data = _view(values, entries, np.float64)
    return matrix


def _view(pointer: Any, length: int, dtype: npt.DTypeLike) -> Array:
    if not length:
        return np.zeros(0, dtype)
    view = np.ctypeslib.as_array(pointer, (length,))
    view.flags.writeable = False
    return view


def call(name: str, *arguments: Any) -> None:
    """A function of PETSc, whose error is raised."""
    if code := getattr(LIBRARY, name)(*arguments):
        raise PETSc.Error(code)
