"""One small problem for each kind that a family serves: all that the contract needs to know of a family.

The data are whole numbers (weights: 1024ths), so that every conversion of their types is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse

import solvers


@dataclass(frozen=True)
class Case:
    """A problem: its inputs by name, the public call, and the independent judgement of a result."""

    capability: str
    inputs: dict[str, np.ndarray]
    #: solve(inputs, **keywords)
    solve: Callable[..., Any]
    #: The answer of a result, or of what a callback gets, as a plain array.
    answer: Callable[[Any], np.ndarray]
    #: The measure, recomputed in extended precision from the user's data and the answer.
    measure: Callable[[dict[str, np.ndarray], np.ndarray], float]
    #: Keywords that start the solve at the answer of an earlier result.
    start_at: Callable[[Any], dict[str, Any]]


def _weights(rng, size):
    counts = rng.multinomial(1024 - size, np.full(size, 1 / size)) + 1
    return counts / 1024


def _marginal_error(inputs, plan):
    plan = plan.astype(np.longdouble)
    return float(np.abs(plan.sum(1) - inputs["a"]).sum() + np.abs(plan.sum(0) - inputs["b"]).sum())


def _squares(X, Y):
    return ((X[:, None] - Y) ** 2).sum(-1)


def _transport(capability, seed):
    rng = np.random.default_rng(seed)
    n, m = 37, 29
    weights = {"a": _weights(rng, n), "b": _weights(rng, m)}
    if capability == "dense-cost":
        data = {"C": rng.integers(0, 40, (n, m)).astype(float)}

        def solve(inputs, **keywords):
            return solvers.ot.solve(inputs["C"], inputs["a"], inputs["b"], **{"reg": 1.5, **keywords})
    else:
        data = {"X": rng.integers(0, 9, (n, 3)).astype(float), "Y": rng.integers(0, 9, (m, 3)).astype(float)}
        metric = _squares if capability == "block-cost" else "sqeuclidean"

        def solve(inputs, **keywords):
            return solvers.ot.solve_sample(*inputs.values(), **{"reg": 6.0, "metric": metric, **keywords})

    return Case(
        capability,
        {**data, **weights},
        solve,
        answer=lambda result: result.x.dense(),
        measure=_marginal_error,
        start_at=lambda result: {"warm_start": (result.f, result.g)},
    )


RHO = 9.0


def _unbalanced_error(cost, reg):
    """The relative error of a plan: f and g are read off its entries, up to the shift that makes the masses equal."""

    def measure(inputs, plan):
        a, b, plan = (x.astype(np.longdouble) for x in (inputs["a"], inputs["b"], plan))
        potentials = cost(inputs) + reg * np.log(plan / np.outer(a, b))
        f, g = potentials[:, 0], potentials[0] - potentials[0, 0]
        shift = RHO / 2 * np.log((a * np.exp(-f / RHO)).sum() / (b * np.exp(-g / RHO)).sum())
        rows = np.abs(plan.sum(1) - a * np.exp(-(f + shift) / RHO)).sum()
        columns = np.abs(plan.sum(0) - b * np.exp(-(g - shift) / RHO)).sum()
        return float((rows + columns) / plan.sum())

    return measure


def _unbalanced(capability, seed):
    balanced = _transport({"unbalanced-cost": "dense-cost", "unbalanced-points": "point-cloud"}[capability], seed)
    inputs = {**balanced.inputs, "b": balanced.inputs["b"] * 2}
    if capability == "unbalanced-cost":

        def solve(inputs, **keywords):
            return solvers.ot.solve_unbalanced(*inputs.values(), **{"reg": 1.5, "reg_m": RHO, **keywords})

        error = _unbalanced_error(lambda inputs: inputs["C"].astype(np.longdouble), 1.5)
    else:

        def solve(inputs, **keywords):
            return solvers.ot.solve_unbalanced_sample(*inputs.values(), **{"reg": 6.0, "reg_m": RHO, **keywords})

        error = _unbalanced_error(lambda inputs: ((inputs["X"][:, None] - inputs["Y"]) ** 2).sum(2), 6.0)
    return replace(balanced, capability=capability, inputs=inputs, solve=solve, measure=error)


def _ot(capability, seed):
    return (_unbalanced if capability.startswith("unbalanced") else _transport)(capability, seed)


def _of_point(capability, inputs, solve, residual, start):
    """A problem whose answer is a point, and whose start is the keyword of that name."""
    return Case(
        capability,
        {name: value.astype(float) for name, value in inputs.items()},
        solve,
        answer=lambda result: np.asarray(result.x),
        measure=residual,
        start_at=lambda result: {start: result.x},
    )


def _wanted(tol):
    """A tolerance as the family takes it."""
    return {} if tol is None else {"rtol": 0.0, "atol": tol}


def _grid(capability, seed):
    """A stencil with a coefficient that varies from cell to cell."""
    rng = np.random.default_rng(seed)

    def grid(inputs):
        return solvers.linalg.GridOperator((7, 11), coeff=np.asarray(inputs["coeff"]), mass=2.0)

    def solve(inputs, tol=None, **keywords):
        operator = grid(inputs)
        named = {"M": solvers.linalg.multilevel(operator)} if capability == "hierarchy" else {}
        return solvers.linalg.solve(operator, inputs["b"], **{**named, **_wanted(tol), **keywords})

    def residual(inputs, x):
        dense = grid(inputs).to_csr().toarray().astype(np.longdouble)
        return float(np.linalg.norm((inputs["b"] - dense @ x).astype(float)))

    return Case(
        capability,
        {"coeff": rng.integers(1, 4, (7, 11)).astype(float), "b": rng.integers(0, 20, 77).astype(float)},
        solve,
        answer=lambda result: np.asarray(result.x),
        measure=residual,
        start_at=lambda result: {"x0": result.x},
    )


def _linalg(capability, seed):
    return (_grid if capability in ("grid", "hierarchy") else _sparse)(capability, seed)


def _sparse(capability, seed):
    """A diagonally dominant matrix in a random symmetric pattern; the data of its values alone are the user's."""
    rng = np.random.default_rng(seed)
    n = 83
    half = scipy.sparse.random_array((n, n), density=0.04, rng=rng, data_sampler=lambda size: rng.integers(1, 5, size))
    off = scipy.sparse.csr_array(half + half.T).astype(float)
    off.setdiag(0)
    A = scipy.sparse.csr_array(scipy.sparse.diags_array(3 + off.sum(axis=1)) + off)
    pattern = A.indices, A.indptr
    named = {"M": "jacobi"} if capability == "preconditioner" else {}
    phases, wide = 1.0, np.longdouble
    if capability == "complex-matrix":
        phases, wide = np.where(A.data > 4, 1, rng.choice([1, 1j, -1j], A.nnz)), np.clongdouble

    def solve(inputs, tol=None, **keywords):
        data = np.asarray(inputs["data"])
        if data.dtype == np.float16:  # SciPy has no such sparse arrays
            data = data.astype(np.float32)
        data = data if np.ndim(phases) == 0 else data * phases
        matrix = scipy.sparse.csr_array((data, *pattern), shape=(n, n))
        return solvers.linalg.solve(matrix, inputs["b"], **{**named, **_wanted(tol), **keywords})

    def residual(inputs, x):
        dense = scipy.sparse.csr_array((inputs["data"] * phases, *pattern), shape=(n, n)).toarray().astype(wide)
        return float(np.linalg.norm(np.abs(inputs["b"] - dense @ x).astype(float)))

    return Case(
        capability,
        {"data": A.data, "b": rng.integers(0, 20, n).astype(float)},
        solve,
        answer=lambda result: np.asarray(result.x),
        measure=residual,
        start_at=lambda result: {"x0": result.x},
    )


