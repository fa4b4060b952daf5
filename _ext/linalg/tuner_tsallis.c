/* Tsallis-INF: follow the regularised leader over estimated sums of losses, with the regulariser -2 sum sqrt(p_i).
 *
 * Source: Khodak, Chow, Balcan, Talwalkar (2024), Learning to Relax, arXiv 2310.02246; the algorithm is that of Zimmert
 * and Seldin (2021), arXiv 1807.07623. With l the estimated sums in units of the mean loss, their least taken as 0, the
 * probabilities are p_i = 4 / (eta (l_i + y))^2 with the y > 0 for which they sum to 1. Four estimates of the sums:
 *   plain          a loss over the probability with which its arm was played; eta = 2 / sqrt(t)
 *   half           reduced variance: arms with t p_i >= 16 gain half a mean loss, from which their losses then count;
 *                  eta = 4 / sqrt(t)
 *   shifted        ours: the same with 2 in place of 16 and 0.8 of a mean loss
 *   doubly robust  ours: every arm gains the mean q_i of its own losses so far, and the one that was played
 *                  (loss - q_i) / (p_i + 0.3 / sqrt(t)) more; eta = 4 / sqrt(t)
 * In the last, only the surprise is divided by the probability, and that is held off 0 (Neu 2015, implicit
 * exploration): without that a rare arm's lucky loss would make it the leader for good.
 * Non-stationary costs: all sums times `discount` a step; or of the last `window` steps alone; or forgotten where a
 * change is seen (Page and Hinkley's test on the logarithm of a loss relative to its arm's, in standard deviations).
 *
 * Root: y lies in [2 / eta, 2 sqrt(d) / eta]. Newton's iteration for h(y) = 1 with h(y) = (sum_i p_i)^(-1/2), which is
 * concave and nearly straight, from y = 2 / eta (where the largest p_i is 1) climbs to it without overshooting: 3 to 6
 * steps to all digits. From the other end, or from an earlier root, it could land where some l_i + y is negative.
 * Cost: d (6 steps + 10) flops, bound by the divisions among them; 8 (5 d + 7) bytes of state. For d = 20 a question
 * and its answer take 1.2 microseconds from Python. The sum of the weights is 1 to 1e-12 (tests), mostly to 1e-15.
 * In NumPy: y = scipy.optimize.brentq(lambda y: np.sum(4 / (eta * (l + y)) ** 2) - 1, 2 / eta, 2 * np.sqrt(d) / eta)
 */
#include "tuner_tsallis.h"

#include <math.h>

#define EXPLORATION 0.3 /* over sqrt(t): of the doubly robust estimate */
#define OFTEN 2.0       /* times t p_i: of the shifted estimate, which takes PART of a mean loss */
#define PART 0.8
#define STEPS 60

/* The first places of the state; then the arms' vectors, then the window's steps. */
enum {
    TOLD, /* discounted, or those in the window */
    SUM,  /* of losses, likewise */
    NEXT, /* place in the window that the next step takes */
    RESIDUALS, RESIDUAL_SQUARES, ABOVE, BELOW, /* of the test for a change */
    VECTORS,
};
enum { SUMS, COUNTS, LOSSES, LOGARITHMS, DRAWN, ARM_VECTORS };
enum { STEP_ARM, STEP_JUMP, STEP_LOSS, STEP_ROOM };

static double setting(const struct sv_tuner *tuner, int place) { return tuner->settings[place]; }

static double *vector(const struct sv_tuner *tuner, const double *state, int which)
{
    return (double *)state + VECTORS + (size_t)which * tuner->arms;
}

static size_t state_size(const struct sv_tuner *tuner)
{
    return VECTORS + (size_t)ARM_VECTORS * tuner->arms + STEP_ROOM * (size_t)setting(tuner, TSALLIS_WINDOW);
}

static size_t work_size(const struct sv_tuner *tuner) { return tuner->arms; }

static void start(const struct sv_tuner *tuner, double *state) { (void)tuner, (void)state; }

