# The two commands of a new user, and those of a developer. All of them install what they need into .venv first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test slow perf lint format clean

run: .venv/.installed
	$(BIN)/vpp-sim run scenarios/fontana.yaml

test: .venv/.installed
	$(BIN)/python -m pytest

slow: .venv/.installed
	$(BIN)/python -m pytest -m slow

perf: .venv/.installed
	$(BIN)/python -m pytest -m perf -s

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis contracts/node_modules

.venv/.installed: pyproject.toml constraints.txt
	@echo "Installing into .venv (some minutes the first time) ..."
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "vpp_sim needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
