"""How many threads a call uses, and what the compiled library says of itself."""

from __future__ import annotations

import os
import warnings
from functools import cache

from ._runtime import build_info as _build_info
from ._runtime import get_num_threads
from .validate import integer

#: Threads that a C int can count.
MOST = 2**31 - 1

_ISA_WORDS = ("baseline", "avx2", "avx512")


@cache
def build_info() -> dict[str, str]:
    """Version, instruction-set level in use and available, sanitizer."""
    word = os.environ.get("SOLVERS_ISA")
    if word and word not in _ISA_WORDS:
        warnings.warn(f"SOLVERS_ISA={word!r} is none of {', '.join(_ISA_WORDS)}: no cap", RuntimeWarning, stacklevel=2)
    info: dict[str, str] = _build_info()
    return info


def resolve(threads: int | None) -> int:
    """The number of threads for a call: its own `threads`, else the library-wide setting.

    That setting is SOLVERS_NUM_THREADS, else OMP_NUM_THREADS, else the cores this process may use, at
    most 8; `threadpoolctl.threadpool_limits` changes it. Small work stays on the calling thread.
    """
    if threads is None:
        count: int = get_num_threads()
        return count
    return integer(threads, "threads", 1, MOST)


def _show_to_threadpoolctl() -> None:
    try:
        from threadpoolctl import LibController, register
    except ImportError:
        return

    class SolversController(LibController):  # type: ignore[misc]
        user_api = "solvers"
        internal_api = "solvers"
        filename_prefixes = ("libsolvers",)
        check_symbols = ("sv_get_num_threads", "sv_set_num_threads")

        def get_num_threads(self) -> int:
            return int(self.dynlib.sv_get_num_threads())

        def set_num_threads(self, num_threads: int) -> None:
            self.dynlib.sv_set_num_threads(num_threads)

        def get_version(self) -> str:
            return build_info()["version"]

    register(SolversController)


_show_to_threadpoolctl()