static double root(int arms, const double *losses, double least, double eta)
{
    double y = 2 / eta, before = 0;
    for (int step = 0; step < STEPS && y > before; step++) {
        double sum = 0, slope = 0;
        for (int i = 0; i < arms; i++) {
            double inverse = 1 / (losses[i] - least + y);
            double p = inverse * inverse;
            sum += p;
            slope += p * inverse;
        }
        /* h = sqrt(sum of p)^-1; h' = h^3 sum p / (l + y); with both sums times 4 / eta^2. */
        double h = eta / (2 * sqrt(sum));
        before = y;
        y += (1 - h) * sum / (h * slope);
    }
    return y > before ? y : before;
}

double sv_tsallis_weights(int arms, const double *losses, double eta, double *p)
{
    double least = losses[0], sum = 0;
    for (int i = 1; i < arms; i++)
        least = losses[i] < least ? losses[i] : least;
    const double y = root(arms, losses, least, eta);
    for (int i = 0; i < arms; i++) {
        double weight = 2 / (eta * (losses[i] - least + y));
        sum += p[i] = weight * weight;
    }
    return sum;
}

static double mean_loss(const struct sv_tuner *tuner, const double *state, int arm)
{
    double count = vector(tuner, state, COUNTS)[arm];
    return count > 0 ? vector(tuner, state, LOSSES)[arm] / count : 0;
}

static int windowed(const struct sv_tuner *tuner) { return setting(tuner, TSALLIS_WINDOW) > 0; }

static void probabilities(const struct sv_tuner *tuner, const double *state, double context, double *p, double *work)
{
    (void)context;
    const double *sums = vector(tuner, state, SUMS);
    double unit = state[SUM] > 0 ? state[SUM] / state[TOLD] : 1;
    for (int i = 0; i < tuner->arms; i++)
        work[i] = (sums[i] + (windowed(tuner) ? state[TOLD] * mean_loss(tuner, state, i) : 0)) / unit;
    double rate = setting(tuner, TSALLIS_FORM) == SV_TSALLIS_PLAIN ? 2 : 4;
    double sum = sv_tsallis_weights(tuner->arms, work, rate / sqrt(state[TOLD] + 1), p);
    for (int i = 0; i < tuner->arms; i++)
        p[i] /= sum;
}

static void ask(const struct sv_tuner *tuner, double *state, struct sv_random *random, struct sv_question *question,
                double *work)
{
    double *p = vector(tuner, state, DRAWN);
    probabilities(tuner, state, question->context, p, work);
    question->arm = sv_tuner_draw(tuner->arms, p, sv_random_uniform(random));
    question->note[0] = p[question->arm];
}

/* Whether the losses have changed: cumulative sums of standardised residuals, less a drift of 1/4. */
static int changed(const struct sv_tuner *tuner, double *state, int arm, double loss)
{
    double count = vector(tuner, state, COUNTS)[arm], *logarithms = vector(tuner, state, LOGARITHMS);
    double value = log(loss > 1e-9 ? loss : 1e-9), residual = count > 0 ? value - logarithms[arm] / count : 0;
    logarithms[arm] += value;
    if (count < 3)
        return 0;
    state[RESIDUALS]++;
    state[RESIDUAL_SQUARES] += residual * residual;
    if (state[RESIDUALS] < 20 || state[RESIDUAL_SQUARES] == 0)
        return 0;
    double z = residual / sqrt(state[RESIDUAL_SQUARES] / state[RESIDUALS]);
    z = z > 4 ? 4 : z < -4 ? -4 : z;
    state[ABOVE] = fmax(0, state[ABOVE] + z - 0.25);
    state[BELOW] = fmax(0, state[BELOW] - z - 0.25);
    return fmax(state[ABOVE], state[BELOW]) > setting(tuner, TSALLIS_CHANGE);
}

static void fade(const struct sv_tuner *tuner, double *state, double discount)
{
    double *sums = vector(tuner, state, SUMS);
    state[TOLD] *= discount;
    state[SUM] *= discount;
    for (int i = 0; i < 3 * tuner->arms; i++) /* the sums, the counts, the losses */
        sums[i] *= discount;
}

