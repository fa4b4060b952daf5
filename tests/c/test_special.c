/* softmax, log_softmax and logsumexp through the C interface, at the level in use.
 *
 * Compiled once per float width (SV_REAL). The reference is the long double of the C library: with 64 bits and
 * x - max carried in two words its error is below 2^-57, a sixteenth of a ULP of double. Where long double is no
 * wider than double, accuracy is left to the Python tests.
 */
#include <float.h>
#include <math.h>
#include <stdint.h>

#include "check.h"

#if SV_REAL == 32
typedef float real;
#define NAME(stem) stem##_f32
#define NEXTAFTER nextafterf
#define SMALLEST_NORMAL FLT_MIN
#define LARGEST FLT_MAX
#define EPSILON FLT_EPSILON
#else
typedef double real;
#define NAME(stem) stem##_f64
#define NEXTAFTER nextafter
#define SMALLEST_NORMAL DBL_MIN
#define LARGEST DBL_MAX
#define EPSILON DBL_EPSILON
#endif

#define softmax NAME(sv_softmax)
#define log_softmax NAME(sv_log_softmax)
#define logsumexp NAME(sv_logsumexp)

static const size_t lengths[] = {1,  2,  3,  4,  5,  7,   8,   9,   15,  16,   17,   31,   32,    33,   63,
                                 64, 65, 66, 96, 127, 128, 129, 255, 256, 1000, 4095, 4096, 4097, 32769, 70001};
enum { LENGTHS = sizeof lengths / sizeof *lengths, MAX_LENGTH = 70001 };

static real x[MAX_LENGTH], y[MAX_LENGTH], z[MAX_LENGTH], weights[MAX_LENGTH];
static long double exact[MAX_LENGTH];

/* ---- numbers by formula and seed ------------------------------------------------------------- */

static uint64_t state;

static double uniform(double low, double high)
{
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return low + (high - low) * (double)((state * 0x2545F4914F6CDD1DULL) >> 11) * 0x1p-53;
}

static double bell(double scale)
{
    double sum = -6;
    for (int k = 0; k < 12; k++)
        sum += uniform(0, 1);
    return sum * scale;
}

struct data_set {
    const char *name;
    double low, high, scale; /* uniform between low and high, or about normal where scale is positive */
};

static const struct data_set data_sets[] = {
    {"normal", 0, 0, 1},       {"wide normal", 0, 0, 10},         {"below", -80, 0, 0},
    {"above", 900, 1000, 0},   {"far below", -1e5, -1e5 + 80, 0}, {"wide", -1000, 1000, 0},
    {"huge", 2e6, 2e6 + 80, 0}, {"astronomic", 1e16, 1e16 + 90, 0},
};
enum { DATA_SETS = sizeof data_sets / sizeof *data_sets };

static void draw(const struct data_set *set, size_t n)
{
    state = 0x9E3779B97F4A7C15ULL + n;
    for (size_t i = 0; i < n; i++)
        x[i] = (real)(set->scale > 0 ? bell(set->scale) : uniform(set->low, set->high));
}

/* ---- accuracy -------------------------------------------------------------------------------- */

static size_t largest_at(size_t n)
{
    size_t at = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[at])
            at = i;
    return at;
}

/* exact[i] = exp(x[i] - max); returns the sum without the maximum's own 1. */
static long double exponentials(size_t n)
{
    size_t at = largest_at(n);
    long double sum = 0, lost = 0, top = x[at];
    for (size_t i = 0; i < n; i++) {
        long double d = x[i] - top, left = x[i] - (d + top);
        exact[i] = expl(d) * (1 + left);
        if (i == at)
            continue;
        long double term = exact[i] - lost, total = sum + term;
        lost = (total - sum) - term;
        sum = total;
    }
    return sum;
}

static long double spacing(long double value)
{
    real r = (real)fabsl(value);
    return (long double)NEXTAFTER(r, INFINITY) - r;
}

