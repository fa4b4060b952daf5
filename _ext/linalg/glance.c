/* See glance.h. */
#include "glance.h"

#include <float.h>
#include <math.h>

int sv_glance_pairs(const double *values, size_t count, const int64_t *here, const int64_t *there, double slack)
{
    for (size_t k = 0; k < count; k++) {
        double value = values[here[k]];
        if (!(fabs(value - values[there[k]]) <= slack * fabs(value)))
            return 0;
    }
    return 1;
}

double sv_glance_median(const double *values, size_t rows, const int64_t *at, const int64_t *starts,
                        const int64_t *centre, double *room)
{
    for (size_t row = 0; row < rows; row++) {
        double sum = 0;
        for (int64_t k = starts[row]; k < starts[row + 1]; k++)
            sum += fabs(values[at[k]]);
        double ratio = sum / fabs(values[at[centre[row]]]);
        size_t place = row; /* few rows: sorted by insertion */
        for (; place > 0 && room[place - 1] > ratio; place--)
            room[place] = room[place - 1];
        room[place] = ratio;
    }
    return room[rows / 2];
}

int sv_glance_kinds(const double *values, size_t count, const int64_t *at, const int64_t *kinds, size_t types,
                    const int64_t *first, double slack, double *table)
{
    double scale = 0;
    for (size_t k = 0; k < types; k++) {
        table[k] = first[k] >= 0 ? values[first[k]] : 0;
        scale = fmax(scale, fabs(table[k]));
    }
    if (!(scale > 0 && scale <= DBL_MAX))
        return 0;
    for (size_t k = 0; k < count; k++)
        if (!(fabs(values[at[k]] - table[kinds[k]]) <= slack * scale))
            return 0;
    return 1;
}

int sv_glance_ends(const double *table, size_t axes, size_t places, const double *extras, const uint8_t *there,
                   double slack)
{
    const double *diagonal = table + axes, amid = diagonal[places / 2];
    double scale = 0;
    for (size_t k = 0; k < axes + places; k++)
        scale = fmax(scale, fabs(table[k]));
    for (size_t place = 0; place < places; place++) {
        double expected = amid;
        for (size_t axis = 0; axis < axes; axis++)
            expected += extras[place * axes + axis] * table[axis];
        if (there[place] && !(fabs(diagonal[place] - expected) <= slack * scale))
            return 0;
    }
    return 1;
}
