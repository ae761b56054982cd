"""Names: each stands for one artifact or script, for those who may have it."""

from __future__ import annotations

import itertools
import urllib.parse

import pytest

from ironwake import loaders
from ironwake.lifecycle import State
from ironwake.mac import Mac
from ironwake.site import Stored
from ironwake_tftp.files import ArtifactDamagedError, File, NoFile, Registry
from ironwake_tftp.packet import Mode
from tests.tftp.rack import ARMED, CONTENT, GRUB, SHIM, TOKEN, UNARMED, UNKNOWN, fetch, index

CLIENT = "192.0.2.10"


def ask(name: str, mac: Mac | None = ARMED, mode: Mode = Mode.OCTET) -> File | NoFile:
    return Registry(fetch).open(name, mode, CLIENT, mac, index())


def content(found: File | NoFile) -> bytes:
    assert isinstance(found, File), found
    return found.content


def traversals() -> list[str]:
    """Ways out of a directory, in the spellings that have worked somewhere."""
    ups = [
        "../",
        "..\\",
        "....//",
        "..;/",
        "./../",
        "%2e%2e/",
        "..%2f",
        "%252e%252e%252f",
        "..\x01/",
    ]
    targets = ["etc/passwd", "etc\\passwd", "proc/self/environ", "loaders.json", "sha256", "", "*"]
    starts = ["", "/", "//", "sb/", "/sb/", "sb/../", "boot/52:54:00:77:00:10/", "file://", "C:\\"]
    plain = [
        start + up * depth + target
        for start, up, depth, target in itertools.product(starts, ups, range(1, 9), targets)
    ]
    plain += [s + t for s, t in itertools.product(starts, ("etc/passwd", ".", "..", "~", "-"))]
    return plain + [urllib.parse.quote(name, safe="") for name in plain]


def test_no_name_leads_outside() -> None:
    """Thousands of traversal names: no file for any of them, and nothing was fetched."""

    def never(item: Stored) -> bytes:
        raise AssertionError(f"{item} was fetched")

    registry, view = Registry(never), index()
    names = traversals()
    assert len(names) > 9000
    for name in names:
        found = registry.open(name, Mode.OCTET, CLIENT, ARMED, view)
        assert isinstance(found, NoFile), name


@pytest.mark.parametrize("name", ["sb/shimx64.efi", "/sb/shimx64.efi", "//sb//shimx64.efi"])
def test_slashes_are_tolerated(name: str) -> None:
    """Firmware and GRUB put slashes in front, shim doubles the middle one."""
    assert content(ask(name)) == SHIM


def test_shim_that_lost_its_folder_finds_grub() -> None:
    """With the boot file in option 67 only, shim asks for a bare name."""
    assert content(ask("grubx64.efi")) == GRUB


@pytest.mark.parametrize("mac", [UNARMED, UNKNOWN, None])
@pytest.mark.parametrize("name", CONTENT)
def test_loaders_are_for_machines_that_shall_boot(name: str, mac: Mac | None) -> None:
    """Unarmed, unknown, and those whose card can't be told get none."""
    assert isinstance(ask(name, mac), NoFile)


@pytest.mark.parametrize("state", [s for s in State if s in ("answers", "installed", "failed")])
def test_a_claimed_deployment_serves_no_loader(state: State) -> None:
    """From the claim on a machine boots its disk, whatever it asks for."""
    found = Registry(fetch).open("sb/shimx64.efi", Mode.OCTET, CLIENT, ARMED, index(state=state))
    assert isinstance(found, NoFile)


def test_the_address_stands_in_for_the_card() -> None:
    """Behind a router the neighbour table says nothing; the view's last known address does."""
    found = Registry(fetch).open("sb/shimx64.efi", Mode.OCTET, CLIENT, None, index(CLIENT))
    assert content(found) == SHIM
    other = Registry(fetch).open("sb/shimx64.efi", Mode.OCTET, "192.0.2.99", None, index(CLIENT))
    assert isinstance(other, NoFile)


