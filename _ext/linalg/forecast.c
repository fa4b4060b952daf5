/* A Kalman filter over the arms' forecasts, and the knowledge gradient (Frazier and Powell 2008) of trying one.
 *
 * Cost: an answer is one pass over the covariance, 16 (2 arms features)^2 bytes; a question reads a few of its blocks and
 * takes some eight elementary functions an arm. 20 arms, two features: 3 and 2 microseconds.
 * In NumPy, with C the covariance of the features' sums:
 *   moved = (C[k, k] - C[k, i])**2 / (C[k, k] + noise)   # how far a trial of k may move it relative to the incumbent i
 *   s, d = np.sqrt(moved), np.log(cost[i] / cost[k]) / np.sqrt(moved)
 *   gain = cost[i] * ndtr(d) - cost[k] * np.exp(s**2 / 2) * ndtr(d - s)
 */
#include "forecast.h"

#include <math.h>

#define LARGEST_LOGARITHM 300.0

void sv_forecast_estimate(size_t arms, const double *columns, double condition, double digits, double *out)
{
    for (size_t i = 0; i < arms; i++) {
        const double *c = columns + i;
        const double seen = fmax(c[SV_ESTIMATE_LEAST * arms] + c[SV_ESTIMATE_SLOPE * arms] * condition, 1);
        const double rate = c[SV_ESTIMATE_SOME * arms] + c[SV_ESTIMATE_PER_DIGIT * arms] * digits;
        const double nit = fmax(rate * pow(seen, c[SV_ESTIMATE_POWER * arms]), 1);
        out[i] = c[SV_ESTIMATE_SETUP * arms];
        out[arms + i] = c[SV_ESTIMATE_FIXED * arms] + c[SV_ESTIMATE_EACH * arms] * nit;
        out[2 * arms + i] = nit;
    }
}

static double dot(size_t n, const double *x, const double *y)
{
    double sum = 0;
    for (size_t k = 0; k < n; k++)
        sum += x[k] * y[k];
    return sum;
}

/* The covariance of two quantities at these features. */
static double covariance(const struct sv_forecast *f, size_t one, size_t other, const double *z)
{
    const size_t m = f->features, size = 2 * f->arms * m;
    double sum = 0;
    for (size_t k = 0; k < m; k++)
        sum += z[k] * dot(m, f->covariance + (one * m + k) * size + other * m, z);
    return sum;
}

static double forecast(const struct sv_forecast *f, size_t quantity, double estimate, const double *z)
{
    if (!(estimate > 0))
        return 0;
    return exp(fmin(log(estimate) + dot(f->features, f->mean + quantity * f->features, z), LARGEST_LOGARITHM));
}

static double normal(double x) { return 0.5 * erfc(-x * 0.70710678118654752440); }

static int serves(const struct sv_outlook *o, size_t arm) { return isfinite(o->solve[arm]); }

/* What an arm is expected to cost: its set-up, its solve, a solve with its share of the set-ups. */
struct costs {
    double once, run, long_run;
};

static struct costs costs_of(const struct sv_forecast *f, const struct sv_outlook *o, size_t arm)
{
    struct costs c;
    c.once = forecast(f, 2 * arm, o->setup[arm], o->features);
    c.run = forecast(f, 2 * arm + 1, o->solve[arm], o->features);
    c.long_run = c.run + c.once / o->lifetime[arm];
    return c;
}

/* The best of those that were played and did not fail; else of those not yet played; else of all. */
static size_t incumbent_of(const struct sv_forecast *f, const struct sv_outlook *o)
{
    size_t found = 0;
    int rank = -1;
    double least = INFINITY;
    for (size_t i = 0; i < f->arms; i++) {
        if (!serves(o, i))
            continue;
        const struct costs c = costs_of(f, o, i);
        const double now = c.run + c.once * o->due[i];
        /* at first nobody knows whether there will be a second solve */
        const double cost = o->horizon > 0 ? c.long_run + fmax(now - c.long_run, 0) / o->horizon : now;
        const int its = f->told[i] > 0 ? (f->failing[i] ? 0 : 2) : 1;
        if (its > rank || (its == rank && cost < least))
            found = i, rank = its, least = cost;
    }
    return found;
}

