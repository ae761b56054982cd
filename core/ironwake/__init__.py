"""The pure core: what a machine gets next, and why. No sockets, files, clock or processes."""
