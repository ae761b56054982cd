"""Reading a machine, so that an image comes of it: nothing on it is written."""
