# The real LMDeploy on the CPU twin (root, Debian or Ubuntu, Python 3.11 or newer). Included by lab/lab.mk.
LMDEPLOY ?= 0.18.0
TWIN_CACHE := $(or $(HAKUNA_LAB_CACHE),$(HOME)/.cache/hakuna-lab)

.PHONY: lab-lmdeploy lab-lmdeploy-test twin-test

# The stand-ins' own tests; then the guide with tp=16 on two hosts, READY, and the same with a wrong all-reduce, NOT READY.
lab-lmdeploy: twin-test
	HAKUNA_LAB_TESTS=lmdeploy $(BIN)/pytest tests/lab_lmdeploy -q -m ci

# Those and every other failure of the real LMDeploy, each as a test.
lab-lmdeploy-test: twin-test
	HAKUNA_LAB_TESTS=lmdeploy $(BIN)/pytest tests/lab_lmdeploy -q

# Operators, device and model of the twin against plain PyTorch and transformers, in the lab's own virtual environment.
twin-test: $(STAMP)
	$(BIN)/python -m lab prepare --lmdeploy $(LMDEPLOY)
	PYTHONPATH=lab/twin/site:$(TWIN_CACHE)/lmdeploy-$(LMDEPLOY) $(TWIN_CACHE)/twin/bin/python -B -m pytest -c tests/twin/pytest.ini tests/twin -q
