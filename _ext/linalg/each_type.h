/* Includes the file ROWS_FILE once for each pair of types of a sparse matrix: INDEX (int32_t, int64_t) and VALUE (double,
 * float). There NAME(operation) is the operation's name for the pair.
 */
#define NAME(operation) NAME_(operation, INDEX_BITS, VALUE_BITS)
#define NAME_(operation, index, value) NAME__(operation, index, value)
#define NAME__(operation, index, value) operation##_i##index##_f##value

#define INDEX int32_t
#define INDEX_BITS 32
#include "each_value.h"
#undef INDEX
#undef INDEX_BITS
#define INDEX int64_t
#define INDEX_BITS 64
#include "each_value.h"
