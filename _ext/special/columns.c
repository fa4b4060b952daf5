/* softmax, log_softmax and logsumexp of columns: strips for the threads, masks and temperatures, the special values.
 *
 * Compiled once per float width at the machine's base level; the arithmetic is in columns.h. A column's bits depend on
 * nothing but its own elements, so the strips may be cut for the threads at hand.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../include/solvers.h"
#include "rows.h"
#include "scaled_sum.h"
#include "shares.h"
#include "softmax_kernels.h"
#include "width.h"

typedef struct NAME(softmax_kernels) softmax_kernels;
SV_DISPATCH(softmax_kernels, kernels, NAME(softmax_kernels))

enum {
    LINE = 64 / sizeof(real),
    STRIP = 16384 / sizeof(real), /* columns of a strip: long pieces of rows, and a state that the second cache holds */
    TASKS = 64,
    PREPARED_ROWS = 32 /* with a mask or a temperature; a multiple of COLUMN_STEP */
};

_Static_assert(PREPARED_ROWS % COLUMN_STEP == 0, "a step must not end within the prepared rows");

struct columns {
    struct sv_columns given;
    const real *x, *temperature;
    real *y, *sign;
    size_t head, strip, strips, tasks; /* columns before the first whole line, and of a strip; strips of a matrix */
    int stream;
    atomic_int out_of_memory;
};

/* What a task needs for its strips. */
struct strip_room {
    real *state, *prepared;
    size_t pitch;
};

/* Where a strip lies. */
struct strip {
    size_t outer, start, columns;
    const real *x;
    real *y;
};

static int has_options(const struct columns *all) { return all->given.where || all->temperature; }

/* ---- masks and temperatures ----------------------------------------------------------------------------- */

/* to = value where row i of a strip is masked. */
static void hide(const struct columns *all, const struct strip *strip, size_t i, real *to, real value)
{
    const struct sv_columns *given = &all->given;
    const unsigned char *shown = given->where + (ptrdiff_t)strip->outer * given->where_outer
                                 + (ptrdiff_t)i * given->where_stride + (ptrdiff_t)strip->start * given->where_width;
    if (given->where_width == 1)
        for (size_t c = 0; c < strip->columns; c++)
            to[c] = shown[c] ? to[c] : value;
    else
        for (size_t c = 0; c < strip->columns; c++)
            to[c] = shown[(ptrdiff_t)c * given->where_width] ? to[c] : value;
}

/* The rows `first` ... of a strip as they count: divided by the temperature, and -inf where masked. */
static void prepare(const struct columns *all, const struct strip *strip, size_t first, size_t count, real *to,
                    size_t pitch)
{
    const struct sv_columns *given = &all->given;
    for (size_t i = first; i < first + count; i++, to += pitch) {
        const real *x = strip->x + (ptrdiff_t)i * given->x_stride;
        if (all->temperature) {
            const real *t = all->temperature + (ptrdiff_t)strip->outer * given->temperature_outer
                            + (ptrdiff_t)strip->start * given->temperature_width;
            for (size_t c = 0; c < strip->columns; c++)
                to[c] = x[c] / t[(ptrdiff_t)c * given->temperature_width];
        } else
            memcpy(to, x, strip->columns * sizeof(real));
        if (given->where)
            hide(all, strip, i, to, -INFINITY);
    }
}

/* Up to `count` rows of a strip from `first` on: as they lie, or PREPARED_ROWS of them prepared. */
static const real *some_rows(const struct columns *all, const struct strip *strip, size_t first, size_t *count,
                             const struct strip_room *room, ptrdiff_t *stride)
{
    *stride = all->given.x_stride;
    if (!has_options(all))
        return strip->x + (ptrdiff_t)first * *stride;
    *count = *count < PREPARED_ROWS ? *count : PREPARED_ROWS;
    *stride = (ptrdiff_t)room->pitch;
    prepare(all, strip, first, *count, room->prepared, room->pitch);
    return room->prepared;
}

/* ---- columns that the kernels do not serve ----------------------------------------------------------------- */

