"""Coordinate descent through the C interface: the bits of the same fit in Python, and what bad input gives."""

import ctypes
import threading

import numpy as np
import pytest
import scipy.sparse
from library import CALLBACK, DOUBLES, LIBRARY, Control, Report, doubles, last_error

from solvers import Status
from solvers.learning import glm, glm_path

INTS = ctypes.POINTER(ctypes.c_int32)
LOSSES = ("squared", "logistic", "huber", "squared_hinge", "poisson")
INVALID, NO_MEMORY, STRUCT_SIZE, BUSY = -1, -2, -3, -4


class Design(ctypes.Structure):
    """sv_design."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t), ("n", ctypes.c_size_t), ("d", ctypes.c_size_t), ("X", DOUBLES),
        ("row_stride", ctypes.c_ssize_t), ("column_stride", ctypes.c_ssize_t), ("starts", INTS), ("index", INTS),
        ("value", DOUBLES),
    )  # fmt: skip

    def __init__(self, X):
        """Of any strides, or CSC."""
        super().__init__(ctypes.sizeof(Design), *X.shape)
        self.kept = X
        if scipy.sparse.issparse(X):
            self.starts, self.index = X.indptr.ctypes.data_as(INTS), X.indices.ctypes.data_as(INTS)
            self.value = doubles(X.data)
        else:
            self.X = X.ctypes.data_as(DOUBLES)
            self.row_stride, self.column_stride = (stride // 8 for stride in X.strides)


class Penalty(ctypes.Structure):
    """sv_glm_penalty."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t), ("l1", ctypes.c_double), ("l2", ctypes.c_double), ("weights", DOUBLES),
        ("low", DOUBLES), ("high", DOUBLES),
    )  # fmt: skip

    def __init__(self, l1=0.0, l2=0.0, weights=None, bounds=(None, None)):
        self.kept = weights, *bounds
        super().__init__(ctypes.sizeof(Penalty), l1, l2, *(None if x is None else doubles(x) for x in self.kept))


class Options(ctypes.Structure):
    """sv_glm_options."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t), ("tol", ctypes.c_double), ("x0", DOUBLES), ("intercept0", ctypes.c_double),
        ("first", ctypes.c_int64), ("screening", ctypes.c_int),
    )  # fmt: skip

    def __init__(self, tol=1e-6, x0=None, intercept0=0.0, first=0, screening=1):
        self.kept = x0
        super().__init__(ctypes.sizeof(Options), tol, None if x0 is None else doubles(x0), intercept0, first, screening)


class Result(ctypes.Structure):
    """sv_glm_result."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t), ("intercept", ctypes.c_double), ("fun", ctypes.c_double),
        ("gap", ctypes.c_double), ("kkt", ctypes.c_double),
    )  # fmt: skip

    def __init__(self):
        super().__init__(ctypes.sizeof(Result))


def fit(X, y, s=None, loss="squared", intercept=False, penalty=None, options=None, control=None):
    """(status, coefficients, result, report) of sv_glm_fit; NaN where nothing was written."""
    coef, result, report = np.full(X.shape[1], np.nan), Result(), Report()
    status = LIBRARY.sv_glm_fit(
        ctypes.byref(Design(X)), None if y is None else doubles(y), None if s is None else doubles(s),
        LOSSES.index(loss), int(intercept), _reference(penalty), _reference(options), _reference(control),
        doubles(coef), ctypes.byref(result), ctypes.byref(report),
    )  # fmt: skip
    return status, coef, result, report


def _reference(structure):
    return None if structure is None else ctypes.byref(structure)


def problem(seed, n=70, d=150, loss="squared", density=None):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * (1.0 if density is None else rng.random((n, d)) < density)
    z = X[:, :4] @ np.array([1.0, -0.5, 0.3, 0.2]) + rng.normal(size=n) + 0.4
    if loss in ("logistic", "squared_hinge"):
        return X, np.where(z > 0, 1.0, -1.0)
    return X, rng.poisson(np.exp(np.clip(z, -3, 2))).astype(float) if loss == "poisson" else z


def assert_same(found, expected):
    status, coef, result, report = found
    assert (status, report.nit) == (expected.status, expected.nit)
    np.testing.assert_array_equal(coef, expected.coef)
    assert (result.intercept, result.fun, result.kkt) == (expected.intercept, expected.fun, expected.kkt)
    np.testing.assert_array_equal(result.gap, expected.gap)
    assert report.measure == expected.measure


