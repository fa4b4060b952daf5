/* The tuner of omega in the C interface: the learners of tuner.h, with values, seeds and open questions as OmegaTuner has
 * them in Python. The learners' options and their ranges are those of their declarations there; a test compares both.
 */
#include "interface_tuner.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tuner_setup.h"
#include "tuner_tsallis.h"

enum { MOST_OPTIONS = 6, DRIFTS = 4 };

struct choice {
    const char *name;
    double value, low, high;
    int whole;
};

enum kind { TSALLIS, BINNED, CHEBCB, GAUSSIAN };

static const struct learner {
    const char *name;
    enum kind kind;
    int form;       /* of Tsallis-INF */
    int contextual; /* takes a context, and needs it */
    int drifts;     /* whether it knows what to do about drift */
    int floor;      /* whether costs count from the least possible one */
    struct choice options[MOST_OPTIONS];
} learners[] = {
    {"tsallis-dr", TSALLIS, SV_TSALLIS_DOUBLY_ROBUST, 0, 1, 1,
     {{"discount", 0.998, 0.5, 1, 0}, {"window", 1000, 10, 1e6, 1}, {"change", 25, 1, INFINITY, 0}}},
    {"tsallis", TSALLIS, SV_TSALLIS_PLAIN, 0, 0, 1, {{0}}},
    {"tsallis-rv", TSALLIS, SV_TSALLIS_SHIFTED, 0, 0, 1, {{"paper", 0, 0, 1, 1}}},
    {"binned", BINNED, 0, 1, 0, 1, {{"bins", 6, 1, 1000, 1}, {"paper", 0, 0, 1, 1}}},
    {"chebcb", CHEBCB, 0, 1, 0, 1, {{"terms", 6, 2, 12, 1}, {"paper", 0, 0, 1, 1}}},
    {"gp", GAUSSIAN, 0, 1, 0, 0,
     {{"arm_length", 0.3, 0.1, INFINITY, 0}, {"context_length", 0.15, 0.05, INFINITY, 0},
      {"noise", 0.05, 1e-3, INFINITY, 0}, {"caution", 0.5, 0, INFINITY, 0}, {"forget", 1, 0.5, 1, 0},
      {"epsilon", 0, 0, 1, 0}}},
    {"gp-forgetting", GAUSSIAN, 0, 0, 0, 0,
     {{"arm_length", 0.3, 0.1, INFINITY, 0}, {"context_length", 0.15, 0.05, INFINITY, 0},
      {"noise", 0.05, 1e-3, INFINITY, 0}, {"caution", 0.5, 0, INFINITY, 0}, {"forget", 0.99, 0.5, 1, 0},
      {"epsilon", 0.02, 0, 1, 0}}},
};

static const char *const drifts[DRIFTS] = {"auto", "discount", "window", "reset"};
enum { AUTO, DISCOUNT, WINDOW, RESET };

/* ---- making one ---- */

static int find_learner(const sv_omega_options *options, const struct learner **found)
{
    const char *name = options->learner ? options->learner : options->context ? "gp" : "tsallis-dr";
    for (size_t k = 0; k < sizeof learners / sizeof *learners; k++)
        if (!strcmp(learners[k].name, name)) {
            *found = &learners[k];
            if (learners[k].contextual && !options->context)
                return sv_fail(SV_INVALID, "options->learner: \"%s\" needs a context", name);
            if (!learners[k].contextual && options->context)
                return sv_fail(SV_INVALID, "options->learner: \"%s\" takes no context", name);
            return SV_OK;
        }
    return sv_fail(SV_INVALID, "options->learner: there is none named \"%.40s\"", name);
}

static int find_drift(const sv_omega_options *options, const struct learner *learner, int *found)
{
    *found = -1;
    if (!options->drift)
        return SV_OK;
    for (int k = 0; k < DRIFTS && learner->drifts; k++)
        if (!strcmp(drifts[k], options->drift))
            *found = k;
    if (*found < 0)
        return sv_fail(SV_INVALID, "options->drift: \"%s\" does not know \"%.40s\"", learner->name, options->drift);
    return SV_OK;
}

