"""The convolutional net of learned directions: see conv.h."""

cdef extern from "conv.h" nogil:
    int SV_POINTS(int)

    enum sv_net_end:
        SV_END_ZERO
        SV_END_COPY
        SV_END_WRAP

    struct sv_net:
        int dim
        int pairs[3]
        const float *first
        const float *middle
        const float *biases
        const float *last
        float shift

    size_t sv_net_work(const sv_net *, const ptrdiff_t *)
    void sv_net_apply(const sv_net *, const ptrdiff_t *, const sv_net_end (*)[2], int, double, const double *, double *, float *)


cdef class Net:
    """A net of 16 channels with its weights in the order of the kernels."""

    cdef sv_net net
    cdef object kept
    cdef readonly int dim

    def __cinit__(self, int dim, pairs, const float[:, ::1] first, const float[:, :, :, ::1] middle,
                  const float[:, ::1] biases, const float[::1] last, float shift):
        """first (taps, 16), middle (convolutions, points, in, out), biases (1 + convolutions, 16), last (16,)."""
        cdef int taps = 27 if dim == 3 else 9, count = 2 * sum(pairs)
        given = (np.shape(first), np.shape(middle), np.shape(biases), np.shape(last))
        if given != ((taps, 16), (count, SV_POINTS(dim), 16, 16), (count + 1, 16), (16,)) or dim not in (2, 3):
            raise ValueError(f"these weights are none of a net in {dim} dimensions: {given}")
        self.kept = first, middle, biases, last
        self.dim = self.net.dim = dim
        self.net.pairs = pairs
        self.net.first, self.net.middle = &first[0, 0], &middle[0, 0, 0, 0]
        self.net.biases, self.net.last, self.net.shift = &biases[0, 0], &last[0], shift

    cdef int cells(self, shape, ptrdiff_t *n) except -1:
        if len(shape) != self.dim or min(shape) < 1:
            raise ValueError(f"the net is for grids of {self.dim} dimensions, not {shape}")
        n[2] = 1
        for axis in range(self.dim):
            n[axis] = shape[self.dim - 1 - axis]
        return 0

    def work(self, shape):
        """A workspace for grids of this shape; for one call at a time."""
        cdef ptrdiff_t n[3]
        self.cells(shape, n)
        room = Scratch(sv_net_work(&self.net, n) * sizeof(float))  # of large pages: a tile's rows lie far apart
        work = np.frombuffer(room, np.float32)
        if room.used:
            work.fill(0)
        return work

    def apply(self, shape, ends, const double[::1] r, double scale, double[::1] out, float[::1] work, int threads):
        """out = net(scale r), of the grid's cells in C order. ends: what lies beyond each axis' two, of sv_net_end; always the
        same with one workspace."""
        cdef ptrdiff_t n[3]
        cdef sv_net_end beyond[3][2]
        self.cells(shape, n)
        for axis in range(3):
            for end in range(2):
                beyond[axis][end] = ends[self.dim - 1 - axis][end] if axis < self.dim else SV_END_ZERO
        cdef Py_ssize_t size = n[0] * n[1] * n[2]
        if r.shape[0] != size or out.shape[0] != size or <size_t>work.shape[0] != sv_net_work(&self.net, n):
            raise ValueError(f"vectors of {r.shape[0]} and {out.shape[0]} cells, or the workspace, are none of {shape}")
        with nogil:
            sv_net_apply(&self.net, n, beyond, threads, scale, &r[0], &out[0], &work[0])
