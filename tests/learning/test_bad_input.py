"""Errors name the argument; nothing is changed."""

import numpy as np
import pytest
import scipy.sparse
from problems import quadratic as data

import solvers
from solvers import MethodError, OptionError
from solvers.learning import LeastSquares, Logistic, Multinomial, quadratic

Q, C = data(3, 6)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("NaN in Q", {"Q": np.where(np.eye(6) > 0, np.nan, Q)}, "Q must be finite"),
        ("infinity in c", {"c": [np.inf, *C[1:]]}, r"c must be finite; c\[0\]"),
        ("NaN in x0", {"x0": [0, 0, np.nan, 0, 0, 0]}, r"x0 must be finite; x0\[2\]"),
        ("no square", {"Q": Q[:, :4]}, "Q must be square"),
        ("dimensions of Q", {"Q": C}, "Q must have 2 dimensions"),
        ("length of c", {"c": C[:4]}, "c must have length 6"),
        ("length of x0", {"x0": C[:4]}, "x0 must have length 6"),
        ("not symmetric", {"Q": Q + np.triu(np.ones((6, 6)))}, "Q must be symmetric"),
        ("tol below zero", {"tol": -1.0}, "tol must be positive"),
        ("overlapping blocks", {"blocks": [[0, 1, 2], [2, 3, 4, 5]]}, "coordinate 2 is in 2"),
        ("incomplete blocks", {"blocks": [[0, 1, 2], [4, 5]]}, "coordinate 3 is in 0"),
        ("empty block", {"blocks": [[0, 1, 2, 3, 4, 5], []]}, r"blocks\[1\]"),
        ("no blocks", {"blocks": []}, "blocks"),
        ("block beyond the end", {"blocks": [[0, 1, 2, 3, 4, 6]]}, r"blocks\[0\]"),
        ("block of size 0", {"blocks": 0}, "blocks must be an integer >= 1"),
        ("block of a size that is none", {"blocks": 2.5}, "blocks must be a list"),
        ("weight below zero", {"penalty": {"l1": -1.0}}, r"penalty\['l1'\] must be >= 0"),
        ("NaN weight", {"penalty": {"l1": np.nan}}, r"penalty\['l1'\]"),
        ("length of weights", {"penalty": {"l1": [1.0, 2.0]}}, r"penalty\['l1'\]"),
        ("unknown penalty", {"penalty": {"l3": 1.0}}, "did you mean"),
        ("no penalty", {"penalty": 3.0}, "penalty must be"),
        ("groups without blocks", {"penalty": {"group_l2": 1.0}}, "blocks"),
        ("bounds the wrong way", {"bounds": [(1, 0)] * 6}, "lower <= upper"),
        ("number of bounds", {"bounds": [(0, 1)] * 5}, "6 pairs"),
        ("one pair of bounds", {"bounds": (0, np.inf)}, "6 pairs"),
        ("bounds that leave nothing", {"penalty": {"nonneg": True}, "bounds": [(-2, -1)] * 6}, "upper >= 0 with"),
        ("blocks of half a size", {"blocks": 2.5}, "blocks must be a list"),
        (
            "matrix with a penalty",
            {"penalty": {"l1": 1.0}, "options": {"update": "matrix"}},
            "'matrix' is for problems",
        ),
        ("cg with a penalty", {"penalty": {"l1": 1.0}, "options": {"accel": "cg"}}, "'cg' is for"),
        ("forest of a dense Q", {"options": {"partition": "forest"}}, "needs a sparse Q"),
        ("groups without any", {"options": {"partition": "groups"}}, "needs blocks="),
        (
            "blocks for another partition",
            {"blocks": [[0, 1, 2], [3, 4, 5]], "options": {"partition": "sort"}},
            "blocks= is",
        ),
        ("callback without one", {"options": {"update": "callback"}}, "block_min"),
        ("max_iter", {"max_iter": -1}, "max_iter"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value and "=" not in value else "",
)
def test_values(name, changes, message):
    given = {"Q": Q, "c": C, **changes}
    with pytest.raises(ValueError, match=message):
        quadratic(given.pop("Q"), given.pop("c"), **given)


def test_sizes_of_any_integer_type():
    expected = quadratic(Q, C, blocks=2)
    np.testing.assert_array_equal(quadratic(Q, C, blocks=np.int32(2)).x, expected.x)
    assert expected.stats["block_size"] == 2


def test_types():
    for wrong in (Q.astype(complex), scipy.sparse.csr_array(Q.astype(complex)), np.full((6, 6), "a")):
        with pytest.raises(TypeError, match="Q must be real"):
            quadratic(wrong, C)
    with pytest.raises(TypeError, match="c must be real"):
        quadratic(Q, C.astype(complex))
    with pytest.raises(MethodError, match="bcd"):
        quadratic(Q, C, method="bdc")
    with pytest.raises(OptionError, match="did you mean 'selection'"):
        quadratic(Q, C, options={"selectoin": "gs"})
    with pytest.raises(OptionError, match="update"):
        quadratic(Q, C, options={"update": "best"})


def test_nothing_is_changed():
    rng = np.random.default_rng(3)
    for matrix in (Q, scipy.sparse.csr_array(Q)):
        for penalty in (None, {"l1": 1.0}):
            x0, given = rng.standard_normal(6), (matrix.copy(), C.copy())
            before = x0.copy()
            quadratic(matrix, C, x0=x0, penalty=penalty)
            assert abs(matrix - given[0]).max() == 0
            np.testing.assert_array_equal(C, given[1])
            np.testing.assert_array_equal(x0, before)


def test_no_coordinates():
    result = quadratic(np.zeros((0, 0)), [])
    assert result.success
    assert result.x.shape == (0,)
    assert result.fun == 0


