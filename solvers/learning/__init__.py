"""Statistical learning by block coordinate descent."""

from .._base.blocks import BlockCoordinateDescent, BlockResult
from .._base.blocks.partition import comb
from . import _bcd  # noqa: F401  (it registers its method)
from ._bcd_losses import LeastSquares, Logistic, Multinomial
from ._solve import quadratic

__all__ = [
    "BlockCoordinateDescent",
    "BlockResult",
    "LeastSquares",
    "Logistic",
    "Multinomial",
    "comb",
    "quadratic",
]
