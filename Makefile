# `make` alone lists what there is. Everything runs from .venv, which every target brings up to date first.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup dev demo test check bench soak wheel lock clean

VENV := .venv
RUN := $(VENV)/bin/python
# Another interpreter than the first python3 that is new enough: make setup PYTHON=python3.12
PYTHON ?=
ARGS ?=
PEERS := import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["bench"], sep="\n")

help: ## What there is to make
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
		|| sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST)

setup: ## Install the locked dependencies into .venv (skipped while the lock is unchanged)
	@PYTHON="$(PYTHON)" bash .ci/setup

dev: setup ## Postgres, Valkey, web, worker and beat in one terminal (ARGS="--port 8001")
	@exec $(RUN) manage.py dev $(ARGS)

demo: setup ## The example, live in the browser (ONCE=1: run it once and stop)
	@exec $(RUN) manage.py demo $(if $(ONCE),--once) $(ARGS)

test: setup ## The whole test suite (ARGS="tests/unit -x" for a part)
	@$(RUN) -m pytest $(ARGS)

check: setup ## Style, types, layers, migrations, Django's checks and the architecture tests
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache
	$(RUN) -W ignore manage.py makemigrations --check --dry-run
	$(RUN) manage.py check
	$(RUN) -m pytest -q tests/architecture

bench: setup ## Side by side with peers; prints ratios
	@$(RUN) -c '$(PEERS)' | $(RUN) -m pip install --quiet --constraint <(sed '/^ *--hash/d; s/ \\$$//' requirements.lock) \
		--requirement /dev/stdin || echo "Some peers could not be installed; the benchmarks leave them out."
	@exec $(RUN) -m benchmarks $(ARGS)

soak: setup ## The long runs: random programs, random failures, a million claims
	@$(RUN) -m pytest -m soak $(ARGS)

wheel: setup ## Build the wheel into dist/
	@$(RUN) -m build --wheel --no-isolation

# Renews every pin. It must run with the oldest Python we support, whose dependencies are a superset of the newer ones';
# the result holds the hashes of all platforms and no addresses.
lock: setup ## Renew requirements.lock from pyproject.toml
	@bash .ci/lock

clean: ## Remove .venv, the data of the embedded stack and everything built
	rm -rf $(VENV) .jobs build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
