"""Media from a server that drops connections, changes files, and lies; lists that are signed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from ironwake.errors import BrokenError, InputError, RefusedError
from ironwake.medium import Medium
from ironwake_imager import download
from ironwake_imager.vendor.bring import fetcher
from ironwake_imager.vendor.source import Wish
from ironwake_testing import discs
from ironwake_testing.gnupg import Gnupg, gnupg
from tests.imager.vendor.conftest import Desk
from tests.imager.vendor.server import Server, serving

NAME = "Rocky-9.4-x86_64-dvd.iso"


def sums(files: dict[str, bytes]) -> bytes:
    rows = (f"SHA256 ({name}) = {hashlib.sha256(data).hexdigest()}" for name, data in files.items())
    return ("\n".join(rows) + "\n").encode()


@pytest.fixture(scope="module")
def iso(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return discs.make("rocky-9", tmp_path_factory.mktemp("iso")).path.read_bytes()


@pytest.fixture
def server(iso: bytes) -> Iterator[Server]:
    older = {NAME: iso, "Rocky-9.3-x86_64-dvd.iso": b"older"}
    with serving({NAME: iso, "CHECKSUM": sums(older)}) as found:
        yield found


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gnupg]:
    """Two signers, `vendor` and `stranger`."""
    with gnupg(tmp_path_factory.mktemp("vendor") / "gnupg") as made:
        made.add("vendor")
        made.add("stranger")
        yield made


def row(desk: Desk, server: Server, **more: str) -> Medium:
    """Rocky's row, with the files of this server."""
    desk.small = fetcher(desk.limits)
    given = {"base": server.base, "signature": "", "keyring": "", **more}
    return replace(desk.known["rocky-9"], **given)  # type: ignore[arg-type]


def with_keyring(desk: Desk, keys: Gnupg, name: str = "vendor.gpg") -> str:
    """The vendor's, armoured where its name ends in `asc`."""
    folder = desk.folder / "catalogue"
    folder.mkdir(exist_ok=True)
    form = ["--armor"] if name.endswith(".asc") else []
    (folder / name).write_bytes(keys.export("vendor", *form))
    return name


def test_a_server_that_drops_connections(desk: Desk, server: Server, iso: bytes) -> None:
    """It goes on where it ended, with the tag of the file that was begun; the bytes are right."""
    server.cuts = [100_000, 90_000, 80_000]
    digest = hashlib.sha256(iso).hexdigest()
    medium = row(desk, server, file=NAME)
    manifest = desk.bringer.bring(medium, Wish(sha256=digest))
    assert desk.bytes_of("rocky-9", "iso") == iso
    ranges = [asked[1:] for asked in server.asked if asked[0] == NAME]
    tag = f'"{digest[:16]}"'
    assert ranges == [
        ("", ""),
        ("bytes=100000-", tag),
        ("bytes=190000-", tag),
        ("bytes=270000-", tag),
    ]
    assert manifest.facts["trust"] == "the checksum you gave"
    assert not list((desk.folder / "cache" / "media").iterdir())
    assert any("fetching" in said for _, _, said in desk.told)


def test_a_run_that_failed_is_taken_up_by_the_next(desk: Desk, server: Server, iso: bytes) -> None:
    """What came is kept; the second run asks for the rest alone."""
    server.cuts = [100_000, 0]
    digest = hashlib.sha256(iso).hexdigest()
    medium = row(desk, server, file=NAME)
    with pytest.raises(BrokenError, match="cannot fetch"):
        desk.bringer.bring(medium, Wish(sha256=digest))
    assert desk.store.manifests() == ()
    desk.bringer.bring(medium, Wish(sha256=digest))
    assert server.asked[-1][1] == "bytes=100000-"
    assert desk.bytes_of("rocky-9", "iso") == iso


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_what_is_there_is_not_fetched_again(
    desk: Desk, server: Server, iso: bytes, algorithm: str
) -> None:
    """Whichever checksum it is known by."""
    medium = row(desk, server, file=NAME)
    wish = Wish(sha256=hashlib.new(algorithm, iso).hexdigest())
    manifest = desk.bringer.bring(medium, wish)
    assert len(server.asked) == 1
    assert desk.bringer.bring(medium, wish) == manifest
    assert len(server.asked) == 1


