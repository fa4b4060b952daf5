"""Threads, forks, seeds: the same bits everywhere."""

import multiprocessing
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest


def test_same_seed_same_bits(case, solve):
    for rng in (None, 5, 17, np.random.SeedSequence(9)):
        np.testing.assert_array_equal(case.answer(solve(rng=rng)), case.answer(solve(rng=rng)))


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_thread_counts_give_the_same_bits(case, solve, threads):
    np.testing.assert_array_equal(case.answer(solve(threads=threads)), case.answer(solve(threads=1)))


def test_two_threads_at_once(case, solve):
    alone = case.answer(solve())
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: solve(), range(12)):
            np.testing.assert_array_equal(case.answer(result), alone)


def _solve_in_child(case, solve, queue):
    queue.put(case.answer(solve(threads=2)))


@pytest.mark.forks
def test_forked_child_works(case, solve):
    expected = case.answer(solve(threads=2))  # the parent's pool has run
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_solve_in_child, args=(case, solve, queue))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of any fork beside threads
        child.start()
    try:
        np.testing.assert_array_equal(queue.get(timeout=60), expected)
        child.join(timeout=60)
        assert child.exitcode == 0
    finally:
        child.kill()
