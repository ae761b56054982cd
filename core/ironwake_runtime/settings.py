"""Settings: `IRONWAKE_…` in the environment, read once, frozen, handed down.

An unknown `IRONWAKE_…` is an error: a mistyped setting must not be silently without effect.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ironwake.errors import InputError

PREFIX = "IRONWAKE_"


class Settings(BaseSettings):
    """Every setting there is. Each description stands in docs/settings.md."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    interface: str = Field("", description="network interface that the machines are on; no default")
    address: str = Field("", description="our address there; default: the interface's first IPv4")
    state_dir: Path = Field(Path("/var/lib/ironwake"), description="database and saved views")
    epoch_dir: Path | None = Field(
        None, description="boot epoch's copy, outside of state; default: beside state, with -epoch"
    )
    artifacts_dir: Path | None = Field(None, description="artifacts; default: artifacts in state")
    secrets_dir: Path | None = Field(None, description="token files; default: secrets in state")
    profiles_dir: Path | None = Field(None, description="profile files; default: profiles in state")
    parameters_dir: Path | None = Field(
        None, description="parameters of site, groups, machines; default: parameters in state"
    )
    plain_passwords: bool = Field(
        False, description="take users' plain passwords, for systems that take no other (Windows)"
    )
    captures_dir: Path | None = Field(
        None, description="what is read of machines for images; default: captures in state"
    )
    quirks_file: Path | None = Field(
        None, description="how odd firmware is to be answered; default: quirks.yaml in state"
    )
    catalogue_dir: Path | None = Field(
        None, description="your own releases and media; default: catalogue in state"
    )
    iso_dir: Path | None = Field(
        None, description="where ISO files are dropped, to be recognised; default: isos in state"
    )
    cache_dir: Path = Field(Path("/var/cache/ironwake"), description="what builds may keep")
    database_url: str = Field("", description="SQLAlchemy URL; default: SQLite in the state folder")
    controller_listen: str = Field("127.0.0.1:8080", description="where the API listens")
    controller_url: str = Field("http://127.0.0.1:8080", description="where clients find the API")
    dhcp_mode: Literal["proxy", "server", "off"] = Field(
        "proxy", description="beside a foreign DHCP server, with our own leases, or not at all"
    )
    dhcp_pool: str = Field("", description="first-last address of the pool, for mode server")
    dhcp_router: str = Field("", description="default route given to clients, for mode server")
    dhcp_subnets: Path | None = Field(
        None, description="file of all subnets, for mode server; instead of pool and router"
    )
    dhcp_beside: bool = Field(
        False, description="mode server even where another DHCP server gives addresses"
    )
    dhcp_authoritative: bool | None = Field(
        None, description="say no to clients with foreign leases; default: unless beside another"
    )
    dhcp_port: int = Field(67, description="UDP port of the DHCP service")
    dhcp_proxy_port: int = Field(4011, description="UDP port of the PXE boot server")
    dhcp_rate: float = Field(
        150_000, ge=10, description="DHCP datagrams that are looked at per second, of all clients"
    )
    dhcp_card_rate: float = Field(
        500, ge=10, description="the same for each client; firmware sends one in some seconds"
    )
    tftp_port: int = Field(69, description="UDP port of the TFTP service")
    http_port: int = Field(80, description="TCP port of the http service")
    monitor_port: int = Field(
        4711, description="TCP port on which FAI tells how it gets on (http service); 0 for none"
    )
    syslog_port: int = Field(
        514, description="UDP port for lines of installers' logs (http service); 0 for none"
    )
    dns_port: int = Field(53, description="UDP and TCP port of the DNS service")
    dns_forward: str = Field("", description="resolver for other names; default: none, refuse them")
    domain: str = Field("ironwake.internal", description="domain of the machines' names")
    ramdisk: Literal["generic", "cloud"] = Field(
        "generic", description="deploy ramdisk: for real machines, or the smaller one for virtual"
    )
    ssh_keys_file: Path | None = Field(
        None, description="public SSH keys, one a line, that are let into rescue systems"
    )
    mirror: str = Field("", description="package mirror; default: this host's own apt mirror")
    packages: Literal["auto", "on", "off"] = Field(
        "auto", description="package cache before the mirrors; auto: where nginx is installed"
    )
    packages_port: int = Field(3142, description="TCP port of the package cache")
    packages_dir: Path | None = Field(
        None, description="what it keeps, and imported mirrors; default: packages in cache"
    )
    packages_size: str = Field("20GiB", description="how much it keeps of mirrors")
    packages_mirrors: str = Field(
        "", description="more mirrors that it stands before: NAME=URL, with blanks between"
    )
    packages_hosts: str = Field(
        "", description="hosts that mirrors may redirect it to, with commas between"
    )
    image_hosts: str = Field(
        "", description="hosts that images may be fetched from, with commas between; default: none"
    )
    image_largest: str = Field("2TiB", description="how large an image and its source may be")
    image_members: int = Field(4_000_000, gt=0, description="names that a root archive may have")
    image_ratio: int = Field(
        200, gt=0, description="plain bytes for each packed one that a root archive may have"
    )
    image_minutes: float = Field(120, gt=0, description="how long an image may be fetched")
    arm_minutes: float = Field(60, gt=0, description="how long an armed deployment waits")
    wake_targets: str = Field(
        "", description="addresses or hosts that magic packets also go to, with commas between"
    )
    wake_rate: float = Field(
        20, gt=0, le=1000, description="machines woken per second, at most, for all together"
    )
    deadline_scale: float = Field(1, gt=0, description="multiplies every stage's deadline")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="logging")
    log_format: Literal["text", "json"] = Field("text", description="text for people, or JSON")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 (pydantic's signature)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (pydantic's signature)
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (pydantic's signature)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (pydantic's signature)
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `read` has checked: pydantic's own look would take an empty one for a value."""
        return (init_settings,)

    @property
    def epoch(self) -> Path:
        """Never in the state folder: whoever puts that back whole must not put this back, too."""
        return self.epoch_dir or self.state_dir.absolute().with_name(f"{self.state_dir.name}-epoch")

    @property
    def artifacts(self) -> Path:
        return self.artifacts_dir or self.state_dir / "artifacts"

    @property
    def packages_folder(self) -> Path:
        return self.packages_dir or self.cache_dir / "packages"

    @property
    def captures(self) -> Path:
        return self.captures_dir or self.state_dir / "captures"

    @property
    def secrets(self) -> Path:
        return self.secrets_dir or self.state_dir / "secrets"

    @property
    def profiles(self) -> Path:
        return self.profiles_dir or self.state_dir / "profiles"

    @property
    def parameters(self) -> Path:
        return self.parameters_dir or self.state_dir / "parameters"

    @property
    def quirks(self) -> Path:
        return self.quirks_file or self.state_dir / "quirks.yaml"

    @property
    def catalogue(self) -> Path:
        return self.catalogue_dir or self.state_dir / "catalogue"

    @property
    def isos(self) -> Path:
        return self.iso_dir or self.state_dir / "isos"

    @property
    def views(self) -> Path:
        """Where each data-plane service keeps the last view that it has seen."""
        return self.state_dir / "views"

    @property
    def admin_token_file(self) -> Path:
        return self.secrets / "admin.token"

    @property
    def service_token_file(self) -> Path:
        return self.secrets / "service.token"

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.state_dir / 'ironwake.sqlite'}"


def read(environ: Mapping[str, str], **overrides: Any) -> Settings:
    """The settings of this process; InputError names the wrong one and what it may be."""
    known = {PREFIX + name.upper(): name for name in Settings.model_fields}
    given: dict[str, Any] = {}
    for name, value in environ.items():
        if not name.upper().startswith(PREFIX) or value == "":
            continue
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else "see docs/settings.md for all there are"
            raise InputError(f"there is no setting {name}", hint, name)
        given[known[name]] = value
    try:
        return Settings.model_validate({**given, **overrides})
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper()
        raise InputError(f"{first['msg'].lower()}, not {first['input']!r}", "", name) from None
