"""The calls of scipy.special: same arguments, same values, same types; where we differ, what our pages say."""

import warnings

import numpy as np
import pytest
import scipy.special

import solvers.special

NAMES = ["softmax", "log_softmax", "logsumexp"]
AXES = [None, 0, 1, 2, -1, -3, (0, 1), (2, 0), (-1, -2), (0, 1, 2), ()]
INF, NAN = np.inf, np.nan


def pair(name):
    return getattr(solvers.special, name), quiet(getattr(scipy.special, name))


def quiet(function):
    """SciPy warns of infinities and of an overflow on the way to a finite result."""

    def call(*args, **kwargs):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)

    return call


def assert_same(ours, scipys, dtype=None):
    assert np.shape(ours) == np.shape(scipys)
    assert np.asarray(ours).dtype == (dtype or np.asarray(scipys).dtype)
    single = np.asarray(ours).dtype == np.float32
    np.testing.assert_allclose(ours, scipys, rtol=2e-5 if single else 5e-14, atol=2e-6 if single else 5e-15)


@pytest.fixture
def cube(dtype):
    return (np.random.default_rng(5323).standard_normal((3, 4, 5)) * 6).astype(dtype)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", NAMES)
def test_axes(name, axis, cube):
    ours, scipys = pair(name)
    assert_same(ours(cube, axis), scipys(cube, axis))
    assert_same(ours(cube, axis=axis), scipys(cube, axis=axis))


@pytest.mark.parametrize("shape", [(), (1,), (7,), (1, 1), (2, 1, 3), (5, 0, 2), (2, 3, 2, 3, 2)])
@pytest.mark.parametrize("name", NAMES)
def test_shapes(name, shape, dtype):
    ours, scipys = pair(name)
    x = np.random.default_rng(9901).standard_normal(shape).astype(dtype)
    for axis in (None, *range(-len(shape), len(shape))):
        if x.size:
            assert_same(ours(x, axis), scipys(x, axis))
        elif name != "logsumexp":
            assert ours(x, axis).shape == shape


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("name", NAMES)
def test_scalars_have_one_axis(name, axis):
    ours, scipys = pair(name)
    assert_same(ours(3.25, axis), scipys(3.25, axis))
    with pytest.raises(np.exceptions.AxisError):
        ours(3.25, 1)


@pytest.mark.parametrize("name", NAMES)
def test_lists_and_tuples(name):
    ours, scipys = pair(name)
    for x in ([1, 2, 3], [[0.5, -1.0], [2.0, 8.0]], (1.5, 2.5), [True, False], 4, 4.5, range(5)):
        assert_same(ours(x), scipys(np.asarray(x, dtype=float)))


@pytest.mark.parametrize("kind", ["?", "b", "B", "h", "H", "i", "I", "l", "L", "q"])
@pytest.mark.parametrize("name", NAMES)
def test_integers_and_booleans_become_float64(name, kind):
    ours, scipys = pair(name)
    x = np.array([[0, 1, 1], [1, 0, 1]]).astype(kind)
    assert_same(ours(x, 1), scipys(x.astype(float), 1), np.float64)


@pytest.mark.parametrize("name", NAMES)
def test_float_types_stay(name, dtype):
    ours, scipys = pair(name)
    x = np.arange(6, dtype=dtype).reshape(2, 3)
    for axis in (None, 1):
        assert_same(ours(x, axis), scipys(x, axis), dtype)


@pytest.mark.parametrize("name", NAMES)
def test_results_are_new_arrays_or_scalars(name, cube):
    ours, scipys = pair(name)
    for axis in (None, 0, (0, 1)):
        mine = ours(cube, axis)
        assert type(mine) is type(scipys(cube, axis))
        assert not np.may_share_memory(mine, cube)


