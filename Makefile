# Everything on a fresh machine: `make sweep` and `make test` make the virtual environment themselves.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-dev
WORKERS ?= 3
# Torch and Ray are told their threads by the program; this keeps NumPy's from multiplying under them.
export OMP_NUM_THREADS ?= 1

.PHONY: sweep test test-long lint types layers docs check clean help

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

sweep: $(STAMP)  ## The main job: search and confirm gat_ablation on the synthetic market, into runs/
	$(BIN)/python -m trial.sweep gat_ablation $(ARGS)

test: $(STAMP)  ## All tests but the long ones, by WORKERS=3 processes: those on Ray mostly wait
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

test-long: $(STAMP)  ## The tests that take minutes: chaos, full sweeps
	$(BIN)/python -m pytest -m long --timeout 3600 -rP

lint: $(STAMP)  ## Style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## Strict types
	$(BIN)/mypy

layers: $(STAMP)  ## Who may import whom
	$(BIN)/lint-imports

docs: $(STAMP)  ## The documentation as a site, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "site/index.html; with its search: $(BIN)/python -m http.server --bind 127.0.0.1 --directory site"

check: lint types layers test  ## All of the above but the sweep

clean:  ## Remove the virtual environment and caches; runs/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
