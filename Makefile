# The commands of the project. Each target sets up what it needs: Python 3.11 or later, g++ and a package registry are enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Twice quiet: errors alone.
PIP := $(BIN)/pip install --quiet --quiet --disable-pip-version-check
PACKAGES := kernels engine export benchmarks training
REQUIREMENTS := $(addprefix --requirement ,tests/requirements.txt tests/requirements-gpu-gates.txt docs/requirements.txt)
# Both majors of TensorRT's bindings, unpacked side by side: one environment cannot hold two, and none is ever run.
BINDINGS := $(patsubst %,build/tensorrt-bindings/%,11.4.0.106 10.16.1.11)
# Triton's schema of config.pbtxt. Its client would pull an older ml_dtypes, so it is unpacked alone too.
TRITON_CLIENT := build/triton-client/2.73.0
NATIVE := setup.py $(wildcard kernels/native/*.cpp kernels/native/*.h)

.PHONY: demo test gates check lint types docs typing bench gpu fuzz viewer clean

# Segment an example CT with the small runtime: no torch, no nnunetv2.
demo: $(VENV)/runtime.stamp
	$(BIN)/flare-trt demo --output out/demo

test: $(VENV)/dev.stamp $(BINDINGS) $(TRITON_CLIENT) typing
	$(BIN)/python -m pytest

# What of the GPU path can be checked without a GPU.
gates: $(VENV)/dev.stamp $(BINDINGS) typing
	$(BIN)/python -m pytest tests/fakes tests/kernels tests/engine/backends \
		tests/engine/test_gpu_pipeline.py tests/engine/test_plan.py tests/engine/test_arrays.py

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

# Needs a real NVIDIA GPU; says so and exits 3 where there is none.
gpu: $(VENV)/dev.stamp
	$(PIP) --constraint tests/constraints.txt --editable '.[gpu]'
	$(BIN)/python -m tests.gpu_gate out/gpu.json

# Ten minutes of damaged inputs with a new seed; those that fail are kept in out/fuzz.
fuzz: $(VENV)/dev.stamp typing
	$(BIN)/python -m tests.fuzz --seconds 600

# What `flare-trt view` draws with: fetched with npm, held to its checksum, never part of the source tree, bundled into wheels.
viewer: typing
	PYTHONPATH=build/typing $(PYTHON) -m flare_trt.engine.viewer.niivue

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

# torch comes first and alone; the constraints then keep everything else from pulling another one.
$(VENV)/dev.stamp: $(BIN)/python pyproject.toml $(NATIVE) $(wildcard tests/*.txt docs/*.txt)
	$(PIP) torch==2.13.0
	$(PIP) --constraint tests/constraints.txt $(REQUIREMENTS) --editable '.[export,bench,serve,ray,dev]'
	@touch $@ $(VENV)/runtime.stamp

build/tensorrt-bindings/%: | $(BIN)/python
	$(PIP) --no-deps --target $@.part tensorrt-cu13-bindings==$*
	@mv $@.part $@