/* The values of the learner's options, in the order in which it has them. */
static int read_options(const sv_omega_options *options, const struct learner *learner, double values[MOST_OPTIONS])
{
    for (int k = 0; k < MOST_OPTIONS; k++)
        values[k] = learner->options[k].value;
    if (options->option_count && !(options->option_names && options->option_values))
        return sv_fail(SV_INVALID, "options->option_names or options->option_values is NULL");
    for (size_t i = 0; i < options->option_count; i++) {
        const char *name = options->option_names[i];
        const double value = options->option_values[i];
        int at = -1;
        for (int k = 0; name && k < MOST_OPTIONS; k++)
            if (learner->options[k].name && !strcmp(learner->options[k].name, name))
                at = k;
        if (at < 0)
            return sv_fail(SV_INVALID, "options->option_names[%zu]: \"%s\" has no option \"%.40s\"", i, learner->name,
                           name ? name : "(null)");
        const struct choice *choice = &learner->options[at];
        if (!(value >= choice->low && value <= choice->high) || (choice->whole && value != floor(value)))
            return sv_fail(SV_INVALID, "options->option_values[%zu]: \"%s\" is %g, not a%s number from %g to %g", i, name,
                           value, choice->whole ? " whole" : "", choice->low, choice->high);
        values[at] = value;
    }
    return SV_OK;
}

static void tsallis_settings(double settings[], double form, double discount, double window, double change)
{
    settings[TSALLIS_FORM] = form, settings[TSALLIS_DISCOUNT] = discount;
    settings[TSALLIS_WINDOW] = window, settings[TSALLIS_CHANGE] = change;
}

static int set_tsallis(struct sv_omega_tuner *t, const struct learner *learner, int drift, const double values[])
{
    double *s = t->settings;
    const int form = learner->form == SV_TSALLIS_SHIFTED && values[0] ? SV_TSALLIS_HALF : learner->form;
    t->tuner.kind = drift == AUTO ? &sv_tuner_experts : &sv_tuner_tsallis;
    tsallis_settings(s, form, drift == DISCOUNT ? values[0] : 1, drift == WINDOW ? values[1] : 0,
                     drift == RESET ? values[2] : 0);
    if (drift != AUTO)
        return TSALLIS_SETTINGS;
    tsallis_settings(s + TSALLIS_SETTINGS, learner->form, values[0], 0, 0);
    s[2 * TSALLIS_SETTINGS] = values[0];
    return 2 * TSALLIS_SETTINGS + 1;
}

static int set_binned(struct sv_omega_tuner *t, const double values[])
{
    double *s = t->settings;
    t->tuner.kind = &sv_tuner_binned;
    tsallis_settings(s, values[1] ? SV_TSALLIS_HALF : SV_TSALLIS_DOUBLY_ROBUST, 1, 0, 0);
    s[TSALLIS_SETTINGS] = t->context[0], s[TSALLIS_SETTINGS + 1] = t->context[1], s[TSALLIS_SETTINGS + 2] = values[0];
    return TSALLIS_SETTINGS + 3;
}

/* -1 where there is no memory. */
static int set_gaussian(struct sv_omega_tuner *t, const double values[])
{
    const size_t arms = (size_t)t->tuner.arms;
    double *places = malloc((arms + 1) * arms * sizeof *places);
    t->tables = malloc((GAUSSIAN_CONTEXT_TERMS + arms * GAUSSIAN_ARM_TERMS) * sizeof *t->tables);
    if (!places || !t->tables) {
        free(places);
        return -1;
    }
    int by_arm, by_context;
    t->tuner.kind = sv_tuner_gaussian();
    sv_omega_places(arms, t->omegas, places);
    sv_gaussian_tables(arms, places, values[0], t->contextual ? values[1] : 0, t->tables, places + arms, &by_arm,
                       &by_context);
    free(places);
    const double low = t->contextual ? t->context[0] : 0, high = t->contextual ? t->context[1] : 1;
    const double settings[] = {low, high, by_arm, by_context, values[1], values[2], values[3], values[4], values[5]};
    memcpy(t->settings, settings, sizeof settings);
    return MOST_SETTINGS;
}