def _logistic_gap(lam, norms, dual_norm):
    """The duality gap of a logistic fit with a penalty on norms, in units of the objective at zero."""

    def measure(inputs, w):
        X, y, w = (np.asarray(v, np.longdouble) for v in (inputs["X"], 2 * inputs["y"] - 1, w))
        margin = y * (X @ w)
        u = 1 / (1 + np.exp(margin))
        u *= min(1, lam / dual_norm(X.T @ (y * u)))
        dual = -np.sum(u * np.log(u) + (1 - u) * np.log1p(-u))
        primal = np.sum(np.log1p(np.exp(-np.abs(margin))) + np.maximum(-margin, 0)) + lam * norms(w)
        return float(max(primal - dual, 0) / (len(y) * np.log(2)))

    return measure


def _by_fives(w):
    return np.sqrt((w.reshape(5, 5) ** 2).sum(1))


def _multinomial_gap(l1, l2):
    """That of a multinomial fit with l1 and l2 terms."""

    def measure(inputs, W):
        X, W = np.asarray(inputs["X"], np.longdouble), np.asarray(W, np.longdouble)
        own = np.arange(3) == inputs["y"][:, None]
        Z = X @ W.T
        Z -= Z.max(1, keepdims=True)
        P = np.exp(Z) / np.exp(Z).sum(1, keepdims=True)
        G = np.abs((P - own).T @ X)
        primal = np.sum(np.log(np.exp(Z).sum(1)) - Z[own]) + l1 * np.abs(W).sum() + l2 / 2 * (W**2).sum()
        scale = 1.0 if l2 else min(1, l1 / G.max())
        U = (1 - scale) * own + scale * P
        dual = -np.sum(np.where(U > 0, U * np.log(np.where(U > 0, U, 1)), 0)) - ((G**2).sum() / (2 * l2) if l2 else 0)
        return float(max(primal - dual, 0) / (len(X) * np.log(3)))

    return measure


