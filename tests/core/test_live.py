"""Method `live`: what the kernel is told, and the seed that cloud-init gets."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml

from ironwake import loaders
from ironwake.errors import InputError
from ironwake.localboot import LoaderName
from ironwake.methods import METHODS, live
from ironwake.names import UserName
from ironwake.profile import Finish, Method, Parameters, Profile, User
from ironwake_testing.core import MAC, Bench, make_bench

LIVE = make_bench().with_method(Method.LIVE)


def seed(bench: Bench = LIVE) -> dict[str, str]:
    """The files of its claim."""
    method = METHODS[Method.LIVE]
    return method.payload(bench.deployment, bench.machine, MAC, bench.policy).files


@pytest.mark.parametrize("name", [LoaderName.GRUB, LoaderName.IPXE, LoaderName.PXELINUX])
def test_each_loader_gives_the_kernel_the_seed_in_one_word(name: LoaderName) -> None:
    """GRUB's shell would end its command at the semicolon; the others take it as it is."""
    script = LIVE.index().script(MAC, loaders.BY_NAME[name])
    url = f"http://10.77.0.2/deployments/{LIVE.deployment.token}/answers/"
    word = f"ds=nocloud-net;s={url}"
    assert (f" '{word}' " if name is LoaderName.GRUB else f" {word} ") in script
    assert " boot=live fetch=http://10.77.0.2/artifacts/" in script
    assert ".squashfs ip=frommedia BOOTIF=01-52-54-00-77-00-10 " in script


def test_the_seed_is_three_files_and_yaml() -> None:
    """Vendor data too, for cloud-init would ask for it again and again; names as it asks."""
    files = seed()
    assert tuple(sorted(files)) == tuple(sorted(live.FILES))
    assert files["vendor-data"] == ""
    assert yaml.safe_load(files["meta-data"]) == {"instance-id": "d1", "local-hostname": "node1"}
    first, _, rest = files["user-data"].partition("\n")
    assert first == "#cloud-config"
    data = yaml.safe_load(rest)
    assert data == json.loads(rest)
    assert data["users"][0]["name"] == "admin"
    assert data["users"][0]["lock_passwd"] is True


def test_it_reports_that_it_works_before_its_health() -> None:
    """The health unit repeats until it is heard, the report of work stands before it."""
    data = json.loads(seed()["user-data"].partition("\n")[2])
    (report, _, health) = data["runcmd"]
    assert report[-1].endswith("/callbacks?stage=working&step=live&id=live")
    assert health == ["systemctl", "start", "--no-block", "ironwake-health.service"]
    urls = [file["content"] for file in data["write_files"] if file["path"].endswith("health-url")]
    assert urls == [f"http://10.77.0.2/health/{LIVE.deployment.health_token}\n"]


def test_hostile_words_stay_words() -> None:
    """Whatever a profile says is a value of the document, never a part of its shape."""
    user = User(UserName("admin"), password_hash="$6$salt$" + "a" * 40)
    profile = replace(
        LIVE.deployment.profile, user=user, parameters=Parameters(packages=("nginx-light",))
    )
    bench = replace(LIVE, deployment=replace(LIVE.deployment, profile=profile))
    data = yaml.safe_load(seed(bench)["user-data"])
    assert data["users"][0]["passwd"] == user.password_hash
    assert "ssh_authorized_keys" not in data["users"][0]  # cloud-init calls an empty list invalid
    assert data["packages"] == ["nginx-light"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"release": ""},
        {"release": "", "image": "web"},
        {"finish": Finish.KEXEC},
    ],
)
def test_a_live_profile_is_a_releases(wrong: dict[str, object]) -> None:
    """Nothing is written, so there is nothing to lay out, and nothing to boot into."""
    with pytest.raises(InputError):
        Profile(**{"release": "debian-12", "method": Method.LIVE, **wrong})  # type: ignore[arg-type]


def test_its_media_are_named_where_they_are_missing() -> None:
    """No ramdisk is needed, only the live system."""
    policy = replace(LIVE.policy, shelf=replace(LIVE.policy.shelf, items=()))
    missing = METHODS[Method.LIVE].missing(LIVE.deployment, LIVE.machine, policy)
    assert missing == ("debian-12-live",)
