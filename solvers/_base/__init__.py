"""What every family shares and nothing else."""

try:
    from . import _runtime as _runtime
except ImportError as error:
    raise ImportError(
        "the compiled part of solvers is missing: this looks like the source folder. Install the package "
        "('pip install .', or 'make .venv/ready' for development) and run from another folder, or with 'python -P'"
    ) from error