def _learning(capability, seed):
    return (_quadratic if "quadratic" in capability else _glm)(capability, seed)


#: capability -> (where the labels change, keywords of the fit, its gap)
_GLMS = {
    "glm": (
        [10],
        {"loss": "logistic", "lam": 0.1},
        _logistic_gap(0.1, lambda w: np.abs(w).sum(), lambda g: np.abs(g).max()),
    ),
    "groups": (
        [10],
        {"loss": "logistic", "penalty": "group", "groups": 5, "lam": 3.0},
        _logistic_gap(3.0, lambda w: _by_fives(w).sum(), lambda g: _by_fives(g).max()),
    ),
    "multinomial": ([7, 11], {"loss": "multinomial", "lam": 0.1}, _multinomial_gap(0.1, 0.0)),
    "smooth-multinomial": ([7, 11], {"loss": "multinomial", "penalty": "l2", "lam": 3.0}, _multinomial_gap(0.0, 3.0)),
}


def _glm(capability, seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 7, (60, 25)).astype(float)
    z = X[:, :3].sum(1) + rng.integers(-4, 5, 60)
    steps, fit, gap = _GLMS[capability]
    y = np.digitize(z, steps).astype(float)

    def solve(inputs, **keywords):
        return solvers.learning.glm(*inputs.values(), **fit, **keywords)

    return Case(
        capability,
        {"X": X, "y": y},
        solve,
        answer=lambda result: np.asarray(result.x),
        measure=gap,
        start_at=lambda result: {"x0": result.x},
    )


def _quadratic_data(seed):
    """Whole numbers: Q diagonally dominant, c."""
    rng = np.random.default_rng(seed)
    n = 41
    half = rng.integers(1, 4, (n, n)) * (rng.random((n, n)) < 0.15)
    off = half + half.T
    np.fill_diagonal(off, 0)
    Q = (np.diag(np.abs(off).sum(1) + 3) + off).astype(float)
    return Q, rng.integers(0, 20, n).astype(float)


def _quadratic(capability, seed):
    Q, c = _quadratic_data(seed)
    sparse = capability == "sparse-quadratic"
    pattern = scipy.sparse.csr_array(Q)

    def solve(inputs, **keywords):
        matrix = inputs["Q"]
        if sparse:
            data = np.asarray(inputs["Q"])
            data = data.astype(np.float32) if data.dtype == np.float16 else data  # SciPy has no such sparse arrays
            matrix = scipy.sparse.csr_array((data, pattern.indices, pattern.indptr), shape=pattern.shape)
        return solvers.learning.quadratic(matrix, inputs["c"], **{"blocks": 8, **keywords})

    def measure(inputs, x):
        g = Q.astype(np.longdouble) @ x - inputs["c"]
        return float(np.abs(g).max() / np.abs(inputs["c"]).max())

    return Case(
        capability,
        {"Q": pattern.data if sparse else Q, "c": c},
        solve,
        answer=lambda result: np.asarray(result.x),
        measure=measure,
        start_at=lambda result: {"x0": result.x},
    )


def _function(capability, seed):
    Q, c = _quadratic_data(seed)

    def solve(inputs, **keywords):
        given = {"jac": lambda x: Q @ x - c, "bound": np.diag(Q), "blocks": 8, **keywords}
        return solvers.minimize(lambda x: x @ (Q @ x / 2 - c), inputs["x0"], **given)

    return Case(
        capability,
        {"x0": np.arange(len(c), dtype=float)},
        lambda inputs, **keywords: solve({"x0": keywords.pop("x0", inputs["x0"])}, **keywords),
        answer=lambda result: np.asarray(result.x),
        measure=lambda inputs, x: float(np.abs(Q.astype(np.longdouble) @ x - c).max()),
        start_at=lambda result: {"x0": result.x},
    )


