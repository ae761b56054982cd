"""The router: dnsmasq as a plain foreign DHCP server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ironwake_lab import network, process
from ironwake_lab.host import call
from ironwake_lab.spec import RackSpec, RouterSpec


def configuration(spec: RackSpec, router: RouterSpec, directory: Path) -> str:
    """dnsmasq's configuration file: a pool, a gateway (option 3), and what the spec says of boot.

    `no-ping` because dnsmasq else holds each offer back for 3 s to probe the address.
    """
    lines = [
        "port=0",
        "no-resolv",
        "no-hosts",
        "user=root",
        "interface=eth0",
        "bind-interfaces",
        "no-ping",
        "dhcp-authoritative",
        f"dhcp-range={router.first},{router.last},{spec.network.netmask},1h",
        f"dhcp-option=3,{router.address}",
        f"dhcp-leasefile={directory / 'leases'}",
        "log-dhcp",
        f"log-facility={directory / 'log'}",
    ]
    if router.advertise:
        lines += ["enable-ra", "dhcp-range=::,constructor:eth0,ra-only"]
    return "\n".join((*lines, *_boot_lines(router), *router.extra_lines)) + "\n"


def _boot_lines(router: RouterSpec) -> list[str]:
    # A name given with dhcp-boot goes into option 67 if the client asks for that (most do), and
    # into the file field with dhcp-no-override. Given by dhcp-option-force it goes there in any
    # case. With a dhcp-boot, siaddr is its third word; without one, a pseudo-option of its own.
    lines = []
    if router.boot_file:
        lines += ["dhcp-no-override", f"dhcp-boot={router.boot_file},,{router.next_server}"]
    elif router.next_server != router.address:
        lines.append(f"dhcp-option=option:server-ip-address,{router.next_server}")
    if router.option_67:
        lines.append(f"dhcp-option-force=67,{router.option_67}")
    return lines


@dataclass(frozen=True)
class Router:
    """The running server; its files are in `directory`."""

    spec: RackSpec
    directory: Path

    @property
    def pid_file(self) -> Path:
        return self.directory / "pid"

    @property
    def log(self) -> Path:
        """What dnsmasq did, packet by packet."""
        return self.directory / "log"

    @property
    def leases(self) -> Path:
        """dnsmasq's lease file: a line per lease, with the MAC address in it."""
        return self.directory / "leases"

    @property
    def is_on(self) -> bool:
        return process.alive(self.pid_file) is not None

    def start(self) -> None:
        """Start it unless it runs; it listens when this returns."""
        if self.spec.router is None or self.is_on:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        file = self.directory / "dnsmasq.conf"
        text = configuration(self.spec, self.spec.router, self.directory)
        file.write_text(text, encoding="utf-8")
        inside = network.enter(network.gateway_of(self.spec.name))
        call([*inside, "dnsmasq", f"--conf-file={file}", f"--pid-file={self.pid_file}"])

    def stop(self) -> None:
        """Stop it, if it runs: from then on the network has no DHCP server."""
        if pid := process.alive(self.pid_file):
            process.end(pid)
