/* See anderson.h. The coefficients come from the normal equations, each change of the moves in units of its own norm:
 * the few digits that this costs a direction are won back by the next step.
 *
 * In NumPy: turns = np.diff(moves, axis=0); scale = np.sqrt(weights)
 *           gamma = np.linalg.lstsq((turns * scale).T, moves[-1] * scale)[0]
 *           answers[-1] - gamma @ np.diff(answers, axis=0)
 */
#include <math.h>
#include <string.h>

#include "anderson.h"

enum { DEPTH = OT_ANDERSON_DEPTH };

/* A direction of which the ones before leave less than this share is none of its own. */
static const double LEAST_PIVOT = 1e-10;

size_t sv_ot_anderson_worksize(size_t size) { return 2 * (DEPTH + 1) * size; }

struct ot_anderson sv_ot_anderson_at(double *work, size_t size)
{
    return (struct ot_anderson){.size = size, .answer = work, .move = work + size, .answers = work + 2 * size,
                                .moves = work + (2 + DEPTH) * size};
}

static double weighted(const double *x, const double *y, const double *weights, size_t size)
{
    double sum[4] = {0};
    size_t k = 0;
    for (; k + 4 <= size; k += 4)
        for (int lane = 0; lane < 4; lane++)
            sum[lane] += weights[k + lane] * x[k + lane] * y[k + lane];
    for (; k < size; k++)
        sum[0] += weights[k] * x[k] * y[k];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static void subtract(const double *x, const double *y, double *out, size_t size)
{
    for (size_t k = 0; k < size; k++)
        out[k] = x[k] - y[k];
}

/* Solves matrix gamma = rhs, of unit diagonal and positive semidefinite, by Cholesky's factor; what hangs on the rows
 * before gets 0. */
static void solve(double (*matrix)[DEPTH], double *gamma, int size)
{
    double inverse[DEPTH];
    for (int i = 0; i < size; i++) {
        double pivot = matrix[i][i];
        for (int k = 0; k < i; k++)
            pivot -= matrix[i][k] * matrix[i][k];
        inverse[i] = pivot > LEAST_PIVOT ? 1 / sqrt(pivot) : 0;
        for (int j = i + 1; j < size; j++) {
            for (int k = 0; k < i; k++)
                matrix[j][i] -= matrix[i][k] * matrix[j][k];
            matrix[j][i] *= inverse[i];
        }
        for (int k = 0; k < i; k++)
            gamma[i] -= matrix[i][k] * gamma[k];
        gamma[i] *= inverse[i];
    }
    for (int i = size; i-- > 0;) {
        for (int k = i + 1; k < size; k++)
            gamma[i] -= matrix[k][i] * gamma[k];
        gamma[i] *= inverse[i];
    }
}

void sv_ot_anderson_next(struct ot_anderson *q, const double *answer, const double *move, const double *weights, double *next)
{
    const size_t size = q->size;
    const int known = q->steps < DEPTH ? q->steps : DEPTH;
    if (q->steps > 0) {
        const size_t place = (size_t)((q->steps - 1) % DEPTH) * size;
        subtract(answer, q->answer, q->answers + place, size);
        subtract(move, q->move, q->moves + place, size);
    }
    q->steps++;
    memcpy(q->answer, answer, size * sizeof(double));
    memcpy(q->move, move, size * sizeof(double));
    double matrix[DEPTH][DEPTH], gamma[DEPTH], unit[DEPTH];
    for (int i = 0; i < known; i++) {
        const double *turn = q->moves + (size_t)i * size, squared = weighted(turn, turn, weights, size);
        unit[i] = squared > 0 ? 1 / sqrt(squared) : 0;
        for (int j = 0; j < i; j++)
            matrix[i][j] = unit[i] * unit[j] * weighted(turn, q->moves + (size_t)j * size, weights, size);
        matrix[i][i] = squared > 0;
        gamma[i] = unit[i] * weighted(turn, q->move, weights, size);
    }
    solve(matrix, gamma, known);
    memmove(next, answer, size * sizeof(double));
    for (int i = 0; i < known; i++)
        for (size_t k = 0; k < size; k++)
            next[k] -= gamma[i] * unit[i] * q->answers[(size_t)i * size + k];
}
