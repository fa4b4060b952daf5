# Exact transport: the network simplex on few arcs, and the pricing of all arcs. Included by _kernels.pyx.

cdef extern from "ot.h" nogil:
    enum:
        SV_PRICE_MOST

    struct sv_ot_network:
        size_t n, m, arcs
        const int *rows
        const int *columns
        const double *costs
        const double *base

    struct sv_ot_tree:
        int *parent
        int *arc
        double *flow
        double *height

    struct sv_ot_gap:
        double value, dual, size, spread

    double SV_FLOW_UNIT
    size_t sv_ot_network_worksize(size_t, size_t)
    sv_ot_gap sv_ot_network_gap(const sv_ot_network *, const int *, const double *, const double *, const double *,
                                const double *, const double *)
    void sv_ot_network_ship(const sv_ot_network *, const Py_ssize_t *, size_t, double *, double *, double *)
    size_t sv_ot_network_fill_worksize(size_t, size_t)
    void sv_ot_network_fill(const sv_ot_network *, double *, double *, const double *, sv_ot_tree *, double *)
    void sv_ot_network_start(const sv_ot_network *, const double *, sv_ot_tree *, int *)
    Py_ssize_t sv_ot_network_simplex(const sv_ot_network *, sv_ot_tree *, double, Py_ssize_t, int *)
    int sv_ot_network_flows(const sv_ot_network *, const sv_ot_tree *, const double *, const double *, double *, int *)
    void sv_ot_price(const sv_ot_cost *, const double *, const double *, double *, int, int *, int *, double *, int)

PRICE_MOST = SV_PRICE_MOST
FLOW_UNIT = SV_FLOW_UNIT


cdef class Network:
    """A transportation problem between n sources and m sinks. A tree is (parent, arc, flow, height).

    On few arcs, or where rows and columns are None on all n * m, in the order of the rows.
    """

    cdef sv_ot_network net
    cdef const int[::1] rows, columns
    cdef const double[::1] costs, base

    def __cinit__(self, Py_ssize_t n, Py_ssize_t m, rows, columns, costs, base):
        cdef Py_ssize_t k, arcs = n * m
        self.costs, self.base = costs, base
        if rows is not None:
            self.rows, self.columns = rows, columns
            arcs = self.rows.shape[0]
            if self.columns.shape[0] != arcs or not arcs:
                raise ValueError("rows and columns differ in length, or are empty")
            for k in range(arcs):
                if not (0 <= self.rows[k] < n and 0 <= self.columns[k] < m):
                    raise ValueError("an arc's end is out of range")
            self.net.rows, self.net.columns = &self.rows[0], &self.columns[0]
        if arcs > INT_MAX:
            raise ValueError("there are too many arcs")
        self.net.n, self.net.m, self.net.arcs = n, m, arcs
        self.net.costs = vector(self.costs, arcs, "costs")
        self.net.base = vector(self.base, n, "base")

    cdef sv_ot_tree tree(self, int[::1] parent, int[::1] arc, double[::1] flow, double[::1] height) except *:
        cdef sv_ot_tree tree
        cdef Py_ssize_t u, nodes = self.net.n + self.net.m + 1
        if parent.shape[0] != nodes or arc.shape[0] != nodes:
            raise ValueError("the tree does not fit the network")
        for u in range(nodes - 1):
            if not -1 <= arc[u] < <Py_ssize_t>self.net.arcs or not 0 <= parent[u] < nodes:
                raise ValueError("the tree names a node or an arc that is none")
        tree.parent, tree.arc = &parent[0], &arc[0]
        tree.flow, tree.height = out_vector(flow, nodes, "flow"), out_vector(height, nodes, "height")
        return tree

    def ship(self, const Py_ssize_t[::1] order, double[::1] a, double[::1] b, double[::1] shipped):
        """Along these arcs, in this order, what a and b have left: less in them, and `shipped`, in place."""
        cdef Py_ssize_t k, arcs = self.net.arcs
        if self.net.rows == NULL:
            raise ValueError("only a list of arcs can be shipped along")
        for k in range(order.shape[0]):
            if not 0 <= order[k] < arcs:
                raise ValueError("order names an arc that is none")
        cdef double *pa = out_vector(a, self.net.n, "a")
        cdef double *pb = out_vector(b, self.net.m, "b")
        cdef double *ps = out_vector(shipped, arcs, "shipped")
        if order.shape[0]:
            with nogil:
                sv_ot_network_ship(&self.net, &order[0], order.shape[0], pa, pb, ps)

    def fill(self, double[::1] a, double[::1] b, const double[::1] g, int[::1] parent, int[::1] arc, double[::1] flow,
             double[::1] height):
        """The first tree on all arcs, in place; a and b are spent."""
        parent[:] = 0
        arc[:] = -1
        cdef sv_ot_tree tree = self.tree(parent, arc, flow, height)
        cdef double *pa = out_vector(a, self.net.n, "a")
        cdef double *pb = out_vector(b, self.net.m, "b")
        cdef const double *pg = vector(g, self.net.m, "g")
        if self.net.rows != NULL:
            raise ValueError("only all arcs can be filled")
        cdef double *work = workspace(sv_ot_network_fill_worksize(self.net.n, self.net.m))
        with nogil:
            sv_ot_network_fill(&self.net, pa, pb, pg, &tree, work)
        free(work)

    def start(self, const double[::1] shipped, int[::1] parent, int[::1] arc, double[::1] flow, double[::1] height):
        """The first tree, in place, from what was shipped."""
        cdef const double *ps = vector(shipped, self.net.arcs, "shipped")
        parent[:] = 0
        arc[:] = -1
        cdef sv_ot_tree tree = self.tree(parent, arc, flow, height)
        if self.net.rows == NULL:
            raise ValueError("only a list of arcs can be started from what was shipped")
        cdef int *work = <int *>workspace(sv_ot_network_worksize(self.net.n, self.net.m))
        with nogil:
            sv_ot_network_start(&self.net, ps, &tree, work)
        free(work)

    def simplex(self, int[::1] parent, int[::1] arc, double[::1] flow, double[::1] height, double tolerance,
                Py_ssize_t max_pivots):
        """Pivots on the tree, in place; returns how many."""
        cdef sv_ot_tree tree = self.tree(parent, arc, flow, height)
        cdef Py_ssize_t pivots
        cdef int *work = <int *>workspace(sv_ot_network_worksize(self.net.n, self.net.m))
        with nogil:
            pivots = sv_ot_network_simplex(&self.net, &tree, tolerance, max_pivots, work)
        free(work)
        if pivots < 0:
            raise ValueError("the parents make no tree")
        return pivots

    def flows(self, int[::1] parent, int[::1] arc, const double[::1] a, const double[::1] b, double[::1] flow):
        """The flows of a tree for the weights a and b, in place."""
        cdef sv_ot_tree tree = self.tree(parent, arc, flow, flow)
        cdef const double *pa = vector(a, self.net.n, "a")
        cdef const double *pb = vector(b, self.net.m, "b")
        cdef int *work = <int *>workspace(sv_ot_network_worksize(self.net.n, self.net.m))
        cdef int found
        with nogil:
            found = sv_ot_network_flows(&self.net, &tree, pa, pb, tree.flow, work)
        free(work)
        if not found:
            raise ValueError("the parents make no tree")

    def gap(self, const int[::1] arc, const double[::1] flow, const double[::1] a, const double[::1] b,
            const double[::1] f, const double[::1] g):
        """(value, dual, size, spread) of a tree and potentials; see ot.h. a and b in units of the flows' 2^52."""
        cdef Py_ssize_t u, nodes = self.net.n + self.net.m + 1
        if arc.shape[0] != nodes:
            raise ValueError("the tree does not fit the network")
        for u in range(nodes - 1):
            if arc[u] >= <Py_ssize_t>self.net.arcs:
                raise ValueError("the tree names an arc that is none")
        cdef sv_ot_gap found = sv_ot_network_gap(
            &self.net, &arc[0], vector(flow, nodes, "flow"), vector(a, self.net.n, "a"), vector(b, self.net.m, "b"),
            vector(f, self.net.n, "f"), vector(g, self.net.m, "g"))
        return found.value, found.dual, found.size, found.spread


