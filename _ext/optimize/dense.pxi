# Dense programs (dense_nlp.h), of Python's functions, of compiled ones, or of both.

cdef extern from "ldl.h" nogil:
    ctypedef void (*sv_sytrf)(char *, int *, double *, int *, int *, double *, int *, int *)
    ctypedef void (*sv_sytrs)(char *, int *, int *, double *, int *, int *, double *, int *, int *)

    struct sv_ldl:
        int64_t n
        int64_t stride
        double *K
        double *inverse
        double *work
        int32_t *order
        sv_sytrf sytrf
        sv_sytrs sytrs
        int64_t negative
        int64_t zero

    int64_t sv_ldl_stride(int64_t) noexcept
    int64_t sv_ldl_work(int64_t) noexcept
    void sv_ldl_factor(sv_ldl *, double) noexcept
    void sv_ldl_solve(const sv_ldl *, double *) noexcept

cdef extern from "quasi.h" nogil:
    enum: SV_QUASI_NONE, SV_QUASI_BFGS, SV_QUASI_SR1, SV_QUASI_LBFGS
    int64_t sv_quasi_size(int, int64_t, int64_t) noexcept

cdef extern from "dense_nlp.h" nogil:
    struct sv_dense:
        int64_t n
        int64_t m
        int (*value)(void *, const double *, double *) noexcept
        int (*gradient)(void *, const double *, double *) noexcept
        int (*constraints)(void *, const double *, double *) noexcept
        int (*jacobian)(void *, const double *, double *) noexcept
        int (*hessian)(void *, const double *, double, const double *, double *) noexcept
        void *value_data
        void *gradient_data
        void *constraints_data
        void *jacobian_data
        void *hessian_data
        int64_t nfev
        int64_t njev
        int64_t nhev
        int64_t row_nfev
        int64_t row_njev
        int quasi
        sv_ldl ldl

    int64_t sv_dense_size(int64_t, int64_t) noexcept
    void sv_dense_begin(sv_dense *, double *, sv_nlp *) noexcept


cdef class LDL:
    """A symmetric matrix factored as P'L D L'P: `negative` and `zero` count its eigenvalues by their signs.

    Parameters
    ----------
    K : array, shape (n, n)
        Its upper triangle is read.
    tiny : float
        Rows that elimination leaves below this count as zeros; K should be scaled to entries of size 1.
    lapack : bool
        Whether LAPACK may serve, which it then does for large orders.
    """

    cdef sv_ldl table
    cdef double[::1] memory
    cdef int32_t[::1] order
    cdef readonly int64_t negative, zero

    def __init__(self, K, double tiny=0.0, bint lapack=True):
        cdef int64_t n = len(K), stride = sv_ldl_stride(n)
        K = np.asarray(K, np.float64)
        if K.shape != (n, n) or n == 0:
            raise ValueError(f"K must be square and not empty, not of shape {K.shape}")
        self.memory, self.order = np.zeros(n * stride + 2 * n + sv_ldl_work(n)), np.zeros(n, np.int32)
        np.asarray(self.memory)[: n * stride].reshape(n, stride)[:, :n] = np.triu(K)
        self.table.n, self.table.stride, self.table.K, self.table.order = n, stride, &self.memory[0], &self.order[0]
        self.table.inverse = self.table.K + n * stride
        self.table.work = self.table.inverse + 2 * n
        if lapack:
            self.table.sytrf, self.table.sytrs = <sv_sytrf>dsytrf, <sv_sytrs>dsytrs
        with nogil:
            sv_ldl_factor(&self.table, tiny)
        self.negative, self.zero = self.table.negative, self.table.zero

    def solve(self, b):
        """K^-1 b, where K is singular a solution of it as far as there is one."""
        cdef double[::1] out = np.array(b, np.float64)
        if out.shape[0] != self.table.n:
            raise ValueError(f"b must have {self.table.n} entries, not {out.shape[0]}")
        with nogil:
            sv_ldl_solve(&self.table, &out[0])
        return np.asarray(out)


QUASI = {"bfgs": SV_QUASI_BFGS, "sr1": SV_QUASI_SR1, "lbfgs": SV_QUASI_LBFGS}


