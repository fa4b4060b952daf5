/* Sparse products that scatter, and Gram matrices: see sparse.h. One entry at a time, since places may meet.
 *
 * A scatter reads 12 bytes an entry and changes 8 at a place that the first or second cache holds. The Gram matrix is
 * the sum of the rows' outer products, upper triangle, then mirrored: a multiply-add a pair at a scattered place of a
 * row of the result, about one cycle where a row's places are neighbours. Of columns of one value each it is the number of
 * places that two have in common, and their values: 64 rows an instruction. In NumPy:
 *     np.add.at(out, index, np.repeat(factor, np.diff(starts)) * value)
 *     H = X[:, W].T @ (D[:, None] * X[:, W])
 */
#include "sparse.h"

#include <string.h>

SV_DISPATCH(struct sparse_kernels, kernel_table, sparse_kernels_f64)

void sv_compressed_gather(const struct sv_compressed *X, size_t count, const int32_t *list, const double *x, double *out)
{
    kernel_table()->gather(X, count, list, x, out);
}

void sv_compressed_scatter(const struct sv_compressed *matrix, size_t count, const int32_t *list, const double *factor,
                         double *out)
{
    const struct sv_compressed X = *matrix;
    for (size_t k = 0; k < count; k++) {
        size_t j = list ? (size_t)list[k] : k;
        double by = factor[k];
        if (by == 0)
            continue;
        for (int32_t e = X.starts[j]; e < X.starts[j + 1]; e++)
            out[X.index[e]] += by * sv_compressed_entry(&X, (size_t)e);
    }
}

static int is_flat(const struct sv_compressed X, size_t j)
{
    int differ = 0;
    for (int32_t e = X.starts[j]; e < X.starts[j + 1]; e++)
        differ |= sv_compressed_entry(&X, (size_t)e) != sv_compressed_entry(&X, (size_t)X.starts[j]);
    return !differ;
}

static double squares_of_one(const struct sv_compressed X, size_t j)
{
    size_t from = (size_t)X.starts[j], count = (size_t)X.starts[j + 1] - from;
    double value = count ? sv_compressed_entry(&X, from) : 0;
    return (double)count * value * value;
}

static double sum_of_squares(const struct sv_compressed X, size_t j)
{
    size_t e = (size_t)X.starts[j], end = (size_t)X.starts[j + 1];
    double sum[4] = {0, 0, 0, 0};
    for (; e + 4 <= end; e += 4)
        for (size_t c = 0; c < 4; c++)
            sum[c] += sv_compressed_entry(&X, e + c) * sv_compressed_entry(&X, e + c);
    for (; e < end; e++)
        sum[0] += sv_compressed_entry(&X, e) * sv_compressed_entry(&X, e);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

int sv_compressed_squares(const struct sv_compressed *matrix, size_t count, size_t width, double *by_segment,
                        double *by_index)
{
    const struct sv_compressed X = *matrix;
    int flat = 1;
    for (size_t j = 0; j < count; j++) {
        int32_t from = X.starts[j], end = X.starts[j + 1];
        int rising = from <= end && (from == end || (X.index[from] >= 0 && (size_t)X.index[end - 1] < width));
        for (int32_t e = from + 1; e < end; e++)
            rising &= X.index[e] > X.index[e - 1];
        if (!rising)
            return 0;
        if (by_index)
            for (int32_t e = X.starts[j]; e < X.starts[j + 1]; e++)
                by_index[X.index[e]] += sv_compressed_entry(&X, (size_t)e) * sv_compressed_entry(&X, (size_t)e);
        int same = is_flat(X, j);
        flat &= same;
        if (by_segment)
            by_segment[j] = same ? squares_of_one(X, j) : sum_of_squares(X, j);
    }
    return flat ? SV_FLAT : SV_MIXED;
}

/* Entries that are read twice in turn: they stay in the second cache. */
enum { TWICE = 1 << 14 };

int sv_compressed_squares_and_dots(const struct sv_compressed *X, size_t count, size_t width, const double *x,
                                   double *squares, double *dots)
{
    int found = SV_FLAT;
    if (!x)
        return sv_compressed_squares(X, count, width, squares, NULL);
    for (size_t from = 0, end; from < count; from = end) {
        struct sv_compressed some = *X;
        some.starts += from;
        for (end = from + 1; end < count && X->starts[end] < (int64_t)X->starts[from] + TWICE;)
            end++;
        int these = sv_compressed_squares(&some, end - from, width, squares + from, NULL);
        if (these == 0)
            return 0;
        found = these == SV_MIXED ? SV_MIXED : found;
        sv_compressed_gather(&some, end - from, NULL, x, dots + from);
    }
    return found;
}

void sv_compressed_csc_rows(const struct sv_compressed *matrix, size_t p, const int32_t *list, size_t n, int32_t *starts,
                          int32_t *place, double *value)
{
    const struct sv_compressed X = *matrix;
    /* starts[i + 1] counts, then is where row i goes on, and in the end where it ends. */
    memset(starts, 0, (n + 1) * sizeof *starts);
    for (size_t k = 0; k < p; k++)
        for (int32_t e = X.starts[list[k]]; e < X.starts[list[k] + 1]; e++)
            starts[X.index[e] + 1]++;
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t count = starts[i + 1];
        starts[i + 1] = sum;
        sum += count;
    }
    for (size_t k = 0; k < p; k++)
        for (int32_t e = X.starts[list[k]]; e < X.starts[list[k] + 1]; e++) {
            int32_t at = starts[X.index[e] + 1]++;
            place[at] = (int32_t)k;
            value[at] = sv_compressed_entry(&X, (size_t)e);
        }
}

