# `make proof`: every fault found exactly, nothing else ever reported, every careless check noticed. Two processes share
# the work.
.PHONY: proof proof-ci
proof: $(STAMP)
	$(BIN)/python tests/proof/prove.py --write

# The same in CI: it writes nothing.
proof-ci: $(STAMP)
	$(BIN)/python tests/proof/prove.py
