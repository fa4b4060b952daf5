# Many programs of one shape in one call (gala_batch.h).

from cpython.exc cimport PyErr_CheckSignals

cdef extern from "gala_batch.h" nogil:
    enum: SV_PROGRAM_COUNTS, SV_PROGRAM_NUMBERS

    struct sv_each:
        const double *rows
        int64_t stride

    struct sv_gala_batch:
        int64_t programs
        int64_t m
        int64_t max_iter
        const sv_compiled *functions
        int quasi
        sv_each data
        sv_each x0
        sv_each lower
        sv_each upper
        sv_each row_lower
        sv_each row_upper
        sv_gala_options options
        sv_sytrf sytrf
        sv_sytrs sytrs
        double *x
        double *z
        double *g
        double *y
        double *numbers
        int64_t *counts

    int64_t sv_gala_batch_work(const sv_gala_batch *) noexcept
    int64_t sv_gala_batch_solve(const sv_gala_batch *, int64_t, double, double *, int) noexcept


cdef sv_each each(const double[:, ::1] rows, int64_t programs, int64_t columns) except *:
    """A row for each program, or one for all."""
    if rows.shape[1] != columns or rows.shape[0] not in (1, programs):
        raise ValueError(f"1 or {programs} rows of {columns} numbers were expected, not {rows.shape[0]} of {rows.shape[1]}")
    cdef sv_each found
    found.rows, found.stride = &nothing, columns if rows.shape[0] > 1 else 0
    if columns and rows.shape[0]:
        found.rows = &rows[0, 0]
    return found


def gala_batch(Compiled functions not None, str quasi, const double[:, ::1] x0 not None, const double[:, ::1] data,
               sides, dict options, int64_t max_iter, int threads, double seconds):
    """x, z, grad f, y, the numbers and the counts (gala_batch.h) of all programs, a row each.

    sides: of the variables and of the rows, (1 or programs, n) and (1 or programs, m). The interpreter looks up every so
    many `seconds`, for signals.
    """
    cdef int64_t programs = x0.shape[0], n = functions.table.n, m = functions.m, done = 0
    cdef sv_gala_batch batch
    cdef const double[:, ::1] lower = sides[0], upper = sides[1], row_lower = sides[2], row_upper = sides[3]
    batch.programs, batch.m, batch.max_iter, batch.functions = programs, m, max_iter, &functions.table
    batch.quasi = QUASI[quasi] if quasi is not None else SV_QUASI_NONE
    batch.data.rows, batch.data.stride = NULL, 0
    if data is not None:
        batch.data = each(data, programs, data.shape[1])
    batch.x0 = each(x0, programs, n)
    batch.lower, batch.upper = each(lower, programs, n), each(upper, programs, n)
    batch.row_lower, batch.row_upper = each(row_lower, programs, m), each(row_upper, programs, m)
    batch.options = options
    batch.sytrf, batch.sytrs = <sv_sytrf>dsytrf, <sv_sytrs>dsytrs
    # one row at least, so that they have addresses
    x, z, g, y, values = [np.zeros((max(programs, 1), width)) for width in (n, n, n, m, SV_PROGRAM_NUMBERS)]
    counts = np.zeros((max(programs, 1), SV_PROGRAM_COUNTS), np.int64)
    cdef double[:, ::1] to_x = x, to_z = z, to_g = g, to_y = y, to_values = values
    cdef int64_t[:, ::1] to_counts = counts
    batch.x, batch.z, batch.g = &to_x[0, 0], &to_z[0, 0], &to_g[0, 0]
    batch.y, batch.numbers, batch.counts = &to_y[0, 0] if m else NULL, &to_values[0, 0], &to_counts[0, 0]
    threads = <int>max(min(<int64_t>threads, programs), 1)
    cdef double[::1] work = np.zeros(sv_gala_batch_work(&batch) * threads)
    while done < programs:
        with nogil:
            done = sv_gala_batch_solve(&batch, done, seconds, &work[0], threads)
        if done < programs:
            PyErr_CheckSignals()
    return tuple([rows[:programs] for rows in (x, z, g, y, values, counts)])
