# `make proof`: every fault found exactly, nothing else ever reported, every careless check noticed. Two processes share
# the work.
.PHONY: proof
proof: $(STAMP)
	$(BIN)/python tests/proof/prove.py --write
