# Restoration of feasibility and the polish of a KKT point by themselves (restoration.h, polish.h).

cdef extern from "nlp.h" nogil:
    struct sv_sides:
        const double *lower
        const double *upper
        const double *row_lower
        const double *row_upper

cdef extern from "restoration.h" nogil:
    enum: SV_RESTORED, SV_RESTORATION_INFEASIBLE, SV_RESTORATION_STUCK

    struct sv_restoration:
        double violation
        double stationarity
        int64_t steps

    int64_t sv_restoration_work(int64_t, int64_t) noexcept
    int sv_restore(const sv_nlp *, const sv_sides *, int, double, double, int64_t, double *, double *,
                   sv_restoration *) noexcept

cdef extern from "polish.h" nogil:
    struct sv_scales:
        double objective
        const double *rows
        double loosest

    struct sv_kkt_point:
        double f
        double *x
        double *g
        double *z
        double *c
        double *y
        double stationarity
        double violation
        double complementarity
        double measure
        double s

    void sv_kkt_numbers(int64_t, int64_t, const sv_sides *, const double *, double *, sv_kkt_point *) noexcept
    int64_t sv_polish_work(int64_t, int64_t) noexcept
    int sv_kkt_measure(const sv_nlp *, const sv_sides *, const sv_scales *, double *, sv_kkt_point *) noexcept
    int sv_polish(const sv_nlp *, const sv_sides *, const sv_scales *, int64_t, double, int, double *, sv_kkt_point *,
                  int *) noexcept


cdef double *address(double[::1] values):
    return &values[0] if values.shape[0] else NULL


cdef double[::1] numbers(object values, int64_t count):
    """A copy of so many numbers."""
    cdef double[::1] out = np.empty(count)
    into(values, count, address(out))
    return out


cdef class Sides:
    """Sides of the variables and of the rows of a program, whose arrays are not to change, and what they make of it."""

    cdef sv_sides sides
    cdef int64_t n, m
    cdef object kept
    #: Whether a variable has a finite side, and whether all rows are equations.
    cdef readonly bint bounded, equations

    def __init__(self, lower, upper, row_lower, row_upper):
        cdef int64_t i, n = len(lower), m = len(row_lower)
        cdef sv_sides *sides = &self.sides
        self.n, self.m, self.kept = n, m, (lower, upper, row_lower, row_upper)
        sides.lower, sides.upper = entries(lower, n), entries(upper, n)
        sides.row_lower, sides.row_upper = entries(row_lower, m), entries(row_upper, m)
        self.bounded, self.equations = False, True
        for i in range(n):
            self.bounded |= sides.lower[i] > -INFINITY or sides.upper[i] < INFINITY
        for i in range(m):
            self.equations &= sides.row_lower[i] == sides.row_upper[i]

    cdef int fits(self, int64_t n, int64_t m) except -1:
        if self.n != n or self.m != m:
            raise ValueError("the sides are those of another program")
        return 0


def sound_sides(lower, upper):
    """Copies of both if each lower side is at most the upper one, and whether each pair has a finite one; else None."""
    cdef int64_t i, count = len(lower)
    cdef bint held = True
    low_copy, high_copy = lower.copy(), upper.copy()
    cdef const double *low = entries(low_copy, count)
    cdef const double *high = entries(high_copy, count)
    for i in range(count):
        if not (low[i] <= high[i] and low[i] < INFINITY and high[i] > -INFINITY):
            return None
        held &= low[i] > -INFINITY or high[i] < INFINITY
    return low_copy, high_copy, held


def kkt_numbers(x, g, z, c, y, product, Sides of_program not None):
    """Stationarity, violation and complementarity of a KKT point in the user's units (polish.h); product: J'y."""
    cdef int64_t n = len(x), m = len(c)
    cdef sv_kkt_point at
    work = np.empty(n + m)
    of_program.fits(n, m)
    at.x, at.g, at.z, at.c, at.y = entries(x, n), entries(g, n), entries(z, n), entries(c, m), entries(y, m)
    sv_kkt_numbers(n, m, &of_program.sides, entries(product, n), entries(work, n + m), &at)
    return at.stationarity, at.violation, at.complementarity


def restore(NLP nlp, Sides sides, x, double target, double tol, int64_t max_steps, *, bint curved=True):
    """A point of less violation: x, its outcome ("restored", "infeasible", "stuck") and numbers about it."""
    cdef int64_t n = nlp.table.n, m = nlp.table.m
    cdef double[::1] at = numbers(x, n), work = np.empty(sv_restoration_work(n, m) + 1)
    cdef sv_restoration out
    sides.fits(n, m)
    outcome = sv_restore(&nlp.table, &sides.sides, curved, target, tol, max_steps, address(at), &work[0], &out)
    nlp.check()
    words = {SV_RESTORED: "restored", SV_RESTORATION_INFEASIBLE: "infeasible", SV_RESTORATION_STUCK: "stuck"}
    return np.asarray(at), words[outcome], out


def polish(NLP nlp, Sides sides, double objective, rows, x, y, z, int64_t steps=3, double enough=0, int holding=0):
    """x, y, z after the polish, the measure before and after it; objective and rows: the scales in force."""
    cdef int64_t n = nlp.table.n, m = nlp.table.m
    cdef double[::1] at = np.zeros(3 * n + 2 * m + 1), work = np.empty(sv_polish_work(n, m) + 1), scale = numbers(rows, m)
    cdef sv_scales scales
    cdef sv_kkt_point point
    cdef int improved
    scales.objective, scales.rows, scales.loosest = objective, address(scale), INFINITY
    sides.fits(n, m)
    point.x = &at[0]
    point.g, point.z, point.c = point.x + n, point.x + 2 * n, point.x + 3 * n
    point.y = point.c + m
    into(x, n, point.x)
    into(y, m, point.y)
    into(z, n, point.z)
    failed = nlp.table.values(nlp.table.data, point.x, &point.f, point.c)
    failed = failed or nlp.table.slopes(nlp.table.data, point.x, point.g)
    failed = failed or sv_kkt_measure(&nlp.table, &sides.sides, &scales, &work[0], &point)
    before = point.measure
    if not failed:
        sv_polish(&nlp.table, &sides.sides, &scales, steps, enough, holding, &work[0], &point, &improved)
    nlp.check()
    return copied(point.x, n), copied(point.y, m), copied(point.z, n), before, point.measure
