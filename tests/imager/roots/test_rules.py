"""What is taken from an archive: against the real file system calls of whoever unpacks naively."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwake.rootfs import header, writer
from ironwake.rootfs.acl import acl_text
from ironwake.rootfs.member import Kind, Member, RootError
from ironwake.rootfs.reader import Reader
from ironwake.rootfs.rules import Limits, Rules
from ironwake.rootfs.tree import Tree
from ironwake_testing.archives import SYSTEM, Entry, entries, tar

ANY = Limits()
SMALL = Limits(size=1000, members=20, path=60, header=2000, extents=5)


def read(plain: bytes, limits: Limits = ANY, step: int = 0) -> list[tuple[Member, bytes]]:
    """All members, admitted, with their contents."""
    reader, rules = Reader(limits), Rules(limits)
    found: list[tuple[Member, bytes]] = []
    step = step or len(plain) or 1
    for at in range(0, len(plain), step):
        for event in reader.feed(plain[at : at + step]):
            if isinstance(event, Member):
                rules.admit(event)
                found.append((event, b""))
            else:
                found[-1] = found[-1][0], found[-1][1] + bytes(event)
    reader.close()
    return found


def unpack_naively(members: list[tuple[Member, bytes]], root: Path) -> None:
    """As a program would that trusts its archive: opens names as they are, follows every link."""
    for member, data in members:
        path = root / member.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.kind is Kind.DIRECTORY:
            path.mkdir(exist_ok=True)
        elif member.kind is Kind.SYMLINK:
            path.symlink_to(member.link)
        elif member.kind is Kind.HARDLINK:
            os.link(root / member.link, path, follow_symlinks=False)
        elif member.kind is Kind.FIFO:
            os.mkfifo(path)
        else:
            path.write_bytes(data)


def rewritten(members: list[tuple[Member, bytes]]) -> bytes:
    """The same by our writer."""
    parts = [writer.head(one) + data + writer.padding(one) for one, data in members]
    return b"".join(parts) + writer.END


@settings(max_examples=300)
@given(entries())
def test_what_is_admitted_lands_where_it_says(members: list[Entry]) -> None:
    """Of any archive: it is refused, or even a naive program writes each name just there."""
    try:
        found = read(tar(members))
    except RootError:
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        root.mkdir()
        unpack_naively(found, root)
        assert [path.name for path in Path(folder).iterdir()] == ["root"]
        for member, data in found:
            path = root / (member.path or ".")
            assert (
                not member.path
                or path.parent.resolve() == root.resolve() / member.path.rpartition("/")[0]
            )
            if member.kind is Kind.FILE:
                assert path.read_bytes() == data


@settings(max_examples=150)
@given(entries(), st.integers(1, 700))
def test_any_pieces_give_the_same(members: list[Entry], step: int) -> None:
    """However the bytes come, the members and their contents are the same."""
    plain = tar(members)

    def outcome(step: int) -> object:
        try:
            return read(plain, step=step)
        except RootError as error:
            return str(error)

    assert outcome(step) == outcome(0)


@settings(max_examples=150)
@given(st.binary(max_size=3000), st.integers(0, 2999), st.integers(0, 255))
def test_damage_is_an_error_of_ours(noise: bytes, place: int, octet: int) -> None:
    """Noise, and a sound archive with an octet that is another one: read or refused, no more."""
    plain = bytearray(tar(SYSTEM))
    plain[place % len(plain)] = octet
    for raw in (noise, bytes(plain), bytes(plain[:place])):
        try:
            read(raw)
        except RootError:
            continue


members_of_trees = st.builds(
    lambda path, mode, owner, mtime, data, value: (
        Member(
            path.strip("/"), Kind.FILE, mode, owner, owner // 2, mtime, len(data), len(data), "",
            (0, 0), {"SCHILY.xattr.user.x": value},
        ),
        data,
    ),
    st.text("abcé\n\udcff", min_size=1, max_size=120),
    st.integers(0, 0o7777),
    st.integers(0, 2**32 - 2),
    st.integers(-(2**40), 2**40),
    st.binary(max_size=1500),
    st.binary(max_size=40),
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(members_of_trees, max_size=4, unique_by=lambda one: one[0].path))
def test_what_is_written_reads_the_same(members: list[tuple[Member, bytes]]) -> None:
    """Long names, odd octets, large owners, times before 1970: ours come back as they were."""
    assert read(rewritten(members)) == members


def test_holes_are_kept() -> None:
    """A file with holes has its pieces where they were, also with a hole at its end."""
    extents = ((4096, 512), (1 << 40, 100))
    one = Member("f", Kind.FILE, 0o600, 0, 0, 0, 612, 1 << 41, extents=extents)
    ((found, data),) = read(rewritten([(one, bytes(612))]))
    assert (found.size, found.stored, data) == (one.size, 612, bytes(612))
    assert tuple(part for part in found.extents or () if part[1]) == extents


REFUSED = {
    "../x": (Entry("../x"), "leads out by '..'"),
    "absolute": (Entry("/etc/x"), "absolute"),
    "inner ..": (Entry("a/../../x"), "leads out by '..'"),
    "hard link out": (Entry("h", "hard", "../../etc/passwd"), "leads out"),
    "absolute hard link": (Entry("h", "hard", "/etc/passwd"), "absolute"),
    "hard link to nothing": (Entry("h", "hard", "no"), "not there before it"),
    "symbolic link out": (Entry("a/l", "sym", "../../x"), "out of the root"),
    "empty link": (Entry("l", "sym", ""), "leads nowhere"),
    "device": (Entry("etc/sda", "block"), "outside of /dev"),
    "no folder": (Entry("proc", "sym", "/tmp"), "where every system has a folder"),
    "long part": (Entry("n" * 256), "longer than may be"),
    "long name": (Entry("n/" * 2100 + "x"), "longer than may be"),
    "deep": (Entry("d/" * 300 + "x"), "200 folders"),
    "root": (Entry(".", "file"), "the root itself"),
    "old holes": (Entry("f", pax={"GNU.sparse.map": "0,1"}), "old way"),
    "size": (Entry("f", pax={"size": "-1"}), "its size is -1"),
    "owner": (Entry("f", pax={"uid": str(2**32 - 1)}), "owner that cannot be"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_the_member(name: str) -> None:
    """Each thing that is not taken is said, with the member that it is about."""
    entry, what = REFUSED[name]
    with pytest.raises(RootError, match=what) as error:
        read(tar([*SYSTEM, entry]))
    assert entry.name[:20] in str(error.value)


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ([Entry(f"f{n}") for n in range(21)], "'f20' is one more than 20"),
        ([Entry("f", data=bytes(999)), Entry("g", data=bytes(2))], "'g' makes it more than"),
        ([Entry("f" * 61)], "longer than may be"),
        ([Entry("f", pax={"comment": "x" * 3000})], "longer than the 2000 allowed"),
    ],
)
def test_limits_end_it(members: list[Entry], what: str) -> None:
    """Size, members, lengths of names and of headers: each has its end."""
    with pytest.raises(RootError, match=what):
        read(tar(members), SMALL)


def test_bombs_of_holes_end() -> None:
    """A file of more pieces than allowed, and one whose list of holes never ends."""
    extents = tuple((place * 1024, 1) for place in range(6))
    one = Member("f", Kind.FILE, 0, 0, 0, 0, 6, 1 << 20, extents=extents)
    with pytest.raises(RootError, match="too many pieces"):
        read(rewritten([(one, bytes(6))]), SMALL)
    pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "f"}
    for data in (
        b"9" * 1000,
        b"x\n" * 500,
        b"7\n" * 500,
        b"-3\n" * 9,
        b"3\n" + b"1\n" * 5 + b"1" * 500,
    ):
        member = Entry("f", data=data, pax={**pax, "GNU.sparse.realsize": "9999999"})
        with pytest.raises(RootError, match=r"too many pieces|no number|cannot be"):
            read(tar([member]), Limits(extents=5))


def test_holes_that_overlap_are_refused() -> None:
    """Pieces must be in order, within the file, and as long as what follows."""
    for extents in (((0, 4), (2, 4)), ((0, 4), (100, 4)), ((0, 9),)):
        one = Member("f", Kind.FILE, 0, 0, 0, 0, 8, 50, extents=extents)
        with pytest.raises(RootError, match="holes that cannot be"):
            Rules(Limits()).admit(one)


@pytest.mark.parametrize("kind", [b"V", b"D", b"M", b"N", b"g"])
def test_other_kinds_of_members_are_refused(kind: bytes) -> None:
    """Volumes, dumps, and words for all members: two programs would read them differently."""
    plain = bytearray(tar([Entry("f", data=b"17 path=/etc/xxx\n")]))
    plain[156:157] = kind
    plain[148:156] = b" " * 8
    plain[148:156] = b"%06o\0 " % sum(plain[:512])
    with pytest.raises(RootError, match="not taken"):
        read(bytes(plain))


def test_something_behind_the_end_is_refused() -> None:
    """Some programs would read on there, others would not."""
    one = tar([Entry("f")])
    with pytest.raises(RootError, match="behind the end"):
        read(one + one)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_format_reads_the_same(form: int) -> None:
    """Long names and all kinds, as Python's own tar writes and reads them."""
    members = [*SYSTEM, Entry("dev/null", "char"), Entry("etc/pipe", "fifo")]
    if form != tarfile.USTAR_FORMAT:
        members += [Entry("usr/" + "n" * 150), Entry("usr/link", "sym", "m" * 150)]
    plain = tar(members, form, owner=70_000)
    found = {member.path: (member, data) for member, data in read(plain)}
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        for theirs in archive:
            ours, data = found.pop(theirs.name)
            assert (ours.mode, ours.uid, ours.size) == (theirs.mode, theirs.uid, theirs.size)
            assert ours.link == theirs.linkname
            file = archive.extractfile(theirs) if theirs.isreg() else None
            assert data == (file.read() if file else b"")
    assert not found


