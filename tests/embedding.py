"""Build the examples of docs/embedding against an installed library, run them, and compare their bits with Python's.

Needs a Fortran compiler, pkg-config, CMake and qemu-x86_64, which `make test` does not. The library is installed under
a path with a space and letters beyond ASCII, and every example is linked by pkg-config, by CMake and by the flags of
`python -m solvers config`.
"""

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import scipy.sparse

import solvers

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "embedding"
WORK = ROOT / "build" / "embedding"
PREFIX = WORK / "préfixe of mine"
COMPILERS = {"poisson.c": "cc -std=c99", "poisson.cpp": "c++ -std=c++11", "poisson.f90": "gfortran -std=f2018"}
#: What a CPU of each kind must run: AVX alone is no level.
EMULATED = {"Nehalem": "baseline", "IvyBridge": "baseline", "Haswell": "avx2"}
#: Side of the Poisson problem and steps in time there: emulation takes a hundred times as long.
SMALL = (48, 4)
LEVELS = ("baseline", "avx2", "avx512")


def run(*command, **environment):
    """Run a command and return what it printed; stop where it fails."""
    print("$", shlex.join(map(str, command)), flush=True)
    done = subprocess.run(
        [str(word) for word in command], cwd=WORK, env={**os.environ, **environment}, text=True, timeout=300,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert done.returncode == 0, f"ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


# ---- the same in Python --------------------------------------------------------------------------------------


def five_points(side, shift, scale):
    """shift I + scale L on side^2 unknowns."""
    T = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(side, side))
    L = scipy.sparse.kronsum(T, T, format="csr")
    A = scipy.sparse.csr_array(shift * scipy.sparse.eye_array(side * side, format="csr") + scale * L)
    A.sort_indices()
    return A


def digest(x):
    """One number that differs where any bit of the answer does."""
    found = 0
    for word in x.view(np.uint64).tolist():
        found = (found << 7 & 0xFFFF_FFFF_FFFF_FFFF | found >> 57) ^ word
    return found


def in_python():
    """What the examples should print after their first line."""
    A, b = five_points(256, 0.0, 1.0), np.ones(256**2)
    result = solvers.linalg.solve(A, b, method="ssor-cg", threads=1)
    lines = [f"poisson: status {int(result.status)} after {result.nit} iterations, bits {digest(result.x):016X}"]

    A, line = five_points(64, 1.0, 16.0), np.arange(1, 65) * np.arange(64, 0, -1)
    u, iterations, tuner = np.outer(line, line).ravel() / 2**20, 0, solvers.linalg.OmegaTuner(rng=0)
    for _ in range(40):
        question = tuner.ask()
        result = solvers.linalg.solve(
            A, u, x0=u, method="ssor-cg", options={"omega": question.value}, threads=1
        )  # fmt: skip
        tuner.tell(question, result.nit)
        u, iterations = result.x, iterations + result.nit
    return [*lines, f"heat: 40 steps, {iterations} iterations, bits {digest(u):016X}"]


# ---- three ways to build -------------------------------------------------------------------------------------


def install():
    """The library of `make lib`, moved: nothing in it may depend on the path that it was built for."""
    build = ROOT / "build" / "c"
    run("meson", "install", "-C", build, "--destdir", WORK / "staged", "--quiet")
    (prefix,) = (found.parent for found in (WORK / "staged").glob("**/include"))
    prefix.rename(PREFIX)
    return next(PREFIX.glob("lib*/**/libsolvers.so")).parent


def by_pkgconfig(libraries):
    """Each example by pkg-config in a shell."""
    environment = {"PKG_CONFIG_PATH": str(libraries / "pkgconfig")}
    for source, compiler in COMPILERS.items():
        program = WORK / f"by pkg-config {source}"
        module = "$(pkg-config --variable=includedir solvers)/solvers.f90" if source.endswith("f90") else ""
        flags = "$(pkg-config --cflags --libs solvers) -Wl,-rpath,$(pkg-config --variable=libdir solvers)"
        words = shlex.quote(shlex.join([str(EXAMPLES / source), "-o", str(program)]))
        run("sh", "-c", f"eval {compiler} -O2 {module} {words} {flags}", **environment)
        yield program


