"""AutoYaST's control file, for SUSE until version 15, as data (`ironwake.families.suse.yastxml`).

Disks are named by the kernel's names, which only the machine knows: a pre-script, which has chosen
them and looked at them, puts them into a copy of the control file, which AutoYaST then reads.
"""

from __future__ import annotations

from collections.abc import Iterator

from ironwake import keyfile
from ironwake.errors import InputError
from ironwake.families import guard, inside, storage
from ironwake.families.base import Install
from ironwake.families.suse import system, yastdisks, yastnetwork
from ironwake.families.suse.yastxml import Data
from ironwake.firstboot import File
from ironwake.parameters.model import RootPolicy

FILE = "autoinst.xml"
Map = dict[str, Data]
# AutoYaST leaves the control file in the new system, with all that is secret; the first boot
# removes it.
_FORGOTTEN = """\
R! /var/adm/autoinstall/cache
R! /var/adm/autoinstall/scripts
r! /root/autoinst.xml
"""
_FOLDER = "/tmp/profile"  # noqa: S108 (the installer's own memory)
# A fragment that had these would be in the guard's place.
# `classes` are files that are merged, disks and all; `ask-list`, questions that change any answer.
_OURS = ("partitioning", "partitioning_advanced", "scripts", "classes", "ask-list", "boot_custom")


def profile(install: Install) -> Map:
    """The control file."""
    parameters = install.parameters
    rows: Map = {
        "general": {"mode": {"confirm": False, "second_stage": False}, "self_update": False},
        "report": {
            # Nobody is there to read: what only warns goes on; an error waits, and is missed.
            name: {"log": True, "show": True, "timeout": 0 if name == "errors" else 10}
            for name in ("errors", "messages", "warnings", "yesno_messages")
        },
        "language": {"language": inside.language(parameters.locale).partition(".")[0]},
        "keyboard": {"keymap": parameters.keyboard},
        "timezone": {"hwclock": "UTC", "timezone": parameters.timezone},
        "networking": yastnetwork.section(install, managed=_managed(install)),
        "users": list(_users(install)),
        "software": _software(install),
        "partitioning": yastdisks.partitioning(install.layout, install.keys),
        "scripts": _scripts(install),
    }
    if parameters.ntp:
        servers: list[Data] = [{"address": one, "iburst": True} for one in parameters.ntp]
        rows["ntp-client"] = {"ntp_policy": "auto", "ntp_sync": "systemd", "ntp_servers": servers}
    if words := system.kernel_words(install):
        rows["bootloader"] = {"global": {"append": " ".join(words)}}
    if parameters.proxy:
        rows["proxy"] = {
            "enabled": True,
            "http_proxy": parameters.proxy,
            "https_proxy": parameters.proxy,
            # The appliance is on the machine's own network.
            "no_proxy": f"localhost,127.0.0.1,{install.site.address}",
        }
    if modules := list(_modules(install)):
        rows["add-on"] = {"add_on_products": modules}
    if registration := _registration(install):
        rows["suse_register"] = registration
    return rows


def _managed(install: Install) -> bool:
    """Whether the network is NetworkManager's, and not wicked's."""
    return install.release.options.get("network", "wicked") == "networkmanager"


def with_fragment(rows: Map, fragment: Map) -> Map:
    """A fragment's sections take the place of ours; never that of the guard."""
    inside = {name for section in _maps(fragment) for name in section}
    for name in _OURS:
        if name in inside:
            raise InputError(
                f"<{name}> is not a fragment's to say",
                "use layout, and parameters.scripts; or a template",
                "fragments.suse",
            )
    return rows | fragment


def _maps(data: Data) -> Iterator[Map]:
    """It, where it is a map, and all that are in it."""
    if isinstance(data, dict):
        yield data
    for one in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from _maps(one)


def _users(install: Install) -> Iterator[Data]:
    parameters = install.parameters
    hashed = parameters.root_password_hash
    keys = parameters.root_keys if parameters.root is RootPolicy.KEYS else ()
    yield {
        "username": "root",
        "encrypted": True,
        "user_password": hashed if parameters.root is RootPolicy.PASSWORD else "!",
        **({"authorized_keys": list(keys)} if keys else {}),
    }
    for user in parameters.users:
        rows: Map = {
            "username": str(user.name),
            "fullname": user.full_name,
            "encrypted": not user.password,
            "user_password": user.password or user.password_hash or "!",
        }
        # No group makes an administrator here: sudo is told of each.
        if user.groups:
            rows["groups"] = ",".join(user.groups)
        if user.ssh_keys:
            rows["authorized_keys"] = list(user.ssh_keys)
        yield rows


def _software(install: Install) -> Map:
    parameters, options = install.parameters, install.release.options
    later = system.later_packages(parameters)
    packages = dict.fromkeys(
        (
            *system.PACKAGES,
            *(("NetworkManager",) if _managed(install) else ()),
            *(("kernel-firmware-all",) if parameters.firmware else ()),
            *(() if later else parameters.packages),
        )
    )
    rows: Map = {
        "install_recommended": False,
        "patterns": [*options.get("patterns", "base").split(), *parameters.package_groups],
        "packages": list(packages),
    }
    if product := options.get("product", ""):
        rows["products"] = [product]
    return rows


def _modules(install: Install) -> Iterator[Data]:
    """SUSE Linux Enterprise is put together of modules; the full medium has them in folders."""
    url = install.source
    for name in install.release.options.get("modules", "").split():
        rows: Map = {
            "media_url": url,
            "product": f"sle-module-{name.lower()}",
            "product_dir": f"/Module-{name}",
        }
        yield rows


def _registration(install: Install) -> Map:
    given = install.parameters.vars
    email, code = given.get("suse_email", ""), given.get("suse_reg_code", "")
    if install.release.options.get("registration", "no") != "yes":
        return {}
    if not code:
        return {"do_registration": False}
    return {"do_registration": True, "email": email, "reg_code": code, "install_updates": False}


def _scripts(install: Install) -> Map:
    network = install.parameters.network
    files = keyfile.files(network, install.mac) if _managed(install) else ()
    files = (*files, File("etc/tmpfiles.d/ironwake.conf", 0o644, _FORGOTTEN))
    return {
        "pre-scripts": [_script("ironwake-disks.sh", _pre(install))],
        "postpartitioning-scripts": [_script("ironwake-packages.sh", system.packages(install))],
        "chroot-scripts": [
            {**_script("ironwake-inside.sh", system.script(install, files)), "chrooted": True}
        ],
    }


def _script(name: str, text: str) -> Map:
    return {"filename": name, "interpreter": "shell", "source": text, "debug": False}


def _pre(install: Install) -> str:
    """The guard, the disks' names, then the user's own script. A failure ends the machine here:
    AutoYaST would only say it, and go on.
    """
    disks = guard.wanted(install.layout, install.disk.match, install.release.least_disk)
    failed = f"{install.urls.callbacks}?stage=failed&id=guard&message="
    name = yastdisks.named(install.layout, f"{_FOLDER}/autoinst.xml", f"{_FOLDER}/modified.xml")
    parts = (
        guard.script(disks, install.erase, failed, system.OFF),
        storage.firmware(install.layout),
        system.failing(install, "pre", system.OFF),
        "set -e",
        name,
        *inside.run(install.parameters.scripts.pre, "tmp/ironwake-pre"),
        f"{system.callback(install, 'installing', 'partition', 5)} || true",
    )
    return "\n".join(parts) + "\n"
