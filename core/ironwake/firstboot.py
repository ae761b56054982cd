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

_SERVICE = """\
[Unit]
Description=Report to Ironwake that this system is up
Wants=network-online.target
After=network-online.target
ConditionPathExists=/etc/ironwake/health-url

[Service]
Type=oneshot
ExecStart=/usr/lib/ironwake/report-health
# Until it is heard: the appliance, or the network, may come up later than this system.
Restart=on-failure
RestartSec=5
StartLimitIntervalSec=0

[Install]
WantedBy=multi-user.target
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
