/* A Gaussian process over arm and context for the logarithm of the cost; the arm whose cost could be least is chosen.
 *
 * The kernel is k(i, j) (1 + c(z, z')): squared exponentials over the arms' places and over the context, cut off after
 * r and m - 1 eigenfunctions, each with a constant beside them. So the process is a Bayesian regression on r m
 * features, products of `arm_features` (arms, r), a table, and sqrt(spectral density) * sines of the context (Solin and
 * Sarkka 2020, arXiv 1401.5508), and its posterior is a mean and a covariance of their weights, updated by rank one:
 *   gain = P f / (noise^2 + f'P f),  mean += gain (y - f'mean),  P -= gain (P f)'
 * The score of an arm is f'mean - caution sqrt(f'P f). The first cost is the origin of y. Forgetting: P comes back to
 * the prior by a share of what is missing, 1 - forget, a step; and with probability `epsilon` an arm is drawn evenly.
 * Cost: a question reads half of P, its answer reads P twice and writes it once, 8 (r m)^2 bytes each; 2.5 (r m)^2 +
 * arms r^2 / 2 multiply-adds in all, bound by the second-level cache. For 20 arms and the default lengths (r m = 117) 7
 * microseconds with AVX-512, from Python. Accuracy: P stays symmetric to the bit; its choices are those of the dense
 * formulas (tests).
 * In NumPy: f = np.kron(arm_features[i], context_features(z)); K = F @ F.T; mean = f @ F.T @ solve(K + noise**2 * I, y)
 */
#include <math.h>
#include <string.h>

#include "simd.h"
#include "tuner.h"

/* Settings; r and m count the constants. Contexts none: m = 1. */
enum { LOW, HIGH, ARM_TERMS, CONTEXT_TERMS, LENGTH, NOISE, CAUTION, FORGET, EPSILON };
/* The first places of the state; then the mean, (r m,), and the covariance, (r m, r m). */
enum { TOLD, ORIGIN, MEAN };

#define MOST_TERMS 64
#define DOMAIN 1.25 /* of the sines: the contexts' [0, 1] lies in its middle */
#define LEAST 1e-30 /* what a cost of 0 counts as */

static int arm_terms(const struct sv_tuner *tuner) { return (int)tuner->settings[ARM_TERMS]; }

static int context_terms(const struct sv_tuner *tuner) { return (int)tuner->settings[CONTEXT_TERMS]; }

static size_t weights(const struct sv_tuner *tuner) { return (size_t)arm_terms(tuner) * context_terms(tuner); }

static size_t state_size(const struct sv_tuner *tuner) { return MEAN + weights(tuner) * (weights(tuner) + 1); }

static size_t work_size(const struct sv_tuner *tuner)
{
    return 2 * weights(tuner) + (size_t)arm_terms(tuner) * weights(tuner) + tuner->arms;
}

static void start(const struct sv_tuner *tuner, double *state)
{
    const size_t n = weights(tuner);
    for (size_t k = 0; k < n; k++)
        state[MEAN + n + k * n + k] = 1;
}

/* out += sum_k share_k row_k over the rows of a matrix whose rows are `stride` long, of which `width` count: four rows
 * at a time, so that `out` is read and written a quarter as often. */
INLINE void add_rows(size_t rows, size_t width, size_t stride, const double *share, const double *row, double *out)
{
    size_t k = 0;
    for (; k + 4 <= rows; k += 4) {
        const double a = share[k], b = share[k + 1], c = share[k + 2], d = share[k + 3];
        const double *first = row + k * stride, *second = first + stride, *third = second + stride,
                     *fourth = third + stride;
        for (size_t l = 0; l < width; l++)
            out[l] += (a * first[l] + b * second[l]) + (c * third[l] + d * fourth[l]);
    }
    for (; k < rows; k++)
        for (size_t l = 0; l < width; l++)
            out[l] += share[k] * row[k * stride + l];
}

/* The constant, then sines over the widened domain. */
static void context_features(const struct sv_tuner *tuner, double context, double *out)
{
    const double *s = tuner->settings, pi = 3.14159265358979323846;
    out[0] = 1;
    if (context_terms(tuner) == 1)
        return;
    double z = (context - s[LOW]) / (s[HIGH] - s[LOW]);
    z = z > 1 ? 1 : z < 0 ? 0 : z;
    const double angle = pi / DOMAIN * (z + (DOMAIN - 1) / 2), twice = 2 * cos(angle), *spread = tuner->tables;
    double before = 0, now = sin(angle);
    for (int j = 1; j < context_terms(tuner); j++) {
        out[j] = now * spread[j - 1];
        double next = twice * now - before;
        before = now;
        now = next;
    }
}

static const double *arm_features(const struct sv_tuner *tuner, int arm)
{
    return tuner->tables + context_terms(tuner) - 1 + arm * (size_t)arm_terms(tuner);
}

