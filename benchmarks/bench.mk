# Benchmarks: everything by turns in one run; what counts are the ratios. Included by the Makefile.
BENCH_HOSTS ?= 2,16,64
BENCH_VENV := benchmarks/.venv

.PHONY: bench bench-ci

# The comparison of docs/performance.md. Installs ansible-core and pytest-testinfra into a venv of its own; some minutes.
bench: $(STAMP) $(BENCH_VENV)/.installed
	$(BIN)/python benchmarks/compare.py --hosts $(BENCH_HOSTS) --venv $(BENCH_VENV) --json benchmarks/results.json
	$(BIN)/python benchmarks/sizes.py --json benchmarks/sizes.json
	$(BIN)/python benchmarks/idle.py --json benchmarks/idle.json

# The compact form: fails when a ratio is lost.
bench-ci: $(STAMP)
	$(BIN)/python benchmarks/ci.py

$(BENCH_VENV)/.installed:
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check ansible-core pytest-testinfra paramiko
	touch $@
