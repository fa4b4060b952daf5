"""Linear programs through the C interface: the same bits as `lp(..., method="lp-pdhg", threads=1)`."""

import ctypes
import os
import pathlib
import threading

import numpy as np
import pytest
import scipy.sparse
from library import CALLBACK, DOUBLES, LIBRARY, Control, Report, doubles, last_error

from solvers import Status
from solvers.equilibrium import LinearProgram, lp, read_mps

INF = np.inf
INTEGERS, WIDE = ctypes.POINTER(ctypes.c_int32), ctypes.POINTER(ctypes.c_int64)


class Program(ctypes.Structure):
    """sv_lp_program."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t), ("m", ctypes.c_size_t), ("n", ctypes.c_size_t), ("starts", INTEGERS),
        ("index", INTEGERS), ("starts64", WIDE), ("index64", WIDE), ("value", DOUBLES), ("c", DOUBLES),
        ("l", DOUBLES), ("u", DOUBLES), ("lb", DOUBLES), ("ub", DOUBLES),
    )  # fmt: skip


class Options(ctypes.Structure):
    """sv_lp_options."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t), ("tol", ctypes.c_double), ("x0", DOUBLES), ("y0", DOUBLES),
        ("block", ctypes.c_int64),
    )  # fmt: skip


class Result(ctypes.Structure):
    """sv_lp_result."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t), ("fun", ctypes.c_double), ("dual_fun", ctypes.c_double),
        ("gap", ctypes.c_double), ("primal_residual", ctypes.c_double), ("dual_residual", ctypes.c_double),
        ("iterations", ctypes.c_int64), ("restarts", ctypes.c_int64),
    )  # fmt: skip


class Call:
    """A program as C has it, and what a solve wrote."""

    def __init__(self, c, A, l, u, lb, ub, wide=False):
        A = scipy.sparse.csr_array(A)
        dtype, self.m, self.n = np.int64 if wide else np.int32, *A.shape
        starts, index = A.indptr.astype(dtype), A.indices.astype(dtype)
        values = [np.array(part, dtype=np.float64) for part in (A.data, c, l, u, lb, ub)]
        self.kept = starts, index, *values
        pair = starts.ctypes.data_as(WIDE if wide else INTEGERS), index.ctypes.data_as(WIDE if wide else INTEGERS)
        narrow, wide_pair = ((None, None), pair) if wide else (pair, (None, None))
        self.program = Program(
            ctypes.sizeof(Program), self.m, self.n, *narrow, *wide_pair, *(doubles(part) for part in values)
        )
        self.options = Options(ctypes.sizeof(Options), 1e-6, None, None, 40)
        self.report, self.result = Report(), Result(ctypes.sizeof(Result))
        self.x, self.y, self.reduced = (np.full(length, -7.5) for length in (self.n, self.m, self.n))
        self.ray = np.full(max(self.m, self.n), -7.5)

    @classmethod
    def of(cls, program, **how):
        return cls(program.cost, program.A, program.l, program.u, program.lb, program.ub, **how)

    def solve(self, control=None, tol=1e-6):
        self.options.tol = tol
        self.status = LIBRARY.sv_lp_solve(
            ctypes.byref(self.program), ctypes.byref(self.options), ctypes.byref(control or Control()), doubles(self.x),
            doubles(self.y), doubles(self.reduced), doubles(self.ray), ctypes.byref(self.result),
            ctypes.byref(self.report),
        )  # fmt: skip
        return self

    def untouched(self):
        return all(np.all(part == -7.5) for part in (self.x, self.y, self.reduced, self.ray))


def random_program(seed, m=14, n=23):
    """Feasible and bounded; with rows that are bounds and fixed columns, which leave before the solve."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(m, n)) * (rng.random((m, n)) < 0.5)
    A[m - 2] = A[m - 1] = 0.0
    A[m - 2, 3], A[m - 1, 3:5] = 2.0, (1.0, -1.0)
    x, y, z = rng.normal(size=n), rng.normal(size=m), rng.normal(size=n)
    lb = np.where(rng.random(n) < 0.7, x - rng.random(n), -INF)
    ub = np.where(rng.random(n) < 0.4, x + rng.random(n), INF)
    lb[7] = ub[7] = x[7]
    l = np.where(rng.random(m) < 0.7, A @ x - rng.random(m), -INF)
    u = np.where(rng.random(m) < 0.4, A @ x + rng.random(m), INF)
    y = np.where(y > 0, np.where(np.isfinite(l), y, 0), np.where(np.isfinite(u), y, 0))
    z = np.where(z > 0, np.where(np.isfinite(lb), z, 0), np.where(np.isfinite(ub), z, 0))
    return LinearProgram(A.T @ y + z, A, l, u, lb, ub)


def assert_same(call, result):
    assert (call.status, call.report.status) == (result.status, result.status)
    assert call.report.nit == result.nit
    np.testing.assert_array_equal(call.report.measure, result.measure)
    np.testing.assert_array_equal(call.x, result.x)
    np.testing.assert_array_equal(call.y, result.y)
    np.testing.assert_array_equal(call.reduced, result.reduced_costs)
    told = call.result
    assert (told.fun, told.dual_fun, told.gap) == (result.fun, result.dual_fun, result.gap)
    assert (told.primal_residual, told.dual_residual) == (result.primal_residual, result.dual_residual)
    if result.ray is not None:
        np.testing.assert_array_equal(call.ray[: len(result.ray)], result.ray)


