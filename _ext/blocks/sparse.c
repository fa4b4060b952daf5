/* Sparse products that scatter, and Gram matrices: see sparse.h. One entry at a time, since places may meet.
 *
 * A scatter reads 12 bytes an entry and changes 8 at a place that the first or second cache holds. The Gram matrix is
 * the sum of the rows' outer products, upper triangle, then mirrored: a multiply-add a pair at a scattered place of a
 * row of the result, about one cycle where a row's places are neighbours. In NumPy:
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

int sv_compressed_squares(const struct sv_compressed *matrix, size_t count, size_t width, double *by_segment,
                        double *by_index)
{
    const struct sv_compressed X = *matrix;
    for (size_t j = 0; j < count; j++) {
        int32_t last = -1, rising = X.starts[j] <= X.starts[j + 1];
        double sum[4] = {0, 0, 0, 0};
        for (int32_t e = X.starts[j]; e < X.starts[j + 1]; e++) {
            rising &= X.index[e] > last;
            last = X.index[e];
            sum[e & 3] += sv_compressed_entry(&X, (size_t)e) * sv_compressed_entry(&X, (size_t)e);
        }
        if (!rising || (last >= 0 && (size_t)last >= width))
            return 0;
        if (by_index)
            for (int32_t e = X.starts[j]; e < X.starts[j + 1]; e++)
                by_index[X.index[e]] += sv_compressed_entry(&X, (size_t)e) * sv_compressed_entry(&X, (size_t)e);
        if (by_segment)
            by_segment[j] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    }
    return 1;
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