# ---- the same bits --------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("form", [np.asfortranarray, np.ascontiguousarray, scipy.sparse.csc_array])
def test_the_bits_of_python(loss, form):
    X, y = problem(11, loss=loss, density=0.4)
    X = form(X)
    lam, common = 0.4, {"loss": loss, "tol": 1e-10, "method": "coordinate-descent", "threads": 1}
    for ratio, intercept in ((1.0, True), (0.5, False)):
        found = fit(X, y, None, loss, intercept, Penalty(lam * ratio, lam * (1 - ratio)), Options(1e-10), Control())
        expected = glm(X, y, lam=lam, penalty="elastic-net", l1_ratio=ratio, fit_intercept=intercept, **common)
        assert found[0] == Status.CONVERGED
        assert_same(found, expected)


def test_the_bits_of_weights_bounds_and_a_start(seed):
    """Weights of 0 for samples and coefficients, infinite ones, bounds, a start beyond them, a strided matrix."""
    X, y = problem(seed)
    rng = np.random.default_rng(seed)
    X = np.repeat(X, 2, axis=0)[::2][:, ::-1]
    s, weights, x0 = rng.integers(0, 3, 70) / 2, rng.uniform(0.5, 2, 150), rng.normal(size=150)
    weights[7], weights[9] = 0, np.inf
    low, high = np.full(150, -0.2), np.full(150, np.inf)
    low[:20] = 0
    found = fit(
        X, y, s, "squared", True, Penalty(0.3, 0.0, weights, (low, high)), Options(1e-9, x0, 0.25, 20, 0), Control()
    )
    expected = glm(
        X, y, lam=0.3, weights=weights, bounds=(low, high), sample_weight=s, fit_intercept=True, x0=np.append(x0, 0.25),
        tol=1e-9, method="coordinate-descent", options={"first": 20, "screening": "none"}, threads=1,
    )  # fmt: skip
    assert_same(found, expected)
    sparse = scipy.sparse.csc_array(X)
    again = fit(sparse, y, s, penalty=Penalty(0.3), options=Options(1e-9))
    assert_same(again, glm(sparse, y, lam=0.3, sample_weight=s, tol=1e-9, method="coordinate-descent", threads=1))


def test_threads_leave_the_bits():
    X, y = problem(3, 40, 900)
    one, two = (fit(np.asfortranarray(X), y, penalty=Penalty(0.5), control=Control(threads=k)) for k in (1, 2))
    np.testing.assert_array_equal(one[1], two[1])


def test_degenerate_sizes():
    y = np.array([1.0, 2.0, 3.0])
    assert fit(np.ones((3, 0)), y, intercept=True, options=Options(1e-12))[2].intercept == pytest.approx(2.0)
    assert fit(np.zeros((3, 2)), y, penalty=Penalty(1.0))[1].tolist() == [0.0, 0.0]
    assert fit(np.array([[2.0]]), np.array([3.0]), penalty=Penalty(1.0))[1].tolist() == [1.25]


# ---- limits and callbacks -------------------------------------------------------------------------


def test_limits():
    X, y = problem(7)
    given = {"method": "coordinate-descent", "lam": 0.2, "tol": 1e-14, "options": {"first": 5}, "threads": 1}
    for steps in (0, 1, 3):
        found = fit(X, y, penalty=Penalty(0.2), options=Options(1e-14, first=5), control=Control(max_iter=steps))
        assert_same(found, glm(X, y, max_iter=steps, **given))
        assert found[0] == Status.MAX_ITER
    assert fit(X, y, penalty=Penalty(0.2), control=Control(time_limit=0.0))[0] == Status.TIME_LIMIT


def test_a_callback_sees_the_steps_and_stops():
    X, y = problem(7)
    seen = []

    @CALLBACK
    def callback(user, progress):
        at = progress.contents
        seen.append((at.nit, at.measure, np.ctypeslib.as_array(at.x, (at.x_size,)).copy()))
        return len(seen) == 2

    found = fit(X, y, penalty=Penalty(0.2), options=Options(1e-14, first=5), control=Control(callback=callback))
    assert (found[0], found[3].nit) == (Status.CALLBACK_STOP, 2)
    assert [nit for nit, _, _ in seen] == [1, 2]
    assert seen[-1][1] == found[3].measure
    np.testing.assert_array_equal(seen[-1][2], found[1])


# ---- handles --------------------------------------------------------------------------------------


def created(X, y, loss="squared"):
    glm_handle, design = ctypes.c_void_p(), Design(X)
    status = LIBRARY.sv_glm_create(
        ctypes.byref(glm_handle), ctypes.byref(design), doubles(y), None, LOSSES.index(loss), 0
    )
    assert status == 0, last_error()
    return glm_handle


def solved(handle, l1, control=None):
    coef = np.empty(150)
    status = LIBRARY.sv_glm_solve(
        handle, ctypes.byref(Penalty(l1)), None, _reference(control), doubles(coef), None, None
    )
    return status, coef


