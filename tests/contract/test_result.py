"""What every method returns, and what it leaves alone."""

import gc
import pickle
from dataclasses import asdict

import numpy as np
import pytest
from cases import make

import solvers
from solvers import SolveResult, Status


def test_fields_and_types(solve, method):
    result = solve()
    assert isinstance(result, SolveResult)
    assert isinstance(result.status, Status)
    assert result.success is True
    assert result.status is Status.CONVERGED
    assert result.message.startswith(Status.CONVERGED.sentence)
    assert type(result.nit) is int
    assert type(result.measure) is float
    assert result.method == method.name
    assert set(result.options) == {o.name for o in method.options}
    assert {"seconds", "threads", "isa", "copies"} <= set(result.stats)
    assert set(result.history) == {"nit", "measure", "seconds"}
    assert len({len(column) for column in result.history.values()}) == 1
    # a step may be many iterations
    nit = result.history["nit"].tolist()
    assert (nit[0], nit[-1]) == (0, result.nit)
    assert nit == sorted(set(nit))
    assert result["x"] is result.x
    assert "measure" in result
    assert "measure" in repr(result)
    with pytest.raises(KeyError):
        result["no_such_field"]
    with pytest.raises(AttributeError):
        result.nit = 3


def test_success_is_the_recomputed_measure(case, method, capability, seed):
    case = make(method, capability, seed)
    for tol in (1e-3, 1e-6, 1e-11):
        result = case.solve(case.inputs, method=method.name, tol=tol)
        assert result.success
        assert case.measure(case.inputs, case.answer(result)) <= tol * (1 + 1e-6) + 1e-15


def test_no_success_above_the_tolerance(solve, case):
    result = solve(tol=1e-11, max_iter=2)
    assert not result.success
    assert case.measure(case.inputs, case.answer(result)) == pytest.approx(result.measure, rel=1e-6)
    with pytest.raises(solvers.SolveError) as caught:
        result.raise_for_status()
    assert caught.value.result is result


def test_rounding_is_no_success(solve, case):
    """A tolerance below what float64 can reach ends in an honest status, long before max_iter."""
    result = solve(tol=1e-30, max_iter=100_000)
    exact = result.measure == 0  # whole numbers can be met without any error: that is no rounding
    assert result.status is (Status.CONVERGED if exact else Status.STAGNATION)
    assert result.success == exact
    assert case.measure(case.inputs, case.answer(result)) < 1e-11
    assert result.nit < 10_000
    assert result.measure < 1e-11


def test_inputs_untouched(case, solve):
    frozen = {name: array.copy() for name, array in case.inputs.items()}
    for array in frozen.values():
        array.flags.writeable = False
    result = solve(frozen)
    for name, array in case.inputs.items():
        np.testing.assert_array_equal(frozen[name], array)
    np.testing.assert_array_equal(case.answer(result), case.answer(solve()))


LAYOUTS = {
    "fortran": lambda a: np.asfortranarray(a),
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: a[::-1].copy()[::-1],
    "byteswapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "float32": lambda a: a.astype(np.float32),
    "longdouble": lambda a: a.astype(np.longdouble),
    "list": lambda a: a.tolist(),
}


def test_layouts_give_the_same_answer(case, solve):
    reference = case.answer(solve(tol=1e-11))
    for layout, changed in LAYOUTS.items():
        result = solve({name: changed(array) for name, array in case.inputs.items()}, tol=1e-11)
        assert result.success, layout
        np.testing.assert_allclose(case.answer(result), reference, rtol=1e-9, atol=1e-14, err_msg=layout)


def test_integers_give_the_same_answer(case, solve):
    reference = case.answer(solve(tol=1e-11))
    for dtype in (np.int64, np.int8, np.uint16, np.float16):
        whole = {name: a.astype(dtype) if (a == np.rint(a)).all() else a for name, a in case.inputs.items()}
        assert any(a.dtype == dtype for a in whole.values())
        answer = case.answer(solve(whole, tol=1e-11))
        np.testing.assert_allclose(answer, reference, rtol=1e-9, err_msg=str(dtype))


def test_no_copy_of_what_fits(solve):
    assert solve().stats["copies"] == 0


def test_memory_goes_back_with_the_result(solve):
    """Nothing waits for the search of reference cycles, which may come after many more solves of its size."""
    solve()
    gc.collect()
    gc.disable()
    try:
        solve()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_pickles(case, solve):
    result = solve()
    again = pickle.loads(pickle.dumps(result))
    assert type(again) is type(result)
    assert (again.nit, again.measure, again.status) == (result.nit, result.measure, result.status)
    np.testing.assert_array_equal(case.answer(again), case.answer(result))
    for name, value in asdict(result.state).items():
        np.testing.assert_array_equal(getattr(again.state, name), value)
