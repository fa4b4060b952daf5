# Learners: the state is a NumPy array of this object's, the arithmetic is C's. Values are checked by the callers.

from libc.stdint cimport uint64_t

cdef extern from "tuner.h" nogil:
    struct sv_random:
        uint64_t word[4]

    struct sv_question:
        int arm
        double context
        double note[4]

    struct sv_tuner_kind:
        size_t (*work_size)(const sv_tuner *) noexcept nogil

    struct sv_tuner:
        const sv_tuner_kind *kind
        int arms
        const double *settings
        const double *tables

    const sv_tuner_kind sv_tuner_tsallis, sv_tuner_binned, sv_tuner_experts, sv_tuner_chebcb
    const sv_tuner_kind *sv_tuner_gaussian()
    double sv_tsallis_weights(int, const double *, double, double *)
    size_t sv_tuner_state_size(const sv_tuner *)
    void sv_tuner_start(const sv_tuner *, double *)
    void sv_tuner_ask(const sv_tuner *, double *, sv_random *, sv_question *, double *)
    void sv_tuner_tell(const sv_tuner *, double *, const sv_question *, double, double *)
    void sv_tuner_probabilities(const sv_tuner *, const double *, double, double *, double *)

cdef extern from "tuner_setup.h" nogil:
    enum:
        GAUSSIAN_ARM_TERMS
        GAUSSIAN_CONTEXT_TERMS

    void sv_omega_values(size_t, double, double, double *)
    void sv_omega_places(size_t, const double *, double *)
    void sv_gaussian_tables(size_t, const double *, double, double, double *, double *, int *, int *)


cdef class Question:
    """What a tuner asks: a solve with this arm, whose cost is to be told.

    Attributes
    ----------
    arm : int
        The arm's place.
    value : object
        The arm itself: an omega, or a name.
    token : int
        The question's number, from 0, among those of its tuner and key.
    key : str
        Which of the tuner's learners asks.
    context : float
        What the solve was asked for.
    """

    cdef sv_question asked
    cdef readonly object value
    cdef readonly long token
    cdef readonly str key

    @property
    def arm(self):
        return self.asked.arm

    @property
    def context(self):
        return self.asked.context

    @property
    def probability(self):
        """With which the arm was chosen."""
        return self.asked.note[0]

    def __repr__(self):
        return f"<question {self.token}: {self.value!r}>"

    def record(self):
        """All of it as plain numbers."""
        return [self.token, self.asked.arm, self.asked.context, *[self.asked.note[k] for k in range(4)]]


