/* The kernels of csr.c for one type of indices (INDEX) and of values (VALUE); included once for each pair. */

#define ROWS(A)                                                                                          \
    const struct sv_csr *matrix = (A)->matrix;                                                           \
    const INDEX *restrict starts = matrix->row_starts, *restrict columns = matrix->columns;              \
    const INDEX *restrict middle = matrix->diagonal_at;                                                  \
    const VALUE *restrict values = matrix->values;                                                       \
    const double *restrict inverse = matrix->inverse_diagonal;                                           \
    const ptrdiff_t n = (ptrdiff_t)(A)->n;                                                               \
    (void)starts, (void)columns, (void)middle, (void)values, (void)inverse, (void)n

/* sum + sign times the row entries [k, last) times x; long rows in four sums. */
INLINE double NAME(add)(double sum, double sign, const INDEX *restrict columns, const VALUE *restrict values, INDEX k,
                        INDEX last, const double *x)
{
    if (last - k >= 8) {
        double s[4] = {0, 0, 0, 0};
        for (; last - k >= 4; k += 4)
            for (int j = 0; j < 4; j++)
                s[j] = r_fma((double)values[k + j], x[columns[k + j]], s[j]);
        sum += sign * ((s[0] + s[1]) + (s[2] + s[3]));
    }
    for (; k < last; k++)
        sum = r_fma(sign * (double)values[k], x[columns[k]], sum);
    return sum;
}

/* A row as a step of a recurrence sees it: the entries [first, last) of the triangle that holds the unknowns already
 * found, but for the one that the step before found. */
struct NAME(step) {
    INDEX first, last;
    double link; /* that one; or 0 */
};

INLINE struct NAME(step) NAME(step_at)(const INDEX *restrict starts, const INDEX *restrict columns,
                                       const INDEX *restrict middle, const VALUE *restrict values, ptrdiff_t i,
                                       int backward)
{
    struct NAME(step) step = {backward ? middle[i] + 1 : starts[i], backward ? starts[i + 1] : middle[i], 0};
    INDEX next = backward ? step.first : step.last - 1;
    if (step.first < step.last && columns[next] == (INDEX)(backward ? i + 1 : i - 1)) {
        step.link = (double)values[next];
        if (backward)
            step.first++;
        else
            step.last--;
    }
    return step;
}

#define STEP_AT(i, backward) NAME(step_at)(starts, columns, middle, values, i, backward)

/* r <- r - the row entries [k, last) times x, for K columns of x; the same order of sums as in `add`. */
INLINE void NAME(subtract)(double *restrict r, const INDEX *restrict columns, const VALUE *restrict values, INDEX k,
                           INDEX last, const double *x, size_t stride, int K)
{
    if (last - k >= 8) {
        double s[4][8] = {{0}};
        for (; last - k >= 4; k += 4)
            for (int j = 0; j < 4; j++)
#pragma GCC unroll 8
                for (int c = 0; c < K; c++)
                    s[j][c] = r_fma((double)values[k + j], x[(size_t)columns[k + j] * stride + c], s[j][c]);
#pragma GCC unroll 8
        for (int c = 0; c < K; c++)
            r[c] -= (s[0][c] + s[1][c]) + (s[2][c] + s[3][c]);
    }
    for (; k < last; k++)
#pragma GCC unroll 8
        for (int c = 0; c < K; c++)
            r[c] = r_fma(-(double)values[k], x[(size_t)columns[k] * stride + c], r[c]);
}

/* x_i = (1 - omega) x_i + omega / a_ii (b_i - the others), of which the step's link comes last. */
INLINE void NAME(sweep_columns)(const struct sv_operand *A, double omega, int backward, const double *b, double *x,
                                size_t stride, int K)
{
    ROWS(A);
    double found[8] = {0};
    for (ptrdiff_t k = 0; k < n; k++) {
        ptrdiff_t i = backward ? n - 1 - k : k;
        struct NAME(step) step = STEP_AT(i, backward);
        double scale = omega * inverse[i], link = scale * step.link, r[8];
        double *xi = x + (size_t)i * stride;
#pragma GCC unroll 8
        for (int c = 0; c < K; c++)
            r[c] = b[(size_t)i * stride + c];
        if (backward)
            NAME(subtract)(r, columns, values, starts[i], middle[i], x, stride, K);
        else
            NAME(subtract)(r, columns, values, middle[i] + 1, starts[i + 1], x, stride, K);
        NAME(subtract)(r, columns, values, step.first, step.last, x, stride, K);
#pragma GCC unroll 8
        for (int c = 0; c < K; c++)
            xi[c] = found[c] = r_fma(-link, found[c], r_fma(scale, r[c], (1 - omega) * xi[c]));
    }
}

