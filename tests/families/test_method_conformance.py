"""Methods archive and disk-image keep the families' promise: each parameter is told to the new
system or refused by name, by the controller or by the agent, and none is lost.

What is asked is the families' own table; the new systems are trees that look like distributions',
and the agent's own code sets them up.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest

from ironwake import wire
from ironwake.errors import BrokenError, InputError, IronwakeError
from ironwake.methods import METHODS
from ironwake.order import Order
from ironwake.parameters import Parameters
from ironwake.parameters.model import Repository, Security
from ironwake.profile import Method, Seed
from ironwake_agent import install
from ironwake_agent.client import Answer
from ironwake_agent.image import adopt, system
from ironwake_agent.install import Hands
from ironwake_agent.network import Lease
from ironwake_agent.report import Reporter
from ironwake_agent.scripts import Ear
from ironwake_testing.core import MAC, Bench, make_bench
from tests.agent.rig import BIOS, Recorder
from tests.families.conformance import NETWORKS, PGP, SAMPLES
from tests.families.test_conformance import _OWN, _WITH, _check_named

LEASE = Lease("eth0", "192.0.2.7", ("192.0.2.53",))
_SUITE = Repository("extra", "http://192.0.2.9/extra", "stable")
WANTS, VENDOR = "etc/systemd/system/multi-user.target.wants", "usr/lib/systemd/system"


@dataclass(frozen=True)
class System:
    """What a new system has: empty files, files with a text, and links (of units that are on)."""

    files: tuple[str, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    on: tuple[str, ...] = ()

    def make(self, root: Path) -> Path:
        for name, text in (*((name, "") for name in self.files), *_ALL, *self.texts):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        (root / WANTS).mkdir(parents=True)
        for unit in self.on:
            (root / WANTS / unit).symlink_to(f"/{VENDOR}/{unit}")
        (root / "usr/bin").mkdir(parents=True, exist_ok=True)
        (root / "root").mkdir(exist_ok=True)
        (root / "bin").symlink_to("usr/bin")
        shutil.copy(shutil.which("busybox") or "", root / "bin/busybox")
        (root / "bin/sh").symlink_to("busybox")
        return root


_ALL = (
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
    ("etc/shadow", "root:*:1::::::\n"),
    ("etc/group", "root:x:0:\nsudo:x:27:\naudio:x:29:\n"),
    ("etc/gshadow", "root:*::\n"),
    ("etc/default/grub", 'GRUB_CMDLINE_LINUX=""\n'),
    ("boot/grub/grub.cfg", "\tlinux /boot/vmlinuz root=/dev/vda1\n"),
    ("usr/share/zoneinfo/Europe/Berlin", ""),
    ("usr/lib/systemd/systemd", ""),
)
_SOURCES = "deb http://old.example/debian bookworm main\n"
DEBIAN = System(
    (
        *("boot/vmlinuz-6", "boot/initrd.img-6", "usr/bin/apt-get", "usr/sbin/locale-gen"),
        *("usr/lib/systemd/systemd-networkd", "usr/lib/systemd/systemd-resolved"),
        *(f"{VENDOR}/systemd-timesyncd.service", "usr/sbin/apparmor_parser"),
    ),
    (
        ("etc/os-release", "ID=debian\nVERSION_CODENAME=bookworm\n"),
        ("etc/apt/sources.list", _SOURCES),
    ),
)
CLOUD = replace(DEBIAN, files=(*DEBIAN.files, "usr/bin/cloud-init", "etc/cloud/cloud.cfg"))
ROCKY = System(
    (f"{VENDOR}/chronyd.service", "usr/bin/dnf", "etc/chrony.conf"),
    (
        ("etc/os-release", "ID=rocky\n"),
        ("etc/selinux/config", "SELINUX=enforcing\n"),
        ("etc/dnf/dnf.conf", "[main]\n"),
    ),
    ("NetworkManager.service",),
)
BARE = System()  # nothing but a kernel's menu and accounts
WAYS = {
    "archive": (Method.ARCHIVE, Seed.FILES, DEBIAN),
    "disk-image-debian": (Method.DISK_IMAGE, Seed.FILES, DEBIAN),
    "disk-image-rocky": (Method.DISK_IMAGE, Seed.FILES, ROCKY),
    "disk-image-bare": (Method.DISK_IMAGE, Seed.FILES, BARE),
    "disk-image-nocloud": (Method.DISK_IMAGE, Seed.NOCLOUD, CLOUD),
    "disk-image-none": (Method.DISK_IMAGE, Seed.NONE, DEBIAN),
}
every_way = pytest.mark.parametrize("way", WAYS)
# Of these a system says nothing by itself: what the profile leaves out is what it has.
_SILENT = {"security"}
# With `seed: none` these are said to stay as the image has them.
_AS_IT_IS = {"hostname", "domain", "locale", "keyboard", "timezone", "users", "kernel_arguments"}


def stated(way: str, **parameters: Any) -> Bench:
    method, seed, _ = WAYS[way]
    bench = make_bench().with_method(method)
    profile = replace(bench.deployment.profile, seed=seed)
    deployment = replace(
        bench.deployment,
        profile=profile,
        parameters=Parameters(**parameters),
        origins=dict.fromkeys(parameters, "the site"),
    )
    return replace(bench, deployment=deployment)


def order(way: str, **parameters: Any) -> Order:
    """What the agent gets; InputError where the controller refuses."""
    bench = stated(way, **parameters)
    method = METHODS[bench.deployment.profile.method]
    method.check(bench.deployment, bench.machine, MAC, bench.policy)
    grant = method.payload(bench.deployment, bench.machine, MAC, bench.policy)
    return wire.decode(Order, grant.text)


def carried_out(way: str, told: Order, root: Path) -> str:
    """All that the new system is then, and what its programs were told; BrokenError where the
    agent refuses.
    """
    _, seed, made = WAYS[way]
    made.make(root)
    run = Recorder()
    if told.image is None:
        hands = Hands(run, Reporter(lambda _: Answer(204, b"")), lambda _: None, ())
        install.configure(hands, told, BIOS, LEASE, root)
    else:
        system.configure(root, told, seed, lambda _: None)
        hand = adopt.Hand(run, lambda _: None, root, uefi=False)
        adopt.finish(hand, told, seed, LEASE, Ear(lambda _: None, lambda _: None))
    return _text(root) + "\n".join(" ".join(call) for call in run.calls)


def _text(root: Path) -> str:
    lines = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            lines.append(f"{name} -> {path.readlink()}")
        elif path.is_file() and name != "usr/bin/busybox":
            lines.append(f"{name}:\n{path.read_text()}")
    return "\n".join(lines)


def _check_told(error: IronwakeError, name: str) -> None:
    """It names the parameter, and what to do."""
    assert name in f"{error.where} {error}"
    assert error.next_step


@every_way
@pytest.mark.parametrize("name", SAMPLES)
def test_each_parameter_is_in_the_order_or_refused_by_name(way: str, name: str) -> None:
    """The agent gets its very value; else the controller names it, when the machine is armed."""
    for sample in SAMPLES[name]:
        try:
            told = order(way, **sample.stated)
        except InputError as error:
            _check_named(error, name, *sample.stated)
            continue
        given = {one.name: getattr(told, one.name) for one in fields(Order)}
        given |= {"hostname": told.machine}
        for key, value in sample.stated.items():
            assert given[key] == value


@pytest.mark.root
@every_way
@pytest.mark.parametrize("name", SAMPLES)
def test_each_parameter_is_in_the_new_system_or_refused_by_name(
    way: str, name: str, tmp_path: Path
) -> None:
    """Stated, it changes what the system is, and its value is found there; else it is named."""
    for number, sample in enumerate(SAMPLES[name]):
        places = [tmp_path / f"{number}-{kind}" for kind in ("before", "after")]
        if "scripts" in sample.stated and sample.stated["scripts"].pre:
            continue  # it runs before there is a new system
        given = sample.stated
        if "scripts" in given:
            given = {"scripts": replace(given["scripts"], post="echo post-script >/told")}
        before = carried_out(way, order(way), places[0])
        try:
            after = carried_out(way, order(way, **given), places[1])
        except (InputError, BrokenError) as error:
            _check_told(error, name)
            continue
        if way.endswith("none") and name in _AS_IT_IS:
            continue
        assert (PGP if name == "repositories" else sample.word.replace("echo ", "")) in after
        if name not in _SILENT:
            assert after != before


@pytest.mark.root
@every_way
@pytest.mark.parametrize("kind", NETWORKS)
def test_each_network_is_told_or_refused_by_name(way: str, kind: str, tmp_path: Path) -> None:
    """Cards, bonds, VLANs and bridges, with each manager of networks that a system may have."""
    network = NETWORKS[kind]
    try:
        text = carried_out(way, order(way, network=network), tmp_path)
    except (InputError, BrokenError) as error:
        _check_told(error, "network")
        refused = True
    else:
        refused = False
    assert refused is (kind != "dhcp" and way in ("disk-image-bare", "disk-image-none"))
    if refused:
        return
    for device in network.devices:
        assert (device.name if device.kind != "card" else str(MAC)) in text.lower()
        assert all(address in text for address in device.addresses)


@every_way
def test_what_is_for_another_familys_installer_is_no_matter(way: str) -> None:
    """A site's fragments are by family: those of others are for others."""
    assert order(way, fragments={"redhat": "eula --agreed"})
    if way == "archive":
        with pytest.raises(InputError, match="takes no fragments"):
            order(way, fragments={"debian": "d-i a/b string c"})


