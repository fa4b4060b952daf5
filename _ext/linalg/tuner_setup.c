/* What a tuner of omega is made from.
 *
 * Gaussian process: the features of an arm are a pivoted Cholesky factor of the kernel over the arms' places and a
 * constant; the scales of the sines are the square roots of the spectral density at their frequencies (Solin and Sarkka
 * 2020, Hilbert space methods for reduced-rank Gaussian process regression, arXiv 1401.5508).
 * Seeds: entropy is mixed into a pool of four words and drawn from it as in O'Neill (2015), "Developing a seed_seq
 * alternative", and a seed's four words are the first halves and second halves of PCG XSL-RR 128/64 (O'Neill 2014, PCG),
 * seeded from eight words of it: what NumPy calls default_rng(seed).integers(0, 2**32, 4).
 * In NumPy: 2 - np.geomspace(2 - low, 2 - high, count); SeedSequence([*seed, *key]).generate_state(4, np.uint64)
 */
#include "tuner_setup.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

/* As in tuner_gaussian.c: how far the sines reach. */
#define DOMAIN 1.25
#define LEAST_FEATURE 1e-5

void sv_omega_values(size_t count, double low, double high, double *omegas)
{
    const double ratio = (2 - high) / (2 - low);
    for (size_t k = 0; k < count; k++)
        omegas[k] = k == 0 ? low
                    : k + 1 == count ? high
                                     : 2 - (2 - low) * pow(ratio, (double)k / (double)(count - 1));
}

void sv_omega_places(size_t count, const double *omegas, double *places)
{
    double least = INFINITY, most = -INFINITY;
    for (size_t k = 0; k < count; k++) {
        places[k] = log(2 - omegas[k]);
        least = fmin(least, places[k]), most = fmax(most, places[k]);
    }
    const double spread = most > least ? most - least : 1;
    for (size_t k = 0; k < count; k++)
        places[k] = (most - places[k]) / spread;
}

/* Features whose products are the kernel; returns how many. */
static int arm_features(size_t arms, const double *places, double length, double *features, double *rest)
{
    double columns[GAUSSIAN_ARM_TERMS];
    int terms = 1;
    for (size_t i = 0; i < arms; i++) {
        features[i * GAUSSIAN_ARM_TERMS] = 1;
        for (size_t j = 0; j < arms; j++) {
            double apart = (places[i] - places[j]) / length;
            rest[i * arms + j] = exp(-0.5 * (apart * apart));
        }
    }
    for (; terms < GAUSSIAN_ARM_TERMS; terms++) {
        size_t pivot = 0;
        for (size_t i = 1; i < arms; i++)
            pivot = rest[i * arms + i] > rest[pivot * arms + pivot] ? i : pivot;
        if (rest[pivot * arms + pivot] < LEAST_FEATURE)
            break;
        const double root = sqrt(rest[pivot * arms + pivot]);
        for (size_t i = 0; i < arms; i++)
            features[i * GAUSSIAN_ARM_TERMS + terms] = rest[i * arms + pivot] / root;
        for (size_t i = 0; i < arms; i++)
            for (size_t j = 0; j < arms; j++)
                rest[i * arms + j] -= features[i * GAUSSIAN_ARM_TERMS + terms] * features[j * GAUSSIAN_ARM_TERMS + terms];
    }
    for (size_t i = 0; i < arms; i++) { /* side by side */
        for (int k = 0; k < terms; k++)
            columns[k] = features[i * GAUSSIAN_ARM_TERMS + k];
        for (int k = 0; k < terms; k++)
            features[i * terms + k] = columns[k];
    }
    return terms;
}

void sv_gaussian_tables(size_t arms, const double *places, double arm_length, double context_length, double *tables,
                        double *work, int *arm_terms, int *context_terms)
{
    double first = 0;
    int scales = 0;
    while (context_length > 0 && scales < GAUSSIAN_CONTEXT_TERMS) {
        const double angle = context_length * (pi / DOMAIN * (scales + 1));
        const double density = sqrt(2 * pi) * context_length * exp(-0.5 * (angle * angle));
        first = scales ? first : density;
        if (!(density > LEAST_FEATURE * first))
            break;
        tables[scales++] = sqrt(2 / DOMAIN * density);
    }
    *context_terms = scales + 1;
    *arm_terms = arm_features(arms, places, arm_length, tables + scales, work);
}

/* ---- seeds ---- */

enum { POOL = 4 };

static uint32_t hashed(uint32_t value, uint32_t *constant, uint32_t factor)
{
    value ^= *constant;
    *constant *= factor;
    value *= *constant;
    return value ^ value >> 16;
}

static void stir(uint32_t pool[POOL], uint32_t word, int skip, uint32_t *constant)
{
    for (int to = 0; to < POOL; to++) {
        if (to == skip)
            continue;
        uint32_t mixed = 0xca01f9ddu * pool[to] - 0x4973f715u * hashed(word, constant, 0x931e8875u);
        pool[to] = mixed ^ mixed >> 16;
    }
}

/* The pool of `count` words of entropy, and bytes after them that count as a word each. */
static void fill_pool(uint32_t pool[POOL], const uint32_t *entropy, size_t count, const char *bytes, size_t length)
{
    uint32_t constant = 0x43b0d7e5u;
    for (size_t k = 0; k < POOL; k++)
        pool[k] = hashed(k < count ? entropy[k] : k < count + length ? (uint8_t)bytes[k - count] : 0, &constant,
                         0x931e8875u);
    for (int from = 0; from < POOL; from++)
        stir(pool, pool[from], from, &constant);
    for (size_t k = POOL; k < count + length; k++)
        stir(pool, k < count ? entropy[k] : (uint8_t)bytes[k - count], -1, &constant);
}

static void draw_pool(const uint32_t pool[POOL], uint64_t words[4])
{
    uint32_t constant = 0x8b51f9ddu;
    for (int k = 0; k < 8; k++) {
        uint64_t half = hashed(pool[k % POOL], &constant, 0x58f38dedu);
        words[k / 2] = k % 2 ? words[k / 2] | half << 32 : half;
    }
}

__extension__ typedef unsigned __int128 wide;

static wide wide_of(uint64_t high, uint64_t low) { return (wide)high << 64 | low; }

void sv_tuner_seed(uint64_t seed, uint32_t words[4])
{
    const wide factor = wide_of(0x2360ed051fc65da4u, 0x4385df649fccf645u);
    const uint32_t entropy[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t pool[POOL];
    uint64_t given[4];
    fill_pool(pool, entropy, entropy[1] ? 2 : 1, NULL, 0);
    draw_pool(pool, given);
    const wide step = wide_of(given[2], given[3]) << 1 | 1;
    wide state = (step + wide_of(given[0], given[1])) * factor + step;
    for (int k = 0; k < 2; k++) {
        state = state * factor + step;
        const uint64_t x = (uint64_t)(state >> 64) ^ (uint64_t)state;
        const int turn = (int)(state >> 122);
        const uint64_t bits = x >> turn | x << (-turn & 63);
        words[2 * k] = (uint32_t)bits, words[2 * k + 1] = (uint32_t)(bits >> 32);
    }
}

void sv_tuner_key_words(const uint32_t seed[4], const char *key, size_t length, uint64_t words[4])
{
    uint32_t pool[POOL];
    fill_pool(pool, seed, 4, key, length);
    draw_pool(pool, words);
}