static void NAME(sweep)(const struct sv_operand *A, double omega, enum sv_direction direction, const double *b,
                        double *x)
{
    if (direction == SV_FORWARD)
        NAME(sweep_columns)(A, omega, 0, b, x, 1, 1);
    else
        NAME(sweep_columns)(A, omega, 1, b, x, 1, 1);
}

#define COLUMNS_AT_ONCE(K)                                                 \
    for (; count - c >= (K); c += (K)) {                                   \
        if (direction == SV_FORWARD)                                       \
            NAME(sweep_columns)(A, omega, 0, b + c, x + c, count, (K));    \
        else                                                               \
            NAME(sweep_columns)(A, omega, 1, b + c, x + c, count, (K));    \
    }

static void NAME(columns)(const struct sv_operand *A, double omega, enum sv_direction direction, size_t count,
                          const double *b, double *x)
{
    size_t c = 0;
    COLUMNS_AT_ONCE(8)
    COLUMNS_AT_ONCE(4)
    COLUMNS_AT_ONCE(2)
    COLUMNS_AT_ONCE(1)
}

/* The recurrence is in the changes d: a row's residual with x_(i-1) as it was is known before the step i-1 is done.
 * What the other rows before changed, times the entries there, leads back to the residual before the sweep. */
INLINE double NAME(measured)(const struct sv_operand *A, double omega, int backward, const double *b, double *x,
                             double *d)
{
    ROWS(A);
    double square = 0, change = 0, was = 0;
    for (ptrdiff_t k = 0; k < n; k++) {
        ptrdiff_t i = backward ? n - 1 - k : k;
        struct NAME(step) step = STEP_AT(i, backward);
        double scale = omega * inverse[i];
        double r = backward ? NAME(add)(b[i], -1, columns, values, starts[i], middle[i] + 1, x)
                            : NAME(add)(b[i], -1, columns, values, middle[i], starts[i + 1], x);
        r = NAME(add)(r_fma(-step.link, was, r), -1, columns, values, step.first, step.last, x);
        double before = NAME(add)(r, 1, columns, values, step.first, step.last, d);
        change = r_fma(-(scale * step.link), change, scale * r);
        was = x[i];
        d[i] = change;
        x[i] = was + change;
        square = r_fma(before, before, square);
    }
    return square;
}

static double NAME(measured_sweep)(const struct sv_operand *A, double omega, enum sv_direction direction,
                                   const double *b, double *x, double *d)
{
    return direction == SV_FORWARD ? NAME(measured)(A, omega, 0, b, x, d) : NAME(measured)(A, omega, 1, b, x, d);
}

/* out = 1/(D/omega + triangle) (rhs - rest), or with `t` Eisenstat's: rest = (2/omega - 1) D t; returns v'(out + t). */
INLINE double NAME(recurrence)(const struct sv_operand *A, double omega, int backward, const double *rhs,
                               const double *t, double *out)
{
    ROWS(A);
    double product = 0, found = 0;
    for (ptrdiff_t k = 0; k < n; k++) {
        ptrdiff_t i = backward ? n - 1 - k : k;
        struct NAME(step) step = STEP_AT(i, backward);
        double scale = omega * inverse[i], right = rhs[i];
        if (t)
            right -= (2 / omega - 1) * A->diagonal[i] * t[i];
        double r = NAME(add)(right, -1, columns, values, step.first, step.last, out);
        found = r_fma(-(scale * step.link), found, scale * r);
        if (t)
            product = r_fma(rhs[i], found + t[i], product);
        out[i] = found;
    }
    return product;
}

static void NAME(lower_solve)(const struct sv_operand *A, double omega, const double *rhs, double *out)
{
    NAME(recurrence)(A, omega, 0, rhs, NULL, out);
}

