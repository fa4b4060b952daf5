"""The functions of CUTEst problems as C, by formulas.

The element and group functions of S2MPJ are evaluated at symbols; SymPy differentiates and collects common
subexpressions. What cannot be evaluated so, for instance branches on a value, raises.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

#: What element functions call of NumPy.
UNARY = ("sin", "cos", "tan", "exp", "log", "sqrt", "arctan", "arcsin", "arccos", "sinh", "cosh", "tanh")

HEADER = """#include <math.h>
#define square(a) ((a) * (a))
#define cube(a) ((a) * (a) * (a))
#define fourth(a) (square(a) * square(a))
"""


ARGUMENTS = {
    "fun": "double fun(int n, double *x, void *data)",
    "jac": "void jac(int n, double *x, double *out, void *data)",
    "hess": "void hess(int n, double *x, double *out, void *data)",
    "con": "void con(int n, int m, double *x, double *out, void *data)",
    "con_jac": "void con_jac(int n, int m, double *x, double *out, void *data)",
    "con_hess": "void con_hess(int n, int m, double *x, double *y, double *out, void *data)",
}


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
