"""Transport through the C interface: the bits of the Python call, and what is refused."""

import ctypes
import threading

import numpy as np
import pytest
from library import CALLBACK, DOUBLES, LIBRARY, Control, Report, doubles, last_error

from solvers import Status
from solvers.ot import solve, solve_sample

NUMBERS = ("value", "value_linear", "value_entropy", "value_dual", "marginal_error", "gap")
COUNTS = ("sinkhorn", "newton", "cg", "scalings", "passes")
METRICS = ("sqeuclidean", "euclidean", "cityblock", "chebyshev", "cosine", "minkowski")
INVALID, NO_MEMORY, STRUCT_SIZE = -1, -2, -3
SEED = 7
FLOATS = ctypes.POINTER(ctypes.c_float)


class Options(ctypes.Structure):
    """sv_ot_options."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t), ("tol", ctypes.c_double), ("norm", ctypes.c_int), ("certify", ctypes.c_int),
        ("method", ctypes.c_int), ("stage_sweeps", ctypes.c_int), ("decay", ctypes.c_double),
        ("stage_tol", ctypes.c_double), ("f0", DOUBLES), ("g0", DOUBLES),
    )  # fmt: skip

    def __init__(self, tol=1e-9, norm=0, certify=1, method=0, f0=None, g0=None):
        super().__init__(ctypes.sizeof(Options), tol, norm, certify, method, 2, 4.0, 0.03, f0, g0)


class Result(ctypes.Structure):
    """sv_ot_result."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        *((name, ctypes.c_double) for name in (*NUMBERS, "lp_lower", "lp_upper")),
        *((name, ctypes.c_int64) for name in COUNTS),
    )

    def __init__(self):
        super().__init__(ctypes.sizeof(Result))


POINTER, SIZE, STRIDE, DOUBLE = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_ssize_t, ctypes.c_double
TAIL = [DOUBLES, DOUBLES, DOUBLE, POINTER, POINTER, DOUBLES, DOUBLES, POINTER, POINTER, POINTER]
LIBRARY.sv_ot_solve.argtypes = [SIZE, SIZE, DOUBLES, STRIDE, *TAIL]
LIBRARY.sv_ot_solve_f32.argtypes = [SIZE, SIZE, FLOATS, STRIDE, *TAIL]
LIBRARY.sv_ot_solve_sample.argtypes = [
    SIZE, SIZE, SIZE, DOUBLES, STRIDE, DOUBLES, STRIDE, ctypes.c_int, DOUBLE, *TAIL
]  # fmt: skip
LIBRARY.sv_ot_plan_dense.argtypes = [POINTER, DOUBLES, STRIDE, ctypes.c_int]
LIBRARY.sv_ot_plan_matvec.argtypes = LIBRARY.sv_ot_plan_rmatvec.argtypes = [POINTER, DOUBLES, DOUBLES, ctypes.c_int]
LIBRARY.sv_ot_plan_argmax.argtypes = [POINTER, POINTER, ctypes.c_int]
LIBRARY.sv_ot_plan_destroy.argtypes = [POINTER]


class Answer:
    """What a call gives back, its buffers marked beforehand."""

    def __init__(self, n, m):
        self.f, self.g, self.result, self.report = np.full(n, 7.0), np.full(m, 7.0), Result(), Report()
        self.plan, self.status = POINTER(), None

    def outputs(self, wants_plan):
        plan = ctypes.byref(self.plan) if wants_plan else None
        return doubles(self.f), doubles(self.g), ctypes.byref(self.result), ctypes.byref(self.report), plan

    @property
    def untouched(self):
        return (self.f == 7).all() and (self.g == 7).all() and self.plan.value is None and self.result.value == 0


def weights_of(a):
    return None if a is None else doubles(a)


def by_matrix(C, a, b, reg, options=None, control=None, plan=False, shape=None):
    n, m = C.shape if shape is None else shape
    answer = Answer(*C.shape)
    single = C.dtype == np.float32
    call, pointer = (LIBRARY.sv_ot_solve_f32, FLOATS) if single else (LIBRARY.sv_ot_solve, DOUBLES)
    answer.status = call(
        n, m, C.ctypes.data_as(pointer), C.strides[0] // C.itemsize, weights_of(a), weights_of(b), reg,
        ctypes.byref(options or Options()), ctypes.byref(control or Control()), *answer.outputs(plan),
    )  # fmt: skip
    return answer


def by_points(X, Y, a, b, reg, metric, p=2.0, options=None, control=None, plan=False):
    answer = Answer(len(X), len(Y))
    answer.status = LIBRARY.sv_ot_solve_sample(
        len(X), len(Y), X.shape[1], doubles(X), X.shape[1], doubles(Y), Y.shape[1], METRICS.index(metric), p,
        weights_of(a), weights_of(b), reg, ctypes.byref(options or Options()), ctypes.byref(control or Control()),
        *answer.outputs(plan),
    )  # fmt: skip
    return answer