def test_a_list_that_does_not_end(desk: Desk, server: Server) -> None:
    """A server that gives a small file for ever is let go."""
    times = iter((0.0, 61.0))
    with pytest.raises(BrokenError, match="took longer than 60 s"):
        download.small(f"{server.base}CHECKSUM", desk.limits, lambda: next(times))


def test_a_part_that_goes_while_others_are_looked_at(tmp_path: Path) -> None:
    """Two runs at once: the one's clearing up is no error of the other's."""
    (tmp_path / "gone.part").symlink_to("nowhere")  # listed, and not there
    with download.begun(tmp_path, "key", "http://host.example/x") as part:
        assert part.read() == b""


def test_a_part_that_another_run_has_just_given_away(tmp_path: Path) -> None:
    """It ended between our opening the file and our having it: the file is the store's by now."""
    part, store = tmp_path / "key.part", tmp_path / "store"
    part.write_bytes(b"the other's")
    ends = iter((True, False))

    def take(file: BinaryIO) -> bool:
        if next(ends):
            part.rename(store)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True

    with download.begun(tmp_path, "key", "http://host.example/x", take) as ours:
        ours.write(b"ours")
        ours.flush()
        assert part.read_bytes() == b"ours"
        with (
            pytest.raises(RefusedError, match="is being fetched already"),
            download.begun(tmp_path, "key", "http://host.example/x"),
        ):
            pass
    assert store.read_bytes() == b"the other's"


def test_a_part_that_somebody_has_is_not_cleared_away(tmp_path: Path) -> None:
    """However old it is; one that nobody has goes, with what is written down of it."""
    with download.begun(tmp_path, "held", "http://host.example/x"):
        for name in ("old.part", "old.part.from", "lost.part.from", "held.part.from", "new.part"):
            (tmp_path / name).touch()
        for name in ("held.part", "held.part.from", "old.part", "old.part.from", "lost.part.from"):
            os.utime(tmp_path / name, (0, 0))
        with download.begun(tmp_path, "other", "http://host.example/y"):
            there = {path.name for path in tmp_path.iterdir()}
    assert there == {"held.part", "held.part.from", "new.part", "other.part"}


def test_a_vendor_that_has_it_not(desk: Desk, server: Server, keys: Gnupg) -> None:
    """An answer, not a way that failed: the URL is named, and nobody else is asked for the list."""
    server.files["CHECKSUM"] = keys.signed("vendor", "--clearsign", server.files["CHECKSUM"])
    with serving({}) as vendor:
        medium = row(desk, vendor, signature="inline", keyring=with_keyring(desk, keys))
        with pytest.raises(BrokenError) as told:
            desk.bringer.bring(medium, Wish(mirror=server.base))
        assert str(told.value) == (
            f"{vendor.base}CHECKSUM gave the status 404; its vendor has moved it: correct the row "
            "rocky-9 of the catalogue, or get the file and add it with --from"
        )
        assert len(vendor.asked) == 1
    assert server.asked == []
    del server.files["CHECKSUM"]
    with pytest.raises(BrokenError, match=r"give the folder of the mirror that has it, or"):
        desk.bringer.bring(medium, Wish(mirror=server.base))
    del server.files[NAME]
    with pytest.raises(BrokenError, match=rf"{NAME} gave the status 404; name another folder with"):
        desk.bringer.bring(row(desk, server, file=NAME), Wish(sha256="0" * 64))
    assert len([asked for asked in server.asked if asked[0] == NAME]) == 1


