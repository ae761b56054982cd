"""What strangers send to HTTP servers, for both of ours: bytes, and a client that sends them as is.

Sources: RFC 9112 (§2.2 line ends, §5.1 and §5.2 fields, §6 body length, §7.1 chunks, §11.2 request
smuggling), RFC 9110 §14 (ranges), RFC 8259 (JSON), RFC 3629 §10 (overlong UTF-8).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PATIENCE = 60.0  # seconds until a server that neither answers nor closes is called hung
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
_TROUBLE = ("Traceback", "handler failed", "unexpected", "Exception in", "exception", ".py")


@dataclass(frozen=True)
class Answers:
    """All that came back on one connection, until the server closed it."""

    raw: bytes

    @property
    def statuses(self) -> list[int]:
        """Of the replies, in order; an interim 100 is none."""
        return [int(found) for found in _STATUS.findall(self.raw) if found != b"100"]

    def check(self, shown: object) -> None:
        """Never our own fault, and never a word of our insides."""
        assert all(status < 500 for status in self.statuses), (shown, self.raw[:600])
        assert_quiet(self.raw.decode("latin-1"), shown)


def assert_quiet(text: str, shown: object = "") -> None:
    """No log and no reply has a trace of an exception in it."""
    assert not [word for word in _TROUBLE if word in text], (shown, text[-3000:])


async def converse(port: int, *pieces: bytes, source: str = "127.0.0.1") -> Answers:
    """Send the pieces on one connection, and read until the server closes it."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, limit=1 << 20, local_addr=(source, 0)
    )
    heard = bytearray()

    async def listen() -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(1 << 16):
                heard.extend(piece)

    try:
        async with asyncio.timeout(_PATIENCE):
            listening = asyncio.ensure_future(listen())
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
            await listening
    finally:
        writer.transport.abort()
    return Answers(bytes(heard))


async def converse_all(port: int, requests: Iterable[bytes], at_once: int = 32) -> list[Answers]:
    """Each request on a connection of its own, some at once; the answers in their order."""
    gate = asyncio.Semaphore(at_once)

    async def one(raw: bytes) -> Answers:
        async with gate:
            return await converse(port, raw)

    return list(await asyncio.gather(*(one(raw) for raw in requests)))


async def flood(
    port: int, method: str, target: str, fields: Iterable[str] = (), length: int | None = None
) -> Answers:
    """A body of `length` bytes, or one without an end in chunks, of which 16 MB are sent at most.

    A server that does not read on may have closed before its answer was read: that is none here.
    """
    framed = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    head = "\r\n".join((f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *fields, framed, "", ""))
    piece = b" " * (1 << 16)
    whole = b"10000\r\n%s\r\n" % piece if length is None else piece
    return await converse(port, head.encode(), *itertools.repeat(whole, 256))


