/* Elimination by least degree on a graph of bits: see least_degree.h.
 *
 * Eliminating a pivot joins its row to those of its neighbours, n / 64 words each, whose degrees are then counted anew: as
 * many such joins as the factor has entries, and a look at all degrees a pivot, n^2 in all. That is exact, simple, and for
 * some thousand rows faster than lists; it needs n^2 bits.
 */
#include "least_degree.h"

static int32_t ones(const uint64_t *row, size_t words)
{
    int32_t count = 0;
    for (size_t w = 0; w < words; w++)
        count += __builtin_popcountll(row[w]);
    return count;
}

static size_t least(const int32_t *degree, size_t n)
{
    size_t best = n;
    int32_t smallest = INT32_MAX;
    for (size_t i = 0; i < n; i++)
        if (degree[i] < smallest) {
            smallest = degree[i];
            best = i;
        }
    return best;
}

double sv_equilibrium_least_degree(size_t n, uint64_t *graph, int32_t *order, int32_t *degree, double most)
{
    const size_t words = (n + 63) / 64;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        degree[i] = ones(graph + i * words, words);
    for (size_t k = 0; k < n && sum <= most; k++) {
        size_t pivot = least(degree, n);
        const uint64_t *row = graph + pivot * words;
        sum += (double)degree[pivot] * degree[pivot];
        degree[pivot] = INT32_MAX;
        order[k] = (int32_t)pivot;
        for (size_t w = 0; w < words; w++)
            for (uint64_t left = row[w]; left; left &= left - 1) {
                size_t i = 64 * w + (size_t)__builtin_ctzll(left);
                uint64_t *other = graph + i * words;
                for (size_t v = 0; v < words; v++)
                    other[v] |= row[v];
                other[pivot / 64] &= ~((uint64_t)1 << pivot % 64);
                other[i / 64] &= ~((uint64_t)1 << i % 64);
                degree[i] = ones(other, words);
            }
    }
    return sum;
}
