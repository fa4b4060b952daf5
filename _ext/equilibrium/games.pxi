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


cdef extern from "game.h" nogil:
    struct sv_game_sparse:
        const int32_t *starts
        const int32_t *index
        const double *value

    struct sv_game:
        size_t m
        size_t n
        const float *rows32
        const float *columns32
        const double *rows64
        const double *columns64
        sv_game_sparse rows
        sv_game_sparse columns
        const double *linear_x
        const double *linear_y

    struct sv_game_pdhg:
        double *pair
        double *products
        double *anchor
        double *anchor_products
        double *next
        double *next_products
        double *best
        double norm
        double weight
        double threshold_x
        double threshold_y
        double gap
        double best_gap
        double residual
        double first_residual
        int64_t count
        int64_t raises
        double reads
        double *work
        int32_t *list

    struct sv_game_regret:
        double *regrets
        double *pair
        double *products
        double *average
        double *average_products
        double *best
        double weights
        double best_gap
        int64_t count
        double reads
        int predictive
        double *work
        int32_t *list

    struct sv_game_course:
        double summed
        double last
        int64_t nit
        int64_t restarts

    int64_t sv_game_steps(int64_t, int64_t, int) noexcept
    int sv_game_pdhg_advance(const sv_game *, sv_game_pdhg *, sv_game_course *, int64_t) noexcept
    int sv_game_spent(double, int) noexcept
    void sv_game_pdhg_resume(const sv_game *, sv_game_pdhg *, sv_game_course *) noexcept
    double sv_game_norm(const sv_game *, int, double *, double *, int32_t *) noexcept
    void sv_game_regret_run(const sv_game *, sv_game_regret *, int64_t) noexcept
    void sv_game_products(const sv_game *, const double *, double *, double *, int32_t *) noexcept
    void sv_game_copy(const void *, int, size_t, size_t, Py_ssize_t, Py_ssize_t, double, double, int, void *,
                      void *) noexcept


cdef extern from "payoff.h" nogil:
    struct sv_payoff:
        size_t m
        size_t n
        const double *A
        Py_ssize_t row_stride
        Py_ssize_t column_stride
        const double *linear_x
        const double *linear_y

    void sv_payoff_against(const sv_payoff *, const double *, const double *, double *, double *, int32_t *) noexcept
    void sv_payoff_strategy(const double *, size_t, double *) noexcept
    double sv_payoff_scale(double) noexcept


def game_strategy(const double[::1] values):
    """The positive part over its sum."""
    out = np.empty(values.shape[0])
    cdef double[::1] strategy = out
    if values.shape[0] == 0:
        raise ValueError("there are no strategies")
    sv_payoff_strategy(&values[0], values.shape[0], &strategy[0])
    return out


def game_scale(double size):
    """A power of two not below size > 0; 1 for size 0."""
    return sv_payoff_scale(size)


def game_steps(int64_t nit, int64_t max_iter, bint every):
    """Steps to the next look; at least one."""
    return sv_game_steps(nit, max_iter, every)


def game_spent(double gap, bint narrow):
    """Whether a gap of the scaled game leaves no more to gain."""
    return sv_game_spent(gap, narrow) != 0


def game_against(const double[:, :] A, const double[::1] x, const double[::1] y, linear_x=None, linear_y=None):
    """(A'y, A x) of a dense game, with the linear terms."""
    cdef size_t m = A.shape[0], n = A.shape[1]
    check_length("x", x, n)
    check_length("y", y, m)
    G, H = np.empty(n), np.empty(m)
    cdef double[::1] by_x = G, by_y = H
    cdef int32_t[::1] places = np.empty(max(m, n), np.int32)
    cdef sv_payoff game
    game.m, game.n, game.A = m, n, &A[0, 0]
    game.row_stride, game.column_stride = A.strides[0] // A.itemsize, A.strides[1] // A.itemsize
    cdef const double[::1] terms_x = linear_x, terms_y = linear_y
    game.linear_x, game.linear_y = NULL, NULL
    if linear_x is not None:
        check_length("linear_x", terms_x, n)
        check_length("linear_y", terms_y, m)
        game.linear_x, game.linear_y = &terms_x[0], &terms_y[0]
    with nogil:
        sv_payoff_against(&game, &x[0], &y[0], &by_x[0], &by_y[0], &places[0])
    return G, H


def game_copies(const floating[:, :] A, double shift, double scale, bint narrow):
    """(A - shift) / scale by rows and by columns, of floats where it is to be narrow."""
    cdef Py_ssize_t size = A.itemsize
    dtype = np.float32 if narrow else np.float64
    rows, columns = np.empty((A.shape[0], A.shape[1]), dtype), np.empty((A.shape[1], A.shape[0]), dtype)
    cdef size_t to_rows = rows.ctypes.data, to_columns = columns.ctypes.data
    if A.shape[0] and A.shape[1]:
        with nogil:
            sv_game_copy(&A[0, 0], size == 4, A.shape[0], A.shape[1], A.strides[0] // size, A.strides[1] // size, shift,
                         scale, narrow, <void *>to_rows, <void *>to_columns)
    return rows, columns


