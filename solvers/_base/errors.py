"""The exceptions of the library. Each is also the built-in one that a SciPy user would catch."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .result import SolveResult


class SolversError(Exception):
    """Base of the library's own exceptions."""


class OptionError(SolversError, TypeError, ValueError):
    """An option that the method does not have, or a value outside its range."""


class MethodError(SolversError, ValueError):
    """A method that does not exist, or that cannot serve the problem."""


class SolveError(SolversError, RuntimeError):
    """A solve that did not succeed, raised by `SolveResult.raise_for_status`.

    Attributes
    ----------
    result : SolveResult
        What the solve returned.
    """

    def __init__(self, result: SolveResult):
        super().__init__(result.message)
        self.result = result


class CopyWarning(UserWarning):
    """A copy of an argument takes more than a GiB; the words say what would be read in place."""


def nearest(word: Any, known: Iterable[str]) -> str:
    """The hint '; did you mean ...?' where a known word is like this one, else the known words."""
    known = sorted(known)
    close = difflib.get_close_matches(str(word), known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known) or 'none'}"
