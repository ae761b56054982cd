"""Which bytes a name stands for, and whether this client gets them: a registry, no directory.

A name is looked up among the roles of the `loaders` manifest and two virtual files; nothing of it
ever becomes a path, so there is nothing to traverse. Bytes are found by their hash.

| name | who gets it |
|---|---|
| a loader, `sb/shimx64.efi` | a machine that is led by one, to boot or to its disk |
| `grub/grub.cfg` | any enrolled machine: it sends each on to its own script |
| `boot/<mac>/<script>` | the machine with that MAC, and nobody else: its token stands in it |
| `pxelinux/pxelinux.cfg/01-<mac>` | the same: so pxelinux names its script |

A script goes to machines that shall *not* boot, too: whoever asks for it runs a loader already,
and the script is what leads it to its disk. An ERROR there would strand it at a prompt.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from ironwake import loaders, routes
from ironwake.errors import InputError
from ironwake.mac import Mac
from ironwake.plan import LOADERS, BootPlan, leads_to_disk
from ironwake.site import Stored
from ironwake.view import Entry, Index
from ironwake_tftp.packet import Mode, netascii

_LARGEST = 64 << 20  # octets: kernels and archives go by HTTP
_LARGEST_TEXT = 1 << 20

Fetch = Callable[[Stored], bytes]


@dataclass(frozen=True, slots=True)
class File:
    """Bytes to send. `script`: made for this request, not a loader. `digest`: SHA-256, where the
    bytes are an artifact's as they are."""

    name: str
    content: bytes
    mac: Mac
    script: bool
    digest: str = ""


@dataclass(frozen=True, slots=True)
class NoFile:
    """ERROR 1. `expected`: shim and GRUB ask for files that never exist; no one need hear of it."""

    reason: str
    mac: Mac | None = None
    expected: bool = True


class Registry:
    """Answers names with bytes. `fetch` reads an artifact and may raise; see `open`."""

    def __init__(self, fetch: Fetch, cache: int = 64 << 20) -> None:
        self._fetch = fetch
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._room = cache  # octets

    def open(
        self, name: str, mode: Mode, client: str, mac: Mac | None, index: Index | None
    ) -> File | NoFile:
        """The file of that name for the client at IPv4 address `client` with card `mac`.

        Raises what `fetch` raises when an artifact can't be read, and `ArtifactDamagedError`.
        """
        if index is None:
            return NoFile("nothing is known yet: the controller has not answered", mac, False)
        entry = index.by_mac(mac) if mac else index.by_address(client)
        if entry is None:
            return NoFile(f"no machine with {mac or client} is enrolled", mac, False)
        own = mac or entry.machine.macs[0]
        wanted = posixpath.normpath("/" + name).lstrip("/") if ".." not in name else ""
        found = self._script(wanted, own, entry, index) or self._loader(wanted, own, index)
        if isinstance(found, File) and mode is Mode.NETASCII:
            return _as_text(found)
        return found

    def _script(self, wanted: str, mac: Mac, entry: Entry, index: Index) -> File | NoFile | None:
        if wanted == routes.GRUB_CONFIG:
            text = loaders.grub.common_config(index.view.site)
            return File(wanted, text.encode(), mac, script=True)
        place, script = routes.asked_script(wanted) or ("", "")
        loader = loaders.BY_SCRIPT.get(script)
        if loader is None:
            return None
        try:
            named = Mac(place)
        except InputError:
            return NoFile(f"{wanted} names no machine", mac)
        if named not in entry.machine.macs:
            return NoFile(f"{wanted} is another machine's", mac, expected=False)
        return File(wanted, index.script(named, loader).encode(), mac, script=True)

    def _loader(self, wanted: str, mac: Mac, index: Index) -> File | NoFile:
        item = _find(wanted, index)
        if item is None:
            return NoFile(f"there is no file {wanted or 'of that name'}", mac)
        decision = index.resolve(mac)
        if not isinstance(decision, BootPlan) and not leads_to_disk(decision):
            return NoFile(decision.reason, mac, expected=False)
        if item.size > _LARGEST:
            return NoFile(f"{item.role} is too large for TFTP", mac, expected=False)
        return File(item.role, self._content(item), mac, script=False, digest=item.sha256)

    def _content(self, item: Stored) -> bytes:
        content = self._cache.get(item.sha256)
        if content is not None:
            self._cache.move_to_end(item.sha256)
            return content
        content = self._fetch(item)
        if hashlib.sha256(content).hexdigest() != item.sha256:
            raise ArtifactDamagedError(f"the bytes of {item.role} are not those of its hash")
        self._room -= len(content)
        while self._room < 0 and self._cache:
            self._room += len(self._cache.popitem(last=False)[1])
        self._cache[item.sha256] = content
        return content


class ArtifactDamagedError(Exception):
    """Our fault: what the store gave is not what the view promised."""


def _find(wanted: str, index: Index) -> Stored | None:
    item = index.policy.shelf.find(LOADERS, wanted)
    if item is not None or "/" in wanted or not wanted:
        return item
    # With the name in option 67 only, shim forgets its folder and asks for a bare grubx64.efi.
    tail = f"/{wanted}"
    items = index.policy.shelf.items
    found = [i for i in items if i.manifest == LOADERS and i.role.endswith(tail)]
    return found[0] if len(found) == 1 else None


def _as_text(found: File) -> File | NoFile:
    if len(found.content) > _LARGEST_TEXT:
        return NoFile(f"{found.name} is too large for netascii: ask for octet", found.mac)
    return File(found.name, netascii(found.content), found.mac, found.script)
