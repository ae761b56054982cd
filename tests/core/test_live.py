"""Method `live`: what the kernel is told, and the seed that cloud-init gets."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ironwake import loaders
from ironwake.errors import InputError
from ironwake.localboot import LoaderName
from ironwake.methods import METHODS, live
from ironwake.names import UserName
from ironwake.parameters import Parameters, User
from ironwake.parameters.model import Scripts
from ironwake.parameters.network import Network
from ironwake.profile import Finish, Method, Profile
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


def test_the_seed_is_four_files_and_yaml() -> None:
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


def told(**stated: Any) -> Bench:
    """The bench, told these parameters."""
    return replace(LIVE, deployment=replace(LIVE.deployment, parameters=Parameters(**stated)))


def test_health_comes_after_all_that_cloud_init_does() -> None:
    """Whoever hears of it may log in; what phones home is heard before the deployment is over."""
    data = json.loads(seed()["user-data"].partition("\n")[2])
    (order,) = [file for file in data["write_files"] if file["path"].endswith("/order.conf")]
    assert "After=cloud-final.service" in order["content"]
    assert data["phone_home"]["url"].endswith(f"/deployments/{LIVE.deployment.token}/reports")


def test_a_script_that_fails_ends_it() -> None:
    """It runs once all is set up, before health is reported."""
    data = json.loads(seed(told(scripts=Scripts(post="exit 1")))["user-data"].partition("\n")[2])
    (script,) = [file for file in data["write_files"] if file["content"] == "exit 1"]
    assert script["permissions"] == "0700"
    (_, run, _, health) = data["runcmd"]
    assert run[2].startswith(f"{script['path']} || ")
    assert "stage=failed" in run[-1]
    assert health[-1] == "ironwake-health.service"


def test_a_fragment_is_joined() -> None:
    """Keys of the person's own stand beside ours."""
    data = json.loads(
        seed(told(fragments={"live": '{"bootcmd": ["true"]}'}))["user-data"].partition("\n")[2]
    )
    assert data["bootcmd"] == ["true"]
    assert data["hostname"] == "node1"


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"network": Network(name_servers=("192.0.2.1",))}, "network"),
        ({"scripts": Scripts(pre="true")}, "scripts.pre"),
        ({"fragments": {"live": "text"}}, "fragments.live"),
        ({"mirror": "http://192.0.2.1/debian"}, "mirror"),
    ],
)
def test_what_cannot_be_told_is_refused(wrong: dict[str, Any], where: str) -> None:
    """With its field; Debian 12's cloud-init asks for no network configuration over the network."""
    bench = told(**wrong)
    with pytest.raises(InputError) as error:
        METHODS[Method.LIVE].check(bench.deployment, bench.machine, MAC, bench.policy)
    told_where = error.value.where or error.value.what
    assert where in told_where


def test_cloud_inits_own_tool_takes_it(tmp_path: Path) -> None:
    """All that can be told, and nothing."""
    everything = told(
        users=(User(UserName("admin"), full_name='A "B"'),),
        ntp=("192.0.2.1",),
        packages=("jq",),
        locale="de_DE.UTF-8",
        keyboard="de",
        scripts=Scripts(post="true"),
    )
    for bench in (LIVE, told(), everything):
        METHODS[Method.LIVE].check(bench.deployment, bench.machine, MAC, bench.policy)
        file = tmp_path / "user-data"
        file.write_text(seed(bench)["user-data"])
        words = ["cloud-init", "schema", "-c", str(file)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_hostile_words_stay_words() -> None:
    """Whatever a profile says is a value of the document, never a part of its shape."""
    user = User(UserName("admin"), password_hash="$6$salt$" + "a" * 40)
    parameters = Parameters(users=(user,), packages=("nginx-light",))
    bench = replace(LIVE, deployment=replace(LIVE.deployment, parameters=parameters))
    data = yaml.safe_load(seed(bench)["user-data"])
    assert data["users"][0]["hashed_passwd"] == user.password_hash
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
