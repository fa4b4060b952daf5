# The merit function of equality-constrained programs by itself (merit.h).

cdef extern from "merit.h" nogil:
    enum: SV_MERIT_REFUSED

    struct sv_merit:
        double eta1
        double eta2
        int64_t window
        int64_t updates

    struct sv_merit_point:
        double f
        double *x
        double *g
        double *gl
        double *y
        double *c

    struct sv_merit_outcome:
        double step
        double slope
        double value
        int64_t trials
        int64_t corrected

    int64_t sv_merit_work(int64_t, int64_t) noexcept
    void sv_merit_begin(sv_merit *, int, int64_t) noexcept
    int sv_merit_evaluate(const sv_nlp *, const double *, sv_merit_point *) noexcept
    int sv_merit_gradient(const sv_nlp *, const sv_merit *, const sv_merit_point *, double *, double *, double *) noexcept
    int sv_merit_direction(const sv_nlp *, sv_merit *, const sv_merit_point *, double, double, int, double *, double *,
                           sv_merit_outcome *) noexcept
    int sv_merit_search(const sv_nlp *, const double *, sv_merit *, const sv_merit_point *, const double *, int, double *,
                        sv_merit_point *, sv_merit_outcome *) noexcept


cdef class Merit:
    """The exact augmented Lagrangian of f(x) with c(x) = target, and its line search, from the point (x, y)."""

    cdef sv_merit merit
    cdef sv_merit_outcome outcome
    cdef sv_merit_point at, other
    cdef NLP nlp
    cdef double[::1] target, work, along
    cdef object arrays

    def __init__(self, NLP nlp, x, y, target, *, projected=False, window=1):
        cdef int64_t n = nlp.table.n, m = nlp.table.m
        self.nlp, self.target = nlp, np.array(target, np.float64)
        self.work, self.along = np.empty(sv_merit_work(n, m) + 1), np.zeros(n + m)
        self.arrays = []
        self.room(&self.at)
        self.room(&self.other)
        if self.target.shape[0] != m:
            raise ValueError(f"target has length {self.target.shape[0]}, not {m}")
        sv_merit_begin(&self.merit, projected, window)
        self.move(x, y)

    cdef room(self, sv_merit_point *point):
        cdef int64_t n = self.nlp.table.n, m = self.nlp.table.m
        cdef double[::1] block = np.zeros(3 * n + 2 * m + 1)
        self.arrays.append(block)
        point.x = &block[0]
        point.g, point.gl, point.y = point.x + n, point.x + 2 * n, point.x + 3 * n
        point.c = point.y + m

    cdef done(self, int failed):
        self.nlp.check()
        return not failed

    def move(self, x, y):
        """To another point. Returns whether the functions are finite there."""
        into(x, self.nlp.table.n, self.at.x)
        into(y, self.nlp.table.m, self.at.y)
        return self.done(sv_merit_evaluate(&self.nlp.table, &self.target[0] if self.target.shape[0] else NULL, &self.at))

    def gradient(self):
        """M and its gradient, for the current H and J."""
        cdef double[::1] out = np.empty(self.along.shape[0])
        cdef double value = 0
        self.done(sv_merit_gradient(&self.nlp.table, &self.merit, &self.at, &self.work[0], &value, &out[0]))
        return value, np.asarray(out)

    def direction(self, dc=0.0, rtol=1e-10, direct=True):
        """Newton's step by the K that was factored last, and whether it is one of descent."""
        descent = self.done(sv_merit_direction(&self.nlp.table, &self.merit, &self.at, dc, rtol, direct,
                                               &self.work[0], &self.along[0], &self.outcome))
        return np.array(self.along), descent

    def search(self, correct=True):
        """Along the last direction. Returns whether a step was taken."""
        failed = sv_merit_search(&self.nlp.table, &self.target[0] if self.target.shape[0] else NULL, &self.merit, &self.at,
                                 &self.along[0], correct, &self.work[0], &self.other, &self.outcome)
        if not failed:
            self.at, self.other = self.other, self.at
        return self.done(failed)

    @property
    def point(self):
        """x, y, f, grad f + J'y and c - target."""
        cdef int64_t n = self.nlp.table.n, m = self.nlp.table.m
        return (copied(self.at.x, n), copied(self.at.y, m), self.at.f, copied(self.at.gl, n), copied(self.at.c, m))

    @property
    def stats(self):
        return dict(self.outcome, eta1=self.merit.eta1, eta2=self.merit.eta2, updates=self.merit.updates)

    @property
    def penalties(self):
        return self.merit.eta1, self.merit.eta2

    @penalties.setter
    def penalties(self, values):
        self.merit.eta1, self.merit.eta2 = values
