# A checked problem, its certificate, and the driver of the default solver. Included by _kernels.pyx.

from time import perf_counter

import numpy

from cpython.exc cimport PyErr_CheckSignals
from libc.string cimport memcpy

cdef extern from "runtime.h" nogil:
    void *sv_scratch_take(size_t, int *)
    void sv_scratch_give(void *, size_t)

cdef extern from "problem.h" nogil:
    cdef enum sv_ot_norm_kind:
        SV_OT_NORM_L1
        SV_OT_NORM_L2
        SV_OT_NORM_LINF
    enum:
        OT_NO_MEMORY

    struct ot_passes:
        int (*sweep)(void *, double, const double *, double *, const double *, double *, const ot_thinning *,
                     int) noexcept
        int (*marginals)(void *, double, const double *, const double *, double *, double *, double *, int) noexcept
        int (*plan_rows)(void *, double, const double *, const double *, double *, size_t, int) noexcept
        int (*store)(void *, double, const double *, double *, const double *, const ot_storing *, double *,
                     int) noexcept
        int (*column_max)(void *, double, const double *, double *, int) noexcept
        int (*row_max)(void *, double, const double *, const double *, double *, double *, int) noexcept
        int (*scale_below)(void *, double, const double *, const double *, const double *, const double *, double *,
                           double *, double *, double *, int) noexcept

    struct ot_compiled:
        sv_ot_cost cost
        double *work

    const ot_passes sv_ot_compiled_passes

    struct ot_problem:
        const ot_passes *passes
        void *cost
        size_t n, m
        const double *a
        const double *b
        const double *offset
        const double *column_offset
        double reg, scale, span, tol
        sv_ot_norm_kind norm
        int forbidden, threads
        double mass_a, mass_b, roundoff, aim

    void sv_ot_problem_ready(ot_problem *)
    double sv_ot_error(const ot_problem *, const double *, const double *)
    int sv_ot_best_v(const ot_problem *, const double *, const double *, const double *, double, double *, double *)
    double sv_ot_drift(const ot_problem *, const double *)
    int sv_ot_stop(const ot_problem *, double, long long)

cdef extern from "answer.h" nogil:
    struct sv_ot_answer:
        double marginal_error, value, value_linear, value_entropy, value_dual, gap, lp_lower, lp_upper
        int rounded

    struct ot_rounding:
        double *row_scale
        double *column_scale
        double *row_rest
        double *column_rest

    size_t sv_ot_certify_worksize(size_t, size_t)
    int sv_ot_certify(const ot_problem *, const double *, const double *, const double *, int, sv_ot_answer *,
                      const ot_rounding *, double *)
    void sv_ot_potentials(const ot_problem *, const double *, const double *, double *, double *)

cdef extern from "sums.h" nogil:
    double sv_ot_sum(const double *, size_t)

cdef extern from "newton.h" nogil:
    double SV_OT_EASY_SPAN
    size_t SV_OT_MOST_STORED
    double SV_OT_ABSORBED

    struct ot_newton_options:
        double decay, stage_tol
        long long stage_sweeps
        size_t most_stored
        double absorbed
        int gentle
        const double *least

    struct ot_kept:
        const Py_ssize_t *row_starts
        const int *columns
        const double *values

    struct ot_point:
        double *u
        double *v
        double *column_sums
        double measure, previous
        ot_kept kept

    struct sv_ot_newton_state:
        ot_point at
        double best, stage, damping
        long long nit, best_nit, sweeps_left, sinkhorn, newton, cg, scalings, passes
        int hard, scaled
        double *x
        double *y
        double *stored_u
        double *stored_v

    struct sv_ot_newton:
        pass

    sv_ot_newton *sv_ot_newton_create(const ot_problem *, const ot_newton_options *)
    void sv_ot_newton_destroy(sv_ot_newton *)
    sv_ot_newton_state *sv_ot_newton_state_of "sv_ot_newton_state"(sv_ot_newton *)
    int sv_ot_newton_start(sv_ot_newton *, const double *, const double *)
    int sv_ot_newton_step(sv_ot_newton *)
    int sv_ot_newton_done(const ot_problem *, double, double, long long)

cdef extern from "cloud.h" nogil:
    double sv_ot_cloud_span(const sv_ot_cost *)
    size_t sv_ot_directions(const double *, size_t, size_t, double *)

EASY_SPAN, MOST_STORED, ABSORBED = SV_OT_EASY_SPAN, SV_OT_MOST_STORED, SV_OT_ABSORBED

