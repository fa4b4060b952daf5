"""Which levels a hierarchy has, and parts of a mask: see multilevel_plan.h and mask_runs.h."""

cdef extern from "multilevel_plan.h" nogil:
    struct sv_plan:
        ptrdiff_t n[3]
        int periodic[3]
        double strength[3]
        int line

    struct sv_planned:
        int levels
        int odd
        ptrdiff_t n[MULTILEVEL_MOST][3]
        int halved[MULTILEVEL_MOST][3]

    int sv_plan_levels(const sv_plan *, sv_planned *)
    size_t sv_plan_stride(size_t)
    double sv_plan_strength(double *, size_t)
    double sv_plan_scale(double)
    int sv_plan_last(const sv_multilevel *, int, double *)
    void sv_plan_project(const ptrdiff_t *, size_t, double *)

cdef extern from "mask_runs.h" nogil:
    int sv_mask_drained(const unsigned char *, const size_t *, const int (*)[2])


def plan_levels(n, periodic, strength, int line):
    """A ((cells along x, y, z), (whether the next level halves them)) for each level, and whether cycles go step by step.

    n, periodic, strength: the cells along (x, y, z), 1 where there is no such axis; whether it is periodic; how strong
    its couplings are. line: the axis whose lines are relaxed at once, or -1.
    """
    cdef sv_plan plan
    cdef sv_planned planned
    for k in range(3):
        plan.n[k], plan.periodic[k], plan.strength[k] = n[k], periodic[k], strength[k]
    plan.line = line
    if not sv_plan_levels(&plan, &planned):
        raise ValueError(f"more than {MULTILEVEL_MOST} levels")
    levels = [
        (tuple([planned.n[l][k] for k in range(3)]), tuple([planned.halved[l][k] for k in range(3)]))
        for l in range(planned.levels)
    ]
    return levels, bool(planned.odd)


def plan_strength(couplings):
    """The median of those of some thousands of couplings that are positive, 0 where none is."""
    cdef double[::1] some = np.array(couplings.reshape(-1)[::sv_plan_stride(couplings.size)], np.float64)
    return sv_plan_strength(&some[0], some.shape[0])


def plan_scale(double size):
    """About 1 / size, exactly representable."""
    return sv_plan_scale(size)


def drained(mask, walls):
    """Whether each part of a mask has a cell at a wall: an end of an axis (low, high) that `walls` has True for."""
    cdef const unsigned char[::1] view = np.ascontiguousarray(mask).view(np.uint8).reshape(-1)
    cdef size_t shape[3]
    cdef int wall[3][2]
    cdef int found
    if view.shape[0] == 0:
        return True
    before = 3 - mask.ndim
    for k in range(3):
        shape[k] = mask.shape[k - before] if k >= before else 1
        for high in range(2):
            wall[k][high] = walls[k - before][high] if k >= before else 0
    with nogil:
        found = sv_mask_drained(&view[0], shape, wall)
    return bool(found)


def project(double[::1] vector, const ptrdiff_t[::1] cells):
    """The cells of a vector less their mean, in place."""
    if cells.shape[0] and not (0 <= cells[0] and cells[cells.shape[0] - 1] < vector.shape[0]):
        raise ValueError("cells, in increasing order, must be places of the vector")
    if cells.shape[0]:
        with nogil:
            sv_plan_project(&cells[0], cells.shape[0], &vector[0])
