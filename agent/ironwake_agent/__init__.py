"""The agent: runs in the deploy ramdisk and puts the operating system on the disk."""
