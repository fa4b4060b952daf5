/* The kernels of columns_kernels.c for columns stored in single precision: half the bytes, the same sums in double. */
#define STORED_FLOAT
#include "columns_kernels.c"
