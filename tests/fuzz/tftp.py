"""The TFTP target: the service on loopback, and a judge that knows a request by one pattern.

Behind each mutant goes a question that is answered, with a block size that tells it: what has come
back by then is the mutant's.
"""

from __future__ import annotations

import itertools
import re
import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from itertools import pairwise

from ironwake_tftp.layout import Source
from ironwake_tftp.packet import MalformedPacketError, Mode, ReadRequest, netascii, parse
from ironwake_tftp.transfer import Transfer
from tests.fuzz.mutate import Soil
from tests.tftp.network import CLIENT, datagrams
from tests.tftp.rack import CONTENT
from tests.tftp.recorded import requests
from tests.tftp.rig import Rig, hear, socket_of_client

_REQUEST = re.compile(
    rb"\x00\x01([\x20-\x7e]+)\x00(octet|netascii)\x00((?:.*\x00)?)", re.DOTALL | re.IGNORECASE
)
_BATCH = 50
_LONGEST = 512  # RFC 2347
_LARGEST_ERROR = 105
_MARK = b"\0\1sb/shimx64.efi\0octet\0blksize\0%d\0"
_LOADERS = {name.rpartition("/")[2]: content for name, content in CONTENT.items()} | CONTENT

OPTIONS = (b"blksize", b"windowsize", b"timeout", b"tsize", b"multicast", b"rollover", b"")
VALUES = (
    *(b"", b"0", b"1", b"-1", b"+8", b" 8", b"8 ", b"8.0", b"0x200", b"1e3", b"0512", b"abc"),
    *(b"7", b"8", b"9", b"511", b"512", b"1428", b"1468", b"1469", b"65464", b"65465", b"65535"),
    *(b"255", b"256", b"65536", b"4294967295", b"4294967296", b"9" * 20, b"9" * 400),
    *(b"\xff", b"\xd9\xa1\xd9\xa2", b"\xc2\xb2", b"%n%n%n", b"8\n", b"8\r\n", b"null", b"None"),
)
SOIL = Soil(
    [
        *(data for data, _ in requests()),
        b"\0\1grub/grub.cfg\0netascii\0",
        b"\0\2sb/shimx64.efi\0octet\0",
        b"\0\4\0\0",
        b"\0\4\xff\xff",
        b"\0\5\0\x08User aborted the transfer\0",
        b"\0\6blksize\x00512\0",
    ],
    [
        *(name + b"\0" + value + b"\0" for name in OPTIONS for value in VALUES[:12]),
        *(name.upper() + b"\0" for name in OPTIONS),
        *(b"../", b"..\\", b"%2e%2e/", b"/etc/passwd", b"\xc3\xb6", b"\r\n", b"\0", b"\0\0\0"),
        *(b"octet\0", b"NetASCII\0", b"mail\0"),
    ],
    header=2,
)


def every_option() -> Iterator[bytes]:
    """Each option with each value, alone, doubled, cut off, and beside a good one."""
    head = b"\0\1sb/grubx64.efi\0octet\0"
    for name, value in itertools.product(OPTIONS, VALUES):
        pair = name + b"\0" + value + b"\0"
        yield head + pair
        yield head + name.upper() + b"\0" + value + b"\0"
        yield head + pair + name + b"\x00512\0"
        yield head + pair[:-1]
        yield head + b"blksize\x001468\0" + pair + b"tsize\x000\0"
        yield head + name + b"\0"


def foul_names() -> Iterator[bytes]:
    """Thousands of names that are nobody's, in octets that are no text, and of paths that lead
    out of a folder."""
    ups = (
        b"../",
        b"..\\",
        b"..%2f",
        b"%2e%2e/",
        b"..\xc0\xaf",
        b"\xff\xfe.\0.\0/",
        b"./../",
        b"~/",
    )
    ends = (
        b"etc/passwd",
        b"proc/self/mem",
        b"sb/shimx64.efi",
        b"leases.jsonl",
        b"",
        b"*",
        b"?",
        b".",
    )
    starts = (
        b"",
        b"/",
        b"//",
        b"sb/",
        b"boot/",
        b"file:///",
        b"C:\\",
        b"\\\\192.0.2.1\\",
        b"|",
        b"`",
    )
    for start, up, depth, end in itertools.product(starts, ups, (1, 2, 7), ends):
        yield start + up * depth + end
    for octet in range(1, 256):
        for place in (0, 4, 14):
            name = b"sb/shimx64.efi"
            yield name[:place] + bytes((octet,)) + name[place:]
        yield bytes((octet,))
        yield bytes((octet,)) * 400


