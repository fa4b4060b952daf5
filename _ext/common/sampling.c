/* Sampling of components: see sampling.h.
 *
 * Alias tables (Walker 1977; Vose 1991) give a draw in one look-up and 64 bits: the high half of bits * n is the column,
 * the low half the coin. 8 bytes a component. Thresholds are whole numbers of 2^-32, so the probabilities are exact
 * sums of them; none of them is 0.
 */
#include "sampling.h"

#include "random_bits.h"

#define WHOLE 0x1p32

void sv_alias_build(struct sv_alias *table, const double *weight, double *probability, double *work)
{
    size_t n = table->n, small = 0, large = n;
    double sum = 0, *mass = work, *stack = work + n; /* indices are exact in a double */
    for (size_t i = 0; i < n; i++)
        sum += weight[i];
    for (size_t i = 0; i < n; i++) {
        mass[i] = weight[i] / sum * (double)n;
        if (mass[i] < 1)
            stack[small++] = (double)i;
        else
            stack[--large] = (double)i;
    }
    /* A column below 1 is filled from one above, which then may lie below. */
    while (small > 0 && large < n) {
        size_t i = (size_t)stack[--small], j = (size_t)stack[large];
        double rounded = mass[i] * WHOLE;
        table->threshold[i] = rounded < 1 ? 1 : rounded < WHOLE - 1 ? (uint32_t)rounded : UINT32_MAX;
        table->alias[i] = (uint32_t)j;
        mass[j] -= 1 - mass[i];
        if (mass[j] < 1) {
            large++;
            stack[small++] = (double)j;
        }
    }
    while (small > 0 || large < n) { /* full but for rounding */
        size_t i = (size_t)(small > 0 ? stack[--small] : stack[large++]);
        table->threshold[i] = UINT32_MAX;
        table->alias[i] = (uint32_t)i;
    }
    for (size_t i = 0; i < n; i++)
        probability[i] = 0;
    for (size_t i = 0; i < n; i++) {
        double own = (double)table->threshold[i] / WHOLE;
        probability[i] += own / (double)n;
        probability[table->alias[i]] += (1 - own) / (double)n;
    }
}

void sv_alias_draw(const struct sv_alias *table, uint64_t seed, uint64_t stream, uint64_t first, size_t count,
                   int64_t *out)
{
    for (size_t k = 0; k < count; k++) {
        uint64_t coin, i = sv_index_below(sv_bits_at(seed, stream, first + k), table->n, &coin);
        out[k] = (uint32_t)(coin >> 32) < table->threshold[i] ? (int64_t)i : (int64_t)table->alias[i];
    }
}

void sv_uniform_draw(size_t n, uint64_t seed, uint64_t stream, uint64_t first, size_t count, int64_t *out)
{
    uint64_t rest;
    for (size_t k = 0; k < count; k++)
        out[k] = (int64_t)sv_index_below(sv_bits_at(seed, stream, first + k), n, &rest);
}

/* The first places of a shuffle, whose exchanges are then undone. */
void sv_distinct_draw(int64_t *order, size_t n, uint64_t seed, uint64_t stream, uint64_t first, size_t count,
                      int64_t *out)
{
    uint64_t rest;
    for (size_t k = 0; k < count; k++) {
        size_t other = k + (size_t)sv_index_below(sv_bits_at(seed, stream, first + k), n - k, &rest);
        out[k] = order[other];
        order[other] = order[k];
        order[k] = out[k];
    }
    for (size_t k = 0; k < count; k++)
        order[out[k]] = out[k];
    for (size_t k = 0; k < count; k++)
        order[k] = (int64_t)k;
}

void sv_uniform_numbers(uint64_t seed, uint64_t stream, uint64_t first, size_t count, double *out)
{
    for (size_t k = 0; k < count; k++)
        out[k] = sv_uniform(sv_bits_at(seed, stream, first + k));
}

void sv_components(sv_component function, void *data, const int64_t *index, size_t count, int size, const double *z,
                   double *out)
{
    for (size_t k = 0; k < count; k++)
        function(index[k], size, z, out + k * (size_t)size, data);
}