def test_a_number_in_base_256_is_read() -> None:
    """GNU tar writes owners above 2097151 so."""
    plain = tar([Entry("f")], tarfile.GNU_FORMAT, owner=3_000_000_000)
    assert read(plain)[0][0].uid == 3_000_000_000


def test_a_header_ends_an_archive_only_by_zeroes() -> None:
    """A block of zeroes is no header."""
    assert header.parse(bytes(512)) is None


def layered(*layers: list[Entry]) -> dict[str, str]:
    """Names in the end, and what they are."""
    tree = Tree()
    for place, layer in enumerate(layers):
        for number, (member, _) in enumerate(read(tar(layer))):
            tree.add(member, place, number, whiteouts=True)
    return {
        member.path: f"{member.kind}:{inode.layer}"
        for member, inode in tree.members()
        if member.path
    }


def test_whiteouts_take_away_what_is_below() -> None:
    """A name, a folder with all that is in it; what the same layer adds stays, in any order."""
    below = [Entry("a/x"), Entry("a/y"), Entry("b/c/d"), Entry("e")]
    assert layered(below, [Entry("a/.wh.x"), Entry(".wh.b"), Entry("b/new")]) == {
        "a": "directory:0",
        "a/y": "file:0",
        "b": "directory:1",
        "b/new": "file:1",
        "e": "file:0",
    }
    assert layered(below, [Entry(".wh.a"), Entry(".wh.b"), Entry(".wh.e"), Entry(".wh.no")]) == {}


