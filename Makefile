# Needs Python 3.11 or newer and make; everything else is fetched into .venv on first use.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
SMALL  := $(VENV)/.ready-to-use
EMPTY  := $(VENV)/pyvenv.cfg
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
NOTEBOOKS ?= cache
WEB    := web/node_modules/.package-lock.json

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo ready test pytest lint types format docs web web-types web-check web-format web-dev zoo shortcuts fire gpu demo-weights clean

help: ## Print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(SMALL) ## Explain the included small network, and open the report
	$(BIN)/neurflow demo

ready: $(READY) ## Fetch all that the targets below need

test: web lint types web-check pytest ## Everything that must pass: front end, lint, types, tests

pytest: $(READY) ## The Python tests alone, on all processors
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder # one thread each

lint: $(READY) ## Ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## Mypy, strict
	$(BIN)/mypy

format: $(READY) ## Let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: web ## The documentation site, into docs/_build/html; NOTEBOOKS=off runs no tutorial
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -b html -D nb_execution_mode=$(NOTEBOOKS) docs docs/_build/html

web: $(READY) ## Build the front end if its sources have changed
	$(BIN)/python hatch_build.py

web-types: $(READY) $(WEB) ## Generate the front end's types from the Python types
	$(BIN)/python -m neurflow.pages.schema > web/src/shared/schema.json
	npm --prefix web run types

web-check: $(WEB) ## Lint, format check, types and tests of the front end
	npm --prefix web run lint
	npm --prefix web run check
	npm --prefix web test

web-format: $(WEB) ## Let Biome fix and format the front end
	npm --prefix web run format

web-dev: $(WEB) ## Serve the front end with hot reload, on top of a running neurflow explore
	npm --prefix web run dev

zoo: $(READY) ## Try every kind of classifier, and write docs/zoo.md (hours)
	$(BIN)/python -m benchmarks.zoo

shortcuts: $(READY) ## Plant shortcuts, audit for them, and write docs/shortcuts.md (half an hour)
	$(BIN)/python -m benchmarks.shortcuts

fire: $(READY) ## Kills, disturbed disks, fuzz and load; writes nothing (hours; FIRE=--short: minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.fire $(FIRE)

# GPU_PYTHON=python3 takes a Python that has everything already; nothing is installed then.
gpu: $(if $(GPU_PYTHON),,$(READY)) ## The GPU tests and benchmarks (ten minutes); GPU_PYTHON=python3 installs nothing
	PYTHONPATH=src:.:$(PYTHONPATH) $(or $(GPU_PYTHON),$(BIN)/python) -m benchmarks.gpu $(GPU_ARGS)

demo-weights: $(READY) ## Train the demo network again and check that it learns the same
	$(BIN)/python -m neurflow.demo.train --check

clean: ## Remove everything that was made here
	rm -rf $(VENV) build dist docs/_build web/node_modules src/neurflow/pages/static neurflow-demo
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(EMPTY):
	$(PYTHON) -m venv $(VENV)

# What the demo needs; developers' tools and the extras come with $(READY), which contains it.
$(SMALL): pyproject.toml constraints.txt | $(EMPTY)
	$(PIP) -e .
	@touch $@

$(READY): pyproject.toml constraints.txt | $(EMPTY)
	$(PIP) -e '.[dev,docs]'
	@touch $(SMALL) $@

$(WEB): web/package-lock.json
	npm --prefix web ci --no-audit --no-fund
