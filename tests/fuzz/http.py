"""The HTTP targets: both services, on sockets, with mutants of what loaders and people send."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

from ironwake.lifecycle import State
from ironwake_controller.limits import Limits as ControllerLimits
from ironwake_http.limits import Limits
from ironwake_testing.hostile_http import Answers, converse_all, heads, request, smuggling
from tests.controller.appliance import Appliance
from tests.controller.wire import call, served
from tests.fuzz.mutate import Soil
from tests.fuzz.regressions import bear
from tests.http.rig import ARMED, HEALTH, TOKEN, Rig
from tests.http.rig import run as run_rig

_CALLBACKS = f"/deployments/{TOKEN}/callbacks"
_REPORT = (
    b'{"stage": "installing", "id": "7", "step": "write", "percent": 12.5, "facts": {"a": "b"}}'
)
_ENROL = {"name": "node7", "macs": ["52:54:00:77:00:77"], "labels": {"rack": "a3"}, "uuid": ""}
_DEPLOY = {"profile": "web", "erase": ["WD-1234"], "minutes": 10, "wake": False}
_CHUNKED = ("Transfer-Encoding: chunked",)
_LONGEST = 4096  # bytes: what only is long is told elsewhere

_WORDS = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\0", b" ", b"\t", b":", b"%", b"%00", b"%2e%2e/", b"//",
    b"?", b"#", b"\xff", b"\xed\xa0\x80", b"HTTP/1.0", b"HTTP/9.9", b"0\r\n\r\n", b"5\r\nhello\r\n",
    b"Content-Length: 0\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n", b"Connection: keep-alive\r\n", b"Connection: upgrade\r\n",
    b"Upgrade: websocket\r\n", b"Range: bytes=1-2\r\n", b"Range: bytes=-\r\n", b"Host: b\r\n",
    b"If-None-Match: *\r\n", b"User-Agent: GRUB 2.12\r\n", b"Last-Event-ID: 9\r\n", b"{", b"}",
    b"[", b'"', b"\\ud800", b"NaN", b"1e999", b"null", b'"a":1,', b"GET ", b"HEAD ", b"POST ",
]  # fmt: skip
_STRANGE = [row for row in heads().values() if len(row) < _LONGEST]

LAN = Soil(
    [
        request("/healthz"),
        request(f"/boot/{ARMED}/grub.cfg", fields=("User-Agent: GRUB 2.12",)),
        request("/sb/shimx64.efi", fields=("Range: bytes=100-199", 'If-Range: "x"')),
        request("/sb/shimx64.efi", fields=("Range: bytes=-5",)),
        request("/sb/grubx64.efi", "HEAD"),
        b"GET /sb/shimx64.efi HTTP/1.1\r\nHost: a\r\n\r\n" * 3 + request("/sb/shimx64.efi", "HEAD"),
        request(f"/deployments/{TOKEN}/order", fields=("X-Ironwake-Boot: 1-2-3",)),
        request(f"{_CALLBACKS}?stage=installing&id=7&percent=3", "POST"),
        request(_CALLBACKS, "POST", body=_REPORT),
        request(f"/health/{HEALTH}", "PUT", ("Expect: 100-continue",), b'{"hostname": "node1"}'),
        *smuggling(_CALLBACKS, (), b"GET /healthz HTTP/1.1\r\n\r\n").values(),
        *_STRANGE,
    ],
    _WORDS,
)
API = Soil(
    [
        request("/healthz"),
        call("GET", "/v1/machines?label=rack%3Da3&limit=3"),
        call("GET", "/v1/events?after=0&limit=2", None, ("Last-Event-ID: 3",)),
        call("GET", "/v1/plan?mac=52-54-00-77-00-10&firmware=bios"),
        call("POST", "/v1/machines", _ENROL),
        call("PATCH", "/v1/machines/node1", {"labels": {"rack": "b1"}, "macs": _ENROL["macs"]}),
        call("POST", "/v1/machines/node1/deploy", _DEPLOY),
        call("POST", "/v1/leases/reserve", {"all": True, "first": "10.77.0.10"}),
        call("POST", "/internal/claims", {"token": "a" * 64, "client": "10.77.0.100"}),
        call("POST", f"/internal/deployments/{'a' * 64}/callbacks", _REPORT),
        call("GET", "/internal/view/changes?after=1"),
        *smuggling("/v1/machines", (), request("/healthz")).values(),
        *_STRANGE,
    ],
    _WORDS,
)
_HURRY = 0.5  # seconds for what a client has left out
_MANY = 4096


def on_the_lan(asked: Iterable[bytes]) -> Counter[str]:
    """The http service is asked; afterwards a machine gets its script."""
    found: Counter[str] = Counter()

    async def test(rig: Rig) -> None:
        found.update(await judge_all(rig.port, asked))
        assert (await rig.ask(f"/boot/{ARMED}/grub.cfg")).status == 200

    limits = Limits(_MANY, _MANY, idle=_HURRY, body=_HURRY, linger=_HURRY)
    run_rig(test, limits=limits)
    return found


def at_the_api(appliance: Appliance, asked: Iterable[bytes]) -> Counter[str]:
    """The controller is asked; it answers afterwards, and every state is one that there is."""
    found: Counter[str] = Counter()

    async def whole() -> None:
        limits = ControllerLimits(_MANY, head=_HURRY, idle=_HURRY, body=_HURRY, linger=_HURRY)
        async with served(appliance, limits) as port:
            found.update(await judge_all(port, asked))

    asyncio.run(whole())
    known = ("enrolled", *State)
    assert all(one["state"] in known for one in appliance.good("GET", "/v1/machines")["items"])
    return found


async def judge_all(port: int, asked: Iterable[bytes]) -> Counter[str]:
    """How often each status came first; "silence" where the connection only ended."""
    rows = [data[:_LONGEST] for data in asked]
    answers = await converse_all(port, rows, 64)
    of_each = iter(answers)  # by their order: equal mutants have each their own
    bear("http", lambda data: next(of_each).check(data), rows)
    return Counter(map(_first, answers))


def _first(answers: Answers) -> str:
    return str(answers.statuses[0]) if answers.statuses else "silence"
