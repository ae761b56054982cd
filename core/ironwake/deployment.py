"""A deployment: this machine, this profile revision, once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ironwake.errors import RefusedError
from ironwake.lifecycle import State
from ironwake.parameters import Parameters
from ironwake.parameters.model import SECRET_WORD
from ironwake.profile import Profile
from ironwake.release import Release


@dataclass(frozen=True)
class Deployment:
    """One intent, as the data plane needs it.

    `token` (256 bits, hexadecimal) authorises the claim and the callbacks; `health_token`, another
    one, the installed system's report. `revision` is the SHA-256 of the profile's file. `erase`
    names the disks (serial or path) that may lose what is on them. `held` says why nothing is given
    out until a person has looked, "" for nothing. `uuid`: the SMBIOS UUID of the machine that was
    offered it first, "" while none was: another one with the same card gets nothing. `release`: the
    profile's, as the catalogue had it when armed. `parameters`: what site, profile, groups and
    machine state, joined; `origins`: whose each is. `template`: the text of a person's own answer
    file, as it was when armed; `answer`: the same once rendered, which is never stored. Times are
    not here: the data plane has no business with them.
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
    release: Release | None = None
    parameters: Parameters = field(default_factory=Parameters)
    origins: dict[str, str] = field(default_factory=dict)
    template: str = ""
    answer: str = ""

    @property
    def expected_reboots(self) -> int:
        """How often the machine restarts before the end: as the profile says, or the release's
        own installer is known for.
        """
        known = self.release if self.profile.method.is_vendors else None
        return max(known.expected_reboots if known else 0, self.profile.expected_reboots)

    def need_release(self) -> Release:
        """The release that it is made of; RefusedError where it is made of none."""
        if self.release is None:
            raise RefusedError(f"{self.profile_name} names no release", "give one", "release")
        return self.release

    @property
    def public(self) -> Deployment:
        """What the data plane may know of it, and the tokens: nothing that only the claim gives."""
        public = self.parameters.public
        return replace(self, parameters=public, origins={}, template="", answer="")

    @property
    def masked(self) -> Deployment:
        """What may be shown to a person: with a word in the place of each secret."""
        return replace(
            self, parameters=self.parameters.masked, token=SECRET_WORD, health_token=SECRET_WORD
        )


@dataclass(frozen=True)
class Claim:
    """Who took the answers: the client's address and, where it tells one, its boot's id."""

    client: str
    boot: str = ""
