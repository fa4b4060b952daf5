"""Softmax, its logarithm and its derivative: within 2 ULP, safe for every input, at the speed of the memory."""

from ._accumulator import LogSumExpAccumulator
from ._jvp import softmax_jvp
from ._softmax import log_softmax, logsumexp, softmax

__all__ = ["LogSumExpAccumulator", "log_softmax", "logsumexp", "softmax", "softmax_jvp"]
