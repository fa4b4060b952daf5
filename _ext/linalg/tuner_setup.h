/* What a tuner of omega is made from: values, their places on a scale, tables, seeds. See tuner_setup.c. */
#ifndef SOLVERS_LINALG_TUNER_SETUP_H
#define SOLVERS_LINALG_TUNER_SETUP_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

/* Values of omega between two ends, equally spaced in log(2 - omega). */
SV_BINDING void sv_omega_values(size_t count, double low, double high, double *omegas);

/* Where values of omega lie on that scale, in [0, 1]. */
SV_BINDING void sv_omega_places(size_t count, const double *omegas, double *places);

enum { GAUSSIAN_ARM_TERMS = 12, GAUSSIAN_CONTEXT_TERMS = 24 };

/* The tables of the Gaussian process: context_terms - 1 scales of sines (0 where context_length is 0), then the features
 * of each arm, (arms, arm_terms). Room for GAUSSIAN_CONTEXT_TERMS + arms GAUSSIAN_ARM_TERMS numbers; work: arms^2. */
SV_BINDING void sv_gaussian_tables(size_t arms, const double *places, double arm_length, double context_length,
                                   double *tables, double *work, int *arm_terms, int *context_terms);

/* The four words of a seed, and the state of the generator of a key under them. */
SV_BINDING void sv_tuner_seed(uint64_t seed, uint32_t words[4]);
SV_BINDING void sv_tuner_key_words(const uint32_t seed[4], const char *key, size_t length, uint64_t words[4]);

#endif
