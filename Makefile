# make demo      build, make a small image, convert it, verify it, say what was done; IMAGE=app.tar takes yours
# make test      build, then lint, types, stubs and the suite
# make interop   build, then the tests against real daemons and tools; FULL=1: every cell of the matrix, not a sample
# make faults    conversions killed, or one call failing, at every call they make: nothing half may be there;
#                and with sources that fail, memory, threads or descriptors that run out: told by name
# make damage    20,000 damaged images, and archives cut at every block: all refused, or what the whole image is
# make sameness  the encoders at other addresses, in other company, with stale memory poisoned: always the same bytes
# make sanitize  kernels under AddressSanitizer and UndefinedBehaviorSanitizer, bounds checked, by the suites that use them
# make fuzz      every parser from generated seeds, SECONDS=60 each; TARGETS="pax json" chooses
# make wheel     the wheel for this machine, in dist/, built from the source distribution and proved in a bare environment
# make bench     the kernels' speed                make versus   whole workloads beside the peers on this machine
# make clean     remove everything that was built

SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: demo test lint build services interop faults sameness damage sanitize fuzz wheel bench versus clean

PYTHON ?= python3
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check -qq
export PIP_ROOT_USER_ACTION ?= ignore

demo: build
	@$(PY) examples/demo.py $(if $(IMAGE),"$(IMAGE)")

test: lint
	$(PY) -m pytest -m "not interop" $(PYTEST)

lint: build
	$(PY) -m ruff check .
	$(PY) -m mypy
	@# a stub is compared with what was built; what Cython adds to every module is no part of the contract
	MYPYPATH=src $(PY) -m mypy.stubtest --concise --ignore-missing-stub \
	    $$(cd src && ls occy_fast/kernels/native/*.pyi | sed 's/\.pyi$$//; s|/|.|g')

# As root on Debian, what the tests of interop need is installed; again, it only waits for whoever does it.
services:
	bash tests/interop/services.sh

interop: build services
	$(if $(FULL),OCCY_FAST_EVERY_CELL=1) $(PY) -m pytest -m interop $(PYTEST)

faults: build
	$(PY) tests/crash/faulty_runs.py
	$(PY) tests/crash/short_runs.py

sameness: build
	$(PY) tests/campaigns/sameness.py

damage: build
	$(PY) tests/campaigns/damage.py --flips 10000 --truncations 10000 --seed 1
	$(PY) tests/campaigns/cuts.py

SANITIZED := build/sanitize/lib
USES_KERNELS := $(addprefix tests/,kernels streams image threads golden contract)
sanitize: .venv/ready
	OCCY_FAST_SANITIZE=1 OCCY_FAST_DEBUG=1 $(PY) setup.py -q build --build-base build/sanitize --build-lib $(SANITIZED)
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so)" ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	    PYTHONMALLOC=malloc PYTHONPATH=$(SANITIZED) \
	    $(PY) -m pytest --capture=sys -o pythonpath=tests $(USES_KERNELS) $(PYTEST)

SECONDS := 60
fuzz: build
	PYTHON="$(PYTHON)" bash .ci/prepare fuzz
	CC=clang OCCY_FAST_FUZZ=1 $(PY) setup.py -q build_fuzz_targets
	$(PY) tests/fuzz/run.py --seconds $(SECONDS) $(TARGETS)

wheel:
	@PYTHON="$(PYTHON)" bash wheels/build.sh

bench: build
	$(PY) -m pytest benchmarks/bench_*.py --benchmark-only

versus: build
	$(PY) -m benchmarks.versus $(if $(IMAGE),--image "$(IMAGE)")

# The environment is made once; the modules are brought up to date every time, which takes a second.
build: .venv/ready
	@$(PY) setup.py -q build_ext --inplace

.venv/ready: pyproject.toml .ci/prepare
	@PYTHON="$(PYTHON)" bash .ci/prepare
	@[ -x $(PY) ] || { echo "making .venv"; "$(PYTHON)" -m venv .venv; }
	@echo "installing what the build and the tests need, and building"
	@$(PIP) install 'setuptools>=77' 'Cython>=3.1' wheel
	@$(PIP) install --no-build-isolation --editable '.[test]'
	@touch $@

clean:
	rm -rf build dist .venv src/*.egg-info src/occy_fast/kernels/native/*.so
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
	find src tests benchmarks examples wheels -name __pycache__ -type d -prune -exec rm -rf {} +