def test_grub_cfg_is_the_same_for_all() -> None:
    """GRUB asks for /grub/grub.cfg only; each machine's own script is behind it."""
    armed, unarmed = ask("/grub/grub.cfg"), ask("grub/grub.cfg", UNARMED)
    assert content(armed) == content(unarmed)
    assert b"(http,192.0.2.1)/boot/${net_default_mac}/grub.cfg" in content(armed)
    assert isinstance(ask("/grub/grub.cfg", UNKNOWN), NoFile)


def test_a_script_is_for_its_own_machine() -> None:
    """The token stands in it: the armed machine gets it, its neighbour does not."""
    name = f"boot/{ARMED}/grub.cfg"
    assert TOKEN.encode() in content(ask(name))
    assert content(ask(name)) == index().script(ARMED, loaders.grub.LOADER).encode()
    assert isinstance(ask(name, UNARMED), NoFile)
    assert isinstance(ask(name, UNKNOWN), NoFile)
    assert isinstance(ask("boot/nonsense/grub.cfg"), NoFile)


def test_pxelinux_gets_its_script_under_its_own_name() -> None:
    """It asks by its UUID first, then by its card; nobody gets another machine's token."""
    own = f"pxelinux/pxelinux.cfg/01-{ARMED.replace(':', '-')}"
    assert content(ask(own)) == index().script(ARMED, loaders.pxelinux.LOADER).encode()
    assert TOKEN.encode() in content(ask(f"/{own}"))
    assert isinstance(ask(own, UNARMED), NoFile)
    assert isinstance(ask(own, UNKNOWN), NoFile)
    for name in ("default", "0A4D0071", "f45fb589-3970-8c57-801b-9a3bbb5d3e1c", "01-nonsense"):
        found = ask(f"pxelinux/pxelinux.cfg/{name}")
        assert isinstance(found, NoFile)
        assert found.expected


def test_a_machine_that_shall_not_boot_gets_a_script_to_its_disk() -> None:
    """A GRUB that runs already must be led somewhere: an ERROR would strand it."""
    text = content(ask(f"boot/{UNARMED}/grub.cfg", UNARMED))
    assert b"local disk" in text
    assert TOKEN.encode() not in text


@pytest.mark.parametrize(
    "name",
    [
        "sb/revocations_sku.efi",
        "sb/revocations_sbat.efi",
        "sb/shim_certificate_0.efi",
        "/grub/x86_64-efi/command.lst",
    ],
)
def test_files_that_never_exist_are_expected(name: str) -> None:
    """shim and GRUB ask for these at each boot: refused, and not worth a word."""
    found = ask(name)
    assert isinstance(found, NoFile)
    assert found.expected


def test_netascii_is_for_small_files() -> None:
    """Text is converted; a megabyte of it is refused with the reason."""
    assert content(ask("ipxe/undionly.kpxe", mode=Mode.NETASCII)) == b"line\r\0\r\n" * 100
    registry = Registry(lambda item: b"x" * item.size)
    with pytest.raises(ArtifactDamagedError):
        registry.open("sb/shimx64.efi", Mode.NETASCII, CLIENT, ARMED, index())


def test_damaged_bytes_are_not_sent() -> None:
    """An artifact whose bytes do not have its hash is our fault, and is said to be."""
    registry = Registry(lambda item: bytes(item.size))
    with pytest.raises(ArtifactDamagedError):
        registry.open("sb/shimx64.efi", Mode.OCTET, CLIENT, ARMED, index())


def test_bytes_are_fetched_once_and_room_is_bounded() -> None:
    """A loader is read once while there is room; the least used makes room for another."""
    fetched: list[str] = []

    def counting(item: Stored) -> bytes:
        fetched.append(item.role)
        return fetch(item)

    registry = Registry(counting, cache=1_100_000)
    for name in ("sb/shimx64.efi", "sb/shimx64.efi", "ipxe/ipxe.efi", "sb/shimx64.efi"):
        registry.open(name, Mode.OCTET, CLIENT, ARMED, index())
    assert fetched == ["sb/shimx64.efi", "ipxe/ipxe.efi"]
    registry.open("sb/grubx64.efi", Mode.OCTET, CLIENT, ARMED, index())
    registry.open("sb/shimx64.efi", Mode.OCTET, CLIENT, ARMED, index())
    assert fetched[2:] == ["sb/grubx64.efi", "sb/shimx64.efi"]
