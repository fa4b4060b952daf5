"""Sums of exponentials that arrive in blocks."""

import copy
import os
import pickle
import subprocess
import sys

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.special import LogSumExpAccumulator, _kernels, log_softmax, logsumexp, softmax

mp.mp.dps = 50
INF, NAN = np.inf, np.nan
steady = settings(max_examples=100, derandomize=True, deadline=None, database=None)
LONG = 3 * 2**15 + 77  # three segments and a rest


def exact_rows(x):
    """softmax, log_softmax and logsumexp of one row as lists of mpmath numbers."""
    values = [mp.mpf(float(v)) for v in x]
    top = max(values)
    terms = [mp.exp(v - top) for v in values]
    total, where = mp.fsum(terms), values.index(top)
    rest = mp.log1p(mp.fsum(terms[:where] + terms[where + 1 :]))
    return [t / total for t in terms], [v - top - rest for v in values], top + rest


def filled(x, cuts, axis=-1):
    """An accumulator that has seen x in blocks along the axis."""
    shape = list(x.shape)
    del shape[axis]
    sums = LogSumExpAccumulator(tuple(shape), x.dtype)
    for block in np.split(x, cuts, axis):
        sums.update(block, axis)
    return sums


def check_row(x, sums):
    """2 ULP of softmax, 4 u of its logarithm, 1 ULP of the sum's (or of 1), as for whole rows."""
    dtype = x.dtype.type
    p, log_p, total = exact_rows(x)
    u, tiny = mp.mpf(float(np.finfo(dtype).eps)) / 2, mp.mpf(float(np.finfo(dtype).smallest_subnormal))
    for got, exact in zip(sums.softmax(x), p, strict=True):
        spacing = mp.mpf(float(np.spacing(dtype(float(exact)))))
        assert abs(mp.mpf(float(got)) - exact) <= 2 * spacing
    for got, exact in zip(sums.log_softmax(x), log_p, strict=True):
        if mp.isfinite(exact) and abs(exact) < mp.mpf(float(np.finfo(dtype).max)):
            assert abs(mp.mpf(float(got)) - exact) <= 4 * u * abs(exact) + tiny
        else:
            assert got == -INF
    size = dtype(max(abs(float(total)), 1))
    assert abs(mp.mpf(float(sums.logsumexp())) - total) <= mp.mpf(float(np.spacing(size)))


ROWS = {
    "normal": lambda rng, n: rng.standard_normal(n) * 10,
    "far": lambda rng, n: rng.standard_normal(n) * 10 + 1e8,
    "farther": lambda rng, n: rng.uniform(-50, 0, n) - 3e13,
    "rising": lambda rng, n: np.arange(n) * 0.3,
    "rising far": lambda rng, n: np.arange(n) * 0.25 - 4e5,
    "rising across the edge": lambda rng, n: 2.0**18 * np.log(2) * 0.6 + np.linspace(-8, 8, n),
    "falling": lambda rng, n: -np.arange(n) * 0.3,
    "equal": lambda rng, n: np.full(n, -16.6),
    "near one": lambda rng, n: np.where(np.arange(n) == n // 2, 40.0, 0.0),
    "masked": lambda rng, n: np.where(rng.random(n) < 0.6, -INF, rng.standard_normal(n)),
    "masked low": lambda rng, n: np.where(rng.random(n) < 0.6, -1e30, rng.standard_normal(n)),
    "low": lambda rng, n: np.full(n, -1e30),
    "mixed": lambda rng, n: rng.choice([-1e30, 0, 1e8, 3e38], n),
}


@pytest.mark.parametrize("cuts", [[], [1], [100], [3, 3, 4, 50, 199], list(range(1, 200))], ids=lambda c: str(len(c)))
@pytest.mark.parametrize("name", ROWS)
def test_accuracy_however_the_row_is_cut(name, cuts, dtype):
    x = ROWS[name](np.random.default_rng(4349), 200).astype(dtype)
    check_row(x, filled(x, cuts))
    check_row(x[::-1], filled(x[::-1], cuts))


@given(data=st.data())
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])
@steady
def test_cuts_and_order_change_little(data, dtype):
    width = np.dtype(dtype).itemsize * 8
    values = st.one_of(st.floats(width=width), st.floats(-50, 50, width=width), st.sampled_from([-INF, 1e8, -1e30]))
    x = np.array(data.draw(st.lists(values, min_size=1, max_size=40)), dtype)
    cuts = sorted(data.draw(st.lists(st.integers(0, x.size), max_size=6)))
    whole, parts = filled(x, []), filled(x, cuts)
    merged = LogSumExpAccumulator((), dtype)
    for block in data.draw(st.permutations(np.split(x, cuts))):
        piece = LogSumExpAccumulator((), dtype)
        piece.update(block)
        merged.merge(piece)
    eps = np.finfo(dtype).eps
    tiny = np.finfo(dtype).smallest_subnormal
    for sums in (whole, parts, merged):
        np.testing.assert_allclose(sums.softmax(x), softmax(x), rtol=2 * eps, atol=tiny)
        np.testing.assert_allclose(sums.log_softmax(x), log_softmax(x), rtol=4 * eps, atol=tiny)
        np.testing.assert_allclose(sums.logsumexp(), logsumexp(x), rtol=2 * eps, atol=eps)


