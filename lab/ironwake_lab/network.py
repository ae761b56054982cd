"""The rack's network: two namespaces without uplink, a bridge, one tap per network card.

    namespace iw-NAME                                   namespace iw-NAME-gw
    ┌───────────────────────────────────────────┐       ┌──────────────────────┐
    │ appliance 10.77.0.2 on br0 ── gateway ────┼─ veth ┼── eth0 router 10.77.0.1 │
    │                       ├─ tap0-0 (machine) │       └──────────────────────┘
    │                       └─ tap1-0 (machine) │
    └───────────────────────────────────────────┘

Interface names repeat from rack to rack: each is born inside its own namespace, none in the host's.
The second namespace is there even without a router: a bridge whose ports are all down has no
carrier, and then drops what the appliance sends, magic packets included.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ironwake.errors import BrokenError, RefusedError
from ironwake_lab.host import call, call_each
from ironwake_lab.spec import RackSpec

BRIDGE = "br0"
GATEWAY_PORT = "gateway"
NETNS = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_RA_PREFIX = "fd77::1/64"
_T = TypeVar("_T")


def namespace_of(name: str) -> str:
    """The namespace of the appliance and the machines."""
    return f"iw-{name}"


def gateway_of(name: str) -> str:
    """The namespace of the router."""
    return f"iw-{name}-gw"


def taps_of(spec: RackSpec, index: int) -> tuple[str, ...]:
    """The taps of the machine at this place of the rack, one per card (names are per namespace)."""
    return tuple(f"tap{index}-{card}" for card in range(len(spec.machines[index].cards)))


def enter(namespace: str) -> list[str]:
    """Words to put before a command so that it runs inside.

    Not `ip netns exec` or `ip -n`: those also remount /sys, in a mount namespace of their own,
    which cannot be had in a chroot.
    """
    return ["nsenter", f"--net={NETNS / namespace}"]


def inode(namespace: str) -> int | None:
    """What the namespace is known by to the kernel; None when there is none of that name."""
    try:
        return (NETNS / namespace).stat().st_ino
    except OSError:
        return None


def create(spec: RackSpec) -> None:
    """Raise the network; RefusedError when a namespace of that name is already there."""
    inside, gateway = namespace_of(spec.name), gateway_of(spec.name)
    for namespace in (inside, gateway):
        if (NETNS / namespace).exists():
            raise RefusedError(
                f"the network namespace {namespace} exists already and is not this rack's",
                f"choose another name, or remove it: ip netns delete {namespace}",
            )
    try:
        _build(spec, inside, gateway)
    except BaseException:  # Ctrl-C too leaves no half-built network
        remove(inside)
        remove(gateway)
        raise


def _build(spec: RackSpec, inside: str, gateway: str) -> None:
    for namespace in (inside, gateway):
        call(["ip", "netns", "add", namespace])
    # The appliance's side stays silent on IPv6, so that every frame with its address is somebody's
    # doing. On the router's side addresses are usable at once (no duplicate detection).
    _set(inside, "default/disable_ipv6=1")
    _set(gateway, "default/accept_dad=0" if spec.router else "default/disable_ipv6=1")
    call_each(_bridge(spec, inside, gateway))
    call_each(_gateway(spec, gateway))


def _set(namespace: str, setting: str) -> None:
    name, _, value = setting.partition("=")
    script = f'echo {value} >"/proc/sys/net/ipv6/conf/{name}" 2>/dev/null || :'  # no IPv6: no need
    call([*enter(namespace), "sh", "-c", script])


def _bridge(spec: RackSpec, inside: str, gateway: str) -> list[list[str]]:
    ip = [*enter(inside), "ip"]
    bridge = ["stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"]
    peer = ["peer", "name", "eth0", "netns", gateway]
    commands = [
        [*ip, "link", "set", "lo", "up"],
        # Its own fixed address: else it would change with each port that comes and goes.
        [*ip, "link", "add", BRIDGE, "address", spec.appliance_mac, "type", "bridge", *bridge],
        [*ip, "link", "add", GATEWAY_PORT, "type", "veth", *peer],
        [*ip, "link", "set", GATEWAY_PORT, "master", BRIDGE, "up"],
    ]
    for index in range(len(spec.machines)):
        for tap in taps_of(spec, index):
            commands.append([*ip, "tuntap", "add", "dev", tap, "mode", "tap"])
            commands.append([*ip, "link", "set", tap, "master", BRIDGE, "up"])
    broadcast = str(spec.network.broadcast_address)
    commands.append([*ip, "addr", "add", spec.appliance, "broadcast", broadcast, "dev", BRIDGE])
    commands.append([*ip, "link", "set", BRIDGE, "up"])
    return commands


def _gateway(spec: RackSpec, gateway: str) -> list[list[str]]:
    ip = [*enter(gateway), "ip"]
    commands = [[*ip, "link", "set", "lo", "up"]]
    if spec.router:
        address = f"{spec.router.address}/{spec.network.prefixlen}"
        commands.append([*ip, "link", "set", "eth0", "address", spec.router.mac])
        commands.append([*ip, "addr", "add", address, "dev", "eth0"])
        if spec.router.advertise:
            commands.append([*ip, "addr", "add", _RA_PREFIX, "dev", "eth0", "nodad"])
    return [*commands, [*ip, "link", "set", "eth0", "up"]]


def processes(namespace: str) -> list[int]:
    """The pids of all that still runs inside."""
    wanted = inode(namespace)
    found = []
    for entry in Path("/proc").iterdir() if wanted is not None else ():
        if entry.name.isdigit():
            try:
                if (entry / "ns" / "net").stat().st_ino == wanted:
                    found.append(int(entry.name))
            except OSError:  # it ended meanwhile
                continue
    return found


def remove(namespace: str) -> None:
    """Delete a namespace, if it exists; its links go with it."""
    if (NETNS / namespace).exists():
        call(["ip", "netns", "delete", namespace])


def inside(namespace: str, make: Callable[[], _T]) -> _T:
    """Call `make` (which opens a socket) inside; the socket stays there and works from anywhere.

    setns(2) moves the calling thread only, so a thread that ends right after does it.
    """
    result: list[_T] = []
    failure: list[Exception] = []

    def visit() -> None:
        try:
            handle = os.open(NETNS / namespace, os.O_RDONLY | os.O_CLOEXEC)
            try:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(handle, _CLONE_NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number))
            finally:
                os.close(handle)
            result.append(make())
        except OSError as error:
            failure.append(error)

    thread = threading.Thread(target=visit, name=f"visit-{namespace}")
    thread.start()
    thread.join()
    if failure:
        raise BrokenError(f"cannot work inside the namespace {namespace}: {failure[0]}")
    return result[0]
