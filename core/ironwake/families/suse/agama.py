"""Agama's profile, for SUSE from version 16 on, as data: JSON.

The installer first runs a script (`inst.script`): it chooses the disks and looks at them, fetches
the profile and puts the disks' names into it; the installer then reads that copy (`inst.auto`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ironwake import keyfile
from ironwake.errors import InputError
from ironwake.families import guard, inside, storage
from ironwake.families.base import Install
from ironwake.families.storage import Can, Item, Use
from ironwake.families.suse import system
from ironwake.firstboot import File
from ironwake.layout.model import Array, Format, Layout, LogicalVolume, Partition
from ironwake.parameters.model import RootPolicy
from ironwake.sizes import MIB

FILE, SCRIPT = "agama.json", "agama.sh"
COPY = "/run/ironwake-agama.json"
Map = dict[str, Any]
_CAN = Can("Agama", idle=True, spares=False, group_percent=False, subvolumes=False)
# What grows has a least size, and no greatest: that of a small file system.
_LEAST = 512 * MIB
_OURS = ("storage", "legacyAutoyastStorage", "scripts")


def check(layout: Layout) -> None:
    """InputError for what Agama cannot make."""
    storage.check(layout, _CAN)


def profile(install: Install) -> Map:
    """The profile."""
    parameters, options = install.parameters, install.release.options
    rows: Map = {
        "product": {"id": options.get("product", "openSUSE_Leap"), **_registration(install)},
        "hostname": {"static": _full_name(install)},
        "localization": {
            "language": inside.language(parameters.locale),
            "keyboard": parameters.keyboard,
            "timezone": parameters.timezone,
        },
        "software": _software(install),
        "root": _root(install),
        "storage": _storage(install.layout, install.keys),
        "scripts": _scripts(install),
        # Nobody is there to answer.
        "questions": {"policy": "auto"},
    }
    if parameters.users:
        rows["user"] = _user(install)
    if words := system.kernel_words(install):
        rows["bootloader"] = {"extraKernelParams": " ".join(words)}
    return rows


def dump(rows: Map) -> str:
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def with_fragment(rows: Map, text: str) -> Map:
    """A fragment's keys take the place of ours; never that of the guard."""
    try:
        fragment = json.loads(text)
    except ValueError as error:
        raise InputError(
            f"this is not JSON: {error}", "write an object, as in agama.json", "fragments.suse"
        ) from None
    if not isinstance(fragment, dict):
        raise InputError("this is no object", "write one, as in agama.json", "fragments.suse")
    for name in _OURS:
        if name in fragment:
            raise InputError(
                f"{name} is not a fragment's to say",
                "use layout, and parameters.scripts; or a template",
                "fragments.suse",
            )
    return rows | fragment


def script(install: Install) -> str:
    """The guard, then the profile with the disks' names, then the user's own script."""
    disks = guard.wanted(install.layout, install.disk.match, install.release.least_disk)
    failed = f"{install.urls.callbacks}?stage=failed&id=guard&message="
    edits = " ".join(f"-e {one}" for one in _edits(install.layout))
    parts = (
        "#!/bin/sh",
        guard.script(disks, install.erase, failed, system.OFF),
        storage.firmware(install.layout),
        "part_of() {",
        '    name=$(echo "${1#/dev/}" | tr / !)',
        '    echo $(($(cat "$block/$name"/size) * 512 / 10000 * $2))',
        "}",
        system.failing(install, "pre", system.OFF),
        "set -e",
        "umask 077",
        f"curl -fsS -m 60 -o {COPY}.new '{install.urls.answers}{FILE}'",
        f"sed {edits} {COPY}.new >{COPY}.named",
        *inside.run(install.parameters.scripts.pre, "run/ironwake-pre"),
        f"{system.callback(install, 'installing', 'partition', 5)} || true",
        # Last: without this file nothing is installed.
        f"mv {COPY}.named {COPY}",
    )
    return "\n".join(parts) + "\n"


def _edits(layout: Layout | None) -> Iterator[str]:
    """sed's, by marks in their quotes: a text in JSON has no bare quote in it."""
    for disk in layout.disks if layout else ():
        name = str(disk.name)
        yield f'"s|\\"{_mark(name)}\\"|\\"${guard.variable(name)}\\"|"'
        for part in disk.partitions:
            if part.size.percent is not None:
                share = storage.hundredths(part.size)
                whole = f'\\"\\${guard.variable(name)}\\"'.replace("\\", "")
                mark = _share(name, share)
                yield f'"s|\\"{mark}\\"|$(part_of {whole} {share})|"'
    if layout is None:
        yield f'"s|\\"{_mark("disk")}\\"|\\"${guard.variable("disk")}\\"|"'


def _mark(name: str) -> str:
    return f"IRONWAKE-DISK-{name}"


def _share(name: str, hundredths: int) -> str:
    return f"IRONWAKE-SHARE-{name}-{hundredths}"


def _full_name(install: Install) -> str:
    return f"{install.hostname}.{install.domain}" if install.domain else install.hostname


def _registration(install: Install) -> Map:
    given = install.parameters.vars
    email, code = given.get("suse_email", ""), given.get("suse_reg_code", "")
    if install.release.options.get("registration", "no") != "yes" or not code:
        return {}
    return {"registrationCode": code} | ({"registrationEmail": email} if email else {})


