"""Where a new system's packages come from, told to apt, dnf and zypper in trees of theirs."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ironwake.errors import BrokenError
from ironwake.parameters.model import Repository
from ironwake_agent import packages, sources
from ironwake_agent.network import Lease
from tests.agent.rig import ORDER, Recorder
from tests.agent.test_stated import PGP, read, tree

BOOKWORM = "ID=debian\nVERSION_CODENAME=bookworm\n"
NOBLE = 'ID=ubuntu\nVERSION_CODENAME="noble"\n'
REPOSITORY = Repository("extra", "http://192.0.2.9/extra", "stable", ("main",), PGP)


def sourced(root: Path, **changes: object) -> Recorder:
    run = Recorder()
    sources.configure(run, root, replace(ORDER, **changes))  # type: ignore[arg-type]
    return run


def test_apt_gets_proxy_and_repositories(tmp_path: Path) -> None:
    """A key in a file of its own, which is for that repository alone."""
    tree(tmp_path, "usr/bin/apt-get")
    sourced(tmp_path, proxy="http://me:word@192.0.2.8:3128", repositories=(REPOSITORY,))
    assert read(tmp_path, "etc/apt/apt.conf.d/90ironwake-proxy") == (
        'Acquire::http::Proxy "http://me:word@192.0.2.8:3128";\n'
    )
    assert read(tmp_path, "etc/apt/sources.list.d/ironwake-extra.sources") == (
        "Types: deb\nURIs: http://192.0.2.9/extra\nSuites: stable\nComponents: main\n"
        "Signed-By: /etc/apt/keyrings/ironwake-extra.asc\n"
    )
    assert read(tmp_path, "etc/apt/keyrings/ironwake-extra.asc") == PGP
    with pytest.raises(BrokenError, match="apt needs the suite and the components of extra"):
        sourced(tmp_path, repositories=(replace(REPOSITORY, suite=""),))


def test_a_repository_takes_nothing_of_the_systems_own_away(tmp_path: Path) -> None:
    """However it is called."""
    own = "etc/apt/sources.list.d/debian.sources"
    tree(tmp_path, "usr/bin/apt-get", own)
    sourced(tmp_path, repositories=(replace(REPOSITORY, name="debian"),))
    assert read(tmp_path, own) == ""
    assert "192.0.2.9" in read(tmp_path, own.replace("debian.s", "ironwake-debian.s"))


def test_a_mirror_takes_the_place_of_the_distributions_own(tmp_path: Path) -> None:
    """In both notations, with their options; security updates and strangers stay."""
    tree(tmp_path, "usr/bin/apt-get", "etc/os-release")
    (tmp_path / "etc/os-release").write_text(BOOKWORM)
    apt = tmp_path / "etc/apt"
    (apt / "sources.list.d").mkdir(parents=True)
    (apt / "sources.list").write_text(
        "# ours\ndeb [signed-by=/x.gpg] http://old.example/debian bookworm main contrib\n"
        "deb https://docker.example/debian bookworm stable\n"
        "deb http://security.example/debian-security bookworm-security main\n"
    )
    (apt / "sources.list.d/debian.sources").write_text(
        "Types: deb\nURIs: http://old.example/debian\nSuites: bookworm bookworm-updates\n"
        "Components: main\n\nTypes: deb\nURIs: http://security.example/debian-security\n"
        "Suites: bookworm-security\nComponents: main\n"
    )
    sourced(tmp_path, mirror="http://192.0.2.6/debian/")
    assert (apt / "sources.list").read_text() == (
        "# ours\ndeb [signed-by=/x.gpg] http://192.0.2.6/debian bookworm main contrib\n"
        "deb https://docker.example/debian bookworm stable\n"
        "deb http://security.example/debian-security bookworm-security main\n"
    )
    stanzas = (apt / "sources.list.d/debian.sources").read_text()
    assert stanzas.count("URIs: http://192.0.2.6/debian\n") == 1
    assert "URIs: http://security.example/debian-security\n" in stanzas


def test_all_of_a_fields_lines_are_one_value(tmp_path: Path) -> None:
    """Each mirror that was there goes, and nothing gets into a comment."""
    tree(tmp_path, "usr/bin/apt-get", "etc/apt/sources.list.d/debian.sources")
    (tmp_path / "etc/os-release").write_text(BOOKWORM)
    apt = tmp_path / "etc/apt"
    (apt / "sources.list").write_text("deb http://a.example/debian bookworm main # ours\n")
    (apt / "sources.list.d/debian.sources").write_text(
        "Types: deb\nURIs: http://a.example/debian\n http://b.example/debian\n"
        "Suites: bookworm\n bookworm-updates\nComponents: main\n contrib\nSigned-By: /x.gpg\n"
    )
    sourced(tmp_path, mirror="http://192.0.2.6/debian", firmware=True)
    assert (apt / "sources.list").read_text() == (
        "deb http://192.0.2.6/debian bookworm main non-free-firmware\n"
    )
    assert (apt / "sources.list.d/debian.sources").read_text() == (
        "Types: deb\nURIs: http://192.0.2.6/debian\nSuites: bookworm\n bookworm-updates\n"
        "Components: main contrib non-free-firmware\nSigned-By: /x.gpg\n"
    )


def test_ubuntus_security_updates_come_from_the_mirror_too(tmp_path: Path) -> None:
    """As its installer does it."""
    tree(tmp_path, "usr/bin/apt-get")
    (tmp_path / "etc/apt").mkdir(parents=True)
    (tmp_path / "etc/os-release").write_text(NOBLE)
    (tmp_path / "etc/apt/sources.list").write_text(
        "deb http://a.example/ubuntu noble main\ndeb http://b.example/ubuntu noble-security main\n"
    )
    sourced(tmp_path, mirror="http://192.0.2.6/ubuntu")
    assert read(tmp_path, "etc/apt/sources.list").count("http://192.0.2.6/ubuntu ") == 2


def test_firmware_brings_its_component_and_its_package(tmp_path: Path) -> None:
    """Once, in both notations; Ubuntu has it anyhow."""
    tree(tmp_path, "usr/bin/apt-get")
    apt = tmp_path / "etc/apt"
    (apt / "sources.list.d").mkdir(parents=True)
    (tmp_path / "etc/os-release").write_text(BOOKWORM)
    (apt / "sources.list").write_text("deb http://a.example/debian bookworm main\n")
    (apt / "sources.list.d/debian.sources").write_text(
        "Types: deb\nURIs: http://a.example/debian\nSuites: bookworm\nComponents: main\n"
    )
    for _ in range(2):
        sourced(tmp_path, firmware=True)
    line = "deb http://a.example/debian bookworm main non-free-firmware\n"
    assert (apt / "sources.list").read_text() == line
    stanza = (apt / "sources.list.d/debian.sources").read_text()
    assert stanza.endswith("URIs: http://a.example/debian\nSuites: bookworm\n"
                           "Components: main non-free-firmware\n")  # fmt: skip
    assert installed(tmp_path, firmware=True) == [("--no-install-recommends", "firmware-linux")]
    (tmp_path / "etc/os-release").write_text(NOBLE)
    sourced(tmp_path, firmware=True)
    assert installed(tmp_path, firmware=True) == []


def test_groups_of_packages_are_tasks(tmp_path: Path) -> None:
    """As each distribution has them, with what they recommend; packages go without."""
    tree(tmp_path, "usr/bin/apt-get")
    given = {"packages": ("vim",), "package_groups": ("web-server",)}
    for system, task in ((BOOKWORM, "task-web-server"), (NOBLE, "web-server^")):
        (tmp_path / "etc").mkdir(exist_ok=True)
        (tmp_path / "etc/os-release").write_text(system)
        assert installed(tmp_path, **given) == [
            ("--no-install-recommends", "vim"),
            ("--install-recommends", task),
        ]
    (tmp_path / "usr/bin/apt-get").rename(tmp_path / "usr/bin/dnf")
    with pytest.raises(
        BrokenError, match="come by dnf, which the agent cannot tell package_groups"
    ):
        sourced(tmp_path, **given)
    with pytest.raises(BrokenError, match="linux-firmware in the image"):
        sourced(tmp_path, firmware=True)


def installed(root: Path, **changes: object) -> list[tuple[str, str]]:
    """Of each call of apt that installs: how, and what."""
    run = Recorder()
    order = replace(ORDER, **changes)  # type: ignore[arg-type]
    packages.install(run, root, order, Lease("eth0", "192.0.2.7"))
    return [(call[-3], call[-1]) for call in run.calls if "install" in call]


def test_a_mirror_that_finds_no_place_is_a_failure(tmp_path: Path) -> None:
    """No source of the distribution's own, or packages that come by something else than apt."""
    tree(tmp_path, "usr/bin/apt-get")
    with pytest.raises(BrokenError, match="none of the new system's package sources"):
        sourced(tmp_path, mirror="http://192.0.2.6/debian")
    (tmp_path / "usr/bin/apt-get").rename(tmp_path / "usr/bin/dnf")
    with pytest.raises(BrokenError, match="packages come by dnf"):
        sourced(tmp_path, mirror="http://192.0.2.6/debian")
    (tmp_path / "usr/bin/dnf").unlink()
    with pytest.raises(BrokenError, match=r"neither apt nor dnf nor zypper; .*parameters\.proxy"):
        sourced(tmp_path, proxy="http://192.0.2.8:1")


