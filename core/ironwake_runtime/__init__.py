"""Input and output that two or more services need."""
