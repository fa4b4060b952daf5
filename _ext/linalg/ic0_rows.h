/* ic0 of precondition.c for one type of indices (INDEX); included once for each. */

static ptrdiff_t ic0(ptrdiff_t n, const INDEX *starts, const INDEX *columns, const INDEX *middle, const double *values,
                     double shift, double least, double *out)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        double pivot = values[middle[i]] * (1 + shift);
        for (INDEX k = starts[i]; k < middle[i]; k++) {
            const INDEX j = columns[k];
            double entry = values[k];
            /* rows i and j, both sorted, left of column j */
            for (INDEX p = starts[i], q = starts[j]; p < k && q < middle[j];) {
                if (columns[p] == columns[q]) {
                    entry -= out[p] * out[q] / out[middle[columns[p]]];
                    p++, q++;
                } else if (columns[p] < columns[q]) {
                    p++;
                } else {
                    q++;
                }
            }
            out[k] = entry;
            pivot -= entry * entry / out[middle[j]];
        }
        if (!(pivot > least * values[middle[i]]))
            return i;
        out[middle[i]] = pivot;
    }
    return -1;
}
