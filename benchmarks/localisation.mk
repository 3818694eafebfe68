# `make bench-localisation`: 10,000 random scenarios of broken meshes, on two processes; writes docs/localisation.md.
.PHONY: bench-localisation
bench-localisation: $(STAMP)
	$(BIN)/python benchmarks/localisation.py --write
