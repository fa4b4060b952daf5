/* The places of a row that count, where reg is so small that most of its terms are next to nothing.
 *
 * Pairs of vectors whose terms all lie below 2^-OT_LOST of the row's weight are taken for 0: what that leaves out of a column
 * is some 1e-34 of the mass. The exponentials, three quarters of a pass, are for the others alone. Which places count cannot
 * be predicted, so no branch asks: a first look at the row lists them, at 5 operations a vector, nearly as fast as it is
 * read. What is made there is what a pass over all columns makes, and its sums are, to the bit, while beyond such specks.
 */
#ifndef SOLVERS_OT_LIVE_H
#define SOLVERS_OT_LIVE_H

#include "cost.h"

enum { PLACE = 2 * SV_W /* columns */ };

/* The least exponent that counts in a row of that weight. */
INLINE double live_from(double weight) { return ilogb(weight) - OT_LOST; }

/* top: NULL, or to be raised to u - scale C. */
INLINE size_t places_of(const struct row *row, const struct sv_ot_cost *cost, double u, const double *v, double least,
                        double *restrict top, int *restrict places, int kind)
{
    const struct row own = *row; /* in registers, whatever the stores may reach */
    const vreal bound = v_set1(least - u), vu = v_set1(u), nothing = v_set1(-INFINITY);
    const size_t m = cost->m;
    size_t count = 0;
    for (size_t j = 0; j < m; j += PLACE) {
        vreal most = nothing;
        for (size_t at = j; at < j + PLACE && at < m; at += SV_W) {
            const size_t left = m - at;
            const vreal c = cost_at(&own, cost, at, left, 0, kind, 0);
            if (top)
                v_store_some(top + at, v_max(v_fnma(own.scale, c, vu), v_load_some(top + at, left, 0)), left);
            const vreal z = v_fnma(own.scale, c, v_load_some(v + at, left, 0));
            most = v_max(most, fill_past(z, left, -INFINITY)); /* the second where one is NaN */
        }
        places[count] = (int)j;
        count += v_at_least(bound, most) != (1u << SV_W) - 1;
    }
    return count;
}

/* The first columns of the places of a row that count; returns how many. A function: it wants all registers. */
static __attribute__((noinline)) size_t live_places(const struct row *row, const struct sv_ot_cost *cost, double u,
                                                    const double *v, double least, double *top, int *places)
{
    if (cost->kind == SV_COST_FLOAT64)
        return top ? places_of(row, cost, u, v, least, top, places, SV_COST_FLOAT64)
                   : places_of(row, cost, u, v, least, NULL, places, SV_COST_FLOAT64);
    return top ? places_of(row, cost, u, v, least, top, places, SV_COST_FLOAT32)
               : places_of(row, cost, u, v, least, NULL, places, SV_COST_FLOAT32);
}

/* Whether so few places count that it pays to know them. */
INLINE int few_live(size_t count, size_t m) { return 4 * PLACE * count < m; }

/* FOR_COLUMNS at `count` places; uses `cost`, `kind` and `d`. */
#define FOR_PLACES(places, count, part, ...)                                                        \
    for (size_t place = 0; place < (count); place++) {                                              \
        const size_t first = (size_t)(places)[place], rest = cost->m - first;                       \
        if (columns_together(kind, d) == TOGETHER && rest >= PLACE)                                 \
            part(first, TOGETHER, __VA_ARGS__);                                                     \
        else                                                                                        \
            for (size_t column = first; column < first + (rest < PLACE ? rest : PLACE); column += SV_W) \
                part(column, 1, __VA_ARGS__);                                                       \
    }

#endif
