"""Laid out once: pages are exactly the DATA packets, shared where they may be, and bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ironwake_tftp.layout import Pages, Source, per_page
from ironwake_tftp.packet import data_packet


def laid_out(source: Source, blksize: int) -> bytes:
    """All pages of a file, one behind the other."""
    count = -(-source.blocks(blksize) // per_page(blksize))
    return b"".join(source.page(blksize, number) for number in range(count))


@given(size=st.integers(0, 9000), blksize=st.integers(8, 4000))
def test_pages_are_the_packets_in_order(size: int, blksize: int) -> None:
    """Whatever the sizes: header and block, one after the other, and a short block at the end."""
    content = bytes(n % 251 for n in range(size))
    packets = [
        data_packet(n + 1, content[n * blksize : (n + 1) * blksize])
        for n in range(size // blksize + 1)
    ]
    assert laid_out(Source(content), blksize) == b"".join(packets)


def test_block_numbers_roll_over_within_a_page() -> None:
    """The block after number 65535 has number 0."""
    number, place = divmod(65535, per_page(8))
    page = bytes(Source(bytes(8 * 70_000)).page(8, number))
    assert page[place * 12 : place * 12 + 4] == b"\0\3\0\0"
    assert page[place * 12 - 12 : place * 12 - 8] == b"\0\3\xff\xff"


def test_a_shared_file_is_laid_out_once() -> None:
    """Two transfers of one artifact send the same bytes of memory; a script's stay its own."""
    pages = Pages()
    one, two = (Source(bytes(5000), pages, "digest") for _ in range(2))
    assert one.page(1468, 0).obj is two.page(1468, 0).obj
    assert one.page(1468, 0).obj is not one.page(512, 0).obj
    own = Source(bytes(5000), pages)
    assert own.page(1468, 0).obj is not own.page(1468, 0).obj


@given(blksizes=st.lists(st.integers(8, 65464), max_size=40))
def test_what_is_kept_is_bounded(blksizes: list[int]) -> None:
    """However many block sizes are asked for, memory stays within the room."""
    pages = Pages(room=500_000)
    source = Source(bytes(200_000), pages, "digest")
    for blksize in blksizes:
        laid_out(source, blksize)
        assert pages.octets <= 500_000


def test_the_least_used_page_goes() -> None:
    """Room is made by what nobody has asked for longest."""
    pages = Pages(room=3000)
    kept = Source(bytes(1000), pages, "kept")
    first = kept.page(1468, 0).obj
    Source(bytes(1000), pages, "old").page(1468, 0)
    assert kept.page(1468, 0).obj is first
    Source(bytes(1000), pages, "new").page(1468, 0)
    assert kept.page(1468, 0).obj is first
