"""What runs here, and where a program in another language finds the library and its header."""

from __future__ import annotations

import os
import platform
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from ._runtime import library_path
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


def get_include() -> str:
    """The folder of ``solvers.h``, for a compiler's ``-I``.

    Returns
    -------
    str
        An absolute path.

    Raises
    ------
    FileNotFoundError
        The package was installed without its header.

    Examples
    --------
    >>> import os, solvers
    >>> os.path.isfile(os.path.join(solvers.get_include(), "solvers.h"))
    True
    """
    package = Path(__file__).parents[1]
    # installed, and beside the sources of an editable install
    for folder in (package / "include", package.parent / "_ext" / "include"):
        if (folder / "solvers.h").is_file():
            return str(folder)
    raise FileNotFoundError(f"there is no solvers.h in {package / 'include'}: install the package anew")


def get_library_dir() -> str:
    """The folder of the shared library ``libsolvers``, for a linker's ``-L`` and run path: the one that Python runs.

    Returns
    -------
    str
        An absolute path.

    Examples
    --------
    >>> import os, solvers
    >>> any("libsolvers" in name for name in os.listdir(solvers.get_library_dir()))
    True
    """
    return os.path.dirname(os.path.realpath(os.fsdecode(library_path())))


def find_package_files(folder: str) -> str:
    """Where the installed files for another build system lie.

    Parameters
    ----------
    folder : str
        ``"pkgconfig"``, or ``"cmake/solvers"``, beside the library.

    Returns
    -------
    str
        An absolute path.

    Raises
    ------
    FileNotFoundError
        An editable install has its library in a build folder, without these files.
    """
    path = Path(get_library_dir(), *folder.split("/"))
    if not path.is_dir():
        raise FileNotFoundError(f"there is no {path}: an editable install has none; use --cflags and --libs")
    return str(path)


def compile_flags() -> str:
    """A compiler's options to find the header, quoted for a shell."""
    return shlex.join(["-I" + get_include()])


def link_flags() -> str:
    """A compiler's options to link the library, and for the program to find it where it lies; quoted for a shell."""
    folder = get_library_dir()
    return shlex.join(["-L" + folder, "-lsolvers", "-Xlinker", "-rpath", "-Xlinker", folder])
