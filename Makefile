# Answerdesk's front door. `make` alone lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
EXTRAS ?=

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 16

run: $(VENV)/.run  ## Start the product on port 8001 (settings: environment or .env; see .env.example)
	@$(BIN)/answerdesk serve

ask: $(VENV)/.run  ## Answer in the terminal: make ask Q="What is the nano pricing plan?"
	@: $${Q:?write it as: make ask Q=\"your question\"}
	@$(BIN)/answerdesk ask -- "$$Q"

test: $(VENV)/.dev tests/clients/node_modules/.installed  ## Run the whole test suite
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -n auto --dist loadfile $(PYTEST_ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

bench: $(VENV)/.dev  ## What a streamed token costs, beside pass-through and the textbook stack (a few minutes)
	@$(BIN)/python -m bench.tokens $(BENCH_ARGS)

soak: $(VENV)/.dev  ## Kill workers, cut connections, and prove that turns lose nothing (SOAK_ARGS="--minutes 30 --database sqlite")
	@$(BIN)/python -m soak $(SOAK_ARGS)

check: $(VENV)/.dev  ## Format, lint, types, layers, drift of schema and migrations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/answerdesk export-schema | diff schema.graphql - || { echo "schema.graphql drifted: run make schema"; exit 1; }
	DATABASE_URL="sqlite+aiosqlite:///$$(mktemp -d)/check.sqlite3" bash -c '$(BIN)/alembic -q upgrade head && $(BIN)/alembic -q check'

fix: $(VENV)/.dev  ## Format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: $(VENV)/.dev  ## Export schema.graphql from the code
	$(BIN)/answerdesk export-schema schema.graphql

migrate: $(VENV)/.run  ## Bring the database's tables up to date
	@$(BIN)/answerdesk migrate

ingest: $(VENV)/.run  ## Bring the search index up to date
	@$(BIN)/answerdesk ingest

embeddings: $(VENV)/.run  ## Install the optional embeddings: better search, still without a network
	$(BIN)/pip install -q --require-hashes -r requirements/embeddings.lock

lock: $(VENV)/.dev  ## Pin the newest versions that resolve, with hashes
	$(BIN)/pip install -q uv
	$(foreach of,run embeddings dev,$(call compile,$(of)) &&) true

compile = $(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --custom-compile-command "make lock" pyproject.toml requirements/build.in \
  $(if $(filter embeddings dev,$(1)),--extra embeddings) $(if $(filter dev,$(1)),--extra dev) \
  $(if $(filter embeddings dev,$(1)),-c requirements/run.lock) -o requirements/$(1).lock

clean:  ## Remove what was built; the data folder stays
	rm -rf $(VENV) tests/clients/node_modules build *.egg-info .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache

.PHONY: help run ask test bench soak check fix schema migrate ingest embeddings lock clean

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Answerdesk needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.lock pyproject.toml | $(VENV)/bin/pip
	@echo "Installing Answerdesk's dependencies into $(VENV) (once) …"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/run.lock
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.run
	@echo "Installing what the tests need into $(VENV) (once) …"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

# The tests that drive the server with npm's own clients are skipped, and say so, where there is no Node.
tests/clients/node_modules/.installed: tests/clients/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix tests/clients --no-audit --no-fund --loglevel=error && touch $@; \
	else echo "no npm here: the tests with the npm clients will be skipped"; fi
