"""Matrix games through the C interface: the same bits as `matrix_game(A, method=..., polish=False, threads=1)`."""

import ctypes
import threading

import numpy as np
import pytest
from library import CALLBACK, DOUBLES, LIBRARY, Control, Report, doubles, last_error

from solvers import Status
from solvers.equilibrium import matrix_game

METHODS = ["game-pdhg", "rm-plus", "prm-plus"]


class Data(ctypes.Structure):
    """sv_game_data."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t), ("m", ctypes.c_size_t), ("n", ctypes.c_size_t), ("A", DOUBLES),
        ("row_stride", ctypes.c_ssize_t), ("column_stride", ctypes.c_ssize_t), ("linear_x", DOUBLES),
        ("linear_y", DOUBLES),
    )  # fmt: skip


class Options(ctypes.Structure):
    """sv_game_options."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t), ("tol", ctypes.c_double), ("method", ctypes.c_int), ("x0", DOUBLES),
        ("y0", DOUBLES),
    )  # fmt: skip


class Result(ctypes.Structure):
    """sv_game_result."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t), ("value", ctypes.c_double), ("low", ctypes.c_double),
        ("high", ctypes.c_double), ("gap", ctypes.c_double),
    )  # fmt: skip


class Call:
    """A game as C has it, and what a solve wrote."""

    def __init__(self, A, method="game-pdhg", tol=1e-6, **vectors):
        self.A = np.asarray(A, dtype=np.float64)
        self.m, self.n = self.A.shape
        self.kept = {name: np.array(value, dtype=np.float64) for name, value in vectors.items()}
        given = {name: doubles(value) for name, value in self.kept.items()}
        strides = (step // 8 for step in self.A.strides)
        linear = given.get("linear_x"), given.get("linear_y")
        self.data = Data(ctypes.sizeof(Data), self.m, self.n, self.A.ctypes.data_as(DOUBLES), *strides, *linear)
        self.options = Options(ctypes.sizeof(Options), tol, METHODS.index(method), given.get("x0"), given.get("y0"))
        self.x, self.y = np.full(self.n, -7.5), np.full(self.m, -7.5)
        self.result, self.report = Result(ctypes.sizeof(Result)), Report()

    def solve(self, control=None):
        self.status = LIBRARY.sv_matrix_game(
            ctypes.byref(self.data), ctypes.byref(self.options), ctypes.byref(control or Control()), doubles(self.x),
            doubles(self.y), ctypes.byref(self.result), ctypes.byref(self.report),
        )  # fmt: skip
        return self


def python(A, method="game-pdhg", **how):
    return matrix_game(A, method=method, polish=False, threads=1, **how)


def assert_same(call, result):
    assert (call.status, call.report.status) == (result.status, result.status)
    assert (call.report.nit, call.report.measure) == (result.nit, result.measure)
    np.testing.assert_array_equal(call.x, result.x)
    np.testing.assert_array_equal(call.y, result.y)
    told = call.result
    assert (told.value, (told.low, told.high), told.gap) == (result.value, result.value_bounds, result.gap)


def game(seed, m=17, n=29):
    return np.random.default_rng(seed).normal(size=(m, n)) + 3.0


@pytest.mark.parametrize(("method", "tol"), [("game-pdhg", 1e-9), ("rm-plus", 3e-3), ("prm-plus", 1e-3)])
def test_same_bits(method, tol, seed):
    A = game(seed)
    call = Call(A, method, tol).solve()
    assert call.status == 0
    assert_same(call, python(A, method, tol=tol))
    assert call.x.min() >= 0
    assert call.x.sum() == pytest.approx(1, abs=1e-14)
    assert call.result.gap == pytest.approx(max((A @ call.x).max() - (call.y @ A).min(), 0), abs=1e-13)


@pytest.mark.parametrize("method", METHODS)
def test_any_strides_and_linear_terms(method, seed):
    rng = np.random.default_rng(seed)
    linear = {"linear_x": rng.normal(size=9), "linear_y": rng.normal(size=6)}
    A = rng.normal(size=(6, 9))
    for layout in (np.asfortranarray(A), np.repeat(A, 3, axis=1)[:, ::3], A[::-1, ::-1]):
        call = Call(layout, method, 1e-2, **linear).solve()
        assert_same(call, python(layout, method, tol=1e-2, **linear))
        assert call.status == 0


def test_start(seed):
    rng = np.random.default_rng(seed)
    start = {"x0": rng.dirichlet(np.ones(29)), "y0": rng.dirichlet(np.ones(17))}
    for method in METHODS:
        call = Call(game(seed), method, 1e-2, **start).solve()
        assert_same(call, python(game(seed), method, tol=1e-2, **start))


def test_known_games():
    rock = Call([[0, 1, -1], [-1, 0, 1], [1, -1, 0]]).solve()
    assert (rock.status, rock.result.gap <= 1e-6) == (0, True)
    np.testing.assert_allclose(rock.x, 1 / 3, atol=1e-6)
    assert rock.result.value == pytest.approx(0, abs=1e-6)
    d = np.arange(1.0, 9.0)
    diagonal = Call(np.diag(d), tol=1e-10).solve()
    assert diagonal.result.value == pytest.approx(1 / (1 / d).sum(), abs=1e-10)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "A", [[[3.5]], [[2.0, -1.0]], [[2.0], [5.0]], np.full((4, 7), 1e-300), np.zeros((3, 2)), np.full((5, 5), 1e300)]
)
def test_degenerate_games(method, A):
    call = Call(A, method).solve()
    assert (call.status, call.report.nit, call.result.gap) == (0, 0, 0.0)
    assert_same(call, python(A, method))


def test_many_optimal_supports(seed):
    """Rows and columns given twice."""
    A = np.tile(game(seed, 5, 6), (2, 2))
    assert_same(Call(A, tol=1e-8).solve(), python(A, tol=1e-8))


def test_rounding_ends_it(seed):
    A = 1e6 * game(seed, 8, 8)
    call = Call(A, tol=1e-300).solve()
    assert call.status in (Status.STAGNATION, Status.CONVERGED)
    assert_same(call, python(A, tol=1e-300))


@pytest.mark.parametrize("method", METHODS)
def test_limits(method, seed):
    A = game(seed)
    for limits in ({"max_iter": 0}, {"max_iter": 21}, {"time_limit": 0.0}):
        call = Call(A, method, 1e-14).solve(Control(**limits))
        assert call.status == (Status.TIME_LIMIT if "time_limit" in limits else Status.MAX_ITER)
        assert_same(call, python(A, method, tol=1e-14, **limits))


@pytest.mark.parametrize("method", METHODS)
def test_callback(method, seed):
    A, seen, told = game(seed), [], []

    def stop(_, progress):
        p = progress.contents
        seen.append((p.nit, p.measure, p.x[0], p.x[p.x_size - 1], p.x_size))
        return p.nit == 20

    def same(r):
        told.append((r.nit, r.measure, r.x[0][0], r.x[1][-1], 46))
        return r.nit == 20

    call = Call(A, method, 1e-14).solve(Control(callback=CALLBACK(stop)))
    result = python(A, method, tol=1e-14, callback=same)
    assert call.status == Status.CALLBACK_STOP
    assert seen == told
    assert_same(call, result)


def test_two_threads(seed):
    calls = [Call(game(seed + k), tol=1e-8) for k in range(2)]
    workers = [threading.Thread(target=call.solve) for call in calls]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    for k, call in enumerate(calls):
        assert_same(call, python(game(seed + k), tol=1e-8))


def spoilt(**changes):
    call = Call(game(3), x0=np.full(29, 1 / 29), y0=np.full(17, 1 / 17), linear_x=np.zeros(29))
    call.A.flags.writeable = True
    for name, value in changes.items():
        if name in call.kept:
            call.kept[name][2] = value
        elif name == "entry":
            call.A[1, 2] = value
        else:
            setattr(call.data if hasattr(Data, name) else call.options, name, value)
    return call


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"m": 0}, -1, "game->m and game->n: 0 x 29"), ({"A": None}, -1, "game->A is NULL"),
        ({"m": 2**62}, -2, "game->m and game->n"), ({"n": 2**33}, -2, "game->m and game->n"),
        ({"entry": np.nan}, -1, "game->A[1, 2] is nan"), ({"entry": -np.inf}, -1, "game->A[1, 2] is -inf"),
        ({"method": 3}, -1, "options->method is 3"), ({"tol": 0.0}, -1, "options->tol is 0"),
        ({"tol": np.nan}, -1, "options->tol is nan"), ({"x0": -1.0}, -1, "options->x0[2] is -1"),
        ({"y0": 0.5}, -1, "options->y0 has the sum"), ({"x0": np.nan}, -1, "options->x0[2] is nan"),
        ({"linear_x": np.inf}, -1, "game->linear_x[2] is inf"), ({"struct_size": 1}, -3, "game->struct_size is 1"),
    ],
)  # fmt: skip
def test_bad_input(changes, status, words):
    call = spoilt(**changes).solve()
    assert call.status == status
    assert last_error().startswith(words)
    assert np.all(call.x == -7.5)
    assert np.all(call.y == -7.5)
    assert (call.report.status, call.result.gap) == (0, 0.0)


def test_null_arguments():
    call = Call(game(3))
    x, y, data = doubles(call.x), doubles(call.y), ctypes.byref(call.data)
    for arguments, name in (((None, x, y), "game"), ((data, None, y), "x"), ((data, x, None), "y")):
        assert LIBRARY.sv_matrix_game(arguments[0], None, None, *arguments[1:], None, None) == -1
        assert last_error() == f"{name} is NULL"
    assert LIBRARY.sv_matrix_game(data, None, None, x, y, None, None) == 0
    np.testing.assert_array_equal(call.x, python(game(3)).x)
    call.options.x0 = x
    assert call.solve().status == -1
    assert last_error() == "options->x0 and options->y0 must be given together"
