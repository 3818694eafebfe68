# The lab: real hosts on this machine (root, Debian or Ubuntu). Included by the Makefile.
LAB_NODES ?= 2
LAB_DEVICES ?= 8

.PHONY: lab lab-up lab-down lab-test lab-ci

# Build it, run the whole guide on it, take it down again, whatever happened.
lab: $(STAMP)
	$(BIN)/python -m lab up --nodes $(LAB_NODES) --devices $(LAB_DEVICES)
	$(BIN)/pytest --inventory=lab/inventory.yaml $(LAB_ARGS); status=$$?; $(BIN)/python -m lab down; exit $$status

lab-up: $(STAMP)
	$(BIN)/python -m lab up --nodes $(LAB_NODES) --devices $(LAB_DEVICES)

lab-down: $(STAMP)
	$(BIN)/python -m lab down

# The real faults and interruptions, each as a test; builds and removes labs of its own.
lab-test: $(STAMP)
	HAKUNA_LAB_TESTS=1 $(BIN)/pytest tests/lab -q

-include lab/twin/twin.mk

# What CI has time for: a green run on 2 x 8, the faults, podman, three hosts, and the chaos that is not marked long.
# A lab that cannot be built is a failure here, and so is a test that skips.
lab-ci: lab
	HAKUNA_LAB_TESTS=1 timeout --kill-after=60 1500 $(BIN)/pytest tests/lab -q -m "not long" --durations=8 --tb=short; \
	status=$$?; $(BIN)/python -m lab down; exit $$status
