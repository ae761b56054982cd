"""`webhook`: anything that switches by HTTP: a PDU, a smart plug, a home automation.

Each operation that has a call can be done. `${name}` in a URL, a header or a body is replaced: by
what stands under `values` and `secrets`, and by the machine's own `machine` and `mac`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from string import Template
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2

from ironwake.errors import BrokenError, InputError, RefusedError
from ironwake_controller.power import tls
from ironwake_controller.power.driver import Operation, Outcome, PowerState, Target, check_can
from ironwake_controller.power.redfish import check_url

_CONNECT, _READ = 5.0, 15.0  # seconds
_LARGEST = 64 << 10  # bytes of an answer that are read
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")  # a token, RFC 9110 §5.6.2
_OURS = ("machine", "mac")


@dataclass(frozen=True)
class Call:
    """One HTTP request; `expect` are the status codes that mean success, none for any 2xx."""

    url: str
    method: str = "POST"
    body: str = ""
    expect: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_url(self.url, "url")
        if self.method not in _METHODS:
            raise InputError(
                f"{self.method!r:.40} is no method here", f"use one of: {', '.join(_METHODS)}"
            )


@dataclass(frozen=True)
class Reading:
    """How the answer to `status` is read: `path` finds the word in JSON, or `pattern` in any text.

    A path is names and numbers with dots between them (`relays.0.ison`); of a pattern, its first
    group counts where it has one. The word is `on` if it is among those, else it must be in `off`.
    """

    path: str = ""
    pattern: str = ""
    on: tuple[str, ...] = ("on", "true", "1")
    off: tuple[str, ...] = ("off", "false", "0")

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise InputError(f"this is no regular expression: {error}", where="pattern") from None


@dataclass(frozen=True)
class Settings:
    """A call per operation; headers and secrets are never shown again."""

    on: Call | None = None
    off: Call | None = None
    cycle: Call | None = None
    status: Call | None = None
    boot_network: Call | None = None
    reading: Reading = field(default_factory=Reading)
    headers: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    user: str = ""
    password: str = ""
    ca: str = ""
    verify: bool = True

    def __post_init__(self) -> None:
        tls.check_ca(self.ca)
        if not self.calls:
            raise InputError("a webhook without a call does nothing", "give at least `on`", "on")
        for name, value in (*self.values.items(), *self.secrets.items()):
            if not _NAME.fullmatch(name) or name in _OURS:
                raise InputError(f"{name!r:.60} is no name for a value", "use letters", "values")
            if not value.isprintable():
                raise InputError(f"the value of {name} has a line break in it", where="values")
        for name, value in self.headers.items():
            if not _HEADER.fullmatch(name) or not value.isprintable():
                raise InputError(
                    f"{name!r:.60} is no header, or its value is none", where="headers"
                )
        known = {**self.values, **self.secrets, **dict.fromkeys(_OURS, "x")}
        for operation, call in self.calls.items():
            for text in (call.url, call.body, *self.headers.values()):
                _fill(text, known, str, operation)

    @property
    def calls(self) -> dict[Operation, Call]:
        found = {one: getattr(self, one.name.lower()) for one in Operation}
        return {operation: call for operation, call in found.items() if call is not None}


class Webhook:
    """Knows what it has calls for; a cycle also where it has both `off` and `on`."""

    name = "webhook"
    settings = Settings
    secrets = frozenset({"password", "secrets", "headers"})
    remote = True

    def can(self, settings: Settings) -> frozenset[Operation]:
        able = set(settings.calls)
        if {Operation.ON, Operation.OFF} <= able:
            able.add(Operation.CYCLE)
        return frozenset(able)

    def carry_out(self, operation: Operation, settings: Settings, target: Target) -> Outcome:
        check_can(self, settings, operation, target.name)
        with httpx2.Client(
            verify=tls.context(settings.verify, settings.ca),
            timeout=httpx2.Timeout(_READ, connect=_CONNECT),
            trust_env=False,  # no proxy from the environment: the secrets go there alone
            follow_redirects=False,
            auth=(settings.user, settings.password) if settings.user else None,
        ) as http:
            if operation is Operation.CYCLE and settings.cycle is None:
                _call(http, Operation.OFF, settings, target)
                _call(http, Operation.ON, settings, target)
                return Outcome("it was switched off and on")
            answer = _call(http, operation, settings, target)
        if operation is Operation.STATUS:
            state = read(answer, settings.reading)
            return Outcome(f"its switch says that it is {state}", state)
        return Outcome(f"its switch took {operation}")


def _call(http: httpx2.Client, operation: Operation, settings: Settings, target: Target) -> str:
    call = settings.calls[operation]
    known = {**settings.values, **settings.secrets}
    known |= {"machine": target.name, "mac": target.macs[0]}
    url = _fill(call.url, known, _quoted, operation)
    place = f"the switch at {urlsplit(call.url).hostname}"  # the rest may hold a secret
    is_json = call.body.lstrip()[:1] in ("{", "[")
    body = _fill(call.body, known, _as_json if is_json else str, operation)
    headers = {"content-type": "application/json"} if is_json else {}
    headers |= {
        name.lower(): _fill(value, known, str, operation)
        for name, value in settings.headers.items()
    }
    try:
        with http.stream(call.method, url, content=body.encode(), headers=headers) as reply:
            _check_status(place, operation, call, reply.status_code)
            return _text(reply)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _unreachable(place, error) from None


def _check_status(place: str, operation: Operation, call: Call, status: int) -> None:
    good = status in call.expect if call.expect else 200 <= status < 300
    if good:
        return
    wanted = ", ".join(str(code) for code in call.expect) or "2xx"
    kind = RefusedError if status in (401, 403) else BrokenError
    raise kind(
        f"{place} answered {operation} with {status}, not with {wanted}",
        "see its URL, and what it wants for a user, password or header",
    )


def _text(reply: httpx2.Response) -> str:
    raw = b""
    for chunk in reply.iter_bytes(8192):
        raw += chunk
        if len(raw) >= _LARGEST:
            break
    return raw[:_LARGEST].decode("utf-8", "replace")


def _unreachable(place: str, error: Exception) -> BrokenError | RefusedError:
    words = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in words:
        reason = words.partition("certificate verify failed: ")[2].partition(" (")[0]
        return RefusedError(
            f"{place} shows a certificate that is not believed: {reason or 'no reason told'}",
            "give its authority as `ca`, or set `verify` to false",
            "ca",
        )
    return BrokenError(f"{place} does not answer", "see that it has power, and its address")


def read(answer: str, reading: Reading) -> PowerState:
    """What the answer to `status` says. BrokenError where it says nothing that is known."""
    word = _at_path(answer, reading.path) if reading.path else _matched(answer, reading.pattern)
    small = word.strip().lower()
    if small in {one.lower() for one in reading.on}:
        return PowerState.ON
    if small in {one.lower() for one in reading.off}:
        return PowerState.OFF
    raise BrokenError(
        f"the switch's answer to status is {word[:80]!r}, neither on nor off",
        "say with `reading` where the word stands, and which words mean on and off",
    )


def _matched(answer: str, pattern: str) -> str:
    found = re.search(pattern, answer) if pattern else None
    if found is None:
        return answer
    return next((group for group in found.groups() if group is not None), found.group())


def _at_path(answer: str, path: str) -> str:
    try:
        value: Any = json.loads(answer)
        for step in path.removeprefix("$").strip(".").split("."):
            value = value[int(step)] if isinstance(value, list) else value[step]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        raise BrokenError(
            f"the switch's answer to status has nothing at {path}", "see the answer, and `reading`"
        ) from None
    return value if isinstance(value, str) else json.dumps(value)


def _fill(
    text: str, known: Mapping[str, str], write: Callable[[str], str], operation: Operation
) -> str:
    try:
        return Template(text).substitute({name: write(value) for name, value in known.items()})
    except KeyError as error:
        raise InputError(
            f"there is no value for ${{{error.args[0]}}}",
            f"known are: {', '.join(sorted(known))}",
            operation.name.lower(),
        ) from None
    except ValueError:
        raise InputError(
            "a $ stands alone", "write $$ for the character itself", operation.name.lower()
        ) from None


def _quoted(value: str) -> str:
    return quote(value, safe="")


def _as_json(value: str) -> str:
    """As the inside of a JSON string."""
    return json.dumps(value)[1:-1]
