"""Layouts: how the disks of a machine are divided, and what is made on them."""
