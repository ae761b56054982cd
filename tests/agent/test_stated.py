"""What a person stated, carried out in trees that look like distributions'."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from ironwake.errors import BrokenError
from ironwake.names import DomainName
from ironwake.order import Order
from ironwake.parameters.model import RootPolicy, Security
from ironwake.parameters.network import Device, Kind, Network
from ironwake_agent import confinement, packages, sources, stated, target
from ironwake_agent.network import Lease
from tests.agent.rig import KEY, ORDER, Recorder

UNITS, VENDOR = "etc/systemd/system", "usr/lib/systemd/system"
HASH = "$6$salt$" + "x" * 60
PGP = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----\n"
STATIC = Network(
    (
        Device("uplink", addresses=("192.0.2.7/24",), gateway="192.0.2.1"),
        Device("office", Kind.VLAN, ("uplink",), vlan=20, dhcp=True),
    ),
    ("192.0.2.53",),
    (DomainName("site.example"),),
)
DHCP = Network((Device("uplink", dhcp=True, mtu=1400),))


def tree(root: Path, *names: str) -> Path:
    """Empty files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def carry_out(root: Path, **changes: object) -> None:
    stated.carry_out(root, replace(ORDER, **changes))  # type: ignore[arg-type]


def read(root: Path, name: str) -> str:
    return (root / name).read_text()


# Time


@pytest.mark.parametrize(
    ("unit", "config"),
    [
        ("chrony.service", "etc/chrony/chrony.conf"),
        ("chronyd.service", "etc/chrony.conf"),
        ("ntpsec.service", "etc/ntpsec/ntp.conf"),
        ("ntpd.service", "etc/ntp.conf"),
    ],
)
def test_the_time_service_that_is_there_asks_whom_was_stated(
    tmp_path: Path, unit: str, config: str
) -> None:
    """And nobody else; what else its file says stays. It is on from the first boot."""
    tree(tmp_path, f"{VENDOR}/{unit}", f"{VENDOR}/systemd-timesyncd.service")
    (tmp_path / config).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / config).write_text("pool 2.pool.example iburst\n driftfile /x\nserver a.example\n")
    carry_out(tmp_path, ntp=("192.0.2.7", "time.example"))
    lines = [line for line in read(tmp_path, config).splitlines() if not line.startswith("#")]
    assert lines == [
        " driftfile /x",
        "server 192.0.2.7 iburst",
        "server time.example iburst",
    ]
    link = tmp_path / UNITS / "multi-user.target.wants" / unit
    assert str(link.readlink()) == f"/{VENDOR}/{unit}"
    assert not (tmp_path / "etc/systemd/timesyncd.conf.d").exists()


def test_pools_in_other_files_go_too(tmp_path: Path) -> None:
    """Ubuntu's chrony has them in a folder of sources."""
    pools = "etc/chrony/sources.d/ubuntu.sources"
    tree(tmp_path, f"{VENDOR}/chrony.service", "etc/chrony/chrony.conf", pools)
    (tmp_path / pools).write_text("pool 1.pool.example iburst\n")
    carry_out(tmp_path, ntp=("192.0.2.7",))
    assert read(tmp_path, pools).startswith("# another was stated")


@pytest.mark.parametrize("masked", [False, True])
def test_a_debian_without_chrony_has_timesyncd(tmp_path: Path, masked: bool) -> None:
    """Also where chrony is there, and somebody has masked it."""
    tree(tmp_path, f"{VENDOR}/systemd-timesyncd.service")
    if masked:
        tree(tmp_path, f"{VENDOR}/chrony.service", "etc/chrony/chrony.conf")
        (tmp_path / UNITS).mkdir(parents=True)
        (tmp_path / UNITS / "chrony.service").symlink_to("/dev/null")
    carry_out(tmp_path, ntp=("192.0.2.7", "time.example"))
    text = read(tmp_path, "etc/systemd/timesyncd.conf.d/ironwake.conf")
    assert text == "[Time]\nNTP=192.0.2.7 time.example\n"
    link = tmp_path / UNITS / "sysinit.target.wants/systemd-timesyncd.service"
    assert str(link.readlink()) == f"/{VENDOR}/systemd-timesyncd.service"