def test_dnf_gets_proxy_and_repositories(tmp_path: Path) -> None:
    """The proxy in its own section, in the place of an older one; keys are imported."""
    tree(tmp_path, "usr/bin/dnf")
    (tmp_path / "etc/dnf").mkdir(parents=True)
    (tmp_path / "etc/dnf/dnf.conf").write_text("[main]\nproxy=http://old\ngpgcheck=1\n[x]\n")
    run = sourced(tmp_path, proxy="http://192.0.2.8:3128", repositories=(REPOSITORY,))
    expected = "[main]\nproxy=http://192.0.2.8:3128\ngpgcheck=1\n[x]\n"
    assert read(tmp_path, "etc/dnf/dnf.conf") == expected
    key = "etc/pki/rpm-gpg/RPM-GPG-KEY-ironwake-extra"
    assert f"gpgkey=file:///{key}\n" in read(tmp_path, "etc/yum.repos.d/ironwake-extra.repo")
    assert run.calls == [("chroot", str(tmp_path), "rpm", "--import", f"/{key}")]


def test_zypper_gets_proxy_and_repositories(tmp_path: Path) -> None:
    """In the distribution's own places."""
    tree(tmp_path, "usr/bin/zypper")
    (tmp_path / "etc/sysconfig").mkdir(parents=True)
    (tmp_path / "etc/sysconfig/proxy").write_text('PROXY_ENABLED="no"\nNO_PROXY="localhost"\n')
    sourced(tmp_path, proxy="http://192.0.2.8:3128", repositories=(replace(REPOSITORY, key=""),))
    assert read(tmp_path, "etc/sysconfig/proxy") == (
        'NO_PROXY="localhost"\nPROXY_ENABLED="yes"\nHTTP_PROXY="http://192.0.2.8:3128"\n'
        'HTTPS_PROXY="http://192.0.2.8:3128"\n'
    )
    assert "baseurl=http://192.0.2.9/extra\n" in read(
        tmp_path, "etc/zypp/repos.d/ironwake-extra.repo"
    )


