/* The handle of a linear system: its making from compressed rows, new values, symmetry. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "interface_systems.h"

/* What entries may differ by for the rounding of whoever assembled them. */
#define SLACK 1e-10

void *sv_zeros(size_t count, size_t size)
{
    size_t bytes;
    if (sv_product(count, size, "memory", &bytes) || bytes > (size_t)PTRDIFF_MAX - 64)
        return NULL;
    bytes = bytes < 64 ? 64 : (bytes + 63) / 64 * 64;
    void *room = aligned_alloc(64, bytes);
    return room ? memset(room, 0, bytes) : NULL;
}

static int64_t index_at(int wide, const void *indices, size_t k)
{
    return wide ? ((const int64_t *)indices)[k] : ((const int32_t *)indices)[k];
}

static void set_index(int wide, void *indices, size_t k, int64_t value)
{
    if (wide)
        ((int64_t *)indices)[k] = value;
    else
        ((int32_t *)indices)[k] = (int32_t)value;
}

/* Places of the entries, stably sorted by `key` below n; counts: n + 1, becomes where each key begins. */
static void sorted_by(size_t n, size_t entries, int wide, const void *columns, int64_t *counts, int64_t *places)
{
    memset(counts, 0, (n + 1) * sizeof *counts);
    for (size_t k = 0; k < entries; k++)
        counts[index_at(wide, columns, k) + 1]++;
    for (size_t i = 0; i < n; i++)
        counts[i + 1] += counts[i];
    for (size_t k = 0; k < entries; k++)
        places[counts[index_at(wide, columns, k)]++] = (int64_t)k;
}

/* Rows sorted and their duplicates joined, in place; A->sources. rows, places: `entries`; next: n + 1. */
static void join(struct sv_linear *A, int64_t *rows, int64_t *places, int64_t *next)
{
    const size_t n = A->n, entries = A->given;
    for (size_t i = 0; i < n; i++)
        for (int64_t k = index_at(A->wide, A->starts, i); k < index_at(A->wide, A->starts, i + 1); k++)
            rows[k] = (int64_t)i;
    sorted_by(n, entries, A->wide, A->columns, next, places);
    /* by row what is sorted by column already: the columns come sorted in each row */
    for (size_t i = 0; i <= n; i++)
        next[i] = index_at(A->wide, A->starts, i);
    for (size_t k = 0; k < entries; k++)
        A->sources[next[rows[places[k]]]++] = places[k];
    int64_t made = -1, last_row = -1, last_column = -1;
    for (size_t k = 0; k < entries; k++) {
        const int64_t from = A->sources[k], row = rows[from], column = index_at(A->wide, A->columns, (size_t)from);
        if (row != last_row || column != last_column)
            next[++made] = column; /* next has room for entries here */
        places[from] = made;
        last_row = row, last_column = column;
    }
    memset(A->starts, 0, (n + 1) * (A->wide ? 8 : 4));
    int64_t before = -1;
    for (size_t k = 0; k < entries; k++) {
        const int64_t from = A->sources[k];
        if (places[from] == before)
            continue;
        before = places[from];
        const size_t row = (size_t)rows[from] + 1;
        set_index(A->wide, A->starts, row, index_at(A->wide, A->starts, row) + 1);
    }
    for (size_t i = 0; i < n; i++)
        set_index(A->wide, A->starts, i + 1, index_at(A->wide, A->starts, i) + index_at(A->wide, A->starts, i + 1));
    A->entries = (size_t)(made + 1);
    for (size_t k = 0; k < A->entries; k++)
        set_index(A->wide, A->columns, k, next[k]);
    memcpy(A->sources, places, entries * sizeof *places);
}

static int canonical(struct sv_linear *A)
{
    const size_t most = A->given > A->n + 1 ? A->given : A->n + 1;
    int64_t *work = sv_zeros(most, 3 * sizeof *work);
    A->sources = sv_zeros(A->given, sizeof *A->sources);
    int status = work && A->sources ? SV_OK : sv_fail(SV_NO_MEMORY, "entries: no memory for %zu of them", A->given);
    if (!status)
        join(A, work, work + most, work + 2 * most);
    free(work);
    return status;
}

