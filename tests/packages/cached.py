"""What the mirror has in tests of the package cache, and where machines ask for it."""

DEB = "/debian/pool/main/t/tree/tree_2.1.0-1_amd64.deb"
ASKED = f"/packages{DEB}"
RELEASE = "/debian/dists/bookworm/InRelease"
