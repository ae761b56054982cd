"""Whose certificates are believed when a driver speaks HTTPS."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from ironwake.errors import InputError


def check_ca(pem: str) -> None:
    """InputError unless this is PEM text with certificates in it, or ""."""
    if not pem:
        return
    try:
        ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise InputError(
            "this is no certificate authority",
            "give a file with one or more certificates in PEM format (-----BEGIN CERTIFICATE-----)",
            "ca",
        ) from None


def context(verify: bool, pem: str) -> ssl.SSLContext:
    """Believes this authority alone, or those of this host, or everybody."""
    made = ssl.create_default_context(cadata=pem or None)
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


@contextmanager
def for_requests(verify: bool, pem: str) -> Iterator[bool | str]:
    """The same as `requests` wants it: a path, or whether to look at all.

    It has a bundle of its own; where this host has one, that counts: sites add theirs to it.
    """
    if not verify:
        yield False
        return
    if not pem:
        paths = ssl.get_default_verify_paths()
        yield paths.cafile or paths.capath or True
        return
    memory = os.memfd_create("ca")  # nothing to clean up, whatever becomes of this process
    try:
        os.write(memory, pem.encode())
        yield f"/proc/self/fd/{memory}"
    finally:
        os.close(memory)
