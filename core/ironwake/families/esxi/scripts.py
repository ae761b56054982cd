"""ESXi's shell text: which disk, may it be written, and how it went. For busybox' ash.

An installation of ESXi knows disks by names made of what they say of themselves: `t10.` with model
and serial number, `naa.` and `eui.` with their World Wide Name.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Final

from ironwake.disk import AUTO
from ironwake.errors import InputError
from ironwake.families.base import Install

DISK_FILE: Final = "/tmp/ironwake-disk"  # noqa: S108 (of the installer's own memory)
_END: Final = "IRONWAKE-END"
_POST_FILE: Final = "/tmp/ironwake-script"  # noqa: S108 (likewise)

# busybox' wget of some versions cannot post; Python is in every installer, and in ESXi itself.
_REPORT = r"""report() {
    wget -q -T 30 -O /dev/null --header='Content-Type: application/json' --post-data="$2" "$1" \
        2>/dev/null || python -c '
import sys, urllib.request as u
h = {"Content-Type": "application/json"}
u.urlopen(u.Request(sys.argv[1], sys.argv[2].encode(), h), timeout=30)
' "$1" "$2" 2>/dev/null
}"""

_GUARD = r"""failed() { report "$callbacks?stage=failed&id=guard&message=$1" ""; exit 1; }
disks() {
    for d in /vmfs/devices/disks/*; do
        case $d in *:[0-9]|*:[0-9][0-9]|*/vml.*) ;; *) echo "${d##*/}";; esac
    done
}
is_called() {
    case $1 in
    *_"$2"|*_"$2"_*|naa."$2"|eui."$2") return 0;;
    esac
    return 1
}
is_own() {
    case $(localcli storage core device list -d "$1" 2>/dev/null) in
    *"Is USB: true"*|*"Is Removable: true"*|*"Is Local: false"*) return 1;;
    esac
}
is_blank() {
    partedUtil getptbl "/vmfs/devices/disks/$1" 2>/dev/null | head -n 1 | grep -q '^unknown' \
        || return 1
    dd if="/vmfs/devices/disks/$1" of=/tmp/ironwake-first bs=1048576 count=1 2>/dev/null
    [ "$(wc -c </tmp/ironwake-first)" -eq 1048576 ] || return 1
    [ "$(tr -d '\000' </tmp/ironwake-first | wc -c)" -eq 0 ]
}
chosen=
for d in $(disks); do
    if [ -n "$match" ]; then is_called "$d" "$match" || continue
    else is_own "$d" || continue
    fi
    [ -z "$chosen" ] || failed 'several+disks+are+fit%2C+name+one+in+disk.match'
    chosen=$d
done
[ -n "$chosen" ] || failed 'no+disk+is+the+one+that+is+wanted'
erased=
for name in $erase; do
    if is_called "$chosen" "$name"; then erased=' --overwritevmfs'; fi
done
[ -n "$erased" ] || is_blank "$chosen" || failed 'the+disk+is+not+blank'
"""


def sections(install: Install) -> Iterator[str]:
    """The sections of the kickstart file, each from its head on."""
    pre, post = install.parameters.scripts.pre, install.parameters.scripts.post
    callbacks = shlex.quote(install.urls.callbacks)
    match = install.disk.match
    erase = " ".join(filter(None, (_name(one) for one in install.erase)))
    yield "%pre --interpreter=busybox"
    yield _REPORT
    yield f"callbacks={callbacks}"
    yield 'report "$callbacks?stage=installing&step=installer&id=early" ""'
    if pre:
        yield from _script(pre, "scripts.pre")
        yield _failing("the+script+pre+failed")
    yield f"match={shlex.quote('' if match == AUTO else _wanted(install))}"
    yield f"erase={shlex.quote(erase)}"
    yield _GUARD.rstrip("\n")
    yield f'echo "install --disk=/vmfs/devices/disks/$chosen$erased" >{DISK_FILE}'
    yield 'report "$callbacks?stage=installing&step=partitioning&id=disk" ""'
    yield "%post --interpreter=busybox"
    yield _REPORT
    yield f"report {callbacks}'?stage=installed&id=late' ''"
    yield "%firstboot --interpreter=busybox"
    yield _REPORT
    yield f"callbacks={callbacks}"
    # ESXi lets nothing out to HTTP servers before this.
    yield "esxcli network firewall ruleset set --enabled=true --ruleset-id=httpClient"
    yield f"esxcli system hostname set --fqdn={shlex.quote(f'{install.hostname}.{install.domain}')}"
    if install.parameters.ntp:
        servers = " ".join(f"--server={shlex.quote(one)}" for one in install.parameters.ntp)
        yield f"esxcli system ntp set --enabled=yes {servers}"
    if post:
        yield from _script(post, "scripts.post")
        yield _failing("the+script+post+failed")
    yield "system=$(vmware -v | tr -d '\"\\\\')"
    told = json.dumps({"hostname": str(install.hostname), "system": "@", "kernel": "VMkernel"})
    before, after = told.split("@")
    yield f'body={shlex.quote(before)}"$system"{shlex.quote(after)}'
    health = shlex.quote(install.urls.health)
    yield f'for i in $(seq 60); do report {health} "$body" && break; sleep 5; done'


def _failing(words: str) -> str:
    return (
        f"sh {_POST_FILE} || {{ "
        f'report "$callbacks?stage=failed&id=script&message={words}" ""; exit 1; }}'
    )


def _script(text: str, where: str) -> Iterator[str]:
    lines = text.split("\n")
    if _END in lines or any(line.startswith("%") for line in lines):
        raise InputError(
            f"a line begins with %, or is {_END}: the kickstart file would end there",
            "indent it",
            where,
        )
    yield f"cat >{_POST_FILE} <<'{_END}'"
    yield from lines
    yield _END


def _wanted(install: Install) -> str:
    match = install.disk.match
    if match.criteria or match.startswith("/dev/"):
        raise InputError(
            f"ESXi's installer does not know {match!r:.60}",
            "name the disk by its serial number, or as in: wwn:5000c500a1b2c3d4",
            "disk.match",
        )
    name = _name(match)
    if not name:
        raise InputError(
            f"{match!r:.60} is no name of a disk", "copy its serial number", "disk.match"
        )
    return name


def _name(text: str) -> str:
    """A serial number as it stands in a disk's name: other characters as hexadecimal digits."""
    kind, _, value = text.partition(":")
    if kind == "wwn" and value:
        return "".join(filter(str.isalnum, value.lower().removeprefix("0x").rpartition(".")[2]))
    bare = value if kind == "serial" and value else text
    return "".join(
        character
        if character.isascii() and character.isalnum()
        else "_"
        if character == " "
        else character.encode().hex().upper()
        for character in bare
    )
