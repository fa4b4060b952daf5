# What a sequence asks of each new matrix: NumPy takes ten times as long over so few numbers. The index arrays are made by
# the callers, whose places lie within the values.

cdef extern from "glance.h" nogil:
    bint sv_glance_pairs(const double *, size_t, const int64_t *, const int64_t *, double)
    double sv_glance_median(const double *, size_t, const int64_t *, const int64_t *, const int64_t *, double *)
    bint sv_glance_kinds(const double *, size_t, const int64_t *, const int64_t *, size_t, const int64_t *, double,
                         double *)
    bint sv_glance_ends(const double *, size_t, size_t, const double *, const uint8_t *, double)


cdef const int64_t *places(array, size_t length, str name) except NULL:
    return <const int64_t *>integers(array, length, True, name)


def pairs_agree(values, here, there, double slack):
    """Whether the values at `here` are those at `there`, to `slack` of each."""
    cdef size_t count = len(here)
    return sv_glance_pairs(doubles(values, len(values), "values"), count, places(here, count, "here"),
                           places(there, count, "there"), slack)


def median_row(values, at, starts, centre):
    """The upper median over rows of the sum of absolute values over the diagonal's: see glance.h."""
    cdef size_t rows = len(centre)
    room = np.empty(rows)
    return sv_glance_median(doubles(values, len(values), "values"), rows, places(at, len(at), "at"),
                            places(starts, rows + 1, "starts"), places(centre, rows, "centre"),
                            doubles(room, rows, "room", True))


def values_of_kinds(values, at, kinds, first, double slack):
    """The value of each kind, 0 of those that are missing; None where not all values at `at` are that of their kind."""
    cdef size_t count = len(at), types = len(first)
    table = np.empty(types)
    cdef bint agree = sv_glance_kinds(doubles(values, len(values), "values"), count, places(at, count, "at"),
                                      places(kinds, count, "kinds"), types, places(first, types, "first"), slack,
                                      doubles(table, types, "table", True))
    return table if agree else None


def ends_agree(table, extras, there, double slack):
    """Whether the diagonal of a stencil on a box is what its ends make of it: extras of shape (places, axes)."""
    cdef size_t places = extras.shape[0], axes = extras.shape[1]
    return sv_glance_ends(doubles(table, axes + places, "table"), axes, places,
                          doubles(extras.reshape(-1), axes * places, "extras"),
                          <const uint8_t *>vector_of(there, places, b"?", 1, "there"), slack)
