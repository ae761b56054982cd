"""Bundles: what a site without a network needs, gathered, packed, verified and brought in."""
