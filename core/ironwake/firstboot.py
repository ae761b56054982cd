"""The installed system's first words: a unit that reports health once, under its own token.

Used by the agent (which writes the files) and by installers' last commands (which have a shell).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    """A file of the installed system: `path` has no leading slash, `mode` is octal."""

    path: str
    mode: int
    text: str


UNIT = "ironwake-health.service"
LABEL = "Ironwake"  # the firmware's name for the boot entry of a disk that we have written

_SERVICE = """\
[Unit]
Description=Report to Ironwake that this system is up
Wants=network-online.target
After=network-online.target
ConditionPathExists=/etc/ironwake/health-url

[Service]
Type=oneshot
# Whatever comes of it, the report counts.
ExecStartPre=-/usr/lib/ironwake/boot-entry
ExecStart=/usr/lib/ironwake/report-health
# Until it is heard: the appliance, or the network, may come up later than this system.
Restart=on-failure
RestartSec=5
StartLimitIntervalSec=0

[Install]
WantedBy=multi-user.target
"""

# Firmware loses entries: with a new board, a flat battery, a reset to defaults. The disk was found
# all the same (\\EFI\\BOOT), but nobody could name it for the next start.
_ENTRY = f"""\
#!/bin/sh
# Gives the firmware an entry for this disk where it has none; its boot order stays as it is.
set -eu
command -v efibootmgr >/dev/null || exit 0
efibootmgr >/dev/null 2>&1 || exit 0
esp=$(findmnt -n -o SOURCE /boot/efi) || exit 0
id=$(findmnt -n -o PARTUUID /boot/efi)
[ -n "$id" ] || exit 0
efibootmgr -v | grep -qi "$id" && exit 0
name=${{esp##*/}}
number=$(cat "/sys/class/block/$name/partition")
disk=$(basename "$(readlink -f "/sys/class/block/$name/..")")
for shim in /boot/efi/EFI/*/shim*.efi; do
    [ -e "$shim" ] || continue
    path=$(printf %s "${{shim#/boot/efi}}" | tr / '\\\\')
    efibootmgr -q -C -d "/dev/$disk" -p "$number" -L {LABEL} -l "$path"
    exit 0
done
"""

# The URL file is removed once the report is taken, or once nobody wants it any more (cancelled,
# failed, forgotten: it would be sent every few seconds for ever): a later boot has nothing to say.
_SCRIPT = """\
#!/bin/sh
# Reports once to the appliance that this system has booted from its own disk.
set -eu
url=$(cat /etc/ironwake/health-url)
system=$(. /etc/os-release; printf %s "$PRETTY_NAME" | tr -d '"\\\\')
body=$(printf '{"hostname":"%s","system":"%s","kernel":"%s"}' \\
    "$(uname -n)" "$system" "$(uname -r)")
if command -v curl >/dev/null; then
    code=$(curl -sS -o /dev/null -w '%{http_code}' --max-time 30 \\
        -H 'Content-Type: application/json' -d "$body" "$url")
    case $code in
    2*) ;;
    404 | 410) echo "the appliance does not wait for this report any more: HTTP $code" >&2 ;;
    *) echo "the report was not taken: HTTP $code" >&2; exit 1 ;;
    esac
else
    wget -q -T 30 -O - --header='Content-Type: application/json' --post-data="$body" "$url"
fi
rm -f /etc/ironwake/health-url
"""


def files(health_url: str) -> tuple[File, ...]:
    """What has to stand in the installed system; the unit must then be enabled."""
    return (
        File(f"etc/systemd/system/{UNIT}", 0o644, _SERVICE),
        File("usr/lib/ironwake/report-health", 0o755, _SCRIPT),
        File("usr/lib/ironwake/boot-entry", 0o755, _ENTRY),
        File("etc/ironwake/health-url", 0o600, health_url + "\n"),
    )


def late_command(health_url: str) -> str:
    """The same for an installer's shell, on one line: base64, so that nothing needs quoting."""
    steps = []
    for file in files(health_url):
        text = base64.b64encode(file.text.encode()).decode()
        folder = file.path.rpartition("/")[0]
        steps.append(
            f"mkdir -p /target/{folder}; in-target sh -c "
            f"'echo {text} | base64 -d > /{file.path}; chmod {file.mode:o} /{file.path}'"
        )
    steps.append(f"in-target systemctl enable {UNIT}")
    return "; ".join(steps)
