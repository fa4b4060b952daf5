"""Label propagation: scikit-learn's own checks, and the harmonic function."""

import numpy as np
import pytest
import scipy.sparse
from sklearn import semi_supervised
from sklearn.datasets import load_digits, make_moons
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.estimator_checks import parametrize_with_checks

from solvers.learning import LabelPropagation


@parametrize_with_checks([LabelPropagation(), LabelPropagation("rbf"), LabelPropagation(n_neighbors=3)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def moons(seed, points=300, labelled=20):
    X, y = make_moons(points, noise=0.1, random_state=seed)
    some = np.full(points, -1)
    chosen = np.random.default_rng(seed).permutation(points)[:labelled]
    some[chosen] = y[chosen]
    some[np.argmax(y == 0)], some[np.argmax(y == 1)] = 0, 1
    return X, y, some


@pytest.mark.parametrize("kernel", ["knn", "rbf"])
def test_each_is_the_mean_of_its_neighbours(seed, kernel):
    X, y, some = moons(seed)
    model = LabelPropagation(kernel, tol=1e-12).fit(X, some)
    W = model._graph(X)
    W = W.toarray() if scipy.sparse.issparse(W) else W
    f = model.label_distributions_
    np.testing.assert_allclose(f.sum(axis=1), 1, atol=1e-14)
    np.testing.assert_array_equal(f[some >= 0], np.eye(2)[some[some >= 0]])
    free = some < 0
    np.testing.assert_allclose(((W @ f) / W.sum(axis=1)[:, None])[free], f[free], atol=1e-8)
    assert (model.transduction_ == y).mean() > 0.8
    assert (model.predict(X) == y).mean() > 0.8


def test_scikit_learns_answer(seed):
    X, _, some = moons(seed, 120)
    ours = LabelPropagation("rbf", tol=1e-12).fit(X, some)
    theirs = semi_supervised.LabelPropagation("rbf", tol=1e-12, max_iter=1_000_000).fit(X, some)
    # theirs has each sample among its own neighbours, which changes no mean
    np.testing.assert_allclose(ours.label_distributions_, theirs.label_distributions_, atol=1e-5)
    np.testing.assert_array_equal(ours.transduction_, theirs.transduction_)


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array, scipy.sparse.csc_matrix])
def test_a_graph_of_ones_own(seed, form):
    X, y, some = moons(seed)
    knn = LabelPropagation(tol=1e-11).fit(X, some)
    W = form(knn._graph(X).toarray())
    model = LabelPropagation("precomputed", tol=1e-11).fit(W, some)
    np.testing.assert_allclose(model.label_distributions_, knn.label_distributions_, atol=1e-8)
    assert (model.predict(W) == y).mean() > 0.8
    with pytest.raises(ValueError, match="symmetric"):
        LabelPropagation("precomputed").fit(np.triu(np.ones((3, 3))), [0, 1, -1])
    with pytest.raises(ValueError, match="symmetric"):
        LabelPropagation("precomputed").fit(-np.ones((3, 3)), [0, 1, -1])


def test_many_classes():
    X, y = load_digits(return_X_y=True)
    some = np.where(np.random.default_rng(3).random(len(y)) < 0.1, y, -1)
    model = LabelPropagation().fit(X, some)
    assert model.label_distributions_.shape == (len(y), 10)
    assert (model.transduction_ == y).mean() > 0.95


def test_neighbours_that_were_never_found(monkeypatch):
    """scikit-learn's graph has indices that nobody wrote where OpenMP gives it fewer threads than it counts on."""
    X, _, some = moons(5)

    def unwritten(neighbours, X):
        graph = scipy.sparse.csr_matrix(np.eye(len(X)))
        graph.indices[7] = 2**30
        return graph

    monkeypatch.setattr(NearestNeighbors, "kneighbors_graph", unwritten)
    with pytest.raises(ValueError, match="indices must be <"):
        LabelPropagation().fit(X, some)


def test_names_as_labels_and_what_no_label_reaches():
    X = np.array([[0.0], [0.1], [0.2], [50.0], [50.1], [50.2]])
    model = LabelPropagation(n_neighbors=2).fit(X, np.array(["a", -1, "b", -1, -1, -1], object))
    assert model.classes_.tolist() == ["a", "b"]
    np.testing.assert_allclose(model.label_distributions_[1:], [[0.5, 0.5], [0, 1], *[[0.5, 0.5]] * 3], atol=1e-8)
    far = LabelPropagation("rbf", gamma=1e3).fit(X, [0, -1, 1, -1, -1, -1])
    np.testing.assert_allclose(far.label_distributions_[3:], 0.5)
    np.testing.assert_allclose(far.predict_proba([[1e6]]), 0.5)


def test_bad_input():
    with pytest.raises(ValueError, match="all of them are -1"):
        LabelPropagation().fit(np.eye(3), [-1, -1, -1])
    with pytest.raises(ValueError, match="kernel must be"):
        LabelPropagation("near").fit(np.eye(3), [0, 1, -1])
    X, _, some = moons(3)
    with pytest.warns(UserWarning, match="max_iter"):
        LabelPropagation(max_iter=1, tol=1e-14).fit(X, some)
