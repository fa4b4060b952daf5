"""The library as a product: what it exports, how its calls are refused, what finds it from outside."""

import ctypes
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from library import DOUBLES, LIBRARY, doubles, last_error

import solvers
from solvers import Status

ROOT = Path(__file__).parents[2]
HEADER = re.sub(r"/\*.*?\*/", "", (ROOT / "_ext" / "include" / "solvers.h").read_text(), flags=re.DOTALL)
PUBLIC = (ROOT / "_ext" / "include" / "symbols.txt").read_text().split()


def test_the_list_of_public_functions_is_that_of_the_header():
    declared = re.findall(r"^SV_API .*?(\w+)\(", HEADER, re.MULTILINE)
    assert sorted(declared) == PUBLIC


@pytest.mark.skipif(sys.platform != "linux", reason="symbols have versions under Linux alone")
def test_exported_symbols():
    library = next(path for path in Path(solvers.get_library_dir()).glob("libsolvers.so*"))
    command = ["nm", "-D", "--defined-only", "--with-symbol-versions", library]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    names = [line.split()[-1].split("@@") for line in lines if line.split()[1] != "A"]
    sanitizer = ("__odr_asan", "__asan", "__ubsan")
    assert sorted(name for name, node in names if node == "SOLVERS_0") == PUBLIC
    assert {node for name, node in names if not name.startswith(sanitizer)} == {"SOLVERS_0", "SOLVERS_PRIVATE"}


def test_derived_files_are_up_to_date():
    derived = runpy.run_path(str(ROOT / "_ext" / "install" / "derive.py"), run_name="derive")
    for path, text in derived["files"]().items():
        assert path.read_text() == text, "run: python -P _ext/install/derive.py"


# ---- how a call ends ---------------------------------------------------------------------------------------


def test_statuses_are_those_of_python():
    body = re.search(r"enum sv_status \{(.*?)\};", HEADER, re.DOTALL).group(1)
    numbers = {name: int(number) for name, number in re.findall(r"SV_(\w+) = (-?\d+)", body) if name != "OK"}
    assert {name: number for name, number in numbers.items() if number >= 0} == {s.name: int(s) for s in Status}


@pytest.mark.parametrize("status", Status)
def test_sentences_agree(status):
    # what to try is said in each language's own words
    happened, ours = (
        re.split(r"[;.]", text)[0] for text in (status.sentence, LIBRARY.sv_status_string(status).decode())
    )
    assert ours == happened


def test_refused_calls():
    x, y = np.arange(6.0), np.full(6, 9.0)
    none, stride, size = DOUBLES(), ctypes.c_ssize_t, ctypes.c_size_t
    for call in (LIBRARY.sv_softmax_f64, LIBRARY.sv_log_softmax_f64):
        for rows, x_at, y_at, apart, status, word in (
            (2, none, doubles(y), 3, -1, "x is NULL"),
            (2, doubles(x), none, 3, -1, "y is NULL"),
            (2, doubles(x), doubles(y), 2, -1, "y_stride is 2"),
            (2**61, doubles(x), doubles(y), 3, -2, "x: "),
        ):
            assert call(x_at, stride(3), y_at, stride(apart), size(rows), size(3), 1) == status
            assert last_error().startswith(word)
    assert (y == 9).all()
    assert LIBRARY.sv_softmax_f64(doubles(x), stride(3), doubles(y), stride(3), size(2), size(3), 1) == 0
    assert np.array_equal(y.reshape(2, 3), solvers.special.softmax(x.reshape(2, 3), axis=1))


# ---- what finds the library --------------------------------------------------------------------------------


@pytest.fixture
def config(monkeypatch, capfdbinary):
    """What the command solvers-config prints."""
    from solvers import __main__

    def run(*options):
        monkeypatch.setattr(sys, "argv", ["solvers-config", *options])
        __main__.config()
        sys.stdout.flush()
        return os.fsdecode(capfdbinary.readouterr().out)

    return run


def test_header_and_library_are_found(config):
    folder = solvers.get_library_dir()
    assert (Path(solvers.get_include()) / "solvers.hpp").is_file()
    assert shlex.split(config("--cflags")) == ["-I" + solvers.get_include()]
    assert shlex.split(config("--libs")) == ["-L" + folder, "-lsolvers", "-Xlinker", "-rpath", "-Xlinker", folder]
    assert config("--libdir") == folder + "\n"
    assert '"isa"' in config()
    command = [sys.executable, "-P", "-m", "solvers", "config", "--cflags", "--libs"]
    both = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert both == f"{config('--cflags').strip()} {config('--libs')}"


def test_paths_are_quoted(monkeypatch, config):
    monkeypatch.setattr("solvers._base.config.get_include", lambda: "/a b/é's")
    assert shlex.split(config("--cflags")) == ["-I/a b/é's"]


def test_an_editable_install_says_what_it_lacks(monkeypatch, tmp_path):
    from solvers._base import config

    monkeypatch.setattr(config, "get_library_dir", lambda: str(tmp_path))
    with pytest.raises(FileNotFoundError, match="--cflags"):
        config.find_package_files("pkgconfig")
