"""Limits, callbacks, options, resuming: the loop around every method."""

import sys
import time
from dataclasses import asdict, fields

import numpy as np
import pytest

from solvers import MethodError, OptionError, Status
from solvers._base import iterate
from solvers._base.options import build

# ---- limits ------------------------------------------------------------------------------------


def test_max_iter_zero(solve):
    result = solve(max_iter=0)
    assert (result.status, result.nit, result.success) == (Status.MAX_ITER, 0, False)
    assert np.isfinite(result.measure)


def test_max_iter_is_kept(solve):
    result = solve(max_iter=3, tol=1e-13)
    assert (result.status, result.nit) == (Status.MAX_ITER, 3)


def test_already_solved(case, solve):
    first = solve(tol=1e-12)
    again = solve(tol=1e-9, **case.start_at(first))
    assert again.success
    assert again.nit == 0


def test_no_time(solve):
    result = solve(time_limit=0)
    assert (result.status, result.nit) == (Status.TIME_LIMIT, 0)


def test_time_limit(solve):
    solve(max_iter=1)  # a first call imports and sets up more
    result = solve(tol=1e-30, time_limit=0.2, callback=lambda r: time.sleep(0.05))
    assert result.status is Status.TIME_LIMIT
    assert 1 <= result.nit <= 6


BAD_KEYWORDS = (
    ("max_iter", -1), ("max_iter", 2.5), ("time_limit", -1), ("time_limit", "1 s"), ("time_limit", float("nan")),
    ("callback", 3), ("verbose", 7), ("tol", 0), ("tol", float("nan")), ("tol", "1e-3"), ("options", "omega"),
    ("threads", 0), ("threads", 1.5), ("rng", "seed"), ("rng", np.random.RandomState(3)),
)  # fmt: skip


def test_bad_common_keywords(solve):
    for keyword, value in BAD_KEYWORDS:
        with pytest.raises((ValueError, TypeError), match=keyword):
            solve(**{keyword: value})


# ---- callback ----------------------------------------------------------------------------------


def test_callback_sees_every_step(solve):
    seen = []
    result = solve(callback=lambda r: seen.append((r.nit, r.measure, r.stats["seconds"])))
    assert [s[0] for s in seen] == list(range(1, result.nit + 1))
    assert result.history["nit"].tolist() == list(range(result.nit + 1))
    assert [s[1] for s in seen] == result.history["measure"][1:].tolist()
    assert [s[2] for s in seen] == sorted(s[2] for s in seen)


def test_callback_sees_the_answer_of_its_step(case, solve):
    """The x of step k is that of a run of k steps."""
    answers = []
    solve(callback=lambda r: answers.append(case.answer(r)))
    np.testing.assert_array_equal(answers[2], case.answer(solve(max_iter=3)))


@pytest.mark.parametrize("answer", [True, np.True_, StopIteration], ids=["true", "numpy's true", "stop-iteration"])
def test_callback_stops(solve, answer):
    def callback(result):
        if result.nit == 2:
            if answer is StopIteration:
                raise StopIteration
            return answer
        return None

    result = solve(callback=callback, tol=1e-13)
    assert (result.status, result.nit, result.success) == (Status.CALLBACK_STOP, 2, False)


def test_callback_exceptions_propagate(solve):
    class MyError(Exception):
        pass

    def callback(result):
        raise MyError("mine")

    with pytest.raises(MyError, match="mine"):
        solve(callback=callback)


def test_verbose(solve, capsys, method):
    solve(verbose=0)
    assert capsys.readouterr().out == ""
    result = solve(verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{method.name}: ")
    assert len(lines) == result.nit + 1 + 3  # every step, and a title, a head and a close
    assert "CONVERGED" in lines[-1]
    assert len({len(line) for line in lines[1:-1]}) == 1


# ---- options -----------------------------------------------------------------------------------


def test_unknown_option(solve, method):
    for name in [o.name + "s" for o in method.options] or ["warmups"]:
        with pytest.raises(OptionError, match=name) as caught:
            solve(options={name: 1})
        if method.options:
            assert f"did you mean {name[:-1]!r}" in str(caught.value)
        assert isinstance(caught.value, TypeError)


def test_options_out_of_range(solve, method):
    for option in method.options:
        outside = [bound + step for bound, step in ((option.low, -1), (option.high, 1)) if bound is not None]
        for value in outside:
            with pytest.raises(OptionError, match=option.name) as caught:
                solve(options={option.name: option.type(value)})
            assert isinstance(caught.value, ValueError)
        with pytest.raises(OptionError, match=option.name):
            solve(options={option.name: "a word"})
        with pytest.raises(OptionError, match=option.name):
            solve(options={option.name: 1 if option.type is bool else True})


def test_defaults_are_in_range(method):
    for option in method.options:
        assert option.text
        assert option.check(option.default) == option.default


def test_unknown_method(case, method):
    with pytest.raises(MethodError, match=f"did you mean '{method.name}'"):
        case.solve(case.inputs, method=method.name + "x")


def test_no_method_says_what_it_chose(case):
    result = case.solve(case.inputs)
    assert f"Chose {result.method}" in result.message


# ---- state -------------------------------------------------------------------------------------


def saved_and_loaded(state, path):
    np.savez(path, **asdict(state))
    with np.load(path, allow_pickle=False) as loaded:
        values = {name: loaded[name] if loaded[name].ndim else loaded[name].item() for name in loaded}
    return type(state)(**values)


def test_resume_gives_the_same_bits(case, solve, tmp_path):
    whole = solve(tol=1e-11)
    for interrupted_at in {1, whole.nit // 2, whole.nit - 1}:
        part = solve(tol=1e-11, max_iter=interrupted_at)
        resumed = solve(tol=1e-11, resume=saved_and_loaded(part.state, tmp_path / "state.npz"))
        assert resumed.nit == whole.nit
        np.testing.assert_array_equal(case.answer(resumed), case.answer(whole))
        for field in fields(whole.state):
            np.testing.assert_array_equal(getattr(resumed.state, field.name), getattr(whole.state, field.name))


def test_resume_refuses_a_foreign_state(solve):
    with pytest.raises(OptionError, match="resume"):
        solve(resume={"u": 3})


def test_own_loop_gives_the_same_bits(case, solve, method, monkeypatch):
    """The four functions, called by hand, are the whole method; a step leaves the old state as it was."""
    result = solve(tol=1e-11)
    problems = []

    def spy(method, problem, *rest):
        problems.append(problem)
        return iterate.run(method, problem, *rest)

    for name, module in list(sys.modules.items()):  # every entry of the family
        if name.startswith(f"solvers.{method.family}.") and getattr(module, "run", None) is iterate.run:
            monkeypatch.setattr(module, "run", spy)
    solve(tol=1e-11, callback=lambda seen: None)  # plain calls may be made without the loop
    problem, solver = problems[0], build(method.solver, method.name, None)
    state = solver.init(problem)
    while solver.done(problem, state) is None:
        before = {k: np.copy(v) for k, v in asdict(state).items()}
        following = solver.step(problem, state)
        for name, value in before.items():
            np.testing.assert_array_equal(getattr(state, name), value)
        state = following
    finished = solver.finish(problem, state)
    assert finished.measure == result.measure
    np.testing.assert_array_equal(case.answer(finished), case.answer(result))
