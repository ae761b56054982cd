"""What a transfer may use, and which options it takes (RFC 2347, 2348, 2349, 7440)."""

from __future__ import annotations

from dataclasses import dataclass

from ironwake_tftp.packet import ReadRequest


@dataclass(frozen=True, slots=True)
class Limits:
    """What a transfer may use. Times are seconds, sizes octets."""

    max_blksize: int = 1468  # 1500 - IP 20 - UDP 8 - TFTP 4: firmware reassembles nothing
    max_windowsize: int = 64
    rto_first: float = 0.5  # before the first round trip was measured
    rto_floor: float = 0.03
    rto_ceiling: float = 3.0
    half_open: float = 10.0  # unacknowledged offers are dropped after this
    give_up: float = 30.0  # GRUB opens an initrd long before it reads it
    max_strays: int = 8  # ERROR 5 answers per transfer, so that it is no reflector either


def negotiate(request: ReadRequest, size: int, limits: Limits) -> dict[str, int]:
    """Options that we take for a file of `size` octets, with our values, in the order that
    dnsmasq sends them."""
    options = {}
    if request.blksize is not None:
        options["blksize"] = max(8, min(request.blksize, limits.max_blksize))
    if request.tsize:
        options["tsize"] = size
    if request.windowsize is not None:
        options["windowsize"] = min(request.windowsize, limits.max_windowsize)
    if request.timeout is not None:
        # RFC 2349 allows only the client's own value back. It bounds our back-off; sending
        # again sooner is always allowed.
        options["timeout"] = request.timeout
    return options
