"""The matrix of samples and features, dense or sparse, and a column of ones for the intercept as its last.

Column `d` is the intercept's wherever columns are named.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base.errors import CopyWarning
from . import _kernels
from ._panels import DensePanel, Panel, SegmentPanel, SparsePanel

Array = npt.NDArray[Any]

#: Columns of a sparse matrix with more than this share of entries are worked on as dense ones.
DENSE_ENOUGH = 0.2

#: Columns that are worth a Gram matrix in any case, and operations that take less than what a step has beside them.
FEWEST, CHEAP = 10, 4e6

#: Operations of a Gram matrix in single precision in the time of an entry that a pass reads.
SINGLE_A_PASS = 30.0

#: Bytes beyond which a copy of X is told.
LARGE_COPY = 1 << 30

#: Matrices of no more entries and columns are small: coordinate descent, wholly in C, takes less time for them than
#: what is done in Python around kernels. The columns are those that its Gram matrices may have.
SMALL_ENTRIES, SMALL_WIDTH = 120_000, 512

#: It does so for larger dense ones, too, with few columns or few samples, where coefficients are held at zero: no more
#: than either can be in use, and few equations need no BLAS. Without a penalty, where nothing can be screened, of
#: more columns too.
SLIM_ENTRIES, SLIM = 1_000_000, 256

#: And for sparse ones of columns of one value each: so many, and more where the words of their pairs are no more than
#: so many an entry, over 64.
FLAT, PAIRS = 128, 10_000


def is_small(entries: int, width: int) -> bool:
    """Whether fits take less time than what Python adds to them."""
    return entries <= SMALL_ENTRIES and width <= SMALL_WIDTH


def is_slim(shape: tuple[int, ...], penalised: bool) -> bool:
    """The same of a dense matrix in double precision, for fits that hold coefficients at zero."""
    n, d = shape
    return n * d <= SLIM_ENTRIES and (min(shape) <= SLIM or (not penalised and d <= min(n, SMALL_WIDTH)))


def may_be_flat(entries: int, shape: tuple[int, ...]) -> bool:
    """The same of a CSC matrix in double precision, if its columns have one value each and the loss is that of least
    squares without weights: then bits make the Gram matrix."""
    n, d = shape
    return entries <= SLIM_ENTRIES and (d <= FLAT or (d <= SMALL_WIDTH and n * d * d <= PAIRS * entries))


class Design(ABC):
    """What the methods ask of the matrix; `ones` tells whether there is an intercept."""

    X: Any
    n: int
    #: Coefficients of features.
    d: int
    ones: bool
    #: Coefficients, those of intercepts included, which are the last.
    width: int
    #: Whether a pass over some of the columns costs less than one over all.
    by_columns: bool
    #: Whether fits take less time than what Python adds to them.
    small: bool
    #: Whether Gram matrices in single precision take less time.
    has_single: ClassVar[bool] = False

    def is_slim(self, penalised: bool) -> bool:
        """The same of fits that hold coefficients at zero."""
        return False

    def is_flat(self) -> bool:
        """The same of those of least squares without weights."""
        return False

    @cached_property
    @abstractmethod
    def norms(self) -> Array:
        """2-norms of the columns."""

    @property
    def begins(self) -> bool:
        """Whether one pass may bring norms and products together."""
        return False

    def begin(self, v: Array) -> bool:
        """Makes X' v, which will be asked for soon, by one pass with the norms; whether that could be done."""
        return False

    @abstractmethod
    def affordable(self, columns: Array, passes: float, single: bool = False) -> int:
        """How many of these columns, from the first on, have a Gram matrix that costs about as much as the passes;
        `single`: in single precision where that takes less time and there are enough samples."""

    @abstractmethod
    def product(self, w: Array) -> Array:
        """X w, w of length `width`."""

    @abstractmethod
    def transposed(self, v: Array, columns: Array | None = None) -> Array:
        """X' v, of length `width`; with `columns`, features as int32, 0 at the others."""

    @abstractmethod
    def panel(self, columns: Array, swept: bool = False) -> Panel:
        """Columns in rising order; that of the intercept is the last of them wherever there is one.

        Where `swept`, in a form for sweeps, which there are where `costs` says so.
        """

    def costs(self, columns: Array, single: bool = False) -> tuple[float, float]:
        """About how many nanoseconds the Gram matrix of these columns takes, and a sweep; infinity: there is none.

        `single`: where the matrix is in single precision if that takes less time.
        """
        return 0.0, math.inf

    def gram(self, columns: Array, weights: Array | None, scale: Array | None = None) -> Array:
        """X_W' D X_W, once; columns as of `panel`, `scale` as of `Panel.gram`."""
        return self.panel(columns).gram(weights, scale)

    @abstractmethod
    def cross(self, left: Array, right: Array, weights: Array | None) -> Array:
        """X_left' D X_right, of features."""

    def border(self, new: Array, old: Array, weights: Array | None, scale: Array | None = None) -> Array:
        """The rows of `new` in X' D X of the features `new`, then `old`; `scale` as of `Panel.gram`, of all columns."""
        return self.cross(new, np.concatenate([new, old]), weights)