def _equality_program(capability, seed):
    """A curved function with linear equations and a sphere; entries of Q and A are the data."""
    rng = np.random.default_rng(seed)
    Q, c = (part[:7, :7] if part.ndim == 2 else part[:7] for part in _quadratic_data(seed))
    inputs = {"Q": Q, "A": np.eye(2, 7, 1) + rng.integers(0, 2, (2, 7)), "c": 4 * c, "x0": np.ones(7)}
    multipliers = {}  # of each x that a solve returned: the measure is that of a pair

    def solve(inputs, **keywords):
        Q, A, c = (np.asarray(inputs[name], np.float64) for name in ("Q", "A", "c"))
        sphere = scipy.optimize.NonlinearConstraint(
            lambda x: x @ x, 20, 20, jac=lambda x: 2 * x, hess=lambda x, v: 2 * v[0] * np.eye(7)
        )
        result = solvers.minimize(
            lambda x: x @ (Q @ x / 2 - c) / 16,
            keywords.pop("x0", inputs["x0"]),
            jac=lambda x: (Q @ x - c) / 16,
            hess=lambda x: Q / 16,
            constraints=[scipy.optimize.LinearConstraint(A, 4, 4), sphere],
            **keywords,
        )
        multipliers[result.x.tobytes()] = result.multipliers
        return result

    def measure(inputs, x):
        Q, A, c, y = (np.asarray(v, np.longdouble) for v in (*(inputs[k] for k in "QAc"), multipliers[x.tobytes()]))
        x = x.astype(np.longdouble)
        slope = (Q @ x - c) / 16 + A.T @ y[:2] + 2 * x * y[2]
        outside = np.abs(np.concatenate((A @ x - 4, [x @ x - 20]))).max()
        return float(max(np.abs(slope).max() / (max(100, np.abs(y).sum() / 3) / 100), outside))

    return _of_point(capability, inputs, solve, measure, "x0")


def _system(capability, seed):
    """A consistent system, diagonally dominant; or a tall one that is not consistent."""
    rng = np.random.default_rng(seed)
    if capability == "linear-system":
        A = 9 * np.eye(30) + rng.integers(1, 3, (30, 30)) * (rng.random((30, 30)) < 0.12)
        inputs = {"A": A, "b": rng.integers(0, 40, 30), "x0": np.zeros(30)}
    else:
        inputs = {"A": rng.integers(0, 7, (90, 8)), "b": rng.integers(0, 40, 90), "x0": np.zeros(8)}

    def solve(inputs, **keywords):
        return solvers.optimize.sketch_solve(inputs["A"], inputs["b"], **{"x0": inputs["x0"], **keywords})

    def measure(inputs, x):
        A, b, x = (np.asarray(v, np.longdouble) for v in (inputs["A"], inputs["b"], x))
        r = b - A @ x
        relative = float(np.sqrt(r @ r) / np.sqrt(b @ b))
        if capability == "linear-system":
            return relative
        return min(relative, float(np.sqrt(((A.T @ r) ** 2).sum()) / np.sqrt((A**2).sum() * (r @ r))))

    return _of_point(capability, inputs, solve, measure, "x0")


