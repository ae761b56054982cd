"""One module per benchmark: ours against the peer that people would pick instead, in one run."""
