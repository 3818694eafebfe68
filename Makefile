# The project's promises. Each target sets up what it needs; `python3` and `make` are enough to begin with.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= 4
# The tests start some hundred Pythons: what is compiled once is not compiled again, whatever this machine is set to.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: accept test test-ssh lint typecheck contract-imports schema docs clean

# The main job: the whole guide on a simulated 2 x 8 cluster.
accept: $(STAMP)
	$(BIN)/pytest --inventory=inventory/mock.yaml

# Hakuna's own tests, after the gates.
test: $(STAMP) lint typecheck contract-imports
	$(BIN)/pytest tests -n $(JOBS) --dist worksteal -m "not ssh" -q

# Whole runs over real ssh, against sshds of the tests' own.
test-ssh: $(STAMP)
	$(BIN)/pytest tests/ssh -n $(JOBS) --dist worksteal -q

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(STAMP)
	$(BIN)/mypy

contract-imports: $(STAMP)
	$(BIN)/lint-imports --config pyproject.toml

# What is generated from the code: the inventory's schema, the rules' and faults' pages.
docs: $(STAMP)
	$(BIN)/python -m hakuna.inventory.schema > inventory/schema.json
	$(BIN)/hakuna rules --markdown > docs/rules.md
	$(BIN)/python -m hakuna.simulator.faults > docs/faults.md
	$(BIN)/python -m hakuna.reports.versions_page > docs/versions.md

$(STAMP): pyproject.toml plugins/hakuna/__init__.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Hakuna needs Python 3.10 or newer; try: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

-include lab/lab.mk tests/proof/proof.mk benchmarks/bench.mk benchmarks/localisation.mk contract/contract.mk

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
