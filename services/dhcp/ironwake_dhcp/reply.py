"""What a reply says, in words; `template` alone knows how that looks on the wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address

from ironwake_dhcp.packet import MessageType


@dataclass(frozen=True, slots=True)
class Terms:
    """What comes with an address in server mode: never a part of a proxy's reply.

    `seconds` is the lease time, or None in the answer to an INFORM, which gives no lease
    (RFC 2131 section 4.3.5). The renewal and rebinding times follow from it. `static_routes` is
    option 121 as it stands on the wire (RFC 3442).
    """

    netmask: IPv4Address
    router: IPv4Address | None
    name_servers: tuple[IPv4Address, ...]
    domain: str
    seconds: int | None
    ntp_servers: tuple[IPv4Address, ...] = ()
    static_routes: bytes = b""
    log_server: IPv4Address | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """The part of a reply that is the same for every request it answers; a template's key.

    `boot_file` is a TFTP path or a URL and stands in the BOOTP field *and* in option 67: shim takes
    its directory from the field, some firmware reads only the option. `discovery` is option 43,
    PXE's own list of tags (`ironwake.personality`). `overrides` tells iPXE to believe this reply
    before what any other server says: without it, a boot file in the answer of the server that gave
    the address comes first, wherever it stands there, and ours is never fetched.
    """

    message_type: MessageType
    server: IPv4Address
    vendor_class: str = ""
    boot_file: str = ""
    discovery: bytes = b""
    terms: Terms | None = None
    overrides: bool = False
    _hash: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        said = (self.message_type, self.server, self.vendor_class, self.boot_file)
        object.__setattr__(self, "_hash", hash((*said, self.discovery, self.terms, self.overrides)))

    def __hash__(self) -> int:
        """Made once: a template is looked for with every answer."""
        return self._hash


@dataclass(frozen=True, slots=True)
class Reply:
    """Send this, and `address` as the client's own (None: a proxy gives none)."""

    content: Content
    address: IPv4Address | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Send nothing: a decision like any other, with its reason."""

    reason: str
