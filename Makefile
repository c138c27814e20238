# make demo: the whole thing on a fresh machine. make check: exactly what CI runs.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
PAGE := $(shell find streams/page/src streams/page/*.json streams/page/*.ts streams/page/index.html)

.PHONY: help setup page demo bench test check lint types clean

help:
	@echo "make demo [ARGS='--for 60s']   install, start everything, show a simulated city live"
	@echo "make setup                     install only"
	@echo "make page                      build the operators' page again, after a change or a failed download"
	@echo "make bench [ARGS='--quick']    measure beside other ways to do the same: docs/performance.md"
	@echo "make test                      all tests, the real stack included"
	@echo "make check                     lint, types and all tests: what CI runs"
	@echo "make clean                     remove what was installed; data in .cityops/ stays"

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "cityops needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: .venv/pyvenv.cfg pyproject.toml $(PAGE)
	$(BIN)/python -m pip install --editable '.[embedded]'
	@touch $@

.venv/installed-test: .venv/installed pyproject.toml
	$(BIN)/python -m pip install --editable '.[embedded,test]'
	@touch $@

setup: .venv/installed

page: .venv/pyvenv.cfg
	$(BIN)/python -m pip install --no-deps --editable .

demo: setup
	@$(BIN)/cityops demo $(ARGS)

.venv/installed-bench: .venv/installed pyproject.toml
	$(BIN)/python -m pip install --editable '.[embedded,bench]'
	@touch $@

bench: .venv/installed-bench
	@$(BIN)/cityops bench $(ARGS)

lint: .venv/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/cityops topics check-schemas

types: .venv/installed-test
	$(BIN)/mypy

test: .venv/installed-test
	$(BIN)/pytest -n 2 --dist loadfile  # two stacks side by side: most tests wait for servers

check: lint types test

clean:
	rm -rf .venv build dist *.egg-info streams/page/dist streams/page/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
