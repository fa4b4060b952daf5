/* Text in LIBSVM's format to CSR rows.
 *
 * Each line: label [qid:number] index:value ... [# comment], indices rising. One pass, byte by byte; a number costs
 * its digits, a comparison each and one multiplication or division (decimal.h). Values are rounded to nearest, as
 * Python's float() rounds.
 *
 * Bound: about 2.5 cycles a byte, since each byte is a step of a chain (digit, times ten, compare); memory does not
 * matter. The twin:
 *     label, *pairs = line.split("#")[0].split()
 *     columns, values = zip(*((int(i), float(v)) for i, v in (pair.split(":") for pair in pairs)))
 */
#include "libsvm.h"

#include <string.h>

#include "decimal.h"

static inline bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static inline const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && is_blank(*p))
        p++;
    return p;
}

/* Where a token may end. */
static inline bool ends_here(const char *p, const char *end)
{
    return p == end || is_blank(*p) || *p == '\n' || *p == '#';
}

/* Any number; returns its end, NULL where there is none. */
static inline const char *read_number(struct sv_libsvm *r, const char *p, const char *end, double *value)
{
    struct decimal number;
    const char *after = read_decimal(p, end, &number);
    if (after > p && number.plain && ends_here(after, end)) {
        *value = decimal_value(&number);
        return after;
    }
    int bad = 0;
    for (after = p; !ends_here(after, end) && *after != ','; after++)
        ;
    if (after > p)
        *value = r->hard_number(p, (size_t)(after - p), &bad);
    return after == p || bad ? NULL : after;
}

/* The whole number at p, which must be below `limit`; *number is -1 where it is not. Returns its end. */
static inline const char *read_whole(const char *p, const char *end, int64_t limit, int64_t *number)
{
    int64_t n = 0;
    for (; p < end && is_digit(*p); p++)
        n = n >= 0 && n <= (limit - (*p - '0')) / 10 ? 10 * n + (*p - '0') : -1;
    *number = n;
    return p;
}

static const char *read_query(const char *p, const char *end, int64_t *query)
{
    *query = -1;
    if (end - p <= 4 || memcmp(p, "qid:", 4) != 0)
        return p;
    const char *after = read_whole(p + 4, end, INT64_MAX, query);
    return after > p + 4 && ends_here(after, end) && *query >= 0 ? after : NULL;
}

static enum sv_libsvm_fault read_pairs(struct sv_libsvm *r, const char *p, const char *end)
{
    int64_t last = -1;
    size_t k = r->entries;
    for (; (p = skip_blanks(p, end)) < end && *p != '\n' && *p != '#'; k++) {
        int64_t index;
        r->place = p;
        const char *colon = read_whole(p, end, INT32_MAX - 1, &index);
        if (colon == p || colon == end || *colon != ':')
            return SV_LIBSVM_NO_PAIR;
        if (index < 0)
            return SV_LIBSVM_LARGE_INDEX;
        if (index <= last)
            return SV_LIBSVM_ORDER;
        if (last < 0 && index < r->least)
            r->least = (int32_t)index;
        last = index;
        r->columns[k] = (int32_t)index;
        if ((p = read_number(r, colon + 1, end, &r->values[k])) == NULL || !ends_here(p, end))
            return SV_LIBSVM_BAD_VALUE;
    }
    if (last > r->greatest)
        r->greatest = (int32_t)last;
    r->entries = k;
    r->place = p;
    return SV_LIBSVM_FINE;
}

/* The line at r->place; a blank one, or one of comment alone, is no row. */
static enum sv_libsvm_fault read_line(struct sv_libsvm *r)
{
    const char *end = r->end, *p = skip_blanks(r->place, end);
    r->place = p;
    if (p < end && *p != '\n' && *p != '#') {
        if ((p = read_number(r, p, end, &r->labels[r->rows])) == NULL)
            return SV_LIBSVM_NO_LABEL;
        if (!ends_here(p, end))
            return *p == ',' ? SV_LIBSVM_SEVERAL_LABELS : SV_LIBSVM_NO_LABEL;
        r->place = p = skip_blanks(p, end);
        if ((p = read_query(p, end, &r->queries[r->rows])) == NULL)
            return SV_LIBSVM_NO_PAIR;
        enum sv_libsvm_fault fault = read_pairs(r, p, end);
        if (fault)
            return fault;
        r->ends[r->rows++] = (int64_t)r->entries;
    }
    const char *newline = r->place < end ? memchr(r->place, '\n', (size_t)(end - r->place)) : NULL;
    r->place = newline ? newline + 1 : end;
    return SV_LIBSVM_FINE;
}

enum sv_libsvm_fault sv_libsvm_read(struct sv_libsvm *r)
{
    r->place = r->text;
    r->rows = r->entries = 0;
    r->lines = 0;
    r->least = INT32_MAX;
    r->greatest = -1;
    for (; r->place < r->end; r->lines++) {
        enum sv_libsvm_fault fault = read_line(r);
        if (fault)
            return fault;
    }
    return SV_LIBSVM_FINE;
}
