"""Linear systems of the C interface: the bits of the Python call, bad input, limits, threads."""

import ctypes
import threading

import numpy as np
import pytest
import scipy.sparse
from library import CALLBACK, LIBRARY, Control, last_error
from linear import Linear, Options, address, poisson

import solvers
from solvers import Status
from solvers.linalg import plan, ssor

PLANE = poisson(23, 31)
BOX = poisson(9, 8, 11, shift=0.1)

#: Keywords of Options; those of `solve` in Python follow from them.
CASES = [
    {},
    {"omega": 1.7}, {"ordering": "natural"}, {"ordering": "multicolor", "omega": 1.0}, {"ordering": "redblack"},
    {"rtol": 0.0, "atol": 1e-3}, {"rtol": 1e-300, "atol": 0.0},
    {"method": "sor", "omega": 1.8}, {"method": "sor", "omega": 1.3, "sweep": "backward", "check_every": 7},
    {"method": "sor", "sweep": "symmetric", "ordering": "auto"}, {"method": "sor", "omega": "young"},
    {"method": "sor", "omega": "adaptive", "ordering": "redblack"}, {"method": "gauss-seidel"},
    {"method": "jacobi"}, {"method": "jacobi", "omega": 1.9},
    {"method": "chebyshev"}, {"method": "chebyshev", "low": 0.02}, {"method": "chebyshev", "low": 0.1, "high": 1.5},
    {"method": "cg"}, {"method": "cg", "M": "jacobi"}, {"method": "cg", "M": "ssor"},
    {"method": "cg", "M": "ic0"},
]  # fmt: skip


def in_python(A, b, x0=None, *, method="ssor-cg", M=None, rtol=1e-8, atol=0.0, assume_symmetric=0, **more):
    """The same call; keywords of Options."""
    options = {name: value for name, value in more.items() if value is not None and name not in COMMON}
    common = {name: value for name, value in more.items() if name in COMMON}
    return solvers.linalg.solve(
        A, b, x0=x0, method=method, M=M, rtol=rtol, atol=atol, assume_symmetric=bool(assume_symmetric),
        options=options, threads=1, **common,
    )  # fmt: skip


COMMON = ("max_iter", "callback", "time_limit")


def assert_same(found, expected):
    status, x, report = found
    assert (status, report.status, report.nit) == (expected.status, expected.status, expected.nit)
    assert report.measure == expected.measure
    np.testing.assert_array_equal(x, expected.x)


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case.values())))
@pytest.mark.parametrize("system", [PLANE, BOX], ids=["plane", "box"])
def test_the_bits_of_python(system, case):
    A, b = system
    found = Linear(A).solve(b, **case)
    assert_same(found, in_python(A, b, **case))
    assert (found[0] == 0) == (case.get("rtol") != 1e-300 and case.get("omega") != 1.9)


@pytest.mark.parametrize("method", ["ssor-cg", "sor", "cg", "chebyshev", "jacobi"])
def test_a_start_wide_indices_and_threads(method):
    A, b = BOX
    x0 = np.random.default_rng(3).normal(size=len(b))
    expected = in_python(A, b, x0, method=method, max_iter=40)
    wide = Linear(A, np.int64)
    assert_same(wide.solve(b, x0, method=method, control=Control(max_iter=40)), expected)
    assert_same(wide.solve(b, x0, method=method, control=Control(max_iter=40, threads=3)), expected)


@pytest.mark.parametrize("power", [-700, 1000])
@pytest.mark.parametrize("method", ["ssor-cg", "sor", "cg", "jacobi"])
def test_right_hand_sides_whose_squares_are_no_floats(method, power):
    A, b = BOX
    far, x0 = 2.0**power * b, 2.0**power * np.random.default_rng(3).normal(size=len(b))
    for start in (None, x0, np.full(len(b), 1e300)):
        found = Linear(A).solve(far, start, method=method)
        assert found[0] == Status.CONVERGED
        assert_same(found, in_python(A, far, start, method=method))
    seen = []
    control = Control(callback=CALLBACK(lambda _, progress: seen.append(progress.contents.measure) or 0))
    _, _, report = Linear(A).solve(far, method=method, control=control)
    assert 0 < report.measure <= seen[0] <= 2.0**power * np.linalg.norm(b)


def test_answers_that_no_float_holds():
    A, b = BOX
    for scale, size, status in ((1e-200, 1e200, Status.NONFINITE), (1e200, 1e-200, Status.STAGNATION)):
        assert Linear(scale * A).solve(size * b)[0] == status


