# The commands of the project. Each target sets up what it needs: Python 3.11 or later, g++ and a package registry are enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Twice quiet: errors alone. Python compiles what it imports; pip would compile all of some 20,000 files.
PIP := $(BIN)/pip install --quiet --quiet --disable-pip-version-check --no-compile
FRESH := build/fresh/bin/pip install --quiet --quiet --disable-pip-version-check
PACKAGES := kernels engine export benchmarks training
REQUIREMENTS := $(addprefix --requirement ,tests/requirements.txt tests/requirements-gpu-gates.txt docs/requirements.txt)
# Both majors of TensorRT's bindings, unpacked side by side: one environment cannot hold two, and none is ever run.
BINDINGS := $(patsubst %,build/tensorrt-bindings/%,11.4.0.106 10.16.1.11)
# Triton's schema of config.pbtxt. Its client would pull an older ml_dtypes, so it is unpacked alone too.
TRITON_CLIENT := build/triton-client/2.73.0
NATIVE := setup.py $(wildcard kernels/native/*.cpp kernels/native/*.h)

.PHONY: demo setup test nightly gates check lint types docs typing bench gpu fuzz viewer npm wheel clean

# Segment an example CT with the small runtime, then one with lesions: no torch, no nnunetv2.
demo: $(VENV)/runtime.stamp
	$(BIN)/flare-trt demo --output out/demo
	$(BIN)/flare-trt demo --model tumours --output out/demo-tumours

# All that the other targets install.
setup: $(VENV)/dev.stamp $(BINDINGS) $(TRITON_CLIENT) typing

# Without MAKEFLAGS: programs that tests build have a make of their own. Two processes, each with whole files of tests.
test: setup
	MAKEFLAGS= $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# What takes too long for every change: the tests marked `nightly`, ten minutes of fuzzing, and the wheel in a fresh environment.
nightly: setup viewer npm
	MAKEFLAGS= $(BIN)/python -m pytest -m nightly
	$(MAKE) --no-print-directory fuzz
	$(MAKE) --no-print-directory wheel

# What of the GPU path can be checked without a GPU.
gates: $(VENV)/dev.stamp $(BINDINGS) typing
	$(BIN)/python -m pytest tests/fakes tests/kernels tests/engine/networks \
		tests/engine/test_gpu_pipeline.py tests/benchmarks/gpu_plan/test_scan_plan.py tests/engine/scans/test_from_array.py

# Everything that continuous integration holds a change to; the gates are among the tests.
check: lint types docs test

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp typing
	MYPYPATH=build/typing $(BIN)/mypy $(PACKAGES:%=-p flare_trt.%)

# The documentation site, in build/site; a warning fails it (not with --quiet, which hides warnings from --strict too). The
# reference is made from a copy that is laid out as installed.
docs: $(VENV)/dev.stamp
	@rm -rf build/api
	$(BIN)/python setup.py --quiet build_py --build-lib build/api
	PYTHONPATH= NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The sub-commands of the benchmarks; each needs its own scans and models.
bench: $(VENV)/dev.stamp
	$(BIN)/flare-trt bench --help

# Needs a real NVIDIA GPU; says so and exits 3 where there is none. Installs nothing: takes what $(PYTHON) has.
gpu:
	@$(PYTHON) -m tests.gpu out/gpu.json

# Ten minutes of damaged inputs with a new seed; those that fail are kept in out/fuzz.
fuzz: $(VENV)/dev.stamp typing
	$(BIN)/python -m tests.fuzz --seconds 600

# What `flare-trt view` draws with: fetched with npm, checked against its checksum, never part of the source tree, bundled into wheels.
viewer: typing
	PYTHONPATH=build/typing $(PYTHON) -m flare_trt.engine.results.viewer.niivue

# Readers in JavaScript that tests compare with, in build/npm, checked against the checksums of the lock file; their own scripts never run.
npm:
	@mkdir -p build/npm && cp tests/npm/package.json tests/npm/package-lock.json build/npm
	cd build/npm && npm ci --ignore-scripts --no-audit --no-fund --silent

# dist/: the sdist and the wheel of this commit, the wheel marked for many Linuxes where auditwheel finds it fit. Then the wheel is
# installed in a fresh environment, with packages checked against their hashes (Linux x86_64, CPython 3.11 to 3.13), and tried.
wheel: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct)
wheel: $(VENV)/wheel.stamp viewer
	@rm -rf dist build/wheel build/fresh
	PIP_CONSTRAINT=tests/lock.txt $(BIN)/python -m build --outdir build/wheel >build/wheel.log
	@mkdir dist && cp build/wheel/*.tar.gz dist
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/auditwheel repair --wheel-dir dist build/wheel/*.whl || { cp build/wheel/*.whl dist; \
		echo "make wheel: not for many Linuxes, see auditwheel's words above; the wheel in dist is for this one" >&2; }
	$(PYTHON) -m venv build/fresh
	$(FRESH) --require-hashes --requirement tests/lock-runtime.txt
	$(FRESH) --no-deps dist/*.whl
	build/fresh/bin/pip check --disable-pip-version-check
	cd build && fresh/bin/flare-trt --version && fresh/bin/flare-trt info && fresh/bin/python -I ../tests/supply/installed.py
	@ls -l dist

# mypy does not follow an editable install; it finds the packages through this link.
typing:
	@mkdir -p build/typing && ln -sfn ../.. build/typing/flare_trt

build/triton-client/%: | $(BIN)/python
	$(PIP) --no-deps --target $@.part tritonclient==$*
	@mv $@.part $@

clean:
	rm -rf build dist out $(VENV) *.egg-info kernels/native/*.so

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip

$(VENV)/runtime.stamp: $(BIN)/python pyproject.toml $(NATIVE)
	$(PIP) --editable .
	@touch $@

$(VENV)/wheel.stamp: $(BIN)/python tests/requirements-wheel.txt
	$(PIP) --requirement tests/requirements-wheel.txt
	@touch $@

# torch comes first and alone; the constraints then keep everything else from pulling another one.
$(VENV)/dev.stamp: $(BIN)/python pyproject.toml $(NATIVE) $(wildcard tests/*.txt docs/*.txt)
	$(PIP) torch==2.13.0
	$(PIP) --constraint tests/constraints.txt $(REQUIREMENTS) --editable '.[export,bench,serve,pacs,ray,dev]'
	@touch $@ $(VENV)/runtime.stamp

build/tensorrt-bindings/%: | $(BIN)/python
	$(PIP) --no-deps --target $@.part tensorrt-cu13-bindings==$*
	@mv $@.part $@