/* The oldest step leaves the window where it is full; this one enters. */
static void slide(const struct sv_tuner *tuner, double *state, int arm, double jump, double loss)
{
    const double window = setting(tuner, TSALLIS_WINDOW);
    /* Places come from a state that may have been damaged outside: none leads out of it. */
    const double next = state[NEXT] > 0 && state[NEXT] < window ? state[NEXT] : 0;
    double *step = vector(tuner, state, ARM_VECTORS) + (size_t)next * STEP_ROOM;
    if (state[TOLD] > window) {
        int old = step[STEP_ARM] > 0 && step[STEP_ARM] < tuner->arms ? (int)step[STEP_ARM] : 0;
        double *count = vector(tuner, state, COUNTS) + old;
        state[TOLD]--;
        state[SUM] = fmax(0, state[SUM] - step[STEP_LOSS]);
        (*count)--;
        /* With nothing left the sums are 0, whatever rounding says. */
        vector(tuner, state, SUMS)[old] = *count > 0 ? vector(tuner, state, SUMS)[old] - step[STEP_JUMP] : 0;
        vector(tuner, state, LOSSES)[old] =
            *count > 0 ? fmax(0, vector(tuner, state, LOSSES)[old] - step[STEP_LOSS]) : 0;
    }
    step[STEP_ARM] = arm, step[STEP_JUMP] = jump, step[STEP_LOSS] = loss;
    state[NEXT] = next + 1 < window ? next + 1 : 0;
}

/* What this loss adds to the played arm's sum; the other arms' share is added here. */
static double estimate(const struct sv_tuner *tuner, double *state, const struct sv_question *question, double loss)
{
    double *sums = vector(tuner, state, SUMS), p = question->note[0], t = state[TOLD] + 1;
    if (setting(tuner, TSALLIS_FORM) == SV_TSALLIS_DOUBLY_ROBUST) {
        double expected = mean_loss(tuner, state, question->arm);
        if (!windowed(tuner))
            for (int i = 0; i < tuner->arms; i++)
                sums[i] += mean_loss(tuner, state, i);
        return (loss - expected) / (p + EXPLORATION / sqrt(t));
    }
    if (setting(tuner, TSALLIS_FORM) != SV_TSALLIS_PLAIN) {
        const int half = setting(tuner, TSALLIS_FORM) == SV_TSALLIS_HALF;
        const double often = half ? 16 : OFTEN, part = half ? 0.5 : PART, *drawn = vector(tuner, state, DRAWN);
        const double shift = t >= 16 ? part * state[SUM] / state[TOLD] : 0;
        for (int i = 0; i < tuner->arms; i++)
            sums[i] += t * drawn[i] >= often ? shift : 0;
        return (t * drawn[question->arm] >= often ? loss - shift : loss) / p;
    }
    return loss / p;
}

static void tell(const struct sv_tuner *tuner, double *state, const struct sv_question *question, double loss,
                 double *work)
{
    (void)work;
    const double discount = setting(tuner, TSALLIS_DISCOUNT);
    const int arm = question->arm;
    if (setting(tuner, TSALLIS_CHANGE) > 0 && changed(tuner, state, arm, loss)) {
        size_t size = state_size(tuner);
        for (size_t k = 0; k < size; k++)
            state[k] = 0;
    }
    if (discount < 1)
        fade(tuner, state, discount);
    double jump = estimate(tuner, state, question, loss);
    vector(tuner, state, SUMS)[arm] += jump;
    vector(tuner, state, COUNTS)[arm]++;
    vector(tuner, state, LOSSES)[arm] += loss;
    state[TOLD]++;
    state[SUM] += loss;
    if (windowed(tuner))
        slide(tuner, state, arm, jump, loss);
}

const struct sv_tuner_kind sv_tuner_tsallis = {state_size, work_size, start, probabilities, ask, tell};
