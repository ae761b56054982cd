"""cloud-init's seed (NoCloud), and what of its words several of us use.

Whoever boots with `ds=nocloud…;s=URL/` asks for URL/meta-data, user-data and vendor-data; since
24.3 for network-config too. The URL ends in a slash: older ones only put the name behind it. Every
file is there, if empty: for one that is missing it asks ten times more, a second apart (22.4).
All of it is JSON, which is YAML (see `text`), and needs no quoting of ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from ironwake.errors import InputError
from ironwake.mac import Mac
from ironwake.parameters.model import Parameters, RootPolicy, User
from ironwake.parameters.network import BOOT, Device, Kind, Network
from ironwake.report import Callback, Stage

USER_DATA, META_DATA = "user-data", "meta-data"
VENDOR_DATA, NETWORK_CONFIG = "vendor-data", "network-config"
FILES: Final = (USER_DATA, META_DATA, VENDOR_DATA, NETWORK_CONFIG)
HEADER: Final = "#cloud-config\n"
# Up to 24.0 "nocloud" alone takes no HTTP; the long word goes on to work, but is told to be old.
OLD_NAME: Final = "nocloud-net"


def argument(url: str, name: str = OLD_NAME) -> str:
    """The kernel's argument; `url` is the folder's, with its slash at the end."""
    return f"ds={name};s={url}"


def seed(instance: str, hostname: str, user: Mapping[str, Any], network: Any) -> dict[str, str]:
    """All files by name. `instance` is another one for each deployment: all is done anew then."""
    return {
        USER_DATA: HEADER + text(user),
        META_DATA: text({"instance-id": instance, "local-hostname": hostname}),
        VENDOR_DATA: "",
        NETWORK_CONFIG: text(network),
    }


def text(data: Any) -> str:
    """JSON that is YAML, too: PyYAML makes two characters of an escaped pair of surrogates, and
    takes no control characters as they are.
    """
    dumped = json.dumps(data, indent=1, ensure_ascii=False)
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", dumped) + "\n"


_CONTROL: Final = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def parse(name: str, content: str) -> Any:
    """A file of the seed as data again; InputError where it is none."""
    if name == VENDOR_DATA and not content:
        return {}
    if name == USER_DATA:
        if not content.startswith(HEADER):
            raise InputError(f"{name} is no cloud-config", "begin it with #cloud-config", name)
        content = content.removeprefix(HEADER)
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise InputError(f"{name} is no JSON", "", name) from None


def users(parameters: Parameters) -> list[dict[str, Any]]:
    """All accounts; cloud-init's usual one is not among them."""
    found = [user(one) for one in parameters.users]
    if parameters.root is RootPolicy.KEYS:
        found.append({"name": "root", "ssh_authorized_keys": list(parameters.root_keys)})
    elif parameters.root is RootPolicy.PASSWORD:
        password = parameters.root_password_hash
        found.append({"name": "root", "lock_passwd": False, "hashed_passwd": password})
    # An empty list is invalid, and without one it makes its usual account.
    return found or [{"name": "root", "lock_passwd": True}]


def user(one: User) -> dict[str, Any]:
    words: dict[str, Any] = {
        "name": str(one.name),
        "shell": "/bin/bash",
        "lock_passwd": not (one.password_hash or one.password),
    }
    if one.full_name:
        words["gecos"] = one.full_name
    if one.admin:
        words["sudo"] = "ALL=(ALL:ALL) NOPASSWD: ALL"
    if one.groups:
        words["groups"] = [str(group) for group in one.groups]
    if one.ssh_keys:  # cloud-init calls an empty list invalid
        words["ssh_authorized_keys"] = list(one.ssh_keys)
    if one.password_hash:
        words["hashed_passwd"] = one.password_hash  # of one that is there already, too
    elif one.password:
        words["plain_text_passwd"] = one.password
    return words


def system(parameters: Parameters, hostname: str, domain: str) -> dict[str, Any]:
    """Who the system is, and who may enter: the part of user-data that all have."""
    found: dict[str, Any] = {
        "hostname": hostname,
        "fqdn": f"{hostname}.{domain}",
        "preserve_hostname": False,
        "manage_etc_hosts": True,
        "users": users(parameters),
        "disable_root": parameters.root is not RootPolicy.KEYS,
        "ssh_pwauth": False,
        "timezone": parameters.timezone,
    }
    if parameters.ntp:
        found["ntp"] = {"enabled": True, "servers": list(parameters.ntp)}
    return found