def test_no_time_service_is_a_failure_with_a_way_out(tmp_path: Path) -> None:
    """Never silence: the clock would be wrong, and nobody would know."""
    with pytest.raises(
        BrokenError, match=r"no time service that could ask 192\.0\.2\.7; add chrony"
    ):
        carry_out(tmp_path, ntp=("192.0.2.7",))


# Network


def test_networkd_gets_the_network_as_a_whole(tmp_path: Path) -> None:
    """What the system had goes, ifupdown keeps the loopback, names are resolved."""
    old = "etc/systemd/network/05-all.network"
    tree(
        tmp_path,
        *(old, "etc/systemd/network/99-name.link", "usr/lib/systemd/systemd-networkd"),
        *("etc/network/interfaces", "etc/network/interfaces.d/eth0", "etc/cloud/cloud.cfg"),
        "usr/lib/systemd/systemd-resolved",
    )
    carry_out(tmp_path, network=STATIC)
    assert not (tmp_path / old).exists()
    assert (tmp_path / "etc/systemd/network/99-name.link").exists()
    card = read(tmp_path, "etc/systemd/network/30-52-54-00-77-00-10.network")
    assert "Address=192.0.2.7/24\nGateway=192.0.2.1\nDNS=192.0.2.53\n" in card
    assert "VLAN=office\n" in card
    assert "Id=20\n" in read(tmp_path, "etc/systemd/network/10-office.netdev")
    assert read(tmp_path, "etc/network/interfaces").endswith("iface lo inet loopback\n")
    assert list((tmp_path / "etc/network/interfaces.d").iterdir()) == []
    assert "disabled" in read(tmp_path, "etc/cloud/cloud.cfg.d/99-ironwake-network.cfg")
    wants = tmp_path / UNITS / "multi-user.target.wants/systemd-networkd.service"
    assert wants.is_symlink()
    assert str((tmp_path / "etc/resolv.conf").readlink()).endswith("/stub-resolv.conf")


def test_without_resolved_name_servers_are_written_down(tmp_path: Path) -> None:
    """Or asked for, where DHCP would have to be heard by nobody."""
    tree(tmp_path, "usr/lib/systemd/systemd-networkd", "etc/resolv.conf")
    carry_out(tmp_path, network=STATIC)
    assert read(tmp_path, "etc/resolv.conf") == "nameserver 192.0.2.53\nsearch site.example\n"
    with pytest.raises(BrokenError, match=r"give parameters\.network\.name_servers"):
        carry_out(tmp_path, network=DHCP)
    alone = Network((Device("uplink", addresses=("192.0.2.7/24",)),))
    carry_out(tmp_path, network=alone)  # nobody is asked for names, and that may be meant
    assert read(tmp_path, "etc/resolv.conf") == ""


def test_network_manager_gets_keyfiles(tmp_path: Path) -> None:
    """Where it is on; connections that it had go, and only root reads the new ones."""
    folder = "etc/NetworkManager/system-connections"
    tree(
        tmp_path,
        *("usr/lib/systemd/systemd-networkd", f"{folder}/old.nmconnection"),
        "etc/sysconfig/network-scripts/ifcfg-eth0",
    )
    (tmp_path / UNITS / "multi-user.target.wants").mkdir(parents=True)
    (tmp_path / UNITS / "multi-user.target.wants/NetworkManager.service").symlink_to("/x")
    carry_out(tmp_path, network=STATIC)
    names = sorted(path.name for path in (tmp_path / folder).iterdir())
    assert names == ["office.nmconnection", "uplink.nmconnection"]
    assert "address1=192.0.2.7/24\n" in read(tmp_path, f"{folder}/uplink.nmconnection")
    assert stat.S_IMODE((tmp_path / folder / names[0]).stat().st_mode) == 0o600
    assert not (tmp_path / "etc/sysconfig/network-scripts/ifcfg-eth0").exists()
    assert not (tmp_path / "etc/systemd/network").exists()


@pytest.mark.parametrize("manager", [False, True])
def test_netplan_gets_it_where_it_is_there(tmp_path: Path, manager: bool) -> None:
    """Its other files go; a desktop's network stays with NetworkManager."""
    tree(tmp_path, "usr/sbin/netplan", "etc/netplan/50-cloud-init.yaml")
    if manager:
        (tmp_path / UNITS / "multi-user.target.wants").mkdir(parents=True)
        (tmp_path / UNITS / "multi-user.target.wants/NetworkManager.service").symlink_to("/x")
    carry_out(tmp_path, network=STATIC)
    (path,) = (tmp_path / "etc/netplan").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    told = json.loads(path.read_text())["network"]
    assert told["ethernets"]["uplink"]["addresses"] == ["192.0.2.7/24"]
    assert told["vlans"]["office"]["id"] == 20
    assert told.get("renderer", "") == ("NetworkManager" if manager else "")


