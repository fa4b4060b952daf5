"""Errors in units in the last place, against mpmath for short rows and the long double of NumPy for long ones.

A reference value r is kept as (head, rest): head is r rounded to the data type, rest what is missing, in units
of the spacing at head. The error of y in ULP is then |(y - head) / spacing - rest|, where every step but the last
is exact for a y near r. Below the smallest normal number the spacing is that of the subnormals.

The long double of x86 has 64 bits. Its exponential is good to about 1 of its own units, the argument x - max is
carried in two words, and pairwise summation of 2^20 terms loses at most some 20 units: together a relative error
below 2^-57, so a sixteenth of a ULP of float64. `test_long_double_is_good_enough` checks this against mpmath.
"""

import math

import mpmath as mp
import numpy as np
import pytest

from solvers.special import log_softmax, logsumexp, softmax

mp.mp.dps = 50

MAX_ULP, MEAN_ULP = 2.0, 0.6
REFERENCE_ERROR = 2.0**-4  # of the long double, in ULP of float64

needs_long_double = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="the long double of this machine is no wider than float64"
)


# ---- data ------------------------------------------------------------------------------------------


def normal(scale):
    return lambda rng, n: rng.standard_normal(n) * scale


def uniform(low, high):
    return lambda rng, n: rng.uniform(low, high, n)


def ramp(step):
    return lambda rng, n: step * np.arange(n, dtype=float)


def alternating(rng, n):
    return 3.0 * np.arange(n) * (-1.0) ** np.arange(n)


def spike(where):
    def row(rng, n):
        x = rng.standard_normal(n)
        x[int(where * (n - 1))] += 300
        return x

    return row


