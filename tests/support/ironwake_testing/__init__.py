"""Things that tests of several parts hold."""