@pytest.mark.parametrize(
    ("status", "is_final"),
    [
        *((404, True), (410, True), (429, False), (500, False), (503, False)),
        *((401, False), (403, False), (407, False), (451, False)),
    ],
)
def test_what_a_status_means(desk: Desk, server: Server, status: int, is_final: bool) -> None:
    """What says that there is no such file is an answer; who keeps us out does not say so, and
    what will pass does not, either: a mirror may have it."""
    server.statuses["CHECKSUM"] = status
    with pytest.raises(BrokenError, match=f"CHECKSUM gave the status {status}") as told:
        download.small(f"{server.base}CHECKSUM", desk.limits)
    assert isinstance(told.value, download.AbsentError) is is_final


def test_an_index_has_no_mirror(desk: Desk) -> None:
    """It says itself where the files are: another place is not left out in silence."""
    with pytest.raises(InputError, match="leave out --mirror"):
        desk.bringer.bring(desk.known["fedora-coreos"], Wish(mirror="https://mirror.example/"))


def test_a_file_that_changes_meanwhile(desk: Desk, server: Server, iso: bytes) -> None:
    """If-Range has the server begin anew: no part of one file is mended with another one's."""
    other = discs.octets("other", len(iso))
    server.files[NAME] = other
    server.cuts = [100_000, 0]
    medium = row(desk, server, file=NAME)
    wish = Wish(sha256=hashlib.sha256(iso).hexdigest())
    with pytest.raises(BrokenError):
        desk.bringer.bring(medium, wish)
    server.files[NAME] = iso
    desk.bringer.bring(medium, wish)
    assert desk.bytes_of("rocky-9", "iso") == iso


def test_a_file_that_is_not_what_its_list_says(
    desk: Desk, server: Server, keys: Gnupg, iso: bytes
) -> None:
    """Nothing of it is served, and nothing of it is kept, not even to go on with."""
    server.files["CHECKSUM"] = keys.signed("vendor", "--clearsign", server.files["CHECKSUM"])
    server.files[NAME] = iso[:-1] + b"?"
    medium = row(desk, server, signature="inline", keyring=with_keyring(desk, keys))
    with pytest.raises(RefusedError, match="has another SHA256"):
        desk.bringer.bring(medium, Wish())
    assert desk.leftovers() == []


@pytest.mark.parametrize("name", ["vendor.gpg", "vendor.asc"])
def test_a_list_with_its_signature_inside(
    desk: Desk, server: Server, keys: Gnupg, iso: bytes, name: str
) -> None:
    """The newest file of the list comes, and the manifest says who vouches for it."""
    server.files["CHECKSUM"] = keys.signed("vendor", "--clearsign", server.files["CHECKSUM"])
    medium = row(desk, server, signature="inline", keyring=with_keyring(desk, keys, name))
    manifest = desk.bringer.bring(medium, Wish())
    assert manifest.facts["trust"] == f"a list signed by {name}"
    assert desk.bytes_of("rocky-9", "iso") == iso
    before = len(server.asked)
    assert desk.bringer.bring(medium, Wish()) == manifest
    assert [asked[0] for asked in server.asked[before:]] == ["CHECKSUM"]


def test_a_list_with_its_signature_beside(desk: Desk, server: Server, keys: Gnupg) -> None:
    """By a key of the keyring it is taken; by another one, changed, or missing, it is not."""
    text = server.files["CHECKSUM"]
    medium = row(desk, server, signature="CHECKSUM.sig", keyring=with_keyring(desk, keys))
    server.files["CHECKSUM.sig"] = keys.signed("stranger", "--detach-sign", text)
    with pytest.raises(RefusedError, match="is not signed by a key of"):
        desk.bringer.bring(medium, Wish())
    server.files["CHECKSUM.sig"] = keys.signed("vendor", "--detach-sign", text)
    server.files["CHECKSUM"] = text + b"# changed\n"
    with pytest.raises(RefusedError, match="is not signed by a key of"):
        desk.bringer.bring(medium, Wish())
    del server.files["CHECKSUM.sig"]
    with pytest.raises(BrokenError, match="status 404"):
        desk.bringer.bring(medium, Wish())
    assert desk.leftovers() == []
    server.files["CHECKSUM"] = text
    server.files["CHECKSUM.sig"] = keys.signed("vendor", "--detach-sign", text)
    assert desk.bringer.bring(medium, Wish()).facts["trust"] == "a list signed by vendor.gpg"


