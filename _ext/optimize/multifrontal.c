/* The numerical part of a sparse L D L' (Duff and Reid, 1983): see multifrontal.h.
 *
 * Fronts are dense and taken from the leaves to the roots. What remains of a front after its pivots is laid on a stack,
 * where the front above it finds it. Columns without an acceptable pivot go up with it, to be eliminated there.
 * As many flops as the sum over the pivots of their rows squared; in NumPy, for one front of which all is eliminated,
 * and P that of scipy.linalg.ldl:
 *     L, D, P = scipy.linalg.ldl(F)
 */
#include "multifrontal.h"

#include <string.h>

SV_DISPATCH(struct multifrontal_kernels, kernel_table, multifrontal_kernels_f64)

/* What is on the stack of a front below: `left` rows, the first `late` of them columns that were put off. */
struct remains {
    int64_t at, list;
    int32_t left, late;
};

struct assembly {
    const struct sv_fronts *fronts;
    const double *value;
    struct sv_factor *factor;
    int32_t *place, *local;
    struct remains *remains;
    int64_t stack;
    int32_t top;
};

/* The rows of front s: its columns, those put off below, its border. Returns how many, or -1 without room. */
static int64_t list_rows(struct assembly *a, int32_t s, int32_t children, int64_t *columns)
{
    const struct sv_fronts *f = a->fronts;
    const struct remains *below = a->remains + a->top - children;
    int64_t border = f->edge[s + 1] - f->edge[s], own = f->first[s + 1] - f->first[s], late = 0;
    for (int32_t c = 0; c < children; c++)
        late += below[c].late;
    *columns = own + late;
    if (a->factor->rows_used + *columns + border > a->factor->rows_room)
        return -1;
    int32_t *rows = a->factor->rows + a->factor->rows_used;
    for (int32_t k = 0; k < own; k++)
        a->place[f->first[s] + k] = k, rows[k] = f->first[s] + k;
    int64_t to = own;
    for (int32_t c = 0; c < children; c++)
        for (int32_t k = 0; k < below[c].late; k++) {
            int32_t r = a->factor->rows[below[c].list + k];
            a->place[r] = (int32_t)to;
            rows[to++] = r;
        }
    for (int64_t k = f->edge[s]; k < f->edge[s + 1]; k++) {
        a->place[f->border[k]] = (int32_t)to;
        rows[to++] = f->border[k];
    }
    return to;
}

/* F = the matrix's entries in the columns of s, plus what remains of the fronts below. */
static void assemble(struct assembly *a, int32_t s, int32_t children, double *F, int64_t height)
{
    const struct sv_fronts *f = a->fronts;
    memset(F, 0, (size_t)(height * height) * sizeof *F);
    for (int32_t k = f->first[s]; k < f->first[s + 1]; k++) {
        double *column = F + (int64_t)a->place[k] * height;
        for (int64_t e = f->entry[k]; e < f->entry[k + 1]; e++)
            column[a->place[f->row[e]]] += a->value[f->source[e]];
    }
    for (int32_t c = a->top - children; c < a->top; c++) {
        const struct remains *from = a->remains + c;
        const int32_t *rows = a->factor->rows + from->list;
        for (int32_t k = 0; k < from->left; k++)
            a->local[k] = a->place[rows[k]];
        for (int32_t j = 0; j < from->left; j++) {
            const double *column = a->factor->stack + from->at + (int64_t)j * from->left;
            int64_t to = a->local[j];
            double *into = F + to * height;
            if (j >= from->late) { /* the rows below come in the same order here */
                for (int32_t i = j; i < from->left; i++)
                    into[a->local[i]] += column[i];
                continue;
            }
            for (int32_t i = j; i < from->left; i++) {
                int64_t row = a->local[i];
                if (row >= to)
                    into[row] += column[i];
                else
                    F[to + row * height] += column[i];
            }
        }
    }
}

