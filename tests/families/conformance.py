"""What the conformance test asks of every family, whichever are registered."""

from __future__ import annotations

import base64
import binascii
import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ironwake import families, release
from ironwake.disk import DiskMatch
from ironwake.errors import InputError
from ironwake.families.base import Answers, Family, Install
from ironwake.names import DomainName, HostName, KernelWord, UserName
from ironwake.parameters.model import Repository, RootPolicy, Scripts, Security, User
from ironwake.parameters.network import BondMode, Device, Kind, Network
from ironwake.profile import Disk
from ironwake.release import Release
from tests.families import asked

OTHER_MAC = "52:54:00:77:00:99"
PGP = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----\n"


def rows() -> Iterator[Release]:
    """Releases that differ in what their family is told: one of each."""
    seen = set()
    for row in release.built_in().values():
        gist = (row.family, tuple(sorted(row.options.items())), row.codename if row.options else "")
        if row.family in families.FAMILIES and gist not in seen:
            seen.add(gist)
            yield row


def first_rows() -> Iterator[Release]:
    """One release of each family."""
    seen = set()
    for row in rows():
        if row.family not in seen:
            seen.add(row.family)
            yield row


def base(row: Release, **stated: Any) -> Install:
    """An installation that the family takes as it is, with `stated` in the place of the usual."""
    family = families.FAMILIES[row.family]
    given = {**_NEEDED.get(row.family, {}), **stated}
    made = asked.install(
        row.name,
        erase=("disk-1",),
        match="disk-1",
        packages_from=given.get("mirror") or f"{asked.SITE}/packages/debian",
        roles=("installer-kernel", "installer-initrd", "iso", "rootfs", "image", *family.roles),
        template="made by a person\n" if row.family == "other" else "",
        **given,
    )
    return replace(made, machine=replace(made.machine, architecture=row.architectures[0]))


_CLUSTER = {
    "machine": {"type": "worker", "token": "a.b", "ca": {"crt": "Yw==", "key": ""}},
    "cluster": {"id": "a", "secret": "b", "controlPlane": {"endpoint": "https://192.0.2.5:6443"}},
}
# What a family cannot do without.
_NEEDED: dict[str, dict[str, Any]] = {
    "windows": {"users": (User(UserName("admin"), password="Plain-Word-1"),)},
    "talos": {"fragments": {"talos": json.dumps(_CLUSTER)}},
    "esxi": {"root": RootPolicy.PASSWORD, "root_password_hash": asked.HASH},
}


def told(family: Family, install: Install) -> Answers:
    """All that is asked of a family; InputError where it refuses."""
    families.check(family, install)
    family.arguments(replace(install, parameters=install.parameters.public))
    return family.answers(install)


@dataclass(frozen=True)
class Sample:
    """A parameter stated: what else goes with it, and a word that must be found in the answers."""

    stated: dict[str, Any]
    word: str = ""


USERS = (
    User(UserName("alice"), (asked.KEY,), asked.HASH, full_name="Alice A", admin=True),
    User(UserName("bobby"), (), asked.HASH, groups=(UserName("audio"),), admin=False),
)
SAMPLES: dict[str, tuple[Sample, ...]] = {
    "hostname": (Sample({"hostname": HostName("hostalpha")}, "hostalpha"),),
    "domain": (Sample({"domain": DomainName("site.example")}, "site.example"),),
    "locale": (Sample({"locale": "de_DE.UTF-8"}, "de"),),
    "keyboard": (Sample({"keyboard": "de"}, "de"),),
    "timezone": (Sample({"timezone": "Europe/Berlin"}),),
    "ntp": (Sample({"ntp": ("192.0.2.7", "time.example")}, "192.0.2.7"),),
    "users": (Sample({"users": USERS}, "bobby"),),
    "root": (
        Sample(
            {"root": RootPolicy.KEYS, "root_keys": (asked.KEY,), "root_password_hash": ""},
            asked.KEY,
        ),
        Sample({"root": RootPolicy.PASSWORD, "root_password_hash": asked.HASH}, asked.HASH),
    ),
    "packages": (Sample({"packages": ("nginx-light", "vim")}, "nginx-light"),),
    "package_groups": (Sample({"package_groups": ("web-server",)}, "web-server"),),
    "repositories": (
        Sample(
            {
                "repositories": (
                    Repository("extra", "http://192.0.2.9/extra", "stable", ("main",), PGP),
                )
            },
            "192.0.2.9",
        ),
    ),
    "proxy": (Sample({"proxy": "http://me:word@192.0.2.8:3128"}, "192.0.2.8"),),
    "mirror": (Sample({"mirror": "http://192.0.2.6/mirror"}),),
    "kernel_arguments": (
        Sample({"kernel_arguments": (KernelWord("mitigations=auto"),)}, "mitigations=auto"),
    ),
    "scripts": (
        Sample({"scripts": Scripts(post="echo post-script\n")}, "echo post-script"),
        Sample({"scripts": Scripts(pre="echo pre-script\n")}, "echo pre-script"),
    ),
    "firmware": (Sample({"firmware": True}),),
    "security": tuple(Sample({"security": one}) for one in Security if one != "default"),
}