/* The pattern, looked at and in order; the places of the diagonal. */
static int analysed(struct sv_linear *A)
{
    struct sv_pattern pattern = {A->n, A->starts, A->columns, A->wide};
    size_t row = 0;
    enum sv_flaw flaw = sv_linalg_diagonal(&pattern, A->entries, A->at, &row);
    if (flaw == SV_NOT_SORTED) {
        int status = canonical(A);
        if (status)
            return status;
        flaw = sv_linalg_diagonal(&pattern, A->entries, A->at, &row);
    }
    switch (flaw) {
    case SV_SOUND: return SV_OK;
    case SV_BAD_COLUMN:
        return sv_fail(SV_INVALID, "columns must lie from 0 to %zu; those of row %zu do not", A->n - 1, row);
    case SV_NO_DIAGONAL:
        return sv_fail(SV_INVALID, "columns: the diagonal entry of row %zu is missing, the matrix needs it", row);
    default:
        return sv_fail(SV_INVALID, "row_starts must begin with 0, ascend, and end with entries; not so at row %zu", row);
    }
}

/* The values of the pattern's entries into `out`. */
static void summed(const struct sv_linear *A, const double *given, double *out)
{
    if (!A->sources) {
        memcpy(out, given, A->entries * sizeof *out);
        return;
    }
    memset(out, 0, A->entries * sizeof *out);
    for (size_t k = 0; k < A->given; k++)
        out[A->sources[k]] += given[k];
}

static int check_values(const struct sv_linear *A, const double *values)
{
    const struct sv_pattern pattern = {A->n, A->starts, A->columns, A->wide};
    const ptrdiff_t row = sv_linalg_diagonal_values(&pattern, A->at, values, 0, NULL, NULL);
    if (row >= 0)
        return sv_fail(SV_INVALID, "values must make the diagonal nonzero and finite; that of row %zu is %g",
                       (size_t)row, values[index_at(A->wide, A->at, (size_t)row)]);
    return sv_check_finite(values, A->entries, "values");
}

/* The handle takes what was checked. */
static void take(struct sv_linear *A)
{
    const struct sv_pattern pattern = {A->n, A->starts, A->columns, A->wide};
    sv_linalg_diagonal_values(&pattern, A->at, A->values, 0, A->diagonal, A->inverse);
    A->symmetric = -1;
    A->factor.valid = 0;
    for (int k = 0; k < SV_ORDERINGS; k++)
        if (A->orders[k])
            sv_order_update(A, A->orders[k]);
}

int sv_linear_update(sv_linear *A, const double *values)
{
    SV_NEED(A);
    if (A->box)
        return sv_fail(SV_INVALID, "A was made from a grid, take sv_linear_update_grid");
    if (A->n)
        SV_NEED(values);
    int status = sv_enter(&A->guard);
    if (status)
        return status;
    double *new = sv_zeros(A->entries, sizeof *new);
    if (!new)
        status = sv_fail(SV_NO_MEMORY, "values: no memory for %zu of them", A->entries);
    if (!status && A->n) {
        summed(A, values, new);
        status = check_values(A, new);
    }
    if (!status) {
        free(A->values);
        A->values = new;
        take(A);
    } else {
        free(new);
    }
    sv_leave(&A->guard);
    return status;
}

static int filled(struct sv_linear *A, const void *starts, const void *columns, const double *values)
{
    const size_t width = A->wide ? sizeof(int64_t) : sizeof(int32_t);
    A->starts = sv_zeros(A->n + 1, width);
    A->columns = sv_zeros(A->given, width);
    A->at = sv_zeros(A->n, width);
    A->values = sv_zeros(A->given, sizeof(double));
    A->diagonal = sv_zeros(A->n, sizeof(double));
    A->inverse = sv_zeros(A->n, sizeof(double));
    if (!A->starts || !A->columns || !A->at || !A->values || !A->diagonal || !A->inverse)
        return sv_fail(SV_NO_MEMORY, "n: no memory for %zu rows and %zu entries", A->n, A->given);
    if (!A->n)
        return SV_OK;
    memcpy(A->starts, starts, (A->n + 1) * width);
    memcpy(A->columns, columns, A->given * width);
    int status = analysed(A);
    if (status)
        return status;
    summed(A, values, A->values);
    status = check_values(A, A->values);
    if (!status)
        take(A);
    return status;
}

