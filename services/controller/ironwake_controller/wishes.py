"""What a person asks for, from a profile's file or without one, as an `arming.Wish`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from ironwake import wire
from ironwake.errors import InputError
from ironwake.profile import Capture, Finish, Method, Profile
from ironwake_controller.arming import Wish
from ironwake_controller.profiles import Profiles

# Orders that need no file: a wiped machine is off, so that it does not look for a system in vain.
_PLAIN = {
    Method.WIPE: Profile(method=Method.WIPE, finish=Finish.POWEROFF),
    Method.RESCUE: Profile(method=Method.RESCUE),
}

_METHODS = (*_PLAIN, Method.CAPTURE)

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True)
class Asked:
    """One of `profile` and `method` is named; `finish` is "" for the usual one.

    `capture` is for the method of that name.
    """

    profile: str
    method: str
    finish: str
    erase: tuple[str, ...]
    wake: bool
    minutes: float
    keys: Mapping[str, str]
    capture: Capture | None = None


def wish(asked: Asked, profiles: Profiles) -> Wish:
    """What is asked for; InputError or UnknownError where it cannot be."""
    if bool(asked.profile) is bool(asked.method):
        known = ", ".join(_METHODS)
        raise InputError("a deployment has a profile", f"name one, or a method: {known}", "profile")
    profile, revision = profiles.get(asked.profile) if asked.profile else _plain(asked)
    if asked.profile and asked.capture:
        raise InputError("a profile makes no image", "leave it out", "capture")
    if asked.finish:
        profile = replace(profile, finish=_choice(Finish, asked.finish, "finish", tuple(Finish)))
    name = asked.profile or asked.method
    made_of = profiles.release(profile)
    return Wish(
        name, revision, profile, asked.erase, asked.wake, asked.minutes, asked.keys, made_of
    )


def _plain(asked: Asked) -> tuple[Profile, str]:
    method = _choice(Method, asked.method, "method", _METHODS)
    if method is Method.CAPTURE:
        profile = Profile(method=method, capture=asked.capture)
    elif asked.capture:
        raise InputError(f"method {method} makes no image", "leave it out", "capture")
    else:
        profile = _PLAIN[method]
    return profile, hashlib.sha256(wire.encode(profile)).hexdigest()


def _choice(kind: type[Choice], text: str, where: str, known: tuple[Choice, ...]) -> Choice:
    if text not in known:
        raise InputError(f"{text!r:.40} is no {where}", f"choose: {', '.join(known)}", where)
    return kind(text)