_BOOT_STATIC = Device(
    "lan", addresses=("192.0.2.7/24",), gateway="192.0.2.1", mtu=1500, of=("boot",)
)
NETWORKS: dict[str, Network] = {
    "dhcp": Network(),
    "static": Network((_BOOT_STATIC,), ("192.0.2.53",), (DomainName("site.example"),)),
    "bond": Network(
        (Device("uplink", Kind.BOND, ("boot", OTHER_MAC), dhcp=True, mode=BondMode.LACP),)
    ),
    "vlan": Network(
        (
            Device("lan", dhcp=True),
            Device("office", Kind.VLAN, ("lan",), vlan=20, addresses=("198.51.100.7/24",)),
        )
    ),
    "bridge": Network((Device("bridge0", Kind.BRIDGE, ("boot",), dhcp=True),)),
}


@dataclass(frozen=True)
class Field:
    """A place where a person's text goes: `name` is the parameter that an error must name."""

    name: str
    put: Callable[[Install, str], Install]
    benign: str


def _with(**stated: Callable[[Install, str], Any]) -> Callable[[Install, str], Install]:
    def put(install: Install, text: str) -> Install:
        values = {name: make(install, text) for name, make in stated.items()}
        return replace(install, parameters=replace(install.parameters, **values))

    return put


def _user(**words: Callable[[str], Any]) -> Callable[[Install, str], tuple[User, ...]]:
    def users(install: Install, text: str) -> tuple[User, ...]:
        first = install.parameters.users[0] if install.parameters.users else USERS[0]
        return (replace(first, **{name: make(text) for name, make in words.items()}),)

    return users


def _repository(install: Install, text: str) -> tuple[Repository, ...]:
    return (Repository("extra", f"http://192.0.2.9/{text}", "stable", ("main",)),)


def _erase(install: Install, text: str) -> Install:
    if not text.isprintable():
        raise InputError("this is no disk's name", "", "erase")  # as arming refuses it
    return replace(install, erase=(*install.erase, text))


def _match(install: Install, text: str) -> Install:
    return replace(install, disk=Disk(DiskMatch(text)), erase=(text,))


FIELDS: dict[str, Field] = {
    "full_name": Field("users", _with(users=_user(full_name=str)), "benign"),
    "password": Field(
        "users", _with(users=_user(password=str, password_hash=lambda _: "")), "benign"
    ),
    "ssh_comment": Field(
        "users", _with(users=_user(ssh_keys=lambda text: (f"{asked.KEY[:60]} {text}",))), "benign"
    ),
    "post": Field(
        "scripts",
        _with(scripts=lambda _, text: Scripts(post=f"echo a beginning\n{text}\n")),
        "benign",
    ),
    "pre": Field(
        "scripts",
        _with(scripts=lambda _, text: Scripts(pre=f"echo a beginning\n{text}\n")),
        "benign",
    ),
    "proxy": Field("proxy", _with(proxy=lambda _, text: f"http://{text}@192.0.2.8:1"), "benign"),
    "repository": Field("repositories", _with(repositories=_repository), "benign"),
    "group": Field("package_groups", _with(package_groups=lambda _, text: (text,)), "benign"),
    "package": Field("packages", _with(packages=lambda _, text: (text,)), "benign"),
    "server": Field("ntp", _with(ntp=lambda _, text: (text,)), "benign"),
    "zone": Field("timezone", _with(timezone=lambda _, text: text), "Europe/Berlin"),
    "argument": Field(
        "kernel_arguments",
        _with(kernel_arguments=lambda _, text: (KernelWord(text),)),
        "benign",
    ),
    "erase": Field("erase", _erase, "benign"),
    "match": Field("disk", _match, "disk-1"),
}