cdef class DenseNLP(NLP):
    """A program whose matrices are dense: no Python runs where its functions are compiled ones (`Program.compiled`).

    Where the program's Hessian is a name of `QUASI`, an approximation from gradients stands for it (quasi.h). `Compiled`
    may stand for a program all of whose functions are compiled; calls are then counted here until it is `adopted`.
    """

    cdef object program
    cdef Compiled compiled
    cdef sv_dense dense
    cdef double *memory

    def __dealloc__(self):
        free(self.memory)

    def __init__(self, program):
        cdef Compiled compiled
        cdef sv_dense *dense = &self.dense
        cdef int64_t size
        if type(program) is Compiled:
            compiled, program = program, None
            dense.n, dense.m = compiled.table.n, compiled.m
            if not compiled.whole:
                raise ValueError("a function of the program is not compiled")
        else:
            compiled = program.compiled if program.compiled is not None else Compiled(program.n)
            dense.n, dense.m = program.n, program.m
        if dense.n == 0 or (program is not None and program.compiled is not None and (compiled.m != dense.m or compiled.table.n != dense.n)):
            raise ValueError(f"compiled functions of {compiled.table.n} variables and {compiled.m} rows do not fit "
                             f"a program of {dense.n} and {dense.m}")
        self.program, self.compiled = program, compiled
        dense.value, dense.value_data = dense_value, <void *>self
        dense.gradient, dense.gradient_data = dense_gradient, <void *>self
        dense.constraints, dense.constraints_data = dense_constraints, <void *>self
        dense.jacobian, dense.jacobian_data = dense_jacobian, <void *>self
        dense.hessian, dense.hessian_data = dense_hessian, <void *>self
        if compiled.has_fun:
            dense.value, dense.value_data = sv_compiled_value, &compiled.table
        if compiled.has_gradient:
            dense.gradient, dense.gradient_data = sv_compiled_gradient, &compiled.table
        if compiled.has_constraints and compiled.m == dense.m:
            dense.constraints, dense.constraints_data = sv_compiled_constraints, &compiled.table
        if compiled.has_jacobian and compiled.m == dense.m:
            dense.jacobian, dense.jacobian_data = sv_compiled_jacobian, &compiled.table
        if program is not None and isinstance(program.hessian, str):
            if program.hessian not in QUASI:
                raise ValueError(f"hess must be one of {', '.join(QUASI)}, not {program.hessian!r}")
            dense.quasi = QUASI[program.hessian]
        elif compiled.has_hessian:
            dense.hessian, dense.hessian_data = sv_compiled_hessian, &compiled.table
        dense.ldl.sytrf, dense.ldl.sytrs = <sv_sytrf>dsytrf, <sv_sytrs>dsytrs
        free(self.memory)
        # behind them what an approximation learns, until a method brings memory of its own for it
        size = sv_dense_size(dense.n, dense.m)
        self.memory = <double *>calloc(size + sv_quasi_size(dense.quasi, dense.n, dense.m) + 1, sizeof(double))
        if self.memory == NULL:
            raise MemoryError(f"no memory for a dense program of {dense.n} variables and {dense.m} rows")
        sv_dense_begin(dense, self.memory, &self.table)
        self.table.carry(self.table.data, self.memory + size)

    cdef check(self):
        """Raise what a function of the program has raised; calls of compiled functions are counted."""
        dense = &self.dense
        if self.program is not None and (dense.nfev or dense.njev or dense.nhev or dense.row_nfev or dense.row_njev):
            calls = self.program.calls
            calls.nfev += dense.nfev if self.compiled.has_fun else 0
            calls.njev += dense.njev if self.compiled.has_gradient else 0
            calls.nhev += dense.nhev if self.compiled.has_hessian else 0
            for calls in self.program.row_calls:
                calls.nfev += dense.row_nfev if self.compiled.has_constraints else 0
                calls.njev += dense.row_njev if self.compiled.has_jacobian else 0
                calls.nhev += dense.nhev if self.compiled.has_hessian else 0
            dense.nfev = dense.njev = dense.nhev = dense.row_nfev = dense.row_njev = 0
        NLP.check(self)


    @property
    def counted(self):
        """Calls that no program has counted yet: of f, its gradient, Hessians, the rows and their Jacobian."""
        dense = &self.dense
        return dense.nfev, dense.njev, dense.nhev, dense.row_nfev, dense.row_njev

    def adopted(self, program):
        """From now on that of a program of the same compiled functions, which has made all calls so far."""
        self.program = program
        self.check()
        return self


cdef int into_matrix(object values, int64_t rows, int64_t columns, double *out) except -1:
    given = np.asarray(values.toarray() if hasattr(values, "toarray") else values, np.float64)
    if given.shape != (rows, columns):
        raise ValueError(f"a matrix of shape {(rows, columns)} was expected, not {given.shape}")
    if rows * columns:
        np.asarray(<double[:rows, :columns]>out)[...] = given
    return 0


cdef int dense_value(void *data, const double *x, double *f) noexcept with gil:
    self = <DenseNLP>data
    try:
        f[0] = self.program.fun(copied(x, self.dense.n))
    except BaseException as error:
        self.error = error
        return SV_STOP
    return 0


cdef int dense_gradient(void *data, const double *x, double *g) noexcept with gil:
    self = <DenseNLP>data
    try:
        into(self.program.gradient(copied(x, self.dense.n)), self.dense.n, g)
    except BaseException as error:
        self.error = error
        return SV_STOP
    return 0


cdef int dense_constraints(void *data, const double *x, double *c) noexcept with gil:
    self = <DenseNLP>data
    try:
        into(self.program.constraints(copied(x, self.dense.n)), self.dense.m, c)
    except BaseException as error:
        self.error = error
        return SV_STOP
    return 0


cdef int dense_jacobian(void *data, const double *x, double *J) noexcept with gil:
    self = <DenseNLP>data
    try:
        into_matrix(self.program.jacobian(copied(x, self.dense.n)), self.dense.m, self.dense.n, J)
    except BaseException as error:
        self.error = error
        return SV_STOP
    return 0


cdef int dense_hessian(void *data, const double *x, double sigma, const double *y, double *H) noexcept with gil:
    self = <DenseNLP>data
    cdef int64_t n = self.dense.n
    try:
        into_matrix(self.program.hessian(copied(x, n), sigma, copied(y, self.dense.m)), n, n, H)
    except BaseException as error:
        self.error = error
        return SV_STOP
    return 0
