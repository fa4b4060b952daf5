# Matrix games.

cdef extern from "simplex.h" nogil:
    double sv_equilibrium_simplex(const double *, size_t, double, double, double *, double *) noexcept


def project_simplex(const double[::1] v, double mass, double[::1] out, double guess=float("nan")):
    """Writes the projection of finite v on {x >= 0, sum x = mass} to out, which may be v itself, and returns the
    threshold t, x = max(v - t, 0). The threshold of a similar v is a good guess."""
    cdef size_t n = v.shape[0]
    cdef double threshold
    if n == 0 or out.shape[0] != v.shape[0]:
        raise ValueError(f"v has length {v.shape[0]}, out {out.shape[0]}; they must be the same, and not zero")
    cdef double[::1] work = np.empty(n)
    with nogil:
        threshold = sv_equilibrium_simplex(&v[0], n, mass, guess, &out[0], &work[0])
    return threshold
