/* What all learners share: random numbers, a draw, the unit of the losses.
 *
 * Generator: Blackman and Vigna (2021), Scrambled linear pseudorandom number generators, xoshiro256++ with 64-bit words
 * seeded by the caller. The unit is a power of two, so that taking it out rounds nothing.
 * In NumPy, a draw: np.searchsorted(np.cumsum(p), u * p.sum(), side="right")
 */
#include "tuner.h"

#include <math.h>

/* Above this many units a loss counts as this many: squares and their sums stay finite. */
#define MOST 1e145

static uint64_t rotated(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }

double sv_random_uniform(struct sv_random *random)
{
    uint64_t *s = random->word;
    const uint64_t result = rotated(s[0] + s[3], 23) + s[0], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotated(s[3], 45);
    return (double)(result >> 11) * 0x1p-53;
}

int sv_tuner_draw(int arms, const double *p, double u)
{
    double sum = 0, below = 0;
    for (int i = 0; i < arms; i++)
        sum += p[i];
    int last = 0;
    for (int i = 0; i < arms; i++) {
        if (p[i] > 0)
            last = i;
        if ((below += p[i]) > u * sum)
            return last;
    }
    return last;
}

size_t sv_tuner_state_size(const struct sv_tuner *tuner) { return 1 + tuner->kind->state_size(tuner); }

void sv_tuner_start(const struct sv_tuner *tuner, double *state)
{
    for (size_t k = 0; k < sv_tuner_state_size(tuner); k++)
        state[k] = 0;
    tuner->kind->start(tuner, state + 1);
}

void sv_tuner_ask(const struct sv_tuner *tuner, double *state, struct sv_random *random, struct sv_question *question,
                  double *work)
{
    tuner->kind->ask(tuner, state + 1, random, question, work);
}

void sv_tuner_tell(const struct sv_tuner *tuner, double *state, const struct sv_question *question, double loss,
                   double *work)
{
    if (state[0] == 0 && loss > 0) {
        int exponent;
        frexp(loss, &exponent);
        state[0] = ldexp(1, exponent < -1021 ? -1021 : exponent > 1023 ? 1023 : exponent);
    }
    double units = loss > 0 ? loss / state[0] : 0;
    tuner->kind->tell(tuner, state + 1, question, units < MOST ? units : MOST, work);
}

void sv_tuner_probabilities(const struct sv_tuner *tuner, const double *state, double context, double *p, double *work)
{
    tuner->kind->probabilities(tuner, state + 1, context, p, work);
}
