/* What a tuner knows as JSON, and back: the content of Python's state_dict().
 *
 * Numbers are written with as few digits as give the same double again, and read by the C library, both in the "C"
 * locale, whatever the program's. The reader takes any JSON; of what it does not look for it checks the form alone.
 */
#define _POSIX_C_SOURCE 200809L
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interface_tuner.h"
#include "tuner_setup.h"

#if defined(__APPLE__)
#include <xlocale.h>
#endif

enum { VERSION = 1, DEEPEST = 64, NOTES = SV_TUNER_NOTES };

/* ---- writing ---- */

struct writer {
    char *text;
    size_t room, length;
};

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void put(struct writer *w, const char *words, ...)
{
    va_list arguments;
    va_start(arguments, words);
    size_t left = w->length < w->room ? w->room - w->length : 0;
    int length = vsnprintf(left ? w->text + w->length : NULL, left, words, arguments);
    va_end(arguments);
    w->length += length > 0 ? (size_t)length : 0;
}

static void put_number(struct writer *w, double x)
{
    char digits[40];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, x);
        if (strtod(digits, NULL) == x)
            break;
    }
    put(w, "%s%s", digits, strpbrk(digits, ".en") ? "" : ".0");
}

static void put_numbers(struct writer *w, const double *values, size_t count)
{
    put(w, "[");
    for (size_t k = 0; k < count; k++) {
        put(w, k ? ", " : "");
        put_number(w, values[k]);
    }
    put(w, "]");
}

static void put_learner(struct writer *w, const struct sv_omega_tuner *t)
{
    put(w, "\"");
    for (size_t k = 0; k < t->key_length; k++)
        put(w, "%s%c", t->key[k] == '"' || t->key[k] == '\\' ? "\\" : "", t->key[k]);
    put(w, "\": {\"asked\": %lld, \"words\": [", (long long)t->asked);
    for (int k = 0; k < 4; k++)
        put(w, "%s\"%016llx\"", k ? ", " : "", (unsigned long long)t->random.word[k]);
    put(w, "], \"state\": ");
    put_numbers(w, t->state, t->state_size);
    put(w, ", \"counts\": [");
    for (int k = 0; k < t->tuner.arms; k++)
        put(w, "%s%lld", k ? ", " : "", (long long)t->counts[k]);
    put(w, "], \"costs\": ");
    put_numbers(w, t->costs, (size_t)t->tuner.arms);
    put(w, ", \"pending\": [");
    for (size_t k = 0; k < t->open; k++) {
        const struct sv_question *asked = &t->pending[k].asked;
        put(w, "%s[%lld, %d", k ? ", " : "", (long long)t->pending[k].id, asked->arm);
        for (int n = -1; n < NOTES; n++) {
            put(w, ", ");
            put_number(w, n < 0 ? asked->context : asked->note[n]);
        }
        put(w, "]");
    }
    put(w, "]}");
}

static void put_tuner(struct writer *w, const struct sv_omega_tuner *t)
{
    put(w, "{\"version\": %d, \"learner\": \"%s\", \"values\": ", VERSION, t->learner);
    put_numbers(w, t->omegas, (size_t)t->tuner.arms);
    put(w, ", \"context\": ");
    if (t->contextual)
        put_numbers(w, t->context, 2);
    else
        put(w, "null");
    if (t->drift)
        put(w, ", \"drift\": \"%s\"", t->drift);
    else
        put(w, ", \"drift\": null");
    put(w, ", \"settings\": ");
    put_numbers(w, t->settings, (size_t)t->settings_count);
    put(w, ", \"floor\": ");
    put_number(w, t->floor);
    put(w, ", \"seed\": [%u, %u, %u, %u], \"keys\": {", t->seed[0], t->seed[1], t->seed[2], t->seed[3]);
    if (t->asked)
        put_learner(w, t);
    put(w, "}}");
}

/* ---- reading ---- */

/* What is still to be read; `bad` says what was not as it should be, and nothing is read after that. */
struct reader {
    const char *at, *end, *bad;
    int depth;
};

static void spoil(struct reader *r, const char *what)
{
    if (!r->bad)
        r->bad = what;
    r->at = r->end;
}

static char next(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
        r->at++;
    return r->at < r->end ? *r->at : 0;
}

static int taken(struct reader *r, char c)
{
    if (next(r) != c || r->at == r->end)
        return 0;
    r->at++;
    return 1;
}

static void expect(struct reader *r, char c, const char *what)
{
    if (!taken(r, c))
        spoil(r, what);
}

