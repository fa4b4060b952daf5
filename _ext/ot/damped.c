/* The sweep of transport between unequal masses: the rows answer in part.
 *
 * One read of C and one exponential an entry, as in the sweep of kernels.c: the terms of a row are formed at its previous
 * potential, and again at their maximum where the sum leaves the safe range; once the sum is known the row's answer is
 * known, and the rescaled terms go into the column sums while they are still in the first cache. A balanced row
 * answers so that it sums to its weight; here a multiple `damping` < 1 of the logarithm q of the row's sum is answered.
 * q is handed out: a small damping would not leave its digits in u.
 *
 * Bytes, operations and accuracy: as the sweep of kernels.c, with one row at a time.
 *
 * In NumPy (u, v and C in units of reg ln2):
 *     q = np.log2(np.exp2(v - C).sum(1))
 *     u = base - damping * q
 *     column_sums = np.exp2(u[:, None] + v - C).sum(0)
 */
#include "cost.h"

/* As in kernels.c. */
#define SUM_MIN 1e-250
#define SUM_MAX 1e250

INLINE void damped_rows(const struct sv_ot_cost *cost, double scale, const struct ot_response *response, double *u,
                        const double *v, double *column_sums, double *room, size_t first, size_t last, int careful,
                        int kind, size_t d)
{
    for (size_t i = first; i < last; i++) {
        struct row row = row_of(cost, scale, i);
        double at = u[i], sum = terms_of(&row, cost, at, v, room, careful, kind, d);
        if (!(sum > SUM_MIN && sum < SUM_MAX)) {
            at = -largest_exponent(&row, cost, v, kind, d);
            sum = terms_of(&row, cost, at, v, room, 1, kind, d);
        }
        response->q[i] = log2(sum) - at;
        u[i] = response->base[i] - response->damping * response->q[i];
        add_scaled(column_sums, room, exp2(u[i] - at), cost->m);
    }
}

static void sweep(const struct sv_ot_cost *cost, double scale, const struct ot_response *response, double *u,
                  const double *v, double *column_sums, double *room, size_t first, size_t last)
{
    if (cost->offset)
        FOR_COST(damped_rows, cost, scale, response, u, v, column_sums, room, first, last, 1)
    else
        FOR_COST(damped_rows, cost, scale, response, u, v, column_sums, room, first, last, 0)
}

const struct ot_damped_kernels SV_TABLE(ot_damped) = {sweep};
