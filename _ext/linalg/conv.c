/* The net's small layers, float32: from one channel to 16, pooling, upsampling, the sum at the end.
 *
 * Each passes once over what it reads and writes: 64 bytes a cell and map. The first keeps the sums of a block of cells in
 * registers while the taps go by.
 * In NumPy, 2-D, x (ny, nx) with a border: first: bias + sum(x[t : t + ny, s : s + nx, None] * w[t, s] for all t, s);
 *     pool: x.reshape(ny // 2, 2, nx // 2, 2, 16).mean((1, 3)); up: x + up.repeat(2, 0).repeat(2, 1); last: x @ w + shift
 */
#include "conv_block.h"

INLINE void block(const float *in, const ptrdiff_t *offsets, int taps, const float *weights, const float *bias,
                  float *out, int cells)
{
    vreal sum[BLOCK][VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < cells; i++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            sum[i][v] = v_load(bias + v * SV_W);
    for (int tap = 0; tap < taps; tap++, weights += SV_CHANNELS) {
#pragma GCC unroll 16
        for (int i = 0; i < cells; i++) {
            vreal x = v_set1(in[offsets[tap] + i]);
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++)
                sum[i][v] = v_fma(x, v_load(weights + v * SV_W), sum[i][v]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < cells; i++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            v_store(out + i * SV_CHANNELS + v * SV_W, sum[i][v]);
}

static void first_row(const float *in, const ptrdiff_t *offsets, int taps, const float *weights, const float *bias,
                      float *out, ptrdiff_t n)
{
    ptrdiff_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK)
        block(in + i, offsets, taps, weights, bias, out + i * SV_CHANNELS, BLOCK);
    for (; i < n; i++)
        block(in + i, offsets, taps, weights, bias, out + i * SV_CHANNELS, 1);
}

static void add_up(const float *up, float *out, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        for (int v = 0; v < SV_CHANNELS; v += SV_W) {
            float *to = out + i * SV_CHANNELS + v;
            v_store(to, v_add(v_load(to), v_load(up + i / 2 * SV_CHANNELS + v)));
        }
}

static void pool(const float *const in[4], int rows, float *out, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i += 2) {
        int columns = i + 1 < n ? 2 : 1;
        vreal factor = v_set1(1.0f / (float)(rows * columns));
        for (int v = 0; v < SV_CHANNELS; v += SV_W) {
            vreal sum = v_set1(0);
            for (int r = 0; r < rows; r++)
                for (int c = 0; c < columns; c++)
                    sum = v_add(sum, v_load(in[r] + (i + c) * SV_CHANNELS + v));
            v_store(out + i / 2 * SV_CHANNELS + v, v_mul(factor, sum));
        }
    }
}

static void last_row(const float *in, const float *weights, float shift, double *out, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        vreal sum = v_set1(0);
        for (int v = 0; v < SV_CHANNELS; v += SV_W)
            sum = v_fma(v_load(in + i * SV_CHANNELS + v), v_load(weights + v), sum);
        out[i] = shift + v_sum_lanes(sum);
    }
}

extern const struct sv_conv_kernels SV_TABLE(conv_kernels);
const struct sv_conv_kernels SV_TABLE(conv_kernels) = {
    .first_row = first_row, .add_up = add_up, .pool = pool, .last_row = last_row,
};
