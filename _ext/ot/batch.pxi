# Binding of the batch solve (batch.h).

from libc.string cimport memset

cdef extern from "batch.h" nogil:
    cdef enum sv_ot_norm:
        SV_NORM_L1
        SV_NORM_L2
        SV_NORM_LINF

    enum:
        SV_BATCH_CLAIMS

    struct sv_ot_batch:
        size_t problems
        sv_ot_cost cost
        Py_ssize_t cost_stride, a_stride, b_stride, scale_stride
        const double *a
        const double *b
        const double *scale
        double tol
        sv_ot_norm norm
        int max_iter
        double *u
        double *v
        double *offset
        double *claims
        int *counts
        double *plans

    size_t sv_ot_batch_worksize(const sv_ot_batch *, int)
    void sv_ot_batch_solve(const sv_ot_batch *, double *, int)
    double sv_ot_batch_masses(const double *, size_t, size_t, double *)
    void sv_ot_batch_plans(const sv_ot_batch *, double *, int)

cdef dict NORM_NUMBERS = {"l1": SV_NORM_L1, "l2": SV_NORM_L2, "linf": SV_NORM_LINF}


cdef const double *of_each(const double[:, ::1] values, Py_ssize_t problems, Py_ssize_t length, Py_ssize_t *stride,
                           str name) except NULL:
    """A row for each problem, or one row for all."""
    if values.shape[0] not in (1, problems) or values.shape[1] != length:
        raise ValueError(f"{name} has shape ({values.shape[0]}, {values.shape[1]}), not ({problems}, {length})")
    stride[0] = length if values.shape[0] > 1 else 0
    return &values[0, 0]


cdef double *out_of_each(double[:, ::1] values, Py_ssize_t problems, Py_ssize_t length, str name) except NULL:
    if values.shape[0] != problems or values.shape[1] != length:
        raise ValueError(f"{name} has shape ({values.shape[0]}, {values.shape[1]}), not ({problems}, {length})")
    return &values[0, 0]


cdef double *plans_of_each(double[:, :, ::1] plans, Py_ssize_t problems, Py_ssize_t n, Py_ssize_t m) except NULL:
    if plans.shape[0] != problems or plans.shape[1] != n or plans.shape[2] != m:
        raise ValueError(
            f"plans has shape ({plans.shape[0]}, {plans.shape[1]}, {plans.shape[2]}), not ({problems}, {n}, {m})"
        )
    return &plans[0, 0, 0]


cdef class _Matrices:
    """The buffer of the costs, of shape (k, n, m), held while the kernels read it."""

    cdef Py_buffer view

    def __cinit__(self, costs):
        cdef Py_buffer *view = &self.view
        PyObject_GetBuffer(costs, view, PyBUF_FORMAT | PyBUF_STRIDES)
        if view.ndim != 3 or view.format[0] not in b"df" or view.format[1] != 0:
            raise ValueError("the costs have three dimensions and native float32 or float64 entries")
        if not (view.shape[0] and view.shape[1] and view.shape[2]):
            raise ValueError("the costs are empty")
        if view.shape[2] > 1 and view.strides[2] != view.itemsize:
            raise ValueError("the rows of the costs are not contiguous")
        if view.strides[0] % view.itemsize or view.strides[1] % view.itemsize:
            raise ValueError("the rows of the costs are not aligned")

    def __dealloc__(self):
        PyBuffer_Release(&self.view)


cdef void take_costs(sv_ot_batch *batch, _Matrices matrices, Py_ssize_t problems) except *:
    """The costs of a batch, (k or 1, n, m)."""
    cdef Py_buffer *view = &matrices.view
    memset(batch, 0, sizeof(sv_ot_batch))
    if problems < 1 or view.shape[0] not in (1, problems):
        raise ValueError(f"there are {view.shape[0]} costs for {problems} problems")
    batch.problems = problems
    batch.cost.kind = SV_COST_FLOAT64 if view.format[0] == c"d" else SV_COST_FLOAT32
    batch.cost.n, batch.cost.m, batch.cost.matrix = view.shape[1], view.shape[2], view.buf
    batch.cost.stride = view.strides[1] // view.itemsize
    batch.cost_stride = view.strides[0] // view.itemsize if view.shape[0] > 1 else 0


def solve_batch(costs, Py_ssize_t problems, const double[:, ::1] a, const double[:, ::1] b,
                const double[:, ::1] scale, double tol, str norm, int max_iter, double[:, ::1] u, double[:, ::1] v,
                double[:, ::1] offset, double[:, ::1] claims, int[:, ::1] counts, double[:, :, ::1] plans, int threads):
    """Solve `problems` problems, in place; what has a first dimension of 1 is shared by all (costs: (k or 1, n, m)).

    plans: (problems, n, m), or None where they are not wanted."""
    cdef _Matrices matrices = _Matrices(costs)
    cdef sv_ot_batch batch
    cdef Py_ssize_t n = matrices.view.shape[1], m = matrices.view.shape[2]
    take_costs(&batch, matrices, problems)
    batch.tol, batch.norm, batch.max_iter = tol, <sv_ot_norm><int>NORM_NUMBERS[norm], max_iter
    batch.a = of_each(a, problems, n, &batch.a_stride, "a")
    batch.b = of_each(b, problems, m, &batch.b_stride, "b")
    batch.scale = of_each(scale, problems, 1, &batch.scale_stride, "scale")
    batch.u, batch.v = out_of_each(u, problems, n, "u"), out_of_each(v, problems, m, "v")
    batch.offset = out_of_each(offset, problems, n, "offset")
    batch.claims = out_of_each(claims, problems, SV_BATCH_CLAIMS, "claims")
    if counts.shape[0] != problems or counts.shape[1] != 4:
        raise ValueError(f"counts has shape ({counts.shape[0]}, {counts.shape[1]}), not ({problems}, 4)")
    batch.counts = &counts[0, 0]
    if plans is not None:
        batch.plans = plans_of_each(plans, problems, n, m)
    cdef double *work = workspace(sv_ot_batch_worksize(&batch, threads))
    with nogil:
        sv_ot_batch_solve(&batch, work, threads)
    free(work)


def batch_masses(const double[:, ::1] weights, double[::1] masses):
    """The mass of each row of weights, in place; returns the least weight."""
    if not weights.shape[1]:
        raise ValueError("weights are empty")
    return sv_ot_batch_masses(&weights[0, 0], weights.shape[0], weights.shape[1],
                              out_vector(masses, weights.shape[0], "masses"))


def batch_plans(costs, Py_ssize_t problems, const double[:, ::1] scale, double[:, ::1] u, double[:, ::1] v,
                double[:, ::1] offset, double[:, :, ::1] plans, int threads):
    """The plans (problems, n, m) of the potentials that `solve_batch` found, in place."""
    cdef _Matrices matrices = _Matrices(costs)
    cdef sv_ot_batch batch
    cdef Py_ssize_t n = matrices.view.shape[1], m = matrices.view.shape[2]
    take_costs(&batch, matrices, problems)
    batch.scale = of_each(scale, problems, 1, &batch.scale_stride, "scale")
    batch.u, batch.v = out_of_each(u, problems, n, "u"), out_of_each(v, problems, m, "v")
    batch.offset = out_of_each(offset, problems, n, "offset")
    cdef double *out = plans_of_each(plans, problems, n, m)
    with nogil:
        sv_ot_batch_plans(&batch, out, threads)
