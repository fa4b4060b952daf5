"""What is seen of a matrix's values at a glance, against NumPy."""

import numpy as np
import pytest

from solvers.linalg import _kernels

SEEDS = (3, 17, 91)


@pytest.mark.parametrize("seed", SEEDS)
def test_pairs_agree_to_a_share_of_each(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=60)
    here, there = np.arange(30), np.arange(30, 60)
    values[there] = values[here] * (1 + 1e-13 * rng.uniform(-1, 1, 30))
    assert _kernels.pairs_agree(values, here, there, 1e-12)
    values[there[rng.integers(30)]] *= 1 + 1e-9
    assert not _kernels.pairs_agree(values, here, there, 1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_agrees_with_nothing(value):
    values, first = np.array([1.0, value]), np.array([0])
    assert not _kernels.pairs_agree(values, np.array([1]), np.array([1]), 1e-12)
    assert _kernels.values_of_kinds(values, np.array([0, 1]), np.array([0, 0]), first, 1e-13) is None
    assert _kernels.values_of_kinds(values, np.array([1]), np.array([0]), first + 1, 1e-13) is None


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rows", [1, 2, 7, 64])
def test_the_median_row_is_numpys(seed, rows):
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 6, rows)
    starts = np.concatenate(([0], np.cumsum(counts)))
    values = rng.normal(size=3 * starts[-1])
    at = rng.permutation(len(values))[: starts[-1]]
    centre = starts[:-1] + rng.integers(0, counts)
    sizes = np.abs(values[at])
    expected = np.sort(np.add.reduceat(sizes, starts[:-1]) / sizes[centre])[rows // 2]
    assert _kernels.median_row(values, at, starts, centre) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_kind_has_one_value(seed):
    rng = np.random.default_rng(seed)
    kinds = rng.permutation(np.repeat([0, 1, 3], 20))
    constants = rng.normal(size=4)
    at = rng.permutation(100)[:60]
    values = np.full(100, np.nan)
    values[at] = constants[kinds]
    first = np.array([at[kinds == k][0] if k != 2 else -1 for k in range(4)])
    found = _kernels.values_of_kinds(values, at, kinds, first, 1e-13)
    assert found.tolist() == [*constants[:2], 0.0, constants[3]]
    values[at[59]] += 1e-9 * np.abs(constants).max()
    assert _kernels.values_of_kinds(values, at, kinds, first, 1e-13) is None


def test_only_int64_places_are_read():
    values = np.ones(4)
    for places in (np.arange(4, dtype=np.int32), np.arange(4.0)):
        with pytest.raises(ValueError, match="64-bit integers"):
            _kernels.pairs_agree(values, places, np.arange(4), 1e-12)
    with pytest.raises(ValueError, match="length"):
        _kernels.pairs_agree(values, np.arange(4), np.arange(3), 1e-12)
    with pytest.raises(ValueError, match="reals"):
        _kernels.pairs_agree(values.astype(np.float32), np.arange(4), np.arange(4), 1e-12)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_ends_of_a_box_explain_its_diagonal(axes, seed):
    rng = np.random.default_rng(seed)
    coupling, extras = -rng.uniform(1, 2, axes), rng.integers(-1, 2, (3**axes, axes)).astype(float)
    extras[3**axes // 2] = 0
    table = np.concatenate([coupling, 9 + extras @ coupling])
    there = np.ones(3**axes, bool)
    assert _kernels.ends_agree(table, extras, there, 1e-12)
    table[axes] += 1e-9
    assert not _kernels.ends_agree(table, extras, there, 1e-12)
    there[0] = False
    assert _kernels.ends_agree(table, extras, there, 1e-12)
    table[axes + 1] = np.nan
    assert not _kernels.ends_agree(table, extras, there, 1e-12)
    with pytest.raises(ValueError, match="length"):
        _kernels.ends_agree(table[1:], extras, there, 1e-12)
