"""All ports that the services want: may we have them, and if not, whose are they?"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator

from ironwake.errors import IronwakeError
from ironwake_runtime.packagecache import is_wanted
from ironwake_runtime.ports import Port, endpoint, refusal
from ironwake_runtime.settings import Settings

_LISTEN = "IRONWAKE_CONTROLLER_LISTEN"


def wanted(settings: Settings, address: str) -> tuple[Port, ...]:
    """All ports that `ironwake serve` opens with these settings.

    DHCP and TFTP hear broadcasts, so they take all addresses of one interface; the others take
    `address`, our own on the machines' network.
    """
    lan = settings.interface
    host, number = endpoint(settings.controller_listen, _LISTEN)
    ports = [Port("controller", "tcp", number, _LISTEN, host)]
    if settings.dhcp_mode != "off":
        for port, name in ((settings.dhcp_port, "DHCP"), (settings.dhcp_proxy_port, "DHCP_PROXY")):
            ports.append(Port("dhcp", "udp", port, f"IRONWAKE_{name}_PORT", interface=lan))
    ports += [
        Port("tftp", "udp", settings.tftp_port, "IRONWAKE_TFTP_PORT", interface=lan),
        Port("dns", "udp", settings.dns_port, "IRONWAKE_DNS_PORT", address),
        Port("dns", "tcp", settings.dns_port, "IRONWAKE_DNS_PORT", address),
        Port("http", "tcp", settings.http_port, "IRONWAKE_HTTP_PORT", address),
    ]
    if is_wanted(settings):
        number = settings.packages_port
        ports.append(Port("packages", "tcp", number, "IRONWAKE_PACKAGES_PORT", address))
    return tuple(ports)


def problems(ports: Iterable[Port]) -> tuple[IronwakeError, ...]:
    """One error for each port that cannot be opened, the process that has it named."""
    return tuple(error for port in ports if (error := _try(port)) is not None)


def _try(port: Port) -> IronwakeError | None:
    try:
        with _bound(port):
            return None
    except OSError as error:
        return refusal(port, error)


@contextlib.contextmanager
def _bound(port: Port) -> Iterator[None]:
    """Bind as the service would, and let go again."""
    udp = port.protocol == "udp"
    family = socket.AF_INET6 if ":" in port.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as probe:
        if port.interface:
            # The same port on another interface (a hypervisor's own network) is no conflict.
            with contextlib.suppress(PermissionError):
                name = port.interface.encode()
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
        if not udp:  # connections of our predecessor that linger are no conflict either
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((port.address, port.number))
        if not udp:  # with SO_REUSEADDR, only listen(2) meets a listener on another address
            probe.listen(1)
        yield
