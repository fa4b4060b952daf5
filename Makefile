# make demo, make test: the two commands of the README. Everything runs in .venv, where the package is
# installed editable: a changed C or Cython file is rebuilt on the next import.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint types layers test-c test-python test-isa test-many test-asan test-dist test-embedding test-petsc bench lib clean

demo: .venv/ready
	python -P -m solvers demo

test: lint types layers test-c test-python

# ---- environments: a stamp each -------------------------------------------------------------------

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	python -m pip install --quiet --upgrade pip
	python -m pip install --quiet --group build
	python -m pip install --quiet --no-build-isolation --editable '.[demo]'
	touch $@

.venv/ready-test: .venv/ready
	python -m pip install --quiet --no-build-isolation --editable '.[test]'
	touch $@

# The last peers come as sources alone, or for few platforms: where one cannot be installed, the reports say so.
.venv/ready-bench: .venv/ready-test
	python -m pip install --quiet --no-build-isolation --editable '.[bench]'
	-python -m pip install --quiet --group bench-cholmod
	-python -m pip install --quiet --group bench-ilupp
	-python -m pip install --quiet --group bench-glm
	-python -m pip install --quiet --group bench-liblinear
	-python -m pip install --quiet --group bench-lp
	-python -m pip install --quiet --group bench-nlp
	touch $@

# ---- what `make test` does ------------------------------------------------------------------------

lint: .venv/ready-test
	ruff check .
	ruff format --check .

types: .venv/ready-test
	mypy

layers: .venv/ready-test
	python -P tests/layers.py

test-c: .venv/ready-test
	meson setup --reconfigure build/c -Dpython=false >build/c-setup.log || meson setup build/c -Dpython=false
	meson test -C build/c --print-errorlogs

test-python: .venv/ready-test
	pytest -n 2

# ---- more tests -----------------------------------------------------------------------------------

# All tests at every instruction-set level of this CPU, and the C tests of the plain-C build. LEVELS=--lower leaves out
# the highest, at which `make test` runs, and has the others share the tests.
test-isa: .venv/ready-test
	python -P tests/every_level.py $(LEVELS)
	meson setup --reconfigure build/plain -Dpython=false -Dsimd=false >build/plain-setup.log || meson setup build/plain -Dpython=false -Dsimd=false
	meson test -C build/plain --print-errorlogs

# 10,000 random transport problems, every answer judged by the independent checker.
test-many: .venv/ready-test
	python -P tests/ot/many_problems.py 10000

# C and Python tests under AddressSanitizer and UndefinedBehaviorSanitizer, in an environment of their own.
test-asan: .venv/ready-test
	python -P tests/sanitized.py

# The sdist and the wheel, each from a clean environment.
test-dist: .venv/ready-test
	python -P tests/distributions.py

# The examples of docs/embedding in C, C++ and Fortran against the installed library: wants gfortran, pkg-config, CMake
# and qemu-x86_64.
test-embedding: .venv/ready-test
	meson setup --reconfigure build/c -Dpython=false >build/c-setup.log || meson setup build/c -Dpython=false
	python -P tests/embedding.py

# PETSc's types, on 1, 2 and 4 ranks. PETSc is Debian's, for its Python 3.11, which ours must be, too:
#     apt-get install --no-install-recommends python3-petsc4py-real libpetsc-real-dev libopenmpi-dev openmpi-bin pkg-config
# petsc4py is compiled for NumPy 1, which lies in a folder of its own and is found before ours.
DEBIAN_PETSC4PY := $(lastword $(wildcard /usr/lib/petscdir/*/*-real/lib/python3/dist-packages))

test-petsc: build/petsc/ready
	PYTHONPATH=$(CURDIR)/build/petsc/packages:$(DEBIAN_PETSC4PY) pytest -n 0 tests/petsc

build/petsc/ready: .venv/ready-test
	python -m pip install --quiet --upgrade --target build/petsc/packages 'numpy<2' scipy
	touch $@

# ---- figures and products -------------------------------------------------------------------------

bench: .venv/ready-bench
	python -P bench/run.py

# make bench-bcd ONLY="--problems lasso --data small": some cells of it.
bench-%: .venv/ready-bench
	python -P bench/run.py $* $(ONLY)

# The C library alone, installed under build/lib/prefix.
lib: .venv/ready
	meson setup --reconfigure build/lib -Dpython=false --prefix $(CURDIR)/build/lib/prefix
	meson install -C build/lib

clean:
	rm -rf build dist .venv .venv-asan
