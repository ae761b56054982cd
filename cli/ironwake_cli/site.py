"""`ironwake site`: what the appliance is to its network, by these settings."""

from __future__ import annotations

import typer

from ironwake_cli.output import as_json, facts, say
from ironwake_cli.session import of


def site(
    context: typer.Context, json: bool = typer.Option(False, "--json", help="print JSON")
) -> None:
    """Show what the settings make of this host: addresses, mode, folders.

    Example:

        IRONWAKE_INTERFACE=eth0 ironwake site
    """
    from ironwake_runtime import interfaces

    session = of(context)
    settings = session.settings
    interface = interfaces.find(settings.interface)
    address = settings.address or interface.address
    port = "" if settings.http_port == 80 else f":{settings.http_port}"
    pairs = (
        ("interface", interface.name),
        ("address", f"{address}/{interface.prefix}"),
        ("machines use", f"http://{address}{port}"),
        ("api", settings.controller_url),
        ("dhcp", settings.dhcp_mode),
        ("domain", settings.domain),
        ("ramdisk", settings.ramdisk),
        ("state", settings.state_dir),
        ("artifacts", settings.artifacts),
        ("profiles", settings.profiles),
        ("token file", session.token_path),
    )
    if json:
        as_json({name.replace(" ", "_"): str(value) for name, value in pairs})
        return
    for line in facts(pairs):
        say(line)
