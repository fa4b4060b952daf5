/* ChebCB: a Chebyshev regression of each arm's cost over the context, and arms drawn by the inverse of their gaps.
 *
 * Source: Khodak et al. (2024), arXiv 2310.02246 (its ChebCB), after SquareCB of Foster and Rakhlin (2020). Contexts
 * are taken to z in [-1, 1]. With K the largest loss, L = (largest - least) / (b - a),
 * N = 2 + 4 (b - a) L / K (1 + ln m) and the scale K N, the coefficients of arm i are
 *   argmin || F theta - y / scale ||  subject to  |theta_0| <= 1 / N,  |theta_j| <= 2 (b - a) L / (scale j),
 * the shortest where several are; p_i = 1 / (d + eta (yhat_i - least yhat)) but for the arm of the least, which has the
 * rest; eta = 2 t sqrt(d t / (R + 2 alpha^2 t)), alpha = (pi + 2 / pi ln(2 m + 1)) (b - a) L / (2 scale (m + 1)).
 * Differs from the published program in:
 *   1. It keeps all data and solves least squares anew; here are running sums F'F, F'y, y'y of each arm, exact up to
 *      rounding. Directions with less than 1e-11 of the trace count as not seen.
 *   2. R, the regret of the predictions, takes away the residuals of all arms' fits; the program's that of the last arm
 *      fitted alone (the setting "paper").
 * Cost: ask d m + 10 d flops; tell m^2, and a factor of m^3 / 6 for each active set that is tried: one where no bound
 * binds. A new largest or least loss has all arms fitted again, which becomes rare. For d = 20, m = 6 both together
 * take 4 microseconds from Python. State: 8 (m^2 + 2 m + 2) d bytes.
 * In SciPy: scipy.optimize.lsq_linear(F, y / scale, bounds=(-bound, bound)).x
 */
#include <math.h>
#include <string.h>

#include "tuner.h"

#define M_MOST 12
#define NOT_SEEN 1e-11
#define ILL 1e-8 /* pivots below this share of the trace: eigenvectors decide */

/* Settings. */
enum { LOW, HIGH, TERMS, PAPER };
/* The first places of the state; then the arms', each ARM_SIZE long. */
enum { TOLD, LARGEST, LEAST, SURPRISE, LAST, ARMS };
/* Of an arm: squares of its losses, the residual of its fit, theta (m,), F'y (m,), F'F (m, m). */
enum { SQUARES, RESIDUAL, THETA };

static int terms(const struct sv_tuner *tuner) { return (int)tuner->settings[TERMS]; }

static size_t arm_size(const struct sv_tuner *tuner)
{
    size_t m = terms(tuner);
    return THETA + 2 * m + m * m;
}

static double *arm_of(const struct sv_tuner *tuner, const double *state, int arm)
{
    return (double *)state + ARMS + arm * arm_size(tuner);
}

static size_t state_size(const struct sv_tuner *tuner) { return ARMS + tuner->arms * arm_size(tuner); }

static size_t work_size(const struct sv_tuner *tuner) { return tuner->arms; }

static void start(const struct sv_tuner *tuner, double *state) { (void)tuner, (void)state; }

static void features(const struct sv_tuner *tuner, double context, double *f)
{
    const double low = tuner->settings[LOW], high = tuner->settings[HIGH];
    double z = 2 * (context - low) / (high - low) - 1;
    z = z > 1 ? 1 : z < -1 ? -1 : z;
    f[0] = 1;
    f[1] = z;
    for (int j = 2; j < terms(tuner); j++)
        f[j] = 2 * z * f[j - 1] - f[j - 2];
}

/* (b - a) L: how far the losses spread; and the scale K N, or 1 before any loss. */
static double spread(const double *state) { return state[LARGEST] - state[LEAST]; }

static double scale(const struct sv_tuner *tuner, const double *state)
{
    if (!(state[LARGEST] > 0))
        return 1;
    return 2 * state[LARGEST] + 4 * spread(state) * (1 + log(terms(tuner)));
}

static void bounds(const struct sv_tuner *tuner, const double *state, double *bound)
{
    const double whole = scale(tuner, state);
    bound[0] = state[LARGEST] > 0 ? state[LARGEST] / whole : 1;
    for (int j = 1; j < terms(tuner); j++)
        bound[j] = 2 * spread(state) / (whole * j);
}