void sv_compressed_spread(const struct sv_compressed *matrix, size_t count, const int32_t *list, size_t width, double *out)
{
    const struct sv_compressed X = *matrix;
    for (size_t k = 0; k < count; k++)
        for (int32_t e = X.starts[list[k]]; e < X.starts[list[k] + 1]; e++)
            out[k * width + (size_t)X.index[e]] = sv_compressed_entry(&X, (size_t)e);
}

void sv_compressed_csc_cross(const struct sv_compressed *matrix, size_t count_left, const int32_t *left, size_t count_right,
                           const int32_t *right, const double *weights, double *work, double *out)
{
    const struct sv_compressed X = *matrix;
    for (size_t a = 0; a < count_left; a++) {
        int32_t from = X.starts[left[a]], to = X.starts[left[a] + 1];
        for (int32_t e = from; e < to; e++)
            work[X.index[e]] = sv_compressed_entry(&X, (size_t)e) * (weights ? weights[X.index[e]] : 1);
        if (right) {
            sv_compressed_gather(&X, count_right, right, work, out + a * count_right);
        } else {
            sv_compressed_gather(&X, count_left - a, left + a, work, out + a * count_left + a);
            for (size_t b = a + 1; b < count_left; b++)
                out[b * count_left + a] = out[a * count_left + b];
        }
        for (int32_t e = from; e < to; e++)
            work[X.index[e]] = 0;
    }
}

size_t sv_compressed_csr_rows(const struct sv_compressed *matrix, size_t n, const int32_t *where, int32_t *starts,
                            int32_t *place, double *value)
{
    const struct sv_compressed X = *matrix;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (place)
            starts[i] = (int32_t)count;
        for (int32_t e = X.starts[i]; e < X.starts[i + 1]; e++) {
            int32_t at = where[X.index[e]];
            if (at < 0)
                continue;
            if (place) {
                place[count] = at;
                value[count] = sv_compressed_entry(&X, (size_t)e);
            }
            count++;
        }
    }
    if (place)
        starts[n] = (int32_t)count;
    return count;
}

/* H += weight x x' above the diagonal, for the row x of the entries in [from, end). Four of them are taken at once: loops over
 * what is left of a row are short, and to end one costs as much as five additions. */
