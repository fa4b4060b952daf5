"""A plugin of pytest: what tests take from scipy.sparse that the oldest SciPy the library supports (1.11) has not.

``pytest -p oldest_scipy``, with this folder on the path; `distributions.py` does so. The library itself does without.
"""

import scipy.sparse


def diags_array(diagonals, /, *, offsets=0, shape=None, format=None, dtype=None):
    made = scipy.sparse.diags(diagonals, offsets, shape=shape, dtype=dtype)
    return scipy.sparse.dia_array(made).asformat(format or "dia")


def eye_array(m, n=None, *, k=0, format=None):
    return scipy.sparse.dia_array(scipy.sparse.eye(m, n, k)).asformat(format or "dia")


def random_array(shape, *, density=0.01, format="coo", dtype=None, rng=None, data_sampler=None):
    values = None if data_sampler is None else lambda count: data_sampler(size=count)
    return scipy.sparse.coo_array(
        scipy.sparse.random(*shape, density, random_state=rng, data_rvs=values, dtype=dtype)
    ).asformat(format)


for function in (diags_array, eye_array, random_array):
    if not hasattr(scipy.sparse, function.__name__):
        setattr(scipy.sparse, function.__name__, function)