static unsigned hex(struct reader *r, int digits)
{
    unsigned value = 0;
    for (int k = 0; k < digits; k++) {
        const char c = r->at < r->end ? *r->at++ : 0;
        const char *all = "0123456789abcdef0123456789ABCDEF", *found = c ? strchr(all, c) : NULL;
        if (!found)
            spoil(r, "an escape");
        else
            value = value << 4 | (unsigned)((found - all) % 16);
    }
    return value;
}

static size_t utf8(unsigned code, char out[4])
{
    if (code < 0x80)
        return out[0] = (char)code, 1;
    if (code < 0x800)
        return out[0] = (char)(0xc0 | code >> 6), out[1] = (char)(0x80 | (code & 63)), 2;
    if (code < 0x10000)
        return out[0] = (char)(0xe0 | code >> 12), out[1] = (char)(0x80 | (code >> 6 & 63)),
               out[2] = (char)(0x80 | (code & 63)), 3;
    return out[0] = (char)(0xf0 | code >> 18), out[1] = (char)(0x80 | (code >> 12 & 63)),
           out[2] = (char)(0x80 | (code >> 6 & 63)), out[3] = (char)(0x80 | (code & 63)), 4;
}

/* One character of a string, as up to four bytes. */
static size_t character(struct reader *r, char out[4])
{
    static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    out[0] = *r->at++;
    if (out[0] != '\\')
        return 1;
    const char c = r->at < r->end ? *r->at++ : 0;
    const char *found = c ? strchr(plain, c) : NULL;
    if (found)
        return out[0] = meant[found - plain], 1;
    if (c != 'u')
        return spoil(r, "an escape"), 0;
    unsigned code = hex(r, 4);
    if (code >= 0xd800 && code < 0xdc00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
        r->at += 2;
        code = 0x10000 + ((code - 0xd800) << 10) + ((hex(r, 4) - 0xdc00) & 0x3ff);
    }
    return utf8(code, out);
}

/* A string; whether it is `wanted`. */
static int string_is(struct reader *r, const char *wanted, size_t length)
{
    size_t place = 0;
    int same = 1;
    expect(r, '"', "a string");
    while (r->at < r->end && *r->at != '"') {
        char bytes[4];
        const size_t count = character(r, bytes);
        same = same && place + count <= length && !memcmp(wanted + place, bytes, count);
        place += count;
    }
    expect(r, '"', "a string");
    return same && place == length;
}

static double number(struct reader *r)
{
    char digits[64], *end;
    size_t length = 0;
    next(r);
    while (r->at < r->end && length + 1 < sizeof digits && *r->at && strchr("+-0123456789.eE", *r->at))
        digits[length++] = *r->at++;
    digits[length] = 0;
    const double value = strtod(digits, &end);
    if (!length || *end || !isfinite(value))
        spoil(r, "a number");
    return value;
}

/* A whole number from 0 on, below 2^53. */
static int64_t whole(struct reader *r)
{
    const double value = number(r);
    if (!(value >= 0 && value < 0x1p53 && value == floor(value)))
        spoil(r, "a whole number");
    return r->bad ? 0 : (int64_t)value;
}

/* Whether another element comes, the k-th. */
static int more(struct reader *r, size_t k, char close)
{
    if (r->bad || taken(r, close))
        return 0;
    if (k)
        expect(r, ',', "a comma");
    return !r->bad;
}

static void skip(struct reader *r)
{
    const char c = next(r);
    if (++r->depth > DEEPEST)
        spoil(r, "the depth");
    if (c == '"')
        string_is(r, "", 0);
    else if (c == '[' || c == '{') {
        r->at++;
        for (size_t k = 0; more(r, k, c == '[' ? ']' : '}'); k++) {
            if (c == '{') {
                string_is(r, "", 0);
                expect(r, ':', "a colon");
            }
            skip(r);
        }
    } else if (c == 'n' || c == 't' || c == 'f') {
        const char *word = c == 'n' ? "null" : c == 't' ? "true" : "false";
        const size_t length = strlen(word);
        if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length))
            spoil(r, "a word");
        else
            r->at += length;
    } else
        number(r);
    r->depth--;
}

/* A reader at the member of an object, which begins where r is; bad where there is none. The last of that name counts. */
static struct reader member(const struct reader *object, const char *name, size_t length, int *found)
{
    struct reader r = *object, at = {object->end, object->end, "an object", 0};
    *found = 0;
    expect(&r, '{', "an object");
    for (size_t k = 0; more(&r, k, '}'); k++) {
        int same = string_is(&r, name, length);
        expect(&r, ':', "a colon");
        if (same)
            at = r, *found = 1;
        skip(&r);
    }
    if (r.bad)
        at = r;
    else if (!*found)
        at.bad = name;
    return at;
}

static struct reader named(const struct reader *object, const char *name)
{
    int found;
    return member(object, name, strlen(name), &found);
}

