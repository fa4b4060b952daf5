/* Which of several solvers next: forecasts of their costs, and the value of trying one.
 *
 * An arm has two quantities, the logarithms of what its set-up (2 k) and its solve (2 k + 1) cost over an estimate. Each is
 * a linear function of a few features; all coefficients together are one Gaussian vector. See solvers/linalg/_forecast.py
 * for what is modelled, and why.
 */
#ifndef SOLVERS_LINALG_FORECAST_H
#define SOLVERS_LINALG_FORECAST_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

struct sv_forecast {
    size_t arms, features;
    double *mean;           /* (2 arms, features) */
    double *covariance;     /* (2 arms features)^2, of the coefficients in that order; symmetric */
    const int64_t *told;    /* (arms,): how many costs of each are known */
    const uint8_t *failing; /* (arms,): whether it failed last time */
    double noise, first_noise; /* variances of a cost's logarithm; the second for an arm's first */
    double *work;           /* (2 arms features,) */
};

/* What is known of all arms before a solve; arrays over the arms. */
struct sv_outlook {
    const double *setup, *solve; /* estimates; infinite where the arm does not serve, which one at least does */
    const double *due;           /* set-ups that the arm would make now */
    const double *lifetime;      /* solves that one lasts */
    const double *features;
    double horizon;  /* solves to come; 0: nobody knows of a second one */
    double patience; /* a trial is broken off at this many times the incumbent's cost */
    double budget, free_trials; /* trials may cost the first, and so many solves of the incumbent, together; nan: none */
    double turn; /* what a trial costs beside its own cost, but at most a quarter of the incumbent's */
};

struct sv_choice {
    size_t arm, incumbent;
    double best;     /* what the incumbent is forecast to cost in the long run */
    double forecast; /* what the arm's solve is forecast to cost */
};

/* The coefficients of the estimates, arrays over the arms: see Estimate in solvers/linalg/_arms.py. */
enum { SV_ESTIMATE_SETUP, SV_ESTIMATE_FIXED, SV_ESTIMATE_EACH, SV_ESTIMATE_SOME, SV_ESTIMATE_PER_DIGIT, SV_ESTIMATE_LEAST,
       SV_ESTIMATE_SLOPE, SV_ESTIMATE_POWER, SV_ESTIMATE_COLUMNS };

/* Set-ups, solves and iterations of all arms, (3, arms), from (SV_ESTIMATE_COLUMNS, arms). */
SV_BINDING void sv_forecast_estimate(size_t arms, const double *columns, double condition, double digits, double *out);

SV_BINDING void sv_forecast_ask(const struct sv_forecast *, const struct sv_outlook *, struct sv_choice *);

/* A quantity was seen to be `seen`, with this variance: all that are related to it move. */
SV_BINDING void sv_forecast_update(const struct sv_forecast *, size_t quantity, const double *features, double seen,
                                   double noise);

/* The variances of all quantities, (2 arms,). */
SV_BINDING void sv_forecast_variances(const struct sv_forecast *, const double *features, double *out);

#endif