@pytest.mark.parametrize("name", NAMES)
def test_infinities_and_nan(name, dtype):
    ours, scipys = pair(name)
    rows = [[1, -INF, 2], [-INF] * 3, [INF, 1, -INF], [INF, INF, 0], [NAN, 1, 2], [NAN, INF, -INF], [1e30, 1e30, -1e30]]
    for row in rows:
        x = np.array(row, dtype)
        assert_same(ours(x), scipys(x))


@pytest.mark.parametrize("name", NAMES)
def test_empty_axis_is_no_error(name):
    """SciPy raises for the first two; docs/special.md says what we return."""
    x = np.empty((2, 0))
    if name == "logsumexp":
        np.testing.assert_array_equal(solvers.special.logsumexp(x, axis=1), scipy.special.logsumexp(x, axis=1))
    else:
        assert getattr(solvers.special, name)(x, axis=1).shape == (2, 0)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
def test_logsumexp_keepdims(axis, keepdims, cube):
    ours, scipys = pair("logsumexp")
    assert_same(ours(cube, axis, keepdims=keepdims), scipys(cube, axis, keepdims=keepdims))
    mine = ours(cube, axis, None, keepdims, True)  # SciPy's order of the arguments
    for ours_part, scipys_part in zip(mine, scipys(cube, axis, None, keepdims, True), strict=True):
        assert_same(ours_part, scipys_part)


@pytest.mark.parametrize("shape", [(3, 4, 5), (5,), (4, 1), (3, 1, 1), (1, 1, 5), ()])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
def test_logsumexp_weights_of_both_signs(axis, shape, cube):
    ours, scipys = pair("logsumexp")
    b = np.random.default_rng(7577).uniform(-1, 2, shape).astype(cube.dtype)
    for mine, theirs in zip(
        ours(cube, axis, b=b, return_sign=True), scipys(cube, axis, b=b, return_sign=True), strict=True
    ):
        assert_same(mine, theirs)
    assert_same(ours(cube, axis, b=b), scipys(cube, axis, b=b))


def test_weights_may_have_the_larger_shape(dtype):
    ours, scipys = pair("logsumexp")
    x, b = np.arange(3, dtype=dtype), np.arange(1, 7, dtype=dtype).reshape(2, 3)
    for axis in (None, 0, 1):
        assert_same(ours(x, axis, b=b), scipys(x, axis, b=b))
    with pytest.raises(ValueError):
        ours(x, b=np.ones((2, 4)))


@pytest.mark.parametrize("value", [INF, -INF, NAN, 1e30])
def test_a_zero_weight_hides_its_exponent(value, dtype):
    ours, scipys = pair("logsumexp")
    x = np.array([1, value, 2, value], dtype)
    for zero in (0.0, -0.0):
        b = np.array([1, zero, -3, zero], dtype)
        for mine, theirs in zip(ours(x, b=b, return_sign=True), scipys(x, b=b, return_sign=True), strict=True):
            assert_same(mine, theirs)


@pytest.mark.parametrize("a", [np.float32, np.float64, np.int64, bool])
@pytest.mark.parametrize("b", [np.float32, np.float64, np.int64, bool])
def test_types_of_exponents_and_weights(a, b):
    """Integers count as float64, and so does a float32 array beside integers; booleans adapt."""
    ours, scipys = pair("logsumexp")
    x, w = np.array([0, 1, 1]).astype(a), np.array([1, 1, 0]).astype(b)
    single = np.float32 in (a, b) and {a, b} <= {np.float32, bool} and a is not bool
    assert_same(ours(x, b=w), scipys(x.astype(float), b=w.astype(float)), np.float32 if single else np.float64)


def test_a_plain_number_as_weight_keeps_the_type(dtype):
    ours, scipys = pair("logsumexp")
    x = np.arange(4, dtype=dtype)
    for b in (2, 2.5, True):
        assert_same(ours(x, b=b), scipys(x, b=b), dtype)


