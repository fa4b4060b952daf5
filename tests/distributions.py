"""Build the sdist and, from it, the wheel; install the wheel in a fresh environment; solve something there.

Where wheels of them exist, beside the oldest NumPy and SciPy that the package says it supports, with which a part of
the tests runs.

The sdist is made from committed files only: what a user gets is what was committed.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: In bytes: to be raised knowingly.
LIMITS = {".gz": 2.1e6, ".whl": 6.2e6}
SMOKE = """
import numpy as np, solvers
assert np.allclose(solvers.special.softmax(np.zeros(5)), 0.2)
assert solvers.ot.solve([[0.0, 1.0], [1.0, 0.0]], reg=0.1).success
for shape in ((20, 20), (8, 8, 8)):  # the shipped nets
    grid = solvers.linalg.GridOperator(shape)
    assert solvers.linalg.solve(grid, np.ones(grid.size), method="dcdm", rtol=1e-4).stats["direction"] == "learned"
print(solvers.show_config())
"""
#: The lowest versions of pyproject.toml. They have wheels up to this version of Python.
OLDEST, LAST_PYTHON = ("numpy==1.26.*", "scipy==1.11.*"), (3, 12)
#: What runs with them: one seed of each method of the contract, and of what has met SciPy's older ways.
PARTS = ("contract/test_result.py", "linalg/test_sequence.py", "linalg/test_complex.py", "optimize/test_control.py")
CHOSEN = "test_success_is_the_recomputed_measure and 7- or test_every_arm or not_definite or cells or steps"
#: What programs in other languages need of the package.
FILES = (
    "include/solvers.h", "include/solvers.hpp", "include/solvers.f90", "lib/libsolvers.so", "cython_api.pxd",
    "lib/pkgconfig/solvers.pc", "lib/cmake/solvers/solvers-config.cmake",
    "lib/cmake/solvers/solvers-config-version.cmake",
)  # fmt: skip
PROGRAM = """
#include <solvers.h>
int main(void)
{
    double x[2] = {0, 0};
    return sv_softmax_f64(x, 2, x, 2, 1, 2, 1) != SV_OK || x[0] != 0.5;
}
"""


def run(*command, cwd=ROOT):
    """Run a command; stop where it fails."""
    print("$", *command, flush=True)
    subprocess.run([str(word) for word in command], cwd=cwd, check=True)


def answer(*command, cwd):
    """What a command prints."""
    return subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()


def check_embedding(folder, wheel):
    """A C program builds against the installed wheel and runs."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"solvers/{name}" for name in FILES} <= set(names), sorted(names)
    (folder / "program.c").write_text(PROGRAM)
    config = folder / "fresh" / "bin" / "solvers-config"
    ways = [answer(config, "--cflags", "--libs", cwd=folder)]
    if shutil.which("pkg-config"):
        home = shlex.quote(answer(config, "--pkgconfigdir", cwd=folder))
        run_path = "-Wl,-rpath,$(pkg-config --variable=libdir solvers)"
        command = f"export PKG_CONFIG_PATH={home}; echo $(pkg-config --cflags --libs solvers) {run_path}"
        ways.append(answer("sh", "-c", command, cwd=folder))
    for flags in ways:
        run("cc", "program.c", "-o", "program", *shlex.split(flags), cwd=folder)
        run(folder / "program", cwd=folder)


def check_oldest(python):
    """A part of the tests passes beside the oldest NumPy and SciPy, which are installed already."""
    run(python, "-m", "pip", "install", "--quiet", "pytest", "hypothesis", "mpmath", "scikit-learn", "pyamg", *OLDEST)
    tests = ROOT / "tests"
    environment = {**os.environ, "PYTHONPATH": str(tests)}
    command = [python, "-P", "-m", "pytest", "-q", "-p", "oldest_scipy", "-k", CHOSEN]
    command += ["-W", "ignore::scipy.sparse.SparseEfficiencyWarning", *(tests / part for part in PARTS)]
    print("$", *command, flush=True)
    subprocess.run(command, cwd=tests, env=environment, check=True)


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        run(sys.executable, "-m", "pip", "install", "--quiet", "build")
        # a build folder as deep as the editable install's: ccache knows the files again
        run(sys.executable, "-m", "build", "--outdir", folder / "dist", "-Cbuild-dir=build/wheel", ".")
        for product in (folder / "dist").iterdir():
            size = product.stat().st_size
            print(f"{product.name}: {size / 1e6:.2f} MB")
            assert size < LIMITS[product.suffix]
        (wheel,) = (folder / "dist").glob("*.whl")
        venv.create(folder / "fresh", with_pip=True)
        python = folder / "fresh" / "bin" / "python"
        old = sys.version_info[:2] <= LAST_PYTHON
        run(python, "-m", "pip", "install", "--quiet", wheel, *(OLDEST if old else ()))
        run(python, "-c", SMOKE, cwd=folder)
        check_embedding(folder, wheel)
        if old:
            check_oldest(python)
        # From the source folder a plain install is shadowed by the uncompiled package, which must say so.
        shadowed = subprocess.run([python, "-c", "import solvers.ot"], cwd=ROOT, capture_output=True, text=True)
        assert "looks like the source folder" in shadowed.stderr, shadowed.stderr


if __name__ == "__main__":
    main()