def request(
    target: str, method: str = "GET", fields: Iterable[str] = (), body: bytes = b""
) -> bytes:
    """One that is well formed, and the last of its connection."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *fields]
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode() + body


def smuggling(target: str, fields: Iterable[str], inner: bytes) -> dict[str, bytes]:
    """POSTs whose length can be misread; `inner` is a request that no right reading carries out."""
    start = "\r\n".join((f"POST {target} HTTP/1.1", "Host: 127.0.0.1", *fields)).encode() + b"\r\n"
    length, end, last = len(inner), b"\r\n\r\n", b"0\r\n\r\n"
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (length, inner)
    both = len(last) + length
    rows = {
        "CL.TE": b"Content-Length: %d\r\nTransfer-Encoding: chunked" % both + end + last + inner,
        "TE.CL": b"Transfer-Encoding: chunked\r\nContent-Length: %d" % both + end + last + inner,
        "CL.TE short": b"Content-Length: 4\r\nTransfer-Encoding: chunked" + end + chunk + inner,
        "CL.CL": b"Content-Length: %d\r\nContent-Length: 0" % length + end + inner,
        "CL.CL reversed": b"Content-Length: 0\r\nContent-Length: %d" % length + end + inner,
        "CL list": b"Content-Length: 0, %d" % length + end + inner,
        "TE.TE": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: xchunked" + end + last + inner,
        "chunk of itself": b"Transfer-Encoding: chunked" + end + chunk,
        "length of itself": b"Content-Length: %d" % length + end + inner,
    }
    for coding in ("xchunked", "identity", "gzip, chunked", "chunked, identity", "chunked, chunked",
                   "chunked;q=1", "\x0bchunked", "chunked\x0b", "chunked\x00", '"chunked"',
                   "chunke", ""):  # fmt: skip
        coded = b"Transfer-Encoding: " + coding.encode()
        rows[f"TE {coding!r}"] = coded + b"\r\nContent-Length: %d" % both + end + last + inner
        if coding != "gzip, chunked":  # whose last chunk is a right end
            rows[f"TE {coding!r} alone"] = coded + end + last + inner
    for number in ("+0", "-1", "0x0", "0 0", "0_0", "", "0.0", "1e1", "0;", "\u0660", "9" * 30):
        rows[f"CL {number!r}"] = f"Content-Length: {number}".encode() + end + inner
    for name, field in {
        "space before colon": b"Transfer-Encoding : chunked",
        "tab before colon": b"Transfer-Encoding\t: chunked",
        "space before a name": b" Transfer-Encoding: chunked",
        "folded": b"X: a\r\n Transfer-Encoding: chunked",
        "folded value": b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 0",
        "bare CR": b"X: a\rTransfer-Encoding: chunked",
        "bare LF": b"X: a\nTransfer-Encoding: chunked\r\nContent-Length: 0",
        "NUL": b"X: a\0\r\nTransfer-Encoding: chunked\r\nContent-Length: 0",
        "no colon": b"Transfer-Encoding chunked\r\nContent-Length: 0",
        "no name": b": chunked\r\nTransfer-Encoding: chunked\r\nContent-Length: 0",
        "name with underscore": b"Transfer_Encoding: chunked",
        "8-bit name": b"Transfer-Encoding\xff: chunked\r\nTransfer-Encoding: x",
    }.items():
        rows[name] = field + b"\r\nContent-Length: %d" % both + end + last + inner
    chunked = b"Transfer-Encoding: chunked" + end
    for digits in (b"0x5", b"-5", b"+5", b" 5", b"5 5", b"5_0", b"", b"g", b"f" * 17, b"\xd9\xa0",
                 b"00000000000000000000000000000000000000005"):  # fmt: skip
        rows[f"chunk size {digits!r}"] = chunked + digits + b"\r\nhello\r\n" + last
    rows["chunk without its end"] = chunked + b"5\r\nhelloXX0\r\n\r\n"
    rows["chunk's end is LF"] = chunked + b"5\nhello\n0\n\n"
    rows["extension with LF"] = chunked + b"5;a\nhello\r\n0\r\n\r\n"
    rows["trailer with a length"] = chunked + b"0\r\nContent-Length: %d\r\n\r\n" % length
    rows["bad chunk after a good one"] = chunked + b"5\r\nhello\r\nzz\r\n"
    return {name: start + row for name, row in rows.items()}


def heads() -> dict[str, bytes]:
    """Heads that are none, or too much of one."""
    good = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    return {
        "many fields": good + b"X: y\r\n" * 10_000 + b"\r\n",
        "many names": good + b"".join(b"X-%d: y\r\n" % n for n in range(5000)) + b"\r\n",
        "giant field": good + b"X: " + b"a" * (1 << 20) + b"\r\n\r\n",
        "giant name": good + b"X" * (1 << 20) + b": a\r\n\r\n",
        "giant target": b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        "giant method": b"A" * (1 << 20) + b" / HTTP/1.1\r\n\r\n",
        "no line end": b"a" * (1 << 20),
        "empty lines": b"\r\n" * 100_000,
        "two hosts": good + b"Host: b\r\n\r\n",
        "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
        "strange host": b"GET /healthz HTTP/1.1\r\nHost: [::1\r\n\r\n",
        "0.9": b"GET /healthz\r\n\r\n",
        "2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "version": b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        "no version": b"GET / HTTP/\r\nHost: a\r\n\r\n",
        "TLS": bytes.fromhex("16030100a50100") + bytes(165),
        "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
        "connect": b"CONNECT 10.0.0.1:22 HTTP/1.1\r\nHost: a\r\n\r\nhello",
        "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "authority": b"GET //evil@[::/..:99999 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "absolute": b"GET http://[::1/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "absolute port": b"GET http://a:99999999/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "file": b"GET file:///etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "upgrade": good + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello",
        "upgrade to 2": good + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
        "strange method": b"G\xc3\x8bT / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "8 bits": b"GET /\xff\xfe\x80 HTTP/1.1\r\nHost: 127.0.0.1\r\nX: \xff\xfe\r\n\r\n",
        "zeros": bytes(5000),
        "NUL in the target": b"GET /a\0b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "tabs": b"GET\t/healthz\tHTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "expectation": good + b"Expect: 200-maybe\r\nContent-Length: 5\r\n\r\nhello",
        "cookies": good + b"Cookie: " + b"a=b; " * 700 + b"\r\n\r\n",
        "encoded": good + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
        "types": good + b"Content-Type: ;;=\xff\r\nAccept: */*;q=\xff\r\nRange: \xff\r\n\r\n",
        "pipelined": (good + b"\r\n") * 200 + b"GET /healthz HTTP/1.1\r\nConnection: close\r\n"
        b"Host: 127.0.0.1\r\n\r\n",
    }  # fmt: skip


_DEEP = 10_000

JSON: dict[str, bytes] = {
    "deep lists": b"[" * _DEEP + b"]" * _DEEP,
    "deep objects": b'{"a":' * _DEEP + b"1" + b"}" * _DEEP,
    "deep and open": b"[" * 60_000,
    "deep in a field": b'{"facts":' + b"[" * _DEEP + b"]" * _DEEP + b"}",
    "deep after a text": b'{"a":"[[","b":' + b'{"c":[' * 400 + b"]}" * 400 + b"}",
    "NaN": b'{"stage":"installing","percent":NaN}',
    "infinity": b'{"stage":"installing","percent":-Infinity}',
    "beyond a double": b'{"stage":"installing","percent":1e999}',
    "beyond a double, negative": b'{"profile":"web","minutes":-1e400}',
    "digits": b'{"stage":"installing","percent":' + b"9" * 4000 + b"}",
    "more digits": b'{"stage":"installing","percent":' + b"9" * 50_000 + b"}",
    "an exponent of digits": b'{"percent":1e' + b"9" * 5000 + b"}",
    "twice": b'{"stage":"installing","id":"a","stage":"installed"}',
    "twice within": b'{"stage":"installing","facts":{"a":"1","a":"2"}}',
    "twice, written otherwise": b'{"name":"a","n\\u0061me":"b","macs":[]}',
    "not UTF-8": b'{"stage":"\xff\xfe"}',
    "overlong": b'{"stage":"installing\xc0\x80"}',
    "UTF-16": '{"stage":"installed"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"stage":"installed"}',
    "surrogates in UTF-8": b'{"stage":"failed","message":"\xed\xa0\x80"}',
    "half a character": b'{"stage":"failed","message":"\\ud800"}',
    "half a character as a name": b'{"stage":"failed","facts":{"\\udfff":"1"}}',
    "zero": b'{"stage":"failed","id":"\\u0000","message":"a\\u0000b"}',
    "raw zero": b'{"stage":"failed","message":"a\0b"}',
    "control characters": b'{"stage":"failed","message":"a\nb"}',
    "nothing": b" ",
    "null": b"null",
    "a number": b"1",
    "two documents": b"{}{}",
    "comments": b'{"stage":"installed"/**/}',
    "a long text": json.dumps({"stage": "installing", "step": "x" * 60_000}).encode(),
    "many fields": json.dumps({f"f{n}": n for n in range(5000)}).encode(),
    "booleans": b'{"stage":true,"id":false,"percent":true}',
}

# Those that are no JSON, or are read otherwise by others, or can't be kept.
BROKEN_JSON = JSON.keys() - {
    "nothing", "null", "a number", "a long text", "many fields", "booleans", "digits",
}  # fmt: skip


def traversals(roots: Iterable[str]) -> Iterator[str]:
    """Ways out of a folder below each root, in the encodings that servers have fallen for."""
    dots = (
        "..", "%2e%2e", ".%2e", "%2E.", "%252e%252e", "%25252e%25252e", "..;", "..%00", ".%00.",
        "%00..", "%c0%ae%c0%ae", "%c0%2e%c0%2e", "%e0%80%ae%e0%80%ae", "%f0%80%80%ae%f0%80%80%ae",
        "%u002e%u002e", "%uff0e%uff0e", "\u2025", "%ef%bc%8e%ef%bc%8e", "..%20", "....",
        "%2e%2e%09",
    )  # fmt: skip
    slashes = (
        "/", "//", "/./", "%2f", "%2F", "%252f", "\\", "%5c", "%255c", "%c0%af", "%e0%80%af",
        "%c1%9c", "%u2215", "%ef%bc%8f", ";/", "%0d%0a/",
    )  # fmt: skip
    ends = ("etc/passwd", "etc%2fpasswd", "manifests/loaders.json", "sha256")
    for root, dot, slash, end, depth in itertools.product(roots, dots, slashes, ends, (1, 8)):
        yield f"{root}{slash}{(dot + slash) * depth}{end}"
    for root in roots:
        for path in ("/etc/passwd", "//etc/passwd", "file:///etc/passwd", "C:\\boot.ini", "%00",
                     "~root/.ssh/id_rsa", "/proc/self/environ", "%2fetc%2fpasswd"):  # fmt: skip
            yield f"{root}/{path}"


def ranges(size: int) -> Iterator[str]:
    """Range headers that are wrong, mean, or only strange, for a file of that size."""
    ends = ("", "0", "1", "-1", str(size - 1), str(size), str(size + 1), "9" * 18, "9" * 19,
            "9" * 3000, "0x1", "1e3", "\u0661", "+1", " 1", "1 ", "1.0", "a")  # fmt: skip
    units = ("bytes", "Bytes", "bytes ", " bytes", "lines", "", "none", "bytes=bytes")
    for unit, first, last in itertools.product(units, ends, ends):
        yield f"{unit}={first}-{last}"
    yield from ("bytes", "bytes=", "bytes=-", "=", "-", "bytes:0-1", "bytes=0", "bytes==0-1")
    yield "bytes=" + ",".join(f"{n}-{n}" for n in range(600))
    yield "bytes=" + ",".join(["0-"] * 1000)  # CVE-2011-3192
    yield "bytes=" + "," * 2000 + "0-1"
    yield f"bytes=-{2**63}"
    yield f"bytes={2**64}-"


def peak_memory(pid: int) -> int:
    """Bytes of memory that a process has had at most, from /proc (proc(5), VmHWM)."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    assert found is not None
    return int(found[1]) << 10
