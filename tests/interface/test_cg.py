"""Conjugate gradients by reverse communication: hosts with a matrix, or processes, of their own."""

import ctypes

import numpy as np
import pytest
import scipy.sparse
from library import CALLBACK, DOUBLES, LIBRARY, Control, Report, last_error
from linear import address, poisson

import solvers
from solvers import Status

VOID, SIZE, INT, DOUBLE = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_double
APPLY = ctypes.CFUNCTYPE(INT, VOID, DOUBLES, DOUBLES)
REDUCE = ctypes.CFUNCTYPE(INT, VOID, INT, ctypes.POINTER(DOUBLES), ctypes.POINTER(DOUBLES), DOUBLES)
DONE, PRODUCT, PRECONDITIONER, SUMS = range(4)


class Options(ctypes.Structure):
    """sv_cg_options."""

    _fields_ = (
        ("struct_size", SIZE), ("rtol", DOUBLE), ("atol", DOUBLE), ("preconditioned", INT), ("size", SIZE),
    )  # fmt: skip

    def __init__(self, rtol=1e-8, atol=0.0, preconditioned=0, size=0):
        super().__init__(ctypes.sizeof(Options), rtol, atol, preconditioned, size)


class Request(ctypes.Structure):
    """sv_cg_request."""

    _fields_ = (
        ("struct_size", SIZE), ("source", DOUBLES), ("to", DOUBLES), ("sums", DOUBLES), ("count", INT),
        ("x", DOUBLES * 3), ("y", DOUBLES * 3),
    )  # fmt: skip

    def __init__(self):
        super().__init__(ctypes.sizeof(Request))


LIBRARY.sv_cg_create.argtypes = [SIZE, *[VOID] * 5]
LIBRARY.sv_cg_step.argtypes = [VOID, VOID]
LIBRARY.sv_cg_answer.argtypes = [VOID] * 3
LIBRARY.sv_cg_destroy.argtypes = [VOID]
LIBRARY.sv_cg_solve.argtypes = [SIZE, VOID, VOID, APPLY, APPLY, REDUCE, *[VOID] * 4]

A, B = poisson(24, 17)
DIAGONAL = np.linspace(1, 30, len(B))
SCALED = scipy.sparse.csr_array(A * np.sqrt(np.outer(DIAGONAL, DIAGONAL)))


def view(pointer, length):
    return np.ctypeslib.as_array(pointer, (length,))


class Host:
    """A process with some of the rows."""

    def __init__(self, b, x0, options, control):
        self.n, self.cg, self.request = len(b), VOID(), Request()
        given = LIBRARY.sv_cg_create(
            len(b), address(b), address(x0), ctypes.addressof(options), ctypes.addressof(control), ctypes.byref(self.cg)
        )
        assert given == 0

    def step(self):
        return LIBRARY.sv_cg_step(self.cg, ctypes.addressof(self.request))

    def answer(self):
        x, report = np.empty(self.n), Report()
        status = LIBRARY.sv_cg_answer(self.cg, address(x), ctypes.addressof(report))
        LIBRARY.sv_cg_destroy(self.cg)
        return status, x, report


def in_parts(matrix, b, parts, weights=None, x0=None, own_dot=False, controls=None, **options):
    """(status, x, report) of each of the parts of the rows that step side by side; what they ask for, counted."""
    x0 = np.zeros(len(b)) if x0 is None else x0
    given = Options(preconditioned=weights is not None, size=len(b), **options)
    rows = np.array_split(np.arange(len(b)), parts)
    controls = controls or [Control()] * parts
    hosts = [Host(b[own].copy(), x0[own].copy(), given, control) for own, control in zip(rows, controls, strict=True)]
    asked = []
    while True:
        needs = {host.step() for host in hosts}
        assert len(needs) == 1
        asked.append(need := needs.pop())
        if need == DONE:
            break
        requests = [host.request for host in hosts]
        if need == SUMS:
            count = {request.count for request in requests}.pop()
            if own_dot:
                for request, own in zip(requests, rows, strict=True):
                    for k in range(count):
                        if request.x[k]:
                            request.sums[k] = view(request.x[k], len(own)) @ view(request.y[k], len(own))
            sums = sum(view(request.sums, count).copy() for request in requests)
            for request in requests:
                view(request.sums, count)[:] = sums
            continue
        whole = np.concatenate([view(r.source, len(own)) for r, own in zip(requests, rows, strict=True)])
        image = matrix @ whole if need == PRODUCT else weights * whole
        for request, own in zip(requests, rows, strict=True):
            view(request.to, len(own))[:] = image[own]
    found = [host.answer() for host in hosts]
    return found, np.concatenate([x for _, x, _ in found]), asked


