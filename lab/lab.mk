# The lab: real hosts on this machine (root, Debian or Ubuntu). Included by the Makefile.
LAB_NODES ?= 2
LAB_DEVICES ?= 8

.PHONY: lab lab-up lab-down lab-test

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