def test_a_handle_serves_many_penalties_and_threads_have_their_own():
    X, y = problem(23)
    X = np.asfortranarray(X)
    expected = {l1: fit(X, y, penalty=Penalty(l1))[1] for l1 in (0.3, 1.0, 3.0)}
    found = {}

    def work(strengths):
        handle = created(X, y)
        for l1 in strengths:
            found[strengths[0], l1] = solved(handle, l1)[1]
        LIBRARY.sv_glm_destroy(handle)

    workers = [threading.Thread(target=work, args=(list(expected)[::way],)) for way in (1, -1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 6
    for (_, l1), coef in found.items():
        np.testing.assert_array_equal(coef, expected[l1])


def test_a_handle_in_use_is_refused():
    X, y = problem(23)
    handle, statuses = created(X, y), []

    @CALLBACK
    def callback(user, progress):
        statuses.append(solved(handle, 1.0)[0])
        return 0

    assert solved(handle, 0.3, Control(callback=callback))[0] == 0
    assert set(statuses) == {BUSY}
    LIBRARY.sv_glm_destroy(handle)
    LIBRARY.sv_glm_destroy(None)


# ---- paths ----------------------------------------------------------------------------------------


def path(X, y, lams, loss="squared", intercept=False, penalty=None, options=None, control=None):
    """(status, coefficients, intercepts, gaps, statuses) of sv_glm_path."""
    handle, design, count = ctypes.c_void_p(), Design(X), len(lams)
    given = ctypes.byref(handle), ctypes.byref(design), doubles(y), None, LOSSES.index(loss), int(intercept)
    assert LIBRARY.sv_glm_create(*given) == 0
    coefs, intercepts, gaps = (np.full(shape, np.nan) for shape in ((count, X.shape[1]), count, count))
    statuses = np.full(count, -9, np.int32)
    status = LIBRARY.sv_glm_path(
        handle, _reference(penalty), doubles(lams), ctypes.c_size_t(count), _reference(options), _reference(control),
        doubles(coefs), doubles(intercepts), doubles(gaps), statuses.ctypes.data_as(INTS),
    )  # fmt: skip
    LIBRARY.sv_glm_destroy(handle)
    return status, coefs, intercepts, gaps, statuses


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("intercept", [False, True])
def test_the_bits_of_a_path(loss, intercept):
    X, y = problem(23, loss=loss)
    X, lams = np.asfortranarray(X), np.array([3.0, 12.0, 0.5, 9.0, 7.0, 3.0, 2.5])
    ours = path(X, y, lams, loss, intercept, Penalty(0.7, 1 - 0.7), Options(1e-9), Control())
    python = glm_path(
        X, y, lams=lams, loss=loss, fit_intercept=intercept, penalty="elastic-net", l1_ratio=0.7, tol=1e-9,
        method="coordinate-descent", threads=1,
    )  # fmt: skip
    assert ours[0] == 0
    assert not ours[4].any()
    for found, expected in zip(ours[1:4], (python.coefs, python.intercepts, python.gaps), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_path_that_is_stopped_or_refused():
    X, y = problem(7)
    lams = np.array([1.0, 4.0, 0.5])
    calls = []

    @CALLBACK
    def callback(user, progress):
        calls.append(progress.contents.nit)
        return len(calls) > 2

    status, coefs, _, _, statuses = path(
        X, y, lams, penalty=Penalty(1.0), options=Options(1e-15, first=3), control=Control(callback=callback)
    )
    assert status == statuses[2] == Status.CALLBACK_STOP
    assert np.isfinite(coefs).all()
    for given, words in (
        ({"lams": np.array([1.0, -1.0])}, "lams[1] is -1"),
        ({"lams": np.array([np.nan])}, "lams[0] is nan"),
        ({"lams": np.empty(0)}, "count is 0"),
        ({"lams": lams, "options": Options(x0=np.zeros(150))}, "options->x0 must be NULL"),
        ({"lams": lams, "penalty": Penalty(-1.0)}, "penalty->l1 is -1"),
    ):
        found = path(X, y, **given)
        assert found[0] == INVALID
        assert last_error().startswith(words)
        assert np.isnan(found[1]).all()


# ---- bad input ------------------------------------------------------------------------------------


def changed(structure, **fields):
    for name, value in fields.items():
        setattr(structure, name, value)
    return structure


@pytest.mark.parametrize(
    ("given", "status", "words"),
    [
        ({"y": None}, INVALID, "y is NULL"),
        ({"y": np.array([1.0, np.nan, 2.0])}, INVALID, "y[1] is nan"),
        ({"X": np.array([[1.0, 2.0], [np.inf, 1.0], [0.0, 3.0]])}, INVALID, "X->X[1, 0] is inf"),
        ({"X": np.ones((0, 2))}, INVALID, "X has no samples"),
        ({"loss": "logistic"}, INVALID, "y[0] is 3"),
        ({"loss": "squared_hinge", "y": np.ones(3)}, INVALID, "y has labels of one class"),
        ({"loss": "poisson", "y": -np.ones(3)}, INVALID, "y[0] is -1"),
        ({"s": np.array([1.0, -1.0, 1.0])}, INVALID, "sample_weight[1] is -1"),
        ({"s": np.zeros(3)}, INVALID, "sample_weight is 0 throughout"),
        ({"penalty": Penalty(-1.0)}, INVALID, "penalty->l1 is -1"),
        ({"penalty": Penalty(0.0, np.inf)}, INVALID, "penalty->l2 is inf"),
        ({"penalty": Penalty(1.0, 0.0, np.array([1.0, np.nan]))}, INVALID, "penalty->weights[1] is nan"),
        ({"penalty": Penalty(1.0, bounds=(np.array([0.0, 1.0]), None))}, INVALID, "penalty->low[1] is 1"),
        ({"penalty": Penalty(1.0, bounds=(None, np.array([-1.0, 1.0])))}, INVALID, "penalty->high[0] is -1"),
        ({"penalty": changed(Penalty(), struct_size=3)}, STRUCT_SIZE, "penalty->struct_size is 3"),
        ({"options": Options(0.0)}, INVALID, "options->tol is 0"),
        ({"options": Options(np.nan)}, INVALID, "options->tol is nan"),
        ({"options": Options(x0=np.array([np.nan, 0.0]))}, INVALID, "options->x0[0] is nan"),
        ({"options": Options(intercept0=np.inf)}, INVALID, "options->intercept0 is inf"),
        ({"options": Options(first=-1)}, INVALID, "options->first is -1"),
        ({"options": changed(Options(), struct_size=999)}, STRUCT_SIZE, "options->struct_size is 999"),
        ({"control": Control(time_limit=np.nan)}, INVALID, "control->time_limit is NaN"),
    ],
)
def test_bad_input(given, status, words):
    found = fit(**{"X": np.arange(6.0).reshape(3, 2), "y": np.array([3.0, 1.0, 2.0]), **given})
    assert found[0] == status
    assert last_error().startswith(words)
    assert np.isnan(found[1]).all()


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"struct_size": 0}, STRUCT_SIZE, "X->struct_size"),
        ({"n": 2**62}, NO_MEMORY, "X: n and d must be below"),
        ({"row_stride": 2**61, "n": 2**30}, NO_MEMORY, "X->row_stride"),
        ({"X": None}, INVALID, "X->X and X->starts are both NULL"),
    ],
)
def test_bad_designs(fields, status, words):
    design, handle = changed(Design(np.ones((3, 2))), **fields), ctypes.c_void_p()
    found = LIBRARY.sv_glm_create(ctypes.byref(handle), ctypes.byref(design), doubles(np.ones(3)), None, 0, 0)
    assert (found, handle.value) == (status, None)
    assert last_error().startswith(words)


