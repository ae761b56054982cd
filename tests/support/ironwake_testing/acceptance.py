"""One probe for a machine that has got its Debian, by whatever way: from outside, by SSH."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from ironwake_lab.spec import MachineSpec
from ironwake_testing.scene import BOOT_SECONDS, Scene

USER = "keeper"
_PACKAGE = "openssh-server"  # of every Debian that our profiles install
_TIME_SERVER = "192.0.2.123"
_PROFILE = """\
parameters:
  users: [{name: USER, ssh_keys: ["KEY"]}]
  ntp: [TIME_SERVER]
  scripts: {pre: lsblk, post: cp /etc/hostname /etc/by-post}
"""
_OPTIONS = (
    *("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"),
    "ConnectionAttempts=120",
)
_ASKED = (
    "id -un",
    "sudo -n id -u",
    "hostname",
    "dpkg-query -W -f '${db:Status-Status}\\n' " + _PACKAGE,
    '. /etc/os-release; echo "$ID $VERSION_ID"',
    "curl -sS -o /dev/null -w '%{http_code}\\n' http://APPLIANCE/healthz",
    "timedatectl show-timesync --property=SystemNTPServers --value",
    "cat /etc/by-post",
    "cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub",
)


@dataclass(frozen=True)
class Key:
    """Of somebody who may log in: the file of the private one."""

    file: Path

    @classmethod
    def made(cls, folder: Path) -> Key:
        """A new one, in that folder."""
        file = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)
        return cls(file)

    @property
    def profile(self) -> str:
        """The lines of a profile that let its owner in, and that a site may have for all."""
        public = self.file.with_suffix(".pub").read_text().strip()
        text = _PROFILE.replace("TIME_SERVER", _TIME_SERVER)
        return text.replace("USER", USER).replace("KEY", public)


def accept(
    there: Scene, machine: MachineSpec, key: Key, *, since: int = 0, system: str = "debian 12"
) -> str:
    """Log in as the profile's user: name, sudo, package, system, network, whom it asks for the
    time and what the profile's script left are as they should be.

    The machine's own SSH host key, which no other has.

    :param since: its serial line's mark from before it was deployed
    """
    # Before that, PAM lets nobody in but root.
    there.rack.machine(machine.name).wait_serial(f"{machine.name} login:", BOOT_SECONDS, since)
    words = ["ssh", "-i", str(key.file), *(f"-o{one}" for one in _OPTIONS)]
    place = f"{USER}@{_address(there, machine)}"
    asked = " && ".join(_ASKED).replace("APPLIANCE", there.appliance.address)
    done = there.rack.run([*words, place, asked], check=False, timeout=BOOT_SECONDS)
    told = done.stdout.splitlines()
    wanted = [USER, "0", machine.name, "installed", system, "200", _TIME_SERVER, machine.name]
    assert told[: len(wanted)] == wanted, f"{told}\n{done.stderr}"
    return told[len(wanted)]


def _address(there: Scene, machine: MachineSpec) -> str:
    """The router's newest lease for it: dnsmasq writes `until MAC address name client`."""
    rows = [row.split() for row in there.rack.router.leases.read_text().splitlines()]
    return max((int(row[0]), row[2]) for row in rows if row[1:2] == [machine.mac])[1]
