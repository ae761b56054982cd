"""Machines by the hundred, enrolled and armed by the API as people do it; their media in small."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from ironwake.artifact import Manifest
from ironwake.errors import BrokenError
from ironwake.methods import ramdisk
from ironwake_bench import load, requests
from ironwake_bench.ground import Ours
from ironwake_lab.host import call_each
from ironwake_lab.network import enter
from ironwake_runtime.artifacts import ArtifactStore

API_HOST = "127.0.0.1:8080"
PROFILES = {
    "debian": "release: debian-12-cloud\nmethod: archive\n",
    "installer": "release: debian-12-cloud\nmethod: script\n",
}
_MEDIA = (
    ("ramdisk-cloud", "ramdisk", ramdisk.ROLES),
    ("loaders", "loaders", ("sb/shimx64.efi", "sb/grubx64.efi", "ipxe/undionly.kpxe")),
    ("debian-12-cloud", "media", ("archive", "installer-kernel", "installer-initrd")),
)
_ADDRESSES = IPv4Network("10.79.0.0/16")
_AT_ONCE = 4  # calls of the API
_ASKING = 32  # machines at the same time
_PATIENCE = 600  # seconds for all calls of one kind, on the busiest of hosts
_BATCH = 200  # observations in one call


def add_media(store: ArtifactStore) -> None:
    """What `ironwake media add` would publish, with a few bytes in place of each file."""
    for name, kind, roles in _MEDIA:
        artifacts = {role: store.add_bytes(f"{name} {role}".encode()) for role in roles}
        files = {role: role.rpartition("/")[2] for role in roles}
        facts = {"unpacked_bytes": 900_000_000}
        built = "2026-01-02T03:04:05Z"
        store.publish(Manifest(name, kind, built, "f" * 64, artifacts, files, facts))


@dataclass(frozen=True)
class Armed:
    """A machine that waits for its boot; `token` is its deployment's."""

    name: str
    mac: str
    deployment: str
    token: str
    health_token: str


def name_of(number: int) -> str:
    return f"node{number:05d}"


def mac_of(number: int) -> str:
    """A card of its own for each machine, as long as there are fewer than 65,536."""
    return f"52:54:00:b0:{number >> 8:02x}:{number & 255:02x}"


def enrol(ours: Ours, count: int, first: int = 0) -> None:
    """Machines number `first` and on."""
    bodies = (
        {"name": name_of(n), "macs": [mac_of(n)], "labels": {"rack": f"r{n % 50}"}}
        for n in range(first, first + count)
    )
    call(ours, (_post(ours, "/v1/machines", body) for body in bodies), "enrolled")


def arm(ours: Ours, numbers: Sequence[int], profile: str = "debian") -> list[Armed]:
    """Arm these machines; returns once every service goes by it."""
    body = {"profile": profile, "wake": False}
    call(
        ours,
        (_post(ours, f"/v1/machines/{name_of(n)}/deploy", body) for n in numbers),
        "armed",
    )
    ours.appliance.settle()
    wanted = {name_of(n) for n in numbers}
    return [one for one in armed(ours) if one.name in wanted]


def give_cards(ours: Ours, count: int) -> None:
    """The first machines' cards and addresses, at the generator's end: `cards` sends by them.

    Both ends know each other beforehand: hundreds of virtual cards that hear every ARP broadcast
    would be what is measured.
    """
    here, there = [], []
    appliance = ours.appliance.address
    for n in range(count):
        address = _ADDRESSES[n + 1]
        here += [
            f"link add link eth0 name m{n} address {mac_of(n)} type macvlan mode bridge",
            f"address add {address}/{_ADDRESSES.prefixlen} dev m{n}",
            f"link set m{n} up",
            f"route add {appliance} dev m{n} metric {n + 1}",
            f"neigh add {appliance} lladdr {ours.rack.spec.appliance_mac} dev m{n}",
        ]
        there.append(f"neigh add {address} lladdr {mac_of(n)} dev br0")
    # The rack's network is too small for all: the appliance reaches them on the same cable.
    there.insert(0, f"route add {_ADDRESSES} dev br0")
    enters = (enter(ours.rack.router_namespace), enter(ours.rack.namespace))
    for inside, lines in zip(enters, (here, there), strict=True):
        file = ours.folder / "cards"
        file.write_text("\n".join(lines) + "\n")
        call_each([[*inside, "ip", "-batch", str(file)]])
    # Each answers for its own address only, and asks with it.
    rules = "echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore; "
    rules += "echo 2 > /proc/sys/net/ipv4/conf/all/arp_announce"
    call_each([[*enters[0], "sh", "-c", rules]])


