# cython: freethreading_compatible=True
"""Binding of the kernels for inclusions, games and linear programs."""

from cython cimport floating
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

import numpy as np

include "sums.pxi"
include "games.pxi"
include "programs.pxi"