def _nonlinear_program(capability, seed):
    """A curved function with bounds, linear rows with two sides, and a ball; entries of Q and A are the data."""
    rng = np.random.default_rng(seed)
    Q, c = _quadratic_data(seed)
    n = len(c)
    inputs = {"Q": Q, "A": rng.integers(0, 4, (7, n)), "c": 4 * c, "x0": rng.integers(0, 3, n)}
    multipliers = {}  # of each x that a solve returned: the measure is that of a triple

    def solve(inputs, **keywords):
        Q, A, c = (np.asarray(inputs[name], np.float64) for name in ("Q", "A", "c"))
        ball = scipy.optimize.NonlinearConstraint(
            lambda x: x @ x, 0, 60, jac=lambda x: 2 * x, hess=lambda x, v: 2 * v[0] * np.eye(n)
        )
        result = solvers.minimize(
            lambda x: x @ (Q @ x / 2 - c) + (x**4).sum() / 4,
            keywords.pop("x0", inputs["x0"]),
            jac=lambda x: Q @ x - c + x**3,
            hess=lambda x: Q + np.diag(3 * x**2),
            bounds=scipy.optimize.Bounds(0, 3),
            constraints=[scipy.optimize.LinearConstraint(A, 5, 40), ball],
            **keywords,
        )
        multipliers[result.x.tobytes()] = result.v
        return result

    def measure(inputs, x):
        Q, A, c = (np.asarray(inputs[name], np.longdouble) for name in ("Q", "A", "c"))
        rows, ball, z = (np.asarray(v, np.longdouble) for v in multipliers[x.tobytes()])
        x = x.astype(np.longdouble)
        values = np.concatenate((A @ x, [x @ x], x))
        y = np.concatenate((rows, ball, z))
        low, high = np.repeat([5.0, 0, 0], [7, 1, n]), np.repeat([40.0, 60, 3], [7, 1, n])
        slope = Q @ x - c + x**3 + A.T @ rows + 2 * x * ball + z
        scale = max(100, np.abs(y).mean()) / 100
        outside = np.maximum(low - values, values - high).max()
        apart = np.abs(y * np.where(y > 0, high - values, values - low)).max()
        return float(max(np.abs(slope).max() / scale, outside, apart / scale))

    return Case(
        capability,
        {name: value.astype(float) for name, value in inputs.items()},
        solve,
        answer=lambda result: np.asarray(result.x),
        measure=measure,
        start_at=lambda result: {"x0": result.x, "multipliers": result.v},
    )


def _optimize(capability, seed):
    makers = {
        "equality-program": _equality_program,
        "function": _function,
        "least-squares": _system,
        "linear-system": _system,
        "nonlinear-program": _nonlinear_program,
    }
    return makers[capability](capability, seed)


def _program(seed):
    """A covering problem with bounds: c, the entries of A and what the rows ask for; whole numbers."""
    rng = np.random.default_rng(seed)
    m, n = 17, 29
    A = scipy.sparse.csr_array((rng.integers(1, 10, (m, n)) * (rng.random((m, n)) < 0.4)).astype(float))
    return {"c": rng.integers(20, 120, n).astype(float), "A": A.data, "l": rng.integers(5, 60, m).astype(float)}, A


def _linear_program(capability, seed):
    inputs, A = _program(seed)
    multipliers = {}  # of each x that a solve returned: the measure is that of a pair

    def solve(inputs, **keywords):
        data = np.asarray(inputs["A"])
        data = data.astype(np.float32) if data.dtype == np.float16 else data  # SciPy has no such sparse arrays
        matrix = scipy.sparse.csr_array((data, A.indices, A.indptr), shape=A.shape)
        result = solvers.equilibrium.lp(inputs["c"], matrix, inputs["l"], np.inf, 0.0, 3.0, **keywords)
        multipliers[result.x.tobytes()] = result.y
        return result

    def measure(inputs, x):
        c, least, y = (np.asarray(v, np.longdouble) for v in (inputs["c"], inputs["l"], multipliers[x.tobytes()]))
        dense = scipy.sparse.csr_array((inputs["A"], A.indices, A.indptr), shape=A.shape).toarray()
        reduced, fun = c - y @ dense, c @ x
        dual = least @ y + np.minimum(reduced, 0).sum() * 3
        assert np.all(y >= 0)
        assert np.all(x >= 0)
        assert np.all(x <= 3)
        primal = np.linalg.norm(np.maximum(least - dense @ x, 0).astype(float)) / (1 + np.linalg.norm(inputs["l"]))
        return float(max(primal, abs(fun - dual) / (1 + abs(fun) + abs(dual))))

    return Case(
        capability,
        inputs,
        solve,
        answer=lambda result: np.asarray(result.x),
        measure=measure,
        start_at=lambda result: {"x0": result.x, "y0": result.y},
    )


