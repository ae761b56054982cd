"""A machine's network as files of systemd-networkd: systemd.network(5), systemd.netdev(5).

Cards are matched by their MAC addresses; what is made of them has its own name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ironwake.firstboot import File
from ironwake.mac import Mac
from ironwake.parameters.network import BOOT, Device, Kind, Network

FOLDER: Final = "etc/systemd/network"
# The client identifier is the card's address, so that a DHCP server knows the machine that it saw
# booting.
_DHCP: Final = "[DHCPv4]\nClientIdentifier=mac\nUseDomains=yes\n"
_MEMBER: Final = {Kind.BOND: "Bond", Kind.BRIDGE: "Bridge", Kind.VLAN: "VLAN"}


def files(network: Network, boot: Mac) -> tuple[File, ...]:
    """All that the system needs; without devices, the card that booted asks DHCP."""
    devices = network.devices or (Device("uplink", dhcp=True),)
    virtual = [device for device in devices if device.kind is not Kind.CARD]
    names = {device.name: device.name for device in virtual}
    names |= {one.name: _card(one.of[0], boot) for one in devices if one.kind is Kind.CARD}
    virtuals = {device.name for device in virtual}
    bases: dict[str, list[Device]] = {device.name: [device] for device in virtual}
    above: dict[str, list[Device]] = {}
    for device in devices:
        for below in device.of:
            base = names.get(below) or _card(below, boot)
            bases.setdefault(base, [])
            if device.kind is Kind.CARD:
                bases[base].append(device)
            else:
                above.setdefault(base, []).append(device)
    made = [
        *(_netdev(one, network, boot) for one in virtual),
        *(
            File(
                f"{FOLDER}/{20 if base in virtuals else 30}-{base.replace(':', '-')}.network",
                0o644,
                "\n".join(_network(base, own, above.get(base, []), network, base in virtuals)),
            )
            for base, own in bases.items()
        ),
    ]
    return tuple(sorted(made, key=lambda file: file.path))


def _card(below: str, boot: Mac) -> str:
    return str(boot if below == BOOT else Mac(below))


def _netdev(device: Device, network: Network, boot: Mac) -> File:
    text = f"[NetDev]\nName={device.name}\nKind={device.kind}\n"
    if network.carries(device, boot):
        text += f"MACAddress={boot}\n"
    if device.kind is Kind.BOND:
        text += f"\n[Bond]\nMode={device.mode}\nMIIMonitorSec=100ms\n"
    if device.kind is Kind.VLAN:
        text += f"\n[VLAN]\nId={device.vlan}\n"
    return File(f"{FOLDER}/10-{device.name}.netdev", 0o644, text)


def _network(
    base: str, own: list[Device], above: list[Device], network: Network, is_virtual: bool
) -> Iterator[str]:
    # A VLAN, and a bond, have the address of their card: only what is no device of a kind is meant.
    # systemd before 251 (Debian 11) does not know Kind=: there the files' numbers do it, of which
    # those of cards are the last.
    yield f"[Match]\nName={base}\n" if is_virtual else f"[Match]\nMACAddress={base}\nKind=!*\n"
    mtu = next((device.mtu for device in own if device.mtu), 0)
    if mtu:
        yield f"[Link]\nMTUBytes={mtu}\n"
    lines = ["[Network]"]
    for device in above:
        lines.append(f"{_MEMBER[device.kind]}={device.name}")
    dhcp = any(device.dhcp for device in own)
    addresses = [address for device in own for address in device.addresses]
    lines += [f"DHCP={'yes' if dhcp else 'no'}", *(f"Address={one}" for one in addresses)]
    lines += [f"Gateway={device.gateway}" for device in own if device.gateway]
    if dhcp or addresses:
        lines += [f"DNS={server}" for server in network.name_servers]
        if network.search:
            lines.append(f"Domains={' '.join(network.search)}")
    else:
        lines.append("LinkLocalAddressing=no")
    yield "\n".join(lines) + "\n"
    if dhcp:
        yield _DHCP
