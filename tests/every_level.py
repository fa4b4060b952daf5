"""Run all Python tests at every instruction-set level that this CPU and this build have.

Each run is told the level that it must find; tests/conftest.py asserts it. With --lower the highest level is left
out, at which the tests run anyway, and the others share the tests: each test runs at one of them.
"""

import os
import subprocess
import sys

import solvers

LEVELS = ("baseline", "avx2", "avx512")

#: What starts processes and draws pictures, and what asks for the Python around the kernels, whatever the level.
AROUND = (
    "base", "bench", "contract", "datasets", "demo", "equilibrium/test_fixed_point.py",
    "equilibrium/test_inclusions.py", "equilibrium/test_mps.py", "integrations", "interface/test_cython.py",
    "interface/test_library.py", "learning/test_estimators.py",
    "learning/test_propagation.py", "linalg/test_sequence.py", "linalg/test_training.py",
    "linalg/test_training_hierarchy.py", "optimize/test_adasketch.py", "optimize/test_compiled.py",
    "optimize/test_forms.py", "optimize/test_merit.py", "optimize/test_minimize.py", "optimize/test_restoration.py",
    "optimize/test_scipy_problems.py", "testing",
)  # fmt: skip
LEFT_OUT = tuple(word for path in AROUND for word in ("--ignore", f"tests/{path}"))


def main():
    available = solvers.show_config()["isa_available"]
    highest = LEVELS.index(available)
    lower = "--lower" in sys.argv[1:]
    levels = LEVELS[: highest if lower else highest + 1]
    for part, level in enumerate(levels):
        print(f"---- {level}", flush=True)
        environment = {**os.environ, "SOLVERS_ISA": level, "SOLVERS_EXPECT_ISA": level}
        if lower:
            environment["SOLVERS_TEST_SHARE"] = f"{part}/{len(levels)}"
        subprocess.run([sys.executable, "-P", "-m", "pytest", "-n", "2", "-q", *LEFT_OUT], env=environment, check=True)


if __name__ == "__main__":
    main()