static void check_softmax(const struct data_set *set, size_t n)
{
    long double sum = exponentials(n) + 1;
    softmax(x, 0, y, 0, 1, n, 1);
    for (size_t i = 0; i < n; i++) {
        long double r = exact[i] / sum, error = fabsl(y[i] - r) / spacing(r);
        CHECK(error <= (r >= SMALLEST_NORMAL ? 2.07L : 1.07L), "%s, %zu of %zu: %.9g for x = %.17g is %.3Lf ULP off",
              set->name, i, n, (double)y[i], (double)x[i], error);
    }
}

static void check_log_softmax(const struct data_set *set, size_t n)
{
    long double rest = log1pl(exponentials(n)), top = x[largest_at(n)];
    log_softmax(x, 0, y, 0, 1, n, 1);
    for (size_t i = 0; i < n; i++) {
        long double r = (x[i] - top) - rest;
        CHECK(fabsl(y[i] - r) <= 2 * EPSILON * fabsl(r) + spacing(0), "%s, %zu of %zu: %.17g for %.17Lg", set->name, i,
              n, (double)y[i], r);
    }
}

static void check_logsumexp(const struct data_set *set, size_t n)
{
    long double r = log1pl(exponentials(n)) + x[largest_at(n)];
    real value, sign;
    logsumexp(x, 0, NULL, 0, &value, &sign, 1, n, 1);
    CHECK(sign == 1, "%s, %zu: sign %g", set->name, n, (double)sign);
    CHECK(fabsl(value - r) <= spacing(fabsl(r) > 1 ? r : 1), "%s, %zu: %.17g for %.17Lg", set->name, n,
          (double)value, r);
}

static void check_weighted(const struct data_set *set, size_t n)
{
    long double sum = 0, size = 0, top = x[largest_at(n)];
    exponentials(n);
    for (size_t i = 0; i < n; i++) {
        weights[i] = (real)uniform(-1, 2);
        sum += weights[i] * exact[i];
        size += fabsl(weights[i] * exact[i]);
    }
    long double r = logl(fabsl(sum)) + top, condition = size / fabsl(sum);
    real value, sign;
    logsumexp(x, 0, weights, 0, &value, &sign, 1, n, 1);
    CHECK(sign == (sum > 0 ? 1 : -1), "%s, %zu: sign %g", set->name, n, (double)sign);
    CHECK(fabsl(value - r) <= 2 * condition * spacing(fabsl(r) > 1 ? r : 1), "%s, %zu: %.17g for %.17Lg", set->name,
          n, (double)value, r);
}

static void test_accuracy(void)
{
    if (LDBL_MANT_DIG < 64) {
        printf("long double is no wider than double: accuracy not tested\n");
        return;
    }
    for (int k = 0; k < DATA_SETS; k++)
        for (int l = 0; l < LENGTHS; l++) {
            draw(&data_sets[k], lengths[l]);
            check_softmax(&data_sets[k], lengths[l]);
            check_log_softmax(&data_sets[k], lengths[l]);
            check_logsumexp(&data_sets[k], lengths[l]);
            check_weighted(&data_sets[k], lengths[l]);
        }
}

/* Many short rows: the rounding of a plain sum of a few vectors shows in few of them. */
static void test_accuracy_of_short_rows(void)
{
    if (LDBL_MANT_DIG < 64)
        return;
    state = 0xD1B54A32D192ED03ULL;
    for (int k = 0; k < 3000; k++) {
        size_t n = 1 + (size_t)uniform(0, 200);
        const struct data_set set = {"short", 0, 0, uniform(0.1, 12)};
        for (size_t i = 0; i < n; i++)
            x[i] = (real)bell(set.scale);
        check_softmax(&set, n);
    }
}

/* ---- closed forms ---------------------------------------------------------------------------- */

static int is_near(double got, double expected, double ulps)
{
    return fabs(got - expected) <= ulps * EPSILON * fabs(expected);
}