static int set_up(struct sv_omega_tuner *t, const struct learner *learner, int drift, const double values[])
{
    switch (learner->kind) {
    case TSALLIS: return set_tsallis(t, learner, drift, values);
    case BINNED: return set_binned(t, values);
    case CHEBCB:
        t->tuner.kind = &sv_tuner_chebcb;
        t->settings[0] = t->context[0], t->settings[1] = t->context[1];
        t->settings[2] = values[0], t->settings[3] = values[1];
        return 4;
    default: return set_gaussian(t, values);
    }
}

static int read_omegas(const sv_omega_options *options, double *omegas)
{
    const size_t count = options->count;
    if (!options->omegas)
        return sv_omega_grid(count, options->low, options->high, omegas);
    for (size_t k = 0; k < count; k++) {
        omegas[k] = options->omegas[k];
        if (!(omegas[k] > 0 && omegas[k] < 2))
            return sv_fail(SV_INVALID, "options->omegas[%zu] is %g, not between 0 and 2", k, omegas[k]);
        for (size_t i = 0; i < k; i++)
            if (omegas[i] == omegas[k])
                return sv_fail(SV_INVALID, "options->omegas[%zu] is %g, as is that at %zu", k, omegas[k], i);
    }
    return SV_OK;
}

static int check_options(const sv_omega_options *options)
{
    size_t bytes;
    if (options->count < 1 || options->count > INT_MAX / 2)
        return sv_fail(SV_INVALID, "options->count is %zu", options->count);
    int status = sv_product((options->count + 1) * sizeof(double), options->count, "options->count", &bytes);
    if (status)
        return status;
    if (!(options->cost_floor >= 0 && options->cost_floor < INFINITY))
        return sv_fail(SV_INVALID, "options->cost_floor is %g, not >= 0 and finite", options->cost_floor);
    const double *ends = options->context;
    if (ends && !(isfinite(ends[0]) && isfinite(ends[1]) && ends[0] < ends[1]))
        return sv_fail(SV_INVALID, "options->context is (%g, %g), not two finite ends, the low one first", ends[0],
                       ends[1]);
    if (options->key && strlen(options->key) > MOST_KEY)
        return sv_fail(SV_INVALID, "options->key is longer than %d bytes", MOST_KEY);
    for (const char *c = options->key; c && *c; c++)
        if ((unsigned char)*c < ' ')
            return sv_fail(SV_INVALID, "options->key has a control character at %td", c - options->key);
    return SV_OK;
}

static int allocate(struct sv_omega_tuner *t)
{
    const size_t arms = (size_t)t->tuner.arms;
    size_t bytes;
    t->tuner.settings = t->settings, t->tuner.tables = t->tables;
    t->state_size = sv_tuner_state_size(&t->tuner);
    int status = sv_product(t->state_size, sizeof(double), "options->count", &bytes);
    if (status)
        return status;
    t->state = malloc(bytes);
    t->work = calloc(t->tuner.kind->work_size(&t->tuner) + 1, sizeof *t->work);
    t->costs = calloc(arms, sizeof *t->costs);
    t->counts = calloc(arms, sizeof *t->counts);
    t->pending = malloc((MOST_PENDING + 1) * sizeof *t->pending);
    if (!t->state || !t->work || !t->costs || !t->counts || !t->pending)
        return sv_fail(SV_NO_MEMORY, "there is no memory for %zu values", arms);
    sv_tuner_start(&t->tuner, t->state);
    return SV_OK;
}

