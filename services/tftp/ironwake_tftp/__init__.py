"""The TFTP service: loaders and per-machine scripts by name, from no directory."""
