"""Threads change nothing but the time: the same bits for any number of them, in forked children, in many callers."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import threadpoolctl

import solvers
from solvers.special import log_softmax, logsumexp, softmax

ALL = [softmax, log_softmax, logsumexp]
LONG = 2**18 + 3  # nine segments of a row
LEVELS = ("baseline", "avx2", "avx512")


def data(shape, dtype, seed=2203):
    return (np.random.default_rng(seed).standard_normal(shape) * 8).astype(dtype)


def same_bits(x, y):
    return np.asarray(x).tobytes() == np.asarray(y).tobytes()


def in_subprocess(code, **environment):
    """What a new interpreter prints, with these variables and without the caller's own settings."""
    kept = {k: v for k, v in os.environ.items() if k not in ("SOLVERS_NUM_THREADS", "OMP_NUM_THREADS", "SOLVERS_ISA")}
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, env={**kept, **environment}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# ---- the same bits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [LONG, (3, LONG), (40, 3001), (64, 1500), (20_000, 5)], ids=str)
@pytest.mark.parametrize("function", ALL)
def test_any_number_of_threads(function, shape, dtype):
    x = data(shape, dtype)
    alone = function(x, axis=-1, threads=1)
    for threads in (2, 3, 8, 1000):
        assert same_bits(function(x, axis=-1, threads=threads), alone)
    assert same_bits(function(x, axis=-1), alone)


@pytest.mark.parametrize("function", ALL)
def test_any_number_of_threads_far_from_zero(function, dtype):
    """The path through the maximum."""
    x = data(LONG, dtype) + dtype(1e30)
    x[7] = -np.inf
    alone = function(x, threads=1)
    assert np.isfinite(alone).any()
    for threads in (2, 3, 8):
        assert same_bits(function(x, threads=threads), alone)


def test_any_number_of_threads_with_weights(dtype):
    x, b = data((3, LONG), dtype), data((3, LONG), dtype, seed=3301)
    alone = logsumexp(x, 1, b=b, return_sign=True, threads=1)
    for threads in (2, 3, 8):
        assert same_bits(logsumexp(x, 1, b=b, return_sign=True, threads=threads), alone)


@pytest.mark.parametrize("function", ALL)
def test_repeated_runs(function, dtype):
    x = data(LONG, dtype)
    first = function(x, threads=2)
    assert all(same_bits(function(x, threads=2), first) for _ in range(20))


