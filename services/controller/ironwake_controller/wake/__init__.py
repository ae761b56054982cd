"""Waking machines: whose turn it is, the magic packets, and the loop that sends them."""
