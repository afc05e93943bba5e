# Two commands are enough: `make demo` and `make test`. Each creates what it needs from a bare checkout.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

export MEDSETU_DATA ?= ../shared/data
export WANDB_MODE ?= offline

.DEFAULT_GOAL := help
.PHONY: help install demo test check lint types contracts bench lock clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(BIN)/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "medsetu needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip uv

$(STAMP): requirements.lock pyproject.toml | $(BIN)/uv
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements.lock
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps -e .
	touch $@

install: $(STAMP)  ## environment with the locked dependencies

demo: $(STAMP)  ## the main job on two phantom countries: the transfer matrix and report.html
	$(BIN)/medsetu study recipe=demo

test: $(STAMP)  ## all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile

check: lint types contracts  ## style, types, import contracts

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

bench: $(STAMP)  ## speed, as ratios measured in one run
	$(BIN)/python scripts/bench_input.py
	$(BIN)/python scripts/bench_prepare.py
	$(BIN)/python scripts/bench_bootstrap.py
	$(BIN)/python scripts/bench_shift.py

lock: | $(BIN)/uv  ## resolve the dependencies anew, with hashes
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --extra dev --extra xrv --extra joblib --extra slurm \
		--no-emit-index-url --no-header -o requirements.lock pyproject.toml

clean:  ## remove the environment and caches, never runs/
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache dist
