"""Where it is measured: racks without machines, ours with the whole appliance, the peer's bare.

The load comes from the far end of the rack's cable, where a router would be: a veth pair and a
bridge, for both sides alike. The two racks stand side by side, and one is asked at a time.
"""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ironwake_lab import Rack, RackSpec, process
from ironwake_lab.appliance import Appliance, ApplianceSpec
from ironwake_lab.host import call_each
from ironwake_lab.network import enter
from ironwake_runtime.artifacts import ArtifactStore

LOAD_ADDRESS = "10.77.0.200"  # of the generator
_APPLIANCE = "10.77.0.2/24"


@dataclass(frozen=True)
class Ours:
    """The appliance as it is shipped: every service, every check."""

    rack: Rack
    appliance: Appliance
    folder: Path


@contextlib.contextmanager
def raised(spec: RackSpec) -> Iterator[Rack]:
    """The rack, without its power button: that looks at every frame for its magic packet, so here
    it would look at the load and take a third of two cores."""
    with Rack.up(spec) as rack:
        if pid := rack.button_pid:
            process.end(pid)
        yield rack


@contextlib.contextmanager
def bare(address: str = _APPLIANCE) -> Iterator[Rack]:
    """A rack with nobody in it, for a peer at that address."""
    spec = RackSpec(f"b{secrets.token_hex(4)}", (), None, address)
    with raised(spec) as rack:
        inside = enter(rack.router_namespace)
        mask = spec.network.prefixlen
        call_each(
            [
                [*inside, "ip", "address", "add", f"{LOAD_ADDRESS}/{mask}", "dev", "eth0"],
                [*inside, "ip", "link", "set", "eth0", "up"],
            ]
        )
        yield rack


@contextlib.contextmanager
def ours(
    settings: Mapping[str, str] | None = None,
    profiles: Mapping[str, str] | None = None,
    media: Callable[[ArtifactStore], None] | None = None,
    address: str = _APPLIANCE,
) -> Iterator[Ours]:
    """The appliance in a bare rack. Its state and its artifacts are gone afterwards.

    `media` puts what is to be served into the store before anything starts.
    """
    with bare(address) as rack, serving(rack, settings, profiles, media) as here:
        yield here


@contextlib.contextmanager
def serving(
    rack: Rack,
    settings: Mapping[str, str] | None = None,
    profiles: Mapping[str, str] | None = None,
    media: Callable[[ArtifactStore], None] | None = None,
) -> Iterator[Ours]:
    """The same in any rack."""
    with tempfile.TemporaryDirectory(prefix="ironwake-bench-") as name:
        folder = Path(name)
        (folder / "profiles").mkdir()
        for profile, text in (profiles or {}).items():
            (folder / "profiles" / f"{profile}.yaml").write_text(text)
        if media is not None:
            media(ArtifactStore(folder / "artifacts"))
        at = ApplianceSpec(
            folder / "state", folder / "artifacts", folder / "profiles", settings or {}
        )
        with Appliance(rack, at) as appliance:
            yield Ours(rack, appliance, folder)
