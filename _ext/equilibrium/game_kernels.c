/* Products with the rows that a strategy plays, and passes over the vectors of a game: see game.h.
 *
 * combine reads each row played once, 4 or 8 bytes for 2 flops, eight rows to a pass over a block of the sum that stays
 * in the first cache: the memory's or the cache's bandwidth bounds it. Sums are in double for rows of floats, too; they
 * run over the rows in order, with an error of count eps. In NumPy:
 *     out = factor @ rows[list];  z = share * (2 * next - z) + (1 - share) * anchor
 */
#include "game.h"

#include "simd.h"

enum { ROWS = 8, BLOCK = 1024 };

INLINE vreal load_float(const void *row, size_t k) { return v_load_float((const float *)row + k); }
INLINE vreal load_double(const void *row, size_t k) { return v_load((const double *)row + k); }

INLINE void combine_any(const char *rows, size_t width, vreal (*load)(const void *, size_t), size_t length, size_t count,
                        const int32_t *list, const double *factor, double *out)
{
    memset(out, 0, length * sizeof *out);
    for (size_t from = 0; from < length; from += BLOCK) {
        size_t to = length - from < BLOCK ? length : from + BLOCK, whole = from + (to - from) / SV_W * SV_W;
        for (size_t k = 0; k < count; k += ROWS) {
            const char *row[ROWS];
            double by[ROWS];
            for (size_t c = 0; c < ROWS; c++) {
                int there = k + c < count;
                row[c] = rows + (size_t)list[there ? k + c : count - 1] * length * width;
                by[c] = there ? factor[k + c] : 0;
            }
            vreal times[ROWS];
            for (int c = 0; c < ROWS; c++)
                times[c] = v_set1(by[c]);
            for (size_t i = from; i < whole; i += SV_W) {
                vreal even = v_load(out + i), odd = v_set1(0);
                for (int c = 0; c < ROWS; c += 2) {
                    even = v_fma(times[c], load(row[c], i), even);
                    odd = v_fma(times[c + 1], load(row[c + 1], i), odd);
                }
                v_store(out + i, v_add(even, odd));
            }
            for (size_t i = whole; i < to; i++)
                for (int c = 0; c < ROWS; c++) {
                    double here = width == sizeof(float) ? (double)((const float *)(const void *)row[c])[i]
                                                         : ((const double *)(const void *)row[c])[i];
                    out[i] = r_fma(by[c], here, out[i]);
                }
        }
    }
}

static void combine_float(const float *rows, size_t length, size_t count, const int32_t *list, const double *factor,
                          double *out)
{
    combine_any((const char *)rows, sizeof *rows, load_float, length, count, list, factor, out);
}

static void combine(const double *rows, size_t length, size_t count, const int32_t *list, const double *factor,
                    double *out)
{
    combine_any((const char *)rows, sizeof *rows, load_double, length, count, list, factor, out);
}

static void ahead(size_t n, const double *z, double a, const double *u, double b, const double *v, double *out)
{
    const vreal by = v_set1(a), more = v_set1(b);
    for (size_t k = 0; k < n; k += SV_W) {
        vreal sum = v_fma(by, v_load_some(u + k, n - k, 0), v_load_some(z + k, n - k, 0));
        v_store_some(out + k, v_fma(more, v_load_some(v + k, n - k, 0), sum), n - k);
    }
}

static void reflect(size_t n, double share, const double *next, const double *anchor, double *z)
{
    const vreal kept = v_set1(-share), twice = v_set1(2 * share), rest = v_set1(1 - share);
    for (size_t k = 0; k < n; k += SV_W) {
        vreal sum = v_mul(rest, v_load_some(anchor + k, n - k, 0));
        sum = v_fma(twice, v_load_some(next + k, n - k, 0), sum);
        v_store_some(z + k, v_fma(kept, v_load_some(z + k, n - k, 0), sum), n - k);
    }
}

static struct sv_game_sums differences(size_t n, const double *p, const double *q, const double *u, const double *v)
{
    vreal square = v_set1(0), cross = square, image = square, images = square;
    for (size_t k = 0; k < n; k += SV_W) {
        vreal d = v_sub(v_load_some(p + k, n - k, 0), v_load_some(q + k, n - k, 0));
        vreal e = v_sub(v_load_some(u + k, n - k, 0), v_load_some(v + k, n - k, 0));
        square = v_fma(d, d, square);
        cross = v_fma(d, e, cross);
        image = v_add(image, e);
        images = v_fma(e, e, images);
    }
    return (struct sv_game_sums){v_sum_lanes(square), v_sum_lanes(cross), v_sum_lanes(image), v_sum_lanes(images)};
}

static double largest(size_t n, double sign, const double *v)
{
    const vreal by = v_set1(sign);
    vreal most = v_set1(-INFINITY);
    size_t whole = n / SV_W * SV_W;
    for (size_t k = 0; k < whole; k += SV_W)
        most = v_max(most, v_mul(by, v_load(v + k)));
    double result = v_max_lanes(most);
    for (size_t k = whole; k < n; k++)
        result = result > sign * v[k] ? result : sign * v[k];
    return result;
}

static double dot(size_t n, const double *u, const double *v)
{
    vreal sum[4] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0)};
    size_t k = 0;
    for (; k + 4 * SV_W <= n; k += 4 * SV_W)
        for (size_t part = 0; part < 4; part++)
            sum[part] = v_fma(v_load(u + k + part * SV_W), v_load(v + k + part * SV_W), sum[part]);
    for (; k < n; k += SV_W)
        sum[0] = v_fma(v_load_some(u + k, n - k, 0), v_load_some(v + k, n - k, 0), sum[0]);
    return v_sum_lanes(v_add(v_add(sum[0], sum[2]), v_add(sum[1], sum[3])));
}

const struct game_kernels SV_TABLE(game_kernels) = {combine_float, combine, ahead, reflect, differences, largest, dot};
