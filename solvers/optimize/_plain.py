"""Programs of compiled functions alone, solved with little around the loop: such a solve may take microseconds.

What is read, done and returned is what the long way makes of the same arguments (`_forms.py`, `_gala.py` and the loop
of `_base/iterate.py`), which goes on from here wherever a solve does not end in the first run of the compiled loop.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any, cast

from .._base import threads as _threads
from .._base._runtime import columns
from .._base.iterate import Control, Row, run, verified
from .._base.options import build
from .._base.result import Status
from .._base.validate import integer, positive
from . import _kernels
from ._constraints import box
from ._direct import direct
from ._forms import EXACT, MAX_ITER
from ._gala import FIRST, METHOD, SLICE, Gala, GalaState
from ._problem import NonlinearProblem
from ._program import LARGE
from ._result import MinimizeResult, measure_of

INNER = "dense"
_SOLVER = build(Gala, METHOD.name, None)
_OPTIONS = {o.name: getattr(_SOLVER, o.name) for o in METHOD.options}
#: Of programs whose rows are all equations and of others, by the tolerance that is asked for most.
_SETTINGS = _SOLVER.settings(EXACT, exact=1, sequential=True)


def plain(
    functions: tuple[Any, Any, Any],
    x0: Any,
    bounds: Any,
    constraints: Any,
    tol: Any,
    max_iter: Any,
    threads: Any,
    why: str,
) -> MinimizeResult | None:
    """The result by the method gala and its defaults; None where the arguments are of another kind, or wrong."""
    start = perf_counter()
    if type(constraints) in (tuple, list) and len(constraints) < 2:
        constraints = constraints[0] if constraints else None
    read = _kernels.plainly(*functions, constraints, x0)
    if read is None or len(read[1]) + len(read[2]) > LARGE:
        return None
    compiled, point, lower, upper = read
    limits = box(bounds, len(point))
    point = limits.start(point)
    tol = EXACT if tol is None else positive(tol, "tol")
    max_iter = MAX_ITER if max_iter is None else integer(max_iter, "max_iter")
    count = _threads.resolve(threads)
    nlp, sides = _kernels.DenseNLP(compiled), _kernels.Sides(limits.lower, limits.upper, lower, upper)
    settings = _SETTINGS if tol == EXACT else {**_SETTINGS, "tol": tol}
    changes = sides.bounded or not sides.equations
    most = min(FIRST, max_iter) if changes else max_iter
    elapsed = perf_counter() - start
    begun = _kernels.gala_init(nlp, point, sides, settings, None, most, SLICE)
    if begun is None:
        return None
    first, (core, nit, number, now, x) = begun
    state = GalaState(nit, now, x, core, number)
    if number != Status.CONVERGED or (changes and _kernels.gala_gives_up(nlp, core, FIRST, max_iter)):
        found = direct(*functions, () if constraints is None else constraints, point, limits)
        assert found is not None
        problem = NonlinearProblem(
            found[0], tol, max_iter, threads=count, rows=tuple(found[1]), bounded=bounds is not None,
            served={_SOLVER.inner: (nlp.adopted(found[0]), INNER)}, begun=(first, state),
        )  # fmt: skip
        return cast(MinimizeResult, run(METHOD, problem, Control(max_iter), None, why, start))
    about = count, bounds is not None, tol, why, start
    return _result(nlp, sides, state, [(0, first, elapsed)] if nit else [], about)


def _result(
    nlp: _kernels.DenseNLP,
    sides: _kernels.Sides,
    state: GalaState,
    history: list[Row],
    about: tuple[int, bool, float, str, float],
) -> MinimizeResult:
    """That of a solve whose first run has converged."""
    threads, bounded, tol, why, start = about
    history.append((state.nit, state.measure, perf_counter() - start))
    (x, y, z), (fun, g), numbers = _kernels.gala_answer(nlp, state.core, sides)
    measure = measure_of(fun, numbers)
    status = verified(Status.CONVERGED, measure, tol)
    nfev, njev, nhev, row_nfev, row_njev = nlp.counted
    stats: dict[str, Any] = {"copies": 0, "threads": threads}
    v = [z] if bounded else []
    if len(y):
        stats["constr_nfev"], stats["constr_njev"], stats["constr_nhev"] = [row_nfev], [row_njev], [nhev]
        v.insert(0, y)
    nit, measures, seconds = columns(history)
    stats["isa"], stats["seconds"] = _threads.build_info()["isa"], perf_counter() - start
    return MinimizeResult.made({
        "x": x, "success": status is Status.CONVERGED, "status": status, "message": f"{status.sentence} {why}".strip(),
        "nit": state.nit, "measure": measure, "method": METHOD.name, "options": _OPTIONS.copy(), "stats": stats,
        "history": {"nit": nit, "measure": measures, "seconds": seconds}, "state": state, "fun": fun, "jac": g,
        "multipliers": y, "bound_multipliers": z, "v": v, "optimality": numbers[0], "constr_violation": numbers[1],
        "complementarity": numbers[2], "nfev": nfev, "njev": njev, "nhev": nhev, "inner": INNER,
    })  # fmt: skip
