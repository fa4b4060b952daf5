/* Part of softmax.c: results on their way past the cache. */
#ifndef SOLVERS_SOFTMAX_OUTFLOW_H
#define SOLVERS_SOFTMAX_OUTFLOW_H

#include "expcore.h"

/* Numbers for consecutive places from y on, written in whole aligned vectors: rows end within a cache line, and a line
 * written in parts would have to be read first. `held` numbers wait for the vector that begins at `to`, of which the
 * first `foreign` are not ours to write. */
struct outflow {
    real *to;
    size_t held, foreign;
    real numbers[2 * SV_W];
};

static inline struct outflow outflow_to(real *y)
{
    size_t before = (uintptr_t)y / sizeof(real) % SV_W;
    return (struct outflow){.to = y - before, .held = before, .foreign = before};
}

/* Completes the vector that waits, if one does, from the head of `next`; returns how many that took. */
INLINE size_t complete(struct outflow *out, vreal next)
{
    if (out->held == 0)
        return 0;
    size_t taken = SV_W - out->held;
    v_store(out->numbers + out->held, next);
    if (out->foreign)
        memcpy(out->to + out->foreign, out->numbers + out->foreign, taken * sizeof(real));
    else
        v_stream(out->to, v_load(out->numbers));
    out->to += SV_W;
    out->held = out->foreign = 0;
    return taken;
}

INLINE void flow(struct outflow *out, vreal v)
{
    v_stream(out->to, v);
    out->to += SV_W;
}

/* Less than a vector waits for more. */
INLINE void hold(struct outflow *out, vreal v, size_t count)
{
    v_store(out->numbers, v);
    out->held = count;
}

/* A whole vector can be read from `from` in any case. */
INLINE void flow_all(struct outflow *out, const real *from, size_t n)
{
    if (out->held + n < SV_W) {
        v_store_n(out->numbers + out->held, v_load(from), n);
        out->held += n;
        return;
    }
    size_t i = complete(out, v_load(from));
    for (; i + SV_W <= n; i += SV_W)
        flow(out, v_load(from + i));
    hold(out, v_load_some(from + i, n - i, 0), n - i);
}

static inline void finish(struct outflow *out)
{
    memcpy(out->to + out->foreign, out->numbers + out->foreign, (out->held - out->foreign) * sizeof(real));
    v_stream_fence();
}

#endif
