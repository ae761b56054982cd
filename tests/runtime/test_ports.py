"""Who has a port, as the kernel's tables tell it; tables and processes are files of the test's."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironwake.errors import InputError
from ironwake_runtime.ports import Port, endpoint, holder, holds

_HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout"


def _process(proc: Path, pid: int, cmdline: str, comm: str, inode: int = 0) -> None:
    folder = proc / str(pid)
    (folder / "fd").mkdir(parents=True)
    (folder / "cmdline").write_text(cmdline)
    (folder / "comm").write_text(f"{comm}\n")
    if inode:
        (folder / "fd" / "3").symlink_to(f"socket:[{inode}]")


def _table(proc: Path, name: str, *rows: tuple[str, str, int]) -> None:
    """`rows` are local address and port, state, inode; as proc(5) has them."""
    (proc / "net").mkdir(exist_ok=True)
    lines = [
        f"  {n}: {local} 00000000:0000 {state} 0:0 00:0 0 0 0 {inode} 2 0 0"
        for n, (local, state, inode) in enumerate(rows)
    ]
    (proc / "net" / name).write_text("\n".join((_HEAD, *lines)) + "\n")


@pytest.mark.parametrize(
    ("cmdline", "comm", "name"),
    [
        ("/usr/bin/python3\0-m\0ironwake_dhcp\0", "python3", "ironwake_dhcp"),
        ("/usr/sbin/dnsmasq\0-k\0", "dnsmasq", "dnsmasq"),
    ],
)
def test_the_holder_is_called_by_its_name(
    tmp_path: Path, cmdline: str, comm: str, name: str
) -> None:
    """A program by its own; "python" says nothing: of `python -m NAME` a person reads NAME."""
    _process(tmp_path, 7, "sleep\09\0", "sleep")
    _process(tmp_path, 812, cmdline, comm, 4711)
    _table(tmp_path, "udp", ("00000000:0043", "07", 4711))
    port = Port("dhcp", "udp", 67, "IRONWAKE_DHCP_PORT", interface="eth0")
    assert holder(port, tmp_path) == f"{name} (pid 812)"


def test_only_a_listener_in_our_way_is_the_holder(tmp_path: Path) -> None:
    """Another address's listener, and a connection from that port, keep nobody from it."""
    _process(tmp_path, 1, "one\0", "one", 11)
    _process(tmp_path, 2, "two\0", "two", 12)
    _table(tmp_path, "tcp", ("0202000A:0050", "0A", 11), ("0102000A:0050", "01", 12))
    port = Port("http", "tcp", 80, "IRONWAKE_HTTP_PORT", "10.0.2.1")
    assert holder(port, tmp_path) == ""
    _table(tmp_path, "tcp6", ("0" * 32 + ":0050", "0A", 12))
    assert holder(port, tmp_path) == "two (pid 2)"


def test_a_health_check_believes_its_own_process_only(tmp_path: Path) -> None:
    """With the host's network, anyone's socket on the port shows: it must be that process's."""
    _process(tmp_path, 1, "tftp\0", "tftp", 11)
    _process(tmp_path, 2, "other\0", "other", 12)
    _table(tmp_path, "udp", ("00000000:0045", "07", 12))
    assert not holds("udp", 69, 1, tmp_path)
    _table(tmp_path, "udp", ("00000000:0045", "07", 11))
    assert holds("udp", 69, 1, tmp_path)


@pytest.mark.parametrize(
    ("text", "pair"), [("127.0.0.1:8080", ("127.0.0.1", 8080)), ("[::1]:0", ("::1", 0))]
)
def test_an_endpoint(text: str, pair: tuple[str, int]) -> None:
    """Address and port, of either family."""
    assert endpoint(text, "IRONWAKE_CONTROLLER_LISTEN") == pair


@pytest.mark.parametrize("text", ["8080", ":8080", "127.0.0.1:", "127.0.0.1:x", "host:65536"])
def test_no_endpoint(text: str) -> None:
    """What has no address or no port is said, with the setting."""
    with pytest.raises(InputError, match="not an address and a port") as raised:
        endpoint(text, "IRONWAKE_CONTROLLER_LISTEN")
    assert raised.value.where == "IRONWAKE_CONTROLLER_LISTEN"