def row_least(Cost cost, const double[::1] g, double[::1] least, int threads):
    """Row minima of C - g, in place."""
    cdef Py_ssize_t n = cost.cost.n
    cdef const double *pg = vector(g, cost.cost.m, "g")
    cdef double *minima = out_vector(least, n, "least")
    cdef double *limit = workspace(3 * n)  # none is below the limit: no arcs are kept
    cdef Py_ssize_t i
    for i in range(n):
        limit[i] = -HUGE_VAL
    with nogil:
        sv_ot_price(&cost.cost, pg, limit, minima, 1, <int *>(limit + n), <int *>(limit + n) + n, limit + 2 * n,
                    threads)
    free(limit)


def price(Cost cost, const double[::1] g, const double[::1] limit, double[::1] least, int[::1] counts,
          int[:, ::1] columns, double[:, ::1] costs, int threads):
    """Row minima of C - g, and each row's cheapest arcs below its limit, in place."""
    cdef Py_ssize_t n = cost.cost.n, m = cost.cost.m
    cdef const double *pg = vector(g, m, "g")
    cdef const double *limits = vector(limit, n, "limit")
    cdef double *minima = out_vector(least, n, "least")
    cdef int most = columns.shape[1]
    if counts.shape[0] != n or columns.shape[0] != n or costs.shape[0] != n or costs.shape[1] != most:
        raise ValueError("counts, columns and costs do not fit")
    if not 1 <= most <= SV_PRICE_MOST:
        raise ValueError(f"at most {SV_PRICE_MOST} arcs a row")
    with nogil:
        sv_ot_price(&cost.cost, pg, limits, minima, most, &counts[0], &columns[0, 0], &costs[0, 0], threads)
