"""What needs the new system's own programs: more packages, locales."""

from __future__ import annotations

from pathlib import Path

from ironwake.errors import BrokenError
from ironwake.firstboot import File
from ironwake.order import Order
from ironwake_agent.commands import CommandError, Runner
from ironwake_agent.network import Lease
from ironwake_agent.target import write

_RESOLVER = "run/systemd/resolve/stub-resolv.conf"  # where the archive's /etc/resolv.conf leads
_NO_SERVICES = "usr/sbin/policy-rc.d"  # asked by Debian's packages before they start a service


def install(run: Runner, target: Path, order: Order, lease: Lease) -> None:
    """Install the order's packages by apt; BrokenError naming them where that is not possible."""
    if not order.packages:
        return
    names = " ".join(order.packages)
    text = "".join(f"nameserver {address}\n" for address in lease.dns)
    write(target, File(_RESOLVER, 0o644, text))
    write(target, File(_NO_SERVICES, 0o755, "#!/bin/sh\nexit 101\n"))
    apt = ("chroot", str(target), "apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=60")
    try:
        run(*apt, "update", timeout=600.0)
        run(*apt, "--no-install-recommends", "install", *order.packages, timeout=3600.0)
    except CommandError as error:
        raise BrokenError(
            f"the packages {names} could not be installed: {error}",
            "check that the archive's package sources can be reached from this machine's network,"
            " or leave parameters.packages out",
        ) from None
    finally:
        for name in (_RESOLVER, _NO_SERVICES):
            (target / name).unlink(missing_ok=True)


def make_locale(run: Runner, target: Path, order: Order) -> None:
    """Make the order's locale where the C library has none built in."""
    if (target / "usr/sbin/locale-gen").exists() and not order.locale.startswith(("C", "POSIX")):
        codeset = order.locale.partition(".")[2] or "ISO-8859-1"
        write(target, File("etc/locale.gen", 0o644, f"{order.locale} {codeset}\n"))
        run("chroot", str(target), "locale-gen", timeout=600.0)
