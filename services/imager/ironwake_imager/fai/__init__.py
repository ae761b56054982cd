"""FAI media: Debian's Fully Automatic Installation, started over HTTP."""