def cards(count: int) -> str:
    """The generator's option: request number L goes out by the card of machine L modulo `count`."""
    return f"devices=m:{count}"


def claim(ours: Ours, armed: Sequence[Armed], last: str) -> dict[str, Any]:
    """Each of the first machines takes what it was armed for, by its own card; what came of it.

    BrokenError where one did not get it.
    """
    host = ours.appliance.address
    made = [requests.get(f"/deployments/{one.token}/{last}", host) for one in armed]
    file = requests.write(ours.folder / "claims", made)
    words = (host, 80, file, _ASKING, _PATIENCE, "close", cards(len(made)))
    done = load.run(ours.rack, "http", *words)
    if done["fine"] != len(made) or not requests.all_taken(done):
        raise BrokenError(f"not all were given what they claimed: {done}")
    return done


def cancel(ours: Ours) -> None:
    """End all that is not over."""
    ends = [_post(ours, f"/v1/deployments/{one.deployment}/cancel", None) for one in armed(ours)]
    if ends:
        call(ours, iter(ends), "cancelled")


def armed(ours: Ours) -> Iterator[Armed]:
    """All whose latest deployment is not over, by name."""
    for entry in view(ours)["entries"]:
        deployment = entry["deployment"]
        if deployment and deployment["token"]:
            machine = entry["machine"]
            yield Armed(
                machine["name"],
                machine["macs"][0],
                deployment["id"],
                deployment["token"],
                deployment["health_token"],
            )


def give_addresses(ours: Ours, addresses: Sequence[str]) -> None:
    """Let machine number N be seen with address N, as the dhcp service would tell."""
    for start in range(0, len(addresses), _BATCH):
        items = [
            {
                "id": f"bench-{n}",
                "service": "dhcp",
                "seen": "address",
                "mac": mac_of(n),
                "client": addresses[n],
                "detail": {},
            }
            for n in range(start, min(start + _BATCH, len(addresses)))
        ]
        _internal(ours, "/internal/observations", {"items": items})
    ours.appliance.settle()


def view(ours: Ours) -> dict[str, Any]:
    """The data plane's view, as JSON."""
    found: dict[str, Any] = json.loads(_internal(ours, "/internal/view"))
    return found


def service_token(ours: Ours) -> str:
    return (ours.folder / "state" / "secrets" / "service.token").read_text().strip()


def call(ours: Ours, made: Iterator[bytes], what: str) -> dict[str, Any]:
    """Send these requests to the API, each once; BrokenError where one did not succeed."""
    file = requests.write(ours.folder / "requests", made)
    words = (*API_HOST.split(":"), file, _AT_ONCE, _PATIENCE)
    done = load.run(ours.rack, "http", *words, beside=True)
    if done["fine"] != done["started"] or not requests.all_taken(done) or not done["fine"]:
        raise BrokenError(f"not all were {what}: {done}", f"read {ours.appliance.log}")
    return done


def _post(ours: Ours, target: str, body: Any) -> bytes:
    admin = {"Authorization": f"Bearer {ours.appliance.token}"}
    return requests.post(target, API_HOST, body, admin)


def _internal(ours: Ours, path: str, body: Any = None) -> str:
    words = ["curl", "-fsS", "-H", f"Authorization: Bearer {service_token(ours)}"]
    if body is not None:
        words += ["-d", "@-"]
    text = json.dumps(body) if body is not None else None
    return ours.rack.run([*words, f"http://{API_HOST}{path}"], input=text).stdout