/* How much less a solve may be expected to cost once the arm was tried, and taken if it is better. */
static double improvement(const struct sv_forecast *f, const struct sv_outlook *o, size_t arm, struct costs c,
                          size_t incumbent, double best)
{
    const double *z = o->features, noise = f->told[arm] > 0 ? f->noise : f->first_noise;
    /* How far a trial may move the forecast of the arm relative to the incumbent's: what they share tells nothing, and
     * what is known well of the arm is not learned again. */
    double moved[2];
    for (size_t k = 0; k < 2; k++) {
        const double own = covariance(f, 2 * arm + k, 2 * arm + k, z);
        const double apart = own - covariance(f, 2 * arm + k, 2 * incumbent + 1, z);
        moved[k] = apart * apart / (own + noise);
    }
    const double share = c.run / c.long_run;
    const double deviation = sqrt(share * share * moved[1] + (1 - share) * (1 - share) * moved[0] + 1e-12);
    const double distance = log(best / c.long_run) / deviation;
    const double mean = c.long_run * exp(fmin(deviation * deviation / 2, 50));
    return best * normal(distance) - mean * normal(distance - deviation);
}

void sv_forecast_ask(const struct sv_forecast *f, const struct sv_outlook *o, struct sv_choice *choice)
{
    const size_t incumbent = incumbent_of(f, o);
    const struct costs its = costs_of(f, o, incumbent);
    const double best = its.long_run, allowed = o->budget + o->free_trials * best;
    *choice = (struct sv_choice){incumbent, incumbent, best, its.run};
    if (isnan(o->budget) || f->told[incumbent] == 0 || f->failing[incumbent])
        return; /* no trials, or all are trials */
    double most = 0;
    for (size_t i = 0; i < f->arms; i++) {
        if (i == incumbent || !serves(o, i))
            continue;
        const struct costs c = costs_of(f, o, i);
        /* What a trial costs beyond the incumbent's solve, which comes after one that is broken off; a set-up is not. */
        const double solve = c.run < o->patience * best ? c.run - best : o->patience * best;
        const double beyond = fmax(c.once * o->due[i] + solve, 0);
        const double price = beyond + fmin(o->turn, best / 4);
        if (price > 0 && !(price <= allowed))
            continue;
        const double worth = o->horizon * improvement(f, o, i, c, incumbent, best) - price;
        if (worth > most)
            most = worth, choice->arm = i, choice->forecast = c.run;
    }
}

void sv_forecast_update(const struct sv_forecast *f, size_t quantity, const double *features, double seen, double noise)
{
    const size_t m = f->features, size = 2 * f->arms * m;
    double *cross = f->work;
    for (size_t k = 0; k < size; k++)
        cross[k] = 0;
    for (size_t j = 0; j < m; j++)
        for (size_t k = 0; k < size; k++)
            cross[k] += features[j] * f->covariance[(quantity * m + j) * size + k];
    const double scale = 1 / sqrt(dot(m, cross + quantity * m, features) + noise);
    const double surprise = scale * (seen - dot(m, f->mean + quantity * m, features));
    for (size_t k = 0; k < size; k++)
        cross[k] *= scale; /* on both sides, so that the covariance stays symmetric to the bit */
    for (size_t k = 0; k < size; k++) {
        f->mean[k] += cross[k] * surprise;
        for (size_t l = 0; l < size; l++)
            f->covariance[k * size + l] -= cross[k] * cross[l];
    }
}

void sv_forecast_variances(const struct sv_forecast *f, const double *features, double *out)
{
    for (size_t quantity = 0; quantity < 2 * f->arms; quantity++)
        out[quantity] = covariance(f, quantity, quantity, features);
}
