"""What the appliance is to its network now: the site, and the shelf of built artifacts."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path

from ironwake.artifact import Manifest
from ironwake.errors import InputError, IronwakeError
from ironwake.image import Catalogue
from ironwake.names import DomainName
from ironwake.parameters.model import check_keys
from ironwake.quirks import Quirk, Quirks
from ironwake.site import Policy, Shelf, Site
from ironwake_runtime import images, interfaces, packagecache, subnets, yamlfile
from ironwake_runtime.aptsources import MirrorError, mirror_of
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.service import Log
from ironwake_runtime.settings import Settings


class Surroundings:
    """What could be read last: `policy`, `manifests`, `images`; `trouble` says what could not.

    :param find: gives the site as it is now; raises IronwakeError
    :param read: gives the manifests as they are now, and the images among them; raises
        IronwakeError or OSError
    :param quirks: gives the site's quirks as they are now; raises IronwakeError or OSError
    """

    def __init__(
        self,
        find: Callable[[], Site],
        read: Callable[[], tuple[tuple[Manifest, ...], Catalogue]],
        quirks: Callable[[], tuple[Quirk, ...]],
        log: Log,
    ) -> None:
        self._find = find
        self._read = read
        self._quirks = quirks
        self._log = log
        self.trouble: dict[str, str] = {}
        self.manifests: tuple[Manifest, ...] = ()
        self.images = Catalogue((), {})
        # At the start a wrong setting ends it: the person is still there.
        self.policy = Policy(find(), Shelf())
        self.refresh()

    def refresh(self) -> bool:
        """Look again; whether anything is different."""
        before, told = self.policy, dict(self.trouble)
        site, shelf, quirks = before.site, before.shelf, before.quirks
        self.trouble = {}
        try:
            site = self._find()
        except (IronwakeError, OSError) as error:
            self.trouble["interface"] = str(error)
        try:
            self.manifests, self.images = self._read()
            shelf = Shelf.of(self.manifests)
        except (IronwakeError, OSError) as error:
            self.trouble["artifacts"] = str(error)
        try:
            quirks = self._quirks()
        except (IronwakeError, OSError) as error:
            self.trouble["quirks"] = str(error)
        for what, text in self.trouble.items():
            if told.get(what) != text:
                self._log.warning("keeping what was known", of=what, error=text)
        self.policy = Policy(site, shelf, quirks)
        return self.policy != before


def from_settings(settings: Settings, log: Log) -> Surroundings:
    """The interface, the artifacts and the mirror that the settings name."""
    mirror = _mirror(settings)
    store = ArtifactStore(settings.artifacts)
    domain = DomainName(settings.domain)
    is_cached = packagecache.is_wanted(settings)

    def find() -> Site:
        address, prefix = _address(settings)
        own = IPv4Network(f"{address}/{prefix}", strict=False)
        return Site(
            address=address,
            prefix=prefix,
            http_port=settings.http_port,
            domain=domain,
            ramdisk=settings.ramdisk,
            mirror=mirror,
            proxy=settings.dhcp_mode != "server",
            subnets=subnets.of(settings, own),
            ssh_keys=_ssh_keys(settings.ssh_keys_file),
            monitor_port=settings.monitor_port,
            syslog_port=settings.syslog_port,
            packages=packagecache.sources(settings),
            cache=f"http://{address}:{settings.packages_port}" if is_cached else "",
        )

    return Surroundings(find, lambda: _stored(store), lambda: _quirks(settings.quirks), log)


def _stored(store: ArtifactStore) -> tuple[tuple[Manifest, ...], Catalogue]:
    manifests = store.manifests()
    return manifests, Catalogue(manifests, images.pages(store))


def _address(settings: Settings) -> tuple[str, int]:
    try:
        found = interfaces.find(settings.interface)
    except InputError:
        if not settings.address or settings.interface:
            raise
        return settings.address, 24  # no interface of ours: somebody else is on the machines' net
    return settings.address or found.address, found.prefix


def _ssh_keys(file: Path | None) -> tuple[str, ...]:
    """As in authorized_keys: a key a line, and comments."""
    try:
        lines = file.read_text().splitlines() if file else []
        found = tuple(line.strip() for line in lines if line.strip() and line[0] != "#")
        check_keys(found)
        return found
    except (OSError, UnicodeError) as error:
        step = "correct IRONWAKE_SSH_KEYS_FILE"
        raise InputError(f"{file} cannot be read: {error}", step, str(file)) from None


def _quirks(file: Path) -> tuple[Quirk, ...]:
    """The site's quirks; none where there is no file."""
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        return ()
    try:
        return yamlfile.parse(Quirks, raw, "quirks: []").quirks
    except InputError as error:
        raise yamlfile.placed(error, str(file)) from None


def _mirror(settings: Settings) -> str:
    try:
        return mirror_of(settings.mirror).main
    except MirrorError:
        if settings.mirror:
            raise
        return ""