def _software(install: Install) -> Map:
    parameters = install.parameters
    later = system.later_packages(parameters)
    packages = dict.fromkeys(
        (
            *system.PACKAGES,
            *(("chrony",) if parameters.ntp else ()),
            *(("kernel-firmware-all",) if parameters.firmware else ()),
            *(() if later else parameters.packages),
        )
    )
    patterns = [*install.release.options.get("patterns", "").split(), *parameters.package_groups]
    return {"packages": list(packages)} | ({"patterns": patterns} if patterns else {})


def _root(install: Install) -> Map:
    parameters = install.parameters
    hashed = parameters.root_password_hash if parameters.root is RootPolicy.PASSWORD else "!"
    return {"password": hashed, "hashedPassword": True}


def _user(install: Install) -> Map:
    """Agama makes one account, and its first versions know no keys: the rest is made inside of the
    new system.
    """
    user = install.parameters.users[0]
    return {
        "userName": str(user.name),
        "fullName": user.full_name or str(user.name),
        "password": user.password or user.password_hash or "!",
        "hashedPassword": not user.password,
    }


def _scripts(install: Install) -> Map:
    files = keyfile.files(install.parameters.network, install.mac)
    text = system.script(install, files, _before(install))
    return {
        "postPartitioning": [
            {"name": "ironwake-packages", "content": f"#!/bin/sh\n{system.packages(install)}"}
        ],
        "post": [{"name": "ironwake-inside", "chroot": True, "content": text}],
    }


def _before(install: Install) -> Iterator[str]:
    """The installer's own connections go; what its profile cannot say is done."""
    parameters = install.parameters
    yield f"rm -f /{keyfile.FOLDER}/*"
    if parameters.ntp:
        text = "".join(f"server {one} iburst\n" for one in parameters.ntp)
        yield from inside.put([File("etc/chrony.d/ironwake.conf", 0o644, text)])
        yield "systemctl enable chronyd"
    for number, user in enumerate(parameters.users):
        if number:
            yield from inside.account(user)
        else:
            yield from inside.groups(user)
    yield from inside.keys(parameters)


def _storage(layout: Layout | None, keys: Mapping[str, str]) -> Map:
    if layout is None:
        parts: list[Map] = [{"search": "*", "delete": True}, {"generate": "default"}]
        return {"drives": [{"search": _mark("disk"), "partitions": parts}]}
    found = list(storage.items(layout))
    drives: list[Map] = []
    for disk in layout.disks:
        parts = [{"search": "*", "delete": True}]
        parts += [_partition(item, keys) for item in found if item.owner == disk.name
                  and isinstance(item.volume, Partition)]  # fmt: skip
        drives.append(
            {
                "search": _mark(disk.name),
                "alias": _alias(disk.name),
                "ptableType": str(disk.table),
                "partitions": parts,
            }
        )
    rows: Map = {"boot": {"configure": False}, "drives": drives}
    if layout.arrays:
        rows["mdRaids"] = [
            _array(item, item.volume, keys) for item in found if isinstance(item.volume, Array)
        ]
    if layout.groups:
        rows["volumeGroups"] = [
            {
                "name": str(group.name),
                "physicalVolumes": [_alias(one) for one in group.of],
                "logicalVolumes": [
                    {"name": str(item.volume.name), "size": _size(item), **_common(item, keys)}
                    for item in found
                    if item.owner == group.name and isinstance(item.volume, LogicalVolume)
                ],
            }
            for group in layout.groups
        ]
    return rows


_IDS = {
    Use.ESP: "esp",
    Use.BIOS_BOOT: "bios_boot",
    Use.ARRAY: "raid",
    Use.GROUP: "lvm",
    Use.SWAP: "swap",
}


def _partition(item: Item, keys: Mapping[str, str]) -> Map:
    return {
        "alias": _alias(item.reference),
        "id": _IDS.get(item.use, "linux"),
        "size": _size(item),
        **_common(item, keys),
    }


def _array(item: Item, array: Array, keys: Mapping[str, str]) -> Map:
    return {
        "name": str(array.name),
        "alias": _alias(item.reference),
        "level": f"raid{array.level.value}",
        "devices": [_alias(one) for one in array.of],
        **_common(item, keys),
    }


def _alias(reference: str) -> str:
    return reference.replace("/", ".")


def _size(item: Item) -> int | str | Map:
    """Bytes; what grows by its least size; a part of a disk by a mark for the script."""
    size = item.size
    if size is None or size.grows:
        return {"min": _LEAST}
    if size.percent is not None:
        return _share(item.owner, storage.hundredths(size))
    return storage.mebibytes(size) * MIB


def _common(item: Item, keys: Mapping[str, str]) -> Map:
    """What partitions, arrays and logical volumes have alike."""
    volume, rows = item.volume, {}
    if volume.encrypt:
        rows["encryption"] = {"luks2": {"password": item.key(keys)}}
    if item.use is Use.ESP:
        return rows | {"filesystem": {"path": item.mount, "type": "vfat"}}
    if not volume.format:
        return rows
    files: Map = {"type": str(volume.format), "mountBy": "uuid"}
    if volume.format is Format.BTRFS:
        files["type"] = {"btrfs": {"snapshots": False}}
    if item.use is Use.SWAP:
        files["path"] = "swap"
    elif item.mount:
        files["path"] = item.mount
    if volume.label:
        files["label"] = volume.label
    if volume.options:
        files["mountOptions"] = list(volume.options)
    return rows | {"filesystem": files}
