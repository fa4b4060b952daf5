/* Two Tsallis-INFs with settings of their own (one that forgets, one that does not), and one over them that learns
 * which to follow. An arm is drawn from the mixture of their probabilities, so both learn from every loss; an expert's
 * own loss is estimated by p_expert / p_mixture at the arm that was played, and fades with `discount`.
 * Cost: three times that of tuner_tsallis.c.
 * In NumPy: p = weights @ experts_p; estimate = experts_p[:, arm] / p[arm] * (loss - mean)
 */
#include <math.h>

#include "tuner_tsallis.h"

enum { EXPERTS = 2 };
enum { DISCOUNT = EXPERTS * TSALLIS_SETTINGS };
/* The first places of the state. */
enum { TOLD, SUM, LOSSES, CHILDREN = LOSSES + EXPERTS };

static struct sv_tuner expert(const struct sv_tuner *tuner, int which)
{
    return (struct sv_tuner){&sv_tuner_tsallis, tuner->arms, tuner->settings + which * TSALLIS_SETTINGS, NULL};
}

/* Where an expert's state begins; that of the one past the last is the end. */
static size_t place(const struct sv_tuner *tuner, int which)
{
    size_t at = CHILDREN;
    for (int k = 0; k < which; k++) {
        struct sv_tuner child = expert(tuner, k);
        at += sv_tuner_tsallis.state_size(&child);
    }
    return at;
}

static size_t state_size(const struct sv_tuner *tuner) { return place(tuner, EXPERTS); }

static size_t work_size(const struct sv_tuner *tuner) { return (2 + EXPERTS) * (size_t)tuner->arms; }

static void start(const struct sv_tuner *tuner, double *state) { (void)tuner, (void)state; }

/* The mixture, and the experts' own probabilities behind it. */
static void mixture(const struct sv_tuner *tuner, const double *state, double *p, double *own, double *work)
{
    double weights[EXPERTS], losses[EXPERTS], unit = state[SUM] > 0 ? state[SUM] / state[TOLD] : 1;
    for (int k = 0; k < EXPERTS; k++)
        losses[k] = state[LOSSES + k] / unit;
    double sum = sv_tsallis_weights(EXPERTS, losses, 4 / sqrt(state[TOLD] + 1), weights);
    for (int i = 0; i < tuner->arms; i++)
        p[i] = 0;
    for (int k = 0; k < EXPERTS; k++) {
        struct sv_tuner child = expert(tuner, k);
        double *his = own + k * (size_t)tuner->arms;
        sv_tuner_tsallis.probabilities(&child, state + place(tuner, k), 0, his, work);
        for (int i = 0; i < tuner->arms; i++)
            p[i] += weights[k] / sum * his[i];
    }
}

static void probabilities(const struct sv_tuner *tuner, const double *state, double context, double *p, double *work)
{
    (void)context;
    mixture(tuner, state, p, work, work + EXPERTS * (size_t)tuner->arms);
}

static void ask(const struct sv_tuner *tuner, double *state, struct sv_random *random, struct sv_question *question,
                double *work)
{
    const size_t arms = tuner->arms;
    double *own = work, *p = work + EXPERTS * arms;
    mixture(tuner, state, p, own, p + arms);
    question->arm = sv_tuner_draw(tuner->arms, p, sv_random_uniform(random));
    question->note[0] = p[question->arm];
    for (int k = 0; k < EXPERTS; k++)
        question->note[1 + k] = own[k * arms + question->arm];
}

static void tell(const struct sv_tuner *tuner, double *state, const struct sv_question *question, double loss,
                 double *work)
{
    const double discount = tuner->settings[DISCOUNT], mean = state[TOLD] > 0 ? state[SUM] / state[TOLD] : loss;
    for (int k = 0; k < EXPERTS; k++) {
        double share = question->note[1 + k] / question->note[0];
        state[LOSSES + k] = discount * state[LOSSES + k] + share * (loss - mean);
        struct sv_tuner child = expert(tuner, k);
        sv_tuner_tsallis.tell(&child, state + place(tuner, k), question, loss, work);
    }
    state[TOLD] = discount * state[TOLD] + 1;
    state[SUM] = discount * state[SUM] + loss;
}

const struct sv_tuner_kind sv_tuner_experts = {state_size, work_size, start, probabilities, ask, tell};