def masked(value, where):
    """Normal numbers with a mask constant at random halves, the head, or the last place."""

    def row(rng, n):
        x = rng.standard_normal(n)
        hidden = {"half": rng.random(n) < 0.5, "head": np.arange(n) < min(64, n - 1), "last": np.arange(n) == n - 1}
        hidden[where][n // 2] = n == 1
        x[hidden[where] & (np.arange(n) != n // 2)] = value
        return x

    return row


ROWS = {
    "normal": normal(1),
    "normal10": normal(10),
    "below": uniform(-80, 0),
    "above": uniform(900, 1000),
    "far below": uniform(-1e5, -1e5 + 80),
    "wide": uniform(-1000, 1000),
    "huge": uniform(2e6, 2e6 + 80),
    "ascending": ramp(3.0),
    "descending": ramp(-3.0),
    "alternating": alternating,
    "spike first": spike(0.0),
    "spike middle": spike(0.5),
    "spike last": spike(1.0),
    "mask -inf half": masked(-np.inf, "half"),
    "mask -inf head": masked(-np.inf, "head"),
    "mask -inf last": masked(-np.inf, "last"),
    "mask -1e9 half": masked(-1e9, "half"),
    "mask -1e9 head": masked(-1e9, "head"),
    "mask min half": masked(-3e38, "half"),
    "mask min last": masked(-3e38, "last"),
}

LENGTHS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 257]


def make(name, n, dtype, seed):
    return ROWS[name](np.random.default_rng(seed), n).astype(dtype)


# ---- references ------------------------------------------------------------------------------------


def split(values, dtype):
    """Numbers of mpmath as (head, rest)."""
    head = np.array([float(v) for v in values]).astype(dtype)
    rest = [float((v - mp.mpf(float(h))) / mp.mpf(float(np.spacing(h)))) for v, h in zip(values, head, strict=True)]
    return head, np.array(rest)


def split_long(values, dtype):
    """The same for an array of long double."""
    head = values.astype(dtype)
    return head, ((values - head) / np.spacing(head)).astype(float)


def exact_terms(x):
    """exp(x - max) and their sum."""
    values = [mp.mpf(float(v)) for v in x]
    top = max(values)
    terms = [mp.exp(v - top) for v in values]
    return terms, mp.fsum(terms)


def exact_softmax(x):
    terms, total = exact_terms(x)
    return [t / total for t in terms]


def exact_log_softmax(x):
    terms, _ = exact_terms(x)
    top = int(np.argmax(x))
    rest = mp.log1p(mp.fsum(terms[:top] + terms[top + 1 :]))
    return [mp.mpf(float(v)) - mp.mpf(float(x[top])) - rest for v in x]


def long_softmax(x):
    """Of each row."""
    wide = x.astype(np.longdouble)
    top = wide.max(axis=-1, keepdims=True)
    head = wide - top
    tail = wide - (head + top)  # what the subtraction lost: head >= -|top - x|, so this is exact
    terms = np.exp(head) * (1 + tail)
    return terms / terms.sum(axis=-1, keepdims=True)


def ulps(y, reference, dtype):
    """Errors in ULP."""
    head, rest = reference
    assert y.dtype == dtype
    difference = (y.astype(float) - head.astype(float)) / np.spacing(head).astype(float)
    return np.abs(difference - rest)


def check_softmax(y, reference, dtype, slack=0.0):
    error = ulps(y, reference, dtype)
    normal_numbers = reference[0] >= np.finfo(dtype).tiny
    assert error[normal_numbers].max(initial=0) <= MAX_ULP + slack
    assert error[~normal_numbers].max(initial=0) <= 1 + slack  # one spacing of the subnormal grid


# ---- softmax ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["normal", "normal10"])
@pytest.mark.parametrize("n", LENGTHS)
def test_softmax_at_lengths_around_vectors(name, n, dtype):
    x = make(name, n, dtype, seed=7919 + n)
    check_softmax(softmax(x), split(exact_softmax(x), dtype), dtype)


@pytest.mark.parametrize("name", ROWS)
def test_softmax_of_each_data_set(name, dtype):
    x = make(name, 701, dtype, seed=3571)
    check_softmax(softmax(x), split(exact_softmax(x), dtype), dtype)


@needs_long_double
@pytest.mark.parametrize("name", ["normal10", "below", "above", "far below", "wide", "huge", "mask -1e9 half"])
@pytest.mark.parametrize("n", [4095, 4096, 4097, 32001, 2**17 + 5])
def test_softmax_of_longer_rows(name, n, dtype):
    x = make(name, n, dtype, seed=104729)
    y, reference = softmax(x), split_long(long_softmax(x), dtype)
    check_softmax(y, reference, dtype, slack=REFERENCE_ERROR)
    normal_numbers = reference[0] >= np.finfo(dtype).tiny
    assert ulps(y, reference, dtype)[normal_numbers].mean() <= MEAN_ULP


@needs_long_double
@pytest.mark.parametrize("name", ["normal", "below", "wide"])
def test_softmax_of_a_million(name, dtype):
    x = make(name, 2**20 + 1, dtype, seed=1299709)
    check_softmax(softmax(x), split_long(long_softmax(x), dtype), dtype, slack=REFERENCE_ERROR)


@needs_long_double
def test_softmax_of_sixteen_million(dtype):
    """A sample of the results: the reference goes over x in pieces, so as not to need gigabytes."""
    x = (np.random.default_rng(0).standard_normal(2**24, np.float32) * 10).astype(dtype)
    y, top = softmax(x), np.longdouble(x.max())
    total = sum(np.exp(piece.astype(np.longdouble) - top).sum() for piece in np.split(x, 16))
    places = np.random.default_rng(1).integers(0, x.size, 4096)
    wide = x[places].astype(np.longdouble)
    head = wide - top  # as in long_softmax
    exact = np.exp(head) * (1 + (wide - (head + top))) / total
    check_softmax(y[places], split_long(exact, dtype), dtype, slack=REFERENCE_ERROR)


@needs_long_double
@pytest.mark.parametrize("n", [2, 3, 8, 16, 40, 200])
@pytest.mark.parametrize("scale", [0.5, 2, 10])
def test_softmax_of_many_short_rows(n, scale, dtype):
    """A plain sum of the vectors of a tile is seen here: with elements of very different sizes, in few rows."""
    rng = np.random.default_rng(15487469)
    x = (rng.standard_normal((100_000 // n, n)) * scale + rng.choice([0, 50, -300])).astype(dtype)
    check_softmax(softmax(x, axis=1), split_long(long_softmax(x), dtype), dtype, slack=REFERENCE_ERROR)


@needs_long_double
@pytest.mark.parametrize("n", [2, 7, 16, 17, 39, 64, 100])
def test_logsumexp_of_many_short_rows(n, dtype):
    """Around 0, where a ULP is that of 1: no sum may bring along what its terms have in common."""
    x = normal(3)(np.random.default_rng(32452843), 4096 * n).astype(dtype).reshape(-1, n)
    x -= logsumexp(x, axis=1)[:, None] + np.linspace(-2, 2, 4096, dtype=dtype)[:, None]
    wide = x.astype(np.longdouble)
    exact = np.log(np.exp(wide).sum(axis=1))
    unit = np.spacing(np.maximum(np.abs(exact), 1).astype(dtype))
    for got in (logsumexp(x, axis=1), logsumexp(np.ascontiguousarray(x.T), axis=0)):
        assert (np.abs(got - exact) / unit).max() <= 1


@needs_long_double
@pytest.mark.parametrize("n", [2, 3, 17, 64, 200])
@pytest.mark.parametrize("scale", [0, 1, 10])
def test_softmax_of_many_columns(n, scale, dtype):
    """What all terms have in common is seen here, as the rounding of a table's entry: in columns of one number."""
    rng = np.random.default_rng(32452843)
    columns = 60_000 // n
    x = (rng.standard_normal((columns, n)) * scale + 5 * rng.standard_normal((columns, 1))).astype(dtype)
    got = softmax(np.ascontiguousarray(x.T), axis=0).T
    check_softmax(got, split_long(long_softmax(x), dtype), dtype, slack=REFERENCE_ERROR)


@needs_long_double
@pytest.mark.parametrize("name", ["normal10", "far below", "wide", "huge", "ascending", "mask -1e9 half"])
def test_softmax_of_lines_in_chunks(name, dtype):
    """Lines across memory that are longer than the scratch: their chunks are added up first."""
    x = np.stack([make(name, 2**15 + 5, dtype, seed=k) for k in range(3)]).T[:, ::-1]
    check_softmax(softmax(x, 0).T, split_long(long_softmax(x.T), dtype), dtype, slack=REFERENCE_ERROR)


@needs_long_double
def test_long_double_is_good_enough():
    for name in ("below", "wide", "normal10"):
        x = make(name, 500, np.float64, seed=6151)
        with mp.workdps(50):
            for exact, long in zip(exact_softmax(x), long_softmax(x), strict=True):
                mantissa, exponent = np.frexp(long)
                head = float(mantissa)
                value = mp.ldexp(mp.mpf(head) + mp.mpf(float(mantissa - head)), int(exponent))
                assert abs(value - exact) <= exact * mp.mpf(2) ** -57


def test_the_measure_sees_three_ulp(dtype):
    x = make("normal10", 64, dtype, seed=3571)
    reference = split(exact_softmax(x), dtype)
    wrong = reference[0] + 3 * np.spacing(reference[0])
    with pytest.raises(AssertionError):
        check_softmax(wrong, reference, dtype)


@pytest.mark.parametrize(
    ("dtype", "x"),
    [
        (np.float32, [0, -87.5, -90, -100, -103, -103.9, -104.5]),
        (np.float64, [0, -708.5, -720, -740, -744, -745, -746]),
    ],
    ids=["f32", "f64"],
)
@pytest.mark.parametrize("shift", [0, 64, -4096])
@pytest.mark.parametrize("copies", [1, 7])
def test_subnormal_results_are_rounded_not_flushed(dtype, x, shift, copies):
    x = np.tile(np.array(x, dtype) + dtype(shift), copies)
    y = softmax(x)
    check_softmax(y, split(exact_softmax(x), dtype), dtype)
    assert ((y > 0) & (y < np.finfo(dtype).tiny)).sum() >= 3 * copies


@pytest.mark.parametrize("value", [0.0, 88.8, -1e30, 1e5, -1e5, "max", "min"])
@pytest.mark.parametrize("n", [1, 2, 3, 17, 64, 1000, 4_000_000])
def test_equal_elements_share_equally(value, n, dtype):
    if isinstance(value, str):
        value = getattr(np.finfo(dtype), value)
    y = softmax(np.full(n, value, dtype))
    assert (y == y[0]).all()
    check_softmax(y[:1], split([mp.mpf(1) / n], dtype), dtype)


@pytest.mark.parametrize("n", [8000, 16_384, 20_000, 33_000, 70_000])
@pytest.mark.parametrize("gap", [6.0, 8.5, 9.75, 11.0, 12.0])
@pytest.mark.parametrize("method", ["one-exponential", "two-pass"])
def test_one_large_among_equal_ones(method, gap, n, dtype):
    """What equal terms lose on the sum's grid is rounded alike."""
    x = np.full(n, -gap, dtype)
    x[0] = 0
    total = 1 + (n - 1) * mp.exp(-gap)
    y = softmax(x, method=method)
    assert (y[1:] == y[1]).all()
    for got, exact in ((y[0], 1 / total), (y[1], mp.exp(-gap) / total)):
        assert abs(mp.mpf(float(got)) - exact) <= 2 * mp.mpf(float(np.spacing(dtype(float(exact)))))


@pytest.mark.parametrize("gap", [0.0, 8.5, 12.0])
def test_one_large_among_sixteen_million_by_one_exponential(gap, dtype):
    """What each block loses on the sum of a whole row is rounded as well."""
    n, low = 2**24, float(dtype(0.3))
    x = np.full(n, low, dtype)
    x[5] += dtype(gap)
    step = mp.mpf(float(x[5])) - mp.mpf(low)
    total = mp.exp(step) + (n - 1)
    y = softmax(x, method="one-exponential")[[5, 0, n - 1]]
    check_softmax(y, split([mp.exp(step) / total, 1 / total, 1 / total], dtype), dtype)


@needs_long_double
@pytest.mark.parametrize("n", [64, 100, 1000, 4000])
@pytest.mark.parametrize("span", [1.0, 6.8, 7.5, 8.5, 8.9, 10.4, 11.8, 16.0, 22.5, 28.0])
def test_large_and_small_ones_that_share_a_lane(span, n, dtype):
    """Short powers add up exactly in rows that span little; a plain sum of those that span more would lose as much each
    time, in whatever order vectors and lanes are added."""
    rng = np.random.default_rng(86028121)
    rows = []
    for period in (2, 16, 32, 48, 64, 128):
        pattern = np.where(np.arange(period) < max(1, period // 4), 0.0, -span + rng.random(period) * 0.05)
        rows += [np.resize(np.roll(pattern, k), n) for k in range(0, period, max(1, period // 8))]
    x = (np.array(rows) + rng.choice([0.0, 0.3, -41.7], (len(rows), 1))).astype(dtype)
    check_softmax(softmax(x, axis=1), split_long(long_softmax(x), dtype), dtype, slack=REFERENCE_ERROR)


@pytest.mark.parametrize("where", [0, 0.5, 1], ids=["first", "middle", "last"])
def test_one_large_among_four_million(where, dtype):
    """The sum is 1 + (n - 1) e^-16: plain summation in float32 would lose most of it."""
    n = 4_000_000
    x = np.full(n, -16, dtype)
    large = int(where * (n - 1))
    x[large] = 0
    y = softmax(x)
    small = mp.exp(-16)
    total = 1 + (n - 1) * small
    check_softmax(y[[large, large - 1, n // 3]], split([1 / total, small / total, small / total], dtype), dtype)
    assert np.unique(y).size == 2


@pytest.mark.parametrize("n", [5, 100, 100_000])
def test_logarithms_of_the_naturals(n, dtype):
    """x_j = ln j gives 2 j / (n (n + 1)), up to the rounding of the logarithms themselves."""
    j = np.arange(1, n + 1)
    y = softmax(np.log(j.astype(float)).astype(dtype)).astype(float)
    tolerance = (math.log(n) + 4) * np.finfo(dtype).eps
    np.testing.assert_allclose(y, 2.0 * j / (n * (n + 1.0)), rtol=tolerance)


def test_powers_of_two(dtype):
    j = np.arange(60)
    y = softmax((-j * math.log(2)).astype(dtype)).astype(float)
    np.testing.assert_allclose(y, 2.0 ** -(j + 1), rtol=45 * np.finfo(dtype).eps)


def test_results_add_up_to_one(dtype):
    for n in (3, 50, 4097):
        y = softmax(make("normal10", n, dtype, seed=2741))
        # Every result is within 2 ULP <= 4 u of its own, so the exact sum of the results is too.
        assert abs(math.fsum(y.tolist()) - 1) <= 2 * np.finfo(dtype).eps + n * np.finfo(dtype).smallest_subnormal


# ---- log_softmax -----------------------------------------------------------------------------------


def check_log_softmax(x, dtype):
    """Relative error at most 4 unit roundoffs for every entry, so at most 4 ULP; -inf where x is."""
    y = log_softmax(x)
    assert y.dtype == dtype
    u = mp.mpf(float(np.finfo(dtype).eps)) / 2
    tiny = mp.mpf(float(np.finfo(dtype).smallest_subnormal))
    for got, exact in zip(y, exact_log_softmax(x), strict=True):
        if mp.isinf(exact) or abs(exact) > mp.mpf(float(np.finfo(dtype).max)):
            assert got == -np.inf
        else:
            assert abs(mp.mpf(float(got)) - exact) <= 4 * u * abs(exact) + tiny


@pytest.mark.parametrize("name", ROWS)
def test_log_softmax_of_each_data_set(name, dtype):
    check_log_softmax(make(name, 307, dtype, seed=3571), dtype)


@pytest.mark.parametrize("n", LENGTHS)
def test_log_softmax_at_lengths_around_vectors(n, dtype):
    check_log_softmax(make("normal10", n, dtype, seed=15485863 + n), dtype)


@pytest.mark.parametrize("top", [0, 1, 17.25, -30, 5e4, -3e7])
@pytest.mark.parametrize("gap", [0.5, 5, 20, 40, 80, 700])
@pytest.mark.parametrize("n", [2, 3, 40])
def test_log_of_a_probability_near_one(top, gap, n, dtype):
    x = np.full(n, top - gap, dtype)
    x[n // 2] = top
    check_log_softmax(x, dtype)


def test_log_softmax_of_20_0_0():
    y = log_softmax(np.array([20, 0, 0], np.float32))
    assert y[0] == pytest.approx(-math.log1p(2 * math.exp(-20)), rel=4 * 2.0**-24)
    assert y[0] == pytest.approx(-4.1223e-9, rel=1e-4)


@pytest.mark.parametrize("step", [1, 2], ids=["contiguous", "in chunks"])
def test_log_softmax_of_a_long_row(step, dtype):
    n = 3_000_000
    x = np.full(n * step, -16, dtype)[::step]
    x[n // 2] = 0
    y = log_softmax(x)
    rest = mp.log1p((n - 1) * mp.exp(-16))
    u = float(np.finfo(dtype).eps) / 2
    assert abs(float(y[n // 2] + rest)) <= 4 * u * float(rest)
    assert abs(float(y[0] + 16 + rest)) <= 4 * u * float(16 + rest)


# ---- logsumexp -------------------------------------------------------------------------------------


def check_logsumexp(got, exact, dtype, condition=1.0):
    """One ULP of the value, or of 1: a sum known to one rounding has a logarithm known to one ULP of 1.

    `condition` is sum |b_k| exp(x_k) / |sum b_k exp(x_k)|: how much of the sum weights of both signs cancel.
    """
    assert got.dtype == dtype
    size = dtype(min(max(abs(exact), 1), np.finfo(dtype).max / 2))
    assert abs(mp.mpf(float(got)) - exact) <= mp.mpf(float(np.spacing(size))) * condition


def exact_logsumexp(x, b=None):
    """Value, sign and condition."""
    values = [mp.mpf(float(v)) for v in x]
    weights = [mp.mpf(1)] * len(values) if b is None else [mp.mpf(float(w)) for w in b]
    terms = [w * mp.exp(v) for v, w in zip(values, weights, strict=True) if w]
    total = mp.fsum(terms)
    return mp.log(abs(total)), int(mp.sign(total)), float(mp.fsum(abs(t) for t in terms) / abs(total))


@pytest.mark.parametrize("name", ROWS)
def test_logsumexp_of_each_data_set(name, dtype):
    x = make(name, 701, dtype, seed=3571)
    check_logsumexp(logsumexp(x), exact_logsumexp(x)[0], dtype)


@pytest.mark.parametrize("n", LENGTHS)
def test_logsumexp_at_lengths_around_vectors(n, dtype):
    x = make("normal10", n, dtype, seed=32452843 + n)
    check_logsumexp(logsumexp(x), exact_logsumexp(x)[0], dtype)


@pytest.mark.parametrize("n", [1, 3, 1000, 4_000_000])
@pytest.mark.parametrize("value", [0, -1e30, 88.8, "max"])
def test_logsumexp_of_equal_elements(n, value, dtype):
    value = dtype(np.finfo(dtype).max if value == "max" else value)
    check_logsumexp(logsumexp(np.full(n, value)), mp.mpf(float(value)) + mp.log(n), dtype)


def test_logsumexp_where_the_sum_is_nearly_one(dtype):
    """ln(1 - 2^-20) and neighbours: the relative error of the sum is the absolute error of the result."""
    for probability in (0.5, 0.999999, 1e-3):
        x = np.log(np.array([probability, 1 - probability])).astype(dtype)
        check_logsumexp(logsumexp(x), exact_logsumexp(x)[0], dtype)


@pytest.mark.parametrize("signs", ["positive", "mixed"])
@pytest.mark.parametrize("name", ["normal10", "above", "far below", "wide", "huge", "mask -inf half"])
def test_weighted_logsumexp(name, signs, dtype):
    for n in (1, 2, 5, 33, 400):
        x = make(name, n, dtype, seed=49979687)
        b = np.random.default_rng(86028121 + n).uniform(-1 if signs == "mixed" else 0, 1, n).astype(dtype)
        b[n // 3 :: 5] = 0 if n > 2 else b[0]
        value, sign = logsumexp(x, b=b, return_sign=True)
        exact, exact_sign, condition = exact_logsumexp(x, b)
        assert sign == exact_sign
        check_logsumexp(value, exact, dtype, condition)


def test_weights_over_the_whole_range(dtype):
    """Weights from subnormal to near overflow, with exponents that make up for them."""
    largest = math.log(np.finfo(dtype).max)
    rng = np.random.default_rng(67867979)
    for n in (2, 9, 700):
        log_b = rng.uniform(-1.1 * largest, 0.99 * largest, n)
        b = np.exp(log_b).astype(dtype) * rng.choice([-1, 1, 1], n).astype(dtype)
        x = (rng.uniform(-5, 5, n) - log_b).astype(dtype)
        for shift in (0, 1e5 if dtype is np.float32 else 1e15):
            value, sign = logsumexp(x + dtype(shift), b=b, return_sign=True)
            exact, exact_sign, condition = exact_logsumexp(x + dtype(shift), b)
            assert sign == exact_sign
            check_logsumexp(value, exact, dtype, condition)


@pytest.mark.parametrize(
    ("x", "b"),
    [([90, 0], [1e-38, 1]), ([90, 0], [1e-5, 3e38]), ([80, 0], [1e-44, 1]), ([0] * 99, [3e38] * 99)],
)
def test_a_small_term_with_a_huge_weight_counts(x, b, dtype):
    if dtype is np.float64:
        x, b = np.array(x) * 8.0, np.array(b) ** 7.9
    x, b = np.array(x, dtype), np.array(b, dtype)
    check_logsumexp(logsumexp(x, b=b), exact_logsumexp(x, b)[0], dtype)
