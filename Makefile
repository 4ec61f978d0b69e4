# Everything that is done with this repository by hand. `make help` explains each target.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV ?= .venv
DEPLOY_VENV ?= .venv-deploy
DEMO_DIR ?= .demo
PYTEST_ARGS ?=
export VENV DEPLOY_VENV

BIN := $(VENV)/bin
BOOTSTRAP ?= scripts/bootstrap
DEMO := $(BIN)/wsmesh-demo --dir '$(DEMO_DIR)'
PUSHER_JS := tests/integration/pusher_js
JS_CLIENT := clients/js

# make demo NODES=5 PORT=9000 NODE_PORT=9500 … becomes --nodes 5 --port 9000 --node-port 9500 …
option = $(if $($(1)),--$(2) $($(1)))
DEMO_OPTIONS = $(call option,NODES,nodes) $(call option,PORT,port) $(call option,REGISTRY_PORT,registry-port) \
	$(call option,PAGE_PORT,page-port) $(call option,STATS_PORT,stats-port) $(call option,NODE_PORT,node-port) \
	$(call option,MESH_PORT,mesh-port) $(if $(filter-out 0 no,$(DETACH)),--detach)

.PHONY: help
help: ## Explain each target
	@awk 'BEGIN { FS = ":.*## " } \
	/^##@ / { printf "\n%s\n", substr($$0, 5) } \
	/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ See it run

.PHONY: demo demo-stop demo-kill demo-start demo-add demo-status
demo: ## Start a cluster and a page; Ctrl-C ends it (NODES=3 PORT=8443 DETACH=1; also *_PORT, see docs/demo.md)
	@$(BOOTSTRAP) python demo
	@$(BOOTSTRAP) system haproxy
	@exec $(DEMO) up $(DEMO_OPTIONS)

demo-stop: $(BIN)/wsmesh-demo ## End the demo, wherever it runs
	@$(DEMO) stop

demo-kill: $(BIN)/wsmesh-demo ## Kill a node of the demo, as a crash would (NODE=2)
	@$(DEMO) kill $(or $(NODE),$(error say which node: make demo-kill NODE=2))

demo-start: $(BIN)/wsmesh-demo ## Start a killed node of the demo again (NODE=2)
	@$(DEMO) start $(or $(NODE),$(error say which node: make demo-start NODE=2))

demo-add: $(BIN)/wsmesh-demo ## Add a node to the demo
	@$(DEMO) add

demo-status: $(BIN)/wsmesh-demo ## Say what of the demo runs
	@$(DEMO) status

$(BIN)/wsmesh-demo:
	@$(BOOTSTRAP) python demo

##@ Deploy it

.PHONY: lab lab-destroy
lab: ## Start and deploy inventory/lab with Vagrant, pass a message between its locations (docs/lab.md)
	@$(BOOTSTRAP) python dev
	@VENV=$(DEPLOY_VENV) $(BOOTSTRAP) python deploy
	@$(BOOTSTRAP) system docker vagrant
	@tests/lab/lab up

lab-destroy: ## End the lab; nothing stays
	@tests/lab/lab destroy

##@ Work on it

.PHONY: setup check format unit simulate scale simulation integration browser containers molecule failover failover-page test-hosts test docs clean
setup: ## Install all that development and tests need: .venv, and programs from the system's packages
	@$(BOOTSTRAP) python dev
	@$(BOOTSTRAP) system haproxy chromium postgresql node promtool
	@$(MAKE) --silent $(PUSHER_JS)/node_modules/.package-lock.json $(JS_CLIENT)/node_modules/.package-lock.json

%/node_modules/.package-lock.json: %/package-lock.json
	@echo "· installing the JavaScript packages of $<" >&2
	@npm ci --prefix $* --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

check: ## Check format, lint, types and import rules
	@$(BOOTSTRAP) python dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: ## Format the code, and mend what the linter can
	@$(BOOTSTRAP) python dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

unit: ## Run the tests that need no process, network or database (PYTEST_ARGS=…)
	@$(BOOTSTRAP) python dev
	$(BIN)/pytest tests/unit -n 2 $(PYTEST_ARGS)

simulate: ## Simulate a failing network: SEEDS=2000 of them from FIRST=0 on, or one with its trace (SEED=42)
	@$(BOOTSTRAP) python dev
	$(BIN)/python -m tests.simulation.replay $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),2000) --first $(or $(FIRST),0))

scale: ## Measure by simulation what 3 to 100 nodes cost, and write docs/scale.md
	@$(BOOTSTRAP) python dev
	$(BIN)/python -m tests.simulation.scale

simulation: ## Test that 2,000 simulated runs keep the promises, and that injected faults are found
	@$(BOOTSTRAP) python dev
	$(BIN)/pytest tests/simulation -n 2 $(PYTEST_ARGS)

integration: ## Run the tests with real processes, HAProxy, SQLite, PostgreSQL, pusher and pusher-js; those of clients/js
	@$(MAKE) setup
	npm test --prefix $(JS_CLIENT)
	$(BIN)/pytest tests/integration -n 2 --dist loadfile $(PYTEST_ARGS)

browser: ## Run the tests in headless Chromium; screenshots go to build/screenshots/
	@$(MAKE) setup
	$(BIN)/pytest tests/browser -n 2 $(PYTEST_ARGS)

containers: ## Run the Docker images as docker/compose.yml says, and follow docs/deployment.md on a bare host
	@$(MAKE) setup
	@VENV=$(DEPLOY_VENV) $(BOOTSTRAP) python deploy
	@$(BOOTSTRAP) system docker
	tests/hosts/engine hold $(BIN)/pytest tests/docker tests/hosts $(PYTEST_ARGS)

molecule: ## Lint the roles, run the Molecule scenarios on systemd hosts (ROLES="site haproxy"); logs go to build/molecule/
	@$(MAKE) setup
	@VENV=$(DEPLOY_VENV) $(BOOTSTRAP) python deploy
	@$(BOOTSTRAP) system docker
	PATH="$(abspath $(DEPLOY_VENV))/bin:$$PATH" ansible-lint -q
	tests/hosts/engine hold $(DEPLOY_VENV)/bin/python scripts/scenarios.py $(ROLES)

failover: ## Break a cluster in containers under traffic, and account for every message (FAILOVER=quick); see docs/failover.md
	@$(BOOTSTRAP) python dev
	@$(BOOTSTRAP) system docker
	tests/hosts/engine hold $(BIN)/pytest tests/failover $(PYTEST_ARGS)

failover-page: ## Write docs/failover.md and its pictures from the last full report
	@$(BOOTSTRAP) python dev
	$(BIN)/python -m tests.failover.page

test-hosts: ## Run what needs hosts: containers, molecule, failover in its quick form; Docker is started if none runs
	@$(BOOTSTRAP) system docker
	tests/hosts/engine hold $(MAKE) containers molecule failover FAILOVER=quick

test: setup check unit simulation integration browser test-hosts ## Run everything: check, unit, simulation, integration, browser, test-hosts

docs: ## Write the documentation that comes from the code
	@$(BOOTSTRAP) python dev
	$(BIN)/python -m wsmesh.settings_page > docs/configuration.md
	$(BIN)/python scripts/role_tables.py

clean: ## Remove what make made: .venv, build/, caches, the demo's files
	@if [ -x $(BIN)/wsmesh-demo ]; then $(DEMO) stop; fi
	rm -rf $(VENV) $(DEMO_DIR) build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	rm -rf $(PUSHER_JS)/node_modules $(JS_CLIENT)/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name '*.egg-info' -type d -prune -exec rm -rf {} +
