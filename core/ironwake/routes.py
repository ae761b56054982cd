"""The paths of the LAN side: built here for scripts and orders, parsed by the http service."""

from __future__ import annotations

from ironwake.mac import Mac
from ironwake.site import Site, Stored

GRUB_CONFIG = "grub/grub.cfg"  # where Debian's signed network GRUB looks, whatever came before


def boot_script(mac: Mac, loader: str) -> str:
    """The per-machine script's path, without a leading slash: the same by HTTP and by TFTP."""
    return f"boot/{mac}/{loader}"


def artifact(item: Stored) -> str:
    """An immutable artifact's path, without a leading slash."""
    return f"artifacts/{item.sha256}/{item.file}"


def order(site: Site, token: str) -> str:
    return f"{site.url}/deployments/{token}/order"


def answers(site: Site, token: str, file: str) -> str:
    return f"{site.url}/deployments/{token}/answers/{file}"


def callbacks(site: Site, token: str) -> str:
    return f"{site.url}/deployments/{token}/callbacks"


def health(site: Site, health_token: str) -> str:
    return f"{site.url}/health/{health_token}"
