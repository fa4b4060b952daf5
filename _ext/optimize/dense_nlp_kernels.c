/* Rows of dense matrices on their way into K: see dense_nlp.h. Each is read once, 8 bytes an entry (and 8 of the scales), from
 * the first cache as a rule: two loads an entry bound both. Exact but for the product's rounding. In NumPy:
 *     most = np.abs(values * times).max();   out = by * values * times
 */
#include "dense_nlp.h"

#include "simd.h"

/* NaN where a product is not finite. */
static double most(const double *values, const double *times, size_t count)
{
    vreal largest = v_set1(0), sound = v_set1(0);
    for (size_t j = 0; j < count; j += SV_W) {
        vreal size = v_abs(v_load_some(values + j, count - j, 0));
        if (times)
            size = v_mul(size, v_load_some(times + j, count - j, 0));
        largest = v_max(size, largest);
        sound = v_add(sound, v_sub(size, size));
    }
    return v_max_lanes(largest) + v_sum_lanes(sound);
}

static void scaled(const double *values, double by, const double *times, size_t count, double *out)
{
    vreal factor = v_set1(by);
    for (size_t j = 0; j < count; j += SV_W) {
        vreal product = v_mul(v_load_some(values + j, count - j, 0), v_load_some(times + j, count - j, 0));
        v_store_some(out + j, v_mul(product, factor), count - j);
    }
}

const struct dense_nlp_kernels SV_TABLE(dense_nlp_kernels) = {most, scaled};
