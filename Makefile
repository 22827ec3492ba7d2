# One word per job; `make` alone lists them.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
export PYTHONDONTWRITEBYTECODE ?= 1
# The whole suite runs in two processes, a file of tests in one; single files need no second one.
PARALLEL ?= -n 2 --dist loadfile --no-loadscope-reorder

# Judges WebSockets in tests/system/test_autobahn.py, which is skipped without it: it runs on Python
# 2.7 only, which has left most machines. Of pyenv the interpreter itself is taken, as its shims know
# only versions that are switched on.
AUTOBAHN := .venv-autobahn
AUTOBAHN_VERSION := 25.10.1
PYTHON2 ?= $(firstword $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/2.7.*/bin/python2.7) python2.7)

.DEFAULT_GOAL := help
.PHONY: help run autobahn test check format docs bench clean

help: ## List the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(BIN)/toto-gateway: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml $(BIN)/toto-gateway
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@

$(AUTOBAHN)/$(AUTOBAHN_VERSION).stamp:
	PYTHONUSERBASE=$(CURDIR)/$(AUTOBAHN) $(PYTHON2) -m pip install -qq --user \
		autobahntestsuite==$(AUTOBAHN_VERSION)
	@touch $@

autobahn: $(AUTOBAHN)/$(AUTOBAHN_VERSION).stamp ## Install the Autobahn test suite (needs Python 2.7 with pip)

run: $(BIN)/toto-gateway ## Serve the quickstart on port 8888 with two local workers
	@sed -n 's/^# try: //p' examples/quickstart/gw.conf
	$(BIN)/toto-gateway --conf examples/quickstart/gw.conf $(ARGS)

test: $(VENV)/dev.stamp ## Run the whole suite
	$(BIN)/pytest $(if $(findstring tests/,$(ARGS)),,$(PARALLEL)) $(ARGS)

check: $(VENV)/dev.stamp ## Lint, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/_kit/check_sizes.py

format: $(VENV)/dev.stamp ## Rewrite the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/dev.stamp ## Write the generated pages again (docs/options.md)
	$(BIN)/python docs/write_options.py

bench: $(VENV)/dev.stamp ## Load the gateway beside its peers (see bench/README.md)
	$(BIN)/python bench/run.py $(ARGS)

clean: ## Remove what the commands above made
	rm -rf $(VENV) $(AUTOBAHN) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