static void test_closed_forms(void)
{
    const size_t n = MAX_LENGTH;
    for (size_t i = 0; i < n; i++)
        x[i] = (real)log((double)(i + 1));
    softmax(x, 0, y, 0, 1, n, 1);
    for (size_t i = 0; i < n; i++)
        CHECK(is_near(y[i], 2.0 * (double)(i + 1) / ((double)n * (double)(n + 1)), 16), "element %zu: %g", i,
              (double)y[i]);
    for (size_t i = 0; i < n; i++)
        x[i] = -16;
    x[n / 2] = 0;
    softmax(x, 0, y, 0, 1, n, 1);
    double sum = 1 + (double)(n - 1) * exp(-16);
    CHECK(is_near(y[n / 2], 1 / sum, 2), "%.17g", (double)y[n / 2]);
    CHECK(is_near(y[0], exp(-16) / sum, 2), "%.17g", (double)y[0]);
    log_softmax(x, 0, y, 0, 1, n, 1);
    CHECK(is_near(y[n / 2], -log(sum), 4), "%.17g", (double)y[n / 2]);
    const real three[3] = {20, 0, 0};
    log_softmax(three, 0, y, 0, 1, 3, 1);
    CHECK(is_near(y[0], -log1p(2 * exp(-20)), 2), "%.17g", (double)y[0]);
}

static void test_equal_elements(void)
{
    const real values[] = {0, (real)88.8, (real)-1e5, (real)1e30, LARGEST, -LARGEST};
    for (int k = 0; k < 6; k++)
        for (int l = 0; l < LENGTHS; l++) {
            size_t n = lengths[l];
            for (size_t i = 0; i < n; i++)
                x[i] = values[k];
            softmax(x, 0, y, 0, 1, n, 1);
            log_softmax(x, 0, z, 0, 1, n, 1);
            for (size_t i = 0; i < n; i++) {
                CHECK(is_near(y[i], 1.0 / (double)n, 2), "%zu of %zu: %.17g", i, n, (double)y[i]);
                CHECK(is_near(z[i], -log((double)n), 2), "%zu of %zu: %.17g", i, n, (double)z[i]);
            }
        }
}

/* ---- special values -------------------------------------------------------------------------- */

/* What a row with `special` at `where` and `other` elsewhere must give; NaN is equal to NaN here. */
static int same(double got, double expected)
{
    return got == expected || (isnan(got) && isnan(expected));
}

static void check_special(real special, real other, size_t n, size_t where, const double expected[5])
{
    real value, sign;
    for (size_t i = 0; i < n; i++)
        x[i] = other;
    x[where] = special;
    softmax(x, 0, y, 0, 1, n, 1);
    log_softmax(x, 0, z, 0, 1, n, 1);
    logsumexp(x, 0, NULL, 0, &value, &sign, 1, n, 1);
    CHECK(same(value, expected[4]), "%g beside %g: %g", (double)special, (double)other, (double)value);
    for (size_t i = 0; i < n; i++) {
        CHECK(same(y[i], expected[i != where]), "%g beside %g, %zu of %zu: %g", (double)special, (double)other, i, n,
              (double)y[i]);
        CHECK(same(z[i], expected[2 + (i != where)]), "%g beside %g, %zu of %zu: %g", (double)special, (double)other,
              i, n, (double)z[i]);
    }
}

static void test_special_values(void)
{
    /* softmax there and elsewhere, log_softmax there and elsewhere, logsumexp */
    const double all_nan[5] = {NAN, NAN, NAN, NAN, NAN}, infinite[5] = {NAN, NAN, NAN, -INFINITY, INFINITY},
                 nothing[5] = {NAN, NAN, NAN, NAN, -INFINITY}, one[5] = {1, 0, 0, -INFINITY, 2};
    for (int l = 0; l < LENGTHS; l++) {
        size_t n = lengths[l], places[] = {0, n / 3, n - 1};
        for (int k = 0; k < 3; k++) {
            check_special(NAN, 1, n, places[k], all_nan);
            check_special(-NAN, -INFINITY, n, places[k], all_nan);
            check_special(NAN, INFINITY, n, places[k], all_nan);
            check_special(INFINITY, 1, n, places[k], infinite);
            check_special(INFINITY, -INFINITY, n, places[k], infinite);
            check_special(-INFINITY, -INFINITY, n, places[k], nothing);
            check_special(2, -INFINITY, n, places[k], one);
        }
    }
}

