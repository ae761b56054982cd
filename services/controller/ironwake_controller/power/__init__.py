"""Switching machines on and off: one file per driver, and what carries out their work."""