async def judge_all(rig: Rig, asked: Iterable[bytes]) -> Counter[str]:
    """Ask all of it as the armed machine, each thing alone on its port; how many drew what."""
    counts: Counter[str] = Counter()
    rest, marks = iter(asked), itertools.cycle(range(1000, 1400))
    async with AsyncExitStack() as stack:
        socks = [await stack.enter_async_context(socket_of_client()) for _ in range(_BATCH)]
        while batch := list(itertools.islice(rest, _BATCH)):
            each = dict(zip(socks, batch, strict=False))
            for data, answers in await _exchange(rig, each, next(marks)):
                try:
                    counts[_judge(data, answers)] += 1
                except Exception as error:
                    error.add_note(f"tests/fuzz/regressions/tftp.txt: {data.hex()}")
                    raise
    return counts


async def _exchange(
    rig: Rig, batch: Mapping[socket.socket, bytes], mark: int
) -> list[tuple[bytes, list[bytes]]]:
    for sock, data in batch.items():
        rig.ask(data, sock)
    for sock in batch:
        rig.ask(_MARK % mark, sock)
    found = []
    for sock, data in batch.items():
        answers = []
        while (answer := (await hear(sock))[0]) != b"\0\6blksize\0%d\0" % mark:
            answers.append(answer)
        found.append((data, answers))
    return found


def _judge(data: bytes, answers: list[bytes]) -> str:
    """What it drew, in a word. One packet at most: the second comes when nobody answers."""
    assert len(answers) <= 1
    asked = _REQUEST.fullmatch(data) if len(data) <= _LONGEST else None
    if not answers:
        assert asked is None, "a request was not answered"
        return "silence"
    (answer,) = answers
    opcode = answer[1]
    if opcode == 5:
        assert len(answer) <= _LARGEST_ERROR
        if asked is None:
            assert data[:2] in (b"\0\1", b"\0\2"), "neither a read nor a write"
        return f"error {answer[3]}"
    assert asked is not None, "what is no request drew a file"
    content = _content(asked)
    if opcode == 3:
        assert content is None or answer[4:] == content[:512]
        return "data"
    assert opcode == 6
    _judge_options(answer, asked[3], content)
    return "options"


def _content(asked: re.Match[bytes]) -> bytes | None:
    """What the name stands for; None for scripts, which are made for each machine."""
    name, mode = asked[1].decode(), asked[2].lower()
    assert ".." not in name
    parts = "/".join(part for part in name.split("/") if part not in ("", "."))
    if parts.startswith(("grub/grub.cfg", "boot/", "pxelinux/")):
        return None
    content = _LOADERS[parts]
    return netascii(content) if mode == b"netascii" else content


def _judge_options(answer: bytes, asked: bytes, content: bytes | None) -> None:
    """Only what was asked for, within what was asked for (RFC 2347 to 2349, 7440)."""
    words = asked.lower().split(b"\0")
    wished = {
        name: [int(value) for word, value in pairwise(words) if word == name and value.isdigit()]
        for name in words
    }
    told = answer[2:-1].split(b"\0")
    taken = dict(zip(told[::2], map(int, told[1::2]), strict=True))
    for name, value in taken.items():
        match name:
            case b"blksize":
                assert 8 <= value <= min(max(wished[name]), 65464)
            case b"windowsize":
                assert 1 <= value <= min(max(wished[name]), 64)
            case b"timeout":
                assert value in wished[name]
                assert 1 <= value <= 255
            case _:
                assert name == b"tsize"
                assert name in wished
                assert content is None or value == len(content)


class Running:
    """A transfer in its middle, on whose port mutants come in: the engine alone."""

    _SOURCE = Source(bytes(100_000))
    _WANTED = ReadRequest("x", Mode.OCTET, 1468, 4)

    def __init__(self) -> None:
        self._now = 0.0
        self._transfer = Transfer(self._WANTED, self._SOURCE, CLIENT, 0.0)

    def test(self, data: bytes) -> None:
        """From the client, and from a stranger: a window at most, and one ERROR to the stranger."""
        self._now += 0.001
        if self._transfer.closed:
            self._transfer = Transfer(self._WANTED, self._SOURCE, CLIENT, self._now)
        stranger = ("192.0.2.66", 9)
        self._transfer.receive_datagram(data, stranger, self._now)
        told_off = [to for _, to in datagrams(self._transfer) if to == stranger]
        assert len(told_off) <= 1
        self._transfer.receive_datagram(data, CLIENT, self._now)
        assert len(datagrams(self._transfer)) <= 5


def first_answer(data: bytes) -> None:
    """A request alone: a block without options, else an OACK, and nothing that is longer."""
    try:
        packet = parse(data)
    except MalformedPacketError:
        return
    if isinstance(packet, ReadRequest):
        transfer = Transfer(packet, Running._SOURCE, CLIENT, 0.0)
        ((answer, to),) = datagrams(transfer)
        assert to == CLIENT
        assert len(answer) <= 516
