"""Softmax and its logarithm: within 2 ULP, safe for every input, at the speed of the memory."""

from ._softmax import log_softmax, logsumexp, softmax

__all__ = ["log_softmax", "logsumexp", "softmax"]