static int fill(struct sv_omega_tuner *t, const sv_omega_options *options)
{
    const struct learner *learner = NULL;
    double values[MOST_OPTIONS];
    int drift = -1, status = check_options(options);
    if (!status)
        status = find_learner(options, &learner);
    if (!status)
        status = find_drift(options, learner, &drift);
    if (!status)
        status = read_options(options, learner, values);
    if (status)
        return status;
    t->tuner.arms = (int)options->count;
    t->omegas = malloc(options->count * sizeof *t->omegas);
    if (!t->omegas)
        return sv_fail(SV_NO_MEMORY, "there is no memory for %zu values", options->count);
    status = read_omegas(options, t->omegas);
    if (status)
        return status;
    t->learner = learner->name, t->drift = drift < 0 ? NULL : drifts[drift];
    t->contextual = options->context != NULL;
    if (options->context)
        memcpy(t->context, options->context, sizeof t->context);
    t->floor = learner->floor ? options->cost_floor : 0;
    t->settings_count = set_up(t, learner, drift, values);
    if (t->settings_count < 0)
        return sv_fail(SV_NO_MEMORY, "there is no memory for %zu values", options->count);
    if (options->seed_words)
        memcpy(t->seed, options->seed_words, sizeof t->seed);
    else
        sv_tuner_seed(options->seed, t->seed);
    t->key_length = options->key ? strlen(options->key) : 0;
    memcpy(t->key, options->key ? options->key : "", t->key_length);
    sv_tuner_key_words(t->seed, t->key, t->key_length, t->random.word);
    return allocate(t);
}

int sv_omega_tuner_create(sv_omega_tuner **tuner, const sv_omega_options *given)
{
    sv_omega_options options = SV_OMEGA_OPTIONS_INIT;
    SV_NEED(tuner);
    int status = sv_read_struct(&options, sizeof options, given, "options");
    if (status)
        return status;
    struct sv_omega_tuner *made = calloc(1, sizeof *made);
    if (!made)
        return sv_fail(SV_NO_MEMORY, "there is no memory for a tuner");
    atomic_flag_clear(&made->guard.taken);
    status = fill(made, &options);
    if (status)
        sv_omega_tuner_destroy(made);
    else
        *tuner = made;
    return status;
}

void sv_omega_tuner_destroy(sv_omega_tuner *tuner)
{
    if (!tuner)
        return;
    free(tuner->omegas), free(tuner->tables), free(tuner->state), free(tuner->work);
    free(tuner->costs), free(tuner->counts), free(tuner->pending);
    free(tuner);
}

int sv_omega_grid(size_t count, double low, double high, double *omegas)
{
    SV_NEED(omegas);
    if (!(0 < low && low < high && high < 2))
        return sv_fail(SV_INVALID, "low: 0 < low < high < 2 must hold, not low = %g, high = %g", low, high);
    if (count < 1)
        return sv_fail(SV_INVALID, "count is 0");
    sv_omega_values(count, low, high, omegas);
    return SV_OK;
}

/* ---- asking and telling ---- */

static int check_context(const struct sv_omega_tuner *tuner, double *context)
{
    if (!tuner->contextual)
        *context = 0;
    return isfinite(*context) ? SV_OK : sv_fail(SV_INVALID, "context is %g", *context);
}

int sv_omega_tuner_ask(sv_omega_tuner *tuner, double context, double *omega, int64_t *id)
{
    SV_NEED(tuner);
    SV_NEED(omega);
    SV_NEED(id);
    int status = check_context(tuner, &context);
    if (status || (status = sv_enter(&tuner->guard)))
        return status;
    struct pending *question = &tuner->pending[tuner->open++];
    memset(question, 0, sizeof *question);
    question->id = tuner->asked++, question->asked.context = context;
    sv_tuner_ask(&tuner->tuner, tuner->state, &tuner->random, &question->asked, tuner->work);
    *omega = tuner->omegas[question->asked.arm], *id = question->id;
    if (tuner->open > MOST_PENDING)
        memmove(tuner->pending, tuner->pending + 1, --tuner->open * sizeof *question);
    sv_leave(&tuner->guard);
    return SV_OK;
}

