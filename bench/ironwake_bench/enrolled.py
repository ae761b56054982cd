"""Machines by the thousand, enrolled and armed through the API as a person would."""

from __future__ import annotations

import http.client
import json
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

from ironwake.artifact import Manifest
from ironwake.errors import BrokenError
from ironwake_bench.ground import Ours
from ironwake_lab import network
from ironwake_runtime.artifacts import ArtifactStore

PROFILE = "bench"
PROFILES = {PROFILE: "release: debian-12\nmethod: archive\n"}
_MEDIA = (
    ("ramdisk-generic", "ramdisk", ("kernel", "initrd")),
    ("ramdisk-cloud", "ramdisk", ("kernel", "initrd")),
    ("loaders", "loaders", ("sb/shimx64.efi", "sb/grubx64.efi", "ipxe/undionly.kpxe")),
    ("debian-12", "media", ("archive",)),
)
_SECONDS = 60.0


def mac_of(number: int) -> str:
    """The card of machine `number`, as the load generators (bench/load) count them."""
    return (b"\x52\x54" + number.to_bytes(4, "big")).hex(":")


def add_media(ours: Ours) -> None:
    """What a deployment of PROFILE needs, in a few octets: nobody boots here."""
    store = ArtifactStore(ours.folder / "artifacts")
    for name, kind, roles in _MEDIA:
        artifacts = {role: store.add_bytes(f"{name} {role}".encode()) for role in roles}
        files = {role: role for role in roles}
        built = "2026-01-02T03:04:05Z"
        store.publish(Manifest(name, kind, built, "f" * 64, artifacts, files, {}))


def enrol(ours: Ours, first: int, count: int, armed: int) -> None:
    """Machines `first` and on, the first `armed` of them armed; every service knows it after."""
    add_media(ours)
    with caller(ours) as call:
        for number in range(first, first + count):
            body = {"name": f"node{number}", "macs": [mac_of(number)]}
            call("POST", "/v1/machines", body)
        print(f"{count} machines are enrolled", file=sys.stderr, flush=True)  # noqa: T201
        for number in range(first, first + armed):
            wanted = {"profile": PROFILE, "wake": False, "minutes": 1440}
            call("POST", f"/v1/machines/node{number}/deploy", wanted)
    print(f"{armed} of them are armed", file=sys.stderr, flush=True)  # noqa: T201
    ours.appliance.settle()


@contextmanager
def caller(ours: Ours) -> Iterator[Any]:
    """`call(method, path, body)` on one connection to the API; BrokenError for any refusal."""
    where = urlsplit(ours.appliance.url)
    headers = {
        "authorization": f"Bearer {ours.appliance.token}",
        "content-type": "application/json",
    }
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=_SECONDS)
    connection.sock = network.inside(
        ours.rack.namespace,
        lambda: socket.create_connection((where.hostname, where.port), _SECONDS),
    )

    def call(method: str, path: str, body: object) -> Any:
        connection.request(method, path, json.dumps(body), headers)
        reply = connection.getresponse()
        text = reply.read()
        if reply.status >= 400:
            raise BrokenError(f"{method} {path} answered {reply.status}: {text[:2000]!r}")
        return json.loads(text)

    with closing(connection):
        yield call
