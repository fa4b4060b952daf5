/* A tuner of omega as a handle: one learner, its random numbers, its open questions. See interface_tuner.c. */
#ifndef SOLVERS_LINALG_INTERFACE_TUNER_H
#define SOLVERS_LINALG_INTERFACE_TUNER_H

#include "interface.h"
#include "solvers.h"
#include "tuner.h"

/* Questions that may be open, as of one key in Python. */
enum { MOST_PENDING = 1024, MOST_KEY = 255, MOST_SETTINGS = 9 };

struct pending {
    int64_t id;
    struct sv_question asked;
};

struct sv_omega_tuner {
    struct sv_guard guard;
    struct sv_tuner tuner;
    struct sv_random random;
    int64_t asked;
    double *omegas, *state, *work, *costs, *tables;
    int64_t *counts;
    size_t state_size;
    /* The open questions by their numbers, at most one more than may be. */
    struct pending *pending;
    size_t open;
    double settings[MOST_SETTINGS], floor;
    int settings_count;
    /* What is saved along, and must agree to be loaded. */
    const char *learner, *drift; /* drift: NULL where there is none */
    int contextual;
    double context[2];
    uint32_t seed[4];
    size_t key_length;
    char key[MOST_KEY + 1];
};

#endif
