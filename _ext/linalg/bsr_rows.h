/* The kernels of bsr.c for one type of indices (INDEX) and of values (VALUE). */

/* One column of x, blocks of m x m. */
INLINE void NAME(sweep_column)(const struct sv_bsr *A, size_t m, double omega, int backward, const double *b, double *x,
                               size_t stride)
{
    const INDEX *restrict starts = A->row_starts, *restrict columns = A->columns;
    const ptrdiff_t rows = (ptrdiff_t)A->rows;
    for (ptrdiff_t k = 0; k < rows; k++) {
        const size_t node = (size_t)(backward ? rows - 1 - k : k);
        double r[SV_BLOCK_MAX], *own = x + node * m * stride;
        for (size_t i = 0; i < m; i++)
            r[i] = b[(node * m + i) * stride];
        for (INDEX e = starts[node]; e < starts[node + 1]; e++) {
            const VALUE *restrict block = (const VALUE *)A->values + (size_t)e * m * m;
            const double *other = x + (size_t)columns[e] * m * stride;
            for (size_t j = 0; j < m; j++)
                for (size_t i = 0; i < m; i++)
                    r[i] = r_fma(-(double)block[i * m + j], other[j * stride], r[i]);
        }
        const double *restrict inverse = A->inverse + node * m * m;
        for (size_t i = 0; i < m; i++) {
            double change = 0;
            for (size_t j = 0; j < m; j++)
                change = r_fma(inverse[i * m + j], r[j], change);
            own[i * stride] = r_fma(omega, change, own[i * stride]);
        }
    }
}

#define OF_SIZE(m)                                                                   \
    case m:                                                                          \
        if (direction == SV_FORWARD)                                                 \
            NAME(sweep_column)(A, m, omega, 0, b + c, x + c, count);                 \
        else                                                                         \
            NAME(sweep_column)(A, m, omega, 1, b + c, x + c, count);                 \
        break;

static void NAME(sweep)(const struct sv_bsr *A, double omega, enum sv_direction direction, size_t count,
                        const double *b, double *x)
{
    for (size_t c = 0; c < count; c++)
        switch (A->block) {
            OF_SIZE(2)
            OF_SIZE(3)
            OF_SIZE(4)
            OF_SIZE(5)
            OF_SIZE(6)
            OF_SIZE(7)
            OF_SIZE(8)
        }
}

#undef OF_SIZE
