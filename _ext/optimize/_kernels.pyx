# cython: freethreading_compatible=True
"""Binding of the kernels for nonlinear programs and randomised linear algebra."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy

from libc.math cimport INFINITY, sqrt

import numpy as np

from scipy.linalg.cython_lapack cimport dsytrf, dsytrs

include "nlp.pxi"
include "multifrontal.pxi"
include "merit.pxi"
include "polish.pxi"
include "compiled.pxi"
include "dense.pxi"
include "gala.pxi"
include "gala_batch.pxi"
include "sketch.pxi"