cdef dict NORM_KINDS = {"l1": SV_OT_NORM_L1, "l2": SV_OT_NORM_L2, "linf": SV_OT_NORM_LINF}


def total(const double[::1] x):
    """The sum of x, to a few roundings."""
    return sv_ot_sum(&x[0], x.shape[0]) if x.shape[0] else 0.0


def cloud_span(Cost cost):
    """An upper bound of all distances between the points of a cost."""
    if cost.cost.x == NULL:
        raise ValueError("the cost is not one of points")
    return sv_ot_cloud_span(&cost.cost)


def directions(const double[:, ::1] points):
    """The points scaled to length sqrt(1/2), and the first that is zero (their number where none is)."""
    cdef double[:, ::1] out = numpy.empty((points.shape[0], points.shape[1]))
    if not points.shape[0] or not points.shape[1]:
        raise ValueError("there are no points")
    return out.base, sv_ot_directions(&points[0, 0], points.shape[0], points.shape[1], &out[0, 0])


cdef copied(const double *values, Py_ssize_t length):
    """A new array with these values."""
    array = numpy.empty(length)
    cdef double[::1] view = array
    if length:
        memcpy(&view[0], values, length * sizeof(double))
    return array


# ---- the passes of a cost that Python makes, see solvers/ot/_blocks.py --------------------------------

cdef class Making:
    """What the passes below are handed: the object that makes the costs, and what it raised."""

    cdef object kernel, raised
    cdef Py_ssize_t n, m


cdef array_at(const double *values, Py_ssize_t length):
    return numpy.asarray(<double[:length]><double *>values)


cdef int made_sweep(void *cost, double scale, const double *a, double *u, const double *v, double *column_sums,
                    const ot_thinning *thinning, int threads) noexcept with gil:
    cdef Making c = <Making>cost
    cdef Py_ssize_t n = c.n, m = c.m, room
    try:
        vectors = array_at(a, n), array_at(u, n), array_at(v, m), array_at(column_sums, m)
        if thinning == NULL:
            c.kernel.sweep(scale, *vectors, threads)
        else:
            room = sv_ot_thinned_room(n, m, thinning.most)
            c.kernel.sweep_thinned(
                scale, *vectors, thinning.share, thinning.most, array_at(thinning.values, room),
                numpy.asarray(<int[:room]>thinning.columns), numpy.asarray(<Py_ssize_t[:n]>thinning.counts), threads)
    except BaseException as raised:
        c.raised = raised
    return c.raised is not None


cdef int made_marginals(void *cost, double scale, const double *u, const double *v, double *row_sums,
                        double *column_sums, double *paid, int threads) noexcept with gil:
    cdef Making c = <Making>cost
    try:
        paid[0] = c.kernel.marginals(scale, array_at(u, c.n), array_at(v, c.m), array_at(row_sums, c.n),
                                     array_at(column_sums, c.m), threads)
    except BaseException as raised:
        c.raised = raised
    return c.raised is not None


cdef int made_plan_rows(void *cost, double scale, const double *u, const double *v, double *plan, size_t stride,
                        int threads) noexcept with gil:
    cdef Making c = <Making>cost
    cdef Py_ssize_t n = c.n, width = stride
    try:
        rows = numpy.asarray(<double[:n, :width]>plan)[:, :c.m]
        c.kernel.plan_rows(scale, array_at(u, n), array_at(v, c.m), 0, n, rows, threads)
    except BaseException as raised:
        c.raised = raised
    return c.raised is not None


cdef int made_store(void *cost, double scale, const double *a, double *u, const double *v, const ot_storing *storing,
                    double *column_sums, int threads) noexcept with gil:
    cdef Making c = <Making>cost
    cdef Py_ssize_t n = c.n, width = storing.stride
    try:
        rows = numpy.asarray(<double[:n, :width]>storing.plan)[:, :c.m]
        c.kernel.store(scale, array_at(a, n), array_at(u, n), array_at(v, c.m), rows, array_at(storing.x, n),
                       array_at(column_sums, c.m), threads)
    except BaseException as raised:
        c.raised = raised
    return c.raised is not None


cdef int made_column_max(void *cost, double scale, const double *u, double *out, int threads) noexcept with gil:
    cdef Making c = <Making>cost
    try:
        c.kernel.column_max(scale, array_at(u, c.n), array_at(out, c.m), threads)
    except BaseException as raised:
        c.raised = raised
    return c.raised is not None


