"""Block coordinate descent: partitions, selection rules and updates, for every family that has blocks."""

from .descent import BlockCoordinateDescent
from .problem import BlockProblem, BlockResult, BlockState

__all__ = ["BlockCoordinateDescent", "BlockProblem", "BlockResult", "BlockState"]
