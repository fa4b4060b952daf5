"""Validation, random numbers, threads, configuration, the command line, and what an import costs others."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import solvers
from solvers._base import config, threads
from solvers._base.errors import OptionError
from solvers._base.options import build, option
from solvers._base.rng import as_generator
from solvers._base.state import replace
from solvers._base.validate import check_finite, integer, nonnegative, positive, real_array


def python(script, **environment):
    """The output of a script in a fresh process."""
    run = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


# ---- arrays and numbers ------------------------------------------------------------------------


def test_real_array_copies_only_what_must_be():
    array = np.ones((2, 3))
    assert real_array(array, "a") is array
    single = array.astype(np.float32)
    assert real_array(single, "a", keep_float32=True) is single
    assert real_array(single, "a").dtype == np.float64
    assert real_array([1.0], "a", keep_float32=True).dtype == np.float64
    for dtype in (bool, np.int8, np.uint64, np.float16, np.longdouble, ">f8"):
        converted = real_array(array.astype(dtype), "a")
        assert converted.dtype == np.float64
        assert converted.dtype.isnative
    for wrong in (array * 1j, ["a"], [None], [object()]):
        with pytest.raises(TypeError, match="a must be real numbers"):
            real_array(wrong, "a")
    for wrong in (np.ones(3), [1.0, 2.0, 3.0]):
        with pytest.raises(ValueError, match=r"a must have 2 dimensions, not shape \(3,\)"):
            real_array(wrong, "a", ndim=2)
    with pytest.raises(TypeError, match="a is a masked array"):
        real_array(np.ma.array([1.0, 2.0], mask=[True, False]), "a")
    with pytest.raises(ValueError, match="a is no array of numbers"):
        real_array([[1.0], [1.0, 2.0]], "a")


def test_check_finite_names_the_first():
    check_finite(np.array([]), "a")
    check_finite(np.full(10, 1e308), "a")  # the sum overflows, the entries do not
    with pytest.raises(ValueError, match=r"a must be finite; a\[3\] is nan"):
        check_finite(np.array([0, 1, 2, np.nan, np.inf]), "a")
    with pytest.raises(ValueError, match=r"a\[\(1, 0\)\] is -inf"):
        check_finite(np.array([[0, 1], [-np.inf, np.inf]]), "a")


def test_positive():
    assert positive(np.float32(0.5), "reg") == 0.5
    for value in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="reg must be positive"):
            positive(value, "reg")
    assert nonnegative(0, "lam") == 0
    for value in (-1e-300, np.nan, np.inf):
        with pytest.raises(ValueError, match="lam must be finite and >= 0"):
            nonnegative(value, "lam")
    for value in ("much", "0.5", b"1", None, [1, 2], 1j):
        for check in (positive, nonnegative):
            with pytest.raises(TypeError, match="reg must be a number"):
                check(value, "reg")


def test_integer():
    for value in (3, np.int8(3), np.uint64(3)):
        assert type(integer(value, "n", 3)) is int
    for value in (2, True, 3.0, "3", None, np.bool_(True)):
        with pytest.raises(ValueError, match="n must be an integer >= 3"):
            integer(value, "n", 3)


def test_rng():
    generator = np.random.default_rng(5)
    assert as_generator(generator) is generator
    assert as_generator(17).random() == as_generator(np.int64(17)).random()
    assert as_generator(np.random.SeedSequence(9)).random() == as_generator(9).random()
    with pytest.raises(TypeError, match="default_rng"):
        as_generator(np.random.RandomState(5))
    for wrong in ("x", 1.5, True):
        with pytest.raises(TypeError, match="rng must be"):
            as_generator(wrong)
    for negative in (-1, np.int64(-5)):
        with pytest.raises(ValueError, match="rng must not be negative"):
            as_generator(negative)


# ---- threads and levels ------------------------------------------------------------------------


def test_threads():
    assert threads.resolve(3) == threads.resolve(np.int64(3)) == 3
    assert threads.resolve(None) >= 1
    for wrong in (0, -1, 1.5, True, "2"):
        with pytest.raises(ValueError, match="threads must be"):
            threads.resolve(wrong)


THREADS = "import solvers; print(solvers.show_config()['threads'])"


def test_threads_from_the_environment():
    assert python(THREADS, SOLVERS_NUM_THREADS="3", OMP_NUM_THREADS="5") == "3"
    assert python(THREADS, SOLVERS_NUM_THREADS="", OMP_NUM_THREADS="5") == "5"
    cores = str(min(len(os.sched_getaffinity(0)), 8))
    for nonsense in ("", "0", "-2", "many"):
        assert python(THREADS, SOLVERS_NUM_THREADS=nonsense, OMP_NUM_THREADS="") == cores


ISA = "import solvers; print(solvers.show_config()['isa'])"


def test_level_from_the_environment():
    available = solvers.show_config()["isa_available"]
    assert python(ISA, SOLVERS_ISA="baseline") == "baseline"
    assert python(ISA, SOLVERS_ISA="avx512") == available
    assert python(ISA, SOLVERS_ISA="") == available


def test_unknown_level_warns_and_caps_nothing():
    script = "import warnings; warnings.simplefilter('error'); import solvers; solvers.show_config()"
    run = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, env={**os.environ, "SOLVERS_ISA": "avx9"}
    )
    assert "SOLVERS_ISA='avx9' is none of baseline, avx2, avx512" in run.stderr


# ---- the process that imports us ---------------------------------------------------------------

SUBNORMAL = """
import threading
import numpy as np
def subnormals_live():
    for dtype in (np.float32, np.float64):
        half = np.finfo(dtype).smallest_normal / dtype(2)
        assert half > 0 and (np.array([half]) * dtype(1)).max() > 0