/* Where a question is among the open ones, or where it would be. */
static size_t place_of(const struct sv_omega_tuner *tuner, int64_t id)
{
    size_t low = 0, high = tuner->open;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (tuner->pending[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int told(struct sv_omega_tuner *tuner, int64_t id, double cost)
{
    const size_t at = place_of(tuner, id);
    if (at == tuner->open || tuner->pending[at].id != id)
        return sv_fail(SV_INVALID, "id: question %lld is not open: answered, dropped or another tuner's", (long long)id);
    const struct sv_question asked = tuner->pending[at].asked;
    memmove(tuner->pending + at, tuner->pending + at + 1, (--tuner->open - at) * sizeof *tuner->pending);
    tuner->counts[asked.arm]++;
    tuner->costs[asked.arm] += cost;
    sv_tuner_tell(&tuner->tuner, tuner->state, &asked, cost > tuner->floor ? cost - tuner->floor : 0, tuner->work);
    return SV_OK;
}

int sv_omega_tuner_tell(sv_omega_tuner *tuner, int64_t id, double cost)
{
    SV_NEED(tuner);
    if (!(cost >= 0 && cost < INFINITY))
        return sv_fail(SV_INVALID, "cost is %g, not >= 0 and finite", cost);
    int status = sv_enter(&tuner->guard);
    if (status)
        return status;
    status = told(tuner, id, cost);
    sv_leave(&tuner->guard);
    return status;
}

int sv_omega_tuner_pending(sv_omega_tuner *tuner, size_t room, int64_t *ids, double *omegas, size_t *count)
{
    SV_NEED(tuner);
    SV_NEED(count);
    int status = sv_enter(&tuner->guard);
    if (status)
        return status;
    for (size_t k = 0; k < tuner->open && k < room; k++) {
        if (ids)
            ids[k] = tuner->pending[k].id;
        if (omegas)
            omegas[k] = tuner->omegas[tuner->pending[k].asked.arm];
    }
    *count = tuner->open;
    sv_leave(&tuner->guard);
    return SV_OK;
}

/* ---- what was learned ---- */

size_t sv_omega_tuner_count(const sv_omega_tuner *tuner) { return tuner ? (size_t)tuner->tuner.arms : 0; }

int sv_omega_tuner_omegas(const sv_omega_tuner *tuner, double *omegas)
{
    SV_NEED(tuner);
    SV_NEED(omegas);
    memcpy(omegas, tuner->omegas, sv_omega_tuner_count(tuner) * sizeof *omegas);
    return SV_OK;
}

int sv_omega_tuner_probabilities(sv_omega_tuner *tuner, double context, double *probabilities)
{
    SV_NEED(tuner);
    SV_NEED(probabilities);
    int status = check_context(tuner, &context);
    if (status || (status = sv_enter(&tuner->guard)))
        return status;
    sv_tuner_probabilities(&tuner->tuner, tuner->state, context, probabilities, tuner->work);
    sv_leave(&tuner->guard);
    return SV_OK;
}

int sv_omega_tuner_best(sv_omega_tuner *tuner, double context, double *omega)
{
    SV_NEED(tuner);
    SV_NEED(omega);
    double *p = malloc(sv_omega_tuner_count(tuner) * sizeof *p);
    if (!p)
        return sv_fail(SV_NO_MEMORY, "there is no memory for the probabilities");
    int status = sv_omega_tuner_probabilities(tuner, context, p), best = 0;
    for (int k = 1; k < tuner->tuner.arms && !status; k++)
        best = p[k] > p[best] ? k : best;
    if (!status)
        *omega = tuner->omegas[best];
    free(p);
    return status;
}

int sv_omega_tuner_told(sv_omega_tuner *tuner, int64_t *counts, double *costs)
{
    SV_NEED(tuner);
    int status = sv_enter(&tuner->guard);
    if (status)
        return status;
    if (counts)
        memcpy(counts, tuner->counts, (size_t)tuner->tuner.arms * sizeof *counts);
    if (costs)
        memcpy(costs, tuner->costs, (size_t)tuner->tuner.arms * sizeof *costs);
    sv_leave(&tuner->guard);
    return SV_OK;
}
