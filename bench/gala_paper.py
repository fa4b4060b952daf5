"""The experiments of Hong, Na, Mahoney, Kolar (2023) by the published algorithm, beside its archived numbers.

(a) Equality-constrained problems of CUTEst: share solved to 1e-4, iterations, evaluations. (b) Constrained logistic
regression on the LIBSVM sets that are there, outer iterations. (c) The PDE control problem on a 3 x 3 grid.

Labels of the data are those of LIBSVM's files, as the published code takes them: 0 and 1 of phishing, 1 and 2 of
mushrooms make another objective than -1 and 1 do, with fewer iterations; the table has both.

Differs from the paper in: 1. 41 of its 47 problems (S2MPJ's), and draws of A and b our own; 2. the Hessian of the
Lagrangian in the gradient of the merit function; 3. a limit of a minute a solve.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import scipy.sparse
from scipy.optimize import LinearConstraint

import solvers

from . import harness, logistic_problems
from .cutest_sets import PAPER
from .report import Report, Target

SKETCHES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("GV", {"sketch": "gaussian"}), ("RK", {"sketch": "rk"}), ("block 4", {"sketch": "block", "size": 4}),
    ("count 4", {"sketch": "countsketch", "size": 4}),
)  # fmt: skip

#: Archived outer iterations to 1e-4 of the published code.
ARCHIVED = {
    "ionosphere": (8, 9), "mushrooms": (8, 8), "phishing": (7, 7), "sonar": (10, 10), "splice": (9, 9), "a9a": (8, 8),
    "w8a": (9, 9),
}  # fmt: skip
#: Whose labels are not -1 and 1.
RELABELLED = ("mushrooms", "phishing")
ARCHIVED_PDE = {"GV": 4, "RK": 3}
ARCHIVED_CUTEST: dict[str, Any] = {"solved": "45 of 47", "iterations": 5, "functions": 24, "derivatives": 24}

REGRESSION = {"preset": "paper", "multipliers": "ones", "curvature": 1e-2, "inner_cap": 1_000_000}


def report(quick: bool = False) -> Report:
    """The three tables."""
    result = Report("gala-paper", "AdaSketch-Newton-GALA: the paper's experiments")
    limit = 5.0 if quick else 60.0
    with harness.threads(1):
        _cutest(result, PAPER[:6] if quick else PAPER, limit)
        _regression(result, quick, limit)
        _control(result, limit)
    result.header = harness.versions()
    return result


def _cutest(result: Report, names: tuple[str, ...], limit: float) -> None:
    try:
        from solvers.testing import cutest

        cutest(names[0])
    except ImportError as missing:
        result.notes.append(f"CUTEst is left out: {missing}")
        return
    table = result.table(f"{len(names)} equality-constrained problems of CUTEst, to 1e-4")
    for label, options in SKETCHES:
        rows = []
        for name in harness.progress(names, label):
            problem = cutest(name)
            found = solvers.minimize(
                **problem.arguments(), method="gala", tol=1e-4, time_limit=limit, max_iter=10_000,
                options={"preset": "paper", "multipliers": "zeros", **options},
            )  # fmt: skip
            calls = problem.calls
            rows.append((found.success, found.nit, calls["fun"] + calls["constraints"],
                         calls["gradient"] + calls["jacobian"], found.stats["projections"], name))  # fmt: skip
        good = [row for row in rows if row[0]]
        medians = [float(np.median([row[k] for row in good])) if good else np.nan for k in range(1, 5)]
        table.rows.append({
            "sketch": label, "solved": f"{len(good)} of {len(rows)}", "iterations": medians[0],
            "functions": medians[1], "derivatives": medians[2], "projections": medians[3],
            "not solved": " ".join(row[5] for row in rows if not row[0]) or "-",
        })  # fmt: skip
    for row in table.rows[:2]:
        more = row["iterations"] - ARCHIVED_CUTEST["iterations"]
        result.targets.append(
            Target(f"CUTEst: median iterations beyond the archived, {row['sketch']}", "<=", 2, more, "")
        )
    table.rows += [{"sketch": f"{label}, archived", **ARCHIVED_CUTEST} for label in ("GV", "RK")]


def _regression(result: Report, quick: bool, limit: float) -> None:
    names = logistic_problems.available()
    if not names:
        result.notes.append("Regression is left out: SOLVERS_DATA names no folder with LIBSVM's sets")
        return
    table = result.table("Constrained logistic regression: outer iterations to 1e-4")
    for name in harness.progress(names[:1] if quick else names, "regression"):
        problem = logistic_problems.problem(name, as_filed=True)
        row: dict[str, Any] = {"data": f"{name} {problem.samples} x {problem.n}"}
        for (label, options), archived in zip(SKETCHES[:2], ARCHIVED[name], strict=True):
            start = time.process_time()
            found = _iterations(problem, limit, options)
            row |= {
                label: found.nit if found.success else f"{found.nit} ({found.status.name})",
                f"{label}, archived": archived,
                f"{label}, s": time.process_time() - start,
                f"{label}, measure": f"{problem.measure(found.x):.0e}",
            }
            if label == "RK":
                more = float(found.nit - archived) if found.success else None
                result.targets.append(Target(f"{name}: iterations beyond the archived, RK", "<=", 2, more, ""))
        if name in RELABELLED:
            row["RK, labels -1 and 1"] = _iterations(logistic_problems.problem(name), limit, options).nit
        table.rows.append(row)


def _iterations(problem: logistic_problems.Logistic, limit: float, options: dict[str, Any]) -> Any:
    return solvers.minimize(
        problem.fun, problem.x0, jac=problem.gradient, hess=problem.hessian, method="gala", tol=1e-4,
        constraints=problem.constraints(), time_limit=limit, options={**REGRESSION, **options},
    )  # fmt: skip


def control(size: int) -> dict[str, Any]:
    """min |w - wt|^2 / 2 + 0.05 |z|^2 with a discrete Laplacian of w equal to -z, from ones; arguments of minimize."""
    h = 2 / (size + 1)
    second = scipy.sparse.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(size, size)) / h**2
    one = scipy.sparse.eye_array(size)
    laplacian = (scipy.sparse.kron(second, one) + scipy.sparse.kron(one, second)).toarray()
    at = 0.1 / np.sqrt(15) * (np.arange(1, size + 1) - (size + 1) / 2)
    target = (np.sin(4 + at)[:, None] + np.cos(3 + at)).ravel()
    count = size * size
    weights = np.repeat([1.0, 0.1], count)
    goal = np.concatenate([target, np.zeros(count)])
    return {
        "fun": lambda x: float(weights @ (x - goal) ** 2 / 2), "x0": np.ones(2 * count),
        "jac": lambda x: weights * (x - goal), "hess": lambda x: np.diag(weights),
        "constraints": LinearConstraint(np.hstack([laplacian, np.eye(count)]), 0, 0),
    }  # fmt: skip


def _control(result: Report, limit: float) -> None:
    table = result.table("PDE control on a 3 x 3 grid, to 1e-4")
    for label, options in SKETCHES:
        start = time.process_time()
        found = solvers.minimize(
            **control(3), method="gala", tol=1e-4, time_limit=limit, options={**REGRESSION, **options}
        )
        table.rows.append({
            "sketch": label, "iterations": found.nit, "archived": ARCHIVED_PDE.get(label), "status": found.status.name,
            "projections": found.stats["projections"], "seconds": time.process_time() - start,
        })  # fmt: skip
        if label in ARCHIVED_PDE:
            more = float(found.nit - ARCHIVED_PDE[label]) if found.success else None
            result.targets.append(Target(f"PDE control: iterations beyond the archived, {label}", "<=", 2, more, ""))
