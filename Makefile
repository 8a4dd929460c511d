# The two commands of a new user, and those of a developer. All of them install what they need into .venv first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test slow perf lint format clean contracts contracts-test contracts-lint

run: .venv/.installed
	$(BIN)/vpp-sim run scenarios/fontana.yaml

test: .venv/.installed
	$(BIN)/python -m pytest

slow: .venv/.installed
	$(BIN)/python -m pytest -m slow

perf: .venv/.installed
	$(BIN)/python -m pytest -m perf -s

lint: .venv/.installed contracts-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The contracts: compile into vpp_sim/chain/artifacts, run forge's tests, check the style and look for known weaknesses.
contracts: contracts/node_modules/.installed
	cd contracts && npm run --silent build

contracts-test: contracts/node_modules/.installed
	cd contracts && npm test --silent

contracts-lint:
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory contracts/node_modules/.installed .slither/.installed && \
	  (cd contracts && npm run --silent lint) && PATH="$(CURDIR)/.slither/bin:$$PATH" node contracts/slither.mjs; \
	else echo "Node is not installed: solhint and slither skipped"; fi

.slither/.installed: Makefile
	$(PYTHON) -m venv .slither
	.slither/bin/pip install --quiet --disable-pip-version-check slither-analyzer==0.11.6
	@touch $@

contracts/node_modules/.installed: contracts/package-lock.json
	cd contracts && npm ci --no-audit --no-fund --ignore-scripts
	@touch $@

format: .venv/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .slither .mypy_cache .ruff_cache .pytest_cache .hypothesis contracts/node_modules

.venv/.installed: pyproject.toml constraints.txt
	@echo "Installing into .venv (some minutes the first time) ..."
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "vpp_sim needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