def test_one_coordinate():
    for matrix in ([[2.0]], scipy.sparse.csr_array([[2.0]])):
        assert quadratic(matrix, [3.0]).x == pytest.approx([1.5], rel=1e-15)
        assert quadratic(matrix, [3.0], penalty={"l1": 1.0}).x == pytest.approx([1.0], rel=1e-15)


@pytest.mark.parametrize("model", [LeastSquares, Logistic, Multinomial])
def test_models(model):
    X, y = np.ones((4, 2)), np.array([0, 1, 1, 0])
    with pytest.raises(ValueError, match=r"X must be finite; X\[0, 1\]|X must be finite; X\[\(0, 1\)\]"):
        model(np.where(np.arange(8).reshape(4, 2) == 1, np.nan, X), y)
    with pytest.raises(ValueError, match="y must be finite"):
        model(X, [0, 1, np.inf, 0])
    with pytest.raises(ValueError, match="y must have length 4"):
        model(X, y[:3])
    with pytest.raises(ValueError, match="X must hold at least one sample"):
        model(X[:0], y[:0])
    with pytest.raises(TypeError, match="X must be real"):
        model(X.astype(complex), y)
    with pytest.raises(TypeError, match="X must be real"):
        model(scipy.sparse.csr_array(X.astype(complex)), y)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_labels_of_two_kinds(labels):
    with pytest.raises(ValueError, match="two kinds"):
        Logistic(np.eye(3), labels)


@pytest.mark.parametrize("labels", [(0, 1), (1, 2), (2, 4), (-1, 1)])
def test_any_two_labels_will_do(labels):
    X = np.random.default_rng(5).standard_normal((30, 3))
    y = np.array(labels)[(X[:, 0] + np.sin(9 * X[:, 1]) > 0).astype(int)]
    found = solvers.minimize(Logistic(X, y), np.zeros(3), tol=1e-8)
    assert found.success
    expected = solvers.minimize(Logistic(X, y == labels[1]), np.zeros(3), tol=1e-8)
    np.testing.assert_array_equal(found.x, expected.x)


# ---- each argument of each call, and what it should not be ------------------------------------------------

RNG = np.random.default_rng(0)
X, SIGNS = RNG.normal(size=(20, 4)), np.where(RNG.normal(size=20) > 0, 1.0, -1.0)
STRANGE = {
    "a list of texts": ["x"], "an empty list": [], "an int beyond floats": 10**400, "NaN": float("nan"), "a text": "x",
    "a complex number": 1j, "objects": np.array([object(), None], dtype=object), "NaNs": np.full(4, np.nan),
    "a structure": np.zeros(20, dtype=[("a", float)]), "dates": np.full(20, np.datetime64("2020-01-01")), "a set": {1},
}  # fmt: skip

#: What some arguments may be, strange as it looks.
FITTING = {
    (name, "an int beyond floats") for name in (
        "max_iter", "time_limit", "blocks", "fit_intercept", "check_finite", "groups", "positive", "warm_start",
        "max_support", "C",
    )
}  # fmt: skip


def _glm(**given):
    return solvers.learning.glm(**{"X": X, "y": SIGNS, "lam": 1.0, "loss": "logistic", **given})


def _of_groups(**given):
    return solvers.learning.glm(**{"X": X, "y": SIGNS, "lam": 1.0, "penalty": "group", "groups": 2, **given})


def _path(**given):
    return solvers.learning.glm_path(**{"X": X, "y": SIGNS, "n_lams": 3, **given})


def _quadratic(**given):
    return quadratic(**{"Q": Q, "c": C, **given})


GLM = (
    "X", "y", "lam", "loss", "penalty", "l1_ratio", "groups", "weights", "bounds", "sample_weight", "fit_intercept",
    "x0", "tol", "method", "options", "max_iter", "time_limit", "threads",
)  # fmt: skip
CALLS = {
    _glm: GLM, _of_groups: GLM,
    _path: (*(name for name in GLM if name not in ("lam", "x0", "time_limit")), "lams", "n_lams", "eps", "max_support",
            "early_stop_deviance", "memory"),
    _quadratic: ("Q", "c", "penalty", "bounds", "blocks", "x0", "tol", "method", "options", "check_finite", "max_iter",
                 "time_limit", "threads"),
}  # fmt: skip


@pytest.mark.parametrize("what", STRANGE)
@pytest.mark.parametrize(("call", "name"), [(call, name) for call, names in CALLS.items() for name in names])
def test_what_is_strange_is_refused_by_name(call, name, what):
    if (name, what) in FITTING and (name != "groups" or call is _of_groups):
        call(**{name: STRANGE[what]})
        return
    with pytest.raises((ValueError, TypeError), match=name):
        call(**{name: STRANGE[what]})


@pytest.mark.parametrize("what", STRANGE)
@pytest.mark.parametrize(
    ("estimator", "names"),
    [
        ("Lasso", ("alpha", "fit_intercept", "positive", "weights", "tol", "max_iter", "warm_start")),
        ("ElasticNet", ("alpha", "l1_ratio")),
        ("GroupLasso", ("alpha", "positive")),
        ("NNLS", ("tol", "warm_start")),
        ("LassoCV", ("positive", "fit_intercept", "tol")),
        ("LogisticRegression", ("penalty", "C", "l1_ratio", "fit_intercept", "tol", "max_iter", "warm_start")),
    ],
)
def test_estimators_refuse_it_too(estimator, names, what):
    pytest.importorskip("sklearn")
    for name in names:
        if (name, what) not in FITTING:
            with pytest.raises((ValueError, TypeError), match=name):
                getattr(solvers.learning, estimator)(**{name: STRANGE[what]}).fit(X, SIGNS)
