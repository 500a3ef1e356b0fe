# The commands of the project. Each target sets up what it needs: Python 3.11 or later, g++ and a package registry are enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
PACKAGES := kernels engine export benchmarks training
REQUIREMENTS := --requirement tests/requirements.txt --requirement tests/requirements-gpu-gates.txt
NATIVE := setup.py $(wildcard kernels/native/*.cpp kernels/native/*.h)

.PHONY: demo test check lint types typing bench clean

# Segment an example CT with the small runtime: no torch, no nnunetv2.
demo: $(VENV)/runtime.stamp
	$(BIN)/flare-trt demo --output out/demo

test: $(VENV)/dev.stamp typing
	$(BIN)/python -m pytest

check: lint types

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp typing
	MYPYPATH=build/typing $(BIN)/mypy $(PACKAGES:%=-p flare_trt.%)

bench: $(VENV)/dev.stamp
	$(BIN)/flare-trt bench

# mypy does not follow an editable install; it finds the packages through this link.
typing:
	@mkdir -p build/typing && ln -sfn ../.. build/typing/flare_trt

clean:
	rm -rf build dist out $(VENV) *.egg-info kernels/native/*.so

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip

$(VENV)/runtime.stamp: $(BIN)/python pyproject.toml $(NATIVE)
	$(PIP) --editable .
	@touch $@

# torch comes first and alone; the constraints then keep everything else from pulling another one.
$(VENV)/dev.stamp: $(BIN)/python pyproject.toml $(NATIVE) $(wildcard tests/*.txt)
	$(PIP) torch==2.13.0
	$(PIP) --constraint tests/constraints.txt $(REQUIREMENTS) --editable '.[export,bench,dev]'
	@touch $@ $(VENV)/runtime.stamp