@pytest.mark.parametrize("tool", ["dnf", "zypper"])
def test_packages_come_by_what_the_system_has(tmp_path: Path, tool: str) -> None:
    """Without what is only recommended, and with no file of Debian's; a failure names them."""
    tree(tmp_path, f"usr/bin/{tool}")
    order = replace(ORDER, packages=("vim", "tmux"))
    run = Recorder()
    packages.install(run, tmp_path, order, Lease("eth0", "192.0.2.7"))
    ((*words,),) = run.calls
    assert words[2] == tool
    assert words[-2:] == ["vim", "tmux"]
    assert not (tmp_path / "usr/sbin").exists()
    broken = Recorder(broken={"chroot": "ended with 1"})
    with pytest.raises(BrokenError, match="the packages vim tmux could not be installed"):
        packages.install(broken, tmp_path, order, Lease("eth0", "192.0.2.7"))


@pytest.mark.skipif(not shutil.which("apt-get"), reason="apt is a Debian's")
def test_apt_itself_reads_what_was_written(tmp_path: Path) -> None:
    """It would ask the mirror and the repository, through the proxy, and nobody else."""
    for name in ("sources.list.d", "apt.conf.d", "preferences.d", "trusted.gpg.d"):
        (tmp_path / "etc/apt" / name).mkdir(parents=True)
    for name in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg"):
        (tmp_path / name).mkdir(parents=True)
    tree(tmp_path, "usr/bin/apt-get", "var/lib/dpkg/status")
    (tmp_path / "etc/os-release").write_text(BOOKWORM)
    (tmp_path / "etc/apt/sources.list").write_text("deb http://old.example/debian bookworm main\n")
    (tmp_path / "etc/apt/sources.list.d/debian.sources").write_text(
        "Types: deb\nURIs: http://old.example/debian\nSuites: bookworm-updates\nComponents: main\n"
    )
    proxy = "http://me:word@192.0.2.8:3128"
    given = {"proxy": proxy, "mirror": "http://192.0.2.6/debian", "firmware": True}
    sourced(tmp_path, repositories=(REPOSITORY,), **given)
    (tmp_path / "conf").write_text(f'Dir "{tmp_path}";\nDir::Bin "/usr/bin";\n')

    def apt(*words: str) -> str:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "APT_CONFIG": str(tmp_path / "conf"), "LC_ALL": "C.UTF-8"},
        )
        return done.stdout

    asked = [line.split("'")[1] for line in apt("apt-get", "update", "--print-uris").splitlines()]
    parts = [url.partition("/dists/") for url in asked]
    found = {(mirror, path.split("/")[0]) for mirror, _, path in parts}
    assert found == {
        ("http://192.0.2.6/debian", "bookworm"),
        ("http://192.0.2.6/debian", "bookworm-updates"),
        ("http://192.0.2.9/extra", "stable"),
    }
    assert any("/bookworm/non-free-firmware/" in url for url in asked)
    assert f'Acquire::http::Proxy "{proxy}";\n' in apt("apt-config", "dump")