@pytest.mark.parametrize("method", ["archive", "script"])
@pytest.mark.parametrize(
    ("where", "wrong"),
    [
        ("package_groups", {"package_groups": ("Development Tools",)}),
        ("repositories[0].suite", {"repositories": (_SUITE,)}),
        ("repositories[0].suite", {"repositories": (replace(_SUITE, suite=""),)}),
        ("security", {"security": Security.PERMISSIVE}),
    ],
)
def test_what_apt_could_not_read_is_refused_before_a_disk_is_written(
    method: str, where: str, wrong: dict[str, Any]
) -> None:
    """By each method that installs a Debian, and by name."""
    bench = make_bench().with_method(Method(method))
    deployment = replace(bench.deployment, parameters=Parameters(**wrong))
    with pytest.raises(InputError) as caught:
        METHODS[Method(method)].check(deployment, bench.machine, MAC, bench.policy)
    assert caught.value.where.endswith(where)
    flat = Parameters(repositories=(replace(_SUITE, suite="flat/"),))
    deployment = replace(bench.deployment, parameters=flat)
    METHODS[Method(method)].check(deployment, bench.machine, MAC, bench.policy)


def test_an_order_that_installs_nothing_has_none_of_it() -> None:
    """What wipes, rescues or captures has no business with passwords and scripts."""
    given = {name: value for one in SAMPLES.values() for name, value in one[-1].stated.items()}
    for method in (Method.WIPE, Method.RESCUE, Method.CAPTURE):
        bench = make_bench().with_method(method)
        deployment = replace(bench.deployment, parameters=Parameters(**given), erase=("WD-1",))
        grant = METHODS[method].payload(deployment, bench.machine, MAC, bench.policy)
        told = wire.decode(Order, grant.text)
        assert (told.scripts, told.root_password_hash, told.proxy) == (
            Parameters().scripts,
            "",
            "",
        )


def test_every_parameter_is_asked() -> None:
    """One that is added to the model is asked of these methods, too, from then on."""
    assert {one.name for one in fields(Parameters)} == {*SAMPLES, *_OWN, *_WITH}
