"""The paths of the LAN side: for scripts, orders and the agent, and the http service's table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ironwake.mac import Mac

if TYPE_CHECKING:  # the agent has no site, and each module that it loads is a part of its start
    from ironwake.site import Stored

GRUB_CONFIG = "grub/grub.cfg"  # where Debian's signed network GRUB looks, whatever came before

PXELINUX_FOLDER = "pxelinux"
PXELINUX_SCRIPT = "pxelinux.cfg"
_BOOT = "boot/"
_PXELINUX_CONFIG = f"{PXELINUX_FOLDER}/pxelinux.cfg/01-"  # 01 is Ethernet


def boot_script(mac: Mac, loader: str) -> str:
    """The per-machine script's path, without a leading slash: the same by HTTP and by TFTP."""
    return f"{_BOOT}{mac}/{loader}"


def asked_script(path: str) -> tuple[str, str] | None:
    """(MAC address as it stands there, script's name), where a path is a per-machine script's.

    pxelinux has a name of its own for it, and asks by no other.
    """
    if path.startswith(_PXELINUX_CONFIG):
        return path.removeprefix(_PXELINUX_CONFIG), PXELINUX_SCRIPT
    place, _, script = path.rpartition("/")
    return (place.removeprefix(_BOOT), script) if place.startswith(_BOOT) else None


def artifact(item: Stored) -> str:
    """An immutable artifact's path, without a leading slash."""
    return f"artifacts/{item.sha256}/{item.file}"


# The kernel's word for the ramdisk's second part: its path here, a comma, its size in bytes.
TOOLS_WORD = "ironwake.tools"

# Where the agent says in which boot it asks: a later boot of the same machine is another client.
BOOT_HEADER = "X-Ironwake-Boot"


def order(url: str, token: str) -> str:
    """Where the agent gets its order; `url` is the http service's, without a slash at the end."""
    return f"{url}/deployments/{token}/order"


def answers(url: str, token: str, file: str) -> str:
    """Where the vendor's installer gets its answer file."""
    return f"{url}/deployments/{token}/answers/{file}"


def tree(item: Stored) -> str:
    """Where the tree inside a medium's ISO begins, without a slash at either end."""
    return f"media/{item.sha256}"


def reports(url: str, token: str) -> str:
    """Where an installer sends what it says by itself, for its family to understand."""
    return f"{url}/deployments/{token}/reports"


def callbacks(url: str, token: str) -> str:
    """Where an installation reports to."""
    return f"{url}/deployments/{token}/callbacks"


def capture(url: str, token: str) -> str:
    """Where a machine puts what is read of it, each part by its name behind a slash."""
    return f"{url}/deployments/{token}/capture"


def health(url: str, health_token: str) -> str:
    """Where the installed system reports to, once."""
    return f"{url}/health/{health_token}"