class Matrix(Design):
    """A matrix as it is given, in double or in single precision; all that is computed from it is in double."""

    def __init__(self, X: Any, ones: bool) -> None:
        self.X = X
        self.n, self.d = X.shape
        self.ones = ones
        self.width = self.d + ones
        entries = X.nnz if scipy.sparse.issparse(X) else X.size
        self.small = is_small(entries, self.width)
        #: Whether norms and products may come from one pass; v and X' v, which did, until another v is asked for.
        self._at_once = False
        self._begun: tuple[Array, Array] | None = None

    @cached_property
    def norms(self) -> Array:
        self.place_norms(self._squares())
        return self.__dict__["norms"]  # type: ignore[no-any-return]

    def place_norms(self, squares: Array) -> None:
        """Keeps the norms, whose squares these are."""
        self.__dict__["norms"] = np.sqrt(np.append(squares, self.n) if self.ones else squares)

    @abstractmethod
    def _squares(self) -> Array:
        """Sums of the squares of the features' columns."""

    @abstractmethod
    def _squares_and_dots(self, v: Array) -> Array | None:
        """These, and X'v below them, of contiguous columns in double precision; None where they are not in order."""

    @abstractmethod
    def _combine(self, w: Array) -> Array:
        """X w of the features alone; w may be longer."""

    @abstractmethod
    def _dots(self, v: Array, out: Array, columns: Array | None) -> None:
        """out[:d] = X' v, or out[columns] alone where that is cheaper."""

    @abstractmethod
    def _panel(self, features: Array, ones: bool) -> Panel:
        """These features, int32 and rising, and the ones where they are asked for."""

    @abstractmethod
    def _swept(self, features: Array) -> Panel:
        """The same, in a form for sweeps."""

    @property
    @abstractmethod
    def _columns_to_read(self) -> _kernels.Columns | _kernels.Compressed:
        """The matrix by columns, a copy where it is not stored so."""

    @cached_property
    def columns_and_norms(self) -> tuple[_kernels.Columns | _kernels.Compressed, Array]:
        """The matrix by columns, for kernels that read single ones, and their norms, by the same kernels."""
        columns = self._columns_to_read
        return columns, _kernels.column_norms(columns, self.ones)

    @property
    def begins(self) -> bool:
        return self._at_once and "norms" not in self.__dict__

    def begin(self, v: Array) -> bool:
        found = self._squares_and_dots(v)
        if found is None:
            return False
        self.place_norms(found[0])
        self._begun = v, np.append(found[1], v.sum()) if self.ones else found[1]
        return True

    def product(self, w: Array) -> Array:
        z = self._combine(w)
        if self.ones:
            z += w[self.d]
        return z

    def transposed(self, v: Array, columns: Array | None = None) -> Array:
        if columns is None and self._begun is not None:
            if np.array_equal(v, self._begun[0]):
                return self._begun[1].copy()
            self._begun = None
        out = np.empty(self.width) if columns is None else np.zeros(self.width)
        self._dots(v, out, columns)
        if self.ones:
            out[-1] = v.sum()
        return out

    def panel(self, columns: Array, swept: bool = False) -> Panel:
        features = columns[: len(columns) - self.ones].astype(np.int32)
        return self._swept(features) if swept else self._panel(features, self.ones)