# Also what ends a here-document looks like base64.
_PIECE = re.compile(r"(cmd\.exe /c >>\S+ echo) ?([A-Za-z0-9+/=]+)")
_PACKED = re.compile(
    r"(?:(?<=base64,)[A-Za-z0-9+/]{4,}|[A-Za-z0-9+/]{16,})={0,2}"
    r"(?:\n(?!IRONWAKE)[A-Za-z0-9+/]+={0,2})*"
)


def opened(text: str, depth: int = 6) -> str:
    """With everything that is packed in base64 as text, so that it can be compared."""
    if not depth:
        return text

    def open_one(found: re.Match[str]) -> str:
        try:
            raw = base64.b64decode(found[0].replace("\n", ""), validate=True)
            inner = raw.decode("utf-16-le" if b"\0" in raw else "utf-8")
        except (binascii.Error, UnicodeDecodeError):
            return found[0]
        return f"\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}{opened(inner, depth - 1)}"

    return _PACKED.sub(open_one, text)


def forms(text: str) -> tuple[str, ...]:
    """A text as it stands in data, in a shell's quotes, in JSON, in quotes within quotes."""
    quoted = [text, shlex.quote(text), json.dumps(text)[1:-1]]
    quoted += [json.dumps(text, ensure_ascii=False)[1:-1]]
    quoted += [one.replace("'", "'\\''") for one in quoted]
    quoted += [text.replace("'", "''")]  # PowerShell's
    # As ESXi calls its devices.
    kept = (one if one.isascii() and one.isalnum() else one.encode().hex().upper() for one in text)
    quoted += ["".join("_" if one == "20" else one for one in kept)]
    quoted += [shlex.quote(one) for one in quoted]
    return tuple(sorted(set(quoted), key=len, reverse=True))


def leaves(data: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(where, text) of all that is in a parsed answer; keys are part of where."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from leaves(value, f"{path}/{key}")
    elif isinstance(data, list | tuple) and path.endswith("/lines"):
        yield path, "\n".join(data)
    elif isinstance(data, list | tuple):
        for number, value in enumerate(data):
            yield from leaves(value, f"{path}/{number}")
    else:
        yield path, data if isinstance(data, str) else repr(data)


def parsed(family: Family, answers: Answers) -> dict[str, str]:
    """All texts of all files, by where they stand."""
    found: dict[str, str] = {}
    pieces: dict[str, list[str]] = {}
    for name, text in answers.files.items():
        for where, leaf in leaves(family.parse(name, text), name):
            # Windows' commands are short: what is long is put together by several.
            piece = _PIECE.fullmatch(leaf)
            if piece:
                pieces.setdefault(piece[1], []).append(piece[2])
            else:
                found[where] = opened(leaf)
    names = {where: where for where in found}
    if pieces:  # how many there are is nothing that is said
        names = {where: re.sub(r"/SynchronousCommand/\d+", "/command", where) for where in found}
        return {
            **{f"{names[where]}: {found[where][:40]}": found[where] for where in found},
            **{where: opened("".join(texts)) for where, texts in pieces.items()},
        }
    return found


def same(got: str, expected: str, text: str, benign: str, depth: int = 4) -> bool:
    """Whether what was said with `text` is what was said with `benign`, but for that text.

    Where a shell reads it, quotes may be others: then each of its words is compared.
    """
    if got == expected or expected in _put_back(got, text, benign):
        return True
    if _around(got, expected, text):
        return True
    try:
        words, wanted = shlex.split(got), shlex.split(expected)
    except ValueError:
        return False
    if not depth or len(words) != len(wanted):
        return False
    return all(same(*pair, text, benign, depth - 1) for pair in zip(words, wanted, strict=True))


def _put_back(got: str, text: str, benign: str) -> set[str]:
    """With the benign text in the place of the other, in whichever form that stands there."""
    found = {got}
    for form in forms(text):
        for plain in forms(benign):
            found |= {one.replace(form, plain) for one in list(found)}
    return found


def _around(got: str, expected: str, text: str) -> bool:
    """Whether it stands in it once, and what is around it is as it was.

    For texts of one letter, which stand in many places by themselves.
    """
    for form in forms(text):
        at = got.find(form)
        while at >= 0:
            head, tail = got[:at], got[at + len(form) :]
            fits = len(head) + len(tail) < len(expected)
            if fits and expected.startswith(head) and expected.endswith(tail):
                return True
            at = got.find(form, at + 1)
    return False
