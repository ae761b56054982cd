"""What is done inside a new Debian before its first boot: a script, run in it as root.

The installer's own answers do what they can; this is the rest of the parameters.
"""

from __future__ import annotations

from collections.abc import Iterator

from ironwake import networkd
from ironwake.families import guard, inside
from ironwake.families.base import Install
from ironwake.firstboot import File
from ironwake.parameters.model import Repository
from ironwake.parameters.network import Network

_NO_INTERFACES = "# Networks are systemd-networkd's: see /etc/systemd/network.\nauto lo\n"


def script(install: Install) -> str:
    """Shell text; it ends with a status other than 0 where something could not be done."""
    return "\n".join(("#!/bin/sh", "set -e", *_steps(install), ""))


def packages(install: Install) -> Iterator[str]:
    """What the system must have for it."""
    parameters = install.parameters
    yield from ("sudo", "curl")
    if parameters.ntp:
        yield "systemd-timesyncd"
    if _resolves(install):
        yield "systemd-resolved"
    if parameters.firmware:
        yield "firmware-linux"
    if parameters.security != "default":
        yield "apparmor"
    if not parameters.repositories:  # else they may be there only
        yield from parameters.packages


def _resolves(install: Install) -> bool:
    """Whether a resolver is told the name servers by DHCP; bullseye has it in systemd itself."""
    network = install.parameters.network
    own = network != Network() and not network.name_servers
    return own and install.release.codename != "bullseye"


def _steps(install: Install) -> Iterator[str]:
    parameters = install.parameters
    url = f"{install.urls.callbacks}?stage=installing&step=configure&percent=90&id=late-script"
    yield guard.report(url) + " || true"
    for user in parameters.users:
        yield from inside.account(user)
        yield f"usermod -s /bin/bash {user.name}"
    yield from inside.sudo(parameters)
    yield from inside.keys(parameters)
    yield from _network(install)
    if parameters.ntp:
        text = f"[Time]\nNTP={' '.join(parameters.ntp)}\n"
        yield from inside.put([File("etc/systemd/timesyncd.conf.d/ironwake.conf", 0o644, text)])
        yield "systemctl enable systemd-timesyncd"
    yield from _repositories(parameters.repositories)
    if parameters.repositories and parameters.packages:
        yield "export DEBIAN_FRONTEND=noninteractive"
        yield "apt-get -q update"
        yield f"apt-get -q -y install {' '.join(parameters.packages)}"
    yield from inside.run(parameters.scripts.post, "root/ironwake-post")
    yield from inside.health(install.urls.health)


def _network(install: Install) -> Iterator[str]:
    network = install.parameters.network
    if network == Network():
        return  # as the installer leaves it: the card that booted asks DHCP
    yield from inside.put(networkd.files(network, install.mac))
    yield "rm -f /etc/network/interfaces.d/*"
    text = f"{_NO_INTERFACES}iface lo inet loopback\n"
    yield from inside.put([File("etc/network/interfaces", 0o644, text)])
    yield "systemctl enable systemd-networkd"
    if not network.name_servers:
        yield "systemctl enable systemd-resolved"
        return
    lines = [f"nameserver {one}" for one in network.name_servers]
    if network.search:
        lines.append(f"search {' '.join(network.search)}")
    yield "rm -f /etc/resolv.conf"
    yield from inside.put([File("etc/resolv.conf", 0o644, "".join(f"{one}\n" for one in lines))])


def _repositories(repositories: tuple[Repository, ...]) -> Iterator[str]:
    for one in repositories:
        signed = ""
        if one.key:
            path = f"etc/apt/keyrings/{one.name}.asc"
            signed = f" [signed-by=/{path}]"
            yield from inside.put([File(path, 0o644, one.key.rstrip() + "\n")])
        line = f"deb{signed} {one.url} {one.suite} {' '.join(one.components)}".rstrip()
        yield from inside.put([File(f"etc/apt/sources.list.d/{one.name}.list", 0o644, f"{line}\n")])