static void NAME(upper_solve)(const struct sv_operand *A, double omega, const double *rhs, double *out)
{
    NAME(recurrence)(A, omega, 1, rhs, NULL, out);
}

static double NAME(eisenstat)(const struct sv_operand *A, double omega, const double *v, const double *t, double *q)
{
    double product = NAME(recurrence)(A, omega, 0, v, t, q);
    /* later rows needed q - t, so t is added in the end */
    for (size_t i = 0; i < A->n; i++)
        q[i] += t[i];
    return product;
}

/* The passes below have no order in the rows: each is a task on a block of them. */
#define BLOCK(pass, index)                                                           \
    struct csr_pass *pass = context;                                                 \
    ROWS(pass->A);                                                                   \
    ptrdiff_t row = (ptrdiff_t)(index * pass->rows), stop = row + (ptrdiff_t)pass->rows; \
    const double *b = pass->b, *x = pass->x;                                         \
    double *out = pass->out, sum = 0;                                                \
    (void)b;                                                                         \
    stop = stop < n ? stop : n

static void NAME(multiply_block)(void *context, size_t index)
{
    BLOCK(pass, index);
    for (ptrdiff_t i = row; i < stop; i++) {
        out[i] = NAME(add)(0, 1, columns, values, starts[i], starts[i + 1], x);
        sum = r_fma(x[i], out[i], sum);
    }
    pass->sums[index] = sum;
}

static double NAME(multiply)(const struct sv_operand *A, const double *x, double *out)
{
    struct csr_pass pass = {.A = A, .x = x, .out = out};
    return in_blocks(&pass, A->n, NAME(multiply_block));
}

static void NAME(residual_block)(void *context, size_t index)
{
    BLOCK(pass, index);
    for (ptrdiff_t i = row; i < stop; i++) {
        double r = out[i] = NAME(add)(b[i], -1, columns, values, starts[i], starts[i + 1], x);
        sum = r_fma(r, r, sum);
    }
    pass->sums[index] = sum;
}

static double NAME(residual)(const struct sv_operand *A, const double *b, const double *x, double *r)
{
    struct csr_pass pass = {.A = A, .b = b, .x = x, .out = r};
    return in_blocks(&pass, A->n, NAME(residual_block));
}

static void NAME(jacobi_block)(void *context, size_t index)
{
    BLOCK(pass, index);
    const double momentum = pass->momentum;
    for (ptrdiff_t i = row; i < stop; i++) {
        double r = NAME(add)(b[i], -1, columns, values, starts[i], starts[i + 1], x);
        double back = momentum == 0 ? 0 : momentum * (x[i] - out[i]);
        out[i] = r_fma(pass->factor * inverse[i], r, x[i] + back);
        sum = r_fma(r, r, sum);
    }
    pass->sums[index] = sum;
}

static double NAME(jacobi)(const struct sv_operand *A, double omega, double momentum, const double *b, const double *x,
                           double *out)
{
    struct csr_pass pass = {.A = A, .factor = omega, .momentum = momentum, .b = b, .x = x, .out = out};
    return in_blocks(&pass, A->n, NAME(jacobi_block));
}

static void NAME(lower_product_block)(void *context, size_t index)
{
    BLOCK(pass, index);
    const double *diagonal = pass->A->diagonal;
    for (ptrdiff_t i = row; i < stop; i++) {
        out[i] = NAME(add)(diagonal[i] * pass->factor * x[i], 1, columns, values, starts[i], middle[i], x);
        sum = r_fma(out[i], out[i], sum);
    }
    pass->sums[index] = sum;
}

static double NAME(lower_product)(const struct sv_operand *A, double omega, const double *r, double *out)
{
    struct csr_pass pass = {.A = A, .factor = 1 / omega, .x = r, .out = out};
    return in_blocks(&pass, A->n, NAME(lower_product_block));
}

static const struct sv_operand_kernels NAME(kernels) = {
    NAME(multiply), NAME(residual),    NAME(sweep),       NAME(measured_sweep), NAME(jacobi),
    NAME(lower_solve), NAME(upper_solve), NAME(eisenstat), NAME(lower_product), NULL, NULL, NULL,
};

#undef ROWS
#undef STEP_AT
#undef COLUMNS_AT_ONCE
#undef BLOCK