def python(program, **how):
    return lp(program, method="lp-pdhg", threads=1, **how)


@pytest.mark.parametrize("wide", [False, True])
def test_same_bits(wide, seed):
    program = random_program(seed)
    call, result = Call.of(program, wide=wide).solve(tol=1e-8), python(program, tol=1e-8)
    assert call.status == 0
    assert_same(call, result)
    assert (call.result.iterations, call.result.restarts) == (result.stats["iterations"], result.stats["restarts"])


def test_limits_of_1e20_are_none(seed):
    program = random_program(seed)
    limits = (program.l, 1e20), (program.u, 1e25), (program.lb, 1e300), (program.ub, 1e20)
    given = (np.where(np.isinf(limit), np.copysign(large, limit), limit) for limit, large in limits)
    call = Call(program.cost, program.A, *given).solve(tol=1e-8)
    assert call.status == 0
    assert_same(call, python(program, tol=1e-8))


def test_entries_in_any_order_and_defaults(seed):
    """Rows not sorted, entries given twice, zeros; sides and bounds left out."""
    rng = np.random.default_rng(seed)
    rows, columns, value = rng.integers(0, 9, 80), rng.integers(0, 12, 80), rng.normal(size=80).round(1)
    rows = np.sort(rows)
    starts = np.searchsorted(rows, np.arange(10)).astype(np.int32)
    made = LinearProgram(
        rng.random(12), scipy.sparse.coo_array((value, (rows, columns)), (9, 12)), -INF, rng.random(9), 0, INF
    )
    call = Call(made.c, made.A, made.l, made.u, made.lb, made.ub)
    columns, value = columns.astype(np.int32), value.copy()
    call.program.starts, call.program.index = starts.ctypes.data_as(INTEGERS), columns.ctypes.data_as(INTEGERS)
    call.program.value = doubles(value)
    call.program.l = call.program.lb = call.program.ub = None
    assert_same(call.solve(), python(made))


def test_start_and_block(seed):
    program, rng = random_program(seed), np.random.default_rng(seed)
    x0, y0 = rng.normal(size=23), rng.normal(size=14)
    call = Call.of(program)
    call.options.x0, call.options.y0, call.options.block = doubles(x0), doubles(y0), 17
    assert_same(call.solve(), python(program, x0=x0, y0=y0, options={"block": 17}))


def test_no_rows():
    program = LinearProgram([1.0, -1.0, 0.0], None, lb=[-2.0, 0.0, -INF], ub=[INF, 5.0, INF], l=[], u=[])
    call = Call.of(program).solve()
    assert_same(call, python(program))
    assert call.result.fun == pytest.approx(-7, rel=1e-5)


@pytest.mark.parametrize("name", ["afiro", "stair", "box1"])
def test_files(name):
    folder = os.environ.get("SOLVERS_DATA")
    if folder is None:
        pytest.skip("SOLVERS_DATA is not set")
    program = read_mps(pathlib.Path(folder) / "lp" / f"{name}.mps.xz")
    limit = {"max_iter": 60}
    call, result = Call.of(program).solve(Control(**limit)), python(program, **limit)
    expected = {"afiro": Status.CONVERGED, "box1": Status.INFEASIBLE}
    assert result.status is expected.get(name, result.status)
    offset = -program.offset if program.maximize else program.offset
    call.result.fun, call.result.dual_fun = call.result.fun + offset, call.result.dual_fun + offset
    call.result.gap = abs(call.result.fun - call.result.dual_fun)
    assert_same(call, result)


def test_rays(seed):
    """What a ray proves is checked on the data, by other arithmetic."""
    rng = np.random.default_rng(seed)
    A, d = rng.normal(size=(8, 11)), rng.random(11) + 0.1
    A -= np.outer(A @ d, d) / (d @ d)
    falls = Call(-d, A, A @ np.ones(11) - 1, A @ np.ones(11) + 1, np.zeros(11), np.full(11, INF)).solve()
    assert falls.status == Status.UNBOUNDED
    ray = falls.ray[:11]
    assert ray.min() >= 0
    assert abs(A @ ray).max() < 1e-7
    assert -d @ ray < 0
    assert falls.result.primal_residual < 1e-5
    assert_same(falls, python(LinearProgram(-d, A, A @ np.ones(11) - 1, A @ np.ones(11) + 1, 0, INF)))

    y = rng.random(8) + 0.1
    rows = np.vstack((A, -(y @ A)))
    l = np.append(np.zeros(8), 1.0)
    none = Call(d, rows, l, np.full(9, INF), np.full(11, -INF), np.full(11, INF)).solve()
    assert none.status == Status.INFEASIBLE
    ray = none.ray[:9]
    assert ray.min() >= 0
    assert ray @ l > 1e6 * abs(ray @ rows).max()
    assert_same(none, python(LinearProgram(d, rows, l, INF, -INF, INF)))