static inline void add_outer(const struct sv_compressed X, size_t from, size_t end, double weight, double *H, size_t stride)
{
    size_t a = from;
    for (; a + 4 <= end; a += 4) {
        double *row[4], scaled[4], own[4];
        for (size_t c = 0; c < 4; c++) {
            row[c] = H + (size_t)X.index[a + c] * stride;
            own[c] = sv_compressed_entry(&X, a + c);
            scaled[c] = weight * own[c];
        }
        for (size_t c = 0; c < 4; c++)
            for (size_t b = c; b < 4; b++)
                row[c][X.index[a + b]] += scaled[c] * own[b];
        for (size_t b = a + 4; b < end; b++) {
            double x = sv_compressed_entry(&X, b);
            for (size_t c = 0; c < 4; c++)
                row[c][X.index[b]] += scaled[c] * x;
        }
    }
    for (; a < end; a++) {
        double *row = H + (size_t)X.index[a] * stride, scaled = weight * sv_compressed_entry(&X, a);
        for (size_t b = a; b < end; b++)
            row[X.index[b]] += scaled * sv_compressed_entry(&X, b);
    }
}

void sv_compressed_gram(const struct sv_compressed *rows, size_t n, const double *weights, double *H, size_t stride,
                      size_t p)
{
    const struct sv_compressed X = *rows;
    for (size_t i = 0; i < n; i++)
        add_outer(X, (size_t)X.starts[i], (size_t)X.starts[i + 1], weights ? weights[i] : 1, H, stride);
    for (size_t a = 0; a < p; a++)
        for (size_t b = 0; b < a; b++)
            H[a * stride + b] = H[b * stride + a];
}

int sv_compressed_is_flat(const struct sv_compressed *X, size_t count)
{
    for (size_t j = 0; j < count; j++)
        if (!is_flat(*X, j))
            return 0;
    return 1;
}

/* The bits of a segment's places from `from` on, before `end`; *at: where it goes on. */
static void set_bits(const struct sv_compressed *X, int32_t stop, size_t from, size_t end, int32_t *at, uint64_t *bits)
{
    int32_t e = *at;
    while (e < stop && (size_t)X->index[e] < end) {
        size_t word = ((size_t)X->index[e] - from) / 64, next = from + 64 * (word + 1);
        uint64_t some = 0;
        next = next < end ? next : end;
        for (; e < stop && (size_t)X->index[e] < next; e++)
            some |= (uint64_t)1 << (((size_t)X->index[e] - from) & 63);
        bits[word] = some;
    }
    *at = e;
}

void sv_compressed_flat_gram(const struct sv_compressed *X, size_t n, size_t count, const int32_t *list, uint64_t *bits,
                           size_t words, int32_t *cursor, double *H, size_t stride)
{
    for (size_t a = 0; a < count; a++) {
        cursor[a] = X->starts[list ? (size_t)list[a] : a];
        memset(H + a * stride + a, 0, (count - a) * sizeof *H);
    }
    words = words < (n + 63) / 64 ? words : (n + 63) / 64;
    for (size_t from = 0; from < n; from += 64 * words) {
        size_t end = from + 64 * words < n ? from + 64 * words : n;
        memset(bits, 0, count * words * sizeof *bits);
        for (size_t a = 0; a < count; a++)
            set_bits(X, X->starts[(list ? (size_t)list[a] : a) + 1], from, end, cursor + a, bits + a * words);
        for (size_t a = 0; a < count; a++)
            kernel_table()->common(bits + a * words, bits + a * words, count - a, words, H + a * stride + a);
    }
    for (size_t a = 0; a < count; a++)
        for (size_t b = a; b < count; b++) {
            size_t left = list ? (size_t)list[a] : a, right = list ? (size_t)list[b] : b;
            if (H[a * stride + b] > 0)
                H[a * stride + b] *= sv_compressed_entry(X, (size_t)X->starts[left]) *
                                     sv_compressed_entry(X, (size_t)X->starts[right]);
        }
}