cdef class Learner:
    """One learner: what it knows (`state`), its random numbers, the questions it asked, what the arms cost so far."""

    cdef sv_tuner tuner
    cdef sv_random random
    cdef readonly object state, counts, costs
    cdef readonly dict pending
    cdef readonly str key
    cdef public long asked
    cdef list values
    cdef object kept
    cdef double floor
    cdef double[::1] state_view, work, cost_sums
    cdef int64_t[::1] count_view

    def __cinit__(self, str kind, list values, const double[::1] settings, const double[::1] tables, words, str key,
                  double floor):
        """values: the arms; settings, tables: as that kind's C file reads them; words: four of the random generator."""
        cdef size_t found = {"tsallis": <size_t>&sv_tuner_tsallis, "binned": <size_t>&sv_tuner_binned,
                             "experts": <size_t>&sv_tuner_experts, "chebcb": <size_t>&sv_tuner_chebcb,
                             "gaussian": <size_t>sv_tuner_gaussian()}[kind]
        self.tuner.kind = <const sv_tuner_kind *>found
        self.tuner.arms, self.values = len(values), values
        self.tuner.settings = &settings[0]
        self.tuner.tables = &tables[0] if tables.shape[0] else NULL
        self.kept = settings, tables
        self.key, self.floor, self.pending, self.asked = key, floor, {}, 0
        self.state = np.zeros(sv_tuner_state_size(&self.tuner))
        self.state_view = self.state
        self.work = np.zeros(max(1, self.tuner.kind.work_size(&self.tuner)))
        self.counts, self.costs = np.zeros(len(values), np.int64), np.zeros(len(values))
        self.count_view, self.cost_sums = self.counts, self.costs
        self.words = words
        sv_tuner_start(&self.tuner, &self.state_view[0])

    @property
    def words(self):
        """The state of the random generator."""
        return [self.random.word[k] for k in range(4)]

    @words.setter
    def words(self, values):
        first, second, third, fourth = values
        self.random.word[0], self.random.word[1] = first, second
        self.random.word[2], self.random.word[3] = third, fourth

    def ask(self, double context, long most):
        """A new question; the oldest is dropped where more than `most` are pending."""
        cdef Question question = Question.__new__(Question)
        question.asked.context = context
        sv_tuner_ask(&self.tuner, &self.state_view[0], &self.random, &question.asked, &self.work[0])
        question.value, question.token, question.key = self.values[question.asked.arm], self.asked, self.key
        self.pending[self.asked] = question
        self.asked += 1
        if len(self.pending) > most:
            del self.pending[next(iter(self.pending))]
        return question

    def tell(self, Question question, double cost):
        """The cost of a pending question, which thereby is answered."""
        if self.pending.get(question.token) is not question:
            raise ValueError(f"question {question.token} is not pending: answered, dropped or another tuner's")
        if not 0 <= cost < float("inf"):
            raise ValueError(f"cost must be >= 0 and finite, not {cost!r}")
        del self.pending[question.token]
        self.count_view[question.asked.arm] += 1
        self.cost_sums[question.asked.arm] += cost
        sv_tuner_tell(&self.tuner, &self.state_view[0], &question.asked, max(0.0, cost - self.floor), &self.work[0])

    def restore(self, pending):
        """The pending questions out of their records."""
        self.pending = {}
        for token, arm, context, *notes in pending:
            question = <Question>Question.__new__(Question)
            (<Question>question).asked.arm, (<Question>question).asked.context = arm, context
            for k, note in enumerate(notes):
                (<Question>question).asked.note[k] = note
            (<Question>question).value, (<Question>question).token = self.values[arm], token
            (<Question>question).key = self.key
            self.pending[token] = question

    def probabilities(self, double context):
        """Those that the next question is drawn from, shape (arms,)."""
        cdef double[::1] p = np.empty(self.tuner.arms)
        sv_tuner_probabilities(&self.tuner, &self.state_view[0], context, &p[0], &self.work[0])
        return np.asarray(p)


def tsallis_weights(const double[::1] losses, double eta):
    """The probabilities of Tsallis-INF before they are divided by their sum, which is 1 but for rounding."""
    cdef double[::1] p = np.empty(losses.shape[0])
    sv_tsallis_weights(losses.shape[0], &losses[0], eta, &p[0])
    return np.asarray(p)


def omega_values(Py_ssize_t count, double low, double high):
    """`count` values of omega, 1 at least, equally spaced in log(2 - omega)."""
    cdef double[::1] values = np.empty(count)
    sv_omega_values(count, low, high, &values[0])
    return np.asarray(values)


def omega_places(const double[::1] omegas):
    """Where they lie on that scale, in [0, 1]."""
    cdef double[::1] places = np.empty(omegas.shape[0])
    sv_omega_places(omegas.shape[0], &omegas[0], &places[0])
    return np.asarray(places)


def gaussian_tables(const double[::1] places, double arm_length, double context_length):
    """(scales of the sines over the context, none where context_length is 0; features of the arms, (arms, r))."""
    cdef Py_ssize_t arms = places.shape[0]
    cdef double[::1] tables = np.empty(GAUSSIAN_CONTEXT_TERMS + arms * GAUSSIAN_ARM_TERMS)
    cdef double[::1] work = np.empty(arms * arms)
    cdef int by_arm = 0, by_context = 0
    sv_gaussian_tables(arms, &places[0], arm_length, context_length, &tables[0], &work[0], &by_arm, &by_context)
    scales = by_context - 1
    return np.array(tables[:scales]), np.array(tables[scales:scales + arms * by_arm]).reshape(arms, by_arm)
