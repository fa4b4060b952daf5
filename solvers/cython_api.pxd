# All of solvers.h: cimport solvers.cython_api as sv. Compile with -I of solvers.get_include(), and link with
# the library of solvers.get_library_dir(). Derived from the header by _ext/install/derive.py: do not edit.
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "solvers.h" nogil:
    const int SV_ABI_VERSION

    enum sv_status:
        SV_CONVERGED
        SV_CALLBACK_STOP
        SV_MAX_ITER
        SV_MAX_EVAL
        SV_TIME_LIMIT
        SV_STAGNATION
        SV_DIVERGED
        SV_NOT_SPD
        SV_BREAKDOWN
        SV_NONFINITE
        SV_INFEASIBLE
        SV_UNBOUNDED
        SV_NOT_CERTIFIED
        SV_LOCALLY_INFEASIBLE
        SV_OK
        SV_INVALID
        SV_NO_MEMORY
        SV_STRUCT_SIZE
        SV_BUSY

    ctypedef struct sv_progress:
        size_t struct_size
        int64_t nit
        double measure
        double seconds
        const double *x
        size_t x_size

    ctypedef int (*sv_callback)(void *user, const sv_progress *progress) noexcept

    ctypedef struct sv_control:
        size_t struct_size
        int64_t max_iter
        double time_limit
        int threads
        sv_callback callback
        void *user
    const sv_control SV_CONTROL_INIT "((sv_control)SV_CONTROL_INIT)"

    ctypedef struct sv_report:
        size_t struct_size
        int status
        int64_t nit
        double measure
        double seconds
    const sv_report SV_REPORT_INIT "((sv_report)SV_REPORT_INIT)"

    const char *sv_version_string()
    int sv_abi_version()
    const char *sv_isa()
    const char *sv_isa_available()
    const char *sv_sanitizer()
    int sv_get_num_threads()
    void sv_set_num_threads(int threads)
    const char *sv_status_string(int status)
    const char *sv_last_error()
    int sv_softmax_f32(const float *x, ptrdiff_t x_stride, float *y, ptrdiff_t y_stride, size_t rows, size_t length,
            int threads)
    int sv_softmax_f64(const double *x, ptrdiff_t x_stride, double *y, ptrdiff_t y_stride, size_t rows,
            size_t length, int threads)
    int sv_log_softmax_f32(const float *x, ptrdiff_t x_stride, float *y, ptrdiff_t y_stride, size_t rows,
            size_t length, int threads)
    int sv_log_softmax_f64(const double *x, ptrdiff_t x_stride, double *y, ptrdiff_t y_stride, size_t rows,
            size_t length, int threads)
    int sv_logsumexp_f32(const float *x, ptrdiff_t x_stride, const float *b, ptrdiff_t b_stride, float *out,
            float *sign, size_t rows, size_t length, int threads)
    int sv_logsumexp_f64(const double *x, ptrdiff_t x_stride, const double *b, ptrdiff_t b_stride, double *out,
            double *sign, size_t rows, size_t length, int threads)