def test_an_opaque_folder_hides_what_is_below() -> None:
    """Whether its marker comes before what the layer puts there, or after."""
    below = [Entry("a/x"), Entry("a/s/t")]
    for order in (1, -1):
        layer = [Entry("a/.wh..wh..opq"), Entry("a/new")][::order]
        assert layered(below, layer) == {"a": "directory:0", "a/new": "file:1"}


def test_layers_replace_each_other() -> None:
    """A file over a folder takes its contents away, a folder over a link stands in its place."""
    below = [Entry("a/x"), Entry("l", "sym", "a"), Entry("f")]
    assert layered(below, [Entry("a"), Entry("l/n"), Entry("f")][:1]) == {
        "a": "file:1",
        "f": "file:0",
        "l": "symbolic link:0",
    }
    assert layered(below, [Entry("l", "dir"), Entry("l/n")])["l/n"] == "file:1"


def test_a_layer_writes_through_no_link_of_another() -> None:
    """A link of one layer, a name through it in the next: each alone is sound."""
    with pytest.raises(RootError, match="leads through 'l'"):
        layered([Entry("l", "sym", "/etc")], [Entry("l/passwd")])
    with pytest.raises(RootError, match="leads through 'l'"):
        layered([Entry("l", "sym", "/etc")], [Entry("l/.wh.passwd")])


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh..."])
def test_a_whiteout_must_name_something(name: str) -> None:
    """Neither the folder itself nor the one above can be taken away."""
    with pytest.raises(RootError, match="names nothing"):
        layered([Entry("a/x")], [Entry(f"a/{name}")])


