"""CUTEst problems as compiled C: what a solve costs where the functions cost next to nothing.

The formulas come from the problem itself: its element and group functions are evaluated at symbols, SymPy
differentiates and collects common subexpressions, and the C compiler makes a library of them under build/. The
functions have the signatures of `scipy.LowLevelCallable` that `solvers.minimize` takes; the peers call the same ones
through this library's binding of such functions, in about a microsecond each.
"""

from __future__ import annotations

import ctypes
import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

KEPT = Path(__file__).resolve().parent.parent / "build" / "bench" / "cutest" / "compiled"

#: What element functions call of NumPy.
UNARY = ("sin", "cos", "tan", "exp", "log", "sqrt", "arctan", "arcsin", "arccos", "sinh", "cosh", "tanh")

HEADER = """#include <math.h>
#define square(a) ((a) * (a))
#define cube(a) ((a) * (a) * (a))
#define fourth(a) (square(a) * square(a))
"""


class CompiledProblem:
    """As `solvers.testing.CutestProblem`, dense, equations alone, with functions in C.

    What the functions take is not measured while a solver runs: the clock would cost more than they do. `cost` says
    what a call takes from Python.
    """

    timed = False
    seconds = 0.0

    def __init__(self, name: str) -> None:
        from scipy import LowLevelCallable

        from solvers.optimize._kernels import Compiled
        from solvers.testing import cutest

        written = cutest(name, sparse=True)
        if np.isfinite([*written.lower, *written.upper]).any() or np.any([written.row_lower, written.row_upper]):
            raise ValueError(f"{name} has more than equations c(x) = 0")
        self.name, self.x0, self.n, self.m = name, written.x0, written.n, written.m
        self.lower, self.upper = written.lower, written.upper
        self.row_lower, self.row_upper = written.row_lower, written.row_upper
        library = ctypes.CDLL(str(_built(name)))
        self.c = {kind: LowLevelCallable(_typed(library, kind)) for kind in SIGNATURES}
        rows = (self.m, *(self.c[kind] for kind in ("con", "con_jac", "con_hess")))
        binding = Compiled(self.n, *(self.c[kind] for kind in ("fun", "jac", "hess")), constraints=[rows])
        self.functions = {kind: getattr(binding, kind) for kind in FUNCTIONS}
        self.pattern = self._pattern(written)
        self.count(False)

    def count(self, on: bool) -> None:
        """Count calls from now on, or call at full speed."""
        self.calls = dict.fromkeys(FUNCTIONS, 0)
        for kind, function in self.functions.items():
            setattr(self, kind, self._counted(kind, function) if on else function)

    def _counted(self, kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        last = [b""]

        def call(x: Any, *more: Any) -> Any:
            key = b"".join(np.asarray(part, float).tobytes() for part in (x, *more))
            self.calls[kind] += key != last[0]  # a point asked for again is no other point
            last[0] = key
            return function(x, *more)

        return call

    def _pattern(self, written: Any) -> Any:
        rows, curved = (M.tocoo() for M in (written.jacobian(self.x0), written.hessian(self.x0, 1.0, np.ones(self.m))))
        lower = curved.row >= curved.col
        J, H = (rows.row, rows.col), (curved.row[lower], curved.col[lower])
        places, curves = J[0] * self.n + J[1], H[0] * self.n + H[1]
        return SimpleNamespace(
            J=J, H=H, jacobian=lambda x: self.jacobian(x).take(places),
            hessian=lambda x, sigma, y: self.hessian(x, sigma, y).take(curves),
        )  # fmt: skip

    def reset(self) -> None:
        """There is nothing to forget."""

    def arguments(self, form: str = "compiled") -> dict[str, Any]:
        """Keywords of minimize: "compiled" for us, "objects" and "dicts" as `CutestProblem` has them."""
        from scipy.optimize import NonlinearConstraint

        if form == "compiled":
            rows = NonlinearConstraint(self.c["con"], self.row_lower, self.row_upper)
            rows.jac, rows.hess = self.c["con_jac"], self.c["con_hess"]
            return {
                "fun": self.c["fun"], "x0": self.x0, "jac": self.c["jac"], "hess": self.c["hess"], "constraints": rows
            }  # fmt: skip
        found = {"fun": self.fun, "x0": self.x0, "jac": self.gradient}
        if form == "dicts":
            return found | {"constraints": {"type": "eq", "fun": self.constraints, "jac": self.jacobian}}
        zeros = np.zeros(self.m)
        rows = NonlinearConstraint(
            self.constraints, zeros, zeros, jac=self.jacobian, hess=lambda x, v: self.hessian(x, 0.0, v)
        )
        return found | {"hess": lambda x: self.hessian(x, 1.0, zeros), "constraints": rows}

    def cost(self) -> dict[str, float]:
        """Processor seconds of a call of each function from Python: the least of five runs."""
        y = np.ones(self.m)
        more = {kind: (1.0, y) if kind == "hessian" else () for kind in FUNCTIONS}
        return {kind: min(self._runs(f, more[kind]) for _ in range(5)) for kind, f in self.functions.items()}

    def _runs(self, function: Callable[..., Any], more: Any, runs: int = 500) -> float:
        start = time.process_time()
        for _ in range(runs):
            function(self.x0, *more)
        return (time.process_time() - start) / runs


FUNCTIONS = ("fun", "gradient", "constraints", "jacobian", "hessian")

_INT, _REAL, _DATA = ctypes.c_int, ctypes.c_double, ctypes.c_void_p
_REALS = ctypes.POINTER(ctypes.c_double)

SIGNATURES = {
    "fun": (_REAL, _INT, _REALS, _DATA), "jac": (None, _INT, _REALS, _REALS, _DATA),
    "hess": (None, _INT, _REALS, _REALS, _DATA), "con": (None, _INT, _INT, _REALS, _REALS, _DATA),
    "con_jac": (None, _INT, _INT, _REALS, _REALS, _DATA),
    "con_hess": (None, _INT, _INT, _REALS, _REALS, _REALS, _DATA),
}  # fmt: skip

ARGUMENTS = {
    "fun": "double fun(int n, double *x, void *data)",
    "jac": "void jac(int n, double *x, double *out, void *data)",
    "hess": "void hess(int n, double *x, double *out, void *data)",
    "con": "void con(int n, int m, double *x, double *out, void *data)",
    "con_jac": "void con_jac(int n, int m, double *x, double *out, void *data)",
    "con_hess": "void con_hess(int n, int m, double *x, double *y, double *out, void *data)",
}


def _typed(library: Any, name: str) -> Any:
    """A function of the library as `LowLevelCallable` wants it: with its types."""
    result, *arguments = SIGNATURES[name]
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments
    return function


def _built(name: str) -> Path:
    """The library of a problem; made where it is not there yet."""
    from solvers.testing import s2mpj

    digest = hashlib.sha256()
    for path in (Path(__file__), Path(s2mpj.__file__)):
        digest.update(path.read_bytes())
    library = KEPT / f"{name}-{digest.hexdigest()[:12]}.so"
    if not library.is_file():
        KEPT.mkdir(parents=True, exist_ok=True)
        source = library.with_suffix(".c")
        source.write_text(as_c(name), encoding="utf-8")
        command = ["cc", "-O2", "-march=native", "-shared", "-fPIC", "-o", str(library), str(source), "-lm"]
        subprocess.run(command, check=True)
    return library


# ---- formulas ------------------------------------------------------------------------------------


def as_c(name: str) -> str:
    """The problem's functions as C."""
    import sympy

    from solvers.testing.s2mpj import S2mpjProblem

    problem = S2mpjProblem(name)
    n, m = len(problem.x0), len(problem.rows)
    x, y = sympy.symbols(f"x:{n}", real=True), sympy.symbols(f"y:{m}", real=True)
    column = np.array(x, object)
    half = sympy.Rational(1, 2)
    with _symbolic(sympy, (problem.terms + problem.rows)[0].described):
        f = sum((_formula(sympy, term, column) for term in problem.terms), sympy.Integer(0))
        c = [_formula(sympy, row, column) for row in problem.rows]
    for i, j in zip(*np.nonzero(problem.quadratic), strict=True):
        f += half * _exact(sympy, problem.quadratic[i, j]) * x[i] * x[j]
    parts = {
        "fun": {0: f},
        "jac": _slopes([f], x),
        "hess": _curvature(sympy, [f], [sympy.Integer(1)], x),
        "con": dict(enumerate(c)),
        "con_jac": _slopes(c, x),
        "con_hess": _curvature(sympy, c, y, x),
    }
    return HEADER + "".join(_function(sympy, kind, entries) for kind, entries in parts.items())


class _SymbolicNumpy(ModuleType):
    """NumPy for functions of symbols: their arrays hold objects, and sines are SymPy's."""

    def __init__(self, sympy: Any) -> None:
        super().__init__("numpy")
        for name in UNARY:
            setattr(self, name, getattr(sympy, name.replace("arc", "a")))
        self.arctan2 = sympy.atan2
        self.zeros = lambda shape, *more: np.zeros(shape, object)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


@contextmanager
def _symbolic(sympy: Any, described: Any) -> Iterator[None]:
    """Within, the element functions, which import numpy themselves, take symbols."""
    module = sys.modules[type(described).__module__]
    kept = module.to_scalar
    sys.modules["numpy"], module.to_scalar = _SymbolicNumpy(sympy), lambda value: np.ravel(value)[0]
    try:
        yield
    finally:
        sys.modules["numpy"], module.to_scalar = np, kept


def _formula(sympy: Any, group: Any, x: Any) -> Any:
    value = _exact(sympy, group.constant)
    for slope, variable in zip(group.a, x[group.variables], strict=True):
        value += _exact(sympy, slope) * variable
    for element, number, weight, where, _ in group.elements:
        value += _exact(sympy, weight) * element(group.described, 1, x[where, None], number)
    if group.outer is not None:
        value = group.outer(group.described, 1, value, group.ig)
    return _tidy(sympy, value / _exact(sympy, group.scale))


def _exact(sympy: Any, number: float) -> Any:
    """Whole numbers as such: powers and products of them simplify."""
    return sympy.Integer(int(number)) if float(number).is_integer() else sympy.Float(float(number))


def _tidy(sympy: Any, value: Any) -> Any:
    value = sympy.sympify(value)
    whole = {v: sympy.Integer(int(float(v))) for v in value.atoms(sympy.Float) if float(v).is_integer()}
    return value.xreplace(whole)


def _slopes(values: list[Any], x: Any) -> dict[int, Any]:
    n = len(x)
    place = {symbol: k for k, symbol in enumerate(x)}
    return {
        i * n + place[symbol]: value.diff(symbol)
        for i, value in enumerate(values)
        for symbol in sorted(value.free_symbols, key=lambda s: place[s])
    }


def _curvature(sympy: Any, values: list[Any], weights: Iterable[Any], x: Any) -> dict[int, Any]:
    """The lower triangle."""
    n, place = len(x), {symbol: k for k, symbol in enumerate(x)}
    found: dict[int, Any] = {}
    for value, weight in zip(values, weights, strict=True):
        symbols = sorted(value.free_symbols, key=lambda s: place[s])
        for row, first in enumerate(symbols):
            slope = value.diff(first)
            for second in symbols[: row + 1]:
                if (entry := slope.diff(second)) != 0:
                    at = place[first] * n + place[second]
                    found[at] = found.get(at, sympy.Integer(0)) + weight * entry
    return found


def _function(sympy: Any, kind: str, entries: dict[int, Any]) -> str:
    from sympy.printing.c import C99CodePrinter

    class Printer(C99CodePrinter):  # type: ignore[misc]
        """Small powers as products, x[3] for the symbol x3."""

        def _print_Pow(self, expr: Any) -> str:  # noqa: N802
            base, power = self._print(expr.base), expr.exp
            if power in (2, 3, 4):
                return f"{ {2: 'square', 3: 'cube', 4: 'fourth'}[int(power)] }({base})"
            if power in (-1, -2):
                return (
                    f"(1.0/{base if expr.base.is_Symbol else f'({base})'})" if power == -1 else f"(1.0/square({base}))"
                )
            return str(super()._print_Pow(expr))

        def _print_Symbol(self, expr: Any) -> str:  # noqa: N802
            name = expr.name
            return f"{name[0]}[{name[1:]}]" if name[0] in "xy" else name

    printer = Printer()
    places = [at for at, value in entries.items() if value != 0]
    shared, values = sympy.cse([entries[at] for at in places], symbols=sympy.numbered_symbols("t"), order="none")
    lines = [f"    const double {symbol} = {printer.doprint(value)};" for symbol, value in shared]
    if kind == "fun":
        lines.append(f"    return {printer.doprint(values[0]) if values else '0.0'};")
    else:
        lines += [f"    out[{at}] = {printer.doprint(value)};" for at, value in zip(places, values, strict=True)]
    return f"\n{ARGUMENTS[kind]}\n{{\n" + "\n".join(lines) + "\n}\n"
