# `make proof`: every fault found exactly, nothing else ever reported, every careless check noticed. About three minutes.
.PHONY: proof
proof: $(STAMP)
	$(BIN)/python tests/proof/prove.py --write
