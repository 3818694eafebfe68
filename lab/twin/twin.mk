# The real LMDeploy on the CPU twin (root, Debian or Ubuntu, Python 3.11 or newer). Included by lab/lab.mk.
LMDEPLOY ?= 0.18.0
TWIN_CACHE := $(or $(HAKUNA_LAB_CACHE),$(HOME)/.cache/hakuna-lab)
# Which of the tests: what CI has time for, unless told otherwise.
TWIN_ARGS ?= -m ci

.PHONY: lab-lmdeploy lab-lmdeploy-test twin-test

# The stand-ins' own tests; then the guide with tp=16 on two hosts, READY, and the same with a wrong all-reduce, NOT READY.
lab-lmdeploy: twin-test
	HAKUNA_LAB_TESTS=lmdeploy timeout --kill-after=60 2400 $(BIN)/pytest tests/lab_lmdeploy -q --durations=8 --tb=short $(TWIN_ARGS); \
	status=$$?; $(BIN)/python -m lab down; exit $$status

# Those and every other failure of the real LMDeploy, each as a test.
lab-lmdeploy-test: TWIN_ARGS =
lab-lmdeploy-test: lab-lmdeploy

# Operators, device and model of the twin against plain PyTorch and transformers, in the lab's own virtual environment.
twin-test: $(STAMP)
	$(BIN)/python -m lab prepare --lmdeploy $(LMDEPLOY)
	PYTHONPATH=lab/twin/site:$(TWIN_CACHE)/lmdeploy-$(LMDEPLOY) $(TWIN_CACHE)/twin/bin/python -B -m pytest -c tests/twin/pytest.ini tests/twin -q