cdef int made_row_max(void *cost, double scale, const double *v, const double *w, double *out, double *product,
                      int threads) noexcept with gil:
    cdef Making c = <Making>cost
    try:
        c.kernel.row_max(scale, array_at(v, c.m), array_at(w, c.m), array_at(out, c.n), array_at(product, c.n), threads)
    except BaseException as raised:
        c.raised = raised
    return c.raised is not None


cdef int made_scale_below(void *cost, double scale, const double *a, const double *u, const double *v, const double *y,
                          double *x, double *row_sums, double *column_sums, double *paid,
                          int threads) noexcept with gil:
    cdef Making c = <Making>cost
    cdef Py_ssize_t n = c.n, m = c.m
    try:
        paid[0] = c.kernel.scale_below(scale, array_at(a, n), array_at(u, n), array_at(v, m), array_at(y, m),
                                       array_at(x, n), array_at(row_sums, n), array_at(column_sums, m), threads)
    except BaseException as raised:
        c.raised = raised
    return c.raised is not None


cdef ot_passes made_passes
made_passes.sweep, made_passes.marginals = made_sweep, made_marginals
made_passes.plan_rows, made_passes.store = made_plan_rows, made_store
made_passes.column_max, made_passes.row_max, made_passes.scale_below = made_column_max, made_row_max, made_scale_below


# ---- problem and driver ---------------------------------------------------------------------------------

cdef class Passes:
    """A problem with its own handle on the passes: one for each that runs at a time."""

    cdef Problem of
    cdef ot_problem problem
    cdef ot_compiled compiled
    cdef size_t bytes
    cdef Making making

    def __cinit__(self, Problem of):
        cdef int used
        self.of, self.problem = of, of.problem
        kernel = of.kernel
        if isinstance(kernel, Cost):
            self.compiled.cost = (<Cost>kernel).cost
            self.bytes = sv_ot_worksize(self.problem.n, self.problem.m) * sizeof(double)
            self.compiled.work = <double *>sv_scratch_take(self.bytes, &used)
            if self.compiled.work == NULL:
                raise MemoryError
            self.problem.passes, self.problem.cost = &sv_ot_compiled_passes, &self.compiled
        else:
            self.making = Making()
            self.making.kernel, self.making.n, self.making.m = kernel, self.problem.n, self.problem.m
            self.problem.passes, self.problem.cost = &made_passes, <void *>self.making

    def __dealloc__(self):
        if self.compiled.work != NULL:
            sv_scratch_give(self.compiled.work, self.bytes)

    cdef int check(self, int status) except -1:
        """Raise what a pass raised, or that there was no memory."""
        if self.making is not None and self.making.raised is not None:
            raised, self.making.raised = self.making.raised, None
            raise raised
        if status == OT_NO_MEMORY:
            raise MemoryError
        return 0


