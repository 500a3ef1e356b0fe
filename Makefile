# The commands of the project. Each target sets up what it needs; nothing else is assumed but Python 3.11, g++ and a package registry.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PACKAGES := kernels engine export benchmarks training

.PHONY: demo test check lint types typing bench gpu clean

$(VENV)/runtime.stamp: pyproject.toml setup.py $(wildcard kernels/native/*.cpp kernels/native/*.h)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/dev.stamp: $(VENV)/runtime.stamp tests/constraints.txt tests/requirements.txt
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --constraint tests/constraints.txt --requirement tests/requirements.txt
	$(BIN)/pip install --quiet --constraint tests/constraints.txt --editable '.[export,bench,dev]'
	touch $@

demo: $(VENV)/runtime.stamp
	$(BIN)/flare-trt demo --output out/demo

test: $(VENV)/dev.stamp typing
	$(BIN)/python -m pytest

typing:
	mkdir -p build/typing && ln -sfn ../.. build/typing/flare_trt

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(VENV)/dev.stamp typing
	MYPYPATH=build/typing $(BIN)/mypy $(PACKAGES:%=-p flare_trt.%)

check: lint types test

clean:
	rm -rf build dist out $(VENV) *.egg-info
