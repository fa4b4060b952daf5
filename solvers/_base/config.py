"""`show_config`: what runs here."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import scipy

from .threads import build_info, resolve


def show_config() -> dict[str, Any]:
    """The library's version, instruction-set level, threads, and the versions it runs on.

    Returns
    -------
    dict
        ``version``; ``isa`` in use and ``isa_available`` (SOLVERS_ISA caps the first); ``threads`` of a
        call that names none; ``sanitizer`` of the build; ``python``, ``numpy``, ``scipy``, ``machine``.

    Examples
    --------
    >>> import solvers
    >>> solvers.show_config()["isa"] in ("baseline", "avx2", "avx512")
    True
    """
    return {
        **build_info(),
        "threads": resolve(None),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "machine": platform.machine(),
    }