cdef class Game:
    """A matrix game for the first-order methods; pairs and products are vectors of n + m entries, x or A'y first."""

    cdef sv_game game
    cdef object kept

    def __init__(self, size_t m, size_t n, linear_x=None, linear_y=None):
        cdef const double[::1] values
        self.kept = [linear_x, linear_y]
        self.game.m, self.game.n = m, n
        if linear_x is not None:
            values = linear_x
            check_length("linear_x", values, n)
            self.game.linear_x = &values[0]
        if linear_y is not None:
            values = linear_y
            check_length("linear_y", values, m)
            self.game.linear_y = &values[0]

    def dense(self, const floating[:, ::1] rows, const floating[:, ::1] columns):
        """The matrix by rows and by columns; returns the game."""
        cdef size_t m = self.game.m, n = self.game.n
        if not (rows.shape[0] == m == columns.shape[1] and rows.shape[1] == n == columns.shape[0]):
            raise ValueError("rows and columns are not those of one matrix")
        if floating is float:
            self.game.rows32, self.game.columns32 = &rows[0, 0], &columns[0, 0]
        else:
            self.game.rows64, self.game.columns64 = &rows[0, 0], &columns[0, 0]
        self.kept += [rows, columns]
        return self

    def sparse(self, rows, columns):
        """The matrix as CSR and as CSC arrays with int32 indices, which are not checked; returns the game."""
        self.game.rows = self.half(rows, self.game.m)
        self.game.columns = self.half(columns, self.game.n)
        return self

    cdef sv_game_sparse half(self, compressed, size_t lines) except *:
        cdef const int32_t[::1] starts = compressed.indptr, index = compressed.indices
        cdef const double[::1] value = compressed.data
        cdef sv_game_sparse half
        if <size_t>starts.shape[0] != lines + 1 or index.shape[0] != value.shape[0] or starts[lines] != value.shape[0]:
            raise ValueError("the compressed arrays do not belong to one another")
        half.starts = &starts[0]
        half.index, half.value = NULL, NULL
        if value.shape[0]:
            half.index, half.value = &index[0], &value[0]
        self.kept += [starts, index, value]
        return half

    def norm(self, int steps):
        """A lower estimate of the norm of the centred matrix."""
        cdef size_t longer = max(self.game.m, self.game.n)
        cdef double[::1] vector = np.empty(self.game.n), work = np.empty(2 * longer)
        cdef int32_t[::1] places = np.empty(longer, np.int32)
        cdef double norm
        with nogil:
            norm = sv_game_norm(&self.game, steps, &vector[0], &work[0], &places[0])
        return norm

    def products(self, const double[::1] pair):
        """[A'y, A x], with the linear terms, of a pair."""
        cdef size_t size = self.game.m + self.game.n
        out = np.empty(size)
        cdef double[::1] products = out, work = np.empty(size)
        cdef int32_t[::1] places = np.empty(size, np.int32)
        check_length("pair", pair, size)
        with nogil:
            sv_game_products(&self.game, &pair[0], &products[0], &work[0], &places[0])
        return out

    def pdhg(self, double[:, ::1] vectors, double[::1] numbers, course, int64_t steps):
        """Steps, in place, and at a look perhaps a restart; without steps, a new beginning at the best pair. The rows
        of `vectors`: pair, its products, anchor, its products, the best pair; `numbers`: norm, weight, thresholds of x
        and y, gap of the best, first residual, last residual, steps since the anchor, times that the norm was raised,
        entries read; `course`: sum of the weight's errors, the residual at the last look, steps and restarts in all.
        Returns the last T(pair), its products, and the new course."""
        cdef size_t m = self.game.m, n = self.game.n, size = m + n, longer = max(m, n)
        cdef sv_game_pdhg s
        cdef sv_game_course c
        if vectors.shape[0] != 5 or <size_t>vectors.shape[1] != size or numbers.shape[0] != 10:
            raise ValueError(f"vectors must have 5 rows of {size}, and numbers length 10")
        reached = np.zeros((2, size))
        cdef double[:, ::1] next = reached
        cdef double[::1] work = np.empty(4 * longer)
        cdef int32_t[::1] places = np.empty(longer, np.int32)
        s.pair, s.products, s.anchor = &vectors[0, 0], &vectors[1, 0], &vectors[2, 0]
        s.anchor_products, s.best = &vectors[3, 0], &vectors[4, 0]
        s.next, s.next_products, s.work, s.list = &next[0, 0], &next[1, 0], &work[0], &places[0]
        s.norm, s.weight, s.threshold_x, s.threshold_y = numbers[0], numbers[1], numbers[2], numbers[3]
        s.best_gap, s.first_residual, s.residual = numbers[4], numbers[5], numbers[6]
        s.count, s.raises, s.reads = <int64_t>numbers[7], <int64_t>numbers[8], numbers[9]
        c.summed, c.last, c.nit, c.restarts = course
        with nogil:
            if steps > 0:
                sv_game_pdhg_advance(&self.game, &s, &c, steps)
            else:
                sv_game_pdhg_resume(&self.game, &s, &c)
        numbers[0], numbers[1], numbers[2], numbers[3] = s.norm, s.weight, s.threshold_x, s.threshold_y
        numbers[4], numbers[5], numbers[6] = s.best_gap, s.first_residual, s.residual
        numbers[7], numbers[8], numbers[9] = s.count, s.raises, s.reads
        return reached[0], reached[1], (c.summed, c.last, c.nit, c.restarts)

    def regret(self, double[:, ::1] vectors, double[::1] numbers, int64_t steps, bint predictive):
        """Steps of regret matching+, in place. The rows of `vectors`: regrets, pair, its products, average pair, its
        products, the best pair; `numbers`: sum of weights, gap of the best, steps so far, entries read."""
        cdef size_t size = self.game.m + self.game.n
        cdef sv_game_regret s
        if vectors.shape[0] != 6 or <size_t>vectors.shape[1] != size or numbers.shape[0] != 4:
            raise ValueError(f"vectors must have 6 rows of {size}, and numbers length 4")
        cdef double[::1] work = np.empty(size)
        cdef int32_t[::1] places = np.empty(size, np.int32)
        s.regrets, s.pair, s.products, s.average = &vectors[0, 0], &vectors[1, 0], &vectors[2, 0], &vectors[3, 0]
        s.average_products, s.best, s.work, s.list = &vectors[4, 0], &vectors[5, 0], &work[0], &places[0]
        s.weights, s.best_gap, s.count, s.predictive = numbers[0], numbers[1], <int64_t>numbers[2], predictive
        s.reads = numbers[3]
        with nogil:
            sv_game_regret_run(&self.game, &s, steps)
        numbers[0], numbers[1], numbers[2], numbers[3] = s.weights, s.best_gap, s.count, s.reads


