/* Learners that choose one of `arms` before each solve and are told its cost afterwards.
 *
 * A learner is its kind, its settings and its state: one flat array of doubles that the caller owns, saves and
 * restores. Whole numbers in it are exact below 2^53. Questions may be answered in any order: what the answer needs is
 * noted in the question. Nothing is allocated, and no other random numbers are drawn than the caller's.
 */
#ifndef SOLVERS_LINALG_TUNER_H
#define SOLVERS_LINALG_TUNER_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

/* xoshiro256++. */
struct sv_random {
    uint64_t word[4];
};

/* In [0, 1), a multiple of 2^-53. */
double sv_random_uniform(struct sv_random *random);

#define SV_TUNER_NOTES 4

struct sv_question {
    int arm;
    double context;
    /* As the kind wants it back; the first is the probability with which the arm was chosen. */
    double note[SV_TUNER_NOTES];
};

struct sv_tuner;

struct sv_tuner_kind {
    /* Doubles of state, and of work beside it. */
    size_t (*state_size)(const struct sv_tuner *);
    size_t (*work_size)(const struct sv_tuner *);
    /* The state before anything is known; it comes in as zeros. */
    void (*start)(const struct sv_tuner *, double *state);
    /* The probabilities of the arms, (arms,), that the next question will be drawn from. */
    void (*probabilities)(const struct sv_tuner *, const double *state, double context, double *p, double *work);
    void (*ask)(const struct sv_tuner *, double *state, struct sv_random *, struct sv_question *, double *work);
    /* loss: in [0, 1e145], in units that do not change. */
    void (*tell)(const struct sv_tuner *, double *state, const struct sv_question *, double loss, double *work);
};

struct sv_tuner {
    const struct sv_tuner_kind *kind;
    int arms;
    const double *settings; /* as the kind reads them: see its file */
    const double *tables;   /* what was computed once for it, or NULL */
};

extern SV_BINDING const struct sv_tuner_kind sv_tuner_tsallis, sv_tuner_binned, sv_tuner_experts, sv_tuner_chebcb;

/* The kind whose work is in vectors, at the level in use. */
SV_BINDING const struct sv_tuner_kind *sv_tuner_gaussian(void);

/* The root and the weights of Tsallis-INF, not yet divided by their sum; see tuner_tsallis.c. Returns that sum. */
SV_BINDING double sv_tsallis_weights(int arms, const double *losses, double eta, double *p);

/* Draws from p; `u` is uniform. */
int sv_tuner_draw(int arms, const double *p, double u);

/* What all learners do: the loss of a cost, in the state's own unit, which the first cost above `offset` sets. The unit
 * is kept in `state[0]`, the kind's state begins at state[1]. */
SV_BINDING size_t sv_tuner_state_size(const struct sv_tuner *);
SV_BINDING void sv_tuner_start(const struct sv_tuner *, double *state);
SV_BINDING void sv_tuner_ask(const struct sv_tuner *, double *state, struct sv_random *, struct sv_question *,
                             double *work);
SV_BINDING void sv_tuner_tell(const struct sv_tuner *, double *state, const struct sv_question *, double loss,
                              double *work);
SV_BINDING void sv_tuner_probabilities(const struct sv_tuner *, const double *state, double context, double *p,
                                       double *work);

#endif