@pytest.mark.parametrize("weights", [None, 1 / SCALED.diagonal()], ids=["plain", "preconditioned"])
def test_parts_make_the_iterations_of_the_whole(weights):
    rng = np.random.default_rng(5)
    x0 = rng.normal(size=len(B))
    expected = solvers.linalg.solve(
        SCALED, B, x0=x0, method="cg", M=None if weights is None else "jacobi", rtol=1e-10, assume_symmetric=True
    )
    for parts, own_dot in ((1, False), (2, False), (2, True), (3, False)):
        found, x, asked = in_parts(SCALED, B, parts, weights, x0, own_dot, rtol=1e-10)
        for status, _, report in found:
            assert (status, report.status, report.nit) == (0, 0, expected.nit)
            assert np.isclose(report.measure, np.linalg.norm(B - SCALED @ x), rtol=1e-3)
        np.testing.assert_allclose(x, expected.x, atol=1e-9 * np.abs(expected.x).max())
        # one for each iteration, for the start, and to verify; two reductions an iteration
        assert asked.count(PRODUCT) <= expected.nit + 3
        assert asked.count(SUMS) <= 2 * expected.nit + 6


def solve_in_one_call(matrix, b, *, precondition=None, product=None, reduce=None, control=None, x0=None):
    x, report, control = np.zeros(len(b)) if x0 is None else x0.copy(), Report(), control or Control()

    def multiply(_, given, out):
        view(out, len(b))[:] = matrix @ view(given, len(b))
        return 0

    status = LIBRARY.sv_cg_solve(
        len(b), address(b), address(x), APPLY(product or multiply), precondition or APPLY(), reduce or REDUCE(), None,
        None, ctypes.addressof(control), ctypes.addressof(report),
    )  # fmt: skip
    return status, x, report


def test_one_call_is_the_same():
    def divide(_, given, out):
        view(out, len(B))[:] = view(given, len(B)) * (1 / SCALED.diagonal())
        return 0

    for precondition, weights in ((None, None), (APPLY(divide), 1 / SCALED.diagonal())):
        found, x, _ = in_parts(SCALED, B, 1, weights)
        status, again, report = solve_in_one_call(SCALED, B, precondition=precondition)
        assert (status, report.nit, report.measure) == (0, found[0][2].nit, found[0][2].measure)
        np.testing.assert_array_equal(x, again)
    sums = []

    def reduce(_, count, x, y, values):
        sums.append(count)
        return 0

    assert solve_in_one_call(A, B, reduce=REDUCE(reduce))[0] == 0
    assert set(sums) == {1, 2}


def test_how_it_ends():
    x0 = np.ones(len(B))
    status, x, report = solve_in_one_call(A, 0 * B, x0=x0)
    assert (status, report.nit, report.measure, x.any()) == (0, 0, 0.0, False)
    assert solve_in_one_call(A, B, control=Control(max_iter=0), x0=x0)[0] == Status.MAX_ITER
    status, x, report = solve_in_one_call(A, B, control=Control(max_iter=4))
    expected = solvers.linalg.solve(A, B, method="cg", max_iter=4)
    assert (status, report.nit) == (Status.MAX_ITER, 4)
    assert np.isclose(report.measure, expected.measure, rtol=1e-10)
    assert solve_in_one_call(A, B, control=Control(time_limit=0.0))[0] == Status.TIME_LIMIT
    seen = []

    def callback(_, progress):
        seen.append(progress[0].nit)
        return progress[0].nit == 3

    status, x, report = solve_in_one_call(A, B, control=Control(callback=CALLBACK(callback)))
    assert (status, report.nit, seen) == (Status.CALLBACK_STOP, 3, [1, 2, 3])
    np.testing.assert_allclose(report.measure, np.linalg.norm(B - A @ x), rtol=1e-12)
    for matrix, ending in ((A - 1.5 * scipy.sparse.eye_array(len(B)), Status.NOT_SPD), (np.nan * A, Status.NONFINITE)):
        status, x, report = solve_in_one_call(matrix, B)
        assert status == ending
        assert np.isfinite(x).all()
    loose = A.copy()
    loose.data[7] *= 1.5  # not symmetric: whatever happens, no success that is none
    status, x, report = solve_in_one_call(loose, B)
    assert (status == 0) == (np.linalg.norm(B - loose @ x) <= 1e-8 * np.linalg.norm(B) * (1 + 1e-9))


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e-158, 1e-125, 1e160, 1e250])
@pytest.mark.parametrize("parts", [1, 3])
def test_right_hand_sides_whose_squares_leave_the_floats(scale, parts):
    start = np.ones(len(B))
    for x0 in (np.zeros(len(B)), scale * start, start):
        found, x, _ = in_parts(A, B * scale, parts, x0=x0)
        # what vanishes beside the smallest numbers may be more than was asked for
        slack = 1e-8 * np.linalg.norm(B) + 8 * np.sqrt(len(B)) * 5e-324 / scale
        left = np.linalg.norm((B * scale) / scale - A @ (x / scale))
        for status, _, report in found:
            assert status in (0, Status.STAGNATION) if scale < 1e-300 else status == 0
            assert report.nit > 0
            assert report.measure <= 1e-8 * scale * np.linalg.norm(B) or status
        assert left <= slack * 2