def test_no_feasible_point_and_a_ray_of_descent():
    wrong = LinearProgram([-1.0, 0.0], [[0.0, 1.0], [0.0, 1.0]], [2.0, -INF], [INF, 1.0], 0.0, INF)
    call = Call.of(wrong).solve()
    assert call.status == Status.INFEASIBLE
    assert_same(call, python(wrong))


def test_at_once():
    crossed = LinearProgram([1.0, 2.0], [[1.0, 1.0]], 1.0, INF, [0.0, 3.0], [1.0, 2.0])
    empty = LinearProgram([1.0, 1.0], [[1.0, 1.0], [0.0, 0.0]], [1.0, 2.0], INF, 0.0, INF)
    for program, ray in ((crossed, [0.0, 0.0]), (empty, [0.0, 1.0])):
        call = Call.of(program).solve()
        assert (call.status, call.report.nit, call.ray.tolist()) == (Status.INFEASIBLE, 0, ray)
        assert_same(call, python(program))


def test_limits(seed):
    program = random_program(seed)
    for limits in ({"max_iter": 0}, {"max_iter": 2}, {"time_limit": 0.0}):
        call = Call.of(program).solve(Control(**limits), tol=1e-14)
        assert call.status == (Status.TIME_LIMIT if "time_limit" in limits else Status.MAX_ITER)
        assert_same(call, python(program, tol=1e-14, **limits))


def test_callback(seed):
    program, seen = random_program(seed), []

    def stop(_, progress):
        p = progress.contents
        seen.append((p.nit, p.measure, p.x[0], p.x_size))
        return p.nit == 3

    call = Call.of(program).solve(Control(callback=CALLBACK(stop)), tol=1e-14)
    told = []
    result = python(program, tol=1e-14, callback=lambda r: told.append((r.nit, r.measure, r.x[0], 23)) or r.nit == 3)
    assert call.status == Status.CALLBACK_STOP
    assert seen == told
    assert_same(call, result)


def test_two_threads(seed):
    programs = [random_program(seed), random_program(seed + 1)]
    calls = [Call.of(program) for program in programs]
    workers = [threading.Thread(target=call.solve) for call in calls]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    for call, program in zip(calls, programs, strict=True):
        assert_same(call, python(program))


def change(call, **fields):
    for name, value in fields.items():
        setattr(call.program if hasattr(Program, name) else call.options, name, value)


BAD = [
    (lambda call: change(call, n=0), -1, "program->n is 0"),
    (lambda call: change(call, m=2**62, n=2**62), -2, "program->m"),
    (lambda call: change(call, c=None), -1, "program->c is NULL"),
    (lambda call: change(call, starts=None), -1, "program->starts"),
    (lambda call: change(call, index=None), -1, "program->index"),
    (lambda call: change(call, value=None), -1, "program->value is NULL"),
    (lambda call: change(call, struct_size=7), -3, "program->struct_size is 7"),
    (lambda call: change(call, tol=INF), -1, "options->tol is inf"),
    (lambda call: change(call, block=1), -1, "options->block is 1"),
    (lambda call: call.kept[0].__setitem__(0, 1), -1, "program->starts[0] is 1"),
    (lambda call: call.kept[0].__setitem__(1, 10**6), -1, "program->starts[2] is less"),
    (lambda call: call.kept[1].__setitem__(4, 23), -1, "program->index[4] is 23"),
    (lambda call: call.kept[1].__setitem__(4, -1), -1, "program->index[4] is -1"),
    (lambda call: call.kept[2].__setitem__(5, np.nan), -1, "program->value[5] is nan"),
    (lambda call: call.kept[3].__setitem__(2, INF), -1, "program->c[2] is inf"),
    (lambda call: call.kept[4].__setitem__(1, np.nan), -1, "program->l[1] is NaN"),
    (lambda call: call.kept[7].__setitem__(0, np.nan), -1, "program->ub[0] is NaN"),
]


@pytest.mark.parametrize(("spoil", "status", "words"), BAD)
def test_bad_input(spoil, status, words):
    call = Call.of(random_program(3))
    spoil(call)
    call.solve(tol=call.options.tol)
    assert call.status == status
    assert last_error().startswith(words)
    assert call.untouched()
    assert call.report.nit == 0


def test_null_arguments():
    call = Call.of(random_program(3))
    assert LIBRARY.sv_lp_solve(None, None, None, doubles(call.x), *[None] * 5) == -1
    assert last_error() == "program is NULL"
    assert LIBRARY.sv_lp_solve(ctypes.byref(call.program), *[None] * 8) == -1
    assert last_error() == "x is NULL"
    assert LIBRARY.sv_lp_solve(ctypes.byref(call.program), None, None, doubles(call.x), *[None] * 5) == 0
    np.testing.assert_array_equal(call.x, python(random_program(3)).x)


def test_data_is_left_alone(seed):
    call = Call.of(random_program(seed))
    before = [part.copy() for part in call.kept]
    call.solve()
    for part, was in zip(call.kept, before, strict=True):
        np.testing.assert_array_equal(part, was)
