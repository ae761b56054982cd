"""The port: ours, or a plain word about who has it."""

from __future__ import annotations

import os
import socket

import pytest

from ironwake.errors import InputError, RefusedError
from ironwake_http.ports import listen


@pytest.mark.parametrize("theirs", ["127.0.0.1", "0.0.0.0"])
def test_a_busy_port_names_its_owner(theirs: str) -> None:
    """When somebody listens there, or on all addresses, the error names port, program and pid."""
    with socket.create_server((theirs, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(RefusedError) as raised:
            listen("127.0.0.1", port)
    assert raised.value.what.startswith(f"TCP port {port}, which the http service needs, is in use")
    assert raised.value.what.endswith(f"(pid {os.getpid()})")
    assert raised.value.where == "IRONWAKE_HTTP_PORT"


def test_an_address_of_another_host() -> None:
    """An address that this host does not have is an error of the settings."""
    with pytest.raises(InputError, match="no address of this host"):
        listen("192.0.2.1", 0)
