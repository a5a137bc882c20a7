# AgentPod. Every target installs what it needs first; run them as root or with sudo.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
DISTS := agentpod_core agentpod_openclaw agentpod_traefik $(sort $(wildcard plugins/*)) $(sort $(wildcard apps/*))
PYTHON ?= python3
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install machine browser postgresql check test bench demo up clean

help: ## Show what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

install: $(STAMP) ## Install everything into .venv

$(STAMP): constraints.txt requirements-dev.txt $(addsuffix /pyproject.toml,$(DISTS))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "AgentPod needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V). Name another one: make PYTHON=python3.11 …" >&2; exit 1; }
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || scripts/machine.sh venv
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -c constraints.txt $(addprefix -e ./,$(DISTS))
	touch $@

machine: ## Install and start what the machine itself lacks: Docker, iptables, debootstrap
	scripts/machine.sh docker debootstrap

browser: ## Install the browser that tests look at the dashboard with
	scripts/machine.sh chromium

postgresql: ## Install PostgreSQL 15, the oldest that is supported, beside the 18 that AgentPod brings
	scripts/machine.sh postgresql

check: install ## Lint, types, import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy $(foreach dist,$(DISTS),$(dist)/src)
	$(BIN)/lint-imports

test: install machine browser postgresql ## The whole suite: real Docker, PostgreSQL, Traefik and browser included
	$(BIN)/python -m pytest -n 2 --no-loadscope-reorder --durations 40

bench: install machine ## Print the measured claims and write bench/results/latest.json
	$(BIN)/python bench

demo: install machine ## A customer's agent from nothing, with its addresses; stays in the foreground
	$(BIN)/python scripts/demo.py

up: install machine ## Start the platform in the foreground
	$(BIN)/agentpod up

clean: ## Remove what the others made; asks before it removes data
	scripts/clean.sh