/* Keeps the pivots' columns and moves what remains down to where the children's remains began. */
static int put_away(struct assembly *a, int32_t s, int32_t children, const struct front_task *task, int64_t pivots)
{
    struct sv_factor *factor = a->factor;
    int64_t height = task->height, left = height - pivots, size = height * pivots;
    if (factor->factor_used + size > factor->factor_room)
        return 1;
    memcpy(factor->factor + factor->factor_used, task->F, (size_t)size * sizeof(double));
    factor->front[s] = (struct sv_front){factor->factor_used, factor->rows_used, (int32_t)height, (int32_t)pivots};
    factor->factor_used += size;
    if (children > 0)
        a->stack = a->remains[a->top - children].at;
    a->top -= children;
    if (a->fronts->above[s] >= 0) {
        double *to = factor->stack + a->stack;
        for (int64_t j = 0; j < left; j++)
            memmove(to + j * left + j, task->F + (pivots + j) * height + pivots + j, (size_t)(left - j) * sizeof(double));
        a->remains[a->top++] = (struct remains){a->stack, factor->rows_used + pivots, (int32_t)left,
                                                (int32_t)(task->columns - pivots)};
        a->stack += left * left;
        factor->delayed += task->columns - pivots;
    }
    factor->rows_used += height;
    return 0;
}

int sv_optimize_multifrontal(const struct sv_fronts *f, const double *value, double threshold, double tiny,
                             struct sv_factor *factor, int32_t *work)
{
    const int32_t n = f->n;
    int32_t *children = work + 2 * (size_t)n;
    /* Remains lie behind the fronts' numbers: no more of them at a time than fronts. */
    struct assembly a = {.fronts = f, .value = value, .factor = factor, .place = work, .local = work + n,
                         .remains = (struct remains *)(factor->front + f->fronts)};
    factor->factor_used = factor->rows_used = factor->negative = factor->zero = factor->delayed = 0;
    memset(children, 0, (size_t)n * sizeof *children);
    for (int32_t s = 0; s < f->fronts; s++) {
        int64_t columns, height = list_rows(&a, s, children[s], &columns);
        if (height < 0)
            return 2;
        if (a.stack + height * (height + SV_PANEL) > factor->stack_room)
            return 3;
        double *F = factor->stack + a.stack;
        assemble(&a, s, children[s], F, height);
        struct front_task task = {F, height, columns, f->above[s] < 0, threshold, tiny,
                                  factor->rows + factor->rows_used, F + height * height, 0, 0};
        int64_t pivots = kernel_table()->eliminate(&task);
        factor->negative += task.negative;
        factor->zero += task.zero;
        if (put_away(&a, s, children[s], &task, pivots))
            return 1;
        if (f->above[s] >= 0)
            children[f->above[s]]++;
    }
    return 0;
}

static int32_t row_of(int32_t code)
{
    return code < 0 ? ~code : code;
}

void sv_optimize_frontal_solve(const struct sv_fronts *f, const struct sv_factor *factor, double *x, double *work)
{
    double *part = work, *y = work + f->n;
    for (int32_t k = 0; k < f->n; k++)
        y[k] = x[f->order[k]];
    for (int32_t s = 0; s < f->fronts; s++) {
        const struct sv_front front = factor->front[s];
        const int32_t *rows = factor->rows + front.list;
        for (int32_t k = 0; k < front.height; k++)
            part[k] = y[row_of(rows[k])];
        kernel_table()->forward(factor->factor + front.at, front.height, front.pivots, rows, part);
        for (int32_t k = 0; k < front.height; k++)
            y[row_of(rows[k])] = part[k];
    }
    for (int32_t s = f->fronts - 1; s >= 0; s--) {
        const struct sv_front front = factor->front[s];
        const int32_t *rows = factor->rows + front.list;
        for (int32_t k = 0; k < front.height; k++)
            part[k] = y[row_of(rows[k])];
        kernel_table()->backward(factor->factor + front.at, front.height, front.pivots, rows, part);
        for (int32_t k = 0; k < front.pivots; k++)
            y[row_of(rows[k])] = part[k];
    }
    for (int32_t k = 0; k < f->n; k++)
        x[f->order[k]] = y[k];
}
