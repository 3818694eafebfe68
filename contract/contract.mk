# The contract with LMDeploy's releases. Included by the Makefile.
#
#   make contract                       all releases, and docs/contract.md
#   make contract-ci                    the oldest, 0.11.1, 0.14.0 and the newest that is listed; two minutes on a quiet machine
#   .venv/bin/python -m contract 0.15.0 one release
.PHONY: contract contract-ci

contract: $(STAMP)
	$(BIN)/python -m contract all --page docs/contract.md

contract-ci: $(STAMP)
	timeout --kill-after=20 480 $(BIN)/python -m contract ci
