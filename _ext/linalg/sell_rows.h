/* The kernels of sell.c for one type of values (VALUE). */

/* sum + the slots of one triangle in the chunk, times x; or minus those */
INLINE rows8 NAME(triangle)(rows8 sum, int minus, const struct sv_sell *S, const struct sv_chunk *chunk, int upper,
                            const double *x)
{
    const int first = upper ? chunk->lower : 0, slots = upper ? (int)chunk->upper : chunk->lower;
    const VALUE *values = (const VALUE *)S->values + SV_CHUNK * (upper ? chunk->first_upper : chunk->first_lower);
    if (!chunk->gathered) {
        const int32_t *base = S->index + chunk->at + first;
        for (int s = 0; s < slots; s++, values += SV_CHUNK)
            EACH {
                vreal value = NAME(values)(values + k * SV_W), other = v_load(x + base[s] + k * SV_W);
                sum.v[k] = minus ? v_fnma(value, other, sum.v[k]) : v_fma(value, other, sum.v[k]);
            }
    } else {
        const int32_t *at = S->index + chunk->at + SV_CHUNK * first;
        for (int s = 0; s < slots; s++, values += SV_CHUNK, at += SV_CHUNK)
            EACH {
                vreal value = NAME(values)(values + k * SV_W), other = v_gather(x, at + k * SV_W);
                sum.v[k] = minus ? v_fnma(value, other, sum.v[k]) : v_fma(value, other, sum.v[k]);
            }
    }
    return sum;
}

#define LESS_LOWER(sum, c, x) NAME(triangle)(sum, 1, S, &S->chunk[c], 0, x)
#define LESS_UPPER(sum, c, x) NAME(triangle)(sum, 1, S, &S->chunk[c], 1, x)
#define PLUS_LOWER(sum, c, x) NAME(triangle)(sum, 0, S, &S->chunk[c], 0, x)
#define PLUS_UPPER(sum, c, x) NAME(triangle)(sum, 0, S, &S->chunk[c], 1, x)

#define CHUNKS(pass)                                                              \
    const struct sv_operand *A = (pass)->A;                                       \
    const struct sv_sell *S = A->matrix;                                          \
    const double *b = (pass)->b, *x = (pass)->x, *inverse = S->inverse_diagonal;  \
    double *out = (pass)->out, omega = (pass)->omega;                             \
    (void)b, (void)x, (void)inverse, (void)omega
#define EACH_CHUNK for (size_t c = first, at = SV_CHUNK * first; c < last; c++, at += SV_CHUNK)
/* From the last one where `backward`: a piece may hold groups that depend on one another. */
#define EACH_CHUNK_TOWARDS(backward)                                                         \
    for (size_t count = last - first, c = (backward) ? last - 1 : first, at = SV_CHUNK * c;  \
         count-- > 0; c += (backward) ? (size_t)-1 : 1, at = SV_CHUNK * c)

INLINE void NAME(sweep_chunks)(const struct sv_sell_pass *pass, size_t first, size_t last, int backward)
{
    CHUNKS(pass);
    EACH_CHUNK_TOWARDS(backward) {
        rows8 r = LESS_LOWER(LESS_UPPER(rows_load(b + at), c, out), c, out);
        rows8 kept = rows_scaled(1 - omega, rows_load(out + at));
        rows_store(out + at, rows_fma(rows_scaled(omega, rows_load(inverse + at)), r, kept));
    }
}

static void NAME(sweep_forward)(const struct sv_sell_pass *pass, size_t first, size_t last, double sum[SV_CHUNK])
{
    (void)sum;
    NAME(sweep_chunks)(pass, first, last, 0);
}

static void NAME(sweep_backward)(const struct sv_sell_pass *pass, size_t first, size_t last, double sum[SV_CHUNK])
{
    (void)sum;
    NAME(sweep_chunks)(pass, first, last, 1);
}

static void NAME(sweep)(const struct sv_operand *A, double omega, enum sv_direction direction, const double *b,
                        double *x)
{
    struct sv_sell_pass pass = {.A = A, .omega = omega, .b = b, .out = x};
    if (direction == SV_FORWARD)
        sv_sell_in_groups(&pass, NAME(sweep_forward), 0);
    else
        sv_sell_in_groups(&pass, NAME(sweep_backward), 1);
}

