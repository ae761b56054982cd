"""Images that lie: each is refused with a reason, in bounded time, whatever is in it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwake.iso import wim
from ironwake.iso.image import Image, IsoError, Limits, Place, Volume
from ironwake.iso.read import read
from ironwake_testing import discs
from tests.iso import synthetic
from tests.iso.synthetic import SECTOR, Sparse, file_entry, folder, identifier, iso, record, udf

SIZE = 100 * SECTOR
GIB = 1 << 30


def refused(made: Sparse, why: str, limits: Limits | None = None) -> None:
    with pytest.raises(IsoError, match=why):
        read(made.image(limits))


def small(*records: bytes, **more: int) -> Sparse:
    return iso(SIZE, folder(*records, sector=20, parent=20), **more)


def test_what_is_no_iso() -> None:
    """An empty file, a text, a disk's image."""
    for data in (b"", b"hello", bytes(SIZE)):
        made = Sparse(len(data), {0: data})
        with pytest.raises(IsoError):
            read(made.image())


def test_a_file_that_ends_behind_the_image() -> None:
    """As in one that was not downloaded to its end."""
    refused(small(record(b"A", 99, 5000)), "end at byte")
    refused(small(record(b"A", 0xFFFFFFFF, 1)), "end at byte")


def test_an_image_that_says_that_it_is_larger() -> None:
    """Even where all files would be there."""
    refused(small(record(b"A", 30, 1), says=101), "has 204800")


def test_folders_that_go_round() -> None:
    """A folder in itself, and two in each other."""
    refused(small(record(b"LOOP", 20, SECTOR, 2)), "stands in itself")
    made = small(record(b"ONE", 30, SECTOR, 2))
    made.put(30, folder(record(b"TWO", 31, SECTOR, 2), sector=30, parent=20))
    made.put(31, folder(record(b"ONE", 30, SECTOR, 2), sector=31, parent=30))
    refused(made, "stands in itself")


def test_names_that_would_lead_elsewhere() -> None:
    """Slashes, dots, control characters, and none at all."""
    for name in (b"../A", b"A/B", b"..", b".", b"A\0B", b"A\nB", b";1", b"\x7f"):
        refused(small(record(name, 30, 1)), "of the name")


def test_one_name_twice() -> None:
    """Nobody can say which is meant."""
    refused(small(record(b"A.TXT;1", 30, 1), record(b"A.TXT;2", 31, 1)), "twice")
    refused(small(record(b"A", 30, 1), record(b"a", 31, SECTOR, 2)), "twice")


def test_giant_folders() -> None:
    """One of gigabytes, one that is damaged, one with records without end, one too deep."""
    refused(small(record(b"BIG", 30, 0xFFFFF800, 2)), "end at byte|folder of")
    refused(
        iso(5 * GIB, folder(record(b"BIG", 30, 4 * GIB - SECTOR, 2), sector=20, parent=20)),
        "folder of",
    )
    refused(small(b"\x22" + bytes(10)), "damaged folder|of the name|truncated|end at byte")
    many = b"".join(record(b"F%05d" % number, 30, 1) for number in range(40))
    refused(small(many), "more than 20 files", Limits(entries=20))
    made = small(record(b"D", 30, SECTOR, 2))
    for level in range(30, 60):
        made.put(level, folder(record(b"D", level + 1, SECTOR, 2), sector=level, parent=20))
    refused(made, "more than 9 deep", Limits(depth=9))
    refused(made, "larger than any real", Limits(bytes=20 * SECTOR))


def test_a_file_in_pieces() -> None:
    """One after the other they are one file, over 4 GiB too; else it cannot be served in place."""
    first = 4 * GIB - SECTOR
    behind = 100 + first // SECTOR
    parts = (record(b"BIG.WIM", 100, first, 128), record(b"BIG.WIM", behind, 3 * GIB, 0))
    made = iso(8 * GIB, folder(*parts, sector=20, parent=20))
    assert read(made.image()).tree.files == {"big.wim": Place(100 * SECTOR, first + 3 * GIB)}
    torn = (record(b"BIG.WIM", 100, first, 128), record(b"BIG.WIM", behind + 1, GIB, 0))
    refused(iso(8 * GIB, folder(*torn, sector=20, parent=20)), "in several places")
    refused(small(record(b"BIG", 30, 1, 128)), "the rest of")
    refused(small(record(b"BIG", 30, 1, 128), record(b"OTHER", 31, 1)), "in several places")
    refused(small(record(b"GAPS", 30, 1, gap=1)), "interleaved")