import solvers
from solvers import special, ot
subnormals_live()
special.softmax(np.zeros((64, 4096)), axis=1, threads=4)
ot.solve(np.random.default_rng(3).random((300, 300)), reg=0.1, threads=4)
subnormals_live()
failed = []
def run():
    try:
        subnormals_live()
    except AssertionError:
        failed.append(1)
thread = threading.Thread(target=run)
thread.start()
thread.join()
assert not failed
"""


def test_subnormals_survive_us():
    python(SUBNORMAL)


def test_import_is_light():
    heavy = ("scipy.optimize", "scipy.sparse.linalg", "numba", "sklearn", "matplotlib", "ot", "torch", "jinja2")
    loaded = json.loads(python("import json, sys, solvers; print(json.dumps(sorted(sys.modules)))"))
    assert not set(heavy) & set(loaded)
    assert "solvers.ot" not in loaded
    loaded = json.loads(python("import json, sys, solvers.ot, solvers.special; print(json.dumps(sorted(sys.modules)))"))
    assert not set(heavy) & set(loaded)


def test_names():
    assert set(solvers.__all__) <= set(dir(solvers))
    for name in dir(solvers):
        assert getattr(solvers, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        solvers.nonsense  # noqa: B018


def test_adapters_are_loaded_when_they_are_used():
    assert callable(solvers.integrations.scipy.gala)
    folder = Path(solvers.integrations.__file__).parent
    found = {path.stem for path in folder.iterdir() if not path.name.startswith("_")}
    assert set(dir(solvers.integrations)) == found
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        solvers.integrations.nonsense  # noqa: B018


def test_version_is_one():
    assert solvers.__version__ == solvers.show_config()["version"]


# ---- the command line --------------------------------------------------------------------------


def command(*arguments):
    return subprocess.run([sys.executable, "-P", "-m", "solvers", *arguments], capture_output=True, text=True)


def test_methods_command():
    listed = command("methods").stdout
    for method in solvers.methods():
        assert f"{method.family}.{method.name}: {method.summary}" in listed
        for each in method.options:
            assert each.text in listed


def test_config_command():
    assert json.loads(command("config").stdout) == solvers.show_config()


def test_a_header_that_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "__file__", str(tmp_path / "solvers" / "_base" / "config.py"))
    with pytest.raises(FileNotFoundError, match=r"there is no solvers\.h"):
        solvers.get_include()


def test_unknown_command():
    assert command("nonsense").returncode == 2


def test_a_reader_that_has_enough():
    words = [sys.executable, "-P", "-m", "solvers", "methods"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        run.stdout.close()  # before anything is written
        assert run.stderr.read() == b""
    assert run.returncode == 0


# ---- options -------------------------------------------------------------------------------------


def test_equal_options_build_one_solver_but_not_those_of_another_type():
    @dataclasses.dataclass(frozen=True)
    class Solver:
        steps: int = option(1, "steps", low=0)
        weight: float = option(1.0, "weight")

    assert build(Solver, "m", {"steps": 2, "weight": 0.5}) is build(Solver, "m", {"steps": 2, "weight": 0.5})
    assert build(Solver, "m", {"steps": 1}).steps == 1
    for _ in range(2):  # what is wrong is not remembered as right
        for wrong in ({"steps": True}, {"steps": 1.0}, {"stepz": 1}):
            with pytest.raises(OptionError):
                build(Solver, "m", wrong)
    assert type(build(Solver, "m", {"weight": 1}).weight) is float
    assert build(Solver, "m", {"weight": np.float64(0.25)}).weight == 0.25


def test_what_is_no_option():
    @dataclasses.dataclass(frozen=True)
    class Solver:
        weight: float = option(1.0, "weight")
        most: float = option(1.0, "most", high=9.0)
        quick: bool = option(False, "quick")

    assert build(Solver, "m", {"quick": np.True_}).quick is True
    for name in ("weight", "most"):
        with pytest.raises(OptionError, match=f"option '{name}' must be .*, not nan"):
            build(Solver, "m", {name: float("nan")})
    for wrong in ("quick", ["quick"], {("quick",)}, 7):
        with pytest.raises(OptionError, match="options must map names to values"):
            build(Solver, "m", wrong)
    with pytest.raises(OptionError, match="no option 3"):
        build(Solver, "m", {3: 1})


# ---- states --------------------------------------------------------------------------------------


def test_a_state_is_replaced_like_any_dataclass():
    state = solvers.ot.solve([[0.0, 1.0], [1.0, 0.0]], reg=0.5, method="sinkhorn").state
    new, expected = replace(state, nit=7), dataclasses.replace(state, nit=7)
    assert type(new) is type(expected)
    assert new.__dict__ == expected.__dict__
    assert state.nit != 7
    with pytest.raises(TypeError, match="no field 'steps'"):
        replace(state, steps=7)