/* What earlier rows changed, times the entries there, leads back to the residual before the sweep. */
INLINE void NAME(measure_chunks)(const struct sv_sell_pass *pass, size_t first, size_t last, double sum[SV_CHUNK],
                                 int backward)
{
    CHUNKS(pass);
    rows8 squares = rows_load(sum);
    EACH_CHUNK_TOWARDS(backward) {
        rows8 now = LESS_LOWER(LESS_UPPER(rows_load(b + at), c, out), c, out), old = rows_load(out + at);
        now = rows_minus(now, rows_times(rows_load(A->diagonal + at), old));
        rows8 before = backward ? PLUS_UPPER(now, c, pass->d) : PLUS_LOWER(now, c, pass->d);
        rows8 change = rows_times(rows_scaled(omega, rows_load(inverse + at)), now);
        rows_store(pass->d + at, change);
        rows_store(out + at, rows_plus(old, change));
        squares = rows_fma(before, before, squares);
    }
    rows_store(sum, squares);
}

static void NAME(measure_forward)(const struct sv_sell_pass *pass, size_t first, size_t last, double sum[SV_CHUNK])
{
    NAME(measure_chunks)(pass, first, last, sum, 0);
}

static void NAME(measure_backward)(const struct sv_sell_pass *pass, size_t first, size_t last, double sum[SV_CHUNK])
{
    NAME(measure_chunks)(pass, first, last, sum, 1);
}

static double NAME(measured_sweep)(const struct sv_operand *A, double omega, enum sv_direction direction,
                                   const double *b, double *x, double *d)
{
    struct sv_sell_pass pass = {.A = A, .omega = omega, .b = b, .out = x, .d = d};
    return direction == SV_FORWARD ? sv_sell_in_groups(&pass, NAME(measure_forward), 0)
                                   : sv_sell_in_groups(&pass, NAME(measure_backward), 1);
}

static void NAME(lower_chunks)(const struct sv_sell_pass *pass, size_t first, size_t last, double sum[SV_CHUNK])
{
    CHUNKS(pass);
    (void)sum;
    EACH_CHUNK {
        rows8 r = LESS_LOWER(rows_load(b + at), c, out);
        rows_store(out + at, rows_times(rows_scaled(omega, rows_load(inverse + at)), r));
    }
}

static void NAME(upper_chunks)(const struct sv_sell_pass *pass, size_t first, size_t last, double sum[SV_CHUNK])
{
    CHUNKS(pass);
    (void)sum;
    EACH_CHUNK_TOWARDS(1) {
        rows8 r = LESS_UPPER(rows_load(b + at), c, out);
        rows_store(out + at, rows_times(rows_scaled(omega, rows_load(inverse + at)), r));
    }
}

static void NAME(lower_solve)(const struct sv_operand *A, double omega, const double *rhs, double *out)
{
    struct sv_sell_pass pass = {.A = A, .omega = omega, .b = rhs, .out = out};
    sv_sell_in_groups(&pass, NAME(lower_chunks), 0);
}

static void NAME(upper_solve)(const struct sv_operand *A, double omega, const double *rhs, double *out)
{
    struct sv_sell_pass pass = {.A = A, .omega = omega, .b = rhs, .out = out};
    sv_sell_in_groups(&pass, NAME(upper_chunks), 1);
}

/* out = s = (K + L)^-1 (v - (2/omega - 1) D t), which later rows need; the sum is v'(s + t). v is b, t is x. */
static void NAME(eisenstat_chunks)(const struct sv_sell_pass *pass, size_t first, size_t last, double sum[SV_CHUNK])
{
    CHUNKS(pass);
    rows8 products = rows_load(sum);
    EACH_CHUNK {
        rows8 v = rows_load(b + at), t = rows_load(x + at);
        rows8 less = rows_times(rows_scaled(2 / omega - 1, rows_load(A->diagonal + at)), t);
        rows8 r = LESS_LOWER(rows_minus(v, less), c, out);
        rows8 s = rows_times(rows_scaled(omega, rows_load(inverse + at)), r);
        rows_store(out + at, s);
        products = rows_fma(v, rows_plus(s, t), products);
    }
    rows_store(sum, products);
}

static void NAME(add_chunks)(const struct sv_sell_pass *pass, size_t first, size_t last, double sum[SV_CHUNK])
{
    (void)sum;
    for (size_t at = SV_CHUNK * first; at < SV_CHUNK * last; at += SV_CHUNK)
        rows_store(pass->out + at, rows_plus(rows_load(pass->out + at), rows_load(pass->x + at)));
}

static double NAME(eisenstat)(const struct sv_operand *A, double omega, const double *v, const double *t, double *q)
{
    struct sv_sell_pass pass = {.A = A, .omega = omega, .b = v, .x = t, .out = q};
    double product = sv_sell_in_groups(&pass, NAME(eisenstat_chunks), 0);
    sv_sell_everywhere(&pass, NAME(add_chunks));
    return product;
}

