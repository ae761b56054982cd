"""Builds the deploy ramdisk, kernel and initrd, from Debian packages."""