def test_whoever_else_has_the_network_is_named(tmp_path: Path) -> None:
    """SUSE's wicked, or nobody: the machine would be out of reach."""
    with pytest.raises(BrokenError, match="it has no systemd-networkd"):
        carry_out(tmp_path, network=STATIC)
    tree(tmp_path, "usr/lib/systemd/systemd-networkd")
    (tmp_path / UNITS / "multi-user.target.wants").mkdir(parents=True)
    (tmp_path / UNITS / "multi-user.target.wants/wicked.service").symlink_to("/x")
    with pytest.raises(BrokenError, match="managed by wicked"):
        carry_out(tmp_path, network=STATIC)


def test_nothing_stated_is_nothing_written(tmp_path: Path) -> None:
    """The system stays as it is."""
    run = Recorder()
    carry_out(tmp_path)
    sources.configure(run, tmp_path, ORDER)
    assert list(tmp_path.iterdir()) == []
    assert run.calls == []
    assert stated.with_words(tmp_path, ORDER) == ORDER


# SELinux and AppArmor


@pytest.mark.parametrize("state", [one for one in Security if one is not Security.DEFAULT])
def test_selinux_gets_its_state(tmp_path: Path, state: Security) -> None:
    """In its file; what was off is labelled at the first boot that enforces."""
    config = "etc/selinux/config"
    (tmp_path / "etc/selinux").mkdir(parents=True)
    (tmp_path / config).write_text("# SELINUX=x\nSELINUX=disabled\nSELINUXTYPE=targeted\n")
    carry_out(tmp_path, security=state)
    assert read(tmp_path, config) == f"# SELINUX=x\nSELINUX={state}\nSELINUXTYPE=targeted\n"
    assert (tmp_path / ".autorelabel").exists() is (state is Security.ENFORCING)
    words = ("selinux=0",) if state is Security.DISABLED else ()
    assert confinement.words(tmp_path, state) == words


def test_apparmor_is_the_kernels_words(tmp_path: Path) -> None:
    """Enforcing wants its program, which apt brings; permissive there is none."""
    tree(tmp_path, "usr/bin/apt-get")
    told = replace(ORDER, security=Security.ENFORCING)
    assert stated.with_words(tmp_path, told).kernel_arguments == (
        "apparmor=1",
        "security=apparmor",
    )
    run = Recorder()
    packages.install(run, tmp_path, told, Lease("eth0", "192.0.2.7"))
    assert run.calls[-1][-2:] == ("install", "apparmor")
    with pytest.raises(BrokenError, match="neither SELinux nor AppArmor"):
        carry_out(tmp_path, security=Security.ENFORCING)
    tree(tmp_path, "usr/sbin/apparmor_parser")
    assert confinement.packages(tmp_path, Security.ENFORCING) == ()
    carry_out(tmp_path, security=Security.ENFORCING)
    carry_out(tmp_path, security=Security.DISABLED)
    with pytest.raises(BrokenError, match="cannot be permissive"):
        carry_out(tmp_path, security=Security.PERMISSIVE)


@pytest.mark.parametrize("whole", [False, True])
def test_what_was_written_gets_its_labels(tmp_path: Path, whole: bool) -> None:
    """By the system's own policy and program; else it labels itself at its first boot."""
    contexts = "etc/selinux/targeted/contexts/files/file_contexts"
    tree(tmp_path, "usr/sbin/setfiles", contexts, "root/.profile")
    run = Recorder()
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/sda3 {tmp_path} btrfs rw,subvol=/root 0 0\n/dev/sda3 {tmp_path}/var btrfs rw 0 0\n"
        f"/dev/sda1 {tmp_path}/boot/efi vfat rw 0 0\ndevtmpfs {tmp_path}/dev devtmpfs rw 0 0\n"
        f"/dev/sdb1 {tmp_path}2 ext4 rw 0 0\n"
    )
    confinement.label(run, tmp_path, whole=whole)
    (tmp_path / "etc/selinux/config").write_text("SELINUX=disabled\nSELINUXTYPE=targeted\n")
    confinement.label(run, tmp_path, whole=whole)
    assert run.calls == []
    (tmp_path / "etc/selinux/config").write_text("SELINUX=enforcing\nSELINUXTYPE=targeted\n")
    confinement.label(run, tmp_path, whole=whole, mounts=mounts)
    ((*words,),) = run.calls
    assert words[2] == "setfiles"
    assert words[words.index(f"/{contexts}") + 1 :] == (
        ["/", "/var"] if whole else ["/etc", "/root"]
    )
    assert not (tmp_path / ".autorelabel").exists()
    confinement.label(Recorder(broken={"chroot": "no"}), tmp_path, whole=whole)
    assert (tmp_path / ".autorelabel").exists()


