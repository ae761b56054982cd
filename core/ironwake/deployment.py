"""A deployment: this machine, this profile revision, once."""

from __future__ import annotations

from dataclasses import dataclass

from ironwake.lifecycle import State
from ironwake.profile import Profile


@dataclass(frozen=True)
class Deployment:
    """One intent, as the data plane needs it.

    `token` (256 bits, hexadecimal) authorises the claim and the callbacks; `health_token`, another
    one, the installed system's report. `revision` is the SHA-256 of the profile's file. `erase`
    names the disks (serial or path) that may lose what is on them. `held` says why nothing is given
    out until a person has looked, "" for nothing. `uuid`: the SMBIOS UUID of the machine that was
    offered it first, "" while none was: another one with the same card gets nothing. Times are not
    here: the data plane has no business with them.
    """

    id: str
    machine: str
    profile_name: str
    revision: str
    profile: Profile
    state: State
    token: str
    health_token: str
    erase: tuple[str, ...] = ()
    held: str = ""
    uuid: str = ""


@dataclass(frozen=True)
class Claim:
    """Who took the answers: the client's address and, where it tells one, its boot's id."""

    client: str
    boot: str = ""
