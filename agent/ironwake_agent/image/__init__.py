"""The way of a whole disk: fetched in pieces, checked before it is written, made this machine's."""
