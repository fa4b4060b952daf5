/* Includes the file ROWS_FILE once for each type of a matrix' values: VALUE (double, float), VALUE_BITS. */
#define VALUE double
#define VALUE_BITS 64
#include ROWS_FILE
#undef VALUE
#undef VALUE_BITS
#define VALUE float
#define VALUE_BITS 32
#include ROWS_FILE
#undef VALUE
#undef VALUE_BITS