def test_text_around_what_is_signed_does_not_count(desk: Desk, server: Server, keys: Gnupg) -> None:
    """A line before the signed text is nobody's."""
    text = keys.signed("vendor", "--clearsign", b"nothing is listed here\n")
    server.files["CHECKSUM"] = server.files["CHECKSUM"] + text
    medium = row(desk, server, signature="inline", keyring=with_keyring(desk, keys))
    with pytest.raises((InputError, RefusedError)):
        desk.bringer.bring(medium, Wish())
    assert desk.leftovers() == []


def test_a_list_that_nobody_vouches_for(desk: Desk, server: Server) -> None:
    """By plain http and unsigned, it could be anybody's; what to do is said."""
    with pytest.raises(InputError, match=r"nobody vouches for .*give --sha256"):
        desk.bringer.bring(row(desk, server), Wish())
    medium = row(desk, server, signature="inline", keyring="rocky-9.gpg")
    with pytest.raises(InputError, match=r"put rocky-9\.gpg into"):
        desk.bringer.bring(medium, Wish())


def test_a_mirror(desk: Desk, server: Server, keys: Gnupg, iso: bytes) -> None:
    """The file comes from there; the list from the vendor, or, where that is away, from there."""
    listed = keys.signed("vendor", "--clearsign", server.files["CHECKSUM"])
    with serving({"CHECKSUM": listed}) as vendor:
        medium = row(
            desk, vendor, signature="inline", keyring=with_keyring(desk, keys, "vendor.gpg")
        )
        desk.bringer.bring(medium, Wish(mirror=server.base))
        assert [asked[0] for asked in vendor.asked] == ["CHECKSUM"]
    assert desk.bytes_of("rocky-9", "iso") == iso
    server.files["CHECKSUM"] = listed
    manifest = desk.bringer.bring(medium, Wish(mirror=server.base))
    assert server.asked[-1][0] == "CHECKSUM"
    assert manifest.facts["trust"] == "a list signed by vendor.gpg"
    desk.store.withdraw("rocky-9")
    manifest = desk.bringer.bring(medium, Wish(mirror=server.base))
    assert manifest.facts["trust"] == (
        "a list signed by vendor.gpg, of the mirror: the vendor could not be reached"
    )


def test_a_vendor_that_sends_us_on(desk: Desk, server: Server, iso: bytes) -> None:
    """Download hosts lead to mirrors: the checksum holds there, too."""
    with serving({}) as vendor:
        vendor.moved[NAME] = f"{server.base}{NAME}"
        medium = row(desk, vendor, file=NAME)
        desk.bringer.bring(medium, Wish(sha256=hashlib.sha256(iso).hexdigest()))
    assert desk.bytes_of("rocky-9", "iso") == iso


def test_what_only_customers_get(desk: Desk) -> None:
    """It is said where from, and how it is added then."""
    with pytest.raises(InputError, match="add it with --from FILE"):
        desk.bringer.bring(desk.known["rhel-9"], Wish())


def test_files_of_an_index(desk: Desk) -> None:
    """Fedora CoreOS' stream says for each architecture where the files are, and their hashes."""
    with serving({}) as server:
        medium = desk.known["fedora-coreos-arm64"]
        data = {name: discs.octets(name, 20_000) for name in medium.fetch.values()}
        server.files.update(data)
        pxe = {
            name: {
                "location": f"{server.base}{name}",
                "sha256": hashlib.sha256(raw).hexdigest(),
            }
            for name, raw in data.items()
        }
        artifacts = {"metal": {"formats": {"pxe": pxe}}}
        index = {"architectures": {"aarch64": {"artifacts": artifacts}}}
        desk.small = lambda _: json.dumps(index).encode()
        manifest = desk.bringer.bring(medium, Wish())
    for role, name in medium.fetch.items():
        assert desk.bytes_of(medium.name, role) == data[name]
    assert str(manifest.facts["trust"]).startswith("a checksum by https from")