/* The score of each arm: the mean and the covariance of the arms' weights at this context come first. */
static void scores(const struct sv_tuner *tuner, const double *state, double context, double *out, double *work)
{
    const int r = arm_terms(tuner), m = context_terms(tuner);
    const size_t n = weights(tuner);
    const double *mean = state + MEAN, *covariance = mean + n, caution = tuner->settings[CAUTION];
    double psi[MOST_TERMS], at[MOST_TERMS], *half = work;
    double whole[MOST_TERMS][MOST_TERMS];
    context_features(tuner, context, psi);
    for (int i = 0; i < r; i++) {
        at[i] = 0;
        for (int j = 0; j < m; j++)
            at[i] += mean[i * m + j] * psi[j];
        /* Rows of the covariance, weighed; it is symmetric. */
        double *row = half + i * n;
        memset(row, 0, n * sizeof *row);
        add_rows(m, (size_t)(i + 1) * m, n, psi, covariance + i * m * n, row);
        for (int k = 0; k <= i; k++) {
            double sum = 0;
            for (int j = 0; j < m; j++)
                sum += row[k * m + j] * psi[j];
            whole[i][k] = whole[k][i] = sum;
        }
    }
    for (int arm = 0; arm < tuner->arms; arm++) {
        const double *phi = arm_features(tuner, arm);
        double expected = 0, variance = 0;
        for (int i = 0; i < r; i++) {
            double sum = 0;
            for (int k = 0; k < i; k++)
                sum += whole[i][k] * phi[k];
            expected += at[i] * phi[i];
            variance += phi[i] * (2 * sum + whole[i][i] * phi[i]);
        }
        out[arm] = expected - caution * sqrt(variance > 0 ? variance : 0);
    }
}

static int least_score(const struct sv_tuner *tuner, const double *score)
{
    int best = 0;
    for (int i = 1; i < tuner->arms; i++)
        best = score[i] < score[best] ? i : best;
    return best;
}

static void probabilities(const struct sv_tuner *tuner, const double *state, double context, double *p, double *work)
{
    const double even = tuner->settings[EPSILON] / tuner->arms;
    scores(tuner, state, context, p, work);
    const int best = least_score(tuner, p);
    for (int i = 0; i < tuner->arms; i++)
        p[i] = even + (i == best ? 1 - tuner->settings[EPSILON] : 0);
}

static void ask(const struct sv_tuner *tuner, double *state, struct sv_random *random, struct sv_question *question,
                double *work)
{
    double *p = work + 2 * weights(tuner) + (size_t)arm_terms(tuner) * weights(tuner);
    probabilities(tuner, state, question->context, p, work);
    question->arm = sv_tuner_draw(tuner->arms, p, sv_random_uniform(random));
    question->note[0] = p[question->arm];
}

/* The covariance goes back to the prior's, the identity, by a share of the way. */
static void forget(const struct sv_tuner *tuner, double *covariance)
{
    const double keep = tuner->settings[FORGET];
    const size_t n = weights(tuner);
    for (size_t k = 0; k < n * n; k++)
        covariance[k] *= keep;
    for (size_t k = 0; k < n; k++)
        covariance[k * n + k] += 1 - keep;
}

static void tell(const struct sv_tuner *tuner, double *state, const struct sv_question *question, double loss,
                 double *work)
{
    const int r = arm_terms(tuner), m = context_terms(tuner);
    const size_t n = weights(tuner);
    const double noise = tuner->settings[NOISE], *phi = arm_features(tuner, question->arm);
    double *mean = state + MEAN, *covariance = mean + n, *f = work, *gain = work + n, psi[MOST_TERMS];
    double value = log(loss > LEAST ? loss : LEAST), variance = noise * noise, error;
    if (state[TOLD] == 0)
        state[ORIGIN] = value;
    state[TOLD]++;
    if (tuner->settings[FORGET] < 1)
        forget(tuner, covariance);
    context_features(tuner, question->context, psi);
    for (int i = 0; i < r; i++)
        for (int j = 0; j < m; j++)
            f[i * m + j] = phi[i] * psi[j];
    memset(gain, 0, n * sizeof *gain);
    add_rows(n, n, n, f, covariance, gain);
    error = value - state[ORIGIN];
    for (size_t k = 0; k < n; k++) {
        variance += f[k] * gain[k];
        error -= f[k] * mean[k];
    }
    const double scale = 1 / sqrt(variance);
    for (size_t k = 0; k < n; k++)
        gain[k] *= scale;
    for (size_t k = 0; k < n; k++) {
        mean[k] += gain[k] * (error * scale);
        for (size_t l = 0; l < n; l++)
            covariance[k * n + l] -= gain[k] * gain[l];
    }
}

const struct sv_tuner_kind SV_TABLE(tuner_gaussian) = {state_size, work_size, start, probabilities, ask, tell};