/* Only a search for NaN keeps this from being a row with +inf, whose log_softmax is -inf at the zeros. */
static void test_nan_beside_infinity(void)
{
    for (int l = 0; l < LENGTHS; l++) {
        size_t n = lengths[l];
        for (size_t i = 0; i < n; i++)
            x[i] = 0;
        x[0] = INFINITY;
        x[n / 2] = NAN;
        log_softmax(x, 0, z, 0, 1, n, 1);
        for (size_t i = 0; i < n; i++)
            CHECK(isnan(z[i]), "%zu of %zu: %g", i, n, (double)z[i]);
    }
}

static void test_empty_rows(void)
{
    real value[2] = {5, 5}, sign[2] = {5, 5};
    logsumexp(x, 0, NULL, 0, value, sign, 2, 0, 1);
    CHECK(value[0] == -INFINITY && value[1] == -INFINITY && sign[0] == 0 && sign[1] == 0, "%g", (double)value[0]);
    value[0] = 5;
    softmax(x, 0, value, 0, 2, 0, 1);
    log_softmax(x, 0, value, 0, 2, 0, 1);
    softmax(x, 3, value, 3, 0, 3, 1);
    logsumexp(x, 3, NULL, 0, value, sign, 0, 3, 1);
    CHECK(value[0] == 5, "%g", (double)value[0]);
}

static void check_sum(const real *exponents, const real *b, size_t n, double expected, double expected_sign)
{
    real value, sign;
    logsumexp(exponents, 0, b, 0, &value, &sign, 1, n, 1);
    CHECK(same(value, expected) || is_near(value, expected, 2), "%.17g for %.17g", (double)value, expected);
    CHECK(same(sign, expected_sign), "sign %g for %g", (double)sign, expected_sign);
    logsumexp(exponents, 0, b, 0, &value, NULL, 1, n, 1); /* no sign wanted */
    CHECK(same(value, expected) || is_near(value, expected, 2), "%.17g for %.17g", (double)value, expected);
}

static void test_weights(void)
{
    const real zeros[64] = {0}, inf = INFINITY, huge = LARGEST, tiny = SMALLEST_NORMAL;
    real many[64];
    for (int i = 0; i < 64; i++)
        many[i] = huge;
    check_sum(zeros, many, 64, log(huge) + log(64), 1);
    check_sum((real[]){0, 1}, (real[]){-1, 0.5}, 2, log(exp(1) / 2 - 1), 1);
    check_sum((real[]){0, 0}, (real[]){1, -3}, 2, log(2), -1);
    check_sum((real[]){7, 7}, (real[]){1, -1}, 2, -INFINITY, 0);
    check_sum((real[]){0, 0}, (real[]){inf, 1}, 2, INFINITY, 1);
    check_sum((real[]){0, 0}, (real[]){-inf, 1}, 2, INFINITY, -1);
    check_sum((real[]){0, inf}, (real[]){-inf, 1}, 2, NAN, NAN);
    check_sum((real[]){inf, -inf}, (real[]){-2, 0}, 2, INFINITY, -1);
    check_sum((real[]){inf, inf}, (real[]){2, -1}, 2, NAN, NAN);
    /* The tiny weight's exponential is beyond the largest number, the huge weight's below the smallest. */
    const real far[2] = {(real)(log(huge) + 5), (real)log(tiny)};
    check_sum(far, (real[]){tiny, huge}, 2, (double)logl(expl(far[0] + logl(tiny)) + expl(far[1] + logl(huge))), 1);
}

/* ---- rows, strides, threads ------------------------------------------------------------------ */

static int same_bits(const real *a, const real *b, size_t n) { return memcmp(a, b, n * sizeof *a) == 0; }

typedef int (*row_map)(const real *, ptrdiff_t, real *, ptrdiff_t, size_t, size_t, int);
static const row_map maps[] = {softmax, log_softmax};

