"""Build the sdist and, from it, the wheel; install the wheel in a fresh environment; solve something there.

The sdist is made from committed files only: what a user gets is what was committed.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIMITS = {".gz": 2e6, ".whl": 6e6}
SMOKE = """
import numpy as np, solvers
assert np.allclose(solvers.special.softmax(np.zeros(5)), 0.2)
assert solvers.ot.solve([[0.0, 1.0], [1.0, 0.0]], reg=0.1).success
for shape in ((20, 20), (8, 8, 8)):  # the shipped nets
    grid = solvers.linalg.GridOperator(shape)
    assert solvers.linalg.solve(grid, np.ones(grid.size), method="dcdm", rtol=1e-4).stats["direction"] == "learned"
print(solvers.show_config())
"""


def run(*command, cwd=ROOT):
    """Run a command; stop where it fails."""
    print("$", *command, flush=True)
    subprocess.run([str(word) for word in command], cwd=cwd, check=True)


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
        run(python, "-m", "pip", "install", "--quiet", wheel)
        run(python, "-c", SMOKE, cwd=folder)
        # From the source folder a plain install is shadowed by the uncompiled package, which must say so.
        shadowed = subprocess.run([python, "-c", "import solvers.ot"], cwd=ROOT, capture_output=True, text=True)
        assert "looks like the source folder" in shadowed.stderr, shadowed.stderr


if __name__ == "__main__":
    main()