static int read_numbers(struct reader r, double *values, size_t count)
{
    size_t k = 0;
    expect(&r, '[', "a list");
    for (; more(&r, k, ']'); k++) {
        double value = number(&r);
        if (k < count)
            values[k] = value;
    }
    return !r.bad && k == count;
}

static int read_counts(struct reader r, int64_t *values, size_t count)
{
    size_t k = 0;
    expect(&r, '[', "a list");
    for (; more(&r, k, ']'); k++) {
        int64_t value = whole(&r);
        if (k < count)
            values[k] = value;
    }
    return !r.bad && k == count;
}

static int read_words(struct reader r, uint64_t words[4])
{
    size_t k = 0;
    expect(&r, '[', "a list");
    for (; more(&r, k, ']'); k++) {
        expect(&r, '"', "a string");
        uint64_t high = hex(&r, 8), word = high << 32 | hex(&r, 8);
        expect(&r, '"', "a string");
        if (k < 4)
            words[k] = word;
    }
    return !r.bad && k == 4 && (words[0] | words[1] | words[2] | words[3]);
}

/* ---- what must agree ---- */

static int same_numbers(struct reader r, const double *mine, size_t count)
{
    size_t k = 0;
    int same = 1;
    expect(&r, '[', "a list");
    for (; more(&r, k, ']'); k++) {
        double value = number(&r);
        same = same && k < count && value == mine[k];
    }
    return !r.bad && same && k == count;
}

static int same_word(struct reader r, const char *mine)
{
    if (mine)
        return next(&r) == '"' && string_is(&r, mine, strlen(mine)) && !r.bad;
    skip(&r);
    return !r.bad && r.at[-1] == 'l';
}

static int check_identity(const struct reader *object, const struct sv_omega_tuner *t)
{
    struct reader version = named(object, "version"), floor_ = named(object, "floor");
    const char *differs = NULL;
    if (number(&version) != VERSION || version.bad)
        differs = "version";
    else if (!same_word(named(object, "learner"), t->learner))
        differs = "learner";
    else if (!same_numbers(named(object, "values"), t->omegas, (size_t)t->tuner.arms))
        differs = "values";
    else if (t->contextual ? !same_numbers(named(object, "context"), t->context, 2)
                           : !same_word(named(object, "context"), NULL))
        differs = "context";
    else if (!same_word(named(object, "drift"), t->drift))
        differs = "drift";
    else if (!same_numbers(named(object, "settings"), t->settings, (size_t)t->settings_count))
        differs = "settings";
    else if (number(&floor_) != t->floor || floor_.bad)
        differs = "floor";
    if (differs)
        return sv_fail(SV_INVALID, "text does not fit this tuner: its %s differs, or is damaged", differs);
    return SV_OK;
}

/* ---- what is loaded ---- */

struct loaded {
    double *state, *costs;
    int64_t *counts, asked;
    uint64_t words[4];
    uint32_t seed[4];
    struct pending *pending;
    size_t open;
};

static const char *read_pending(struct reader r, const struct sv_omega_tuner *t, struct loaded *to)
{
    int64_t before = -1;
    expect(&r, '[', "a list");
    for (to->open = 0; more(&r, to->open, ']'); to->open++) {
        if (to->open == MOST_PENDING)
            return "pending";
        struct pending *one = &to->pending[to->open];
        expect(&r, '[', "a list");
        one->id = whole(&r);
        expect(&r, ',', "a comma");
        const int64_t arm = whole(&r);
        for (int n = -1; n < NOTES; n++) {
            expect(&r, ',', "a comma");
            *(n < 0 ? &one->asked.context : &one->asked.note[n]) = number(&r);
        }
        expect(&r, ']', "a list");
        const double probability = one->asked.note[0];
        if (r.bad || one->id <= before || one->id >= to->asked || arm >= t->tuner.arms || !(probability > 0) ||
            probability > 1 + 1e-9)
            return "pending";
        one->asked.arm = (int)arm, before = one->id;
    }
    return r.bad ? "pending" : NULL;
}

/* The name of what is damaged, or NULL. */
static const char *read_learner(const struct reader *r, const struct sv_omega_tuner *t, struct loaded *to)
{
    struct reader asked = named(r, "asked");
    to->asked = whole(&asked);
    if (asked.bad)
        return "asked";
    if (!read_words(named(r, "words"), to->words))
        return "words";
    if (!read_numbers(named(r, "state"), to->state, t->state_size))
        return "state";
    if (!read_counts(named(r, "counts"), to->counts, (size_t)t->tuner.arms))
        return "counts";
    if (!read_numbers(named(r, "costs"), to->costs, (size_t)t->tuner.arms))
        return "costs";
    return read_pending(named(r, "pending"), t, to);
}

