/* What the memory allows: one read of an array, and one copy of it, in the best form known; and what the core computes.
 *
 * The limits of the softmax benchmark are made of these, so a slow one would flatter us. Built at run time for the
 * machine's own processor and called through ctypes. Sizes are in bytes; no alignment is asked for.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
enum { WIDTH = 64 };
#else
enum { WIDTH = 32 };
#endif
typedef int64_t vector __attribute__((vector_size(WIDTH)));
typedef int64_t loose __attribute__((vector_size(WIDTH), aligned(1), may_alias)); /* a vector at any address */

enum { UNROLL = 4, STEP = UNROLL * WIDTH, AHEAD = 4096 };

static inline vector load(const char *x) { return (vector)*(const loose *)x; }

/* The sum of all 64-bit words, of floats and doubles alike: integer adds know no subnormals.
 * Two streams of four sums each: measured 10 % faster than one stream, and prefetching then adds nothing. */
int64_t control_read(const char *x, size_t size)
{
    vector low[UNROLL] = {{0}}, high[UNROLL] = {{0}};
    size_t half = size / 2 / STEP * STEP;
    for (size_t i = 0; i < half; i += STEP)
        for (int k = 0; k < UNROLL; k++) {
            low[k] += load(x + i + k * WIDTH);
            high[k] += load(x + half + i + k * WIDTH);
        }
    int64_t total = 0;
    for (int k = 0; k < UNROLL; k++)
        for (size_t lane = 0; lane < WIDTH / 8; lane++)
            total += low[k][lane] + high[k][lane];
    for (size_t i = 2 * half; i + 8 <= size; i += 8) {
        int64_t word;
        memcpy(&word, x + i, 8);
        total += word;
    }
    return total;
}

/* A copy with ordinary stores: each line of y is read before it is written. memcpy may choose otherwise. */
void control_copy(char *y, const char *x, size_t size)
{
    size_t i = 0;
    for (; i + STEP <= size; i += STEP) {
        vector v[UNROLL];
        for (int k = 0; k < UNROLL; k++)
            v[k] = load(x + i + k * WIDTH);
        for (int k = 0; k < UNROLL; k++)
            *(loose *)(y + i + k * WIDTH) = (loose)v[k];
    }
    memcpy(y + i, x + i, size - i);
}

/* A copy past the cache: aligned streaming stores, the source prefetched a page ahead. */
void control_stream(char *y, const char *x, size_t size)
{
#if defined(__AVX__)
    size_t head = (size_t)(-(uintptr_t)y % 64), i;
    head = head < size ? head : size;
    memcpy(y, x, head);
    for (i = head; i + STEP <= size; i += STEP) {
        vector v[UNROLL];
        for (int k = 0; k < UNROLL; k++) {
            /* a prefetch past the end is harmless */
            _mm_prefetch((const char *)((uintptr_t)x + i + k * WIDTH + AHEAD), _MM_HINT_T0);
            v[k] = load(x + i + k * WIDTH);
        }
        for (int k = 0; k < UNROLL; k++) {
#if defined(__AVX512F__)
            _mm512_stream_si512((void *)(y + i + k * WIDTH), (__m512i)v[k]);
#else
            _mm256_stream_si256((void *)(y + i + k * WIDTH), (__m256i)v[k]);
#endif
        }
    }
    _mm_sfence();
    memcpy(y + i, x + i, size - i);
#else
    memcpy(y, x, size);
#endif
}

/* A copy of a matrix past the cache, each line of which waits in `room`, as elements would for the sums of their columns,
 * until the panel of columns that it is in has been read; one panel is read while the one before it leaves. Of a row the
 * bytes before y's first whole line, and behind the last one, are left out. */
void control_panels(char *y, const char *x, size_t rows, size_t row_bytes, size_t panel, char *room)
{
    enum { ROWS_AHEAD = 4 };
    const size_t head = (size_t)(-(uintptr_t)y % 64), whole = (row_bytes - head) / panel * panel;
    char *next = room, *before = room + rows * panel;
    for (size_t c = 0; c <= whole; c += panel) {
        for (size_t i = 0; i < rows; i++) {
            const char *from = x + i * row_bytes + head + c;
            char *to = y + i * row_bytes + head + c - panel;
            for (size_t k = 0; c < whole && k < panel; k += WIDTH) {
                __builtin_prefetch((const char *)((uintptr_t)from + ROWS_AHEAD * row_bytes + k));
                *(loose *)(next + i * panel + k) = (loose)load(from + k);
            }
            for (size_t k = 0; c && k < panel; k += WIDTH) {
                const vector v = load(before + i * panel + k);
#if defined(__AVX512F__)
                _mm512_stream_si512((void *)(to + k), (__m512i)v);
#elif defined(__AVX__)
                _mm256_stream_si256((void *)(to + k), (__m256i)v);
#else
                *(loose *)(to + k) = (loose)v;
#endif
            }
        }
        char *other = next;
        next = before, before = other;
    }
#if defined(__AVX__)
    _mm_sfence();
#endif
}

/* 12 steps multiply-adds of a vector, none waiting for another: what the core computes while no memory is touched. A copy
 * takes as long as ever where others' work shares the core's pipes, this does not. */
float control_arithmetic(size_t steps)
{
    typedef float numbers __attribute__((vector_size(WIDTH)));
    numbers sum[12], half, one;
    for (int lane = 0; lane < WIDTH / 4; lane++)
        half[lane] = 0.5f, one[lane] = 1;
    for (int k = 0; k < 12; k++)
        sum[k] = one * (float)k;
    for (size_t i = 0; i < steps; i++)
        for (int k = 0; k < 12; k++)
            sum[k] = sum[k] * half + one;
    for (int k = 1; k < 12; k++)
        sum[0] += sum[k];
    return sum[0][0];
}

/* Numbers of a vector. */
int control_lanes(void) { return WIDTH / 4; }

void control_memcpy(char *y, const char *x, size_t size) { memcpy(y, x, size); }

/* STREAM's triad, a = b + s c on doubles, by ordinary stores: 24 bytes an element are counted, though each line of a is
 * read before it is written. */
void control_triad(double *restrict a, const double *restrict b, const double *restrict c, double s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] = b[i] + s * c[i];
}

/* a = b + a / s in place, which writes no line that it did not have to read: what a sweep moves, without neighbours. */
void control_update(double *restrict a, const double *restrict b, const double *c, double s, size_t n)
{
    const double keep = 1 / s;
    (void)c;
    for (size_t i = 0; i < n; i++)
        a[i] = b[i] + keep * a[i];
}

/* The triad past the cache: nothing is read but b and c. */
void control_stream_triad(double *restrict a, const double *restrict b, const double *restrict c, double s, size_t n)
{
    size_t i = 0;
#if defined(__AVX__)
    for (; i < n && (uintptr_t)(a + i) % 64; i++)
        a[i] = b[i] + s * c[i];
    for (; i + 8 <= n; i += 8) {
#if defined(__AVX512F__)
        __m512d sum = _mm512_fmadd_pd(_mm512_set1_pd(s), _mm512_loadu_pd(c + i), _mm512_loadu_pd(b + i));
        _mm512_stream_pd(a + i, sum);
#else
        for (int k = 0; k < 8; k += 4) {
            __m256d product = _mm256_mul_pd(_mm256_set1_pd(s), _mm256_loadu_pd(c + i + k));
            _mm256_stream_pd(a + i + k, _mm256_add_pd(product, _mm256_loadu_pd(b + i + k)));
        }
#endif
    }
    _mm_sfence();
#endif
    control_triad(a + i, b + i, c + i, s, n - i);
}
