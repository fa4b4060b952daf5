/* The kernels of csr.c for one type of indices (INDEX) and of values (VALUE); included once for each pair. */

#define ROWS(A)                                                                                          \
    const struct sv_csr *matrix = (A)->matrix;                                                           \
    const INDEX *restrict starts = matrix->row_starts, *restrict columns = matrix->columns;              \
    const INDEX *restrict middle = matrix->diagonal_at;                                                  \
    const VALUE *restrict values = matrix->values;                                                       \
    const ptrdiff_t n = (ptrdiff_t)(A)->n;                                                               \
    (void)starts, (void)columns, (void)middle, (void)values, (void)n

/* The sum of row entries [first, last) times x. */
INLINE double NAME(part)(const INDEX *restrict columns, const VALUE *restrict values, INDEX first, INDEX last,
                         const double *restrict x)
{
    double sum = 0;
    for (INDEX k = first; k < last; k++)
        sum += (double)values[k] * x[columns[k]];
    return sum;
}

static double NAME(multiply)(const struct sv_operand *A, const double *x, double *out)
{
    ROWS(A);
    double product = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        out[i] = NAME(part)(columns, values, starts[i], starts[i + 1], x);
        product += x[i] * out[i];
    }
    return product;
}

static double NAME(residual)(const struct sv_operand *A, const double *b, const double *x, double *r)
{
    ROWS(A);
    double square = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        r[i] = b[i] - NAME(part)(columns, values, starts[i], starts[i + 1], x);
        square += r[i] * r[i];
    }
    return square;
}

static void NAME(sweep)(const struct sv_operand *A, double omega, enum sv_direction direction, const double *b,
                        double *x)
{
    ROWS(A);
    const double *restrict inverse = matrix->inverse_diagonal;
    for (ptrdiff_t k = 0; k < n; k++) {
        ptrdiff_t i = direction == SV_FORWARD ? k : n - 1 - k;
        x[i] += omega * inverse[i] * (b[i] - NAME(part)(columns, values, starts[i], starts[i + 1], x));
    }
}

/* A row's sum holds x as already changed by the rows before it; what they changed, times the entries there, leads back
 * to the residual before the sweep. */
static double NAME(measured_sweep)(const struct sv_operand *A, double omega, enum sv_direction direction,
                                   const double *b, double *x, double *d)
{
    ROWS(A);
    const double *restrict inverse = matrix->inverse_diagonal;
    double square = 0;
    for (ptrdiff_t k = 0; k < n; k++) {
        ptrdiff_t i = direction == SV_FORWARD ? k : n - 1 - k;
        INDEX first = direction == SV_FORWARD ? starts[i] : middle[i] + 1;
        INDEX last = direction == SV_FORWARD ? middle[i] : starts[i + 1];
        double now = b[i] - NAME(part)(columns, values, starts[i], starts[i + 1], x);
        double before = now + NAME(part)(columns, values, first, last, d);
        d[i] = omega * inverse[i] * now;
        x[i] += d[i];
        square += before * before;
    }
    return square;
}

static double NAME(jacobi)(const struct sv_operand *A, double omega, double momentum, const double *b, const double *x,
                           double *out)
{
    ROWS(A);
    const double *restrict inverse = matrix->inverse_diagonal;
    double square = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        double r = b[i] - NAME(part)(columns, values, starts[i], starts[i + 1], x);
        double back = momentum == 0 ? 0 : momentum * (x[i] - out[i]);
        out[i] = x[i] + back + omega * inverse[i] * r;
        square += r * r;
    }
    return square;
}

static void NAME(lower_solve)(const struct sv_operand *A, double omega, const double *rhs, double *out)
{
    ROWS(A);
    const double *restrict inverse = matrix->inverse_diagonal;
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] = omega * inverse[i] * (rhs[i] - NAME(part)(columns, values, starts[i], middle[i], out));
}

static void NAME(upper_solve)(const struct sv_operand *A, double omega, const double *rhs, double *out)
{
    ROWS(A);
    const double *restrict inverse = matrix->inverse_diagonal;
    for (ptrdiff_t i = n - 1; i >= 0; i--)
        out[i] = omega * inverse[i] * (rhs[i] - NAME(part)(columns, values, middle[i] + 1, starts[i + 1], out));
}

static double NAME(eisenstat)(const struct sv_operand *A, double omega, const double *v, const double *t, double *q)
{
    ROWS(A);
    const double *restrict inverse = matrix->inverse_diagonal;
    double product = 0;
    /* later rows need s = q - t, so t is added in the end */
    for (ptrdiff_t i = 0; i < n; i++) {
        double rhs = v[i] - (2 / omega - 1) * A->diagonal[i] * t[i];
        q[i] = omega * inverse[i] * (rhs - NAME(part)(columns, values, starts[i], middle[i], q));
        product += v[i] * (q[i] + t[i]);
    }
    for (ptrdiff_t i = 0; i < n; i++)
        q[i] += t[i];
    return product;
}

static double NAME(lower_product)(const struct sv_operand *A, double omega, const double *r, double *out)
{
    ROWS(A);
    double square = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        out[i] = A->diagonal[i] / omega * r[i] + NAME(part)(columns, values, starts[i], middle[i], r);
        square += out[i] * out[i];
    }
    return square;
}

static const struct sv_operand_kernels NAME(kernels) = {
    NAME(multiply), NAME(residual),    NAME(sweep),       NAME(measured_sweep), NAME(jacobi),
    NAME(lower_solve), NAME(upper_solve), NAME(eisenstat), NAME(lower_product),
};

#undef ROWS