/* A column on its own, through a row of memory. */
static void alone(struct columns *all, const struct strip *strip, size_t c)
{
    const struct sv_columns *given = &all->given;
    const struct strip one = {strip->outer, strip->start + c, 1, strip->x + c, strip->y ? strip->y + c : NULL};
    real *row = malloc(given->length * sizeof(real));
    if (!row) {
        atomic_store(&all->out_of_memory, 1);
        return;
    }
    prepare(all, &one, 0, given->length, row, 1);
    const ptrdiff_t length = (ptrdiff_t)given->length;
    const size_t place = strip->outer * given->width + one.start;
    if (given->function == SV_LOGSUMEXP)
        NAME(sv_logsumexp)(row, length, NULL, 0, all->y + place, all->sign + place, 1, given->length, 1);
    else
        (given->function == SV_SOFTMAX ? NAME(sv_softmax) : NAME(sv_log_softmax))(row, length, row, length, 1,
                                                                                  given->length, 1);
    for (size_t i = 0; given->function != SV_LOGSUMEXP && i < given->length; i++) {
        if (given->where)
            hide(all, &one, i, row + i, given->function == SV_SOFTMAX ? 0 : -INFINITY);
        one.y[(ptrdiff_t)i * given->y_stride] = row[i];
    }
    free(row);
}

/* As is_near of cached.h: whether the sum of a column with this maximum serves. */
static int is_near(real top)
{
    const double highest = kernels()->highest_exponent * LN2_HIGH;
    return top < highest && top > -0.9 * highest;
}

/* Makes the state of closed columns give the special values; 0 where a column must be done alone. */
static int settle_map(const struct columns *all, size_t c, const struct strip_room *room)
{
    real *state = room->state + c;
    const real top = state[COLUMN_TOP * room->pitch];
    const real sum = state[COLUMN_SUM * room->pitch] + state[COLUMN_ERROR * room->pitch];
    const int near = is_near(top), finite = sum < INFINITY;
    if (all->given.function == SV_SOFTMAX) {
        if ((top != -INFINITY && !near) || !kernels()->divides_columns)
            return 0;
        if (!near || !finite)
            state[COLUMN_SCALE * room->pitch] = state[COLUMN_SCALE_LOW * room->pitch] = NAN;
        return 1;
    }
    if (near && !finite) /* a NaN */
        state[COLUMN_TOP * room->pitch] = NAN;
    if (top == -INFINITY) /* nothing else, or NaN: the difference from it is NaN */
        state[COLUMN_OFFSET * room->pitch] = 0;
    return near || top == -INFINITY;
}

static int settle_sum(const struct columns *all, const struct strip *strip, size_t c, const struct strip_room *room)
{
    const real *state = room->state + c;
    const real sum = state[COLUMN_SUM * room->pitch] + state[COLUMN_ERROR * room->pitch];
    const real top = state[COLUMN_TOP * room->pitch];
    const real value = all->given.length == 1 ? top : state[COLUMN_LOG * room->pitch];
    const size_t place = strip->outer * all->given.width + strip->start + c;
    if (top != -INFINITY && !is_near(top))
        return 0;
    const int is_number = sum < INFINITY;
    all->y[place] = !is_number ? NAN : top == -INFINITY ? -INFINITY : value;
    all->sign[place] = !is_number ? NAN : top == -INFINITY ? 0 : 1;
    return 1;
}

/* ---- strips ---------------------------------------------------------------------------------------------------- */

/* The results of the columns from `start` to `end` of a strip. */
static void write_results(const struct columns *all, const struct strip *strip, size_t start, size_t end,
                          const struct strip_room *room)
{
    const struct sv_columns *given = &all->given;
    const int logarithm = given->function == SV_LOG_SOFTMAX;
    const struct strip part = {strip->outer, strip->start + start, end - start, strip->x + start, strip->y + start};
    for (size_t i = 0, count; i < given->length; i += count) {
        ptrdiff_t stride;
        count = given->length - i;
        const real *x = some_rows(all, &part, i, &count, room, &stride);
        real *y = part.y + (ptrdiff_t)i * given->y_stride;
        kernels()->column_results(x, stride, y, given->y_stride, count, part.columns, room->state + start, room->pitch,
                                  logarithm, all->stream);
        for (size_t k = 0; given->where && k < count; k++)
            hide(all, &part, i + k, y + (ptrdiff_t)k * given->y_stride, logarithm ? -INFINITY : 0);
    }
}

