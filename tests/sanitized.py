"""Build with AddressSanitizer and UndefinedBehaviorSanitizer and run the C and Python tests against that build.

The Python tests run in an environment of their own (.venv-asan): the editable install of .venv would win over
any path. tests/conftest.py asserts that the sanitized library is the one that was loaded.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

import solvers

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".venv-asan"
PYTHON = HOME / "bin" / "python"
BUILD = ROOT / "build" / "py-asan"
PATH = f"{HOME / 'bin'}:{os.environ['PATH']}"
# At -O1, with lines but no variables in the debug information, and without the three checks that AddressSanitizer
# makes where the memory is touched: the compilation would else take longer than the tests (a third so).
# (AddressSanitizer's own checks as calls save half of what the kernels take to compile, and cost the tests more.)
SANITIZE = ("-Db_sanitize=address,undefined", "-Db_lundef=false", "-Ddebug=false", "-Doptimization=1",
            "-Dc_args=-g1 -fno-sanitize=null,object-size,pointer-overflow")  # fmt: skip
TESTED = (
    "numpy",
    "scipy",
    "pytest",
    "pytest-xdist",
    "hypothesis",
    "mpmath",
    "threadpoolctl",
    "POT",
    "array-api-strict",
    "ml-dtypes",
    "tqdm",
    "pyamg",
    "regot",
    "matplotlib",
    "scikit-learn",
    "pandas",
)
# Without the tests of PyTorch and numba, which bring allocators, threads and code of their own, and of
# CVXPY and other hosts, which bring more packages than all others together.
EXAMPLE = "tests/base/test_readme.py::test_docstring_examples"
MISSING = ("integrations.cvxpy", "integrations.dask", "integrations.fipy", "integrations.mpi", "integrations.numba",
           "integrations.numba._grid", "integrations.numba._handles", "integrations.numba._library",
           "integrations.numba._softmax", "integrations.torch", "linalg._training", "linalg._training_corrections",
           "linalg._training_hierarchy", "testing.cutest_problems")  # fmt: skip
TORCH = ("--ignore", "tests/special/test_torch.py", "--ignore", "tests/linalg/test_training.py", "--ignore",
         "tests/linalg/test_training_hierarchy.py",
         *(word for name in MISSING for word in ("--deselect", f"{EXAMPLE}[solvers.{name}]")))  # fmt: skip
# Scikit-learn's own checks, thousands of calls on small data; and Python around kernels that other tests call, too.
AROUND = ("equilibrium/test_fixed_point.py", "equilibrium/test_inclusions.py", "equilibrium/test_mps.py",
          "interface/test_cython.py", "interface/test_library.py", "learning/test_estimators.py",
          "linalg/test_sequence.py", "optimize/test_forms.py", "testing/test_cutest.py")  # fmt: skip
#: Asks for memory that rests between solves, of which there is none in such a build.
RESTING = ("--ignore", "tests/linalg/test_resting_memory.py")
CHECKS = tuple(word for path in AROUND for word in ("--ignore", f"tests/{path}"))
CHOSEN = ("tests/base", "tests/contract", "tests/datasets", "tests/equilibrium", "tests/interface", "tests/learning",
          "tests/linalg", "tests/optimize", "tests/ot", "tests/special", "tests/testing", *TORCH, *CHECKS,
          *RESTING)  # fmt: skip
WANTED = "not memory and not torch and not numba and not forks and not cutest"
REPORTS = {
    # Python itself leaks on exit; the C tests below do look for leaks.
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}


def run(*command, **environment):
    """Run a command in the repository; stop where it fails."""
    print("$", *command, flush=True)
    subprocess.run([str(word) for word in command], cwd=ROOT, env={**os.environ, **environment}, check=True)


def runtime_library(name):
    """Where the compiler keeps a run-time library; it must be loaded before Python's own allocations."""
    answer = subprocess.run(["cc", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return answer.stdout.strip()


def install():
    """The package, built with the sanitizers, in an environment of its own; BUILD then serves the C tests too."""
    if not PYTHON.exists():
        venv.create(HOME, with_pip=True)
        run(PYTHON, "-m", "pip", "install", "--quiet", "--upgrade", "pip")
        run(PYTHON, "-m", "pip", "install", "--quiet", "--group", "build", *TESTED)
    # only what this CPU runs is compiled: the compilers take minutes for a level
    level = solvers.show_config()["isa_available"]
    levels = f"-Dlevels={'' if level == 'baseline' else level}"
    setup = [f"-Csetup-args={argument}" for argument in (*SANITIZE, levels)]
    run(PYTHON, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--force-reinstall", ".",
        f"-Cbuild-dir={BUILD}", *setup, PATH=PATH)  # fmt: skip


def test_c():
    """The C tests, with leak detection."""
    run("meson", "test", "-C", BUILD, "--print-errorlogs", PATH=PATH, UBSAN_OPTIONS=REPORTS["UBSAN_OPTIONS"])


def test_python():
    """The Python tests but those that measure memory, fork or run peers for long.

    A fork while another thread allocates leaves a lock of AddressSanitizer's allocator taken in the child for good,
    which then waits where it starts threads.
    """
    preload = f"{runtime_library('libasan.so')}:{runtime_library('libubsan.so')}"
    run(PYTHON, "-P", "-m", "pytest", "-n", "2", "-q", "-m", WANTED, *CHOSEN,
        LD_PRELOAD=preload, SOLVERS_EXPECT_SANITIZER="address", **REPORTS)  # fmt: skip


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    install()
    test_c()
    test_python()
