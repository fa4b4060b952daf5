/* Fits of generalised linear models in a process without Python: the conditions of optimality, written down once more. */
#include <math.h>

#include "check.h"

enum { N = 60, D = 90, POINTS = 4 };

static double X[N * D], y[N], value[N * D];
static int32_t starts[D + 1], index_of[N * D];

/* Numbers between -1 and 1, the same everywhere. */
static double next(void)
{
    static uint32_t state = 7;
    state = state * 1664525u + 1013904223u;
    return (double)(state >> 8) / (1 << 23) - 1;
}

static void make_data(int loss)
{
    int32_t entries = 0;
    for (int j = 0; j < D; j++) {
        starts[j] = entries;
        for (int i = 0; i < N; i++) {
            X[i + j * N] = next() < 0.4 ? next() : 0;
            if (X[i + j * N] != 0) {
                index_of[entries] = i;
                value[entries++] = X[i + j * N];
            }
        }
    }
    starts[D] = entries;
    for (int i = 0; i < N; i++) {
        double z = 2 * X[i] - X[i + N] + 0.3 * next();
        y[i] = loss == SV_GLM_LOGISTIC || loss == SV_GLM_SQUARED_HINGE ? (z > 0 ? 1 : -1)
               : loss == SV_GLM_POISSON                                ? floor(exp(z))
                                                                       : z;
    }
}

static sv_design design(int sparse)
{
    sv_design made = SV_DESIGN_INIT;
    made.n = N, made.d = D;
    if (sparse)
        made.starts = starts, made.index = index_of, made.value = value;
    else
        made.X = X, made.row_stride = 1, made.column_stride = N;
    return made;
}

static double slope(int loss, double z, double target)
{
    switch (loss) {
    case SV_GLM_LOGISTIC: return -target / (1 + exp(target * z));
    case SV_GLM_HUBER: return fmin(fmax(z - target, -1), 1);
    case SV_GLM_SQUARED_HINGE: return -target * fmax(0, 1 - target * z);
    case SV_GLM_POISSON: return exp(z) - target;
    default: return z - target;
    }
}

/* The largest violation of |g_j| <= l1, g_j = -l1 sign(w_j), sum v = 0. */
static double violation(int loss, const double *w, double intercept, double l1)
{
    double v[N], most, sum = 0;
    for (int i = 0; i < N; i++) {
        double z = intercept;
        for (int j = 0; j < D; j++)
            z += X[i + j * N] * w[j];
        sum += v[i] = slope(loss, z, y[i]);
    }
    most = fabs(sum);
    for (int j = 0; j < D; j++) {
        double g = 0;
        for (int i = 0; i < N; i++)
            g += X[i + j * N] * v[i];
        most = fmax(most, w[j] == 0 ? fabs(g) - l1 : fabs(g + copysign(l1, w[j])));
    }
    return most;
}

static void test_conditions_hold(int loss, int sparse)
{
    sv_design samples = design(sparse);
    sv_glm_penalty penalty = SV_GLM_PENALTY_INIT;
    sv_glm_options options = SV_GLM_OPTIONS_INIT;
    sv_glm_result result = SV_GLM_RESULT_INIT;
    sv_report ended = SV_REPORT_INIT;
    double w[D];
    penalty.l1 = 0.3, options.tol = 1e-13;
    int status = sv_glm_fit(&samples, y, NULL, loss, 1, &penalty, &options, NULL, w, &result, &ended);
    CHECK(status == SV_CONVERGED && ended.status == status, "loss %d: %d", loss, status);
    double most = violation(loss, w, result.intercept, penalty.l1);
    CHECK(most < 1e-4, "loss %d: %g", loss, most);
}

static void test_a_path_ends_where_its_fits_do(int loss)
{
    const double lams[POINTS] = {0.3, 2.0, 1.0, 0.5};
    sv_design samples = design(0);
    sv_glm_penalty penalty = SV_GLM_PENALTY_INIT;
    sv_glm_options options = SV_GLM_OPTIONS_INIT;
    double coefs[POINTS * D], intercepts[POINTS];
    int statuses[POINTS];
    sv_glm *glm;
    penalty.l1 = 1, options.tol = 1e-13;
    CHECK(sv_glm_create(&glm, &samples, y, NULL, loss, 1) == SV_OK, "%s", sv_last_error());
    int status = sv_glm_path(glm, &penalty, lams, POINTS, &options, NULL, coefs, intercepts, NULL, statuses);
    CHECK(status == SV_CONVERGED, "loss %d: %d", loss, status);
    for (int k = 0; k < POINTS; k++) {
        double most = violation(loss, coefs + k * D, intercepts[k], lams[k]);
        CHECK(statuses[k] == SV_CONVERGED && most < 1e-4, "loss %d, %g: %g", loss, lams[k], most);
    }
    sv_glm_destroy(glm);
}

/* One column tells the labels: without a penalty no coefficient is the best. */
static void test_labels_that_a_plane_separates(void)
{
    sv_design samples = design(0);
    sv_glm_penalty penalty = SV_GLM_PENALTY_INIT;
    sv_glm_result result = SV_GLM_RESULT_INIT;
    sv_report ended = SV_REPORT_INIT;
    double labels[N], w[D];
    for (int i = 0; i < N; i++)
        labels[i] = X[i] > 0 ? 1 : -1;
    int status = sv_glm_fit(&samples, labels, NULL, SV_GLM_LOGISTIC, 1, &penalty, NULL, NULL, w, &result, &ended);
    CHECK(status == SV_DIVERGED && ended.status == status && ended.measure > 1, "%d, %g", status, ended.measure);
    penalty.l1 = 0.01;
    status = sv_glm_fit(&samples, labels, NULL, SV_GLM_LOGISTIC, 1, &penalty, NULL, NULL, w, &result, &ended);
    CHECK(status == SV_CONVERGED, "%d", status);
}

int main(void)
{
    for (int loss = SV_GLM_SQUARED; loss <= SV_GLM_POISSON; loss++) {
        make_data(loss);
        test_conditions_hold(loss, 0);
        test_conditions_hold(loss, 1);
        test_a_path_ends_where_its_fits_do(loss);
    }
    test_labels_that_a_plane_separates();
    return report();
}