SUSP = b"SP\x07\x01\xbe\xef\x00"


def rock_ridge(*records: bytes) -> Sparse:
    own = record(b"\0", 20, SECTOR, 2, SUSP) + record(b"\1", 20, SECTOR, 2)
    return iso(SIZE, (own + b"".join(records)).ljust(SECTOR, b"\0"))


def entry(name: bytes, data: bytes) -> bytes:
    return name + bytes((len(data) + 4, 1)) + data


def test_rock_ridge_that_lies() -> None:
    """Names that lead elsewhere, areas that have no end, folders that are none, packed files."""
    named = record(b"A", 30, 1, 0, entry(b"NM", b"\0../../etc"))
    refused(rock_ridge(named), "of the name")
    more = struct.pack("<I4xI4xI4x", 40, 0, 28)
    made = rock_ridge(record(b"A", 30, 1, 0, entry(b"CE", more)))
    made.put(40, entry(b"CE", more))
    refused(made, "has no end")
    nowhere = entry(b"CE", struct.pack("<I4xI4xI4x", 40, 0xFFFFFFFF, 28))
    refused(rock_ridge(record(b"A", 30, 1, 0, nowhere)), "is nowhere")
    child = entry(b"CL", synthetic.both(50))
    refused(rock_ridge(record(b"A", 30, 0, 0, child)), "damaged folder|where it should be")
    refused(rock_ridge(record(b"A", 30, 1, 0, entry(b"ZF", b"pz" + bytes(10)))), "zisofs")


def test_rock_ridge_that_does_not_end() -> None:
    """A link's target and a name of megabytes: each part of one costs as much as all before it."""
    for part in (entry(b"SL", b"\0" + b"\0\1x" * 80), entry(b"NM", b"\1" + b"x" * 200)):
        area = part * 100
        made = rock_ridge(
            record(b"A", 30, 1, 0, entry(b"CE", struct.pack("<I4xI4xI4x", 40, 0, len(area))))
        )
        made.put(40, area)
        refused(made, "more octets than any file's")


def test_a_windows_image_of_beginnings() -> None:
    """Images without an end are none; looked for to the end each, they would take minutes."""
    assert wim.editions('<IMAGE INDEX="1">' * 60_000) == ""
    whole = '<IMAGE INDEX="2"><NAME>Two</NAME></IMAGE>'
    assert wim.editions(f'<IMAGE INDEX="1"><NAME>One{whole}') == "2: Two"
    assert (
        wim.editions(f'{whole}<IMAGE INDEX="x"></IMAGE><IMAGE INDEX="3"></IMAGE>') == "2: Two; 3: ?"
    )


def test_a_link_to_a_folder_above_is_a_loop() -> None:
    """CL may name any block: one that was walked already is refused."""
    child = entry(b"NM", b"\0up") + entry(b"CL", synthetic.both(20))
    refused(rock_ridge(record(b"A", 30, 0, 0, child)), "stands in itself")


def udf_with(*names: bytes, **entries: bytes) -> Sparse:
    data = b"".join(names)
    root = file_entry(4, len(data), synthetic.short_ads((len(data), 3)))
    blocks = {int(number[1:]): raw for number, raw in entries.items()}
    return udf(2000 * SECTOR, {2: root, 3: data, **blocks})


