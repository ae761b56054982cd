"""Brings root file systems in: tar, `docker export`, OCI layouts, directories, our own builds."""
