"""A scene: a rack with machines and, beside it, the whole appliance, for end-to-end tests."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironwake.progress import silent
from ironwake_imager import media
from ironwake_lab import MachineSpec, Rack, RackSpec, RouterSpec
from ironwake_lab.appliance import Appliance, ApplianceSpec
from ironwake_lab.capture import Frame
from ironwake_lab.firmware import FIRMWARE
from ironwake_runtime.aptsources import host_mirror
from ironwake_runtime.artifacts import ArtifactStore

# A whole deployment takes a minute and a half on two quiet cores; they need not be quiet.
DEPLOY_SECONDS = 900.0
BOOT_SECONDS = 600.0
_ARP = 0x0806
CACHE = Path(os.environ.get("IRONWAKE_CACHE_DIR") or "/var/cache/ironwake")
ARTIFACTS = CACHE / "artifacts"
PROFILES = {
    "debian": "release: debian-12-cloud\nmethod: archive\n",
    "installer": "release: debian-12-cloud\nmethod: script\n",
}


def build(*names: str) -> Path:
    """The store with these media and what they need, cached by the hash of their inputs."""
    store = ArtifactStore(ARTIFACTS)
    for name in media.with_needs(names):
        media.add(name, store, CACHE, host_mirror(), silent)
    return ARTIFACTS


def copied(store: Path, to: Path) -> Path:
    """A store that may be changed by files being replaced, never by their being written to."""
    shutil.copytree(store, to, copy_function=_link)
    return to


def _link(source: str, target: str) -> None:
    with contextlib.suppress(OSError):  # another file system, or one without hard links
        os.link(source, target)
        return
    shutil.copy2(source, target)


def node(number: int = 1, **options: Any) -> MachineSpec:
    """Machine `node<number>` with a MAC address of its own; `options` as of MachineSpec."""
    options = {"mac": f"52:54:00:77:00:{15 + number:02x}", **options}
    return MachineSpec(f"node{number}", **options)


@dataclass(frozen=True)
class Scene:
    rack: Rack
    appliance: Appliance
    state: Path
    profiles: Path
    artifacts: Path

    def enrol(self, machine: MachineSpec) -> None:
        """By the API, as `curl` would."""
        architecture = FIRMWARE[machine.firmware].architecture
        body = {"name": machine.name, "macs": [machine.mac], "architecture": architecture}
        self.appliance.api("POST", "/v1/machines", body, expect=201)

    def deploy(self, name: str, profile: str = "debian", **more: Any) -> str:
        """Arm and wake; the deployment's id."""
        path = f"/v1/machines/{name}/deploy"
        answer = self.appliance.api("POST", path, {"profile": profile, **more}, expect=201)
        return str(answer["id"])

    def succeed(self, deployment: str) -> dict[str, Any]:
        """Wait until it has succeeded."""
        return self.appliance.wait_deployment(deployment, {"succeeded"}, DEPLOY_SECONDS)

    def wait_kernel(self, deployment: str) -> None:
        """Wait until the machine has fetched the ramdisk's kernel."""
        self.appliance.wait_event(deployment, lambda e: e["kind"] == "kernel", BOOT_SECONDS)

    def events(self, deployment: str) -> list[dict[str, Any]]:
        """All of its events, oldest first."""
        path = f"/v1/deployments/{deployment}/events?limit=1000"
        items: list[dict[str, Any]] = self.appliance.api("GET", path)["items"]
        return items

    def ours(self, frames: list[Frame]) -> list[Frame]:
        """Those that left the appliance's card."""
        mac = bytes.fromhex(self.rack.spec.appliance_mac.replace(":", ""))
        return [frame for frame in frames if frame.source == mac]

    def said(self, frames: list[Frame]) -> list[Frame]:
        """All that left the appliance's card, whomever it is for, answers to ARP aside.

        Those are the kernel's word about whose an address is, given to whoever asks; no service
        has a part in them. A question by ARP is one of ours, for somebody here wanted to speak.
        """
        answer = (_ARP, b"\0\2")
        return [
            frame for frame in self.ours(frames) if (frame.ethertype, frame.data[20:22]) != answer
        ]


@contextlib.contextmanager
def scene(
    folder: Path,
    *machines: MachineSpec,
    profiles: Mapping[str, str] = PROFILES,
    settings: Mapping[str, str] | None = None,
    router: RouterSpec | None = RouterSpec(),  # noqa: B008 (frozen)
    artifacts: Path = ARTIFACTS,
) -> Iterator[Scene]:
    """Raise it, and take everything down at the end. `folder` takes the appliance's state."""
    files = folder / "profiles"
    files.mkdir(exist_ok=True)
    for name, text in profiles.items():
        (files / f"{name}.yaml").write_text(text)
    spec = RackSpec(f"t{secrets.token_hex(4)}", machines, router)
    with Rack.up(spec) as rack:
        at = ApplianceSpec(folder / "state", artifacts, files, settings or {})
        with Appliance(rack, at) as appliance:
            yield Scene(rack, appliance, at.state, files, artifacts)