def test_new_values_in_the_same_places():
    A, b = PLANE
    handle = Linear(A)
    handle.solve(b)
    for ordering in ("natural", "wavefront", "multicolor", "blocks"):
        handle.solve(b, ordering=ordering)
    new = A.data * np.linspace(1, 2, A.nnz)
    new[A.indices == np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))] += 9
    assert LIBRARY.sv_linear_update(handle.handle, address(new)) == 0
    B = scipy.sparse.csr_array((new, A.indices, A.indptr), shape=A.shape)
    for ordering in ("natural", "wavefront", "multicolor", "blocks"):
        case = {"method": "sor", "ordering": ordering}
        assert_same(handle.solve(b, **case), in_python(B, b, **case))
    bad = new.copy()
    bad[5] = np.nan
    assert LIBRARY.sv_linear_update(handle.handle, address(bad)) == -1
    assert last_error().startswith("values")
    assert_same(handle.solve(b, **case), in_python(B, b, **case))


def test_rows_that_are_not_sorted_and_duplicates():
    rng = np.random.default_rng(11)
    A, b = PLANE
    coo = A.tocoo()
    rows, columns = np.concatenate([coo.row] * 2), np.concatenate([coo.col] * 2)
    data = np.concatenate([coo.data * 0.25, coo.data * 0.75])
    order = np.lexsort((rng.permutation(len(rows)), rows))
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows))])
    B = scipy.sparse.csr_array((data[order], columns[order], starts), shape=A.shape)
    handle = Linear(B)
    with pytest.warns(UserWarning, match="not sorted"):
        expected = in_python(B, b, method="sor")
    assert_same(handle.solve(b, method="sor"), expected)
    new = B.data * 4
    assert LIBRARY.sv_linear_update(handle.handle, address(new)) == 0
    np.testing.assert_array_equal(handle.solve(4 * b, method="sor")[1], expected.x)


def test_several_blocks():
    line = scipy.sparse.diags_array([-1.0, 4.0, -1.2], offsets=[-1, 0, 1], shape=(3000, 3000))
    A = scipy.sparse.csr_array(line + scipy.sparse.diags_array([-1.0, -0.9], offsets=[-60, 60], shape=(3000, 3000)))
    b = np.linspace(1, 2, 3000)
    for case in ({"method": "sor", "ordering": "blocks"}, {"method": "ssor-cg", "ordering": "blocks"}):
        B = scipy.sparse.csr_array(A + A.T) if case["method"] == "ssor-cg" else A
        assert_same(Linear(B).solve(b, **case), in_python(B, b, **case))


@pytest.mark.parametrize("ordering", ["natural", "wavefront", "multicolor"])
def test_sweeps_products_and_preconditioning(ordering):
    A, b = BOX
    handle, made = Linear(A), plan(A)
    order = {"natural": 1, "wavefront": 2, "multicolor": 3}[ordering]
    for direction, name in enumerate(("forward", "backward", "symmetric")):
        x, y = np.ones(len(b)), np.ones(len(b))
        made.sweep(y, b, omega=1.4, sweeps=3, direction=name, ordering=ordering)
        assert LIBRARY.sv_linear_sweep(handle.handle, order, direction, 1.4, 3, address(b), address(x), 1) == 0
        np.testing.assert_array_equal(x, y)
    for sweeps in (1, 2):
        z = np.full(len(b), np.nan)
        assert LIBRARY.sv_linear_precondition(handle.handle, order, 1.4, sweeps, address(b), address(z), 1) == 0
        np.testing.assert_array_equal(z, ssor(made, 1.4, ordering=ordering, sweeps=sweeps) @ b)
    out, norm = np.empty(len(b)), ctypes.c_double()
    assert LIBRARY.sv_linear_multiply(handle.handle, address(x), address(out), 1) == 0
    np.testing.assert_allclose(out, A @ x, atol=1e-12)
    r = np.empty(len(b))
    assert LIBRARY.sv_linear_residual(handle.handle, address(b), address(x), address(r), ctypes.addressof(norm), 1) == 0
    np.testing.assert_allclose(r, b - A @ x, atol=1e-12)
    assert np.isclose(norm.value, np.linalg.norm(r), rtol=1e-14)


# ---- how solves end ------------------------------------------------------------------------------