def test_the_written_order_is_safe_for_anybody() -> None:
    """Folders, files, links, further names: and all names of one file share its contents."""
    tree = Tree()
    wanted = [Entry("z/f", data=b"1"), Entry("a", "hard", "z/f"), Entry("l", "sym", "z")]
    for number, (member, _) in enumerate(read(tar(wanted))):
        tree.add(member, 0, number)
    found = [(member.path, member.kind, member.link) for member, _ in tree.members()]
    assert found == [
        ("", Kind.DIRECTORY, ""),
        ("z", Kind.DIRECTORY, ""),
        ("a", Kind.FILE, ""),
        ("l", Kind.SYMLINK, "z"),
        ("z/f", Kind.HARDLINK, "a"),
    ]


@pytest.mark.parametrize(
    ("links", "path", "found"),
    [
        ({"bin": "usr/bin", "usr/bin/sh": "dash"}, "bin/sh", "usr/bin/dash"),
        ({"etc/r": "../usr/bin/dash"}, "etc/r", "usr/bin/dash"),
        ({"etc/r": "/../usr/bin/dash"}, "etc/r", "usr/bin/dash"),
        ({"a": "b", "b": "a"}, "a", None),
        ({"a": "/no/where"}, "a", None),
    ],
)
def test_links_are_followed_within_the_root(
    links: dict[str, str], path: str, found: str | None
) -> None:
    """As a program inside of the root would; a ring ends, and nothing of this host is seen."""
    tree = Tree()
    members = [Entry("usr/bin/dash"), *(Entry(name, "sym", to) for name, to in links.items())]
    for number, (member, _) in enumerate(read(tar(members))):
        tree.add(member, 0, number)
    inode = tree.resolve(path)
    assert (inode.member.path if inode else None) == found


def test_an_access_list_reads_as_getfacl_writes_it() -> None:
    """The kernel's own octets, of `setfacl -m u:1000:rw,g:5:x`."""
    raw = bytes.fromhex(
        "02000000" "01000600ffffffff" "02000600e8030000" "04000400ffffffff" "0800010005000000"
        "10000700ffffffff" "20000400ffffffff"
    )  # fmt: skip
    assert acl_text(raw).splitlines() == [
        "user::rw-", "user:1000:rw-", "group::r--", "group:5:--x", "mask::rwx", "other::r--",
    ]  # fmt: skip
    for wrong in (b"", raw[:-1], b"\3" + raw[1:], raw[:4] + b"\x03" + raw[5:]):
        with pytest.raises(RootError):
            acl_text(wrong)