static void run_strip(struct columns *all, size_t k, const struct strip_room *room)
{
    const struct sv_columns *given = &all->given;
    const size_t outer = k / all->strips, place = k % all->strips, before = all->head ? 1 : 0;
    const size_t start = place < before ? 0 : all->head + (place - before) * all->strip;
    const size_t left = given->width - start, most = place < before ? all->head : all->strip;
    const struct strip strip = {outer, start, left < most ? left : most,
                                all->x + (ptrdiff_t)outer * given->x_outer + start,
                                given->function == SV_LOGSUMEXP ? NULL
                                                                : all->y + (ptrdiff_t)outer * given->y_outer + start};
    const int others = given->function == SV_LOG_SOFTMAX;
    kernels()->open_columns(strip.columns, room->pitch, room->state);
    for (size_t i = 0, count; i < given->length; i += count) {
        ptrdiff_t stride;
        count = given->length - i;
        const real *x = some_rows(all, &strip, i, &count, room, &stride);
        kernels()->add_columns(x, stride, i, count, strip.columns, room->pitch, room->state, others);
    }
    kernels()->close_columns(strip.columns, room->pitch, room->state,
                             given->function == SV_SOFTMAX     ? COLUMN_QUOTIENTS
                             : given->function == SV_LOGSUMEXP ? COLUMN_LOGARITHM
                                                               : COLUMN_DIFFERENCES);
    size_t done = 0;
    for (size_t c = 0; c < strip.columns; c++) {
        if (given->function == SV_LOGSUMEXP ? settle_sum(all, &strip, c, room) : settle_map(all, c, room))
            continue;
        if (given->function != SV_LOGSUMEXP && done < c)
            write_results(all, &strip, done, c, room);
        alone(all, &strip, c);
        done = c + 1;
    }
    if (given->function != SV_LOGSUMEXP && done < strip.columns)
        write_results(all, &strip, done, strip.columns, room);
}

static void some_strips(void *context, size_t task)
{
    struct columns *all = context;
    struct strip_room room = {.pitch = (all->strip + LINE - 1) / LINE * LINE + LINE};
    const size_t prepared = has_options(all) ? PREPARED_ROWS : 0, strips = all->given.outer * all->strips;
    room.state = aligned_alloc(64, (COLUMN_WORDS + prepared) * room.pitch * sizeof(real));
    room.prepared = room.state + COLUMN_WORDS * room.pitch;
    if (!room.state)
        atomic_store(&all->out_of_memory, 1);
    else
        for (size_t k = strips * task / all->tasks; k < strips * (task + 1) / all->tasks; k++)
            run_strip(all, k, &room);
    free(room.state);
}

/* Whether the rows of an array all begin at the same place within cache lines. */
static int alike_in_lines(const struct sv_columns *given, int of_y)
{
    const ptrdiff_t stride = of_y ? given->y_stride : given->x_stride, outer = of_y ? given->y_outer : given->x_outer;
    return stride % LINE == 0 && (given->outer == 1 || outer % LINE == 0);
}

int NAME(sv_columns)(const struct sv_columns *given, int threads)
{
    const size_t outer = given->outer, length = given->length, width = given->width;
    if (!length || !width || !outer)
        return 0;
    struct columns all = {.given = *given, .x = given->x, .temperature = given->temperature, .y = given->y,
                          .sign = given->sign, .strip = STRIP};
    threads = threads_for(outer * length * width, threads);
    if (threads <= 0)
        threads = sv_get_num_threads();
    all.stream = given->function != SV_LOGSUMEXP && given->x != given->y && !given->where
                 && outer * length * width * sizeof(real) > STREAM_MIN_BYTES && (uintptr_t)given->y % sizeof(real) == 0;
    const uintptr_t first = (uintptr_t)(all.stream ? given->y : given->x) / sizeof(real);
    all.head = width >= 2 * LINE && alike_in_lines(given, all.stream) ? -first % LINE : 0;
    /* Work for all threads, and strips of about one width. */
    const size_t rest = width - all.head, wanted = (2 * (size_t)threads + outer - 1) / outer;
    size_t strips = (rest + STRIP - 1) / STRIP;
    if (threads > 1 && strips < wanted)
        strips = wanted;
    all.strip = ((rest + strips - 1) / strips + LINE - 1) / LINE * LINE;
    all.strips = (rest + all.strip - 1) / all.strip + (all.head > 0);
    all.tasks = outer * all.strips < TASKS ? outer * all.strips : TASKS;
    sv_parallel_for(threads, all.tasks, some_strips, &all);
    return atomic_load(&all.out_of_memory) ? -1 : 0;
}