static const char *read_seed(struct reader r, uint32_t seed[4])
{
    int64_t words[4];
    if (!read_counts(r, words, 4))
        return "seed";
    for (int k = 0; k < 4; k++) {
        if (words[k] > UINT32_MAX)
            return "seed";
        seed[k] = (uint32_t)words[k];
    }
    return NULL;
}

static const char *read_all(const struct reader *r, const struct sv_omega_tuner *t, struct loaded *to)
{
    const char *damaged = read_seed(named(r, "seed"), to->seed);
    struct reader keys = named(r, "keys");
    int found = 0;
    if (damaged || keys.bad)
        return damaged ? damaged : "keys";
    struct reader mine = member(&keys, t->key, t->key_length, &found);
    if (found)
        return read_learner(&mine, t, to);
    to->asked = 0, to->open = 0;
    sv_tuner_start(&t->tuner, to->state);
    sv_tuner_key_words(to->seed, t->key, t->key_length, to->words);
    return mine.bad != t->key ? "keys" : NULL;
}

static void adopt(struct sv_omega_tuner *t, struct loaded *from)
{
    struct loaded old = {.state = t->state, .costs = t->costs, .counts = t->counts, .pending = t->pending};
    t->state = from->state, t->costs = from->costs, t->counts = from->counts, t->pending = from->pending;
    t->asked = from->asked, t->open = from->open;
    memcpy(t->random.word, from->words, sizeof from->words);
    memcpy(t->seed, from->seed, sizeof from->seed);
    *from = old;
}

static int load(struct sv_omega_tuner *t, const char *text, size_t length)
{
    const struct reader all = {text, text + length, NULL, 0};
    struct reader whole_text = all;
    const size_t arms = (size_t)t->tuner.arms;
    skip(&whole_text);
    if (whole_text.bad || next(&whole_text) || whole_text.at != whole_text.end)
        return sv_fail(SV_INVALID, "text is no JSON: %s is wrong", whole_text.bad ? whole_text.bad : "its end");
    int status = check_identity(&all, t);
    if (status)
        return status;
    struct loaded made = {.state = calloc(t->state_size, sizeof(double)), .costs = calloc(arms, sizeof(double)),
                          .counts = calloc(arms, sizeof(int64_t)),
                          .pending = calloc(MOST_PENDING + 1, sizeof(struct pending))};
    if (!made.state || !made.costs || !made.counts || !made.pending)
        status = sv_fail(SV_NO_MEMORY, "text: there is no memory for what it holds");
    const char *damaged = status ? NULL : read_all(&all, t, &made);
    if (damaged)
        status = sv_fail(SV_INVALID, "text is damaged: its %s is wrong", damaged);
    if (!status)
        adopt(t, &made);
    free(made.state), free(made.costs), free(made.counts), free(made.pending);
    return status;
}

/* ---- the functions, in the "C" locale ---- */

static int in_plain_locale(locale_t *plain, locale_t *before)
{
    *plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!*plain)
        return sv_fail(SV_NO_MEMORY, "there is no memory for the C locale");
    *before = uselocale(*plain);
    return SV_OK;
}

static void back_to(locale_t plain, locale_t before)
{
    uselocale(before);
    freelocale(plain);
}

int sv_omega_tuner_save(sv_omega_tuner *tuner, char *text, size_t room, size_t *length)
{
    SV_NEED(tuner);
    SV_NEED(length);
    if (room)
        SV_NEED(text);
    locale_t plain = (locale_t)0, before = (locale_t)0;
    struct writer count = {NULL, 0, 0}, out = {text, room, 0};
    int status = sv_enter(&tuner->guard);
    if (status)
        return status;
    status = in_plain_locale(&plain, &before);
    if (!status) {
        put_tuner(&count, tuner);
        *length = count.length;
        if (room > count.length)
            put_tuner(&out, tuner);
        else if (room)
            status = sv_fail(SV_INVALID, "room is %zu; %zu bytes are needed", room, count.length + 1);
        back_to(plain, before);
    }
    sv_leave(&tuner->guard);
    return status;
}

int sv_omega_tuner_load(sv_omega_tuner *tuner, const char *text, size_t length)
{
    SV_NEED(tuner);
    SV_NEED(text);
    locale_t plain = (locale_t)0, before = (locale_t)0;
    int status = sv_enter(&tuner->guard);
    if (status)
        return status;
    status = in_plain_locale(&plain, &before);
    if (!status) {
        status = load(tuner, text, length);
        back_to(plain, before);
    }
    sv_leave(&tuner->guard);
    return status;
}
