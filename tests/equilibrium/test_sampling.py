"""Random numbers by counter, alias tables and draws: what is drawn with which probability."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from solvers.equilibrium import _kernels as kernels


def test_bits_are_those_of_philox():
    """The published test vector of Philox 4x32-10 with the digits of pi as counter and key, and that of zeros."""
    pi = 0xA4093822 | 0x299F31D0 << 32, 0x13198A2E | 0x03707344 << 32, 0x243F6A88 | 0x85A308D3 << 32
    assert kernels.random_bits(*pi) == (0xD16CFE09 | 0x94FDCCEB << 32, 0x5001E420 | 0x24126EA1 << 32)
    assert kernels.random_bits(0, 0, 0) == (0x6627E8D5 | 0xE169C58D << 32, 0xBC57AC4C | 0x9B00DBD8 << 32)


@given(st.integers(0, 2**63), st.integers(0, 5), st.integers(0, 40), st.integers(0, 40))
def test_draws_do_not_depend_on_where_they_begin(seed, stream, first, count):
    whole = kernels.uniform_indices(1000, seed, stream, 0, 80)
    np.testing.assert_array_equal(
        kernels.uniform_indices(1000, seed, stream, first, count), whole[first : first + count]
    )
    numbers = kernels.uniform_numbers(seed, stream, first, count)
    assert ((numbers >= 0) & (numbers < 1)).all()


@given(arrays(float, st.integers(1, 60), elements=st.floats(1e-12, 1e12)))
def test_table_tells_its_probabilities(weight):
    probability = kernels.AliasTable(weight).probability
    assert (probability > 0).all()
    assert probability.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(probability, weight / weight.sum(), atol=len(weight) * 2.0**-31)


def test_marginals_are_those_of_the_table(seed):
    """Each count within 4.5 standard errors, of a table with rare and frequent ones."""
    table = kernels.AliasTable(np.array([1.0, 1e-3, 5.0, 2.0, 0.1, 1.0, 1.0]))
    draws = 200_000
    found = np.bincount(table.draw(seed, 0, 0, draws), minlength=7)
    p = table.probability
    assert (np.abs(found - draws * p) < 4.5 * np.sqrt(draws * p * (1 - p))).all()


def test_draws_without_replacement(seed):
    counts, draws = np.zeros(9), 10_000
    order = np.arange(9)
    for k in range(draws):
        found = kernels.distinct_indices(order, seed, 1, 4 * k, 4)
        assert len(set(found)) == 4
        counts[found] += 1
    assert order.tolist() == list(range(9))
    assert sorted(kernels.distinct_indices(order, seed, 1, 0, 9)) == list(range(9))
    assert (np.abs(counts - draws * 4 / 9) < 4.5 * np.sqrt(draws * 4 / 9 * 5 / 9)).all()


def test_bad_weights():
    with pytest.raises(ValueError, match="needs a weight"):
        kernels.AliasTable(np.zeros(0))
    with pytest.raises(ValueError, match="below 0"):
        kernels.uniform_indices(0, 1, 1, 0, 3)
    with pytest.raises(ValueError, match="no 4 distinct"):
        kernels.distinct_indices(np.arange(3), 1, 1, 0, 4)