def _inclusion(capability, seed):
    """A strongly monotone affine operator, with a large skew part, over a box."""
    rng = np.random.default_rng(seed)
    inputs = {"U": np.triu(rng.integers(0, 9, (23, 23)), 1), "p": rng.integers(0, 40, 23), "z0": rng.integers(0, 3, 23)}

    def operator(U, p, z):
        return 12 * z + U @ z - U.T @ z - p

    def solve(inputs, **keywords):
        U, p = (np.asarray(inputs[name], np.float64) for name in ("U", "p"))
        return solvers.equilibrium.solve(
            lambda z: operator(U, p, z),
            keywords.pop("z0", inputs["z0"]),
            prox=solvers.equilibrium.Box(0, 2),
            **keywords,
        )

    def residual(inputs, z):
        z = z.astype(np.longdouble)
        return float(np.sqrt(((z - np.clip(z - operator(inputs["U"], inputs["p"], z), 0, 2)) ** 2).sum()))

    return _of_point(capability, inputs, solve, residual, "z0")


def _sum(capability, seed):
    """A strongly monotone mean of operators over a box; that which is to be cocoercive with a small skew part only."""
    rng = np.random.default_rng(seed)
    own, skew = (8.0, 1.0) if capability == "cocoercive-sum" else (8.0, 6.0)
    inputs = {name: rng.integers(0, 5, (40, 6)).astype(float) for name in ("U", "V")}
    inputs |= {"p": rng.integers(0, 40, (40, 6)).astype(float), "z0": rng.integers(0, 3, 6).astype(float)}

    def each(inputs, i, z):
        U, V, p = (np.asarray(inputs[name], z.dtype)[i] for name in ("U", "V", "p"))
        return own * z + skew / 4 * ((V @ z)[:, None] * U - (U @ z)[:, None] * V) - p

    def solve(inputs, **keywords):
        def function(i, z, out):
            out[:] = each(inputs, i, z)

        return solvers.equilibrium.solve(
            None,
            keywords.pop("z0", inputs["z0"]),
            prox=solvers.equilibrium.Box(0, 2),
            components=solvers.equilibrium.Components(function, 40),
            **keywords,
        )

    def residual(inputs, z):
        z = z.astype(np.longdouble)
        F = each(inputs, np.arange(40), z).mean(0)
        return float(np.sqrt(((z - np.clip(z - F, 0, 2)) ** 2).sum()))

    return _of_point(capability, inputs, solve, residual, "z0")


def _game(capability, seed):
    """A game of whole numbers, half of them zero."""
    rng = np.random.default_rng(seed)
    A = rng.integers(1, 40, (81, 93)) * (rng.random((81, 93)) < 0.5)
    pattern = scipy.sparse.csr_array(A.astype(float))

    def solve(inputs, **keywords):
        matrix = inputs["A"]
        if capability == "sparse-game":
            data = np.asarray(inputs["A"])
            data = data.astype(np.float32) if data.dtype == np.float16 else data  # SciPy has no such sparse arrays
            matrix = scipy.sparse.csr_array((data, pattern.indices, pattern.indptr), shape=pattern.shape)
        return solvers.equilibrium.matrix_game(matrix, **keywords)

    def gap(inputs, pair):
        x, y = np.split(pair.astype(np.longdouble), [93])
        return float((A @ x).max() - (A.T @ y).min())

    def answer(result):
        return np.concatenate(result.x if isinstance(result.x, tuple) else (result.x, result.y))

    return Case(
        capability,
        {"A": pattern.data if capability == "sparse-game" else A.astype(float)},
        solve,
        answer=answer,
        measure=gap,
        start_at=lambda result: {"x0": result.x, "y0": result.y},
    )


def _group_dro(capability, seed):
    """Labels that some groups tell better than others."""
    rng = np.random.default_rng(seed)
    n, groups, l2 = 90, np.arange(90) % 3, 0.25
    X = rng.integers(0, 7, (n, 5)).astype(float)
    y = (X[:, 0] + 3 * groups > groups * X[:, 1] + X[:, 2] + rng.integers(-3, 4, n)).astype(float)
    own = (groups == np.arange(3)[:, None]) / 30

    def solve(inputs, **keywords):
        return solvers.equilibrium.group_dro(inputs["X"], inputs["y"], groups, l2=l2, **keywords)

    def residual(inputs, z):
        X, y, z = (np.asarray(v, np.longdouble) for v in (inputs["X"], 2 * inputs["y"] - 1, z))
        w, q = z[:5], z[5:]
        margin = y * (X @ w)
        slope = (q @ own * (-y / (1 + np.exp(margin)))) @ X + l2 * w
        moved = q + own @ np.log1p(np.exp(-margin))
        falling = np.sort(moved)[::-1]
        level = np.max((np.cumsum(falling) - 1) / np.arange(1, 4))
        return float(np.sqrt((slope**2).sum() + ((q - np.maximum(moved - level, 0)) ** 2).sum()))

    return Case(
        capability,
        {"X": X, "y": y},
        solve,
        answer=lambda result: np.asarray(result.x),
        measure=residual,
        start_at=lambda result: {"x0": result.x},
    )


