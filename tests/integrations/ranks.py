"""What test_mpi.py runs by mpiexec: solves with shared rows beside the same solves of this process alone.

mpiexec -n 2 python ranks.py [NAME ...]
"""

import math
import sys

import numpy as np
from mpi4py import MPI

for turn in range(MPI.COMM_WORLD.size):  # an editable install sees whether it must be built, which takes one at a time
    if turn == MPI.COMM_WORLD.rank:
        import solvers  # noqa: F401
    MPI.COMM_WORLD.Barrier()

from solvers import MethodError  # noqa: E402
from solvers._base.reducer import as_reducer, joined, rows_of_all  # noqa: E402
from solvers.equilibrium import Box, Components  # noqa: E402
from solvers.equilibrium import solve as solve_inclusion  # noqa: E402
from solvers.learning import glm  # noqa: E402
from solvers.ot import gradients, solve, solve_sample  # noqa: E402

COMM = MPI.COMM_WORLD
RANK, SIZE = COMM.rank, COMM.size


def own(array):
    """The rows of this rank: unequal shares."""
    cuts = [len(array) * (k + k * k) // (SIZE + SIZE * SIZE) for k in range(SIZE + 1)]
    return array[cuts[RANK] : cuts[RANK + 1]]


def check_same(*values):
    """That all ranks have the same bits."""
    told = COMM.allgather([np.asarray(value).tobytes() for value in values])
    assert all(other == told[0] for other in told), "ranks differ"


def check_close(shared, alone, tol=1e-12):
    finite = np.isfinite(alone)
    assert np.array_equal(finite, np.isfinite(shared))
    scale = np.abs(np.asarray(alone)[finite]).max()
    assert np.abs(np.asarray(shared)[finite] - np.asarray(alone)[finite]).max() <= tol * scale, (shared, alone)


def raised(call):
    """What a call that must fail says."""
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def reducer():
    across = as_reducer(COMM)
    rng = np.random.default_rng(RANK)
    for size in (1, 7, 4096, 9001):
        parts = COMM.allgather(mine := rng.standard_normal(size))
        expected = parts[0].copy()
        for part in parts[1:]:
            expected += part
        assert np.array_equal(across.sum(mine.copy()), expected)
        assert np.array_equal(across.max(mine), np.max(parts, axis=0))
    two = across.sum(np.full((2, 3), float(RANK)))
    assert two.shape == (2, 3)
    assert np.all(two == SIZE * (SIZE - 1) / 2)
    assert np.isnan(across.max(np.array([np.nan if RANK == 0 else 1.0])))[0]
    assert across.gather(RANK) == list(range(SIZE))
    counts = [2 * k + 1 for k in range(SIZE)]
    for size in (3, 9001):  # sums that no order of additions gets right by itself
        parts = [np.random.default_rng(k).standard_normal((2, size)) * [[1e16], [1.0]] for k in range(SIZE)]
        rows = np.arange(2.0 * counts[RANK]).reshape(-1, 2) + 100 * RANK
        sums, told = joined(across, parts[RANK][0], parts[RANK][1], rows, counts)
        exact = [math.fsum(part[row][k] for part in parts for row in (0, 1)) for k in range(size)]
        assert np.array_equal(sums, exact)
        assert np.array_equal(told, np.concatenate(COMM.allgather(rows)))
        assert np.array_equal(told, rows_of_all(across, rows, counts))


def fits():
    for seed in (7, 31):
        fits_of(np.random.default_rng(seed))


def fits_of(rng):
    n, d = 400, 24
    X = np.asfortranarray(rng.standard_normal((n, d)))
    z = 0.4 * X[:, :6].sum(1) + 0.2
    targets = {"squared": z + rng.standard_normal(n), "poisson": rng.poisson(np.exp(z)).astype(float)}
    targets["logistic"] = targets["squared_hinge"] = np.where(z + rng.standard_normal(n) > 0, 3.0, 5.0)
    targets["huber"] = targets["squared"]
    s = rng.integers(0, 3, n).astype(float)
    for loss, penalty, more in (
        ("squared", "l1", {}), ("squared", "l2", {"options": {"whole": 5}}),
        ("logistic", "l1", {"options": {"whole": 5}}),
        ("logistic", "l2", {"sample_weight": s}), ("logistic", "elastic-net", {"bounds": (0, 1)}),
        ("huber", "l2", {}), ("squared_hinge", "l1", {}), ("poisson", "l2", {}),
        ("logistic", "l2", {"options": {"whole": 5}}),
    ):  # fmt: skip
        keywords = {"loss": loss, "penalty": penalty, "lam": 2.0, "tol": 1e-9, "fit_intercept": True, **more}
        y, mine = targets[loss], dict(keywords)
        if "sample_weight" in more:
            mine["sample_weight"] = own(s)
        alone = glm(X, y, method="newton-gram", **keywords)
        shared = glm(own(X), own(y), comm=COMM, **mine)
        assert alone.success
        assert shared.success
        assert shared.nit == alone.nit
        check_close(shared.coef, alone.coef)
        check_close(shared.fun, alone.fun)
        check_same(shared.coef, shared.intercept, shared.fun, shared.gap, shared.measure)
        assert shared.stats["ranks"] == SIZE
        assert "newton-gram" in shared.message
    usual = glm(X, targets["logistic"], loss="logistic", lam=2.0, tol=1e-13)
    shared = glm(own(X), own(targets["logistic"]), loss="logistic", lam=2.0, tol=1e-13, comm=COMM)
    check_close(shared.coef, usual.coef, 1e-6)
    for refused in ({"method": "working-set"}, {"penalty": "group", "groups": 4}):
        error = raised(lambda more=refused: glm(own(X), own(targets["squared"]), lam=1.0, comm=COMM, **more))
        assert isinstance(error, MethodError), error
    assert "newton-gram" in str(raised(lambda: glm(own(X), own(z), lam=1.0, comm=COMM, method="working-set")))


def transport_cases(rng, n, m):
    """Calls of one process: entry, rows' data (the last place the rows' weights), what all have, keywords."""
    X, Y = rng.random((n, 3)), rng.random((m, 3)) + 0.2
    a, b = rng.random(n) + 0.1, rng.random(m) + 0.1
    a[::7] = b[::5] = 0.0
    a, b = a / a.sum(), b / b.sum()
    C = ((X[:, None] - Y) ** 2).sum(-1)
    far = C + 1e5 * rng.random((n, 1)) + 1e5 * rng.random(m)
    plain = {"method": "sinkhorn"}
    extrapolated = {"method": "sinkhorn", "options": {"memory": 8}}
    return (
        (solve_sample, (X, a), (Y, b), {"reg": 0.05}), (solve_sample, (X, None), (Y, None), {"reg": 1e-3}),
        (solve_sample, (X, None), (Y, b), {"reg": 0.01, "norm": "l2", "metric": "euclidean"}),
        (solve_sample, (X, a), (Y, None), {"reg": 0.02, "metric": lambda x, y: np.abs(x[:, None] - y).sum(-1)}),
        (solve, (C, a), (b,), {"reg": 0.05, "norm": "linf", **plain}),
        (solve, (C, a), (b,), {"reg": 5e-4}), (solve, (far, None), (b,), {"reg": 0.05, "tol": 1e-7}),
        # hundreds of steps, each of which makes what rounds otherwise grow
        (solve_sample, (X, a), (Y, b), {"reg": 2e-3, **extrapolated}), (solve, (C, a), (b,), {"reg": 0.01, **plain}),
    )  # fmt: skip


def transports():
    """The bits of one process, wherever the rows are cut, and also after many steps."""
    for seed in (3, 29):
        rng = np.random.default_rng(seed)
        for call, rows, common, keywords in transport_cases(rng, *((120, 90) if seed == 3 else (317, 45))):
            mine = [None if part is None else own(part) for part in rows]
            alone = call(rows[0], *common[:-1], rows[1], common[-1], **keywords)
            shared = call(mine[0], *common[:-1], mine[1], common[-1], comm=COMM, **keywords)
            assert shared.success, shared
            assert (shared.method, shared.options, shared.nit) == (alone.method, alone.options, alone.nit)
            assert np.array_equal(np.concatenate(COMM.allgather(shared.f)), alone.f)
            assert np.array_equal(shared.g, alone.g)
            assert np.array_equal(np.concatenate(COMM.allgather(shared.plan.dense())), alone.plan.dense())
            for name in ("value", "value_linear", "value_entropy", "value_dual", "lp_bounds"):
                check_close(getattr(shared, name), getattr(alone, name))
            rounded = np.concatenate(COMM.allgather(shared.rounded.dense()))
            check_close(rounded, alone.rounded.dense())
            check_same(shared.g, shared.value, shared.gap, shared.lp_bounds, shared.measure)
    again = call(mine[0], *common[:-1], mine[1], common[-1], comm=COMM, warm_start=(shared.f, shared.g), **keywords)
    assert again.nit <= 1
    halted = call(mine[0], *common[:-1], mine[1], common[-1], comm=COMM, max_iter=5, **keywords)
    resumed = call(mine[0], *common[:-1], mine[1], common[-1], comm=COMM, resume=halted.state, **keywords)
    assert np.array_equal(resumed.g, shared.g)
    grown = gradients(shared)
    assert grown.a.shape == shared.f.shape
    error = raised(lambda: solve(mine[0], mine[1], common[0], reg=0.05, comm=COMM, method="sns"))
    assert "newton" in str(error), error


def inclusions():
    for seed in (5, 37):
        inclusions_of(np.random.default_rng(seed))


def inclusions_of(rng):
    n, d = 90, 7
    B = rng.standard_normal((n, d, d)) / 3 + 3 * np.eye(d)
    p, constants = rng.standard_normal((n, d)), rng.random(n) + 12

    def parts(B, p, constants=None):
        def function(i, z, out):
            out[:] = B[i] @ z - p[i]

        return Components(function, len(B), lipschitz=constants)

    box = Box(-0.2, 0.3)
    for method, c in ((None, None), ("feg", None), ("vr-eg", None), ("vr-eg", constants), ("vr-halpern", None)):
        given = {"tol": 1e-9, "method": method, "prox": box, "rng": 3}
        alone = solve_inclusion(None, np.zeros(d), components=parts(B, p, c), **given)
        mine = parts(own(B), own(p), None if c is None else own(c))
        shared = solve_inclusion(None, np.zeros(d), components=mine, comm=COMM, **given)
        assert alone.success
        assert shared.success
        assert (shared.nit, shared.nfev, shared.ncomp) == (alone.nit, alone.nfev, alone.ncomp)
        check_close(shared.x, alone.x)
        check_same(shared.x, shared.measure, shared.certificate.v)
    error = raised(lambda: solve_inclusion(None, np.zeros(d), components=mine, comm=COMM, method="krylov"))
    assert isinstance(error, MethodError), error
    assert "eg" in str(error), error
    error = raised(lambda: solve_inclusion(lambda z: z, np.zeros(d), comm=COMM))
    assert "F must be None" in str(error), error


def stopped():
    """A callback of one rank, and the clock of another, stop all."""
    rng = np.random.default_rng(3)
    X, Y = rng.random((60, 2)), rng.random((50, 2))
    calls = []

    def callback(intermediate):
        calls.append(intermediate.x.shape)
        return len(calls) == 3

    last = RANK == SIZE - 1
    result = solve_sample(own(X), Y, reg=1e-3, comm=COMM, callback=callback if last else None)
    assert (result.status.name, result.nit) == ("CALLBACK_STOP", 3)
    result = solve_sample(own(X), Y, reg=1e-3, comm=COMM, time_limit=0.0 if last else None)
    assert (result.status.name, result.nit) == ("TIME_LIMIT", 0)


def refused():
    """Bad input of one rank is refused by all, with its words and its number."""
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
    last = SIZE - 1
    named = f"rank {last}: " if SIZE > 1 else ""
    broken = own(X).copy()
    broken[0, 0] = np.nan if last == RANK else 0.0
    for call in (
        lambda: glm(broken, own(y), lam=1.0, comm=COMM),
        lambda: solve_sample(broken, X, reg=0.1, comm=COMM),
        lambda: solve(broken, reg=0.1, comm=COMM),
    ):
        error = raised(call)
        assert isinstance(error, ValueError), error
        assert str(error).startswith(named), error
        assert "must be finite" in str(error)
    if SIZE > 1:
        error = raised(lambda: glm(own(X), own(y), lam=1.0 + RANK, comm=COMM))
        assert "lam must be the same on all ranks" in str(error), error
        error = raised(lambda: solve_sample(own(X), X + float(last == RANK), reg=0.1, comm=COMM))
        assert "Y must be the same on all ranks" in str(error), error
    assert isinstance(raised(lambda: glm(X, y, lam=1.0, comm="world")), TypeError)


def separated():
    """Labels that a plane separates, and those that a column tells: no rank alone sees it."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(120, 4))
    mixed = np.where(rng.random(120) < 1 / (1 + np.exp(-2 * X[:, 0])), 1.0, -1.0)
    flag = (rng.random(120) < 0.2) & (mixed > 0)
    more = {"loss": "logistic", "penalty": "none", "lam": 0.0, "fit_intercept": True, "comm": COMM}
    for samples, labels, ended in (
        (X, mixed, "CONVERGED"),
        (np.column_stack([X, flag]), mixed, "DIVERGED"),
        (X[np.abs(X[:, 1]) > 0.1], np.sign(X[:, 1])[np.abs(X[:, 1]) > 0.1], "DIVERGED"),
    ):
        result = glm(own(samples), own(labels), **more)
        assert result.status.name == ended, result
        check_same(result.coef, result.measure)


CHECKS = {check.__name__: check for check in (reducer, fits, separated, transports, inclusions, stopped, refused)}

if __name__ == "__main__":
    for name in sys.argv[1:] or CHECKS:
        CHECKS[name]()
    if RANK == 0:
        print("all is well")
