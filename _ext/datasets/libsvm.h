/* Text in LIBSVM's format (svmlight's too) to the rows of a CSR matrix. */
#ifndef SOLVERS_LIBSVM_H
#define SOLVERS_LIBSVM_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

enum sv_libsvm_fault {
    SV_LIBSVM_FINE,
    SV_LIBSVM_NO_LABEL,      /* the line does not begin with a number */
    SV_LIBSVM_SEVERAL_LABELS,
    SV_LIBSVM_NO_PAIR,       /* something that is not index:value */
    SV_LIBSVM_BAD_VALUE,     /* index: followed by what is no number */
    SV_LIBSVM_ORDER,         /* an index not above the one before it */
    SV_LIBSVM_LARGE_INDEX,   /* beyond 2^31 - 2 */
};

/* What `text` up to `end` (whole lines) adds. The caller owns all arrays: labels, queries and ends have room for
 * (end - text) / 2 + 1 rows, columns and values for (end - text) / 4 + 1 entries: no line holds more. */
struct sv_libsvm {
    const char *text, *end;
    double *labels;
    int64_t *queries;  /* the number after "qid:", -1 without one */
    int64_t *ends;     /* entries up to the end of each row */
    int32_t *columns;  /* indices as written */
    double *values;
    /* A number that needs more than 128-bit integers: token of `length` bytes; sets *bad where it is none. */
    double (*hard_number)(const char *token, size_t length, int *bad);
    size_t rows, entries;
    int32_t least, greatest; /* of the indices */
    /* Where it stopped: the line counted from 0, the place in the text. */
    int64_t lines;
    const char *place;
};

SV_BINDING enum sv_libsvm_fault sv_libsvm_read(struct sv_libsvm *r);

#endif