def assert_same_bits(ours, python):
    assert (ours.status, ours.report.nit) == (python.status, python.nit)
    np.testing.assert_array_equal(ours.f, python.f)
    np.testing.assert_array_equal(ours.g, python.g)
    for name in NUMBERS:
        np.testing.assert_equal(getattr(ours.result, name), getattr(python, name))
    np.testing.assert_equal((ours.result.lp_lower, ours.result.lp_upper), python.lp_bounds)
    assert ours.report.measure == python.measure
    assert [getattr(ours.result, name) for name in COUNTS] == [python.stats[name] for name in COUNTS]


def problem(seed, n=60, m=50):
    rng = np.random.default_rng(seed)
    return rng.random((n, m)), rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))


@pytest.mark.parametrize("norm", [0, 1, 2])
@pytest.mark.parametrize("ratio", [5, 100, 350, 450, 5000])
def test_a_matrix(ratio, norm):
    C, a, b = problem(SEED)
    python = solve(C, a, b, reg=1 / ratio, norm=("l1", "l2", "linf")[norm], method="newton", threads=1)
    assert python.success
    assert_same_bits(by_matrix(C, a, b, 1 / ratio, Options(norm=norm)), python)


@pytest.mark.parametrize("ratio", [50, 2000])
def test_other_matrices(ratio):
    """float32, rows apart, uniform weights, ties, and no certificate."""
    rng = np.random.default_rng(SEED)
    wide = np.abs(np.subtract.outer(np.arange(40.0), np.arange(70.0)))
    C, single = wide[:, 5:35], rng.random((30, 45), np.float32)
    reg = 60 / ratio
    python = solve(C, reg=reg, certify=False, method="newton", threads=1)
    assert_same_bits(by_matrix(C, None, None, reg, Options(certify=0)), python)
    python = solve(single, reg=1 / ratio, method="newton", threads=1)
    assert_same_bits(by_matrix(single, None, None, 1 / ratio), python)


@pytest.mark.parametrize("ratio", [20, 1e6, 1e10])
def test_offsets(ratio):
    """What rows and columns have in common stays out of the exponents."""
    C, a, b = problem(SEED)
    C = C + 1e6 * np.arange(60)[:, None] + 1e5 * np.arange(50)
    options = {"tol": 1e-6, "max_iter": 30, "method": "newton", "threads": 1}
    python = solve(C, a, b, reg=1 / ratio, **options)
    assert_same_bits(by_matrix(C, a, b, 1 / ratio, Options(tol=1e-6), Control(max_iter=30)), python)
    X = np.random.default_rng(SEED).random((40, 3))
    python = solve_sample(X, X + 1e4, reg=1 / ratio, metric="sqeuclidean", **options)
    assert_same_bits(
        by_points(X, X + 1e4, None, None, 1 / ratio, "sqeuclidean", 2.0, Options(tol=1e-6), Control(max_iter=30)),
        python,
    )


@pytest.mark.parametrize("ratio", [30, 3000])
@pytest.mark.parametrize("metric", METRICS)
def test_points(metric, ratio):
    rng = np.random.default_rng(SEED)
    X, Y, b = rng.random((50, 3)), rng.random((40, 3)), rng.dirichlet(np.ones(40))
    p = 3.5 if metric == "minkowski" else None
    python = solve_sample(X, Y, None, b, reg=1 / ratio, metric=metric, p=p, method="newton", threads=1)
    assert_same_bits(by_points(X, Y, None, b, 1 / ratio, metric, p or 0.0), python)


@pytest.mark.parametrize("ratio", [100, 2000])
def test_warm_starts(ratio):
    C, a, b = problem(SEED)
    cold = solve(C, a, b, reg=1.1 / ratio, threads=1)
    warm = solve(C, a, b, reg=1 / ratio, warm_start=(cold.f, cold.g), method="newton", threads=1)
    ours = by_matrix(C, a, b, 1 / ratio, Options(f0=doubles(cold.f), g0=doubles(cold.g)))
    assert_same_bits(ours, warm)


@pytest.mark.parametrize("ratio", [100, 2000])
def test_zero_weights_and_the_plan(ratio):
    C, a, b = problem(SEED)
    a[[0, 7]] = b[49] = 0
    a, b = a / a.sum(), b / b.sum()
    X, Y = np.random.default_rng(SEED).random((60, 2)), np.random.default_rng(SEED + 1).random((50, 2))
    for ours, python in (
        (by_matrix(C, a, b, 1 / ratio, plan=True), solve(C, a, b, reg=1 / ratio, method="newton", threads=1)),
        (
            by_points(X, Y, a, b, 2 / ratio, "sqeuclidean", plan=True),
            solve_sample(X, Y, a, b, reg=2 / ratio, method="newton", threads=1),
        ),
    ):
        assert_same_bits(ours, python)
        check_plan(ours.plan, python.plan)
        LIBRARY.sv_ot_plan_destroy(ours.plan)


