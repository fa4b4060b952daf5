/* A Tsallis-INF of its own for each of m equal bins of the context; a context is that of the nearest centre.
 * Source: arXiv 2310.02246, the binned learner. Cost and accuracy: those of tuner_tsallis.c, m times its state.
 * In NumPy: bin = int(np.clip(np.floor((context - low) / (high - low) * m), 0, m - 1))
 */
#include <math.h>

#include "tuner_tsallis.h"

/* After the settings of the Tsallis-INF. */
enum { LOW = TSALLIS_SETTINGS, HIGH, BINS };

static size_t one_size(const struct sv_tuner *tuner) { return sv_tuner_tsallis.state_size(tuner); }

static size_t state_size(const struct sv_tuner *tuner) { return (size_t)tuner->settings[BINS] * one_size(tuner); }

static size_t work_size(const struct sv_tuner *tuner) { return sv_tuner_tsallis.work_size(tuner); }

static void start(const struct sv_tuner *tuner, double *state) { (void)tuner, (void)state; }

static size_t place(const struct sv_tuner *tuner, double context)
{
    const double *s = tuner->settings, last = s[BINS] - 1;
    double bin = floor((context - s[LOW]) / (s[HIGH] - s[LOW]) * s[BINS]);
    return (size_t)(bin > 0 ? bin < last ? bin : last : 0) * one_size(tuner);
}

static void probabilities(const struct sv_tuner *tuner, const double *state, double context, double *p, double *work)
{
    sv_tuner_tsallis.probabilities(tuner, state + place(tuner, context), context, p, work);
}

static void ask(const struct sv_tuner *tuner, double *state, struct sv_random *random, struct sv_question *question,
                double *work)
{
    sv_tuner_tsallis.ask(tuner, state + place(tuner, question->context), random, question, work);
}

static void tell(const struct sv_tuner *tuner, double *state, const struct sv_question *question, double loss,
                 double *work)
{
    sv_tuner_tsallis.tell(tuner, state + place(tuner, question->context), question, loss, work);
}

const struct sv_tuner_kind sv_tuner_binned = {state_size, work_size, start, probabilities, ask, tell};
