/* Entry points of the Python binding for copies between layouts and types. Not part of the C interface (solvers.h). */
#ifndef SOLVERS_COPY_H
#define SOLVERS_COPY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../common/runtime.h"

/* to = from, arrays of this shape that do not overlap. Strides in bytes, a multiple of the number's size, any sign. */
SV_BINDING void sv_copy_f32(int ndim, const ptrdiff_t *shape, void *to, const ptrdiff_t *to_strides,
                            const void *from, const ptrdiff_t *from_strides);
SV_BINDING void sv_copy_f64(int ndim, const ptrdiff_t *shape, void *to, const ptrdiff_t *to_strides,
                            const void *from, const ptrdiff_t *from_strides);

/* float16, by its bits, to float32 and back. */
SV_BINDING void sv_half_to_float(const uint16_t *from, float *to, size_t count);
SV_BINDING void sv_float_to_half(const float *from, uint16_t *to, size_t count);

#endif
