"""What GRUB, shim, edk2 and iPXE demand of an HTTP server, on raw sockets."""

from __future__ import annotations

import asyncio

import pytest

from tests.http.rig import ARMED, GRUB, SHIM, TOKEN, Rig, read_reply, run

GRUB_AGENT = "User-Agent: GRUB 2.12-9+deb13u2"
ERRORS = (
    ("GET", "/sb/revocations_sku.efi", 404),
    ("GET", "/grub/x86_64-efi/command.lst", 404),
    ("GET", f"/artifacts/{'0' * 64}/kernel", 404),
    ("GET", f"/deployments/{'0' * 64}/nothing", 404),
    ("POST", "/healthz", 405),
    ("DELETE", "/healthz", 405),
)


@pytest.mark.parametrize(("method", "target", "status"), ERRORS)
def test_errors_are_harmless_to_firmware(method: str, target: str, status: int) -> None:
    """An error has a comment as its body, its length spelled right, and not as the first header."""

    async def test(rig: Rig) -> None:
        reply = await rig.ask(target, method)
        assert reply.status == status
        assert reply.body.startswith(b"# ")
        assert reply.body.count(b"\n") == 1
        assert reply.field("Content-Length") == str(len(reply.body))
        assert reply.fields[0][0] != "Content-Length"
        assert reply.field("Transfer-Encoding") is None

    run(test)


def test_what_is_not_http_gets_a_harmless_body_too() -> None:
    """Bytes that are no request get a 400 in the same shape, and the connection is closed."""

    async def test(rig: Rig) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        writer.write(b"GET\x00 / what\r\n\r\n")
        reply = await read_reply(reader)
        assert reply.status == 400
        assert reply.body.startswith(b"# ")
        assert reply.fields[0][0] != "Content-Length"
        assert await reader.read() == b""
        writer.close()

    run(test)


@pytest.mark.parametrize(
    "target",
    ["/sb/shimx64.efi", "/grub/grub.cfg", f"/boot/{ARMED}/grub.cfg", "/healthz", "/nothing"],
)
def test_head_tells_what_get_sends(target: str) -> None:
    """HEAD has GET's status and true Content-Length, and no body: edk2 asks it before every GET."""

    async def test(rig: Rig) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        request = f"{{}} {target} HTTP/1.1\r\nHost: a\r\nUser-Agent: UefiHttpBoot/1.0\r\n\r\n"
        writer.write(request.format("HEAD").encode())
        head = await read_reply(reader, head=True)
        # On the same connection: had HEAD a body, it would be taken for this reply.
        writer.write(request.format("GET").encode())
        get = await read_reply(reader)
        writer.close()
        assert head.status == get.status
        assert head.field("Content-Length") == get.field("Content-Length") == str(len(get.body))

    run(test)


def test_grub_connections_are_closed_after_each_reply() -> None:
    """GRUB uses the same ports at every boot, so nothing may be left open: file, script or 404."""

    async def test(rig: Rig) -> None:
        for target in (rig.path("ramdisk-generic", "kernel"), "/grub/grub.cfg", "/nothing"):
            reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
            writer.write(f"GET {target} HTTP/1.1\r\nHost: a\r\n{GRUB_AGENT}\r\n\r\n".encode())
            reply = await read_reply(reader)
            assert reply.field("Connection") == "close"
            assert await reader.read() == b""
            writer.close()

    run(test)


def test_loaders_by_their_paths() -> None:
    """Loaders come by role, with shim's double slash too, typed so that edk2 boots them."""

    async def test(rig: Rig) -> None:
        for target, content in (("/sb/shimx64.efi", SHIM), ("/sb//grubx64.efi", GRUB)):
            reply = await rig.ask(target)
            assert (reply.status, reply.body) == (200, content)
            assert reply.field("Content-Type") == "application/efi"
        reply = await rig.ask("/ipxe/undionly.kpxe")
        assert (reply.status, reply.body) == (200, b"ipxe")

    run(test)


def test_no_reply_redirects_or_is_chunked() -> None:
    """No route redirects or sends chunks; GRUB would run the one and get nothing of the other."""

    async def test(rig: Rig) -> None:
        targets = ("/sb", "/sb/", "/boot", f"/boot/{ARMED}", "//healthz", "/healthz/", "/",
                   f"/deployments/{TOKEN}/order", rig.path("debian-12", "archive"))  # fmt: skip
        for target in targets:
            reply = await rig.ask(target)
            assert not 300 <= reply.status < 400
            assert reply.field("Transfer-Encoding") is None
            assert reply.field("Content-Length") == str(len(reply.body))

    run(test)


def test_http_1_0_is_answered() -> None:
    """A client of HTTP/1.0 gets the file with its length, and the end of the connection."""

    async def test(rig: Rig) -> None:
        reply = await rig.say(b"GET /sb/shimx64.efi HTTP/1.0\r\n\r\n")
        assert (reply.status, reply.body) == (200, SHIM)

    run(test)
