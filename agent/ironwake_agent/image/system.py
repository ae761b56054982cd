"""What makes a copied system this machine's own: files below its root.

No program of the new system runs here. What the image has and the order does not mention stays.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ironwake import firstboot, nocloud
from ironwake.errors import BrokenError
from ironwake.firstboot import File
from ironwake.order import Order
from ironwake.parameters.model import RootPolicy
from ironwake.parameters.network import Network
from ironwake.profile import Seed
from ironwake_agent import addresses, stated, target
from ironwake_agent.inside import inside

_SEED = "var/lib/cloud/seed/nocloud"
_SOURCES = {"datasource_list": ["NoCloud", "None"]}
_HOST_KEYS = "ironwake-host-keys.service"
_UNITS = "etc/systemd/system"
_OF_ONE_MACHINE = (
    ("etc/ssh", "ssh_host_*_key*"),
    ("var/lib/dhcp", "*.leases"),
    ("var/lib/NetworkManager", "*.lease"),
)
# An image has decided these already: what the profile leaves at its default stays as it is there.
_DEFAULTS = {"timezone": "Etc/UTC", "locale": "C.UTF-8", "keyboard": "us"}
_MAKE_KEYS = """\
[Unit]
Description=Makes this machine's own SSH host keys at its first boot
ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key
Before=ssh.service sshd.service ssh.socket sshd.socket
After=systemd-remount-fs.service

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
"""


def configure(root: Path, order: Order, seed: Seed, say: Callable[[str], None]) -> None:
    """Write what the order says into the system at `root`.

    :raises BrokenError: the image can't take it
    """
    _add_health(root, order, say)
    if seed is Seed.NONE:
        return
    _forget(root)
    if seed is Seed.NOCLOUD:
        _nocloud(root, order)
    else:
        _by_files(root, order, say)
    if order.root is not None:
        target.superuser(root, order)
    if words := stated.with_words(root, order).kernel_arguments:
        add_words(root, words)


def _add_health(root: Path, order: Order, say: Callable[[str], None]) -> None:
    if not target.exists(root, "usr/lib/systemd/systemd"):
        say("the image has no systemd: it must report its health by itself")
        return
    for file in firstboot.files(order.health):
        target.write(root, file)
    target.enable_health(root)


def _forget(root: Path) -> None:
    """Who the system was when it was copied."""
    target.write(root, target.NO_MACHINE_ID)
    other = inside(root, "var/lib/dbus/machine-id")
    if not other.is_symlink():
        other.unlink(missing_ok=True)
    for name in ("var/lib/systemd/random-seed", "var/lib/systemd/credential.secret"):
        inside(root, name).unlink(missing_ok=True)
    for folder, pattern in _OF_ONE_MACHINE:
        for path in inside(root, folder, follow=True).glob(pattern):
            path.unlink()


def _by_files(root: Path, order: Order, say: Callable[[str], None]) -> None:
    for file in target.name_files(order):
        target.write(root, file)
    _set_cloud_init_aside(root)
    if order.network != Network():
        pass  # once all packages are there
    elif addresses.is_managed(root):
        say("the image's NetworkManager gets the address")
    elif target.exists(root, addresses.NETWORKD):
        target.write(root, target.network_file(order))
        target.enable_network(root)
    else:
        say("the network stays as the image has it: there is no systemd-networkd")
    if target.exists(root, "usr/bin/ssh-keygen"):
        target.write(root, File(f"{_UNITS}/{_HOST_KEYS}", 0o644, _MAKE_KEYS))
        wants = f"{_UNITS}/multi-user.target.wants/{_HOST_KEYS}"
        target.link(root, wants, f"/{_UNITS}/{_HOST_KEYS}")
    _locality(root, order)
    target.people(root, order.users)


def _set_cloud_init_aside(root: Path) -> None:
    """It would look for a seed that nobody gives, and call the machine as it likes."""
    if inside(root, "etc/cloud", follow=True).is_dir():
        target.write(root, File("etc/cloud/cloud-init.disabled", 0o644, ""))


def _locality(root: Path, order: Order) -> None:
    if order.timezone != _DEFAULTS["timezone"]:
        if not target.exists(root, f"usr/share/zoneinfo/{order.timezone}"):
            raise BrokenError(
                f"the image knows no time zone {order.timezone}",
                "correct parameters.timezone in the profile",
            )
        target.write(root, File("etc/timezone", 0o644, f"{order.timezone}\n"))
        target.link(root, "etc/localtime", f"/usr/share/zoneinfo/{order.timezone}")
    is_debian = target.exists(root, "usr/bin/apt-get")
    if order.locale != _DEFAULTS["locale"]:
        name = "etc/default/locale" if is_debian else "etc/locale.conf"
        target.write(root, File(name, 0o644, f"LANG={order.locale}\n"))
    if order.keyboard != _DEFAULTS["keyboard"]:
        keymap = File("etc/vconsole.conf", 0o644, f"KEYMAP={order.keyboard}\n")
        target.write(root, target.keyboard_file(order) if is_debian else keymap)


def _nocloud(root: Path, order: Order) -> None:
    """What cloud-init reads at the first boot."""
    if not target.exists(root, "usr/bin/cloud-init"):
        raise BrokenError("the image has no cloud-init", "use seed: files in the profile")
    inside(root, "etc/cloud/cloud-init.disabled").unlink(missing_ok=True)
    for name in ("instance", "instances", "data", "sem"):
        path = inside(root, f"var/lib/cloud/{name}")
        if path.is_symlink():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)
    target.write(root, File("etc/cloud/cloud.cfg.d/99-ironwake.cfg", 0o644, nocloud.text(_SOURCES)))
    network = nocloud.network_config(order.network, order.mac)
    seed = nocloud.seed(order.deployment, str(order.machine), _user_data(order), network)
    for name, text in seed.items():
        mode = 0o600 if name == nocloud.USER_DATA else 0o644
        target.write(root, File(f"{_SEED}/{name}", mode, text))


def _user_data(order: Order) -> dict[str, Any]:
    found: dict[str, Any] = {
        "hostname": str(order.machine),
        "fqdn": f"{order.machine}.{order.domain}",
        "manage_etc_hosts": True,
        "preserve_hostname": False,
        "ssh_deletekeys": True,
        # The image was grown already, before its first start.
        "growpart": {"mode": "off"},
        "resize_rootfs": False,
    }
    if order.timezone != _DEFAULTS["timezone"]:
        found["timezone"] = order.timezone
    if order.locale != _DEFAULTS["locale"]:
        found["locale"] = order.locale
    if order.keyboard != _DEFAULTS["keyboard"]:
        found["keyboard"] = {"layout": order.keyboard}
    if order.root is not None:
        found["disable_root"] = order.root is not RootPolicy.KEYS
    if order.mirror or order.firmware:  # the agent has written them
        found["apt"] = {"preserve_sources_list": True}
    if order.users:
        found["users"] = [nocloud.user(one) for one in order.users]
    return found


def add_words(root: Path, words: Sequence[str]) -> None:
    """Give the kernel these arguments: now, and in every menu that is made later."""
    text = " ".join(words)
    # Each once: one menu may be a link to another.
    for path in {inside(root, name, follow=True) for name in _MENUS}:
        if path.is_file():
            path.write_text(_added(_LINUX, path, text))
    for path in inside(root, _ENTRIES, follow=True).glob("*.conf"):
        if path.is_file() and not path.is_symlink():
            path.write_text(_added(_OPTIONS, path, text))
    path = inside(root, "etc/default/grub", follow=True)
    if path.is_file():
        line = f'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {text}"\n'
        path.write_text(f"{path.read_text().rstrip()}\n{line}")


def _added(lines: re.Pattern[str], path: Path, text: str) -> str:
    return lines.sub(lambda line: f"{line[0].rstrip()} {text}", path.read_text())


_MENUS = ("boot/grub/grub.cfg", "boot/grub2/grub.cfg")
_ENTRIES = "boot/loader/entries"
_LINUX = re.compile(r"^[ \t]*linux(?:16|efi)?[ \t].*$", re.MULTILINE)
_OPTIONS = re.compile(r"^options[ \t].*$", re.MULTILINE)
