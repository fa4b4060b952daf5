/* A loss, its first and second derivative and four sums, in one pass: see losses.h.
 *
 * 16 bytes a sample are read (z, y; 24 with weights, 32 in a line search) and 8 to 24 written. The squared losses are
 * bound by that; the logistic one by some 45 vector operations and a division a sample, Poisson's by 20. Sums run over
 * blocks of 512 samples in vectors, and over the blocks with the rounding kept. In NumPy, logistic:
 *     m = y * z; e = exp(-abs(m)); u = where(m >= 0, e, 1) / (1 + e)
 *     value = sum(s * (log1p(e) + maximum(-m, 0))); v = -s * y * u; D = s * e / (1 + e)**2
 * The error of the terms: loss_terms.h.
 */
#include "losses.h"

#include "loss_terms.h"

enum { BLOCK = 512 };

/* x log x, 0 at 0. */
INLINE vreal v_xlogx(vreal x)
{
    const vreal zero = v_set1(0);
    return v_if_equal(x, zero, zero, v_mul(v_mul(x, v_set1(0x1.62e42fefa39efp-1)), v_log2(x)));
}

/* A sum whose rounding is kept. */
struct kept {
    double sum, rest;
};

INLINE void keep(struct kept *to, double x)
{
    double sum = to->sum + x, back = sum - to->sum;
    to->rest += (to->sum - (sum - back)) + (x - back);
    to->sum = sum;
}

INLINE double kept(struct kept sum)
{
    double whole = sum.sum + sum.rest;
    return isfinite(whole) ? whole : sum.sum;
}

/* `product`: of the logistic loss without weights, by one logarithm a block, of the product of its 1 + odds. */
INLINE void evaluate_kind(int kind, int product, const struct sv_loss *loss, const double *z, const double *way, double share,
                          double *trial, double *derivative, double *second, struct sv_loss_sums *sums)
{
    struct kept value = {0, 0}, square = {0, 0}, cross = {0, 0}, total = {0, 0};
    v_fractions base = v_exp_base(0);
    for (size_t from = 0; from < loss->n; from += BLOCK) {
        size_t to = from + BLOCK < loss->n ? from + BLOCK : loss->n;
        vreal some_value = v_set1(0), some_square = v_set1(0), some_cross = v_set1(0), some_total = v_set1(0);
        vreal grown = v_set1(0); /* the product less 1 */
        for (size_t k = from; k < to; k += SV_W) {
            size_t left = to - k;
            vreal at_z = v_load_some(z + k, left, 0), y = v_load_some(loss->y + k, left, 0);
            /* A weight of 0 past the end makes every term there 0. */
            vreal s = loss->s ? v_load_some(loss->s + k, left, 0) : v_keep(v_set1(1), left < SV_W ? left : SV_W, 0);
            if (way) {
                at_z = v_fma(v_set1(share), v_load_some(way + k, left, 0), at_z);
                v_store_some(trial + k, at_z, left);
            }
            struct term at = term_of(kind, base, at_z, y);
            vreal v = v_mul(s, at.slope);
            if (derivative)
                v_store_some(derivative + k, v, left);
            if (second)
                v_store_some(second + k, v_mul(s, at.bend), left);
            if (product) {
                vreal odds = left < SV_W ? v_keep(at.odds, left, 0) : at.odds;
                grown = v_fma(grown, odds, v_add(grown, odds));
                some_value = v_fma(s, at.beyond, some_value);
            } else {
                some_value = v_fma(s, at.value, some_value);
            }
            some_square = v_fma(v, at.slope, some_square);
            some_cross = v_fma(v, y, some_cross);
            some_total = v_add(v, some_total);
        }
        if (product)
            some_value = v_add(some_value, v_log1p_large(grown));
        keep(&value, v_sum_lanes(some_value));
        keep(&square, v_sum_lanes(some_square));
        keep(&cross, v_sum_lanes(some_cross));
        keep(&total, v_sum_lanes(some_total));
    }
    *sums = (struct sv_loss_sums){kept(value), kept(square), kept(cross), kept(total)};
}

/* Squares without weights at z: the sums, which have the same bits for a trial and with the derivative or without, and
 * the derivative unless it is NULL. Two vectors at a time: nothing else is done beside their loads. */
