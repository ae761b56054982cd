"""One file for each step; only ever added to."""
