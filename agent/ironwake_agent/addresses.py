"""A network that was stated, told to what manages networks in the new system.

netplan where it is there, else NetworkManager where it is on, else systemd-networkd. What the
system had before of its own goes: a network is stated as a whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ironwake import keyfile, networkd, nocloud
from ironwake.errors import BrokenError
from ironwake.firstboot import File
from ironwake.mac import Mac
from ironwake.parameters.network import Network
from ironwake_agent.inside import inside
from ironwake_agent.target import enable_network, exists, link, write

MANAGER: Final = "etc/systemd/system/multi-user.target.wants/NetworkManager.service"
NETWORKD: Final = "usr/lib/systemd/systemd-networkd"
_NETPLAN: Final = "etc/netplan"
_RESOLVED: Final = "usr/lib/systemd/systemd-resolved"
_STUB: Final = "../run/systemd/resolve/stub-resolv.conf"
_UNITS: Final = "etc/systemd/system"
_NETWORKD_ON: Final = f"{_UNITS}/multi-user.target.wants/systemd-networkd.service"
_OTHERS: Final = ("wicked", "connman", "dhcpcd")
_LOOPBACK: Final = "# Networks are managed elsewhere.\nauto lo\niface lo inet loopback\n"
_INTERFACES: Final = "etc/network/interfaces"


def is_managed(root: Path) -> bool:
    """Whether NetworkManager has the network of this system."""
    return inside(root, MANAGER).is_symlink()


def configure(root: Path, network: Network, mac: Mac) -> None:
    """Write it, for a machine that booted from `mac`.

    :raises BrokenError: nothing of this system could be told it
    """
    _silence(root)
    if exists(root, "usr/sbin/netplan"):
        _by_netplan(root, network, mac)
    elif is_managed(root):
        _empty(root, keyfile.FOLDER, "*")
        _empty(root, "etc/sysconfig/network-scripts", "ifcfg-*")
        for file in keyfile.files(network, mac):
            write(root, file)
    else:
        _by_networkd(root, network, mac)


def _silence(root: Path) -> None:
    """Whoever else would bring up cards at the next boot."""
    if inside(root, "etc/cloud", follow=True).is_dir():
        text = nocloud.text({"network": {"config": "disabled"}})
        write(root, File("etc/cloud/cloud.cfg.d/99-ironwake-network.cfg", 0o644, text))
    if exists(root, _INTERFACES):
        _empty(root, f"{_INTERFACES}.d", "*")
        write(root, File(_INTERFACES, 0o644, _LOOPBACK))


def _by_netplan(root: Path, network: Network, mac: Mac) -> None:
    told = nocloud.network_config(network, mac)
    if is_managed(root) and not inside(root, _NETWORKD_ON).is_symlink():
        told["renderer"] = "NetworkManager"
    else:
        enable_network(root)
    _empty(root, _NETPLAN, "*.yaml")
    text = nocloud.text({"network": told})
    write(root, File(f"{_NETPLAN}/50-ironwake.yaml", 0o600, text))


def _by_networkd(root: Path, network: Network, mac: Mac) -> None:
    wants = f"{_UNITS}/multi-user.target.wants"
    on = [name for name in _OTHERS if inside(root, f"{wants}/{name}.service").is_symlink()]
    if on or not exists(root, NETWORKD):
        told = f"its network is managed by {on[0]}" if on else "it has no systemd-networkd"
        raise BrokenError(
            f"the new system cannot be told this network: {told}",
            "use an image with systemd-networkd, NetworkManager or netplan;"
            " or leave parameters.network out",
        )
    for pattern in ("*.network", "*.netdev"):
        _empty(root, networkd.FOLDER, pattern)
    for file in networkd.files(network, mac):
        write(root, file)
    enable_network(root)
    _resolve(root, network)


def _resolve(root: Path, network: Network) -> None:
    """systemd-resolved hears of name servers from networkd; without it they are written down."""
    if exists(root, _RESOLVED):
        unit = "systemd-resolved.service"
        for name in (f"sysinit.target.wants/{unit}", "dbus-org.freedesktop.resolve1.service"):
            link(root, f"{_UNITS}/{name}", f"/usr/lib/systemd/system/{unit}")
        link(root, "etc/resolv.conf", _STUB)
        return
    asks = not network.devices or any(device.dhcp for device in network.devices)
    if asks and not network.name_servers:
        raise BrokenError(
            "the new system has nothing that would take name servers from DHCP",
            "give parameters.network.name_servers, or add systemd-resolved to parameters.packages",
        )
    lines = [f"nameserver {one}" for one in network.name_servers]
    if network.search:
        lines.append(f"search {' '.join(network.search)}")
    write(root, File("etc/resolv.conf", 0o644, "".join(f"{line}\n" for line in lines)))


def _empty(root: Path, folder: str, pattern: str) -> None:
    """Without the files of that pattern; folders in it stay."""
    place = inside(root, folder, follow=True)
    for path in place.glob(pattern) if place.is_dir() else ():
        if path.is_symlink() or not path.is_dir():
            path.unlink()