def network_config(network: Network, mac: Mac) -> dict[str, Any]:
    """Version 2 (netplan's), of a machine that booted from `mac`: cards are known by their MACs."""
    return _Config(network, mac).whole()


class _Config:
    """Goes through the devices from the bottom up."""

    def __init__(self, network: Network, mac: Mac) -> None:
        self._network = network
        self._boot = mac
        self._cards: dict[str, str] = {}  # MAC → what its entry is called
        self._sections: dict[str, dict[str, Any]] = {}

    def whole(self) -> dict[str, Any]:
        devices = self._network.devices or (Device("boot0", dhcp=True),)
        names = {device.name for device in devices}
        carrier = next((one.name for one in devices if one.gateway), "") or next(
            (one.name for one in devices if one.dhcp or one.addresses), ""
        )
        # Cards first: whatever stands on one knows then what it is called.
        for device in sorted(devices, key=lambda one: one.kind is not Kind.CARD):
            entry = self._entry(device, names) | _addresses(device)
            if device.name == carrier:
                entry |= self._resolver()
            section = "ethernets" if device.kind is Kind.CARD else f"{device.kind}s"
            self._sections.setdefault(section, {}).setdefault(device.name, {}).update(entry)
        return {"version": 2, **self._sections}

    def _entry(self, device: Device, names: set[str]) -> dict[str, Any]:
        if device.kind is Kind.CARD:
            mac = self._mac(device.of[0])
            if mac in self._cards:
                raise InputError(f"the card {mac} is used twice", "name it once", "network")
            self._cards[mac] = device.name
            return {"match": {"macaddress": mac}}
        below = [one if one in names else self._card(self._mac(one)) for one in device.of]
        if len(set(below)) < len(below):
            raise InputError(f"{device.name} has a card twice", "name it once", "network")
        if device.kind is Kind.VLAN:
            return {"id": device.vlan, "link": below[0]}
        entry: dict[str, Any] = {"interfaces": below}
        if self._network.carries(device, self._boot):
            entry["macaddress"] = str(self._boot)
        if device.kind is Kind.BRIDGE:
            return entry | {"parameters": {"stp": False}}
        return entry | {"parameters": {"mode": str(device.mode), "mii-monitor-interval": 100}}

    def _mac(self, word: str) -> str:
        return str(self._boot if word == BOOT else Mac(word))

    def _card(self, mac: str) -> str:
        """The entry of a card that only carries others; no device is called like a number."""
        if mac not in self._cards:
            self._cards[mac] = mac.replace(":", "")
            entry = {"match": {"macaddress": mac}, "dhcp4": False}
            self._sections.setdefault("ethernets", {})[self._cards[mac]] = entry
        return self._cards[mac]

    def _resolver(self) -> dict[str, Any]:
        found = {
            "addresses": list(self._network.name_servers),
            "search": [str(one) for one in self._network.search],
        }
        found = {key: value for key, value in found.items() if value}
        return {"nameservers": found} if found else {}


def _addresses(device: Device) -> dict[str, Any]:
    found: dict[str, Any] = {"dhcp4": device.dhcp}
    if device.dhcp:
        found["dhcp-identifier"] = "mac"  # what our reservations are by
    if device.addresses:
        found["addresses"] = list(device.addresses)
    if device.gateway:
        # Not "default": cloud-init's own renderers, and old netplans, know no such word.
        every = "::/0" if ":" in device.gateway else "0.0.0.0/0"
        found["routes"] = [{"to": every, "via": device.gateway}]
    if device.mtu:
        found["mtu"] = device.mtu
    return found


def phone_home(url: str) -> dict[str, Any]:
    """The module's words: it posts a form once the first boot is done."""
    return {"url": url, "post": list(_POSTED), "tries": 10}


_POSTED: Final = ("instance_id", "hostname", "fqdn", "pub_key_ed25519")
_FORM: Final = "application/x-www-form-urlencoded"


def heard(content_type: str, body: bytes, stage: Stage) -> Callback | None:
    """What a form of `phone_home` says, as progress of `stage`; None where it is none."""
    if content_type.partition(";")[0].strip().lower() != _FORM:
        return None
    try:
        form = dict(parse_qsl(body.decode(), max_num_fields=32))
    except ValueError:
        return None
    if "instance_id" not in form:
        return None
    name = form.get("fqdn") or form.get("hostname", "")
    key = form.get("pub_key_ed25519", "")
    said = f"cloud-init has finished on {name:.253}"
    if key.startswith("ssh-"):
        said += f"; its host key is {' '.join(key.split()[:2]):.200}"
    return Callback(stage, id=f"phone-{form['instance_id']:.60}", step="cloud-init", message=said)
