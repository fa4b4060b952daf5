"""Matrices and preconditioners that compiled loops work with: their methods call the C library there.

To compiled code an object is its address, which it does not own: who calls the compiled function keeps the object. The
same methods work outside of it, so that a loop can be tried uncompiled.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import (
    NativeValue,
    make_attribute_wrapper,
    models,
    overload_method,
    register_model,
    typeof_impl,
    unbox,
)

from ... import linalg
from ._grid import described
from ._library import LIBRARY, done, external

Array = npt.NDArray[Any]

#: Directions of a sweep.
FORWARD, BACKWARD, SYMMETRIC = 0, 1, 2
#: Orderings of the unknowns, as solvers.h numbers them.
ORDERINGS = {"natural": 1, "wavefront": 2, "multicolor": 3, "redblack": 4, "auto": 5, "blocks": 6}

DOUBLES = types.CPointer(types.float64)
SWEEP = external(
    "sv_linear_sweep", types.intc, types.uintp, types.intc, types.intc, types.float64, types.intc, DOUBLES, DOUBLES,
    types.intc,
)  # fmt: skip
PRECONDITION = external(
    "sv_linear_precondition", types.intc, types.uintp, types.intc, types.float64, types.intc, DOUBLES, DOUBLES,
    types.intc,
)  # fmt: skip
APPLY = external("sv_multilevel_apply", types.intc, types.uintp, DOUBLES, DOUBLES)

REFUSED = "the call was refused: omega must lie between 0 and 2, and no other thread may use the object"


class Handle:
    """An object of the C library."""

    destroy: Callable[[ctypes.c_void_p], None]

    #: Of the unknowns, where the object has one.
    ordering = 0
    size = 0

    def __init__(self) -> None:
        self._handle = ctypes.c_void_p()

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            type(self).destroy(self._handle)

    @property
    def address(self) -> int:
        """Where it lies."""
        return self._handle.value or 0


class System(Handle):
    """A matrix that compiled loops sweep with.

    Parameters
    ----------
    A : sparse matrix, array_like, Plan or GridOperator, shape (n, n)
        As `solvers.linalg.solve` takes it; copied.
    ordering : str, default "natural"
        "natural", "wavefront", "multicolor", "redblack" or "auto".

    Notes
    -----
    In compiled code vectors are contiguous arrays of n float64 numbers, checked for that alone; a call costs some tens
    of nanoseconds beside the sweep itself. One thread at a time may use an object.

    Examples
    --------
    >>> import numba, numpy as np, scipy.sparse
    >>> from solvers.integrations.numba import System
    >>> A = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(5, 5))
    >>> @numba.njit
    ... def smoothed(system, b, x):
    ...     for _ in range(100):
    ...         system.sweep(b, x, 1.3)
    ...     return x
    >>> smoothed(System(A), np.array([1.0, 0, 0, 0, 1]), np.zeros(5)).round(6).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """

    destroy = LIBRARY.sv_linear_destroy

    def __init__(self, A: Any, ordering: str = "natural") -> None:
        super().__init__()
        if ordering not in ORDERINGS:
            raise ValueError(f"ordering must be one of {', '.join(ORDERINGS)}, not {ordering!r}")
        self.ordering = ORDERINGS[ordering]
        if isinstance(A, linalg.GridOperator):
            grid, _kept = described(A)
            self.size = A.size
            done(LIBRARY.sv_linear_from_grid(ctypes.byref(grid), ctypes.byref(self._handle)))
        else:
            matrix = (A if isinstance(A, linalg.Plan) else linalg.Plan(A)).matrix
            self.size = matrix.shape[0]
            wide = matrix.indices.dtype == np.int64
            values = matrix.data.astype(np.float64, copy=False)
            done(
                (LIBRARY.sv_linear_from_csr_i64 if wide else LIBRARY.sv_linear_from_csr_i32)(
                    ctypes.c_size_t(self.size), ctypes.c_size_t(matrix.nnz), _at(matrix.indptr), _at(matrix.indices),
                    _at(values), ctypes.byref(self._handle),
                )
            )  # fmt: skip

    def sweep(self, b: Array, x: Array, omega: float, sweeps: int = 1, direction: int = FORWARD) -> None:
        """So many SOR sweeps of x in place."""
        _check(self.size, b, x)
        done(
            LIBRARY.sv_linear_sweep(
                self._handle, self.ordering, direction, ctypes.c_double(omega), sweeps, _at(b), _at(x), 1
            )
        )

    def precondition(self, r: Array, z: Array, omega: float, sweeps: int = 1) -> None:
        """z = M^-1 r by so many symmetric sweeps from zero: SSOR as a preconditioner."""
        _check(self.size, r, z)
        done(
            LIBRARY.sv_linear_precondition(
                self._handle, self.ordering, ctypes.c_double(omega), sweeps, _at(r), _at(z), 1
            )
        )


class Multilevel(Handle):
    """The multilevel preconditioner of a grid, for compiled loops.

    Parameters
    ----------
    grid : GridOperator
        With mass >= 0, and a sink for every cell.

    Examples
    --------
    >>> import numba, numpy as np
    >>> from solvers.integrations.numba import Multilevel
    >>> from solvers.linalg import GridOperator
    >>> grid = GridOperator((16, 16))
    >>> @numba.njit
    ... def improved(M, r):
    ...     z = np.empty_like(r)
    ...     M.apply(r, z)
    ...     return z
    >>> r = np.ones(256)
    >>> z = improved(Multilevel(grid), r)
    >>> bool(np.linalg.norm(r - grid @ z) < 0.5 * np.linalg.norm(r))
    True
    """

    destroy = LIBRARY.sv_multilevel_destroy

    def __init__(self, grid: linalg.GridOperator) -> None:
        super().__init__()
        if not isinstance(grid, linalg.GridOperator):
            raise TypeError(f"grid must be a GridOperator, not {type(grid).__name__}")
        description, _kept = described(grid)
        self.size = grid.size
        done(LIBRARY.sv_multilevel_create(ctypes.byref(self._handle), ctypes.byref(description), None))

    def apply(self, r: Array, z: Array) -> None:
        """z = M r."""
        _check(self.size, r, z)
        done(LIBRARY.sv_multilevel_apply(self._handle, _at(r), _at(z)))


def _at(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _check(size: int, *vectors: Array) -> None:
    for v in vectors:
        if not isinstance(v, np.ndarray) or v.dtype != np.float64 or not v.flags.c_contiguous or v.shape != (size,):
            raise ValueError(f"vectors must be contiguous arrays of {size} float64 numbers")


# ---- what Numba must know of them ------------------------------------------------------------------


class HandleType(types.Type):  # type: ignore[misc]
    """The type of a handle in compiled code: its address, ordering and size."""

    def __init__(self, kind: type[Handle]) -> None:
        super().__init__(f"solvers.{kind.__name__}")


FIELDS = {"address": types.uintp, "ordering": types.intp, "size": types.intp}


@register_model(HandleType)
class HandleModel(models.StructModel):  # type: ignore[misc]
    """Three numbers."""

    def __init__(self, manager: Any, kind: HandleType) -> None:
        super().__init__(manager, kind, list(FIELDS.items()))


for _name in FIELDS:
    make_attribute_wrapper(HandleType, _name, _name)

SYSTEM, MULTILEVEL = HandleType(System), HandleType(Multilevel)
typeof_impl.register(System)(lambda value, context: SYSTEM)
typeof_impl.register(Multilevel)(lambda value, context: MULTILEVEL)


@unbox(HandleType)  # type: ignore[untyped-decorator]
def _unboxed(kind: HandleType, value: Any, c: Any) -> NativeValue:
    """The attributes of the Python object as numbers."""
    native = cgutils.create_struct_proxy(kind)(c.context, c.builder)
    for name in FIELDS:
        attribute = c.pyapi.object_getattr_string(value, name)
        setattr(native, name, c.pyapi.long_as_longlong(attribute))
        c.pyapi.decref(attribute)
    return NativeValue(native._getvalue(), is_error=cgutils.is_not_null(c.builder, c.pyapi.err_occurred()))


def _vectors(*kinds: Any) -> None:
    for kind in kinds:
        if not (
            isinstance(kind, types.Array) and kind.ndim == 1 and kind.layout == "C" and kind.dtype == types.float64
        ):
            raise TypingError(f"vectors must be contiguous arrays of float64, not {kind}")


@overload_method(HandleType, "sweep")  # type: ignore[untyped-decorator]
def _sweep(handle: Any, b: Any, x: Any, omega: Any, sweeps: Any = 1, direction: Any = FORWARD) -> Any:
    if handle is not SYSTEM:
        raise TypingError(f"{handle} has no sweep")
    _vectors(b, x)

    def sweep(handle: Any, b: Any, x: Any, omega: Any, sweeps: Any = 1, direction: Any = FORWARD) -> None:
        if len(b) != handle.size or len(x) != handle.size:
            raise ValueError("b and x must have as many entries as the system has unknowns")
        if SWEEP(handle.address, handle.ordering, direction, omega, sweeps, b.ctypes, x.ctypes, 1) != 0:
            raise ValueError(REFUSED)

    return sweep


@overload_method(HandleType, "precondition")  # type: ignore[untyped-decorator]
def _precondition(handle: Any, r: Any, z: Any, omega: Any, sweeps: Any = 1) -> Any:
    if handle is not SYSTEM:
        raise TypingError(f"{handle} has no precondition")
    _vectors(r, z)

    def precondition(handle: Any, r: Any, z: Any, omega: Any, sweeps: Any = 1) -> None:
        if len(r) != handle.size or len(z) != handle.size:
            raise ValueError("r and z must have as many entries as the system has unknowns")
        if PRECONDITION(handle.address, handle.ordering, omega, sweeps, r.ctypes, z.ctypes, 1) != 0:
            raise ValueError(REFUSED)

    return precondition


@overload_method(HandleType, "apply")  # type: ignore[untyped-decorator]
def _apply(handle: Any, r: Any, z: Any) -> Any:
    if handle is not MULTILEVEL:
        raise TypingError(f"{handle} has no apply")
    _vectors(r, z)

    def apply(handle: Any, r: Any, z: Any) -> None:
        if len(r) != handle.size or len(z) != handle.size:
            raise ValueError("r and z must have as many entries as the grid has unknowns")
        if APPLY(handle.address, r.ctypes, z.ctypes) != 0:
            raise ValueError(REFUSED)

    return apply
