"""Looks at profiles before anybody is armed with them: offline, with all that the appliance checks.

A profile is read as the controller reads it, joined with the scopes of the machine that is meant,
told to its method and its family as if all media were there, and its answer files go to the judges
of their formats (`ironwake_runtime.judges`).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ironwake import families
from ironwake.deployment import Deployment
from ironwake.errors import InputError, IronwakeError, RefusedError
from ironwake.families import start
from ironwake.families.base import Format
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.methods import METHODS
from ironwake.names import HostName
from ironwake.parameters.files import Group, Stated
from ironwake.parameters.model import SECRET_WORD
from ironwake.profile import Profile
from ironwake.release import Release
from ironwake.report import Grant
from ironwake.site import Policy, Shelf, Site, Stored
from ironwake_controller import briefing
from ironwake_controller.briefing import Briefing, Meant
from ironwake_controller.profiles import check_name
from ironwake_controller.scopes import Scopes
from ironwake_runtime import folders, judges, templates, yamlfile
from ironwake_runtime.judges import Verdict

MAC = Mac("52:54:00:00:00:01")
_SITE = Site("192.0.2.1", 24, mirror="http://192.0.2.1/packages")  # RFC 5737: nobody's
_LARGEST = 64 << 10  # bytes of a profile
_MEDIUM = ("iso", start.TREE, start.KERNEL, start.INITRD)

Find = Callable[[str], Release]


@dataclass(frozen=True)
class Finding:
    """A mistake: `file` as it was named, `line` from 1, `field` "" where it is the whole file.

    `by`: who found it, "" for our own checks.
    """

    file: str
    line: int
    field: str
    what: str
    next_step: str = ""
    by: str = ""


@dataclass
class Report:
    """`absent`: judges that are not installed, with the formats that they judge.

    `notes`: what is right in the file, and will be wanted of whoever deploys it.
    """

    findings: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    looked_at: list[str] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)


class Lint:
    """For one machine: `name` and `labels` say which scopes are its own.

    :param release: the catalogue's row of a name
    :param scopes: the folder of parameters, None for none
    """

    def __init__(
        self,
        release: Find,
        scopes: Path | None = None,
        name: str = "lint",
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self._release = release
        self._scopes = Scopes(scopes) if scopes else None
        self._machine = Machine(HostName(name), (MAC,), labels=dict(labels or {}))
        self.report = Report()

    def scopes(self) -> None:
        """Look at every file of the folder of parameters."""
        if self._scopes is None:
            return
        for path, kind in self._scopes.files():
            self._read(path, self._scopes.folder, partial(_parsed, kind))

    def profile(self, path: Path) -> None:
        """Look at one profile's file."""
        self._read(path, path.parent, lambda raw: self._profile(path, raw))

    def _read(self, path: Path, folder: Path, look: Callable[[bytes], object]) -> None:
        self.report.looked_at.append(str(path))
        try:
            with folders.own(path, folder).open("rb") as file:
                raw = file.read(_LARGEST + 1)
            if len(raw) > _LARGEST:
                raise InputError(f"a profile has at most {_LARGEST} bytes", "make it shorter")
            look(raw)
        except OSError as error:
            self._found(path, InputError(f"it cannot be read: {error.strerror}"))
        except InputError as error:
            self._found(path, error)

    def _profile(self, path: Path, raw: bytes) -> None:
        check_name(path)
        yamlfile.parse(Profile, raw, "release: debian-12", lambda found: self._told(path, found))

    def _told(self, path: Path, profile: Profile) -> None:
        """InputError for the first thing that the appliance would refuse; then the judges."""
        release = self._release(profile.release) if profile.release else None
        machine = self._machine
        if release:
            self._note(path, profile, release)
            machine = replace(machine, architecture=release.architectures[0])
        reader = Briefing(
            self._scopes or Scopes(path.parent / ".no-parameters"),
            lambda name: templates.read(path.parent, name),
            plain_passwords=True,
        )
        real = reader.draft(machine, Meant(path.stem, "", profile, release))
        # Without secrets, for judges quote what they find wrong; but raw texts are to be judged.
        told = replace(
            real.masked.parameters,
            fragments=real.parameters.fragments,
            scripts=real.parameters.scripts,
        )
        draft = replace(real.masked, parameters=told)
        policy = Policy(_SITE, _stocked(release, machine, profile))
        try:
            self._check(path, draft, machine, policy)
            made = briefing.rendered(draft, machine, MAC, policy, _keys(profile))
            method = METHODS[profile.method]
            if release is None or not profile.method.is_vendors:
                return
            grant = method.payload(made, machine, MAC, policy, _keys(profile))
        except InputError as error:
            raise briefing.told(error, draft) from None
        except IronwakeError as error:
            raise InputError(error.what, error.next_step) from None
        self._judge(path, release, grant)

    def _check(self, path: Path, draft: Deployment, machine: Machine, policy: Policy) -> None:
        """What a deployment may say, and a profile not, is no mistake of the profile."""
        try:
            briefing.check(draft, machine, policy)
        except RefusedError as error:
            found = Finding(str(path), 1, error.where, error.what, error.next_step)
            self.report.notes.append(found)

    def _note(self, path: Path, profile: Profile, release: Release) -> None:
        if profile.method.is_vendors and (why := families.unseen(families.of(release))):
            self.report.notes.append(Finding(str(path), 1, "disk", why))

    def _judge(self, path: Path, release: Release, grant: Grant) -> None:
        for name, form, verdict in judged(release, grant):
            if not verdict.there:
                self.report.absent.setdefault(verdict.judge, str(form))
            for said in verdict.complaints:
                self.report.findings.append(Finding(str(path), 1, name, said, "", verdict.judge))

    def _found(self, path: Path, error: InputError) -> None:
        line, _, where = error.where.partition(" ")
        number = int(line) if line.isdigit() else 1
        place = where if line.isdigit() else error.where
        self.report.findings.append(Finding(str(path), number, place, error.what, error.next_step))


def _parsed(kind: type[Group | Stated], raw: bytes) -> Group | Stated:
    return yamlfile.parse(kind, raw)


def judged(release: Release, grant: Grant) -> Iterator[tuple[str, Format, Verdict]]:
    """What each judge says of each answer file, with its name and format."""
    family = families.of(release)
    for name, text in grant.files.items():
        content = base64.b64decode(text) if name in grant.binary else text.encode()
        form = family.formats.get(name, Format.TEXT)
        for verdict in judges.judge(form, content, release):
            yield name, form, verdict


def _keys(profile: Profile) -> dict[str, str]:
    return dict.fromkeys(profile.layout.sealed if profile.layout else (), SECRET_WORD)


def _stocked(release: Release | None, machine: Machine, profile: Profile) -> Shelf:
    """A shelf that has all that this profile needs."""
    if release is None or not profile.method.is_vendors:
        return Shelf()
    medium = release.medium(machine.architecture)
    wanted = dict(start.of(families.of(release)).needs(release, machine.architecture))
    wanted[medium] = (*dict.fromkeys((*wanted.get(medium, ()), *_MEDIUM)),)
    return Shelf(
        tuple(
            Stored(name, role, f"{number:064x}", 1, f"{role}.iso" if role == "iso" else role)
            for number, (name, role) in enumerate(
                (name, role) for name, roles in wanted.items() for role in roles
            )
        )
    )
