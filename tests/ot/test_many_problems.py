"""A few hundred of the problems that `many_problems.py` makes by the ten thousand."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from many_problems import judge

BLOCKS, EACH = 10, 40


@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_success_is_false(block):
    ends = [judge(seed) for seed in range(100_000 + block * EACH, 100_000 + (block + 1) * EACH)]
    assert [what for _, what in ends if what] == []
    assert {status for (_, status), _ in ends} >= {"CONVERGED", "MAX_ITER"}