def test_limits_and_the_callback():
    A, b = PLANE
    handle, seen = Linear(A), []

    def stop(_, progress):
        seen.append((progress[0].nit, progress[0].measure, progress[0].x[5], progress[0].x_size))
        return progress[0].nit == 6

    mine = []

    def stop_too(state):
        mine.append((state.nit, state.measure, state.x[5], len(b)))
        return state.nit == 6

    expected = in_python(A, b, method="sor", callback=stop_too)
    assert_same(handle.solve(b, method="sor", control=Control(callback=CALLBACK(stop))), expected)
    assert expected.status is Status.CALLBACK_STOP
    assert seen == mine
    x0 = np.ones(len(b))
    for limit in ({"max_iter": 0}, {"max_iter": 5}, {"time_limit": 0.0}):
        assert_same(handle.solve(b, x0, control=Control(**limit)), in_python(A, b, x0, **limit))
    status, x, report = handle.solve(b * 0, x0)
    assert (status, report.nit, report.measure, x.any()) == (0, 0, 0.0, False)


def test_failures_return_the_best_point_kept():
    A, b = PLANE
    shifted = scipy.sparse.csr_array(A - 1.5 * scipy.sparse.eye_array(len(b)))
    for case in ({}, {"method": "cg"}, {"method": "jacobi", "omega": 1.5}, {"method": "sor", "omega": 1.9},
                 {"method": "chebyshev"}):  # fmt: skip
        found = Linear(shifted).solve(b, **case)
        assert_same(found, in_python(shifted, b, **case))
        assert found[0] >= 10
    large = b * 1e200
    assert_same(Linear(A).solve(large), in_python(A, large))
    skew = scipy.sparse.csr_array(A + scipy.sparse.diags_array([30.0], offsets=[1], shape=A.shape))
    for case in ({"method": "gauss-seidel"}, {"assume_symmetric": 1}):
        assert_same(Linear(skew).solve(b, **case), in_python(skew, b, **case))


def test_nothing_to_solve():
    handle, x = Linear(scipy.sparse.csr_array((0, 0))), np.empty(0)
    assert handle.status == 0
    assert LIBRARY.sv_linear_size(handle.handle) == 0
    assert handle.solve(x)[0] == 0
    assert LIBRARY.sv_linear_sweep(handle.handle, 1, 0, 1.0, 1, address(x), address(x), 1) == 0


# ---- threads -------------------------------------------------------------------------------------


def test_handles_in_two_threads():
    A, b = PLANE
    expected = in_python(A, b, method="sor", omega=1.8)
    found = []

    def work():
        handle = Linear(A)
        found.extend(handle.solve(b, method="sor", omega=1.8) for _ in range(3))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    for one in found:
        assert_same(one, expected)


def test_a_handle_in_two_threads_is_refused():
    A, b = PLANE
    handle, statuses = Linear(A), []

    def other():
        x = np.ones(len(b))
        call = LIBRARY.sv_linear_sweep(handle.handle, 1, 0, 1.0, 1, address(b), address(x), 1)
        statuses.append((call, handle.solve(b)[0], LIBRARY.sv_linear_update(handle.handle, address(A.data))))
        assert (x == 1).all()

    def callback(_, __):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return 1

    assert handle.solve(b, method="sor", control=Control(callback=CALLBACK(callback)))[0] == Status.CALLBACK_STOP
    assert statuses == [(-4, -4, -4)]
    assert handle.solve(b)[0] == 0


# ---- bad input -----------------------------------------------------------------------------------


def created(n=3, entries=7, starts=(0, 2, 5, 7), columns=(0, 1, 0, 1, 2, 1, 2), values=(2, -1, -1, 2, -1, -1, 2.0)):
    """The status of making that matrix; nothing is made where it is refused."""
    handle = ctypes.c_void_p(1)
    arrays = [
        None if array is None else np.array(array, dtype)
        for array, dtype in ((starts, np.int32), (columns, np.int32), (values, np.float64))
    ]
    status = LIBRARY.sv_linear_from_csr_i32(n, entries, *map(address, arrays), ctypes.byref(handle))
    assert status == 0 or not handle.value
    LIBRARY.sv_linear_destroy(handle)
    return status


