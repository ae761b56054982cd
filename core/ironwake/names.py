"""Checked names: host names, user names and words that end up on a kernel command line."""

from __future__ import annotations

import re

from ironwake.errors import InputError

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}", re.ASCII)
# What a boot script or a shell would read as more than a word (Ironic CVE-2026-46447 was that).
_WORD = re.compile(r"[A-Za-z0-9_.,:=/@%+*~-]+", re.ASCII)


class HostName(str):
    """One DNS label, lower case (RFC 1123 §2.1): the machine's name."""

    __slots__ = ()

    def __new__(cls, text: str) -> HostName:
        if not _LABEL.fullmatch(text):
            raise InputError(
                f"{text!r:.80} is not a host name",
                "use 1 to 63 lower-case letters, digits and hyphens, such as node1",
                "name",
            )
        return str.__new__(cls, text)


def label_of(raw: bytes) -> str:
    """What a DHCP client calls itself (option 12), as one DNS label; "" where nothing is left.

    Clients send whole names, capitals, blanks, trailing zeros, and worse.
    """
    first = raw.rstrip(b"\0").decode("ascii", "replace").lower().partition(".")[0]
    label = re.sub(r"[^a-z0-9]+", "-", first).strip("-")[:63].rstrip("-")
    return label if _LABEL.fullmatch(label) else ""


class DomainName(str):
    """Labels joined by dots, lower case, 253 characters at most (RFC 1035 §2.3.4)."""

    __slots__ = ()

    def __new__(cls, text: str) -> DomainName:
        if len(text) > 253 or not all(_LABEL.fullmatch(part) for part in text.split(".")):
            raise InputError(
                f"{text!r:.80} is not a domain name", "write it as in site.example", "domain"
            )
        return str.__new__(cls, text)


class UserName(str):
    """A login name as Debian's adduser takes it."""

    __slots__ = ()

    def __new__(cls, text: str) -> UserName:
        if not _USER.fullmatch(text):
            raise InputError(
                f"{text!r:.80} is not a user name",
                "use lower-case letters, digits, hyphens; a letter first; 32 at most",
                "user",
            )
        return str.__new__(cls, text)


class KernelWord(str):
    """One argument of a kernel command line, with nothing that a boot script could misread."""

    __slots__ = ()

    def __new__(cls, text: str) -> KernelWord:
        if not _WORD.fullmatch(text):
            raise InputError(
                f"{text!r:.80} cannot stand on a kernel command line",
                "leave out blanks, quotes, and the characters { } $ ; | & < > ( )",
                "kernel_arguments",
            )
        return str.__new__(cls, text)