/* Rows of 13 elements, 20 apart (and backwards, and all the same one) give what each row alone gives, and the
 * gaps keep what they held. */
static void test_strides(void)
{
    enum { ROWS = 30, LENGTH = 13, APART = 20 };
    const ptrdiff_t strides[] = {APART, -APART, 0, 1};
    draw(&data_sets[1], ROWS * APART);
    for (int f = 0; f < 2; f++)
        for (int k = 0; k < 4; k++) {
            const real *first = strides[k] < 0 ? x + (ROWS - 1) * APART : x;
            for (size_t i = 0; i < ROWS * APART; i++)
                y[i] = 99;
            maps[f](first, strides[k], y, APART, ROWS, LENGTH, 2);
            for (ptrdiff_t r = 0; r < ROWS; r++) {
                maps[f](first + r * strides[k], 0, z, 0, 1, LENGTH, 1);
                CHECK(same_bits(y + r * APART, z, LENGTH), "row %d, stride %d", (int)r, (int)strides[k]);
                for (int i = LENGTH; i < APART; i++)
                    CHECK(y[r * APART + i] == 99, "a gap was written, row %d", (int)r);
            }
        }
    real sums[ROWS], alone;
    logsumexp(x + (ROWS - 1) * APART, -APART, x, 0, sums, NULL, ROWS, LENGTH, 2);
    for (int r = 0; r < ROWS; r++) {
        logsumexp(x + (ROWS - 1 - r) * APART, 0, x, 0, &alone, NULL, 1, LENGTH, 1);
        CHECK(same_bits(&sums[r], &alone, 1), "row %d", r);
    }
}

static void test_in_place(void)
{
    for (int f = 0; f < 2; f++)
        for (int l = 0; l < LENGTHS; l++) {
            draw(&data_sets[1], lengths[l]);
            maps[f](x, 0, y, 0, 1, lengths[l], 1);
            maps[f](x, 0, x, 0, 1, lengths[l], 1);
            CHECK(same_bits(x, y, lengths[l]), "length %zu", lengths[l]);
        }
}

static void test_threads(void)
{
    const int counts[] = {2, 3, 8};
    for (int f = 0; f < 2; f++)
        for (int k = 0; k < DATA_SETS; k++) {
            draw(&data_sets[k], MAX_LENGTH);
            maps[f](x, 0, y, 0, 1, MAX_LENGTH, 1);
            for (int c = 0; c < 3; c++) {
                maps[f](x, 0, z, 0, 1, MAX_LENGTH, counts[c]);
                CHECK(same_bits(y, z, MAX_LENGTH), "one row, %d threads", counts[c]);
            }
            maps[f](x, 700, y, 700, 100, 700, 1);
            maps[f](x, 700, z, 700, 100, 700, 3);
            CHECK(same_bits(y, z, 70000), "a batch");
        }
}

/* A result of more than 8 MiB is written past the cache, from an address of any alignment. */
static void test_large_results(void)
{
    const size_t n = (9 << 20) / sizeof(real) + 5;
    real *in = malloc((n + 1) * sizeof *in), *out = malloc((n + 1) * sizeof *out);
    CHECK(in && out, "no memory");
    if (in && out)
        for (int shift = 0; shift < 2; shift++) {
            state = 0xA0761D6478BD642FULL;
            for (size_t i = 0; i < n; i++)
                in[i] = (real)uniform(-20, 20);
            softmax(in, 0, out + shift, 0, 1, n, 2);
            softmax(in, 0, in, 0, 1, n, 1); /* in place: through the cache */
            CHECK(same_bits(in, out + shift, n), "alignment %d", shift);
        }
    free(in);
    free(out);
}

int main(void)
{
    expect_level();
    test_accuracy();
    test_accuracy_of_short_rows();
    test_closed_forms();
    test_equal_elements();
    test_special_values();
    test_nan_beside_infinity();
    test_empty_rows();
    test_weights();
    test_strides();
    test_in_place();
    test_threads();
    test_large_results();
    return report();
}