static void NAME(multiply_chunks)(const struct sv_sell_pass *pass, size_t first, size_t last, double sum[SV_CHUNK])
{
    CHUNKS(pass);
    rows8 products = rows_load(sum);
    EACH_CHUNK {
        rows8 own = rows_load(x + at), diagonal = rows_times(rows_load(A->diagonal + at), own);
        rows8 product = PLUS_LOWER(PLUS_UPPER(diagonal, c, x), c, x);
        rows_store(out + at, product);
        products = rows_fma(own, product, products);
    }
    rows_store(sum, products);
}

static double NAME(multiply)(const struct sv_operand *A, const double *x, double *out)
{
    struct sv_sell_pass pass = {.A = A, .x = x, .out = out};
    return sv_sell_everywhere(&pass, NAME(multiply_chunks));
}

/* b - A x at a chunk */
INLINE rows8 NAME(residual_at)(const struct sv_operand *A, const double *b, const double *x, size_t c)
{
    const struct sv_sell *S = A->matrix;
    const size_t at = SV_CHUNK * c;
    rows8 r = rows_minus(rows_load(b + at), rows_times(rows_load(A->diagonal + at), rows_load(x + at)));
    return LESS_LOWER(LESS_UPPER(r, c, x), c, x);
}

static void NAME(residual_chunks)(const struct sv_sell_pass *pass, size_t first, size_t last, double sum[SV_CHUNK])
{
    CHUNKS(pass);
    rows8 squares = rows_load(sum);
    EACH_CHUNK {
        rows8 r = NAME(residual_at)(A, b, x, c);
        rows_store(out + at, r);
        squares = rows_fma(r, r, squares);
    }
    rows_store(sum, squares);
}

static double NAME(residual)(const struct sv_operand *A, const double *b, const double *x, double *r)
{
    struct sv_sell_pass pass = {.A = A, .b = b, .x = x, .out = r};
    return sv_sell_everywhere(&pass, NAME(residual_chunks));
}

static void NAME(jacobi_chunks)(const struct sv_sell_pass *pass, size_t first, size_t last, double sum[SV_CHUNK])
{
    CHUNKS(pass);
    rows8 squares = rows_load(sum);
    EACH_CHUNK {
        rows8 r = NAME(residual_at)(A, b, x, c), to = rows_load(x + at);
        if (pass->momentum != 0)
            to = rows_plus(to, rows_scaled(pass->momentum, rows_minus(to, rows_load(out + at))));
        rows_store(out + at, rows_fma(rows_scaled(omega, rows_load(inverse + at)), r, to));
        squares = rows_fma(r, r, squares);
    }
    rows_store(sum, squares);
}

static double NAME(jacobi)(const struct sv_operand *A, double omega, double momentum, const double *b, const double *x,
                           double *out)
{
    struct sv_sell_pass pass = {.A = A, .omega = omega, .momentum = momentum, .b = b, .x = x, .out = out};
    return sv_sell_everywhere(&pass, NAME(jacobi_chunks));
}

static void NAME(lower_product_chunks)(const struct sv_sell_pass *pass, size_t first, size_t last, double sum[SV_CHUNK])
{
    CHUNKS(pass);
    rows8 squares = rows_load(sum);
    EACH_CHUNK {
        rows8 scaled = rows_scaled(1 / omega, rows_times(rows_load(A->diagonal + at), rows_load(x + at)));
        rows8 product = PLUS_LOWER(scaled, c, x);
        rows_store(out + at, product);
        squares = rows_fma(product, product, squares);
    }
    rows_store(sum, squares);
}

static double NAME(lower_product)(const struct sv_operand *A, double omega, const double *r, double *out)
{
    struct sv_sell_pass pass = {.A = A, .omega = omega, .x = r, .out = out};
    return sv_sell_everywhere(&pass, NAME(lower_product_chunks));
}

static const struct sv_operand_kernels NAME(kernels) = {
    NAME(multiply), NAME(residual),    NAME(sweep),       NAME(measured_sweep), NAME(jacobi),
    NAME(lower_solve), NAME(upper_solve), NAME(eisenstat), NAME(lower_product), NULL, NULL, NULL,
};

#undef CHUNKS
#undef EACH_CHUNK
#undef EACH_CHUNK_TOWARDS
#undef LESS_LOWER
#undef LESS_UPPER
#undef PLUS_LOWER
#undef PLUS_UPPER
