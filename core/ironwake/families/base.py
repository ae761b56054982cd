"""What every family of operating systems can do, and what it is told.

A family is one file of code; what differs between its versions is a row of data
(`ironwake.release.Release`, with `options` in the family's own words).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from ironwake.layout.model import Layout
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.parameters import Parameters
from ironwake.parameters.refusal import check_refused
from ironwake.profile import Disk
from ironwake.release import Release
from ironwake.report import Callback
from ironwake.site import Site


class Format(StrEnum):
    """What an answer file is written in; each has its judge (`ironwake_runtime.judges`)."""

    PRESEED = "preseed"
    KICKSTART = "kickstart"
    AUTOINSTALL = "autoinstall"  # cloud-config with the key of that name
    CLOUD_CONFIG = "cloud-config"
    META_DATA = "meta-data"
    NETWORK_CONFIG = "network-config"
    YAML = "yaml"
    JSON = "json"
    XML = "xml"
    AUTOYAST = "autoyast"
    UNATTEND = "unattend"  # Windows'
    IGNITION = "ignition"
    SHELL = "shell"
    TAR = "tar"
    TEXT = "text"


@dataclass(frozen=True)
class Urls:
    """Where the installer of one deployment finds things; none but `answers` and `tree` ends in /.

    `answers`: the folder of its answer files, whose first fetch is the claim. `callbacks` takes a
    `Callback`'s fields in the query; `reports`, what this family's installer sends by itself (see
    `Family.heard`). `health`: the installed system's own report. `tree`: what is on the medium,
    "" where nothing of it is served. `packages`: the mirror to install from, with the site's
    package cache before it; "" where none is set. `parts`: each file of the medium, by its role.
    """

    answers: str
    callbacks: str
    reports: str
    health: str
    tree: str = ""
    packages: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Install:
    """One installation by the vendor's installer, on the machine that booted from `mac`.

    `keys`: passphrases of the layout's encrypted volumes, by the names of their mappings; none
    before the claim. `template`: a person's own answer file, rendered; "" where there is none.
    What is known before the claim (`Family.arguments`) has `Parameters.public` only.
    """

    release: Release
    machine: Machine
    parameters: Parameters
    disk: Disk
    layout: Layout | None
    site: Site
    mac: Mac
    urls: Urls
    erase: tuple[str, ...]
    keys: Mapping[str, str] = field(default_factory=dict)
    template: str = ""

    @property
    def hostname(self) -> str:
        return self.parameters.hostname or self.machine.name

    @property
    def domain(self) -> str:
        return self.parameters.domain or self.site.domain

    @property
    def source(self) -> str:
        """The tree or repository to install from: the profile's mirror, else the medium, else the
        site's mirror; "" where there is none.
        """
        if self.parameters.mirror:
            return self.urls.packages or self.parameters.mirror
        return self.urls.tree.rstrip("/") or self.urls.packages


@dataclass(frozen=True)
class Answers:
    """Answer files by name; each is text, or bytes in base64 where `binary` has its name."""

    files: Mapping[str, str]
    binary: frozenset[str] = frozenset()


class Family(Protocol):
    """One family. All of it is pure: texts from an `Install`."""

    @property
    def name(self) -> str:
        """As `Release.family` and `Parameters.fragments` have it."""

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the answer files; the first is the one that a person wants to see."""

    @property
    def formats(self) -> Mapping[str, Format]:
        """What each of `files` is written in."""

    @property
    def roles(self) -> tuple[str, ...]:
        """What it needs of its medium, besides the installer's kernel and initrd."""

    @property
    def refuses(self) -> Mapping[str, str]:
        """Parameters that its installer has no answer for: field's name → why, for a person.

        A profile that states one of them is refused with these words, never silently obeyed.
        """

    def check(self, install: Install) -> None:
        """InputError, naming the parameter, for what cannot be told to this installer."""

    def arguments(self, install: Install) -> tuple[str, ...]:
        """What the installer's kernel is started with."""

    def answers(self, install: Install) -> Answers:
        """All answer files."""

    def parse(self, name: str, text: str) -> object:
        """An answer file read back, by the format's own library where it has one: for comparison.

        Plain data (dicts, lists, text); InputError where the file is none of this format.
        """

    def heard(self, content_type: str, body: bytes) -> Callback | None:
        """What the installer's own report says; None for what is no news. Never raises."""


@runtime_checkable
class Blind(Protocol):
    """What a family has besides, whose installer writes without a look at what is on the disk.

    It writes only to a disk that the deployment names with `erase`.
    """

    @property
    def unseen(self) -> str:
        """Why nobody can look, for a person."""


def unseen(family: Family) -> str:
    """Why each of its deployments must name the disk; "" for installers that can look."""
    return f"{family.unseen}: name the disk with --erase" if isinstance(family, Blind) else ""


def check(family: Family, install: Install) -> None:
    """InputError, naming the parameter, where this installation cannot be told to the family."""
    check_refused(f"family {family.name}", family.refuses, install.parameters)
    family.check(install)