/* Eigenvectors (rows of v) and eigenvalues of a symmetric matrix, by Jacobi's rotations; a is overwritten. */
static void eigen(int m, double (*a)[M_MOST], double (*v)[M_MOST])
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++)
            v[i][j] = i == j;
    for (int sweep = 0; sweep < 30; sweep++) {
        double off = 0, on = 0;
        for (int i = 0; i < m; i++)
            for (int j = 0; j <= i; j++)
                *(i == j ? &on : &off) += a[i][j] * a[i][j];
        if (off <= 1e-34 * on)
            return;
        for (int p = 0; p < m; p++)
            for (int q = p + 1; q < m; q++) {
                if (a[p][q] == 0)
                    continue;
                double tau = (a[q][q] - a[p][p]) / (2 * a[p][q]);
                double t = (tau < 0 ? -1 : 1) / (fabs(tau) + hypot(1, tau)), c = 1 / hypot(1, t), s = t * c;
                for (int k = 0; k < m; k++) {
                    double x = a[k][p], y = a[k][q];
                    a[k][p] = c * x - s * y, a[k][q] = s * x + c * y;
                }
                for (int k = 0; k < m; k++) {
                    double x = a[p][k], y = a[q][k], z = v[p][k], w = v[q][k];
                    a[p][k] = c * x - s * y, a[q][k] = s * x + c * y;
                    v[p][k] = c * z - s * w, v[q][k] = s * z + c * w;
                }
            }
    }
}

/* Solves a y = right by Cholesky's factor, in place; 0 where a pivot says that a is nearly singular. */
static int solved(int m, double (*a)[M_MOST], double *right, double least)
{
    for (int j = 0; j < m; j++) {
        for (int i = j; i < m; i++)
            for (int k = 0; k < j; k++)
                a[i][j] -= a[i][k] * a[j][k];
        if (!(a[j][j] > least))
            return 0;
        const double inverse = 1 / sqrt(a[j][j]);
        for (int i = j; i < m; i++)
            a[i][j] *= inverse;
    }
    for (int j = 0; j < m; j++) {
        for (int k = 0; k < j; k++)
            right[j] -= a[j][k] * right[k];
        right[j] /= a[j][j];
    }
    for (int j = m - 1; j >= 0; j--) {
        for (int k = j + 1; k < m; k++)
            right[j] -= a[k][j] * right[k];
        right[j] /= a[j][j];
    }
    return 1;
}

/* The shortest minimiser of x'G x / 2 - h'x over the `size` places `free`, the others held: by Cholesky's factor where
 * there is but one, else by eigenvectors. */
static void shortest(int m, const double *gram, const double *h, int size, const int *free, double *x)
{
    double a[M_MOST][M_MOST] = {{0}}, factor[M_MOST][M_MOST], v[M_MOST][M_MOST];
    double right[M_MOST] = {0}, solution[M_MOST], trace = 0;
    for (int i = 0; i < size; i++) {
        right[i] = h[free[i]];
        for (int j = 0; j < m; j++)
            right[i] -= gram[free[i] * m + j] * x[j];
        for (int j = 0; j < size; j++) {
            a[i][j] = gram[free[i] * m + free[j]];
            right[i] += a[i][j] * x[free[j]];
        }
        trace += a[i][i];
    }
    memcpy(factor, a, sizeof a);
    memcpy(solution, right, sizeof right);
    if (solved(size, factor, solution, ILL * trace)) {
        for (int i = 0; i < size; i++)
            x[free[i]] = solution[i];
        return;
    }
    eigen(size, a, v);
    for (int i = 0; i < size; i++)
        x[free[i]] = 0;
    for (int k = 0; k < size; k++) {
        double along = 0;
        if (!(a[k][k] > NOT_SEEN * trace))
            continue;
        for (int i = 0; i < size; i++)
            along += v[k][i] * right[i];
        for (int i = 0; i < size; i++)
            x[free[i]] += along / a[k][k] * v[k][i];
    }
}

/* Where the shortest minimiser leaves the box: an active set, from the middle of the box. A step that would leave it
 * ends at the first bound, which is then held; at a minimiser the held place that pulls inward most is freed. */
static void boxed(int m, const double *gram, const double *h, const double *bound, double *x)
{
    int held[M_MOST] = {0};
    double target[M_MOST];
    for (int j = 0; j < m; j++)
        x[j] = 0;
    for (int step = 0; step < 20 * m; step++) {
        int free[M_MOST], size = 0, hit = -1, loose = -1;
        for (int j = 0; j < m; j++) {
            target[j] = x[j];
            if (!held[j])
                free[size++] = j;
        }
        shortest(m, gram, h, size, free, target);
        double reach = 1;
        for (int j = 0; j < m; j++)
            if (!held[j] && fabs(target[j]) > bound[j]) {
                double to = (copysign(bound[j], target[j]) - x[j]) / (target[j] - x[j]);
                if (to <= reach)
                    reach = to > 0 ? to : 0, hit = j;
            }
        for (int j = 0; j < m; j++)
            x[j] += reach * (target[j] - x[j]);
        if (hit >= 0) {
            x[hit] = copysign(bound[hit], target[hit]);
            held[hit] = 1;
            continue;
        }
        double most = 0;
        for (int j = 0; j < m; j++) {
            double slope = h[j];
            for (int i = 0; i < m; i++)
                slope -= gram[j * m + i] * x[i];
            double inward = x[j] > 0 ? -slope : slope;
            if (held[j] && inward > most + 1e-12 * (fabs(h[j]) + fabs(slope)))
                most = inward, loose = j;
        }
        if (loose < 0)
            return;
        held[loose] = 0;
    }
}

