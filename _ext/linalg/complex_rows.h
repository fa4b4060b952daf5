/* The kernels of csr.c on complex numbers, for one type of indices (INDEX) and of parts (VALUE). */

#define ROWS(A)                                                                                \
    const struct sv_csr *matrix = (A)->matrix;                                                 \
    const INDEX *restrict starts = matrix->row_starts, *restrict columns = matrix->columns;    \
    const INDEX *restrict middle = matrix->diagonal_at;                                        \
    const VALUE *restrict values = matrix->values;                                             \
    const double *restrict inverse = matrix->inverse_diagonal;                                 \
    const ptrdiff_t n = (ptrdiff_t)(A)->n / 2;                                                 \
    (void)starts, (void)columns, (void)middle, (void)values, (void)inverse, (void)n

INLINE struct number NAME(value)(const VALUE *values, INDEX k)
{
    return (struct number){(double)values[2 * (size_t)k], (double)values[2 * (size_t)k + 1]};
}

/* sum + sign times the row entries [k, last) times x; the real and the imaginary products in sums of their own. */
INLINE struct number NAME(add)(struct number sum, double sign, const INDEX *restrict columns,
                               const VALUE *restrict values, INDEX k, INDEX last, const double *x)
{
    struct number turned = {0, 0};
    for (; k < last; k++) {
        const struct number a = NAME(value)(values, k), other = number_at(x, (size_t)columns[k]);
        const double re = sign * a.re, im = sign * a.im;
        sum.re = r_fma(re, other.re, sum.re);
        sum.im = r_fma(re, other.im, sum.im);
        turned.re = r_fma(im, other.im, turned.re);
        turned.im = r_fma(im, other.re, turned.im);
    }
    return (struct number){sum.re - turned.re, sum.im + turned.im};
}

/* x_i = (1 - omega) x_i + omega / a_ii (b_i - the others). What the step before found comes last, from registers. */
INLINE double NAME(relax)(const struct sv_operand *A, double omega, int backward, const double *b, double *x, double *d)
{
    ROWS(A);
    double square = 0;
    struct number found = {0, 0}, change = {0, 0};
    for (ptrdiff_t k = 0; k < n; k++) {
        const ptrdiff_t i = backward ? n - 1 - k : k;
        /* the triangle that is found already, less the entry of the step before */
        INDEX first = backward ? middle[i] + 1 : starts[i], last = backward ? starts[i + 1] : middle[i];
        const INDEX next = backward ? first : last - 1;
        struct number link = {0, 0};
        if (first < last && columns[next] == (INDEX)(backward ? i + 1 : i - 1)) {
            link = NAME(value)(values, next);
            first += backward, last -= !backward;
        }
        struct number r = backward ? NAME(add)(number_at(b, i), -1, columns, values, starts[i], middle[i], x)
                                   : NAME(add)(number_at(b, i), -1, columns, values, middle[i] + 1, starts[i + 1], x);
        r = NAME(add)(r, -1, columns, values, first, last, x);
        const struct number own = number_at(x, i), over = number_at(inverse, i);
        const struct number scale = {omega * over.re, omega * over.im};
        const struct number moved = plus_times((struct number){(1 - omega) * own.re, (1 - omega) * own.im}, scale, r);
        const struct number pull = times(scale, link), before = found;
        found = less_times(moved, pull, before);
        if (d) {
            /* what the rows before changed, times the entries there, leads back to the residual before the sweep */
            struct number left = less_times(less_times(r, link, before), NAME(value)(values, middle[i]), own);
            left = NAME(add)(left, 1, columns, values, first, last, d);
            left = plus_times(left, link, change);
            square = r_fma(left.re, left.re, r_fma(left.im, left.im, square));
            change = (struct number){found.re - own.re, found.im - own.im};
            put_number(d, i, change);
        }
        put_number(x, i, found);
    }
    return square;
}

