"""A Cython module from elsewhere, compiled against the installed package."""

import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

import solvers

SOURCE = """
from libc.stdint cimport int32_t

cimport solvers.cython_api as sv


def version():
    return sv.sv_version_string().decode(), sv.SV_ABI_VERSION


def softmax(const double[::1] x, double[::1] y):
    cdef int status
    with nogil:
        status = sv.sv_softmax_f64(&x[0], 0, &y[0], 0, 1, x.shape[0], 1)
    return status, sv.sv_status_string(status).decode()


cdef int stop(void *user, const sv.sv_progress *progress) noexcept nogil:
    (<int *>user)[0] += 1
    return progress.nit == 5


def solve(const int32_t[::1] starts, const int32_t[::1] columns, const double[::1] values, const double[::1] b,
          double[::1] x, bint stopped):
    cdef sv.sv_linear *A
    cdef sv.sv_control control = sv.SV_CONTROL_INIT
    cdef sv.sv_report report = sv.SV_REPORT_INIT
    cdef int calls = 0
    control.threads = 1
    if stopped:
        control.callback, control.user = stop, &calls
    if sv.sv_linear_from_csr_i32(b.shape[0], values.shape[0], &starts[0], &columns[0], &values[0], &A) < 0:
        raise ValueError(sv.sv_last_error().decode())
    with nogil:
        sv.sv_linear_solve(A, &b[0], &x[0], NULL, &control, &report)
    sv.sv_linear_destroy(A)
    return report.status, report.nit, report.measure, calls
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside é")
    (folder / "outside.pyx").write_text(SOURCE)

    def run(*command):
        subprocess.run([str(word) for word in command], cwd=folder, check=True, timeout=120)

    run(sys.executable, "-m", "cython", "-3", "-I", Path(solvers.__file__).parents[1], "outside.pyx")
    config = [sys.executable, "-P", "-m", "solvers", "config", "--cflags", "--libs"]
    flags = shlex.split(subprocess.run(config, capture_output=True, text=True, check=True, timeout=60).stdout)
    include, suffix = sysconfig.get_path("include"), sysconfig.get_config_var("EXT_SUFFIX")
    run("cc", "-shared", "-fPIC", "-O1", f"-I{include}", "outside.c", "-o", f"outside{suffix}", *flags)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        import outside

        yield outside
    del sys.modules["outside"]


def test_all_of_the_header(module):
    assert module.version()[0] == solvers.show_config()["version"]
    x, y = np.arange(5.0), np.empty(5)
    assert module.softmax(x, y)[0] == 0
    assert np.array_equal(y, solvers.special.softmax(x))


@pytest.mark.parametrize("stopped", [False, True])
def test_a_solve_with_a_callback(module, stopped):
    A = scipy.sparse.csr_array(scipy.sparse.diags_array([-1.0, 2.5, -1.0], offsets=[-1, 0, 1], shape=(200, 200)))
    b, x = np.ones(200), np.zeros(200)
    status, nit, measure, calls = module.solve(A.indptr, A.indices, A.data, b, x, stopped)
    callback = (lambda progress: progress.nit == 5) if stopped else None
    expected = solvers.linalg.solve(A, b, method="ssor-cg", threads=1, callback=callback)
    assert (status, nit, measure) == (expected.status, expected.nit, expected.measure)
    assert calls == (5 if stopped else 0)
    assert np.array_equal(x, expected.x)
