"""Data to solve problems with: readers of the files that benchmarks come in."""

from ._libsvm import load_libsvm

__all__ = ["load_libsvm"]