@pytest.mark.parametrize(
    "row",
    [[1, -INF, 2], [-INF] * 3, [INF, 1, -INF], [INF, INF, 0], [NAN, 1, 2], [NAN, INF, -INF], [1e30, 1e30, -1e30], [5]],
    ids=str,
)
def test_special_values(row, dtype):
    x = np.array(row, dtype)
    for cuts in ([], [1], [1, 2], [0, 0, 1]):
        sums = filled(x, [c for c in cuts if c <= x.size])
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(sums.softmax(x), softmax(x), rtol=2 * eps)
        np.testing.assert_allclose(sums.log_softmax(x), log_softmax(x), rtol=4 * eps)
        np.testing.assert_allclose(sums.logsumexp(), logsumexp(x), rtol=eps)


def test_nothing_seen(dtype):
    sums = LogSumExpAccumulator((2, 3), dtype)
    np.testing.assert_array_equal(sums.logsumexp(), np.full((2, 3), -INF))
    sums.update(np.empty((2, 3, 0), dtype))
    assert (sums.logsumexp() == -INF).all()
    assert np.isnan(sums.softmax(np.ones((2, 3, 1), dtype))).all()
    assert LogSumExpAccumulator(0, dtype).logsumexp().shape == (0,)


# ---- shapes, layouts -------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("order", ["C", "F"])
def test_axes_and_layouts(axis, order, dtype):
    x = np.asarray(np.random.default_rng(31).standard_normal((5, 60, 7)) * 9, dtype, order)
    sums = filled(x, [2], axis)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(sums.logsumexp(), logsumexp(x, axis), rtol=2 * eps, atol=eps)
    np.testing.assert_allclose(sums.softmax(x, axis), softmax(x, axis), rtol=4 * eps)
    out = np.empty(x.shape[::-1], dtype).T
    assert sums.log_softmax(x, axis, out=out) is out
    np.testing.assert_allclose(out, log_softmax(x, axis), rtol=4 * eps)
    assert sums.softmax(x, axis, out=x) is x
    np.testing.assert_allclose(x.sum(axis=axis), 1, rtol=1e-5)


def test_overlapping_out(dtype):
    room = np.random.default_rng(31).standard_normal(50).astype(dtype)
    sums = filled(room[:40], [7])
    expected = sums.softmax(room[:40])
    sums.softmax(room[:40], out=room[3:43])
    np.testing.assert_array_equal(room[3:43], expected)


def test_any_number_of_threads(dtype):
    x = np.random.default_rng(31).standard_normal((3, LONG)).astype(dtype)
    results = []
    for threads in (1, 2, 3, 8):
        sums = LogSumExpAccumulator(3, dtype)
        sums.update(x, threads=threads)
        results.append(sums.softmax(x, threads=threads).tobytes() + sums.logsumexp().tobytes())
    assert len(set(results)) == 1
    np.testing.assert_allclose(sums.softmax(x), softmax(x, 1), rtol=4 * np.finfo(dtype).eps)


def test_a_memory_map(tmp_path):
    x = np.memmap(tmp_path / "x", np.float32, "w+", shape=(3, 4000))
    x[...] = np.random.default_rng(7).standard_normal(x.shape) * 8
    expected = softmax(np.array(x), 1)
    sums = LogSumExpAccumulator(3, np.float32)
    for k in range(0, 4000, 900):
        sums.update(x[:, k : k + 900], 1)
    for k in range(0, 4000, 900):
        x[:, k : k + 900] = sums.softmax(x[:, k : k + 900], 1)
    np.testing.assert_allclose(x, expected, rtol=4 * np.finfo(np.float32).eps)


def test_pickles_and_copies(dtype):
    x = np.random.default_rng(7).standard_normal((4, 30)).astype(dtype)
    sums = filled(x[:, :20], [])
    for twin in (pickle.loads(pickle.dumps(sums)), copy.deepcopy(sums)):
        twin.update(x[:, 20:])
        assert (twin.shape, twin.dtype) == ((4,), dtype)
        np.testing.assert_allclose(twin.logsumexp(), logsumexp(x, 1), rtol=2 * np.finfo(dtype).eps)
    np.testing.assert_allclose(sums.logsumexp(), logsumexp(x[:, :20], 1), rtol=2 * np.finfo(dtype).eps)