def check_plan(ours, python):
    n, m = python.shape
    P, x, y, best = np.empty((n, m + 3)), np.arange(1.0, m + 1), np.arange(1.0, n + 1), np.empty(n, np.intp)
    of_rows, of_columns = np.empty(n), np.empty(m)
    assert LIBRARY.sv_ot_plan_dense(ours, doubles(P), m + 3, 1) == 0
    np.testing.assert_array_equal(P[:, :m], python.dense())
    assert LIBRARY.sv_ot_plan_matvec(ours, doubles(x), doubles(of_rows), 1) == 0
    np.testing.assert_array_equal(of_rows, python.matvec(x))
    assert LIBRARY.sv_ot_plan_rmatvec(ours, doubles(y), doubles(of_columns), 1) == 0
    np.testing.assert_array_equal(of_columns, python.rmatvec(y))
    assert LIBRARY.sv_ot_plan_argmax(ours, best.ctypes.data, 1) == 0
    np.testing.assert_array_equal(best, python.argmax())
    x[3] = np.nan
    of_rows[:] = 7
    assert LIBRARY.sv_ot_plan_matvec(ours, doubles(x), doubles(of_rows), 1) == INVALID
    assert last_error().startswith("x[3]")
    assert LIBRARY.sv_ot_plan_dense(ours, doubles(P), m - 1, 1) == INVALID
    assert (of_rows == 7).all()


@pytest.mark.parametrize("ratio", [100, 3000])
def test_threads_give_the_same_bits(ratio):
    C, a, b = problem(SEED, 300, 250)
    one, two = (by_matrix(C, a, b, 1 / ratio, control=Control(threads=threads)) for threads in (1, 2))
    assert one.status == 0
    np.testing.assert_array_equal(one.g, two.g)
    assert [getattr(one.result, name) for name in NUMBERS] == [getattr(two.result, name) for name in NUMBERS]


@pytest.mark.parametrize("max_iter", [0, 1, 4])
@pytest.mark.parametrize("ratio", [200, 5000])
def test_too_few_steps(ratio, max_iter):
    C, a, b = problem(SEED)
    python = solve(C, a, b, reg=1 / ratio, tol=1e-12, max_iter=max_iter, method="newton", threads=1)
    ours = by_matrix(C, a, b, 1 / ratio, Options(tol=1e-12), Control(max_iter=max_iter))
    assert_same_bits(ours, python)
    assert ours.status == Status.MAX_ITER


def test_callbacks_and_time_limits():
    C, a, b = problem(3)
    seen = []

    @CALLBACK
    def stop(_, progress):
        seen.append((progress.contents.nit, progress.contents.measure))
        return len(seen) == 2

    python = solve(
        C, a, b, reg=1e-3, method="newton", threads=1, callback=lambda result: True if result.nit == 2 else None
    )
    ours = by_matrix(C, a, b, 1e-3, control=Control(callback=stop))
    assert ours.status == Status.CALLBACK_STOP
    assert [nit for nit, _ in seen] == [1, 2]
    assert_same_bits(ours, python)
    assert by_matrix(C, a, b, 1e-3, control=Control(time_limit=0.0)).status == Status.TIME_LIMIT


def test_success_is_that_of_the_plan():
    """A tolerance below what rounding allows is not met, and not claimed."""
    C, a, b = problem(5)
    ours = by_matrix(C, a, b, 1e-3, Options(tol=1e-17), Control(max_iter=200))
    python = solve(C, a, b, reg=1e-3, tol=1e-17, max_iter=200, method="newton", threads=1)
    assert_same_bits(ours, python)
    assert ours.status in (Status.STAGNATION, Status.MAX_ITER)


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("C", lambda C, a, b: {"C": changed(C, (3, 4), np.nan)}),
        ("C", lambda C, a, b: {"C": changed(C, (0, 0), np.inf)}),
        ("a[2]", lambda C, a, b: {"a": changed(a, 2, -0.1)}),
        ("a[0]", lambda C, a, b: {"a": changed(a, 0, np.nan)}),
        ("a", lambda C, a, b: {"a": 0 * a}),
        ("a", lambda C, a, b: {"a": np.full(60, 1e308)}),
        ("b", lambda C, a, b: {"b": 2 * b}),
        ("reg", lambda C, a, b: {"reg": 0.0}),
        ("reg", lambda C, a, b: {"reg": -1.0}),
        ("reg", lambda C, a, b: {"reg": np.nan}),
        ("reg", lambda C, a, b: {"reg": 1e-310}),
        ("options->tol", lambda C, a, b: {"options": Options(tol=np.nan)}),
        ("options->norm", lambda C, a, b: {"options": Options(norm=3)}),
        ("options->method", lambda C, a, b: {"options": Options(method=9)}),
        ("options->g0", lambda C, a, b: {"options": Options(f0=doubles(a))}),
        ("options->f0[1]", lambda C, a, b: {"options": Options(f0=doubles(BAD_START), g0=doubles(b))}),
        ("stride", lambda C, a, b: {"shape": (60, 51)}),
        ("n", lambda C, a, b: {"shape": (0, 50)}),
        ("m", lambda C, a, b: {"shape": (60, 0)}),
        ("control->time_limit", lambda C, a, b: {"control": Control(time_limit=np.nan)}),
    ],
)
def test_bad_input_is_refused(name, change):
    C, a, b = problem(1)
    given = {"C": C, "a": a, "b": b, "reg": 0.01, **change(C, a, b)}
    answer = by_matrix(**given, plan=True)
    assert answer.status == INVALID
    assert last_error().startswith(name)
    assert answer.untouched