cdef check_length(str name, const double[::1] values, size_t expected):
    if <size_t>values.shape[0] != expected:
        raise ValueError(f"{name} has length {values.shape[0]}, not {expected}")


cdef extern from "tableau.h" nogil:
    struct sv_tableau:
        size_t rows
        size_t columns
        double *D
        double *b
        double *b_moving
        double *c
        double *c_moving
        int64_t *row_label
        int64_t *column_label
        double *row
        double *column
        int64_t pivots

    int sv_tableau_minimise(sv_tableau *, double, int64_t) noexcept
    void sv_tableau_enter(sv_tableau *, uint8_t *, uint8_t *, double) noexcept


cdef class Tableau:
    """A dictionary of a linear program, changed in place by pivots: D, the right side and the cost, each beside its
    part that moves with the parameter, as rows of b (2 x rows) and c (2 x columns), and the variables' labels."""

    cdef sv_tableau t
    cdef object kept

    def __init__(self, double[:, ::1] D, double[:, ::1] b, double[:, ::1] c, int64_t[::1] row_label,
                 int64_t[::1] column_label):
        cdef Py_ssize_t rows = D.shape[0], columns = D.shape[1]
        if not (rows and columns and b.shape[0] == c.shape[0] == 2 and b.shape[1] == row_label.shape[0] == rows
                and c.shape[1] == column_label.shape[0] == columns):
            raise ValueError("the parts of the dictionary do not fit")
        cdef double[::1] work = np.empty(rows + columns)
        self.kept = D, b, c, row_label, column_label, work
        self.t.rows, self.t.columns, self.t.D = rows, columns, &D[0, 0]
        self.t.b, self.t.b_moving, self.t.c, self.t.c_moving = &b[0, 0], &b[1, 0], &c[0, 0], &c[1, 0]
        self.t.row_label, self.t.column_label = &row_label[0], &column_label[0]
        self.t.row, self.t.column = &work[0], &work[columns]

    def minimise(self, double tol, int64_t most_pivots):
        """0: optimal, 1: no pivot is left, 2: too many; and the pivots made."""
        cdef int64_t before = self.t.pivots
        cdef int end
        with nogil:
            end = sv_tableau_minimise(&self.t, tol, most_pivots)
        return end, self.t.pivots - before

    def enter(self, uint8_t[::1] rows, uint8_t[::1] columns, double least):
        """Pivots between the marked rows and columns, as many as are independent; clears the marks of those used."""
        if <size_t>rows.shape[0] != self.t.rows or <size_t>columns.shape[0] != self.t.columns:
            raise ValueError("marks do not fit the dictionary")
        with nogil:
            sv_tableau_enter(&self.t, &rows[0], &columns[0], least)
