"""CUTEst problems as compiled C: what a solve costs where the functions cost next to nothing.

bench/cutest_formulas.py writes the source, and the C compiler makes a library of it under build/. The functions have
the signatures of `scipy.LowLevelCallable` that `solvers.minimize` takes; the peers call the same ones through this
library's binding of such functions, in about a microsecond each.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import cutest_formulas

KEPT = Path(__file__).resolve().parent.parent / "build" / "bench" / "cutest" / "compiled"


class CompiledProblem:
    """As `solvers.testing.CutestProblem`, dense, with functions in C.

    What the functions take is not measured while a solver runs: the clock would cost more than they do. `cost` says
    what a call takes from Python. A `NoFormulaError` where C does not say the same as the problem: branches, say.
    """

    timed = False
    seconds = 0.0

    def __init__(self, name: str) -> None:
        from scipy import LowLevelCallable

        from solvers.optimize._kernels import Compiled
        from solvers.testing import cutest

        written = cutest(name, sparse=True)
        self.name, self.x0, self.n, self.m = name, written.x0, written.n, written.m
        self.lower, self.upper = written.lower, written.upper
        self.row_lower, self.row_upper = written.row_lower, written.row_upper
        library = ctypes.CDLL(str(_built(name)))
        self.c = {kind: LowLevelCallable(_typed(library, kind)) for kind in SIGNATURES}
        rows = (self.m, *(self.c[kind] for kind in ("con", "con_jac", "con_hess")))
        blocks = [rows] if self.m else []
        binding = Compiled(self.n, *(self.c[kind] for kind in ("fun", "jac", "hess")), constraints=blocks)
        self.functions = {kind: getattr(binding, kind) for kind in FUNCTIONS}
        self.pattern = self._pattern(written)
        self.count(False)
        self._check(written)

    def _check(self, written: Any) -> None:
        """Formulas say what the problem says; seen near the start, which says enough of sums and products."""
        x, y = self.x0 + 0.01 * np.cos(np.arange(self.n)), np.sin(1.0 + np.arange(self.m))
        for kind in FUNCTIONS:
            more = (0.7, y) if kind == "hessian" else ()
            mine, theirs = getattr(self, kind)(x, *more), getattr(written, kind)(x, *more)
            theirs = theirs.toarray() if hasattr(theirs, "toarray") else np.asarray(theirs)
            size = max(1.0, abs(np.nan_to_num(theirs)).max(initial=0.0))
            if not np.allclose(mine / size, theirs / size, rtol=0, atol=1e-9, equal_nan=True):
                raise NoFormulaError(f"{self.name}: the compiled {kind} is another one")

    def count(self, on: bool) -> None:
        """Count calls from now on, `asked`, and those at other points than the one before, `calls`; or run at speed."""
        self.calls, self.asked = dict.fromkeys(FUNCTIONS, 0), dict.fromkeys(FUNCTIONS, 0)
        self.forms: dict[str, dict[str, Any]] = {}
        for kind, function in self.functions.items():
            setattr(self, kind, self._counted(kind, function) if on else function)

    def _counted(self, kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        last = [b""]

        def call(x: Any, *more: Any) -> Any:
            key = b"".join(np.asarray(part, float).tobytes() for part in (x, *more))
            self.asked[kind] += 1
            self.calls[kind] += key != last[0]
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

    def arguments(self, form: str = "objects") -> dict[str, Any]:
        """Keywords of minimize: "compiled" for us, "objects" and "dicts" as `CutestProblem` has them; made once."""
        if form not in self.forms:
            self.forms[form] = self._arguments(form)
        return dict(self.forms[form])

    def _arguments(self, form: str) -> dict[str, Any]:
        from scipy.optimize import Bounds, NonlinearConstraint

        found: dict[str, Any] = {"x0": self.x0}
        if np.isfinite([self.lower, self.upper]).any():
            found["bounds"] = Bounds(self.lower, self.upper)
        if form == "compiled":
            if self.m:
                found["constraints"] = rows = NonlinearConstraint(self.c["con"], self.row_lower, self.row_upper)
                rows.jac, rows.hess = self.c["con_jac"], self.c["con_hess"]
            return found | {"fun": self.c["fun"], "jac": self.c["jac"], "hess": self.c["hess"]}
        found |= {"fun": self.fun, "jac": self.gradient}
        if form == "dicts":
            return found | {"constraints": list(self._dicts())}
        zeros = np.zeros(self.m)
        if self.m:
            found["constraints"] = NonlinearConstraint(
                self.constraints, self.row_lower, self.row_upper, jac=self.jacobian,
                hess=lambda x, v: self.hessian(x, 0.0, v),
            )  # fmt: skip
        return found | {"hess": lambda x: self.hessian(x, 1.0, zeros)}

    def _dicts(self) -> Iterator[dict[str, Any]]:
        """Equations in one, c >= lower and upper - c >= 0; what needs no rows picked and no sign is passed as it is."""
        c, J = self.constraints, self.jacobian
        equal = self.row_lower == self.row_upper
        for kind, rows, sign, side in (
            ("eq", equal, 1.0, self.row_lower), ("ineq", ~equal & np.isfinite(self.row_lower), 1.0, self.row_lower),
            ("ineq", ~equal & np.isfinite(self.row_upper), -1.0, self.row_upper),
        ):  # fmt: skip
            if rows.all() and sign > 0 and not side.any() and self.m:
                yield {"type": kind, "fun": c, "jac": J}
            elif rows.any():
                at, ends = np.flatnonzero(rows), side[rows]
                yield {
                    "type": kind, "fun": lambda x, at=at, sign=sign, ends=ends: sign * (c(x)[at] - ends),
                    "jac": lambda x, at=at, sign=sign: sign * J(x)[at],
                }  # fmt: skip

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


def _typed(library: Any, name: str) -> Any:
    """A function of the library as `LowLevelCallable` wants it: with its types."""
    result, *arguments = SIGNATURES[name]
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments
    return function


class NoFormulaError(Exception):
    """The problem cannot be written in C by way of formulas."""


def _built(name: str) -> Path:
    """The library of a problem; made where it is not there yet."""
    from solvers.testing import s2mpj

    digest = hashlib.sha256()
    for path in (Path(cutest_formulas.__file__), Path(s2mpj.__file__)):
        digest.update(path.read_bytes())
    library = KEPT / f"{name}-{digest.hexdigest()[:12]}.so"
    if not library.is_file():
        KEPT.mkdir(parents=True, exist_ok=True)
        failed = library.with_suffix(".none")
        if failed.is_file():
            raise NoFormulaError(failed.read_text(encoding="utf-8"))
        failed.write_text("it takes too long", encoding="utf-8")  # if this process is killed
        made, source = library.with_suffix(f".{os.getpid()}"), library.with_suffix(".c")
        command = ["cc", "-O2", "-march=native", "-shared", "-fPIC", "-o", str(made), str(source), "-lm"]
        try:
            source.write_text(cutest_formulas.as_c(name), encoding="utf-8")
            subprocess.run(command, check=True, capture_output=True)
        except Exception as found:
            failed.write_text(f"{type(found).__name__}: {found}"[:200], encoding="utf-8")
            raise NoFormulaError(str(found)) from found
        made.rename(library)
        failed.unlink()
    return library