cdef class Problem:
    """A checked problem with positive weights a and b; kernel: a `Cost`, or what has its methods."""

    cdef ot_problem problem
    cdef object kernel
    cdef const double[::1] a, b, offset, column_offset

    def __cinit__(self, kernel, const double[::1] a, const double[::1] b, offset, column_offset, *, double reg,
                  double scale, double span, double tol, str norm, bint forbidden, int threads):
        cdef ot_problem *p = &self.problem
        n, m = kernel.shape
        p.n, p.m = n, m
        self.kernel, self.a, self.b = kernel, a, b
        p.a, p.b = vector(a, p.n, "a"), vector(b, p.m, "b")
        if offset is not None:
            self.offset = offset
            p.offset = vector(self.offset, p.n, "offset")
        if column_offset is not None:
            self.column_offset = column_offset
            p.column_offset = vector(self.column_offset, p.m, "column_offset")
        p.reg, p.scale, p.span, p.tol, p.norm = reg, scale, span, tol, <sv_ot_norm_kind><int>NORM_KINDS[norm]
        p.forbidden, p.threads = forbidden, threads
        sv_ot_problem_ready(p)

    @property
    def roundoff(self):
        return self.problem.roundoff

    @property
    def aim(self):
        return self.problem.aim

    def error(self, row_sums, const double[::1] column_sums):
        """The norm of the marginal violations; None means that the rows are met."""
        cdef const double[::1] rows
        cdef const double *given = NULL
        if row_sums is not None:
            rows = row_sums
            given = vector(rows, self.problem.n, "row_sums")
        return sv_ot_error(&self.problem, given, vector(column_sums, self.problem.m, "column_sums"))

    def drift(self, const double[::1] v):
        """The mean of v, 0 where it is harmless."""
        return sv_ot_drift(&self.problem, vector(v, self.problem.m, "v"))

    def stop(self, double measure, long long steps_without_progress):
        """The number of the status with which a method should end, -1 where it should not."""
        return sv_ot_stop(&self.problem, measure, steps_without_progress)

    def done(self, double stage, double measure, long long steps_without_progress):
        """The same for Newton's method."""
        return sv_ot_newton_done(&self.problem, stage, measure, steps_without_progress)

    def best_v(self, const double[::1] u, const double[::1] v, const double[::1] column_sums, double stage):
        """The best v against u, from the column sums at (u, v)."""
        cdef Passes passes = Passes(self)
        cdef size_t n = self.problem.n, m = self.problem.m
        cdef const double *pu = vector(u, n, "u")
        cdef const double *pv = vector(v, m, "v")
        cdef const double *pc = vector(column_sums, m, "column_sums")
        cdef double[::1] best = numpy.empty(m)
        cdef double *work = workspace(2 * n + m)
        with nogil:
            status = sv_ot_best_v(&passes.problem, pu, pv, pc, stage, &best[0], work)
        free(work)
        passes.check(status)
        return best.base

    def potentials(self, const double[::1] u, const double[::1] v):
        """f and g, in units of the cost, shifted so that sum b g = 0."""
        cdef double[::1] f = numpy.empty(self.problem.n), g = numpy.empty(self.problem.m)
        sv_ot_potentials(&self.problem, vector(u, self.problem.n, "u"), vector(v, self.problem.m, "v"), &f[0], &g[0])
        return f.base, g.base

    def certify(self, const double[::1] u, const double[::1] v, bint certified, column_sums=None):
        """(numbers of the result, f, g, the four vectors of the rounded plan or None) of the plan at (u, v).

        column_sums: those of the plan as the method knows them; good ones save two of four passes.
        """
        cdef Passes passes = Passes(self)
        cdef size_t n = self.problem.n, m = self.problem.m
        cdef const double *pu = vector(u, n, "u")
        cdef const double *pv = vector(v, m, "v")
        cdef double[::1] x = numpy.empty(n), y = numpy.empty(m), rows = numpy.empty(n), columns = numpy.empty(m)
        cdef ot_rounding rounding = ot_rounding(&x[0], &y[0], &rows[0], &columns[0])
        cdef sv_ot_answer answer
        cdef const double[::1] known
        cdef const double *pk = NULL
        if column_sums is not None:
            known = column_sums
            pk = vector(known, m, "column_sums")
        cdef double *work = workspace(sv_ot_certify_worksize(n, m))
        with nogil:
            status = sv_ot_certify(&passes.problem, pu, pv, pk, certified, &answer, &rounding, work)
        free(work)
        passes.check(status)
        f, g = self.potentials(u, v)
        return answer, f, g, (x.base, y.base, rows.base, columns.base) if answer.rounded else None


