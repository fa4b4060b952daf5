/* The Gram matrix X_W' D X_W of chosen columns of a CSR matrix: rows' outer products, upper triangle, then mirrored.
 *
 * A pair of entries of a row costs a multiply-add at a scattered place of a row of the result, which lies in the second
 * cache for some 400 columns: about one cycle a pair where the pairs of a row are neighbours. In NumPy:
 *     H = X[:, W].T @ (D[:, None] * X[:, W])
 */
#include "gram.h"

void sv_learning_csr_gram(size_t n, const int32_t *starts, const int32_t *columns, const double *values,
                          const int32_t *where, const double *weights, double *H, size_t stride, size_t p,
                          int32_t *place, double *entry)
{
    for (size_t i = 0; i < n; i++) {
        double weight = weights ? weights[i] : 1;
        int count = 0;
        for (int32_t k = starts[i]; k < starts[i + 1]; k++) {
            int32_t at = where[columns[k]];
            place[count] = at;
            entry[count] = values[k];
            count += at >= 0;
        }
        for (int a = 0; a < count; a++) {
            double *row = H + (size_t)place[a] * stride, scaled = weight * entry[a];
            for (int b = a; b < count; b++)
                row[place[b]] += scaled * entry[b];
        }
    }
    for (size_t a = 0; a < p; a++)
        for (size_t b = 0; b < a; b++)
            H[a * stride + b] = H[b * stride + a];
}