def by_cmake(libraries):
    """All of them by CMake."""
    build = WORK / "by CMake é"
    run("cmake", "-S", EXAMPLES, "-B", build, f"-Dsolvers_DIR={libraries / 'cmake' / 'solvers'}")
    run("cmake", "--build", build)
    yield from (build / f"poisson_{source.split('.')[1]}" for source in COMPILERS)


def check_static(libraries, expected):
    """The C example with the archive inside of it."""
    program = WORK / "static"
    run("cc", "-O2", "-I", PREFIX / "include", EXAMPLES / "poisson.c", "-o", program, libraries / "libsolvers.a",
        "-lpthread", "-lm")  # fmt: skip
    assert "libsolvers" not in run("ldd", program)
    check_run([program], expected, solvers.show_config()["isa"])


def by_config():
    """Each of them against the library that Python runs."""
    flags = shlex.split(run(sys.executable, "-P", "-m", "solvers", "config", "--cflags", "--libs"))
    for source, compiler in COMPILERS.items():
        program = WORK / f"by config {source}"
        module = [Path(solvers.get_include()) / "solvers.f90"] if source.endswith("f90") else []
        run(*compiler.split(), "-O2", *module, EXAMPLES / source, "-o", program, *flags)
        yield program


def check_symbols(libraries):
    """The library exports the public functions and nothing else; all names of the archive have the prefix."""
    listed = (ROOT / "_ext" / "include" / "symbols.txt").read_text().split()
    lines = run("nm", "-D", "--defined-only", "--with-symbol-versions", libraries / "libsolvers.so").splitlines()
    found = [line.split()[2] for line in lines if line.split()[1] != "A"]
    assert sorted(found) == [f"{name}@@SOLVERS_0" for name in listed], sorted(found)
    lines = run("nm", "--extern-only", "--defined-only", libraries / "libsolvers.a").splitlines()
    names = {words[2] for words in map(str.split, lines) if len(words) == 3}
    assert set(listed) <= names, sorted(set(listed) - names)
    assert not [name for name in names if not name.startswith("sv_")]
    assert (libraries / "libsolvers.so").resolve().name.startswith("libsolvers.so.0.")


def check_sizes():
    """The sizes in Fortran's structures are the compiler's: a smaller one would cut fields off in silence."""
    module = (PREFIX / "include" / "solvers.f90").read_text()
    pattern = r"type, bind\(c\) :: (\w+)\n +integer\(c_size_t\) :: struct_size = (\d+)"
    asserted = [f'_Static_assert(sizeof({name}) == {size}, "{name}");' for name, size in re.findall(pattern, module)]
    assert len(asserted) > 2
    (WORK / "sizes.c").write_text("\n".join(["#include <solvers.h>", *asserted]))
    run("cc", "-std=c11", "-fsyntax-only", "-I", PREFIX / "include", "sizes.c")


def check_run(command, expected, level):
    """The first line tells the level, the others the bits."""
    first, *lines = run(*command).splitlines()
    assert lines == expected, f"{lines}, not {expected}"
    assert first.endswith(f"level {level}"), first


def check_levels(program, available):
    """An emulated old CPU runs the code of its level, without an illegal instruction, to the bits of this CPU."""
    for cpu, level in EMULATED.items():
        if level in LEVELS[: LEVELS.index(available) + 1]:
            _, *expected = run(program, *SMALL, SOLVERS_ISA=level).splitlines()
            check_run(["qemu-x86_64", "-cpu", cpu, program, *SMALL], expected, level)


def main():
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    expected = in_python()
    libraries = install()
    check_symbols(libraries)
    check_sizes()
    programs = [*by_pkgconfig(libraries), *by_cmake(libraries), *by_config()]
    for program in programs:
        needed = [line.split()[0] for line in run("ldd", program).splitlines()]
        assert any("libsolvers" in name for name in needed), needed
        assert not any("python" in Path(name).name for name in needed), needed
        check_run([program], expected, solvers.show_config()["isa"])
    check_static(libraries, expected)
    if platform.machine() == "x86_64":
        check_levels(programs[0], solvers.show_config()["isa_available"])


if __name__ == "__main__":
    main()