class Dense(Matrix):
    """In either order. Kernels read Fortran order; of C order BLAS makes the products, and panels are copies."""

    has_single = True

    def __init__(self, X: Any, ones: bool) -> None:
        super().__init__(X, ones)
        self.by_columns = X.flags.f_contiguous
        self._columns = _kernels.Columns(X) if self.by_columns else None
        self._at_once = self.by_columns and X.dtype == np.float64 and not self.small
        #: In single precision BLAS would have to convert all of X: its rows are read like columns.
        by_rows = not self.by_columns and X.dtype == np.float32
        self._rows = _kernels.Columns(np.ascontiguousarray(X).T) if by_rows else None

    def is_slim(self, penalised: bool) -> bool:
        return self.X.dtype == np.float64 and is_slim(self.X.shape, penalised)

    def affordable(self, columns: Array, passes: float, single: bool = False) -> int:
        # n p^2 operations, and about 300 p^2 in the model, against n d by bandwidth for a pass.
        count = int(math.sqrt(max(12.5 * passes * self.n * self.d, CHEAP) / (self.n + 300)))
        more = int(math.sqrt(SINGLE_A_PASS * passes * self.n * self.d / (self.n + 1000)))
        return max(count, min(more, self.n // 2)) if single else count

    def costs(self, columns: Array, single: bool = False) -> tuple[float, float]:
        p = len(columns)
        return (0.01 if single else 0.02) * self.n * p * p, 0.6 * self.n * p

    @property
    def _columns_to_read(self) -> _kernels.Columns:
        if self._columns is not None and self.X.dtype == np.float64:
            return self._columns
        return _kernels.Columns(_by_columns(self.X, np.float64))

    def _squares(self) -> Array:
        return self._columns.squares() if self._columns else np.einsum("ij,ij->j", self.X, self.X, dtype=np.float64)

    def _squares_and_dots(self, v: Array) -> Array | None:
        assert self._columns is not None
        return self._columns.squares_and_dots(v)

    def _combine(self, w: Array) -> Array:
        used = w[: self.d].nonzero()[0].astype(np.int32)
        if len(used) == 0:
            return np.zeros(self.n)
        if self._rows is not None:
            if 8 * len(used) <= self.d:
                return self._taken(used) @ w[used]
            z = np.empty(self.n)
            self._rows.dots(w[: self.d], z)
            return z
        if self._columns is None:
            return self.X @ w[: self.d] if 8 * len(used) > self.d else self.X[:, used] @ w[used]  # type: ignore[no-any-return]
        z = np.empty(self.n)
        chosen = self._columns if len(used) == self.d else _kernels.Columns(self.X, used)
        chosen.combine(w[used], z)
        return z

    def _dots(self, v: Array, out: Array, columns: Array | None) -> None:
        if self._rows is not None:
            self._rows.combine(v, out[: self.d])
        elif self._columns is None:
            out[: self.d] = self.X.T @ v
        elif columns is None:
            self._columns.dots(v, out)
        else:
            some = np.empty(len(columns))
            _kernels.Columns(self.X, columns).dots(v, some)
            out[columns] = some

    def _taken(self, features: Array) -> Array:
        """A copy of these columns, in Fortran order and double precision."""
        return np.take(self.X.T, features, axis=0).astype(np.float64, copy=False).T

    def _panel(self, features: Array, ones: bool) -> Panel:
        every = len(features) == self.d
        if self._columns is not None:  # read in place
            return DensePanel(self.X, None if every else features, ones)
        return DensePanel(_by_columns(self.X) if every else self._taken(features), None, ones)

    def _swept(self, features: Array) -> Panel:
        return self._panel(features, self.ones)

    def cross(self, left: Array, right: Array, weights: Array | None) -> Array:
        panel = self._taken(left)
        if weights is not None:
            panel *= weights[:, None]
        return panel.T @ self._taken(right)

    def border(self, new: Array, old: Array, weights: Array | None, scale: Array | None = None) -> Array:
        if self._columns is None or self.X.dtype != np.float64:
            return super().border(new, old, weights)
        columns = np.concatenate([new, old]).astype(np.int32)  # read in place, where BLAS wants copies
        chosen = _kernels.Columns(self.X, columns)
        if scale is None or weights is not None:
            return chosen.border(len(new), weights)
        return chosen.gram_in_single(None, scale[columns], len(new))


def _by_columns(X: Array, dtype: type[np.floating[Any]] | None = None) -> Array:
    """The matrix in Fortran order, its precision kept unless another is named; a copy of some size is told."""
    size = X.size * np.dtype(dtype or X.dtype).itemsize
    if size > LARGE_COPY and not (X.flags.f_contiguous and X.dtype == (dtype or X.dtype)):
        how = "C order" if X.flags.c_contiguous else "single precision"
        warnings.warn(
            f"X in {how} is copied by columns ({size / 2**30:.1f} GiB); numpy.asfortranarray(X) is read in place",
            CopyWarning, stacklevel=2,
        )  # fmt: skip
    return np.asfortranarray(X, dtype)


class Sparse(Matrix):
    """CSC or CSR, as it is given; a column of ones is not stored."""

    def __init__(self, X: Any, ones: bool) -> None:
        super().__init__(X, ones)
        self.by_columns = X.format == "csc"
        self.compressed = _kernels.Compressed(
            X.indptr.astype(np.int32, copy=False), X.indices.astype(np.int32, copy=False), X.data,
            self.n if self.by_columns else self.d,
        )  # fmt: skip

    def is_flat(self) -> bool:
        served = self.by_columns and self.X.dtype == np.float64 and may_be_flat(self.X.nnz, (self.n, self.d))
        return served and self.compressed.is_flat()

    @cached_property
    def _counts(self) -> Array:
        """Entries of each column."""
        if self.by_columns:
            return np.diff(self.X.indptr)
        return np.bincount(self.X.indices, minlength=self.d)

    def affordable(self, columns: Array, passes: float, single: bool = False) -> int:
        # To turn e entries to rows costs 4 e, their products e^2 / 2n, in units of which a pass costs half an entry.
        entries = np.cumsum(self._counts[columns[columns < self.d]], dtype=float)
        costs = entries * (4 + 0.5 * entries / self.n)
        return int(np.searchsorted(costs, max(0.6 * passes * self.compressed.entries, 0.05 * CHEAP)))

    def costs(self, columns: Array, single: bool = False) -> tuple[float, float]:
        entries = float(self._counts[columns[columns < self.d]].sum())
        return entries * (4 + 0.5 * entries / max(self.n, 1)), 1.3 * (entries + self.n * self.ones)

    def _squares(self) -> Array:
        squares = self.compressed.squares(not self.by_columns)
        assert squares is not None  # `design` has looked
        return squares

    def _squares_and_dots(self, v: Array) -> Array | None:
        return self.compressed.squares_and_dots(v)

    def _combine(self, w: Array) -> Array:
        if not self.by_columns:
            z = np.empty(self.n)
            self.compressed.gather(w, z)
            return z
        z = np.zeros(self.n)
        used = w[: self.d].nonzero()[0].astype(np.int32)
        self.compressed.scatter(w[used], z, used)
        return z

    def _dots(self, v: Array, out: Array, columns: Array | None) -> None:
        if not self.by_columns:
            out[: self.d] = 0
            self.compressed.scatter(v, out)
        elif columns is None:
            self.compressed.gather(v, out)
        else:
            some = np.empty(len(columns))
            self.compressed.gather(v, some, columns)
            out[columns] = some

    def _rows(self, features: Array) -> _kernels.Compressed:
        if self.by_columns:
            return self.compressed.columns_as_rows(features)
        return self.compressed.rows_of_columns(features) if len(features) < self.d else self.compressed

    @cached_property
    def _dense(self) -> Array:
        return self.compressed.spread(np.arange(self.d, dtype=np.int32))

    def _panel(self, features: Array, ones: bool) -> Panel:
        if self.by_columns and 2 * len(features) > self.d and self.compressed.entries > DENSE_ENOUGH * self.n * self.d:
            return DensePanel(self._dense, features, ones)  # it serves all larger panels
        enough = DENSE_ENOUGH * self.n * len(features)
        if self.by_columns and self.compressed.entries_of(features) > enough:
            return DensePanel(self.compressed.spread(features), None, ones)
        rows = self._rows(features)
        if rows.entries > enough:
            return DensePanel(np.asfortranarray(self.X[:, features].toarray(), np.float64), None, ones)
        return SparsePanel(rows, ones)

    @property
    def _columns_to_read(self) -> _kernels.Compressed:
        if self.X.dtype == np.float64:
            return self._by_columns
        X = self.X.tocsc().astype(np.float64)
        starts, index = X.indptr.astype(np.int32, copy=False), X.indices.astype(np.int32, copy=False)
        return _kernels.Compressed(starts, index, X.data, self.n)

    @cached_property
    def _by_columns(self) -> _kernels.Compressed:
        """The matrix as CSC."""
        if self.by_columns:
            return self.compressed
        X = self.X.tocsc()
        starts, index = X.indptr.astype(np.int32, copy=False), X.indices.astype(np.int32, copy=False)
        return _kernels.Compressed(starts, index, X.data, self.n)

    def _swept(self, features: Array) -> Panel:
        return SegmentPanel(self._by_columns, features, self.ones)

    def gram(self, columns: Array, weights: Array | None, scale: Array | None = None) -> Array:
        if self.by_columns and not self.ones and len(columns) <= 2 * FEWEST:
            return self.compressed.cross(columns.astype(np.int32), None, weights)
        return super().gram(columns, weights, scale)

    def cross(self, left: Array, right: Array, weights: Array | None) -> Array:
        """By dots of few columns with all others, else by the Gram matrix of both."""
        if self.by_columns and len(left) <= FEWEST + self._counts[right].sum() / self.n:
            return self.compressed.cross(left.astype(np.int32), right.astype(np.int32), weights)
        columns = np.union1d(left, right)
        H = self._panel(columns.astype(np.int32), False).gram(weights)
        return H[np.ix_(np.searchsorted(columns, left), np.searchsorted(columns, right))]


def design(X: Any, ones: bool, y: Array | None = None) -> Matrix:
    """The matrix as the methods want it; with y, least squares' gradient at zero comes with the norms."""
    if not scipy.sparse.issparse(X):
        dense = Dense(X, ones)
        if y is not None and X.dtype == np.float64 and dense.by_columns:
            dense.begin(-y)
        return dense
    if X.format not in ("csc", "csr"):
        X = X.tocsc()
    made = Sparse(X, ones)
    if y is not None and made.by_columns and made.begin(-y):
        return made
    squares = made.compressed.squares(not made.by_columns)
    if squares is None:  # indices in disorder, or several entries of one place
        X = X.copy()
        X.check_format(full_check=True)
        X.sum_duplicates()
        return Sparse(X, ones)
    made.place_norms(squares)
    return made
