"""The port: ours, or a plain word about who has it."""

from __future__ import annotations

import os
import socket

import pytest
from ironwake.errors import BrokenError, InputError
from ironwake_http.ports import listen, owner


def test_a_busy_port_names_its_owner() -> None:
    """When somebody listens there already, the error names the port, the program and its number."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BrokenError) as raised:
            listen("127.0.0.1", port)
    assert f"TCP port {port} of 127.0.0.1 is in use by " in raised.value.what
    assert f"(pid {os.getpid()})" in raised.value.what
    assert raised.value.where == "IRONWAKE_HTTP_PORT"


def test_a_listener_on_all_addresses_is_found() -> None:
    """A program that listens on every address is in our way just as much."""
    with socket.create_server(("0.0.0.0", 0)) as other:
        assert f"(pid {os.getpid()})" in owner("127.0.0.1", other.getsockname()[1])


def test_a_free_port_has_no_owner() -> None:
    """Where nobody listens, nobody is named."""
    with listen("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
    assert owner("127.0.0.1", port) == ""


def test_an_address_of_another_host() -> None:
    """An address that this host does not have is an error of the settings."""
    with pytest.raises(InputError, match="no address of this host"):
        listen("192.0.2.1", 0)