def test_matrices_that_are_refused():
    assert created() == 0
    huge = 2**64 - 1
    for word, status, bad in (
        ("row_starts", -1, {"starts": None}), ("columns", -1, {"columns": None}), ("values", -1, {"values": None}),
        ("n", -2, {"n": huge}), ("n", -2, {"n": 2**60}), ("entries", -2, {"entries": 2**61}),
        ("n and entries", -1, {"n": 2**33, "entries": 2**34}), ("entries", -1, {"entries": 2}),
        ("row_starts", -1, {"entries": 8}), ("row_starts", -1, {"starts": (0, 5, 2, 7)}),
        ("row_starts", -1, {"starts": (0, 99, 5, 7)}), ("row_starts", -1, {"starts": (1, 2, 5, 7)}),
        ("columns", -1, {"columns": (0, 1, 0, 1, 3, 1, 2)}), ("columns", -1, {"columns": (0, -1, 0, 1, 2, 1, 2)}),
        ("columns", -1, {"columns": (0, 1, 0, 1, 2, 0, 1)}),
        ("values", -1, {"values": (0, -1, -1, 2, -1, -1, 2.0)}),
        ("values", -1, {"values": (1e-310, -1, -1, 2, -1, -1, 2.0)}),
        ("values", -1, {"values": (2, np.nan, -1, 2, -1, -1, 2.0)}),
        ("values", -1, {"values": (2, -1, -1, np.inf, -1, -1, 2.0)}),
    ):  # fmt: skip
        assert created(**bad) == status, bad
        assert last_error().startswith(word), (last_error(), bad)
    assert LIBRARY.sv_linear_from_csr_i32(0, 0, None, None, None, None) == -1
    LIBRARY.sv_linear_destroy(None)


def test_calls_that_are_refused():
    A, b = PLANE
    handle, x = Linear(A), np.full(len(b), 0.5)
    solve, pb, px = LIBRARY.sv_linear_solve, address(b), address(x)
    assert solve(None, pb, px, None, None, None) == -1
    assert solve(handle.handle, None, px, None, None, None) == -1
    assert solve(handle.handle, pb, None, None, None, None) == -1
    for name, value in (
        ("method", 6), ("method", -1), ("ordering", 7), ("ordering", -1), ("direction", 3), ("preconditioner", 4),
        ("omega", 2.0), ("omega", -1.0), ("omega", np.nan), ("check_every", 0), ("rtol", -1.0), ("rtol", np.nan),
        ("atol", np.inf), ("low", np.nan),
    ):  # fmt: skip
        options = Options()
        setattr(options, name, value)
        assert solve(handle.handle, pb, px, ctypes.addressof(options), None, None) == -1, name
        assert last_error().startswith(f"options->{name}"), last_error()
    options = Options(rtol=0.0)
    assert solve(handle.handle, pb, px, ctypes.addressof(options), None, None) == -1
    for struct in (Options(), Control()):
        struct.struct_size = 4
        given = (ctypes.addressof(struct), None) if isinstance(struct, Options) else (None, ctypes.addressof(struct))
        assert solve(handle.handle, pb, px, *given, None) == -3
    for bad in (np.nan, np.inf):
        wrong = b.copy()
        wrong[9] = bad
        assert solve(handle.handle, address(wrong), px, None, None, None) == -1
        assert last_error().startswith("b[9]")
        assert solve(handle.handle, pb, address(wrong), None, None, None) == -1
        assert last_error().startswith("x[9]")
    assert (x == 0.5).all()
    skew = Linear(A + scipy.sparse.diags_array([0.1], offsets=[1], shape=A.shape))
    negative = Linear(-A)
    for refused in (skew, negative):
        for case in ({}, {"method": "cg"}, {"method": "chebyshev"}, {"method": "sor", "omega": "young"}):
            assert refused.solve(b, **case)[0] == -1
            assert last_error().startswith("A is not")
    triangle = Linear(np.ones((3, 3)) + 3 * np.eye(3))
    assert triangle.solve(np.ones(3), ordering="redblack")[0] == -1
    assert last_error().startswith("ordering")
    sweep = LIBRARY.sv_linear_sweep
    assert sweep(None, 1, 0, 1.0, 1, pb, px, 1) == sweep(handle.handle, 9, 0, 1.0, 1, pb, px, 1) == -1
    assert sweep(handle.handle, 1, 3, 1.0, 1, pb, px, 1) == sweep(handle.handle, 1, 0, 2.0, 1, pb, px, 1) == -1
    assert sweep(handle.handle, 1, 0, 1.0, -1, pb, px, 1) == sweep(handle.handle, 1, 0, 1.0, 1, None, px, 1) == -1
    assert LIBRARY.sv_linear_precondition(handle.handle, 1, 1.0, 0, pb, px, 1) == -1
    assert (x == 0.5).all()
