# cython: freethreading_compatible=True
"""Binding of the kernels for nonlinear programs and randomised linear algebra."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from libc.math cimport sqrt

import numpy as np

include "nlp.pxi"
include "sketch.pxi"