static void NAME(sweep)(const struct sv_operand *A, double omega, enum sv_direction direction, const double *b,
                        double *x)
{
    if (direction == SV_FORWARD)
        NAME(relax)(A, omega, 0, b, x, NULL);
    else
        NAME(relax)(A, omega, 1, b, x, NULL);
}

static double NAME(measured_sweep)(const struct sv_operand *A, double omega, enum sv_direction direction,
                                   const double *b, double *x, double *d)
{
    return direction == SV_FORWARD ? NAME(relax)(A, omega, 0, b, x, d) : NAME(relax)(A, omega, 1, b, x, d);
}

/* As in csr_rows.h: tasks on blocks of rows. */
#define BLOCK(pass, index)                                                                \
    struct csr_pass *pass = context;                                                      \
    ROWS(pass->A);                                                                        \
    ptrdiff_t row = (ptrdiff_t)(index * pass->rows), stop = row + (ptrdiff_t)pass->rows;  \
    const double *x = pass->x;                                                            \
    double *out = pass->out, sum = 0;                                                     \
    stop = stop < n ? stop : n

static void NAME(multiply_block)(void *context, size_t index)
{
    BLOCK(pass, index);
    for (ptrdiff_t i = row; i < stop; i++) {
        const struct number zero = {0, 0}, own = number_at(x, i);
        const struct number product = NAME(add)(zero, 1, columns, values, starts[i], starts[i + 1], x);
        put_number(out, i, product);
        sum = r_fma(own.re, product.re, r_fma(own.im, product.im, sum));
    }
    pass->sums[index] = sum;
}

static double NAME(multiply)(const struct sv_operand *A, const double *x, double *out)
{
    struct csr_pass pass = {.A = A, .x = x, .out = out};
    return in_blocks(&pass, A->n / 2, NAME(multiply_block));
}

static void NAME(residual_block)(void *context, size_t index)
{
    BLOCK(pass, index);
    for (ptrdiff_t i = row; i < stop; i++) {
        const struct number r =
            NAME(add)(number_at(pass->b, i), -1, columns, values, starts[i], starts[i + 1], x);
        put_number(out, i, r);
        sum = r_fma(r.re, r.re, r_fma(r.im, r.im, sum));
    }
    pass->sums[index] = sum;
}

static double NAME(residual)(const struct sv_operand *A, const double *b, const double *x, double *r)
{
    struct csr_pass pass = {.A = A, .b = b, .x = x, .out = r};
    return in_blocks(&pass, A->n / 2, NAME(residual_block));
}

static void NAME(jacobi_block)(void *context, size_t index)
{
    BLOCK(pass, index);
    const double momentum = pass->momentum;
    for (ptrdiff_t i = row; i < stop; i++) {
        const struct number r =
            NAME(add)(number_at(pass->b, i), -1, columns, values, starts[i], starts[i + 1], x);
        const struct number over = number_at(inverse, i);
        const struct number scale = {pass->factor * over.re, pass->factor * over.im};
        struct number to = number_at(x, i);
        if (momentum != 0) {
            const struct number old = number_at(out, i);
            to.re = r_fma(momentum, to.re - old.re, to.re);
            to.im = r_fma(momentum, to.im - old.im, to.im);
        }
        put_number(out, i, plus_times(to, scale, r));
        sum = r_fma(r.re, r.re, r_fma(r.im, r.im, sum));
    }
    pass->sums[index] = sum;
}

static double NAME(jacobi)(const struct sv_operand *A, double omega, double momentum, const double *b, const double *x,
                           double *out)
{
    struct csr_pass pass = {.A = A, .factor = omega, .momentum = momentum, .b = b, .x = x, .out = out};
    return in_blocks(&pass, A->n / 2, NAME(jacobi_block));
}

/* What conjugate gradients need is not here: they take real matrices. */
static const struct sv_operand_kernels NAME(kernels) = {
    NAME(multiply), NAME(residual), NAME(sweep), NAME(measured_sweep), NAME(jacobi), NULL, NULL, NULL, NULL, NULL, NULL,
    NULL,
};

#undef ROWS
#undef BLOCK