def test_pickled_on_a_machine_of_another_level(dtype):
    """Where one needs a shift and the other does not: the safe range is smaller without fused multiply-add."""
    rows = np.array([[3e7], [5e3], [-3e7], [0]]) + np.random.default_rng(7).integers(-20, 20, (4, 30))
    x = rows.astype(dtype)
    code = (
        "import pickle, sys, numpy as np; from solvers.special import LogSumExpAccumulator\n"
        "x = pickle.loads(bytes.fromhex(sys.argv[1])); sums = LogSumExpAccumulator(4, x.dtype)\n"
        "sums.update(x[:, :20]); print(pickle.dumps(sums).hex())"
    )
    for level in ("baseline", "avx2", "avx512"):
        command = [sys.executable, "-P", "-c", code, pickle.dumps(x).hex()]
        environment = {**os.environ, "SOLVERS_ISA": level}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        sums = pickle.loads(bytes.fromhex(done.stdout))
        sums.update(x[:, 20:])
        np.testing.assert_allclose(sums.softmax(x), softmax(x, 1), rtol=2 * np.finfo(dtype).eps)
        np.testing.assert_allclose(sums.log_softmax(x), log_softmax(x, 1), rtol=4 * np.finfo(dtype).eps)
        np.testing.assert_allclose(sums.logsumexp(), logsumexp(x, 1), rtol=2 * np.finfo(dtype).eps)


def test_merged_with_itself(dtype):
    x = np.random.default_rng(7).standard_normal(30).astype(dtype)
    sums = filled(x, [])
    sums.merge(sums)
    np.testing.assert_allclose(sums.logsumexp(), logsumexp(np.concatenate([x, x])), rtol=2 * np.finfo(dtype).eps)


# ---- bad input -------------------------------------------------------------------------------------


def test_bad_input(dtype):
    sums = LogSumExpAccumulator((2, 3), dtype)
    for shape, axis in (((2, 3), -1), ((2, 4, 5), 2), ((2, 3, 5), 0), ((2, 3, 5, 1), 2)):
        with pytest.raises(ValueError, match="block of shape"):
            sums.update(np.ones(shape, dtype), axis)
    with pytest.raises(np.exceptions.AxisError):
        sums.update(np.ones((2, 3, 4), dtype), 3)
    with pytest.raises(TypeError, match=r"^block must be"):
        sums.update(np.ones((2, 3, 4), complex))
    with pytest.raises(TypeError):
        sums.update(np.ones((2, 3, 4), dtype), (1, 2))
    other = np.float32 if dtype is np.float64 else np.float64
    with pytest.raises(TypeError, match="out must be"):
        sums.softmax(np.ones((2, 3, 4), dtype), out=np.empty((2, 3, 4), other))
    for wrong, error in ((LogSumExpAccumulator((2, 3), other), TypeError), (LogSumExpAccumulator(2, dtype), ValueError),
                         (3, TypeError)):  # fmt: skip
        with pytest.raises(error, match=r"^other"):
            sums.merge(wrong)
    assert (sums.logsumexp() == -INF).all()


def test_types_that_do_not_fit():
    sums = LogSumExpAccumulator((), np.float32)
    for block in (np.ones(3), np.ones(3, np.int64), [1.0]):
        with pytest.raises(TypeError, match="does not fit an accumulator of float32"):
            sums.update(block)
    LogSumExpAccumulator(()).update(np.ones(3, np.float32))
    for dtype in (np.float16, np.int64, complex, "U3"):
        with pytest.raises(TypeError, match="dtype must be"):
            LogSumExpAccumulator(3, dtype)
    with pytest.raises(ValueError, match="shape"):
        LogSumExpAccumulator(-1)
    with pytest.raises(TypeError):
        LogSumExpAccumulator(1.5)
    assert repr(LogSumExpAccumulator((2, 3))) == "LogSumExpAccumulator((2, 3), float64)"


def test_the_binding_refuses_wrong_shapes(dtype):
    x = np.ones((4, 6), dtype)
    for sums in (
        np.zeros((3, 5)),
        np.zeros((4, 4)),
        np.zeros(20),
        np.zeros((4, 5), np.float32),
        np.zeros((4, 9))[:, :5],
    ):
        for call in (
            lambda sums: _kernels.add_to_sums(x, sums),
            lambda sums: _kernels.divide_by_sums(x, x, sums),
            lambda sums: _kernels.subtract_sums(x, x, sums),
            lambda sums: _kernels.log_of_sums(sums, np.empty(4, dtype)),
            lambda sums: _kernels.join_sums(sums, np.zeros((4, 5))),
        ):
            with pytest.raises(ValueError):
                call(sums)
