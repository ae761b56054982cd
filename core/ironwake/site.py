"""The site: what the appliance is to its network, and what it has in store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network

from ironwake.artifact import Manifest
from ironwake.errors import RefusedError
from ironwake.names import DomainName
from ironwake.packagecache import DEBIAN, PREFIX, Source, near
from ironwake.quirks import Quirk
from ironwake.subnet import Subnet


@dataclass(frozen=True)
class Site:
    """`address`: the appliance's IPv4 address on the machines' network, `prefix` bits long.

    `ramdisk` names the flavour: `generic`, or `cloud` for virtual machines. `mirror` is where the
    vendor's installer gets its packages: a URL, or "" where nothing was configured. `proxy`: beside
    a foreign DHCP server (True) or with our own. `subnets`: in which we give addresses. `ssh_keys`:
    whose owners are let into rescue systems. `packages`: the mirrors that are known by name;
    `cache`: where the package cache stands before them, as `http://HOST:PORT`, "" without one.
    `monitor_port` (TCP) is where FAI tells how it gets on, `syslog_port` (UDP) takes the lines of
    installers' logs; 0 where nobody listens.
    """

    address: str
    prefix: int
    http_port: int = 80
    domain: DomainName = field(default_factory=lambda: DomainName("ironwake.internal"))
    ramdisk: str = "generic"
    mirror: str = ""
    proxy: bool = True
    subnets: tuple[Subnet, ...] = ()
    ssh_keys: tuple[str, ...] = ()
    packages: tuple[Source, ...] = ()
    cache: str = ""
    monitor_port: int = 4711
    syslog_port: int = 514

    @property
    def networks(self) -> tuple[IPv4Network, ...]:
        """Those whose machines are ours: our own interface's, then the others."""
        own = IPv4Network(f"{self.address}/{self.prefix}", strict=False)
        found = dict.fromkeys((own, *(one.network.ip for one in self.subnets)))
        return tuple(found)

    def network_of(self, address: str) -> IPv4Network | None:
        """The one of them that has the address."""
        return next((one for one in self.networks if IPv4Address(address) in one), None)

    def near(self, url: str) -> str:
        """A mirror's URL, through the package cache where that stands before it."""
        return near(url, self.packages, self.cache) if self.cache else url

    def packages_of(self, *names: str, stated: str = "") -> str:
        """Where a machine gets packages from: `stated`, else the first mirror of these names.

        "" where there is none. Never ends in a slash.
        """
        if stated:
            return self.near(stated).rstrip("/")
        for name in names:
            source = next((one for one in self.packages if one.name == name), None)
            if source is not None and self.cache:
                return f"{self.cache}/{PREFIX}/{name}"
            if source is not None and source.url:
                return source.url
        return self.near(self.mirror) if DEBIAN in names else ""

    @property
    def nobodys(self) -> dict[str, str]:
        """Addresses that no machine gets, with whose they are: our own, and our subnets' routers.

        None of these is ever given by the dhcp service.
        """
        routers = {
            str(one.router): f"the router of {one.network}" for one in self.subnets if one.router
        }
        return {**routers, self.address: "the appliance"}

    @property
    def authority(self) -> str:
        """`address`, with the port where it is not 80: as GRUB and URLs both write it."""
        return self.address if self.http_port == 80 else f"{self.address}:{self.http_port}"

    @property
    def url(self) -> str:
        """Where machines reach the http service, without a slash at the end."""
        return f"http://{self.authority}"


@dataclass(frozen=True)
class ForeignServer:
    """A DHCP or boot server of somebody else, as it answers a PXE client.

    `address`: its IPv4 address. `next_server`: where it sends firmware for the boot file (siaddr,
    else option 66), "" where nowhere. `boot_file`: option 67, else the BOOTP field. `pxe`: it says
    that it is a PXE server. `gives_address`: it is a DHCP server, not a proxy. `in_field`: the boot
    file stands in the BOOTP field (the DHCP server's field is what shim believes first).
    """

    address: str
    next_server: str = ""
    boot_file: str = ""
    pxe: bool = False
    gives_address: bool = True
    in_field: bool = False

    @property
    def boots(self) -> bool:
        """Whether firmware would take its answer for an offer to boot."""
        return bool(self.boot_file) or self.pxe


@dataclass(frozen=True)
class Stored:
    """One artifact of a manifest: served as `/artifacts/<sha256>/<file>`; `size` in bytes."""

    manifest: str
    role: str
    sha256: str
    size: int
    file: str


def how_to_get(*manifests: str) -> str:
    """The next step where these are not there: media are built, images are imported."""
    images = [name for name in manifests if "@" in name]
    if images:
        return f"import {' '.join(images)} again: ironwake image import"
    return f"run: ironwake media add {' '.join(manifests)}"


@dataclass(frozen=True)
class Shelf:
    """All that has been built, and the manifests' facts (numbers as text), by manifest name."""

    items: tuple[Stored, ...] = ()
    facts: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, manifests: Iterable[Manifest]) -> Shelf:
        rows = sorted(manifests, key=lambda row: row.name)
        return cls(
            tuple(
                Stored(row.name, role, item.sha256, item.size, row.files[role])
                for row in rows
                for role, item in sorted(row.artifacts.items())
            ),
            {row.name: {key: str(value) for key, value in row.facts.items()} for row in rows},
        )

    def need(self, manifest: str, role: str) -> Stored:
        """The artifact; RefusedError, with how to get it, where it was not built yet."""
        item = self.find(manifest, role)
        if item is None:
            raise RefusedError(f"{manifest} has no {role}", how_to_get(manifest))
        return item

    def lacking(self, needed: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
        """The manifests that were not built, or lack one of the roles that are needed of them."""
        return tuple(
            name
            for name, roles in needed.items()
            if not all(self.find(name, role) for role in roles)
        )

    def find(self, manifest: str, role: str) -> Stored | None:
        """The artifact, if it was built."""
        return self._by_role.get((manifest, role))

    def roles(self, manifest: str) -> dict[str, Stored]:
        """All artifacts of a manifest, by role; none where it was not built."""
        return {role: item for (name, role), item in self._by_role.items() if name == manifest}

    @cached_property
    def _by_role(self) -> dict[tuple[str, str], Stored]:
        """Asked several times for each boot script; the first of a name counts."""
        return {(item.manifest, item.role): item for item in reversed(self.items)}


@dataclass(frozen=True)
class Policy:
    """What a boot decision depends on besides the machine and its deployment.

    `quirks`: the site's own rows, first fit first. `foreign`: the other DHCP and boot servers that
    were heard on the machines' network.
    """

    site: Site
    shelf: Shelf
    quirks: tuple[Quirk, ...] = ()
    foreign: tuple[ForeignServer, ...] = ()