@pytest.mark.parametrize("length", [1, 5, 64, 1000, 4097, LONG])
@pytest.mark.parametrize("function", ALL)
def test_a_row_of_a_batch_is_the_row_alone(function, length, dtype):
    """However the work is split, and whether results are written past the cache or not; short rows that fill a group of
    16 take another way."""
    for rows in (1, 3, 9) if length == LONG else (2, 15) if length < 256 else (2, 70):
        x = data((rows, length), dtype)
        batch = function(x, axis=1)
        for k in (0, rows // 2, rows - 1):
            assert same_bits(batch[k], function(x[k]))


@pytest.mark.parametrize("length", [9001, 20_000, 32_000])
def test_a_row_of_a_batch_past_the_cache_is_the_row_alone(length, dtype):
    """Results of more than 8 MiB leave by other ways, which choose the same method for rows of any length."""
    rows = 2_400_000 // length
    x = data((rows, length), dtype)
    for threads in (1, 3):
        y = softmax(x, axis=1, threads=threads)
        assert all(same_bits(y[row], softmax(x[row])) for row in (0, 1, rows // 2, rows - 1))


@pytest.mark.parametrize("length", [300, 1000, 9001])
def test_rows_of_all_kinds_beside_each_other(length, dtype):
    """A row is taken for a narrow one, which may prove wrong, or is looked at before: as the rows before it were."""
    rng = np.random.default_rng(8)
    rows = 2_400_000 // length
    x = data((rows, length), dtype) * rng.choice([0.001, 0.12, 0.12, 0.12, 0.2, 1, 5], rows)[:, None].astype(dtype)
    x[5::11, length // 2 :] = -np.inf
    x[6::11, 100:] = 2.7 + x[6::11, :100].max(axis=1, keepdims=True)  # sums as large as they can be
    x[7::31, -1] = np.nan
    x[8::31, 0] = np.inf
    x[9::31] += dtype(1e9)
    y = softmax(x, axis=1)
    for k in range(0, rows, 1 + rows // 300):
        assert same_bits(y[k], softmax(x[k]))
    within = x.copy()
    assert same_bits(softmax(within, axis=1, out=within), y)


@pytest.mark.parametrize("rows", [16, 48, 64, 1008])
@pytest.mark.parametrize("length", [2, 10, 64, 100])
@pytest.mark.parametrize("function", [softmax, log_softmax, logsumexp])
def test_whole_groups_of_short_rows_stay_together(function, length, rows, dtype):
    """A few of them take the way of many: cut into tasks of a row or two, they would take four times as long."""
    x = data((2048, length), dtype)
    few, many = function(x[:rows], axis=1), function(x, axis=1)
    assert same_bits(few, many[:rows])


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize("place", [0, 1, 4, 7])
@pytest.mark.parametrize("length", [16, 64, 128, 1000, 9001, 20_000])
def test_results_past_the_cache_at_any_place(length, place, padding, dtype):
    """Lines that two rows share are written once, by whichever way the rows go."""
    rows = (9 << 20) // (length * np.dtype(dtype).itemsize) + 3
    x = data((rows, length), dtype)
    x[rows // 3] += dtype(1e9)  # the safe path
    x[rows // 2, 3] = np.nan
    room = np.full(rows * (length + padding) + 64, 7, dtype)
    start = -room.ctypes.data % 64 // room.itemsize + place
    lines = room[start : start + rows * (length + padding)].reshape(rows, length + padding)
    y, eps = softmax(x, 1, out=lines[:, :length], threads=1), np.finfo(dtype).eps
    for part in (slice(None, rows // 2), slice(rows // 2, None)):
        np.testing.assert_allclose(y[part], softmax(x[part], 1, threads=1), rtol=4 * eps, atol=0)
    assert (lines[:, length:] == 7).all()
    assert (room[:start] == 7).all()
    assert (room[start + lines.size :] == 7).all()


@pytest.mark.parametrize("function", [softmax, log_softmax])
def test_in_place_gives_the_same_bits(function, dtype):
    x = data((9, LONG), dtype)  # a new result of this size is written past the cache
    expected = function(x, axis=1)
    assert same_bits(function(x, axis=1, out=x), expected)


# ---- fork ------------------------------------------------------------------------------------------


def exit_code_of_child(work, seconds=30):
    """Fork, do the work in the child, and tell how it ended; a child that hangs is killed."""
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            code = 0 if work() else 2
        os._exit(code)
    for _ in range(seconds * 50):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hangs"


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
many_threads_fork = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.mark.forks
@needs_fork
@many_threads_fork
def test_a_forked_child_has_working_threads(dtype):
    x = data((40, 3001), dtype)
    expected = softmax(x, axis=1, threads=4)
    for _ in range(3):
        assert exit_code_of_child(lambda: same_bits(softmax(x, axis=1, threads=4), expected)) == 0
    assert same_bits(softmax(x, axis=1, threads=4), expected)


@pytest.mark.forks
@needs_fork
@many_threads_fork
def test_a_grandchild_and_a_fork_amid_a_parallel_call():
    x = data((64, 3001), np.float32)
    expected = softmax(x, axis=1, threads=1)
    stop = threading.Event()

    def keep_calling():
        while not stop.is_set():
            softmax(x, axis=1, threads=3)

    def work():
        return same_bits(softmax(x, axis=1, threads=3), expected)

    caller = threading.Thread(target=keep_calling)
    caller.start()
    try:
        for _ in range(10):
            assert exit_code_of_child(lambda: work() and exit_code_of_child(work, 10) == 0) == 0
    finally:
        stop.set()
        caller.join()


# ---- several callers -------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [None, 3])
def test_several_python_threads_at_once(threads, dtype):
    inputs = [data(s, dtype, seed) for seed in (31, 37, 41) for s in (LONG, (40, 3001))]
    expected = [softmax(x, axis=-1, threads=1) for x in inputs]
    with ThreadPoolExecutor(6) as callers:
        for _ in range(5):
            results = callers.map(lambda x: softmax(x, axis=-1, threads=threads), inputs)
            assert all(same_bits(r, e) for r, e in zip(results, expected, strict=True))


def test_long_calls_let_other_python_threads_run():
    """The lock of the interpreter is released: a counter goes on while the kernel works."""
    x = data(2**24, np.float32)
    running, counted = threading.Event(), []

    def call():
        running.set()
        for _ in range(5):
            softmax(x, out=x, threads=1)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # nobody is asked to give the lock away
    try:
        caller = threading.Thread(target=call)
        caller.start()
        running.wait()
        while caller.is_alive():
            counted.append(1)
            time.sleep(0.0005)  # gives the lock away; it comes back only if the kernel released it
        caller.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(counted) >= 10


# ---- settings --------------------------------------------------------------------------------------


def test_threadpoolctl_sees_and_limits_the_pool():
    x = data((40, 3001), np.float64)
    before = solvers.show_config()["threads"]
    (pool,) = [p for p in threadpoolctl.threadpool_info() if p["user_api"] == "solvers"]
    assert pool["num_threads"] == before
    assert pool["version"] == solvers.show_config()["version"]
    expected = softmax(x, axis=1)
    for count in (1, before + 2):
        for limit in ({"limits": count}, {"limits": count, "user_api": "solvers"}, {"limits": {"solvers": count}}):
            with threadpoolctl.threadpool_limits(**limit):
                assert solvers.show_config()["threads"] == count
                assert same_bits(softmax(x, axis=1), expected)
            assert solvers.show_config()["threads"] == before


SHOW_THREADS = "import solvers; print(solvers.show_config()['threads'])"


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({"SOLVERS_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "5"}, 5),
        ({"SOLVERS_NUM_THREADS": "2", "OMP_NUM_THREADS": "7"}, 2),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"SOLVERS_NUM_THREADS": "0", "OMP_NUM_THREADS": "6"}, 6),
        ({"SOLVERS_NUM_THREADS": "many", "OMP_NUM_THREADS": "6"}, 6),
    ],
)
def test_number_of_threads_from_the_environment(environment, threads):
    assert in_subprocess(SHOW_THREADS, **environment) == str(threads)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no sched_getaffinity")
def test_number_of_threads_without_a_setting():
    assert in_subprocess(SHOW_THREADS) == str(min(len(os.sched_getaffinity(0)), 8))


def test_the_environment_sets_the_level():
    """SOLVERS_ISA caps the level and never raises it; the results of all levels lie within their bounds."""
    code = (
        "import numpy as np, solvers; from solvers.special import softmax;"
        "x = np.random.default_rng(4001).standard_normal(1000) * 5;"
        "print(solvers.show_config()['isa'], softmax(x).tobytes().hex())"
    )
    available = LEVELS.index(solvers.show_config()["isa_available"])
    results = []
    for k, level in enumerate(LEVELS):
        used, hexadecimal = in_subprocess(code, SOLVERS_ISA=level).split()
        assert used == LEVELS[min(k, available)]
        results.append(np.frombuffer(bytes.fromhex(hexadecimal)))
    for result in results[1:]:
        np.testing.assert_array_max_ulp(result, results[0], maxulp=4)


def test_an_unknown_level_warns_and_caps_nothing():
    code = (
        "import warnings, solvers\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n"
        "    config = solvers.show_config()\n"
        "print(config['isa'] == config['isa_available'], 'SOLVERS_ISA' in str(seen[0].message))\n"
    )
    assert in_subprocess(code, SOLVERS_ISA="avx1024") == "True True"