# Root

SHADOW = "root:$6$old$old:19700:0:99999:7:::\ndaemon:*:1::::::\n"


def rooted(root: Path, order: Order) -> str:
    """Root's word in shadow."""
    (root / "root/.ssh").mkdir(parents=True, exist_ok=True)
    for name in ("authorized_keys", "authorized_keys2"):
        (root / "root/.ssh" / name).write_text("an old key\n")
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (root / "etc/shadow").write_text(SHADOW)
    (root / "etc/shadow").chmod(0o640)
    target.superuser(root, order)
    assert stat.S_IMODE((root / "etc/shadow").stat().st_mode) == 0o640
    first, second = read(root, "etc/shadow").splitlines()
    assert second == SHADOW.splitlines()[1]
    return first.split(":")[1]


@pytest.mark.parametrize(
    ("policy", "word", "keys"),
    [
        (None, "!", "an old key\n"),
        (RootPolicy.LOCKED, "!", ""),
        (RootPolicy.PASSWORD, HASH, ""),
        (RootPolicy.KEYS, "*", f"{KEY}\n"),
    ],
)
def test_root_is_who_was_stated_and_nobody_else(
    tmp_path: Path, policy: RootPolicy | None, word: str, keys: str
) -> None:
    """Neither the image's password nor its keys let anybody in, once it is stated who may."""
    order = replace(ORDER, root=policy, root_keys=(KEY,), root_password_hash=HASH)
    assert rooted(tmp_path, order) == word
    path = tmp_path / "root/.ssh/authorized_keys"
    assert (path.read_text() if path.exists() else "") == keys
    assert path.with_name("authorized_keys2").exists() is (policy is None)
    if policy is RootPolicy.KEYS:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_name_in_an_older_encoding_stays_as_it_is(tmp_path: Path) -> None:
    """An image may be older than UTF-8."""
    tree(tmp_path, "etc/shadow")
    (tmp_path / "etc/shadow").write_text(SHADOW)
    own = b"root:x:0:0:root:/root:/bin/bash\nrene:x:1000:1000:Ren\xe9:/home/rene:/bin/bash\n"
    (tmp_path / "etc/passwd").write_bytes(own)
    target.superuser(tmp_path, replace(ORDER, root=RootPolicy.LOCKED))
    assert (tmp_path / "etc/passwd").read_bytes() == own


def test_a_system_without_root_is_told(tmp_path: Path) -> None:
    """A password that would be written nowhere."""
    tree(tmp_path, "etc/passwd", "etc/shadow")
    order = replace(ORDER, root=RootPolicy.PASSWORD, root_password_hash=HASH)
    with pytest.raises(BrokenError, match="no account root"):
        target.superuser(tmp_path, order)


def test_keys_go_where_the_new_system_looks_for_them(tmp_path: Path) -> None:
    """A folder for keys that is a link to one of many people leads not into the ramdisk."""
    (tmp_path / "root").mkdir()
    (tmp_path / "etc/keys").mkdir(parents=True)
    (tmp_path / "etc/keys").chmod(0o755)
    (tmp_path / "root/.ssh").symlink_to("/etc/keys")
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (tmp_path / "etc/shadow").write_text(SHADOW)
    target.superuser(tmp_path, replace(ORDER, root=RootPolicy.KEYS, root_keys=(KEY,)))
    assert (tmp_path / "etc/keys/authorized_keys").read_text() == f"{KEY}\n"
    assert stat.S_IMODE((tmp_path / "etc/keys").stat().st_mode) == 0o755
