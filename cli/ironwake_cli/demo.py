"""`ironwake lab demo`: one virtual machine, from its power button to a healthy Debian, live."""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ironwake.errors import BrokenError
from ironwake_cli import media
from ironwake_cli.output import say
from ironwake_cli.session import Session, of
from ironwake_cli.signals import stopped_by_signals

if TYPE_CHECKING:
    from ironwake_lab import Rack
    from ironwake_lab.appliance import Appliance

RACK = "demo"
MACHINE = "node1"
MAC = "52:54:00:77:00:10"
MEDIA = ("debian-12-cloud",)
# Nobody logs in to a demonstration: the health report is the proof, the console shows the rest.
PROFILE = "release: debian-12-cloud\nmethod: archive\n"


def demo(
    context: typer.Context,
    keep: bool = typer.Option(False, "--keep", help="leave everything running until Ctrl-C"),
) -> None:
    """Watch one virtual machine go from its power button to a healthy Debian. Needs root.

    A rack without uplink is raised, with a plain foreign DHCP server and one machine with real UEFI
    firmware; the appliance is started beside it, the machine enrolled, deployed and woken. The end,
    or Ctrl-C, leaves nothing behind but what was built (in the cache folder).

    Example:

        ironwake lab demo --keep
    """
    from ironwake_lab import MachineSpec, Rack, RackSpec
    from ironwake_lab.appliance import Appliance, ApplianceSpec

    session = of(context)
    artifacts = session.settings.cache_dir / "artifacts"
    say("1. what is needed: boot loaders, deploy ramdisk, a Debian root archive")
    media.build(Session({**session.environ, "IRONWAKE_ARTIFACTS_DIR": str(artifacts)}), MEDIA)
    with ExitStack() as stack:
        stack.enter_context(stopped_by_signals())
        folder = Path(tempfile.mkdtemp(prefix="ironwake-demo-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        profiles = folder / "profiles"
        profiles.mkdir()
        (profiles / "debian.yaml").write_text(PROFILE)
        say("2. a rack without uplink: a router with plain DHCP, one machine, switched off")
        rack = stack.enter_context(Rack.up(RackSpec(RACK, (MachineSpec(MACHINE, MAC),))))
        say("3. the appliance beside it: controller, dhcp, tftp, dns, http")
        spec = ApplianceSpec(folder / "state", artifacts, profiles)
        appliance = stack.enter_context(Appliance(rack, spec))
        say(f"4. {MACHINE} is enrolled, armed, and woken by Wake-on-LAN")
        _deploy(appliance)
        if keep:
            _explain(rack, appliance)
            threading.Event().wait()


def _deploy(appliance: Appliance) -> None:
    for words in (
        ("enroll", MACHINE, "--mac", MAC),
        ("deploy", MACHINE, "--profile", "debian"),
    ):
        appliance.cli(*words)
    done = appliance.cli("watch", MACHINE, capture_output=False, check=False)
    if done.returncode:
        raise BrokenError(
            f"the deployment of {MACHINE} did not succeed",
            "the lines above say where it stopped; for more: make demo KEEP=1",
        )


def _explain(rack: Rack, appliance: Appliance) -> None:
    inside = f"{sys.argv[0]} lab exec {RACK}"
    state = appliance.environment["IRONWAKE_STATE_DIR"]
    token = f"{state}/secrets/admin.token"
    lines = (
        "",
        f"The API is at {appliance.url} inside the network namespace {rack.namespace}.",
        f"The token: {appliance.token}",
        "Try, in another terminal:",
        f"  {inside} -- ironwake --token-file {token} machine show {MACHINE}",
        f"  {inside} -- ironwake --token-file {token} plan {MACHINE}",
        f"  {sys.argv[0]} lab console {RACK} {MACHINE}",
        "Ctrl-C takes everything down.",
    )
    for line in lines:
        say(line)
