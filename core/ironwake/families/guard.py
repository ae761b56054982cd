"""The disk guard for installers with a shell: which disks, and may they be written.

The agent decides it by `ironwake.disk`, on facts that it gathers. Here the same rules are shell
text, for vendors' installers: it runs before the first write, sets a variable to each disk's device
(`variable`), and ends the machine where it refuses. It wants sh, udevadm, blkid, dd, readlink, sed,
tr and one of curl and wget; nothing of it is a person's text, but in quotes.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from ironwake.disk import DiskMatch, Kind, Pick
from ironwake.errors import InputError
from ironwake.layout.model import Layout
from ironwake.layout.usual import usual

_OFF = "poweroff -f"
_PLAIN = '"$(plain "$1")"'


@dataclass(frozen=True)
class Wanted:
    """One disk: `least` in bytes."""

    name: str
    match: DiskMatch
    least: int = 0


def variable(name: str) -> str:
    """The shell variable that has this disk: `first` → `disk_first`, `a-b` → `disk_a_b`."""
    return f"disk_{name.replace('-', '_')}"


def wanted(layout: Layout | None, match: DiskMatch, least: int) -> tuple[Wanted, ...]:
    """The disks of a layout, or of the usual one; the only one must have room for the system."""
    disks = (layout or usual(match)).disks
    room = least if len(disks) == 1 else 0
    return tuple(Wanted(str(one.name), one.match, room) for one in disks)


def report(url: str, rest: str = "") -> str:
    """A shell command that posts to `url`, with `rest` of it in the shell's own words, and waits
    for the answer; it fails where there is none.
    """
    where = shlex.quote(url) + rest
    return (
        f"{{ curl -fsS -m 60 -o /dev/null -X POST {where} "
        f"|| wget -q -T 60 -O /dev/null --post-data= {where}; }}"
    )


def script(
    disks: Sequence[Wanted],
    erase: Sequence[str],
    failed: str,
    end: str = _OFF,
    block: str = "/sys/block",
) -> str:
    """Shell text that chooses all disks, those that are named first, and looks at each.

    :param erase: names (serial or path) of the disks whose contents may go
    :param failed: where to report, a URL that ends so that a message can follow: `…&message=`
    :param end: the command after a refusal
    :param block: where the kernel lists its block devices
    """
    if len({variable(one.name) for one in disks}) < len(disks):
        raise InputError("two disks' names differ in - and _ only", "rename one", "layout.disks")
    order = sorted(
        range(len(disks)),
        key=lambda index: disks[index].match == "auto" or bool(disks[index].match.criteria),
    )
    spared = "".join(f" -e {shlex.quote(name)}" for name in erase)
    allowed = f'names "$1" | grep -qxF{spared}' if spared else "false"
    told = report(failed, _PLAIN)
    lines = [
        f"block={shlex.quote(block)} taken=",
        f"refuse() {{ {told}; {end}; exit 1; }}",
        f"may_go() {{ {allowed}; }}",
    ]
    for one in (disks[index] for index in order):
        lines.append(f"choice=; {_choice(one)}")
        lines.append(
            f'look "$choice" {one.least}; {variable(one.name)}=$choice; taken="$taken $choice"'
        )
    return _FUNCTIONS + "\n".join(lines) + "\n"


def _choice(one: Wanted) -> str:
    match, criteria = one.match, one.match.criteria
    if match == "auto":
        return f'only "no disk is fit, or several: name one in disk.match" {one.least}'
    if criteria is None:
        key, _, value = match.partition(":")
        if key == "wwn" and value:
            return f"named {shlex.quote(f'wwn:{value}')}"
        return f"named {shlex.quote(value if key == 'serial' and value else match)}"
    least, most = max(one.least, criteria.least), criteria.most
    kind = criteria.kind or ""
    if criteria.pick is None:
        said = "no disk is as wanted, or several: say smallest or largest in disk.match"
        return f'only "{said}" {least} {most} {kind}'.rstrip()
    largest = "r" if criteria.pick is Pick.LARGEST else ""
    return f"pick '{largest}' {least} {most} {kind}".rstrip()


# Sizes are in bytes; /sys counts in 512. A disk is listed as "SIZE SERIAL /dev/NAME".
_FUNCTIONS = f"""\
plain() {{ printf %s "$1" | tr -c 'A-Za-z0-9/._:,;-' +; }}
property() {{ udevadm info -q property -n "$1" | sed -n "s/^$2=//p"; }}
names() {{
    echo "$1"
    for key in ID_SERIAL ID_SERIAL_SHORT; do property "$1" $key; done
    property "$1" ID_WWN | sed 's/^/wwn:/'
    property "$1" DEVLINKS | tr ' ' '\\n'
}}
kind() {{
    case $1 in /dev/nvme*) echo {Kind.NVME}; return;; esac
    case $(cat "$block/$2"/queue/rotational) in
    1) echo {Kind.HDD};; *) echo {Kind.SSD};; esac
}}
all() {{
    for path in "$block"/*; do
        name=${{path##*/}}
        case $name in loop*|ram*|zram*|sr*|fd*|md*|dm-*|nbd*|mtd*) continue;; esac
        case $name in mmcblk*boot[01]|mmcblk*rpmb) continue;; esac
        [ -e "$path/size" ] || continue
        [ "$(cat "$path/hidden" 2>/dev/null)" != 1 ] || continue
        [ "$(cat "$path"/size)" != 0 ] && echo "/dev/$(echo "$name" | tr ! /) $name"
    done
}}
fit() {{
    all | while read -r path name; do
        size=$(($(cat "$block/$name"/size) * 512))
        case " $taken " in *" $path "*) continue;; esac
        case $(readlink -f "$block/$name") in */usb*) continue;; esac
        [ "$(cat "$block/$name"/removable)" = 0 ] || continue
        [ "$(cat "$block/$name"/ro)" = 0 ] || continue
        [ $size -ge "${{1:-0}}" ] || continue
        [ "${{2:-0}}" = 0 ] || [ $size -le "$2" ] || continue
        [ -z "${{3:-}}" ] || [ "$(kind "$path" "$name")" = "$3" ] || continue
        echo "$size $(plain "$(property "$path" ID_SERIAL)") $path"
    done
}}
one() {{
    [ "$(printf %s "$2" | grep -c .)" = 1 ] || refuse "$1"
    choice=${{2##* }}
}}
only() {{ said=$1; shift; one "$said" "$(fit "$@")"; }}
pick() {{
    order=$1; shift
    one "no disk is as wanted" "$(fit "$@" | sort -k "1,1n$order" -k 2 | head -n 1)"
}}
named() {{
    found=$(all | while read -r path name; do
        names "$path" | grep -qxF -e "$1" && echo "$path"; done)
    one "there is no disk $1 here, or several" "$found"
}}
look() {{
    name=$(echo "${{1#/dev/}}" | tr / !) serial=$(property "$1" ID_SERIAL_SHORT)
    size=$(($(cat "$block/$name"/size) * 512)) title="disk $1, serial ${{serial:-none}},"
    case " $taken " in *" $1 "*) refuse "$title is meant twice";; esac
    [ "$(cat "$block/$name"/ro)" = 0 ] || refuse "$title is write-protected"
    [ $size -ge "$2" ] || refuse "$title is too small: the system needs $2 bytes"
    dd if="$1" of=/dev/null count=1 2>/dev/null || refuse "$title cannot be read"
    state=0; found=$(blkid -p -s PTTYPE -s TYPE -o value "$1") || state=$?
    if [ $state != 2 ] && ! may_go "$1"; then
        refuse "$title is not blank: $(echo "$found" | tr '\\n' ' ' | sed 's/ *$//');\
 if all of that may go, deploy again with --erase ${{serial:-$1}}"
    fi
}}
"""