@pytest.mark.parametrize(
    ("part", "at", "value", "words"),
    [
        ("indptr", 0, 1, "X->starts[0] is 1"),
        ("indptr", 1, 0, "X->starts"),
        ("indices", 1, 0, "X->index[1] is 0"),
        ("indices", 0, -1, "X->index[0] is -1"),
        ("indices", 2, 3, "X->index[2] is 3"),
        ("data", 2, np.nan, "X->value[2] is nan"),
    ],
)
def test_bad_sparse_designs(part, at, value, words):
    X = scipy.sparse.csc_array(np.ones((3, 2)))
    getattr(X, part)[at] = value
    if (part, at, value) == ("indptr", 1, 0):
        X.indptr[1], X.indptr[2] = 6, 5
    status, coef, _, _ = fit(X, np.ones(3), penalty=Penalty(1.0))
    assert status == INVALID
    assert last_error().startswith(words)
    assert np.isnan(coef).all()


def test_nulls_and_unknown_losses():
    X, y, coef = np.ones((3, 2)), np.ones(3), np.empty(2)
    arguments = [ctypes.byref(Design(X)), doubles(y), None, 0, 0, None, None, None, doubles(coef), None, None]
    for place, name in ((0, "X"), (1, "y"), (8, "coef")):
        given = [None if k == place else argument for k, argument in enumerate(arguments)]
        assert LIBRARY.sv_glm_fit(*given) == INVALID
        assert last_error() == f"{name} is NULL"
    assert LIBRARY.sv_glm_fit(*arguments[:3], 9, *arguments[4:]) == INVALID
    assert last_error().startswith("loss")
    assert LIBRARY.sv_glm_solve(None, None, None, None, doubles(coef), None, None) == INVALID
    assert LIBRARY.sv_glm_create(None, *arguments[:5]) == INVALID