def _fixed_point(capability, seed):
    """An affine contraction that turns: rounding never comes to rest."""
    rng = np.random.default_rng(seed)
    inputs = {"U": np.triu(rng.integers(0, 5, (23, 23)), 1), "p": rng.integers(0, 40, 23), "x0": rng.integers(0, 9, 23)}

    def image(U, p, x):
        return (U @ x - U.T @ x + p) / 53

    def solve(inputs, **keywords):
        U, p = (np.asarray(inputs[name], np.float64) for name in ("U", "p"))
        x0 = keywords.pop("x0", inputs["x0"])
        return solvers.equilibrium.fixed_point(lambda x: image(U, p, x), x0, **keywords)

    def residual(inputs, x):
        x = x.astype(np.longdouble)
        return float(np.sqrt(((x - image(inputs["U"], inputs["p"], x)) ** 2).sum()))

    return _of_point(capability, inputs, solve, residual, "x0")


def _bilinear(capability, seed):
    """A bilinear saddle point inside its boxes; whole numbers, less what makes them positive."""
    rng = np.random.default_rng(seed)
    K = rng.integers(-3, 4, (13, 17))
    inputs = {"K": K + 3, "c": 60 - K.sum(0), "b": 60 + K.sum(1), "z0": rng.integers(0, 3, 30)}
    box = solvers.equilibrium.Box(0, 2)

    def solve(inputs, **keywords):
        K, c, b = (np.asarray(inputs[name], np.float64) for name in ("K", "c", "b"))
        z0 = np.asarray(keywords.pop("z0", inputs["z0"]))
        game = solvers.equilibrium.Bilinear(K - 3, c - 60, b - 60)
        return solvers.equilibrium.solve(game, (z0[:17], z0[17:]), **{"prox": (box, box), **keywords})

    def residual(inputs, z):
        K, z = inputs["K"] - 3, z.astype(np.longdouble)
        F = np.concatenate((K.T @ z[17:] + inputs["c"] - 60, inputs["b"] - 60 - K @ z[:17]))
        return float(np.sqrt(((z - np.clip(z - F, 0, 2)) ** 2).sum()))

    return _of_point(capability, inputs, solve, residual, "z0")


def _affine(capability, seed):
    """An affine equation whose symmetric part has eigenvalues from 1 to 100."""
    rng = np.random.default_rng(seed)
    M = np.diag(np.arange(1, 100) ** 2 // 90 + 1) + np.triu(rng.integers(0, 2, (99, 99)), 1)
    inputs = {"M": M, "q": rng.integers(0, 40, 99), "z0": rng.integers(0, 3, 99)}

    def solve(inputs, **keywords):
        F = solvers.equilibrium.Affine(inputs["M"], inputs["q"])
        return solvers.equilibrium.solve(F, keywords.pop("z0", inputs["z0"]), **keywords)

    def residual(inputs, z):
        return float(np.linalg.norm((inputs["M"] @ z.astype(np.longdouble) + inputs["q"]).astype(float)))

    return _of_point(capability, inputs, solve, residual, "z0")


def _equilibrium(capability, seed):
    makers = {
        "cocoercive-sum": _sum,
        "finite-sum": _sum,
        "affine": _affine,
        "bilinear": _bilinear,
        "fixed-point": _fixed_point,
        "group-dro": _group_dro,
        "inclusion": _inclusion,
        "linear-program": _linear_program,
        "matrix-game": _game,
        "sparse-game": _game,
    }
    return makers[capability](capability, seed)


#: family -> (capability, seed) -> Case. A new family adds one line.
MAKERS = {"equilibrium": _equilibrium, "learning": _learning, "linalg": _linalg, "optimize": _optimize, "ot": _ot}


#: Capabilities that are no kinds of problems, but may go with several; tests of their own are elsewhere.
TRAITS = {"sharded"}


def cases():
    """Every registered method on every kind of problem that it says it serves."""
    for method in solvers.methods():
        for capability in sorted(method.capabilities - TRAITS):
            yield method, capability


def make(method, capability, seed=7):
    return MAKERS[method.family](capability, seed)