def test_udf_by_hand() -> None:
    """Files in one stretch, in several that follow, over 4 GiB, and inside their entry."""
    names = (identifier("one", 10), identifier("two", 11), identifier("in", 12))
    step = (1 << 30) - SECTOR
    pieces = [(step, 100 + number * step // SECTOR) for number in range(5)]
    root = b"".join(names)
    made = udf(
        9 * GIB,
        {
            2: file_entry(4, len(root), synthetic.short_ads((len(root), 3))),
            3: root,
            10: file_entry(5, 5000, synthetic.long_ad(5000, 50), form=1),
            11: file_entry(5, 5 * step, synthetic.short_ads(*pieces)),
            12: file_entry(5, 5, b"hello", form=3),
        },
    )
    found = read(made.image())
    assert found.label == "UDF"
    assert found.tree.files["one"] == Place((300 + 50) * SECTOR, 5000)
    assert found.tree.files["two"] == Place((300 + 100) * SECTOR, 5 * step)
    place = found.tree.files["in"]
    assert made.read(place.offset, place.size) == b"hello"


def test_udf_that_lies() -> None:
    """Loops, places outside of the partition, holes, wrong sums, torn files, endless lists."""
    refused(udf_with(identifier("up", 2, 2)), "stands in itself")
    refused(udf_with(identifier("..", 10), b10=file_entry(5, 0, b"")), "of the name")
    out = file_entry(5, 5000, synthetic.short_ads((5000, 1_000_000)))
    refused(udf_with(identifier("out", 10), b10=out), "of a partition of")
    hole = file_entry(5, 5000, synthetic.short_ads((5000 | 1 << 30, 50)))
    refused(udf_with(identifier("hole", 10), b10=hole), "with holes")
    part = file_entry(5, 9000, synthetic.short_ads((5000, 50)))
    refused(udf_with(identifier("part", 10), b10=part), "only a part")
    torn = file_entry(5, 6000, synthetic.short_ads((2048, 50), (3952, 60)))
    refused(udf_with(identifier("torn", 10), b10=torn), "in several places")
    endless = synthetic.tagged(258, bytes(4) + struct.pack("<III", 8, 8 | 3 << 30, 51))
    list_of = file_entry(5, 6000, synthetic.short_ads((SECTOR | 3 << 30, 51)))
    refused(udf_with(identifier("list", 10), b10=list_of, b51=endless), "more pieces|larger than")
    wrong = bytearray(file_entry(5, 6000, synthetic.short_ads((6000, 50))))
    wrong[60] ^= 1
    refused(udf_with(identifier("wrong", 10), b10=bytes(wrong)), "is damaged")
    refused(udf_with(identifier("none", 10)), "no file at")
    huge = file_entry(4, 1 << 40, synthetic.short_ads((SECTOR, 50)))
    refused(udf_with(identifier("huge", 10, 2), b10=huge), "bytes|only a part")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """One of each kind, small."""
    folder = tmp_path_factory.mktemp("isos")
    files = {"a/b/c": b"c" * 3000, "kernel": b"k" * 5000, "Name with Blanks": b""}
    made = []
    for how in (discs.rock_ridge, discs.joliet, discs.plain, discs.udf):
        disc = discs.make_of(files, Path(folder) / f"{how.__name__}.iso", how=how)
        made.append(disc.path.read_bytes())
    return made


def survives(data: bytes) -> Volume | None:
    """An image is read, and everything found is in it; or it is refused."""
    reads = []

    def piece(offset: int, size: int) -> bytes:
        reads.append(size)
        return data[offset : offset + size]

    limits = Limits(entries=2000, bytes=4 << 20)
    try:
        found = read(Image(len(data), piece, limits))
    except IsoError:
        return None
    finally:
        assert sum(reads) <= limits.bytes + SECTOR
    for path, place in found.tree.files.items():
        assert 0 <= place.offset <= place.offset + place.size <= len(data)
        assert ".." not in path.split("/")
        assert not path.startswith("/")
    return found


def test_any_length(images: list[bytes]) -> None:
    """Wherever an image was cut off, it is refused, or all of its files are there."""
    for data in images:
        whole = survives(data)
        assert whole is not None
        for end in range(0, len(data), 1777):
            found = survives(data[:end])
            assert found is None or found.tree.files == whole.tree.files


def test_any_damage(images: list[bytes]) -> None:
    """Whatever octets are changed among its structures: refused, or read within its bounds."""

    @settings(max_examples=400, deadline=None)
    @given(
        st.sampled_from(images),
        st.lists(
            st.tuples(st.integers(16 * SECTOR, 400 * SECTOR), st.binary(min_size=1, max_size=8)),
            min_size=1,
            max_size=6,
        ),
    )
    def any_damage(data: bytes, changes: list[tuple[int, bytes]]) -> None:
        wrong = bytearray(data)
        for at, raw in changes:
            at %= len(data) - 8
            wrong[at : at + len(raw)] = raw
        survives(bytes(wrong))

    any_damage()


def test_any_damage_where_it_hurts(images: list[bytes]) -> None:
    """The same, in the octets that are not zero in directories and descriptors."""
    spots = [
        [at for at in range(16 * SECTOR, len(data)) if data[at] and data[at] not in b"ck"]
        for data in images
    ]

    @settings(max_examples=600, deadline=None)
    @given(st.data())
    def any_damage(draw: st.DataObject) -> None:
        which = draw.draw(st.integers(0, len(images) - 1))
        wrong = bytearray(images[which])
        for _ in range(draw.draw(st.integers(1, 4))):
            wrong[draw.draw(st.sampled_from(spots[which]))] = draw.draw(st.integers(0, 255))
        survives(bytes(wrong))

    any_damage()