static int check_sizes(size_t n, size_t entries, int wide)
{
    size_t bytes;
    int status = n < (size_t)PTRDIFF_MAX ? sv_product(n + 1, 64, "n", &bytes)
                                         : sv_fail(SV_NO_MEMORY, "n: %zu overflows", n);
    if (!status)
        status = sv_product(entries, 64, "entries", &bytes);
    if (!status && !wide && (n > INT32_MAX || entries > INT32_MAX))
        status = sv_fail(SV_INVALID, "n and entries must fit 32 bits here, take sv_linear_from_csr_i64");
    if (!status && (entries < n || (!n && entries)))
        status = sv_fail(SV_INVALID, "entries is %zu: a matrix of %zu rows with a full diagonal has %s", entries, n,
                         n ? "as many at least" : "none");
    return status;
}

sv_linear *sv_linear_new(size_t n, size_t entries)
{
    sv_linear *A = calloc(1, sizeof *A);
    if (A)
        A->n = n, A->entries = A->given = entries, A->omega = NAN, A->symmetric = -1;
    return A;
}

static int from_csr(size_t n, size_t entries, int wide, const void *row_starts, const void *columns,
                    const double *values, sv_linear **made)
{
    SV_NEED(made);
    *made = NULL;
    int status = check_sizes(n, entries, wide);
    if (status)
        return status;
    if (n) {
        SV_NEED(row_starts);
        SV_NEED(columns);
        SV_NEED(values);
        if (index_at(wide, row_starts, n) != (int64_t)entries)
            return sv_fail(SV_INVALID, "row_starts must end with entries, %zu, not with %lld", entries,
                           (long long)index_at(wide, row_starts, n));
    }
    struct sv_linear *A = sv_linear_new(n, entries);
    if (!A)
        return sv_fail(SV_NO_MEMORY, "made: no memory");
    A->wide = wide;
    status = filled(A, row_starts, columns, values);
    if (status)
        sv_linear_destroy(A);
    else
        *made = A;
    return status;
}

int sv_linear_from_csr_i32(size_t n, size_t entries, const int32_t *row_starts, const int32_t *columns,
                           const double *values, sv_linear **made)
{
    return from_csr(n, entries, 0, row_starts, columns, values, made);
}

int sv_linear_from_csr_i64(size_t n, size_t entries, const int64_t *row_starts, const int64_t *columns,
                           const double *values, sv_linear **made)
{
    return from_csr(n, entries, 1, row_starts, columns, values, made);
}

void sv_linear_forget(sv_linear *A)
{
    for (int k = SV_ORDERINGS; k-- > 0;) {
        if (k == SV_ORDERING_NATURAL || A->orders[k] != A->orders[SV_ORDERING_NATURAL])
            sv_order_destroy(A->orders[k]);
        A->orders[k] = NULL;
    }
}

void sv_linear_destroy(sv_linear *A)
{
    if (!A)
        return;
    sv_linear_forget(A);
    sv_box_destroy(A->box);
    sv_factor_destroy(&A->factor);
    free(A->starts), free(A->columns), free(A->at), free(A->sources);
    free(A->values), free(A->diagonal), free(A->inverse), free(A->room);
    free(A);
}

size_t sv_linear_size(const sv_linear *A) { return A ? A->n : 0; }

double sv_linear_omega(const sv_linear *A) { return A ? A->omega : NAN; }

int sv_linear_symmetric(struct sv_linear *A)
{
    if (A->symmetric >= 0)
        return A->symmetric;
    int64_t *work = sv_zeros(A->n, sizeof *work);
    if (!work)
        return sv_fail(SV_NO_MEMORY, "A: no memory for a look at its symmetry");
    const struct sv_pattern pattern = {A->n, A->starts, A->columns, A->wide};
    A->symmetric = sv_linalg_symmetric(&pattern, A->values, 0, A->diagonal, SLACK, work);
    free(work);
    return A->symmetric;
}