cdef class Newton:
    """The driver of the default solver: takes a state (see solvers/ot/_newton.py), goes a step, and gives it back."""

    cdef Passes passes
    cdef sv_ot_newton *solve
    cdef const double[::1] least, kept_values
    cdef const Py_ssize_t[::1] kept_starts
    cdef const int[::1] kept_columns

    def __cinit__(self, Problem problem, *, double decay, double stage_tol, long long stage_sweeps, size_t most_stored,
                  double absorbed, bint gentle, least=None):
        cdef ot_newton_options options = ot_newton_options(decay, stage_tol, stage_sweeps, most_stored, absorbed, gentle,
                                                           NULL)
        self.passes = Passes(problem)
        if least is not None:
            self.least = least
            options.least = vector(self.least, self.passes.problem.n, "least")
        self.solve = sv_ot_newton_create(&self.passes.problem, &options)
        if self.solve == NULL:
            raise MemoryError

    def __dealloc__(self):
        sv_ot_newton_destroy(self.solve)

    cdef int _begin(self, const double[::1] u0, const double[::1] v0) except -1:
        cdef const double *pu = vector(u0, self.passes.problem.n, "u0")
        cdef const double *pv = vector(v0, self.passes.problem.m, "v0")
        with nogil:
            status = sv_ot_newton_start(self.solve, pu, pv)
        return self.passes.check(status)

    cdef int _go(self) except -1:
        with nogil:
            status = sv_ot_newton_step(self.solve)
        return self.passes.check(status)

    def start(self, u0, v0):
        """The fields of the state before the first step."""
        self._begin(u0, v0)
        return self._fields()

    def step(self, state):
        """The fields of the state one step later."""
        self._take(state)
        self._go()
        return self._fields()

    def advance(self, u0, v0, long long most, double start):
        """From (u0, v0) on until the solve ends, or `most` steps: the fields of the state there, and a row for each
        state before: its steps, its measure, and the seconds since the start."""
        cdef sv_ot_newton_state *s = sv_ot_newton_state_of(self.solve)
        cdef const ot_problem *p = &self.passes.problem
        rows = []
        self._begin(u0, v0)
        while s.nit < most and sv_ot_newton_done(p, s.stage, s.at.measure, s.nit - s.best_nit) < 0:
            rows.append((s.nit, s.at.measure, perf_counter() - start))
            PyErr_CheckSignals()
            self._go()
        return self._fields(), rows

    cdef _copy(self, const double[::1] values, double *place, Py_ssize_t length, str name):
        memcpy(place, vector(values, length, name), length * sizeof(double))

    cdef _take(self, state):
        cdef sv_ot_newton_state *s = sv_ot_newton_state_of(self.solve)
        cdef Py_ssize_t n = self.passes.problem.n, m = self.passes.problem.m
        self._copy(state.u, s.at.u, n, "u")
        self._copy(state.v, s.at.v, m, "v")
        self._copy(state.column_sums, s.at.column_sums, m, "column_sums")
        s.scaled = len(state.x) > 0
        if s.scaled:
            self._copy(state.x, s.x, n, "x")
            self._copy(state.y, s.y, m, "y")
            self._copy(state.stored_u, s.stored_u, n, "stored_u")
            self._copy(state.stored_v, s.stored_v, m, "stored_v")
        s.at.measure, s.at.previous, s.best, s.best_nit = state.measure, state.previous, state.best, state.best_nit
        s.stage, s.sweeps_left, s.damping, s.hard = state.stage, state.sweeps_left, state.damping, state.hard
        s.nit, s.sinkhorn, s.newton, s.cg = state.nit, state.sinkhorn, state.newton, state.cg
        s.scalings, s.passes = state.scalings, state.passes
        s.at.kept.row_starts, s.at.kept.columns, s.at.kept.values = NULL, NULL, NULL
        if len(state.kept_starts):
            self.kept_starts, self.kept_columns = state.kept_starts, state.kept_columns
            self.kept_values = state.kept_values
            check_rows(self.kept_starts, self.kept_columns, self.kept_values, n, m)
            s.at.kept.row_starts = &self.kept_starts[0]
            s.at.kept.columns = &self.kept_columns[0] if self.kept_columns.shape[0] else NULL
            s.at.kept.values = &self.kept_values[0] if self.kept_values.shape[0] else NULL

    cdef dict _fields(self):
        cdef sv_ot_newton_state *s = sv_ot_newton_state_of(self.solve)
        cdef Py_ssize_t n = self.passes.problem.n, m = self.passes.problem.m, kept
        cdef Py_ssize_t[::1] starts
        cdef int[::1] columns
        none = numpy.empty(0)
        fields = {
            "u": copied(s.at.u, n), "v": copied(s.at.v, m), "column_sums": copied(s.at.column_sums, m), "nit": s.nit,
            "measure": s.at.measure, "previous": s.at.previous, "best": s.best, "best_nit": s.best_nit,
            "stage": s.stage, "sweeps_left": s.sweeps_left, "damping": s.damping, "hard": bool(s.hard),
            "sinkhorn": s.sinkhorn, "newton": s.newton, "cg": s.cg, "scalings": s.scalings, "passes": s.passes,
            "kept_starts": none, "kept_columns": none, "kept_values": none, "x": none, "y": none, "stored_u": none,
            "stored_v": none,
        }
        if s.at.kept.row_starts != NULL:
            kept = s.at.kept.row_starts[n]
            starts, columns = numpy.empty(n + 1, numpy.intp), numpy.empty(kept, numpy.intc)
            memcpy(&starts[0], s.at.kept.row_starts, (n + 1) * sizeof(Py_ssize_t))
            if kept:
                memcpy(&columns[0], s.at.kept.columns, kept * sizeof(int))
            fields.update(kept_starts=starts.base, kept_columns=columns.base,
                          kept_values=copied(s.at.kept.values, kept))
        if s.scaled:
            fields.update(x=copied(s.x, n), y=copied(s.y, m), stored_u=copied(s.stored_u, n),
                          stored_v=copied(s.stored_v, m))
        return fields