BAD_START = np.full(60, np.inf)
BAD_START[0] = 0


def test_bad_points_are_refused():
    X, Y = np.ones((4, 2)), np.ones((3, 2))
    for name, given in (
        ("X", (changed(X, (1, 1), np.nan), Y, None, None, 0.1, "euclidean")),
        ("Y", (X, changed(Y, (2, 0), np.inf), None, None, 0.1, "euclidean")),
        ("Y", (X, changed(Y, 1, 0.0), None, None, 0.1, "cosine")),
        ("p", (X, Y, None, None, 0.1, "minkowski", -1.0)),
        ("p", (X, Y, None, None, 0.1, "minkowski", np.nan)),
    ):
        answer = by_points(*given)
        assert (answer.status, last_error().startswith(name)) == (INVALID, True)
        assert answer.untouched
    outputs = Answer(4, 3).outputs(wants_plan=False)
    for metric, d, name in ((6, 2, "metric"), (-1, 2, "metric"), (0, 0, "d")):
        status = LIBRARY.sv_ot_solve_sample(
            4, 3, d, doubles(X), 2, doubles(Y), 2, metric, 2.0, None, None, 0.1, None, None, *outputs
        )
        assert (status, last_error().split()[0]) == (INVALID, name)


def test_null_structures_and_sizes():
    C, _, _ = problem(1)
    nothing = (None,) * 5
    assert LIBRARY.sv_ot_solve(60, 50, None, 50, None, None, 0.1, None, None, *nothing) == INVALID
    assert last_error() == "C is NULL"
    assert LIBRARY.sv_ot_solve(60, 50, doubles(C), 50, None, None, 0.1, None, None, *nothing) == 0
    assert (
        LIBRARY.sv_ot_solve_sample(4, 3, 2, None, 2, None, 2, 0, 2.0, None, None, 0.1, None, None, *nothing) == INVALID
    )
    for n, m, stride in ((2**62, 2**62, 2**62), (2**40, 2**40, 2**40), (2**61, 4, 8), (2**60, 1, 2**10)):
        assert LIBRARY.sv_ot_solve(n, m, doubles(C), stride, None, None, 0.1, None, None, *nothing) == NO_MEMORY
    many = (2**50, 3, 2**20)
    assert LIBRARY.sv_ot_solve_sample(
        *many, doubles(C), many[2], doubles(C), many[2], 0, 2.0, None, None, 0.1, None, None, *nothing
    ) == NO_MEMORY  # fmt: skip
    for structure in (Options(), Control()):
        structure.struct_size = 1000
        options, control = (structure, Control()) if isinstance(structure, Options) else (Options(), structure)
        assert by_matrix(C, None, None, 0.1, options, control).status == STRUCT_SIZE
    for call in (LIBRARY.sv_ot_plan_matvec, LIBRARY.sv_ot_plan_rmatvec):
        assert call(None, doubles(C), doubles(C), 1) == INVALID
    assert LIBRARY.sv_ot_plan_dense(None, doubles(C), 50, 1) == INVALID
    assert LIBRARY.sv_ot_plan_argmax(None, None, 1) == INVALID
    assert last_error() == "plan is NULL"
    LIBRARY.sv_ot_plan_destroy(None)


def test_two_threads_at_once():
    C, a, b = problem(2, 120, 110)
    answers = {}

    def work(name):
        answers[name] = [by_matrix(C, a, b, 1 / 500) for _ in range(5)]

    workers = [threading.Thread(target=work, args=(name,)) for name in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    first = by_matrix(C, a, b, 1 / 500)
    for answer in answers[0] + answers[1]:
        np.testing.assert_array_equal(answer.g, first.g)