def test_cancellation_gives_minus_infinity_and_sign_zero(dtype):
    ours, scipys = pair("logsumexp")
    x = np.array([3, 3, -700, -700], dtype)
    assert ours(x, b=[1, -1, 2, -2]) == scipys(x, b=[1, -1, 2, -2]) == -INF
    assert ours(x, b=[1, -1, 2, -2], return_sign=True)[1] == 0


def test_a_negative_sum_is_nan_without_its_sign(dtype):
    ours, scipys = pair("logsumexp")
    x = np.array([[0, 1], [1, 0]], dtype)
    assert_same(ours(x, 1, b=np.array([1, -1], dtype)), scipys(x, 1, b=np.array([1, -1], dtype)))


def test_the_values_of_scipys_own_page():
    """Examples that SciPy's documentation gives, typed in as numbers."""
    assert solvers.special.logsumexp(np.arange(10)) == pytest.approx(9.4586297444267107, rel=1e-15)
    weighted = solvers.special.logsumexp(np.arange(10), b=np.arange(10, 0, -1))
    assert weighted == pytest.approx(9.9170178533034665, rel=1e-15)
    value, sign = solvers.special.logsumexp([1, 2], b=[1, -1], return_sign=True)
    assert (value, sign) == (pytest.approx(1.5413248546129181, rel=1e-15), -1)
    assert solvers.special.softmax([1000, 0]).tolist() == [1, 0]
    assert solvers.special.log_softmax([1000.0, 1.0]).tolist() == [0, -999]


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([1000, 0, 0, 0], [1, 0, 0, 0]),
        ([1, 1], [0.5, 0.5]),
        ([0, 1], [1 / (1 + np.e), np.e / (1 + np.e)]),
        ([0, 1, 2, 3], [0.03205860328008499, 0.08714431874203256, 0.23688281808991013, 0.6439142598879722]),
        ([1000, 1001, 1002, 1003], [0.03205860328008499, 0.08714431874203256, 0.23688281808991013, 0.6439142598879722]),
    ],
)
def test_softmax_values_of_scipys_tests(x, expected):
    np.testing.assert_allclose(solvers.special.softmax(x), expected, rtol=1e-13)
    np.testing.assert_allclose(
        solvers.special.softmax(np.reshape(x, (2, -1))), np.reshape(expected, (2, -1)), rtol=1e-13
    )
    np.testing.assert_allclose(solvers.special.softmax([x, x], axis=1), [expected, expected], rtol=1e-13)
    np.testing.assert_allclose(solvers.special.softmax(np.array([x, x]).T, axis=0).T, [expected, expected], rtol=1e-13)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([1000, 1], [0, -999]),
        ([0, 1, 2, 3], [-3.4401896985611953, -2.4401896985611953, -1.4401896985611953, -0.44018969856119533]),
        (
            [-1000, -999, -998, -997],
            [-3.4401896985611953, -2.4401896985611953, -1.4401896985611953, -0.4401896985611953],
        ),
        ([0, 0, 0, 0, 0], [-1.6094379124341003] * 5),
        ([0, 400], [-400, 0]),
    ],
)
def test_log_softmax_values_of_scipys_tests(x, expected):
    np.testing.assert_allclose(solvers.special.log_softmax(x), expected, rtol=1e-13, atol=1e-170)
    np.testing.assert_allclose(
        solvers.special.log_softmax(np.array([x, x]).T, axis=0).T, [expected, expected], rtol=1e-13, atol=1e-170
    )


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (np.arange(200), None, 199.45867514538713),
        ([0, 0], None, 0.6931471805599453),
        (np.full(10_000, 1e-4), None, 9.210440371976182),
        ([1000, 1000], None, 1000.6931471805599),
        ([1e-6, 0], [-1, 1], NAN),
        ([0, 0], [1, 2], 1.0986122886681098),
        ([1000, -1000], None, 1000),
        ([-1000, -1000], None, -999.3068528194401),
    ],
)
def test_logsumexp_values_of_scipys_tests(a, b, expected):
    np.testing.assert_allclose(solvers.special.logsumexp(a, b=b), expected, rtol=1e-14)
