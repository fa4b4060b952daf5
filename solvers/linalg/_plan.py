"""Plans of matrices, real or complex."""

from __future__ import annotations

from typing import Any

from ._complex import ComplexPlan
from ._matrix import Analysed, Plan, is_complex


def plan(A: Any, *, check_finite: bool = True) -> Plan | ComplexPlan:
    """Analyse a matrix once, for any number of solves with it.

    Parameters
    ----------
    A : sparse matrix or array_like, shape (n, n)
        The matrix. CSR in float64, float32, complex128 or complex64 with sorted rows is read in place, with its indices
        of 32 or 64 bits; all else is converted once. A dense array becomes sparse.
    check_finite : bool, default True
        Whether NaN and infinity are looked for, here and in `Plan.update`. The diagonal is always looked at.

    Returns
    -------
    Plan, or ComplexPlan where A is complex
        What `solve` takes in place of A.

    Raises
    ------
    ValueError
        A that is not square, not finite, or has a diagonal entry that is zero, missing, subnormal or not finite; index
        arrays that are not those of a matrix.
    TypeError
        A that is not numbers.

    Warns
    -----
    UserWarning
        Rows that are not sorted or have duplicates: they are sorted and summed, in a copy.

    Examples
    --------
    >>> import scipy.sparse, solvers
    >>> A = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(5, 5))
    >>> plan = solvers.linalg.plan(A)
    >>> solvers.linalg.solve(plan, [1.0, 0.0, 0.0, 0.0, 1.0]).x.round(6).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    if isinstance(A, Analysed):
        return A  # type: ignore[return-value]
    return (ComplexPlan if is_complex(A) else Plan)(A, check_finite=check_finite)
