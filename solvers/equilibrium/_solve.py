"""The loop that all entries of the family run."""

from .._base.iterate import run as run