INLINE void residuals(const struct sv_loss *loss, const double *z, double *derivative, struct sv_loss_sums *sums)
{
    enum { AT_ONCE = 2 };
    const double *y = loss->y;
    struct kept square = {0, 0}, cross = {0, 0}, total = {0, 0};
    for (size_t from = 0; from < loss->n; from += BLOCK) {
        size_t to = from + BLOCK < loss->n ? from + BLOCK : loss->n, k = from;
        vreal squares[AT_ONCE], products[AT_ONCE], terms[AT_ONCE];
        for (int c = 0; c < AT_ONCE; c++)
            squares[c] = products[c] = terms[c] = v_set1(0);
        for (; k + AT_ONCE * SV_W <= to; k += AT_ONCE * SV_W)
            for (int c = 0; c < AT_ONCE; c++) {
                vreal target = v_load(y + k + c * SV_W), v = v_sub(v_load(z + k + c * SV_W), target);
                if (derivative)
                    v_store(derivative + k + c * SV_W, v);
                squares[c] = v_fma(v, v, squares[c]);
                products[c] = v_fma(v, target, products[c]);
                terms[c] = v_add(v, terms[c]);
            }
        for (; k < to; k += SV_W) {
            vreal target = v_load_some(y + k, to - k, 0), v = v_sub(v_load_some(z + k, to - k, 0), target);
            if (derivative)
                v_store_some(derivative + k, v, to - k);
            squares[0] = v_fma(v, v, squares[0]);
            products[0] = v_fma(v, target, products[0]);
            terms[0] = v_add(v, terms[0]);
        }
        keep(&square, v_sum_lanes(v_add(squares[0], squares[1])));
        keep(&cross, v_sum_lanes(v_add(products[0], products[1])));
        keep(&total, v_sum_lanes(v_add(terms[0], terms[1])));
    }
    *sums = (struct sv_loss_sums){0.5 * kept(square), kept(square), kept(cross), kept(total)};
}

/* trial = z + share way */
static void move(size_t n, const double *z, const double *way, double share, double *trial)
{
    for (size_t k = 0; k < n; k += SV_W) {
        vreal step = v_load_some(way + k, n - k, 0);
        v_store_some(trial + k, v_fma(v_set1(share), step, v_load_some(z + k, n - k, 0)), n - k);
    }
}

static void evaluate(const struct sv_loss *loss, const double *z, const double *way, double share, double *trial,
                     double *derivative, double *second, struct sv_loss_sums *sums)
{
    switch (loss->kind) {
    case SV_LOSS_LOGISTIC:
        if (loss->s)
            evaluate_kind(SV_LOSS_LOGISTIC, 0, loss, z, way, share, trial, derivative, second, sums);
        else
            evaluate_kind(SV_LOSS_LOGISTIC, 1, loss, z, way, share, trial, derivative, second, sums);
        break;
    case SV_LOSS_HUBER:
        evaluate_kind(SV_LOSS_HUBER, 0, loss, z, way, share, trial, derivative, second, sums);
        break;
    case SV_LOSS_SQUARED_HINGE:
        evaluate_kind(SV_LOSS_SQUARED_HINGE, 0, loss, z, way, share, trial, derivative, second, sums);
        break;
    case SV_LOSS_POISSON:
        evaluate_kind(SV_LOSS_POISSON, 0, loss, z, way, share, trial, derivative, second, sums);
        break;
    default:
        if (!second && !loss->s) {
            if (way)
                move(loss->n, z, way, share, trial);
            if (derivative)
                residuals(loss, way ? trial : z, derivative, sums);
            else
                residuals(loss, way ? trial : z, NULL, sums);
        } else {
            evaluate_kind(SV_LOSS_SQUARED, 0, loss, z, way, share, trial, derivative, second, sums);
        }
    }
}

static int copied(size_t n, const double *y, double *out)
{
    vreal rest = v_set1(0);
    for (size_t k = 0; k < n; k += SV_W) {
        vreal here = v_load_some(y + k, n - k, 0);
        v_store_some(out + k, here, n - k);
        rest = v_add(rest, v_sub(here, here)); /* NaN where it is not finite */
    }
    return v_sum_lanes(rest) == 0;
}

INLINE double conjugate_kind(int poisson, const struct sv_loss *loss, const double *v, double share)
{
    const vreal zero = v_set1(0), one = v_set1(1);
    struct kept total = {0, 0};
    for (size_t from = 0; from < loss->n; from += BLOCK) {
        size_t to = from + BLOCK < loss->n ? from + BLOCK : loss->n;
        vreal sum = zero;
        for (size_t k = from; k < to; k += SV_W) {
            size_t left = to - k;
            vreal y = v_load_some(loss->y + k, left, 1), s = loss->s ? v_load_some(loss->s + k, left, 1) : one, term;
            vreal x = v_mul(v_set1(share), v_load_some(v + k, left, 0));
            if (loss->s)
                x = v_div(x, s);
            if (poisson) {
                vreal mean = v_max(zero, v_add(x, y));
                term = v_sub(v_xlogx(mean), mean);
            } else { /* the probability of the other label, not beyond its ends by rounding */
                vreal u = v_min(one, v_max(zero, v_sub(zero, v_mul(y, x))));
                term = v_add(v_xlogx(u), v_xlogx(v_sub(one, u)));
            }
            if (left < SV_W)
                term = v_keep(term, left, 0);
            sum = v_fma(s, term, sum);
        }
        keep(&total, v_sum_lanes(sum));
    }
    return kept(total);
}

static double conjugate(const struct sv_loss *loss, const double *v, double share)
{
    return loss->kind == SV_LOSS_POISSON ? conjugate_kind(1, loss, v, share) : conjugate_kind(0, loss, v, share);
}

const struct loss_kernels SV_TABLE(loss_kernels) = {evaluate, conjugate, copied};