static void fit(const struct sv_tuner *tuner, const double *state, double *arm)
{
    const int m = terms(tuner);
    double bound[M_MOST], h[M_MOST], *theta = arm + THETA;
    const double whole = scale(tuner, state), *moments = theta + m, *gram = moments + m;
    int all[M_MOST], outside = 0;
    bounds(tuner, state, bound);
    for (int j = 0; j < m; j++) {
        h[j] = moments[j] / whole;
        theta[j] = 0;
        all[j] = j;
    }
    shortest(m, gram, h, m, all, theta);
    for (int j = 0; j < m; j++)
        outside |= fabs(theta[j]) > bound[j];
    if (outside)
        boxed(m, gram, h, bound, theta);
    double residual = arm[SQUARES] / (whole * whole);
    for (int j = 0; j < m; j++) {
        double product = 0;
        for (int i = 0; i < m; i++)
            product += gram[j * m + i] * theta[i];
        residual += theta[j] * (product - 2 * h[j]);
    }
    arm[RESIDUAL] = residual > 0 ? residual : 0;
}

static double predicted(const struct sv_tuner *tuner, const double *arm, const double *f)
{
    double sum = 0;
    for (int j = 0; j < terms(tuner); j++)
        sum += arm[THETA + j] * f[j];
    return sum;
}

/* How greedy the draw is. */
static double eta(const struct sv_tuner *tuner, const double *state)
{
    const double m = terms(tuner), d = tuner->arms, t = state[TOLD], whole = scale(tuner, state);
    const double pi = 3.14159265358979323846;
    double alpha = (pi + 2 / pi * log(2 * m + 1)) / (2 * whole * (m + 1)) * spread(state);
    double regret = state[SURPRISE] / (whole * whole);
    for (int i = 0; i < tuner->arms; i++)
        if (!tuner->settings[PAPER] || i == (int)state[LAST])
            regret -= arm_of(tuner, state, i)[RESIDUAL];
    double bound = (regret > 0 ? regret : 0) + 2 * alpha * alpha * t;
    return bound > 0 ? 2 * t * sqrt(d * t / bound) : 0;
}

static void probabilities(const struct sv_tuner *tuner, const double *state, double context, double *p, double *work)
{
    (void)work;
    double f[M_MOST], rest = 1, greed = eta(tuner, state);
    int best = 0;
    features(tuner, context, f);
    for (int i = 0; i < tuner->arms; i++) {
        p[i] = predicted(tuner, arm_of(tuner, state, i), f);
        best = p[i] < p[best] ? i : best;
    }
    const double least = p[best];
    for (int i = 0; i < tuner->arms; i++) {
        p[i] = 1 / (tuner->arms + greed * (p[i] - least));
        rest -= i == best ? 0 : p[i];
    }
    p[best] = rest;
}

static void ask(const struct sv_tuner *tuner, double *state, struct sv_random *random, struct sv_question *question,
                double *work)
{
    double f[M_MOST];
    probabilities(tuner, state, question->context, work, NULL);
    question->arm = sv_tuner_draw(tuner->arms, work, sv_random_uniform(random));
    question->note[0] = work[question->arm];
    features(tuner, question->context, f);
    question->note[1] = predicted(tuner, arm_of(tuner, state, question->arm), f) * scale(tuner, state);
}

static void tell(const struct sv_tuner *tuner, double *state, const struct sv_question *question, double loss,
                 double *work)
{
    (void)work;
    const int m = terms(tuner), fresh = state[TOLD] == 0 || loss > state[LARGEST] || loss < state[LEAST];
    double f[M_MOST], *arm = arm_of(tuner, state, question->arm), surprise = question->note[1] - loss;
    double *moments = arm + THETA + m, *gram = moments + m;
    state[LARGEST] = state[TOLD] == 0 ? loss : fmax(state[LARGEST], loss);
    state[LEAST] = state[TOLD] == 0 ? loss : fmin(state[LEAST], loss);
    state[TOLD]++;
    state[SURPRISE] += surprise * surprise;
    state[LAST] = question->arm;
    features(tuner, question->context, f);
    arm[SQUARES] += loss * loss;
    for (int i = 0; i < m; i++) {
        moments[i] += f[i] * loss;
        for (int j = 0; j < m; j++)
            gram[i * m + j] += f[i] * f[j];
    }
    for (int i = 0; i < tuner->arms; i++)
        if (fresh || i == question->arm)
            fit(tuner, state, arm_of(tuner, state, i));
}

const struct sv_tuner_kind sv_tuner_chebcb = {state_size, work_size, start, probabilities, ask, tell};