def test_the_callback_sees_such_an_iterate_in_the_unit_of_the_host():
    seen = []

    def callback(_, progress):
        seen.append((view(progress[0].x, len(B)).copy(), progress[0].measure))
        return len(seen) == 4

    control = Control(callback=CALLBACK(callback))
    status, x, report = solve_in_one_call(A, B * 1e-200, control=control)
    usual = solve_in_one_call(A, B, control=Control(max_iter=4))
    assert status == Status.CALLBACK_STOP
    np.testing.assert_allclose(x, usual[1] * 1e-200, rtol=1e-6)
    np.testing.assert_allclose(seen[-1][0], x)
    assert np.isclose(seen[-1][1], report.measure, rtol=1e-9)
    assert np.isclose(report.measure, usual[2].measure * 1e-200)

    def product(_, given, out):
        return 1

    assert np.array_equal(solve_in_one_call(A, B * 1e-200, product=product, x0=x)[1], x)


def test_one_process_that_stops_stops_all():
    def stop(_, progress):
        return progress[0].nit == 5

    found, *_ = in_parts(A, B, 2, controls=[Control(), Control(callback=CALLBACK(stop))])
    assert [(status, report.nit) for status, _, report in found] == [(Status.CALLBACK_STOP, 5)] * 2
    assert found[0][2].measure == found[1][2].measure
    found, *_ = in_parts(A, B, 2, controls=[Control(time_limit=0.0), Control()])
    assert [status for status, _, _ in found] == [Status.TIME_LIMIT] * 2


def test_functions_that_stop():
    calls = []

    def product(_, given, out):
        view(out, len(B))[:] = A @ view(given, len(B))
        calls.append(1)
        return len(calls) == 5

    status, x, report = solve_in_one_call(A, B, product=product)
    assert (status, report.status) == (Status.CALLBACK_STOP, Status.CALLBACK_STOP)
    assert np.isnan(report.measure)
    assert np.isfinite(x).all()


def test_calls_that_are_refused():
    n, x, made = len(B), np.zeros(len(B)), VOID(1)
    create, pb, px, at = LIBRARY.sv_cg_create, address(B), address(x), ctypes.byref(made)
    assert create(n, pb, px, None, None, None) == -1
    assert create(n, None, px, None, None, at) == create(n, pb, None, None, None, at) == -1
    for size in (2**64 - 1, 2**60):
        assert create(size, pb, px, None, None, at) == -2
        assert last_error().startswith("n")
    for options in (Options(rtol=-1.0), Options(rtol=np.nan), Options(atol=np.inf), Options(rtol=0.0)):
        assert create(n, pb, px, ctypes.addressof(options), None, at) == -1
        assert last_error().startswith("options->")
    wrong = np.full(n, np.nan)
    assert create(n, address(wrong), px, None, None, at) == create(n, pb, address(wrong), None, None, at) == -1
    small = Options()
    small.struct_size = 3
    assert create(n, pb, px, ctypes.addressof(small), None, at) == -3
    assert not made.value
    assert create(n, pb, px, None, None, at) == 0
    request = Request()
    assert LIBRARY.sv_cg_answer(made, px, None) == LIBRARY.sv_cg_step(made, None) == -1
    assert LIBRARY.sv_cg_step(None, ctypes.addressof(request)) == -1
    request.struct_size = 8
    assert LIBRARY.sv_cg_step(made, ctypes.addressof(request)) == -3
    LIBRARY.sv_cg_destroy(made)
    LIBRARY.sv_cg_destroy(None)
    assert LIBRARY.sv_cg_solve(n, pb, px, APPLY(), APPLY(), REDUCE(), None, None, None, None) == -1
    assert not x.any()
